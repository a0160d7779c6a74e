#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# Anybody's machine: what users have configured, and what theirs has not. Needs no kernel.

load common

# The user's apt.conf.d, for a command: configured COMMAND...
configured()
{
	unshare -rm true || skip "no mount namespaces here"
	unshare -rm sh -ec 'mount --bind "$1" /etc/apt/apt.conf.d; shift; "$@"' sh "$tmp/conf.d" "$@"
}

@test "of the user's apt configuration counts what it takes to reach the archive, only" {
	mkdir "$tmp/conf.d"
	cat >"$tmp/conf.d/99local" <<-'END'
		APT::Default-Release "stable";
		APT::Install-Recommends "true";
		APT::Update::Post-Invoke { "touch /nowhere"; };
		Dir::Cache::pkgcache "";
		Acquire::Languages { "de"; };
		Acquire::IndexTargets::deb::Contents-deb::MetaKey "Contents";
		acquire::HTTP::proxy "http://proxy.example.org:3142";
		Acquire::https::Proxy::deb.debian.org "DIRECT";
		Acquire::Retries "7";
		Acquire::ForceIPv4 "true";
		Acquire::Check-Valid-Until "false";
	END
	shim apt-get <<-END
		[ "\$1" != indextargets ] || { echo "Debian cdrom://[DVD-1]/"; echo "Debian-Security http://sec.example.org/"; exit; }
		apt-config dump >$tmp/config
		exit 100
	END
	fails_with "is there a network" configured "$qemu/build/debian-unpack" bookworm arm64 \
		"$tmp/out" busybox-static
	has()
	{
		grep -qixF "$1;" "$tmp/config"
	}
	has 'APT::Default-Release "/^bookworm(-security)?$/"'
	has 'APT::Install-Recommends "false"'
	has 'Acquire::http::Proxy "http://proxy.example.org:3142"'
	has 'Acquire::https::Proxy::deb.debian.org "DIRECT"'
	has 'Acquire::Retries "7"'
	has 'Acquire::ForceIPv4 "true"'
	has 'Acquire::Check-Valid-Until "false"'
	! grep -e Post-Invoke -e 'pkgcache ""' -e '"de"' -e Contents "$tmp/config" || false
	# So do its mirrors, but for discs.
	grep -q " http://deb.debian.org/debian bookworm main" "$tmp/debian/bookworm-arm64/sources.list"
	grep -q " http://sec.example.org bookworm-security main" "$tmp/debian/bookworm-arm64/sources.list"
	# The address of a proxy may have a password.
	[ -z "$(find "$tmp/debian" -name 'apt.conf*')" ]
}

@test "what apt says is the error; no network, or lists that cannot be read, are not \"no package\"" {
	says()
	{
		shim apt-get <<<"[ \"\$1\" = ${2:-none} ] || { echo 'W: x'; echo 'E: $1'; echo 'E: y'; exit 100; } >&2"
	}
	unpack()
	{
		"$qemu/build/debian-unpack" bookworm arm64 "$tmp/out" busybox-static
	}
	shim apt-cache <<<'exit 100'
	says "Release file is not valid yet (invalid for another 3h)"
	fails_with "of Debian's bookworm: Release file is not valid yet (invalid for another 3h)" unpack
	! grep -q "is there a network" <<<"$output" || false
	says "Failed to fetch  Temporary failure resolving 'deb.debian.org'"
	fails_with "is there a network? Failed to fetch  Temporary failure resolving" unpack
	says "Failed to fetch  407  Proxy Authentication Required" update
	fails_with "bookworm: Failed to fetch  407  Proxy Authentication Required" unpack
	[ "$status" -ne 3 ]
	[ ! -e "$tmp/out" ]
	shim apt-cache <<<'[ "$1" != show ]'
	fails_with "Debian's bookworm has no busybox-static" unpack
	[ "$status" -eq 3 ]
}
