# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is said when the system refuses to mount. Its refusal, and what it tells of security profiles,
are made by a library that is loaded before the others."""
import errno
import os
import subprocess

import pytest

import mounting
import paths

pytestmark = pytest.mark.clause("S20a")

STAND_IN = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "environment.h"
int mount(const char *s, const char *t, const char *f, unsigned long flags, const void *data)
{
    errno = atoi(given("MOUNT_ERRNO"));
    return -1;
}
static const char *place(const char *path, char *out, size_t size)
{
    static const char *const seen[] = {"/proc/self/attr/", "/sys/", "/etc/apparmor.d/"};
    for (int i = 0; i < 3; i++)
        if (!strncmp(path, seen[i], strlen(seen[i]))) {
            snprintf(out, size, "%s%s", given("MACHINE"), path);
            return out;
        }
    return path;
}
#define STAND_FOR(type, name, ...) \
    char other[4096]; \
    type (*real)(const char *, __typeof__(__VA_ARGS__)) = dlsym(RTLD_NEXT, #name); \
    return real(place(path, other, sizeof(other)), __VA_ARGS__)
FILE *fopen(const char *path, const char *mode) { STAND_FOR(FILE *, fopen, mode); }
FILE *fopen64(const char *path, const char *mode) { STAND_FOR(FILE *, fopen64, mode); }
int access(const char *path, int mode) { STAND_FOR(int, access, mode); }
"""
AA_ON = {"/sys/module/apparmor/parameters/enabled": "Y\n"}
SE_ON = {"/sys/fs/selinux/enforce": "1"}
CONTEXT = {"/proc/self/attr/current": "user_u:user_r:user_t:s0"}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    place = tmp_path_factory.mktemp("stand-in")
    (place / "it.c").write_text(STAND_IN)
    subprocess.run(["cc", "-shared",
                    "-fPIC", f"-I{paths.ROOT}/tests/preload", "-o", place / "it.so", place / "it.c", "-ldl"],
                   check=True, timeout=30)
    return place / "it.so"


@pytest.fixture
def refused(stand_in, logdir, host_dir, tmp_path):
    """refused(errno, files): the line, on a machine that has these files."""
    mounting.connect_or_skip(pytest)

    def run(error, files, *args):
        for name, text in files.items():
            path = tmp_path / "machine" / name[1:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        logdir.mkdir()
        done = subprocess.run(
            [paths.program("fuse/datawalfs"), logdir, host_dir, *args], capture_output=True,
            text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "LD_PRELOAD": str(stand_in), "MACHINE": str(tmp_path / "machine"),
                 "MOUNT_ERRNO": str(int(error))})
        assert done.returncode == 1
        start = f"datawalfs: {logdir} cannot be mounted on {host_dir}: "
        assert done.stderr.startswith(start) and done.stderr.count("\n") == 1, done.stderr
        return done.stderr.removeprefix(start)

    return run


@pytest.mark.parametrize("files, wanted", [
    ({}, None),
    (AA_ON, None),
    ({**AA_ON, "/proc/self/attr/current": "unconfined\n"}, None),
    ({**AA_ON, "/proc/self/attr/current": "backup (complain)\n"}, None),
    ({**AA_ON, "/proc/self/attr/current": "backup (enforce)\n"},
     "the AppArmor profile backup, which confines this program"),
    ({**AA_ON, "/proc/self/attr/apparmor/current": "snap.x.y (enforce)\n", **CONTEXT},
     "the AppArmor profile snap.x.y, which confines this program"),
    ({**AA_ON, "/etc/apparmor.d/fusermount3": "profile"}, "the AppArmor profile fusermount3"),
    ({"/etc/apparmor.d/fusermount3": "profile"}, None),
    ({**AA_ON, "/etc/apparmor.d/fusermount3": "p", "/etc/apparmor.d/disable/fusermount3": ""}, None),
    ({**AA_ON, "/etc/apparmor.d/fusermount3": "p",
      "/sys/kernel/security/apparmor/profiles": "man (enforce)\n"}, None),
    ({**AA_ON, "/sys/kernel/security/apparmor/profiles":
      "man (enforce)\n/usr/bin/fusermount3 (enforce)\n"},
     "the AppArmor profile /usr/bin/fusermount3"),
    ({**SE_ON, **CONTEXT}, "SELinux (this program's context is user_u:user_r:user_t:s0)"),
    ({"/sys/fs/selinux/enforce": "0", **CONTEXT}, None)])
def test_a_security_profile_that_may_have_refused_is_named(refused, files, wanted):
    line = refused(errno.EACCES, files)
    assert "mount failed: Permission denied" in line
    if wanted:
        assert f"; it may have been refused by {wanted}: see DENIED in the kernel's log\n" in line
    else:
        assert "refused" not in line and "DENIED" not in line


def test_another_refusal_has_its_words_and_blames_no_profile(refused):
    line = refused(errno.ENOMEM, {**AA_ON, "/proc/self/attr/current": "backup (enforce)\n"})
    assert line == "fuse: mount failed: Cannot allocate memory\n"


def test_in_the_foreground_it_is_the_same(refused):
    assert "Permission denied" in refused(errno.EACCES, {}, "-f")
