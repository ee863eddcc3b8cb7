# SPDX-License-Identifier: MIT OR Apache-2.0
"""The same operations, drawn at random, on the mount and on a directory of the host.

    DATAWAL_SEED=n       begins with that seed; a failure prints the one it needs
    DATAWAL_ROUNDS=n     so many rounds, whatever time they take
    DATAWAL_MINUTES=n    for so long, instead of half a minute
"""
import os
import shutil
import stat
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import privileged
import twin_ops
import twin_side
from twin import SAME, SLACK_NS, Deviation, Settings
from twin_round import Round

pytestmark = pytest.mark.thread

SECONDS = 60 * float(os.environ.get("DATAWAL_MINUTES", "0")) or 20
ROUNDS = int(os.environ.get("DATAWAL_ROUNDS", "0"))
# only for somebody who is at work on one group of operations: names of others, with commas
WITHOUT = set(os.environ.get("DATAWAL_TWIN_WITHOUT", "").split(","))
# seconds; shortening a log takes its time, and everything does under a sanitizer
LONGEST = 120 + (60 * ROUNDS or SECONDS)


# What the mount does otherwise than ext4, and says so. Not here, since it is not compared: sizes of
# directories, st_blocks, access times that nobody set, and where SEEK_HOLE finds holes. No file
# gets near 64 MiB. Hard links and RENAME_EXCHANGE must be refused: operations of their own.
DEVIATIONS = (
    Deviation("the kernel does not tell the mount what is written to a fifo",
              lambda d: d.is_time() and stat.S_ISFIFO(d.about.st_mode)),
    Deviation("an attribute set to the value it has: ext4 does nothing",
              lambda d: d.is_time() and d.op.name.endswith("xattr")),
    Deviation("S16f: what is stored through a mapping behind a time that was set leaves that",
              lambda d: d.is_time() and d.op.name.startswith("map_") and SAME in d.mount),
)
SETTINGS = Settings(deviations=DEVIATIONS, groups=twin_ops.GROUPS - WITHOUT)


@pytest.fixture
def ext4(host_dir, tmp_path):
    """An ext4 directory, which the semantics are measured by."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", host_dir], capture_output=True, check=True,
                          text=True).stdout.strip()
    if kind == "ext2/ext3":  # what stat calls all of them
        yield host_dir
    else:
        # from this size on an inode holds nanoseconds
        with privileged.small_disk(tmp_path / "disk", 1024) as disk:
            yield disk


def play(mount, host, seconds, *options, settings=SETTINGS):
    """Rounds, each in a new log, until the time is over; stops at what differs."""
    seed = int(os.environ.get("DATAWAL_SEED", time.time_ns() % 1_000_000_000))
    end = time.monotonic() + seconds
    done = 0
    while done < ROUNDS if ROUNDS else time.monotonic() < end:
        m = mount(host.parent / f"log{done}", "default_permissions", *options)
        (host / str(done)).mkdir()
        one = Round(host / str(done), m, m.remount, seed + done, settings)
        report = one.run()
        if report:
            ended = m.process and m.process.poll()
            said = f"\nthe daemon ended with {ended}:\n{m.stderr[-4000:]}" if ended else ""
            pytest.fail(f"DATAWAL_SEED={seed + done} DATAWAL_ROUNDS=1 shows that {report}{said}",
                        pytrace=False)
        m.unmount()
        shutil.rmtree(m.log)
        shutil.rmtree(host / str(done))
        done += 1
    print(f"{done} rounds from seed {seed}")


@pytest.mark.slow
@pytest.mark.clause("S2a", "S5a", "S5b", "S5c", "S6b", "S7c", "S9a", "S9b", "S9c", "S10c", "S13a",
                    "S15b", "S15d", "S15e", "S16a", "S16b", "S17c")
@pytest.mark.deadline(LONGEST)
def test_the_same_operations_have_the_same_results_on_the_mount_and_on_ext4(mount, ext4):
    play(mount, ext4, SECONDS)


@pytest.mark.sanitize
@pytest.mark.deadline(LONGEST)
def test_the_same_operations_have_the_same_results_for_a_moment(mount, ext4):
    play(mount, ext4, 6)


@pytest.mark.slow
@pytest.mark.parametrize("options", [("sync",), ("noclock", "commit=1"), ("segment_size=64K",)],
                         ids=lambda o: o[0])
@pytest.mark.deadline(LONGEST)
def test_the_same_operations_have_the_same_results_with(mount, ext4, options):
    settings = SETTINGS._replace(keeps_times="noclock" not in options)
    play(mount, ext4, SECONDS / 2, *options, settings=settings)


# ------------------------------------------------------------------- several at one name at once

THREADS = 8
READERS = 1


def seen_in(directory, ended):
    """All contents that files have there until it has ended."""
    seen = set()
    while not ended.is_set():
        for place, _, names in os.walk(directory):
            for name in names:
                try:
                    with open(f"{place}/{name}", "rb") as file:
                        seen.add(file.read())
                except FileNotFoundError:
                    pass  # removed meanwhile
    return seen


def at_once(act, directory=None, contents=()):
    """act(number) in several threads that start together; the results, sorted. What others read in
    the directory meanwhile has one of the contents."""
    ended = threading.Event()
    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(seen_in, directory, ended) for _ in range(READERS if contents else 0)]
        try:
            results = act_at_once(act)
        finally:
            ended.set()
        wrong = set().union(*(reader.result() for reader in readers)) - set(contents)
    assert not wrong, {content[:20] for content in wrong}
    return results


def act_at_once(act):
    barrier = threading.Barrier(THREADS)

    def work(number):
        barrier.wait()
        try:
            return act(number) or "done"
        except OSError as error:
            return type(error).__name__

    with ThreadPoolExecutor(THREADS) as pool:
        return sorted(pool.map(work, range(THREADS)))


def race_to_create(d):
    return at_once(lambda n: os.close(os.open(d / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)))


def race_to_make_a_directory(d):
    return at_once(lambda n: os.mkdir(d / "d"))


def race_to_remove(d):
    (d / "f").write_bytes(b"x")
    return at_once(lambda n: os.unlink(d / "f"), d, [b"x"])


def race_to_take_away(d):
    (d / "f").write_bytes(b"x")
    results = at_once(lambda n: os.rename(d / "f", d / f"f{n}"), d, [b"x"])
    return results, len(os.listdir(d))


def race_to_take_a_directory_away(d):
    (d / "d").mkdir()
    (d / "d/f").write_bytes(b"x")
    results = at_once(lambda n: os.rename(d / "d", d / f"d{n}"), d, [b"x"])
    return results, [(name / "f").read_bytes() for name in d.iterdir()]


def race_to_replace(d):
    for n in range(THREADS):
        (d / f"f{n}").write_bytes(b"x" * (n + 1) * 1000)
    results = at_once(lambda n: os.rename(d / f"f{n}", d / "f"), d,
                      [b"x" * (n + 1) * 1000 for n in range(THREADS)])
    return results, os.listdir(d), set((d / "f").read_bytes())


def race_to_replace_what_is_not_there(d):
    def act(n):
        twin_side.rename(d / f"f{n}", d / "f", twin_side.NOREPLACE)

    for n in range(THREADS):
        (d / f"f{n}").write_bytes(b"x")
    return at_once(act, d, [b"x"]), len(os.listdir(d))


def race_to_append(d):
    def act(n):
        fd = os.open(d / "f", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        for i in range(50):
            os.write(fd, b"%d line %d\n" % (n, i))
        os.close(fd)

    return at_once(act), sorted((d / "f").read_bytes().splitlines())


def race_to_write_places(d):
    def act(n):
        fd = os.open(d / "f", os.O_CREAT | os.O_WRONLY)
        for i in range(n, 400, THREADS):
            os.pwrite(fd, b"%d" % n * 1000, i * 1000)
        os.close(fd)

    return at_once(act), (d / "f").read_bytes()


def race_to_fill_and_empty_a_directory(d):
    def act(n):
        for i in range(30):
            (d / f"{n}-{i}").write_bytes(b"x")
            if i % 3:
                (d / f"{n}-{i}").unlink()

    return at_once(act), sorted(os.listdir(d))


def race_of_creating_against_removing(d):
    (d / "d").mkdir()

    def act(n):
        if n % 2:
            os.rmdir(d / "d")
        else:
            (d / f"d/f{n}").write_bytes(b"x")

    at_once(act, d, [b"", b"x"])
    there = (d / "d").exists()
    # either all could create, or nobody after the removal; what could be created is there
    return there == bool(list(d.glob("d/*")))


RACES = [f for name, f in sorted(globals().items()) if name.startswith("race_")]


@pytest.mark.sanitize
@pytest.mark.clause("S7a", "S11")
@pytest.mark.parametrize("race", RACES, ids=lambda f: f.__name__)
def test_threads_that_meet_at_one_name_end_as_on_ext4(mount, ext4, race):
    m = mount()
    for i in range(15):
        results = []
        for side in (ext4, m.path):
            place = side / str(i)
            place.mkdir()
            results.append(race(place))
        assert results[0] == results[1]
    left = {p.relative_to(m): p.read_bytes() for p in m.path.glob("[0-9]*/**/*") if p.is_file()}
    m.remount()
    assert left == {p.relative_to(m): p.read_bytes()
                    for p in m.path.glob("[0-9]*/**/*") if p.is_file()}


# ------------------------------------------------------------------------ the test of the test

def twin_of_two_host_directories(ext4, seed):
    (ext4 / "one").mkdir()
    (ext4 / "other").mkdir()
    settings = SETTINGS._replace(groups=SETTINGS.groups - {"refused"}, deviations=(),
                                 shrink_seconds=5, mount_slack_ns=SLACK_NS)
    return Round(ext4 / "one", ext4 / "other", lambda: None, seed, settings).run()


def test_two_directories_of_the_host_do_not_differ(ext4):
    assert twin_of_two_host_directories(ext4, 1) is None


def nothing(*_):
    return None


def one_byte_less(run):
    return lambda side, slot, data, offset: run(side, slot, data, offset - 1 if offset > 0 else 0)


def refusing(error):
    def run(*_):
        raise OSError(error, "planted")
    return lambda _: run


@pytest.mark.parametrize("name, plant", [
    ("pwrite", one_byte_less), ("ftruncate", lambda _: nothing), ("punch", lambda _: nothing),
    ("unlink", refusing(1)), ("mkdir", refusing(28)), ("chmod", lambda _: nothing),
    ("setxattr", lambda _: nothing), ("futime", lambda _: nothing), ("rename", lambda _: nothing),
    ("map_closed", lambda _: nothing)])
def test_a_planted_difference_is_found_and_told_shortly(ext4, monkeypatch, name, plant):
    right = twin_ops.OPERATIONS[name]
    wrong = plant(right.run)

    def run(side, *args):
        return (wrong if side.is_mount else right.run)(side, *args)

    monkeypatch.setitem(twin_ops.OPERATIONS, name, right._replace(run=run))
    report = twin_of_two_host_directories(ext4, 2)
    assert report
    assert f"{name}(" in report
    assert "after, in an empty directory" in report
    assert report.count("\n    ") < 20
