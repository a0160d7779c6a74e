// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI BARs for KVM selftests: see vfio_bar.h.
 */
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#include "test_util.h"
#include "memattr/vfio_bar.h"

#define DEVICES		"/sys/bus/pci/devices"

/* The headers may be older than the kernel that runs. */
#ifndef VFIO_DEVICE_BIND_IOMMUFD
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};

#define VFIO_DEVICE_BIND_IOMMUFD	_IO(VFIO_TYPE, VFIO_BASE + 18)
#endif

const struct vfio_bar_want vfio_bar_any = { .what = "a BAR", };

static char why[512];

static void __printf(1, 2) why_err(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
}

/**
 * vfio_bar_why() - the reason for the last failure, with its remedy
 *
 * Return: a sentence without a newline, valid until the next failure
 */
const char *vfio_bar_why(void)
{
	return why;
}

static int open_or_why(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0)
		why_err("%s: %s: run as root, with CONFIG_VFIO_PCI, with the device bound to vfio-pci and no other user of it",
			path, strerror(errno));
	return fd;
}

/* The last part of a name, or of what a symbolic link leads to */
static const char *last_part(const char *path)
{
	return strrchr(path, '/') + 1;
}

static int find_cap(int fd, u64 config, int id)
{
	u8 c[256] = {};
	int pos, ttl = 48;

	if (pread(fd, c, sizeof(c), config) < PCI_STD_HEADER_SIZEOF ||
	    !(c[PCI_STATUS] & PCI_STATUS_CAP_LIST))
		return 0;
	for (pos = c[PCI_CAPABILITY_LIST] & ~3; pos && ttl--;
	     pos = c[pos + PCI_CAP_LIST_NEXT] & ~3) {
		if (c[pos + PCI_CAP_LIST_ID] == id)
			return pos;
	}
	return 0;
}

static unsigned int read_id(const char *bdf, const char *what)
{
	unsigned int id = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", bdf, what);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%x", &id) != 1)
			id = 0;
		fclose(f);
	}
	return id;
}

/* vfio-pci has a list of such bridges, too, which this must not be taken from. */
static bool bridge_is_broken(const char *bdf)
{
	unsigned int vendor = read_id(bdf, "vendor"), device = read_id(bdf, "device");
	const char *named = getenv("KVM_VFIO_BROKEN");
	char id[16];

	snprintf(id, sizeof(id), "%04x:%04x", vendor, device);
	if (named)
		return strstr(named, id);
	return vendor == 0x1def && device >= 0xe100 && device <= 0xe118;
}

/* How many bridges are above a function, and is the platform of one broken? */
static int bridges_above(const char *bdf, bool *broken)
{
	char path[64], real[PATH_MAX], host[16], *save, *name, *next;
	int n = 0;

	*broken = false;
	snprintf(path, sizeof(path), DEVICES "/%s", bdf);
	if (!realpath(path, real))
		return 0;
	/* /sys/devices/.../pci0000:00/0000:00:03.0/0000:01:00.0 */
	name = strtok_r(strstr(real, "/pci") + 1, "/", &save);
	snprintf(host, sizeof(host), "%.7s:00.0", name + strlen("pci"));
	if (read_id(host, "class") >> 8 == 0x0600)
		*broken = bridge_is_broken(host);
	for (name = strtok_r(NULL, "/", &save); name; name = next) {
		next = strtok_r(NULL, "/", &save);
		if (!next)
			break;
		*broken |= bridge_is_broken(name);
		n++;
	}
	return n;
}

/* Does sysfs say that the function is what is wanted? */
static bool function_fits(const char *bdf, const struct vfio_bar_want *want)
{
	char path[64], line[64] = "";
	bool fits = true, broken;
	int fd;

	if (want->reset) {
		snprintf(path, sizeof(path), DEVICES "/%s/reset_method", bdf);
		fd = open(path, O_RDONLY);
		fits = read(fd, line, sizeof(line) - 1) > 1 &&
		       strstr(line, want->reset);
		close(fd);
	}
	if (want->cap) {
		snprintf(path, sizeof(path), DEVICES "/%s/config", bdf);
		fd = open(path, O_RDONLY);
		fits &= find_cap(fd, 0, want->cap) > 0;
		close(fd);
	}
	if (want->above) {
		int n = bridges_above(bdf, &broken);

		fits &= want->above == (n < 2 ? n : 2) + 1;
	}
	if (want->vf) {
		snprintf(path, sizeof(path), DEVICES "/%s/physfn", bdf);
		fits &= !access(path, F_OK) == (want->vf > 0);
	}
	return fits;
}

/* The next BAR of b->bdf from b->index on that is what is wanted */
static bool next_bar(struct vfio_bar *b, const struct vfio_bar_want *want,
		     u64 set)
{
	u64 page = getpagesize(), size, start, end, flags;
	char path[64];
	int i;
	FILE *f;

	b->may_write = strstr(getenv("KVM_VFIO_BAR_WRITE") ?: "", b->bdf);
	bridges_above(b->bdf, &b->broken);
	snprintf(path, sizeof(path), DEVICES "/%s/resource", b->bdf);
	f = fopen(path, "r");
	for (i = 0; f && i < PCI_STD_NUM_BARS; i++) {
		if (fscanf(f, "%lx %lx %lx", &start, &end, &flags) != 3)
			break;
		size = end - start + 1;
		if (i < b->index || !start || !(flags & VFIO_BAR_F_MEM) ||
		    (flags & set) != set || flags & want->clear ||
		    size < want->min_size || (want->sub_page && size >= page))
			continue;
		b->index = i;
		b->pa = start;
		b->size = (size + page - 1) & ~(page - 1);
		fclose(f);
		return true;
	}
	if (f)
		fclose(f);
	return false;
}

static bool open_by_group(struct vfio_bar *b)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64], link[128];
	ssize_t n;

	snprintf(path, sizeof(path), DEVICES "/%s/iommu_group", b->bdf);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = 0;
	if (n < 0) {
		why_err("%s has no IOMMU group: enable the SMMU in firmware and kernel (CONFIG_ARM_SMMU_V3)",
			b->bdf);
		return false;
	}
	snprintf(path, sizeof(path), "/dev/vfio/%.16s", last_part(link));

	b->iommu = open_or_why("/dev/vfio/vfio", O_RDWR);
	b->group = open_or_why(path, O_RDWR);
	if (b->iommu < 0 || b->group < 0)
		return false;
	if (ioctl(b->group, VFIO_GROUP_GET_STATUS, &status) ||
	    !(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		why_err("%s is not viable: bind the other devices of the IOMMU group to vfio-pci too, or unbind them",
			path);
		return false;
	}
	if (ioctl(b->group, VFIO_GROUP_SET_CONTAINER, &b->iommu) ||
	    ioctl(b->iommu, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)) {
		why_err("%s: no type1 IOMMU: %s: does it take CONFIG_VFIO_IOMMU_TYPE1, or vfio_iommu_type1.allow_unsafe_interrupts=1?",
			path, strerror(errno));
		return false;
	}
	b->fd = ioctl(b->group, VFIO_GROUP_GET_DEVICE_FD, b->bdf);
	if (b->fd < 0)
		why_err("%s: VFIO_GROUP_GET_DEVICE_FD: %s", b->bdf, strerror(errno));
	return b->fd >= 0;
}

/* No I/O address space is attached: the device cannot do DMA, and need not. */
static bool open_by_cdev(struct vfio_bar *b, const char *name)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/devices/%.16s", name);
	b->iommu = open_or_why("/dev/iommu", O_RDWR);
	b->fd = open_or_why(path, O_RDWR);
	if (b->iommu < 0 || b->fd < 0)
		return false;
	bind.iommufd = b->iommu;
	if (!ioctl(b->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return true;
	why_err("%s: VFIO_DEVICE_BIND_IOMMUFD: %s: does it take iommufd.allow_unsafe_interrupts=1?",
		path, strerror(errno));
	return false;
}

static bool open_device(struct vfio_bar *b)
{
	struct vfio_region_info info = { .argsz = sizeof(info), };
	char path[64];
	glob_t g = {};
	bool ok;

	b->fd = -1;
	b->group = -1;
	b->iommu = -1;
	snprintf(path, sizeof(path), DEVICES "/%s/vfio-dev/vfio*", b->bdf);
	if (!access("/dev/vfio/devices", F_OK) && !glob(path, 0, NULL, &g))
		ok = open_by_cdev(b, last_part(g.gl_pathv[0]));
	else
		ok = open_by_group(b);
	globfree(&g);
	if (!ok)
		goto close;

	info.index = VFIO_PCI_CONFIG_REGION_INDEX;
	TEST_ASSERT(!ioctl(b->fd, VFIO_DEVICE_GET_REGION_INFO, &info),
		    "%s has no configuration region", b->bdf);
	b->config = info.offset;
	info.index = b->index;
	if (ioctl(b->fd, VFIO_DEVICE_GET_REGION_INFO, &info) ||
	    !(info.flags & VFIO_REGION_INFO_FLAG_MMAP)) {
		why_err("vfio does not let user space map BAR %d of %s: use another device (CONFIG_VFIO_PCI_MMAP)",
			b->index, b->bdf);
		goto close;
	}
	b->offset = info.offset;
	vfio_bar_set_decode(b, true);
	return true;
close:
	vfio_bar_close(b);
	return false;
}

static bool open_first(struct vfio_bar *b, const struct vfio_bar_want *want,
		       const char *devices, u64 set)
{
	char *names = strdup(devices), *save, *name;
	bool ok = false;

	for (name = strtok_r(names, " ,\n", &save); name && !ok;
	     name = strtok_r(NULL, " ,\n", &save)) {
		memset(b, 0, sizeof(*b));
		snprintf(b->bdf, sizeof(b->bdf), "%.15s", name);
		if (!function_fits(name, want))
			continue;
		for (; next_bar(b, want, set) && !ok; b->index += !ok)
			ok = open_device(b);
	}
	free(names);
	return ok;
}

/**
 * vfio_bar_open() - find a BAR of the devices that are named, and open its device
 * @b: filled in; memory decode is on
 * @want: what the test needs
 *
 * The devices are those of KVM_VFIO_DEVICE, in that order. A prefetchable BAR is
 * better than another one. One device can be open at a time.
 *
 * Return: true, or false with vfio_bar_why() set
 */
bool vfio_bar_open(struct vfio_bar *b, const struct vfio_bar_want *want)
{
	const char *devices = getenv("KVM_VFIO_DEVICE");

	if (devices)
		why_err("%s: no device in KVM_VFIO_DEVICE has one", want->what);
	else
		why_err("no device given: name one that is bound to vfio-pci in KVM_VFIO_DEVICE; it will be reset, and its BARs are read");
	if (devices && (open_first(b, want, devices, want->set | VFIO_BAR_F_PREFETCH) ||
			open_first(b, want, devices, want->set)))
		return true;
	b->fd = -1;
	return false;
}

/**
 * vfio_bar_find() - which BAR of a function is it that vfio_bar_open() takes?
 * @b: filled in, but not open
 * @bdf: the function, "dddd:bb:dd.f"
 *
 * Return: true, or false if it has none
 */
bool vfio_bar_find(struct vfio_bar *b, const char *bdf)
{
	*b = (struct vfio_bar) { .fd = -1, .group = -1, .iommu = -1 };
	snprintf(b->bdf, sizeof(b->bdf), "%s", bdf);
	return next_bar(b, &vfio_bar_any, VFIO_BAR_F_PREFETCH) ||
	       next_bar(b, &vfio_bar_any, 0);
}

/**
 * vfio_bar_close() - undo vfio_bar_open() or vfio_bar_open_plain()
 * @b: the BAR, open or closed; mappings outlive this, and keep it in use
 */
void vfio_bar_close(struct vfio_bar *b)
{
	if (b->fd >= 0)
		close(b->fd);
	if (b->group >= 0)
		close(b->group);
	if (b->iommu >= 0)
		close(b->iommu);
	b->fd = -1;
	b->group = -1;
	b->iommu = -1;
}

/* Can the BAR be mapped so, for as long as vfio does not map it? */
static bool try_plain(struct vfio_bar *b, enum bar_source source)
{
	char path[64];
	void *p;

	snprintf(path, sizeof(path), DEVICES "/%s/resource%d%s", b->bdf,
		 b->index, source == BAR_SYSFS_WC ? "_wc" : "");
	if (source == BAR_DEV_MEM)
		strcpy(path, "/dev/mem");
	b->offset = source == BAR_DEV_MEM ? b->pa : 0;
	b->group = -1;
	b->iommu = -1;
	b->fd = open_or_why(path, O_RDWR | O_SYNC);
	if (b->fd < 0)
		return false;
	p = vfio_bar_mmap(b, NULL, PROT_READ, 0, getpagesize());
	if (p) {
		munmap(p, getpagesize());
		return true;
	}
	vfio_bar_close(b);
	why_err("%s cannot be mapped: a prefetchable BAR of a function that no driver has can be, or boot with iomem=relaxed",
		path);
	return false;
}

/**
 * vfio_bar_open_plain() - find a BAR that something else than vfio-pci maps
 * @plain: filled in
 * @own: the BAR to prefer, of an open device
 * @source: what is to map it; not BAR_VFIO
 * @size: smallest size of the BAR
 *
 * Where CONFIG_IO_STRICT_DEVMEM is set, @own can be mapped only until vfio maps
 * it, which takes it away, or from Linux 7.0 on not at all. There a prefetchable
 * BAR of a function that no driver has claimed does as well; it is made to decode
 * memory.
 *
 * Return: true, or false with vfio_bar_why() set
 */
bool vfio_bar_open_plain(struct vfio_bar *plain, const struct vfio_bar *own,
			 enum bar_source source, size_t size)
{
	const struct vfio_bar_want want = { .min_size = size, };
	char path[64];
	bool ok;
	size_t i;
	glob_t g;
	int fd;

	*plain = *own;
	ok = plain->size >= size && try_plain(plain, source);
	if (ok || glob(DEVICES "/*", 0, NULL, &g))
		return ok;
	for (i = 0; i < g.gl_pathc && !ok; i++) {
		snprintf(path, sizeof(path), "%.40s/driver", g.gl_pathv[i]);
		if (!access(path, F_OK))
			continue;
		memset(plain, 0, sizeof(*plain));
		snprintf(plain->bdf, sizeof(plain->bdf), "%.15s",
			 last_part(g.gl_pathv[i]));
		if (!next_bar(plain, &want, VFIO_BAR_F_PREFETCH))
			continue;
		snprintf(path, sizeof(path), "%.40s/enable", g.gl_pathv[i]);
		fd = open(path, O_WRONLY);
		ok = write(fd, "1", 1) == 1 && try_plain(plain, source);
		close(fd);
	}
	globfree(&g);
	return ok;
}

/**
 * vfio_bar_pick_address() - where a part of a BAR can be mapped
 * @b: the BAR
 * @offset: offset in the BAR, multiple of the page size
 * @size: bytes
 *
 * The address agrees with the physical address in all the bits below the BAR's
 * size (or 1G): whatever block size the kernel could use for the host's or the
 * guest's mapping, the address allows it.
 *
 * Return: an address range that is free until something else is mapped
 */
void *vfio_bar_pick_address(const struct vfio_bar *b, u64 offset, size_t size)
{
	size_t align = b->size < SZ_1G ? b->size : SZ_1G;
	uintptr_t addr;
	void *p;

	p = mmap(NULL, size + 2 * align, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	TEST_ASSERT(p != MAP_FAILED, "reserving %zu bytes: %s",
		    size + 2 * align, strerror(errno));
	munmap(p, size + 2 * align);
	addr = ((uintptr_t)p + align - 1) & ~(align - 1);
	return (void *)(addr + (offset & (align - 1)));
}

/**
 * vfio_bar_mmap() - map a part of a BAR
 * @b: the open BAR
 * @addr: address for MAP_FIXED, or NULL for vfio_bar_pick_address()
 * @prot: PROT_*
 * @offset: offset in the BAR, multiple of the page size
 * @size: bytes, multiple of the page size
 *
 * Return: the mapping, or NULL with vfio_bar_why() set
 */
void *vfio_bar_mmap(const struct vfio_bar *b, void *addr, int prot, u64 offset,
		    size_t size)
{
	void *p = mmap(addr ?: vfio_bar_pick_address(b, offset, size), size,
		       prot, MAP_SHARED | MAP_FIXED, b->fd, b->offset + offset);

	if (p != MAP_FAILED)
		return p;
	why_err("mmap of %s BAR %d: %s", b->bdf, b->index, strerror(errno));
	return NULL;
}

/**
 * vfio_bar_cap() - find a capability in configuration space
 * @b: the BAR, open by vfio
 * @id: PCI_CAP_ID_*
 *
 * Return: its offset, 0 if the device does not have it
 */
int vfio_bar_cap(const struct vfio_bar *b, int id)
{
	return find_cap(b->fd, b->config, id);
}

/**
 * vfio_bar_config() - change bits of a register in configuration space
 * @b: the BAR, open by vfio
 * @pos: offset of the register
 * @clear: bits to clear
 * @set: bits to set
 *
 * Return: the value that it has then, of 16 bits
 */
u16 vfio_bar_config(const struct vfio_bar *b, int pos, u16 clear, u16 set)
{
	u16 val;

	TEST_ASSERT(pread(b->fd, &val, sizeof(val), b->config + pos) == sizeof(val),
		    "%s: read of config 0x%x: %s", b->bdf, pos, strerror(errno));
	val = (val & ~clear) | set;
	TEST_ASSERT(pwrite(b->fd, &val, sizeof(val), b->config + pos) == sizeof(val),
		    "%s: write of config 0x%x: %s", b->bdf, pos, strerror(errno));
	TEST_ASSERT(pread(b->fd, &val, sizeof(val), b->config + pos) == sizeof(val),
		    "%s: read of config 0x%x: %s", b->bdf, pos, strerror(errno));
	return val;
}

/**
 * vfio_bar_set_decode() - PCI_COMMAND_MEMORY on or off
 * @b: the BAR, open by vfio
 * @on: the new state
 */
void vfio_bar_set_decode(const struct vfio_bar *b, bool on)
{
	vfio_bar_config(b, PCI_COMMAND, PCI_COMMAND_MEMORY,
			on ? PCI_COMMAND_MEMORY : 0);
}
