# SPDX-License-Identifier: MIT OR Apache-2.0
"""Both programs with any of the standard descriptors closed: no file of the log gets their numbers,
so that no message is written into it, and what must be read or written through them is an error."""
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

import mounting
import paths
import privileged

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

pytestmark = pytest.mark.sanitize

CLOSED = list(product((False, True), repeat=3))
NAMES = [" ".join(n for n, shut in zip(("in", "out", "err"), c) if shut) or "none" for c in CLOSED]
SOUND = corpus.frames(corpus.put(b"k", b"value"))
TAIL = corpus.frames(corpus.raw(b"torn"), first=2)[:-3]
KEY = ["--key", "k"]
# command: (words, exit status, 1 when what it is asked for goes through this descriptor)
COMMANDS = {
    "scan": ([], 2, 1), "get": (KEY, 0, 1), "list": ([], 0, 1), "report": ([], 2, 1),
    "verify": ([], 2, 1), "export": (["-"], 0, 1), "compact": (["OUT"], 0, 1),
    "put": ([*KEY, "--value", "v"], 0, None), "delete": (KEY, 0, None), "rotate": ([], 0, None),
    "append": (["-"], 0, 0), "put --json": ([*KEY, "--value", "v", "--json"], 0, 1)}


def run(words, closed, **more):
    """With these descriptors closed; the others are /dev/null and files."""
    shut = "".join(f" {fd}{'<' if fd == 0 else '>'}&-" for fd in range(3) if closed[fd])
    return subprocess.run(["bash", "-c", f'exec "$@"{shut}', "bash", *map(str, words)],
                          stdin=subprocess.DEVNULL, timeout=30, **{"check": False, **more})


def torn_log(path):
    path.mkdir()
    (path / "00000001.dwal").write_bytes(SOUND + TAIL)
    return path


def segments(log):
    return {p.name: p.read_bytes() for p in log.iterdir() if p.name != ".lock"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_writes_no_message_into_the_log(datawal, tmp_path, command):
    words, status, through = COMMANDS[command]

    def outcome(number):
        log = torn_log(tmp_path / f"log{number}")
        done = run([datawal.program, command.split()[0], log,
                    *(tmp_path / f"out{number}" if w == "OUT" else w for w in words)],
                   CLOSED[number], capture_output=True)
        return done, segments(log)

    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(outcome, range(len(CLOSED))))
    expected = outcomes[0][1]
    for closed, (done, after) in zip(CLOSED, outcomes):
        missed = through is not None and closed[through]
        assert done.returncode == (1 if missed else status), (closed, done.stderr)
        if missed and through == 0:
            assert after == {"00000001.dwal": SOUND + TAIL}, closed
        else:
            assert after == expected, closed


def test_what_is_read_into_nowhere_is_no_success(datawal, tmp_path):
    log = torn_log(tmp_path / "log")
    for words in (["get", *KEY], ["get", *KEY, "--json"], ["list"], ["export", "-"]):
        done = run([datawal.program, words[0], log, *words[1:]], (False, True, False),
                   capture_output=True)
        assert done.returncode == 1 and done.stderr.startswith(b"datawal: ")


def test_help_into_nowhere_is_no_success(datawal):
    for program in (datawal.program, paths.program("fuse/datawalfs")):
        assert run([program, "--help"], (False, True, False), capture_output=True).returncode == 1


def test_what_the_scripts_start_gets_no_file_in_their_place(root):
    script = f'. {root}/contrib/lib/setup.sh; exec readlink /proc/self/fd/0 /proc/self/fd/2'
    done = run(["bash", "-c", script], (True, False, True), stdout=subprocess.PIPE)
    assert done.stdout == b"/dev/null\n/dev/null\n"
    run(["bash", "-c", f". {root}/contrib/lib/setup.sh; test -e /proc/self/fd/1 || exit 3"],
        (False, True, False), check=True)


@pytest.fixture
def mount_closed(tmp_path):
    """Mounts with descriptors closed; everything is unmounted at the end."""
    mounting.connect_or_skip(pytest)
    program = paths.program("fuse/datawalfs")
    tried = []

    def start(log, place, closed, foreground):
        place.mkdir()
        tried.append(place)
        words = [program, log, place]
        with open(tmp_path / "output", "ab") as output:
            if not foreground:
                assert run(words, closed, stdout=output, stderr=output).returncode == 0
                return None
            words = ["bash", "-c", 'exec "$@" -f' + "".join(
                f" {fd}>&-" for fd in range(3) if closed[fd]), "bash", *map(str, words)]
            daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output,
                                      stderr=output)
        mounting.wait_for(lambda: mounting.mounted(place), "the mount")
        return daemon

    yield start
    for place in tried:
        while mounting.mounted(place):
            subprocess.run(["fusermount3", "-u", "-z", place], check=True, timeout=20)


@pytest.mark.clause("S20h")
@pytest.mark.parametrize("foreground", [True, False], ids=["foreground", "background"])
@pytest.mark.parametrize("closed", CLOSED, ids=NAMES)
def test_a_mount_keeps_its_files_and_its_lock(datawal, mount_closed, tmp_path, closed, foreground):
    log = torn_log(tmp_path / "log")
    daemon = mount_closed(log, tmp_path / "place", closed, foreground)
    (tmp_path / "place/f").write_bytes(b"content")
    assert (tmp_path / "place/k").read_bytes() == b"value"
    locked = datawal("put", log, "--key", "other", "--value", "1", "--wait", "0", status=1)
    assert b"locked" in locked.stderr
    for number in range(3) if daemon else []:
        link = f"/proc/{daemon.pid}/fd/{number}"
        shown = subprocess.run([*privileged.prefix(), "readlink", link], capture_output=True, text=True,
                               timeout=20, check=False).stdout
        assert not shown.startswith((str(log), "/dev/fuse"))
    subprocess.run(["fusermount3", "-u", tmp_path / "place"], check=True, timeout=20)
    if daemon:
        assert daemon.wait(20) == 0
    mounting.wait_for(lambda: datawal("delete", log, "--key", "k", status=(0, 1)).returncode == 0,
                      "the end of the daemon")
    assert datawal.get(log, "f") == b"content"
    assert (log / f"00000001.dwal.torn-{len(SOUND)}").read_bytes() == TAIL
    assert datawal("verify", log).stderr == b""
