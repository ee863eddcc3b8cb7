# SPDX-License-Identifier: MIT OR Apache-2.0
"""Kills of the daemon and of the command line under load: a few of each, and that the campaigns see a
loss. The campaigns are programs, tests/campaigns/kill9 and kill9-cli, for as many as there is time for."""
import os
import subprocess
import sys

import pytest

import cli
import kill9_log
import kill9_past
import kill9_shared
import mounting
import paths


def campaign(name, *words):
    done = subprocess.run([sys.executable, str(paths.ROOT / "tests/campaigns" / name), *words],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=170,
                          env={**os.environ, "DATAWAL_BUILD": str(paths.build_dir())}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none lost" in done.stdout


@pytest.mark.clause("S21a", "S21e")
@pytest.mark.deadline(180)
def test_a_killed_daemon_loses_nothing_whose_calls_had_returned(tmp_path):
    mounting.connect_or_skip(pytest)
    campaign("kill9", "--cycles", "3", "--seed", "5", "--dir", tmp_path / "kills")


@pytest.mark.clause("C21", "C37c")
@pytest.mark.deadline(120)
def test_a_killed_command_has_done_its_work_or_not(tmp_path):
    campaign("kill9-cli", "--cycles", "20", "--compact", "--seed", "2", "--dir", tmp_path / "kills")


@pytest.fixture
def kept(tmp_path):
    """A directory with files and the state that it is in."""
    (tmp_path / "d").mkdir()
    for name in ("a", "c", "d/b"):
        (tmp_path / name).write_text(name)
    known = {name: kill9_log.numbers(tmp_path / name) for name in ("a", "c", "d/b", "d")}
    return tmp_path, kill9_log.State(kill9_log.tree(tmp_path), known)


def rename(root, state):
    return {"begin": "rename", "delta": {"a": None, "d/b": state.entries["a"]}}


def test_what_was_not_done_and_what_was_is_told_apart(kept):
    root, state = kept
    assert kill9_log.settle(state, rename(root, state), root) is state
    os.rename(root / "a", root / "d/b")
    assert set(kill9_log.settle(state, rename(root, state), root).entries) == {"c", "d", "d/b"}


def lose(root):
    os.unlink(root / "d/b")


def resurrect(root):
    (root / "d/old").write_text("")


def change(root):
    (root / "a").write_text("b")


def widen(root):
    os.chmod(root / "a", 0o777)


def forget_the_time(root):
    os.utime(root / "c", ns=(1, 1))


def half_a_rename(root):
    os.unlink(root / "d/b")
    os.link(root / "a", root / "d/b")


def the_other_half(root):
    os.unlink(root / "a")


@pytest.mark.parametrize("act", [lose, resurrect, change, widen, forget_the_time, half_a_rename,
                                 the_other_half], ids=lambda act: act.__name__)
def test_a_loss_is_seen(kept, act):
    root, state = kept
    act(root)
    with pytest.raises(AssertionError):
        kill9_log.settle(state, rename(root, state), root)


def said(*steps):
    """The log of one writer whose steps take a unit of time each, the last one without an end."""
    lines = []
    for at, step in enumerate(steps):
        lines += [{"begin": "", "delta": {}, "at": 2 * at, **step}, {"end": "", "at": 2 * at + 1}]
    return lines[:-1]


def test_a_line_that_is_lost_cut_or_there_twice_is_seen(tmp_path):
    path, logs = tmp_path / "lines", [said({"line": "w 1\n"}, {"line": "w 2\n"})]
    for text in ("w 1\n", "w 1\nw 2\n"):
        path.write_text("first\n" + text)
        kill9_shared.check_lines(path, logs)
    for text in ("", "w 2\n", "w 1\nw 1\n", "w 1\nw", "w 1\nw 3\n"):
        path.write_text("first\n" + text)
        with pytest.raises(AssertionError):
            kill9_shared.check_lines(path, logs)


def test_a_replaced_content_that_comes_back_is_seen(tmp_path):
    path = tmp_path / "t0"
    logs = [said(*({"target": 0, "digest": kill9_log.digest(word)} for word in (b"1", b"2", b"3")))]

    def check(happened):
        return kill9_shared.check_target(path, "before", logs, lambda line: happened)

    path.write_bytes(b"2")
    check(False)
    path.write_bytes(b"3")
    check(True)
    for content, happened in ((b"1", True), (b"1", False), (b"3", False), (b"0", False)):
        path.write_bytes(content)
        with pytest.raises(AssertionError):
            check(happened)


# --- a compaction in place ---------------------------------------------------------

def change(kind, txid, key, payload=b""):
    return cli.Record(1, 0, 0, kind, txid, key, payload)


def horizon(lo, hi):
    return change("Raw", lo, b"datawal.horizon", b"datawal horizon 1\nlo=%d\nhi=%d\n" % (lo, hi))


ALL = [change("Put", 1, b"a", b"1"), change("Put", 2, b"b", b"2"), change("Delete", 3, b"a"),
       change("Put", 4, b"b", b"4"), change("Raw", 5, b"datawal.tag", b"datawal tag 1\nname=x\ntxid=2\n")]


@pytest.fixture
def past():
    known = kill9_past.Past()
    known.learn(ALL)
    assert kill9_past.named(ALL) == {"x": 2}
    return known


def test_a_state_that_a_horizon_covers_may_be_given_up(past):
    past.check(ALL, 4)
    past.spared.add(2)
    past.check([horizon(1, 3), *ALL[1:]], 3)
    past.check([horizon(1, 4), *ALL[3:]], 4)
    assert past.to_be_had() == [4] and past.superseded(ALL) == [1, 2] and not past.superseded(ALL[3:])


LOSSES = {
    "no horizon": ALL[1:],
    "a horizon too short": [horizon(1, 2), *ALL[2:]],
    "the present": [horizon(1, 4), ALL[4]],
    "resurrected": [horizon(1, 4), ALL[0], *ALL[3:]],
    "never was": [*ALL, change("Put", 6, b"c")],
    "another value": [*ALL[:3], change("Put", 4, b"b", b"2"), ALL[4]],
    "order": [*ALL[:2], ALL[3], ALL[2], ALL[4]],
    "given up what was to stay": [horizon(1, 5), *ALL[3:]],
    "given up what has a name": [horizon(1, 3), *ALL[2:]],
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_a_compaction_must_not_do_is_seen(past, loss):
    if loss != "given up what has a name":
        past.spared.add(2)
    with pytest.raises(AssertionError):
        past.check(LOSSES[loss], 4)
