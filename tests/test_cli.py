# SPDX-License-Identifier: MIT OR Apache-2.0
"""What holds for every command of datawal: help, wrong use, exit statuses, messages, output that
cannot be written."""
import json
import os
import subprocess

import pytest

pytestmark = pytest.mark.sanitize

COMMANDS = ["scan", "get", "list", "report", "verify", "dump", "check", "history", "log", "stats",
            "put", "delete", "append", "rotate", "tag", "export", "load", "compact",
            "salvage"]
LATER = ["sync", "backup"]
KEY = ["--key", "alpha"]
# A call of every command that works on a log in which alpha is live.
CALLS = {"scan": [], "get": KEY, "list": [], "report": [], "verify": [],
         "dump": [], "check": [], "history": KEY, "log": [], "stats": [],
         "put": [*KEY, "--value", "2"], "delete": KEY, "append": ["-"], "rotate": [], "tag": ["x"],
         "export": ["-"], "load": ["-"], "compact": ["OUT"], "salvage": ["OUT"]}
INPUT = b'{"key_b64":"YQ==","value_b64":"MQ=="}\n'


def one_line(done):
    """The one line on stderr, nothing on stdout."""
    text = done.stderr.decode()
    assert text.startswith("datawal: ") and text.endswith("\n") and text.count("\n") == 1, text
    assert done.stdout == b""
    return text


@pytest.fixture
def log(datawal, logdir):
    """alpha=1, a Raw record, an empty value under the empty key."""
    datawal("put", logdir, "--key", "alpha", "--value", "1")
    datawal("append", logdir, "-", input=b"raw one")
    datawal("put", logdir, "--key", "", "--value", "")
    return logdir


@pytest.fixture
def call(datawal, log, tmp_path):
    """Runs a command as CALLS says, with more words."""
    def run(command, *more, **options):
        words = [str(tmp_path / "out") if w == "OUT" else w for w in CALLS[command]]
        return datawal(command, log, *words, *more, **options)
    return run


def test_help_lists_exactly_the_commands_there_are(datawal):
    text = datawal("--help").stdout.decode()
    listed = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    assert [word for word in listed if word in COMMANDS + LATER] == COMMANDS
    assert datawal("-h").stdout.decode() == text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(datawal, command):
    text = datawal(command, "--help").stdout.decode()
    assert text.startswith(f"Usage: datawal {command} {'[' * (command == 'log')}DIR")
    assert f"datawal {command} log" in text
    assert "--json" in text
    assert ("--limit" in text) == (command in ("scan", "dump", "log"))
    assert datawal("--help", command).stdout.decode() == text


def test_help_and_version_are_commands_too(datawal):
    assert datawal("help").stdout == datawal("--help").stdout
    for command in COMMANDS:
        assert datawal("help", command).stdout == datawal(command, "--help").stdout
    assert datawal("version").stdout == datawal("--version").stdout
    [said] = datawal.json("version")
    assert said["kind"] == "version" and said["version"].encode() in datawal("version").stdout
    for words in (["help", "scan", "get"], ["version", "1"], ["help", "--json"], ["help", "nonsense"]):
        one_line(datawal(*words, status=1))


@pytest.mark.parametrize("words, meant", [
    (["scann", "LOG"], "'scan'"), (["comapct", "LOG"], "'compact'"), (["Get", "LOG"], "'get'"),
    (["help", "lits"], "'list'"), (["vertify", "LOG"], "'verify'"), (["apend", "LOG"], "'append'"),
    (["scan", "LOG", "--limt", "3"], "'--limit'"), (["get", "LOG", "--kye", "k"], "'--key'"),
    (["put", "LOG", "--key", "k", "--valeu", "v"], "'--value'"),
    (["--jsno", "list", "LOG"], "'--json'")], ids=lambda value: " ".join(value))
def test_what_was_mistyped_is_guessed(datawal, log, words, meant):
    line = one_line(datawal(*[log if w == "LOG" else w for w in words], status=1))
    assert f"did you mean {meant}?" in line


@pytest.mark.parametrize("word", ["frobnicate", "x", "", "abc", "--frobnicate", "scanscanscan",
                                  "s" * 5000])
def test_what_is_like_nothing_is_not_guessed(datawal, log, word):
    assert "did you mean" not in one_line(datawal(word, log, status=1))


@pytest.mark.parametrize("command", [*LATER, "Scan", "", "-"])
def test_an_unknown_command_is_wrong_use(datawal, logdir, command):
    assert "--help" in one_line(datawal(command, logdir, status=1))
    assert not logdir.exists()


def test_no_command_is_wrong_use(datawal):
    assert "--help" in one_line(datawal(status=1))


def test_version_is_one_line(datawal):
    assert datawal("--version").stdout.decode().split()[0] == "datawal"
    assert datawal("-V").stdout == datawal("--version").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_succeeds_and_is_quiet_on_stderr(call, command):
    assert call(command, input=INPUT).stderr == b""


@pytest.mark.parametrize("command", COMMANDS)
def test_json_objects_bear_schema_and_kind_first(call, command):
    done = call(command, "--json", input=INPUT)
    lines = done.stdout.splitlines()
    assert lines
    for line in lines:
        names = list(json.loads(line))
        assert names[:2] == ["schema", "kind"] or names == ["key_b64", "value_b64"]
        assert json.loads(line).get("schema", "datawal.cli.v1") == "datawal.cli.v1"


@pytest.mark.parametrize("words", [
    ["--json", "list", "LOG"], ["list", "--json", "LOG"], ["list", "LOG", "--json"],
    ["--json", "list", "--", "LOG"]])
def test_json_may_stand_anywhere(datawal, log, words):
    done = datawal(*[log if w == "LOG" else w for w in words])
    assert done.stdout == datawal("list", log, "--json").stdout
    assert json.loads(done.stdout.splitlines()[0])["kind"] == "key"


def test_options_may_stand_before_the_directory_whatever_the_environment(datawal, log):
    environment = {**os.environ, "POSIXLY_CORRECT": "1"}
    done = datawal("scan", "--limit", "1", log, "--json", env=environment)
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"log"}))
def test_a_missing_directory_operand_is_wrong_use(datawal, command):
    words = [w for w in CALLS[command] if w not in ("-", "OUT", "x")]
    assert f"datawal {command} --help" in one_line(datawal(command, *words, status=1))


@pytest.mark.parametrize("words", [
    ["scan", "LOG", "--nonsense"], ["scan", "LOG", "-x"], ["scan", "LOG", "--key", "a"],
    ["scan", "LOG", "more"], ["scan", "LOG", "--limit"], ["scan", "LOG", "--limit", "-1"],
    ["scan", "LOG", "--limit", "1x"], ["scan", "LOG", "--limit", ""],
    ["scan", "LOG", "--limit", "99999999999999999999"], ["scan", "LOG", "--json=1"],
    ["scan", "LOG", "--from-segment", "100000000"], ["scan", "LOG", "--bytes", "octal"],
    ["get", "LOG"], ["get", "LOG", "--key", "a", "--key-hex", "61"], ["history", "LOG"],
    ["history", "LOG", "--key", "a", "--limit", "1"], ["log", "LOG", "LOG"],
    ["log", "LOG", "--key", "a"], ["stats", "LOG", "--bytes", "hex"],
    ["get", "LOG", "--key", "a", "--raw", "--json"],
    ["get", "LOG", "--key", "a", "--raw", "--bytes", "hex"],
    ["get", "LOG", "--key-hex", "6"], ["get", "LOG", "--key-hex", "6g"],
    ["get", "LOG", "--key-base64", "YQ"], ["get", "LOG", "--key-base64", "YR=="],
    ["get", "LOG", "--key-base64", "Y=Q="], ["get", "LOG", "--key-base64", "===="],
    ["get", "LOG", "--key-base64", "YQ==YQ=="], ["get", "LOG", "--key-base64", "Y\nQ=="],
    ["put", "LOG", "--key", "a"], ["put", "LOG", "--value", "1"],
    ["put", "LOG", "--key", "a", "--value", "1", "-"],
    ["put", "LOG", "--key", "a", "--value", "1", "--file", "F"],
    ["put", "LOG", "--key", "a", "more"], ["put", "LOG", "--key", "a", "--file", "/nonexistent"],
    ["put", "LOG", "--key", "a", "--file", "/"],
    ["put", "LOG", "--key", "k" * 65537, "--value", "1"],
    ["append", "LOG"], ["append", "LOG", "--value", "1"], ["append", "LOG", "--key", "a", "-"],
    ["delete", "LOG"], ["delete", "LOG", "--key", "a", "--value", "1"],
    ["rotate", "LOG", "--sync"], ["export", "LOG"], ["verify", ""],
    ["export", "LOG", "a", "b"]], ids=lambda words: " ".join(words)[:60])
def test_wrong_use_is_one_line_and_changes_nothing(datawal, log, tree, words):
    before = tree(log)
    one_line(datawal(*[log if w == "LOG" else w for w in words], status=1, input=INPUT))
    assert tree(log) == before


@pytest.fixture
def tree():
    """tree(path): everything about the files below that a change would change."""
    def look(path):
        about = {}
        for name in [path, *sorted(path.rglob("*"))]:
            s = name.lstat()
            about[name] = (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns,
                           name.read_bytes() if name.is_file() else None)
        return about
    return look


def test_wrong_use_creates_no_log(datawal, logdir):
    one_line(datawal("put", logdir, "--key", "a", status=1))
    one_line(datawal("put", logdir, "--key", "a", "--file", "/nonexistent", status=1))
    assert not logdir.exists()


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"put", "append", "load"}))
def test_an_absent_directory_is_wrong_use_and_stays_absent(datawal, logdir, command, tmp_path):
    words = [str(tmp_path / "out") if w == "OUT" else w for w in CALLS[command]]
    assert str(logdir) in one_line(datawal(command, logdir, *words, status=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_of_other_files_is_refused_and_stays_as_it_is(datawal, tmp_path, tree, command):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    words = [str(tmp_path / "out") if w == "OUT" else w for w in CALLS[command]]
    line = one_line(datawal(command, foreign, *words, status=1, input=INPUT))
    assert str(foreign) in line and "not a log" in line
    assert tree(tmp_path) == before


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"dump"}))
def test_a_file_is_no_directory(datawal, tmp_path, tree, command):
    file = tmp_path / "file"
    file.write_text("mine")
    before = tree(tmp_path)
    words = [str(tmp_path / "out") if w == "OUT" else w for w in CALLS[command]]
    assert str(file) in one_line(datawal(command, file, *words, status=1, input=INPUT))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("command", ["scan", "list", "report", "verify", "dump", "check", "log",
                                     "stats", "export"])
def test_an_empty_directory_is_an_empty_log(datawal, logdir, command):
    logdir.mkdir()
    done = datawal(command, logdir, *CALLS[command])
    assert done.stderr == b""
    assert (done.stdout == b"") == (command not in ("report", "verify", "check", "stats"))
    assert list(logdir.iterdir()) == []


def test_a_message_stays_one_line_whatever_the_name(datawal, tmp_path):
    line = one_line(datawal("scan", tmp_path / "a\nb\x1b[31m", status=1))
    assert "\x1b" not in line


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"put", "delete", "append", "rotate", "load"}))
def test_a_full_disk_behind_stdout_is_told(datawal, log, tmp_path, command):
    words = [str(tmp_path / "out") if w == "OUT" else w for w in CALLS[command]]
    if command == "export":
        words = ["-"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run([datawal.program, command, log, *words], stdout=full,
                              stderr=subprocess.PIPE, check=False, timeout=30)
    assert done.returncode in (1, 3)
    assert b"No space left on device" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("command", ["scan", "log", "history", "export"])
def test_a_closed_pipe_ends_it_without_success(datawal, log, command):
    datawal("put", log, "--key", "large", "-", input=bytes(1 << 20))
    reading, writing = os.pipe()
    os.close(reading)
    for restore in (True, False):  # killed by SIGPIPE, or told EPIPE
        done = subprocess.run([datawal.program, command, log, *CALLS[command], *(
            ["--json"] if command == "scan" else [])], stdout=writing, stderr=subprocess.PIPE,
            restore_signals=restore, check=False, timeout=30)
        assert done.returncode != 0
        assert restore or done.stderr.startswith(b"datawal: ")
    os.close(writing)


def test_the_manual_names_every_command_and_option(datawal, root):
    manual = (root / "contrib/man/datawal.1").read_text().replace("Fl -", "--")
    completion = (root / "contrib/completions/datawal").read_text()
    for command in COMMANDS:
        assert f"Cm {command}" in manual
        assert command in completion
        for word in datawal(command, "--help").stdout.decode().split():
            if word.startswith("--"):
                option = word.rstrip(".,;")
                assert option in manual and option in completion, option


def completions(root, *words):
    script = (f"source {root}/contrib/completions/datawal; compopt() {{ :; }}; "
              'COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _datawal; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", "datawal", *words], capture_output=True,
                          text=True, check=True, timeout=10)
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_offers_what_the_command_accepts(root):
    assert completions(root, "re") == ["report"]
    assert completions(root, "help", "comp") == ["compact"] and completions(root, "v") == [
        "verify", "version"]
    assert completions(root, "scan", "log", "--l") == ["--limit"]
    assert completions(root, "list", "log", "--l") == []
    assert completions(root, "hi") == ["history"] and completions(root, "log", "--l") == ["--limit"]
    assert completions(root, "history", "log", "--k") == ["--key", "--key-base64", "--key-hex"]
    assert completions(root, "get", "log", "--bytes", "h") == ["hex"]
    assert completions(root, "put", "log", "--s") == ["--strict", "--sync"]
