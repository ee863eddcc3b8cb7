# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys and file names are a bijection: a model in Python is held to it by brute force, and so is
tests/unit/test_name.c; both must say the same (test_name_model.c). Over 255 bytes there is
test_name_long.c."""
import itertools
import random
import subprocess

import pytest

import name_model
import paths
import suspicion

pytestmark = pytest.mark.sanitize



def run(test, cwd, program="test_name"):
    done = subprocess.run([paths.program(f"tests/{program}"), test], cwd=cwd, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=55, check=False)
    suspicion.check(test, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-8000:]


@pytest.mark.clause("S12a", "S12b", "S12c", "S12d", "S12e", "S12f", "S12g", "S12h", "S13b")
def test_keys_read_as_the_contract_says(tmp_path):
    run("keys_read_as_the_contract_says", tmp_path)


@pytest.mark.clause("S13c")
def test_a_key_of_32768_components_is_cut_iteratively(tmp_path):
    run("largest_keys_are_cut_iteratively", tmp_path)
    run("largest_components_take_no_longer_than_others", tmp_path, "test_name_model")


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
                                     "a_name_that_ends_as_a_long_one_is_a_name_like_any_other"])
def test_long_names(promise, tmp_path):
    run(promise, tmp_path, "test_name_long")


def strings(pieces, most):
    """All of up to so many pieces, each once."""
    return sorted({b"".join(choice) for count in range(most + 1)
                   for choice in itertools.product(pieces, repeat=count)})


BYTES = [b"\\", b"/", b".", b"\0", b"x", b"2", b"f", b"a"]
PIECES = [b"\\", b"/", b".", b"\0", b"a", b"x2f", b"x5c", b"x00", b"x2e", b"\\x2f", b"\\x5c",
          b"value", b"log", b"empty"]
KEYS = sorted({*strings(BYTES, 4), *strings(PIECES, 3)})
NAMES = [key for key in KEYS if key and b"/" not in key and b"\0" not in key]


def may_be_refused(name, first, directory):
    """The exceptions of the contract."""
    if not name or name in (b".", b"..") or (first and name == b".log"):
        return True
    if directory:
        return name.endswith((b"\\x2f", b"\\value")) or (first and name == b"\\empty")
    return name.endswith(b"\\value") and may_be_refused(name[:-6], first, True)


@pytest.mark.clause("S13a")
def test_each_key_of_the_model_has_one_path_that_reads_back():
    paths_seen = {}
    for key in KEYS:
        parts = name_model.components(key)
        assert b"/".join(parts) == key
        names = [name_model.name_of(raw, at == 0) for at, raw in enumerate(parts)]
        path = b"/".join(names)
        assert paths_seen.setdefault(path, key) == key
        assert path.count(b"/") == len(parts) - 1 and b"\0" not in path
        for at, name in enumerate(names):
            inner = at < len(names) - 1
            assert name not in (b"", b".", b"..") and not name.endswith(b"\\value")
            assert name != b".log" or at > 0
            assert name_model.key_of_name(name, at == 0, inner) == (parts[at], False), name
            if inner:
                beside = name_model.name_of(parts[at], at == 0, True)
                assert name_model.key_of_name(beside, at == 0) == (parts[at], True), beside


@pytest.mark.clause("S13a", "S13b")
@pytest.mark.parametrize("directory", [False, True], ids=["file", "directory"])
@pytest.mark.parametrize("first", [True, False], ids=["root", "below"])
def test_each_name_of_the_model_can_be_created_and_reads_back(first, directory):
    for name in NAMES:
        made = name_model.key_of_name(name, first, directory)
        if made is None:
            assert may_be_refused(name, first, directory), name
            continue
        raw, value = made
        assert name_model.name_of(raw, first, value) == name
        key = raw if first else b"p/" + raw
        assert name_model.components(key)[-1] == raw
        assert name_model.components(key + b"/z")[-2:] == [raw, b"z"] or not directory


@pytest.mark.clause("S13a")
def test_no_two_keys_of_the_model_meet_whatever_else_is_there():
    """Sets of three, at random and such as are made to meet: no file and directory of one name."""
    rng = random.Random(1)
    some = strings([b"\\", b"/", b"a", b"x2f", b"x5c", b"value", b"."], 3)
    sets = [rng.sample(some, 3) for _ in range(3000)]
    for key in rng.sample(some, 300):
        path = name_model.path_of(key)
        sets += [[key, key + b"/a", path], [key, key + b"\\value", key + b"/\\"],
                 [key, path + b"/x", path + b"\\value"], [key + b"\\value/x", key + b"/a", key]]
    for keys in sets:
        shown = name_model.paths_of(set(keys))
        directories = {path[:at] for path in shown for at, byte in enumerate(path) if byte == 0x2f}
        assert not directories & set(shown), keys


@pytest.mark.clause("S13a")
def test_the_program_names_keys_as_the_model_does(tmp_path):
    """Every component and name, at the root and below, alone and beside a directory."""
    asked, want = [], []
    raws = sorted({raw for key in KEYS for raw in name_model.components(key)})
    for first, text in itertools.product((True, False), raws):
        if first or text:
            asked += [f"{kind}{first:d}{text.hex()}" for kind in "kv"]
            want += [name_model.name_of(text, first, value).hex() for value in (False, True)]
    for first, text in itertools.product((True, False), NAMES):
        for directory in (False, True):
            made = name_model.key_of_name(text, first, directory)
            asked.append(f"{'fd'[directory]}{first:d}{text.hex()}")
            want.append(made[0].hex() + "v" * made[1] if made else "!")
    done = subprocess.run([paths.program("tests/test_name_model"), "translation"], cwd=tmp_path, text=True,
                          input="\n".join(asked) + "\n", capture_output=True, timeout=55, check=True)
    told = done.stdout.splitlines()[1:]  # behind the name of the test
    assert [(a, t, w) for a, t, w in zip(asked, told, want) if t != w] == []
    assert len(told) == len(want) > 10000


def test_the_model_of_the_tests_has_the_published_hash():
    """The FNV specification's own test values."""
    assert name_model.fnv1a_128(b"") == 0x6c62272e07bb014262b821756295c58d
    assert name_model.fnv1a_128(b"a") == 0xd228cb696f1a8caf78912b704e4a8964
    assert name_model.fnv1a_128(b"foobar") == 0x343e1662793c64bf6f0d3597ba446f18
