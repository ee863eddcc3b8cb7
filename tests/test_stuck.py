# SPDX-License-Identifier: MIT OR Apache-2.0
"""Nothing in the mount ever blocks for good: not while it works, and not when it goes away under
those who use it, in whatever way."""
import os
import signal
import subprocess

import pytest

import crowd
import deadline
import mounting

pytestmark = pytest.mark.thread

MEMBERS = 100
SECONDS = 30  # to get on; they need a fraction of one


def lazy_unmount(m):
    subprocess.run(["fusermount3", "-u", "-z", m.path], check=True, timeout=SECONDS)
    m.wait_end()  # when the last descriptor is closed


def terminate(m):
    m.terminate()


def kill(m):
    m.kill9()


def stop_and_kill(m):
    """As after a hang: requests wait that nobody has looked at."""
    os.kill(m.pid, signal.SIGSTOP)
    mounting.wait_for(lambda: crowd.state_of(m.pid) == "T", "the daemon's stop")
    m.kill9()


def kill_unmounted(m):
    """Those who have files open are still served, and then no longer."""
    subprocess.run(["fusermount3", "-u", "-z", m.path], check=True, timeout=SECONDS)
    m.kill9()


@pytest.fixture
def people(tmp_path):
    """people(directory) starts the crowd; whatever happens, nobody is left."""
    made = []

    def start(directory):
        made.append(crowd.Crowd(directory, tmp_path / "counters", MEMBERS))
        return made[-1]

    yield start
    for one in made:
        one.kill()


def all_get_on(them, which, what):
    since = them.counts(which)
    try:
        mounting.wait_for(lambda: not them.behind(which, since), what, SECONDS)
    except AssertionError as error:
        late = [pid for pid in them.pids() if crowd.state_of(pid) in "DS"]
        behind = them.behind(which, since)
        pytest.fail(f"{error}: {[crowd.Member.ROLES[i % 8].__name__ for i in behind]}\n"
                    + "\n".join(crowd.where(pid) for pid in late[:5]), pytrace=False)


def nobody_stays_in_d(pids):
    """Each is seen in another state, or gone."""
    left = set(pids)

    def seen():
        left.difference_update([p for p in left if crowd.state_of(p) != "D"])
        return not left

    try:
        mounting.wait_for(seen, "processes in D state", SECONDS)
    except AssertionError as error:
        pytest.fail(f"{error}: {left}\n" + "\n".join(map(crowd.where, left)), pytrace=False)


@pytest.mark.sanitize
@pytest.mark.clause("S21a", "S21b", "S21d", "S21e")
@pytest.mark.deadline(240)
@pytest.mark.parametrize("end", [
    kill, *(pytest.param(end, marks=pytest.mark.slow)
            for end in (lazy_unmount, terminate, stop_and_kill, kill_unmounted))],
                         ids=lambda f: f.__name__)
def test_a_hundred_readers_and_writers_survive_the_mount(mount, people, end):
    m = mount()
    (m / "place").mkdir()  # so that nobody writes under the mount when it is gone
    them = people(m / "place")
    for _ in range(3):
        all_get_on(them, crowd.SUCCESSES, "all at work")
        pids = them.pids()
        end(m)
        all_get_on(them, crowd.TRIES, "all told that it is gone")
        nobody_stays_in_d(pids)
        m.start()
    all_get_on(them, crowd.SUCCESSES, "all at work again")
    them.end()
    them.process.wait(SECONDS)
    m.unmount()


def test_a_request_that_nobody_answers_ends_at_the_deadline(mount):
    m = mount()
    os.kill(m.pid, signal.SIGSTOP)
    with pytest.raises(deadline.DeadlineExceeded):
        with deadline.deadline(1):
            while True:
                try:
                    os.statvfs(m)
                except OSError:
                    pass  # the mount was cut off; the alarm has rung as well
    m.kill9()
