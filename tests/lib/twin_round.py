# SPDX-License-Identifier: MIT OR Apache-2.0
"""Rounds of the twin test: several threads, remounts between them, one seed. What differs is run
again, with less and less of the log, and told with the operations that are left."""
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from twin import Difference, Found, Twin, subjects
from twin_dice import Dice
from twin_side import Op, Slot


def tick_of(directory):
    """Seconds; 0 where every change gets a time of its own, if somebody asks for it."""
    path = os.path.join(directory, "tick")
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        for _ in range(20):
            old = os.fstat(fd).st_mtime_ns
            os.pwrite(fd, b"x", 0)
            if os.fstat(fd).st_mtime_ns == old:
                return 0.011
        return 0
    finally:
        os.close(fd)
        os.unlink(path)


class Round:
    def __init__(self, host, mount, remounting, seed, settings):
        self.host, self.mount = os.fspath(host), os.fspath(mount)
        self.remounting = remounting
        self.settings = settings
        self.tick = tick_of(host)
        self.failed = threading.Event()
        self.workers = []
        for number in range(settings.threads):
            self.add_worker(self.twin(f"own{number}"), f"{seed} {number}")
            self.add_worker(self.twin("shared", f"t{number}."), f"{seed} {number} shared")

    def add_worker(self, twin, seed):
        self.workers.append((twin, Dice(seed, twin.slots, self.settings.groups, twin.shared)))

    def twin(self, name, prefix=""):
        for root in (self.host, self.mount):
            os.makedirs(f"{root}/{name}", exist_ok=True)
        return Twin(f"{self.host}/{name}", f"{self.mount}/{name}", self.settings, bool(prefix),
                    prefix, self.tick)

    def work(self, twin, dice):
        try:
            for _ in range(self.settings.operations):
                if self.failed.is_set():
                    return
                twin.step(dice.op())
        except BaseException:
            self.failed.set()
            raise

    def all_work(self, shared):
        """The twin that found something and what it was, or None."""
        workers = [w for w in self.workers if w[0].shared == shared]
        with ThreadPoolExecutor(len(workers)) as pool:
            tasks = [(twin, pool.submit(self.work, twin, dice)) for twin, dice in workers]
        return self.first_trouble((twin, task.result) for twin, task in tasks)

    def first_trouble(self, acts):
        for twin, act in acts:
            try:
                act()
            except Found as found:
                return twin, found.args[0]
            except (OSError, AssertionError) as error:
                return twin, Difference(Op("compare"), "error", None, repr(error))
        return None

    def each(self, act, *args):
        return self.first_trouble((twin, lambda t=twin: act(t, *args)) for twin, _ in self.workers)

    def epoch(self, shared):
        trouble = self.all_work(shared) or self.each(Twin.close_all) or self.each(Twin.compare)
        if trouble:
            return trouble
        for twin, _ in self.workers:
            twin.log.append(Op("remount"))
        self.remounting()
        return self.each(Twin.compare, True)

    def run(self):
        """The report of what differs, or None."""
        try:
            for number in range(self.settings.epochs):
                trouble = self.epoch(shared=number % 3 == 2)
                if trouble:
                    return self.report(*trouble)
            return None
        finally:
            self.drop_slots()

    def drop_slots(self):
        for twin, _ in self.workers:
            twin.drop_slots()

    def report(self, twin, difference):
        self.drop_slots()
        try:
            best = Shrinker(self, twin.log).run()
        except (OSError, AssertionError) as error:
            return f"{difference}\nwhile running it again: {error!r}\n{listed(twin.log[-30:])}"
        if best:
            log, again = best
            return f"{again}\nafter, in an empty directory:\n{listed(log)}"
        return (f"{difference}\nrunning that thread's operations again shows nothing; the last "
                f"that have to do with it:\n{listed(related(twin.log)[-40:])}")


def listed(log):
    return "\n".join(f"    {op}"[:200] for op in log)


def related(log):
    """The operations that may have to do with the last one, by their names and slots."""
    wanted, found = parts(log[-1]), []
    for op in reversed(log):
        if op.name == "remount":
            found.append(op)
        elif parts(op) & wanted:
            wanted |= parts(op)
            found.append(op)
    return found[::-1]


def parts(op):
    return {s if isinstance(s, Slot) else Slot(s[1]) if s.startswith("@") else s.split("/")[0]
            for s in subjects(op)} - {""}


class Shrinker:
    """Leaves operations out of a log for as long as what is left shows the same difference."""

    def __init__(self, around, log):
        self.around = around
        self.kind = None  # of the difference that the first try shows
        self.log = log
        self.tries = 0
        self.end = time.monotonic() + around.settings.shrink_seconds

    def attempt(self, log):
        """(the log up to the difference, the difference), or None."""
        self.tries += 1
        twin = self.around.twin(f"again{self.tries}")
        found = twin.replay(log, self.around.remounting)
        if not found or self.kind not in (None, found.kind()):
            return None
        self.kind = found.kind()
        return twin.log, found

    def run(self):
        best = self.attempt(self.log)
        if not best:
            return None
        best = self.attempt(related(self.log)) or best
        size = len(best[0]) // 2
        while size and time.monotonic() < self.end:
            best, gained = self.leave_out(best, size)
            if size > 1 or not gained:
                size //= 2
        return best

    def leave_out(self, best, size):
        at, gained = 0, False
        while at < len(best[0]) and time.monotonic() < self.end:
            fewer = self.attempt(best[0][:at] + best[0][at + size:])
            if fewer and len(fewer[0]) < len(best[0]):
                best, gained = fewer, True
            else:
                at += size
        return best, gained
