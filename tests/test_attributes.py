# SPDX-License-Identifier: MIT OR Apache-2.0
"""Attribute and clock records have exactly the form of fuse/ATTRIBUTES.md: tests/unit/test_attr.c,
test_attr_xattr.c and test_xattr.c, and the document's fields held to those of the code."""
import re
import subprocess

import pytest

import paths
import suspicion
from numbers_of import number_of

pytestmark = pytest.mark.sanitize

DOCUMENT = paths.ROOT / "fuse/ATTRIBUTES.md"


def run(test, cwd, program="test_attr"):
    done = subprocess.run([paths.program(f"tests/{program}"), test], cwd=cwd, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=55, check=False)
    suspicion.check(test, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-8000:]


@pytest.mark.parametrize("test", ["the_text_is_as_frozen", "attributes_round_trip",
                                  "the_type_tells_directory_from_value",
                                  "no_truncation_gives_a_wrong_field"])
def test_attribute_records_have_one_form(test, tmp_path):
    run(test, tmp_path)


@pytest.mark.clause("S15c")
@pytest.mark.parametrize("test", ["unknown_fields_and_extended_attributes_are_passed_over",
                                  "malformed_payloads_are_refused_whole",
                                  "junk_is_refused_or_reads_back_the_same"])
def test_what_is_no_attribute_record_is_left_alone(test, tmp_path):
    run(test, tmp_path)


@pytest.mark.clause("S15c")
@pytest.mark.parametrize("test", ["extended_attributes_follow_the_fields",
                                  "no_truncation_gives_a_wrong_extended_attribute",
                                  "extended_attributes_of_another_form_are_passed_over",
                                  "extended_attributes_over_the_limit_are_passed_over",
                                  "junk_reads_back_the_same"])
def test_extended_attributes_in_records_have_one_form(test, tmp_path):
    run(test, tmp_path, "test_attr_xattr")


@pytest.mark.parametrize("test", ["the_longest_value_is_that_of_ext4",
                                  "as_many_attributes_as_on_ext4",
                                  "names_and_values_are_within_the_total",
                                  "a_name_has_1_to_255_bytes"])
def test_extended_attributes_have_the_limits_of_ext4(test, tmp_path):
    run(test, tmp_path, "test_xattr")


@pytest.mark.clause("S16b")
@pytest.mark.parametrize("test", ["clock_records_are_read",
                                  "only_the_exact_form_is_a_clock_record",
                                  "times_round_trip"])
def test_times_and_clock_records_have_one_form(test, tmp_path):
    run(test, tmp_path)


@pytest.mark.parametrize("test", [
    pytest.param("every_time_is_kept_exactly", marks=pytest.mark.clause("S15b")),
    pytest.param("a_time_of_access_outlasts_the_kernels_memory", marks=pytest.mark.clause("S16g")),
])
def test_a_mount_keeps_times_in_few_bytes(test, tmp_path):
    run(test, tmp_path, "test_node_cost")


def test_the_document_and_the_code_name_the_same_fields_and_types():
    code = (paths.ROOT / "src/base/attr.c").read_text()
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", DOCUMENT.read_text(), re.M)
    fields = {name: value for names, value in rows for name in re.findall(r"`(\w+)`", names)
              if re.fullmatch(r"(`\w+`(, )?)+", names)}
    types = set(re.findall(r"`(\w+)`", fields["type"]))
    assert set(re.findall(r'\[ATTR_\w+\] = "(\w+)"', code)) == types
    assert set(re.findall(r'\{"(\w+)", ATTR_HAS_\w+\}', code)) == set(fields) - {"type"}


@pytest.mark.clause("S17e")
@pytest.mark.parametrize("test", ["the_hash_is_as_documented", "a_path_can_be_hashed_in_pieces",
                                  "numbers_are_in_their_range"])
def test_inode_numbers_are_as_documented(test, tmp_path):
    run(test, tmp_path, "test_ino")


def test_the_documents_examples_of_inode_numbers_are_right():
    rows = re.findall(r"^([df]) of (?:the empty key|(\S+)) +(\d+)$", DOCUMENT.read_text(), re.M)
    assert len(rows) == 6
    for kind, key, number in rows:
        assert number_of(key, kind.encode()) == int(number)
