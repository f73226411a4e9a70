// SPDX-License-Identifier: Apache-2.0
/*
 * A QEMU plugin that mends an erratum of QEMU's nested SVM (seen in 7.2), without which
 * guests take an interrupt twice, now and then, whether they allow it or not, and then
 * stand still in a lock of their own:
 *
 * helper_vmrun() injects an interrupt by leaving its vector in cpu->exception_index and
 * calling do_interrupt_x86_hardirq(), which delivers it. Nobody clears exception_index.
 * If the processor's thread is then asked to leave translated code before the guest's
 * next exit (under -icount: whenever a timer of the host is due), cpu_exec() takes the
 * old vector for a new exception and delivers it again.
 *
 * The mend: do_interrupt_x86_hardirq() begins with exception_index = -1. Debian's QEMU
 * exports the names needed. Where its code is not as expected, nothing is changed and
 * a line says so.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct qemu_info;
typedef uint64_t plugin_id;

__attribute__((visibility("default"))) extern int qemu_plugin_version;
__attribute__((visibility("default"))) int qemu_plugin_install(
	plugin_id id, const struct qemu_info *info, int argc, char **argv);

int qemu_plugin_version = 1;

static void (*do_interrupt_all)(
	void *cpu, int vector, int is_int, int code, uint64_t next_rip, int is_hw);
static uint32_t index_at; /* of exception_index in the CPUState */
static uint32_t env_at; /* of the CPUX86State in it */

static void hardirq(void *env, int vector, int is_hw)
{
	char *cpu = (char *)env - env_at;

	*(int32_t *)(void *)(cpu + index_at) = -1;
	do_interrupt_all(cpu, vector, 0, 0, 0, is_hw);
}

/* mov %edx,%r9d; sub $env_at,%rdi; three times xor; jmp do_interrupt_all */
static int find_env(const uint8_t *code)
{
	static const uint8_t head[] = { 0x41, 0x89, 0xd1, 0x48, 0x81, 0xef };
	static const uint8_t tail[] = { 0x45, 0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2,
		0xe9 };

	memcpy(&env_at, code + 6, sizeof(env_at));
	return memcmp(code, head, sizeof(head)) == 0 &&
		memcmp(code + 10, tail, sizeof(tail)) == 0;
}

/* sub $8,%rsp; movl $-1,index_at(%rdi) */
static int find_index(const uint8_t *code)
{
	static const uint8_t head[] = { 0x48, 0x83, 0xec, 0x08, 0xc7, 0x87 };
	static const uint8_t tail[] = { 0xff, 0xff, 0xff, 0xff };

	memcpy(&index_at, code + 6, sizeof(index_at));
	return memcmp(code, head, sizeof(head)) == 0 &&
		memcmp(code + 10, tail, sizeof(tail)) == 0;
}

/* mov $to,%rax; jmp *%rax */
static int divert(uint8_t *code, void (*to)(void *env, int vector, int is_hw))
{
	uint8_t jump[12] = { 0x48, 0xb8, [10] = 0xff, 0xe0 };
	uintptr_t page = (uintptr_t)code & ~(uintptr_t)4095;

	memcpy(jump + 2, &to, sizeof(to));
	if (mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) < 0)
		return 0;
	memcpy(code, jump, sizeof(jump));
	return mprotect((void *)page, 8192, PROT_READ | PROT_EXEC) == 0;
}

int qemu_plugin_install(
	plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	uint8_t *irq = dlsym(RTLD_DEFAULT, "do_interrupt_x86_hardirq");
	uint8_t *leave = dlsym(RTLD_DEFAULT, "cpu_loop_exit_noexc");

	(void)id;
	(void)info;
	(void)argc;
	(void)argv;
	*(void **)&do_interrupt_all = dlsym(RTLD_DEFAULT, "do_interrupt_all");
	if (!irq || !leave || !do_interrupt_all || !find_env(irq) ||
		!find_index(leave) || !divert(irq, hardirq))
		fprintf(stderr,
			"erratum: not the QEMU that is known: guests may stand still\n");
	return 0;
}
