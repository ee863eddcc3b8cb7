# SPDX-License-Identifier: MIT OR Apache-2.0
"""Who checks permissions: the kernel, or nobody where there is nobody but root. Root sees no
difference to an ordinary file system."""
import errno
import os
import re
import subprocess

import pytest

import mounting
import paths
import privileged
from byte_paths import fails_with

SECONDS = 30
CHECKS = [pytest.param(("default_permissions",), id="checked"), pytest.param((), id="root_alone")]


def is_checked(path):
    """Does the kernel check permissions in this mount?"""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        for line in table:
            fields = line.split()
            if mounting.unescape(fields[4]) == os.fsencode(path):
                return "default_permissions" in fields[-1].split(",")
    raise AssertionError(f"{path} is not mounted")


def mounted_by(prefix, open_dir, *options):
    privileged.as_root("chown", "-R", "0:0", open_dir / "log", open_dir / "place")
    privileged.as_root(*prefix, paths.program("fuse/datawalfs"), open_dir / "log",
                       open_dir / "place", *(["-o", ",".join(options)] if options else []))
    return open_dir / "place"


WITHOUT_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
                    "--inh-caps=-dac_override,-dac_read_search"]


@pytest.mark.clause("S15f")
@pytest.mark.parametrize("prefix, options, checked", [
    ([], [], False), ([], ["ro"], False), ([], ["uid=65534"], False),
    ([], ["allow_other"], True), ([], ["allow_root"], True), ([], ["default_permissions"], True),
    (WITHOUT_OVERRIDE, [], True)],
    ids=["root", "root_ro", "root_uid", "allow_other", "allow_root", "asked_for",
         "root_without_the_right"])
def test_permissions_are_checked_unless_root_is_alone(open_dir, prefix, options, checked):
    if "ro" in options:
        mounted_by(prefix, open_dir)  # which makes the log
        privileged.as_root("umount", open_dir / "place")
        mounting.wait_for(lambda: not mounting.daemons_of(open_dir / "place"), "the daemon's end")
    assert is_checked(mounted_by(prefix, open_dir, *options)) == checked


# As root. What is printed must be the same on the host and in the mount.
SCRIPT = r"""
umask 022; exec 2>&1
can() { for how in e r w x; do test -$how "$1"; printf %s $?; done; echo " $1"; }
for mode in 0 1 10 100 111 200 400 444 600 640 700 755 1777 4711 2711; do
    echo value >f$mode; chmod $mode f$mode; mkdir d$mode; chmod $mode d$mode
    echo value >d$mode/f; ln -s f$mode l$mode; mkfifo p$mode; chmod $mode p$mode
    for name in f d l p; do can $name$mode; done
    cat f$mode; echo more >>f$mode; wc -c <f$mode; ls d$mode; (cd d$mode && cat f)
    stat -c '%a %u %g' f$mode d$mode
done
echo '#!/bin/sh
echo runs' >program; ./program || echo "status $?"; chmod 001 program; ./program
chmod 6755 program; echo '# more' >>program; stat -c %a program
chown 1:1 program; stat -c '%a %u %g' program; chmod 6745 program; chgrp 2 program; stat -c %a program
setpriv --reuid=3 true; mkdir -m 1777 sticky; echo x >sticky/f; chown 5:5 sticky/f; rm sticky/f; ls sticky
mkdir setgid; chown 0:7 setgid; chmod 2755 setgid; mkdir setgid/d; echo x >setgid/f
stat -c '%a %g' setgid/d setgid/f
touch -d @1000 f0; stat -c %Y f0; mv f0 d0/g; rm -r d0; cp -p f100 copy; stat -c %a copy
printf x >immutable; chmod 0 immutable; truncate -s 0 immutable; rm -f immutable; ls
"""


def without_place(text):
    return re.sub(r"/\S*/(?=program)", "", text)


@pytest.mark.root
@pytest.mark.clause("S15f")
@pytest.mark.parametrize("options", CHECKS)
def test_root_sees_no_difference_to_the_host(mount, host_dir, options):
    m = mount(None, *options)
    said = [subprocess.run(["bash", "-c", SCRIPT], cwd=place, capture_output=True, text=True,
                           timeout=SECONDS, check=False).stdout for place in (host_dir, m.path)]
    assert "runs" in said[0] and "Permission denied" in said[0]
    assert without_place(said[0]) == without_place(said[1])


@pytest.mark.root
@pytest.mark.clause("S15f")
def test_root_without_its_rights_is_kept_out_by_modes_only_where_they_are_checked(mount):
    for options, status in ((), 0), (("default_permissions",), 1):
        m = mount(None, *options)
        (m / "f").write_bytes(b"value")
        os.chmod(m / "f", 0)
        done = subprocess.run([*WITHOUT_OVERRIDE, "cat", m / "f"], capture_output=True,
                              timeout=SECONDS, check=False)
        assert done.returncode == status, done.stderr
        m.unmount()


@pytest.mark.clause("S15f")
@pytest.mark.parametrize("options", [pytest.param((), marks=pytest.mark.root),
                                     ("default_permissions",)])
def test_under_log_root_may_look_and_change_nothing(mount, options):
    m = mount(None, *options)
    assert os.access(m / ".log/00000001.dwal", os.R_OK)
    assert not os.access(m / ".log/00000001.dwal", os.X_OK)
    with pytest.raises(OSError) as caught:
        os.open(m / ".log/new", os.O_CREAT | os.O_WRONLY)
    assert caught.value.errno == (errno.EROFS if os.getuid() == 0 else errno.EACCES)


# --- noxattr --------------------------------------------------------------------------------

@pytest.mark.clause("S15e", "S14")
def test_with_noxattr_there_are_none_and_the_log_keeps_its_own(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    (m / "d").mkdir()
    for path in (m / "f", m / "d"):
        os.setxattr(path, "user.mine", b"kept")
    m.remount("noxattr")
    for path in (m / "f", m / "d"):
        fails_with(errno.EOPNOTSUPP, os.getxattr, path, "user.mine")
        fails_with(errno.EOPNOTSUPP, os.getxattr, path, "user.datawal.key")
        fails_with(errno.EOPNOTSUPP, os.setxattr, path, "user.mine", b"other")
        fails_with(errno.EOPNOTSUPP, os.removexattr, path, "user.mine")
        fails_with(errno.EOPNOTSUPP, os.listxattr, path)
        os.chmod(path, 0o700)
    (m / "f").write_bytes(b"other value")
    os.rename(m / "f", m / "d/g")
    os.rename(m / "d", m / "e")
    m.options = []
    m.remount()
    assert os.getxattr(m / "e", "user.mine") == os.getxattr(m / "e/g", "user.mine") == b"kept"
