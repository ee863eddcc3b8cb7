# SPDX-License-Identifier: MIT OR Apache-2.0
"""What Python's own library does with files, it does in the mount."""
import pytest

pytestmark = pytest.mark.sanitize

# show(call) prints what it returns, or the number of its error
SHOW = """
import errno, os, pathlib, shutil, stat, sys
def show(work, *args, **more):
    try:
        print(work(*args, **more))
    except OSError as error:
        print(type(error).__name__, errno.errorcode.get(error.errno))
"""


def test_shutil_copies_moves_and_removes_trees(twin):
    twin.python(SHOW + """
out = pathlib.Path(os.environ["OUT"])
os.makedirs("tree/a/b")
os.mkdir("tree/empty")
for number in range(30):
    pathlib.Path(f"tree/a/f{number}").write_bytes(b"x" * number * 1000)
os.symlink("a/f1", "tree/link")
os.symlink("absent", "tree/dangling")
os.chmod("tree/a/f2", 0o640)
os.utime("tree/a/f3", (10**9, 10**9 + 0.25))
os.utime("tree/a", (10**9, 10**9))
shutil.copytree("tree", "copy", symlinks=True)
shutil.copytree("copy", out / "away", symlinks=True)
shutil.copytree(out / "away", "copy", ignore_dangling_symlinks=True, dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("link", "dangling"))
show(shutil.copytree, "tree", "copy")
shutil.move("copy/a/f4", out)
shutil.move(out / "f4", "back")
shutil.move("copy/a", out / "moved")
shutil.move(out / "moved", "in")
shutil.move("in", "copy")
show(shutil.move, "copy", "copy/in/x")
shutil.copy("tree/a/f2", "copied")
shutil.copy2("tree/a/f3", "copied2")
shutil.copyfile("back", "copied3")
shutil.copymode("copied", "copied3")
shutil.copystat("copied2", "copied3")
show(shutil.copyfile, "back", "back")
show(shutil.copyfile, "back", "tree")
shutil.make_archive("archive", "gztar", "tree")
shutil.make_archive("archive", "zip", "tree")
for name in ("archive.tar.gz", "archive.zip"):
    shutil.unpack_archive(name, "from " + name)
shutil.rmtree("tree")
show(shutil.rmtree, "tree")
show(os.rmdir, "copy")
print(sorted(os.listdir()), shutil.disk_usage(".").total > 0)
""", ignore=("archive.*",))
    twin.remount()


def test_tempfile_makes_files_that_go_by_themselves(twin):
    assert twin.python(SHOW + """
import tempfile
tempfile.tempdir = os.getcwd()
with tempfile.TemporaryFile() as file:
    file.write(b"x" * 100000)
    file.seek(50000)
    print(len(file.read()), os.fstat(file.fileno()).st_nlink)
    print(os.listdir())
with tempfile.NamedTemporaryFile(mode="w+", suffix=".end") as file:
    file.write("text")
    file.flush()
    print(open(file.name).read(), oct(os.stat(file.name).st_mode))
    print(os.listdir() == [os.path.basename(file.name)])
with tempfile.NamedTemporaryFile(delete=False) as file:
    file.write(b"kept")
os.replace(file.name, "kept")
os.chmod("kept", 0o644)
with tempfile.TemporaryDirectory() as name:
    os.makedirs(name + "/a/b")
    open(name + "/a/b/f", "w").close()
    print(oct(os.stat(name).st_mode))
with tempfile.SpooledTemporaryFile(max_size=10) as file:
    file.write(b"y" * 100)
    file.seek(0)
    print(len(file.read()))
fd, name = tempfile.mkstemp()
os.unlink(name)
os.write(fd, b"gone")
print(os.pread(fd, 9, 0), os.fstat(fd).st_nlink)
os.close(fd)
print(os.listdir())
""").endswith("['kept']\n")
    twin.remount()


@pytest.mark.clause("S7a", "S6b")
def test_os_replace_and_its_kin_replace_and_refuse(twin):
    twin.python(SHOW + """
def put(name, text):
    with open(name, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
put("f", "old")
os.chmod("f", 0o600)
old = open("f")
put("f.new", "new")
os.replace("f.new", "f")
print(old.read(), open("f").read(), oct(os.stat("f").st_mode), os.fstat(old.fileno()).st_nlink)
old.close()
os.mkdir("d")
os.mkdir("e")
put("d/g", "g")
for one, other in [("f", "d"), ("d", "f"), ("absent", "f"), ("d", "d/in"), ("e", "d"), ("f", "f"),
                   ("d", "d"), ("f", "absent/f"), ("f/x", "f"), ("f", "f/x"), (".", "x"),
                   ("d", "e"), ("e", "d"), ("d/g", "d/..")]:
    print(one, other)
    show(os.rename, one, other)
handle = os.open(".", os.O_RDONLY)
os.rename("f", "h", src_dir_fd=handle, dst_dir_fd=handle)
os.fsync(handle)
os.close(handle)
with open("h", "a") as file:
    os.rename("h", "i")
    file.write(" more")
    file.flush()
    print(open("i").read())
    os.unlink("i")
    file.write(" gone")
    file.flush()
    print(os.fstat(file.fileno()).st_size)
show(os.unlink, "d")
show(os.rmdir, "d")
show(os.mkdir, "d")
show(os.listdir, "absent")
show(os.open, "d", os.O_WRONLY)
show(os.open, "new", os.O_RDONLY | os.O_DIRECTORY)
show(os.truncate, "d/g", -1)
show(os.lstat, "x" * 256)
show(os.stat, "d/g/x")
show(os.access, "d/g", os.X_OK)
print(sorted(os.listdir()), os.listdir("d"))
""")
    twin.remount()


@pytest.mark.clause("S5b", "S2e")
def test_mmap_shows_and_stores_what_the_file_holds(twin):
    twin.python(SHOW + """
import mmap
with open("f", "w+b") as file:
    file.truncate(300000)
    with mmap.mmap(file.fileno(), 0) as view:
        view[0:5], view[299995:], view[150000:150004] = b"first", b"last!", b"midd"
        view.flush()
        print(view.find(b"midd"), os.pread(file.fileno(), 5, 299995))
        os.pwrite(file.fileno(), b"WRITTEN", 4096)
        print(view[4096:4103])
        view.move(10, 4096, 7)
        view.resize(400000)
        view.seek(399998)
        view.write(b"ZZ")
        print(len(view), os.fstat(file.fileno()).st_size)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as view:
        view[0:5] = b"mine!"
    with mmap.mmap(file.fileno(), 8192, access=mmap.ACCESS_READ, offset=4096) as view:
        print(view[:7], view.size())
    view = mmap.mmap(file.fileno(), 0)
view[200000:200004] = b"late"
print(open("f", "rb").read()[200000:200004])
os.unlink("f")
view[200004:200008] = b"gone"
print(view[200000:200008])
view.close()
with open("g", "wb") as file:
    file.write(b"g" * 5000)
with open("g", "r+b") as file:
    view = mmap.mmap(file.fileno(), 0)
view[0:2] = b"in"
view.close()
show(mmap.mmap, os.open("g", os.O_RDONLY), 0)
pid = os.fork()
if pid == 0:
    with open("g", "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[4998:] = b"by"
    os._exit(0)
os.waitpid(pid, 0)
print(open("g", "rb").read()[4990:])
""")
    twin.remount()


def test_open_descriptors_behave_in_every_mode(twin):
    twin.python(SHOW + """
import fcntl
for mode in ("w", "a", "r+", "w+", "a+", "x", "rb+", "r"):
    with (open("f", mode) if mode != "x" else open("fresh", mode)) as file:
        if file.writable():
            file.write(b"bytes" if "b" in mode else "text " + mode)
        print(mode, file.tell(), os.fstat(file.fileno()).st_size)
show(open, "f", "x")
print(open("f").read())
one, two = os.open("f", os.O_RDWR | os.O_APPEND), os.open("f", os.O_WRONLY | os.O_APPEND)
for number in range(10):
    os.write((one, two)[number % 2], b"%d" % number)
os.pwrite(one, b"end", 0)
print(os.pread(one, 100, 0))
os.ftruncate(one, 4)
print(os.lseek(one, 0, os.SEEK_END))
show(os.read, two, 1)
show(os.lseek, one, -1, os.SEEK_SET)
third = os.dup(one)
os.close(one)
os.write(third, b"dup")
os.fdatasync(third)
print(fcntl.fcntl(third, fcntl.F_GETFL) & os.O_APPEND > 0)
fcntl.flock(third, fcntl.LOCK_EX)
show(fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
fcntl.lockf(third, fcntl.LOCK_EX, 3, 0)
pid = os.fork()
if pid == 0:
    show(fcntl.lockf, os.open("f", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1)
    show(fcntl.lockf, os.open("f", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 5)
    os.write(third, b"child")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
os.close(third)
os.close(two)
print(open("f").read())
with open("big", "wb", buffering=0) as file:
    for number in range(100):
        file.seek((number * 7919 % 100) * 1000)
        file.write(bytes([number]) * 1500)
    os.posix_fallocate(file.fileno(), 0, 200000)
    print(os.writev(file.fileno(), [b"a", b"bc"]))
with open("big", "rb") as file, open("sent", "wb") as other:
    print(os.sendfile(other.fileno(), file.fileno(), 0, 150000))
    print(os.copy_file_range(file.fileno(), other.fileno(), 50000, 150000))
    show(os.posix_fadvise, file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
print(os.lseek(os.open("sent", os.O_RDONLY), 0, os.SEEK_DATA))
""")
    twin.remount()


def test_pathlib_and_scandir_see_the_same(twin):
    twin.python(SHOW + """
root = pathlib.Path(".")
for name in ("a/b/c", "d e/f", "ü/ß"):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(name)
for name in (b"\\xff\\xfe", b"new\\nline", b"%2F", b"a\\\\b", b" ", b"-", b"~", b"."*3, b"x" * 255):
    open(name, "wb").close()
print(sorted(map(str, root.rglob("*"))), sorted(os.listdir(b".")))
print(sorted((e.name, e.is_dir(), e.is_file(), e.is_symlink(), e.stat().st_size * e.is_file(),
              e.inode() == e.stat().st_ino) for e in os.scandir()))
(root / "link").symlink_to("a")
print((root / "link/b/c").read_text(), (root / "link").readlink())
show((root / "a").rmdir)
show((root / "absent").unlink)
show((root / "a/b/c/d").touch)
show((root / "a").write_text, "")
show(os.mkdir, "x" * 256)
(root / "a/b/c").rename("moved")
(root / "moved").replace("d e/f")
print((root / "d e/f").read_text())
print([len(files) for _, _, files in os.walk(".")][:1])
print((root / "a").exists(), (root / "moved").exists())
""")
    twin.remount()
