#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A second reading of FORMAT.md, in plain Python: encoder, decoder, fixtures.

It shares nothing with the library and must not: what both say of the same
bytes is held against each other by the tests.

    gen_corpus.py OUTDIR      write all fixtures and their dumps
    gen_corpus.py --check     compare the frozen ones with what would be written
    gen_corpus.py --dump DIR  print a log directory as text
"""
import re
import sys
from pathlib import Path
from typing import NamedTuple

RAW, PUT, DELETE = 0, 1, 2
TYPE_NAMES = {RAW: "Raw", PUT: "Put", DELETE: "Delete"}
MAGIC = b"DWAL"
HEADER, TRAILER = 24, 4
MAX_KEY, MAX_PAYLOAD = 65536, 67108864
MAX_TXID = 2**64 - 1
SECTOR = 512

STRUCTURAL = {"bad-magic", "bad-version", "bad-type", "bad-flags", "key-too-long",
              "payload-too-long"}
BATCH_KEY, HORIZON_KEY, TAG_KEY = b"datawal.batch", b"datawal.horizon", b"datawal.tag"
MAX_N = 2**32
SEGMENT_NAME = re.compile(r"[0-9]{8}\.dwal", re.ASCII)
SIDE_FILE_NAME = re.compile(r"[0-9]{8}\.dwal\.torn-.*(?<!\.dwal-tmp)", re.ASCII)


# --- CRC and frames (FORMAT.md 1, 2) ---------------------------------------

def crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


CRC_TABLE = crc_table()


def crc32c(data):
    table, crc = CRC_TABLE, 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def le(value, size):
    return value.to_bytes(size, "little")


def unle(data):
    return int.from_bytes(data, "little")


def encode(rtype, txid, key, payload, version=1, flags=0, key_len=None, payload_len=None):
    """One frame; the last four arguments make it a wrong one with a right CRC."""
    key_len = len(key) if key_len is None else key_len
    payload_len = len(payload) if payload_len is None else payload_len
    head = (MAGIC + le(version, 2) + le(rtype, 1) + le(flags, 1) + le(txid, 8) +
            le(key_len, 4) + le(payload_len, 4) + key + payload)
    return head + le(crc32c(head), 4)


def frame_of(record):
    return encode(record.type, record.txid, record.key, record.payload)


class Record(NamedTuple):
    segment: int
    offset: int
    length: int
    type: int
    txid: int
    crc: int
    key: bytes
    payload: bytes


def power_cut_header(data, at):
    """Whether the 24 bytes at this offset of a segment are such as a power cut can leave."""
    head = data[at:at + HEADER]
    if not any(head):
        return True
    inside = -at % SECTOR  # how many bytes of the header lie before the boundary
    if not 0 < inside < HEADER:
        return False
    if not any(head[:inside]):
        kept = range(inside, HEADER)
    elif not any(head[inside:]):
        kept = range(inside)
    else:
        return False
    key_ok = unle(head[16:20]) <= MAX_KEY
    payload_ok = unle(head[20:24]) <= MAX_PAYLOAD

    def possible(i):
        if i < 6:
            return head[i] == b"DWAL\x01\x00"[i]
        if i == 6:
            return head[i] <= DELETE
        if i == 7:
            return head[i] == 0
        return i < 16 or (key_ok if i < 20 else payload_ok)
    return all(possible(i) for i in kept)


def decode(data, at):
    """(None, record without a segment) or (status, None)."""
    if len(data) - at < HEADER:
        return "truncated", None
    status = None
    key_len, payload_len = unle(data[at + 16:at + 20]), unle(data[at + 20:at + 24])
    if data[at:at + 4] != MAGIC:
        status = "bad-magic"
    elif unle(data[at + 4:at + 6]) != 1:
        status = "bad-version"
    elif data[at + 6] > DELETE:
        status = "bad-type"
    elif data[at + 7] != 0:
        status = "bad-flags"
    elif key_len > MAX_KEY:
        status = "key-too-long"
    elif payload_len > MAX_PAYLOAD:
        status = "payload-too-long"
    if status:
        return ("zeroed-header" if power_cut_header(data, at) else status), None
    length = HEADER + key_len + payload_len + TRAILER
    if len(data) - at < length:
        return "truncated", None
    end = at + length - TRAILER
    crc = unle(data[end:end + TRAILER])
    if crc32c(data[at:end]) != crc:
        return "bad-crc", None
    body = at + HEADER
    return None, Record(0, at, length, data[at + 6], unle(data[at + 8:at + 16]), crc,
                        data[body:body + key_len], data[body + key_len:end])


# --- operations, horizons, tags (FORMAT.md 9, 10) ---------------------------

NUMBER = rb"(0|[1-9][0-9]{0,19})"
VALUE = rb"(?:[\x20-\x24\x26-\x7e]|%[0-9A-F]{2})*"
LINES = rb"((?:[a-z][a-z0-9.-]*=VALUE\n)*)"


def form(text):
    """The expression for a payload: NUMBER, VALUE and LINES stand for those above."""
    for name, what in ((b"LINES", LINES), (b"NUMBER", NUMBER), (b"VALUE", VALUE)):
        text = text.replace(name, what)
    return re.compile(text)


BATCH = form(rb"datawal batch 1\ntxid=NUMBER\nn=NUMBER\nbytes=NUMBER\ncrc=([0-9a-f]*)\nLINES")
HORIZON = form(rb"datawal horizon 1\nlo=NUMBER\nhi=NUMBER\nLINES")
TAG = form(rb"datawal tag 1\nname=(VALUE)\ntxid=NUMBER\nLINES")


class Header(NamedTuple):
    txid: int
    n: int
    bytes: int
    crcs: list
    lines: list  # (name, value) each, the value as it was before it was escaped


def escaped(value):
    return b"".join(bytes([byte]) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte
                    for byte in value)


def unescaped(value):
    return re.sub(rb"%(..)", lambda digits: bytes.fromhex(digits[1].decode()), value)


def header_of(record):
    """The header that this record is, or None."""
    found = record.type == RAW and record.key == BATCH_KEY and BATCH.fullmatch(record.payload)
    if not found:
        return None
    txid, n, size = map(int, found.groups()[:3])
    digits, more = found[4].decode(), [line.split(b"=", 1) for line in found[5].split(b"\n")[:-1]]
    if txid != record.txid or n > MAX_N or size > MAX_TXID or len(digits) != 8 * n or \
            any(name in (b"txid", b"n", b"bytes", b"crc") for name, _ in more):
        return None
    return Header(txid, n, size, [int(digits[8 * i:8 * i + 8], 16) for i in range(n)],
                  [(name, unescaped(value)) for name, value in more])


def horizon_of(record):
    """(lo, hi) if this record is a horizon, or None."""
    found = record.type == RAW and record.key == HORIZON_KEY and HORIZON.fullmatch(record.payload)
    if not found or max(int(found[1]), int(found[2])) > MAX_TXID:
        return None
    return int(found[1]), int(found[2])


def tag_of(record):
    """(name, txid) if this record is a tag, or None."""
    found = record.type == RAW and record.key == TAG_KEY and TAG.fullmatch(record.payload)
    if not found or not found[1] or int(found[2]) > MAX_TXID:
        return None
    return unescaped(found[1]), int(found[2])


def header_payload(txid, followers, lines=(), /, **other):
    """What a header says of these frames; other: what it says instead."""
    said = {"txid": txid, "n": len(followers), "bytes": sum(map(len, followers)),
            "crc": "".join(f"{unle(one[-TRAILER:]):08x}" for one in followers), **other}
    own = "".join(f"{name}={value}\n" for name, value in said.items())
    return b"datawal batch 1\n" + own.encode() + b"".join(
        b"%b=%b\n" % (name, escaped(value)) for name, value in lines)


def operation(txid, /, *records, lines=(), **other):
    """The frames of one: the header's, then those of (type, key, payload) each."""
    followers = [encode(rtype, txid, key, payload) for rtype, key, payload in records]
    return [encode(RAW, txid, BATCH_KEY, header_payload(txid, followers, lines, **other)),
            *followers]


def cut_short(records):
    """Which of these, the valid frames of an active segment, is the header of a partial
    operation; None if there is none."""
    at = 0
    while at < len(records):
        header = header_of(records[at])
        if header and header.n >= 2:
            there = [(one.txid, one.crc) for one in records[at + 1:at + 1 + header.n]]
            announced = [(header.txid, crc) for crc in header.crcs]
            if there == announced:
                at += header.n  # none of these is judged
            elif there == announced[:len(there)]:
                return at
        at += 1
    return None


def txids_of(records):
    """In order, those of records that belong to an operation left out: they are its header's."""
    txids, operation_txid = [], None
    for record in records:
        is_header = header_of(record) is not None
        if is_header or record.txid != operation_txid:
            txids.append(record.txid)
            operation_txid = record.txid if is_header else None
    return txids


# --- a log (FORMAT.md 3, 4) ------------------------------------------------

class Damage(NamedTuple):
    segment: int
    offset: int
    bytes: int
    status: str
    torn: bool


class Log(NamedTuple):
    records: list   # those that are replayed
    damage: list
    side_files: list
    report: dict    # as the dumps, which are frozen, have it
    more: dict      # numbers that came later

    @property
    def verdict(self):
        if not self.damage:
            return "clean"
        return "torn-tail" if all(one.torn for one in self.damage) else "hard-error"

    def live(self):
        """key -> the Put that is its value."""
        fold = {}
        for record in self.records:
            if record.type == PUT:
                fold[record.key] = record
            elif record.type == DELETE:
                fold.pop(record.key, None)
        return dict(sorted(fold.items()))


def valid_frames(data, segment):
    """They, from the first byte on, and (offset, status) of what is behind them or None."""
    records, at = [], 0
    while at < len(data):
        status, record = decode(data, at)
        if status:
            return records, (at, status)
        records.append(record._replace(segment=segment))
        at += record.length
    return records, None


def intact_frames(data, at):
    """The valid frames that a search from this offset finds."""
    found = []
    while True:
        at = data.find(MAGIC, at)
        if at < 0:
            return found
        status, record = decode(data, at)
        found += [record] * (not status)
        at += 1 if status else record.length


def missing_txids(txids):
    """The sum of the gaps below each new highest txid, less those that came later."""
    missing = highest = gap_after = 0
    for txid in txids:
        if txid > highest:
            if not missing:
                gap_after = highest
            missing += txid - highest - 1
            highest = txid
        elif missing and gap_after < txid < highest:
            missing -= 1
    return missing


def longest_valid_prefix(data, segment, active):
    """Its records; (offset, status) of the damage behind it or None; what is intact there."""
    records, stop = valid_frames(data, segment)
    if active and not (stop and stop[1] in STRUCTURAL):
        at = cut_short(records)
        if at is not None:
            cut = records[at]
            behind = intact_frames(data, stop[0] + 1) if stop else []
            return (records[:at], (cut.offset, "partial-operation"),
                    [one for one in behind if one.txid != cut.txid])
    return records, stop, intact_frames(data, stop[0] + 1) if stop else []


def read_log(files):
    """files: name -> content of what lies in a directory."""
    segments = {int(name[:8]): data for name, data in files.items()
                if SEGMENT_NAME.fullmatch(name)}
    replayed, damages, behind = [], [], []
    for segment in sorted(segments):
        data = segments[segment]
        records, stop, intact = longest_valid_prefix(data, segment, segment == max(segments))
        if damages:
            behind += records
        else:
            replayed += records
        if stop:
            offset, status = stop
            torn = segment == max(segments) and status not in STRUCTURAL
            damages.append(Damage(segment, offset, len(data) - offset, status, torn))
            behind += intact
    txids = txids_of(replayed)
    tails = [one for one in damages if one.torn]
    hard = [one for one in damages if not one.torn]
    wrong_version = sum(one.status == "bad-version" for one in hard)
    report = {
        "files_scanned": len(segments),
        "records_replayed": len(replayed),
        "tail_truncated": len(tails),
        "tail_bytes_discarded": sum(one.bytes for one in tails),
        "mid_stream_errors": len(hard) - wrong_version,
        "unsupported_versions": wrong_version,
        "last_txid_seen": max((one.txid for one in replayed), default=0),
        "raw_records": sum(one.type == RAW for one in replayed),
        "txids_out_of_order": sum(b <= a for a, b in zip(txids, txids[1:])),
        "intact_records_behind": len(behind),
    }
    more = {
        "intact_bytes_behind": sum(one.length for one in behind),
        "intact_lowest_txid": min((one.txid for one in behind), default=0),
        "intact_highest_txid": max((one.txid for one in behind), default=0),
        "txids_missing": missing_txids(txids),
    }
    side_files = sorted(name for name in files if SIDE_FILE_NAME.fullmatch(name))
    return Log(replayed, damages, side_files, report, more)


def repaired(files):
    """What opening for writing leaves of a directory: the torn tail moved to a side file, no
    temporary files. A log with a hard error stays as it is."""
    log = read_log(files)
    if log.verdict == "hard-error":
        return dict(files)
    files = {name: data for name, data in files.items() if not name.endswith(".dwal-tmp")}
    if log.verdict == "clean":
        return files
    tail = log.damage[0]
    name = f"{tail.segment:08}.dwal"
    side, n = f"{name}.torn-{tail.offset}", 1
    while side in files:
        n += 1
        side = f"{name}.torn-{tail.offset}.{n}"
    kept, cut_off = files[name][:tail.offset], files[name][tail.offset:]
    return {**files, name: kept, side: cut_off}


# --- text ------------------------------------------------------------------

def quoted(data):
    """Printable ASCII as it is, the rest, the quote and the backslash as \\xNN."""
    return '"' + "".join(chr(b) if 0x20 <= b < 0x7F and b not in b'"\\' else f"\\x{b:02x}"
                         for b in data) + '"'


def dump(files):
    log = read_log(files)
    lines = [f"record {r.segment:08} {r.offset} {r.length} {TYPE_NAMES[r.type]} {r.txid} "
             f"{quoted(r.key)} {quoted(r.payload)}" for r in log.records]
    if log.verdict != "hard-error":
        lines += [f"live {quoted(key)} {r.segment:08} {r.offset} {len(r.payload)}"
                  for key, r in log.live().items()]
    lines += [f"damage {d.segment:08} {d.offset} {d.bytes} {d.status} "
              f"{'torn-tail' if d.torn else 'hard-error'}" for d in log.damage]
    lines += [f"side-file {name}" for name in log.side_files]
    lines += [f"{field} {value}" for field, value in log.report.items()]
    return "\n".join([*lines, f"verdict {log.verdict}", ""])


def says(files):
    """The same in a few words, for the table in README.md."""
    log = read_log(files)
    n = len(log.records)
    words = [f"{n} record{'' if n == 1 else 's'}"]
    words += [f"{d.segment:08} at {d.offset}: {d.status}, "
              f"{'torn tail' if d.torn else 'hard error'}" for d in log.damage]
    behind = log.report["intact_records_behind"]
    return "; ".join(words + [f"{behind} intact behind"] * (behind > 0))


def reserved(record):
    """Whether a writer must refuse to write it for a caller."""
    return (record.type == RAW and record.key == BATCH_KEY
            and record.payload.startswith(b"datawal batch 1\n"))


def written(records):
    """What a writer did that wrote these: (records, header or None) of each thing that it wrote,
    records without the header's; None if a writer does not write so."""
    steps, at = [], 0
    while at < len(records):
        header = header_of(records[at])
        these = records[at + bool(header):at + 1 + (header.n if header else 0)]
        if header and records[at].payload != header_payload(
                len(steps) + 1, [frame_of(one) for one in these], header.lines):
            return None
        if header and (not these or len(these) == 1 and not header.lines):
            return None
        if {one.txid for one in these} != {len(steps) + 1} or any(map(reserved, these)):
            return None
        steps.append((these, header))
        at += len(these) + bool(header)
    return steps


def writable(files):
    """Whether a writer would write these segments: whole, txids 1, 2, 3 ..."""
    log = read_log(files)
    return (log.verdict == "clean" and bool(any(SEGMENT_NAME.fullmatch(name) for name in files))
            and written(log.records) is not None)


def tested(files):
    """The tests that README.md must name for a fixture."""
    opening = {"clean": [], "torn-tail": ["repair"], "hard-error": ["refuse"]}
    return ["read"] + ["write"] * writable(files) + opening[read_log(files).verdict]


# --- the fixtures ----------------------------------------------------------

def frames(*records, first=1):
    """(type, key, payload) each, txids rising from first, one frame after the other."""
    return b"".join(encode(rtype, txid, key, payload)
                    for txid, (rtype, key, payload) in enumerate(records, first))


def raw(payload):
    return RAW, b"", payload


def put(key, value):
    return PUT, key, value


def delete(key):
    return DELETE, key, b""


def one(*records):
    return {"00000001.dwal": frames(*records)}


def flipped(data, at, mask):
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1:]


def overwritten(data, at, new):
    return data[:at] + new + data[at + len(new):]


def reference_fixtures():
    """The six that the reference implementation ships."""
    corrupt = flipped(frames(raw(b"this-will-be-corrupted"), first=2), HEADER + 5, 0xFF)
    return {
        "valid_log": one(raw(b"alpha"), raw(b"beta"), raw(b"gamma")),
        "truncated_tail": {"00000001.dwal": frames(raw(b"one"), raw(b"two"), raw(b"three"))[:-5]},
        "bad_crc": {"00000001.dwal": frames(raw(b"good")), "00000002.dwal": corrupt,
                    "00000003.dwal": frames(raw(b"after"), first=3)},
        "unknown_version": {"00000001.dwal": overwritten(frames(raw(b"first")), 4,
                                                         le(0xCAFE, 2))},
        "delete_tombstone": one(put(b"alpha", b"1"), put(b"beta", b"2"), put(b"alpha", b"3"),
                                delete(b"beta")),
        "compact_to_output": one(put(b"keep", b"final"), put(b"other", b"value")),
    }


def valid_fixtures():
    """What a reader must accept."""
    binary = [bytes(range(256)), b"\x00", b"\xff\xfe", b"line\nbreak", b"tab\tquote\"back\\slash",
              "Stra\u00dfe/\u65e5\u672c".encode(), b"/", b"../..", b" "]
    second = frames(put(b"a", b"2"), raw(b"x"), first=2)
    return {
        "empty_segment": {"00000001.dwal": b""},
        "empty_records": one(raw(b"")),
        "binary_keys": one(*[put(key, key[::-1]) for key in binary]),
        "empty_keys": one(put(b"", b"first"), put(b"a", b"1"), put(b"", b"second"),
                          delete(b"a"), put(b"b", b""), delete(b""), put(b"", b"third")),
        "empty_values": one(put(b"full", b"x"), put(b"empty", b""), put(b"full", b"")),
        "several_live_keys": one(put(b"b", b"1"), put(b"ab", b"2"), put(b"a", b"3"),
                                 put(b"\xc3\xa9", b"4"), put(b"B", b"5"), put(b"a/b", b"6"),
                                 put(b"a b", b"7"), put(b"b", b"8"), delete(b"ab"),
                                 raw(b"between"), delete(b"absent"), put(b"ab", b"9"),
                                 delete(b"B")),
        "raw_with_key": one(put(b"a", b"1"), (RAW, b"a", b"not a value"), (RAW, b"b", b"")),
        "delete_with_payload": one(put(b"a", b"1"), put(b"b", b"2"),
                                   (DELETE, b"a", b"no reason to look at this")),
        "frame_in_a_value": one(put(b"copy", frames(put(b"inner", b"1"))), put(b"after", b"2")),
        "segments": {"00000001.dwal": frames(put(b"a", b"1")), "00000002.dwal": second,
                     "00000003.dwal": frames(delete(b"a"), put(b"b", b"3"), first=4)},
        "segment_gaps": {"00000002.dwal": frames(put(b"a", b"1")),
                         "00000009.dwal": second,
                         "00000010.dwal": frames(put(b"a", b"3"), first=4)},
        "empty_segments": {"00000001.dwal": b"", "00000002.dwal": frames(put(b"a", b"1")),
                           "00000003.dwal": b"", "00000004.dwal": b"",
                           "00000005.dwal": second, "00000006.dwal": b""},
        "first_and_last_id": {"00000000.dwal": frames(put(b"a", b"1")),
                              "99999999.dwal": second},
        "no_segment": {"notes.txt": b"A directory without a segment is an empty log.\n"},
        "foreign_files": {
            **one(put(b"a", b"1"), put(b"b", b"2")),
            "notes.txt": b"Not part of the log.\n",
            "0000002.dwal": frames(put(b"a", b"seven digits")),
            "000000002.dwal": frames(put(b"a", b"nine digits")),
            "0000000a.dwal": frames(put(b"a", b"a letter")),
            "00000002.DWAL": frames(put(b"a", b"capitals")),
            "00000002.dwal.bak": frames(put(b"a", b"a copy")),
            "00000002.dwal.torn": frames(put(b"a", b"no side file")),
            "0000002.dwal.torn-33": frames(put(b"a", b"seven digits again")),
        },
        "temporary_file": {
            **one(put(b"a", b"1"), put(b"b", b"2")),
            "00000001.dwal.dwal-tmp": frames(put(b"a", b"half-made"))[:20],
            "00000001.dwal.torn-60.dwal-tmp": frames(put(b"c", b"3"), first=3)[:20],
        },
        "side_files": {
            **one(put(b"a", b"1"), put(b"b", b"2")),
            "00000001.dwal.torn-60": frames(put(b"c", b"3"), first=3)[:20],
            "00000001.dwal.torn-60.2": frames(put(b"c", b"4"), first=3),
        },
        "txids_out_of_order": {"00000001.dwal": b"".join([
            encode(PUT, 7, b"a", b"first"), encode(PUT, 7, b"b", b"equal"),
            encode(PUT, 3, b"c", b"falling"), encode(RAW, 4, b"", b"rising again"),
            encode(DELETE, 0, b"b", b"")])},
        "txid_highest": {"00000001.dwal": encode(PUT, 1, b"a", b"1") +
                         encode(PUT, MAX_TXID, b"a", b"2")},
    }


FIRST = frames(put(b"kept", b"1"))
SECOND = frames(put(b"lost", b"2"), first=2)
THIRD = frames(put(b"behind", b"3"), first=3)


def torn_fixtures():
    """Damage in the active segment that a crash can leave."""
    before = frames(put(b"pad", bytes(500 - 31)))  # so that the next header spans offset 512
    later = frames(put(b"pad", bytes(508 - 31)))
    active = {
        "zero_tail": FIRST + bytes(100),
        "zero_tail_short": FIRST + bytes(23),
        "zero_from_start": bytes(64),
        "hole_before_intact": FIRST + bytes(len(SECOND)) + THIRD,
        "hole_in_header_before": before + bytes(12) + SECOND[12:] + THIRD,
        "hole_in_header_behind": later + SECOND[:4] + bytes(len(SECOND) - 4) + THIRD,
        "hole_in_payload": FIRST + overwritten(SECOND, HEADER + 2, bytes(3)),
        "torn_crc": FIRST + SECOND[:-1],
        "bad_crc_tail": FIRST + flipped(SECOND, HEADER, 1),
        "bad_crc_first": flipped(FIRST, len(FIRST) - 1, 0x80),
        "intact_behind_torn": FIRST + frames(put(b"lost", bytes(99)), first=2)[:40] + THIRD,
        "intact_with_frame_behind": FIRST + SECOND[:30] + frames(put(b"copy", FIRST), first=3),
        "intact_behind_bad_crc": FIRST + SECOND[:30] + THIRD + THIRD,
    }
    fixtures = {name: {"00000001.dwal": data} for name, data in active.items()}
    for n in range(1, HEADER):
        fixtures[f"torn_header/{n:02}"] = {"00000001.dwal": FIRST + SECOND[:n]}
    fixtures["torn_active_of_three"] = {"00000001.dwal": FIRST, "00000002.dwal": SECOND,
                                        "00000003.dwal": THIRD[:-1]}
    fixtures["torn_segment_zero"] = {"00000000.dwal": FIRST + SECOND[:-1]}
    fixtures["torn_with_side_file"] = {"00000001.dwal": FIRST + SECOND[:25],
                                       f"00000001.dwal.torn-{len(FIRST)}": b"an earlier tail"}
    return fixtures


def hard_fixtures():
    """Damage that no crash explains."""
    before = frames(put(b"pad", bytes(500 - 31)))
    earlier = frames(put(b"pad", bytes(480 - 31)))
    wrong_rest = overwritten(SECOND, 16, le(MAX_KEY + 1, 4))
    bad = {
        "bad_magic": FIRST + overwritten(SECOND, 0, b"DWAM") + THIRD,
        "bad_magic_first": b"#!/bin/sh\necho this is not a segment\n",
        "version_zero": FIRST + encode(PUT, 2, b"lost", b"2", version=0),
        "unknown_type": FIRST + encode(3, 2, b"lost", b"2"),
        "flags_set": FIRST + encode(PUT, 2, b"lost", b"2", flags=1) + THIRD,
        "key_too_long": FIRST + encode(PUT, 2, b"lost", b"2", key_len=MAX_KEY + 1),
        "payload_too_long": FIRST + encode(PUT, 2, b"lost", b"2", payload_len=MAX_PAYLOAD + 1),
        "lengths_highest": FIRST + encode(PUT, 2, b"lost", b"2", key_len=2**32 - 1,
                                          payload_len=2**32 - 1),
        "hole_off_boundary": earlier + bytes(12) + SECOND[12:],
        "hole_beside_wrong_bytes": before + bytes(12) + wrong_rest[12:],
    }
    fixtures = {name: {"00000001.dwal": data} for name, data in bad.items()}
    fixtures["bad_magic_segment_zero"] = {"00000000.dwal": bad["bad_magic"],
                                          "00000001.dwal": THIRD}
    sealed = {
        "sealed_torn": FIRST + SECOND[:-3],
        "sealed_torn_header": FIRST + SECOND[:10],
        "sealed_zero_tail": FIRST + bytes(40),
        "sealed_bad_magic": FIRST + b"X" * 30,
    }
    for name, data in sealed.items():
        fixtures[name] = {"00000001.dwal": data, "00000002.dwal": THIRD}
    fixtures["sealed_and_tail"] = {"00000001.dwal": FIRST + SECOND[:-3],
                                   "00000002.dwal": SECOND + bytes(7), "00000003.dwal": THIRD,
                                   "00000004.dwal": THIRD + bytes(30)}
    return fixtures


BEFORE = frames(put(b"a", b"old"))  # txid 1
THREE = (put(b"b", b"old"), delete(b"a"), (RAW, b"b", b"of b"))  # a rename, as it were
AT_NOON = [(b"time", b"1764072000.000000000"), (b"op", b"rename")]
NOON = operation(2, *THREE, lines=AT_NOON)
# Behind a partial operation, by a writer that knows none: its txid is the highest plus one.
FOREIGN = encode(DELETE, 3, b"b", b"")


def odd_headers():
    """What is odd about it -> a record that is the header of two records all the same."""
    right = header_payload(2, NOON[1:3])
    size = right.split(b"bytes=")[1].split(b"\n")[0]
    payloads = {
        "bytes 2^64 - 1": right.replace(b"=" + size, b"=%d" % MAX_TXID),
        "bytes 0": right.replace(b"=" + size, b"=0"),
        "an empty value": right + b"op=\n",
        "a value with =": right + b"op==a=b=\n",
        "an escape that was not needed": right + b"op=%41%20%25\n",
        "NUL and LF, escaped": right + b"op=%00%0A\n",
        "a name twice": right + b"op=1\nop=2\n",
        "a name of one letter": right + b"a=1\n",
        "a name of 1000 bytes": right + b"a" * 1000 + b"=1\n",
        "names that begin with those of others": right + b"n1=1\ntxid.=1\nbytes-=1\ncrc2=1\n",
    }
    return {what: encode(RAW, 2, BATCH_KEY, payload) for what, payload in payloads.items()}


def nearly_headers():
    """What is wrong with it -> a record that would be a header of two records, were it not."""
    right = header_payload(2, NOON[1:3], [(b"op", b"rename")])
    last = right.rindex(b"op=")
    crc = right.split(b"crc=")[1].split(b"\n")[0]
    payloads = {
        "another first line": right.replace(b"batch 1", b"batch 2"),
        "a space behind the first line": right.replace(b"batch 1", b"batch 1 "),
        "CR LF": right.replace(b"\n", b"\r\n"),
        "no first line": right.split(b"\n", 1)[1],
        "only the first line": b"datawal batch 1\n",
        "no payload": b"",
        "another txid": right.replace(b"txid=2", b"txid=3"),
        "a needless zero in txid": right.replace(b"txid=2", b"txid=02"),
        "a sign in txid": right.replace(b"txid=2", b"txid=+2"),
        "a space in txid": right.replace(b"txid=2", b"txid= 2"),
        "txid 2^64 + 2": right.replace(b"txid=2", b"txid=%d" % (2**64 + 2)),
        "no txid": right.replace(b"txid=2\n", b""),
        "n without digits": right.replace(b"n=2", b"n="),
        "a needless zero in n": right.replace(b"n=2", b"n=02"),
        "n one less than the CRCs": right.replace(b"n=2", b"n=1"),
        "n one more than the CRCs": right.replace(b"n=2", b"n=3"),
        "n 2^64 + 2": right.replace(b"n=2", b"n=%d" % (2**64 + 2)),
        "n 2^61 + 2": right.replace(b"n=2", b"n=%d" % (2**61 + 2)),
        "n hexadecimal": right.replace(b"n=2", b"n=0x2"),
        "a needless zero in bytes": right.replace(b"bytes=", b"bytes=0"),
        "bytes 2^64": right.replace(right.split(b"bytes=")[1].split(b"\n")[0], b"%d" % 2**64),
        "bytes before n": b"datawal batch 1\ntxid=2\nbytes=58\nn=2\ncrc=" + crc + b"\n",
        "no bytes": b"datawal batch 1\ntxid=2\nn=2\ncrc=" + crc + b"\n",
        "no crc": right.replace(b"crc=" + crc + b"\n", b""),
        "a CRC without its last digit": right.replace(crc, crc[:-1]),
        "a CRC with one digit more": right.replace(crc, crc + b"0"),
        "a CRC in upper case": right.replace(crc, crc[:-1] + b"A"),
        "a CRC with a space": right.replace(crc, crc[:8] + b" " + crc[9:]),
        "no LF at the end": right[:-1],
        "one LF more": right + b"\n",
        "more behind the last LF": right + b"x",
        "a line without =": right[:last] + b"op\n",
        "a line without a name": right[:last] + b"=rename\n",
        "a name in capitals": right[:last] + b"Op=rename\n",
        "a name that begins with a digit": right[:last] + b"1op=rename\n",
        "a name with _": right[:last] + b"o_p=rename\n",
        "a name with a space": right[:last] + b"op =rename\n",
        "a NUL in a value": right[:last] + b"op=\0\n",
        "a TAB in a value": right[:last] + b"op=\t\n",
        "a byte above 0x7e in a value": right[:last] + b"op=\x7f\n",
        "UTF-8 in a value": right[:last] + b"op=\xc3\xa9\n",
        "a lone % in a value": right[:last] + b"op=100%\n",
        "a % and one digit": right[:last] + b"op=%0\n",
        "a % and lower case": right[:last] + b"op=%0a\n",
    }
    for name in (b"txid", b"n", b"bytes", b"crc"):
        payloads[f"{name.decode()} a second time"] = right + name + b"=2\n"
    near = {what: encode(RAW, 2, BATCH_KEY, payload) for what, payload in payloads.items()}
    near["a Put"] = encode(PUT, 2, BATCH_KEY, right)
    near["a Delete"] = encode(DELETE, 2, BATCH_KEY, right)
    near["no key"] = encode(RAW, 2, b"", right)
    near["a key with one byte more"] = encode(RAW, 2, BATCH_KEY + b"\0", right)
    near["a key in capitals"] = encode(RAW, 2, b"DATAWAL.BATCH", right)
    return near


def whole_operations():
    """Operations, and what only looks like one: nothing is cut because of any of them."""
    odd = [(b"note", b"100 %, \x01 to \xff, a\nb"), (b"empty", b""), (b"x-1.y", b"="),
           (b"note", b"a second line of this name")]
    of_one = operation(2, put(b"a", b"new"), lines=AT_NOON)
    kept = [encode(rtype, 2, key, payload) for rtype, key, payload in THREE[:2]]
    inner = encode(RAW, 2, BATCH_KEY, header_payload(2, [FOREIGN, FOREIGN]))
    attributes = b"datawalfs.attr 1\ntype=file\nmode=0600\nuid=1000\n"
    dense = [encode(rtype, txid, key, payload) for txid, (rtype, key, payload)
             in enumerate(THREE, 3)]
    other_crc = NOON[1][-TRAILER:]  # the CRC of the first, for all three
    active = {
        "operation": [BEFORE, *NOON, encode(PUT, 3, b"c", b"3")],
        "operations": [*operation(1, *THREE), *operation(2, put(b"a", b"1"), put(b"c", b"2")),
                       *operation(3, delete(b"c"), delete(b"c"))],
        "operation_lines": [BEFORE, *operation(2, *THREE[:2], lines=odd)],
        "operation_of_one": [BEFORE, *of_one],
        "operation_of_one_cut": [BEFORE, of_one[0]],
        "operation_of_none": [BEFORE, encode(RAW, 2, BATCH_KEY, header_payload(2, [], AT_NOON)),
                              *kept, encode(PUT, 3, b"c", b"3")],
        "operation_out_of_order": [encode(PUT, 5, b"a", b"1"), *operation(2, *THREE)],
        "operation_void": [BEFORE, *NOON[:2], FOREIGN],
        "operation_void_at_once": [BEFORE, NOON[0], FOREIGN],
        "operation_void_then_whole": [BEFORE, *NOON[:2],
                                      *operation(3, put(b"c", b"1"), put(b"d", b"2"))],
        "header_lies_n_less": [BEFORE, *operation(2, *THREE[:1]), *kept[1:]],
        "header_lies_n_and_crc": [BEFORE, *operation(2, *THREE, n=4)[:2]],
        "header_lies_bytes": [BEFORE, *operation(2, *THREE, bytes=1)],
        "header_lies_crc": [BEFORE, *operation(2, *THREE, crc=f"{unle(other_crc):08x}" * 3)[:3]],
        "header_lies_txid": [BEFORE, *operation(2, *THREE, txid=1)[:1]],
        "header_of_other_txids": [BEFORE, encode(RAW, 2, BATCH_KEY, header_payload(2, dense)),
                                  dense[0]],
        "header_inside_operation": [BEFORE, *operation(2, put(b"c", b"1"),
                                                       (RAW, BATCH_KEY, header_payload(
                                                           2, [FOREIGN, FOREIGN])))],
        "batch_key": [BEFORE, frames((RAW, BATCH_KEY, b"a batch of something else\n"), first=2)],
        "batch_key_attributes": [frames((RAW, BATCH_KEY, attributes), put(BATCH_KEY, b"a file"),
                                        (RAW, BATCH_KEY, attributes))],
        "horizon_and_tag": [BEFORE, frames(
            (RAW, HORIZON_KEY, b"datawal horizon 1\nlo=1\nhi=2\n"),
            (RAW, TAG_KEY, b"datawal tag 1\nname=before the move, 100%25\ntxid=1\n"),
            (RAW, HORIZON_KEY, b"a horizon of something else\n"), (RAW, TAG_KEY, b""), first=2)],
    }
    assert inner in active["header_inside_operation"]
    sealed = {
        "operation_sealed_partial": {"00000001.dwal": BEFORE + b"".join(NOON[:2]),
                                     "00000002.dwal": FOREIGN},
        "operation_sealed_by_empty": {"00000001.dwal": BEFORE + b"".join(NOON[:3]),
                                      "00000002.dwal": b""},
    }
    return {**{name: {"00000001.dwal": b"".join(data)} for name, data in active.items()}, **sealed}


def partial_operations():
    """Operations of which a crash has left a part: the log ends before their header."""
    hole = bytes(len(NOON[1]))
    active = {
        "operation_partial_header": [BEFORE, NOON[0]],
        "operation_partial": [BEFORE, *NOON[:3]],
        "operation_partial_torn": [BEFORE, *NOON[:2], NOON[2][:-3]],
        "operation_partial_hole": [BEFORE, NOON[0], hole, *NOON[2:]],
        "operation_partial_then_torn": [BEFORE, *NOON[:2], NOON[2][:-3], FOREIGN],
        "operation_partial_first": operation(1, *THREE)[:3],
        "operation_void_then_partial": [BEFORE, *NOON[:2], *operation(3, *THREE)[:2]],
        "header_lies_n_more": [BEFORE, *operation(2, *THREE, n=4, crc="".join(
            f"{unle(one[-TRAILER:]):08x}" for one in [*NOON[1:], FOREIGN]))],
        "header_lies_bytes_partial": [BEFORE, *operation(2, *THREE, bytes=len(NOON[1]))[:2]],
    }
    return {**{name: {"00000001.dwal": b"".join(data)} for name, data in active.items()},
            "operation_partial_of_two": {"00000001.dwal": BEFORE,
                                         "00000002.dwal": b"".join(NOON[:2])}}


def foreign_appends():
    """(what it is, segment 1) for each place at which a writer that knows no operations may have
    found the end of one, and appended a record of its own."""
    for name, files in whole_operations().items():
        data = files["00000001.dwal"]
        records, _ = valid_frames(data, 1)
        for n, record in enumerate(records, 1):
            txid = max(one.txid for one in records[:n]) + 1
            yield (f"{name}, foreign behind record {n}",
                   data[:record.offset + record.length] + encode(PUT, txid, b"foreign", b"1"))


def operation_fixtures():
    return {**whole_operations(), **partial_operations(),
            "operation_bad_magic": {"00000001.dwal": BEFORE + b"".join(NOON[:2]) + b"X" * 30},
            "operation_partial_and_sealed": {"00000001.dwal": BEFORE[:-3],
                                             "00000002.dwal": BEFORE + b"".join(NOON[:3])}}


def all_fixtures():
    """Name -> (file name -> content)."""
    return {**reference_fixtures(), **valid_fixtures(), **torn_fixtures(), **hard_fixtures(),
            **operation_fixtures()}


# --- the program -----------------------------------------------------------

def expected_files():
    """Path below corpus/ -> content, dumps included."""
    out = {}
    for name, files in all_fixtures().items():
        out.update({f"{name}/{file}": data for file, data in files.items()})
        out[f"{name}.dump.txt"] = dump(files).encode()
    return out


def frozen_files(corpus):
    """The same of what is there: everything but this directory's own documents."""
    return {str(path.relative_to(corpus)): path.read_bytes() for path in corpus.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
            and (path.parent != corpus or path.name.endswith(".dump.txt"))}


def read_directory(path):
    return {one.name: one.read_bytes() for one in Path(path).iterdir() if one.is_file()}


def write(outdir):
    for name, data in expected_files().items():
        path = Path(outdir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def check(corpus):
    """Lines that say what differs; none when all is as it should be."""
    expected, frozen = expected_files(), frozen_files(corpus)
    lines = [f"{name}: not there" for name in expected.keys() - frozen.keys()]
    lines += [f"{name}: belongs to no fixture" for name in frozen.keys() - expected.keys()]
    lines += [f"{name}: differs" for name in expected.keys() & frozen.keys()
              if expected[name] != frozen[name]]
    return sorted(lines)


def main(args):
    if args == ["--check"]:
        trouble = check(Path(__file__).resolve().parent)
        for line in trouble:
            print(line, file=sys.stderr)
        return 1 if trouble else 0
    if len(args) == 2 and args[0] == "--dump":
        sys.stdout.write(dump(read_directory(args[1])))
        return 0
    if len(args) == 1 and not args[0].startswith("-"):
        write(args[0])
        return 0
    print(__doc__.split("\n\n")[-1].rstrip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
