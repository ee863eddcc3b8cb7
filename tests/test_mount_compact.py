# SPDX-License-Identifier: MIT OR Apache-2.0
"""Giving space back under a live mount when it is asked for, and what that leaves as it was."""
import errno
import mmap
import os
import re
import subprocess
import sys
import tempfile
import threading

import pytest

import mountctl
import mounting
import paths
from mountctl import fill_with_dead, told
from namespace import run_as

pytestmark = pytest.mark.sanitize


def errno_of(function, *arguments, **more):
    with pytest.raises(OSError) as caught:
        function(*arguments, **more)
    return caught.value.errno


# --- asking ------------------------------------------------------------------------

@pytest.mark.clause("S24a")
def test_a_compaction_is_begun_at_the_root_alone_and_with_words_that_mean_something(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    assert errno_of(mountctl.order, m / "f") == errno.ENOTTY
    assert errno_of(mountctl.order, m, how=3) == errno.EINVAL
    assert errno_of(mountctl.order, m, flags=4) == errno.EINVAL
    assert mountctl.state(m)["run"] == 0


@pytest.mark.root
@pytest.mark.clause("S24a", "S24i")
def test_no_other_user_begins_one(mount):
    with tempfile.TemporaryDirectory(prefix="datawal-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        os.mkdir(f"{name}/place")
        m = mount(f"{name}/log", "allow_other", at=f"{name}/place")
        for number in (mountctl.COMPACT, mountctl.COMPACT_STATE, mountctl.COMPACT_STOP, mountctl.TAG,
                       mountctl.ROTATE):
            said = run_as("nobody", sys.executable, "-c", f"""if True:
                import fcntl, os
                try:
                    fcntl.ioctl(os.open("{m}", os.O_RDONLY), {number}, bytes({number >> 16 & 0x3fff}))
                except OSError as error:
                    print(error.errno)""")
            assert said.split() == [str(errno.EPERM)]
        assert m.clean_up() == []


@pytest.mark.clause("S24a")
def test_a_read_only_mount_is_not_compacted(mount):
    m = mount()
    m.remount("ro")
    assert errno_of(mountctl.order, m) == errno.EROFS
    assert told(m) == (None, {"running": False, "why_not": None, "last": None})


# --- what a compaction leaves as it was ----------------------------------------------

def shown(directory):
    """All that find(1) tells of what is below, but the times of directories, and the content."""
    done = subprocess.run(
        ["sh", "-c", "find . -type d -printf '%p %y %m %i %U %G\\n' | sort;"
         "find . ! -type d -printf '%p %y %m %i %s %U %G %l %T@ %C@\\n' | sort;"
         "find . -type f -print0 | sort -z | xargs -0r md5sum; getfattr -hRd . 2>&1 | sort"],
        cwd=directory, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.replace("\0", "")


def some_tree(m, root):
    """A tree as programs leave it: copied, changed, renamed, half of it removed."""
    for name in "a", "b", "c":
        subprocess.run(["cp", "-a", root / "fuse/file", m / name], check=True, timeout=30)
    subprocess.run(["rm", "-r", m / "b"], check=True, timeout=30)
    os.rename(m / "c", m / "moved")
    os.mkdir(m / "empty", 0o700)
    os.mkdir(m / "gone")
    os.rmdir(m / "gone")
    os.symlink("a/handle.c", m / "link")
    os.mkfifo(m / "fifo", 0o640)
    os.chmod(m / "a/handle.c", 0o600)
    os.chmod(m / "a/handle.c", 0o640)
    os.utime(m / "a/stage.c", ns=(1, 1234567890123456789))
    os.setxattr(m / "a/stage.h", "user.colour", b"red")
    (m / "a" / ("x" * 200 + "\\value")).write_bytes(b"long")
    (m / "a\\x5cb").write_bytes(b"escaped")
    for i in range(20):
        (m / "often").write_bytes(b"%d" % i * 1000)


@pytest.mark.clause("S24b")
def test_all_is_as_it_was_but_the_log_is_shorter(mount, root):
    m = mount(None, "segment_size=256K")
    some_tree(m, root)
    before, size = shown(m), sum(p.stat().st_size for p in m.log.glob("*.dwal"))
    found = mountctl.compact(m)
    assert found["segments_rewritten"] > 1 and found["records_dropped"] > 100
    now = sum(p.stat().st_size for p in m.log.glob("*.dwal"))
    assert now <= size - found["bytes_freed"] + 4096 and now < 0.7 * size
    assert shown(m) == before
    assert mountctl.compact(m)["bytes_freed"] == 0
    m.remount()
    assert shown(m) == before
    (m / "often").write_bytes(b"again")
    mountctl.compact(m)
    m.kill9()
    m.start()
    assert (m / "often").read_bytes() == b"again"
    (m / "often").write_bytes(b"19" * 1000)


@pytest.mark.clause("S24b")
def test_a_log_whose_files_are_all_removed_is_next_to_nothing(mount, root):
    m = mount(None, "segment_size=256K")
    some_tree(m, root)
    subprocess.run("rm -rf ./*", shell=True, cwd=m.path, check=True, timeout=30)
    mountctl.compact(m)
    assert sum(p.stat().st_size for p in m.log.glob("*.dwal")) < 65536
    assert os.listdir(m) == []
    m.remount()
    assert os.listdir(m) == []


def old_files(m):
    """The descriptors that the daemon has of files without a name."""
    found = []
    for fd in os.listdir(f"/proc/{m.pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{m.pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return [name for name in found if ".dwal" in name and name.endswith("(deleted)")]


def content(name):
    return (name.encode() * 50000)[:300_000]


@pytest.mark.thread
@pytest.mark.clause("S24b", "S24g")
def test_what_is_open_keeps_its_bytes_and_old_segments_go_when_nobody_reads_them(mount):
    m = mount(None, "segment_size=1M")
    names = ["there", "removed", "replaced", "renamed", "mapped", "changed"]
    for name in [*names, "dead"]:
        (m / name).write_bytes(content(name))
    held = {name: os.open(m / name, os.O_RDWR) for name in names}
    mapped = mmap.mmap(held["mapped"], 0, prot=mmap.PROT_READ)
    raw = os.open(m / ".log/00000001.dwal", os.O_RDONLY)
    raw_bytes = (m.log / "00000001.dwal").read_bytes()
    os.unlink(m / "removed")
    os.unlink(m / "dead")
    (m / "other").write_bytes(b"other")
    os.rename(m / "other", m / "replaced")
    os.rename(m / "renamed", m / "new name")
    os.pwrite(held["changed"], b"staged", 0)
    found = mountctl.compact(m)
    assert found["segments_rewritten"] >= 2
    for name, fd in held.items():
        wanted = content(name) if name != "changed" else b"staged" + content(name)[6:]
        assert os.pread(fd, 1 << 20, 0) == wanted
    assert mapped[:] == content("mapped")
    assert os.pread(raw, 1 << 21, 0) == raw_bytes
    assert (m / ".log/00000001.dwal").read_bytes() == (m.log / "00000001.dwal").read_bytes()
    os.close(raw)
    assert len(old_files(m)) <= 2  # the removed one's and the replaced one's
    mapped.close()
    for fd in held.values():
        os.close(fd)
    mounting.wait_for(lambda: not old_files(m), "the end of the old files")
    assert (m / "new name").read_bytes() == content("renamed")
    assert (m / "changed").read_bytes() == b"staged" + content("changed")[6:]


@pytest.mark.clause("S24g")
@pytest.mark.parametrize("removed", [False, True], ids=["there", "removed"])
def test_old_segments_do_not_use_up_the_descriptors(mount, removed):
    """With 96 of them, of which 24 may be those of old segments."""
    m = mount(None, "segment_size=100K", wait=False)
    m.command = lambda: ["prlimit", "--nofile=96:96", *mounting.Mount.command(m)]
    m.start()
    value = content("x")[:50_000]
    for i in range(60):
        (m / f"f{i}").write_bytes(value)
        (m / "dead").write_bytes(value)
    held = [os.open(m / f"f{i}", os.O_RDONLY) for i in range(60)]
    if removed:
        for i in range(60):
            os.unlink(m / f"f{i}")
    mountctl.order(m)
    found = mountctl.ended(m)
    if removed:
        assert found["result"] == -errno.EMFILE and "removed are open" in found["message"]
        assert 24 < len(old_files(m)) < 40
    else:
        assert found["result"] == 0 and old_files(m) == []
    for fd in held:
        assert os.pread(fd, 1 << 20, 0) == value
        os.close(fd)
    assert (m / "dead").read_bytes() == value
    mounting.wait_for(lambda: not old_files(m), "the end of the old files")
    assert mountctl.compact(m)["result"] == 0


# --- beside other work, and its end ---------------------------------------------------

class Worker(threading.Thread):
    """Does one thing over and over until it is told to end; what went wrong is raised by join()."""

    def __init__(self, what):
        super().__init__()
        self.what, self.rounds, self.ended, self.failure = what, 0, threading.Event(), None
        self.start()

    def run(self):
        try:
            while not self.ended.is_set():
                self.what(self.rounds)
                self.rounds += 1
        except BaseException as failure:  # pylint: disable=broad-except
            self.failure = failure

    def join(self, timeout=None):
        self.ended.set()
        super().join(timeout)
        if self.failure:
            raise self.failure


@pytest.mark.thread
@pytest.mark.clause("S24b")
def test_whoever_reads_and_writes_meanwhile_sees_what_he_would_see_without_it(mount, tmp_path):
    m = mount(None, "segment_size=128K")
    os.mkdir(m / "d")
    steady = {f"d/{i}": content(f"steady {i}")[:i * 3000] for i in range(30)}
    for name, value in steady.items():
        (m / name).write_bytes(value)
    written, holding = {}, os.open(m / "d/29", os.O_RDONLY)

    def write(i):
        name, value = f"w{i % 7}", b"%d " % i * (i % 3000)
        if i % 11 == 3 and name in written:
            os.unlink(m / name)
            del written[name]
        elif i % 13 == 5 and name in written:
            os.rename(m / name, m / "moved")
            written["moved"] = written.pop(name)
        else:
            (m / name).write_bytes(value)
            written[name] = value
        if name in written:
            assert (m / name).read_bytes() == written[name]

    def read(i):
        name = f"d/{i % 30}"
        assert (m / name).read_bytes() == steady[name]
        assert os.pread(holding, 1 << 20, 0) == steady["d/29"]
        assert len(os.listdir(m / "d")) == 30

    def copy_the_log(i):
        for path in (m / ".log").glob("*.dwal"):
            assert subprocess.run(["cat", path], capture_output=True, check=True,
                                  timeout=20).stdout[:4] in (b"DWAL", b"")

    workers = [Worker(work) for work in (write, read, copy_the_log)]
    freed = sum(mountctl.compact(m)["bytes_freed"] for _ in range(6))
    for worker in workers:
        worker.join()
    os.close(holding)
    assert freed > 0 and min(worker.rounds for worker in workers) > 0
    for _ in range(2):
        assert {name: (m / name).read_bytes() for name in {**steady, **written}} == {**steady, **written}
        assert len(os.listdir(m)) == 1 + len(written)
        m.remount()


@pytest.mark.thread
@pytest.mark.clause("S24a", "S24c")
def test_one_runs_at_a_time_and_can_be_stopped(gated):
    m, gate = gated("segment_size=256K")
    fill_with_dead(m, 2)
    before = {p.name: p.stat().st_ino for p in m.log.glob("*.dwal")}
    with gate.held("rename"):
        mountctl.order(m)
        gate.wait("rename")
        assert errno_of(mountctl.order, m) == errno.EBUSY
        found = mountctl.state(m)
        assert found["running"] and not found["ended"] and found["segments_rewritten"] == 0
        assert re.search("^compaction now +running$", (m / ".log/recovery").read_text(), re.M)
        assert told(m)[1]["running"]
        (m / "new").write_bytes(b"goes on")
        assert (m / "dead").read_bytes() == bytes(100_000)
        mountctl.stop(m)
        assert mountctl.state(m)["running"]
    found = mountctl.ended(m)
    assert (found["result"], found["message"]) == (-errno.ECANCELED, "stopped")
    assert found["segments_rewritten"] == 1 < found["segments"]
    now = {p.name: p.stat().st_ino for p in m.log.glob("*.dwal")}
    assert sum(now[name] != ino for name, ino in before.items()) == 1
    assert told(m)[1]["last"]["error"] == "stopped"
    mountctl.order(m)
    assert mountctl.ended(m, 2)["result"] == 0


@pytest.mark.clause("S24c")
@pytest.mark.parametrize("case", ["whoever_waits_is_woken",
                                  "what_is_stopped_ends_and_the_next_one_goes_on"])
def test_a_compaction_is_told_to_end(case):
    subprocess.run([paths.program("tests/test_compaction"), case], stdin=subprocess.DEVNULL,
                   check=True, timeout=20)


@pytest.mark.clause("S24c")
@pytest.mark.parametrize("how", ["unmount", "terminate", "kill9"])
def test_the_end_of_a_mount_ends_it_and_loses_nothing(mount, root, how):
    m = mount(None, "segment_size=64K")
    some_tree(m, root)
    before = shown(m)
    mountctl.order(m)
    getattr(m, how)()
    m.start()
    assert shown(m) == before
    assert not list(m.log.glob("*tmp*"))
    mountctl.compact(m)
    assert shown(m) == before


@pytest.mark.clause("S24c")
def test_a_file_that_a_killed_one_has_left_is_cleaned_up(gated):
    m, gate = gated("segment_size=256K")
    fill_with_dead(m, 1)
    with gate.held("rename"):
        mountctl.order(m)
        gate.wait("rename")
        left = {p.name for p in m.log.iterdir()}
        m.kill9()
    assert any("tmp" in name for name in left)
    m.start()
    assert not any("tmp" in p.name for p in m.log.iterdir())
    assert (m / "dead").read_bytes() == bytes(100_000)


@pytest.mark.clause("S24h")
def test_one_that_fails_says_why(mount):
    m = mount(None, "segment_size=256K")
    fill_with_dead(m, 1)
    (m.log / "00000001.dwal").rename(m.log / "away")
    mountctl.order(m)
    found = mountctl.ended(m)
    (m.log / "away").rename(m.log / "00000001.dwal")
    assert found["result"] < 0 and "00000001" in found["message"]
    history, compaction = told(m, "recovery.json")
    assert compaction["last"]["error"] == found["message"] and compaction["last"]["asked_for"]
    assert found["message"] in (m / ".log/recovery").read_text()
    assert (m / "dead").read_bytes() == bytes(100_000)


@pytest.mark.clause("S24a")
def test_a_dry_run_and_what_is_to_be_kept(datawal, mount):
    m = mount(None, "segment_size=256K")
    fill_with_dead(m, 1)
    txid = int(os.getxattr(m / "dead", "user.datawal.txid"))
    records = datawal.scan(m.log)
    would = mountctl.compact(m, keep=txid - 3, flags=mountctl.DRY_RUN)
    assert datawal.scan(m.log) == records
    assert told(m)[1]["last"] is None
    assert mountctl.compact(m, keep=3600, how=mountctl.KEEP_AGE)["bytes_freed"] == 0
    assert mountctl.compact(m, keep=1 << 30, how=mountctl.KEEP_BYTES)["bytes_freed"] == 0
    found = mountctl.compact(m, keep=txid - 3)
    assert found["records_dropped"] == would["records_dropped"] > 0
    assert found["hi"] == txid - 3 and found["keep_txid"] == txid - 3
    puts = [r for r in datawal.scan(m.log) if r.type == "Put"]
    assert len(puts) == 4
    assert mountctl.compact(m, keep=250_000, how=mountctl.KEEP_BYTES)["records_dropped"] > 0
    assert mountctl.compact(m)["records_dropped"] > 0
