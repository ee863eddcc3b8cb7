# SPDX-License-Identifier: MIT OR Apache-2.0
"""A hundred processes that read and write in a mount, whatever becomes of it.

Run as a program (crowd.py DIRECTORY COUNTERS NUMBER) it is the crowd's parent, which never touches
the mount. COUNTERS is a file of two numbers a process: how often it has tried something, and how
often that succeeded; so an outsider sees who is stuck."""
import fcntl
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time

TRIES, SUCCESSES = 0, 1
SHARED_FILES = 12


class Crowd:
    """The outsider's view."""

    def __init__(self, directory, counters, number):
        self.number = number
        counters.write_bytes(bytes(16 * number))
        with open(counters, "r+b") as file:
            self.counters = mmap.mmap(file.fileno(), 0)
        self.process = subprocess.Popen([sys.executable, "-I", "-S", __file__, str(directory),
                                         str(counters), str(number)], start_new_session=True)

    def counts(self, which):
        both = struct.unpack(f"={2 * self.number}Q", self.counters[:])
        return both[which::2]

    def pids(self):
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path, encoding="ascii") as file:
            return [int(word) for word in file.read().split()]

    def behind(self, which, since):
        """Who has not got on since."""
        return [i for i, (new, old) in enumerate(zip(self.counts(which), since)) if new == old]

    def end(self):
        """Asks all to end; the parent ends when the last one has."""
        self.process.terminate()

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def state_of(pid):
    """The letter of ps(1), or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def where(pid):
    """What it waits for, for a report."""
    try:
        with open(f"/proc/{pid}/stack", encoding="latin-1") as file:
            return file.read()
    except OSError as error:
        return str(error)


# ------------------------------------------------------------------------ what the members do

class Member:
    def __init__(self, directory, number):
        self.directory = directory
        self.number = number
        self.rng = random.Random(number)

    def shared(self):
        return f"{self.directory}/shared{self.rng.randrange(SHARED_FILES)}"

    def data(self):
        return self.rng.randbytes(self.rng.choice((10, 500, 5000, 40_000)))

    def replace(self):
        own = f"{self.directory}/own{self.number}"
        fd = os.open(own, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        try:
            os.write(fd, self.data())
            if self.rng.random() < 0.1:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(own, self.shared())

    def overwrite(self):
        fd = os.open(self.shared(), os.O_CREAT | os.O_RDWR)
        try:
            os.pwrite(fd, self.data(), self.rng.randrange(20_000))
            os.ftruncate(fd, self.rng.randrange(1, 40_000))
        finally:
            os.close(fd)

    def read(self):
        fd = os.open(self.shared(), os.O_RDONLY)
        try:
            while os.read(fd, 65536):
                pass
        finally:
            os.close(fd)

    def append(self):
        fd = os.open(f"{self.directory}/appended", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.write(fd, b"%d\n" % self.number)
            if os.fstat(fd).st_size > 100_000:
                os.ftruncate(fd, 0)
        finally:
            os.close(fd)

    def walk(self):
        for entry in os.scandir(self.directory):
            if not entry.name.startswith("own"):
                try:
                    entry.stat()
                except FileNotFoundError:
                    pass  # removed meanwhile

    def churn(self):
        one, two = (f"{self.directory}/own{self.number}-{i}" for i in "12")
        for path in (one, two):
            if os.path.isdir(path):  # from before the mount went away
                for name in os.listdir(path):
                    os.unlink(f"{path}/{name}")
                os.rmdir(path)
        os.mkdir(one)
        os.close(os.open(f"{one}/f", os.O_CREAT | os.O_WRONLY))
        os.rename(one, two)
        os.unlink(f"{two}/f")
        os.rmdir(two)

    def map(self):
        fd = os.open(f"{self.directory}/mapped{self.number % 4}", os.O_CREAT | os.O_RDWR)
        try:
            os.ftruncate(fd, 20_000)
            with mmap.mmap(fd, 20_000) as memory:
                for at in range(0, 20_000, 3000):
                    memory[at] = (memory[at] + 1) & 255
                memory.flush()
        finally:
            os.close(fd)

    def hold(self):
        fd = os.open(f"{self.directory}/own{self.number}-held", os.O_CREAT | os.O_RDWR)
        try:
            for _ in range(10):
                os.write(fd, b"x" * 100)
                time.sleep(0.01)
            os.lseek(fd, 0, os.SEEK_SET)
            os.read(fd, 1000)
        finally:
            os.close(fd)

    ROLES = (replace, overwrite, read, append, walk, churn, map, hold)

    def live(self, counters):
        act = self.ROLES[self.number % len(self.ROLES)]
        place = 16 * self.number
        while True:
            works = 1
            try:
                act(self)
            except OSError:
                works = 0
                time.sleep(0.01)
            tries, successes = struct.unpack_from("=2Q", counters, place)
            struct.pack_into("=2Q", counters, place, tries + 1, successes + works)


def start(directory, counters, number):
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        Member(directory, number).live(counters)
    return pid


def main(directory, counters, number):
    with open(counters, "r+b") as file:
        shared = mmap.mmap(file.fileno(), 0)
    members = {start(directory, shared, i): i for i in range(int(number))}
    ending = []

    def end(*_):
        ending.append(True)
        for pid in members:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    while members:
        pid, _ = os.wait()
        who = members.pop(pid)
        if not ending:  # SIGBUS: what it had mapped was gone
            members[start(directory, shared, who)] = who


if __name__ == "__main__":
    main(*sys.argv[1:])
