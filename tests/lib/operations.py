# SPDX-License-Identifier: MIT OR Apache-2.0
"""A model of what commands show of operations, on the codec of the corpus; logs to show it of."""
import sys

import paths

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

FIXTURES = {name: files for name, files in corpus.all_fixtures().items()
            if any(corpus.SEGMENT_NAME.fullmatch(one) for one in files)}
# Each look at a torn tail takes a third of a second: some of them are enough.
THOSE = [name for name, files in FIXTURES.items() if corpus.read_log(files).verdict != "torn-tail"
         or name in ("truncated_tail", "intact_behind_bad_crc", "operation_partial",
                     "operation_void_then_partial", "operation_partial_of_two")]
STATUS = {"clean": 0, "torn-tail": 0, "hard-error": 3}
WHEN = b"1764072000.120000000"
SHOWN = "2025-11-25T12:00:00.12Z"


def make(directory, files):
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return directory


def one_segment(directory, *data):
    return make(directory, {"00000001.dwal": b"".join(data)})


def operations(records):
    """(header or None, its records, the first of all) of each operation, in order (FORMAT.md 9)."""
    found = []
    for record in records:
        header = corpus.header_of(record)
        if not header and found and found[-1][0] and found[-1][0].txid == record.txid:
            found[-1][1].append(record)
        else:
            found.append((header, [] if header else [record], record))
    return found


def says(header, name):
    """What a command shows of a header's line; none of these is longer than is shown."""
    values = [value.decode() for line, value in header.lines if line == name] if header else []
    return values[0] if values else None


def time_of(header):
    seconds = says(header, b"time")
    return {"1764072000.000000000": "2025-11-25T12:00:00Z", None: None}[seconds]


def rename(txid, *lines):
    return b"".join(corpus.operation(txid, corpus.put(b"b", b"old"), corpus.delete(b"a"),
                                     (corpus.RAW, b"b", b"of b"), lines=lines))


def a_rename(directory):
    """a=old, then the rename of a to b, then a plain Raw record."""
    return one_segment(directory, corpus.frames(corpus.put(b"a", b"old")),
                       rename(2, (b"time", WHEN), (b"mtime", b"1.000000000"), (b"op", b"rename")),
                       corpus.frames(corpus.raw(b"x"), first=3))


def lines_of(done):
    return done.stdout.decode().splitlines()
