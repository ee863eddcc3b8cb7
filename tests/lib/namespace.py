# SPDX-License-Identifier: MIT OR Apache-2.0
"""Commands as root or as an ordinary user; scripts in a mount namespace of their own, where datawalfs
is installed."""
import shutil
import subprocess

import paths
import privileged

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def run_as(who, *command, status=0):
    """Runs a command as root or as nobody; what it printed."""
    user = {"root": [], "nobody": NOBODY}[who]
    done = subprocess.run([*privileged.prefix(), *user, *map(str, command)], text=True, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == status, done.stdout
    return done.stdout


def in_namespace(open_dir, fstab, script):
    """Runs a bash script as root where this is /etc/fstab, and /sbin has the helpers of mount(8):
    ours and libfuse's. $P is the mountpoint, $L the log; nobody is a function that runs as nobody."""
    (open_dir / "fstab").write_text(fstab.format(log=open_dir / "log", place=open_dir / "place"))
    (open_dir / "bin").mkdir()
    shutil.copy(paths.program("fuse/datawalfs"), open_dir / "bin")
    prepare = f"""cd {open_dir}; mount --bind fstab /etc/fstab; mount --bind bin /usr/local/bin
        mkdir sbin; cp -P /sbin/mount.fuse /sbin/mount.fuse3 sbin; mount --bind sbin /sbin
        ln -s /usr/local/bin/datawalfs sbin/mount.datawalfs
        if [ "$(stat -c %a /dev/fuse)" != 666 ]; then
            mkdir dev; mount -t tmpfs none dev; mknod -m 666 dev/fuse c 10 229
            mount --bind dev/fuse /dev/fuse
        fi; cd /; nobody() {{ {' '.join(NOBODY)} "$@"; }}"""
    names = f"P={open_dir}/place L={open_dir}/log"
    shell = f"export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin {names}"
    try:
        return run_as("root", "unshare", "-m", "--propagation", "private", "bash", "-euc",
                      f"{shell}\n{prepare}\n{script}")
    finally:
        privileged.as_root("rm", "-rf", f"{open_dir}/sbin", f"{open_dir}/dev")
