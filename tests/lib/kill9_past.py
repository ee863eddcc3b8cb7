# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a log that is compacted in place may have lost: all that was ever put or deleted in it is known
outside, and so are the names that moments have. Which state a horizon covers it may have given up, any
other is what it was; none is covered that was to stay."""
import dataclasses
import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "corpus"))
import gen_corpus as corpus  # noqa: E402

NUMBERS = {"Raw": corpus.RAW, "Put": corpus.PUT, "Delete": corpus.DELETE}


def named(found):
    """name -> txid, of what `datawal scan` finds."""
    tags = {}
    for record in found:
        tag = corpus.tag_of(as_in_corpus(record))
        if tag:
            tags[tag[0].decode()] = tag[1]
    return {name: txid for name, txid in tags.items() if txid}


def as_in_corpus(record):
    return dataclasses.replace(record, type=NUMBERS[record.type])


def apply(state, change):
    kind, key, digest = change
    if kind == "Put":
        state[key] = digest
    else:
        state.pop(key, None)


class Past:
    def __init__(self):
        self.changes = {}  # txid -> (type, key, digest), ascending
        self.horizons = []
        self.spared = set()  # txids with a name that a compaction was told not to mind

    @staticmethod
    def changes_in(found):
        return {r.txid: (r.type, r.key, hashlib.sha1(r.payload).digest())
                for r in found if r.type != "Raw"}

    def learn(self, found):
        """Before a compaction: all that is new was put or deleted by then."""
        last = max(self.changes, default=0)
        self.changes.update((txid, one) for txid, one in self.changes_in(found).items() if txid > last)

    def covers(self, txid):
        return any(lo <= txid < hi for lo, hi in self.horizons)

    def to_be_had(self):
        return [txid for txid in self.changes if not self.covers(txid)]

    def check(self, found, keep_txid):
        """After a compaction that was to keep the states from that txid on; killed or not."""
        before = max((hi for _, hi in self.horizons), default=0)
        self.horizons = [one for one in map(corpus.horizon_of, map(as_in_corpus, found)) if one]
        highest = max((hi for _, hi in self.horizons), default=0)
        assert highest <= max(before, keep_txid), f"the state as of {highest - 1} was to stay"
        for name, txid in named(found).items():
            assert txid in self.spared or not self.covers(txid), f"{name} was to keep {txid}"
        self._check_states(self.changes_in(found))

    def _check_states(self, left):
        assert list(left) == sorted(left), "records change places"
        assert left.items() <= self.changes.items(), "there are records that never were"
        then, now, different = {}, {}, set()
        for txid, change in self.changes.items():
            key = change[1]
            apply(then, change)
            if txid in left:
                apply(now, change)
            (different.discard if then.get(key) == now.get(key) else different.add)(key)
            assert not different or self.covers(txid), (
                f"as of {txid}, which no horizon covers, other values than then: {different}")

    def superseded(self, found):
        """Values that nobody needs who asks for the present."""
        changes, highest = self.changes_in(found), max(one.txid for one in found)
        last = {key: txid for txid, (_, key, _) in changes.items()}
        return [txid for txid, (kind, key, _) in changes.items()
                if kind == "Put" and txid not in (last[key], highest)]
