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

# A Debian that has what is asked for, of $1 bytes
archive()
{
	shim apt-get <<-END
		echo "\$@" >>$tmp/apt
		case \$1 in
		-qq) echo "'http://x/package_1%3a1_all.deb' package_1%3a1_all.deb $1 SHA256:x" ;;
		download) : >package.deb ;;
		esac
	END
	shim apt-cache <<<'[ "$1" != show ] || echo "Installed-Size: 3000000"'
	shim dpkg-deb <<<'mkdir -p "$3"'
}

@test "what does not fit is not downloaded" {
	archive 500000000
	shim df <<<'echo "Filesystem 1024-blocks Used Available"; echo "x 9 9 3400000 9% /"'
	fails_with "no space: $tmp/o has 3400 MB free, unpacking linux-source-6.1 takes about 3488 MB: free some, or set O=" \
		"$qemu/build/debian-unpack" bookworm arm64 "$tmp/o/out" linux-source-6.1
	! grep ^download "$tmp/apt" || false
	[ -z "$(ls -A "$tmp/o")" ]
	shim df <<<'echo "Filesystem 1024-blocks Used Available"; echo "x 9 9 3500000 9% /"'
	"$qemu/build/debian-unpack" bookworm arm64 "$tmp/o/out" linux-source-6.1
	grep -q "^download -q linux-source-6.1$" "$tmp/apt"
	"$qemu/build/debian-unpack" -d bookworm arm64 "$tmp/o/out" linux-source-6.1
	grep -q "^-qq --print-uris install linux-source-6.1$" "$tmp/apt"
	grep -q "^download -q package=1:1$" "$tmp/apt"
}

@test "a temporary directory that is small, or missing, is not in the way of what is large" {
	export TMPDIR=$tmp/none
	archive 1000
	cd "$tmp"
	"$root/$qemu/build/debian-unpack" bookworm arm64 out busybox-static
	[ -d "$tmp/out" ]
	mkdir -p busybox/bin tests
	touch busybox/bin/busybox
	"$root/$qemu/build/image" out/initramfs.cpio busybox tests
	[ "$(ls "$tmp/out")" = initramfs.cpio ]
	shim apt-get <<<'exit 100'
	fails_with "is there a network" "$root/$qemu/build/vmm" out/vmm.cpio kernel
	[ "$(ls "$tmp/out")" = initramfs.cpio ]
}

# What the kernel's make is told: kmake VARIABLE=VALUE...
kmake()
{
	shim make <<<'for arg; do case $arg in CC=*) echo "$arg ${CCACHE_DIR:-}" ;; esac; done'
	env -u CCACHE_DIR -u XDG_RUNTIME_DIR "$@" "$qemu/build/kmake" Image
}

@test "ccache without a home has its cache in O=, and one that does not work is not used" {
	export CROSS_COMPILE=x-
	mkdir "$tmp/home" "$tmp/o"
	touch "$tmp/file"
	[ "$(kmake HOME="$tmp/home" CCACHE_BASEDIR="$tmp/o")" = "CC=ccache x-gcc " ]
	[ "$(kmake HOME="$tmp/file" CCACHE_BASEDIR="$tmp/o")" = "CC=ccache x-gcc $tmp/o/.ccache" ]
	[ "$(kmake HOME="$tmp/home" CCACHE_DIR="$tmp/file" CCACHE_BASEDIR="$tmp/o")" = \
		"CC=ccache x-gcc $tmp/o/.ccache" ]
	[[ $(kmake HOME="$tmp/file" CCACHE_BASEDIR="$tmp/file") == "CC=x-gcc "* ]]
	[[ $(kmake HOME="$tmp/file" CCACHE_BASEDIR=) == "CC=x-gcc "* ]]
	# A configuration that it cannot read is the user's, not that of the cache in O=.
	mkdir -p "$tmp/home/.config/ccache"
	echo nonsense >"$tmp/home/.config/ccache/ccache.conf"
	[ "$(kmake HOME="$tmp/home" CCACHE_BASEDIR="$tmp/o")" = "CC=ccache x-gcc $tmp/o/.ccache" ]
	echo 'int x;' >"$tmp/x.c"
	HOME=$tmp/file CCACHE_DIR=$tmp/o/.ccache ccache gcc -c "$tmp/x.c" -o "$tmp/x.o"
}

@test "the compiler is gcc, or the clang that LLVM names" {
	export CROSS_COMPILE=x- HOME=$tmp
	[ "$(kmake LLVM=)" = "CC=ccache x-gcc " ]
	[ "$(kmake LLVM=1)" = "CC=ccache clang --target=x " ]
	[ "$(kmake LLVM=-19)" = "CC=ccache clang-19 --target=x " ]
	[ "$(kmake LLVM=/opt/llvm/bin/)" = "CC=ccache /opt/llvm/bin/clang --target=x " ]
	[ "$(kmake CROSS_COMPILE= LLVM=1)" = "CC=ccache clang " ]
}

@test "with another compiler a kernel is configured again" {
	echo CONFIG_X=y >"$tmp/fragment"
	shim kernel <<<"echo x >>$tmp/runs; cp $tmp/fragment $tmp/out/.config"
	for llvm in "" "" 1 1 -19 ""; do
		LLVM=$llvm "$qemu/build/configure" "$tmp/out" "$tmp/fragment" -- kernel
	done
	[ "$(wc -l <"$tmp/runs")" -eq 4 ]
}

@test "what a kernel developer has exported is for other kernels" {
	LLVM=1 make -n O="$tmp/o" kernel selftests >"$tmp/steps"
	grep -q "LLVM='' .*/kmake" "$tmp/steps"
	! grep "LLVM='*1" "$tmp/steps" || false
	make -n O="$tmp/o" LLVM=1 kernel selftests | grep -c "LLVM='1' .*/kmake" | grep -x 3
	shim make <<<'env'
	KBUILD_OUTPUT=$tmp KCFLAGS=-m32 CFLAGS=-m32 LDFLAGS=-m32 "$qemu/build/kmake" Image >"$tmp/env"
	! grep -E '^(KBUILD_OUTPUT|.*FLAGS)=.' "$tmp/env" || false
}

@test "the test module says of an older kernel that it is too old" {
	header=$tmp/arch/arm64/include/asm/kvm_host.h
	mkdir -p "${header%/*}"
	touch "$header"
	# module VERSION
	module()
	{
		run make -f tools/testing/selftests/kvm/test_modules/Makefile --eval='all: ;' KERNELRELEASE=x \
			CONFIG_ARM64=y CONFIG_KVM=y VERSION="${1%%.*}" KERNELVERSION="$1" srctree="$tmp" all
		echo "$output"
	}
	module 5.10.223
	[ "$status" -ne 0 ]
	grep "this is Linux 5.10.223, it takes 6.1 or newer" <<<"$output"
	module 7.3.4
	[ "$status" -eq 0 ]
	# As a distribution may have it, which takes more from newer ones
	echo "#define KVM_HAVE_MMU_RWLOCK" >"$header"
	module 5.14.0
	[ "$status" -eq 0 ]
}

# A copy of what git has here, as this is: checkout DIR
checkout()
{
	git -c safe.directory='*' ls-files -z -co --exclude-standard | tar --null -T - -cf - |
		{ mkdir "$1" && tar -C "$1" -xf -; }
}

@test "a clone with core.autocrlf has the files as they are" {
	export GIT_CONFIG_GLOBAL=/dev/null
	checkout "$tmp/copy"
	printf 'a line of DOS\r\n' >"$tmp/copy/dos.patch"
	git -C "$tmp/copy" init -q
	git -C "$tmp/copy" -c core.autocrlf=true add .
	git -C "$tmp/copy" -c user.name=x -c user.email=x commit -qm x
	for option in core.autocrlf=true core.autocrlf=input core.eol=crlf; do
		git clone -q -c "$option" "$tmp/copy" "$tmp/clone"
		diff -rq -x .git "$tmp/copy" "$tmp/clone"
		rm -rf "$tmp/clone"
	done
}

@test "a checkout, or a build directory, that is reached through a symbolic link" {
	checkout "$tmp/real"
	ln -s real "$tmp/link"
	cd "$tmp/link"
	make clean
	[ ! -e build ]
	mkdir "$tmp/disk"
	ln -s "$tmp/disk" other
	shim apt-get <<<'exit 100'
	for o in build other/deep ./other/deep/ "$tmp/link/other/deep"; do
		run make O="$o" busybox
		echo "$output"
		grep -q "error: busybox for arm64 failed" <<<"$output"
	done
}

@test "a build directory that is a symbolic link is emptied, and left" {
	mkdir "$tmp/disk"
	ln -s disk "$tmp/o"
	make O="$tmp/o" clean
	[ -z "$(ls -A "$tmp/disk")" ]
	make O="$tmp/o/" clean
	[ -L "$tmp/o" ]
}

@test "of CDPATH, ARCH and CROSS_COMPILE in the user's shell nothing comes of it" {
	shim apt-get <<<'echo "E: ${ARCH:-none} ${CROSS_COMPILE:-none}" >&2; exit 100'
	CDPATH=.:$tmp ARCH=x86 CROSS_COMPILE=i686- run make O="$tmp/o" busybox
	echo "$output"
	grep -q "could not download .*: none none$" <<<"$output"
}

@test "the tests unpack trees, and /tmp may be small" {
	make -n O="$tmp/o" harness | grep "TMPDIR=$tmp/o/.* bats"
}

@test "building the selftests leaves the tree alone" {
	# The Makefile of the KVM selftests of 6.12 and later, in short
	mkdir -p "$tmp/tree/tools/testing/selftests/kvm" "$tmp/tree/arch/arm64/kvm" "$tmp/headers"
	cat >"$tmp/tree/tools/testing/selftests/Makefile" <<-'END'
		to := $(if $(abs_objdir),$(abs_objdir)/tools,$(CURDIR)/../..)
		all install: ; mkdir -p $(INSTALL_PATH) . && cd $(to) && mkdir -p generated && touch generated/sysreg-defs.h
	END
	ln -s ../Makefile "$tmp/tree/tools/testing/selftests/kvm/Makefile"
	find "$tmp/tree" | sort >"$tmp/before"
	"$qemu/build/selftests" "$tmp/tree" "$tmp/out" "$tmp/headers" arm64/x make
	"$qemu/build/base-selftests" /dev/null "$tmp/tree" "$tmp/base" "$tmp/headers" make
	find "$tmp/tree" | sort | diff "$tmp/before" -
	[ -e "$tmp/out/obj/tools/generated/sysreg-defs.h" ]
	# By the same compiler nothing is thrown away.
	touch "$tmp/out/obj/old"
	touch -d -1hour "$tmp/out/.llvm"
	"$qemu/build/selftests" "$tmp/tree" "$tmp/out" "$tmp/headers" arm64/x make
	[ -e "$tmp/out/obj/old" ]
	touch -d +1hour "$tmp/out/.llvm"
	"$qemu/build/selftests" "$tmp/tree" "$tmp/out" "$tmp/headers" arm64/x make
	[ ! -e "$tmp/out/obj/old" ]
}

@test "other-debian needs a suite, root, and the right to mount" {
	fails_with "which suite? other-debian SUITE" "$qemu/tests/other-debian"
	shim id <<<'echo 1000'
	fails_with "run this as root" "$qemu/tests/other-debian" trixie
	shim id <<<'echo 0'
	shim mmdebstrap </dev/null
	shim unshare <<<'exit 1'
	fails_with "may mount nothing" "$qemu/tests/other-debian" trixie
}
