# SPDX-License-Identifier: MIT OR Apache-2.0
"""The store beside other stores and the bare system call."""
import subprocess

from running import by_turns, figures, remove

PEERS = {"lmdb": "liblmdb-dev", "leveldb": "libleveldb-dev", "rocksdb": "librocksdb-dev",
         "tkrzw": "libtkrzw-dev", "sqlite": "libsqlite3-dev"}
LARGE, BYTES_MOST = 1024, 256 << 20  # of values from that size on, so many bytes in a store
THREADS_GET, THREADS_SYNC = 4, 8

# What is done to one store after the other: (operation, threads, name); without a name it is not
# measured.
SEQUENCES = (
    (("append", 1, "append"),),
    (("appends", 1, "append, 100 a call"),),
    (("put", 1, "put"), ("get", 1, "get"), ("get", THREADS_GET, f"get, {THREADS_GET} threads"),
     ("scan", 1, "scan the log"), ("walk", 1, "walk keys and values"), ("open", 1, "open"),
     ("delete", 1, "delete")),
    (("batch", 1, "put, 100 a call"), ("batch", 1, None), ("compact", 1, "compact in place"),
     ("copy", 1, "compact into a copy"), ("export", 1, "export as text")),
    (("sync", THREADS_SYNC, f"put and sync, {THREADS_SYNC} threads"),),
)


def offers_of(program):
    """engine -> the operations that it has, of those that were found when this was built."""
    done = subprocess.run([program, "list"], check=True, capture_output=True, text=True)
    return {words[0]: words[1:] for words in map(str.split, done.stdout.splitlines())}


def why_not(run):
    return None if "bench_store" in run.programs else "bench_store was not built"


def missing(run):
    """The Debian packages of the peers that are not in this build."""
    found = offers_of(run.programs["bench_store"])
    return {peer: package for peer, package in PEERS.items()
            if peer in run.wanted(PEERS) and peer not in found}


def shapes(scale):
    """(keys, bytes of a value), none twice."""
    return dict.fromkeys((keys if size < LARGE else min(keys, max(1, BYTES_MOST // size)), size)
                         for size in scale.values for keys in scale.keys)


def sides_of(run):
    """name -> (the words that begin its command, the operations that it has)."""
    offers = offers_of(run.programs["bench_store"])
    found = {engine: ([run.programs["bench_store"], engine], offers[engine])
             for engine in run.wanted(list(offers))}
    for name, program in run.others("bench_store").items():
        found[name] = ([program, "datawal"], offers_of(program)["datawal"])
    return found


def measure_sequence(run, sequence, shape, number, sides):
    keys, size = shape
    places = {side: run.work / side for side in sides}
    for operation, threads, name in sequence:
        for side in by_turns(number, list(sides)):
            command, offers = sides[side]
            if operation not in offers:
                continue
            n = min(keys, run.scale.synced) if operation == "sync" else keys
            ns, = figures(*command, operation, places[side], n, size, threads)
            if name:
                case = ("store", f"{keys:,} keys, values of {size:,} bytes", name)
                run.results.add(case, "ns", side, ns)
    for place in places.values():
        remove(place, place.with_suffix(".copy"), place.with_suffix(".export"))


def measure(run):
    sides = sides_of(run)
    for shape in shapes(run.scale):
        for number in range(run.scale.rounds):
            for sequence in SEQUENCES:
                measure_sequence(run, sequence, shape, number, sides)
