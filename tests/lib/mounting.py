# SPDX-License-Identifier: MIT OR Apache-2.0
"""Starts, ends and kills datawalfs, and leaves no mount behind.

The daemon normally runs in the foreground (-f), as a child whose stderr goes to a file: its death
and its mount are then events that can be waited for."""
import os
import select
import signal
import subprocess
import time
from pathlib import Path

import deadline
import suspicion

READY_SECONDS = 20
END_SECONDS = 30
BUSY_SECONDS = 2


def unescape(field):
    """A path as /proc/self/mountinfo writes it."""
    return field.encode("latin-1").decode("unicode_escape").encode("latin-1")


def mounted(path):
    """The (major, minor) of the topmost mount on path, or None. Asks no file system."""
    found = None
    wanted = os.fsencode(path)
    with open("/proc/self/mountinfo", encoding="latin-1") as table:
        for line in table:
            fields = line.split()
            if unescape(fields[4]) == wanted:
                found = tuple(int(n) for n in fields[2].split(":"))
    return found


def daemons_of(mountpoint):
    """Process ids of the datawalfs with this mountpoint among its arguments."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"datawalfs") and os.fsencode(mountpoint) in words:
            found.append(int(name))
    return found


def wait_for(condition, what, seconds=END_SECONDS, pause=0.01):
    """Until condition() is true, for things that send no event."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not after {seconds} seconds"
        time.sleep(pause)


class MountFailed(AssertionError):
    """datawalfs ended instead of mounting."""

    def __init__(self, status, stderr):
        super().__init__(f"datawalfs ended with {status}: {stderr}")
        self.status = status
        self.stderr = stderr


class Mount:
    """A log directory mounted somewhere. str() and / work as on its path."""

    def __init__(self, program, log, path, options, args, stderr_path):
        self.program = program
        self.log = Path(log)
        self.path = Path(path)
        self.options = list(options)
        self.args = list(args)
        self.stderr_path = Path(stderr_path)
        self.process = None
        self.killed = False
        self.device = None

    def __str__(self):
        return str(self.path)

    def __fspath__(self):
        return str(self.path)

    def __truediv__(self, name):
        return self.path / name

    @property
    def pid(self):
        """The daemon's process id."""
        return self.process.pid

    @property
    def stderr(self):
        """All that the daemon has printed so far, over all remounts."""
        if not self.stderr_path.exists():
            return ""
        return self.stderr_path.read_text(errors="replace")

    def command(self):
        options = ["-o", ",".join(self.options)] if self.options else []
        return [str(self.program), str(self.log), str(self.path), "-f", *options, *self.args]

    def start(self):
        """Mounts, and returns when the mount is there; MountFailed when the daemon ends instead."""
        before = mounted(self.path)
        said = len(self.stderr)
        self.killed = False
        with open(self.stderr_path, "ab") as stderr:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                            stdout=stderr, stderr=stderr)
        deadline.cutters.append(self.cut)
        self._await_mount(before, said)
        return self

    def _await_mount(self, before, said):
        # the mount table and a pidfd are both pollable: no guessing how long a mount takes
        end = time.monotonic() + READY_SECONDS
        pidfd = os.pidfd_open(self.process.pid)
        table = os.open("/proc/self/mountinfo", os.O_RDONLY)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.register(table, select.POLLPRI | select.POLLERR)
            while True:
                self.device = mounted(self.path)
                if self.device and self.device != before:
                    return
                status = self.process.poll()
                if status is not None:
                    self._forget()
                    self.process = None
                    raise MountFailed(status, self.stderr[said:])
                left = end - time.monotonic()
                assert left > 0, f"no mount after {READY_SECONDS} seconds: {self.stderr[said:]}"
                # a stale mount that is replaced can get the same device number at once
                poll.poll(min(left, 0.2) * 1000)
                if before and self.device == before and self._answers():
                    return
        finally:
            os.close(table)
            os.close(pidfd)

    def _answers(self):
        try:
            os.statvfs(self.path)  # never answered from a cache, as stat(2) can be
            return os.stat(self.path).st_dev == os.makedev(*self.device)
        except OSError:
            return False

    def unmount(self):
        """Unmounts and waits for the daemon's end; its exit status must be 0."""
        wait_for(self._try_unmount, f"fusermount3 -u {self.path}", BUSY_SECONDS)
        self.wait_end()

    def _try_unmount(self):
        """A mount is busy for a moment while the daemon has its first look at it."""
        done = subprocess.run(["fusermount3", "-u", str(self.path)], capture_output=True,
                              text=True, timeout=END_SECONDS, check=False)
        assert done.returncode == 0 or "busy" in done.stderr, done.stderr
        return done.returncode == 0

    def wait_end(self, status=0):
        """Until the daemon has ended by itself, with this exit status."""
        ended = self.process.wait(END_SECONDS)
        self._forget()
        assert ended == status, f"datawalfs ended with {ended}: {self.stderr[-4000:]}"

    def tell_to_end(self):
        """By signals, the second of which says not to wait for open files."""
        self.process.terminate()
        self.process.send_signal(signal.SIGINT)

    def terminate(self):
        """Tells the daemon to end, and waits for it."""
        self.tell_to_end()
        self.wait_end()

    def kill9(self):
        """Kills the daemon. The mountpoint is stale afterwards."""
        self.killed = True
        self.process.kill()
        self.process.wait(END_SECONDS)
        self._forget()

    def remount(self, *options):
        """Unmounts if needed and mounts again at the same place."""
        if self.process and self.process.poll() is None:
            self.unmount()
        if options:
            self.options = list(options)
        return self.start()

    def _forget(self):
        if self.cut in deadline.cutters:
            deadline.cutters.remove(self.cut)

    def cut(self):
        """Ends everything that waits for this mount, by force. May be called from any thread."""
        if self.process and self.process.poll() is None:
            # SIGABRT first would leave a core; the daemon's stack is not worth a stuck machine
            os.kill(self.process.pid, signal.SIGKILL)
        # other processes of pytest mount as well, and get numbers that have become free
        if self.device and mounted(self.path) == self.device:
            major, minor = self.device
            try:
                Path(f"/sys/fs/fuse/connections/{os.makedev(major, minor)}/abort").write_text("1")
            except OSError:
                pass  # not root, or gone already: the kill above did it
        subprocess.run(["fusermount3", "-u", "-z", str(self.path)], capture_output=True,
                       timeout=END_SECONDS, check=False)

    def clean_up(self):
        """For teardown: unmounted at the end whatever happened. Returns what went wrong."""
        trouble = []
        if self.process and self.process.poll() is None:
            try:
                self.unmount()
            except (AssertionError, subprocess.TimeoutExpired) as error:
                trouble.append(str(error))
        elif self.process and not self.killed and self.process.returncode != 0:
            trouble.append(f"datawalfs ended with {self.process.returncode}: {self.stderr[-4000:]}")
        if self.process and self.process.poll() is None:
            self.cut()
            self.process.wait(END_SECONDS)
        while mounted(self.path):
            done = subprocess.run(["fusermount3", "-u", "-z", str(self.path)], capture_output=True,
                                  timeout=END_SECONDS, check=False)
            if done.returncode != 0:
                break
        self._forget()
        try:
            suspicion.check("datawalfs", self.stderr)
        except AssertionError as error:
            trouble.append(str(error))
        return trouble


def connect_or_skip(pytest):
    """The one place that says when a test cannot mount."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse missing, or closed to this user")
