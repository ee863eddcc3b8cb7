# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the kernel calls a file is never another file: seen by file handles, which are such numbers."""
import json
import sys

import pytest

import handles
import namespace
import paths


@pytest.fixture
def seen(tmp_path):
    """What handles.py saw, which does all of it as root."""
    for name in ("log", "mnt"):
        (tmp_path / name).mkdir()
    said = namespace.run_as("root", "unshare", "-m", "--propagation", "private",
                            sys.executable, handles.__file__,
                            paths.program("fuse/datawalfs"), tmp_path)
    return json.loads(said.splitlines()[-1])


@pytest.mark.clause("S17d")
def test_a_file_handle_leads_to_its_file_or_nowhere(seen):
    assert seen["removed and replaced"] == ["ESTALE"]
    assert seen["removed but open"] == ["still there", "ESTALE"]
    assert seen["living"]["f"] == "content"
    assert seen["living"]["dir"] == "a directory"
    assert seen["living"][".log/00000001.dwal"].startswith("DWAL")


@pytest.mark.clause("S17d")
def test_file_handles_end_with_the_mount_but_for_the_root(seen):
    assert seen["of an earlier mount"] == dict.fromkeys(handles.LIVING, "ESTALE")
    assert seen["the root"] == "a directory"
