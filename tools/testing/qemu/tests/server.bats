#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# What runs the tests on a server, as far as that takes none; on-a-server tries the rest.

load common

# A log as $tmp/log, on a host of that name
anonymous()
{
	shim uname <<<"echo $1"
	sh "$qemu/server/anonymous" <"$tmp/log" >"$tmp/out"
	cat "$tmp/out"
}

@test "the archive tells nobody's name, address, or serial number" {
	cat >"$tmp/log" <<-'END'
		mlx5_core 0000:01:00.0: MAC 0c:42:a1:22:33:44, guid 0c42:a103:0022:3344
		usb 1-1: SerialNumber: SECRET
		Serial		: 100000SECRET
		IPv6 fe80::1234:5678 2001:db8:1:2:3:4:5:6 2001:db8:: IPv4 192.168.77.15
		enx0c42a1223344 wwn-0x5000c500a1b2c3d4 eui.0025385b71b00011 10:00:00:90:fa:11:22:33
		root 1b2c3d4e-0000-1111-2222-333344445555 secret-vg secret.example.org secret secret
		built by me@buildhost, Hostname set to <another>.
		Kernel command line: root=/dev/SECRET kvm-arm.mode=nvhe password=SECRET iommu.strict=1
		 Unknown kernel command line parameters "BOOT=SECRET pci=nomsi", will be passed
		CONFIG_DEFAULT_HOSTNAME="another"
		CONFIG_CMDLINE="root=SECRET"
	END
	printf '\t%s\n' "Capabilities: [148 v1] Device Serial Number 0c-42-a1-03-00-22-33-44" \
		"Capabilities: [48] Vital Product Data" "	[SN] Serial number: SECRET" \
		"	[V0] Vendor specific: SECRET" "Capabilities: [9c] MSI-X: Enable+" >>"$tmp/log"
	for host in secret secret.example.org; do
		anonymous $host
		! grep -iE 'secret|example|another|buildhost|me@|0c.?42|fe80|db8|192|c500|5b71|90:fa|5555' \
			"$tmp/out" || false
		grep -q "kvm-arm.mode=nvhe iommu.strict=1" "$tmp/out"
		grep -q "pci=nomsi" "$tmp/out"
		grep -q "MSI-X: Enable+" "$tmp/out"
	done
}

@test "what the tests said stays as it was, whatever the host is called" {
	cat >"$tmp/log" <<-'END'
		# selftests: kvm: vfio_bar_memattr
		# # memattr: vma=vfio-pci s1=0x44 result=0x44 rule=0x44 verdict=pass
		# ok 1 vfio-pci: stage 1 Normal-NC (0x44)
		# not ok 12 kvm (0x44)
		# # vfio-pci: 0000:01:00.0 BAR 2 [1b36:0010] at 12:34:56, bus 00-3f, 6.1.192-1
		ok 1 selftests: kvm: vfio_bar_memattr
		CONFIG_USB_SERIAL=m
		Linux version 6.1.0-30-arm64 #1 SMP Debian 6.1.124-1 (2025-01-12)
	END
	for host in server localhost '"(none)"' '"a.*b"'; do
		anonymous "$host"
		diff "$tmp/log" "$tmp/out"
	done
	anonymous kvm
	diff "$tmp/log" "$tmp/out"
}

@test "bad input: one line, by anybody" {
	run=$qemu/server/run-on-this-machine
	fails_with "which PCI function?" sh "$run"
	fails_with "unknown option -x" sh "$run" -x
	fails_with "-o takes a directory" sh "$run" -o
	sh "$run" --help | grep -q "nothing is written to a BAR"
	sed 's,^PATH=,&$PATH:,' "$run" >"$tmp/run"
	shim id <<<'echo 1000'
	fails_with "only root can let vfio-pci have a device: sudo $tmp/run -w 01:00.0" sh "$tmp/run" -w 01:00.0
	shim id <<<'echo 0'
	fails_with "is no directory" sh "$tmp/run" -o "$tmp/none" 01:00.0
	fails_with "no tests beside" sh "$tmp/run" 01:00.0
}
