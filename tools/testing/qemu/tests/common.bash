# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with bats
# What the tests of the harness share

setup()
{
	root=${BATS_TEST_DIRNAME%/tools/*}
	cd "$root" || exit
	qemu=tools/testing/qemu
	series=tools/series
	o=${O:-build}
	tmp=$BATS_TEST_TMPDIR
	mkdir "$tmp/bin"
	PATH=$tmp/bin:$PATH
	export DEBIAN=$tmp/debian
	unset ASSISTED_BY AUTHOR BASE BOOT CELL CELLS DURATION FORCE GRANULE HARNESS_LOCKED JOBS KSRC \
		LIMIT LLVM O PART QEMU REROLL ROW SHARD SIGNOFF SUITE TEST V MAKEFLAGS MAKELEVEL \
		MAKEOVERRIDES
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

# A source package in miniature: version $1, with every tracked directory
source_package()
{
	mkdir -p "$tmp/src/linux"
	printf 'VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 999\n' >"$tmp/src/linux/Makefile"
	sed '/^#/d' "$series/tracked" | while read -r dir; do
		mkdir -p "$tmp/src/linux/$dir"
		echo nothing >"$tmp/src/linux/$dir/file"
	done
	tar -C "$tmp/src" -cJf "$tmp/src/linux-source-6.1.tar.xz" linux
	echo "linux-source-6.1 $1" >"$tmp/src/linux-source-6.1.tar.xz.package"
}

# unpack TREE: that package
unpack()
{
	"$series/unpack" 6.1 "$1" "$tmp/src/linux-source-6.1.tar.xz"
}

# A user who has configured what can be, and another language
hostile_user()
{
	export HOME=$tmp/home LANGUAGE=de LANG=de_DE.UTF-8
	mkdir "$HOME"
	cat >"$HOME/.gitconfig" <<-END
		[diff]
			noprefix = true
			context = 1
		[core]
			whitespace = tab-in-indent
			autocrlf = true
			hooksPath = $tmp/hooks
		[format]
			suffix = .mail
			signOff = true
			attach
		[i18n]
			commitEncoding = ISO-8859-1
		[commit]
			gpgSign = true
	END
	umask 077
}
