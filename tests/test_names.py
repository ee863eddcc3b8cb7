# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys and file names are a bijection: the brute force of tests/unit/test_name.c and, over 255
bytes, test_name_long.c, test by test."""
import subprocess

import pytest

import name_model
import paths
import suspicion


def run(test, cwd, program="test_name"):
    done = subprocess.run([paths.program(f"tests/{program}"), test], cwd=cwd, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=55, check=False)
    suspicion.check(test, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-8000:]


@pytest.mark.clause("S12a", "S12b", "S12c", "S12d", "S12e", "S12f", "S12g", "S12h", "S13b")
def test_keys_read_as_the_contract_says(tmp_path):
    run("keys_read_as_the_contract_says", tmp_path)


def test_a_key_of_32768_components_is_cut_iteratively(tmp_path):
    run("largest_keys_are_cut_iteratively", tmp_path)


@pytest.mark.clause("S13a")
@pytest.mark.parametrize("alphabet", ["few_bytes", "slashes_and_dots", "telling_pieces"])
def test_every_key_has_one_path_and_every_path_one_key_or_none(alphabet, tmp_path):
    run(f"all_keys_and_paths_of_{alphabet}", tmp_path)


@pytest.mark.clause("S12i")
@pytest.mark.parametrize("promise", ["names_of_255_bytes_are_short_and_those_of_256_long",
                                     "long_names_are_those_of_the_format",
                                     "long_names_are_cut_between_escapes_and_characters",
                                     "a_character_cut_off_by_the_end_of_the_component_is_bytes",
                                     "distinct_components_have_distinct_long_names",
                                     "a_long_name_is_known_by_its_end"])
def test_long_names(promise, tmp_path):
    run(promise, tmp_path, "test_name_long")


def test_the_model_of_the_tests_has_the_published_hash():
    """The FNV specification's own test values."""
    assert name_model.fnv1a_128(b"") == 0x6c62272e07bb014262b821756295c58d
    assert name_model.fnv1a_128(b"a") == 0xd228cb696f1a8caf78912b704e4a8964
    assert name_model.fnv1a_128(b"foobar") == 0x343e1662793c64bf6f0d3597ba446f18
