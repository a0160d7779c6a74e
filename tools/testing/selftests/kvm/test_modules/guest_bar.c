// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test driver for the VM of vfio_bar_vmm. It maps the BAR of the function that it was
 * bound to last, by driver_override: the first that is prefetchable, else the first.
 *
 * /dev/guest_bar reads and writes it, each 4K in a way of its own. What is shorter is a
 * load, and reads nothing. An access that faults is -EFAULT.
 *
 * With "resource" and "resource_wc" the process that reads or writes maps the BAR's file in
 * sysfs, and accesses it with the rights of a program.
 */
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/uaccess.h>

static char *how = "ioremap";
module_param(how, charp, 0644);
MODULE_PARM_DESC(how, "ioremap, ioremap_np, ioremap_wc, memremap_wc, resource or resource_wc");
static unsigned long va;
module_param(va, ulong, 0644);
MODULE_PARM_DESC(va, "Where the BAR is mapped");
static unsigned long ipa;
module_param(ipa, ulong, 0444);
MODULE_PARM_DESC(ipa, "Its physical address");

/*
 * An access of @size bytes every @step bytes, first at @step and last at 0, as QEMU checks
 * nothing but the first access to a page; what is 8 every 7 ends with the page, too.
 */
static const struct {
	u16 size, step;
} ways[] = {
	{ 1, 1 }, { 2, 2 }, { 4, 4 }, { 8, 8 },
	/* For Normal memory alone, by the VM's own stage 1; the last is a page of zeros. */
	{ 8, 7 }, { SZ_4K, SZ_4K }, { SZ_4K, SZ_4K },
};

static struct pci_dev *bound;
static int bar_nr;
static bool user;
static u8 page[SZ_4K] __aligned(SZ_4K);

#define ONE_ACCESS(type) do {						\
	if (write)							\
		__put_kernel_nofault(bar, ram, type, fault);		\
	else								\
		__get_kernel_nofault(ram, bar, type, fault);		\
} while (0)

static int access(void *bar, void *ram, size_t size, bool write)
{
	if (user && write)
		return copy_to_user((void __user *)bar, ram, size) ? -EFAULT : 0;
	if (user)
		return copy_from_user(ram, (void __user *)bar, size) ? -EFAULT : 0;
	if (size == 1)
		ONE_ACCESS(u8);
	else if (size == 2)
		ONE_ACCESS(u16);
	else if (size == 4)
		ONE_ACCESS(u32);
	else if (size == 8)
		ONE_ACCESS(u64);
	else
		memcpy(write ? bar : ram, write ? ram : bar, size);
	return 0;
fault:
	return -EFAULT;
}

static int zero(void *bar)
{
	size_t i, block = 4 << (read_sysreg(dczid_el0) & 0xf);

	if (user)
		return clear_user((void __user *)bar, SZ_4K) ? -EFAULT : 0;
	memset(bar, 0xff, SZ_4K);
	for (i = 0; i < SZ_4K; i += block)
		asm volatile("dc	zva, %0" : : "r" (bar + i) : "memory");
	return 0;
}

/* The mapping goes with the process. */
static int map_file(void)
{
	struct file *file;
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d%s", pci_name(bound),
		 bar_nr, strstr(how, "_wc") ? "_wc" : "");
	file = filp_open(path, O_RDWR, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	va = vm_mmap(file, 0, ARRAY_SIZE(ways) * SZ_4K, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	filp_close(file, NULL);
	return IS_ERR_VALUE(va) ? va : 0;
}

static ssize_t transfer(void __user *buf, size_t count, loff_t *pos, bool write)
{
	size_t way = *pos / SZ_4K, size, step, i, at;
	void *bar;
	int ret;

	if (!bound || way >= ARRAY_SIZE(ways))
		return -ENODEV;
	ret = user ? map_file() : 0;
	if (ret)
		return ret;
	bar = (void *)va + way * SZ_4K;
	if (count < SZ_4K)
		return access(bar, page, 4, false);
	if (write && copy_from_user(page, buf, SZ_4K))
		return -EFAULT;
	size = ways[way].size;
	step = ways[way].step;
	if (write && way == ARRAY_SIZE(ways) - 1)
		ret = zero(bar);
	else
		for (i = 0; !ret && i + size <= SZ_4K; i += step) {
			at = (i + step) % (SZ_4K - size + step);
			ret = access(bar + at, page + at, size, write);
		}
	if (ret || (!write && copy_to_user(buf, page, SZ_4K)))
		return -EFAULT;
	*pos += SZ_4K;
	return SZ_4K;
}

static ssize_t guest_bar_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	return transfer(buf, count, pos, false);
}

static ssize_t guest_bar_write(struct file *file, const char __user *buf, size_t count,
			       loff_t *pos)
{
	return transfer((void __user *)buf, count, pos, true);
}

static const struct file_operations guest_bar_fops = {
	.owner = THIS_MODULE,
	.read = guest_bar_read,
	.write = guest_bar_write,
	.llseek = default_llseek,
};

static struct miscdevice guest_bar_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = KBUILD_MODNAME,
	.fops = &guest_bar_fops,
};

static void *map(size_t size)
{
	if (sysfs_streq(how, "ioremap_np"))
		return (void __force *)ioremap_np(ipa, size);
	if (sysfs_streq(how, "ioremap_wc"))
		return (void __force *)ioremap_wc(ipa, size);
	if (sysfs_streq(how, "memremap_wc"))
		return memremap(ipa, size, MEMREMAP_WC);
	return (void __force *)ioremap(ipa, size);
}

static int guest_bar_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int ret = pcim_enable_device(pdev);

	if (ret)
		return ret;
	for (bar_nr = 0; bar_nr < PCI_STD_NUM_BARS; bar_nr++)
		if (pci_resource_flags(pdev, bar_nr) & IORESOURCE_PREFETCH)
			break;
	bar_nr %= PCI_STD_NUM_BARS;
	ipa = pci_resource_start(pdev, bar_nr);
	user = strstarts(how, "resource");
	va = user ? 0 : (unsigned long)map(min_t(size_t, pci_resource_len(pdev, bar_nr), SZ_64K));
	pci_set_drvdata(pdev, (void *)va);
	bound = user || va ? pdev : NULL;
	return bound ? 0 : -ENOMEM;
}

static void guest_bar_remove(struct pci_dev *pdev)
{
	bound = NULL;
	/* What ioremap() has mapped, too */
	memunmap(pci_get_drvdata(pdev));
}

static struct pci_driver guest_bar_driver = {
	.name = KBUILD_MODNAME,
	.probe = guest_bar_probe,
	.remove = guest_bar_remove,
};

static int __init guest_bar_init(void)
{
	return misc_register(&guest_bar_dev) ?: pci_register_driver(&guest_bar_driver);
}
module_init(guest_bar_init);

MODULE_DESCRIPTION("Maps and accesses a BAR in a VM, for a KVM selftest");
MODULE_LICENSE("GPL");
MODULE_INFO(test, "Y");
