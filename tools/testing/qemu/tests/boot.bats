#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# Boots that go wrong, and what is made of them. Needs the kernel and the initramfs
# of 6.1-4k ("make harness" sees to it).

load common

list=${O:-build}/6.1/selftests/install/kselftest-list.txt

# boot VARIABLE=VALUE...: boot the cell into $tmp/cell, and judge it
boot()
{
	mkdir -p "$tmp/cell"
	echo base=6.1 >"$tmp/cell/source"
	env "$@" "$qemu/boot/run" "${cell:-6.1-4k-max-vhe}" "$tmp/cell" \
		"$o/kernel/6.1-4k" "$o/kernel/6.1-4k/initramfs.cpio" "$list" &&
		"$qemu/judge/results.py" cell "${cell:-6.1-4k-max-vhe}" "$tmp/cell" "$list"
}

# fails_as TEXT...: the verdict is red, and each TEXT is among the reasons
fails_as()
{
	[ "$status" -ne 0 ]
	for text; do
		echo "$output"
		grep -qF -- "failed: $text" <<<"$output"
	done
}

@test "an unknown TEST is named, with those there are" {
	fails_with "unknown TEST nonsense*, there are: " boot TEST='nonsense*'
	grep -q vfio_bar_memattr <<<"$output"
}

@test "QEMU missing, too old, or not QEMU; no old result is left" {
	mkdir "$tmp/cell"
	touch "$tmp/cell/result.json"
	fails_with "no-such-qemu is missing" boot QEMU=no-such-qemu
	[ ! -e "$tmp/cell/result.json" ]
	shim old-qemu <<<'echo "QEMU emulator version 6.2.0"'
	fails_with "older than the 7.2" boot QEMU=old-qemu
	fails_with "is it QEMU?" boot QEMU=true
}

@test "a host that this QEMU cannot run is a skip with its reason, another QEMU boots it" {
	shim qemu-7.2 <<<'echo "QEMU emulator version 7.2.22"'
	cell=6.12-16k-max-protected
	run boot QEMU=qemu-7.2
	[ "$status" -eq 0 ]
	grep -q "^notice: $cell: skipped, under QEMU 7.2" <<<"$output"
	shim qemu-10.0 <<-'END'
		[ "$1" != --version ] || { echo "QEMU emulator version 10.0.2"; exit; }
		exit 3
	END
	run boot QEMU=qemu-10.0
	fails_as "QEMU died before the first test, exit status 3"
}

@test "QEMU killed: the exit status is shown" {
	shim killed-qemu <<-'END'
		[ "$1" != --version ] || { echo "QEMU emulator version 7.2.0"; exit; }
		echo "terminating on signal" >&2
		kill -9 $$
	END
	run boot QEMU=killed-qemu
	fails_as "QEMU died before the first test, exit status 137"
}

@test "a guest that hangs is killed at the limit, its last lines shown" {
	run boot BOOT=hang LIMIT=6
	fails_as "hung before the first test, killed after 6 s" "vfio_bar_revoke: (the program): it did not run"
	grep -q "the last lines of .*console.log" <<<"$output"
	[ -z "$(pgrep -f "$tmp/cell")" ]
}

@test "a test that hangs is stopped, the others count" {
	run boot BOOT=stuck APPEND=TEST_LIMIT=15 TEST='memattr_*'
	fails_as "memattr_module: (the program): TIMEOUT 15 seconds"
	grep -q "error: .*[1-9][0-9]* passed, 1 failed" <<<"$output"
}

@test "a guest that panics fails, its last lines shown" {
	run boot BOOT=panic
	fails_as "the console says: Kernel panic"
}

@test "a WARN on the console, and a taint without one, fail a run whose tests pass" {
	run boot BOOT=warn TEST=memattr_module
	fails_as "the console says: WARNING: CPU: 0"
	run boot BOOT=taint TEST=memattr_module
	fails_as "the kernel is tainted: W"
}

@test "a guest that ends early fails" {
	run boot BOOT=early
	fails_as "the guest ended early, before the first test"
}

# qemu_with SED: a QEMU, each of whose options goes through sed
qemu_with()
{
	shim qemu-with <<-END
		[ "\$1" != --version ] || exec qemu-system-aarch64 --version
		for arg; do
			shift
			set -- "\$@" "\$(echo "\$arg" | sed '$1')"
		done
		exec qemu-system-aarch64 "\$@"
	END
}

@test "no IOMMU, or a device less: the devices are missed, and rows are no skips" {
	qemu_with 's/,iommu=smmuv3//'
	run boot QEMU=qemu-with TEST=vfio_bar_memattr
	fails_as "the console says: rcS: error: 3 more of ivshmem" \
		"vfio_bar_memattr: read fault: Normal-NC: skipped, for a reason that expect/skips does not allow"
	qemu_with 's/^edu$/pci-testdev/'
	run boot QEMU=qemu-with TEST=memattr_module
	fails_as "the console says: rcS: error: 1 more of edu (0x1234:0x11e8) should be bound"
}

@test "a boot that succeeds leaves what it was; qemu-cmd repeats it and leaves that alone" {
	run boot TEST=vfio_bar_memattr
	echo "$output"
	[ "$status" -eq 0 ]
	for file in ktap console.log qemu-cmd config boot result.json; do
		[ -s "$tmp/cell/$file" ]
	done
	(cd "$tmp/cell" && md5sum -- *) >"$tmp/before"
	(cd / && TMPDIR=$tmp "$tmp/cell/qemu-cmd" </dev/null >"$tmp/again")
	(cd "$tmp/cell" && md5sum --quiet -c "$tmp/before")
	grep -q "vfio_bar_memattr" "$(sed -n 's/^KTAP: //p' "$tmp/again")"
	grep -q "Linux version" "$tmp/again"
	# So does a shell, which gets no further here.
	shim qemu-shell <<<'echo "QEMU emulator version 7.2.0"; echo "$@"'
	BOOT=shell QEMU=qemu-shell "$qemu/boot/run" 6.1-4k-max-vhe "$tmp/cell" \
		"$o/kernel/6.1-4k" "$o/kernel/6.1-4k/initramfs.cpio" "$list" | grep -q BOOT=shell
	(cd "$tmp/cell" && md5sum --quiet -c "$tmp/before")
}

@test "the plan's and the judge's own tests" {
	for of in plan judge; do
		run python3 -m unittest discover -q -s "$qemu/$of"
		echo "$output"
		[ "$status" -eq 0 ]
		grep -q "^Ran [1-9][0-9]* tests" <<<"$output"
	done
}
