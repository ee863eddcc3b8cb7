# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is left of a damaged file, by the words of CANON.md C39 and C39a and with the corpus's own decoder."""
import re
import sys
from typing import NamedTuple

import paths

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402


class Lost(NamedTuple):
    """Bytes without an intact record; put: the Put that they were, its payload not to be believed."""
    offset: int
    bytes: int
    reason: str
    put: object = None


def frame_at(data, at):
    """The record that a frame here says it is, whatever its CRC; None if it ends behind the data."""
    if corpus.decode(data, at)[0] not in (None, "bad-crc"):
        return None
    key_len, payload_len = (corpus.unle(data[at + n:at + n + 4]) for n in (16, 20))
    length = corpus.HEADER + key_len + payload_len + corpus.TRAILER
    body = at + corpus.HEADER
    return corpus.Record(0, at, length, data[at + 6], corpus.unle(data[at + 8:at + 16]), 0,
                         data[body:body + key_len], data[body + key_len:at + length - corpus.TRAILER])


def is_known(data, record):
    """No single changed byte of type, lengths or key explains the CRC."""
    end = record.offset + record.length - corpus.TRAILER
    difference = corpus.crc32c(data[record.offset:end]) ^ corpus.unle(data[end:end + corpus.TRAILER])
    one = {n: corpus.crc32c(bytes([n])) ^ corpus.crc32c(b"\0") for n in range(1, 256)}
    for behind in range(end - record.offset):
        at = end - record.offset - 1 - behind
        names_it = at < 8 or 16 <= at < corpus.HEADER + len(record.key)
        if names_it and difference in one.values():
            return False
        # each of these, one byte further from the end
        one = {n: crc >> 8 ^ STEP[crc & 255] for n, crc in one.items()}
    return True


STEP = [corpus.crc32c(bytes([n])) ^ corpus.crc32c(b"\0") for n in range(256)]


def prefix(data, at):
    records = []
    while at < len(data):
        status, record = corpus.decode(data, at)
        if status:
            return records, (at, status)
        records.append(record)
        at += record.length
    return records, None


def pass_damage(data, at, status):
    record = frame_at(data, at) if status == "bad-crc" else None
    end = at + record.length if record else 0
    if record and (end == len(data) or frame_at(data, end)):
        known = record.type == corpus.PUT and is_known(data, record)
        return Lost(at, record.length, status, record if known else None)
    behind = corpus.intact_frames(data, at + 1)
    return Lost(at, (behind[0].offset if behind else len(data)) - at, status)


def remains(data, active):
    """Records and Lost, in order."""
    found, at, cut = [], 0, None
    while True:
        records, stop = prefix(data, at)
        end = stop[0] if stop else len(data)
        first = corpus.cut_short(records) if active and not (
            stop and stop[1] in corpus.STRUCTURAL) else None
        for record in records[:first]:
            found.append(Lost(record.offset, record.length, "partial-operation")
                         if record.txid == cut else record)
        if first is not None:
            header = records[first]
            found.append(Lost(header.offset, end - header.offset, "partial-operation"))
            cut = header.txid
        if not stop:
            return found
        found.append(pass_damage(data, *stop))
        at = found[-1].offset + found[-1].bytes


def segments(files):
    return sorted(name for name in files if corpus.SEGMENT_NAME.fullmatch(name))


def left_of(files):
    """(file name, record or Lost) of a whole log."""
    names = segments(files)
    return [(name, one) for name in names for one in remains(files[name], name == names[-1])]


def cut_off_at(name):
    """(segment, offset, n) of a side file that a writer has named; else behind all of them."""
    found = re.fullmatch(r"([0-9]{8})\.dwal\.torn-([0-9]+)(?:\.([0-9]+))?", name)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (int(name[:8]), 2**64, 0)


def in_order(files):
    """Every record and Lost, with what side files hold before what stands where that was cut off.
    None between two files."""
    sides = sorted((cut_off_at(name), name) for name in files if corpus.SIDE_FILE_NAME.fullmatch(name))
    names, found = segments(files), []

    def take(upto):
        while sides and sides[0][0][:2] <= upto:
            found.extend([None, *remains(files[sides.pop(0)[1]], True), None])

    for name in names:
        segment = int(name[:8])
        take((segment - 1, 2**64))
        found.append(None)
        for one in remains(files[name], name == names[-1]):
            if not isinstance(one, Lost):
                take((segment, one.offset))
            found.append(one)
        take((segment, 2**64))
    take((10**8, 0))
    return found


def live(left):
    """key -> value, or None where the last one is damaged."""
    fold = {}
    for _, one in left:
        put = one.put if isinstance(one, Lost) else one
        if put and put.type == corpus.PUT:
            fold[put.key] = None if isinstance(one, Lost) else one.payload
        elif put and put.type == corpus.DELETE:
            fold.pop(put.key, None)
    return fold
