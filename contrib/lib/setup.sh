# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
# What contrib/check and contrib/quickstart share: Debian packages, a Python that has pytest,
# access to /dev/fuse, building. Sourced; knows nothing of either script's job.

# Started without standard descriptors, what runs from here must not get files in their place.
[ -e /dev/fd/0 ] || exec </dev/null
[ -e /dev/fd/1 ] || exec >/dev/null
[ -e /dev/fd/2 ] || exec 2>/dev/null

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "this needs root or sudo: $*"
	fi
}

may_become_root() {
	[ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || sudo -v; }; }
}

# need_packages NAME...: installs those that are missing, saying which, or tells what an administrator
# has to do. With DATAWAL_NO_INSTALL set it only names them: the tests of these scripts install
# nothing.
need_packages() {
	local name missing=()
	if ! command -v dpkg-query >/dev/null; then
		say "no dpkg here; this needs what Debian calls: $*"
		return 0
	fi
	for name in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
		installed) ;;
		*) missing+=("$name") ;;
		esac
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ -n "${DATAWAL_NO_INSTALL-}" ]; then
		say "missing: ${missing[*]}"
		return 0
	fi
	if ! may_become_root; then
		die "these Debian packages are missing, and this user may not install them. An administrator can:
  apt-get install --no-install-recommends ${missing[*]}"
	fi
	say "installing with apt, which takes a minute or two: ${missing[*]}"
	apt-get -s install --no-remove "${missing[@]}" >/dev/null 2>&1 || update_lists
	install_packages "${missing[@]}" || { update_lists && install_packages "${missing[@]}"; } ||
		die "apt-get cannot install: ${missing[*]}"
}

update_lists() { as_root apt-get -q update >&2; }

# Shows what apt does; takes nothing away to make room for a package.
install_packages() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 install \
		--no-install-recommends --no-remove "$@" >&2
}

# python_with_pytest: prints one that has pytest-xdist too; the python3 that comes first need not be Debian's
python_with_pytest() {
	local python
	for python in python3 /usr/bin/python3; do
		if "$python" -c 'import pytest, xdist' 2>/dev/null; then
			printf '%s\n' "$python"
			return 0
		fi
	done
	die "no python3 with pytest and pytest-xdist found"
}

# need_fuse: /dev/fuse is there and this user may open it
need_fuse() {
	if [ ! -c /dev/fuse ]; then
		say "/dev/fuse is missing: trying modprobe fuse"
		as_root modprobe fuse 2>/dev/null || true
	fi
	if [ ! -c /dev/fuse ]; then
		as_root mknod -m 0666 /dev/fuse c 10 229 2>/dev/null ||
			die "/dev/fuse is missing and cannot be made; is this a container without it?"
	fi
	if [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then
		say "/dev/fuse is not open to users; doing what udev's default rule does:" \
			"chmod 0666 /dev/fuse"
		as_root chmod 0666 /dev/fuse
	fi
}

# configure DIRECTORY [MESON-OPTION...]: once; the compiler is $CC
configure() {
	local directory=$1 output
	shift
	[ ! -f "$directory/build.ninja" ] || return 0
	output=$(meson setup "$directory" "$@" 2>&1) || { say "$output"; exit 1; }
}

# compile DIRECTORY [TARGET...]: everything, if no target is named
compile() { ninja --quiet -C "$@" >&2; }
