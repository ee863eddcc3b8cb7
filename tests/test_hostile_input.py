# SPDX-License-Identifier: MIT OR Apache-2.0
"""No input crashes the library, and what it makes of any input is what FORMAT.md says.

Directories go to tests/programs/hostile.c, which reads each, opens it for writing, appends, and
prints a line. The same line is made here from corpus/gen_corpus.py, which shares no code with the
library. DATAWAL_HOSTILE_COUNT and DATAWAL_HOSTILE_SEED set the number of random directories and
where they start."""
import errno
import functools
import itertools
import os
import random
import struct
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zlib import adler32

import pytest

import deadline
import paths
import suspicion

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

# A sanitizer sees one in so many, which comes to each of a byte's bits: it needs five times as long.
SHARE = 23 if "ASAN_OPTIONS" in os.environ else 1
# the long run: DATAWAL_HOSTILE_COUNT=100000 and more
RANDOM_COUNT = int(os.environ.get("DATAWAL_HOSTILE_COUNT", "5000" if SHARE > 1 else "30000"))
SEED = int(os.environ.get("DATAWAL_HOSTILE_SEED", "20240229"))
CHUNK = 5000  # directories handed over at a time: a few MB
WORKERS = 2

# AddressSanitizer keeps freed memory to watch it: that of some directories will do, not of all.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
               ":quarantine_size_mb=4:thread_local_quarantine_size_kb=256"}

corpus.crc32c = functools.lru_cache(maxsize=1 << 16)(corpus.crc32c)
FIXTURES = corpus.all_fixtures()


@pytest.fixture
def scratch():
    """A directory, in memory where possible."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="datawal-hostile-", dir=place) as path:
        yield Path(path)


# --- what must be said -------------------------------------------------------

def stopped_at(log):
    hard = [one for one in log.damage if not one.torn]
    if not hard:
        return "ok"
    return f"corrupt:{hard[0].segment:08}:{hard[0].offset}:{hard[0].status}"


def after_writing(files, log):
    """Live values, what a put returns, and the files afterwards."""
    files = corpus.repaired(files)
    live = [f"{adler32(key):08x}:{adler32(r.payload):08x}"
            for key, r in log.live().items()]
    active = max((name for name in files if corpus.SEGMENT_NAME.fullmatch(name)),
                 default="00000001.dwal")
    files.setdefault(active, b"")
    txid = log.report["last_txid_seen"] + 1
    if txid > corpus.MAX_TXID:
        put = f"{-errno.EOVERFLOW} 0"
    else:
        put = "0 0"
        files[active] += corpus.encode(corpus.PUT, txid, b"new", b"value")
    return files, " ".join(["live", *live]), f"put {put}"


def verdict(files):
    log = corpus.read_log(files)
    stop = stopped_at(log)
    parts = [
        " ".join(["records", *(f"{r.segment:08}:{r.offset}:{r.length}:{r.type}:{r.txid}:"
                               f"{r.crc:08x}:{len(r.key)}" for r in log.records)]),
        f"stop {stop}",
        " ".join(["report", *map(str, [*log.report.values(), *log.more.values()])]),
        " ".join(["damage", *(f"{d.segment:08}:{d.offset}:{d.bytes}:{d.status}:{d.torn:d}"
                              for d in log.damage)]),
        " ".join(["side", *log.side_files]),
    ]
    if log.verdict == "hard-error":
        parts.append(f"open {stop}")
    else:
        behind = log.damage and log.report["intact_records_behind"]
        files, live, put = after_writing(files, log)
        parts += ["open behind ok" if behind else "open ok", live, put]
    parts.append(" ".join(["files", *(f"{name}:{len(data)}:{adler32(data):08x}"
                                      for name, data in sorted(files.items()))]))
    return " | ".join(parts)


# --- what is said ------------------------------------------------------------

def packed(files):
    out = [struct.pack("<I", len(files))]
    for name, data in files.items():
        out += [struct.pack("<II", len(name), len(data)), name.encode(), data]
    return b"".join(out)


def check_chunk(program, scratch, cases):
    """Hands all cases to the program and compares line by line. Gives their number."""
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        asked, told, trouble = (Path(place, name) for name in ("stdin", "stdout", "stderr"))
        logdir = Path(place, "log")
        logdir.mkdir()
        asked.write_bytes(b"".join(packed(files) for _, files in cases))
        with asked.open() as stdin, told.open("w") as stdout, trouble.open("w") as stderr:
            process = subprocess.Popen([program, logdir], stdin=stdin, stdout=stdout,
                                       stderr=stderr, env=ENVIRONMENT)
            deadline.cutters.append(process.kill)
            try:
                expected = [verdict(files) for _, files in cases]
                status = process.wait()
            finally:
                deadline.cutters.remove(process.kill)
                process.kill()
                process.wait()
        lines = told.read_text().splitlines()
        for (what, files), is_said, must_be_said in zip(cases, lines, expected):
            assert is_said == must_be_said, f"{what}\n{corpus.dump(files)}"
        suspicion.check("hostile", trouble.read_bytes())
        assert status == 0, (f"status {status}, after {len(lines)} of {len(cases)} directories: "
                             f"{cases[min(len(lines), len(cases) - 1)]}\n{trouble.read_text()}")
        assert len(lines) == len(cases)
    return len(cases)


def check(scratch, cases):
    """cases: (what it is, files) one after the other. Gives their number."""
    program, lock, cases = paths.program("tests/hostile"), threading.Lock(), iter(cases)

    def next_chunk():
        with lock:
            return list(itertools.islice(cases, CHUNK))

    def work():
        return sum(check_chunk(program, scratch, chunk) for chunk in iter(next_chunk, []))
    with ThreadPoolExecutor() as pool:
        return sum(worker.result() for worker in [pool.submit(work) for _ in range(WORKERS)])


# --- the inputs --------------------------------------------------------------

def segments_of(files):
    return [(name, data) for name, data in files.items() if corpus.SEGMENT_NAME.fullmatch(name)]


def truncations(fixtures):
    for fixture, files in fixtures.items():
        for name, data in segments_of(files):
            for size in range(len(data)):
                yield f"{fixture}/{name} cut to {size}", {**files, name: data[:size]}


def bit_flips():
    for fixture, files in FIXTURES.items():
        for name, data in segments_of(files):
            for bit in range(8 * len(data)):
                changed = bytearray(data)
                changed[bit // 8] ^= 1 << bit % 8
                yield f"{fixture}/{name} bit {bit}", {**files, name: bytes(changed)}


def zeroed_ranges():
    """Holes of every length at every place of the fixtures with a header across a boundary."""
    for fixture in ("hole_in_header_before", "hole_in_header_behind"):
        whole = FIXTURES[fixture]["00000001.dwal"]
        pad = len(corpus.valid_frames(whole, 1)[0][0].payload)
        data = corpus.frames(corpus.put(b"pad", bytes(pad)), corpus.put(b"kept", b"1"),
                             corpus.delete(b"k"))
        start = pad + 31
        for first in range(start - 2, start + 26):
            for end in range(first + 1, start + 28):
                hole = data[:first] + bytes(end - first) + data[end:]
                for size in (len(hole), end):
                    yield f"zeros from {first} to {end} of {size}", {"00000001.dwal": hole[:size]}


def operations():
    """Records that are header records to the letter, or nearly; foreign appends; holes."""
    behind = (b"", corpus.NOON[1], b"".join(corpus.NOON[1:3]), corpus.FOREIGN)
    for what, header in {**corpus.nearly_headers(), **corpus.odd_headers()}.items():
        for number, more in enumerate(behind):
            yield f"{what} ({number})", {"00000001.dwal": corpus.BEFORE + header + more}
    for what, data in corpus.foreign_appends():
        for cut in (0, 1, 30):
            yield f"{what}, cut by {cut}", {"00000001.dwal": data[:len(data) - cut]}
    for fixture, files in corpus.operation_fixtures().items():
        for name, data in files.items():
            for r in corpus.valid_frames(data, 1)[0]:
                hole = data[:r.offset] + bytes(r.length) + data[r.offset + r.length:]
                yield f"{fixture}/{name}, no record at {r.offset}", {**files, name: hole}


def random_frame(rng, txid):
    key = rng.randbytes(rng.choice((0, 1, 1, 2, 9)))
    payload = rng.randbytes(rng.choice((0, 1, 5, 20, 60)))
    if rng.random() < 0.1:
        payload = corpus.encode(corpus.PUT, txid, b"inner", payload)
    return corpus.encode(rng.randrange(3), rng.choice((txid, txid, txid, rng.getrandbits(64))),
                         key, payload)


def random_operation(rng, txid):
    """Whole or cut short, told the truth about or not; what comes behind makes it void, or not."""
    records = [(rng.choice((corpus.RAW, corpus.PUT, corpus.DELETE)), rng.choice((b"a", b"b")),
                rng.randbytes(rng.randrange(4))) for _ in range(rng.randrange(5))]
    lies = {"txid": txid + 1, "n": len(records) + 1, "bytes": 0, "crc": "00000000" * len(records)}
    told = [lie for lie in lies if rng.random() < 0.05]
    frames = corpus.operation(txid, *records, lines=[(b"op", rng.randbytes(3))],
                              **{lie: lies[lie] for lie in told})
    there = rng.choice((len(frames), rng.randrange(1, len(frames) + 1)))
    if rng.random() < 0.1:  # in another order
        rng.shuffle(frames)
    return frames[:there]


def random_header(rng):
    """Mostly right: each field can be another."""
    def unless(other, right):
        return other() if rng.random() < 0.15 else right
    lengths = (0, 1, 10, corpus.MAX_KEY, corpus.MAX_KEY + 1, corpus.MAX_PAYLOAD,
               corpus.MAX_PAYLOAD + 1, 2**31 - 1, 2**31, 2**32 - 28, 2**32 - 1)
    return b"".join([
        unless(lambda: rng.randbytes(4), corpus.MAGIC),
        corpus.le(unless(lambda: rng.getrandbits(16), 1), 2),
        corpus.le(unless(lambda: rng.getrandbits(8), rng.randrange(3)), 1),
        corpus.le(unless(lambda: rng.getrandbits(8), 0), 1),
        rng.randbytes(8),
        corpus.le(rng.choice(lengths), 4), corpus.le(rng.choice(lengths), 4)])


def random_segment(rng):
    parts = []
    for txid in range(1, rng.randrange(1, 6)):
        kind = rng.random()
        if kind < 0.50:
            parts.append(random_frame(rng, txid))
        elif kind < 0.70:
            parts += random_operation(rng, txid)
        elif kind < 0.80:
            parts.append(random_header(rng) + rng.randbytes(rng.randrange(20)))
        elif kind < 0.88:
            parts.append(bytes(rng.choice((1, 23, 24, 25, 100, 512))))
        elif kind < 0.94:
            parts.append(rng.randbytes(rng.randrange(1, 80)))
        else:  # so that the next header lies across a multiple of 512, or nearly
            have = sum(map(len, parts)) + 28
            parts.append(corpus.encode(corpus.RAW, txid, b"", bytes(
                -have % corpus.SECTOR + corpus.SECTOR - rng.randrange(26))))
    data = bytearray(b"".join(parts))
    if data and rng.random() < 0.3:
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    if len(data) > corpus.SECTOR and rng.random() < 0.5:  # a sector that was not written
        edge = rng.randrange(1, len(data) // corpus.SECTOR + 1) * corpus.SECTOR
        hole = rng.choice((slice(edge - rng.randrange(1, 30), edge),
                           slice(edge, min(edge + rng.randrange(1, 30), len(data)))))
        data[hole] = bytes(hole.stop - hole.start)
    if rng.random() < 0.3:
        del data[rng.randrange(len(data) + 1):]
    return bytes(data)


def random_directory(rng):
    ids = sorted(rng.sample(range(1, 12), rng.choice((1, 1, 1, 1, 2, 3))))
    return {f"{segment:08}.dwal": random_segment(rng) for segment in ids}


def random_directories():
    for number in range(SEED, SEED + RANDOM_COUNT):
        yield f"random directory {number}", random_directory(random.Random(number))


# --- the tests ---------------------------------------------------------------

def share(inputs):
    return itertools.islice(inputs, 0, None, SHARE)


as_the_format_says = pytest.mark.clause(
    "C2", "C3", "C7", "C8", "C10", "C11", "C12", "C13", "C14", "C16b", "C27")


# Enough of the operations to cut at every byte in a fast run: whole, void, partial.
CUT_FAST = {"operation", "operation_lines", "operation_void_then_partial",
            "operation_partial_then_torn"}
CUT_SLOWLY = corpus.operation_fixtures().keys() - CUT_FAST


@as_the_format_says
@pytest.mark.sanitize
@pytest.mark.deadline(300)
def test_every_truncation_of_a_fixture_is_judged_as_the_format_says(scratch):
    fixtures = {name: files for name, files in FIXTURES.items() if name not in CUT_SLOWLY}
    assert check(scratch, share(truncations(fixtures))) > 5000 // SHARE


@as_the_format_says
@pytest.mark.sanitize
@pytest.mark.slow
@pytest.mark.deadline(300)
def test_every_truncation_of_every_operation_is_judged_as_the_format_says(scratch):
    operations_cut = truncations({name: FIXTURES[name] for name in CUT_SLOWLY})
    assert check(scratch, share(operations_cut)) > 5000 // SHARE


@as_the_format_says
@pytest.mark.sanitize
@pytest.mark.slow
@pytest.mark.deadline(600)
def test_every_flipped_bit_of_every_fixture_is_judged_as_the_format_says(scratch):
    assert check(scratch, share(bit_flips())) > 40000 // SHARE


@as_the_format_says
@pytest.mark.sanitize
@pytest.mark.deadline(300)
def test_every_hole_across_a_sector_boundary_is_judged_as_the_format_says(scratch):
    assert check(scratch, zeroed_ranges()) > 1000


@as_the_format_says
@pytest.mark.sanitize
def test_operations_are_judged_as_the_format_says(scratch):
    assert check(scratch, operations()) > 500


@as_the_format_says
@pytest.mark.sanitize
@pytest.mark.slow
@pytest.mark.deadline(900)
def test_random_directories_are_judged_as_the_format_says(scratch):
    assert check(scratch, random_directories()) == RANDOM_COUNT


def test_random_directories_are_of_every_kind():
    """Else the test above shows little."""
    seen = {}
    for _, (_, files) in zip(range(4000), random_directories()):
        log = corpus.read_log(files)
        for one in log.damage:
            seen[one.status, one.torn] = seen.get((one.status, one.torn), 0) + 1
        for kind in (log.verdict, "behind" if log.report["intact_records_behind"] else "nothing"):
            seen[kind] = seen.get(kind, 0) + 1
    for status in corpus.STRUCTURAL:
        assert seen.get((status, False), 0) > 1, (status, seen)
    assert seen.get(("partial-operation", True), 0) > 100, seen
    for status in ("truncated", "bad-crc", "zeroed-header"):
        for torn in (True, False):
            assert seen.get((status, torn), 0) > 10, (status, seen)
    for kind in ("clean", "torn-tail", "hard-error", "behind"):
        assert seen[kind] > 300, seen
