// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI BARs for KVM selftests: see vfio_bar.h.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <linux/compiler.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#include "test_util.h"
#include "vfio_bar.h"

#define PCI_SYSFS	"/sys/bus/pci/devices"
#define SYSFS_PATH_LEN	(sizeof(PCI_SYSFS) + NAME_MAX + 64)

/* Class code [23:16]; include/linux/pci_ids.h is not for user space. */
#define PCI_BASE_CLASS_BRIDGE	0x06

#define MAX_GROUPS	VFIO_BAR_MAX_DEVS

/* An IOMMU group can be opened only once: all its devices share one fd. */
static struct vfio_group {
	int id;
	int fd;
	int users;
} groups[MAX_GROUPS];

/* One container serves every group, so that any two devices can be used. */
static int container_fd = -1;
static int container_users;

static char why[512];

static void __printf(1, 2) why_err(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
}

const char *vfio_bar_why(void)
{
	return why;
}

/* What to do about an open() or ioctl() that failed, if that can be told. */
static const char *remedy(int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
		return geteuid() ? "run as root" :
				   "check kernel lockdown and device cgroups";
	case EBUSY:
		return "another program uses the device: stop it";
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return "load vfio-pci (CONFIG_VFIO_PCI, CONFIG_VFIO_GROUP)";
	default:
		return "see the kernel log";
	}
}

/* Name of the driver a device is bound to, empty if there is none. */
static void pci_driver_of(const char *bdf, char *name, size_t size)
{
	char path[SYSFS_PATH_LEN], target[PATH_MAX];
	const char *base;
	ssize_t n;

	name[0] = 0;
	snprintf(path, sizeof(path), PCI_SYSFS "/%s/driver", bdf);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return;
	target[n] = 0;
	base = strrchr(target, '/');
	snprintf(name, size, "%.31s", base ? base + 1 : target);
}

/*
 * vfio-pci, or one of its variants (mlx5_vfio_pci, hisi-acc-vfio-pci, ...).
 * They all end in the same two words and hand BARs to vfio_pci_core_mmap().
 */
static bool is_vfio_pci(const char *driver)
{
	size_t n = strlen(driver);

	return n >= 8 && (!strcmp(driver + n - 8, "vfio-pci") ||
			  !strcmp(driver + n - 8, "vfio_pci"));
}

static unsigned long pci_sysfs_hex(const char *bdf, const char *attr)
{
	char path[SYSFS_PATH_LEN], buf[32];
	unsigned long val = 0;
	FILE *f;

	snprintf(path, sizeof(path), PCI_SYSFS "/%s/%s", bdf, attr);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fgets(buf, sizeof(buf), f))
		val = strtoul(buf, NULL, 16);
	fclose(f);
	return val;
}

static int pci_iommu_group(const char *bdf)
{
	char path[SYSFS_PATH_LEN], target[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), PCI_SYSFS "/%s/iommu_group", bdf);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -1;
	target[n] = 0;
	base = strrchr(target, '/');
	return base ? atoi(base + 1) : -1;
}

/* Is @bdf in the list of words that environment variable @var holds? */
static bool env_lists(const char *var, const char *bdf)
{
	const char *s = getenv(var);
	size_t n = strlen(bdf);

	while (s && *s) {
		size_t len = strcspn(s, " ,\t\n");

		if (len == n && !strncmp(s, bdf, n))
			return true;
		s += len;
		s += strspn(s, " ,\t\n");
	}
	return false;
}

static bool is_named(const char *bdf)
{
	return env_lists("KVM_VFIO_BAR_WRITE", bdf) ||
	       env_lists("KVM_VFIO_DEVICE", bdf);
}

/* Fill in what sysfs tells about a device. */
static bool pci_read_device(struct vfio_pci_dev *dev, const char *bdf)
{
	char path[SYSFS_PATH_LEN];
	FILE *f;
	int i;

	memset(dev, 0, sizeof(*dev));
	dev->fd = -1;
	dev->cdev_iommufd = -1;
	snprintf(dev->bdf, sizeof(dev->bdf), "%.15s", bdf);

	snprintf(path, sizeof(path), PCI_SYSFS "/%s/resource", bdf);
	f = fopen(path, "r");
	if (!f)
		return false;
	for (i = 0; i < VFIO_BAR_NR_BARS; i++) {
		unsigned long long start, end, flags;

		if (fscanf(f, "%llx %llx %llx", &start, &end, &flags) != 3)
			break;
		if (!end)
			continue;
		dev->bar[i].start = start;
		dev->bar[i].size = end - start + 1;
		dev->bar[i].flags = flags;
	}
	fclose(f);

	dev->group = pci_iommu_group(bdf);
	dev->may_write = env_lists("KVM_VFIO_BAR_WRITE", bdf);
	dev->named = is_named(bdf);
	return true;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* vfio-pci does not even bind to a device that no IOMMU isolates. */
static bool host_has_iommu(void)
{
	struct dirent **list;
	int i, n;

	n = scandir("/sys/class/iommu", &list, not_hidden, NULL);
	for (i = 0; i < n; i++)
		free(list[i]);
	if (n >= 0)
		free(list);
	if (n <= 0)
		why_err("the host has no IOMMU, without which vfio-pci binds to nothing: enable the SMMU in firmware and kernel (CONFIG_ARM_SMMU_V3)");
	return n > 0;
}

/* Take @bdf if it is bound to vfio-pci, else say why not. */
static bool pci_take_device(struct vfio_pci_dev *dev, const char *bdf)
{
	char driver[32];

	if (!pci_read_device(dev, bdf)) {
		why_err("%s: no such PCI device: give an address as in %s",
			bdf, PCI_SYSFS);
		return false;
	}
	pci_driver_of(bdf, driver, sizeof(driver));
	if (!driver[0]) {
		if (host_has_iommu())
			why_err("%s is bound to no driver: write vfio-pci to its driver_override and its address to /sys/bus/pci/drivers_probe",
				bdf);
		return false;
	}
	if (!is_vfio_pci(driver)) {
		why_err("%s is bound to %s: unbind it, then bind it to vfio-pci",
			bdf, driver);
		return false;
	}
	return true;
}

int vfio_pci_discover(struct vfio_pci_dev *devs, int max)
{
	const char *s = getenv("KVM_VFIO_DEVICE");
	struct dirent **list;
	int i, n, nr = 0;

	if (s && *s) {
		while (*s && nr < max) {
			size_t len = strcspn(s, " ,\t\n");
			char bdf[16];

			if (len) {
				snprintf(bdf, sizeof(bdf), "%.*s",
					 (int)(len < 15 ? len : 15), s);
				if (pci_take_device(&devs[nr], bdf))
					nr++;
			}
			s += len;
			s += strspn(s, " ,\t\n");
		}
		return nr;
	}

	if (access("/sys/bus/pci/drivers/vfio-pci", F_OK)) {
		why_err("the kernel has no vfio-pci driver: modprobe vfio-pci (CONFIG_VFIO_PCI)");
		return 0;
	}

	n = scandir(PCI_SYSFS, &list, not_hidden, by_name);
	for (i = 0; i < n; i++) {
		char driver[32];

		pci_driver_of(list[i]->d_name, driver, sizeof(driver));
		if (nr < max && is_vfio_pci(driver) &&
		    pci_read_device(&devs[nr], list[i]->d_name))
			nr++;
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	if (!nr && host_has_iommu())
		why_err("no device is bound to vfio-pci: write vfio-pci to a device's driver_override and its address to /sys/bus/pci/drivers_probe");
	return nr;
}

/* The members of a group that keep it from being viable, for the message. */
static void list_group_offenders(int group, char *buf, size_t size)
{
	char path[64], driver[32];
	struct dirent **list;
	size_t len = 0;
	int i, n;

	buf[0] = 0;
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices",
		 group);
	n = scandir(path, &list, not_hidden, by_name);
	for (i = 0; i < n; i++) {
		const char *bdf = list[i]->d_name;

		/* A bridge does no DMA of its own: its driver may stay. */
		pci_driver_of(bdf, driver, sizeof(driver));
		if (driver[0] && !is_vfio_pci(driver) &&
		    pci_sysfs_hex(bdf, "class") >> 16 != PCI_BASE_CLASS_BRIDGE &&
		    len < size)
			len += snprintf(buf + len, size - len, " %s (%s)",
					bdf, driver);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static int container_get(void)
{
	if (container_fd < 0) {
		container_fd = open("/dev/vfio/vfio", O_RDWR);
		if (container_fd < 0) {
			why_err("/dev/vfio/vfio: %s: %s", strerror(errno),
				remedy(errno));
			return -1;
		}
		if (ioctl(container_fd, VFIO_GET_API_VERSION) !=
		    VFIO_API_VERSION) {
			why_err("/dev/vfio/vfio speaks another version of the API: use matching kernel headers");
			close(container_fd);
			container_fd = -1;
			return -1;
		}
	}
	container_users++;
	return container_fd;
}

static void container_put(void)
{
	if (!--container_users) {
		close(container_fd);
		container_fd = -1;
	}
}

/* The container's IOMMU type is chosen with its first group, once for all. */
static int container_attach(int group_fd, bool first)
{
	static const int types[] = { VFIO_TYPE1v2_IOMMU, VFIO_TYPE1_IOMMU };
	int i;

	if (ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, &container_fd))
		return -1;
	if (!first)
		return 0;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (ioctl(container_fd, VFIO_CHECK_EXTENSION, types[i]) > 0 &&
		    !ioctl(container_fd, VFIO_SET_IOMMU, types[i]))
			return 0;
	}
	return -1;
}

static struct vfio_group *group_get(int id)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_group *g = NULL;
	char path[32], offenders[256];
	int i;

	for (i = 0; i < MAX_GROUPS; i++) {
		if (groups[i].users && groups[i].id == id) {
			groups[i].users++;
			return &groups[i];
		}
		if (!groups[i].users && !g)
			g = &groups[i];
	}
	if (!g) {
		why_err("more than %d IOMMU groups: name fewer devices in KVM_VFIO_DEVICE",
			MAX_GROUPS);
		return NULL;
	}

	snprintf(path, sizeof(path), "/dev/vfio/%d", id);
	g->fd = open(path, O_RDWR);
	if (g->fd < 0) {
		why_err("%s: %s: %s", path, strerror(errno), remedy(errno));
		return NULL;
	}
	if (ioctl(g->fd, VFIO_GROUP_GET_STATUS, &status)) {
		why_err("%s: VFIO_GROUP_GET_STATUS: %s: %s", path,
			strerror(errno), remedy(errno));
		goto close_group;
	}
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		list_group_offenders(id, offenders, sizeof(offenders));
		why_err("IOMMU group %d is not viable: bind its other devices to vfio-pci too, or unbind them:%s",
			id, offenders);
		goto close_group;
	}
	if (container_get() < 0)
		goto close_group;
	if (container_attach(g->fd, container_users == 1)) {
		if (errno == EPERM)
			why_err("%s: MSIs are not isolated on this host: set vfio_iommu_type1.allow_unsafe_interrupts=1 if you can live with it",
				path);
		else
			why_err("%s: no type1 IOMMU for it: %s: enable the SMMU in firmware and kernel (CONFIG_ARM_SMMU_V3, CONFIG_VFIO_IOMMU_TYPE1)",
				path, strerror(errno));
		container_put();
		goto close_group;
	}
	g->id = id;
	g->users = 1;
	return g;

close_group:
	close(g->fd);
	return NULL;
}

static void group_put(int id)
{
	int i;

	for (i = 0; i < MAX_GROUPS; i++) {
		if (!groups[i].users || groups[i].id != id)
			continue;
		if (--groups[i].users)
			return;
		close(groups[i].fd);
		container_put();
		return;
	}
}

static int open_by_group(struct vfio_pci_dev *dev)
{
	struct vfio_group *g;

	if (dev->group < 0) {
		why_err("%s has no IOMMU group: enable the SMMU in firmware and kernel (CONFIG_ARM_SMMU_V3)",
			dev->bdf);
		return -1;
	}
	g = group_get(dev->group);
	if (!g)
		return -1;
	dev->fd = ioctl(g->fd, VFIO_GROUP_GET_DEVICE_FD, dev->bdf);
	if (dev->fd < 0) {
		why_err("%s: VFIO_GROUP_GET_DEVICE_FD: %s: %s", dev->bdf,
			strerror(errno), remedy(errno));
		group_put(dev->group);
		return -1;
	}
	dev->how = VFIO_PCI_GROUP;
	return 0;
}

#ifdef VFIO_DEVICE_BIND_IOMMUFD
static int open_by_cdev(struct vfio_pci_dev *dev)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	char path[SYSFS_PATH_LEN], name[NAME_MAX + 1] = "";
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), PCI_SYSFS "/%s/vfio-dev", dev->bdf);
	dir = opendir(path);
	while (dir && (d = readdir(dir)))
		if (!strncmp(d->d_name, "vfio", 4))
			snprintf(name, sizeof(name), "%s", d->d_name);
	if (dir)
		closedir(dir);

	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	if (!name[0] || access(path, F_OK)) {
		why_err("%s has no vfio character device: this needs CONFIG_VFIO_DEVICE_CDEV",
			dev->bdf);
		return -1;
	}
	dev->fd = open(path, O_RDWR);
	if (dev->fd < 0) {
		why_err("%s: %s: %s", path, strerror(errno), remedy(errno));
		return -1;
	}
	dev->cdev_iommufd = open("/dev/iommu", O_RDWR);
	if (dev->cdev_iommufd < 0) {
		why_err("/dev/iommu: %s: this needs root and CONFIG_IOMMUFD",
			strerror(errno));
		goto close_dev;
	}

	/*
	 * Binding is what opens the device.  No I/O address space is attached:
	 * the device then cannot do DMA, which no test wants it to.
	 */
	bind.iommufd = dev->cdev_iommufd;
	if (ioctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind)) {
		if (errno == EPERM)
			why_err("%s: MSIs are not isolated on this host: set iommufd.allow_unsafe_interrupts=1 if you can live with it",
				dev->bdf);
		else
			why_err("%s: VFIO_DEVICE_BIND_IOMMUFD: %s: %s",
				dev->bdf, strerror(errno), remedy(errno));
		goto close_iommufd;
	}
	dev->how = VFIO_PCI_CDEV;
	return 0;

close_iommufd:
	close(dev->cdev_iommufd);
	dev->cdev_iommufd = -1;
close_dev:
	close(dev->fd);
	dev->fd = -1;
	return -1;
}
#else
static int open_by_cdev(struct vfio_pci_dev *dev)
{
	why_err("%s: this kernel's headers know no vfio character device: it came with Linux 6.6",
		dev->bdf);
	return -1;
}
#endif

int vfio_pci_open(struct vfio_pci_dev *dev, enum vfio_pci_how how)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int ret;

	if (how == VFIO_PCI_GROUP)
		ret = open_by_group(dev);
	else if (how == VFIO_PCI_CDEV)
		ret = open_by_cdev(dev);
	else if (access("/dev/vfio/vfio", F_OK) &&
		 !access("/dev/vfio/devices", F_OK))
		ret = open_by_cdev(dev);
	else
		ret = open_by_group(dev);
	if (ret)
		return ret;

	TEST_ASSERT(!ioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info),
		    "%s: VFIO_DEVICE_GET_INFO: %s", dev->bdf, strerror(errno));
	dev->flags = info.flags;
	vfio_pci_set_memory_decode(dev, true);
	return 0;
}

void vfio_pci_close(struct vfio_pci_dev *dev)
{
	if (dev->fd < 0)
		return;
	close(dev->fd);
	if (dev->how == VFIO_PCI_GROUP)
		group_put(dev->group);
	else
		close(dev->cdev_iommufd);
	dev->fd = -1;
	dev->cdev_iommufd = -1;
	dev->how = VFIO_PCI_ANY;
}

bool vfio_pci_named(const struct vfio_pci_dev *dev)
{
	if (!dev->named)
		why_err("%s is not named: name it in KVM_VFIO_DEVICE if resets, power states and loads of any kind do it no harm",
			dev->bdf);
	return dev->named;
}

bool vfio_pci_may_write(const struct vfio_pci_dev *dev)
{
	if (!dev->may_write)
		why_err("%s may not be written to: name it in KVM_VFIO_BAR_WRITE if its BARs are plain memory",
			dev->bdf);
	return dev->may_write;
}

int vfio_pci_region(const struct vfio_pci_dev *dev, uint32_t index,
		    struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

static bool bar_mmapable(const struct vfio_pci_dev *dev, int bar)
{
	struct vfio_region_info info;

	return !vfio_pci_region(dev, bar, &info) &&
	       info.flags & VFIO_REGION_INFO_FLAG_MMAP;
}

struct vfio_pci_dev *vfio_pci_find_bar(struct vfio_pci_dev *devs, int nr,
				       const struct vfio_bar_want *want,
				       int skip, int *bar)
{
	const char *unmappable = NULL, *unnamed = NULL;
	int i, b;

	for (i = 0; i < nr; i++) {
		for (b = 0; b < VFIO_BAR_NR_BARS; b++) {
			const struct vfio_pci_bar *res = &devs[i].bar[b];

			if (!res->size || !(res->flags & VFIO_BAR_F_MEM) ||
			    (res->flags & want->set) != want->set ||
			    res->flags & want->clear ||
			    res->size < want->min_size ||
			    (want->max_size && res->size > want->max_size) ||
			    (devs[i].flags & want->dev_flags) !=
			    want->dev_flags)
				continue;
			if (!bar_mmapable(&devs[i], b)) {
				unmappable = devs[i].bdf;
				continue;
			}
			if (!(res->flags & VFIO_BAR_F_PREFETCH) &&
			    !devs[i].named) {
				unnamed = devs[i].bdf;
				continue;
			}
			if (skip--)
				continue;
			*bar = b;
			return &devs[i];
		}
	}

	if (unnamed)
		why_err("%s: %s has one, but loads from it may have side effects: name it in KVM_VFIO_DEVICE if they do no harm",
			want->what, unnamed);
	else if (unmappable)
		why_err("%s: vfio does not let user space map the one of %s: use another device (CONFIG_VFIO_PCI_MMAP)",
			want->what, unmappable);
	else
		why_err("%s: no device bound to vfio-pci has one: bind one that does",
			want->what);
	return NULL;
}

struct vfio_pci_dev *vfio_pci_pick_bar(struct vfio_pci_dev *devs, int nr,
				       int *bar)
{
	static const struct vfio_bar_want prefetchable = {
		.set = VFIO_BAR_F_PREFETCH,
		.what = "a prefetchable BAR",
	};
	static const struct vfio_bar_want any = { .what = "a BAR" };
	struct vfio_pci_dev *dev;

	dev = vfio_pci_find_bar(devs, nr, &prefetchable, 0, bar);
	return dev ?: vfio_pci_find_bar(devs, nr, &any, 0, bar);
}

struct vfio_pci_dev *vfio_bar_setup(struct vfio_pci_dev *devs, int max,
				    int *nr, int *bar)
{
	struct vfio_pci_dev *dev;
	char left_out[sizeof(why)] = "";
	int i, found;

	*nr = 0;
	found = vfio_pci_discover(devs, max);
	for (i = 0; i < found; i++) {
		struct vfio_pci_dev d = devs[i];

		if (vfio_pci_open(&d, VFIO_PCI_ANY)) {
			printf("# %s left out: %s\n", d.bdf, vfio_bar_why());
			strcpy(left_out, why);
		} else {
			devs[(*nr)++] = d;
		}
	}
	if (!*nr)
		return NULL;
	dev = vfio_pci_pick_bar(devs, *nr, bar);
	/* What cannot be opened is nearer to a remedy than what has no BAR. */
	if (!dev && left_out[0])
		why_err("%s", left_out);
	if (dev)
		printf("# %s BAR %d: 0x%lx bytes at 0x%lx, opened by %s, writes %sallowed\n",
		       dev->bdf, *bar, (unsigned long)dev->bar[*bar].size,
		       (unsigned long)dev->bar[*bar].start,
		       dev->how == VFIO_PCI_CDEV ? "cdev" : "group",
		       dev->may_write ? "" : "not ");
	return dev;
}

struct vfio_pci_dev *vfio_bar_require(struct vfio_pci_dev *devs, int max,
				      int *nr, int *bar)
{
	struct vfio_pci_dev *dev = vfio_bar_setup(devs, max, nr, bar);

	if (!dev)
		ksft_exit_skip("%s\n", vfio_bar_why());
	return dev;
}

size_t vfio_pci_bar_map_size(const struct vfio_pci_dev *dev, int bar)
{
	size_t page = getpagesize();

	return (dev->bar[bar].size + page - 1) & ~(page - 1);
}

void *vfio_pci_bar_pick_address(const struct vfio_pci_dev *dev, int bar,
				uint64_t offset, size_t size)
{
	size_t align = dev->bar[bar].size;
	uintptr_t base, addr;
	void *p;

	if (align > SZ_1G)
		align = SZ_1G;
	if (align < getpagesize())
		align = getpagesize();

	p = mmap(NULL, size + 2 * align, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	TEST_ASSERT(p != MAP_FAILED, "reserving %zu bytes: %s", size + 2 * align,
		    strerror(errno));

	base = (uintptr_t)p;
	addr = ((base + align - 1) & ~(align - 1)) + (offset & (align - 1));
	munmap(p, size + 2 * align);
	return (void *)addr;
}

static void *bar_mmap(const struct vfio_pci_dev *dev, int bar, void *addr,
		      int prot, uint64_t offset, size_t size, int fd,
		      uint64_t fd_offset, const char *from)
{
	void *p;

	if (!addr)
		addr = vfio_pci_bar_pick_address(dev, bar, offset, size);
	p = mmap(addr, size, prot, MAP_SHARED | MAP_FIXED, fd,
		 fd_offset + offset);
	if (p != MAP_FAILED)
		return p;
	why_err("mmap of %s BAR %d from %s: %s: %s", dev->bdf, bar, from,
		strerror(errno),
		errno == EINVAL ?
		"the BAR is not mmapable (check CONFIG_IO_STRICT_DEVMEM and iomem=)" :
		remedy(errno));
	return NULL;
}

void *vfio_pci_bar_mmap(const struct vfio_pci_dev *dev, int bar, void *addr,
			int prot, uint64_t offset, size_t size)
{
	struct vfio_region_info info;

	if (vfio_pci_region(dev, bar, &info)) {
		why_err("%s BAR %d: VFIO_DEVICE_GET_REGION_INFO: %s: %s",
			dev->bdf, bar, strerror(errno), remedy(errno));
		return NULL;
	}
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP)) {
		why_err("%s BAR %d is not mmapable: use another BAR (CONFIG_VFIO_PCI_MMAP)",
			dev->bdf, bar);
		return NULL;
	}
	return bar_mmap(dev, bar, addr, prot, offset, size, dev->fd,
			info.offset, "vfio");
}

void *vfio_pci_sysfs_mmap(const struct vfio_pci_dev *dev, int bar, bool wc,
			  void *addr, int prot, uint64_t offset, size_t size)
{
	char path[SYSFS_PATH_LEN];
	void *p;
	int fd;

	snprintf(path, sizeof(path), PCI_SYSFS "/%s/resource%d%s", dev->bdf,
		 bar, wc ? "_wc" : "");
	fd = open(path, prot & PROT_WRITE ? O_RDWR : O_RDONLY);
	if (fd < 0) {
		if (errno == ENOENT && wc)
			why_err("%s does not exist: only prefetchable BARs have it, where the kernel can map PCI write-combining",
				path);
		else
			why_err("%s: %s: %s", path, strerror(errno),
				remedy(errno));
		return NULL;
	}
	p = bar_mmap(dev, bar, addr, prot, offset, size, fd, 0, "sysfs");
	close(fd);
	return p;
}

static uint64_t config_offset(const struct vfio_pci_dev *dev)
{
	struct vfio_region_info info;

	TEST_ASSERT(!vfio_pci_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, &info),
		    "%s has no configuration region: %s", dev->bdf,
		    strerror(errno));
	return info.offset;
}

uint32_t vfio_pci_config_read(const struct vfio_pci_dev *dev, int pos, int len)
{
	uint32_t val = 0;

	/* Configuration space is little endian, and so are arm64 user programs. */
	TEST_ASSERT(pread(dev->fd, &val, len, config_offset(dev) + pos) == len,
		    "%s: read of config 0x%x: %s", dev->bdf, pos,
		    strerror(errno));
	return val;
}

void vfio_pci_config_write(const struct vfio_pci_dev *dev, int pos,
			   uint32_t val, int len)
{
	TEST_ASSERT(pwrite(dev->fd, &val, len, config_offset(dev) + pos) == len,
		    "%s: write of config 0x%x: %s", dev->bdf, pos,
		    strerror(errno));
}

int vfio_pci_find_capability(const struct vfio_pci_dev *dev, int id)
{
	int pos, ttl = 48;

	if (!(vfio_pci_config_read(dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	pos = vfio_pci_config_read(dev, PCI_CAPABILITY_LIST, 1);
	while (pos && ttl--) {
		if (vfio_pci_config_read(dev, pos + PCI_CAP_LIST_ID, 1) == id)
			return pos;
		pos = vfio_pci_config_read(dev, pos + PCI_CAP_LIST_NEXT, 1);
	}
	return 0;
}

void vfio_pci_set_memory_decode(const struct vfio_pci_dev *dev, bool on)
{
	uint16_t cmd = vfio_pci_config_read(dev, PCI_COMMAND, 2);

	if (on)
		cmd |= PCI_COMMAND_MEMORY;
	else
		cmd &= ~PCI_COMMAND_MEMORY;
	vfio_pci_config_write(dev, PCI_COMMAND, cmd, 2);
}

int vfio_pci_reset(const struct vfio_pci_dev *dev)
{
	if (!(dev->flags & VFIO_DEVICE_FLAGS_RESET)) {
		why_err("%s cannot be reset: use a device with FLR, or alone behind a bridge",
			dev->bdf);
		return -1;
	}
	if (ioctl(dev->fd, VFIO_DEVICE_RESET)) {
		why_err("%s: VFIO_DEVICE_RESET: %s: %s", dev->bdf,
			strerror(errno), remedy(errno));
		return -1;
	}
	return 0;
}

int vfio_pci_hot_reset(const struct vfio_pci_dev *dev)
{
	struct {
		struct vfio_pci_hot_reset_info info;
		struct vfio_pci_dependent_device devices[64];
	} i = { .info.argsz = sizeof(i) };
	struct {
		struct vfio_pci_hot_reset reset;
		int32_t fds[MAX_GROUPS];
	} r = { .reset.argsz = sizeof(r) };
	int d, g;

	if (ioctl(dev->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &i)) {
		why_err("%s: no reset of its slot or bus: %s: put it alone behind a bridge",
			dev->bdf, strerror(errno));
		return -1;
	}

	for (d = 0; d < i.info.count; d++) {
		char bdf[16];

		snprintf(bdf, sizeof(bdf), "%04x:%02x:%02x.%x",
			 i.devices[d].segment, i.devices[d].bus,
			 i.devices[d].devfn >> 3, i.devices[d].devfn & 7);
		if (!is_named(bdf)) {
			why_err("%s would be reset along with %s: name it in KVM_VFIO_DEVICE if that does no harm",
				bdf, dev->bdf);
			return -1;
		}
	}

	/*
	 * The groups of the affected devices prove that they are ours, and
	 * more are refused.  By cdev the kernel finds out itself.
	 */
	for (g = 0; dev->how == VFIO_PCI_GROUP && g < MAX_GROUPS; g++) {
		for (d = 0; groups[g].users && d < i.info.count; d++) {
			if (i.devices[d].group_id != groups[g].id)
				continue;
			r.fds[r.reset.count++] = groups[g].fd;
			break;
		}
	}

	if (ioctl(dev->fd, VFIO_DEVICE_PCI_HOT_RESET, &r)) {
		why_err("%s: VFIO_DEVICE_PCI_HOT_RESET, %u devices on the bus: %s: bind all of them to vfio-pci",
			dev->bdf, i.info.count, strerror(errno));
		return -1;
	}
	return 0;
}

static void sysfs_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	/* What comes of it is looked at afterwards. */
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

int vfio_pci_rebind(struct vfio_pci_dev *dev)
{
	char path[SYSFS_PATH_LEN], bdf[sizeof(dev->bdf)];

	strcpy(bdf, dev->bdf);
	snprintf(path, sizeof(path), PCI_SYSFS "/%s/driver_override", bdf);
	if (access(path, F_OK))
		sysfs_write("/sys/bus/pci/rescan", "1");
	sysfs_write(path, "vfio-pci");
	sysfs_write("/sys/bus/pci/drivers_probe", bdf);
	return pci_take_device(dev, bdf) ? 0 : -1;
}
