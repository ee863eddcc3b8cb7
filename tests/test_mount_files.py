# SPDX-License-Identifier: MIT OR Apache-2.0
"""Files: their content, and what happens to it when something fails or goes away. When a change
reaches the log is in test_mount_puts.py, renames are in test_mount_rename.py."""
import ctypes
import errno
import mmap
import os
import random
import subprocess

import pytest

import peek
MIB = 1 << 20
LIMIT = 64 * MIB

pytestmark = pytest.mark.sanitize


def fails_with(number, call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == number, caught.value


def shell(command, cwd):
    subprocess.run(["bash", "-euc", command], cwd=cwd, check=True, capture_output=True, timeout=30)


@pytest.mark.clause("S5a")
def test_what_was_cut_off_reads_as_zeros_when_the_file_grows_again(mount):
    m = mount()
    with open(m / "f", "wb", buffering=0) as file:
        file.write(b"x" * 100)
        file.truncate(10)
        file.seek(50)
        file.write(b"y")
    m.remount()  # the kernel's pages are zeros anyway
    assert (m / "f").read_bytes() == b"x" * 10 + bytes(40) + b"y"


@pytest.mark.clause("S1a")
def test_each_live_key_is_a_file_with_its_value(datawal, logdir, mount):
    values = {"one": b"1", "dir/two": b"22" * 5000, "dir/sub/three": b"", "späce d": bytes(range(256))}
    for key, value in values.items():
        datawal.put(logdir, key, value)
    datawal.put(logdir, "gone", b"x")
    datawal("delete", logdir, "--key", "gone")
    m = mount(logdir)
    found = {os.path.relpath(os.path.join(d, n), m): None
             for d, _, names in os.walk(m) if ".log" not in d for n in names}
    assert set(found) == set(values)
    for key, value in values.items():
        assert (m / key).read_bytes() == value
        assert (m / key).stat().st_size == len(value)


@pytest.mark.clause("S1a")
def test_everyday_tools_work(mount, host_dir):
    m = mount()
    (host_dir / "in").write_bytes(b"line one\nline two\n" * 500)
    script = ("cp {h}/in a; mkdir d; cp a d/b; mv d/b d/c; cmp a d/c; cat a | wc -l >n;"
              "grep -rq 'line two' d; test \"$(find . -path ./.log -prune -o -type f -print | wc -l)\" = 3;"
              "du -s . >/dev/null; ls -lR . >/dev/null; sed -i s/one/ONE/ a; head -c 8 a; rm -r d a n")
    shell(script.format(h=host_dir), m)
    assert os.listdir(m) in ([".log"], [])


@pytest.mark.clause("S1b")
def test_raw_records_are_not_files_but_are_counted(datawal, logdir, mount):
    for text in (b"first", b"second", b"third"):
        datawal("append", logdir, "-", input=text)
    m = mount(logdir)
    assert [n for n in os.listdir(m) if n != ".log"] == []
    assert "3" in (m / ".log/recovery").read_text()
    assert "Raw" in (m / ".log/recovery").read_text()


@pytest.mark.clause("S3")
def test_the_old_value_stands_until_the_new_one_is_complete(datawal, logdir, mount):
    datawal.put(logdir, "f", b"the old value")
    m = mount(logdir)
    fd = os.open(m / "f", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b"half a ne")
    assert peek.get(logdir, "f") == b"the old value"
    m.kill9()
    fails_with(errno.ENOTCONN, os.fsync, fd)
    try:
        os.close(fd)
    except OSError:
        pass
    m.remount()
    assert (m / "f").read_bytes() == b"the old value"


@pytest.mark.clause("S4a")
def test_nothing_grows_beyond_64_mib(mount):
    m = mount()
    fd = os.open(m / "f", os.O_CREAT | os.O_RDWR)
    assert os.pwrite(fd, b"xx", LIMIT - 1) == 1
    fails_with(errno.EFBIG, os.pwrite, fd, b"xx", LIMIT)
    fails_with(errno.EFBIG, os.ftruncate, fd, LIMIT + 1)
    fails_with(errno.EFBIG, os.close, fd)
    (m / "g").write_bytes(b"value")
    fails_with(errno.EFBIG, os.truncate, m / "g", LIMIT + 1)
    assert (m / "g").read_bytes() == b"value"


@pytest.mark.clause("S4c")
@pytest.mark.deadline(120)
def test_copying_a_file_of_64_mib_and_one_byte_fails_and_keeps_the_old_value(datawal, logdir, mount,
                                                                            host_dir):
    with open(host_dir / "big", "wb") as big:
        big.truncate(LIMIT + 1)
    datawal.put(logdir, "f", b"the old value")
    m = mount(logdir)
    old = datawal.scan(logdir)
    done = subprocess.run(["cp", host_dir / "big", m / "f"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert (m / "f").read_bytes() == b"the old value"
    done = subprocess.run(["cp", host_dir / "big", m / "new"], capture_output=True, timeout=60,
                          check=False)
    assert done.returncode == 1
    m.unmount()
    assert [r for r in datawal.scan(logdir) if r.key] == old  # the root's record has its times


@pytest.mark.clause("S4c")
def test_close_reports_a_failed_write_once_the_file_was_opened_with_trunc(datawal, logdir, mount):
    datawal.put(logdir, "f", b"the old value")
    m = mount(logdir)
    fd = os.open(m / "f", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b"good")
    fails_with(errno.EFBIG, os.pwrite, fd, b"xx", LIMIT)
    fails_with(errno.EFBIG, os.close, fd)
    assert (m / "f").read_bytes() == b"the old value"
    assert (m / "f").stat().st_size == 13
    (m / "f").write_bytes(b"next")
    assert datawal.get(logdir, "f") == b"next"


@pytest.mark.clause("S4d")
def test_in_place_the_writes_that_succeeded_are_published(datawal, logdir, mount):
    datawal.put(logdir, "f", b"0123456789")
    m = mount(logdir)
    fd = os.open(m / "f", os.O_WRONLY)
    os.pwrite(fd, b"AB", 2)
    fails_with(errno.EFBIG, os.pwrite, fd, b"xx", LIMIT)
    os.close(fd)
    assert (m / "f").read_bytes() == b"01AB456789"
    assert datawal.get(logdir, "f") == b"01AB456789"


@pytest.mark.clause("S5a")
@pytest.mark.parametrize("seed", range(4))
def test_random_writes_truncates_and_reads_match_an_ordinary_file(datawal, logdir, mount, host_dir,
                                                                  seed):
    rng = random.Random(seed)
    m = mount(logdir)
    pair = [os.open(d / "f", os.O_CREAT | os.O_RDWR) for d in (m, host_dir)]
    for step in range(400):
        at, length = rng.randrange(300_000), rng.choice((0, 1, 17, 4096, 5000, 70_000))
        what = rng.choice(("write", "write", "append", "truncate", "read", "seek", "reopen"))
        data = rng.randbytes(length)
        if what == "write":
            results = [os.pwrite(fd, data, at) for fd in pair]
        elif what == "append":
            results = []
            for directory in (m, host_dir):
                fd = os.open(directory / "f", os.O_WRONLY | os.O_APPEND)
                results.append(os.write(fd, data))
                os.close(fd)
        elif what == "truncate":
            results = [os.ftruncate(fd, at) for fd in pair]
        elif what == "read":
            results = [os.pread(fd, length, at) for fd in pair]
        elif what == "seek":
            results = [os.lseek(fd, 0, os.SEEK_END) for fd in pair]
        else:
            for fd in pair:
                os.close(fd)
            pair = [os.open(d / "f", os.O_RDWR) for d in (m, host_dir)]
            results = [0, 0]
        assert results[0] == results[1], (seed, step, what, at, length)
    for fd in pair:
        os.close(fd)
    m.remount()
    assert (m / "f").read_bytes() == (host_dir / "f").read_bytes()


@pytest.mark.clause("S5a")
def test_appenders_never_overwrite_each_other(mount):
    m = mount()
    shell("for i in 1 2 3 4; do (for j in $(seq 50); do echo $i-$j >> f; done) & done; wait", m)
    lines = (m / "f").read_text().split()
    assert sorted(lines) == sorted(f"{i}-{j}" for i in range(1, 5) for j in range(1, 51))


@pytest.mark.clause("S5b")
def test_mapped_and_written_bytes_are_the_same_bytes(mount):
    m = mount()
    (m / "f").write_bytes(b"a" * 10000)
    fd = os.open(m / "f", os.O_RDWR)
    shared = mmap.mmap(fd, 10000)
    private = mmap.mmap(fd, 10000, flags=mmap.MAP_PRIVATE)
    shared[5000:5003] = b"map"
    assert os.pread(fd, 3, 5000) == b"map"
    os.pwrite(fd, b"fd", 100)
    assert shared[100:102] == b"fd"
    private[0:3] = b"own"
    assert os.pread(fd, 3, 0) == b"aaa"
    shared.close()
    private.close()
    os.close(fd)
    m.remount()
    value = (m / "f").read_bytes()
    assert value[5000:5003] == b"map" and value[100:102] == b"fd" and value[:3] == b"aaa"


@pytest.mark.clause("S5c")
def test_no_hidden_name_shows_for_a_file_removed_while_open(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    with open(m / "f", "rb"):
        os.unlink(m / "f")
        assert [n for n in os.listdir(m) if n != ".log"] == []


@pytest.mark.clause("S5d")
def test_truncate_by_path_is_one_put_before_it_returns(datawal, logdir, mount):
    datawal.put(logdir, "f", b"0123456789")
    m = mount(logdir)
    os.truncate(m / "f", 4)
    assert datawal.get(logdir, "f") == b"0123"
    os.truncate(m / "f", 6)
    assert datawal.get(logdir, "f") == b"0123\0\0"
    assert datawal.records_of(logdir, "f") == ["Put"] * 3


@pytest.mark.clause("S5d")
def test_truncate_by_path_of_a_file_open_for_writing_is_staged(datawal, logdir, mount):
    datawal.put(logdir, "f", b"0123456789")
    m = mount(logdir)
    fd = os.open(m / "f", os.O_WRONLY)
    os.truncate(m / "f", 4)
    assert peek.records_of(logdir, "f") == ["Put"]
    assert (m / "f").read_bytes() == b"0123"
    os.close(fd)
    m.unmount()
    assert datawal.get(logdir, "f") == b"0123"
    assert datawal.records_of(logdir, "f") == ["Put"] * 2


@pytest.mark.clause("S6a")
def test_unlink_is_one_delete(datawal, logdir, mount):
    datawal.put(logdir, "f", b"value")
    m = mount(logdir)
    os.unlink(m / "f")
    assert not (m / "f").exists()
    assert datawal.records_of(logdir, "f") == ["Put", "Delete"]
    fails_with(errno.ENOENT, os.unlink, m / "f")
    m.unmount()
    assert datawal.records_of(logdir, "f") == ["Put", "Delete"]


@pytest.mark.clause("S6a")
def test_removing_a_file_that_never_reached_the_log_writes_nothing_of_it(datawal, logdir, mount):
    m = mount(logdir)
    fd = os.open(m / "f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"never published")
    os.unlink(m / "f")
    assert os.pread(fd, 20, 0) == b"never published"
    os.close(fd)
    m.unmount()
    assert [r for r in datawal.scan(logdir) if r.key] == []  # the root's record has its times


@pytest.mark.clause("S6b")
@pytest.mark.parametrize("how", ["removed", "replaced", "removed and made again"])
def test_a_file_gone_while_open_stays_usable_and_its_close_writes_nothing(datawal, logdir, mount,
                                                                          how):
    datawal.put(logdir, "f", b"0123456789")
    datawal.put(logdir, "g", b"other")
    m = mount(logdir)
    fd = os.open(m / "f", os.O_RDWR)
    if how == "replaced":
        os.rename(m / "g", m / "f")
    else:
        os.unlink(m / "f")
    if how == "removed and made again":
        (m / "f").write_bytes(b"second life")
    os.pwrite(fd, b"AB", 3)
    os.ftruncate(fd, 8)
    assert os.pread(fd, 20, 0) == b"012AB567"
    os.fsync(fd)
    before = datawal.scan(logdir)
    os.close(fd)
    m.unmount()
    assert datawal.scan(logdir) == before
    value = {"replaced": b"other", "removed and made again": b"second life"}.get(how)
    if value is None:
        datawal("get", logdir, "--key", "f", status=2)
    else:
        assert datawal.get(logdir, "f") == value


@pytest.mark.clause("S8a")
@pytest.mark.deadline(120)
def test_values_of_zero_bytes_and_of_exactly_64_mib(mount, host_dir):
    m = mount()
    (m / "empty").write_bytes(b"")
    big = random.Random(1).randbytes(MIB) * 64
    (m / "big").write_bytes(big)
    m.remount()
    assert (m / "empty").read_bytes() == b""
    assert (m / "big").stat().st_size == LIMIT
    assert (m / "big").read_bytes() == big


@pytest.mark.clause("S8b")
def test_staged_memory_has_a_limit_that_gives_enospc(datawal, logdir, mount):
    m = mount(logdir, "staging=4M")
    fd = os.open(m / "f", os.O_CREAT | os.O_WRONLY)
    with pytest.raises(OSError) as caught:
        for _ in range(8):
            os.write(fd, bytes(MIB))
    assert caught.value.errno == errno.ENOSPC
    fails_with(errno.ENOSPC, os.close, fd)
    (m / "g").write_bytes(bytes(3 * MIB))
    (m / "h").write_bytes(bytes(3 * MIB))
    m.unmount()
    assert datawal.records_of(logdir, "f") == []
    assert datawal.records_of(logdir, "h") == ["Put"]


@pytest.mark.clause("S9a")
def test_hard_links_cannot_be_made(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    fails_with(errno.EPERM, os.link, m / "f", m / "g")
    assert not (m / "g").exists()


@pytest.mark.clause("S9c")
def test_fallocate_and_seek_are_those_of_a_file_without_holes(mount, host_dir):
    libc = ctypes.CDLL(None, use_errno=True)
    keep, punch, collapse, zero = 1, 2, 8, 16

    def fallocate(fd, mode, offset, length):
        ctypes.set_errno(0)
        libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length))
        return ctypes.get_errno()
    m = mount()
    seen = []
    for top in (m.path, host_dir):
        fd = os.open(top / "f", os.O_CREAT | os.O_RDWR, 0o644)
        os.write(fd, b"x" * 10_000)
        steps = [(0, 9_000, 3_000), (keep, 50_000, 10), (keep | punch, 100, 200), (zero, 5_000, 10_000),
                 (keep | zero, 14_000, 9_000), (keep | punch, 90_000, 10)]
        results = [fallocate(fd, *step) for step in steps]
        results.append((os.fstat(fd).st_size, os.pread(fd, 99_999, 0)))
        results.append((os.lseek(fd, 0, os.SEEK_DATA), os.lseek(fd, 0, os.SEEK_END)))
        with pytest.raises(OSError) as caught:
            os.lseek(fd, 99_999, os.SEEK_DATA)
        results.append(caught.value.errno)
        os.close(fd)
        seen.append(results)
    assert seen[0] == seen[1]
    m.remount()  # what was read so far the kernel had in its cache
    assert (m / "f").read_bytes() == (host_dir / "f").read_bytes()
    fd = os.open(m / "f", os.O_RDWR)
    assert fallocate(fd, collapse, 0, 4096) == errno.EOPNOTSUPP
    assert fallocate(fd, 0, LIMIT, 1) == errno.EFBIG
    assert os.lseek(fd, 0, os.SEEK_HOLE) == os.fstat(fd).st_size
    os.close(fd)


@pytest.mark.clause("S2a", "S2b")
def test_hundreds_of_descriptors_of_one_file_agree_and_make_one_put_a_changed_close(
        datawal, logdir, mount):
    m = mount(logdir)
    fds = [os.open(m / "f", os.O_CREAT | os.O_RDWR, 0o644) for _ in range(300)]
    for number, fd in enumerate(fds):
        os.pwrite(fd, b"%03d " % number, 4 * number)
    whole = b"".join(b"%03d " % number for number in range(300))
    assert all(os.pread(fd, 2000, 0) == whole for fd in fds)
    os.close(fds.pop())
    assert peek.get(logdir, "f") == whole
    for fd in fds:  # the one Put had what these wrote
        os.close(fd)
    assert datawal.records_of(logdir, "f") == ["Put"]


@pytest.mark.clause("S5a")
def test_direct_io_is_accepted(mount):
    m = mount()
    block = mmap.mmap(-1, 4096)
    block.write(b"d" * 4096)
    fd = os.open(m / "f", os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o644)
    assert os.pwritev(fd, [block], 8192) == 4096
    block.seek(0)
    block.write(bytes(4096))
    assert os.preadv(fd, [block], 8192) == 4096 and block[:] == b"d" * 4096
    os.close(fd)
    assert (m / "f").read_bytes() == bytes(8192) + b"d" * 4096
