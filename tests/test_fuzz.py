# SPDX-License-Identifier: MIT OR Apache-2.0
"""The fuzz targets of tests/fuzz, with the inputs that are kept and those made from the corpus."""
import subprocess

import pytest

import fuzz_seeds
import paths
import suspicion

TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in (paths.ROOT / "tests/fuzz").glob("fuzz_*.c"))


def test_each_target_has_seeds_and_each_seed_a_target():
    assert sorted(fuzz_seeds.MADE) == TARGETS
    assert {path.parent.name for path in fuzz_seeds.KEPT.glob("*/*")} <= set(TARGETS)


@pytest.mark.sanitize
@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_target_holds(target, tmp_path):
    fuzz_seeds.write(target, tmp_path / "made")
    kept = [path for path in (fuzz_seeds.KEPT / target,) if path.exists()]
    done = subprocess.run([paths.program(f"tests/fuzz/fuzz_{target}"), tmp_path / "made", *kept],
                          cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=50,
                          check=False)
    suspicion.check(target, done.stderr)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-8000:]
    assert int(done.stdout.split()[0]) > 0
