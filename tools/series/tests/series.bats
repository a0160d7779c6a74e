#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# The series and its tools: sources that are not the recorded ones, patches that
# do not apply, edits in the tree, and the mails.

load ../../testing/qemu/tests/common

series=tools/series

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
	shim dpkg-query <<<"printf '%s' '$1'"
	export SRCDIR=$tmp/src
}

recorded()
{
	awk '$1 == "6.1" { print $3 }' bases
}

@test "a corrupt tarball of the recorded version is refused" {
	source_package "$(recorded)"
	fails_with "is corrupt, its sha256 is not the one in ./bases" \
		"$series/unpack" 6.1 "$tmp/tree"
	[ ! -e "$tmp/tree" ] && [ ! -e "$tmp/tree.tmp" ]
}

@test "an older package is refused" {
	source_package 6.1.100-1
	fails_with "is 6.1.100-1, older than the recorded" \
		"$series/unpack" 6.1 "$tmp/tree"
	[ ! -e "$tmp/tree" ]
}

@test "a package that is missing, and one that is not installed" {
	SRCDIR=$tmp fails_with "linux-source-6.1.tar.xz is missing: run 'make deps'" \
		"$series/unpack" 6.1 "$tmp/tree"
	source_package ""
	shim dpkg-query <<<"exit 1"
	fails_with "package linux-source-6.1 is not installed" \
		"$series/unpack" 6.1 "$tmp/tree"
}

@test "a newer package is taken with a notice, and a patch that fails is named" {
	source_package 6.1.999-1
	run "$series/unpack" 6.1 "$tmp/tree"
	[ "$status" -eq 0 ]
	grep -q "^notice: linux-source-6.1 is 6.1.999-1, newer than" <<<"$output"
	before=$(git -C "$tmp/tree" rev-parse HEAD)
	run "$series/replay" 6.1 "$tmp/tree"
	echo "$output"
	[ "$status" -ne 0 ]
	grep -q "^error: arch/arm64/kvm/stage2-normal-nc-6.1.patch does not apply to Linux 6.1.999-1" <<<"$output"
	# and the tree is as it was
	[ "$(git -C "$tmp/tree" rev-parse HEAD)" = "$before" ]
	git -C "$tmp/tree" diff-index --quiet HEAD
}

@test "no space is said before anything is written" {
	source_package 6.1.999-1
	shim df <<<'echo "Filesystem 1024-blocks Used Available"; echo "x 9 9 5000 9% /"'
	fails_with "no space: " "$series/unpack" 6.1 "$tmp/tree"
	[ ! -e "$tmp/tree" ]
}

@test "an unpack that is interrupted leaves nothing, and a second run recovers" {
	source_package 6.1.999-1
	shim tar <<<'sleep 5; exit 1'
	run timeout 1 "$series/unpack" 6.1 "$tmp/tree"
	[ "$status" -ne 0 ]
	[ ! -e "$tmp/tree" ]
	rm "$tmp/bin/tar"
	"$series/unpack" 6.1 "$tmp/tree"
	[ -f "$tmp/tree/Makefile" ]
	[ ! -e "$tmp/tree.tmp" ]
}

@test "KSRC: no tree, another version, and an older one are refused" {
	KSRC=$tmp fails_with "is not a kernel tree" "$series/unpack" 6.1 "$tmp/tree"
	printf 'VERSION = 5\nPATCHLEVEL = 10\nSUBLEVEL = 1\n' >"$tmp/Makefile"
	KSRC=$tmp fails_with "is 5.10.1, not 6.1.y" "$series/unpack" 6.1 "$tmp/tree"
	printf 'VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 9\n' >"$tmp/Makefile"
	KSRC=$tmp fails_with "older than the recorded" "$series/unpack" 6.1 "$tmp/tree"
}

@test "edits in the tree are not thrown away" {
	source_package 6.1.999-1
	"$series/unpack" 6.1 "$tmp/tree"
	echo edit >>"$tmp/tree/mm/file"
	fails_with "has edits" "$series/replay" 6.1 "$tmp/tree"
	grep -q edit "$tmp/tree/mm/file"
	fails_with "are not committed" "$series/refresh" 6.1 "$tmp/tree"
}

# The user's own work in the tree is no failure, and not for a test to write back.
unedited()
{
	. "$series/lib.sh"
	tree_is_replayed "$o/6.1/tree" || skip "$o/6.1/tree has edits"
}

@test "a refresh that changes nothing writes nothing" {
	unedited
	run "$series/refresh" 6.1 "$o/6.1/tree"
	echo "$output"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "a refresh does not overwrite what was edited here" {
	unedited
	cp "$o/6.1/tree/.git/sums" "$tmp/sums"
	sed -i '1s/^......../00000000/' "$o/6.1/tree/.git/sums"
	run "$series/refresh" 6.1 "$o/6.1/tree"
	cp "$tmp/sums" "$o/6.1/tree/.git/sums"
	echo "$output"
	[ "$status" -ne 0 ]
	grep -q "^error: edited since .*: series-6.1 - 'make tree" <<<"$output"
}

@test "the mails want an author" {
	HOME=$tmp GIT_CONFIG_GLOBAL=/dev/null fails_with "no author" \
		env AUTHOR= GIT_CONFIG_NOSYSTEM=1 GIT_CEILING_DIRECTORIES=/ GIT_DIR="$tmp" \
		"$series/mail" 6.1 "$o/6.1/tree" "$tmp/mails"
}

@test "the mails apply to the pristine base with git am, and checkpatch is content" {
	export AUTHOR="A Submitter <submitter@example.org>"
	"$series/mail" 6.1 "$o/6.1/tree" "$tmp/mails"
	grep -q "^Subject: \[PATCH 6.1 00/" "$tmp/mails/0000-cover-letter.txt"
	git -C "$o/6.1/tree" worktree prune
	git -C "$o/6.1/tree" worktree add -q --detach "$tmp/pristine" base
	git -C "$tmp/pristine" -c user.name=x -c user.email=x am -q "$tmp"/mails/*.patch
	git -C "$tmp/pristine" diff --exit-code "$(cat "$o/6.1/tree/.git/head")"
	git -C "$o/6.1/tree" worktree remove --force "$tmp/pristine"

	"$series/checkpatch" "$o/6.1/tree" "$tmp/mails"
}
