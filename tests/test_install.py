# SPDX-License-Identifier: MIT OR Apache-2.0
"""What `meson install` puts where, and that it works there as README says."""
import os
import re
import shutil
import subprocess

import pytest

import paths
from namespace import run_as
from test_readme import blocks

LIBRARY = r"lib/[^ ]*libdatawal\."
INSTALLED = [
    "bin/datawal", "bin/datawalfs", "sbin/mount.datawalfs", "include/datawal.h", LIBRARY + "a",
    LIBRARY + "so", LIBRARY + r"so\.0", LIBRARY + r"so\.\d+\.\d+\.\d+", "lib/.*pkgconfig/datawal.pc",
    "share/bash-completion/completions/datawal", "share/man/man1/datawal.1",
    "share/man/man8/datawalfs.8", "share/man/man8/mount.datawalfs.8",
    *(f"share/doc/datawal/{name}" for name in (
        "ATTRIBUTES.md", "CANON.md", "DESIGN.md", "FORMAT.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md",
        "SEMANTICS.md"))]


@pytest.fixture
def installed(build, open_dir):
    """A directory with what is to be /usr/local."""
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet"], check=True, timeout=60,
                   capture_output=True, env={**os.environ, "DESTDIR": str(open_dir / "dest")})
    (build / "meson-logs/install-log.txt").unlink(missing_ok=True)  # another user may install next
    yield open_dir / "dest/usr/local"
    shutil.rmtree(open_dir / "dest")


def test_everything_is_installed_and_nothing_else(installed):
    found = sorted(str(p.relative_to(installed)) for p in installed.rglob("*") if not p.is_dir())
    assert [n for n in found if not any(re.fullmatch(i, n) for i in INSTALLED)] == []
    assert [i for i in INSTALLED if not any(re.fullmatch(i, n) for n in found)] == []


def readme_commands(*first_words):
    """The lines of README that begin with one of these words behind sudo."""
    lines = "".join(blocks("sh")).splitlines()
    found = [line[len("sudo "):] for line in lines if line.startswith("sudo ")]
    return [line for line in found if line.split()[0] in first_words]


def test_what_is_installed_works_as_readme_says(installed, open_dir):
    shutil.copy(paths.ROOT / "contrib/examples/record_log_demo.c", open_dir / "demo.c")
    after = readme_commands("ldconfig", "ln")
    build_line, = re.findall(r"`(cc demo.c [^`]*)`", (paths.ROOT / "README.md").read_text())
    assert len(after) == 2
    # /usr/local, the cache of libraries and /sbin of this namespace are its own
    said = run_as("root", "unshare", "-m", "--propagation", "private", "bash", "-euc", f"""
        cd {open_dir}; mkdir work work/etc work/sbin; mount -t tmpfs none /usr/local
        cp -a dest/usr/local/. /usr/local; cp -a /etc/. work/etc; mount --bind work/etc /etc
        cp -P /sbin/ldconfig work/sbin; mount --bind work/sbin /sbin
        export PATH=/usr/local/bin:/usr/bin:/bin:/sbin; unset LD_LIBRARY_PATH PKG_CONFIG_PATH
        {chr(10).join(after)}
        {build_line} -o demo; ./demo demo.log; ldd demo | grep libdatawal; pkg-config --modversion datawal
        datawal --version; mount -t datawalfs log place; echo value >place/f; cat place/f; umount place
        cd /; rm -r {open_dir}/work {open_dir}/demo.log""")
    lines = said.splitlines()
    version = lines[-2].split()[1]
    assert lines[:3] == ["txid 1: alpha", "txid 2: beta", "txid 3: gamma"]
    assert " => /usr/local/lib/" in lines[3] and lines[4:] == [version, f"datawal {version}", "value"]


def test_the_static_library_is_complete(installed, tmp_path):
    """What it shares with the programs is in it, for nothing else of that is installed."""
    found, = installed.glob("lib/**/pkgconfig")
    flags = subprocess.run(["pkg-config", "--static", "--cflags", "--libs", "datawal",
                            f"--define-variable=prefix={installed}"], capture_output=True, text=True,
                           check=True, env={**os.environ, "PKG_CONFIG_PATH": str(found)}, timeout=10).stdout
    whole = "-Wl,--whole-archive -l:libdatawal.a -Wl,--no-whole-archive"
    subprocess.run(["cc", paths.ROOT / "contrib/examples/record_log_demo.c", "-o", tmp_path / "demo",
                    *flags.replace("-ldatawal", whole).split()], check=True, timeout=60)
    subprocess.run([tmp_path / "demo", tmp_path / "log"], check=True, stdout=subprocess.DEVNULL, timeout=10)


@pytest.mark.slow
@pytest.mark.deadline(120)
def test_it_is_a_subproject_of_others(tmp_path):
    (tmp_path / "subprojects").mkdir()
    (tmp_path / "subprojects/datawal").symlink_to(paths.ROOT)
    shutil.copy(paths.ROOT / "contrib/examples/record_log_demo.c", tmp_path / "demo.c")
    (tmp_path / "meson.build").write_text("""project('user', 'c')
executable('demo', 'demo.c', dependencies: dependency('datawal', version: '>=0.1'))
""")
    for command in (["meson", "setup", "build", "-Ddatawal:fuse=disabled", "-Dwerror=true"],
                    ["meson", "compile", "-C", "build", "demo"], ["build/demo", "log"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100,
                              check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "txid 1: alpha\ntxid 2: beta\ntxid 3: gamma\n"
