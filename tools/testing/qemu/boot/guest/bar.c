// SPDX-License-Identifier: GPL-2.0-only
/*
 * bar FILE touch|unaligned|spin, bar FILE write|read SEED: access a BAR from a program in
 * the VM of vfio_bar_vmm. FILE is that of the BAR in sysfs. To spin is to stay in the
 * background, with the BAR mapped at the address that is printed.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest_bar.h"

static void bus_error(int signal)
{
	static const char text[] = "Bus error\n";

	_exit(write(STDOUT_FILENO, text, sizeof(text) - 1) < 0 ? 2 : 1);
}

static int unaligned(void *p)
{
	unsigned long val = 0x0123456789abcdef, seen;

	signal(SIGBUS, bus_error);
	asm volatile("str	%1, [%2]\n\tldr	%0, [%2]"
		     : "=&r" (seen) : "r" (val), "r" (p) : "memory");
	if (seen != val)
		printf("0x%lx is read as 0x%lx\n", val, seen);
	return seen != val;
}

static int spin(void *p)
{
	if (fork())
		return 0;
	/* A child has to map it once more. */
	(void)*(volatile unsigned int *)p;
	printf("%lx\n", (unsigned long)p);
	fflush(stdout);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	for (;;)
		asm volatile("" : : : "memory");
}

int main(int argc, char *argv[])
{
	static unsigned char page[GUEST_BAR_PAGE] __attribute__((aligned(GUEST_BAR_PAGE)));
	unsigned int forbidden = GUEST_BAR_KERNEL;
	int fd, bytes;
	struct stat st;
	void *p;

	fd = argc > 2 ? open(argv[1], O_RDWR | O_SYNC) : -1;
	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "usage: bar FILE touch|unaligned|spin|write|read [SEED]\n");
		return 2;
	}
	p = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		perror(argv[1]);
		return 2;
	}
	if (!strstr(argv[1], "_wc"))
		forbidden |= GUEST_BAR_NORMAL;
	(void)*(volatile unsigned int *)p;
	if (!strcmp(argv[2], "unaligned"))
		return unaligned(p + 1);
	if (!strcmp(argv[2], "spin"))
		return spin(p);
	if (argc < 4)
		return 0;
	bytes = guest_bar_all(p, page, forbidden, atoi(argv[3]), !strcmp(argv[2], "write"));
	if (bytes < 0)
		printf("%s: wrong data\n", guest_bar_ops[-1 - bytes].name);
	return bytes < 0;
}
