# SPDX-License-Identifier: MIT OR Apache-2.0
"""The library on a machine with 32 bits and on a big-endian one: it builds without a warning, its
unit tests pass, and it reads and writes the corpus byte for byte."""
import ast
import configparser
import os
import shlex
import shutil
import subprocess
import sys

import pytest

import paths

CROSS = paths.ROOT / "tests/cross"
PROGRAMS = ("src/cli/datawal", "tests/write_fixture",
            *(f"tests/{p.stem}" for p in (paths.ROOT / "tests/unit").glob("test_*.c")))


def must_pass(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=600, check=False, **more)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]


def wrap(build, to, words):
    """A directory that looks like a build directory, whose programs run by these words."""
    for name in PROGRAMS:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_text(f"#!/bin/sh\nexec {shlex.join(words)} {shlex.quote(str(build / name))} "
                               '"$@"\n')
        (to / name).chmod(0o755)


@pytest.mark.slow
@pytest.mark.deadline(300)
@pytest.mark.parametrize("machine", sorted(p.stem for p in CROSS.glob("*.ini")))
def test_the_library_passes_its_tests_and_the_corpus_on(machine, tmp_path):
    settings = configparser.ConfigParser()
    settings.read(CROSS / f"{machine}.ini")
    compiler, words = (ast.literal_eval(settings["binaries"][n]) for n in ("c", "exe_wrapper"))
    for program in (compiler, words[0]):
        if not shutil.which(program):
            pytest.skip(f"{program} missing")
    build = tmp_path / "build"
    must_pass("meson", "setup", build, paths.ROOT, "--cross-file", CROSS / f"{machine}.ini",
              "-Dfuse=disabled", "-Dwerror=true", "-Doptimization=0")  # quickly built
    must_pass("ninja", "--quiet", "-C", build)
    wrap(build, tmp_path / "run", words)
    # left out: a tree's range of addresses, readers, and what qemu cannot limit or is slow at
    left_out = ("addresses", "last_directory", "a_reader_says", "without_memory", "few_bytes",
                "stays_while_it_grows", "one_spelling", "slashes_and_dots", "any_length", "replayer",
                "agrees_with_an_array", "objects_keep")
    must_pass(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
              "-k", " and ".join(f"not {name}" for name in left_out),
              "tests/test_corpus.py", "tests/test_unit.py", cwd=paths.ROOT,
              env={**os.environ, "DATAWAL_BUILD": str(tmp_path / "run"), "DATAWAL_TEST_SLOWNESS": "20",
                   "PYTEST_ADDOPTS": f"--basetemp={tmp_path / 'tests'}"})
