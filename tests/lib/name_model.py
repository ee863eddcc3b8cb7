# SPDX-License-Identifier: MIT OR Apache-2.0
"""Components of keys and their file names, by the words of fuse/name.h and nothing else: the other
opinion beside fuse/name.c."""
import re

NAME_MAX = 255
ESCAPED = rb"\\x00|\\x2e|\\x2f|\\x5c"
READS_AS_ESCAPE = re.compile(rb"x00|x2e|x2f|x5c|value\Z|long-[0-9a-f]{32}\Z")
LONG = re.compile(rb"(.*)\\long-[0-9a-f]{32}\Z", re.S)


def fnv1a_128(data):
    number = 0x6c62272e07bb014262b821756295c58d
    for byte in data:
        number = (number ^ byte) * (2**88 + 2**8 + 0x3b) % 2**128
    return number


def escape(raw, first=True):
    """The escaped form, without a suffix."""
    if raw == b"" and first:
        return b"\\empty"
    if raw in (b".", b"..") or (raw == b".log" and first):
        return b"\\x2e" + raw[1:]
    if raw == b"\\empty" and first:
        return b"\\x5cempty"
    out = bytearray()
    for at, byte in enumerate(raw):
        if byte == 0:
            out += b"\\x00"
        elif byte == ord("/"):
            out += b"\\x2f"
        # a pattern that ends at \Z looks at no more than a name can hold
        elif byte == ord("\\") and READS_AS_ESCAPE.match(raw, at + 1):
            out += b"\\x5c"
        else:
            out.append(byte)
    return bytes(out)


def units(escaped):
    """The escaped form in pieces that a long name may be cut between."""
    at = 0
    while at < len(escaped):
        size = 4 if re.compile(ESCAPED).match(escaped, at) else next(
            (n for n in (1, 2, 3, 4) if is_character(escaped[at:at + n])), 1)
        yield escaped[at:at + size]
        at += size


def is_character(data):
    try:
        return len(data.decode()) == 1
    except UnicodeDecodeError:
        return False


def name_of(raw, first=True, value=False):
    """The file name of a component; value: with the suffix of a key beside a directory."""
    escaped = escape(raw, first) + (b"\\value" if value else b"")
    if len(escaped) <= NAME_MAX:
        return escaped
    end = b"\\long-%032x" % fnv1a_128(escaped)
    prefix = b""
    for unit in units(escaped):
        if len(prefix + unit + end) > NAME_MAX:
            break
        prefix += unit
    return prefix + end


def components(key):
    """The raw components of a key."""
    cuts = [at for at in range(1, len(key) - 1) if key[at] == ord("/") and key[at - 1] != ord("/")]
    return [key[start:end] for start, end in zip([0] + [at + 1 for at in cuts], cuts + [len(key)])]


def path_of(key):
    """The path of a key that is in conflict with no directory."""
    return b"/".join(name_of(raw, at == 0) for at, raw in enumerate(components(key)))
