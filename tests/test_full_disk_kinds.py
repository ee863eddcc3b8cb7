# SPDX-License-Identifier: MIT OR Apache-2.0
"""What goes on on a full disk, on each kind of file system: it is removed from, and written to again,
without a remount."""
import os
import subprocess
import sys

import pytest

import full_disk
import privileged

MIB = 1 << 20

pytestmark = pytest.mark.sanitize


@pytest.fixture(scope="module", params=list(full_disk.KINDS))
def disk(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("full") / "disk"
    with privileged.small_disk(place, full_disk.KINDS[request.param], request.param) as directory:
        yield directory


def empty(disk, m):
    """For the next test."""
    trouble = m.clean_up()
    for filler in disk.glob("filler*"):
        filler.unlink()
    subprocess.run(["rm", "-rf", m.log], check=True, timeout=60)
    assert trouble == []


@pytest.fixture
def full(disk, mount):
    """A mount with a few files, on a disk on which fill() leaves no block free, nor room in the log."""
    m = mount(disk / "log", "history=all")
    m.filler = disk / "filler"
    (m / "f").write_bytes(b"the old value")
    for name in ("mode", "cut", "gone", "stuffing"):
        (m / name).write_bytes(b"something")
    (m / "empty").mkdir()
    for i in range(3):
        (m / f"tree/{i}").mkdir(parents=True)
        for j in range(10):
            (m / f"tree/{i}/{j}").write_bytes(b"a leaf")

    def fill():
        full_disk.fill(m.filler)
        full_disk.stuff(m.path)

    m.fill = fill
    m.reserve = m.log / ".reserve"
    yield m
    empty(disk, m)


def run(m, command):
    return subprocess.run(["bash", "-c", "set -o pipefail; " + command], cwd=m.path, timeout=60,
                          capture_output=True, text=True, check=False)


def is_whole(reserve):
    st = os.stat(reserve)
    return st.st_size == MIB and st.st_blocks * 512 >= MIB


def remove_most(m):
    """By real programs."""
    done = run(m, "rm gone && rmdir empty && truncate -s 0 cut && chmod 600 mode && rm -r tree")
    assert (done.returncode, done.stderr) == (0, "")


def check_removed(m):
    assert sorted(os.listdir(m)) == ["cut", "f", "mode", "stuffing"]
    assert (m / "f").read_bytes() == b"the old value"
    assert (m / "mode").read_bytes() == b"something"
    assert os.stat(m / "mode").st_mode & 0o777 == 0o600
    assert (m / "cut").read_bytes() == b""


@pytest.mark.clause("S4f", "S4b", "C38")
def test_it_is_removed_from_and_written_to_again(datawal, full):
    full.fill()
    remove_most(full)
    check_removed(full)
    for command in ("cp /etc/login.defs f", "cp /etc/login.defs new", "mv mode f", "mkdir d"):
        done = run(full, command)
        assert done.returncode and "No space left" in done.stderr, command
        check_removed(full)
    run(full, "echo x > f")  # bash does not tell what its close(2) says
    check_removed(full)
    full.filler.unlink()
    assert run(full, "cp /etc/login.defs new && mv new f && rm stuffing").stderr == ""
    assert is_whole(full.reserve)
    full.remount()
    assert sorted(os.listdir(full)) == ["cut", "f", "mode"]
    assert datawal.json("report", full.log)[0]["tail_truncated"] == 0


@pytest.mark.clause("S4f", "S3")
def test_a_daemon_killed_there_is_mounted_again_and_removed_from(full):
    full.fill()
    run(full, "rm gone")
    full.kill9()
    full.start()
    assert (full / "f").read_bytes() == b"the old value"
    assert not (full / "gone").exists()
    assert run(full, "rmdir empty && truncate -s 0 cut && chmod 600 mode && rm -r tree").stderr == ""
    full.kill9()
    full.start()
    check_removed(full)


@pytest.mark.clause("S4f", "C15")
@pytest.mark.parametrize("torn", [200, 200_000])
def test_a_torn_tail_there_is_kept_and_cut_and_it_is_removed_from(datawal, full, torn):
    full.unmount()
    segment = full.log / "00000001.dwal"
    size = segment.stat().st_size
    with open(segment, "ab") as file:
        file.write(b"DWAL" + full_disk.BYTES[:torn - 4])
        file.flush()
        os.fsync(file.fileno())
    with open(segment, "r+b") as file:  # a header of a record that is not all there
        file.seek(size)
        file.write(b"DWAL\x01\x00\x01\x00" + (10**6).to_bytes(8, "little")
                   + (1).to_bytes(4, "little") + (MIB).to_bytes(4, "little"))
    full_disk.fill(full.filler)
    full.start()
    side = full.log / f"00000001.dwal.torn-{size}"
    assert side.stat().st_size == torn
    remove_most(full)
    full.remount()
    assert not (full / "gone").exists() and not (full / "tree").exists()


@pytest.mark.clause("S4f")
def test_removals_go_on_over_the_end_of_a_segment(full):
    """Or where it begins without room of its own."""
    for i in range(300):
        (full / f"many{i}").write_bytes(b"")
    full.remount("history=all", "segment_size=20K")
    full.fill()
    assert run(full, "rm many*").stderr == ""
    full.kill9()
    full.start()
    assert sorted(os.listdir(full)) == ["cut", "empty", "f", "gone", "mode", "stuffing", "tree"]


def write_values(m, names, size):
    for name in names:
        (m / name).write_bytes(full_disk.BYTES[:size])


@pytest.fixture
def garbage(disk, mount):
    """A mount on a full disk: some of its segments hold more that lives than any room that is kept,
    others nothing but what was written over."""
    m = mount(disk / "log", "history=all", "segment_size=2M")
    write_values(m, ["small"], 100)
    write_values(m, ["large0", "large1", "dead"], 900_000)  # the first two fill a segment
    for _ in range(3):
        write_values(m, ["dead"], 900_000)
    write_values(m, ["small", "dead"], 10_000)
    m.filler = disk / "filler"
    m.reserve = m.log / ".reserve"
    full_disk.fill(m.filler)
    yield m
    empty(disk, m)


def check_room_again(m):
    assert (m / "large0").read_bytes() == (m / "large1").read_bytes() == full_disk.BYTES[:900_000]
    assert (m / "small").read_bytes() == (m / "dead").read_bytes() == full_disk.BYTES[:10_000]
    write_values(m, ["new"], MIB)


@pytest.mark.clause("S4f", "S24a")
def test_a_full_disk_is_given_space_by_a_compaction_of_the_mount(datawal, garbage):
    full_disk.stuff(garbage.path)
    with pytest.raises(OSError, match="No space left"):
        write_values(garbage, ["new"], MIB)
    datawal("compact", garbage.path)
    check_room_again(garbage)
    assert is_whole(garbage.reserve)
    garbage.remount()
    check_room_again(garbage)


@pytest.mark.clause("S4f", "C38")
def test_a_full_disk_is_given_space_by_a_compaction_of_the_directory(datawal, garbage):
    garbage.unmount()
    full_disk.fill(garbage.filler.with_name("filler.more"))  # what it had beside the file
    datawal("compact", garbage.log)
    garbage.start()
    check_room_again(garbage)


@pytest.mark.clause("S4f")
def test_what_lies_in_one_segment_alone_is_given_back_as_well(datawal, full):
    for _ in range(3):
        write_values(full, ["f"], 900_000)
    full_disk.fill(full.filler)
    assert run(full, "rm f").stderr == ""
    datawal("compact", full.path)
    write_values(full, ["new"], MIB)


@pytest.mark.clause("S4f")
def test_a_daemon_killed_on_a_full_disk_is_mounted_again_and_compacts(datawal, garbage):
    full_disk.stuff(garbage.path)
    garbage.kill9()
    garbage.start()
    datawal("compact", garbage.path)
    check_room_again(garbage)


GREEDY = """
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
while True:
    try:
        os.write(fd, b"x" * 4096)
    except OSError as error:
        assert error.errno == errno.ENOSPC
"""


@pytest.mark.clause("S4f")
@pytest.mark.parametrize("disk", ["ext4", "xfs", "tmpfs"], indirect=True)
def test_another_writer_that_takes_all_there_is_does_not_get_that_room(full):
    full.fill()
    with subprocess.Popen([sys.executable, "-c", GREEDY, full.filler]) as greedy:
        try:
            remove_most(full)
        finally:
            greedy.kill()
    check_removed(full)
