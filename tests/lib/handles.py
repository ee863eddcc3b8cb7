# SPDX-License-Identifier: MIT OR Apache-2.0
"""File handles, as an NFS server has them, of files in a mount: what they lead to later.

Run as a program (handles.py DATAWALFS DIRECTORY), by root and in a mount namespace of its own, as
such handles are for root only. Prints what it saw as JSON."""
import ctypes
import errno
import json
import os
import struct
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
FILES = 200
HEADER = struct.Struct("Ii")  # struct file_handle, but for the bytes
SECONDS = 20


def handle_of(path):
    buffer = ctypes.create_string_buffer(HEADER.size + 128)
    HEADER.pack_into(buffer, 0, 128, 0)
    mount_id = ctypes.c_int()
    if LIBC.name_to_handle_at(AT_FDCWD, os.fsencode(path), buffer, ctypes.byref(mount_id), 0):
        raise OSError(ctypes.get_errno(), "name_to_handle_at", path)
    return buffer.raw[:HEADER.size + HEADER.unpack_from(buffer)[0]]


def led_to(handle):
    """The content, or the name of the errno."""
    root = os.open(".", os.O_RDONLY)
    fd = LIBC.open_by_handle_at(root, handle, os.O_RDONLY)
    error = ctypes.get_errno()
    os.close(root)
    if fd < 0:
        return errno.errorcode[error]
    try:
        return os.read(fd, 100).decode(errors="replace")
    except IsADirectoryError:
        return "a directory"
    finally:
        os.close(fd)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class Mounted:
    """The mount, with its root as the working directory."""

    def __init__(self, program, directory):
        self.place = f"{directory}/mnt"
        before = os.stat(self.place).st_dev
        self.daemon = subprocess.Popen([program, f"{directory}/log", self.place, "-f"])
        end = time.monotonic() + SECONDS
        while os.stat(self.place).st_dev == before and time.monotonic() < end:
            time.sleep(0.01)

    def __enter__(self):
        os.chdir(self.place)

    def __exit__(self, *_):
        os.chdir("/")
        self.daemon.terminate()
        self.daemon.wait(SECONDS)


def what_is_left(handles):
    """All that they lead to, once no file is there any more because its close is not done with."""
    found = set()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        now = {led_to(handle) for handle in handles}
        found |= {what for what in now if not what.startswith("old ")}
        if now <= found:
            break
        time.sleep(0.01)
    return found | now


def removed_and_replaced():
    """Handles of files that were there: a file is made for each that went, and held."""
    for i in range(FILES):
        write(f"a{i}", f"old {i}")
    os.mkdir("d")
    handles = [handle_of(path) for path in ["d", *(f"a{i}" for i in range(FILES))]]
    for i in range(FILES):
        if i % 2:
            os.unlink(f"a{i}")
        else:
            write("other", "other")
            os.rename("other", f"a{i}")
    os.rmdir("d")
    held = []
    for i in range(FILES):
        held.append(open(f"b{i}", "w+", encoding="ascii"))
        held[-1].write(f"new {i}")
        held[-1].flush()
    found = sorted(what_is_left(handles))
    for file in held:
        file.close()
    return found


LIVING = {"f": "content", ".log/README": None, ".log/00000001.dwal": None, "dir": "a directory"}


def living():
    """Handles of what is there, and what they lead to. What is open is known to the kernel."""
    write("f", "content")
    os.mkdir("dir")
    kept = [os.open(path, os.O_RDONLY) for path in LIVING]
    handles = {path: handle_of(path) for path in LIVING}
    found = {path: led_to(handle) for path, handle in handles.items()}
    for fd in kept:
        os.close(fd)
    return handles, found


def removed_but_open():
    write("open", "still there")
    with open("open", encoding="ascii") as file:
        handle = handle_of("open")
        os.unlink("open")
        before = led_to(handle)
        file.read()
    end = time.monotonic() + SECONDS
    while (after := led_to(handle)) == before and time.monotonic() < end:
        time.sleep(0.01)  # the kernel gives a file back a moment after its close
    return [before, after]


def main(program, directory):
    said = {}
    with Mounted(program, directory):
        said["removed and replaced"] = removed_and_replaced()
        said["removed but open"] = removed_but_open()
        handles, said["living"] = living()
        root = handle_of(".")
    with Mounted(program, directory):
        held = [os.open(path, os.O_RDONLY) for path in (*LIVING, *(f"b{i}" for i in range(FILES)))]
        said["of an earlier mount"] = {path: led_to(handle) for path, handle in handles.items()}
        said["the root"] = led_to(root)
        for fd in held:
            os.close(fd)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
