# SPDX-License-Identifier: MIT OR Apache-2.0
"""Latencies beside what takes long: puts beside a compaction, creates beside a rename; and what a
mount of many keys takes."""
import contextlib
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import mount
import running
from running import by_turns, figures, fresh, remove

FIGURES = ("p50", "p99", "p99.9", "longest")
OLD_KEYS, PUT_SIZE = 8000, 1000
CREATORS = 4


def why_not(run):
    return None if "bench_beside" in run.programs else "bench_beside was not built"


def latencies(run, kind, count, *more):
    """Of puts into a store with much to compact, or a mount of it."""
    log = run.work / "log"
    log.mkdir()
    subprocess.run([run.programs["bench_beside"], "fill", log, str(run.scale.old), str(OLD_KEYS)],
                   check=True)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, log)
        place = log
        if kind == "mount":
            stack.callback(mount.wait_for_daemon, log)
            place = stack.enter_context(mount.mounted([run.programs["datawalfs"], log],
                                                      run.work / "mnt"))
        return figures(run.programs["bench_beside"], kind, place, count, PUT_SIZE, *more)


def measure_puts(run, kind, count):
    group = f"puts of {PUT_SIZE:,} bytes into a {kind}, beside a compaction and alone"
    sides = [("datawal", ("compact",)), ("alone", ())]
    for number in range(run.scale.rounds):
        for side, more in by_turns(number, sides):
            found = latencies(run, kind, count, *more)
            for name, value in zip(FIGURES, found):
                run.results.add(("beside", group, name), "us", side, value)
            if more:
                run.results.add(("beside", group, "compactions that ended"), "", side, found[-1])


def measure_rename(run):
    size = run.scale.renamed * run.scale.piece
    group = f"creates by {CREATORS} threads while a directory of {size >> 20} MiB is renamed"
    sides = mount.sides_of(run)
    for number in range(run.scale.rounds):
        for name in by_turns(number, list(sides)):
            with sides[name](run) as place:
                found = figures(run.programs["bench_beside"], "rename", place, run.scale.renamed,
                                run.scale.piece, CREATORS)
            for what, value in zip((*FIGURES, "the rename"), found):
                run.results.add(("beside", group, what), "us", name, value)


def measure(run):
    measure_puts(run, "store", run.scale.puts * 10)
    if mount.why_not(run):
        print(f"beside: a mount is left out: {mount.why_not(run)}")
        return
    measure_puts(run, "mount", run.scale.puts)
    measure_rename(run)


# ---- the memory of a mount ----

def daemon_of(place):
    """The process id of the datawalfs that has this mountpoint among its arguments."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"datawalfs") and os.fsencode(place) in words:
            return int(pid)
    raise running.Impossible(f"{place}: its daemon is gone")


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        size, = (line.split()[1] for line in file if line.startswith("VmRSS:"))
    return int(size) * 1024


def wait_for_end(pidfd):
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll()
    os.close(pidfd)


def mount_once(run, program, log):
    """(seconds to mount, bytes, seconds to unmount). It lets the lock go before it has ended: the
    next one would be taken for it."""
    begun = time.monotonic()
    with mount.mounted([program, log], run.work / "mnt") as place:
        there = time.monotonic()
        pid = daemon_of(place)
        pidfd, size = os.pidfd_open(pid), resident_bytes(pid)
        ending = time.monotonic()
    wait_for_end(pidfd)
    return there - begun, size, time.monotonic() - ending


def memory_why_not(run):
    return why_not(run) or mount.why_not(run)


def measure_mount_of(run, side, program, empty, full):
    keys, group = run.scale.names, f"a mount of {run.scale.names:,} keys of 14 bytes"
    nothing = mount_once(run, program, empty)[1]
    mounting, size, ending = mount_once(run, program, full)
    for what, unit, value in (("bytes a key", "B", (size - nothing) / keys),
                              ("mounting", "ms", mounting * 1e3),
                              ("unmounting", "ms", ending * 1e3)):
        run.results.add(("memory", group, what), unit, side, value)


def measure_memory(run):
    programs = {"datawal": run.programs["datawalfs"], **run.others("datawalfs")}
    with fresh(run.work / "empty") as empty, fresh(run.work / "full") as full:
        for log, n in (empty, 0), (full, run.scale.names):
            subprocess.run([run.programs["bench_beside"], "names", log, str(n)], check=True)
        for number in range(run.scale.rounds):
            for side in by_turns(number, list(programs)):
                measure_mount_of(run, side, programs[side], empty, full)
