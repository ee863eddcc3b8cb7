# SPDX-License-Identifier: MIT OR Apache-2.0
"""What all parts of contrib/bench need: the programs, the size of the work, the sides of a
comparison by turns."""
import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
PLACES = ("contrib/bench.d/bench_store", "contrib/bench.d/bench_files",
          "contrib/bench.d/bench_beside", "contrib/bench.d/floor", "src/cli/datawal",
          "fuse/datawalfs")


class Impossible(Exception):
    """Why something cannot be measured here."""


@dataclass
class Scale:
    """How much is done; each part takes from it what it needs."""
    rounds: int = 3
    keys: tuple = (100_000, 1_000_000)
    values: tuple = (100, 65536)  # bytes
    synced: int = 1000            # puts
    files: int = 2000
    stream: int = 64              # pieces
    piece: int = MIB
    renamed: int = 200            # files of one piece
    old: int = 1 << 30            # bytes in a store that is compacted
    puts: int = 40_000            # beside that, in a mount; ten times that in a store
    names: int = 1_000_000        # keys of a mount


QUICK = {"rounds": 1, "keys": (100_000,), "values": (100,), "synced": 200, "files": 500,
         "stream": 16, "renamed": 32, "old": 64 * MIB, "puts": 4000, "names": 100_000}
SMOKE = {"rounds": 1, "keys": (100,), "values": (64,), "synced": 2, "files": 4, "stream": 2,
         "piece": 5000, "renamed": 2, "old": 4 * 65536, "puts": 20, "names": 1000}


@dataclass
class Run:
    """One call of contrib/bench."""
    programs: dict   # name -> path, of those that were built
    work: Path       # an empty directory to write to
    scale: Scale
    results: object  # results.Results
    options: object  # of the command line
    against: dict    # name -> the programs of another build, or what stands for them

    def wanted(self, names):
        """Of these sides those that are to be measured: ours, and the ones asked for."""
        asked = self.options.sides
        return [name for name in names if not asked or name == "datawal" or name in asked]

    def others(self, program):
        """name -> that program of each other build that has it."""
        return {name: programs[program] for name, programs in self.against.items()
                if program in programs}


def build(source, directory):
    """A release build of what is measured, inlined across files; its programs by their names."""
    again = ["--reconfigure"] if (directory / "build.ninja").exists() else []
    subprocess.run(["meson", "setup", *again, directory, source, "--buildtype=release",
                    "-Db_lto=true"], check=True, stdout=subprocess.DEVNULL)
    text = (directory / "build.ninja").read_text()
    places = [place for place in PLACES if f"\nbuild {place}:" in text]
    subprocess.run(["ninja", "--quiet", "-C", directory, *places], check=True)
    return programs_in(directory)


def programs_in(directory):
    return {Path(place).name: directory / place for place in PLACES
            if (directory / place).exists()}


def by_turns(round_number, sides):
    """The sides in an order that moves on from round to round."""
    start = round_number % len(sides)
    return sides[start:] + sides[:start]


def pin(cpu):
    return None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})


def figures(*command, cpu=None):
    """The numbers that a program prints; on one CPU if one is given."""
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True,
                          preexec_fn=pin(cpu))
    return [float(word) for word in done.stdout.split()]


def remove(*paths):
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def fresh(path):
    """A directory that is there for a while."""
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path)
