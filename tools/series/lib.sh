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

# base_field BASE N: field N of the line of BASE in ./bases
base_field()
{
	awk -v base="$1" -v n="$2" \
		'$1 == base { print $n; found = 1 } END { exit !found }' \
		"$root/bases" ||
		die "unknown BASE $1; ./bases knows: $(base_names)"
}

base_names()
{
	awk '!/^#/ && NF { printf "%s%s", sep, $1; sep = " " }' "$root/bases"
}

# series_entries BASE: a line for each commit: the patch, then the whole files
# which join it. "patch # + file..." is what quilt takes for a patch with a
# comment.
series_entries()
{
	sed -e '/^#/d' -e '/^[[:space:]]*$/d' -e 's/[[:space:]]*#[[:space:]]*+/ /' \
		"$root/series-$1"
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
	} | xargs sha256sum)
}

# tree_is_replayed TREE: true if nobody has committed to or edited the tree
# since the series was replayed there
tree_is_replayed()
{
	[ "$(git -C "$1" rev-parse HEAD)" = "$(cat "$1/.git/head")" ] &&
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

# Nothing of the user's git configuration may change what a tree is
export GIT_CONFIG_COUNT=3
export GIT_CONFIG_KEY_0=commit.gpgSign GIT_CONFIG_VALUE_0=false
export GIT_CONFIG_KEY_1=core.hooksPath GIT_CONFIG_VALUE_1=/dev/null
export GIT_CONFIG_KEY_2=core.autocrlf GIT_CONFIG_VALUE_2=false
