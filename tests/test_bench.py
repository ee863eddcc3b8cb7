# SPDX-License-Identifier: MIT OR Apache-2.0
"""contrib/bench runs, and writes what it measured. Nothing here looks at how long anything took."""
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

import pytest

import mounting
import paths
import request_log

PROGRAM = paths.ROOT / "contrib/bench"
SIDES = {"datawal", "noxattr", "floor", "plain", "before"}  # of a mount
OPERATIONS = {"create", "readdir and stat", "read", "overwrite", "rename", "unlink", "mkdir"}


@pytest.fixture
def bench(tmp_path):
    """bench(ARGUMENT...) runs it, and returns what it printed, on both descriptors."""
    def run(*arguments, status=0):
        done = subprocess.run([sys.executable, PROGRAM, *map(str, arguments)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100,
                              check=False)
        assert done.returncode == status, done.stdout
        return done.stdout
    return run


@pytest.fixture
def work():
    """A directory in memory where there is such: others' writes are not waited for."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture
def smoke(bench, build, work, tmp_path):
    """smoke(PART...) measures as little as can be, and returns what was printed and the cases."""
    def run(*parts, programs=build, status=0):
        out = tmp_path / "out"
        text = bench("--smoke", "--programs", programs, "--work", work, "--out", out,
                     "--passthrough", "none", *parts, status=status)
        assert os.listdir(work) == [], "something is left behind"
        found = out / "bench.json"
        return text, json.loads(found.read_text())["cases"] if found.exists() else None
    return run


def cases_of(cases, part):
    return {case["operation"]: case for case in cases if case["part"] == part}


@pytest.fixture
def reference(tmp_path):
    """A build directory whose only program takes the words of bench_store, and has two operations."""
    program = tmp_path / "reference/contrib/bench.d/bench_store"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\n[ "$1" = list ] && echo datawal put get || echo 5\n')
    program.chmod(0o755)
    return tmp_path / "reference"


def test_the_store_is_measured_beside_the_system_call_and_each_peer_that_is_there(smoke, build,
                                                                                  reference):
    text, cases = smoke("store", "--against", f"reference={reference}")
    listed = subprocess.run([build / "contrib/bench.d/bench_store", "list"], text=True, check=True,
                            capture_output=True, timeout=10).stdout.splitlines()
    found = cases_of(cases, "store")
    assert {"append", "put", "get", "delete", "walk keys and values", "open", "compact in place",
            "export as text", "put and sync, 8 threads"} <= set(found)
    assert set(found["put"]["sides"]) == {line.split()[0] for line in listed} | {"reference"}
    assert found["get"]["sides"]["reference"]["median"] == 5
    assert {"datawal", "floor"} == set(found["delete"]["sides"]) & {"datawal", "floor", "reference"}
    assert "put and sync, 8 threads" in text


@pytest.mark.deadline(60)
def test_mounts_are_measured_beside_the_floor_and_another_build(smoke, build):
    mounting.connect_or_skip(pytest)
    _, cases = smoke("mount", "beside", "memory", "--against", f"before={build}")
    mounts = [case for case in cases if case["part"] == "mount"]
    groups = {case["group"] for case in mounts}
    assert len(groups) == 5  # on one CPU, free, four clients, busy CPUs, streaming
    for group in groups - {"streaming"}:
        assert {case["operation"] for case in mounts if case["group"] == group} == OPERATIONS
    assert all(SIDES == set(case["sides"]) for case in mounts)
    assert {"p50", "p99", "the rename"} <= set(cases_of(cases, "beside"))
    found = cases_of(cases, "memory")
    assert {"bytes a key", "mounting", "unmounting"} == set(found)
    assert {"datawal", "before"} == set(found["mounting"]["sides"])


def test_requests_are_counted_beside_the_goal_and_the_floor(smoke):
    mounting.connect_or_skip(pytest)
    _, cases = smoke("requests")
    assert len(cases) % len(request_log.OPERATIONS) == 0
    for case in cases:
        sides = {side: figures["median"] for side, figures in case["sides"].items()}
        assert sides["datawal"] <= sides["goal"] and "goal" in sides
        assert ("floor" in sides) == (case["operation"] != "symlink")


def test_the_three_files_of_a_run_say_the_same(smoke, tmp_path):
    _, cases = smoke("store", "--sides", "floor")
    assert {side for case in cases for side in case["sides"]} == {"datawal", "floor"}
    for case in cases:
        ours = case["sides"]["datawal"]["median"]
        for side, figures in case["sides"].items():
            assert figures["median"] == statistics.median(figures["samples"])
            if side != "datawal":
                assert case["ratios"][side] == pytest.approx(figures["median"] / ours)
    with open(tmp_path / "out/bench.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["operation"], row["side"], float(row["median"])) for row in rows] == \
        [(case["operation"], side, figures["median"])
         for case in cases for side, figures in case["sides"].items()]
    picture = xml.etree.ElementTree.parse(tmp_path / "out/bench.svg").getroot()
    marks = picture.findall(".//{*}circle/{*}title")
    assert len(marks) == sum(len(case["ratios"]) for case in cases)


def a_result(directory, name, ours, unit="ns", **others):
    """A file as bench writes it, of one case."""
    path = directory / name
    sides = {side: {"median": value, "samples": [value]}
             for side, value in (("datawal", ours), *others.items())}
    path.write_text(json.dumps({"about": {}, "cases": [
        {"part": "store", "group": "few", "operation": "put", "unit": unit, "sides": sides}]}))
    return path


@pytest.mark.parametrize("unit, change", [("ns", "1, then 2: x2.00"),
                                          ("MB/s", "1, then 0.5: x0.50")])
def test_compare_says_by_how_much_a_ratio_has_changed(bench, tmp_path, unit, change):
    first, second = (a_result(tmp_path, name, ours, unit, floor=100)
                     for name, ours in (("a.json", 100), ("b.json", 50)))
    assert bench("compare", first, second) == f"store: few: put, beside floor: {change}\n"


def test_compare_says_how_a_figure_has_changed_that_has_no_other_beside_it(bench, tmp_path):
    first, second = (a_result(tmp_path, name, ours, "B")
                     for name, ours in (("a.json", 400), ("b.json", 200)))
    assert bench("compare", first, second) == "store: few: put, B: 400, then 200: x0.50\n"


def test_a_peer_that_is_not_installed_is_named_with_its_package_and_left_out(smoke, tmp_path):
    place = tmp_path / "build/contrib/bench.d"
    place.mkdir(parents=True)
    (place / "bench_store").write_text("#!/bin/sh\n[ $1 = list ] && echo datawal put || echo 7\n")
    (place / "bench_store").chmod(0o755)
    text, cases = smoke("store", programs=tmp_path / "build")
    assert "bench: left out: lmdb, leveldb, rocksdb, tkrzw, sqlite; apt-get install liblmdb-dev" in text
    assert cases_of(cases, "store")["put"]["sides"]["datawal"]["median"] == 7


def test_a_program_that_fails_ends_the_run_and_nothing_is_written(smoke, tmp_path):
    place = tmp_path / "build/contrib/bench.d"
    place.mkdir(parents=True)
    (place / "bench_store").write_text("#!/bin/sh\n[ $1 = list ] && echo datawal put || exit 3\n")
    (place / "bench_store").chmod(0o755)
    text, cases = smoke("store", programs=tmp_path / "build", status=1)
    assert "ended with 3" in text.splitlines()[-1]
    assert cases is None


@pytest.mark.parametrize("arguments, status, says", [
    (["nothing"], 2, "nothing is no part"),
    (["--keys", "0"], 2, "--keys"),
    (["--values", "1,x"], 2, "--values"),
    (["--quick", "--smoke"], 2, "not allowed with"),
    (["--beside", "x=/nowhere"], 2, "x=/nowhere"),
    (["--against", "floor=/"], 2, "floor cannot be the name"),
    (["--beside", "x=/", "--beside", "x=/"], 2, "x cannot be the name"),
    (["--sides", "floor,berkeley"], 2, "berkeley is no side: floor, "),
    (["--work", "/nowhere"], 2, "/nowhere: no such directory"),
    (["--programs", "/"], 1, "not built there"),
    (["--against", "x=/"], 1, "x: nothing of datawal is built there"),
    (["compare"], 1, "usage: bench compare A.json B.json"),
    (["compare", "/nowhere", "/nowhere"], 1, "/nowhere: No such file"),
    (["compare", "/dev/null", "/dev/null"], 1, "not a result"),
])
def test_wrong_arguments_get_one_line(bench, arguments, status, says):
    text = bench(*arguments, status=status)
    assert text.startswith("bench: ") and says in text
    assert text.count("\n") == 1


def test_the_floor_is_a_file_system(tmp_path):
    """Else what it is compared with would not have done the same work."""
    mounting.connect_or_skip(pytest)
    place = tmp_path / "floor"
    place.mkdir()
    subprocess.run([paths.program("contrib/bench.d/floor"), place], check=True, timeout=10)
    try:
        shutil.copytree(paths.ROOT / "contrib", place / "first", ignore=shutil.ignore_patterns("__*"))
        os.rename(place / "first", place / "second")
        subprocess.run(["diff", "-r", "-x", "__*", paths.ROOT / "contrib", place / "second"],
                       check=True, timeout=20)
        assert os.listdir(place) == ["second"]
        with pytest.raises(OSError, match="not empty"):
            os.rmdir(place / "second")
        shutil.rmtree(place / "second")
        assert os.listdir(place) == []
    finally:
        subprocess.run(["fusermount3", "-u", place], check=True, timeout=10)
