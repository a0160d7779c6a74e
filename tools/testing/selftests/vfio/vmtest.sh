#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run vfio selftests in a VM that has an IOMMU and a device to spare: an NVMe controller,
# which can be reset and suspended, with a buffer, so that a BAR of it is memory. A second
# function is reset with it: an igb, which the kernel knows to be isolated, if QEMU has one.

set -eu

test_dir=$(realpath "$(dirname "$0")")
arch=$(uname -m)
busybox=$(command -v busybox || :)
kernel=
modules=
iommu=intel-iommu

usage()
{
	cat <<-EOF
		$0 -k KERNEL [-t aarch64|x86_64] [-i IOMMU] [-m MODULES] [-b BUSYBOX] [-o OUTPUT]
		 	[TEST...]

		KERNEL	Image or bzImage with CONFIG_BLK_DEV_INITRD, DEVTMPFS, VFIO_PCI, a
		 	serial console, and ARM_SMMU_V3, or IRQ_REMAP and the IOMMU's
		IOMMU	of x86_64: intel-iommu (default) or amd-iommu
		MODULES	a directory with those that are modules, in the order of their names
		BUSYBOX	static, for that architecture
		OUTPUT	where the tests are: make -C tools/testing/selftests/vfio \\
		 	OUTPUT=... LDFLAGS=-static
		TEST	as "vfio_pci_bar_revoke_test -t flr"; default: all that need no
		 	driver for the device
	EOF
	exit "$1"
}

skip()
{
	echo "1..0 # SKIP $*"
	exit 4
}

output=$test_dir
while getopts hk:t:i:m:b:o: opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	t) arch=$OPTARG ;;
	i) iommu=$OPTARG ;;
	m) modules=$OPTARG ;;
	b) busybox=$OPTARG ;;
	o) output=$OPTARG ;;
	h) usage 0 ;;
	*) usage 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- vfio_dma_mapping_mmio_test vfio_dma_mapping_test \
	vfio_iommufd_setup_test vfio_pci_bar_revoke_test vfio_pci_device_test

case $arch in
aarch64)
	qemu=(qemu-system-aarch64 -M "virt,gic-version=3,iommu=smmuv3")
	append=console=ttyAMA0 ;;
x86_64)
	qemu=(qemu-system-x86_64 -M "q35,kernel-irqchip=split" -device "$iommu,intremap=on")
	append="console=ttyS0 intel_iommu=on"
	# QEMU says that the I/O APIC is part of a device that it has not: newer kernels
	# then do not let that IOMMU remap interrupts.
	if [ "$iommu" = amd-iommu ]; then
		append+=" iommufd.allow_unsafe_interrupts=1"
		append+=" vfio_iommu_type1.allow_unsafe_interrupts=1"
	fi ;;
*) skip "no machine for $arch" ;;
esac
command -v "${qemu[0]}" >/dev/null || skip "no ${qemu[0]}"
[ -r "$kernel" ] || usage 2
[ -x "$busybox" ] || skip "no busybox, see -b"
second=igb,romfile=
"${qemu[0]}" -device igb,help 2>&1 | grep -q options || second=nvme,serial=2

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp"/root/{bin,dev,modules,proc,sys,tests}
cp "$busybox" "$tmp/root/bin/busybox"
[ -z "$modules" ] || cp "$modules"/*.ko "$tmp/root/modules/"
for test; do
	[ -x "$output/${test%% *}" ] || skip "no $output/${test%% *}: build it first"
	cp "$output/${test%% *}" "$tmp/root/tests/"
	echo "$test" >>"$tmp/root/tests/list"
done
cat >"$tmp/root/init" <<-'EOF'
	#!/bin/busybox sh
	/bin/busybox --install -s /bin
	mount -t proc none /proc
	mount -t sysfs none /sys
	mount -t devtmpfs none /dev
	for module in /modules/*; do
		[ ! -e $module ] || insmod $module
	done
	for dev in /sys/bus/pci/devices/*.0; do
		grep -q 0x010802 $dev/class && bdf=${dev##*/}
	done
	for dev in /sys/bus/pci/devices/${bdf%.*}.*; do
		echo vfio-pci >$dev/driver_override
		echo ${dev##*/} >/sys/bus/pci/drivers_probe
		# Without a device, tests would skip, and nothing would be wrong.
		[ -e $dev/driver ] || {
			echo "vfio-pci has no ${dev##*/}"
			poweroff -f
		}
	done
	while read -r test; do
		echo "# $test $bdf"
		/tests/$test $bdf </dev/null
		echo "# exit status $?"
	done </tests/list
	poweroff -f
EOF
chmod +x "$tmp/root/init"
(cd "$tmp/root" && find . | cpio -o -H newc --quiet) >"$tmp/initrd"

# Emulated also where there is KVM, so that it is the same machine on every host. After a
# reset the kernel waits until a faster link says that it is active, which those of q35 do
# not.
"${qemu[@]}" -accel tcg -cpu max -smp 2 -m 1G -nodefaults -display none -no-reboot \
	-device pcie-root-port,id=rp,chassis=1,hotplug=off,x-speed=5 \
	-device nvme,bus=rp,addr=0.0,multifunction=on,serial=1,cmb_size_mb=4 \
	-device "$second,bus=rp,addr=0.1" \
	-kernel "$kernel" -initrd "$tmp/initrd" -append "$append hugepages=1 panic=-1 quiet" \
	-serial stdio | tee "$tmp/log"

# Each has ended, and none has failed.
[ "$(tr -d '\r' <"$tmp/log" | grep -c '^# exit status [04]$')" -eq $# ]
