# SPDX-License-Identifier: MIT OR Apache-2.0
"""How datawalfs starts, refuses and ends."""
import errno
import mmap
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress

import pytest

import mounting
import paths
import privileged
import suspicion

pytestmark = pytest.mark.sanitize


@pytest.fixture
def datawalfs(tmp_path, mount):
    """Runs datawalfs as a user does, in the background; everything is unmounted at the end."""
    tried = []

    def run(*args, status=0, timeout=30, program=None):
        program = program or paths.program("fuse/datawalfs")
        # a file and not a pipe: the daemon keeps its end
        with open(tmp_path / "output", "w+b") as output:
            done = subprocess.run([str(program), *map(str, args)],
                                  stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                  timeout=timeout, check=False)
            output.seek(0)
            text = output.read().decode(errors="replace")
        tried.extend(a for a in args[1:2] if isinstance(a, os.PathLike))
        suspicion.check("datawalfs", text)
        assert (done.returncode == 0) == (status == 0), text
        return text

    yield run
    for path in tried:
        while mounting.mounted(path):
            subprocess.run(["fusermount3", "-u", "-z", path], check=True, timeout=20)
    for path in tried:
        mounting.wait_for(lambda p=path: not mounting.daemons_of(p), f"the end of the daemon on {path}")


def one_line(text):
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("datawalfs: "), text
    return lines[0]


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "place"
    path.mkdir()
    return path


@pytest.mark.clause("S20a", "S20c")
def test_it_returns_when_the_mount_works_and_not_before(datawalfs, logdir, place):
    logdir.mkdir()
    assert datawalfs(logdir, place) == ""
    (place / "f").write_bytes(b"value")
    assert (place / "f").read_bytes() == b"value"
    assert (logdir / "00000001.dwal").exists()
    subprocess.run(["fusermount3", "-u", place], check=True, timeout=20)
    mounting.wait_for(lambda: not mounting.daemons_of(place), "the daemon's end")
    assert datawalfs(logdir, place) == ""
    assert (place / "f").read_bytes() == b"value"


@pytest.mark.clause("S20b")
def test_an_absent_dir_is_refused_and_not_created(datawalfs, logdir, place):
    assert str(logdir) in one_line(datawalfs(logdir, place, status=1))
    assert not logdir.exists()
    datawalfs(logdir, place, "-o", "create")
    (place / "f").write_bytes(b"value")


@pytest.mark.clause("S20b")
def test_a_directory_of_other_things_is_refused_and_left_alone(datawalfs, host_dir, place):
    (host_dir / "letter.txt").write_bytes(b"not a log")
    one_line(datawalfs(host_dir, place, status=1))
    assert os.listdir(host_dir) == ["letter.txt"]


@pytest.mark.clause("S20b")
@pytest.mark.parametrize("how", ["the same", "above", "below", "the same by a link"])
def test_a_log_and_a_mountpoint_that_contain_each_other_are_refused(datawalfs, tmp_path, how):
    outer = tmp_path / "outer"
    inner = outer / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "link").symlink_to(outer)
    log, place = {"the same": (inner, inner), "above": (outer, inner), "below": (inner, outer),
                  "the same by a link": (outer, tmp_path / "link")}[how]
    one_line(datawalfs(log, place, status=1))
    assert os.listdir(inner) == []
    assert os.listdir(outer) == ["inner"]


@pytest.mark.clause("S20b", "S20c")
def test_create_makes_missing_parents_too(datawalfs, tmp_path, place):
    datawalfs(tmp_path / "a/b/log", place, "-o", "create")
    (place / "f").write_bytes(b"value")
    assert (tmp_path / "a/b/log/00000001.dwal").exists()


@pytest.mark.clause("S20b")
def test_a_mountpoint_with_a_live_mount_is_refused_and_the_mount_stays(datawalfs, mount, tmp_path):
    m = mount()
    (m / "f").write_bytes(b"value")
    other = tmp_path / "other"
    other.mkdir()
    assert str(m.log) in one_line(datawalfs(other, m.path, status=1))
    assert (m / "f").read_bytes() == b"value"
    assert os.listdir(other) == []
    m.unmount()


@pytest.mark.clause("S20b")
@pytest.mark.parametrize("name", ["f", ".hidden", "lost+found"])
def test_a_mountpoint_that_is_not_empty_is_refused_unless_that_is_asked_for(datawalfs, logdir, place,
                                                                            name):
    logdir.mkdir()
    (place / name).write_bytes(b"below")
    assert "not empty" in one_line(datawalfs(logdir, place, status=1))
    assert os.listdir(logdir) == []
    datawalfs(logdir, place, "-o", "nonempty")
    assert os.listdir(place) == []
    subprocess.run(["fusermount3", "-u", place], check=True, timeout=20)
    assert (place / name).read_bytes() == b"below"


@pytest.mark.clause("S20b", "S20c")
def test_a_fresh_volume_becomes_a_log(datawal, datawalfs, logdir, place, tmp_path):
    for log in (logdir, tmp_path / "log2"):
        (log / "lost+found").mkdir(mode=0o700, parents=True)
    datawalfs(logdir, place)
    (place / "f").write_bytes(b"value")
    datawal.put(tmp_path / "log2", "f", b"value")
    for log in (logdir, tmp_path / "log2"):
        assert (log / "00000001.dwal").exists()


@pytest.mark.clause("S20b")
@pytest.mark.parametrize("make", [lambda d: d.mkdir() or (d / "#12").touch(), lambda d: d.touch(),
                                  lambda d: d.symlink_to("/var/empty")])
def test_a_lost_found_with_something_in_it_is_no_fresh_volume(datawal, datawalfs, logdir, place, make):
    logdir.mkdir()
    make(logdir / "lost+found")
    one_line(datawalfs(logdir, place, status=1))
    assert b"not a log" in datawal("put", logdir, "--key", "f", "--value", "v", status=1).stderr
    assert os.listdir(logdir) == ["lost+found"]


@pytest.mark.clause("S20b", "S20c")
def test_what_a_killed_creation_leaves_still_becomes_a_log(mount, logdir):
    logdir.mkdir()
    (logdir / ".lock").touch()
    m = mount(logdir)
    (m / "f").write_bytes(b"value")


@pytest.mark.clause("S20b")
def test_an_absent_mountpoint_is_refused_and_nothing_is_created(datawalfs, logdir, tmp_path):
    logdir.mkdir()
    text = one_line(datawalfs(logdir, tmp_path / "absent", status=1))
    assert "absent" in text
    assert os.listdir(logdir) == []
    assert not (tmp_path / "absent").exists()


@pytest.mark.clause("S20b")
def test_an_unknown_option_is_refused_by_its_name(datawalfs, logdir, place):
    logdir.mkdir()
    assert "frobnicate" in datawalfs(logdir, place, "-o", "frobnicate=3", status=1)
    assert "--frobnicate" in datawalfs(logdir, place, "--frobnicate", status=1)
    assert os.listdir(logdir) == []


@pytest.mark.clause("S20d")
@pytest.mark.parametrize("name", ["with space", "com,ma", "back\\slash", "new\nline", "ümlaut"])
def test_paths_of_any_characters_can_be_mounted(datawalfs, tmp_path, name):
    log = tmp_path / (name + " log")
    place = tmp_path / (name + " place")
    log.mkdir()
    place.mkdir()
    datawalfs(log, place)
    (place / "f").write_bytes(b"value")
    assert mounting.mounted(place)
    with open("/proc/self/mountinfo", "rb") as table:
        fields = [line.split(b" ") for line in table if b"fuse.datawalfs" in line]
    assert os.fsencode(log) in [mounting.unescape(f[-2].decode("latin-1")) for f in fields]


@pytest.mark.clause("S20a")
def test_the_daemon_keeps_nothing_of_its_caller(logdir, place):
    logdir.mkdir()
    # with pipes, this returns only when the daemon holds none of them
    done = subprocess.run([paths.program("fuse/datawalfs"), logdir, place], capture_output=True,
                          timeout=20, check=True)
    assert done.stdout == done.stderr == b""
    pid, = mounting.daemons_of(place)
    shown = [*privileged.prefix(), "sh", "-c", f"cd /proc/{pid}; readlink cwd fd/0 fd/1 fd/2"]
    assert subprocess.check_output(shown, timeout=20).split() == [b"/"] + [b"/dev/null"] * 3
    assert os.getsid(pid) != os.getsid(0)
    subprocess.run(["fusermount3", "-u", place], check=True, timeout=20)
    mounting.wait_for(lambda: not mounting.daemons_of(place), "the daemon's end")


@pytest.mark.clause("S20a", "S18d")
def test_a_repaired_tail_is_told_in_one_line_and_the_mount_works(datawal, datawalfs, logdir, place):
    datawal.put(logdir, "kept", b"value")
    datawal.put(logdir, "torn", b"value")
    segment = logdir / "00000001.dwal"
    os.truncate(segment, segment.stat().st_size - 5)
    text = one_line(datawalfs(logdir, place))
    side, = [n for n in os.listdir(logdir) if ".torn-" in n]
    assert side in text and "cut off" in text
    assert (place / "kept").read_bytes() == b"value"


@pytest.mark.clause("S20b")
@pytest.mark.parametrize("option", ["commit=x", "segment_size=-1", "lockwait=", "umask=999", "uid=me?"])
def test_a_bad_number_in_an_option_is_refused(datawalfs, logdir, place, option):
    logdir.mkdir()
    assert option.split("=")[0] in datawalfs(logdir, place, "-o", option, status=1)
    assert os.listdir(logdir) == []


@pytest.mark.clause("S20a")
def test_a_damaged_log_is_refused_with_segment_offset_and_reason(datawalfs, root, tmp_path, place):
    log = tmp_path / "damaged"
    shutil.copytree(root / "corpus/bad_crc", log)
    before = {p.name: p.read_bytes() for p in log.iterdir()}
    text = one_line(datawalfs(log, place, status=1))
    assert "CRC" in text and "00000002" in text or "segment 2" in text
    assert {p.name: p.read_bytes() for p in log.iterdir() if p.name != ".lock"} == \
        {n: b for n, b in before.items() if n != ".lock"}


@pytest.mark.clause("S20d")
def test_help_and_version_go_to_stdout_and_succeed(datawalfs):
    assert "usage: datawalfs" in datawalfs("--help")
    assert "datawalfs" in datawalfs("--version")


@pytest.mark.clause("S20d")
def test_options_of_an_fstab_line_are_accepted(datawalfs, logdir, place):
    logdir.mkdir()
    datawalfs(logdir, place, "-o", "rw,_netdev,nofail,noauto,x-systemd.automount,nosuid,nodev,noatime")
    (place / "f").write_bytes(b"value")


@pytest.mark.clause("S20d")
def test_mount_t_fuse_datawalfs_mounts(logdir, place, datawalfs):
    program = paths.program("fuse/datawalfs")
    logdir.mkdir()
    privileged.as_root("chmod", "0755", logdir, place)
    privileged.as_root("mount", "-t", f"fuse.{program}", logdir, place, "-o", "nofail,noatime")
    try:
        assert mounting.mounted(place)
        privileged.as_root("sh", "-c", f"echo value > '{place}/f'; test \"$(cat '{place}/f')\" = value")
    finally:
        privileged.as_root("umount", place)
        mounting.wait_for(lambda: not mounting.daemons_of(place), "the daemon's end")


@pytest.mark.clause("S21a")
def test_a_stale_mount_is_cleared_when_mounting_again(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    m.kill9()
    with pytest.raises(OSError) as caught:
        os.listdir(m)
    assert caught.value.errno == errno.ENOTCONN
    m.remount()
    assert (m / "f").read_bytes() == b"value"
    m.unmount()
    assert mounting.mounted(m.path) is None


@pytest.mark.clause("S21b")
def test_unmounting_and_mounting_again_at_once_works_every_time(datawalfs, logdir, place):
    logdir.mkdir()
    for number in range(15):
        datawalfs(logdir, place)
        (place / "f").write_bytes(b"%d" % number * 1000)
        subprocess.run(["fusermount3", "-u", place], check=True, timeout=20)
    datawalfs(logdir, place)
    assert (place / "f").read_bytes() == b"14" * 1000


@pytest.mark.clause("S21b")
def test_umount_commits_everything(datawal, logdir, mount):
    m = mount(logdir, "commit=1000")
    for number in range(50):
        (m / f"f{number}").write_bytes(b"%d" % number)
    privileged.as_root("umount", m.path)
    m.wait_end()
    assert len([r for r in datawal.scan(logdir) if r.type == "Put"]) == 50


@pytest.mark.clause("S21c")
def test_a_locked_log_is_waited_for_and_then_refused(datawalfs, logdir, mount, place):
    mount(logdir)
    started = time.monotonic()
    assert "lock" in one_line(datawalfs(logdir, place, "-o", "lockwait=0", status=1))
    at_once = time.monotonic() - started
    started = time.monotonic()
    one_line(datawalfs(logdir, place, "-o", "lockwait=1", status=1))
    assert time.monotonic() - started >= 1 > at_once / 10


@pytest.mark.clause("S21c")
def test_it_says_which_process_holds_the_lock(datawalfs, logdir, mount, place):
    holder = mount(logdir)
    assert str(holder.pid) in one_line(datawalfs(logdir, place, "-o", "lockwait=0", status=1))


@pytest.mark.clause("S21c")
def test_a_log_that_becomes_free_in_time_is_mounted(logdir, mount, place):
    first = mount(logdir)
    (first / "f").write_bytes(b"value")
    program = paths.program("fuse/datawalfs")
    with subprocess.Popen([program, logdir, place, "-o", "lockwait=20"]) as second:
        time.sleep(0.3)  # so that it finds the lock held; the result is the same if it does not
        first.unmount()
        assert second.wait(25) == 0
    try:
        assert (place / "f").read_bytes() == b"value"
    finally:
        subprocess.run(["fusermount3", "-u", place], check=True, timeout=20)
        mounting.wait_for(lambda: not mounting.daemons_of(place), "the daemon's end")


@pytest.mark.clause("S21d", "S2b")
def test_sigterm_saves_staged_and_mapped_bytes(datawal, logdir, mount):
    m = mount(logdir)
    (m / "mapped").write_bytes(bytes(8192))
    staged = os.open(m / "staged", os.O_CREAT | os.O_WRONLY)
    os.write(staged, b"not closed")
    mapped = os.open(m / "mapped", os.O_RDWR)
    view = mmap.mmap(mapped, 8192)
    os.close(mapped)
    view[0:5] = b"dirty"
    m.terminate()
    assert datawal.get(logdir, "staged") == b"not closed"
    assert datawal.get(logdir, "mapped")[:5] == b"dirty"
    for release in (view.close, lambda: os.close(staged)):
        try:
            release()
        except OSError:
            pass  # the mount is gone; that is what was asked for
    assert mounting.mounted(m.path) is None


@contextmanager
def open_to_the_end(path, flags=os.O_RDWR | os.O_CREAT):
    """A descriptor that is still open when the mount ends; closing it may fail then."""
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        with suppress(OSError):
            os.close(fd)


@pytest.mark.clause("S21d")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_each_signal_to_end_saves_and_ends_also_when_sent_twice(datawal, logdir, mount, signum):
    m = mount(logdir)
    with open_to_the_end(m / "f") as fd:
        os.write(fd, b"staged")
        m.process.send_signal(signum)
        m.process.send_signal(signal.SIGHUP if signum == signal.SIGINT else signal.SIGINT)
        m.wait_end()
        for late in (lambda: os.write(fd, b"more"), lambda: os.fsync(fd)):
            with pytest.raises(OSError):
                late()
    assert datawal.get(logdir, "f") == b"staged"


@pytest.mark.clause("S21d")
def test_sigterm_ends_a_daemon_whose_mount_was_detached_while_busy(datawal, logdir, mount, host_dir):
    m = mount(logdir)
    with open_to_the_end(m / "f") as fd:
        os.write(fd, b"staged")
        subprocess.run(["fusermount3", "-u", "-z", m.path], check=True, timeout=20)
        # what lies there now is another's, and must stay
        privileged.as_root("mount", "--bind", host_dir, m.path)
        try:
            m.terminate()
            assert mounting.mounted(m.path)
        finally:
            privileged.as_root("umount", m.path)
    assert datawal.get(logdir, "f") == b"staged"


@pytest.mark.clause("S21d", "S21e")
def test_killed_while_saving_the_daemon_is_gone_and_the_log_free(mount):
    m = mount()
    for round_number in range(10):
        (m / "f").write_bytes(bytes(1 << 20))
        with open_to_the_end(m / "f") as fd:
            view = mmap.mmap(fd, 0)
            for offset in range(0, 1 << 20, 4096):
                view[offset] = round_number + 1
            m.tell_to_end()
            time.sleep(round_number / 1000)  # a different moment of the saving each time
            m.kill9()
            view.close()
        assert len(set((m.remount() / "f").read_bytes()[::4096])) == 1


@pytest.mark.clause("S22a")
def test_a_read_only_mount_changes_nothing_and_refuses_changes(datawal, logdir, mount):
    datawal.put(logdir, "d/f", b"value")
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in logdir.iterdir()}
    m = mount(logdir, "ro")
    assert (m / "d/f").read_bytes() == b"value"
    for change in (lambda: os.open(m / "d/f", os.O_WRONLY), lambda: os.unlink(m / "d/f"),
                   lambda: os.mkdir(m / "e"), lambda: os.rename(m / "d/f", m / "g"),
                   lambda: os.open(m / "n", os.O_CREAT | os.O_WRONLY), lambda: os.rmdir(m / "d"),
                   lambda: os.truncate(m / "d/f", 0), lambda: os.chmod(m / "d/f", 0o600)):
        with pytest.raises(OSError) as caught:
            change()
        assert caught.value.errno == errno.EROFS
    m.unmount()
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in logdir.iterdir()} == before


@pytest.mark.clause("S22a")
def test_a_read_only_mount_beside_a_writer_shows_the_state_at_mount_time(logdir, mount):
    writer = mount(logdir)
    (writer / "f").write_bytes(b"then")
    reader = mount(logdir, "ro")
    (writer / "f").write_bytes(b"now")
    (writer / "g").write_bytes(b"new")
    assert (reader / "f").read_bytes() == b"then"
    assert not (reader / "g").exists()
    again = mount(logdir, "ro")
    assert (again / "f").read_bytes() == b"now"


@pytest.mark.clause("S22a")
def test_a_read_only_mount_of_a_torn_log_leaves_the_torn_bytes(datawal, logdir, mount):
    datawal.put(logdir, "kept", b"value")
    datawal.put(logdir, "torn", b"value")
    segment = logdir / "00000001.dwal"
    os.truncate(segment, segment.stat().st_size - 5)
    before = segment.read_bytes()
    m = mount(logdir, "ro")
    assert [n for n in os.listdir(m) if n != ".log"] == ["kept"]
    m.unmount()
    assert segment.read_bytes() == before
    assert [n for n in os.listdir(logdir) if "torn-" in n] == []


@pytest.mark.clause("S21b")
def test_no_process_and_no_mount_stays_after_many_rounds_under_load(mount):
    m = mount()
    for number in range(10):
        load = subprocess.Popen(["bash", "-c", "while :; do echo x > f$RANDOM; ls; cat f*; done"],
                                cwd=m.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        mounting.wait_for(lambda: len(os.listdir(m)) > 2, "some files")
        if number % 2:
            m.kill9()
        load.kill()
        load.wait(20)
        m.remount()


@pytest.mark.clause("S20d")
def test_rotate_on_a_mountpoint_is_done_by_the_daemon(datawal, logdir, mount):
    m = mount(logdir)
    (m / "before").write_text("1")
    assert datawal.json("rotate", m.path)[0]["active_segment"] == 2
    (m / "behind").write_text("2")
    assert {r["segment"] for r in datawal.json("scan", logdir) if r["record_type"] == "Put"} == {1, 2}
    (m / "sub").mkdir()
    assert datawal("rotate", m.path / "sub", status=1).stderr.startswith(b"datawal: ")
