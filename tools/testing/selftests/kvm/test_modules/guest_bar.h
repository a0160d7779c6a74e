/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two sides of vfio_bar_vmm agree on, the VM's and the host's: in which ways
 * the VM writes to a BAR and reads from it, where, and what. Each way has a page of
 * 4K of its own, by its number. What it does not write has to stay as it is.
 */
#ifndef SELFTEST_KVM_GUEST_BAR_H
#define SELFTEST_KVM_GUEST_BAR_H

#define GUEST_BAR_PAGE		4096
/* What the host leaves around the data */
#define GUEST_BAR_BACKGROUND	0xee

/* For Normal types alone: a Device type allows neither, by the guest's stage 1 */
#define GUEST_BAR_NORMAL	0x1
/* Not for user space */
#define GUEST_BAR_KERNEL	0x2
/* All bytes are alike */
#define GUEST_BAR_FILL		0x4
/* All bytes are 0 */
#define GUEST_BAR_ZERO		0x8

enum guest_bar_way {
	GUEST_BAR_64,
	GUEST_BAR_32,
	GUEST_BAR_8,
	GUEST_BAR_IO,
	GUEST_BAR_UNALIGNED,
	GUEST_BAR_MEMCPY,
	GUEST_BAR_MEMSET,
	GUEST_BAR_ZVA,
	GUEST_BAR_WAYS
};

/**
 * struct guest_bar_op - a way to access a BAR
 * @name: for messages
 * @offset: where in its page, in bytes
 * @size: how much, in bytes
 * @flags: GUEST_BAR_*
 */
struct guest_bar_op {
	const char *name;
	unsigned int offset;
	unsigned int size;
	unsigned int flags;
};

static const struct guest_bar_op guest_bar_ops[GUEST_BAR_WAYS] = {
	[GUEST_BAR_64] = { "64 bits", 8, 1024, 0 },
	[GUEST_BAR_32] = { "32 bits", 4, 508, 0 },
	[GUEST_BAR_8] = { "8 bits", 3, 61, 0 },
	[GUEST_BAR_IO] = { "memcpy_toio", 5, 1003, GUEST_BAR_KERNEL },
	[GUEST_BAR_UNALIGNED] = { "64 bits, unaligned", 3, 1000, GUEST_BAR_NORMAL },
	[GUEST_BAR_MEMCPY] = { "memcpy", 7, 1001, GUEST_BAR_NORMAL },
	[GUEST_BAR_MEMSET] = { "memset", 9, 777, GUEST_BAR_NORMAL | GUEST_BAR_FILL },
	[GUEST_BAR_ZVA] = { "DC ZVA", 0, GUEST_BAR_PAGE,
			    GUEST_BAR_NORMAL | GUEST_BAR_ZERO },
};

/* The data: never the background, nor what it was with the seed before */
static inline unsigned char guest_bar_byte(unsigned int way, unsigned int i,
					   unsigned int seed)
{
	if (guest_bar_ops[way].flags & GUEST_BAR_ZERO)
		return 0;
	if (guest_bar_ops[way].flags & GUEST_BAR_FILL)
		i = 0;
	return (seed * 31 + way * 17 + i * 3 + (i >> 7)) % GUEST_BAR_BACKGROUND;
}

/* One access for each @type */
#define GUEST_BAR_COPY(type) do {					\
	for (i = 0; i < size; i += sizeof(type))			\
		__atomic_store_n((type *)(to + i),			\
				 __atomic_load_n((type *)(from + i), __ATOMIC_RELAXED), \
				 __ATOMIC_RELAXED);			\
} while (0)

/* One way, in either direction; @buf is RAM, and aligned as the BAR is */
static inline void guest_bar_copy(enum guest_bar_way way, void *bar, void *buf,
				  bool write)
{
	void *to = write ? bar : buf, *from = write ? buf : bar;
	size_t i, size = guest_bar_ops[way].size;
	unsigned long val;

	switch (way) {
	case GUEST_BAR_64:
		GUEST_BAR_COPY(unsigned long);
		break;
	case GUEST_BAR_32:
		GUEST_BAR_COPY(unsigned int);
		break;
	case GUEST_BAR_8:
		GUEST_BAR_COPY(unsigned char);
		break;
	case GUEST_BAR_UNALIGNED:
		for (i = 0; i < size; i += sizeof(val))
			asm volatile("ldr	%0, [%1]\n\tstr	%0, [%2]"
				     : "=&r" (val) : "r" (from + i), "r" (to + i)
				     : "memory");
		break;
	case GUEST_BAR_ZVA:
		asm volatile("mrs	%0, dczid_el0" : "=r" (val));
		for (i = 0; write && i < size; i += 4 << (val & 0xf))
			asm volatile("dc	zva, %0" : : "r" (to + i) : "memory");
		if (!write)
			memcpy(to, from, size);
		break;
	case GUEST_BAR_MEMSET:
		if (write)
			memset(to, *(unsigned char *)from, size);
		else
			memcpy(to, from, size);
		break;
#ifdef __KERNEL__
	case GUEST_BAR_IO:
		if (write)
			memcpy_toio((void __iomem *)to, from, size);
		else
			memcpy_fromio(to, (void __iomem *)from, size);
		break;
#endif
	default:
		memcpy(to, from, size);
		break;
	}
}

/**
 * guest_bar_all() - all ways that a mapping allows, one after the other
 * @bar: the mapping
 * @page: a page of RAM
 * @forbidden: flags of the ways to leave out
 * @seed: of the data
 * @write: write it, else read it and compare
 *
 * Return: how many bytes were written or found right, or if some were not -1 - WAY
 */
static inline int guest_bar_all(void *bar, unsigned char *page, unsigned int forbidden,
				unsigned int seed, bool write)
{
	unsigned int way, i;
	int bytes = 0;

	for (way = 0; way < GUEST_BAR_WAYS; way++) {
		const struct guest_bar_op *op = &guest_bar_ops[way];
		unsigned char *buf = page + op->offset;

		if (op->flags & forbidden)
			continue;
		for (i = 0; i < op->size; i++)
			buf[i] = write ? guest_bar_byte(way, i, seed) : GUEST_BAR_BACKGROUND;
		guest_bar_copy(way, bar + way * GUEST_BAR_PAGE + op->offset, buf, write);
		for (i = 0; i < op->size; i++)
			if (buf[i] != guest_bar_byte(way, i, seed))
				return -1 - (int)way;
		bytes += op->size;
	}
	return bytes;
}

#endif /* SELFTEST_KVM_GUEST_BAR_H */
