// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the owner of a device sees of a BAR that goes away
 *
 * A BAR that does not decode, has no power or is being reset must not be
 * reached, so vfio-pci takes it from all who have mapped it. Until it is back, a
 * load ends in SIGBUS. Then the next load is a page fault: by that a BAR is seen
 * to have been away for a moment.
 *
 * The test reads the BARs of the device, writes to those that are prefetchable,
 * and resets the device and all functions that are reset with it.
 */
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/types.h>

#include <libvfio.h>

#include "kselftest_harness.h"

#define MAX_FUNCTIONS	8
#define MAX_PAGES	(MAX_FUNCTIONS * PCI_STD_NUM_BARS * 4)

static const char *device_bdf;

/* How a load ends. A device that does not answer may end it in SIGBUS, too. */
enum seen { MAPPED, FAULT, AWAY, NO_MAPPING, NO_ANSWER };

static const char * const seen_names[] = {
	"mapped", "page fault", "SIGBUS", "SIGSEGV", "no answer",
};

/* A page of a BAR, mapped by itself, and what it is mapped by */
struct page {
	void *addr;
	int fd;
	off_t offset;
};

/* The first is the device, the others are those that are reset with it. */
struct function {
	const char *bdf;
	int group, group_fd, fd;
	/* NULL if it was opened by the group of another function */
	struct vfio_pci_device *device;
};

struct owner {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct function functions[MAX_FUNCTIONS];
	int nr_functions;
	char no_hot_reset[128];
	/* The device's own come first. */
	struct page pages[MAX_PAGES];
	int nr_pages, nr_device_pages;
	/* A process that loads, too, and the pipes to and from it */
	pid_t child;
	int to[2], from[2];
};

FIXTURE(vfio_pci_bar_revoke_test) {
	struct owner owner;
};

/* A group and a character device. BARs have nothing to do with the type of IOMMU. */
FIXTURE_VARIANT(vfio_pci_bar_revoke_test) {
	const char *iommu_mode, *file;
};

FIXTURE_VARIANT_ADD(vfio_pci_bar_revoke_test, vfio_type1v2_iommu) {
	.iommu_mode = MODE_VFIO_TYPE1V2_IOMMU,
	.file = "/dev/vfio/vfio",
};

FIXTURE_VARIANT_ADD(vfio_pci_bar_revoke_test, iommufd) {
	.iommu_mode = MODE_IOMMUFD,
	.file = "/dev/iommu",
};

static sigjmp_buf before_load;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	siglongjmp(before_load, sig == SIGSEGV ? NO_MAPPING :
				info->si_code == BUS_ADRERR ? AWAY : NO_ANSWER);
}

static enum seen load(void *addr)
{
	/* Written before, so that getrusage() causes no fault. */
	struct rusage before = {}, after = {};
	enum seen seen = sigsetjmp(before_load, true);

	if (seen)
		return seen;
	getrusage(RUSAGE_THREAD, &before);
	(void)READ_ONCE(*(u32 *)addr);
	getrusage(RUSAGE_THREAD, &after);
	return before.ru_minflt + before.ru_majflt ==
	       after.ru_minflt + after.ru_majflt ? MAPPED : FAULT;
}

/* Map a page where @addr says, or anywhere. */
static void *map_page(void *addr, int fd, off_t offset)
{
	int flags = addr ? MAP_SHARED | MAP_FIXED : MAP_SHARED;

	addr = mmap(addr, getpagesize(), PROT_READ, flags, fd, offset);
	VFIO_ASSERT_NE(addr, MAP_FAILED, "mmap() of a BAR failed\n");
	return addr;
}

static void add_page(struct owner *o, void *addr, int fd, off_t offset)
{
	o->pages[o->nr_pages++] = (struct page){ addr ?: map_page(NULL, fd, offset), fd, offset };
}

/* Of each BAR the first, middle and last page: no fault maps two of them. */
static void add_bars(struct owner *o, int fd)
{
	u64 page = getpagesize();

	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct vfio_region_info bar = { .argsz = sizeof(bar), .index = i };

		ioctl_assert(fd, VFIO_DEVICE_GET_REGION_INFO, &bar);
		if (!(bar.flags & VFIO_REGION_INFO_FLAG_MMAP))
			continue;
		add_page(o, NULL, fd, bar.offset);
		if (bar.size > page) {
			add_page(o, NULL, fd, bar.offset + bar.size / 2);
			add_page(o, NULL, fd, bar.offset + bar.size - page);
		}
	}
}

/* A group is opened once, and gives all its functions. */
static void open_function(struct owner *o, const char *bdf, struct iommu *iommu)
{
	struct function *f = &o->functions[o->nr_functions++], *g = o->functions;

	f->bdf = bdf;
	f->group = sysfs_iommu_group_get(bdf);
	while (g < f && !(g->group_fd && g->group == f->group))
		g++;
	if (g < f) {
		f->group_fd = g->group_fd;
		f->fd = ioctl(f->group_fd, VFIO_GROUP_GET_DEVICE_FD, f->bdf);
		VFIO_ASSERT_GE(f->fd, 0, "Failed to open %s\n", f->bdf);
	} else {
		f->device = vfio_pci_device_init(f->bdf, iommu);
		f->group_fd = f->device->group_fd;
		f->fd = f->device->fd;
	}
	add_bars(o, f->fd);
}

static void close_function(struct owner *o)
{
	struct function *f = &o->functions[--o->nr_functions];

	if (f->device)
		vfio_pci_device_cleanup(f->device);
	else
		close(f->fd);
}

static bool in_sysfs(const char *bdf, const char *name)
{
	char path[64];

	snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	return !access(path, F_OK);
}

/* Open what is reset with the device, or say why that cannot be. */
static void open_others(struct owner *o)
{
	size_t argsz = sizeof(struct vfio_pci_hot_reset_info) +
		       sizeof(struct vfio_pci_dependent_device) * MAX_FUNCTIONS;
	struct vfio_pci_hot_reset_info *info = calloc_assert(1, argsz);

	info->argsz = argsz;
	if (ioctl(o->device->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info)) {
		snprintf(o->no_hot_reset, sizeof(o->no_hot_reset),
			 "no reset of its slot or bus (%s)", strerror(errno));
		info->count = 0;
	}
	for (int i = 0; i < info->count; i++) {
		struct vfio_pci_dependent_device *d = &info->devices[i];
		char bdf[16];

		snprintf(bdf, sizeof(bdf), "%04x:%02x:%02x.%d", d->segment, d->bus,
			 d->devfn >> 3, d->devfn & 7);
		if (!strcasecmp(bdf, device_bdf))
			continue;
		if (!in_sysfs(bdf, "vfio-dev")) {
			snprintf(o->no_hot_reset, sizeof(o->no_hot_reset),
				 "%s would be reset, too, and has no driver of vfio", bdf);
			break;
		}
		open_function(o, strdup(bdf), o->iommu);
	}
	free(info);
}

FIXTURE_SETUP(vfio_pci_bar_revoke_test)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct owner *o = &self->owner;
	struct vfio_pci_bar *bar;

	ASSERT_EQ(0, sigaction(SIGBUS, &action, NULL));
	ASSERT_EQ(0, sigaction(SIGSEGV, &action, NULL));

	if (access(variant->file, F_OK))
		SKIP(return, "no %s", variant->file);
	o->iommu = iommu_init(variant->iommu_mode);
	open_function(o, device_bdf, o->iommu);
	o->device = o->functions[0].device;
	/* And the last page of each BAR as libvfio has mapped it, by huge pages */
	for (bar = o->device->bars; bar < o->device->bars + PCI_STD_NUM_BARS; bar++) {
		u64 last = bar->info.size > getpagesize() ? bar->info.size - getpagesize() : 0;

		if (bar->vaddr)
			add_page(o, bar->vaddr + last, o->device->fd, bar->info.offset + last);
	}
	o->nr_device_pages = o->nr_pages;
	open_others(o);
	if (!o->nr_device_pages)
		SKIP(return, "%s has no BAR that can be mapped", device_bdf);
}

static void stop_child(struct owner *o)
{
	if (!o->child)
		return;
	close(o->to[1]);
	close(o->from[0]);
	waitpid(o->child, NULL, 0);
	o->child = 0;
}

FIXTURE_TEARDOWN(vfio_pci_bar_revoke_test)
{
	struct owner *o = &self->owner;

	stop_child(o);
	while (o->nr_functions)
		close_function(o);
	iommu_cleanup(o->iommu);
}

/* The child has inherited the mappings, or makes them by what it has inherited. */
static void start_child(struct owner *o, bool maps)
{
	struct page *p = o->pages;
	char seen;
	void *addr;

	VFIO_ASSERT_EQ(pipe(o->to), 0);
	VFIO_ASSERT_EQ(pipe(o->from), 0);
	o->child = fork();
	VFIO_ASSERT_GE(o->child, 0);
	close(o->to[!o->child]);
	close(o->from[!!o->child]);
	if (o->child)
		return;

	for (; maps && p < o->pages + o->nr_pages; p++)
		map_page(p->addr, dup(p->fd), p->offset);
	while (read(o->to[0], &addr, sizeof(addr)) == sizeof(addr)) {
		seen = load(addr);
		VFIO_ASSERT_EQ(write(o->from[1], &seen, 1), 1);
	}
	_exit(0);
}

static enum seen child_load(struct owner *o, void *addr)
{
	char seen;

	VFIO_ASSERT_EQ(write(o->to[1], &addr, sizeof(addr)), sizeof(addr));
	VFIO_ASSERT_EQ(read(o->from[0], &seen, 1), 1, "The child has died\n");
	return seen;
}

/* Until LOW_POWER they last until the BARs are called back. */
enum event { DECODE_BYTE, DECODE_WORD, DECODE_DWORD, D3HOT, LOW_POWER, FLR, RESET, HOT_RESET };

static const char * const event_names[] = {
	"decode_byte", "decode_word", "decode_dword", "d3hot", "low_power", "flr", "reset",
	"hot_reset",
};

static int capability(struct owner *o, u8 id)
{
	int pos = PCI_CAPABILITY_LIST, ttl = 48;

	while (ttl--) {
		pos = vfio_pci_config_readb(o->device, pos) & ~3;
		if (!pos || vfio_pci_config_readb(o->device, pos) == id)
			return pos;
		pos += PCI_CAP_LIST_NEXT;
	}
	return 0;
}

static int feature(struct owner *o, u32 flags)
{
	struct vfio_device_feature f = { .argsz = sizeof(f), .flags = flags };

	return ioctl(o->device->fd, VFIO_DEVICE_FEATURE, &f);
}

/* Show the groups of the first @nr functions; an iommufd speaks for itself. */
static int hot_reset(struct owner *o, int nr)
{
	size_t argsz = sizeof(struct vfio_pci_hot_reset) + sizeof(s32) * nr;
	struct vfio_pci_hot_reset *reset = calloc_assert(1, argsz);
	int ret;

	reset->argsz = argsz;
	for (int i = 0; o->device->group_fd && i < nr; i++)
		reset->group_fds[reset->count++] = o->functions[i].group_fd;
	ret = ioctl(o->device->fd, VFIO_DEVICE_PCI_HOT_RESET, reset) ? -errno : 0;
	free(reset);
	return ret;
}

/* Why an event cannot happen */
static const char *lacks(struct owner *o, enum event e)
{
	int exp = capability(o, PCI_CAP_ID_EXP);

	switch (e) {
	case D3HOT:
		return capability(o, PCI_CAP_ID_PM) ? NULL : "no power management";
	case LOW_POWER:
		return feature(o, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) ?
		       "no VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY" : NULL;
	case FLR:
		return exp && vfio_pci_config_readl(o->device, exp + PCI_EXP_DEVCAP) &
			      PCI_EXP_DEVCAP_FLR ? NULL : "no function level reset";
	case RESET:
		return o->device->info.flags & VFIO_DEVICE_FLAGS_RESET ? NULL : "no reset";
	case HOT_RESET:
		return *o->no_hot_reset ? o->no_hot_reset : NULL;
	default:
		return NULL;
	}
}

/* Does the kernel keep the device awake? Without CONFIG_PM that is "unsupported". */
static bool is_awake(void)
{
	char path[80], status[16] = "";
	FILE *file;

	snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s/power/runtime_status",
			device_bdf);
	file = fopen(path, "r");
	if (file) {
		VFIO_ASSERT_NE(fgets(status, sizeof(status), file), NULL);
		fclose(file);
	}
	return !strcmp(status, "active\n") || !strcmp(status, "suspending\n");
}

static void set(struct owner *o, enum event e, bool away)
{
	int pos;
	u16 reg;
	u32 cmd;

	switch (e) {
	case D3HOT:
		pos = capability(o, PCI_CAP_ID_PM) + PCI_PM_CTRL;
		reg = vfio_pci_config_readw(o->device, pos) & ~PCI_PM_CTRL_STATE_MASK;
		vfio_pci_config_writew(o->device, pos, reg | (away ? 3 : 0));
		break;
	case LOW_POWER:
		VFIO_ASSERT_EQ(feature(o, VFIO_DEVICE_FEATURE_SET |
				       (away ? VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY :
					       VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)), 0);
		/* A work item suspends it. */
		for (int ms = 0; away && is_awake(); ms++) {
			VFIO_ASSERT_LT(ms, 10000, "%s is not suspended: power/control is on?\n",
				       device_bdf);
			usleep(1000);
		}
		break;
	case FLR:
		pos = capability(o, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
		reg = vfio_pci_config_readw(o->device, pos);
		vfio_pci_config_writew(o->device, pos, reg | PCI_EXP_DEVCTL_BCR_FLR);
		break;
	case RESET:
		vfio_pci_device_reset(o->device);
		break;
	case HOT_RESET:
		VFIO_ASSERT_EQ(hot_reset(o, o->nr_functions), 0);
		break;
	default:
		/* Of a dword the rest is the status, which zeroes do not change. */
		cmd = vfio_pci_config_readw(o->device, PCI_COMMAND);
		cmd = away ? cmd & ~PCI_COMMAND_MEMORY : cmd | PCI_COMMAND_MEMORY;
		vfio_pci_config_access(o->device, true, PCI_COMMAND, 1 << e, &cmd);
	}
}

/* Load from the first @nr pages, here and in the child. */
static void touch(struct owner *o, int nr)
{
	for (int i = 0; i < nr; i++) {
		load(o->pages[i].addr);
		if (o->child)
			child_load(o, o->pages[i].addr);
	}
}

/* The same, and all end as @seen. Of those that do not, the first says enough. */
static void expect(struct __test_metadata *_metadata, struct owner *o, int nr,
		   enum seen seen, const char *when)
{
	const char *want = seen_names[seen], *said = want, *who = "";
	struct page *wrong = o->pages;

	for (struct page *p = o->pages; p < o->pages + nr; p++) {
		enum seen here = load(p->addr), there = o->child ? child_load(o, p->addr) : seen;

		if (said != want || (here == seen && there == seen))
			continue;
		said = seen_names[here == seen ? there : here];
		who = here == seen ? ", child" : "";
		wrong = p;
	}
	EXPECT_STREQ(want, said)
		TH_LOG("%s: fd %d, 0x%lx%s", when, wrong->fd, wrong->offset, who);
}

#define EXPECT_PAGES(_nr, _seen, _when) expect(_metadata, o, _nr, _seen, _when)

static void check(struct __test_metadata *_metadata, struct owner *o, enum event e)
{
	int nr = e == HOT_RESET ? o->nr_pages : o->nr_device_pages;
	/* A VF has no memory enable of its own: the next load maps the BAR again. */
	bool is_virtual = e <= DECODE_DWORD && in_sysfs(device_bdf, "physfn");

	touch(o, nr);
	EXPECT_PAGES(nr, MAPPED, event_names[e]);
	set(o, e, true);
	if (e <= LOW_POWER && !is_virtual) {
		EXPECT_PAGES(nr, AWAY, event_names[e]);
		set(o, e, false);
	}
	EXPECT_PAGES(nr, FAULT, event_names[e]);
	EXPECT_PAGES(nr, MAPPED, event_names[e]);
	if (is_virtual)
		set(o, e, false);
}

/* All events that there are, each on mappings that have been prepared for it */
static void check_all(struct __test_metadata *_metadata, struct owner *o,
		      void (*prepare)(struct __test_metadata *_metadata, struct owner *o))
{
	for (enum event e = DECODE_DWORD; e <= HOT_RESET; e++) {
		if (lacks(o, e))
			continue;
		if (prepare)
			prepare(_metadata, o);
		check(_metadata, o, e);
		stop_child(o);
	}
}

static void check_one(struct __test_metadata *_metadata, struct owner *o, enum event e)
{
	const char *why = lacks(o, e);

	if (why)
		SKIP(return, "%s: %s", device_bdf, why);
	check(_metadata, o, e);
}

TEST_F(vfio_pci_bar_revoke_test, decode_byte)
{
	check_one(_metadata, &self->owner, DECODE_BYTE);
}

TEST_F(vfio_pci_bar_revoke_test, decode_word)
{
	check_one(_metadata, &self->owner, DECODE_WORD);
}

TEST_F(vfio_pci_bar_revoke_test, decode_dword)
{
	check_one(_metadata, &self->owner, DECODE_DWORD);
}

TEST_F(vfio_pci_bar_revoke_test, d3hot)
{
	check_one(_metadata, &self->owner, D3HOT);
}

TEST_F(vfio_pci_bar_revoke_test, low_power)
{
	check_one(_metadata, &self->owner, LOW_POWER);
}

TEST_F(vfio_pci_bar_revoke_test, flr)
{
	check_one(_metadata, &self->owner, FLR);
}

TEST_F(vfio_pci_bar_revoke_test, reset)
{
	check_one(_metadata, &self->owner, RESET);
}

TEST_F(vfio_pci_bar_revoke_test, hot_reset)
{
	check_one(_metadata, &self->owner, HOT_RESET);
}

/* If a function is somebody else's, nothing is reset, and nothing lost. */
TEST_F(vfio_pci_bar_revoke_test, hot_reset_refused)
{
	struct owner *o = &self->owner;
	int nr = o->nr_functions - 1, ret;
	struct function *f = &o->functions[nr];

	if (*o->no_hot_reset)
		SKIP(return, "%s: %s", device_bdf, o->no_hot_reset);
	if (!nr)
		SKIP(return, "%s: nothing else is reset with it", device_bdf);
	for (int i = 0; i < nr; i++)
		if (o->functions[i].group == f->group)
			SKIP(return, "%s: in one IOMMU group with %s", f->bdf, o->functions[i].bdf);

	while (o->pages[o->nr_pages - 1].fd == f->fd)
		munmap(o->pages[--o->nr_pages].addr, getpagesize());
	close_function(o);
	open_function(o, f->bdf, iommu_init(variant->iommu_mode));

	touch(o, o->nr_pages);
	EXPECT_EQ(-EINVAL, hot_reset(o, nr));
	/*
	 * A lock that was not released makes it EBUSY. Then whoever closes the
	 * device waits for ever: let that be somebody else.
	 */
	ret = hot_reset(o, nr);
	if (ret == -EBUSY && !fork()) {
		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
			close(fd);
		for (;;)
			pause();
	}
	ASSERT_EQ(-EINVAL, ret);
	touch(o, o->nr_pages);
	EXPECT_PAGES(o->nr_pages, MAPPED, "refused");
	if (f->group_fd) {
		EXPECT_EQ(0, hot_reset(o, o->nr_functions));
		EXPECT_PAGES(o->nr_pages, FAULT, "with the other group");
	}
}

static void move(struct __test_metadata *_metadata, struct owner *o)
{
	size_t size = getpagesize();
	struct page *p = o->pages;

	touch(o, o->nr_pages);
	for (; p < o->pages + o->nr_pages; p++) {
		p->addr = mremap(p->addr, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
				 mmap_reserve(size, size, 0));
		ASSERT_NE(MAP_FAILED, p->addr);
	}
	/* The move has made the mapping: a fault would make it one like any other. */
	EXPECT_STREQ("mapped", seen_names[load(o->pages[0].addr)]);
}

TEST_F(vfio_pci_bar_revoke_test, moved_by_mremap)
{
	check_all(_metadata, &self->owner, move);
}

static void inherit(struct __test_metadata *_metadata, struct owner *o)
{
	touch(o, o->nr_pages);
	start_child(o, false);
}

TEST_F(vfio_pci_bar_revoke_test, inherited_by_fork)
{
	check_all(_metadata, &self->owner, inherit);
}

static void map_in_child(struct __test_metadata *_metadata, struct owner *o)
{
	start_child(o, true);
}

TEST_F(vfio_pci_bar_revoke_test, mapped_by_child)
{
	check_all(_metadata, &self->owner, map_in_child);
}

TEST_F(vfio_pci_bar_revoke_test, second_file)
{
	struct owner *o = &self->owner;
	struct page *p = o->pages;
	int fd;

	if (!o->device->group_fd)
		SKIP(return, "a character device can be opened but once");
	fd = ioctl(o->device->group_fd, VFIO_GROUP_GET_DEVICE_FD, device_bdf);
	ASSERT_LE(0, fd);
	for (; p < o->pages + o->nr_device_pages; p++)
		map_page(p->addr, fd, p->offset);
	check_all(_metadata, o, NULL);
	close(fd);
}

/* The first page of what libvfio has mapped. The last one is still there. */
static void *hole(struct vfio_pci_bar *bar)
{
	return bar->info.size > getpagesize() ? bar->vaddr : NULL;
}

static void expect_holes(struct __test_metadata *_metadata, struct owner *o)
{
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		void *addr = hole(&o->device->bars[i]);

		if (addr)
			EXPECT_STREQ("SIGSEGV", seen_names[load(addr)]);
	}
}

TEST_F(vfio_pci_bar_revoke_test, partly_unmapped)
{
	struct owner *o = &self->owner;
	int nr = 0;

	touch(o, o->nr_pages);
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		void *addr = hole(&o->device->bars[i]);

		if (addr)
			ASSERT_EQ(0, munmap(addr, getpagesize()));
		nr += !!addr;
	}
	if (!nr)
		SKIP(return, "%s: no BAR of two pages", device_bdf);
	check_all(_metadata, o, expect_holes);
	expect_holes(_metadata, o);
}

/* A BAR that is memory has what was written, unless the device may forget it. */
TEST_F(vfio_pci_bar_revoke_test, memory)
{
	struct owner *o = &self->owner;
	int pm = capability(o, PCI_CAP_ID_PM) + PCI_PM_CTRL, nr = 0;
	u32 *words[PCI_STD_NUM_BARS], values[PCI_STD_NUM_BARS];

	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		words[nr] = o->device->bars[i].vaddr;
		if (!words[nr] || !(vfio_pci_config_readl(o->device, PCI_BASE_ADDRESS_0 + 4 * i) &
				    PCI_BASE_ADDRESS_MEM_PREFETCH))
			continue;
		values[nr] = ~READ_ONCE(*words[nr]);
		WRITE_ONCE(*words[nr], values[nr]);
		nr += READ_ONCE(*words[nr]) == values[nr];
	}
	if (!nr)
		SKIP(return, "%s: no BAR is memory", device_bdf);

	for (enum event e = DECODE_BYTE; e <= D3HOT; e++) {
		if (e == D3HOT && (lacks(o, e) || !(vfio_pci_config_readw(o->device, pm) &
						    PCI_PM_CTRL_NO_SOFT_RESET)))
			break;
		set(o, e, true);
		set(o, e, false);
		for (int i = 0; i < nr; i++)
			EXPECT_EQ(values[i], READ_ONCE(*words[i]))
				TH_LOG("after %s", event_names[e]);
	}
}

int main(int argc, char *argv[])
{
	device_bdf = vfio_selftests_get_bdf(&argc, argv);
	return test_harness_run(argc, argv);
}
