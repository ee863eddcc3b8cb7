# SPDX-License-Identifier: MIT OR Apache-2.0
"""A real tree of thousands of files, and names that make programs stumble, go in and come out."""
import os
import subprocess
from pathlib import Path

import pytest

SOURCES = ("/usr/include", "/usr/share/doc", "/usr/lib/python3")
FILES_WANTED = 3000

ODD_NAMES = [b"with space", " leading and trailing ".encode(), "größe".encode(), "日本語".encode(),
             b"new\nline", b"a%2Fb", b"%2F", b"back\\slash", b"\\x00", b"\\x2f", b"tab\t", b"\xff\xfe",
             b"-n", b"*?[", b"'single'", b'"double"', b"$HOME", b"#hash", b"...", b".hidden", b"~",
             b"x" * 255, b"\\empty", b"d\\value2"]


def run(*command, **more):
    return subprocess.run([os.fspath(c) for c in command], check=True, capture_output=True,
                          timeout=200, **more)


def make_tree(top):
    """Copies regular files of the machine, and makes the odd ones. No links: not yet."""
    top.mkdir()
    copied = 0
    for source in SOURCES:
        for directory, _, names in os.walk(source):
            for name in names:
                path = Path(directory, name)
                if path.is_symlink() or not path.is_file() or path.stat().st_size > 1 << 20:
                    continue
                if copied >= FILES_WANTED:
                    break
                target = top / "real" / path.relative_to("/usr")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
                copied += 1
    assert copied >= 1000, "this machine has too few files to copy"
    odd = os.fsencode(top / "odd")
    os.mkdir(odd)
    # some of these are what the mount shows for other keys: they are the names all the same
    for number, name in enumerate(ODD_NAMES):
        with open(os.path.join(odd, name), "wb") as file:
            file.write(b"content of %d" % number)
        if name.endswith(b"\\x2f"):
            continue  # no directory can have such a name: S13b
        os.mkdir(os.path.join(odd, b"dir" + name[:200]))
        with open(os.path.join(odd, b"dir" + name[:200], name), "wb") as file:
            file.write(b"")
    (top / "empty file").touch()
    (top / "empty directory/inside another").mkdir(parents=True)
    (top / "large").write_bytes(os.urandom(1 << 20) * 20)
    return top


def mtimes(top):
    root = os.fsencode(top)
    found = {}
    for directory, subdirectories, names in os.walk(root):
        if directory == root and b".log" in subdirectories:
            subdirectories.remove(b".log")
        for name in names:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, root)] = int(os.stat(path).st_mtime)
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("source") / "tree")


@pytest.mark.clause("S1a", "S10b", "S12a", "S13a", "S16b")
@pytest.mark.deadline(240)
def test_a_copied_tree_is_equal_before_and_after_a_remount_and_rm_r_removes_it(tree, mount):
    m = mount()
    run("cp", "-r", tree, m / "tree")
    run("diff", "-r", tree, m / "tree")
    times = mtimes(m / "tree")
    listing = run("find", "tree", "-print0", cwd=m.path).stdout
    m.remount()
    run("diff", "-r", tree, m / "tree")
    assert mtimes(m / "tree") == times
    assert sorted(run("find", "tree", "-print0", cwd=m.path).stdout.split(b"\0")) == \
        sorted(listing.split(b"\0"))
    run("rm", "-r", m / "tree")
    assert [n for n in os.listdir(m) if n != ".log"] == []
    m.remount()
    assert [n for n in os.listdir(m) if n != ".log"] == []


@pytest.mark.slow
@pytest.mark.clause("S1a", "S12a")
@pytest.mark.deadline(240)
def test_tar_unpacks_the_same_tree(tree, mount, tmp_path):
    m = mount()
    run("tar", "-C", tree.parent, "-cf", tmp_path / "tree.tar", tree.name)
    run("tar", "-C", m, "-xf", tmp_path / "tree.tar")
    run("diff", "-r", tree, m / tree.name)
    # times and modes are there until the unmount
    run("tar", "-C", m, "--compare", "-f", tmp_path / "tree.tar")
    m.remount()
    run("diff", "-r", tree, m / tree.name)


@pytest.mark.slow
@pytest.mark.clause("S2b")
@pytest.mark.deadline(240)
def test_copying_a_tree_writes_one_put_a_file(tree, datawal, logdir, mount):
    m = mount(logdir)
    run("cp", "-r", tree, m / "tree")
    m.unmount()
    puts = [r.key for r in datawal.scan(logdir) if r.type == "Put"]
    deletes = [r.key for r in datawal.scan(logdir) if r.type == "Delete"]
    files = sum(len(names) for _, _, names in os.walk(tree))
    assert len(puts) == len(set(puts)) == files
    assert deletes == []
