# SPDX-License-Identifier: MIT OR Apache-2.0
"""The patches in tests/mutants still apply, and name clauses and tests that there are; and each test
catches its mutant, which takes minutes: only with -m mutant, or by tests/mutants/run."""
import fcntl
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest

import paths

LINES_CHANGED = 6


def load_runner():
    path = paths.ROOT / "tests/mutants/run"
    loader = importlib.machinery.SourceFileLoader("mutants", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mutants", loader))
    sys.modules["mutants"] = module  # where its dataclass looks
    loader.exec_module(module)
    return module


RUNNER = load_runner()
MUTANTS = RUNNER.all_mutants()


def name_of(mutant):
    return mutant.name


@pytest.mark.skipif(not shutil.which("git"), reason="git missing")
@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_the_patch_applies_to_the_tree_as_it_is(mutant):
    assert RUNNER.applies(mutant, paths.ROOT) == "", "make the patch anew, or remove it"


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_the_patch_is_small_and_breaks_what_is_shipped(mutant):
    text = mutant.path.read_text()
    directories = set(re.findall(r"^\+\+\+ b/([^/]+)/", text, re.M))
    assert directories and directories <= {"src", "fuse"}
    assert len(re.findall(r"^\+(?!\+\+ )", text, re.M)) <= LINES_CHANGED
    assert len(re.findall(r"^-(?!-- )", text, re.M)) <= LINES_CHANGED


def test_the_clauses_named_are_there():
    known = set()
    for document in ("src/CANON.md", "fuse/SEMANTICS.md"):
        known |= set(re.findall(r"\*\*([CS]\d+[a-z]?)\.?\*\*", (paths.ROOT / document).read_text()))
    assert sorted({c for m in MUTANTS for c in m.clauses} - known) == []


def test_the_tests_named_are_there():
    named = sorted({test for mutant in MUTANTS for test in mutant.tests})
    done = subprocess.run([sys.executable, "-m", "pytest", "--collect-only", "-q", *named],
                          cwd=paths.ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def bench(request, tmp_path_factory):
    """A copy of the tree of this process's own. The first of pytest's processes builds it."""
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        base = base.parent
    first = RUNNER.Bench(base / "mutants", sys.executable)
    with open(base / "mutants.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not first.build.exists():
            first.make()
    mine = first.copy(tmp_path_factory.mktemp("mutants") / "copy")
    yield mine
    shutil.rmtree(mine.scratch)


@pytest.mark.mutant
@pytest.mark.deadline(600)
@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_the_mutant_is_caught(bench, mutant):
    assert bench.try_mutant(mutant) == "caught"
