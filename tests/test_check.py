# SPDX-License-Identifier: MIT OR Apache-2.0
"""contrib/check counts what it could not run, and never leaves a test out in silence."""
import os
import subprocess
import sys

import pytest

import paths

TESTS = """
import pytest


def test_that_passes():
    pass


@pytest.mark.root
def test_of_roots():
    pass


def test_by_sudo():
    import privileged
    privileged.prefix()


def test_without_its_program():
    pytest.skip("no such program")
"""


@pytest.fixture
def run_pytest(tmp_path):
    """run_pytest("-q", DATAWAL_NO_SKIP="1") runs TESTS as somebody who is not root and has no
    sudo; the exit status and what was printed."""
    (tmp_path / "plain_user.py").write_text("import os\nos.getuid = lambda: 1000\n"
                                            "import shutil\nshutil.which = lambda name: None\n")
    (tmp_path / "test_few.py").write_text(TESTS)
    tests = paths.ROOT / "tests"
    places = [tmp_path, tests, tests / "lib", paths.ROOT / "corpus"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("DATAWAL_", "PYTEST_"))}

    def run(*args, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-c", tests / "pytest.ini", "-p", "plain_user",
             "-p", "conftest", "--rootdir", tmp_path, *args, tmp_path / "test_few.py"],
            env=clean | environment | {"PYTHONPATH": ":".join(map(str, places)),
                                       "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50,
            check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_what_needs_root_is_counted_where_there_is_none(run_pytest):
    status, said = run_pytest()
    assert status == 0 and "1 passed, 3 skipped" in said
    assert "2 tests need root" in said


def test_contrib_check_lets_no_test_be_skipped(run_pytest):
    status, said = run_pytest(DATAWAL_NO_SKIP="1")
    assert status == 1 and "2 failed, 1 passed, 1 error" in said
    assert said.count("needs root") >= 2


def test_without_root_only_its_tests_may_be_skipped_and_are_counted(run_pytest):
    status, said = run_pytest(DATAWAL_NO_SKIP="1", DATAWAL_WITHOUT_ROOT="1")
    assert status == 1 and "1 failed, 1 passed, 2 skipped" in said
    assert "2 tests need root" in said


@pytest.mark.parametrize("program", ["check", "check-clean"])
def test_wrong_use_is_told_and_does_nothing(program):
    for args, status in (["--help"], 0), (["--frobnicate", "x"], 1), (["--as", "nobody"], 1):
        done = subprocess.run([paths.ROOT / "contrib" / program, *args], capture_output=True,
                              text=True, timeout=20, check=False)
        assert done.returncode == status
        assert f"usage: contrib/{program}" in done.stdout + done.stderr
