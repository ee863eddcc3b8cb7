# SPDX-License-Identifier: MIT OR Apache-2.0
"""Fixtures of all tests: the programs, a log directory, mounts that are always taken down, and a
deadline for every test. The work is done in tests/lib."""
import os
import shlex
import signal
import sys
import tempfile
from pathlib import Path

import pytest

import cli
import deadline
import gates
import mounting
import paths
import privileged
import system_log as system_log_of
import twin_script


def pytest_configure():
    """Told to end, pytest ends as when interrupted: with all mounts taken down. A shell's background
    job ignores some of these signals; programs that are tested must not."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """How contrib/check hands out the tests to several processes."""
    from scheduling import FewAtATime  # for which there must be xdist
    return FewAtATime(config, log)


def pytest_collection_modifyitems(config, items):
    """Leaves out what this user may not do, and has what takes long begin early."""
    privileged.mark_mutants(items)
    if os.getuid():
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason=privileged.MISSING))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not any(map(item.get_closest_marker, ("slow", "mutant"))))


@pytest.fixture(scope="session")
def root() -> Path:
    """The source tree."""
    return paths.ROOT


@pytest.fixture(scope="session")
def build() -> Path:
    """The build directory; it must have been built."""
    paths.program("src/cli/datawal")
    return paths.build_dir()


@pytest.fixture
def datawal(build):
    """Runs the CLI: datawal("scan", logdir, status=2) -> CompletedProcess with bytes."""
    return cli.Datawal(build / "src/cli/datawal")


@pytest.fixture
def logdir(tmp_path) -> Path:
    """A log directory: not there yet."""
    return tmp_path / "log"


@pytest.fixture
def host_dir(tmp_path) -> Path:
    """An ordinary directory on the host's file system."""
    path = tmp_path / "host"
    path.mkdir()
    return path


@pytest.fixture
def open_dir():
    """A directory that every user can reach, which pytest's are not, with a log and a place."""
    with tempfile.TemporaryDirectory(prefix="datawal-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        for child in ("log", "place"):
            os.mkdir(f"{name}/{child}")
        yield Path(name)
        privileged.as_root("sh", "-c", f"while umount -l '{name}/place' 2>/dev/null; do :; done")
        mounting.wait_for(lambda: not mounting.daemons_of(Path(name, "place")), "the daemon's end")
        privileged.as_root("rm", "-rf", f"{name}/log", f"{name}/place")


@pytest.fixture
def mount(tmp_path):
    """mount(logdir, "ro", "commit=1", at=path, args=["-s"]) mounts and returns a mounting.Mount.
    An absent logdir is created (empty: a new log)."""
    mounting.connect_or_skip(pytest)
    program = paths.program("fuse/datawalfs")
    made = []

    def start(log=None, *options, at=None, args=(), create=True, wait=True):
        log = tmp_path / "log" if log is None else Path(log)
        if create:
            log.mkdir(parents=True, exist_ok=True)
        path = tmp_path / f"mnt{len(made)}" if at is None else Path(at)
        if at is None:
            path.mkdir()
        one = mounting.Mount(program, log, path, options, args,
                             tmp_path / f"datawalfs{len(made)}.stderr")
        made.append(one)
        return one.start() if wait else one

    yield start
    trouble = [line for one in reversed(made) for line in one.clean_up()]
    if trouble:
        pytest.fail("\n".join(trouble), pytrace=False)


@pytest.fixture
def gated(mount, tmp_path, monkeypatch):
    """gated("commit=1") mounts, and returns the mount and its gates (tests/lib/gates.py)."""
    stops = gates.Gates(tmp_path / "gates")

    def start(*options, **more):
        with monkeypatch.context() as patched:
            for name, value in stops.environment().items():
                patched.setenv(name, value)
            return mount(None, *options, **more), stops

    yield start
    stops.close()


@pytest.fixture
def system_log(tmp_path, monkeypatch):
    """system_log(): what programs started from now on have sent to the system log."""
    return system_log_of.load(tmp_path, monkeypatch)


@pytest.fixture
def twin(mount, host_dir, tmp_path):
    """A mount and a directory of the host for the same work: twin.run(script) compares them."""
    beside = [tmp_path / name for name in ("beside-host", "beside-mnt0")]
    for directory in beside:
        directory.mkdir()
    return twin_script.Twin(mount(None), host_dir, *beside)


def seconds_of(item):
    mark = item.get_closest_marker("deadline")
    factor = float(os.environ.get("DATAWAL_TEST_SLOWNESS", "1"))
    return factor * (mark.args[0] if mark else deadline.DEFAULT_SECONDS)


def bounded(item):
    with deadline.deadline(seconds_of(item)):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    yield from bounded(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    yield from bounded(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    yield from bounded(item)


def may_skip(report):
    """With DATAWAL_NO_SKIP no test may, but for want of root where DATAWAL_WITHOUT_ROOT says so."""
    if not os.environ.get("DATAWAL_NO_SKIP") or hasattr(report, "wasxfail"):
        return True
    return bool(os.environ.get("DATAWAL_WITHOUT_ROOT")) and wants_root(report)


def wants_root(report):
    return isinstance(report.longrepr, tuple) and privileged.MISSING in report.longrepr[2]


def pytest_terminal_summary(terminalreporter):
    number = sum(wants_root(report) for report in terminalreporter.stats.get("skipped", ()))
    if number:
        terminalreporter.write_line(f"{number} tests need root, or sudo that asks for no password, "
                                    "and were not run")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not may_skip(report):
        report.outcome = "failed"
        report.longrepr = f"skipped, which contrib/check does not allow: {report.longrepr[2]}"
    if report.failed:
        build = os.environ.get("DATAWAL_BUILD")
        setting = f"DATAWAL_BUILD={shlex.quote(build)} " if build else ""
        report.sections.append(("repeat with", f"{setting}{shlex.quote(sys.executable)} -m pytest "
                                f"{shlex.quote('tests/' + item.nodeid)}"))
