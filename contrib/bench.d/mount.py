# SPDX-License-Identifier: MIT OR Apache-2.0
"""The mount beside one with fewer requests, a file system that does nothing, libfuse's passthrough and
a plain directory."""
import contextlib
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from running import by_turns, figures, fresh, pin

OPERATIONS = ("create", "list", "read", "overwrite", "rename", "unlink", "mkdir")
LIST = {"list": "readdir and stat"}
FILE_SIZE = 4096
CLIENTS = 4
EXAMPLE = Path("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c")


def why_not(run):
    if "datawalfs" not in run.programs or "floor" not in run.programs:
        return "datawalfs was not built"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is missing or not open to this user"
    if not shutil.which("fusermount3"):
        return "fusermount3 is missing (fuse3)"
    return None


# ---- sides ----

def wait_for_daemon(log):
    """Until it has let the lock go."""
    with open(log / ".lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def unmount(place):
    """Also where somebody still looks at it: what is below it is removed next."""
    done = subprocess.run(["fusermount3", "-u", place], stderr=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        subprocess.run(["fusermount3", "-u", "-z", place], check=True)


@contextlib.contextmanager
def mounted(command, place, cpu=None):
    """What the command mounts on a directory that is made for it; on one CPU if one is given."""
    place.mkdir()
    try:
        subprocess.run([*map(str, command), str(place)], check=True, preexec_fn=pin(cpu),
                       stdin=subprocess.DEVNULL)
        try:
            yield place
        finally:
            unmount(place)
    finally:
        place.rmdir()


def datawal_of(name, programs, options="create"):
    """The side of that name, by the datawalfs of one build, with these options."""
    @contextlib.contextmanager
    def side(run, cpu=None):
        with fresh(run.work / f"log-{name}") as log:
            with mounted([programs["datawalfs"], "-o", options, log], run.work / f"mnt-{name}",
                         cpu) as place:
                yield place
            wait_for_daemon(log)
    return side


@contextlib.contextmanager
def floor(run, cpu=None):
    with mounted([run.programs["floor"]], run.work / "mnt-floor", cpu) as place:
        yield place


@contextlib.contextmanager
def passthrough(run, cpu=None):
    with fresh(run.work / "below") as below, \
         mounted([passthrough_program(run), "-o", f"source={below}"],
                 run.work / "mnt-passthrough", cpu) as place:
        yield place


@contextlib.contextmanager
def plain(run, cpu=None):
    with fresh(run.work / "plain") as place:
        yield place


def passthrough_program(run):
    """The one that was given or is installed, or Debian's example, compiled; or None."""
    found = run.options.passthrough or shutil.which("passthrough_ll")
    if found or not EXAMPLE.exists() or not shutil.which("cc"):
        return None if found == "none" else found
    program = run.work / "passthrough_ll"
    if not program.exists():
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], check=True,
                               capture_output=True, text=True).stdout.split()
        subprocess.run(["cc", "-O2", "-w", EXAMPLE, "-o", program, *flags], check=True)
    return program


@contextlib.contextmanager
def given(directory):
    with fresh(directory / f"datawal-bench-{os.getpid()}") as place:
        yield place


def sides_of(run):
    """name -> what gives a directory of that side for a while."""
    found = {"datawal": datawal_of("datawal", run.programs),
             "noxattr": datawal_of("noxattr", run.programs, "create,noxattr"), "floor": floor}
    if passthrough_program(run):
        found["passthrough"] = passthrough
    found["plain"] = plain
    found = {name: found[name] for name in run.wanted(list(found))}
    for name in run.others("datawalfs"):
        found[name] = datawal_of(name, run.against[name])
    for name, directory in run.options.beside:
        found[name] = lambda run, cpu=None, directory=directory: given(directory)
    return found


# ---- what is measured ----

@contextlib.contextmanager
def busy_cpus():
    """Something that wants each of them all the while."""
    with contextlib.ExitStack() as stack:
        for _ in os.sched_getaffinity(0):
            loop = subprocess.Popen(["sh", "-c", "while :; do :; done"])
            stack.callback(loop.wait)
            stack.callback(loop.kill)
        yield


def measure_files(run, group, clients, cpu):
    """The operations, each by turns on all sides, in a fresh directory a round."""
    each = max(1, run.scale.files // clients)
    with contextlib.ExitStack() as stack:
        places = {name: stack.enter_context(side(run, cpu)) for name, side in sides_of(run).items()}
        for number in range(run.scale.rounds):
            for place in places.values():
                (place / str(number)).mkdir()
            for operation in OPERATIONS:
                for name in by_turns(number, list(places)):
                    ns, = figures(run.programs["bench_files"], operation,
                                  places[name] / str(number), each, FILE_SIZE, clients, cpu=cpu)
                    case = ("mount", group, LIST.get(operation, operation))
                    run.results.add(case, "us", name, ns / 1e3)


def measure_stream(run):
    """One large file, and the same bytes in small ones."""
    piece, count = run.scale.piece, run.scale.stream
    with contextlib.ExitStack() as stack:
        places = {name: stack.enter_context(side(run)) for name, side in sides_of(run).items()}
        for number in range(run.scale.rounds):
            for n, size in (1, count * piece), (count, piece):
                for operation in "create", "read":
                    for name in by_turns(number, list(places)):
                        place = places[name] / f"{number}-{n}"
                        place.mkdir(exist_ok=True)
                        ns, = figures(run.programs["bench_files"], operation, place, n, size)
                        what = "write" if operation == "create" else operation
                        how = f"{n} of {size / (1 << 20):.3g} MiB"
                        run.results.add(("mount", "streaming", f"{what} {how}"), "MB/s", name,
                                        size / ns * 1e3)


def measure(run):
    of = f"files of {FILE_SIZE:,} bytes"
    one_cpu = min(os.sched_getaffinity(0))
    measure_files(run, f"{of}, all on one CPU", 1, one_cpu)
    measure_files(run, f"{of}, free", 1, None)
    measure_files(run, f"{of}, {CLIENTS} clients", CLIENTS, None)
    with busy_cpus():
        measure_files(run, f"{of}, free, each CPU busy", 1, None)
    measure_stream(run)
