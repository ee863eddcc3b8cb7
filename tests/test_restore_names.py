# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is copied out of a mount and in again is the same keys, and tools that make names of names work
on escaped ones."""
import os
import random
import shutil
import subprocess
import sys

import pytest

import paths
from byte_paths import live
from contents import tree

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

pytestmark = pytest.mark.clause("S13a", "S13d")

# of every kind: escaped, in conflict, both, and names that only look so
KEYS = [
    b"plain", b"d/e/f", b"d/e", b"d", b"", b"/", b"//", b"/a", b"/a/b", b"a/", b"n\0", b"n\0/x", b"n\0/x/",
    b".", b"./x", b"..", b"../..", b".log", b".log/recovery", b"q/.log", b"\\empty", b"\\empty/x", b"\\x2f",
    b"\\x2f/x", b"\\x5cx2f", b"\\x2e", b"\\x2e/x", b"\\x2elog", b"v\\value", b"v\\value/x", b"v\\x5cvalue",
    b"v", b"v/w", b"v/w\\value", b"C:\\temp\\x", b"a\\x5cb", b"\\x2egit/x", b"-\\x2f-", b".x\\x2f.Ab12",
    b"w\\long-" + b"a1" * 16, b"d//x", b"d/e//", b"d/\0/\\x00/f", b"\xff\n", b"\\", b"\\\\/\\", b"~", b"d/e/f/g",
]


@pytest.fixture
def backup(logdir, mount, tmp_path):
    """A copy of a mount on the host, made by cp -a."""
    logdir.mkdir()
    (logdir / "00000001.dwal").write_bytes(
        corpus.frames(*(corpus.put(key, b"of " + key) for key in KEYS)))
    m = mount(logdir, "ro")
    out = tmp_path / "backup"
    subprocess.run(["cp", "-a", m.path, out], check=True, timeout=50)
    assert len(tree(m)) == len(KEYS)
    return out


def copy_in_order(order):
    """File by file, each with the directories that it lacks; then those that are left."""
    def run(source, target):
        root = os.fsencode(source)
        files = [os.path.relpath(os.path.join(top, name), root)
                 for top, _, names in os.walk(root) for name in names]
        for path in order(sorted(files)):
            to = os.path.join(os.fsencode(target), path)
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copyfile(os.path.join(root, path), to)
    return run


def command(script):
    def run(source, target):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script, source, target], text=True,
                              timeout=50, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    return run


WAYS = {
    "cp": command('cp -a "$0/." "$1/"'),
    "rsync": command('rsync -a "$0/" "$1/"'),
    "rsync over what is there": command(
        'mkdir "$1/d" "$1/v"; rsync -a "$0/" "$1/"; touch -d 2001-01-01 "$1"/*; rsync -a --delete "$0/" "$1/"'),
    "tar": command('tar -C "$0" -cf - . | tar -C "$1" -xf -'),
    "tar, values first": command(
        'cd "$0"; '
        '{ find . -name "*\\\\value" -print0; find . -type f ! -name "*\\\\value" -print0; } | '
        'tar --null -T - -cf - | tar -C "$1" -xf -'),
    "a program's own tree": lambda source, target: shutil.copytree(source, target, dirs_exist_ok=True),
    "sorted": copy_in_order(lambda files: files),
    "backwards": copy_in_order(lambda files: files[::-1]),
    "values first": copy_in_order(lambda files: sorted(files, key=lambda f: not f.endswith(b"\\value"))),
    "values last": copy_in_order(lambda files: sorted(files, key=lambda f: f.endswith(b"\\value"))),
    "deep first": copy_in_order(lambda files: sorted(files, key=lambda f: -f.count(b"/"))),
    **{f"at random {seed}": copy_in_order(lambda files, seed=seed: random.Random(seed).sample(files, len(files)))
       for seed in (1, 2, 3)},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_backup_made_through_the_mount_restores_to_the_same_keys(datawal, mount, tmp_path, backup, way):
    into = mount(tmp_path / "restored")
    way(backup, into.path)
    assert live(datawal, tmp_path / "restored") == {key: b"of " + key for key in KEYS}
    shown = tree(into)
    into.remount()
    assert tree(into) == shown
    done = subprocess.run(["diff", "-r", backup, into.path], capture_output=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


def test_a_restore_over_a_mount_leaves_what_the_backup_has(datawal, mount, tmp_path, backup):
    """In the mount there are files where the backup has directories, and the other way round."""
    log = tmp_path / "restored"
    into = mount(log)
    for name in (b"d\\value", b"v", b"n\\x00", b"plain\\value", b"q", b"\\x2fa\\value", b"stray\\value"):
        with open(os.path.join(os.fsencode(into.path), name), "wb") as file:
            file.write(b"was there")
    command('rsync -a --delete "$0/" "$1/"')(backup, into.path)
    assert live(datawal, log) == {key: b"of " + key for key in KEYS}
    assert command('diff -r "$0" "$1"')(backup, into.path) is None


NAMES = "'x\\x2f' '\\x2f' '\\x2flead' '\\x2e' '\\x2e.' '\\x2elog' 'n\\x00m' '\\empty' '\\x5cx2f' 'a\\x5cvalue' " \
        "'d\\value' 'C:\\temp\\x' 'a\\x5cb' '\\'"

DERIVING = {
    "rsync": 'rsync -a "$OUT/changed/" ./; rsync -ai "$OUT/changed/" ./',
    "rsync with backups": 'rsync -a --backup --suffix=.old "$OUT/changed/" ./',
    "gzip": 'for f in "${names[@]}"; do gzip -n -- "$f"; gzip -t -- "$f.gz"; done; ls; gunzip -- *.gz',
    "cp -b": 'for f in "${names[@]}"; do cp -b -- "$OUT/changed/$f" "$f"; done',
    "cp --backup=numbered": 'for f in "${names[@]}"; do cp --backup=numbered -- "$OUT/changed/$f" "$f"; done',
    "mv -b": 'for f in "${names[@]}"; do mv -b -- "$OUT/changed/$f" "$f"; done',
    "sed -i": 'for f in "${names[@]}"; do sed -i s/old/new/ -- "./$f"; sed -i.bak s/new/newer/ -- "./$f"; done',
    "install": 'for f in "${names[@]}"; do install -m 640 -b -- "$OUT/changed/$f" "$f"; done',
    "patch": 'for f in "${names[@]}"; do printf "%s\\n" "--- f" "+++ f" "@@ -1 +1 @@" "-old" "+new" |'
             ' patch -b -- "./$f"; done',
    "vim": 'for f in "${names[@]}"; do vim -Nu NONE -i NONE -es "+set backup writebackup swapfile" "+%s/old/new/" '
           '"+x" -- "./$f" </dev/null || echo "status $?"; done; ls -A',
    "tee and sort": 'for f in "${names[@]}"; do sort -o "$f" -- "$f"; tee -a -- "$f" <"$OUT/changed/$f"; done',
    "a temporary name": 'for f in "${names[@]}"; do for t in "$f.tmp" ".$f.Ab12" "$f~" "#$f#" "$f,v" "$f%"; do '
                        'echo "$t" >"$t"; mv -- "$t" "$f"; cat -- "$f"; done; done',
}


@pytest.mark.parametrize("script", DERIVING.values(), ids=DERIVING.keys())
def test_tools_that_derive_names_work_on_escaped_ones(twin, script):
    twin.run(f"""
        names=({NAMES}); mkdir "$OUT/changed" d "$OUT/changed/d"
        for f in "${{names[@]}}"; do echo old >"$f"; echo "new $f" >"$OUT/changed/$f"; done
        {script}
        find . -print0 | sort -z | tr '\\0' '\\n'
    """)
    twin.remount()
