// SPDX-License-Identifier: Apache-2.0
/*
 * A QEMU plugin that counts executed instructions by address: -plugin
 * profile.so,out=FILE At exit it writes one line "ADDRESS COUNT" for each block of code
 * that ran, most first. Counting is one addition at the head of each translated block,
 * done by translated code. Debian ships no qemu-plugin.h: the few functions used are
 * declared here (QEMU 7.2, API 1).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_info;
enum { QEMU_PLUGIN_INLINE_ADD_U64 = 0 };
typedef uint64_t plugin_id;

void qemu_plugin_register_vcpu_tb_trans_cb(
	plugin_id id, void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(
	struct qemu_plugin_tb *tb, int op, void *ptr, uint64_t imm);
void qemu_plugin_register_atexit_cb(
	plugin_id id, void (*cb)(plugin_id id, void *arg), void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

__attribute__((visibility("default"))) extern int qemu_plugin_version;
__attribute__((visibility("default"))) int qemu_plugin_install(
	plugin_id id, const struct qemu_info *info, int argc, char **argv);

int qemu_plugin_version = 1;

/*
 * A table of every block address seen, open addressing. Translated code keeps pointers
 * to the counters, so entries never move: it is made as large as it may get, and its
 * pages cost nothing until they are used. Plain additions: with two processors counts
 * are close.
 */
#define SLOTS (1u << 24)

struct block {
	uint64_t addr;
	uint64_t count;
};

static struct block *table;
static char out_path[4096];

static struct block *find_block(uint64_t addr)
{
	uint64_t i = (addr * 0x9e3779b97f4a7c15u) >> 40;

	while (table[i].addr != addr && table[i].addr != 0)
		i = (i + 1) % SLOTS;
	table[i].addr = addr;
	return &table[i];
}

/* QEMU translates under a lock with one processor; find_block needs no other. */
static void on_translate(plugin_id id, struct qemu_plugin_tb *tb)
{
	struct block *b = find_block(qemu_plugin_tb_vaddr(tb));

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline(
		tb, QEMU_PLUGIN_INLINE_ADD_U64, &b->count, qemu_plugin_tb_n_insns(tb));
}

static int by_count(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	return (x->count < y->count) - (x->count > y->count);
}

static void on_exit_write(plugin_id id, void *arg)
{
	FILE *f = fopen(out_path, "w");
	size_t n = 0;

	(void)id;
	(void)arg;
	if (!f) {
		perror(out_path);
		return;
	}
	for (size_t i = 0; i < SLOTS; i++)
		if (table[i].count > 0)
			table[n++] = table[i];
	qsort(table, n, sizeof(*table), by_count);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%016" PRIx64 " %" PRIu64 "\n", table[i].addr,
			table[i].count);
	fclose(f);
}

int qemu_plugin_install(
	plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
		fprintf(stderr, "profile: wants out=FILE\n");
		return -1;
	}
	snprintf(out_path, sizeof(out_path), "%s", argv[0] + 4);
	table = calloc(SLOTS, sizeof(*table));
	if (!table)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_exit_write, NULL);
	return 0;
}
