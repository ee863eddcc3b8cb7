# SPDX-License-Identifier: MIT OR Apache-2.0
"""Databases keep their promises in the mount, also when the daemon is killed under them."""
import re
import subprocess
import sys

import pytest

MODES = ["delete", "truncate", "persist", "wal"]
# a journal's header and a log's hold random numbers
PRIVATE = ("*-journal", "*-wal", "*-shm")


@pytest.mark.clause("S2b", "S5a", "S8c")
@pytest.mark.parametrize("mode", MODES)
def test_sqlite_keeps_its_promises_in_every_journal_mode(twin, mode):
    script = f"""
        sqlite3 -bail db <<'END'
        PRAGMA journal_mode={mode}; PRAGMA synchronous=FULL; PRAGMA page_size;
        PRAGMA user_version=7;
        CREATE TABLE t(n INTEGER PRIMARY KEY, text TEXT); CREATE INDEX i ON t(text);
        BEGIN; WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000)
            INSERT INTO t SELECT n, printf('%0100d', n * 7919 % 2003) FROM c; COMMIT;
        BEGIN; DELETE FROM t WHERE n % 3 = 0; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; COMMIT;
        BEGIN; UPDATE t SET text = 'x' || text; ROLLBACK;
        UPDATE t SET text = text || 'y' WHERE n < 99;
        SELECT count(*), sum(n), max(text) FROM t; PRAGMA integrity_check;
END
        ls; sqlite3 db "PRAGMA integrity_check; PRAGMA journal_mode; PRAGMA user_version; VACUUM;"
        sqlite3 db "INSERT INTO t VALUES (NULL, 'last'); PRAGMA quick_check; PRAGMA wal_checkpoint;"
        sqlite3 db .dump | md5sum; sqlite3 db "VACUUM INTO 'copy'; ATTACH 'copy' AS c;
            BEGIN; DELETE FROM c.t WHERE n = 1; DELETE FROM t WHERE n = 1; COMMIT;
            SELECT count(*) FROM c.t"; sqlite3 db '.backup backup'
            sqlite3 backup "PRAGMA integrity_check"
    """
    assert twin.run(script, ignore=PRIVATE).count("ok\n") >= 4
    twin.remount()
    found = twin.run("sqlite3 db 'PRAGMA integrity_check; SELECT count(*), sum(n) FROM t'; ls",
                     ignore=PRIVATE)
    assert "ok\n" in found


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_sqlite_serves_several_processes_at_once(twin, mode):
    twin.run(f"""
        sqlite3 db "PRAGMA journal_mode={mode}; CREATE TABLE t(who, n)"
        for who in 1 2 3; do
            for n in $(seq 1 8); do
                echo ".timeout 20000"
                echo "BEGIN IMMEDIATE; INSERT INTO t VALUES ($who, $n); COMMIT;"
            done | sqlite3 -bail db &
        done; wait
        sqlite3 db "SELECT who, count(*), sum(n) FROM t GROUP BY who; PRAGMA integrity_check"
    """, ignore=("db", *PRIVATE))


# Transactions of ten rows each, every one told when its commit has returned.
WRITER = """
import sqlite3, sys
db = sqlite3.connect("db", isolation_level=None)
db.execute("PRAGMA journal_mode=" + sys.argv[1])
db.execute("PRAGMA synchronous=FULL")
db.execute("CREATE TABLE IF NOT EXISTS t(batch, n, text)")
batch = db.execute("SELECT coalesce(max(batch), 0) FROM t").fetchone()[0]
while True:
    batch += 1
    db.execute("BEGIN")
    for n in range(10):
        db.execute("INSERT INTO t VALUES (?, ?, ?)", (batch, n, "x" * 500))
    db.execute("DELETE FROM t WHERE batch < ?", (batch - 20,))
    db.execute("COMMIT")
    print(batch, flush=True)
"""


@pytest.mark.clause("S21e")
@pytest.mark.parametrize("mode", MODES)
def test_a_committed_transaction_outlives_the_daemon_and_others_leave_nothing(mount, mode):
    m = mount()
    for number in range(4):
        with subprocess.Popen([sys.executable, "-c", WRITER, mode], cwd=m.path, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
            told = [int(writer.stdout.readline()) for _ in range(3 + 5 * number)]
            m.kill9()
            told += [int(line) for line in writer.stdout]
        m.remount()
        said = subprocess.run(
            ["sqlite3", "db", "PRAGMA integrity_check",
             "SELECT batch, count(*) FROM t GROUP BY batch"],
            cwd=m.path, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
        assert said[0] == "ok"
        batches = [tuple(map(int, line.split("|"))) for line in said[1:]]
        assert {rows for _, rows in batches} == {10}
        # the one in flight may be there as a whole
        assert batches[-1][0] in (told[-1], told[-1] + 1)
        assert batches[-1][0] - batches[0][0] == len(batches) - 1 == min(20, batches[-1][0] - 1)


@pytest.mark.parametrize("module", ["dbm.ndbm", "dbm.dumb"])
def test_dbm_files_hold_what_was_put_into_them(twin, module):
    twin.python(f"""
import dbm, {module} as m
with m.open("store", "c") as db:
    for n in range(300):
        db[f"key {{n}}"] = b"value %d" % (n * n)
    for n in range(0, 300, 3):
        del db[f"key {{n}}"]
with m.open("store", "w") as db:
    db["key 1"] = b"new" * 100
print(dbm.whichdb("store"))
""", ignore=("store.db",))
    twin.remount()
    assert "200 True" in twin.python(f"""
import {module} as m
with m.open("store", "r") as db:
    print(len(db.keys()), db["key 1"] == b"new" * 100, db["key 298"], b"key 3" in db.keys())
""", ignore=("store.db",))


def test_two_connections_of_a_write_ahead_log_see_each_other(twin):
    out = twin.python("""
import sqlite3
one = sqlite3.connect("db", isolation_level=None)
two = sqlite3.connect("db", isolation_level=None)
print(one.execute("PRAGMA journal_mode=wal").fetchone())
one.execute("CREATE TABLE t(n)")
for n in range(200):
    one.execute("INSERT INTO t VALUES (?)", (n,))
    assert two.execute("SELECT max(n) FROM t").fetchone() == (n,)
two.execute("BEGIN IMMEDIATE")
one.execute("PRAGMA busy_timeout=10")
try:
    one.execute("INSERT INTO t VALUES (0)")
except sqlite3.OperationalError as error:
    print(error)
two.execute("ROLLBACK")
print(one.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
print(two.execute("PRAGMA integrity_check").fetchone())
one.close()
two.close()
""", ignore=PRIVATE)
    assert re.search(r"wal.*\n.*locked\n.*\n.*ok", out)
