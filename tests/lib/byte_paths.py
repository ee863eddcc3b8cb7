# SPDX-License-Identifier: MIT OR Apache-2.0
"""Any bytes as keys and names."""
import os
from base64 import b64encode

import pytest


def put(datawal, logdir, key, value):
    """As Datawal.put(); the hexadecimal digits of the longest key are too long an argument."""
    datawal("put", logdir, "--key-base64", b64encode(key), "-", input=value)


def get(datawal, logdir, key):
    return datawal("get", logdir, "--raw", "--key-base64", b64encode(key)).stdout


def live(datawal, logdir):
    """key -> value of the whole store, by another process than the mount's."""
    found = {}
    for record in datawal.scan(logdir):
        if record.type == "Put":
            found[record.key] = record.payload
        elif record.type == "Delete":
            found.pop(record.key, None)
    return found


def entries(directory):
    return sorted(os.listdir(os.fsencode(directory)))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def at(m, *names):
    return os.path.join(os.fsencode(m.path), *names)


def fails_with(number, call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == number, caught.value
