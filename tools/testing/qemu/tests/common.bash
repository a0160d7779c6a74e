# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with bats
# What the tests of the harness share

setup()
{
	root=$(cd "$BATS_TEST_DIRNAME" && git rev-parse --show-toplevel)
	cd "$root" || exit
	qemu=tools/testing/qemu
	o=${O:-build}
	tmp=$BATS_TEST_TMPDIR
	mkdir "$tmp/bin"
	PATH=$tmp/bin:$PATH
	unset BOOT LIMIT LIVE QEMU SUITE TEST V KSRC MAKEFLAGS MAKELEVEL MAKEOVERRIDES
}

# shim NAME: a command of that name, with the script on standard input
shim()
{
	{ echo "#!/bin/sh"; cat; } >"$tmp/bin/$1"
	chmod +x "$tmp/bin/$1"
}

# fails_with TEXT COMMAND...: it has to fail, with one line "error: ...TEXT..."
fails_with()
{
	local text=$1
	shift
	run "$@"
	echo "exit status $status, output:"
	echo "$output"
	[ "$status" -ne 0 ]
	[ "$(grep -c 'error: ' <<<"$output")" -eq 1 ]
	grep -qF -- "$text" <<<"$(grep 'error: ' <<<"$output")"
}
