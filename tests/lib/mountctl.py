# SPDX-License-Identifier: MIT OR Apache-2.0
"""The control of a live mount by ioctl(2) on its root: src/base/mountctl.h, read from there."""
import fcntl
import json
import os
import re
import struct

import mounting
import paths

HEADER = (paths.ROOT / "src/base/mountctl.h").read_text()
LETTERS = {"uint64_t": "Q", "int64_t": "q", "uint32_t": "I", "int32_t": "i", "char": "s"}


def layout(name):
    """The members of a struct of the header, and its form for the module struct."""
    body = re.search(rf"struct {name} {{\n(.*?)\n}};", HEADER, re.S)[1]
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    members, form = [], "="
    for kind, names in re.findall(r"(\w+) ([^;]+);", body):
        for one in names.split(","):
            member, _, length = one.strip().rstrip("]").partition("[")
            members.append(member)
            form += length + LETTERS[kind]
    return members, form


STATE, STATE_FORM = layout("mountctl_compact_state")
ORDER, ORDER_FORM = layout("mountctl_compact")
TAG_FORM = layout("mountctl_tag")[1]
KEEP_TXID, KEEP_AGE, KEEP_BYTES = range(3)
DROP_TAGS, DRY_RUN = 1, 2
TAG_REMOVE, TAG_SYNC = 1, 2


def command(direction, number, form):
    return direction << 30 | struct.calcsize(form) << 16 | ord("D") << 8 | number


ROTATE = command(2, 1, "=I")
COMPACT = command(1, 2, ORDER_FORM)
COMPACT_STATE = command(2, 3, STATE_FORM)
COMPACT_STOP = command(0, 4, "=")
TAG = command(3, 5, TAG_FORM)


def ask(path, number, argument=b""):
    fd = os.open(path, os.O_RDONLY)
    try:
        return fcntl.ioctl(fd, number, argument)
    finally:
        os.close(fd)


def order(path, keep=0, how=KEEP_TXID, flags=0):
    """Begins a compaction of what is mounted at path."""
    ask(path, COMPACT, struct.pack(ORDER_FORM, keep, how, flags))


def tag(path, name, txid=0, flags=0):
    """Gives that moment a name; its txid."""
    return struct.unpack(TAG_FORM, ask(path, TAG, struct.pack(TAG_FORM, txid, flags, name)))[0]


def state(path):
    found = dict(zip(STATE, struct.unpack(STATE_FORM, ask(path, COMPACT_STATE,
                                                         bytes(struct.calcsize(STATE_FORM))))))
    return found | {"message": found["message"].rstrip(b"\0").decode()}


def stop(path):
    ask(path, COMPACT_STOP, 0)


def ended(path, run=1):
    """The state once that compaction, or a later one, has ended."""
    def look():
        found = state(path)
        return found if found["run"] >= run and not found["running"] else None
    return mounting.wait_for(look, f"the end of compaction {run} of {path}")


def compact(path, **how):
    """One compaction, from begin to end."""
    before = state(path)["run"]
    order(path, **how)
    found = ended(path, before + 1)
    assert found["result"] == 0, found
    return found


def told(m, name="stats.json"):
    """What .log says of the history and the last compaction."""
    found = json.loads((m / ".log" / name).read_text())
    return found["history"], found["compaction"]


def fill_with_dead(m, megabytes, size=100_000):
    """One file, written again and again."""
    value = bytes(size)
    for _ in range(megabytes * 1_000_000 // size):
        (m / "dead").write_bytes(value)
