# SPDX-License-Identifier: MIT OR Apache-2.0
"""The .log directory of a mount."""
import base64
import errno
import json
import mmap
import os
import re
import shutil
import subprocess

import pytest

import privileged

pytestmark = [pytest.mark.sanitize, pytest.mark.thread]


@pytest.mark.clause("S18a")
@pytest.mark.parametrize("options", [[], ["hidelog"], ["showlog", "hidelog"]])
def test_log_is_entered_by_its_name_and_not_listed(mount, options):
    m = mount(None, *options)
    assert os.listdir(m) == []
    assert "recovery" in os.listdir(m / ".log")
    m.options = ["ro"]
    m.remount()
    assert os.listdir(m) == []
    assert os.stat(m).st_nlink == 2


@pytest.mark.clause("S18a")
def test_showlog_lists_it(mount):
    m = mount(None, "hidelog", "showlog")
    os.mkdir(m / "d")
    with os.scandir(m) as listed:
        assert {e.name: e.inode() for e in listed} == {
            n: os.stat(m / n).st_ino for n in (".log", "d")}
    assert os.stat(m).st_nlink == 4
    m.options = ["ro", "showlog"]
    m.remount()
    assert sorted(os.listdir(m)) == [".log", "d"]


@pytest.mark.clause("S18a")
def test_a_directory_that_is_not_listed_is_one_like_any_other_to_who_is_in_it(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    log = m / ".log"
    done = subprocess.run(
        ["sh", "-ec", """pwd -P; /bin/pwd; realpath . recovery ../.log/../f; realpath ..
         find . -name README; find .. -name README; find "$PWD" -name README; stat -c %h . ..
         test . -ef ../.log; cd ..; cd .log; /bin/pwd; ls -id . | tr -d ' .'"""],
        cwd=log, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.splitlines() == [
        str(log), str(log), str(log), f"{log}/recovery", f"{m}/f", str(m),
        "./README", f"{log}/README", "2", "2", str(log), str(log.stat().st_ino)]
    assert os.path.samefile(log / "..", m)


@pytest.mark.root
@pytest.mark.clause("S18a")
def test_a_bind_mount_of_it_shows_the_same(mount, host_dir):
    m = mount()
    (m / "f").write_bytes(b"value of the file")
    done = subprocess.run(
        [*privileged.prefix(), "unshare", "-m", "--propagation", "private", "sh", "-ec",
         f'mount --bind "{m}/.log" "{host_dir}"; cd "{host_dir}"; /bin/pwd; ls; cat 00000001.dwal'],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split(b"\n", 6)
    assert lines[:6] == [os.fsencode(host_dir), b"00000001.dwal", b"README", b"recovery",
                         b"recovery.json", b"stats.json"]
    assert b"value of the file" in lines[6]


@pytest.mark.clause("S18a")
def test_log_is_private_and_the_mounting_users(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    directory = (m / ".log").stat()
    assert directory.st_mode == 0o040500
    assert directory.st_uid == os.getuid()
    names = set(os.listdir(m / ".log"))
    assert {"00000001.dwal", "recovery", "recovery.json", "stats.json", "README"} <= names
    for name in names:
        found = (m / ".log" / name).stat()
        assert (found.st_mode, found.st_uid) == (0o100400, os.getuid()), name


@pytest.mark.clause("S18b")
def test_any_change_in_it_is_erofs(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    log = m / ".log"
    changes = [
        lambda: os.open(log / "recovery", os.O_WRONLY), lambda: os.open(log / "recovery", os.O_RDWR),
        lambda: os.open(log / "new", os.O_CREAT | os.O_WRONLY), lambda: os.mkdir(log / "d"),
        lambda: os.unlink(log / "00000001.dwal"), lambda: os.rename(log / "README", m / "README"),
        lambda: os.rename(m / "f", log / "f"), lambda: os.rename(log, m / "log"),
        lambda: os.rmdir(log), lambda: os.chmod(log / "README", 0o644), lambda: os.chmod(log, 0o755),
        lambda: os.truncate(log / "00000001.dwal", 0), lambda: os.utime(log / "README"),
    ]
    before = (log / "00000001.dwal").read_bytes()
    refusals = {errno.EROFS} if os.getuid() == 0 else {errno.EROFS, errno.EACCES}
    for number, change in enumerate(changes):
        with pytest.raises(OSError) as caught:
            change()
        assert caught.value.errno in refusals, number
    assert (log / "00000001.dwal").read_bytes() == before
    assert os.listdir(m) == ["f"]


@pytest.mark.clause("S18c")
def test_segments_are_the_bytes_on_disk_as_they_are_now(logdir, mount):
    m = mount(logdir)
    for content in (b"one", b"two", b"x" * 100_000):
        (m / "f").write_bytes(content)
        inside = (m / ".log/00000001.dwal").read_bytes()
        assert inside == (logdir / "00000001.dwal").read_bytes()
        assert content in inside
        assert (m / ".log/00000001.dwal").stat().st_size == len(inside)


@pytest.mark.clause("S18c")
def test_a_copy_of_the_segments_opens_as_a_log(datawal, logdir, mount, tmp_path):
    m = mount(logdir, "segment_size=65536")
    for number in range(50):
        (m / f"f{number}").write_bytes(b"%d" % number * 2000)
    backup = tmp_path / "backup"
    backup.mkdir()
    subprocess.run(["bash", "-c", "cp .log/*.dwal " + str(backup)], cwd=m, check=True, timeout=20)
    assert len(os.listdir(backup)) > 1
    assert datawal.scan(backup) == datawal.scan(logdir)
    reader = mount(backup, "ro")
    assert (reader / "f48").read_bytes() == b"48" * 2000
    reader.unmount()
    for name in os.listdir(backup):
        os.chmod(backup / name, 0o600)  # copies of read-only files are read-only
    other = mount(backup)
    assert (other / "f49").read_bytes() == b"49" * 2000


@pytest.mark.clause("S18d")
def test_recovery_tells_what_this_mounts_open_found_and_stays(datawal, logdir, mount):
    datawal.put(logdir, "kept", b"value")
    datawal.put(logdir, "torn", b"value")
    segment = logdir / "00000001.dwal"
    os.truncate(segment, segment.stat().st_size - 5)
    m = mount(logdir)
    told = json.loads((m / ".log/recovery.json").read_text())
    assert told["tail_truncated"] == 1
    assert told["tail_bytes_discarded"] > 0
    assert told["records_replayed"] == 1
    people = (m / ".log/recovery").read_text()
    side = [n for n in os.listdir(logdir) if ".torn-" in n]
    assert len(side) == 1 and side[0] in people
    (m / "more").write_bytes(b"value")
    assert json.loads((m / ".log/recovery.json").read_text())["tail_truncated"] == 1
    m.remount()
    assert json.loads((m / ".log/recovery.json").read_text())["tail_truncated"] == 0


@pytest.mark.clause("S18e")
def test_stats_count_live_and_dead_bytes(logdir, mount):
    m = mount(logdir, "noclock")
    (m / "f").write_bytes(b"x" * 1000)
    (m / "f").write_bytes(b"y" * 500)
    stats = json.loads((m / ".log/stats.json").read_text())
    segment = stats["segments"][0]
    frame = 24 + 1 + 4
    assert segment["records"] == 2
    assert segment["live_bytes"] == 500 + frame
    assert segment["dead_bytes"] == 1000 + frame
    assert stats["commits_failed"] == 0
    assert stats["poisoned"] is False
    assert stats["total"]["live_bytes"] == 500 + frame


@pytest.mark.clause("S18f")
def test_readme_and_side_files_are_there(logdir, mount):
    logdir.mkdir()
    (logdir / "00000001.dwal").write_bytes(b"")
    (logdir / "00000001.dwal.torn-17").write_bytes(b"torn bytes")
    (logdir / "unrelated").write_bytes(b"x")
    m = mount(logdir)
    text = (m / ".log/README").read_text()
    made = {name for name in os.listdir(m / ".log") if ".dwal" not in name} - {"README"}
    assert made <= set(re.findall(r"^(\S+)  ", text, re.M))
    assert (m / ".log/00000001.dwal.torn-17").read_bytes() == b"torn bytes"
    assert "unrelated" not in os.listdir(m / ".log")
    assert ".lock" not in os.listdir(m / ".log")


@pytest.mark.clause("S18g")
def test_a_symbolic_link_in_the_log_directory_is_not_followed(logdir, mount, host_dir):
    logdir.mkdir()
    (logdir / "00000001.dwal").write_bytes(b"")
    (host_dir / "secret").write_bytes(b"secret")
    (logdir / "00000001.dwal.torn-5").symlink_to(host_dir / "secret")
    (logdir / "00000001.dwal.torn-6").mkdir()
    m = mount(logdir)
    for name in ("00000001.dwal.torn-5", "00000001.dwal.torn-6"):
        assert name not in os.listdir(m / ".log")
        assert not os.path.lexists(m / ".log" / name)


@pytest.mark.clause("S18a")
def test_copying_the_whole_log_directory_out_works(mount, tmp_path):
    m = mount()
    (m / "f").write_bytes(b"value" * 10_000)
    shutil.copytree(m / ".log", tmp_path / "copy")
    subprocess.run(["diff", "-r", "-x", "stats.json", m / ".log", tmp_path / "copy"], check=True,
                   timeout=20)


@pytest.mark.clause("S18c")
def test_an_open_segment_shows_what_is_appended_meanwhile(logdir, mount):
    m = mount(logdir)
    (m / "f").write_bytes(b"first")
    with open(m / ".log/00000001.dwal", "rb", buffering=0) as segment:
        before = segment.read()
        (m / "g").write_bytes(b"second" * 1000)
        after = segment.read()
        assert before + after == (logdir / "00000001.dwal").read_bytes()
        assert b"second" in after
        with mmap.mmap(segment.fileno(), 0, prot=mmap.PROT_READ) as view:
            assert view[:] == before + after


@pytest.mark.clause("S18d", "S18e")
def test_an_open_report_is_one_text_of_the_size_that_fstat_tells(mount):
    m = mount()
    held = []
    for number in range(20):
        held.append(open(m / ".log/stats.json", "rb"))
        assert os.fstat(held[-1].fileno()).st_size == len(json.dumps(json.load(held[-1]), indent=2)) + 1
        (m / f"file{number}").write_bytes(b"x" * 10 ** (number % 5))
    keys = []
    for file in held:
        file.seek(0)
        keys.append(json.load(file)["keys"])
        file.close()
    assert keys == list(range(20))


@pytest.mark.clause("S18d", "S1b")
def test_raw_records_are_counted_where_they_are_not_shown(datawal, logdir, mount):
    for payload in (b"one", b"two", b"three"):
        datawal("append", logdir, "-", input=payload)
    m = mount(logdir)
    assert [n for n in os.listdir(m) if n != ".log"] == []
    told = json.loads((m / ".log/recovery.json").read_text())
    assert (told["raw_records"], told["records_replayed"]) == (3, 3)


@pytest.mark.clause("S18d")
def test_reports_are_json_whatever_the_path_of_the_log(mount, tmp_path):
    log = tmp_path / os.fsdecode(b'q"uote \\ \xff \n \xc3\xbc')
    m = mount(log)
    for name in ("recovery.json", "stats.json"):
        told = json.loads((m / ".log" / name).read_bytes().decode("utf-8"))
        assert told["log_dir"].endswith('q"uote \\ \ufffd \n ü')


@pytest.mark.clause("S18a")
def test_inode_numbers_stay_and_are_those_of_the_listing(logdir, mount):
    logdir.mkdir()
    (logdir / "00000001.dwal").touch()
    for offset in (5, 7):
        (logdir / f"00000001.dwal.torn-{offset}").write_bytes(b"torn")
    m = mount(logdir)

    def numbers():
        listed = {e.name: e.inode() for e in os.scandir(m / ".log")}
        assert listed == {n: (m / ".log" / n).stat().st_ino for n in listed}
        return listed

    before = numbers()
    assert len(set(before.values())) == len(before) == 7
    os.unlink(logdir / "00000001.dwal.torn-5")
    (logdir / "00000001.dwal.torn-6").write_bytes(b"torn")
    after = numbers()
    assert "00000001.dwal.torn-5" not in after
    del before["00000001.dwal.torn-5"]
    assert before.items() <= after.items()
    assert after["00000001.dwal.torn-6"] not in before.values()
