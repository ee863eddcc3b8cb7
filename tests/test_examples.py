# SPDX-License-Identifier: MIT OR Apache-2.0
"""The example programs do what they say, on the same directory more than once where they can."""
import subprocess

import pytest

import paths
import suspicion


def run(name, *args, status=0):
    done = subprocess.run([paths.program(f"contrib/examples/{name}"), *args], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
    suspicion.check(name, done.stderr)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.mark.sanitize
def test_record_log_demo_appends_again_on_each_run(logdir):
    first = ["txid 1: alpha", "txid 2: beta", "txid 3: gamma"]
    assert run("record_log_demo", logdir).splitlines() == first
    again = ["txid 4: alpha", "txid 5: beta", "txid 6: gamma"]
    assert run("record_log_demo", logdir).splitlines() == first + again


@pytest.mark.sanitize
def test_datawal_kv_demo_lists_what_is_live(logdir):
    for _ in range(2):
        assert run("datawal_kv_demo", logdir).splitlines() == ["colour = 'blue'", "size = ''"]


@pytest.mark.sanitize
def test_tail_recovery_demo_keeps_torn_bytes_and_appends_readably(logdir):
    assert run("tail_recovery_demo", logdir).splitlines() == [
        "replayed 2 records, 28 bytes torn off the end",
        "segment 1 at offset 62: truncated record",
        "the torn bytes are in 00000001.dwal.torn-62",
        "replayed 3 records, 0 bytes torn off the end",
        "txid 1: one",
        "txid 2: two",
        "txid 3: four",
    ]
    assert (logdir / "00000001.dwal.torn-62").stat().st_size == 28


@pytest.mark.parametrize("name", ["record_log_demo", "datawal_kv_demo", "tail_recovery_demo"])
def test_example_says_in_one_line_what_is_wrong(name, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for args in ([], [tmp_path / "file"]):
        assert len(run(name, *args, status=1).splitlines()) == 1
