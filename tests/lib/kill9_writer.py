# SPDX-License-Identifier: MIT OR Apache-2.0
"""A process that changes its own files in a mount, and some that all share, until the mount is gone."""
import mmap
import os
import random
import time

import kill9_log

FILES = ["f0", "f1", "f2", "d0/f0", "d0/f1", "d1/f0", "d1/e/f0", "d2/f0"]
DIRS = ["d0", "d1", "d2", "d1/e", "e"]
MODES = [0o600, 0o644, 0o640, 0o755, 0o400 | 0o200, 0o666]
TARGETS = 3  # shared files that all rename over


class Writer:
    def __init__(self, mount, name, state, seed, log):
        self.root = os.path.join(mount, name)
        self.shared = os.path.join(mount, "shared")
        self.name = name
        self.state = state
        self.log = kill9_log.Log(log)
        self.rng = random.Random(seed)
        self.count = 0
        self.lines_at = os.path.join(self.shared, os.path.basename(os.path.dirname(log)))
        os.umask(0)

    def at(self, path):
        return os.path.join(self.root, path)

    def has(self, kind):
        return sorted(path for path, one in self.state.entries.items() if one[0] == kind)

    def some(self, kind):
        return self.rng.choice(self.has(kind) or [None])

    def parent_is_there(self, path):
        parent = os.path.dirname(path)
        return not parent or self.state.entries.get(parent, " ")[0] == "d"

    def data(self):
        """Never the same twice."""
        self.count += 1
        token = f"{self.name} {self.count} {self.rng.random()}\n".encode()
        size = self.rng.choice((0, 1, 100, 3000, 3000, 40_000, 200_000))
        return (token * (size // len(token) + 1))[:max(size, len(token))]

    def step(self, what, delta, call, **more):
        """Does one thing: first says so, then that it is done."""
        self.log.say(begin=what, delta=delta, **more)
        call()
        self.state.apply(delta)
        self.log.say(end=what)
        self.log.say(known={path: kill9_log.numbers(self.at(path))
                            for path, one in delta.items() if one is not None})

    def file(self, data, mode):
        return "f", mode, kill9_log.digest(data)

    def content(self, path):
        with open(self.at(path), "rb") as file:
            return file.read()

    # -------------------------------------------------------------- what it does

    def write(self):
        """A new file, or all of an old one anew."""
        path = self.rng.choice(FILES)
        old = self.state.entries.get(path)
        if not self.parent_is_there(path) or (old and old[0] != "f"):
            return
        mode, data = old[1] if old else self.rng.choice(MODES), self.data()
        fd = -1

        def call():
            nonlocal fd
            fd = os.open(self.at(path), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode)
            for at in range(0, len(data), 50_000):
                os.write(fd, data[at:at + 50_000])

        def finish(sync, close):
            if sync:
                os.fsync(fd)
            if close:
                os.close(fd)

        if self.rng.random() < 0.3:
            self.step("write and fsync", {path: self.file(data, mode)},
                      lambda: (call(), finish(True, False)))
            more = self.data()
            self.step("write more and close", {path: self.file(data + more, mode)},
                      lambda: (os.write(fd, more), finish(self.rng.random() < 0.3, True)))
        else:
            self.step("write and close", {path: self.file(data, mode)},
                      lambda: (call(), finish(False, True)))

    def change(self):
        """A file in place: at its end, in the middle, or shorter."""
        path = self.some("f")
        if not path:
            return
        mode, old, data = self.state.entries[path][1], self.content(path), self.data()
        how = self.rng.choice(("append", "in place", "cut", "map"))
        at = self.rng.randrange(len(old) + 1)
        new = {"append": old + data, "cut": (old + bytes(at))[:at],
               "in place": old[:at] + data + old[at + len(data):],
               "map": old[:at] + data + old[at + len(data):]}[how]
        self.step(how, {path: self.file(new, mode)},
                  lambda: {"append": self.append, "cut": self.cut, "in place": self.in_place,
                           "map": self.map}[how](path, at, data, len(new)))

    def append(self, path, _, data, __):
        fd = os.open(self.at(path), os.O_WRONLY | os.O_APPEND)
        os.write(fd, data)
        os.close(fd)

    def cut(self, path, at, _, __):
        os.truncate(self.at(path), at)

    def in_place(self, path, at, data, _):
        fd = os.open(self.at(path), os.O_RDWR)
        os.pwrite(fd, data, at)
        os.close(fd)

    def map(self, path, at, data, size):
        """Returns when the bytes are the file's: by MS_SYNC."""
        fd = os.open(self.at(path), os.O_RDWR)
        os.ftruncate(fd, size)
        with mmap.mmap(fd, size) as memory:
            memory[at:at + len(data)] = data
            memory.flush()
        os.close(fd)

    def chmod(self):
        path = self.rng.choice((self.some("f"), self.some("d")))
        if path:
            kind, old, content = self.state.entries[path]
            mode = self.rng.choice([mode | (0o700 if kind == "d" else 0) for mode in MODES])
            if mode != old:
                self.step("chmod", {path: (kind, mode, content)},
                          lambda: os.chmod(self.at(path), mode))

    def unlink(self):
        """Perhaps while it is open, and then written to: that is nobody's any more."""
        path = self.some(self.rng.choice("ffl"))
        if not path:
            return
        fd = os.open(self.at(path), os.O_RDWR) if self.state.entries[path][0] == "f" and \
            self.rng.random() < 0.5 else -1
        self.step("unlink", {path: None}, lambda: os.unlink(self.at(path)))
        if fd >= 0:
            os.write(fd, self.data())
            os.close(fd)

    def symlink(self):
        path = "l%d" % self.rng.randrange(3)
        if path not in self.state.entries:
            target = f"{self.name}/{self.rng.random()}"
            self.step("symlink", {path: ("l", 0o777, target)},
                      lambda: os.symlink(target, self.at(path)))

    def mkdir(self):
        path, mode = self.rng.choice(DIRS), self.rng.choice((0o700, 0o755, 0o750))
        if self.parent_is_there(path) and path not in self.state.entries:
            self.step("mkdir", {path: ("d", mode, "")}, lambda: os.mkdir(self.at(path), mode))

    def rmdir(self):
        path = self.some("d")
        if path and not any(one.startswith(path + "/") for one in self.state.entries):
            self.step("rmdir", {path: None}, lambda: os.rmdir(self.at(path)))

    def rename(self):
        """One file over another, perhaps while that is open."""
        source, target = self.some("f"), self.rng.choice(FILES)
        old = self.state.entries.get(target)
        if not source or source == target or not self.parent_is_there(target) or \
                (old and old[0] != "f"):
            return
        fd = os.open(self.at(target), os.O_RDWR) if old and self.rng.random() < 0.3 else -1
        self.step("rename", {source: None, target: self.state.entries[source]},
                  lambda: os.rename(self.at(source), self.at(target)))
        if fd >= 0:
            os.write(fd, self.data())
            os.close(fd)

    def save(self):
        """As an editor does it: a new file is written, and takes the name of the old one before it
        is closed."""
        target, mode, data = self.rng.choice(FILES), self.rng.choice(MODES), self.data()
        old = self.state.entries.get(target)
        if not self.parent_is_there(target) or (old and old[0] != "f"):
            return
        new = self.file(data, mode)
        fd = -1

        def call():
            nonlocal fd
            fd = os.open(self.at("new"), os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            os.write(fd, data)

        if self.rng.random() < 0.5:
            self.step("write a new one and fsync", {"new": new}, lambda: (call(), os.fsync(fd)))
            self.step("take the name", {"new": None, target: new},
                      lambda: os.rename(self.at("new"), self.at(target)))
        else:
            self.step("write a new one and take the name", {target: new},
                      lambda: (call(), os.rename(self.at("new"), self.at(target))))
        os.close(fd)

    def rename_directory(self):
        source, target = self.some("d"), self.rng.choice(DIRS)
        if not source or target in self.state.entries or not self.parent_is_there(target) or \
                target.startswith(source + "/"):
            return
        delta = {}
        for path, one in self.state.entries.items():
            if path == source or path.startswith(source + "/"):
                delta[path] = None
                delta[target + path[len(source):]] = one
        self.step("rename a directory", delta,
                  lambda: os.rename(self.at(source), self.at(target)))

    def say_a_line(self):
        """One of all writers, at the end of a file of all."""
        self.count += 1
        line = f"{self.name} {self.count}\n"
        self.step("a line", {}, lambda: self.append(self.lines_at, 0, line.encode(), 0), line=line)

    def publish(self):
        """Under a name that all rename over."""
        data, target = self.data(), self.rng.randrange(TARGETS)
        one = self.file(data, 0o644)

        def write():
            fd = os.open(self.at("pub"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
            os.write(fd, data)
            os.close(fd)

        if "pub" in self.state.entries:  # from before a kill
            self.step("unlink", {"pub": None}, lambda: os.unlink(self.at("pub")))
        self.step("write", {"pub": one}, write)
        self.step("publish", {"pub": None},
                  lambda: os.rename(self.at("pub"), os.path.join(self.shared, f"t{target}")),
                  target=target, digest=one[2])

    ACTS = (write, write, write, change, change, change, chmod, unlink, symlink, mkdir, mkdir, rmdir,
            rename, rename, save, rename_directory, say_a_line, publish)

    def run(self):
        """Until the mount is gone. Anything else that fails is told."""
        while True:
            act = self.rng.choice(self.ACTS)
            try:
                if "new" in self.state.entries:  # from before a kill
                    self.step("unlink", {"new": None}, lambda: os.unlink(self.at("new")))
                act(self)
            except OSError as error:
                if error.errno in kill9_log.GONE or self.is_gone():
                    return
                self.log.say(failed=act.__name__, error=str(error))
                return

    def is_gone(self):
        """A call that was cut short can fail in other ways."""
        for _ in range(200):
            try:
                os.statvfs(self.root)
            except OSError as error:
                return error.errno in kill9_log.GONE
            time.sleep(0.01)
        return False
