#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# The series and its tools: sources that are not the recorded ones, patches that
# do not apply, edits in the tree, and commits that do not compile.

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
