# SPDX-License-Identifier: MIT OR Apache-2.0
"""mount(8) and fstab: the helper that it runs, remounting, set-id bits and device nodes."""
import pytest

import mounting
import paths
import privileged
from namespace import in_namespace, run_as
from test_mount_options import flags_of, mounted_by_root
from test_mounting import datawalfs, place  # noqa: F401


TYPES = ["datawalfs", "fuse.datawalfs"]


@pytest.mark.clause("S20d")
@pytest.mark.parametrize("kind", TYPES)
def test_an_fstab_line_mounts_and_unmounts(open_dir, kind):
    said = in_namespace(
        open_dir, f"{{log}} {{place}} {kind} rw,_netdev,nofail,noatime,hidelog,x-a.b=c 0 0\n",
        """mount $P; echo value >$P/f; findmnt -no FSTYPE,SOURCE $P; ls -A $P; grep $P /proc/mounts
           umount $P
           mount -a; cat $P/f; mount -a; umount $P; mount $P -o ro; cat $P/f; ! touch $P/f
           umount $P
           ls -A $P; mount $P -o nosuch || echo "status $?"; ls -A $P""")
    assert said.count("value\n") == 2
    assert f"fuse.datawalfs {open_dir}/log" in said
    assert "noatime" in said and "Read-only file system" in said
    assert "unknown option 'nosuch'" in said and "status 0" not in said


@pytest.mark.clause("S20d")
def test_mount_t_takes_the_type_with_and_without_fuse_in_front(open_dir):
    said = in_namespace(open_dir, "", f"""
        mount -t fuse.datawalfs -o noexec $L $P; echo one >$P/f; umount $P
        mount -t datawalfs -o ro $L $P; cat $P/f; umount -t fuse.datawalfs $P
        mount -t fuse -o ro "datawalfs#$L" $P; cat $P/f; umount -t fuse.datawalfs $P
        ls -A $P
        for type in datawalfs fuse.datawalfs; do
            mount -t $type {open_dir}/absent $P || echo "status $?"
            mount -t $type $L $P/absent || echo "status $?"
        done
    """)
    assert said.startswith("one\none\n") and said.count("absent does not exist") == 2
    assert said.count("status ") == 4 and "status 0" not in said


@pytest.mark.clause("S20d")
@pytest.mark.parametrize("kind", TYPES)
def test_an_fstab_line_with_user_lets_a_user_mount_and_unmount(open_dir, kind):
    privileged.as_root("chown", "-R", "65534:65534", open_dir / "log", open_dir / "place")
    said = in_namespace(open_dir, f"{{log}} {{place}} {kind} noauto,user 0 0\n", """
        nobody bash -euc 'mount $P; echo value >$P/f; cat $P/f; stat -c %u $P/f
        umount $P'
        ls -A $P""")
    assert said == "value\n65534\n"


@pytest.mark.clause("S20d")
@pytest.mark.parametrize("switches", [[], ["-n"], ["-s"], ["-v"], ["-t", "fuse.datawalfs"],
                                      ["-s", "-n", "-v", "-o", "rw,noexec", "-t", "datawalfs"]])
def test_the_helper_takes_the_switches_of_mount(datawalfs, logdir, place, tmp_path, switches):
    helper = tmp_path / "mount.datawalfs"
    helper.symlink_to(paths.program("fuse/datawalfs"))
    logdir.mkdir()
    assert datawalfs(logdir, place, *switches, program=helper) == ""
    (place / "f").write_bytes(b"value")
    assert ("noexec" in flags_of(place)[2]) == ("-o" in switches)


@pytest.mark.clause("S20d")
def test_the_helper_told_to_do_nothing_does_nothing(datawalfs, logdir, place, tmp_path):
    helper = tmp_path / "mount.datawalfs"
    helper.symlink_to(paths.program("fuse/datawalfs"))
    assert datawalfs(logdir, place, "-f", "-n", "-o", "create", program=helper) == ""
    assert not mounting.mounted(place) and not logdir.exists()
    assert "nosuch" in datawalfs(logdir, place, "-f", "-o", "nosuch", status=1, program=helper)
    assert "'-N'" in datawalfs(logdir, place, "-N", "/proc/self/ns/mnt", status=1)


@pytest.mark.clause("S20d")
def test_mount_mounts_in_another_namespace_when_told_to(open_dir):
    said = in_namespace(open_dir, "", """
        unshare -m --propagation private sleep 60 & ns=/proc/$!/ns/mnt; trap "kill $!" EXIT
        until [ "$(readlink $ns)" != "$(readlink /proc/self/ns/mnt)" ]; do :; done
        mount -N $ns -t datawalfs $L $P; nsenter --mount=$ns bash -c "echo value >$P/f; cat $P/f"
        ls -A $P; nsenter --mount=$ns umount $P
        mount.datawalfs $L $P -N /absent || echo "status $?" """)
    assert said == "value\ndatawalfs: mount namespace /absent: No such file or directory\nstatus 1\n"


# --- set-id bits and device nodes ----------------------------------------------------

WAYS = ["datawalfs $L $P -o", "mount -t datawalfs $L $P -o", "mount -t fuse.datawalfs $L $P -o",
        "mount -t fuse datawalfs#$L $P -o", "mount $P -o"]

# what an ordinary user gets of a set-uid program of root, and of a device node open to all
USE = """id=$(nobody $P/id -u); nobody dd if=$P/zero bs=1 count=1 status=none 2>/dev/null | wc -c |
    while read bytes; do echo "$id $bytes"; done; umount $P"""


def special_files(open_dir):
    place = mounted_by_root(open_dir)
    run_as("root", "bash", "-euc", f"""cd {place}; cp /usr/bin/id id; chmod 4755 id
        mknod -m 666 zero c 1 5; cd /; umount {place}""")


@pytest.mark.clause("S23")
@pytest.mark.parametrize("way", WAYS)
def test_set_id_bits_and_devices_count_only_when_asked_for_by_our_names(open_dir, way):
    special_files(open_dir)
    asked = {"allow_other": "65534 0", "allow_other,suid,dev": "65534 0",
             "allow_other,setid": "0 0", "allow_other,devices": "65534 1",
             "allow_other,setid,devices": "0 1", "allow_other,setid,devices,nosuid,nodev": "65534 0"}
    said = in_namespace(open_dir, "{log} {place} datawalfs noauto 0 0\n",
                        "".join(f"{way} {options}; {USE}\n" for options in asked))
    assert said.splitlines() == list(asked.values())


@pytest.mark.clause("S23")
def test_set_id_bits_and_devices_are_roots_to_give(open_dir):
    privileged.as_root("chown", "-R", "65534:65534", open_dir / "log", open_dir / "place")
    said = in_namespace(open_dir, "{log} {place} datawalfs noauto,user,setid 0 0\n", """
        nobody datawalfs $L $P -o setid || echo "status $?"
        nobody datawalfs $L $P -o devices || echo "status $?"
        nobody mount $P || echo "status $?"; ls -A $P $L""")
    assert said.count("can be given by root only") == said.count("status ") == 3
    assert "status 0" not in said and "dwal" not in said.split("status ")[3]


# --- remounting ----------------------------------------------------------------------

@pytest.mark.clause("S20e")
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("fstab", [True, False])
def test_a_mount_is_made_read_only_and_writable_again(open_dir, kind, fstab):
    line = f"{{log}} {{place}} {kind} rw,nofail,hidelog,commit=7 0 0\n" if fstab else ""
    said = in_namespace(open_dir, line, f"""
        mount -t {kind} $L $P -o rw,hidelog; echo value >$P/f
        mount -o remount,ro $P; findmnt -no OPTIONS $P; echo more >>$P/f || cat $P/f
        mount -o remount,rw $P; findmnt -no OPTIONS $P; echo more >>$P/f; cat $P/f
        mount -o remount,ro,noexec $L $P -t {kind}; findmnt -no OPTIONS $P; umount $P""").splitlines()
    flags = [set(said[i].split(",")) for i in (0, 3, 6)]
    assert [bool(f & {"ro"}) for f in flags] == [True, False, True]
    assert all({"nosuid", "nodev", "relatime"} <= f for f in flags) and "noexec" in flags[2]
    assert "Read-only file system" in said[1] and said[2] == "value" and said[4:6] == ["value", "more"]


@pytest.mark.clause("S20e")
def test_what_is_mounted_read_only_refuses_every_change_after_remount_rw(open_dir):
    place = mounted_by_root(open_dir)
    run_as("root", "bash", "-euc", f"cd {place}; echo value >f; mkdir d; cd /; umount {place}")
    before = run_as("root", "sh", "-c", f"cat {open_dir}/log/*.dwal | cksum")
    changes = ["touch new", "echo x >f", "echo x >>f", "truncate -s 0 f", "rm f", "mv f g", "mkdir e",
               "rmdir d", "ln -s f l", "ln f h", "chmod 600 f", "chown 1 f", "touch f", "mkfifo p",
               "chmod 700 d", "mv d e", "fallocate -l 9 f",
               "python3 -c 'import os; os.setxattr(\"f\", \"user.a\", b\"b\")'"]
    said = in_namespace(open_dir, "", "mount -t datawalfs $L $P -o ro; mount -o remount,rw $P; cd $P\n"
                        "findmnt -no OPTIONS $P\n" + "".join(f"! {c}\n" for c in changes) +
                        "cat f; ls -A; cd /; umount $P")
    assert said.startswith("rw,") and said.endswith("value\nd\nf\n")
    assert said.count("Read-only file system") >= len(changes), said
    assert before == run_as("root", "sh", "-c", f"cat {open_dir}/log/*.dwal | cksum")


@pytest.mark.clause("S20e")
def test_a_remount_that_cannot_be_is_refused_in_one_line(open_dir):
    said = in_namespace(open_dir, "", """
        datawalfs $L $P -o remount,ro || echo "status $?"
        mount -t tmpfs none $P; datawalfs $L $P -o remount,ro || echo "status $?"; touch $P/f; umount $P
        datawalfs $L $P; exec 3>$P/f; datawalfs $L $P -o remount,ro || echo "status $?"; echo kept >&3
        exec 3>&-; cat $P/f; nobody datawalfs $L $P -o remount,rw || echo "status $?"
        datawalfs $L $P -o remount,nosuch || echo "status $?"; umount $P""")
    reasons = ["nothing of datawalfs is mounted", "nothing of datawalfs is mounted",
               "cannot be changed: files are open for writing", "cannot be changed: only root may",
               "unknown option 'nosuch'"]
    lines = [line for line in said.splitlines() if line != "kept"]
    assert len(lines) == 2 * len(reasons) and said.count("kept\n") == 1, said
    for reason, line, status in zip(reasons, lines[::2], lines[1::2]):
        assert line.startswith("datawalfs: ") and reason in line and status == "status 1"
