#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# The step x86, with a QEMU that only says what a VM would say. Needs no kernel.

load common

# The kernels and tests that "make" would have built, and what each VM says
prepare()
{
	mkdir -p "$tmp/o/busybox-amd64/bin" "$tmp/o/x86/6.1/tests/bin" "$tmp/results"
	for kernel in 6.1 6.1/stock; do
		mkdir -p "$tmp/o/x86/$kernel/arch/x86/boot"
		touch "$tmp/o/x86/$kernel/arch/x86/boot/bzImage" "$tmp/o/x86/$kernel/.built"
		echo CONFIG_VFIO=y >"$tmp/o/x86/$kernel/.config"
	done
	echo CONFIG_KVM=y >>"$tmp/o/x86/6.1/.config"
	mkdir "$tmp/o/x86/6.1/stock/modules"
	touch "$tmp/o/x86/6.1/stock/modules/101-vfio.ko"
	for file in busybox-amd64/bin/busybox x86/6.1/tests/bin/{bar_guest,vfio_dma_mapping_mmio,vfio_pci_bar_revoke}_test; do
		echo >"$tmp/o/$file"
		chmod +x "$tmp/o/$file"
	done
	shim qemu-system-x86_64 <<-END
		case "\$*" in
		*help) echo "igb options:"; exit ;;
		esac
		echo "\$@" >>$tmp/args
		while [ "\$1" != -initrd ]; do
			shift
		done
		cpio -it --quiet <\$2 >>$tmp/files
		cat $tmp/says
	END
	# shellcheck disable=SC2086 # a list
	says $all
}

all="vfio_dma_mapping_mmio_test vfio_pci_bar_revoke_test bar_guest_test kernel_log"
# says TEST...: each test has one row, which passes
says()
{
	echo "Linux version 6.1" >"$tmp/says"
	for test; do
		printf '%s\r\n' "# $test 0000:01:00.0" "TAP version 13" 1..1 "ok 1 $test.one" "# exit status 0"
	done >>"$tmp/says"
}

x86()
{
	run "$qemu/x86/run" "$tmp/o" "$tmp/results" 6.1 6.1
	echo "$output"
}

@test "make takes the patched 6.1, and Debian's own; another base if it is asked for" {
	make -n O="$tmp/o" x86 >"$tmp/steps"
	grep -q "fetch-stock-x86" "$tmp/steps"
	grep -q "kmake -C $tmp/o/6.1/tree O=$tmp/o/x86/6.1 bzImage" "$tmp/steps"
	grep -q "x86/run $tmp/o $tmp/o/results/x86 6.1 6.1 7.3\$" "$tmp/steps"
	make -n O="$tmp/o" BASE=7.3 x86 >"$tmp/steps"
	grep -q "x86/run $tmp/o $tmp/o/results/x86-7.3 7.3 7.3\$" "$tmp/steps"
	! grep -q "fetch-stock-x86" "$tmp/steps" || false
	make -n O="$tmp/o" CELLS="6.1-4k-max-vhe x86" check >"$tmp/steps"
	grep -q "x86/run" "$tmp/steps"
	fails_with "no configuration of 6.12 for x86-64" make -n O="$tmp/o" BASE=6.12 x86
}

@test "the rows of each kernel, with what the VM is for" {
	prepare
	x86
	[ "$status" -eq 0 ]
	grep -qx "ok 1 - 6.1: vfio_dma_mapping_mmio_test.one" <<<"$output"
	grep -qx "ok 5 - 6.1: (the VM)" <<<"$output"
	# Debian's has no KVM to ask, and modules.
	grep -qx "ok 14 - 6.1-stock: (the VM)" <<<"$output"
	grep -qx "1..14" <<<"$output"
	grep -q "amd-iommu,intremap=on" "$tmp/args"
	# Nested SVM is in TCG, whatever KVM of this machine has.
	! grep -v "accel tcg" "$tmp/args" || false
	grep -q "igb,romfile=,bus=rp,addr=0.1" "$tmp/args"
	[ "$(grep -c tests/bar_guest_test "$tmp/files")" -eq 2 ]
	[ "$(grep -c modules/101-vfio.ko "$tmp/files")" -eq 1 ]
}

@test "a row that fails or is skipped is told, with its cause" {
	prepare
	sed -i "s/ok 1 vfio_dma.*/ok 1 # SKIP no such BAR\r/
		s/ok 1 vfio_pci.*/# Expected 'SIGBUS'\r\nnot ok 1 vfio_pci_bar_revoke_test.one\r/" "$tmp/says"
	x86
	[ "$status" -ne 0 ]
	grep -qx "ok 1 - 6.1: vfio_dma_mapping_mmio_test: row 1 # SKIP no such BAR" <<<"$output"
	grep -A1 "^not ok 2 - 6.1: vfio_pci_bar_revoke_test.one" <<<"$output" | grep -qx "# Expected 'SIGBUS'"
}

@test "a test that no tree lends is skipped; without any, the VM has not run" {
	prepare
	rm "$tmp/o/x86/6.1/tests/bin/vfio_dma_mapping_mmio_test"
	says vfio_pci_bar_revoke_test bar_guest_test kernel_log
	x86
	[ "$status" -eq 0 ]
	grep -qx "ok 1 - 6.1: vfio_dma_mapping_mmio_test # SKIP no tree that has it" <<<"$output"
	grep -qx "1..14" <<<"$output"
	shim qemu-system-x86_64 </dev/null
	x86
	grep -q "^not ok [0-9]* - 6.1: (the VM)" <<<"$output"
}

@test "a VM that does not come to its end, or whose kernel complains, is red" {
	prepare
	says vfio_dma_mapping_mmio_test vfio_pci_bar_revoke_test
	echo "Kernel died" >>"$tmp/says"
	x86
	grep -q "of 4 tests 2 ended, the last words are: Kernel died" <<<"$output"
	# shellcheck disable=SC2086 # a list
	says $all
	echo "# [    1.0] WARNING: possible circular locking dependency detected" >>"$tmp/says"
	x86
	grep -A1 "^not ok 5 - 6.1: (the VM)" <<<"$output" | grep -q "the console says: # \[    1.0\] WARNING: possible"
}
