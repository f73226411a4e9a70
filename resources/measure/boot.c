/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plainest direct boot of an ELF kernel, to measure kernels with and nothing else:
 *   boot KERNEL INITRD MIB COMMAND-LINE
 * prints one line: microseconds from the first KVM_RUN to init's write to the boot
 * timer, exits to user space, MiB of the kernel that were loaded, and 2 MiB pages of
 * guest memory that were touched. The guest gets an MP table, ACPI tables, kvm-clock
 * and the TSC-deadline timer as husk gives them, and no device behind them. It trusts
 * kernel and arguments.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB 0x100000ull
#define HUGE_PAGE (2 * MIB)
#define BOOT_TIMER 0xc0000000ull
#define GDT_AT 0x500
#define PARAMS_AT 0x7000
#define STACK_AT 0x8ff0
#define PAGES_AT 0x9000 /* page tables: 4 KiB each of level 4, 3, 2 */
#define CMDLINE_AT 0x20000
#define MPTABLE_AT 0x9fc00
#define ACPI_AT 0xe0000
#define VIRTIO_AT 0xc0001000u
#define VIRTIO_COUNT 3

static uint8_t *mem;
static uint64_t mem_size;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int try_ioctl(int fd, unsigned long request, void *arg, const char *name)
{
	int r = ioctl(fd, request, arg);

	if (r < 0)
		err(1, "%s", name);
	return r;
}
#define KVM(fd, request, arg) try_ioctl(fd, request, (void *)(uintptr_t)(arg), #request)

static uint64_t huge_pages_touched(void)
{
	unsigned char seen[HUGE_PAGE / 4096];
	uint64_t n = 0;

	for (uint64_t at = 0; at < mem_size; at += HUGE_PAGE)
		if (mincore(mem + at, HUGE_PAGE, seen) == 0 &&
			memchr(seen, 1, sizeof(seen))) {
			n++;
			if (getenv("BOOT_EXITS"))
				fprintf(stderr, "touched: MiB %llu\n",
					(unsigned long long)(at / MIB));
		}
	return n;
}

static void read_at(int fd, uint64_t gpa, uint64_t len, uint64_t offset)
{
	if (gpa + len > mem_size ||
		pread(fd, mem + gpa, len, (off_t)offset) != (ssize_t)len)
		err(1, "cannot load %#llx bytes at %#llx", (unsigned long long)len,
			(unsigned long long)gpa);
}

static int open_file(const char *path, uint64_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", path);
	*size = (uint64_t)st.st_size;
	return fd;
}

/* Returns the entry point; *end is the first byte past the kernel in memory. */
static uint64_t load_kernel(const char *path, uint64_t *end, uint64_t *loaded)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;
	uint64_t size;
	int fd = open_file(path, &size);

	if (read(fd, &h, sizeof(h)) != sizeof(h) || memcmp(h.e_ident, ELFMAG, SELFMAG))
		errx(1, "%s is not ELF", path);
	for (unsigned int i = 0; i < h.e_phnum; i++) {
		if (pread(fd, &p, sizeof(p), (off_t)(h.e_phoff + i * sizeof(p))) !=
			sizeof(p))
			err(1, "%s", path);
		if (p.p_type != PT_LOAD)
			continue;
		read_at(fd, p.p_paddr, p.p_filesz, p.p_offset);
		*loaded += p.p_filesz;
		if (p.p_paddr + p.p_memsz > *end)
			*end = p.p_paddr + p.p_memsz;
	}
	close(fd);
	return h.e_entry;
}

static uint8_t sum(const void *data, size_t len)
{
	uint8_t s = 0;

	for (size_t i = 0; i < len; i++)
		s = (uint8_t)(s + ((const uint8_t *)data)[i]);
	return s;
}

/* MP specification 1.4: floating pointer, header, one CPU, ISA bus, IOAPIC, 16 lines.
 */
static void put_mptable(void)
{
	uint8_t *f = mem + MPTABLE_AT, *t = f + 16, *e = t + 44;
	uint16_t len;

	memcpy(e, (uint8_t[20]){ 0, 0, 0x14, 3 }, 20);
	memcpy(e + 20, "\1\0ISA   ", 8);
	memcpy(e + 28, (uint8_t[8]){ 2, 1, 0x11, 1, 0, 0, 0xc0, 0xfe }, 8);
	e += 36;
	for (uint8_t i = 0; i < 16; i++, e += 8)
		memcpy(e, (uint8_t[8]){ 3, 0, 0, 0, 0, i, 1, i }, 8);
	memcpy(e, (uint8_t[8]){ 4, 3, 0, 0, 0, 0, 0, 0 }, 8);
	memcpy(e + 8, (uint8_t[8]){ 4, 1, 0, 0, 0, 0, 0xff, 1 }, 8);
	len = (uint16_t)(e + 16 - t);
	memcpy(t, "PCMP\0\0\4\0HUSK    MEASURE     ", 28);
	memcpy(t + 4, &len, 2);
	t[34] = 3 + 16 + 2;
	memcpy(t + 36, (uint8_t[4]){ 0, 0, 0xe0, 0xfe }, 4);
	t[7] = (uint8_t)-sum(t, len);
	memcpy(f, "_MP_", 4);
	memcpy(f + 4, &(uint32_t){ MPTABLE_AT + 16 }, 4);
	f[8] = 1, f[9] = 4;
	f[10] = (uint8_t)-sum(f, 16);
}

/* Puts an ACPI table of len bytes whose body is at *at + 36 already; moves *at past it.
 */
static uint64_t end_table(
	uint64_t *at, const char *name, uint8_t revision, uint32_t len)
{
	uint64_t table = *at;
	uint8_t *t = mem + table;

	memcpy(t, name, 4);
	memcpy(t + 4, &len, 4);
	t[8] = revision;
	memcpy(t + 10, "HUSK  MEASURE \1\0\0\0HUSK\1\0\0\0", 26);
	t[9] = 0;
	t[9] = (uint8_t)-sum(t, len);
	*at = (table + len + 15) & ~15ull;
	return table;
}

/* Device(V00n) { _HID "LNRO0005", _UID n, _CRS { Memory32Fixed, Interrupt } } in \_SB.
 */
static uint32_t put_devices(uint8_t *aml)
{
	static const uint8_t device[] =
		"\x5b\x82\x41\x04V000\x08_HID\x0dLNRO0005\0\x08_UID\x0a\0\x08_CCA\x01\x08_CRS\x11\x1a"
		"\x0a\x17\x86\x09\0\1\0\0\0\0\0\x10\0\0\x89\x06\0\x03\x01\0\0\0\0\x79";
	const uint32_t size = sizeof(device); /* the last 0 is the checksum of _CRS */
	uint8_t *p = aml + 7;
	uint32_t len;

	for (uint32_t i = 0; i < VIRTIO_COUNT; i++, p += size) {
		uint32_t at = VIRTIO_AT + i * 0x1000;

		memcpy(p, device, size);
		p[2] = (uint8_t)(0x40 | ((size - 2) & 15));
		p[3] = (uint8_t)((size - 2) >> 4);
		p[7] = (uint8_t)('0' + i);
		p[29] = (uint8_t)i;
		memcpy(p + size - 19, &at, 4);
		p[size - 6] = (uint8_t)(5 + i);
	}
	len = (uint32_t)(p - aml);
	memcpy(aml, (uint8_t[]){ 0x10, 0, 0, '_', 'S', 'B', '_' }, 7);
	aml[1] = (uint8_t)(0x40 | ((len - 1) & 15));
	aml[2] = (uint8_t)((len - 1) >> 4);
	return len;
}

/* RSDP, XSDT, hardware-reduced FADT, MADT, DSDT. */
static void put_acpi(void)
{
	uint64_t at = ACPI_AT + 0x40, dsdt, fadt, madt, xsdt;
	uint8_t *t;

	dsdt = end_table(&at, "DSDT", 6, 36 + put_devices(mem + at + 36));
	t = mem + at;
	t[112] = 0x10, t[114] = 0x10; /* HW_REDUCED_ACPI; reset register not given */
	memcpy(t + 109, (uint8_t[2]){ 0x24, 0 }, 2); /* no VGA, no RTC */
	memcpy(t + 140, &dsdt, 8);
	fadt = end_table(&at, "FACP", 6, 276);
	memcpy(mem + at + 36,
		(uint8_t[]){ 0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0, 8, 0, 0, 1, 0, 0, 0, 1,
			12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0 },
		28);
	madt = end_table(&at, "APIC", 6, 36 + 28);
	memcpy(mem + at + 36, (uint64_t[]){ fadt, madt }, 16);
	xsdt = end_table(&at, "XSDT", 1, 36 + 16);
	t = mem + ACPI_AT;
	memcpy(t, "RSD PTR ", 8);
	memcpy(t + 9, "HUSK  \2", 7);
	t[20] = 36;
	memcpy(t + 24, &xsdt, 8);
	t[8] = (uint8_t)-sum(t, 20);
	t[32] = (uint8_t)-sum(t, 36);
}

static void put_params(const char *cmdline, uint64_t initrd, uint64_t initrd_size)
{
	struct boot_params *b = (void *)(mem + PARAMS_AT);

	strcpy((char *)mem + CMDLINE_AT, cmdline);
	b->hdr.type_of_loader = 0xff;
	b->hdr.boot_flag = 0xaa55;
	b->hdr.header = 0x53726448;
	b->hdr.cmd_line_ptr = CMDLINE_AT;
	b->hdr.cmdline_size = (uint32_t)strlen(cmdline) + 1;
	b->hdr.ramdisk_image = (uint32_t)initrd;
	b->hdr.ramdisk_size = (uint32_t)initrd_size;
	b->e820_entries = 2;
	b->e820_table[0] = (struct boot_e820_entry){ 0, MPTABLE_AT, 1 };
	b->e820_table[1] = (struct boot_e820_entry){ MIB, mem_size - MIB, 1 };
	if (strstr(cmdline, "acpi=off"))
		return;
	b->acpi_rsdp_addr = ACPI_AT;
	b->e820_table[b->e820_entries++] =
		(struct boot_e820_entry){ ACPI_AT, 0x4000, 3 };
}

/* 64-bit boot protocol: flat segments, the first GiB mapped one to one. */
static void set_registers(int vcpu, uint64_t entry)
{
	static const uint64_t gdt[] = { 0, 0, 0xaf9b000000ffff, 0xcf93000000ffff };
	struct kvm_regs r = {
		.rip = entry, .rsi = PARAMS_AT, .rsp = STACK_AT, .rflags = 2
	};
	struct kvm_segment s = { .limit = ~0u, .present = 1, .s = 1, .g = 1 };
	uint64_t *table = (void *)(mem + PAGES_AT);
	struct kvm_sregs sr;

	memcpy(mem + GDT_AT, gdt, sizeof(gdt));
	table[0] = PAGES_AT + 0x1003;
	table[512] = PAGES_AT + 0x2003;
	for (uint64_t i = 0; i < 512; i++)
		table[1024 + i] = i << 21 | 0x83;
	KVM(vcpu, KVM_GET_SREGS, &sr);
	s.selector = 0x10, s.type = 11, s.l = 1;
	sr.cs = s;
	s.selector = 0x18, s.type = 3, s.l = 0, s.db = 1;
	sr.ds = sr.es = sr.ss = sr.fs = sr.gs = s;
	sr.gdt = (struct kvm_dtable){ .base = GDT_AT, .limit = sizeof(gdt) - 1 };
	sr.cr0 = 0x80000001;
	sr.cr3 = PAGES_AT;
	sr.cr4 = 0x20;
	sr.efer = 0x500;
	KVM(vcpu, KVM_SET_SREGS, &sr);
	KVM(vcpu, KVM_SET_REGS, &r);
}

static void set_cpuid(int kvm, int vcpu)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + 256 * sizeof(c->entries[0]));

	c->nent = 256;
	KVM(kvm, KVM_GET_SUPPORTED_CPUID, c);
	for (unsigned int i = 0; i < c->nent; i++)
		if (c->entries[i].function == 1)
			c->entries[i].ecx |=
				1u << 31 | 1u << 24; /* hypervisor, deadline */
	KVM(vcpu, KVM_SET_CPUID2, c);
	free(c);
}

/* Runs until init has written to the boot timer; returns the number of exits. */
static unsigned int run(int vcpu, struct kvm_run *r)
{
	for (unsigned int exits = 1;; exits++) {
		KVM(vcpu, KVM_RUN, 0);
		if (r->exit_reason == KVM_EXIT_MMIO && r->mmio.is_write &&
			r->mmio.phys_addr == BOOT_TIMER)
			return exits;
		if (r->exit_reason == KVM_EXIT_IO && r->io.port == 0x3f8 &&
			r->io.direction)
			fputc(*((uint8_t *)r + r->io.data_offset), stderr);
		else if (r->exit_reason == KVM_EXIT_IO && !r->io.direction)
			memset((uint8_t *)r + r->io.data_offset,
				r->io.port == 0x3fd ? 0x60 : 0, r->io.size);
		else if (r->exit_reason == KVM_EXIT_MMIO && !r->mmio.is_write)
			memset(r->mmio.data, 0, sizeof(r->mmio.data));
		else if (r->exit_reason != KVM_EXIT_IO &&
			r->exit_reason != KVM_EXIT_MMIO)
			errx(1, "guest stopped: exit reason %u", r->exit_reason);
		if (getenv("BOOT_EXITS"))
			fprintf(stderr, "exit %u at %#llx\n", r->exit_reason,
				r->exit_reason == KVM_EXIT_IO ? r->io.port
							      : r->mmio.phys_addr);
	}
}

int main(int argc, char **argv)
{
	struct kvm_userspace_memory_region region = { 0 };
	uint64_t size, entry, end = 0, loaded = 0, start;
	unsigned int exits;
	int kvm, vm, vcpu, fd;
	struct kvm_run *r;

	if (argc != 5)
		errx(1, "usage: boot KERNEL INITRD MIB COMMAND-LINE");
	mem_size = strtoull(argv[3], NULL, 0) * MIB;
	mem = mmap(NULL, mem_size + HUGE_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	mem = (uint8_t *)(((uintptr_t)mem + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
	madvise(mem, mem_size, MADV_HUGEPAGE);
	entry = load_kernel(argv[1], &end, &loaded);
	fd = open_file(argv[2], &size);
	end = (end + 4095) & ~4095ull;
	read_at(fd, end, size, 0);
	put_params(argv[4], end, size);
	put_mptable();
	put_acpi();
	kvm = open("/dev/kvm", O_RDWR);
	vm = KVM(kvm, KVM_CREATE_VM, 0);
	KVM(vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	KVM(vm, KVM_CREATE_IRQCHIP, 0);
	region.memory_size = mem_size;
	region.userspace_addr = (uintptr_t)mem;
	KVM(vm, KVM_SET_USER_MEMORY_REGION, &region);
	vcpu = KVM(vm, KVM_CREATE_VCPU, 0);
	r = mmap(NULL, (size_t)KVM(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
		PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	set_cpuid(kvm, vcpu);
	/* An emulated host does not see the guest's XSETBV: then what CPUID says of the
	 * size of the state would not fit what the guest finds, and it warns at length.
	 */
	ioctl(vcpu, KVM_SET_XCRS,
		&(struct kvm_xcrs){ .nr_xcrs = 1, .xcrs[0].value = 7 });
	set_registers(vcpu, entry);
	start = now_us();
	exits = run(vcpu, r);
	printf("%llu us, %u exits, %.2f MiB loaded, %llu huge pages\n",
		(unsigned long long)(now_us() - start), exits, (double)loaded / MIB,
		(unsigned long long)huge_pages_touched());
	return 0;
}
