# SPDX-License-Identifier: MIT OR Apache-2.0
"""Files that nobody touches while others write, compact and kill: they are always there, in the mount
and for a reader that takes no lock."""
import json
import os
import random
import subprocess
from base64 import b64decode

import kill9_log

FILES = 30


def make(directory, seed):
    """The state."""
    rng = random.Random(seed)
    for number in range(FILES):
        path = os.path.join(directory, str(number))
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
        os.write(fd, rng.randbytes(rng.choice((0, 100, 4000))))
        os.close(fd)
    entries = kill9_log.tree(directory)
    return kill9_log.State(entries, {path: kill9_log.numbers(os.path.join(directory, path))
                                     for path in entries})


def missing(entries, found, key_of):
    """What a look has not found as it is."""
    return [path for path, (_, _, digest) in entries.items()
            if kill9_log.digest(found.get(key_of(path), b"absent")) != digest]


def by_a_stranger(datawal, log):
    """key -> value, as a process sees it that reads the directory beside the daemon."""
    done = subprocess.run([datawal, "export", log, "-"], stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)
    assert done.returncode == 0, done.stderr.decode()
    return {b64decode(one["key_b64"]).decode(): b64decode(one["value_b64"])
            for one in map(json.loads, done.stdout.splitlines())}


def watch(mount, name, entries, datawal, log, say):
    """Looks again and again, until the mount is gone."""
    root = os.path.join(mount, name)
    while True:
        wrong = missing(entries, by_a_stranger(datawal, log), lambda path: f"{name}/{path}")
        if wrong:
            say(failed="a reader beside the daemon", error=f"not as they are: {wrong}")
        try:
            found = {}
            for path in entries:
                with open(os.path.join(root, path), "rb") as file:
                    found[path] = file.read()
        except OSError as error:
            if error.errno not in kill9_log.GONE:
                say(failed="reading", error=str(error))
            return
        wrong = missing(entries, found, lambda path: path)
        if wrong:
            say(failed="reading", error=f"not as they are: {wrong}")
