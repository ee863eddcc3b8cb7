# SPDX-License-Identifier: MIT OR Apache-2.0
"""contrib/quickstart, with a home directory of its own and without installing anything."""
import os
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
    environment.pop("CI", None)
    places = [home / "datawal/files"]

    def run(*args, status=0):
        # a file and not a pipe: a daemon that is started keeps its end
        with open(tmp_path / "output", "w+b") as output:
            done = subprocess.run(["bash", paths.ROOT / "contrib/quickstart", *args], env=environment,
                                  cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                  timeout=100, check=False)
            output.seek(0)
            text = output.read().decode()
        assert done.returncode == status, text
        return text

    run.home = home
    run.places = places
    yield run
    for place in places:
        while mounting.mounted(place):
            subprocess.run(["fusermount3", "-u", "-z", place], check=True, timeout=20)


@pytest.mark.deadline(120)
def test_quickstart_mounts_says_what_to_try_and_stops(quickstart):
    text = quickstart()
    files = quickstart.home / "datawal/files"
    assert mounting.mounted(files)
    tries = text.split("Try:\n")[1].split("\n\n")[0].splitlines()
    assert len(tries) == 5
    for line in tries:
        subprocess.run(["bash", "-euc", line], check=True, capture_output=True, timeout=30,
                       env={**os.environ, "HOME": str(quickstart.home)})
    assert (files / "greeting").read_text() == "hello, log\n"
    unmount = text.split("Unmount with:\n")[1].strip()
    assert unmount.endswith("quickstart --stop")

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
    unmount = text.split("Unmount with:\n")[1].strip()
    subprocess.run(["bash", "-euc", unmount], check=True, capture_output=True, timeout=60,
                   env={**os.environ, "HOME": str(quickstart.home)})
    assert not mounting.mounted(files)
    assert (log / "00000001.dwal").stat().st_size > 0
    assert stat.S_IMODE(log.stat().st_mode) == 0o700


def test_quickstart_explains_wrong_use(quickstart):
    assert "usage" in quickstart("--frobnicate", status=1)
    assert "usage" in quickstart("--help")
    assert "usage" in quickstart("a", "b", "c", status=1)
