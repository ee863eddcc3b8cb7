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


def longest_valid_prefix(data, segment):
    """Its records, and (offset, status) of the damage behind it or None."""
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


def missing_txids(records):
    """The sum of the gaps below each new highest txid, less those that came later."""
    missing = highest = gap_after = 0
    for txid in (record.txid for record in records):
        if txid > highest:
            if not missing:
                gap_after = highest
            missing += txid - highest - 1
            highest = txid
        elif missing and gap_after < txid < highest:
            missing -= 1
    return missing


def read_log(files):
    """files: name -> content of what lies in a directory."""
    segments = {int(name[:8]): data for name, data in files.items()
                if SEGMENT_NAME.fullmatch(name)}
    replayed, damages, behind = [], [], []
    for segment in sorted(segments):
        data = segments[segment]
        records, stop = longest_valid_prefix(data, segment)
        if damages:
            behind += records
        else:
            replayed += records
        if stop:
            offset, status = stop
            torn = segment == max(segments) and status not in STRUCTURAL
            damages.append(Damage(segment, offset, len(data) - offset, status, torn))
            behind += intact_frames(data, offset + 1)
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
        "txids_out_of_order": sum(b.txid <= a.txid for a, b in zip(replayed, replayed[1:])),
        "intact_records_behind": len(behind),
    }
    more = {
        "intact_bytes_behind": sum(one.length for one in behind),
        "intact_lowest_txid": min((one.txid for one in behind), default=0),
        "intact_highest_txid": max((one.txid for one in behind), default=0),
        "txids_missing": missing_txids(replayed),
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


def writable(files):
    """Whether a writer would write these segments: whole, txids 1, 2, 3 ..."""
    log = read_log(files)
    return (log.verdict == "clean" and bool(any(SEGMENT_NAME.fullmatch(name) for name in files))
            and [one.txid for one in log.records] == list(range(1, len(log.records) + 1)))


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


def all_fixtures():
    """Name -> (file name -> content)."""
    return {**reference_fixtures(), **valid_fixtures(), **torn_fixtures(), **hard_fixtures()}


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
