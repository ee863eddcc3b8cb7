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


def offers_of(run):
    """engine -> the operations that it has, of those that were found when this was built."""
    done = subprocess.run([run.programs["bench_store"], "list"], check=True, capture_output=True,
                          text=True)
    return {words[0]: words[1:] for words in map(str.split, done.stdout.splitlines())}


def why_not(run):
    return None if "bench_store" in run.programs else "bench_store was not built"


def missing(run):
    """The Debian packages of the peers that are not in this build."""
    found = offers_of(run)
    return {peer: package for peer, package in PEERS.items()
            if peer in run.wanted(PEERS) and peer not in found}


def shapes(scale):
    """(keys, bytes of a value), none twice."""
    return dict.fromkeys((keys if size < LARGE else min(keys, max(1, BYTES_MOST // size)), size)
                         for size in scale.values for keys in scale.keys)


def measure_sequence(run, sequence, shape, number, engines):
    keys, size = shape
    places = {engine: run.work / engine for engine in engines}
    for operation, threads, name in sequence:
        for engine in by_turns(number, engines):
            if operation not in engines_offer(run)[engine]:
                continue
            n = min(keys, run.scale.synced) if operation == "sync" else keys
            ns, = figures(run.programs["bench_store"], engine, operation, places[engine], n, size,
                          threads)
            if name:
                case = ("store", f"{keys:,} keys, values of {size:,} bytes", name)
                run.results.add(case, "ns", engine, ns)
    for place in places.values():
        remove(place, place.with_suffix(".copy"), place.with_suffix(".export"))


def engines_offer(run):
    if not hasattr(run, "offers"):
        run.offers = offers_of(run)
    return run.offers


def measure(run):
    engines = run.wanted(list(engines_offer(run)))
    for shape in shapes(run.scale):
        for number in range(run.scale.rounds):
            for sequence in SEQUENCES:
                measure_sequence(run, sequence, shape, number, engines)
