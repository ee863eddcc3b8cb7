# SPDX-License-Identifier: MIT OR Apache-2.0
"""Commands on the whole mount see the files and nothing else: the log is not in their way, nor they
in its."""
import pytest

pytestmark = pytest.mark.clause("S18a")

GIT = "git -c init.defaultBranch=main"


def test_git_commits_the_files_and_not_the_log(twin):
    twin.run(f"""
        echo one >a; mkdir d; echo two >d/b
        {GIT} init -q .; {GIT} add -A; {GIT} commit -qm 1; git ls-files; git status --short
        echo three >>a; {GIT} add -A; {GIT} commit -qm 2; git show --stat --format= HEAD
        git clean -ndx; {GIT} rm -qr d; git status --short
    """, ignore=[".git/index"])


def test_rsync_makes_the_mount_the_same_as_a_tree(twin):
    twin.run("""
        mkdir "$OUT/src"; echo 1 >"$OUT/src/a"; echo stray >stray; mkdir -p d/e; echo s >d/e/f
        rsync -a --delete "$OUT/src/" ./; echo "status $?"; find . | sort
        rsync -a --delete ./ "$OUT/back/"; echo "status $?"; ls -A "$OUT/back"
    """)


@pytest.mark.parametrize("command", [
    "find . -mindepth 1 -delete", "rm -r ./* ./.[!.]*", "find . -mindepth 1 -depth -exec rm -d {} +",
    "chmod -R u-w .; chmod -R u+w .", "cp -a . \"$OUT/copy\"; find \"$OUT/copy\" | wc -l",
    "grep -r value . | wc -l", "du -a . | cut -f2 | sort", "tar cf - . | tar tf - | sort",
    "touch -d 2001-01-01 $(find .)", "find . -type f -exec sed -i s/value/new/ {} +"])
def test_a_command_on_everything_ends_well(twin, command):
    twin.run(f"""echo value >.hidden; mkdir -p d/e; echo value >d/e/f; echo value >g
        {command}; echo "status $?"; find . | sort""")


