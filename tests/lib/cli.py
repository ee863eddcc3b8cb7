# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs the datawal program."""
import json
import os
import pty
import re
import subprocess
from base64 import b64decode
from dataclasses import dataclass

import suspicion

TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Record:
    """One record of `datawal scan --json`."""
    segment: int
    offset: int
    length: int
    type: str
    txid: int
    key: bytes
    payload: bytes

    def is_header(self):
        """Of an operation: not one of its records."""
        return (self.type, self.key) == ("Raw", b"datawal.batch") and \
            self.payload.startswith(b"datawal batch 1\n")


def only_line(done):
    """What a command has to say on stderr: one line, that of the program."""
    text = done.stderr.decode()
    assert re.fullmatch(r"datawal: [^\n]+\n", text), text
    return text


def on_terminal(words, stdout=None):
    """(status, what is shown) of a command whose stderr is a terminal, and stdout, unless given."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL, stderr=theirs,
                          stdout=theirs if stdout is None else stdout) as child:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal's other end is closed
                break
            if not part:
                break
            seen += part
    os.close(ours)
    return child.returncode, seen


class Datawal:
    """datawal("get", logdir, "--key", "a") runs it; the exit status must be what is expected."""

    def __init__(self, program):
        self.program = program

    def __call__(self, *args, input=None, status=0, check=True, timeout=TIMEOUT_SECONDS, **more):
        command = [str(self.program), *(a if isinstance(a, bytes) else str(a) for a in args)]
        if input is None:
            more.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(command, input=input, capture_output=True, timeout=timeout,
                              check=False, **more)
        suspicion.check("datawal", done.stderr)
        if check and status is not None:
            allowed = status if isinstance(status, (tuple, set)) else (status,)
            assert done.returncode in allowed, (
                f"{command} ended with {done.returncode}, not {allowed}:\n"
                f"{done.stderr.decode(errors='replace')}")
        return done

    def json(self, *args, **more):
        """The objects that a command prints with --json."""
        return [json.loads(line) for line in self(*args, "--json", **more).stdout.splitlines()]

    def scan(self, logdir, status=0, headers=False):
        """All records in order, the headers of operations only when asked for."""
        records = [Record(o["segment"], o["offset"], o["len"], o["record_type"], o["txid"],
                          b64decode(o["key_base64"]), b64decode(o["payload_base64"]))
                   for o in self.json("scan", logdir, status=status)]
        return [r for r in records if headers or not r.is_header()]

    def records_of(self, logdir, key):
        """All Put and Delete records of one key: ["Put", "Delete"]."""
        key = key.encode() if isinstance(key, str) else key
        return [r.type for r in self.scan(logdir) if r.key == key and r.type != "Raw"]

    def get(self, logdir, key):
        """The live value's bytes."""
        key = key.encode() if isinstance(key, str) else key
        return self("get", logdir, "--raw", "--key-hex", key.hex()).stdout

    def put(self, logdir, key, value):
        key = key.encode() if isinstance(key, str) else key
        value = value.encode() if isinstance(value, str) else value
        self("put", logdir, "--key-hex", key.hex(), "-", input=value)
