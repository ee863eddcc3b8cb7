# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs the test cases in the C programs of tests/unit, each of which tests one part from the inside.
Most of them are named in another file here, with the clauses that they hold, and run there; this one
runs the others, so that none is forgotten."""
import re
import subprocess

import pytest

import paths
import suspicion

TESTS = paths.ROOT / "tests"
NAMED = {name for path in TESTS.glob("test_*.py") if path.name != "test_unit.py"
         for name in re.findall(r'"(\w+)"', path.read_text())}
CASES = [(path.stem, case) for path in sorted((TESTS / "unit").glob("test_*.c"))
         for case in re.findall(r"\bUNIT\((\w+)\)", path.read_text())]


@pytest.mark.sanitize
@pytest.mark.deadline(120)
@pytest.mark.parametrize("program, case", [c for c in CASES if c[1] not in NAMED],
                         ids=lambda word: word)
def test_unit_case_passes(program, case, tmp_path):
    done = subprocess.run([paths.program(f"tests/{program}"), case], cwd=tmp_path,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=110, check=False)
    suspicion.check(case, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-8000:]


def test_a_case_that_is_not_there_is_no_success():
    done = subprocess.run([paths.program(f"tests/{CASES[0][0]}"), "no_such_case"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert done.returncode == 2


def test_every_program_says_its_cases_so_that_they_are_found():
    told = {program for program, _ in CASES}
    assert sorted({path.stem for path in (TESTS / "unit").glob("test_*.c")} - told) == []
