#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The first process of contrib/check-clean's namespace: makes a directory with a Debian in it the
# root, and does there what a newcomer does. Writes to /srv/times how long that took.
# usage: clean_root.sh ROOT USER [CHECK-OPTION...]
set -eu
root=$1 user=$2
shift 2

LOOP_DEVICES=64

# A /dev of its own, where /dev/fuse is as closed as the kernel makes it: no udev has been here.
make_devices() {
	local node i
	mount -t tmpfs -o mode=0755 none dev
	for node in null:3 zero:5 full:7 random:8 urandom:9; do
		mknod -m 0666 "dev/${node%:*}" c 1 "${node#*:}"
	done
	mknod -m 0666 dev/tty c 5 0
	mknod -m 0600 dev/fuse c 10 229
	mknod -m 0660 dev/loop-control c 10 237
	for ((i = 0; i < LOOP_DEVICES; i++)); do mknod -m 0660 "dev/loop$i" b 7 "$i"; done
	ln -s /proc/self/fd dev/fd
	for i in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${i%:*}" "dev/${i#*:}"; done
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 none dev/pts
	ln -s pts/ptmx dev/ptmx
	mount -t tmpfs -o mode=1777 none dev/shm
}

# Whoever installs or boots a Debian has this; debootstrap does not make it, and fusermount3 needs it.
make_mtab() { ln -sf ../proc/self/mounts etc/mtab; }

enter_root() {
	mount --bind "$root" "$root"
	cd "$root"
	mount -t proc none proc
	mount -t sysfs none sys
	mount -t fusectl none sys/fs/fuse/connections 2>/dev/null || true
	make_devices
	make_mtab
	pivot_root . mnt
	cd /
	umount -l /mnt
	hash -r
}

make_user() {
	[ "$user" = root ] || useradd -m -s /bin/bash "$user"
	echo "$user ALL=(ALL:ALL) NOPASSWD: ALL" >"/etc/sudoers.d/$user"
	home=$(getent passwd "$user" | cut -d: -f6)
	mv /srv/datawal "$home/datawal"
	chown -R "$user:" "$home/datawal"
}

# as_user COMMAND [WORD...]: in the clone, with nothing in the environment; says how long it took
as_user() {
	local status=0 began=$SECONDS
	echo "== $user: $*"
	env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin TERM=dumb LANG=C.UTF-8 \
		runuser -l "$user" -c "cd datawal && $(printf '%q ' "$@")" </dev/null || status=$?
	printf '%-5s %-34s %2d:%02d  %s\n' "$user" "$*" $(((SECONDS - began) / 60)) \
		$(((SECONDS - began) % 60)) "$([ $status -eq 0 ] && echo ok || echo "FAILED: $status")" >>/srv/times
	return "$status"
}

enter_root
make_user
failed=0
as_user contrib/quickstart || failed=1
as_user contrib/quickstart --stop || failed=1
as_user contrib/check "$@" || failed=1
exit "$failed"
