# SPDX-License-Identifier: MIT OR Apache-2.0
"""Editors save in the mount as they do on the host's file system, each in its own way."""
import os
import pty
import re
import select
import signal
import time

import pytest

from twin_script import run_script

PATIENCE_SECONDS = 20
ESCAPES = re.compile(rb"\x1b(\[[0-9;?>]*[A-Za-z]|[()][A-Z0-9]|[=>78M])|[\x0e\x0f]")


class Screen:
    """A program on a terminal of its own: keys go in, and one waits for what it shows."""

    def __init__(self, side, *command):
        self.shown = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(side.path)
            os.execvpe(command[0], command, side.environment())

    def keys(self, text):
        os.write(self.fd, text.encode())

    def wait(self, text):
        """Until the text has been shown since the last wait."""
        end = time.monotonic() + PATIENCE_SECONDS
        while text.encode() not in ESCAPES.sub(b"", self.shown):
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"never shown: {text!r}, but {self.shown!r}"
            self.shown += os.read(self.fd, 65536)
        self.shown = b""

    def end(self):
        """Until it has ended; its exit status."""
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass  # the terminal of an ended program gives EIO
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def nano(side, *options, keys):
    """One nano session: keys into the file `text`, saved under the same name."""
    with Screen(side, "nano", "--ignorercfiles", *options, "text") as screen:
        screen.wait("Exit")
        screen.keys(keys + "\x0f")
        screen.wait("File Name to Write")
        screen.keys("\r")
        screen.wait("Wrote")
        screen.keys("\x18")
        return screen.end()


@pytest.mark.parametrize("options", [(), ("--backup",), ("--locking",)], ids=" ".join)
def test_nano_saves_a_new_and_an_old_file(twin, options):
    assert twin.each(lambda side: nano(side, *options, keys="first line\r")) == 0
    twin.run("cat text; chmod 640 text")
    assert twin.each(lambda side: nano(side, *options, keys="before it ")) == 0
    assert "before it first line" in twin.run("cat text; ls -A; stat -c %a text")
    twin.remount()


def test_nano_writes_through_a_symbolic_link(twin):
    twin.run("mkdir d; echo old >d/f; ln -s d/f text")
    assert twin.each(lambda side: nano(side, keys="new ")) == 0
    assert twin.run("readlink text; cat d/f") == "d/f\nnew old\n"


VIM = "vim.tiny -es -u NONE -i NONE -N"


@pytest.mark.parametrize("settings", ["", "set backup", "set nowritebackup", "set backupcopy=yes",
                                      "set backup backupcopy=no", "set noswapfile", "set fsync"])
def test_vim_saves_a_new_and_an_old_file(twin, settings):
    script = f"""
        {VIM} -c '{settings}' -c 'normal ione' -c wq text
        cat text; chmod 640 text; {VIM} -c '{settings}' -c '1s/one/two/' -c 'normal yyp' -c wq text
        cat text; ls -A; stat -c %a text; ln -s text link; {VIM} -c '%s/two/three/' -c x link
        cat text
        readlink link; {VIM} -c 'w copy' -c 'w >> copy' -c 'saveas other' -c q text; cat copy; ls -A
        chmod 444 text; {VIM} -c '1d' -c 'w!' -c q! text; cat text; stat -c %a text
    """
    twin.run(script)
    twin.remount()


def test_vim_recovers_what_a_killed_one_had_not_saved(twin):
    def edit_and_die(side):
        (side.path / "text").write_text("saved\n")
        with Screen(side, "vim.tiny", "-u", "NONE", "-i", "NONE", "-N", "text") as screen:
            screen.wait("saved")
            screen.keys("ounsaved\x1b:preserve\r")
            screen.wait("File preserved")
            os.kill(screen.pid, signal.SIGKILL)
            return screen.end()

    assert twin.each(lambda side: run_script(side, "true", 0, 9) + str(edit_and_die(side)),
                     ignore=(".text.swp",)) == "-9"
    twin.mount.remount()
    assert twin.run(f"{VIM} -r -c 'w! recovered' -c q! text; cat recovered; ls -A",
                    ignore=(".text.swp",)).startswith("saved\nunsaved\n")


@pytest.mark.parametrize("editor", ["sed -i", "perl -pi -e", "ed", "ex"])
def test_editing_by_script_replaces_the_file(twin, editor):
    twin.run({
        "sed -i": """
            seq 100 >f; chmod 640 f; touch -d 2001-01-01 f; sed -i s/5/five/ f; sed -i.bak 1,10d f
            sed -i 's/^/x/' f f.bak; sed -i.old -e '$a end' f; ln -s f l; sed -i 1d l; test ! -L l
            ln -s f k; sed -i --follow-symlinks 1d k; readlink k; sed -i -n 3,5p f; sed -i 1w,w f
            sed -i x absent 2>&1 || echo "status $?"
        """,
        "perl -pi -e": """
            seq 100 >f; chmod 640 f; perl -pi -e s/5/five/ f; perl -pi.bak -e 's/^/x/' f; wc f f.bak
        """,
        "ed": """
            seq 100 >f; chmod 640 f; printf '%s\\n' '1,5d' '$a' end . w 'w g' 'W g' q | ed -s f
            wc f g
        """,
        "ex": f"""
            seq 100 >f; chmod 640 f
            printf '%s\\n' '1,5d' '$a' end . w 'w g' 'w >> g' q | {VIM} f; wc f g
        """}[editor] + "ls -A; stat -c '%n %a' *; cat f | md5sum")
    twin.remount()
