# SPDX-License-Identifier: MIT OR Apache-2.0
"""Looks into a log without starting a program. A child has a copy of each open descriptor, and
closing that copy is a close of a file that was written: it commits. So while a test holds a
written descriptor it must not start anything, not even the CLI."""
import gen_corpus


def records_of(logdir, key):
    """The kinds of the key's records, as Datawal.records_of()."""
    kinds = {gen_corpus.PUT: "Put", gen_corpus.DELETE: "Delete"}
    log = gen_corpus.read_log(gen_corpus.read_directory(logdir))
    return [kinds[r.type] for r in log.records if r.key == key.encode() and r.type in kinds]


def get(logdir, key):
    """The live value, or None."""
    live = gen_corpus.read_log(gen_corpus.read_directory(logdir)).live()
    return live[key.encode()].payload if key.encode() in live else None
