#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run vfio selftests in a VM that has an IOMMU and a device to spare: an NVMe controller,
# which can be reset and suspended, with a buffer, so that a BAR of it is memory.

set -eu

test_dir=$(realpath "$(dirname "$0")")
arch=$(uname -m)
busybox=$(command -v busybox || :)
kernel=

usage()
{
	cat <<-EOF
		$0 -k KERNEL [-t aarch64|x86_64] [-b BUSYBOX] [-o OUTPUT] [TEST...]

		KERNEL	Image or bzImage with CONFIG_BLK_DEV_INITRD, DEVTMPFS, VFIO_PCI,
		 	a serial console, and ARM_SMMU_V3 or INTEL_IOMMU_DEFAULT_ON, built in
		BUSYBOX	static, for that architecture
		OUTPUT	where the tests are: make -C tools/testing/selftests/vfio \\
		 	OUTPUT=... LDFLAGS=-static
		TEST	default: all that need no driver for the device
	EOF
	exit "$1"
}

skip()
{
	echo "1..0 # SKIP $*"
	exit 4
}

output=$test_dir
while getopts hk:t:b:o: opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	t) arch=$OPTARG ;;
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
	console=ttyAMA0 ;;
x86_64)
	qemu=(qemu-system-x86_64 -M "q35,kernel-irqchip=split" -device "intel-iommu,intremap=on")
	console=ttyS0 ;;
*) skip "no machine for $arch" ;;
esac
command -v "${qemu[0]}" >/dev/null || skip "no ${qemu[0]}"
[ -r "$kernel" ] || usage 2
[ -x "$busybox" ] || skip "no busybox, see -b"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp"/root/{bin,dev,proc,sys,tests}
cp "$busybox" "$tmp/root/bin/busybox"
for test; do
	[ -x "$output/$test" ] || skip "no $output/$test: build it first"
	cp "$output/$test" "$tmp/root/tests/"
done
cat >"$tmp/root/init" <<-'EOF'
	#!/bin/busybox sh
	/bin/busybox --install -s /bin
	mount -t proc none /proc
	mount -t sysfs none /sys
	mount -t devtmpfs none /dev
	for dev in /sys/bus/pci/devices/*; do
		grep -q 0x010802 $dev/class && bdf=${dev##*/}
	done
	echo vfio-pci >/sys/bus/pci/devices/$bdf/driver_override
	echo $bdf >/sys/bus/pci/drivers_probe
	# Without a device, tests would skip, and nothing would be wrong.
	[ -e /sys/bus/pci/devices/$bdf/driver ] || {
		echo "vfio-pci has no device"
		poweroff -f
	}
	for test in /tests/*; do
		echo "# $test $bdf"
		$test $bdf
		echo "# exit status $?"
	done
	poweroff -f
EOF
chmod +x "$tmp/root/init"
(cd "$tmp/root" && find . | cpio -o -H newc --quiet) >"$tmp/initrd"

"${qemu[@]}" -accel kvm -accel tcg -cpu max -smp 2 -m 1G -nodefaults -display none -no-reboot \
	-device pcie-root-port,id=rp,chassis=1 -device nvme,bus=rp,serial=1,cmb_size_mb=4 \
	-kernel "$kernel" -initrd "$tmp/initrd" -append "console=$console panic=-1 quiet" \
	-serial stdio | tee "$tmp/log"

# Each has ended, and none has failed.
[ "$(tr -d '\r' <"$tmp/log" | grep -c '^# exit status [04]$')" -eq $# ]
