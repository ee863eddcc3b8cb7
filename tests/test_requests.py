# SPDX-License-Identifier: MIT OR Apache-2.0
"""How many requests the kernel sends for an operation, exactly, and that what it believes meanwhile,
without asking, is right."""
import errno
import mmap
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import request_log
from byte_paths import fails_with
from mounting import wait_for

FILES = 200
BELIEVED = 0.05  # seconds: attributes of a directory that was just changed
TICKS = 0.03     # the kernel counts in such steps, and rounds up
LIMIT = 64 << 20
SECONDS = 20

# With root alone in it, the kernel checks no permissions; test_mount_options.py has the others.
CHECKS = [pytest.param(("default_permissions",), id="checked"),
          pytest.param((), id="root_alone", marks=pytest.mark.root)]


@pytest.fixture
def counted(mount):
    """counted("commit=1") mounts, and returns a directory in the mount and the requests to it."""
    def start(*options):
        m = mount(None, *options, args=["-d"])
        log = request_log.RequestLog(lambda: m.stderr)
        (m / "d").mkdir()
        return m / "d", log
    return start


@pytest.mark.clause("S28a")
@pytest.mark.parametrize("options", CHECKS)
@pytest.mark.parametrize("xattrs", [(), ("noxattr",)], ids=["xattrs", "noxattr"])
@pytest.mark.parametrize("name", request_log.OPERATIONS)
def test_an_operation_sends_no_more_requests_than_it_must(counted, options, xattrs, name):
    directory, log = counted(*options, *xattrs)
    enough = request_log.goal(name, bool(options), not xattrs)
    found = request_log.fewest(log, directory, name, enough)
    assert len(found) <= enough, found


@pytest.mark.clause("S28a")
@pytest.mark.parametrize("options", CHECKS)
def test_listing_new_files_asks_once_in_a_while_for_their_directory(counted, options):
    directory, log = counted(*options)
    for number in range(FILES):
        request_log.create(f"{directory}/{number}")
    log.start()
    begun = time.monotonic()
    names = subprocess.run(["ls", "-l", directory], check=True, capture_output=True,
                           timeout=SECONDS).stdout.splitlines()[1:]
    most = 1 + int((time.monotonic() - begun) / BELIEVED)
    found = log.stop()
    directories = {node for request, node in found if request == "OPENDIR"}
    asked = [request for request, node in found if request == "GETATTR" and node in directories]
    assert len(names) == FILES
    assert len(directories) == 1 and len(asked) <= most
    assert "LOOKUP" not in {request for request, _ in found}


# --- attributes of directories --------------------------------------------------------------

@pytest.mark.clause("S16c")
@pytest.mark.parametrize("options", CHECKS)
def test_who_changes_a_directory_sees_its_new_time_at_once(mount, options):
    m = mount(None, *options)
    (m / "d").mkdir()
    before = os.stat(m / "d").st_mtime_ns
    changes = [lambda p: p.write_bytes(b"value"), lambda p: p.rename(m / "d/g"),
               lambda p: (m / "d/g").unlink(), lambda p: p.symlink_to("g"), lambda p: p.unlink(),
               lambda p: p.mkdir(), lambda p: p.rmdir()]
    for change in changes * 3:
        change(m / "d/f")
        now = os.stat(m / "d")
        assert now.st_mtime_ns > before and now.st_ctime_ns == now.st_mtime_ns
        before = now.st_mtime_ns


@pytest.mark.clause("S16c")
def test_the_time_from_before_a_change_that_was_asked_for_meanwhile_shows_for_a_moment(gated):
    """The kernel gets the answer when it knows of the change already, and believes it."""
    m, gates = gated()
    (m / "d").mkdir()
    directory = os.open(m / "d", os.O_RDONLY)  # so that the way there asks for nothing
    with ThreadPoolExecutor(1) as pool:
        os.close(os.open("first", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
        with gates.held("attr"):
            racing = pool.submit(os.fstat, directory)
            gates.wait("attr")
            gates.let_others("attr")
            os.close(os.open("second", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
        told = racing.result(SECONDS)
    end = time.monotonic() + BELIEVED + TICKS
    while True:
        begun = time.monotonic()
        if os.fstat(directory).st_mtime_ns > told.st_mtime_ns:
            break
        assert begun < end
    os.close(directory)


def store_through_a_mapping(_, mapping):
    mapping[:3] = b"new"
    mapping.flush()


def zero(path, _):
    subprocess.run(["fallocate", "--punch-hole", "--length", "3", path], check=True)


def rename_there_and_back(path, _):
    os.rename(path, f"{path}2")
    os.rename(f"{path}2", path)


CHANGES = {
    "mapping": store_through_a_mapping, "fallocate": zero, "rename": rename_there_and_back,
    "setxattr": lambda path, _: os.setxattr(path, "user.a", b"value"),
    "removexattr": lambda path, _: os.removexattr(path, "user.given"),
    "chmod": lambda path, _: path.chmod(0o600), "truncate": lambda path, _: os.truncate(path, 1),
    "write": lambda path, _: path.write_bytes(b"new"), "nothing": lambda path, _: path.exists(),
}


@pytest.mark.clause("S16i")
@pytest.mark.parametrize("name", CHANGES)
def test_the_times_of_a_file_from_before_a_change_are_believed_no_more_after_it(gated, name):
    m, gates = gated()
    path = m / "f"
    path.write_bytes(b"old value")
    os.setxattr(path, "user.given", b"value")
    with (path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping,
          ThreadPoolExecutor(1) as pool):
        mapping[:1] = b"x"
        mapping.flush()
        os.pwrite(file.fileno(), b"x", 0)  # so that the kernel asks
        with gates.held("attr"):
            racing = pool.submit(os.fstat, file.fileno())
            gates.wait("attr")
            gates.let_others("attr")
            CHANGES[name](path, mapping)
        told = racing.result(SECONDS)
        assert (path.stat().st_ctime_ns > told.st_ctime_ns) == (name != "nothing")


# --- names and attributes of new files ------------------------------------------------------

def open_exclusively(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def not_there(call, *args):
    return lambda path: fails_with(errno.ENOENT, call, path, *args)


def not_accessible(path):
    assert not os.access(path, os.F_OK)


LOOKS = {  # what finds, or must not find, a name that is no more
    "stat": not_there(os.stat), "access": not_accessible, "open": not_there(os.open, os.O_RDONLY),
    "truncate": not_there(os.truncate, 0), "chmod": not_there(os.chmod, 0o600),
    "unlink": not_there(os.unlink), "getxattr": not_there(os.getxattr, "user.datawal.key"),
    "rename": lambda path: fails_with(errno.ENOENT, os.rename, path, path.with_name("g")),
    "mkdir": os.mkdir, "symlink": lambda path: os.symlink("g", path), "create": open_exclusively,
    "write": lambda path: path.write_bytes(b"value"),
    "rename to it": lambda path: path.with_name("other").rename(path),
}


def given_up(path):
    """The kernel knows the name of a new file, and the file is given up."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"a part")
    os.stat(path)
    fails_with(errno.EFBIG, os.pwrite, fd, b"x", LIMIT)
    return fd


@pytest.mark.sanitize
@pytest.mark.clause("S4c")
@pytest.mark.parametrize("options", CHECKS)
@pytest.mark.parametrize("look", LOOKS)
def test_a_new_file_that_was_given_up_has_no_name_though_the_kernel_knew_it(mount, options, look):
    m = mount(None, *options)
    (m / "other").write_bytes(b"value")
    fd = given_up(m / "f")
    fails_with(errno.EFBIG, os.close, fd)
    wait_for(lambda: "f" not in os.listdir(m), "the end of the name")
    LOOKS[look](m / "f")


@pytest.mark.sanitize
@pytest.mark.clause("S4c", "S7e")
@pytest.mark.parametrize("options", CHECKS)
@pytest.mark.parametrize("look", ["stat", "access", "open", "write"])
def test_nor_is_it_found_while_somebody_has_it_open(mount, options, look):
    m = mount(None, *options)
    fd = given_up(m / "f")
    reader = os.open(m / "f", os.O_RDONLY)
    fails_with(errno.EFBIG, os.close, fd)
    wait_for(lambda: "f" not in os.listdir(m), "the end of the name")
    LOOKS[look](m / "f")
    fails_with(errno.ESTALE, os.read, reader, 10)
    fails_with(errno.ESTALE, os.fstat, reader)
    os.close(reader)


@pytest.mark.sanitize
@pytest.mark.clause("S4c")
@pytest.mark.parametrize("options", CHECKS)
def test_a_descriptor_for_writing_keeps_the_name_of_a_new_file_that_is_to_be_given_up(mount,
                                                                                     options):
    m = mount(None, *options)
    first, second = given_up(m / "f"), os.open(m / "f", os.O_WRONLY)
    fails_with(errno.EFBIG, os.close, first)
    assert os.stat(m / "f").st_size == os.fstat(second).st_size == 0
    with pytest.raises(OSError, match="too large"):
        os.close(second)
    wait_for(lambda: "f" not in os.listdir(m), "the end of the name")
    LOOKS["stat"](m / "f")


@pytest.mark.sanitize
@pytest.mark.clause("S4c")
def test_what_was_staged_is_forgotten_when_it_cannot_be_published(gated):
    """Its size and times, which the kernel need not ask for while the file is open."""
    m, gates = gated()
    (m / "f").write_bytes(b"the old value")
    old = os.stat(m / "f")
    fds = [os.open(m / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in ("f", "new")]
    for fd in fds:
        os.write(fd, b"a part")
    assert os.stat(m / "f").st_size == os.stat(m / "new").st_size == 6
    (gates.directory / "full").touch()
    for fd in fds:
        fails_with(errno.ENOSPC, os.close, fd)
    (gates.directory / "full").unlink()
    now = os.stat(m / "f")
    assert (now.st_size, now.st_mtime_ns, now.st_ctime_ns) == (13, old.st_mtime_ns, old.st_ctime_ns)
    assert (m / "f").read_bytes() == b"the old value"
    wait_for(lambda: "new" not in os.listdir(m), "the end of the name")
    LOOKS["stat"](m / "new")
