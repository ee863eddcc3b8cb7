# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the daemon may do, what it shows of itself, and that it still ends as it should."""
import subprocess

import pytest

import paths
import privileged
from namespace import NOBODY, in_namespace

# Bits of linux/capability.h: CHOWN, DAC_OVERRIDE, FOWNER, SYS_ADMIN.
KEPT = f"{1 << 0 | 1 << 1 | 1 << 3 | 1 << 21:016x}"
NONE = f"{0:016x}"
WHO = {"root": "", "nobody": " ".join(NOBODY)}
UNMOUNTS = {"fusermount3": "as fusermount3 -u $P", "umount": "as umount $P", "signal": "kill $pid"}


def as_user(open_dir, who, script):
    """What the script prints where this user has a log, a place and a daemon: $L, $P and $pid."""
    if who == "nobody":
        privileged.as_root("chown", "-R", "65534:65534", open_dir / "log", open_dir / "place")
    return in_namespace(open_dir, "", f"""
        as() {{ {WHO[who]} "$@"; }}
        daemon() {{ pgrep -f "^datawalfs $L $P"; }}
        start() {{ SECRET=hidden as datawalfs $L $P "$@"; pid=$(daemon); }}
        ended() {{ tail --pid=$pid -f /dev/null; mountpoint -q $P && echo still mounted || :; }}
        {script}""")


def capabilities(open_dir, who):
    """NAME -> value of each thread's Cap* and NoNewPrivs lines, which must be the same in all."""
    said = as_user(open_dir, who, """start; as sh -c 'echo value >$P/f'
        cat /proc/$pid/task/*/status | grep -E '^(Cap|NoNew)' | sort -u; as umount $P; ended""")
    return dict(line.split(":\t") for line in said.splitlines()), said


@pytest.mark.clause("S27a")
def test_roots_daemon_has_four_capabilities_and_gets_no_other(open_dir):
    found, said = capabilities(open_dir, "root")
    assert found == {"CapInh": NONE, "CapPrm": KEPT, "CapEff": KEPT, "CapBnd": NONE, "CapAmb": NONE,
                     "NoNewPrivs": "1"}
    assert len(said.splitlines()) == 6


@pytest.mark.clause("S27a")
def test_a_users_daemon_has_none(open_dir):
    found, said = capabilities(open_dir, "nobody")
    assert {found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {NONE}
    assert found["NoNewPrivs"] == "0"
    assert len(said.splitlines()) == 6


@pytest.mark.clause("S27a")
def test_capabilities_that_a_service_gives_are_given_up(open_dir):
    """As a unit with User= and AmbientCapabilities= does."""
    said = as_user(open_dir, "nobody", """
        setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+sys_admin,+net_admin \
            --ambient-caps=+sys_admin,+net_admin datawalfs $L $P; pid=$(daemon)
        grep -E '^Cap(Prm|Inh|Amb)' /proc/$pid/status; kill $pid; ended""")
    assert said.split() == ["CapInh:", NONE, "CapPrm:", f"{1 << 21:016x}", "CapAmb:", NONE]


@pytest.mark.clause("S27b")
@pytest.mark.parametrize("who", WHO)
def test_its_environment_is_empty(open_dir, who):
    said = as_user(open_dir, who, """start
        tr -d '\\0' </proc/$pid/environ | wc -c; as umount $P; ended""")
    assert said.split() == ["0"]


@pytest.mark.clause("S27b")
def test_no_program_of_its_user_looks_into_it(open_dir):
    """What belongs to root in /proc, and cannot be read, belongs to a process that is not dumpable."""
    said = as_user(open_dir, "nobody", """start
        stat -c %u /proc/$pid/mem; as cat /proc/$pid/maps 2>/dev/null || echo no; as umount $P; ended""")
    assert said.split() == ["0", "no"]


@pytest.mark.clause("S27c")
@pytest.mark.parametrize("how", UNMOUNTS)
@pytest.mark.parametrize("who", WHO)
def test_it_unmounts_in_every_way(open_dir, who, how):
    said = as_user(open_dir, who, f"""start; as sh -c 'echo value >$P/f'
        {UNMOUNTS[how]}; ended; start; as cat $P/f; {UNMOUNTS[how]}; ended""")
    assert said == "value\n"


@pytest.mark.clause("S27c")
def test_root_still_writes_into_a_directory_of_somebody_elses(open_dir):
    said = as_user(open_dir, "root", """chown nobody $L; chmod 700 $L; start -o segment_size=65536
        for i in 1 2 3; do head -c 50000 /dev/urandom >$P/$i; done; umount $P; ended
        stat -c '%U %s' $L/*.dwal; start; cat $P/* | wc -c; kill $pid; ended""")
    *segments, total = said.splitlines()
    assert len(segments) >= 3 and {line.split()[0] for line in segments} == {"nobody"}
    assert total == "150000"


@pytest.mark.clause("S27c")
def test_a_unit_without_new_privileges_is_told_so(open_dir):
    said = as_user(open_dir, "nobody", """
        as setpriv --no-new-privs datawalfs $L $P || echo "status $?"; ls -A $P""")
    line, status = said.splitlines()
    assert line.startswith("datawalfs: ") and "NoNewPrivileges=" in line and status == "status 1"


@pytest.mark.clause("S27c")
def test_root_mounts_without_new_privileges(open_dir):
    said = as_user(open_dir, "root", """setpriv --no-new-privs datawalfs $L $P; pid=$(daemon)
        echo value >$P/f; cat $P/f; umount $P; ended""")
    assert said == "value\n"


def test_nothing_of_libcap_is_needed():
    needed = subprocess.run(["ldd", paths.program("fuse/datawalfs")], capture_output=True, text=True,
                            check=True, timeout=20).stdout
    assert "libcap" not in needed
