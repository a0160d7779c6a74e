/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI BARs for KVM selftests: devices bound to vfio-pci, the same BARs
 * through sysfs, and the choice of a BAR that fits a test.
 *
 * Nothing happens to a device that the user did not name, but for aligned loads
 * from prefetchable BARs, which have no side effects (PCI Local Bus 3.0,
 * 6.2.5.1).  Not every device keeps to that: GPUs and NICs mark registers
 * prefetchable.  So what goes further, loads of other kinds and from other
 * BARs, resets, changes of power state and of decoding, is for the devices in
 * the environment variable KVM_VFIO_DEVICE (vfio_pci_named()), and stores are
 * for those in KVM_VFIO_BAR_WRITE (vfio_pci_may_write()).
 *
 * Functions that can fail for a reason outside the test's control return an
 * error and leave a sentence in vfio_bar_why(): the reason, and what the user
 * can do about it.  It is meant to be printed as the reason of a skip.
 */
#ifndef SELFTEST_KVM_VFIO_BAR_H
#define SELFTEST_KVM_VFIO_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/vfio.h>

#define VFIO_BAR_MAX_DEVS	16
#define VFIO_BAR_NR_BARS	6

/* include/linux/ioport.h, as sysfs prints them in the file "resource" */
#define VFIO_BAR_F_MEM		0x00000200
#define VFIO_BAR_F_PREFETCH	0x00002000
#define VFIO_BAR_F_MEM_64	0x00100000

/**
 * struct vfio_pci_bar - one BAR as the PCI core set it up
 * @start: physical address, 0 when the BAR is not there
 * @size: size in bytes, 0 when the BAR is not there
 * @flags: VFIO_BAR_F_* among other IORESOURCE_* flags
 */
struct vfio_pci_bar {
	uint64_t start;
	uint64_t size;
	uint64_t flags;
};

/**
 * enum vfio_pci_how - the way a device file descriptor is obtained
 * @VFIO_PCI_ANY: by group if the kernel has groups, else by cdev
 * @VFIO_PCI_GROUP: /dev/vfio/GROUP in a type1 container
 * @VFIO_PCI_CDEV: /dev/vfio/devices/vfioN bound to an iommufd
 */
enum vfio_pci_how {
	VFIO_PCI_ANY,
	VFIO_PCI_GROUP,
	VFIO_PCI_CDEV,
};

/**
 * struct vfio_pci_dev - a PCI function bound to vfio-pci
 * @bdf: its address, "dddd:bb:dd.f"
 * @bar: the standard BARs
 * @may_write: the user named this device in KVM_VFIO_BAR_WRITE
 * @named: the user named this device there or in KVM_VFIO_DEVICE
 * @fd: device file descriptor, -1 while closed
 * @how: how @fd was obtained; VFIO_PCI_ANY while closed
 * @flags: VFIO_DEVICE_FLAGS_* of the open device
 * @group: IOMMU group number, -1 if the device has none
 * @cdev_iommufd: iommufd @fd is bound to, -1 unless @how is VFIO_PCI_CDEV
 */
struct vfio_pci_dev {
	char bdf[16];
	struct vfio_pci_bar bar[VFIO_BAR_NR_BARS];
	bool may_write;
	bool named;

	int fd;
	enum vfio_pci_how how;
	uint32_t flags;
	int group;
	int cdev_iommufd;
};

/**
 * struct vfio_bar_want - which BAR a test can use
 * @set: flags that must be set (VFIO_BAR_F_*)
 * @clear: flags that must be clear
 * @min_size: smallest usable size in bytes, 0 for any
 * @max_size: largest usable size in bytes, 0 for any
 * @dev_flags: VFIO_DEVICE_FLAGS_* the device must report
 * @what: the BAR in words, for the reason of a skip
 */
struct vfio_bar_want {
	uint64_t set;
	uint64_t clear;
	uint64_t min_size;
	uint64_t max_size;
	uint32_t dev_flags;
	const char *what;
};

/**
 * vfio_bar_why() - the reason for the last failure, with its remedy
 *
 * Return: a sentence without a newline, valid until the next failure.
 */
const char *vfio_bar_why(void);

/**
 * vfio_pci_discover() - find the devices the tests may use
 * @devs: filled with the devices, closed
 * @max: number of elements of @devs
 *
 * Those are the devices bound to vfio-pci or to a variant of it.  If the
 * environment variable KVM_VFIO_DEVICE lists addresses, only those devices,
 * in that order.
 *
 * Return: number of devices; 0 with vfio_bar_why() set if there are none.
 */
int vfio_pci_discover(struct vfio_pci_dev *devs, int max);

/**
 * vfio_bar_setup() - open all usable devices, and choose a BAR
 * @devs: filled with the devices, all open
 * @max: number of elements of @devs
 * @nr: set to the number of devices
 * @bar: set to the number of the BAR
 *
 * Says in diagnostic lines what was chosen, and why a device was left out.
 *
 * Return: the device that vfio_pci_pick_bar() chose, or NULL with
 * vfio_bar_why() set.
 */
struct vfio_pci_dev *vfio_bar_setup(struct vfio_pci_dev *devs, int max,
				    int *nr, int *bar);

/**
 * vfio_bar_require() - vfio_bar_setup(), or skip the whole test
 * @devs: filled with the devices, all open
 * @max: number of elements of @devs
 * @nr: set to the number of devices
 * @bar: set to the number of the BAR
 *
 * Call before ksft_set_plan().
 *
 * Return: the device that vfio_pci_pick_bar() chose.
 */
struct vfio_pci_dev *vfio_bar_require(struct vfio_pci_dev *devs, int max,
				      int *nr, int *bar);

/**
 * vfio_pci_open() - get a device file descriptor and switch memory decode on
 * @dev: from vfio_pci_discover()
 * @how: which interface of vfio to use
 *
 * Devices of one IOMMU group, and all containers of a process, are shared
 * under the hood, so any number of devices can be open at a time.
 *
 * Return: 0, or -1 with vfio_bar_why() set.
 */
int vfio_pci_open(struct vfio_pci_dev *dev, enum vfio_pci_how how);

/**
 * vfio_pci_close() - undo vfio_pci_open()
 * @dev: the device; mappings of its BARs outlive this and keep it in use
 */
void vfio_pci_close(struct vfio_pci_dev *dev);

/**
 * vfio_pci_named() - may a test do more than load from prefetchable BARs?
 * @dev: the device
 *
 * Return: true, or false with vfio_bar_why() set.
 */
bool vfio_pci_named(const struct vfio_pci_dev *dev);

/**
 * vfio_pci_may_write() - may a test store to the BARs of this device?
 * @dev: the device
 *
 * Return: true, or false with vfio_bar_why() set.
 */
bool vfio_pci_may_write(const struct vfio_pci_dev *dev);

/**
 * vfio_pci_find_bar() - choose a BAR
 * @devs: open devices
 * @nr: number of elements of @devs
 * @want: what the test needs
 * @skip: number of suitable BARs to pass over, for tests that need several
 * @bar: set to the number of the BAR
 *
 * Only BARs that vfio lets user space map are considered, and BARs that are
 * not prefetchable only of devices that the user named.
 *
 * Return: the device, or NULL with vfio_bar_why() set.
 */
struct vfio_pci_dev *vfio_pci_find_bar(struct vfio_pci_dev *devs, int nr,
				       const struct vfio_bar_want *want,
				       int skip, int *bar);

/**
 * vfio_pci_pick_bar() - choose a BAR for a test that can use any
 * @devs: open devices
 * @nr: number of elements of @devs
 * @bar: set to the number of the BAR
 *
 * Return: the device of the first prefetchable BAR; without one, that of the
 * first BAR of a device that the user named; or NULL with vfio_bar_why() set.
 */
struct vfio_pci_dev *vfio_pci_pick_bar(struct vfio_pci_dev *devs, int nr,
				       int *bar);

/**
 * vfio_pci_region() - ask vfio about a region
 * @dev: open device
 * @index: VFIO_PCI_*_REGION_INDEX
 * @info: filled in
 *
 * Return: 0, or -1 with errno set.
 */
int vfio_pci_region(const struct vfio_pci_dev *dev, uint32_t index,
		    struct vfio_region_info *info);

/**
 * vfio_pci_bar_map_size() - size of a whole mapping of a BAR
 * @dev: the device
 * @bar: number of the BAR
 *
 * Return: bytes; a BAR smaller than a page occupies a page of its own.
 */
size_t vfio_pci_bar_map_size(const struct vfio_pci_dev *dev, int bar);

/**
 * vfio_pci_bar_pick_address() - where a part of a BAR can be mapped
 * @dev: the device
 * @bar: number of the BAR
 * @offset: offset in the BAR, multiple of the page size
 * @size: bytes
 *
 * The address agrees with the physical address of the BAR in all the bits
 * below the BAR's size (or 1G): whatever block size the kernel could use for
 * the host's or the guest's mapping, the address allows it.
 *
 * Return: an address range that is free until something else is mapped.
 */
void *vfio_pci_bar_pick_address(const struct vfio_pci_dev *dev, int bar,
				uint64_t offset, size_t size);

/**
 * vfio_pci_bar_mmap() - map a part of a BAR through vfio
 * @dev: open device
 * @bar: number of the BAR
 * @addr: address for MAP_FIXED, or NULL for vfio_pci_bar_pick_address()
 * @prot: PROT_*
 * @offset: offset in the BAR, multiple of the page size
 * @size: bytes, multiple of the page size
 *
 * Return: the mapping, or NULL with vfio_bar_why() set.
 */
void *vfio_pci_bar_mmap(const struct vfio_pci_dev *dev, int bar, void *addr,
			int prot, uint64_t offset, size_t size);

/**
 * vfio_pci_sysfs_mmap() - map a part of a BAR through sysfs
 * @dev: the device, open, so that it decodes memory
 * @bar: number of the BAR
 * @wc: use resourceN_wc rather than resourceN
 * @addr: address for MAP_FIXED, or NULL as for vfio_pci_bar_mmap()
 * @prot: PROT_*
 * @offset: offset in the BAR, multiple of the page size
 * @size: bytes, multiple of the page size
 *
 * Return: the mapping, or NULL with vfio_bar_why() set.
 */
void *vfio_pci_sysfs_mmap(const struct vfio_pci_dev *dev, int bar, bool wc,
			  void *addr, int prot, uint64_t offset, size_t size);

/**
 * vfio_pci_config_read() - read configuration space through vfio
 * @dev: open device
 * @pos: offset
 * @len: 1, 2 or 4 bytes
 *
 * Return: the value; a failure of the read ends the test.
 */
uint32_t vfio_pci_config_read(const struct vfio_pci_dev *dev, int pos, int len);

/**
 * vfio_pci_config_write() - write configuration space through vfio
 * @dev: open device
 * @pos: offset
 * @val: value
 * @len: 1, 2 or 4 bytes
 *
 * A failure of the write ends the test.
 */
void vfio_pci_config_write(const struct vfio_pci_dev *dev, int pos,
			   uint32_t val, int len);

/**
 * vfio_pci_find_capability() - find a capability in configuration space
 * @dev: open device
 * @id: PCI_CAP_ID_*
 *
 * Return: its offset, 0 if the device does not have it.
 */
int vfio_pci_find_capability(const struct vfio_pci_dev *dev, int id);

/**
 * vfio_pci_set_memory_decode() - PCI_COMMAND_MEMORY on or off
 * @dev: open device
 * @on: the new state
 */
void vfio_pci_set_memory_decode(const struct vfio_pci_dev *dev, bool on);

/**
 * vfio_pci_reset() - VFIO_DEVICE_RESET
 * @dev: open device
 *
 * Return: 0, or -1 with vfio_bar_why() set.
 */
int vfio_pci_reset(const struct vfio_pci_dev *dev);

/**
 * vfio_pci_hot_reset() - VFIO_DEVICE_PCI_HOT_RESET, a reset of bus or slot
 * @dev: open device
 *
 * Return: 0, or -1 with vfio_bar_why() set, which includes the case that a
 * device which would be reset along with @dev is not open in this process, or
 * that the user did not name it.
 */
int vfio_pci_hot_reset(const struct vfio_pci_dev *dev);

/**
 * vfio_pci_rebind() - bind a device to vfio-pci that has been unbound or removed
 * @dev: the device, closed; updated, as its BARs may have moved
 *
 * Return: 0, or -1 with vfio_bar_why() set.
 */
int vfio_pci_rebind(struct vfio_pci_dev *dev);

#endif /* SELFTEST_KVM_VFIO_BAR_H */
