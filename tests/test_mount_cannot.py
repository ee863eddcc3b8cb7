# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the mount cannot do, and answers clearly."""
import errno
import os
import subprocess

import pytest

from namespace import in_namespace


@pytest.mark.clause("S9e")
def test_a_file_without_a_name_is_refused_and_leaves_nothing(datawal, logdir, mount):
    m = mount(logdir)
    for flags in (os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_EXCL):
        with pytest.raises(OSError) as caught:
            os.open(m, os.O_TMPFILE | flags, 0o600)
        assert caught.value.errno == errno.EOPNOTSUPP
    assert os.listdir(m) == [] and datawal.scan(logdir) == []


@pytest.mark.clause("S16e")
def test_there_is_no_birth_time_and_none_is_made_up(mount):
    m = mount()
    (m / "d").mkdir()
    (m / "f").touch()
    done = subprocess.run(["stat", "-c", "%W %w", ".", "d", "f", ".log/README"], cwd=m, check=True,
                          capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    assert done.stdout == "0 -\n" * 4


@pytest.mark.clause("S15g")
def test_a_set_gid_bit_without_group_execute_stays_when_another_writes(open_dir):  # noqa: F811
    said = in_namespace(open_dir, "", """
        datawalfs $L $P -o allow_other
        for mode in 2646 6646 2656 4646; do
            echo one >$P/f; chmod $mode $P/f; nobody sh -c "echo two >>$P/f"; stat -c %a $P/f
            chmod $mode $P/f; nobody truncate -s 1 $P/f; stat -c %a $P/f
        done
        umount $P""")
    # with group execute, and set-uid bits, as everywhere
    assert said.split() == ["2646"] * 2 + ["2646"] * 2 + ["656"] * 2 + ["646"] * 2
