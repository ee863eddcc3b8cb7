# SPDX-License-Identifier: MIT OR Apache-2.0
"""The README and the manual pages say what the programs do."""
import os
import re
import subprocess

import pytest

import mounting
import paths

ROOT = paths.ROOT


def blocks(language):
    text = (ROOT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def marked_regions():
    """What stands between "README begin" and "README end" in the examples."""
    found = []
    for path in sorted((ROOT / "contrib/examples").glob("*.c")):
        found += re.findall(r"^/\* README begin \*/\n(.*?)^/\* README end \*/", path.read_text(),
                            re.M | re.S)
    return found


def test_readme_shows_the_examples_as_they_are():
    assert sorted(blocks("c")) == sorted(marked_regions())
    assert blocks("c")


def test_readme_c_blocks_compile(tmp_path):
    for number, block in enumerate(blocks("c")):
        source = tmp_path / f"block{number}.c"
        source.write_text(block)
        subprocess.run(["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "src/include",
                        "-c", source, "-o", tmp_path / "block.o"], check=True, timeout=30)


def steps(block):
    """[(command, expected output)] of a console block."""
    found = []
    for line in block.splitlines(True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        else:
            found[-1][1] += line
    return found


def test_readme_session_prints_what_the_readme_shows(build, tmp_path):
    mounting.connect_or_skip(pytest)
    environment = {**os.environ, "PATH": f"{build}/fuse:{build}/src/cli:" + os.environ["PATH"],
                   "LC_ALL": "C", "TZ": "UTC"}
    try:
        for block in blocks("console"):
            for command, expected in steps(block):
                with open(tmp_path / "output", "w+b") as output:
                    subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment,
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   timeout=30, check=False)
                    output.seek(0)
                    assert output.read().decode() == expected, command
    finally:
        while mounting.mounted(tmp_path / "files"):
            subprocess.run(["fusermount3", "-u", "-z", tmp_path / "files"], check=True, timeout=20)


def test_readme_says_what_a_file_costs_that_grows_by_appending(mount, logdir):
    def cost(n):  # values of 2, 4, 6 ... bytes, each in a frame of 28 bytes and the key; its header
        return n * (n + 1) + (29 + 154) * n

    m = mount(logdir)
    for _ in range(100):
        with open(m / "f", "a") as file:
            file.write("x\n")
    m.unmount()
    size = sum(p.stat().st_size for p in logdir.glob("*.dwal"))
    assert abs(size - cost(100)) < 500
    text = (ROOT / "README.md").read_text().replace("\n ", "")
    assert f"{cost(10_000) / 20_000:,.0f} bytes for each byte" in text
    assert "102 MB in the log" in text and round(cost(10_000) / 10**6) == 102


def help_of(build, name):
    program = paths.program({"datawal": "src/cli/datawal", "datawalfs": "fuse/datawalfs"}[name])
    return subprocess.run([program, "--help"], capture_output=True, text=True, check=True,
                          timeout=10).stdout


def mount_options(text):
    """Names of mount options in the list of datawalfs --help."""
    listed = text.split("\noptions", 1)[1]
    found = set()
    for line in listed.splitlines()[1:]:
        if line.startswith("  ") and not line.startswith("   "):
            names = re.split(r"  +|: ", line.strip())[0]
            found |= set(re.findall(r"(?:^|[ ,])([a-z_]+)(?==|,|$| |-)", names))
    return found - {"as", "in", "x"}


def test_manual_page_and_help_of_datawalfs_list_the_same_options(build):
    page = (ROOT / "contrib/man/datawalfs.8").read_text()
    described = page.split("Options, given with", 1)[1].split(".Pp\nBYTES", 1)[0]
    in_page = set()
    for line in re.findall(r"^\.It ((?:.*\\\n)*.*)$", described, re.M):
        in_page |= set(re.findall(r"(?<![A-Z=a-z])([a-z_]{2,})(?==|\s|$|,)", line))
    assert in_page == mount_options(help_of(build, "datawalfs"))


def test_help_of_datawalfs_lists_each_option_that_does_something(build):
    """TURN_OFF is the other word for what holds anyway."""
    rows = re.findall(r'^\t\{"([a-z_]+)=?", (\w+),', (ROOT / "fuse/mount/options.c").read_text(), re.M)
    does_nothing = {"DROP", "REFUSE", "REMOUNT_ONLY", "TURN_OFF"}
    listed = mount_options(help_of(build, "datawalfs"))
    assert len(rows) > len(listed)
    assert {name for name, kind in rows if kind not in does_nothing} - listed == set()


def test_manual_page_and_help_of_datawal_name_the_same_commands(build):
    listed = help_of(build, "datawal").split("Commands:\n")[1].split("\n\n")[0]
    commands = {line.split()[0] for line in listed.splitlines()}
    page = (ROOT / "contrib/man/datawal.1").read_text()
    described = set(re.findall(r"^\.(?:It )?Cm (" + "|".join(commands) + r")\b",
                               page, re.M))
    assert described == commands


def test_readme_map_names_what_is_there():
    text = (ROOT / "README.md").read_text()
    part = text.split("## Map", 1)[1].split("\n## ", 1)[0]
    named = re.findall(r"^\| `([^`]+)`", part, re.M)
    assert len(named) > 5
    assert [n for n in named if not (ROOT / n).exists()] == []
