#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# What leaves this repository: the mails of each part, and the tarball for distributions.

load ../../testing/qemu/tests/common

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
