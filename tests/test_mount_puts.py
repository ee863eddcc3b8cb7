# SPDX-License-Identifier: MIT OR Apache-2.0
"""When a changed file reaches the log: one Put a changed close, however it was written."""
import errno
import mmap
import os
import signal
import subprocess
import sys

import pytest

import peek
from mounting import wait_for

pytestmark = pytest.mark.sanitize


def shell(command, cwd):
    subprocess.run(["bash", "-euc", command], cwd=cwd, check=True, capture_output=True, timeout=30)


@pytest.mark.clause("S2a")
def test_a_write_is_seen_through_another_descriptor_before_it_is_in_the_log(datawal, logdir, mount):
    m = mount(logdir)
    writer = os.open(m / "f", os.O_CREAT | os.O_WRONLY, 0o644)
    reader = os.open(m / "f", os.O_RDONLY)
    os.write(writer, b"half of a ")
    assert os.read(reader, 100) == b"half of a "
    os.write(writer, b"sentence")
    assert os.read(reader, 100) == b"sentence"
    assert (m / "f").stat().st_size == 18
    assert peek.records_of(logdir, "f") == []
    os.close(writer)
    os.close(reader)
    assert datawal.records_of(logdir, "f") == ["Put"]


def by_pwrite(path):
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    for at in (5000, 0, 100):
        os.pwrite(fd, b"x" * 50, at)
    os.close(fd)


def by_append(path):
    for _ in range(1):
        with open(path, "ab") as file:
            file.write(b"more")


def by_trunc(path):
    with open(path, "wb") as file:
        file.write(b"new")


def by_ftruncate(path):
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    os.ftruncate(fd, 1234)
    os.close(fd)


def by_writev(path):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    os.writev(fd, [b"a" * 10, b"b" * 10])
    os.close(fd)


def by_sendfile(path):
    with open("/etc/login.defs", "rb") as source, open(path, "wb") as file:
        os.sendfile(file.fileno(), source.fileno(), 0, 1000)


def by_copy_file_range(path):
    with open("/proc/self/exe", "rb") as source, open(path, "wb") as file:
        try:
            os.copy_file_range(source.fileno(), file.fileno(), 1000)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            file.write(b"fallback, as cp does")


def by_mmap(path):
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    os.ftruncate(fd, 5000)
    with mmap.mmap(fd, 5000) as view:
        view[10:20] = b"0123456789"
        view.flush()
    os.close(fd)


def by_dup_in_a_child(path):
    """Only the child writes; it and the parent close."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    child = os.fork()
    if child == 0:
        os.write(fd, b"from the child")
        os._exit(0)
    os.waitpid(child, 0)
    os.close(fd)


def by_python_text(path):
    with open(path, "w", encoding="utf-8") as file:
        for number in range(10000):
            file.write(f"{number}\n")


def by_command(command):
    def run(path):
        shell(command, os.path.dirname(path))
    run.__name__ = command
    return run


WAYS = [by_pwrite, by_append, by_trunc, by_ftruncate, by_writev, by_sendfile, by_copy_file_range,
        by_dup_in_a_child, by_python_text,
        by_command("echo x > f"), by_command("echo x >> f"), by_command("printf '' > f; true"),
        by_command("cp /etc/login.defs f"), by_command("dd if=/etc/login.defs of=f bs=100 status=none"),
        by_command("dd if=/etc/login.defs of=f bs=512 conv=notrunc,fsync status=none"),
        by_command("echo x | tee f"), by_command("echo x | tee -a f"),
        by_command("truncate -s 3000 f"), by_command("cat /etc/login.defs /etc/passwd > f"),
        by_command("sort -o f /etc/login.defs"), by_command("{ echo a; echo b; } > f"),
        by_command("fallocate -l 8192 f")]


@pytest.mark.clause("S2b")
@pytest.mark.parametrize("before", [None, b"an older value\n"], ids=["new", "existing"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_one_changed_close_is_one_put_and_nothing_else(datawal, logdir, mount, way,
                                                                   before):
    if before is not None:
        datawal.put(logdir, "f", before)
    m = mount(logdir)
    old = len(datawal.scan(logdir))
    way(m / "f")
    content = (m / "f").read_bytes()
    m.unmount()
    new = datawal.scan(logdir)[old:]
    assert [r.type for r in new if r.key == b"f"] == ["Put"]
    assert [r for r in new if r.key != b"f"] == []
    assert datawal.get(logdir, "f") == content


@pytest.mark.clause("S2b", "S2e")
@pytest.mark.parametrize("before", [None, b"an older value\n"], ids=["new", "existing"])
def test_a_mapped_write_synced_and_closed_is_published_whole(datawal, logdir, mount, before):
    if before is not None:
        datawal.put(logdir, "f", before)
    m = mount(logdir)
    by_mmap(m / "f")
    m.unmount()
    value = datawal.get(logdir, "f")
    assert len(value) == 5000 and value[10:20] == b"0123456789"
    assert value[:10] == (before or bytes(10))[:10]


@pytest.mark.clause("S2b")
def test_a_close_without_a_change_writes_nothing(datawal, logdir, mount):
    datawal.put(logdir, "f", b"value")
    m = mount(logdir)
    old = datawal.scan(logdir)
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND):
        fd = os.open(m / "f", flags)
        os.close(os.dup(fd))
        if flags in (os.O_RDONLY, os.O_RDWR):
            os.read(fd, 10)
        os.fsync(fd)
        os.close(fd)
    m.unmount()
    assert datawal.scan(logdir) == old


@pytest.mark.clause("S2b")
def test_closing_a_reader_does_not_publish_what_a_writer_has_staged(datawal, logdir, mount):
    datawal.put(logdir, "f", b"old")
    m = mount(logdir)
    writer = os.open(m / "f", os.O_WRONLY)
    os.write(writer, b"staged")
    (m / "f").read_bytes()
    assert peek.get(logdir, "f") == b"old"
    os.close(writer)
    assert datawal.get(logdir, "f") == b"staged"
    assert datawal.records_of(logdir, "f") == ["Put", "Put"]


@pytest.mark.clause("S2b", "S8c")
@pytest.mark.parametrize("sync", [os.fsync, os.fdatasync], ids=["fsync", "fdatasync"])
def test_each_fsync_of_a_changed_file_is_a_put_and_the_close_after_it_is_none(datawal, logdir,
                                                                              mount, sync):
    m = mount(logdir)
    fd = os.open(m / "f", os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(fd, b"one")
    sync(fd)
    assert peek.get(logdir, "f") == b"one"
    sync(fd)
    assert peek.records_of(logdir, "f") == ["Put"]
    os.write(fd, b"two")
    sync(fd)
    assert peek.get(logdir, "f") == b"onetwo"
    os.close(fd)
    m.unmount()
    assert datawal.records_of(logdir, "f") == ["Put", "Put"]


@pytest.mark.clause("S2c")
def test_writing_the_same_bytes_again_is_a_new_put(datawal, logdir, mount):
    m = mount(logdir)
    for _ in range(3):
        (m / "f").write_bytes(b"same")
    fd = os.open(m / "f", os.O_WRONLY)
    os.ftruncate(fd, 4)
    os.close(fd)
    m.unmount()
    assert datawal.records_of(logdir, "f") == ["Put"] * 4


@pytest.mark.clause("S2d")
def test_an_empty_new_file_is_published_when_its_last_writer_is_gone(datawal, logdir, mount):
    m = mount(logdir)
    (m / "f").touch()
    wait_for(lambda: datawal.records_of(logdir, "f") == ["Put"], "the empty file in the log")
    assert datawal.get(logdir, "f") == b""
    fd = os.open(m / "g", os.O_CREAT | os.O_WRONLY, 0o644)
    os.fsync(fd)
    assert peek.get(logdir, "g") == b""
    os.close(fd)
    m.unmount()
    assert datawal.records_of(logdir, "f") == ["Put"]
    assert datawal.records_of(logdir, "g") == ["Put"]


@pytest.mark.clause("S2d")
def test_truncated_on_open_and_never_written_is_published_empty(datawal, logdir, mount):
    datawal.put(logdir, "f", b"value")
    m = mount(logdir)
    os.close(os.open(m / "f", os.O_WRONLY | os.O_TRUNC))
    wait_for(lambda: datawal.get(logdir, "f") == b"", "the emptied file in the log")
    m.unmount()
    assert datawal.records_of(logdir, "f") == ["Put", "Put"]


@pytest.mark.clause("S2d")
def test_with_sync_an_empty_file_is_published_by_close_itself(datawal, logdir, mount):
    m = mount(logdir, "sync")
    os.close(os.open(m / "f", os.O_CREAT | os.O_WRONLY, 0o644))
    assert datawal.records_of(logdir, "f") == ["Put"]


@pytest.mark.clause("S2e")
def test_bytes_stored_through_a_mapping_after_the_last_close_are_published(datawal, logdir, mount):
    m = mount(logdir)
    (m / "f").write_bytes(bytes(8192))
    fd = os.open(m / "f", os.O_RDWR)
    view = mmap.mmap(fd, 8192)
    os.close(fd)
    view[4096:4100] = b"late"
    view.close()
    wait_for(lambda: datawal.get(logdir, "f")[4096:4100] == b"late", "the mapped bytes in the log")


@pytest.mark.clause("S2e")
def test_msync_publishes_while_the_file_is_still_mapped(datawal, logdir, mount):
    m = mount(logdir)
    (m / "f").write_bytes(bytes(8192))
    fd = os.open(m / "f", os.O_RDWR)
    with mmap.mmap(fd, 8192) as view:
        view[0:4] = b"sync"
        view.flush()
        assert peek.get(logdir, "f")[:4] == b"sync"
    os.close(fd)


@pytest.mark.clause("S2g")
def test_what_a_killed_program_had_written_is_published(datawal, logdir, mount):
    datawal.put(logdir, "f", b"before")
    m = mount(logdir)
    program = ("import os, sys, time\nfd = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)\n"
               "os.write(fd, b'so far')\nprint('written', flush=True)\ntime.sleep(600)\n")
    with subprocess.Popen([sys.executable, "-c", program, m / "f"],
                          stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"written\n"
        assert datawal.get(logdir, "f") == b"before"
        writer.send_signal(signal.SIGKILL)
        writer.wait(20)
    wait_for(lambda: datawal.get(logdir, "f") == b"so far", "the killed program's bytes in the log")
    m.unmount()
    assert datawal.records_of(logdir, "f") == ["Put", "Put"]


@pytest.mark.clause("S2g")
def test_each_child_that_wrote_makes_one_put(datawal, logdir, mount):
    m = mount(logdir)
    shell("{ /bin/echo a; /bin/echo b; } > f", m)
    m.unmount()
    assert datawal.records_of(logdir, "f") == ["Put", "Put"]
    assert datawal.get(logdir, "f") == b"a\nb\n"
