# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs the C programs in tests/unit, each of which tests one part from the inside. Most of their
tests are run one by one elsewhere, where the clauses are that they hold; here none is forgotten."""
import subprocess

import pytest

import paths
import suspicion

PROGRAMS = sorted(p.stem for p in (paths.ROOT / "tests/unit").glob("test_*.c"))


@pytest.mark.slow
@pytest.mark.sanitize
@pytest.mark.deadline(120)
@pytest.mark.parametrize("name", PROGRAMS)
def test_unit_program_passes(name, tmp_path):
    done = subprocess.run([paths.program(f"tests/{name}")], cwd=tmp_path, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=110, check=False)
    suspicion.check(name, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-8000:]
