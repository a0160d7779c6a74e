#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# The series and its tools: sources that are not the recorded ones, patches that
# do not apply, edits in the tree, and the mails.

load ../../testing/qemu/tests/common

# recorded N: field N of the line of 6.1 in ./bases
recorded()
{
	awk -v n="$1" '$1 == "6.1" { print $n }' bases
}

# apt VERSION...: an apt that has these versions of the source package
apt()
{
	shim apt-get <<-END
		[ "\$1" != download ] || case " $* " in
		*" \${3#*=} "*) ;;
		*) [ -n "$*" ] && [ "\$3" = linux-source-6.1 ] || exit 100 ;;
		esac
		[ "\$1" != download ] || : >package.deb
	END
	shim dpkg-deb <<-END
		doc=\$3/usr/share/doc/linux-source-6.1
		mkdir -p "\$doc" "\$3/usr/src"
		echo "linux-6.1 ($1) bookworm; urgency=low" | gzip >"\$doc/changelog.Debian.gz"
		echo "$1" >"\$3/usr/src/linux-source-6.1.tar.xz"
	END
	shim apt-cache </dev/null
	export SRCDIR=$tmp/none
}

@test "the source package is the recorded one, by checksum" {
	apt "$(recorded 4)"
	fails_with "is corrupt, its sha256 is not the one in ./bases" \
		"$series/source" 6.1 "$tmp/s/6.1.tar.xz"
	[ ! -e "$tmp/s/6.1.tar.xz" ]
	# One that is installed will do, if it is the recorded one.
	mkdir "$tmp/none"
	echo other >"$tmp/none/linux-source-6.1.tar.xz"
	fails_with "is corrupt" "$series/source" 6.1 "$tmp/s/6.1.tar.xz"
}

@test "a source package that is newer is taken with a notice, an older one is not" {
	apt 6.1.999-1
	run "$series/source" 6.1 "$tmp/s/6.1.tar.xz"
	echo "$output"
	[ "$status" -eq 0 ]
	grep -q "^notice: linux-source-6.1 is 6.1.999-1, newer than" <<<"$output"
	[ "$(cat "$tmp/s/6.1.tar.xz.package")" = "linux-source-6.1 6.1.999-1" ]
	apt 6.1.100-1
	fails_with "6.1.100-1, older than the recorded" "$series/source" 6.1 "$tmp/s/6.1.tar.xz"
	[ ! -e "$tmp/s/6.1.tar.xz" ]
	apt
	fails_with "is there a network" "$series/source" 6.1 "$tmp/s/6.1.tar.xz"
}

@test "a base whose source Debian has no more is skipped, and that is said" {
	apt
	shim apt-get <<<'[ "$1" = update ]'
	shim apt-cache <<<'[ "$1" != show ]'
	mkdir -p "$tmp/o/source"
	fails_with "Debian's trixie-backports has no linux-source-7.3" \
		"$series/source" 7.3 "$tmp/o/source/7.3.tar.xz"
	make -n O="$tmp/o" check >"$tmp/steps"
	grep -q 'report.py .* 7.3-4k-' "$tmp/steps"
	! grep 'kernel-7.3' "$tmp/steps" || false
	run "$qemu/judge/report.py" "$tmp/o" 7.3-4k-max-vhe
	[ "${lines[-1]}" = "0 passed, 0 failed, 1 skipped" ]
	grep -q "1  Debian's trixie-backports has no linux-source-7.3 any more" <<<"$output"
	# The network is another matter.
	shim apt-get <<<'exit 100'
	rm -rf "$tmp/debian"
	fails_with "is there a network" "$series/source" 7.3 "$tmp/o/source/7.3.tar.xz"
	[ ! -e "$tmp/o/source/7.3.tar.xz.gone" ]
	echo "no time" >"$tmp/o/source/7.3.tar.xz.gone"
	run "$qemu/judge/report.py" "$tmp/o" 7.3-4k-max-vhe
	[ "$status" -ne 0 ]
	tr -s "\n " " " <<<"$output" | grep -q "does not allow here: no time"
}

@test "a patch that does not apply is named, and the tree is as it was" {
	source_package 6.1.999-1
	unpack "$tmp/tree"
	before=$(git -C "$tmp/tree" rev-parse HEAD)
	run "$series/replay" 6.1 "$tmp/tree"
	echo "$output"
	[ "$status" -ne 0 ]
	first=$(grep -m 1 '^[^#]' series-6.1)
	grep -qF "error: $first does not apply to Linux 6.1.999" <<<"$output"
	[ "$(git -C "$tmp/tree" rev-parse HEAD)" = "$before" ]
	git -C "$tmp/tree" diff-index --quiet HEAD
}

@test "no space is said before anything is written" {
	source_package 6.1.999-1
	shim df <<<'echo "Filesystem 1024-blocks Used Available"; echo "x 9 9 5000 9% /"'
	fails_with "no space: " unpack "$tmp/tree"
	[ ! -e "$tmp/tree" ]
}

@test "an unpack that is interrupted leaves nothing, and a second run recovers" {
	source_package 6.1.999-1
	shim tar <<<'sleep 5; exit 1'
	run timeout 1 "$series/unpack" 6.1 "$tmp/tree" "$tmp/src/linux-source-6.1.tar.xz"
	[ "$status" -ne 0 ]
	[ ! -e "$tmp/tree" ]
	rm "$tmp/bin/tar"
	unpack "$tmp/tree"
	[ -f "$tmp/tree/Makefile" ]
	[ ! -e "$tmp/tree.tmp" ]
}

@test "KSRC: an older one is refused; a later edit is noticed, and said" {
	source_package 6.1.999-1
	export KSRC=$tmp/src/linux
	sed -i 's/999/9/' "$KSRC/Makefile"
	fails_with "older than the recorded" unpack "$tmp/tree"
	sed -i 's/= 9$/= 999/' "$KSRC/Makefile"
	unpack "$tmp/tree"
	run unpack "$tmp/tree"
	[ "$status" -eq 0 ] && [ -z "$output" ] || { echo "$output"; false; }
	sleep 0.01
	echo edit >>"$KSRC/mm/file"
	run unpack "$tmp/tree"
	echo "$output"
	grep -q "^notice: KSRC=$KSRC has been edited since" <<<"$output"
	grep -q edit "$tmp/tree/mm/file"
	mkdir "$tmp/dir"
	"$series/provenance" 6.1 "$tmp/dir" "$tmp/tree"
	grep -qx "ksrc=$KSRC" "$tmp/dir/source"
	grep -qx "version=6.1.999" "$tmp/dir/source"
	# For another base it is not.
	KSRC=$tmp/src/linux "$series/unpack" 6.12 "$tmp/other" "$tmp/src/linux-source-6.1.tar.xz"
	[ "$(sed -n 's/^ksrc=//p' "$tmp/other/.git/source")" = "" ]
}

@test "edits in the tree are not thrown away, and said with the result" {
	source_package 6.1.999-1
	unpack "$tmp/tree"
	mkdir "$tmp/dir"
	"$series/provenance" 6.1 "$tmp/dir" "$tmp/tree"
	grep -qx edited=no "$tmp/dir/source" && [ ! -e "$tmp/dir/tree.patch" ]
	grep -qx "package=linux-source-6.1 6.1.999-1" "$tmp/dir/source"
	echo edit >>"$tmp/tree/mm/file"
	fails_with "has edits" "$series/replay" 6.1 "$tmp/tree"
	grep -q edit "$tmp/tree/mm/file"
	fails_with "are not committed" "$series/refresh" 6.1 "$tmp/tree"
	"$series/provenance" 6.1 "$tmp/dir" "$tmp/tree"
	grep -qx edited=yes "$tmp/dir/source"
	grep -qx "+edit" "$tmp/dir/tree.patch"
}

# The user's own work in the tree is no failure, and not for a test to write back.
unedited()
{
	(. "$series/lib.sh"; tree_is_replayed "$o/6.1/tree") || skip "$o/6.1/tree has edits"
}

# edited TREE
edited()
{
	mkdir -p "$tmp/dir"
	"$series/provenance" 6.1 "$tmp/dir" "$1"
	sed -n 's/^edited=//p' "$tmp/dir/source"
}

@test "a tree that was touched, or copied, has no edits" {
	source_package 6.1.999-1
	unpack "$tmp/tree"
	touch "$tmp/tree/mm/file"
	[ "$(edited "$tmp/tree")" = no ]
	cp -r "$tmp/tree" "$tmp/copy"
	[ "$(edited "$tmp/copy")" = no ]
	unpack "$tmp/copy"
	[ "$tmp/copy/mm/file" -nt "$tmp/tree/mm/file" ]
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

@test "the user's git, language and umask have no influence on commits and mails" {
	unedited
	export AUTHOR="A Submitter <submitter@example.org>"
	# Mails of now say what cells have said so far, which may be running.
	export SOURCE_DATE_EPOCH=1700000000
	"$series/mail" 6.1 "$o/6.1/tree" "$tmp/mails" >/dev/null
	hostile_user
	[ "$("$series/commits" 6.1 "$o/6.1/tree")" = "$(cat "$o/6.1/tree/.git/head")" ]
	"$series/mail" 6.1 "$o/6.1/tree" "$tmp/hostile" >/dev/null
	diff -r "$tmp/mails" "$tmp/hostile"
	[ "$(stat -c %a "$tmp/hostile")" = 755 ]
	source_package 6.1.999-1
	unpack "$tmp/tree"
	[ "$(edited "$tmp/tree")" = no ]
}

@test "root in a checkout of somebody else's, and a tarball that is none" {
	[ "$(id -u)" -eq 0 ] || skip "only root is somebody else"
	git -c safe.directory='*' clone -q --no-hardlinks . "$tmp/clone"
	cp -r tools series-* bases "$tmp/clone"
	source_package 6.1.999-1
	unpack "$tmp/tree"
	chown -R 65534 "$tmp/clone" "$tmp/tree"
	"$tmp/clone/tools/series/check"
	[ "$(edited "$tmp/tree")" = no ]
	rm -rf "$tmp/clone/.git"
	export GIT_CEILING_DIRECTORIES=$tmp
	fails_with "is no git checkout" "$tmp/clone/tools/series/check"
}

@test "a script that a series adds is executable" {
	source_package 6.1.999-1
	unpack "$tmp/tree"
	cp -r --parents bases tools series-6.12 "$tmp/bin"
	mv "$tmp/bin" "$tmp/root"
	mkdir -p "$tmp/root/mm"
	(cd "$tmp/tree" && echo more >>mm/file && echo "Subject: mm: more" && echo --- &&
		git diff && git checkout -q mm/file) >"$tmp/root/mm/more.patch"
	printf '#!/bin/sh\n' >"$tmp/root/mm/script"
	chmod +x "$tmp/root/mm/script"
	printf '%s\n' "# a heading" mm/more.patch "# + mm/script" >"$tmp/root/series-6.1"
	"$tmp/root/tools/series/replay" 6.1 "$tmp/tree"
	[ -x "$tmp/tree/mm/script" ]
	"$tmp/root/tools/series/refresh" 6.1 "$tmp/tree"
	[ "$(tail -n 2 "$tmp/root/series-6.1")" = "$(printf '%s\n' mm/more.patch "# + mm/script")" ]
	[ -x "$tmp/root/mm/script" ]
}

@test "a directory joins all files below it, and what comes and goes there in the tree" {
	source_package 6.1.999-1
	unpack "$tmp/tree"
	mkdir -p "$tmp/root/mm/dir/sub"
	cp -r --parents bases tools "$tmp/root"
	git init -q "$tmp/root"
	(cd "$tmp/tree" && echo more >>mm/file && echo "Subject: mm: more" && echo --- &&
		git diff && git checkout -q mm/file) >"$tmp/root/mm/more.patch"
	echo 1 >"$tmp/root/mm/dir/one"
	echo 2 >"$tmp/root/mm/dir/sub/two"
	printf '%s\n' mm/more.patch "# + mm/dir/" >"$tmp/root/series-6.1"
	"$tmp/root/tools/series/replay" 6.1 "$tmp/tree"
	[ "$(git -C "$tmp/tree" ls-files mm/dir | xargs)" = "mm/dir/one mm/dir/sub/two" ]
	[ "$("$tmp/root/tools/series/refresh" 6.1 "$tmp/tree")" = "wrote mm/more.patch" ]
	# A file that is new here is none that the tree has lost.
	echo 4 >"$tmp/root/mm/dir/four"
	echo 3 >"$tmp/tree/mm/dir/three"
	git -C "$tmp/tree" rm -q mm/dir/one
	git -C "$tmp/tree" add -f mm/dir/three
	git -C "$tmp/tree" -c user.name=x -c user.email=x commit -q --amend -m "mm: more"
	run "$tmp/root/tools/series/refresh" 6.1 "$tmp/tree"
	echo "$output"
	[ "$output" = "$(printf '%s\n' "wrote mm/dir/three" "removed mm/dir/one")" ]
	[ "$(tail -n 1 "$tmp/root/series-6.1")" = "# + mm/dir/" ]
	"$tmp/root/tools/series/replay" 6.1 "$tmp/tree"
	[ "$(cd "$tmp/tree/mm/dir" && echo *)" = "four sub three" ]
	rm -r "$tmp"/root/mm/dir/*
	for _ in empty missing; do
		fails_with "series-6.1 names mm/dir/, which does not exist" \
			"$tmp/root/tools/series/replay" 6.1 "$tmp/tree"
		rm -rf "$tmp/root/mm/dir"
	done
}

@test "a message that is the same for two bases is stored once" {
	source_package 6.1.999-1
	unpack "$tmp/tree"
	mkdir -p "$tmp/root/mm"
	cp -r --parents bases tools "$tmp/root"
	printf '%s\n' "Subject: mm: more" "" "Why." "" --- >"$tmp/root/mm/other.patch"
	(cd "$tmp/tree" && echo more >>mm/file && echo "Message: mm/other.patch" && echo --- &&
		git diff && git checkout -q mm/file) >"$tmp/root/mm/more.patch"
	echo mm/more.patch >"$tmp/root/series-6.1"
	"$tmp/root/tools/series/replay" 6.1 "$tmp/tree"
	[ "$(git -C "$tmp/tree" log -1 --format=%B)" = "$(printf 'mm: more\n\nWhy.')" ]
	"$tmp/root/tools/series/refresh" 6.1 "$tmp/tree"
	[ "$(head -n 2 "$tmp/root/mm/more.patch")" = "$(printf '%s\n' "Message: mm/other.patch" ---)" ]
	git -C "$tmp/tree" -c user.name=x -c user.email=x commit -q --amend -m "mm: much more"
	"$tmp/root/tools/series/refresh" 6.1 "$tmp/tree"
	[ "$(sed q "$tmp/root/mm/more.patch")" = "Subject: mm: much more" ]
	printf '%s\n' "Message: mm/gone.patch" --- >"$tmp/root/mm/more.patch"
	fails_with "the message of mm/gone.patch, which does not exist" \
		"$tmp/root/tools/series/commits" 6.1 "$tmp/tree"
}

@test "a patch of several bases stays as another base has its lines" {
	source_package 6.1.999-1
	unpack "$tmp/tree"
	mkdir -p "$tmp/root/mm"
	cp -r --parents bases tools "$tmp/root"
	(cd "$tmp/tree" && printf '%s\n' before more after >mm/file && echo "Subject: mm: more" &&
		echo --- && git diff && git checkout -q mm/file) >"$tmp/root/mm/more.patch"
	echo mm/more.patch >"$tmp/root/series-6.1"
	"$tmp/root/tools/series/replay" 6.1 "$tmp/tree"
	"$tmp/root/tools/series/refresh" 6.1 "$tmp/tree"
	sed -i -e 's/^index ......../index 00000000/' -e 's/^@@.* @@/& its place/' \
		"$tmp/root/mm/more.patch"
	"$tmp/root/tools/series/replay" 6.1 "$tmp/tree"
	[ -z "$("$tmp/root/tools/series/refresh" 6.1 "$tmp/tree")" ]
	sed -i 's/^more/much more/' "$tmp/tree/mm/file"
	git -C "$tmp/tree" -c user.name=x -c user.email=x commit -qa --amend -m "mm: more"
	[ "$("$tmp/root/tools/series/refresh" 6.1 "$tmp/tree")" = "wrote mm/more.patch" ]
}

@test "a new commit is written to the path that its new line names" {
	source_package 6.1.999-1
	unpack "$tmp/tree"
	mkdir -p "$tmp/root/mm"
	cp -r --parents bases tools "$tmp/root"
	(cd "$tmp/tree" && echo more >>mm/file && echo "Subject: mm: more" && echo --- &&
		git diff && git checkout -q mm/file) >"$tmp/root/mm/more.patch"
	echo mm/more.patch >"$tmp/root/series-6.1"
	"$tmp/root/tools/series/replay" 6.1 "$tmp/tree"
	echo new >>"$tmp/tree/mm/file"
	git -C "$tmp/tree" -c user.name=x -c user.email=x commit -qam "mm: new"
	fails_with "give each commit its line" "$tmp/root/tools/series/refresh" 6.1 "$tmp/tree"
	echo mm/new.patch >>"$tmp/root/series-6.1"
	"$tmp/root/tools/series/refresh" 6.1 "$tmp/tree"
	grep -qx "+new" "$tmp/root/mm/new.patch"
	printf '%s\n' mm/new.patch mm/more.patch >"$tmp/root/series-6.1"
	fails_with ": series-6.1 - 'make tree" "$tmp/root/tools/series/refresh" 6.1 "$tmp/tree"
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
	mkdir "$tmp/tree"
	# With a git directory of its own, which for the rest is that of the tree
	cp -rs "$(realpath "$o")/6.1/tree/.git" "$tmp/tree"
	for file in HEAD config sums; do
		rm "$tmp/tree/.git/$file"
		cp "$o/6.1/tree/.git/$file" "$tmp/tree/.git"
	done
	git -C "$tmp/tree" config core.worktree "$(realpath "$o")/6.1/tree"
	sed -i '2s/^......../00000000/' "$tmp/tree/.git/sums"
	run "$series/refresh" 6.1 "$tmp/tree"
	echo "$output"
	[ "$status" -ne 0 ]
	grep -q "^error: edited since .*: $(sed -n '2s/.*  //p' "$tmp/tree/.git/sums") - 'make tree" <<<"$output"
}

@test "the mails want an author" {
	HOME=$tmp GIT_CONFIG_GLOBAL=/dev/null fails_with "no author" \
		env AUTHOR= GIT_CONFIG_NOSYSTEM=1 GIT_CEILING_DIRECTORIES=/ GIT_DIR="$tmp" \
		"$series/mail" 6.1 "$o/6.1/tree" "$tmp/mails"
}

# mails BASE: write all mails of a base to $tmp/mails, in the order of its series
mails()
{
	[ ! -f "$o/source/$1.tar.xz.gone" ] || skip "$(cat "$o/source/$1.tar.xz.gone")"
	export AUTHOR="A Submitter <submitter@example.org>"
	# shellcheck disable=SC2046 # a list of parts
	"$series/mail" "$1" "$o/$1/tree" "$tmp/mails" $(. "$series/lib.sh"; series_parts "$1") |
		sed '/\.patch$/!d' >"$tmp/list"
	head=$("$series/commits" "$1" "$o/$1/tree")
	tree=$o/$1/tree
	git -C "$tree" worktree prune
	git -C "$tree" worktree add -q --detach "$tmp/pristine" base
}

# am OPTION...: git am of these mails
am()
{
	xargs git -C "$tmp/pristine" -c user.name=x -c user.email=x am -q "$@" <"$tmp/list"
}

teardown()
{
	[ ! -d "$tmp/pristine" ] || git -C "$tree" worktree remove --force "$tmp/pristine"
}

# applies BASE: with git am, to the pristine base, and with git am -3 where a line next to
# an edit has changed, as it may in the next point release
applies()
{
	mails "$1"
	am
	git -C "$tmp/pristine" diff --exit-code "$head"

	# Of the first patch, the first line of context
	git -C "$tmp/pristine" reset -q --hard base
	file=$(sed -n 's,^+++ b/,,p' "$(sed q "$tmp/list")" | sed q)
	line=$(sed -n 's/^@@ -\([0-9]*\),.*/\1/p' "$(sed q "$tmp/list")" | sed q)
	sed -i "${line}s,\$,/* changed */," "$tmp/pristine/$file"
	git -C "$tmp/pristine" -c user.name=x -c user.email=x commit -qam "the next release"
	! am || false
	git -C "$tmp/pristine" am --abort
	am -3
	git -C "$tmp/pristine" diff "$head" >"$tmp/differs"
	[ "$(grep -c '^+[^+].*/\* changed \*/$' "$tmp/differs")" -eq 1 ]
	[ "$(grep -c '^[-+][^-+]' "$tmp/differs")" -le 2 ]
}

@test "git am takes the mails of 6.1, and with -3 on a later release" {
	applies 6.1
}

@test "git am takes the mails of 6.12, and with -3 on a later release" {
	applies 6.12
}

@test "git am takes the mails of 7.3, and with -3 on a later release" {
	applies 7.3
}

# patch_ids MAIL...: that of each
patch_ids()
{
	cat "$@" | git patch-id --stable | cut -d " " -f 1
}

# prerequisites DIR: what the mails in it say they need
prerequisites()
{
	sed -n 's/^prerequisite-patch-id: //p' "$1"/*0000-cover-letter.txt
}

@test "a bot that has the patches by their ids can apply each part of 7.3" {
	local part id mail
	mails 7.3
	while read -r mail; do
		ln -s "$mail" "$tmp/$(patch_ids "$mail")"
	done <"$tmp/list"
	for part in "$tmp"/mails/*; do
		{
			prerequisites "$part" | sed "s,^,$tmp/,"
			ls "$part"/*.patch
		} >"$tmp/list"
		git -C "$tmp/pristine" reset -q --hard base
		am
		part=${part##*/}
		# shellcheck disable=SC2046 # a list of parts
		git -C "$tmp/pristine" diff --exit-code "$("$series/commits" 7.3 "$tree" \
			$(. "$series/lib.sh"; series_needs 7.3 "$part") "$part")"
	done
}

@test "without the oracle unless it is asked for; checkpatch is content" {
	export AUTHOR="A Submitter <submitter@example.org>"
	"$series/mail" 6.1 "$o/6.1/tree" "$tmp/mails"
	[ "$(cd "$tmp/mails" && echo *)" = "docs feature kunit revoke visible" ]
	grep -q "^Subject: \[PATCH 6.1 0*/" "$tmp/mails/feature/0000-cover-letter.txt"
	grep -q "^Cc: .*kvmarm@" "$tmp/mails/feature/0000-cover-letter.txt"
	"$series/mail" 6.1 "$o/6.1/tree" "$tmp/mails" oracle
	"$series/checkpatch" "$o/6.1/tree" "$tmp/mails"
	run "$series/mail" 6.1 "$o/6.1/tree" "$tmp/mails" none
	[ "$output" = "error: series-6.1 has no part none, there are: revoke feature visible kunit docs oracle" ]
	fails_with "no part split, there are: revoke feature visible kunit docs oracle; split is in BASE=6.12 BASE=7.3" \
		"$series/mail" 6.1 "$o/6.1/tree" "$tmp/mails" split
}

@test "a cover letter has what the cells say of exactly this series, and nothing else" {
	source_package 6.1.999-1
	unpack "$tmp/o/6.1/tree"
	mkdir -p "$tmp/root/mm" "$tmp/o/6.1/tree/scripts" "$tmp/o/cell/6.1-4k-max-vhe"
	cp -r --parents bases tools "$tmp/root"
	echo 'print "m\@localhost (maintainer:MM)\n";' >"$tmp/o/6.1/tree/scripts/get_maintainer.pl"
	(cd "$tmp/o/6.1/tree" && echo more >>mm/file && echo "Subject: mm: more" && echo --- &&
		git diff && git checkout -q mm/file) >"$tmp/root/mm/more.patch"
	printf '%s\n' "# [p] one" mm/more.patch >"$tmp/root/series-6.1"
	printf "Subject\n\nWhy.\n" >"$tmp/root/tools/series/cover/p"
	"$tmp/root/tools/series/replay" 6.1 "$tmp/o/6.1/tree"
	"$tmp/root/tools/series/provenance" 6.1 "$tmp/o" "$tmp/o/6.1/tree"
	# said EDITED CONTENT TEST: is there evidence in the cover, if this is what ran?
	said()
	{
		printf '{"name": "6.1-4k-max-vhe", "kind": "cell", "verdict": "pass", "problems": [],
			"tests": [{"name": "a", "rows": [{"name": "b", "status": "pass"}]}],
			"boot": {"version": "7.2.22", "suite": "series", "test": "%s"},
			"guest": {"kernel": "6.1.999"},
			"source": {"edited": "%s", "content": "%s"}}' "$3" "$1" "$2" \
			>"$tmp/o/cell/6.1-4k-max-vhe/result.json"
		AUTHOR="A <a@localhost>" "$tmp/root/tools/series/mail" 6.1 "$tmp/o/6.1/tree" "$tmp/out"
		grep -A 1 "Linux 6.1.999, QEMU 7.2.22:" "$tmp/out/p/0000-cover-letter.txt" |
			grep "6.1-4k-max-vhe: 1 passed, 0 failed, 0 skipped"
	}
	content=$(sed -n 's/^content=//p' "$tmp/o/source")
	said no "$content" '*'
	! said yes "$content" '*' || false
	! said no "$content" a || false
	! said no "${content}0" '*' || false
	# A word in a message is no other series, a line of code is.
	sed -i 's/mm: more/mm: much more/' "$tmp/root/mm/more.patch"
	said no "$content" '*'
	sed -i 's/^+more/+other/' "$tmp/root/mm/more.patch"
	! said no "$content" '*' || false
}

# A series in miniature, $tmp/root, and its $tree: parts p1, p2 that needs it, and p3 that
# needs both; get_maintainer is the shell script on standard input.
parts()
{
	tree=$tmp/tree
	source_package 6.1.999-1
	unpack "$tree"
	mkdir -p "$tmp/root/mm" "$tree/scripts"
	cp -r --parents bases tools "$tmp/root"
	{ echo "exec('sh', '-c', <<'END', 'sh', @ARGV);"; cat; echo END; } \
		>"$tree/scripts/get_maintainer.pl"
	for n in 1 2 3 4; do
		(cd "$tree" && echo $n >>mm/file && echo "Subject: mm: $n" && echo && echo "Why." &&
			echo --- && git diff && git commit -qam $n) >"$tmp/root/mm/$n.patch"
		printf "Subject of %s\n\nWhy.\n" $n >"$tmp/root/tools/series/cover/p$n"
	done
	git -C "$tree" reset -q --hard base
	printf '%s\n' "# [p1] one" mm/1.patch "# [p2 p1] two" mm/2.patch \
		"# [p3 p1 p2] three" mm/3.patch mm/4.patch >"$tmp/root/series-6.1"
	export AUTHOR="A Submitter <submitter@example.org>"
}

# mail_part [PART]: write its mails, or all, to $tmp/out
mail_part()
{
	"$tmp/root/tools/series/mail" 6.1 "$tree" "$tmp/out" "$@"
}

@test "a part is mailed with what it needs before it" {
	parts <<<'echo "m@localhost (maintainer:MM)"'
	mail_part p2
	[ "$(cd "$tmp/out" && echo *) $(cd "$tmp/out/p2" && echo *.patch)" = "p2 0001-mm-2.patch" ]
	cover=$tmp/out/p2/0000-cover-letter.txt
	grep -q "^Subject: .* 0/1\] Subject of 2$" "$cover"
	grep -q ", and the parts p1 before this one\.$" "$cover"
}

@test "the mails name their base, and what they need by patch-id" {
	parts <<<'echo "m@localhost (maintainer:MM)"'
	for part in p1 p2 p3; do
		mail_part $part
		! grep '^base-commit:' "$tmp/out/$part"/* || false
		grep -q "^Base: the tag v6.1.999, in Debian's linux-source-6.1 6.1.999-1[.,]" \
			"$tmp/out/$part/0000-cover-letter.txt"
	done
	[ -z "$(prerequisites "$tmp/out/p1")" ]
	[ "$(prerequisites "$tmp/out/p2")" = "$(patch_ids "$tmp"/out/p1/*.patch)" ]
	[ "$(prerequisites "$tmp/out/p3")" = "$(patch_ids "$tmp"/out/p[12]/*.patch)" ]

	# A clone of the user's has a commit.
	export KSRC=$tmp/src/linux
	git init -q "$KSRC"
	git -C "$KSRC" add .
	git -C "$KSRC" -c user.name=x -c user.email=x commit -qm x
	unpack "$tmp/clone"
	cp -r "$tree/scripts" "$tmp/clone"
	tree=$tmp/clone
	mail_part p2
	grep -qx "base-commit: $(git -C "$KSRC" rev-parse HEAD)" "$tmp/out/p2/0000-cover-letter.txt"
	grep -q "^Base: Linux 6.1.999, and the parts p1" "$tmp/out/p2/0000-cover-letter.txt"
	[ "$(prerequisites "$tmp/out/p2")" = "$(patch_ids "$tmp"/out/p1/*.patch)" ]
	sleep 0.01
	echo edit >>"$KSRC/Makefile"
	unpack "$tree"
	[ -z "$(sed -n 's/^commit=//p' "$tree/.git/source")" ]
}

@test "Assisted-by: and Signed-off-by: end the message of each patch, if asked for" {
	parts <<<'echo "m@localhost (maintainer:MM)"'
	sed -i 's/^Why\.$/&\n\nFixes: 0123456789ab ("x")/' "$tmp/root/mm/3.patch"
	before=$("$tmp/root/tools/series/commits" 6.1 "$tree")
	ASSISTED_BY="LLM tool" SIGNOFF=1 mail_part p3
	# said MAIL: its message
	said()
	{
		sed -n '1,/^$/d; /^---$/q; p' "$tmp/out/p3/$1"
	}
	tags=$(printf '%s\n' "Assisted-by: LLM tool" "Signed-off-by: $AUTHOR")
	[ "$(said 0001-mm-3.patch)" = "$(printf 'Why.\n\nFixes: 0123456789ab ("x")\n%s' "$tags")" ]
	[ "$(said 0002-mm-4.patch)" = "$(printf 'Why.\n\n%s' "$tags")" ]
	! grep -e "-by: " "$tmp/out/p3/0000-cover-letter.txt" || false
	mail_part p3
	! grep -e "-by: " "$tmp"/out/p3/* || false
	# They are no part of the series.
	[ "$(ASSISTED_BY="LLM tool" SIGNOFF=1 "$tmp/root/tools/series/commits" 6.1 "$tree")" = "$before" ]
}

@test "a later version has a changelog, and a range-diff from the mails of before" {
	parts <<<'echo "m@localhost (maintainer:MM)"'
	export ASSISTED_BY=LLM SIGNOFF=1 REROLL=2 CHANGELOG=$tmp/changelog
	REROLL='' mail_part p3
	export PREV=$tmp/out/p3
	sed -i 's/^Why\.$/Why so./' "$tmp/root/mm/3.patch"
	fails_with "CHANGELOG=$tmp/changelog has no text" mail_part p3
	echo "- patch 1: say why" >"$CHANGELOG"
	for n in 1 02 2a; do
		REROLL=$n fails_with "REROLL=$n is no later version" mail_part p3
	done
	fails_with "is the version of one part" mail_part
	PREV='' fails_with "PREV= has no *.patch" mail_part p3
	PREV=$tmp fails_with "PREV=$tmp has no *.patch" mail_part p3
	[ "$(ls "$tmp/out")" = p3 ]

	mail_part p3
	[ "$(ls "$tmp/out/p3-v2" | xargs)" = \
		"v2-0000-cover-letter.txt v2-0001-mm-3.patch v2-0002-mm-4.patch" ]
	cover=$tmp/out/p3-v2/v2-0000-cover-letter.txt
	grep -q "^Subject: \[PATCH 6.1 v2 0/2\] " "$cover"
	# Who commits it takes what is above the line.
	[ "$(sed '1,/^---$/d' "$cover" | sed -n 1,3p)" = \
		"$(printf 'Changes since v1:\n\n- patch 1: say why')" ]
	# Tags that both have are no difference.
	sed -n '/^Range-diff against v1:$/,/^prereq/p' "$cover" >"$tmp/diff"
	[ "$(sed -n 's/^    \([-+]\) */\1/p' "$tmp/diff" | xargs)" = "-Why. +Why so." ]
	grep -q "^2: .* = 2: .* mm: 4$" "$tmp/diff"
	[ "$(git -C "$tree" worktree list | wc -l)" -eq 1 ]

	# Those of another base
	sed -i 's/^ nothing/ other/' "$PREV"/*.patch
	fails_with "PREV=$PREV does not apply to the tag v6.1.999" mail_part p3
	[ "$(git -C "$tree" worktree list | wc -l)" -eq 1 ]
}

@test "each mail has recipients, and the cover letter those of all" {
	parts <<-'END'
		for mail; do :; done
		case $mail in
		*mm-3*) echo "a@localhost (maintainer:THE (A) PART)"
			echo "R <r@localhost> (reviewer:THE (A) PART)" ;;
		*mm-4*) echo "R <r@localhost> (supporter:MM)" ;;
		*) exit ;;
		esac
		echo "l@localhost (open list:MM)"
		echo "linux@localhost (moderated list)"
	END
	# head_of NAME: To: and Cc: of that mail
	head_of()
	{
		sed -n '/^$/q; /^To: \|^Cc: /p' "$tmp"/out/p3/"$1"* | xargs
	}
	mail_part p3
	lists="Cc: l@localhost Cc: linux@localhost"
	[ "$(head_of 0001)" = "To: a@localhost Cc: R <r@localhost> $lists" ]
	[ "$(head_of 0002)" = "To: R <r@localhost> $lists" ]
	[ "$(head_of 0000)" = "To: a@localhost To: R <r@localhost> $lists" ]
	fails_with "get_maintainer names nobody for 0001-mm-2.patch" mail_part p2
	[ ! -e "$tmp/out/p2" ]
}

# cites TEXT...: what "cites" says of $tmp/root has a line with each of these, and no more
cites()
{
	run "$tmp/root/tools/series/cites" 6.1 "$tmp/tree"
	echo "$output"
	[ "$status" -eq $(($# > 0)) ]
	diff <(sed 's/, which .*//' <<<"$output") <(printf '%s\n' "$@")
}

# adds FILE: a patch that adds the lines of standard input to FILE, with a message
adds()
{
	echo "Subject: mm: a patch"
	printf '\n%s\n---\n' "$2"
	(cd "$tmp/tree" && cat >>"$1" && git diff && git checkout -q "$1")
}

@test "a part names only what it, its base or a part that it needs has" {
	source_package 6.1.999-1
	unpack "$tmp/tree"
	mkdir -p "$tmp/root/mm" "$tmp/root/Documentation/virt" "$tmp/tree/lib"
	cp -r --parents bases tools "$tmp/root"
	echo "int untracked(void);" >"$tmp/tree/lib/file.c"
	adds mm/file "" >"$tmp/root/mm/one.patch" <<-END
		int first(void)
		module_param(first_switch, bool, 0);
		/* This is for second_test. */
	END
	adds fs/proc/file "For first() and untracked(), see mm/file and Documentation/virt/gone.rst" \
		<<<"TESTS += second_test" >"$tmp/root/mm/two.patch"
	echo "\`\`second_test\`\` turns mm.first_switch=1 on, by R_ABCDE." >"$tmp/root/Documentation/virt/new"
	printf '%s\n' "# [p1] one" mm/one.patch "# [p2] two" mm/two.patch \
		"# + Documentation/virt/new" >"$tmp/root/series-6.1"
	cites "[p1] mm/file names second_test" "[p2] Documentation/virt/new names first_switch" \
		"[p2] its message names Documentation/virt/gone.rst" "[p2] its message names first"

	sed -i 's/\[p2\]/[p2 p1]/' "$tmp/root/series-6.1"
	sed -i 's/second_test/all tests/' "$tmp/root/mm/one.patch"
	sed -i 's/gone\.rst/new/' "$tmp/root/mm/two.patch"
	cites
}

# files BASE COMMIT DIR: what git tracks of it
files()
{
	mkdir "$3"
	git -C "$o/$1/tree" archive "$2" | tar -C "$3" -xf -
}

# commands TEXT: those of the tarball's README with TEXT, for a new $tmp/try
commands()
{
	grep -F -e "$1" "$top/README" |
		sed "s,\(/path/to\|%{_sourcedir}\|\.\.\.\)/6.1,$top/6.1,g" >"$tmp/commands"
	[ -s "$tmp/commands" ]
	rm -rf "$tmp/try"
	files 6.1 base "$tmp/try"
}

@test "the tarball for distributions is the same each time, and its README is right" {
	local base
	for base in $(. "$series/lib.sh"; base_names); do
		[ ! -f "$o/source/$base.tar.xz.gone" ] || skip "$(cat "$o/source/$base.tar.xz.gone")"
	done
	export AUTHOR="A Submitter <submitter@example.org>"
	"$series/dist" "$o" "$tmp/one"
	sleep 1
	(hostile_user && "$series/dist" "$o" "$tmp/two")
	cmp "$tmp"/one/*.tar.gz "$tmp"/two/*.tar.gz
	tar -C "$tmp" -xf "$tmp"/one/*.tar.gz
	top=$(echo "$tmp"/kvm-arm64-*)
	[ -d "$top/7.3/ptdump-type" ]
	cmp "$top/6.1/NOTES" tools/series/notes-6.1
	files 6.1 "$("$series/commits" 6.1 "$o/6.1/tree" revoke feature visible kunit docs)" "$tmp/feature"
	for base in $(. "$series/lib.sh"; base_names); do
		files "$base" base "$tmp/$base"
		(cd "$tmp/$base" && QUILT_PATCHES=$top/$base quilt --quiltrc - push -q -a --fuzz=0)
		[ "$base" != 6.1 ] || diff -r --no-dereference -x .pc "$tmp/6.1" "$tmp/feature"
		rm -r "$tmp/$base/.pc"
		(cd "$tmp/$base" && QUILT_PATCHES=$top/$base QUILT_SERIES=series.oracle \
			quilt --quiltrc - push -q -a --fuzz=0)
	done

	# The commands of its README
	commands debian/patches
	mkdir -p "$tmp/try/debian/source" "$tmp/try/debian/patches"
	cd "$tmp/try"
	echo '3.0 (quilt)' >debian/source/format
	printf '%s\n' "Source: linux" "Maintainer: A <a@localhost>" "" "Package: linux" \
		"Architecture: all" "Description: x" >debian/control
	printf '%s\n' "linux (6.1.999-1) bookworm; urgency=low" "" "  * x" "" \
		" -- A <a@localhost>  Thu, 01 Jan 2026 00:00:00 +0000" >debian/changelog
	sh -e "$tmp/commands"
	dpkg-source --before-build .
	cd "$root"
	diff -r --no-dereference -x .pc -x debian "$tmp/try" "$tmp/feature"

	commands "patch -p1"
	(cd "$tmp/try" && sh -e "$tmp/commands")
	diff -r --no-dereference "$tmp/try" "$tmp/feature"

	commands "git am"
	(cd "$tmp/try" && git init -q . && git config user.name x && git config user.email x &&
		git add -f . && git commit -q -m x && sh -e "$tmp/commands")
	diff -r --no-dereference -x .git "$tmp/try" "$tmp/feature"
}

@test "what the notes for distributions check is so on our base" {
	sed -n '/^    \$ /,/^$/s/^    //p' tools/series/notes-6.1 >"$tmp/said"
	sed -n 's/^\$ //p' "$tmp/said" | while read -r check; do
		printf '$ %s\n' "$check"
		(cd "$o/6.1/tree" && sh -c "$check") || :
	done >"$tmp/is"
	[ "$(grep -c '^\$ ' "$tmp/is")" -eq 3 ]
	diff "$tmp/said" "$tmp/is"
}

@test "a checkpatch that is missing, or dies, is an error" {
	mkdir -p "$tmp/tree/scripts" "$tmp/mails"
	echo >"$tmp/mails/0001.patch"
	fails_with "checkpatch did not check 1 mails" "$series/checkpatch" "$tmp/tree" "$tmp/mails"
	echo 'exit 3' >"$tmp/tree/scripts/checkpatch.pl"
	fails_with "checkpatch did not check 1 mails" "$series/checkpatch" "$tmp/tree" "$tmp/mails"
	echo 'kill 9, $$' >"$tmp/tree/scripts/checkpatch.pl"
	fails_with "checkpatch did not check 1 mails" "$series/checkpatch" "$tmp/tree" "$tmp/mails"
	echo 'print "a finding\n"; exit 1' >"$tmp/tree/scripts/checkpatch.pl"
	fails_with "checkpatch has 1 findings" "$series/checkpatch" "$tmp/tree" "$tmp/mails"
	rm "$tmp/mails/0001.patch"
	fails_with "checkpatch did not check 0 mails" "$series/checkpatch" "$tmp/tree" "$tmp/mails"
}

@test "bisect finds the commit that does not compile, though a later one mends it" {
	source_package 6.1.999-1
	unpack "$tmp/out/o/6.1/tree"
	cd "$tmp/out/o/6.1/tree"
	cat >>Makefile <<-'END'
		.PHONY: fs/proc/
		allnoconfig: ; cp $(KCONFIG_ALLCONFIG) $(O)/.config
		fs/proc/: ; ! grep broken fs/proc/file
	END
	echo CONFIG_KVM=y >tools/testing/selftests/kvm/config
	mkdir -p "$tmp/root/fs/proc" "$tmp/o/source"
	cp "$tmp/src/linux-source-6.1.tar.xz.package" "$tmp/o/source/6.1.tar.xz.package"
	for word in fine broken mended; do
		echo "$word" >fs/proc/file
		{ echo "Subject: fs/proc: $word"; echo ---; git diff; } >"$tmp/root/fs/proc/$word.patch"
		echo "fs/proc/$word.patch" >>"$tmp/root/series-6.1"
		git commit -qam "$word"
	done
	git reset -q --hard base
	cd "$root"
	cp -r --parents bases tools "$tmp/root"
	git -C "$tmp/root" init -q
	touch "$tmp/o/CACHEDIR.TAG"
	run "$tmp/root/tools/series/bisect" 6.1 "$tmp/o" "$tmp/out"
	echo "$output"
	[ "$status" -ne 0 ]
	grep -A 1 "^2 fs/proc: broken$" <<<"$output" | grep "4k FAILED .* allnoconfig FAILED"
	[ "$(grep -c "^	.*FAILED" <<<"$output")" -eq 1 ]
	[ "$(tail -n 1 <<<"$output")" = "2/3 commits compile, and pass the tests that were run" ]
	sed -i 2d "$tmp/root/series-6.1"
	sed -i 's/^-broken/-fine/' "$tmp/root/fs/proc/mended.patch"
	"$tmp/root/tools/series/bisect" 6.1 "$tmp/o" "$tmp/out" | tail -n 1 | grep "^2/2 "
}
