// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test driver for the VM of vfio_bar_vmm: maps a BAR in the way that a parameter names,
 * and accesses it when told to. It is bound by driver_override.
 *
 * A bound device has two attributes:
 *
 *   va	virtual address of the mapping
 *   op	"write SEED", "read SEED"	all ways of guest_bar.h that the mapping allows
 *	"touch"		a load
 *	"unaligned"	an unaligned store and load
 *	"irq"		have edu, a device of QEMU's, raise an interrupt, and wait
 *
 * What "op" returns is the verdict: -EFAULT for an access that faults, -EIO for data
 * that is wrong, -ETIMEDOUT without an interrupt; the kernel log has the details.
 */
#include <linux/completion.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "guest_bar.h"

/* Registers of edu, in docs/specs/edu of QEMU */
#define EDU_STATUS	0x24
#define EDU_RAISE	0x60
#define EDU_ACK		0x64

static char *how = "ioremap";
module_param(how, charp, 0644);
MODULE_PARM_DESC(how, "ioremap, ioremap_np, ioremap_wc or memremap_wc");

struct guest_bar {
	void *map;
	unsigned char *page;
	bool normal;
	struct completion irq;
};

static int unaligned(void *p)
{
	u64 val = 0x0123456789abcdef, seen = 0;

	__put_kernel_nofault(p, &val, u64, fault);
	__get_kernel_nofault(&seen, p, u64, fault);
	return seen == val ? 0 : -EIO;
fault:
	return -EFAULT;
}

static irqreturn_t edu_irq(int irq, void *data)
{
	struct guest_bar *gb = data;
	u32 status = readl((void __iomem *)gb->map + EDU_STATUS);

	if (!status)
		return IRQ_NONE;
	writel(status, (void __iomem *)gb->map + EDU_ACK);
	complete(&gb->irq);
	return IRQ_HANDLED;
}

static int edu_interrupt(struct pci_dev *pdev, struct guest_bar *gb)
{
	int ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES);

	if (ret < 0)
		return ret;
	init_completion(&gb->irq);
	ret = request_irq(pci_irq_vector(pdev, 0), edu_irq, IRQF_SHARED, KBUILD_MODNAME, gb);
	if (!ret) {
		writel(1, (void __iomem *)gb->map + EDU_RAISE);
		if (!wait_for_completion_timeout(&gb->irq, 10 * HZ))
			ret = -ETIMEDOUT;
		dev_notice(&pdev->dev, "%s: %s\n", pdev->msi_enabled ? "MSI" : "INTx",
			   ret ? "none came" : "one came");
		free_irq(pci_irq_vector(pdev, 0), gb);
	}
	pci_free_irq_vectors(pdev);
	return ret;
}

static ssize_t op_store(struct device *dev, struct device_attribute *attr,
			const char *buf, size_t count)
{
	struct guest_bar *gb = dev_get_drvdata(dev);
	unsigned int seed;
	int ret = -EINVAL;
	char word[16];

	if (sscanf(buf, "%15s %u", word, &seed) == 2) {
		ret = guest_bar_all(gb->map, gb->page, gb->normal ? 0 : GUEST_BAR_NORMAL,
				    seed, !strcmp(word, "write"));
		if (ret < 0)
			dev_err(dev, "%s: wrong data\n", guest_bar_ops[-1 - ret].name);
		else
			dev_notice(dev, "%d bytes\n", ret);
		ret = ret < 0 ? -EIO : 0;
	} else if (sysfs_streq(buf, "touch")) {
		readl((void __iomem *)gb->map);
		ret = 0;
	} else if (sysfs_streq(buf, "unaligned")) {
		ret = unaligned(gb->map + 1);
	} else if (sysfs_streq(buf, "irq")) {
		ret = edu_interrupt(to_pci_dev(dev), gb);
	}
	return ret ?: count;
}
static DEVICE_ATTR_WO(op);

static ssize_t va_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct guest_bar *gb = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%lx\n", (unsigned long)gb->map);
}
static DEVICE_ATTR_RO(va);

static struct attribute *guest_bar_attrs[] = {
	&dev_attr_op.attr,
	&dev_attr_va.attr,
	NULL
};
ATTRIBUTE_GROUPS(guest_bar);

static void *map(const struct resource *res, struct guest_bar *gb)
{
	size_t size = min_t(resource_size_t, resource_size(res), SZ_64K);

	gb->normal = strstr(how, "_wc");
	if (sysfs_streq(how, "ioremap"))
		return (void __force *)ioremap(res->start, size);
	if (sysfs_streq(how, "ioremap_np"))
		return (void __force *)ioremap_np(res->start, size);
	if (sysfs_streq(how, "ioremap_wc"))
		return (void __force *)ioremap_wc(res->start, size);
	if (sysfs_streq(how, "memremap_wc"))
		return memremap(res->start, size, MEMREMAP_WC);
	return NULL;
}

static int guest_bar_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct guest_bar *gb = devm_kzalloc(&pdev->dev, sizeof(*gb), GFP_KERNEL);
	int bar, ret;

	if (!gb)
		return -ENOMEM;
	gb->page = devm_kzalloc(&pdev->dev, 2 * GUEST_BAR_PAGE, GFP_KERNEL);
	if (!gb->page)
		return -ENOMEM;
	gb->page = PTR_ALIGN(gb->page, GUEST_BAR_PAGE);
	ret = pci_enable_device_mem(pdev);
	if (ret)
		return ret;
	pci_set_master(pdev);
	/* The first that is prefetchable, else the first */
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (pci_resource_flags(pdev, bar) & IORESOURCE_PREFETCH)
			break;
	gb->map = map(&pdev->resource[bar % PCI_STD_NUM_BARS], gb);
	if (!gb->map) {
		pci_disable_device(pdev);
		return -EINVAL;
	}
	pci_set_drvdata(pdev, gb);
	return 0;
}

static void guest_bar_remove(struct pci_dev *pdev)
{
	struct guest_bar *gb = pci_get_drvdata(pdev);

	/* What ioremap() has mapped, too */
	memunmap(gb->map);
	pci_disable_device(pdev);
}

static struct pci_driver guest_bar_driver = {
	.name		= KBUILD_MODNAME,
	.probe		= guest_bar_probe,
	.remove		= guest_bar_remove,
	.dev_groups	= guest_bar_groups,
};
module_pci_driver(guest_bar_driver);

MODULE_DESCRIPTION("Maps and accesses a BAR in a VM, for a KVM selftest");
MODULE_LICENSE("GPL");
MODULE_INFO(test, "Y");
