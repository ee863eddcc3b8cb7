# SPDX-License-Identifier: MIT OR Apache-2.0
"""rsync, tar and unzip: a tree goes into the mount and out of it, and they find it unchanged."""
import os
import zipfile

import pytest

from twin_script import TREE

# as rsync sees a file that needs nothing: it says nothing
AGAIN = "rsync -a --delete --itemize-changes"


def test_rsync_finds_nothing_to_transfer_the_second_time(twin):
    twin.run(TREE + f"""
        make_tree "$OUT/tree"; mkdir copy; echo stray >copy/stray
        {AGAIN} "$OUT/tree/" copy/ | sort
    """)
    assert twin.run(f'{AGAIN} "$OUT/tree/" copy/') == ""
    twin.remount()
    assert twin.run(f'{AGAIN} "$OUT/tree/" copy/') == ""
    assert twin.run(f'{AGAIN} --checksum "$OUT/tree/" copy/') == ""
    twin.run(f"""
        echo changed >>"$OUT/tree/one"; rm -r "$OUT/tree/a/b"; echo n >"$OUT/tree/new"
        chmod 640 "$OUT/tree/a/run"; touch -d 2020-02-02 "$OUT/tree/nothing"
        {AGAIN} "$OUT/tree/" copy/ | sort
        {AGAIN} "$OUT/tree/" copy/
    """)
    twin.remount()
    assert twin.run(f'{AGAIN} "$OUT/tree/" copy/') == ""


def test_rsync_out_of_the_mount_finds_nothing_the_second_time(twin):
    twin.run(TREE + f"""make_tree tree; {AGAIN} tree/ "$OUT/copy" | sort""")
    assert twin.run(f'{AGAIN} tree/ "$OUT/copy"') == ""
    twin.remount()
    assert twin.run(f'{AGAIN} tree/ "$OUT/copy"') == ""


def test_rsync_changes_a_file_in_place_and_appends_to_one(twin):
    twin.run("""
        seq 1 200000 >"$OUT/big"; cp "$OUT/big" "$OUT/log"; touch -d 2001-01-01 "$OUT"/*
        rsync -a "$OUT/big" "$OUT/log" .
        printf CHANGED | dd of="$OUT/big" bs=1 seek=700000 conv=notrunc status=none
        echo more >>"$OUT/log"
        rsync -a -i --inplace --no-whole-file "$OUT/big" .; cmp big "$OUT/big"
        touch -d 2002-02-02 big
        rsync -a -i --append-verify "$OUT/log" .; cmp log "$OUT/log"
        truncate -s 500000 "$OUT/big"; touch -d 2003-03-03 "$OUT/big"
        rsync -a -i --inplace --no-whole-file "$OUT/big" .
        cmp big "$OUT/big"; rsync -a -i --inplace "$OUT/big" "$OUT/log" .
        rsync -a --sparse -i "$OUT/big" sparse; rsync -a --partial-dir=.part -i "$OUT/log" partly
        rsync -a -i --backup --suffix=.old big log; ls -A
    """)
    twin.remount()
    assert twin.run('rsync -ai --inplace "$OUT/big" .; rsync -ai sparse "$OUT/big"') == ""


def test_rsync_carries_extended_attributes(twin):
    twin.run("""
        mkdir "$OUT/d"; echo x >"$OUT/d/f"; ln -s f "$OUT/d/l"
        setfattr -n user.colour -v blue "$OUT/d/f"; setfattr -n user.empty "$OUT/d"
        rsync -aXi "$OUT/d/" d | sort; rsync -aXi "$OUT/d/" d; cp -a d e; getfattr -d e e/f
        tar --xattrs -cf d.tar d; mkdir x; tar --xattrs -xf d.tar -C x; getfattr -d x/d x/d/f
    """, ignore=("d.tar",))
    twin.remount()
    assert twin.run('rsync -aXi "$OUT/d/" d; rsync -aXi d/ e; rsync -aXi e/ x/d',
                    ignore=("d.tar",)) == ""


@pytest.mark.parametrize("format", ["gnu", "posix"])
def test_tar_into_the_mount_and_out_of_it_compares_equal(twin, format):
    twin.run(TREE + f"""
        export TAR_OPTIONS=--warning=no-timestamp
        make_tree "$OUT/tree"; tar -C "$OUT" --format={format} --sort=name -cf "$OUT/in.tar" tree
        tar -xpf "$OUT/in.tar"; tar --compare -f "$OUT/in.tar" && echo equal
        tar --format={format} --sort=name -czf out.tar.gz tree
        tar -C "$OUT" --compare -f out.tar.gz && echo equal; tar -tf out.tar.gz
    """, ignore=("in.tar", "out.tar.gz"))
    twin.remount()
    twin.run("""
        export TAR_OPTIONS=--warning=no-timestamp; tar --compare -f "$OUT/in.tar" && echo equal
        mkdir "$OUT/back"; tar -C "$OUT/back" -xpf out.tar.gz; tar -C "$OUT/back" -df "$OUT/in.tar"
    """, ignore=("in.tar", "out.tar.gz"))


def test_tar_adds_to_an_archive_and_takes_out_of_it(twin):
    twin.run("""
        for n in 1 2 3; do echo $n >$n; touch -d 200$n-01-01 $n; done
        tar cf a.tar --mode=644 --owner=0:0 1 2; tar rf a.tar --mode=644 --owner=0:0 3; tar tf a.tar
        echo changed >3; touch -d 2009-01-01 3; tar df a.tar || echo "status $?"
        tar uf a.tar --mode=644 --owner=0:0 1 2 3; tar --delete -f a.tar 1; tar tf a.tar
        rm 1 2 3; tar xf a.tar; cat 2 3; tar xkf a.tar 2 2>&1 || echo "status $?"
        mkdir o; tar -C o -xOf a.tar | wc -c; tar -C o --one-top-level=top -xf a.tar; ls o/top
    """, ignore=("a.tar",))
    twin.remount()


@pytest.fixture
def archive(twin):
    """archive.zip beside each side."""
    for side in twin.sides:
        with zipfile.ZipFile(side.out / "archive.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for number, (name, mode) in enumerate([("d/f", 0o644), ("d/run", 0o755), ("g", 0o600),
                                                   ("d/e/", 0o750), ("empty", 0o444)]):
                info = zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 2 * number))
                info.create_system = 3
                info.external_attr = (mode | (0o040000 if name[-1] == "/" else 0o100000)) << 16
                file.writestr(info, b"" if name in ("empty", "d/e/") else os.fsencode(name) * 5000)
    return "archive.zip"


def test_unzip_extracts_with_modes_and_times_and_updates(twin, archive):
    twin.run(f"""
        unzip "$OUT/{archive}"; unzip -t "$OUT/{archive}" | tail -1; echo changed >g
        unzip -o "$OUT/{archive}" g; rm d/f; unzip -fo "$OUT/{archive}"; unzip -uo "$OUT/{archive}"
        unzip -n "$OUT/{archive}"; unzip -p "$OUT/{archive}" g | cmp - g; cp "$OUT/{archive}" .
        unzip -d again {archive}; diff -r d again/d && echo equal
    """)
    twin.remount()
    twin.run(f"unzip -uo {archive}; unzip -l {archive}; unzip -fo {archive} -d again")
