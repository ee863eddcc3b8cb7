# SPDX-License-Identifier: MIT OR Apache-2.0
"""Logs that somebody has made to make the mount slow or large."""
import json
import os
import subprocess
from base64 import b64encode

import pytest

import paths
import suspicion

COMPONENT_BYTES = 90  # of memory: S26a
READING = 4 << 20  # what reading any log leaves resident, as far as a few keys show
DEEPEST = 32768


def memory_of(process):
    """Bytes that it has in memory."""
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run_unit(program, name, directory):
    done = subprocess.run([paths.program(f"tests/{program}"), name], cwd=directory,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=50, check=False)
    suspicion.check(name, done.stderr)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.sanitize
@pytest.mark.clause("S11a")
@pytest.mark.parametrize("name", ["each_name_that_stays_is_listed_once",
                                  "a_listing_goes_on_from_any_seat"])
def test_a_listing_of_what_changes_is_complete(name, tmp_path):
    run_unit("test_children", name, tmp_path)


@pytest.mark.sanitize
@pytest.mark.parametrize("name", [
    pytest.param("a_component_costs_what_is_said", marks=pytest.mark.clause("S26a")),
    pytest.param("attributes_that_wait_cost_what_is_said", marks=pytest.mark.clause("S26c")),
    pytest.param("names_chosen_to_collide_do_not", marks=pytest.mark.clause("S26b")),
    pytest.param("one_name_in_many_directories_does_not_collide", marks=pytest.mark.clause("S26b")),
    pytest.param("keys_that_wait_do_not_collide", marks=pytest.mark.clause("S26b")),
    pytest.param("numbers_that_the_log_tells_do_not_collide", marks=pytest.mark.clause("S26b")),
    pytest.param("each_tree_has_a_hash_of_its_own", marks=pytest.mark.clause("S26b")),
])
def test_unit_program_holds_the_clause(name, tmp_path):
    run_unit("test_hostile_names", name, tmp_path)


@pytest.mark.sanitize
@pytest.mark.clause("S26a")
@pytest.mark.parametrize("program, name", [
    ("test_node_cost", "a_file_costs_96_bytes"),
    ("test_node_cost", "a_directory_with_a_file_costs_250_bytes"),
    ("test_node_cost", "a_deep_key_costs_by_its_bytes"),
    ("test_node_cost", "a_file_that_is_made_costs_no_more"),
    ("test_node_cost", "what_nobody_looks_at_any_more_costs_as_before"),
    ("test_slab", "what_is_given_back_is_used_again"),
])
def test_a_node_costs_few_bytes(program, name, tmp_path):
    run_unit(program, name, tmp_path)


@pytest.mark.clause("S26a")
def test_the_deepest_keys_cost_so_much_a_component(datawal, logdir, mount, tmp_path):
    keys = [first + "/a" * (DEEPEST - 1) for first in "abcdef"]
    for key in keys:
        datawal.put(logdir, key, b"value")
    bare = memory_of(mount(tmp_path / "bare"))
    m = mount(logdir)
    assert memory_of(m) - bare < READING + len(keys) * DEEPEST * COMPONENT_BYTES
    assert sorted(os.listdir(m)) == list("abcdef")


@pytest.mark.clause("S11a")
def test_open_directories_take_no_memory_however_large_they_are(datawal, logdir, mount, tmp_path):
    count, opens = 20_000, 30
    with open(tmp_path / "in", "w", encoding="ascii") as lines:
        for number in range(count):
            key = b64encode(b"d/%05d" % number).decode()
            lines.write(json.dumps({"key_b64": key, "value_b64": ""}) + "\n")
    datawal("load", logdir, tmp_path / "in")
    m = mount(logdir, args=["-s"])
    held, before = [], 0
    for number in range(opens):
        held.append(os.open(m / "d", os.O_RDONLY | os.O_DIRECTORY))
        assert len(os.listdir(held[-1])) == count
        os.rename(m / f"d/{number:05}", m / f"d/moved{number}")
        before = before or memory_of(m)
    assert memory_of(m) - before < 4 << 20  # names alone are 5 MB, when each has its own
    for fd in held:
        os.close(fd)
