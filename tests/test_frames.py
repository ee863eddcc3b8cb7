# SPDX-License-Identifier: MIT OR Apache-2.0
"""A put does not pass through more hands than it must: how many functions lie between the request
and the system call, and how often the lock of the tree is taken. Measured on the daemon as it runs;
tests/preload/frames.c notes the calls."""
import json
import os
import re
import shutil
import subprocess
from itertools import groupby

import pytest

import paths

FRAMES_OF_A_PUT = 10  # from the function that libfuse calls to the one that calls pwritev(2)
LOCKINGS_OF_A_PUT = 6  # of the tree, from the creation of a small file to its RELEASE
REQUESTS = {"ops_lookup", "ops_create", "ops_getxattr", "ops_write", "ops_fsync", "ops_flush",
            "ops_release"}


def why_not(build):
    """Why calls cannot be told in this build, or None."""
    options = json.loads((build / "meson-info/intro-buildoptions.json").read_text())
    if not any(option["name"] == "debug" and option["value"] for option in options):
        return "a build without debug information"
    return None if shutil.which("addr2line") else "addr2line missing"


def functions_at(addresses):
    """address -> the functions that are there, one inlined into the next, the innermost first."""
    # a return address is behind the call, where another line may begin
    asked = "".join(f"{int(address, 16) - 1:x}\n" for address in addresses)
    done = subprocess.run(["addr2line", "-a", "-f", "-i", "-e", paths.program("fuse/datawalfs")],
                          input=asked, capture_output=True, text=True, check=True, timeout=50)
    found = [part.split("\n")[1:-1:2] for part in done.stdout.split("0x0")[1:]]
    return dict(zip(addresses, found, strict=True))


class Calls:
    """The calls that were noted: name, descriptor or mutex, functions from the request to who calls."""

    def __init__(self, path):
        lines = [line.split() for line in path.read_text().splitlines()]
        functions = functions_at(sorted({address for line in lines for address in line[2:]}))
        ways = [[name for address in line[2:] for name in functions[address]] for line in lines]
        self.all = [(line[0], line[1], from_request(way)) for line, way in zip(lines, ways)]

    def of(self, call, requests):
        """(descriptor or mutex, way) of the calls of this name that some requests made."""
        return [(what, way) for name, what, way in self.all if name == call and way[0] in requests]


def from_request(way):
    """The functions from the outermost that is a request on."""
    while way and not way[-1].startswith("ops_"):
        way = way[:-1]  # what is below a request: libfuse's loop
    # a function that is inlined in part is there twice
    return [function for function, _ in groupby(way[::-1])] or [""]


@pytest.fixture
def noted(build, mount, tmp_path, monkeypatch):
    """noted(work) does something in a new mount, and returns the calls that were made for it."""
    if why_not(build):
        pytest.skip(why_not(build))

    def note(work):
        notes = tmp_path / "frames"
        sanitizer = f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"
        with monkeypatch.context() as patched:
            patched.setenv("LD_PRELOAD", str(paths.program("tests/libframes.so")))
            patched.setenv("FRAMES", str(notes))
            patched.setenv("ASAN_OPTIONS", sanitizer)
            mounted = mount(None)
        notes.write_bytes(b"")  # what mounting did
        work(mounted)
        mounted.unmount()  # with every RELEASE before it
        return Calls(notes)

    return note


def create_a_file(mounted, before_close=None):
    fd = os.open(mounted / "a", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.write(fd, b"small")
    if before_close:
        before_close(fd)
    os.close(fd)


@pytest.mark.parametrize("request_, before_close", [("ops_flush", None), ("ops_fsync", os.fsync)],
                         ids=["close", "fsync"])
def test_a_put_is_few_frames_from_its_system_call(noted, request_, before_close):
    [(_, way)] = noted(lambda mounted: create_a_file(mounted, before_close)).of("pwritev", REQUESTS)
    assert way[0] == request_
    assert len(way) <= FRAMES_OF_A_PUT, " > ".join(way)


def test_the_drawing_shows_the_way_of_a_put(noted):
    [(_, way)] = noted(create_a_file).of("pwritev", REQUESTS)
    drawing = (paths.ROOT / "fuse/README.md").read_text().split("```")[1]
    assert [name for name in re.findall(r"\w+", drawing) if name in way][:len(way)] == way


def test_the_tree_is_locked_few_times_from_create_to_close(noted):
    lockings = noted(create_a_file).of("pthread_mutex_lock", REQUESTS)
    tree, = {mutex for mutex, way in lockings if "tree_lock" in way}
    ways = [way for mutex, way in lockings if mutex == tree]
    assert {"ops_create", "ops_flush", "ops_release"} <= {way[0] for way in ways}
    assert len(ways) <= LOCKINGS_OF_A_PUT, "\n".join(" > ".join(way) for way in ways)
