# SPDX-License-Identifier: MIT OR Apache-2.0
"""What fuzz targets begin with: small inputs made from the corpus and by hand. The kept ones lie in
tests/fuzz/seeds/TARGET/ beside these."""
import itertools
import struct
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

KEPT = ROOT / "tests/fuzz/seeds"
MOST = 8192  # bytes of an input
NAMES = ["00000001.dwal", "00000002.dwal", "00000003.dwal", "00000000.dwal", "99999999.dwal"]
KEYS = [b"a", b"a/b", b"a/b/c", b"", b"datawal.batch", b"datawal.horizon", b"datawal.tag",
        b"datawalfs.unfinished", b"datawalfs.clock", b"\\x2e", b"a\\value", b".log"]
ATTRIBUTES = [
    b"datawalfs.attr 1\ntype=file\nmode=0600\nuid=1000\nmtime=1700000000.250000000\n",
    b"datawalfs.attr 1\ntype=dir\nmode=0755\nino=4503599627370495\nmtime=1.000000000\n",
    b"datawalfs.attr 1\ntype=none\n",
    b"datawalfs.attr 1\ntype=symlink\nctime=-1.250000000\natime=0.000000000\n",
    b"datawalfs.attr 1\ntype=char\nrdev=4:64\nmode=0640\nuid=0\ngid=0\n",
    b"datawalfs.attr 1\ntype=fifo\nxattr.user.colour=cmVk\nxattr.user.empty=\nfuture=1\n",
    b"datawalfs.attr 1\ntype=file\nino=2\nxattr.trusted.%25%3d=AAE=\n",
    b"datawalfs.clock 1\ntime=1700000000\n",
    b"datawalfs.clock 1\ntime=-1\n",
    b"datawalfs.unfinished 1\nkey=YS9i\nsize=7\noffset=0\n\ncontent",
    b"1700000000.000000001", b"-9223372036854775808.999999999",
]
LINES = b"time=1764072000.120000000\nmtime=1.000000000\nentered=2.000000000\nop=rename\n"


def number(value, size=1):
    return (value % 256**size).to_bytes(size, "little")


# --- steps of fuzz/logs.h ----------------------------------------------------

def file(index):
    return b"\0" + number(index)


def plain(data):
    return b"\1" + number(len(data), 2) + data


def record(rtype, key, payload=b""):
    """type, key, payload as an operation or a frame has them."""
    index = KEYS.index(key) if key in KEYS else None
    name = number(index) if index is not None else number(len(KEYS) + len(key)) + key
    long = len(payload) > 255
    # the type is told by its remainder: 129 is divisible by three
    return number(rtype + 129 * long) + name + number(len(payload), 1 + long) + payload


def frame(*args):
    return b"\x0f" + record(*args)  # under the next txid


def operation(*records, lie=0, there=11, lines=b""):
    return b"\x0e" + number(len(records)) + number(lie) + number(there) + number(len(lines)) + \
        lines + b"".join(record(*one) for one in records)


def of_directory(files):
    """A directory of the corpus as steps."""
    segments = sorted(name for name in files if corpus.SEGMENT_NAME.fullmatch(name))
    if segments == ["00000000.dwal"]:
        places = [3]
    else:
        places = range(3)
    return b"".join(file(at) + plain(files[name]) for at, name in zip(places, segments))


RAW, PUT, DELETE = corpus.RAW, corpus.PUT, corpus.DELETE
RENAME = (PUT, b"a/b", b"old"), (DELETE, b"a"), (RAW, b"a/b", ATTRIBUTES[0])


def logs():
    for files in corpus.all_fixtures().values():
        yield of_directory(files)
    for lie in range(6):
        for there in (11, 2, 1, 0):
            yield frame(PUT, b"a", b"1") + operation(*RENAME, lie=lie, there=there, lines=LINES)
    yield operation(*RENAME) + b"\5" + number(3, 2)  # cut
    yield operation(*RENAME) + b"\4" + number(30, 2) + b"\1" + frame(PUT, b"a", b"2")  # changed
    yield frame(PUT, b"a") + b"\3" + number(600, 2) + frame(PUT, b"a", b"2")  # zeros
    yield frame(PUT, b"a", b"1") + file(1) + operation(*RENAME) + file(5) + plain(b"kept") + \
        file(7) + plain(b"half") + file(8) + plain(b"note") + file(2) + frame(RAW, b"", b"x" * 300)
    yield b"\2" + b"\xff" * 8 + b"\7" + record(PUT, b"a", b"1")  # the highest txid


def trees():
    yield from logs()
    keys = [b"a", b"a/b", b"a/b/c", b"", b"\\x2e", b"a\\value", b".log", b"//x", b"a//b", b"a/",
            b"x" * 200, b"\\x2f" * 70, b".", b"..", b"a\0b"]
    puts = b"".join(frame(PUT, key, key) for key in keys)
    yield puts
    yield puts + b"".join(frame(DELETE, key) for key in keys[::2])
    for payload in ATTRIBUTES:
        for key in (b"a", b"", b"datawalfs.clock", b"datawalfs.unfinished"):
            yield frame(RAW, key, payload) + frame(PUT, key, b"1")
            yield operation((PUT, key, b"1"), (RAW, key, payload), lines=LINES) + frame(DELETE, key)


def frames():
    for files in corpus.all_fixtures().values():
        for name, data in files.items():
            if name.endswith(".dwal"):
                yield data
    yield b"\1" + struct.pack("<QHB", 7, 99, 3) + b"keyvalue"


def headers():
    for files in corpus.all_fixtures().values():
        for one in corpus.read_log(files).records:
            if one.key == corpus.BATCH_KEY:
                yield number(one.txid) + one.payload
    yield b"\2" * 8 + b"\3" + b"\1" * 8 + b"\6" + b"\x0cvalue %\n\xff=;\x01" * 6


def horizons():
    for files in corpus.all_fixtures().values():
        for one in corpus.read_log(files).records:
            if one.key in (corpus.HORIZON_KEY, corpus.TAG_KEY):
                yield one.payload
    yield b"datawal horizon 1\nlo=3\nhi=18446744073709551615\nx=%25\n"
    yield b"datawal tag 1\nname=v1%0A\ntxid=0\n"
    yield struct.pack("<QQBQQ", 3, 9, 5, 12, 7) + b"a name %\n\xff"


def indexes():
    def entry(rtype, flags, key_len, payload_len, rest=b""):
        return struct.pack("<BBQIII", rtype, flags, 7, key_len, payload_len, 0x12345678) + rest

    yield b"\0"
    yield b"\0DWALIDX\n\1\0\0\0" + b"\0" * 60
    yield b"\1" + entry(PUT, 2, 1, 5, b"a") + entry(DELETE, 0, 0, 0) + entry(RAW, 1, 1, 2, b"kpp")
    for lengths in ((65536, 0), (65537, 0), (0, 65536), (0, 65537), (2**32 - 1, 2**32 - 1), (0, 67108864)):
        for rtype in (RAW, PUT, DELETE, 3):
            for flags in range(4):
                yield b"\1" + entry(rtype, flags, *lengths)
    for at in range(256):  # every byte of the index file that is there, its tail aside
        yield bytes((2, at, 0xff))
        yield bytes((2, at, 0, at + 1 & 255, 1))


def attributes():
    yield from ATTRIBUTES
    yield ATTRIBUTES[0] + b"".join(b"xattr.user.n%d=%s\n" % (i, b"QUJD" * i) for i in range(40))


def names():
    pieces = [b"a", b"/", b"\\", b"x5c", b"\\x2f", b"\\x00", b"\0", b".", b".log", b"\\x2e",
              b"\\value", b"\\empty", b"\\long-" + b"0" * 32, b"\xc3\xa4", b"\xff"]
    for how, pair in itertools.product((0, 3), itertools.product(pieces, repeat=2)):
        yield number(how) + b"".join(pair)
    for piece in pieces:
        yield number(4 * 30) + piece * 20


def arguments():
    def words(kind, *given, content=b""):
        return number(kind) + b"\n".join(given) + b"\0" + content

    commands = ["scan", "get", "list", "report", "verify", "dump", "check", "history", "log", "stats",
                "put", "delete", "append", "rotate", "export", "load", "compact", "help", "version",
                "horizon", "tag", "salvage", "backup"]
    lines = b'{"key_b64":"YQ==","value_b64":"MQ=="}\n{"key_b64":"","value_b64":""}\n'
    for kind in (0, 1, 2, 7):
        for command in map(str.encode, commands):
            yield words(kind, command, b"log")
            yield words(kind, command, b"log", b"--json", b"--key=a/b")
            yield words(kind, command, b"log", b"out", content=lines)
            yield words(kind, command, b"log", b"--help")
        yield words(kind, b"put", b"log", b"--key", b"a", b"--value=x/y")
        yield words(kind, b"put", b"log", b"--key-hex=00ff", b"-", content=b"from stdin")
        yield words(kind, b"put", b"new", b"--key-base64=YQ==", b"--file", b"in", b"--sync")
        yield words(kind, b"load", b"log", b"in", content=lines)
        yield words(kind, b"load", b"log", b"-", b"--wait=0", content=lines + b"{bad")
        yield words(kind, b"export", b"log", b"-")
        yield words(kind, b"scan", b"log", b"--limit=1", b"--from-segment=1", b"--from-offset=34",
                    b"--bytes=hex")
        yield words(kind, b"dump", b"log", b"--all", b"--limit", b"3")
        yield words(kind, b"get", b"log", b"--raw", b"--key", b"alpha")
        yield words(kind, b"compact", b"log", b"out", b"--values-only")
        yield words(kind, b"compact", b"log", b"--keep=1h", b"--dry-run")
        yield words(kind, b"delete", b"log", b"--", b"--key")


MADE = {"args": arguments, "attr": attributes, "frame": frames, "header": headers, "horizon": horizons,
        "index": indexes, "name": names, "open": lambda: (b"\0" + one for one in logs()), "tree": trees}


def write(target, directory):
    """All that are made for this target, as files."""
    directory.mkdir(parents=True, exist_ok=True)
    for at, data in enumerate(MADE[target]()):
        (directory / f"made{at:04}").write_bytes(data[:MOST])
