# SPDX-License-Identifier: MIT OR Apache-2.0
"""contrib/formal says which code, tests and mutants hold what the models ask for: they are there, and
its configurations are those of its runner. No model is checked here, which takes a JVM and its time."""
import re
import runpy

import pytest

import paths

FORMAL = paths.ROOT / "contrib/formal"
OBLIGATIONS = 33
ROWS = [[cell.strip() for cell in row.strip("|").split("|")]
        for row in re.findall(r"^\| \d+ \|.*$", (FORMAL / "README.md").read_text(), re.M)]
FUNCTIONS = {name for path in (paths.ROOT / "tests").glob("test_*.py")
             for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}
CASES = {name for path in (paths.ROOT / "tests/unit").glob("test_*.c")
         for name in re.findall(r"\bUNIT\((\w+)\)", path.read_text())}


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_each_obligation_has_a_row():
    assert [int(row[0]) for row in ROWS] == list(range(1, OBLIGATIONS + 1))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_holds_an_obligation_is_there(row):
    number, _, code, tests, mutants = row
    for part in re.findall(r"((?:`\w+`, )*`\w+`) in `([^`]+)`", code):
        text = (paths.ROOT / part[1]).read_text()
        assert [name for name in quoted(part[0]) if not re.search(rf"\b{name}\(", text)] == []
    assert [name for name in quoted(tests) if name not in FUNCTIONS | CASES] == []
    assert [name for name in quoted(mutants)
            if not (paths.ROOT / f"tests/mutants/{name}.patch").exists()] == []
    assert number == "33" or (quoted(code) and quoted(tests) and quoted(mutants))


def test_the_configurations_are_those_of_the_runner(tmp_path):
    runpy.run_path(str(FORMAL / "run.py"))["generate"](tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in (FORMAL / "cfg").iterdir()}
