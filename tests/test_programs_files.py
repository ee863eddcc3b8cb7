# SPDX-License-Identifier: MIT OR Apache-2.0
"""The small programs of every day do in the mount what they do on the host's file system."""
import pytest

from twin_script import TREE


def test_cp_a_copies_a_tree_with_all_that_belongs_to_it(twin):
    twin.run(TREE + """
        make_tree "$OUT/tree"
        cp -a "$OUT/tree" in
        cp -a in again
        cp -a again "$OUT/back"
        diff -r --no-dereference -x fifo "$OUT/tree" "$OUT/back" && echo the same
        cp -r --no-preserve=mode,timestamps in/a plain
        cp -p in/one one; cp in/nothing two; cp -u in/one two; cat two
        cp --parents in/a/b/many "$OUT"
        cp -L in/link real; cp -P in/link alias; readlink alias
    """)
    twin.remount()


def test_cp_over_what_is_there_keeps_mode_and_owner(twin):
    twin.run("""
        echo old >f; chmod 640 f; echo new >g; chmod 755 g
        cp g f; stat -c '%a %s' f; cat f
        cp --backup=numbered g f; ls; cp -b g f; ls
        cp -n f absent; cp -n f g; cp --remove-destination f g; stat -c %a g
        cp -s "$PWD/f" symbolic; readlink symbolic
    """)


def test_mv_in_and_out_of_the_mount_keeps_everything(twin):
    twin.run(TREE + """
        make_tree "$OUT/tree"
        mv "$OUT/tree" .
        mv "$OUT/tree" . 2>/dev/null || echo gone there
        mv tree/one "$OUT/one"; mv tree/a "$OUT/a"
        mv "$OUT/a" tree/closed/moved
        mv tree/closed/moved/up "$OUT"; mv "$OUT/one" 'tree/with space'
    """)
    twin.remount()


def test_mv_renames_files_and_directories(twin):
    twin.run(TREE + """
        make_tree t
        mv t/one t/two; mv -T t/a t/z; mv t/z t/empty; mv t/empty renamed; mv renamed t
        echo x >x; echo y >y; mv x y; cat y; mv -n y t/two; ls
        mkdir -p d/e; mv -T t d 2>&1 || echo "status $?"
        rmdir d/e; mv -T t d; mv d d/e 2>&1 || echo "status $?"
        mv d/link d/dangling d/fifo .; mv --backup=simple y d/two
        find . | sort
    """)
    twin.remount()


def test_install_makes_files_and_directories_with_their_modes(twin):
    twin.run("""
        printf '#!/bin/sh\\n' >"$OUT/program"; touch -d 2001-02-03 "$OUT/program"
        install "$OUT/program" program
        install -m 600 "$OUT/program" private
        install -d -m 2750 lib/deep
        install -D -p -m 644 "$OUT/program" share/doc/program
        install -t lib/deep -b program private; install -b -m 400 program lib/deep
        install -C -v program private 2>&1; stat -c '%n %a' * lib/deep/*
    """)
    twin.remount()


def test_touch_sets_any_time(twin):
    twin.run("""
        touch now; touch -d '2001-02-03 04:05:06.789' file; mkdir dir; touch -d @86400 dir
        touch -d '1960-01-01' before; touch -d '2100-06-07 08:09:10.111213141' after
        touch -r file like; touch -a -d 2002-02-02 like; touch -m -d 2003-03-03 file
        touch -c absent; ln -s file link; touch -h -d 2004-04-04 link
        touch -d 2005-05-05 link; echo more >>before
        stat -c '%n %y' file dir like link after
    """)
    twin.remount()
    twin.run("stat -c '%n %y' file dir like link after")


def test_chmod_and_umask_are_kept(twin):
    twin.run("""
        touch f; mkdir d; chmod 4751 f; chmod 1777 d; (umask 077; echo x >g; mkdir e)
        (umask 000; echo x >h; mkdir i); chmod u+x,go-rwx h; chmod 2755 i; touch i/inherits
        mkdir i/j
        stat -c '%n %a %A' f d g e h i i/j
    """)
    twin.remount()
    twin.run("stat -c '%n %a %A' f d g e h i i/j; : >f; stat -c %a f")


def test_truncate_and_dd_write_where_they_are_told(twin):
    twin.run("""
        seq 1 1000 >f
        truncate -s 100 f; truncate -s +5000 f; truncate -s %4096 f; truncate -s '<1M' f
        truncate -s 3M new; truncate -r f like; stat -c '%n %s' *
        printf HERE | dd of=f bs=1 seek=50 conv=notrunc,fsync status=none
        printf FAR | dd of=new bs=1 seek=2000000 conv=notrunc,fdatasync status=none
        printf END | dd of=new oflag=append conv=notrunc status=none
        dd if=/dev/zero of=sync bs=4k count=8 oflag=sync,dsync status=none
        dd if=/dev/zero of=direct bs=4k count=8 oflag=direct status=none
        dd if=direct of=back bs=4k iflag=direct status=none
        dd if=f of=cut bs=10 skip=3 count=4 status=none
        dd if=new of=sparse bs=64k conv=sparse,fsync status=none
        dd of=excl conv=excl status=none </dev/null
        dd of=excl conv=excl status=none </dev/null 2>&1 || echo "status $?"
        fallocate -l 10000 room; fallocate -n -o 20000 -l 4096 room
        fallocate -p -o 100 -l 200 f; fallocate -z -o 10 -l 20 f; stat -c '%n %s' room f
        cmp new sparse && sha1sum *
    """)
    twin.remount()


def test_text_tools_write_onto_their_own_input(twin):
    twin.run("""
        seq 1 3000 | shuf --random-source=<(yes) >f
        sort -n -o f f; head -3 f; sort -r -S 64k -T . -o f f; head -3 f
        sort -u -o g f f; uniq g h; comm -12 g h | wc -l
        split -l 1000 f part-; split -n 4 -d f piece; cat part-* | cmp - f; ls
        csplit -s f 1000 2000; paste xx00 xx01 | md5sum; tac f | tee t1 t2 | tail -1
        seq 5 | tee -a t1 >>t2; seq 6 | tee -a t1 t2 >/dev/null; cmp t1 t2; tail -2 t1
        tr 0-9 a-j <f >words; cut -c1-2 words | sort | uniq -c | head -3; wc f words
        od -c t1 | tail -2; expand <t1 >t3; nl t3 | tail -1; grep -r -c 999 . | sort
        shred -n 1 -u t3; test ! -e t3; patch -s f <<'END'
--- f
+++ f
@@ -1,2 +1,2 @@
-999
+nine
 998
END
        head -2 f
    """)
    twin.remount()


def test_shell_redirections_append_and_clobber(twin):
    twin.run("""
        echo one >f; echo two >>f; { echo three; (echo four); /bin/echo five; } >>f; cat f
        set -C; (echo x >f) 2>/dev/null || echo kept; set +C
        exec 3<>rw; echo abc >&3; printf X >&3; exec 3>&-; exec 3<>rw; printf Q >&3; read -r l <&3
        exec 3>&-; echo "$l"; cat rw; cat f f >g; cat <g >>f; wc -l f
        cat f >>f 2>&1 || echo "status $?"; for i in 1 2 3; do echo $i; done | tee h >h2; cmp h h2
        echo x >'-'; echo y >'*'; echo z >"$(printf 'n\\nl')"; ls -b
    """)


def test_find_newer_and_the_like_see_what_was_set(twin):
    twin.run("""
        mkdir -p a/b; for n in 1 2 3; do touch -d 200$n-01-01 a/$n a/b/$n; done
        head -c 5000 /dev/zero >a/big; ln -s 1 a/l; mkdir a/none; : >a/zero; chmod 700 a/b/1
        find . -newer a/2 ! -newer a/3 | sort; find . -type f -newermt 2002-06-01 | sort
        find . -mtime +1000 | sort; find . -empty | sort; find . -size +4k; find . -type l
        find . -perm -100 -type f; find -L . -samefile a/1 | sort; find . -name '[13]' -delete
        find . -depth | sort; find . -links 1 -type f | sort; du -a --apparent-size -B1 a/big
    """)
    twin.remount()
    twin.run("find . -newer a/2 | sort; find . -type f -newermt 2001-06-01 ! -newer a/2 | sort")


def test_flock_keeps_others_out(twin):
    twin.run("""
        exec 9>lock; flock 9; flock -n lock true || echo "held: $?"
        flock -w 0.1 lock true || echo "still: $?"; exec 9>&-
        flock -n lock echo free; exec 8<lock 7<lock; flock -s 8; flock -n -s 7 && echo shared
        flock -n -x lock true || echo "not exclusive: $?"
        for i in 1 2 3 4 5 6; do flock count -c 'n=$(cat n 2>/dev/null || echo 0)
        echo $((n + 1)) >n' &
        done; wait; cat n
    """)


def test_mktemp_makes_what_nobody_else_has(twin):
    twin.run("""
        for i in 1 2 3 4 5; do mktemp -p . f.XXXXXXXX; done | sort -u | wc -l
        stat -c '%a %s' f.*; d=$(mktemp -d -p . d.XXXXXX); stat -c '%a %F' "$d"
        TMPDIR=$PWD mktemp -u | wc -l; rm -r f.* "$d"; ls
    """)


def test_fifos_and_symbolic_links_are_what_they_are(twin):
    twin.run("""
        mkfifo p; mkfifo -m 600 q; (seq 3 >p &); cat p; stat -c '%n %F %a' p q
        mkdir d; echo x >d/f; ln -s d/f l; ln -s d dl; ln -s loop loop
        ln -s "$(printf %01000d 1)" far
        cat l dl/f; readlink l dl loop; readlink -f dl/../l | sed "s,$PWD,,"
        cat loop 2>&1 || echo "$?"
        cat far 2>&1 | tail -c 22 || echo "$?"; echo y >l; cat d/f; ln -sfn q dl; readlink dl
        ln -s d d2; ls d2/; rm d2; ls d; rm l; cat d/f; mkdir dl 2>&1 || echo "$?"
        rmdir loop 2>&1 || echo "$?"; chmod 600 d/f; ln -sr d/f e; mv e d; cat d/f
        ls -l q | cut -c1-10
        test -p p && test -L far && test ! -e far && stat -c '%F %s' far dl
    """)
    twin.remount()
    twin.run("(seq 3 >p &); cat p; readlink dl d/e far | md5sum; rm p far dl; ls")


def test_refusals_read_the_same(twin):
    twin.run("""
        t() { "$@" 2>&1 || echo "status $?"; }
        mkdir -p d/e; echo x >f; l=$(printf %0255d 1)
        t cat absent; t cat d; t rm d; t rmdir d; t rmdir f; t mkdir d; t mkdir f/x; t ls f/x
        t mv d d/e/x; t mv d f; t cp f f; t cp d f; t rm absent; t rm -f absent; t cat f/
        t touch d/
        t mv absent f; t mv -T f d; t ls -d "$l"; t touch "$l"; t touch "${l}1" | tail -c 20
        t chmod 600 absent; t ln -s f f; t mkfifo f; t truncate -s 5 d; t dd if=f of=d status=none
        t bash -c 'echo x >d'; t bash -c 'echo x >absent/f'; t rm -r d; t stat -c %s d; ls | wc -l
    """)


@pytest.mark.parametrize("how", ["rm -r", "find -delete", "mv out"])
def test_a_tree_goes_whole(twin, how):
    """As above, so that nothing is left in the log either."""
    twin.run(TREE + "make_tree t; echo keep >kept")
    twin.run({"rm -r": "rm -r t", "find -delete": "find t -delete",
              "mv out": 'mv t "$OUT"'}[how] + "; ls")
    twin.remount()
    twin.run("ls")


def test_listings_show_the_same(twin):
    twin.run(TREE + """
        make_tree t
        ls -aF t t/a
        ls -la --time-style=+%Y t/a/b | tail -n +4 | sed 's/ 20[2-9].*M//' | cut -c1-10
        ls -t t/one t/nothing; ls -S t/a/b/c; ls -lR t | wc -l
        stat -c '%F %a %U %G %h' t/one t/link
        du --apparent-size -sb t/a/b/c/zeros; file_count=$(find t | wc -l); echo "$file_count"
        test -x t/a/run && t/a/run; test -k t/a/b || echo not sticky; test -g t/a/b && echo setgid
        wc -c t/a/b/many; cmp t/one t/link; tree=$(cd t && echo *); echo "$tree"
    """)
