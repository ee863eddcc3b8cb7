# SPDX-License-Identifier: MIT OR Apache-2.0
"""X\\value: the value of the key X beside the directory X, from its making to long after."""
import errno
import os
import stat
import subprocess
import sys

import pytest

import name_model
import paths
from contents import tree

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

pytestmark = [pytest.mark.sanitize, pytest.mark.clause("S12g", "S13d")]


def fails_with(number, call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == number, caught.value


def rename_new(path):
    (path.parent / "tmp").write_bytes(b"value")
    os.rename(path.parent / "tmp", path)


MAKERS = {
    "create": lambda path: path.write_bytes(b"value"),
    "rename": rename_new,
    "symlink": lambda path: os.symlink("value", path),
    "fifo": os.mkfifo,
}
every_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@every_maker
@pytest.mark.parametrize("base", ["X", "d/X", "a\\x00b", "\\x5cx2f", "a\\x5cb"])
def test_making_it_makes_the_directory_too(datawal, logdir, mount, make, base):
    datawal.put(logdir, "d/f", "value")
    m = mount(logdir)
    made = len(datawal.scan(logdir))
    links = os.stat((m / base).parent).st_nlink
    make(m / (base + "\\value"))
    assert os.stat((m / base).parent).st_nlink == links + 1
    about = os.stat(m / base)
    assert stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
    parts = base.encode().split(b"/")
    parts[-1] = name_model.key_of_name(parts[-1], len(parts) == 1, True)[0]
    key = b"/".join(parts)
    kinds = [(r.type, r.payload.split(b"\n")[1] if r.type == "Raw" else b"") for r in
             datawal.scan(logdir)[made:] if r.key == key]
    assert kinds[:2] == [("Raw", b"type=dir"), ("Put", b"")], kinds

    fails_with(errno.EEXIST, os.mkdir, m / base)
    (m / base / "f").write_bytes(b"below")
    before = os.lstat(m / (base + "\\value"))
    m.remount()
    after = os.lstat(m / (base + "\\value"))
    assert (after.st_mode, after.st_size) == (before.st_mode, before.st_size)
    assert (m / base / "f").read_bytes() == b"below"
    os.unlink(m / base / "f")
    os.unlink(m / (base + "\\value"))
    assert os.listdir(m / base) == []
    m.remount()
    assert os.listdir(m / base) == []
    os.rmdir(m / base)


def test_the_directory_is_in_the_log_as_soon_as_it_shows(datawal, logdir, mount):
    """As after mkdir, whenever the daemon dies; the value is there when it is closed."""
    m = mount(logdir)
    file = os.open(m / "X\\value", os.O_CREAT | os.O_WRONLY)
    assert os.listdir(m / "X") == []
    m.kill9()
    with pytest.raises(OSError):
        os.close(file)
    assert [(r.type, r.key) for r in datawal.scan(logdir)] == [("Raw", b"X")]
    m.remount()
    assert os.listdir(m) == ["X"] and os.listdir(m / "X") == []


def test_the_directory_is_seen_at_once_by_who_looked_for_it_before(mount):
    """What is absent the kernel believes for a while. Until somebody uses such names."""
    m = mount()
    for name in ("X", "Y"):
        assert not os.path.lexists(m / name)
        (m / (name + "\\value")).touch()
        assert os.listdir(m / name) == []


@every_maker
def test_beside_a_file_it_is_refused_and_nothing_changes(datawal, logdir, mount, make):
    m = mount(logdir)
    (m / "X").write_bytes(b"a file")
    (m / "tmp").write_bytes(b"value")
    before = len(datawal.scan(logdir))
    assert not os.path.lexists(m / "X\\value")
    if make is rename_new:
        fails_with(errno.EINVAL, os.rename, m / "tmp", m / "X\\value")
        fails_with(errno.EINVAL, os.rename, m / "X", m / "X\\value")
    else:
        fails_with(errno.EINVAL, make, m / "X\\value")
    assert len(datawal.scan(logdir)) == before
    assert tree(m) == {b"X": b"a file", b"tmp": b"value"}


def test_what_could_not_be_made_leaves_no_directory(logdir, mount):
    m = mount(logdir, "staging=4K")
    os.mkdir(m / "d")
    before = os.stat(logdir / "00000001.dwal").st_size
    with open(m / "full", "wb") as full:
        full.write(b"x" * 4096)
        full.flush()
        fails_with(errno.ENOSPC, os.symlink, "target", m / "X\\value")
        fails_with(errno.EINVAL, os.rename, m / "d", m / "X\\value")
        fails_with(errno.ENOENT, os.rename, m / "absent", m / "X\\value")
        assert sorted(os.listdir(m)) == ["d", "full"]
        assert os.stat(m).st_nlink == 3
        assert os.stat(logdir / "00000001.dwal").st_size == before


def test_who_fills_a_directory_of_its_own_finds_nothing_in_it(datawal, logdir, mount):
    """cp(1) makes what it copies without a look: a directory that is there it takes for an error."""
    m = mount(logdir)
    os.mkdir(m / "new")
    (m / "new/X\\value").write_bytes(b"value")
    assert not os.path.lexists(m / "new/X")
    seen = subprocess.run(["ls", "-d", "new/X"], cwd=m, capture_output=True, timeout=20, check=False)
    assert seen.stdout == b"new/X\n"
    os.mkdir(m / "new/X", 0o750)
    assert os.stat(m / "new/X").st_mode == stat.S_IFDIR | 0o750
    (m / "new/X/f").write_bytes(b"below")
    fails_with(errno.EEXIST, os.mkdir, m / "new/X")
    want = {b"new/X\\value": b"value", b"new/X/f": b"below"}
    assert tree(m) == want
    m.remount()
    assert tree(m) == want and os.stat(m / "new/X").st_mode == stat.S_IFDIR | 0o750


# ------------------------------------------------------------ after the conflict


@pytest.fixture
def ended(datawal, logdir, mount):
    """A mount in which d/X was a directory beside a value until now."""
    datawal.put(logdir, "d/X", "value")
    datawal.put(logdir, "d/X/f", "below")
    m = mount(logdir)
    assert sorted(os.listdir(m / "d")) == ["X", "X\\value"]
    os.unlink(m / "d/X/f")
    os.rmdir(m / "d/X")
    assert os.listdir(m / "d") == ["X"]
    assert os.stat(m / "d/X").st_ino == os.stat(m / "d/X\\value").st_ino
    return m


def test_it_still_finds_the_file_unlisted(datawal, logdir, ended):
    m = ended
    beside = m / "d/X\\value"
    assert beside.read_bytes() == b"value"
    fails_with(errno.EEXIST, os.open, beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    fails_with(errno.EEXIST, os.mkdir, beside)
    beside.write_bytes(b"through it")
    assert (m / "d/X").read_bytes() == datawal.get(logdir, "d/X") == b"through it"
    os.rename(beside, m / "d/X")  # two names of one file: nothing happens
    os.rename(m / "d/X", beside)
    assert tree(m) == {b"d/X": b"through it"}
    os.unlink(beside)
    assert tree(m) == {} and datawal.records_of(logdir, "d/X") == ["Put", "Put", "Delete"]
    fails_with(errno.ENOENT, os.stat, m / "d/X")
    fails_with(errno.ENOENT, os.stat, beside)
    beside.write_bytes(b"anew")
    assert sorted(os.listdir(m / "d")) == ["X", "X\\value"] and os.path.isdir(m / "d/X")


def test_it_is_gone_after_a_remount(ended):
    ended.remount()
    fails_with(errno.ENOENT, os.stat, ended / "d/X\\value")
    fails_with(errno.EINVAL, os.open, ended / "d/X\\value", os.O_CREAT | os.O_WRONLY)


@pytest.mark.parametrize("through", ["X", "X\\value"])
def test_what_replaces_the_file_is_found_by_both(datawal, logdir, ended, through):
    m = ended
    for content in (b"one", b"two"):
        (m / "d/tmp").write_bytes(content)
        assert (m / "d/tmp").read_bytes() == content
        os.rename(m / "d/tmp", m / "d" / through)
        assert (m / "d/X").read_bytes() == (m / "d/X\\value").read_bytes() == content
        assert os.listdir(m / "d") == ["X"]
        assert datawal.get(logdir, "d/X") == content
    os.unlink(m / "d/X\\value" if through == "X" else m / "d/X")
    fails_with(errno.ENOENT, os.stat, m / "d/X")
    fails_with(errno.ENOENT, os.stat, m / "d/X\\value")
    fails_with(errno.ENOENT, os.open, m / "d/X\\value", os.O_RDONLY)


def test_it_ends_when_the_file_is_renamed(datawal, logdir, ended):
    m = ended
    os.rename(m / "d/X\\value", m / "d/Y")
    assert tree(m) == {b"d/Y": b"value"}
    for name in ("X", "X\\value", "Y\\value"):
        fails_with(errno.ENOENT, os.stat, m / "d" / name)
    (m / "d/X").write_bytes(b"another")
    fails_with(errno.ENOENT, os.stat, m / "d/X\\value")
    assert datawal.get(logdir, "d/X") == b"another"


def test_a_file_put_there_by_rename_is_not_seen_once_it_is_removed(mount):
    m = mount()
    (m / "X").mkdir()
    (m / "tmp").write_bytes(b"value")
    assert (m / "tmp").read_bytes() == b"value"  # its name is known for long
    os.rename(m / "tmp", m / "X\\value")
    assert (m / "X\\value").read_bytes() == b"value"
    os.rmdir(m / "X")
    os.unlink(m / "X")
    fails_with(errno.ENOENT, os.stat, m / "X\\value")
    fails_with(errno.ENOENT, os.open, m / "X\\value", os.O_RDONLY)


@pytest.mark.clause("S12i")
@pytest.mark.parametrize("size", [249, 250, 300])
@pytest.mark.parametrize("remove", ["rm -r \"$0\"/*", "find \"$0\" -mindepth 1 -delete",
                                    "rsync -a --delete empty/ \"$0\"/"])
def test_removing_everything_that_was_listed_succeeds(datawal, logdir, mount, tmp_path, remove, size):
    """However they go through it: by a listing made before."""
    (tmp_path / "empty").mkdir()
    key = b"k" * size
    kept = [b"a", b"a/a", b"a/a/a/a", b"b\0", b"b\0/c", b"b\0/c/d", b"/", b"//x", b"//x/y", b"e\\value", b"e/f",
            b"e", b"e\\value/x", key, key + b"/f", b"in/" + key, b"in/" + key + b"/f/g"]
    logdir.mkdir()
    (logdir / "00000001.dwal").write_bytes(corpus.frames(*(corpus.put(k, b"of it") for k in kept)))
    m = mount(logdir)
    assert len(tree(m)) == len(kept)
    done = subprocess.run(["bash", "-c", "shopt -s dotglob; " + remove, m.path], cwd=tmp_path, timeout=50,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(m) == []
    last = {r.key: r.type for r in datawal.scan(logdir) if r.type != "Raw"}
    assert last == {k: "Delete" for k in kept}
    m.remount()
    assert os.listdir(m) == []
