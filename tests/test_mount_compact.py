# SPDX-License-Identifier: MIT OR Apache-2.0
"""Giving space back under a live mount: when it is asked for, and by itself (history=)."""
import errno
import json
import re
import subprocess

import pytest

import mountctl
import mounting
import paths
import suspicion

pytestmark = [pytest.mark.sanitize, pytest.mark.thread]


def errno_of(function, *arguments, **more):
    with pytest.raises(OSError) as caught:
        function(*arguments, **more)
    return caught.value.errno


def told(m, name="stats.json"):
    """What .log says of the history and the last compaction."""
    found = json.loads((m / ".log" / name).read_text())
    return found["history"], found["compaction"]


# --- asking ------------------------------------------------------------------------

@pytest.mark.clause("S24a")
def test_a_compaction_is_begun_at_the_root_alone_and_with_words_that_mean_something(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    assert errno_of(mountctl.order, m / "f") == errno.ENOTTY
    assert errno_of(mountctl.order, m, how=3) == errno.EINVAL
    assert errno_of(mountctl.order, m, flags=4) == errno.EINVAL
    assert mountctl.state(m)["run"] == 0


@pytest.mark.clause("S24a")
def test_a_read_only_mount_is_not_compacted(mount):
    m = mount()
    m.remount("ro")
    assert errno_of(mountctl.order, m) == errno.EROFS
    assert told(m) == (None, {"running": False, "why_not": None, "last": None})


# --- the option --------------------------------------------------------------------

@pytest.mark.clause("S24f", "S24h")
@pytest.mark.parametrize("words, shown", [
    ([], "auto"), (["history=auto"], "auto"), (["history=all"], "all"), (["history=none"], "none"),
    (["history=10G"], "10737418240B"), (["history=30d"], "2592000s"),
    (["history=all", "history=2h"], "7200s")], ids=str)
def test_history_is_what_was_said_last(mount, words, shown):
    m = mount(None, *words)
    for name in "stats.json", "recovery.json":
        assert told(m, name)[0] == shown
    assert re.search(rf"^history +{shown}$", (m / ".log/recovery").read_text(), re.M)


@pytest.mark.clause("S24f")
@pytest.mark.parametrize("word", ["", "some", "10", "0d", "10g", "-1d", "1.5G"])
def test_a_history_that_is_none_is_refused(mount, word):
    with pytest.raises(mounting.MountFailed, match="bad value.*auto, all, none, a size"):
        mount(None, f"history={word}")


# --- the rules of history=, from the inside ------------------------------------------

def holds(clause, *cases):
    return [pytest.param(case, marks=clause, id=case) for case in cases]


@pytest.mark.parametrize("case", [
    *holds(pytest.mark.clause("S24d"), "each_rule_holds_at_its_boundary",
           "after_one_it_rests_ten_minutes",
           "with_less_than_2_percent_what_is_recent_goes_after_the_rest",
           "one_that_failed_is_tried_again_after_the_rest"),
    *holds(pytest.mark.clause("S24e"), "what_never_shows_is_not_freed_again_and_again",
           "what_shows_late_counts_once", "what_shows_while_it_runs_counts_as_well",
           "a_log_that_was_read_in_vain_is_not_read_again_for_the_same_bytes",
           "what_is_recent_is_tried_again_when_it_is_not"),
    *holds(pytest.mark.clause("S24f"), "without_history_it_goes_on_until_it_is_in_vain",
           "of_a_size_only_what_is_over_it_is_hopeless", "by_age_it_looks_at_a_tenth_of_the_age"),
])
def test_rule_of_history(case, tmp_path):
    done = subprocess.run([paths.program("tests/test_giveback"), case], cwd=tmp_path,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
    suspicion.check(case, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-8000:]
