# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Functions shared by the series tools. To be sourced with $root set to the
# top of this repository.
: "${root:?}"

die()
{
	echo "error: $*" >&2
	exit 1
}

# base_line BASE: its line of ./bases
base_line()
{
	awk -v base="$1" '$1 == base { print; found = 1 } END { exit !found }' \
		"$root/bases" ||
		die "unknown BASE $1; ./bases knows: $(base_names)"
}

# base_field BASE N: field N of the line of BASE in ./bases
base_field()
{
	base_line "$1" | awk -v n="$2" '{ print $n }'
}

base_names()
{
	awk '!/^#/ && NF { printf "%s%s", sep, $1; sep = " " }' "$root/bases"
}

# is_newest BASE: is it mainline's, the last?
is_newest()
{
	[ "$1" = "$(base_names | sed 's/.* //')" ]
}

# kernel_version KSRC: the version of a kernel tree, x.y.z or x.y.z-rcN
kernel_version()
{
	[ -f "$1/Makefile" ] || die "KSRC=$1 is not a kernel tree: it has no Makefile"
	awk '$1 == "VERSION" { v = $3 } $1 == "PATCHLEVEL" { p = $3 } $1 == "SUBLEVEL" { s = $3 }
	     $1 == "EXTRAVERSION" { if ($3 ~ /^-rc/) e = $3; exit }
	     END { print v "." p "." s e }' "$1/Makefile"
}

# not_older A B: is version A not older than B?
not_older()
{
	[ "$(printf '%s\n' "$1" "$2" | sed 's/-rc/~rc/' | sort -V | tail -n 1 |
		sed 's/~rc/-rc/')" = "$1" ]
}

# kernel_base KSRC: the base that a kernel tree is a version of; for one that is newer than
# all, the newest
kernel_base()
{
	version=$(kernel_version "$1") || exit
	line=$(echo "$version" | cut -d . -f 1,2)
	if (base_line "$line" >/dev/null 2>&1); then
		echo "$line"
		return
	fi
	newest=$(base_names | tr ' ' '\n' | sort -V | tail -n 1)
	not_older "$line" "$newest" ||
		die "KSRC=$1 is $version, there are series for: $(base_names), and the newest is tried on what is newer"
	echo "$newest"
}

# series_lines BASE [PART...]: a line for each commit, of those parts or of all: the
# patch, then what joins it, in the series "# + FILE" or "# + DIR/" lines after the
# patch. A part begins with "# [PART NEEDED...] ...".
series_lines()
{
	base=$1
	shift
	awk -v parts=" $* " '
		function flush() { if (line != "") print line; line = "" }
		/^#[[:space:]]*\+/ { sub(/^#[[:space:]]*\+[[:space:]]*/, ""); if (line != "") line = line " " $0; next }
		/^# \[/ { flush(); part = $2; gsub(/[][]/, "", part); next }
		/^#/ || !NF { next }
		{ flush(); if (parts == "  " || index(parts, " " part " ")) line = $0 }
		END { flush() }' "$root/series-$base"
}

# series_entries BASE [PART...]: the same, with the files below each DIR/. One that has
# none stays, as a file does that is missing.
series_entries()
{
	series_lines "$@" | while read -r patch names; do
		printf '%s' "$patch"
		for name in $names; do
			files=
			case $name in
			*/) files=$(files_below "$name") ;;
			esac
			# shellcheck disable=SC2086 # a list
			printf ' %s' ${files:-$name}
		done
		echo
	done
}

# series_parts BASE: the names of its parts, in order, one a line
series_parts()
{
	sed -n 's/^# \[\([^] ]*\).*/\1/p' "$root/series-$1"
}

# series_needs BASE PART: the parts that PART needs
series_needs()
{
	series_parts "$1" | grep -qxF -e "$2" || {
		others=$(cd "$root" && grep -lF -e "# [$2]" -e "# [$2 " series-* | sed 's/.*-/BASE=/' | xargs)
		die "series-$1 has no part $2, there are: $(series_parts "$1" | xargs)${others:+; $2 is in $others}"
	}
	sed -n "s/^# \[$2\( \([^]]*\)\)\{0,1\}\].*/\2/p" "$root/series-$1"
}

# series_cover BASE PART: the file with its cover letter
series_cover()
{
	cover=$root/tools/series/cover/$2-$1
	[ -f "$cover" ] || cover=${cover%-*}
	echo "$cover"
}

# message_of PATCH: the patch whose message it takes, by a first line "Message: PATCH"
message_of()
{
	sed -n '1s/^Message: //p' "$root/$1"
}

# series_messages BASE: the patches of other bases whose messages its patches take; a new
# patch is not there yet
series_messages()
{
	series_entries "$1" | (cd "$root" && while read -r patch _; do
		[ ! -f "$patch" ] || echo "$patch"
	done | xargs -r sed -s -n '1s/^Message: //p')
}

# series_mail PATCH: it, in mail format
series_mail()
{
	from=$(message_of "$1")
	[ -z "$from" ] || [ -f "$root/$from" ] ||
		die "$1 takes the message of $from, which does not exist"
	[ -z "$from" ] || sed '/^---$/,$d' "$root/$from"
	sed '1{/^Message: /d}' "$root/$1"
}

# series_files BASE: all whole files of a series
series_files()
{
	series_entries "$1" | awk '{ for (i = 2; i <= NF; i++) print $i }'
}

# series_sums BASE: checksums of all that a series is made of
series_sums()
{
	(cd "$root" && {
		echo "series-$1"
		series_entries "$1" | tr ' ' '\n'
		series_messages "$1"
	} | xargs sha256sum)
}

# tree_is_replayed TREE: true if nobody has committed to or edited the tree
# since the series was replayed there. A file that was only touched is no edit.
tree_is_replayed()
{
	[ "$(git -C "$1" rev-parse HEAD)" = "$(cat "$1/.git/head")" ] || return
	git -C "$1" update-index -q --refresh || :
	git -C "$1" diff-index --quiet HEAD
}

# The commits in a tree have an author so that git takes them, and dates that
# make the same series give the same commits. "make series" sets the real ones.
pristine_identity()
{
	export GIT_AUTHOR_NAME="${GIT_AUTHOR_NAME:-unset}"
	export GIT_AUTHOR_EMAIL="${GIT_AUTHOR_EMAIL:-unset}"
	export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z"
	export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME"
	export GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"
	export GIT_COMMITTER_DATE="$GIT_AUTHOR_DATE"
}

# shipped_files ARG...: the files of this repository, as git ls-files has them, and not
# removed
shipped_files()
{
	shipped=$(git -C "$root" ls-files -co --exclude-standard "$@") ||
		die "$root is no git checkout: clone it, a tarball will not do"
	echo "$shipped" | sort | while read -r file; do
		[ ! -f "$root/$file" ] || echo "$file"
	done
}

# files_below DIR/: those of this repository; in a tarball, which has no others, all
files_below()
{
	(shipped_files -- "$1" 2>/dev/null) || (cd "$root" && find "$1" -type f | sort)
}

# tree_fact TREE KEY: what unpack has recorded of the tree's source: version, package, ksrc,
# commit
tree_fact()
{
	sed -n "s/^$2=//p" "$1/.git/source"
}

# tree_content TREE COMMIT: a checksum of what COMMIT of TREE builds and runs. The
# documentation does neither: a change to it leaves a result what it was.
tree_content()
{
	{ cat "$1/.git/source"; git -C "$1" ls-tree -r "$2"; } |
		sed '/\tDocumentation\//d' | sha256sum | cut -c 1-24
}

# Nothing of the user's configuration, language or umask may change what a tree, a
# patch, or a mail is. A checkout that another user owns is accepted.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
export LC_ALL=C.UTF-8
unset LANGUAGE
umask 022
