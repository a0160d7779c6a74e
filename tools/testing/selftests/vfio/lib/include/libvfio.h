/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of BARs take of mainline's libvfio, for kernels that do not have
 * it.
 */
#ifndef SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_H
#define SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include "../../../kselftest.h"

#define VFIO_ASSERT_OP(_lhs, _rhs, _op, ...) do {				\
	__typeof__(_lhs) __lhs = (_lhs);					\
	__typeof__(_rhs) __rhs = (_rhs);					\
										\
	if (__lhs _op __rhs)							\
		break;								\
	fprintf(stderr, "%s:%u: not so: %s %s %s: %s\n", __FILE__, __LINE__,	\
		#_lhs, #_op, #_rhs, strerror(errno));				\
	fprintf(stderr, "  " __VA_ARGS__);					\
	exit(KSFT_FAIL);							\
} while (0)

#define VFIO_ASSERT_EQ(_a, _b, ...)	VFIO_ASSERT_OP(_a, _b, ==, ##__VA_ARGS__)
#define VFIO_ASSERT_NE(_a, _b, ...)	VFIO_ASSERT_OP(_a, _b, !=, ##__VA_ARGS__)
#define VFIO_ASSERT_LT(_a, _b, ...)	VFIO_ASSERT_OP(_a, _b, <, ##__VA_ARGS__)
#define VFIO_ASSERT_GE(_a, _b, ...)	VFIO_ASSERT_OP(_a, _b, >=, ##__VA_ARGS__)

#define snprintf_assert(_s, _size, ...) do {					\
	int __size = (_size);							\
										\
	VFIO_ASSERT_LT(snprintf(_s, __size, __VA_ARGS__), __size);		\
} while (0)

#define ioctl_assert(_fd, _op, _arg)	VFIO_ASSERT_EQ(ioctl(_fd, _op, _arg), 0)

static inline void *calloc_assert(size_t nmemb, size_t size)
{
	void *p = calloc(nmemb, size);

	VFIO_ASSERT_NE(p, NULL);
	return p;
}

/* The kernel that runs may be newer than the headers. */
#ifndef VFIO_DEVICE_BIND_IOMMUFD
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};

#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#endif

#define MODE_VFIO_TYPE1V2_IOMMU	"vfio_type1v2_iommu"
#define MODE_IOMMUFD		"iommufd"
#define default_iommu_mode	(access("/dev/vfio/vfio", F_OK) ? \
				 MODE_IOMMUFD : MODE_VFIO_TYPE1V2_IOMMU)

/* A container, or an iommufd */
struct iommu {
	int fd;
	bool iommufd;
};

struct vfio_pci_bar {
	struct vfio_region_info info;
	void *vaddr;
};

struct vfio_pci_device {
	const char *bdf;
	int fd;
	int group_fd;
	struct iommu *iommu;
	struct vfio_device_info info;
	struct vfio_region_info config_space;
	struct vfio_pci_bar bars[PCI_STD_NUM_BARS];
};

static inline const char *vfio_selftests_get_bdf(int *argc, char *argv[])
{
	const char *bdf = getenv("VFIO_SELFTESTS_BDF");

	if (*argc > 1 && strchr(argv[*argc - 1], ':'))
		bdf = argv[--*argc];
	if (!bdf)
		ksft_exit_skip("no device given: %s BDF\n", argv[0]);
	return bdf;
}

static inline void *mmap_reserve(size_t size, size_t align, size_t offset)
{
	size_t page = getpagesize();
	uintptr_t p;

	align = align < page ? page : align;
	p = (uintptr_t)mmap(NULL, size + 2 * align, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	VFIO_ASSERT_NE((void *)p, MAP_FAILED);
	return (void *)(((p + align - 1) & ~(align - 1)) + offset);
}

/* The name that a link of a device's in sysfs leads to, or NULL */
static inline char *sysfs_link_get(const char *bdf, const char *link)
{
	char path[PATH_MAX], to[PATH_MAX];

	snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, link);
	return realpath(path, to) ? strdup(basename(to)) : NULL;
}

static inline char *sysfs_driver_get(const char *bdf)
{
	return sysfs_link_get(bdf, "driver");
}

static inline int sysfs_iommu_group_get(const char *bdf)
{
	char *group = sysfs_link_get(bdf, "iommu_group");
	int nr;

	VFIO_ASSERT_NE(group, NULL, "%s has no IOMMU group\n", bdf);
	nr = atoi(group);
	free(group);
	return nr;
}

static inline struct iommu *iommu_init(const char *mode)
{
	struct iommu *iommu = calloc_assert(1, sizeof(*iommu));

	iommu->iommufd = !strcmp(mode, MODE_IOMMUFD);
	iommu->fd = open(iommu->iommufd ? "/dev/iommu" : "/dev/vfio/vfio", O_RDWR);
	VFIO_ASSERT_GE(iommu->fd, 0, "%s\n", mode);
	return iommu;
}

static inline void iommu_cleanup(struct iommu *iommu)
{
	close(iommu->fd);
	free(iommu);
}

static inline void vfio_pci_config_access(struct vfio_pci_device *device, bool write,
					  size_t config, size_t size, void *data)
{
	u64 at = device->config_space.offset + config;
	ssize_t ret = write ? pwrite(device->fd, data, size, at) :
			      pread(device->fd, data, size, at);

	VFIO_ASSERT_EQ(ret, (ssize_t)size, "configuration space at 0x%zx\n", config);
}

#define vfio_pci_config_read(_device, _offset, _type) ({			\
	_type __data;								\
	vfio_pci_config_access(_device, false, _offset, sizeof(__data), &__data); \
	__data;									\
})
#define vfio_pci_config_readb(_d, _o)	vfio_pci_config_read(_d, _o, u8)
#define vfio_pci_config_readw(_d, _o)	vfio_pci_config_read(_d, _o, u16)
#define vfio_pci_config_readl(_d, _o)	vfio_pci_config_read(_d, _o, u32)

static inline void vfio_pci_config_writew(struct vfio_pci_device *device, size_t config, u16 val)
{
	vfio_pci_config_access(device, true, config, sizeof(val), &val);
}

static inline void vfio_pci_cmd_set(struct vfio_pci_device *device, u16 bits)
{
	vfio_pci_config_writew(device, PCI_COMMAND,
			       vfio_pci_config_readw(device, PCI_COMMAND) | bits);
}

static inline void vfio_pci_cmd_clear(struct vfio_pci_device *device, u16 bits)
{
	vfio_pci_config_writew(device, PCI_COMMAND,
			       vfio_pci_config_readw(device, PCI_COMMAND) & ~bits);
}

static inline void vfio_pci_device_reset(struct vfio_pci_device *device)
{
	ioctl_assert(device->fd, VFIO_DEVICE_RESET, NULL);
}

static inline void vfio_pci_region_get(struct vfio_pci_device *device, int index,
				       struct vfio_region_info *info)
{
	*info = (struct vfio_region_info) { .argsz = sizeof(*info), .index = index };
	ioctl_assert(device->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

static inline void vfio_pci_group_open(struct vfio_pci_device *device)
{
	char path[32];

	snprintf_assert(path, sizeof(path), "/dev/vfio/%d", sysfs_iommu_group_get(device->bdf));
	device->group_fd = open(path, O_RDWR);
	VFIO_ASSERT_GE(device->group_fd, 0, "%s\n", path);
	ioctl_assert(device->group_fd, VFIO_GROUP_SET_CONTAINER, &device->iommu->fd);
	/* Another device may have set it. */
	ioctl(device->iommu->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	device->fd = ioctl(device->group_fd, VFIO_GROUP_GET_DEVICE_FD, device->bdf);
	VFIO_ASSERT_GE(device->fd, 0, "%s\n", device->bdf);
}

/* No I/O address space is attached: the device cannot do DMA, and need not. */
static inline void vfio_pci_cdev_open(struct vfio_pci_device *device)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = device->iommu->fd,
	};
	char path[PATH_MAX];
	glob_t g;

	snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", device->bdf);
	VFIO_ASSERT_EQ(glob(path, 0, NULL, &g), 0, "%s has no character device\n", device->bdf);
	snprintf_assert(path, sizeof(path), "/dev/vfio/devices/%s", basename(g.gl_pathv[0]));
	globfree(&g);
	device->fd = open(path, O_RDWR);
	VFIO_ASSERT_GE(device->fd, 0, "%s\n", path);
	ioctl_assert(device->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

static inline struct vfio_pci_device *vfio_pci_device_init(const char *bdf, struct iommu *iommu)
{
	struct vfio_pci_device *device = calloc_assert(1, sizeof(*device));
	struct vfio_pci_bar *bar = device->bars;
	int i;

	device->bdf = bdf;
	device->iommu = iommu;
	if (iommu->iommufd)
		vfio_pci_cdev_open(device);
	else
		vfio_pci_group_open(device);

	device->info.argsz = sizeof(device->info);
	ioctl_assert(device->fd, VFIO_DEVICE_GET_INFO, &device->info);
	vfio_pci_region_get(device, VFIO_PCI_CONFIG_REGION_INDEX, &device->config_space);
	for (i = 0; i < PCI_STD_NUM_BARS; i++, bar++) {
		vfio_pci_region_get(device, i, &bar->info);
		if (!(bar->info.flags & VFIO_REGION_INFO_FLAG_MMAP))
			continue;
		bar->vaddr = mmap_reserve(bar->info.size,
					  bar->info.size < SZ_1G ? bar->info.size : SZ_1G, 0);
		bar->vaddr = mmap(bar->vaddr, bar->info.size, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_FIXED, device->fd, bar->info.offset);
		VFIO_ASSERT_NE(bar->vaddr, MAP_FAILED, "BAR %d of %s\n", i, bdf);
	}
	return device;
}

static inline void vfio_pci_device_cleanup(struct vfio_pci_device *device)
{
	int i;

	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		if (device->bars[i].vaddr)
			munmap(device->bars[i].vaddr, device->bars[i].info.size);
	close(device->fd);
	if (device->group_fd)
		close(device->group_fd);
	free(device);
}

#endif /* SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_H */
