# SPDX-License-Identifier: MIT OR Apache-2.0
"""git and make, which look closely at what a file system says of its files."""
import os
import re
import subprocess

import pytest

REPOSITORY = """
    git init -q -b main .; git config gc.auto 0; git config pack.threads 1
    mkdir -p src/deep doc
    for n in $(seq 1 40); do seq 1 $((n * 20)) >src/f$n; echo "text $n" >doc/t$n; done
    head -c 200000 /dev/zero | tr '\\\\0' x >src/deep/blob; ln -s ../doc/t1 src/link
    printf '#!/bin/sh\\n' >run; chmod 755 run; : >empty; echo ü >'name with ü and space'
    git add -A; git commit -qm first; git log --format='%H %s'
"""
# what holds inode numbers and times
PRIVATE = ("*.git/index", ".git/index", "*.git/worktrees/*/index")


def test_git_adds_commits_and_merges(twin):
    twin.run(REPOSITORY + """
        git status --porcelain; git fsck --strict; echo more >>src/f1; rm doc/t2
        mv doc/t3 doc/moved
        git status --porcelain; git diff --stat; git add -A; git commit -qm second
        git checkout -q -b side HEAD~1; echo side >side; sed -i 1d src/f9; git add .
        git commit -qm third
        git merge -q -m merge main; git log --oneline --graph; git ls-files -s | sha1sum
        git stash list; echo dirty >>side; git stash -q; git stash pop -q; git diff
        git checkout -q -- .
        git rm -rq doc; git reset -q --hard; ls doc | wc -l; git mv src lib; git commit -qm moved
        git rebase -q main 2>&1; git tag -a -m tagged v1; git clean -fdx; git fsck
    """, ignore=PRIVATE)
    twin.remount()
    twin.run("git status --porcelain; git diff-index HEAD; git fsck --strict; git describe",
             ignore=PRIVATE)


def test_git_gc_packs_and_everything_stays(twin):
    twin.run(REPOSITORY + """
        for n in $(seq 1 10); do echo $n >>src/f$n; git commit -qam "commit $n"; done
        git repack -q; git gc -q --prune=now; find .git/objects -type f | sort
        git fsck --full; git log --format=%H | wc -l
    """, ignore=PRIVATE)
    twin.remount()
    twin.run("""
        git status --porcelain; git fsck --full; git verify-pack .git/objects/pack/*.idx
        git branch old HEAD~5; git gc -q --aggressive --prune=now; git pack-refs --all; git fsck
        git reflog | wc -l; git cat-file --batch-check --batch-all-objects | sort | sha1sum
    """, ignore=PRIVATE)
    twin.remount()
    twin.run("git fsck --full; git checkout -q old; git status --porcelain -b", ignore=PRIVATE)


@pytest.mark.slow
def test_git_clones_pushes_and_pulls(twin):
    twin.run(f"""
        mkdir origin; cd origin; {REPOSITORY} cd ..
        git clone -q origin gone; git -C gone fsck; rm -r gone
        clone='git clone -q --no-hardlinks'
        $clone origin clone; $clone --bare origin bare.git; $clone origin "$OUT/away"
        $clone "$OUT/away" back; git clone -q --no-local --depth 1 "file://$PWD/origin" shallow
        cd clone; git remote add bare ../bare.git; echo new >new; git add new; git commit -qm new
        git push -q bare main; cd ../back; git pull -q ../bare.git main; ls new; cd ..
        git -C origin worktree add -q "$PWD/tree"; git -C tree status --porcelain
        for d in origin clone bare.git back shallow "$OUT/away"; do git -C "$d" fsck --full; done
    """, ignore=PRIVATE)
    twin.remount()
    twin.run("""
        for d in origin clone back shallow tree; do git -C $d status --porcelain; git -C $d fsck
        done
        git clone -q --no-hardlinks clone late; git -C late log --format='%H %s'
        diff -r -x .git clone late
    """, ignore=PRIVATE)


PROJECT = r"""
    mkdir -p src/lib include
    for n in one two three; do
        printf '#include "all.h"\nint %s(void) { return %s; }\n' $n ${#n} >src/lib/$n.c
        printf 'int %s(void);\n' $n
    done >include/all.h
    printf '%s\n' '#include "all.h"' '#include <stdio.h>' \
        'int main(void) { return printf("%d\n", one() + two() + three()) < 0; }' >src/main.c
    cat >Makefile <<'END'
objects := $(patsubst src/lib/%.c,build/%.o,$(wildcard src/lib/*.c))
all: build/program
build/program: build/main.o build/liball.a
	$(CC) -o $@ $^
build/liball.a: $(objects)
	$(AR) rcsD $@ $^
build/%.o: src/lib/%.c | build
	$(CC) -MMD -Iinclude -c -o $@ $<
build/main.o: src/main.c | build
	$(CC) -MMD -Iinclude -c -o $@ $<
build:
	mkdir $@
clean:
	rm -rf build
-include $(wildcard build/*.d)
END
"""
NOTHING = r"make(\[\d\])?: Nothing to be done for 'all'\.\n"


def test_make_does_nothing_the_second_time(twin):
    assert twin.run(PROJECT + "make; build/program").endswith("\n11\n")
    assert re.fullmatch(NOTHING, twin.run("make"))
    twin.remount()
    assert re.fullmatch(NOTHING, twin.run("make; make -q"))
    assert twin.run("build/program") == "11\n"


def test_make_rebuilds_what_changed_and_no_more(twin):
    twin.run(PROJECT + "make -j2 >/dev/null; touch src/lib/two.c; make")
    twin.remount()
    out = twin.run("touch -d 2001-01-01 build/one.o; make")
    assert "one.c" in out and "three.c" not in out
    twin.run("touch include/all.h; make; make clean all")
    twin.remount()
    assert re.fullmatch(NOTHING, twin.run("make; make -q"))


@pytest.mark.parametrize("how", [
    "touch source", "echo x >source; chmod 755 source", "umask 077; echo x >source; umask 022",
    "echo x >first; cp -p first source", "echo x >first; mv first source"])
def test_what_was_made_of_a_file_in_the_same_second_is_not_older_after_a_remount(twin, how):
    """Its time comes back without the fraction, and so must the time of what it was made of."""
    for _ in range(3):
        twin.run(f"{how}; cat source >target; test ! source -nt target")
        twin.remount()
        twin.run("test ! source -nt target; rm -f first source target")


@pytest.mark.clause("S16b", "S17e")
def test_git_and_make_find_nothing_changed_by_a_remount(mount, host_dir):
    def run(command):
        return subprocess.run(["bash", "-ec", command], cwd=m.path, capture_output=True, text=True,
                              check=False, timeout=60, env={**os.environ, "HOME": str(host_dir)})

    m = mount()
    made = run("""
        git init -q .; git config user.name x; git config user.email x@y; mkdir src
        printf 'all: out\\nout: src/a src/b\\n\\tcat $^ >$@\\n' >Makefile
        echo a >src/a; echo b >src/b.new; mv src/b.new src/b; make -s; git add -A
        git commit -qm first; sleep 0.05; git status --porcelain
    """)
    assert (made.returncode, made.stdout) == (0, ""), made.stderr
    for _ in range(2):
        m.remount()
        # compares what stat(2) says with the index, and never looks into a file
        assert run("git diff-files --quiet").returncode == 0
        assert run("make -q").returncode == 0
