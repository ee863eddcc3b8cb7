# SPDX-License-Identifier: MIT OR Apache-2.0
"""contrib/quickstart, with a home directory of its own and without installing anything."""
import os
import pwd
import re
import shutil
import stat
import subprocess

import pytest

import mounting
import paths


@pytest.fixture
def quickstart(build, tmp_path):
    mounting.connect_or_skip(pytest)
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "DATAWAL_BUILD": str(build),
                   "DATAWAL_NO_INSTALL": "1"}
    for name in ("CI", "XDG_DATA_HOME"):
        environment.pop(name, None)
    places = [home / "datawal-files"]

    def run(*args, status=0, script=paths.ROOT / "contrib/quickstart", **more):
        # a file and not a pipe: a daemon that is started keeps its end
        with open(tmp_path / "output", "w+b") as output:
            done = subprocess.run(["bash", script, *args], env={**environment, **more}, cwd=home,
                                  stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                  timeout=100, check=False)
            output.seek(0)
            text = output.read().decode()
        assert done.returncode == status, text
        return text

    run.home = home
    run.environment = environment
    run.places = places
    yield run
    for place in places:
        while mounting.mounted(place):
            subprocess.run(["fusermount3", "-u", "-z", place], check=True, timeout=20)


@pytest.mark.deadline(120)
def test_quickstart_mounts_says_what_to_try_and_stops(quickstart):
    text = quickstart()
    files = quickstart.home / "datawal-files"
    log = quickstart.home / ".local/share/datawal/log"
    assert mounting.mounted(files)
    tries = text.split("Try:\n")[1].split("\n\n")[0].splitlines()
    assert len(tries) == 5
    for line in tries:
        subprocess.run(["bash", "-euc", line], check=True, capture_output=True, timeout=30,
                       env={**os.environ, "HOME": str(quickstart.home)})
    assert (files / "greeting").read_text() == "hello, log\n"
    assert log.stat().st_mode & 0o777 == 0o700 and (log / "00000001.dwal").exists()
    unmount = text.split("Unmount with:\n")[1].split("\n\n")[0].strip()
    assert unmount.endswith("quickstart --stop")
    assert text.splitlines()[-1].startswith("  export PATH=")
    subprocess.run(["bash", "-euc", text.splitlines()[-1] + "; datawal --version; datawalfs --version"],
                   check=True, capture_output=True, timeout=30)

    assert "already mounted" in quickstart()
    assert (files / "greeting").exists()

    assert "unmounted" in quickstart("--stop")
    assert not mounting.mounted(files)
    assert "nothing is mounted" in quickstart("--stop")
    quickstart()
    assert (files / "greeting").read_text() == "hello, log\n"
    quickstart("--stop")


@pytest.mark.deadline(120)
def test_quickstart_takes_other_places_with_odd_names(quickstart):
    log, files = quickstart.home / "my log", quickstart.home / "my files"
    quickstart.places.append(files)
    text = quickstart("my log", "my files")
    assert mounting.mounted(files)
    (files / "f").write_bytes(b"value")
    unmount = text.split("Unmount with:\n")[1].split("\n\n")[0].strip()
    subprocess.run(["bash", "-euc", unmount], check=True, capture_output=True, timeout=60,
                   env={**os.environ, "HOME": str(quickstart.home)})
    assert not mounting.mounted(files)
    assert (log / "00000001.dwal").stat().st_size > 0
    assert stat.S_IMODE(log.stat().st_mode) == 0o700


def test_quickstart_explains_wrong_use(quickstart):
    assert "usage" in quickstart("--frobnicate", status=1)
    assert "usage" in quickstart("--help")
    assert "usage" in quickstart("a", "b", "c", status=1)


@pytest.mark.deadline(120)
def test_quickstart_keeps_to_xdg_data_home_and_works_through_a_link(quickstart, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(paths.ROOT / "contrib/quickstart")
    data = tmp_path / "data home"
    text = quickstart(script=link, XDG_DATA_HOME=str(data))
    assert (data / "datawal/log/00000001.dwal").exists()
    assert f"{data}/datawal/log is mounted on {quickstart.home}/datawal-files" in text
    quickstart("--stop", script=link)
    assert quickstart.home.joinpath(".local").exists() is False


@pytest.mark.deadline(120)
def test_a_log_in_the_old_place_is_told_of_and_not_replaced_by_an_empty_one(quickstart, datawal):
    old = quickstart.home / "datawal"
    quickstart.places.append(old / "files")
    datawal.put(old / "log", "kept", b"value")
    text = quickstart(status=1)
    assert not mounting.mounted(quickstart.home / "datawal-files")
    move, stay = (part.splitlines() for part in text.split("Move it:\n")[1].split("or go on with it"))
    subprocess.run(["bash", "-euc", stay[-1]], check=True, timeout=60, stdout=subprocess.DEVNULL,
                   env={**os.environ, **quickstart.environment})
    assert (old / "files/kept").read_bytes() == b"value"
    subprocess.run(["bash", "-euc", "\n".join(move)], check=True, capture_output=True, timeout=60,
                   env={**os.environ, **quickstart.environment})
    quickstart()
    assert (quickstart.home / "datawal-files/kept").read_bytes() == b"value"


def test_without_home_it_is_that_of_the_password_file(quickstart):
    text = quickstart("--help", HOME="")
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert f"({home}/.local/share/datawal/log)" in text and f"({home}/datawal-files)" in text


# Programs in whose world nothing is installed and this is an ordinary user.
ORDINARY = {"id": "echo 1000", "dpkg-query": "exit 1", "apt-get": "echo apt-get $* >&2; exit 7"}


@pytest.mark.parametrize("sudo", [None, "exit 1"])
def test_without_the_right_to_install_it_prints_the_line_for_who_has_it(quickstart, tmp_path, sudo):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "readlink", "dirname", "cut", "getent"):
        (programs / name).symlink_to(shutil.which(name))
    for name, script in {**ORDINARY, "sudo": sudo}.items():
        if script:
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
    text = quickstart(status=1, PATH=str(programs), DATAWAL_NO_INSTALL="")
    assert "may not install" in text
    assert re.search(r"^  apt-get install --no-install-recommends gcc .*libfuse3-dev .*$", text, re.M)
    assert not mounting.mounted(quickstart.home / "datawal-files")


def test_it_says_what_apt_does_while_it_does_it(quickstart, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, script in {**ORDINARY, "sudo": '[ "$1" = -n ] && shift; "$@"',
                         "apt-get": "echo Setting up gcc, removing nothing: $*"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    text = quickstart(DATAWAL_NO_INSTALL="", PATH=f"{programs}:{os.environ['PATH']}")
    assert "installing with apt" in text and "building in" in text and "is mounted on" in text
    line, = [line for line in text.splitlines() if line.startswith("Setting up gcc")]
    assert "--no-remove" in line
