# SPDX-License-Identifier: MIT OR Apache-2.0
"""Logs that somebody has made to make the mount slow or large."""
import os
import subprocess

import pytest

import paths
import suspicion

COMPONENT_BYTES = 200  # of memory: S26a
DEEPEST = 32768


def memory_of(process):
    """Bytes that it has in memory."""
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.sanitize
@pytest.mark.parametrize("name", [
    pytest.param("a_component_costs_what_is_said", marks=pytest.mark.clause("S26a")),
    pytest.param("names_chosen_to_collide_do_not", marks=pytest.mark.clause("S26b")),
    pytest.param("one_name_in_many_directories_does_not_collide", marks=pytest.mark.clause("S26b")),
    pytest.param("keys_that_wait_do_not_collide", marks=pytest.mark.clause("S26b")),
    pytest.param("numbers_that_the_log_tells_do_not_collide", marks=pytest.mark.clause("S26b")),
    pytest.param("each_tree_has_a_hash_of_its_own", marks=pytest.mark.clause("S26b")),
])
def test_unit_program_holds_the_clause(name, tmp_path):
    done = subprocess.run([paths.program("tests/test_hostile_names"), name], cwd=tmp_path,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=50, check=False)
    suspicion.check(name, done.stderr)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.clause("S26a")
def test_the_deepest_keys_cost_so_much_a_component(datawal, logdir, mount, tmp_path):
    keys = [first + "/a" * (DEEPEST - 1) for first in "abcdef"]
    for key in keys:
        datawal.put(logdir, key, b"value")
    bare = memory_of(mount(tmp_path / "bare"))
    m = mount(logdir)
    assert memory_of(m) - bare < len(keys) * DEEPEST * COMPONENT_BYTES
    assert sorted(os.listdir(m)) == list("abcdef")
