/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI BARs for KVM selftests, through vfio-pci and through ordinary mappings.
 *
 * Nothing happens to a device that the user did not name in the environment
 * variable KVM_VFIO_DEVICE. Stores are for those in KVM_VFIO_BAR_WRITE
 * (vfio_bar.may_write). A BAR of a function without a driver, a control, gets
 * aligned loads if it is prefetchable: these have no side effects (PCI Local Bus
 * 3.0, 6.2.5.1).
 *
 * What can fail for a reason outside the test's control returns false, or NULL,
 * and leaves the reason, with its remedy, in vfio_bar_why().
 */
#ifndef SELFTEST_KVM_VFIO_BAR_H
#define SELFTEST_KVM_VFIO_BAR_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>
#include <linux/vfio.h>

/* include/linux/ioport.h, as sysfs prints them in the file "resource" */
#define VFIO_BAR_F_MEM		0x00000200
#define VFIO_BAR_F_PREFETCH	0x00002000
#define VFIO_BAR_F_MEM_64	0x00100000

/* Where an administrator withholds the types; a kernel without the series has it not */
#define VFIO_BAR_SWITCH		"/sys/module/vfio_pci_core/parameters/any_uncached"

/* What a row says that can only be seen where the flag is not withheld */
#define VFIO_BAR_BROKEN		"%s: this platform has an erratum, vfio_bar_visible tests what follows"

/**
 * struct vfio_bar - one BAR, and the file that maps it
 * @bdf: address of its function, "dddd:bb:dd.f"
 * @index: its number
 * @pa: its physical address
 * @size: its size, at least a page
 * @may_write: the user named it in KVM_VFIO_BAR_WRITE
 * @broken: a bridge above is of a platform with an erratum: of Ampere Altra, or of
 *	    those that the user names by vendor:device in KVM_VFIO_BROKEN
 * @fd: what to mmap(), the vfio device or another file; -1 while closed
 * @offset: where in @fd the BAR begins
 * @config: where in @fd configuration space begins
 * @group: IOMMU group's descriptor, -1 with a vfio character device
 * @iommu: container's or iommufd's descriptor
 */
struct vfio_bar {
	char bdf[16];
	int index;
	u64 pa;
	size_t size;
	bool may_write;
	bool broken;
	int fd;
	u64 offset;
	u64 config;
	int group;
	int iommu;
};

/**
 * struct vfio_bar_want - which BAR a test can use
 * @what: the BAR in words, for the reason of a skip
 * @set: VFIO_BAR_F_* that must be set
 * @clear: VFIO_BAR_F_* that must be clear
 * @min_size: smallest size in bytes
 * @sub_page: it has to be smaller than a page
 * @reset: a word that the function's reset_method must have, "" for any
 * @cap: a capability that the function must have, PCI_CAP_ID_*
 * @above: bridges above the function: 1 none, 2 one, 3 more; 0 any number
 * @vf: it must be an SR-IOV VF if positive, and must not be if negative
 */
struct vfio_bar_want {
	const char *what;
	u64 set;
	u64 clear;
	u64 min_size;
	bool sub_page;
	const char *reset;
	int cap;
	int above;
	int vf;
};

/**
 * enum bar_source - what maps a BAR into the test's address space
 * @BAR_VFIO: vfio-pci, which allows all uncached types
 * @BAR_SYSFS: resourceN in sysfs, an ordinary MMIO mapping
 * @BAR_SYSFS_WC: resourceN_wc in sysfs, an ordinary write-combining mapping
 * @BAR_DEV_MEM: /dev/mem
 */
enum bar_source {
	BAR_VFIO,
	BAR_SYSFS,
	BAR_SYSFS_WC,
	BAR_DEV_MEM,
};

/* Nothing but a BAR */
extern const struct vfio_bar_want vfio_bar_any;

const char *vfio_bar_why(void);
bool vfio_bar_open(struct vfio_bar *b, const struct vfio_bar_want *want);
bool vfio_bar_find(struct vfio_bar *b, const char *bdf);
bool vfio_bar_open_plain(struct vfio_bar *plain, const struct vfio_bar *own,
			 enum bar_source source, size_t size);
void vfio_bar_close(struct vfio_bar *b);

void *vfio_bar_pick_address(const struct vfio_bar *b, u64 offset, size_t size);
void *vfio_bar_mmap(const struct vfio_bar *b, void *addr, int prot, u64 offset,
		    size_t size);

int vfio_bar_cap(const struct vfio_bar *b, int id);
u16 vfio_bar_config(const struct vfio_bar *b, int pos, u16 clear, u16 set);
void vfio_bar_set_decode(const struct vfio_bar *b, bool on);

#endif /* SELFTEST_KVM_VFIO_BAR_H */
