/* SPDX-License-Identifier: Apache-2.0
 *
 * husk-seccomp: compiles system call filters from JSON (README.md) into a file for
 * husk's --seccomp-filter (vmm/process/seccomp.h), or into the C source of the filters
 * that are built into husk.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "resources/seccomp/dialect.h"
#include "vmm/base/args.h"
#include "vmm/base/io.h"
#include "vmm/base/version.h"
#include "vmm/codec/stream.h"
#include "vmm/process/seccomp.h"

enum { TEXT_MAX = 1 << 20, SYSCALLS_MAX = 1024 };

/* clang-format off */
static struct arg args[] = {
	{ .name = "--input-file", .value_name = "path", .help = "the filters as JSON" },
	{ .name = "--add-file", .value_name = "path", .help = "rules to add to categories of the same name" },
	{ .name = "--output-file", .value_name = "path", .help = "what is made (default seccomp_binary_filter.out)" },
	{ .name = "--target-arch", .value_name = "arch", .help = "x86_64" },
	{ .name = "--c-source", .help = "make the source of husk's own filters" },
	{ .name = "--trace", .help = "rules that match stop for a tracer instead, to count them" },
	{ .name = "--list", .help = "print the number and the words of each rule, make nothing" },
	{ .name = "--version", .help = "print the version" },
	{ .name = "--help", .help = "print this" },
};
/* clang-format on */

/* A compiled category. */
struct program {
	const char *name;
	struct sock_filter *insn;
	size_t n;
};

enum { PROGRAMS_MAX = 8 };

static const char *arg(const char *name)
{
	return args_value(args, ARRAY_LEN(args), name);
}

static void close_file(FILE *f)
{
	if (f)
		(void)fclose(f); /* a failed write was seen by fflush */
}
DEFINE_AUTO(FILE *, close_file);

static int read_filters(struct dialect **out, struct err *e)
{
	AUTO(free_text) char *text = NULL;
	AUTO(free_text) char *more = NULL;
	size_t n, n_more = 0;
	int r = io_read_file(arg("--input-file"), TEXT_MAX, &text, &n, e);

	if (r == 0 && arg("--add-file"))
		r = io_read_file(arg("--add-file"), TEXT_MAX, &more, &n_more, e);
	if (r < 0)
		return r;
	r = dialect_parse(text, n, more, n_more, out, e);
	return r < 0 ? err_add(e, r, "'%s'", arg("--input-file")) : 0;
}

/* Compiles the program that files do not have: SECCOMP_NO_API. */
static int compile_no_api(
	const struct dialect *f, struct program *p, unsigned *n, struct err *e)
{
	unsigned i = 0;
	int r;

	while (i < *n && strcmp(p[i].name, "vmm") != 0)
		i++;
	if (i == *n)
		return err_bad(e, "there is no category 'vmm'");
	p[*n].name = "no_api";
	r = dialect_compile(f, i, DIALECT_NO_API, &p[*n].insn, &p[*n].n, e);
	*n += r == 0;
	return r;
}

static int compile_all(
	const struct dialect *f, struct program *p, unsigned *n, struct err *e)
{
	enum dialect_how how = arg("--trace") ? DIALECT_TRACE : DIALECT_WHOLE;
	const char *name;
	int r = 0;

	for (*n = 0; r == 0 && (name = dialect_category(f, *n)); *n += r == 0) {
		if (*n == PROGRAMS_MAX - 1 || strlen(name) >= SECCOMP_NAME_BYTES)
			return err_bad(e, "'%.40s' is not a category", name);
		p[*n].name = name;
		r = dialect_compile(f, *n, how, &p[*n].insn, &p[*n].n, e);
	}
	if (r == 0 && arg("--c-source"))
		r = compile_no_api(f, p, n, e);
	return r < 0 ? err_add(e, r, "'%s'", arg("--input-file")) : 0;
}

/* --- the file --- */

static void put_program(struct stream *s, const struct program *p)
{
	char name[SECCOMP_NAME_BYTES] = "";
	uint32_t n = (uint32_t)p->n;

	memcpy(name, p->name, strlen(p->name));
	stream_bytes(s, name, sizeof(name));
	stream_u32(s, &n);
	stream_bytes(s, p->insn, n * sizeof(*p->insn));
}

static int write_file(FILE *out, const struct program *p, unsigned n, struct err *e)
{
	char magic[] = SECCOMP_FILE_MAGIC;
	uint32_t version = SECCOMP_FILE_VERSION;
	struct seccomp_filters set;
	struct stream s;
	int r;

	stream_init_save(&s);
	stream_bytes(&s, magic, strlen(magic));
	stream_u32(&s, &version);
	stream_u32(&s, &n);
	for (unsigned i = 0; i < n; i++)
		put_program(&s, &p[i]);
	r = stream_finish(&s);
	/* never make what husk would refuse */
	r = r < 0 ? err_code(e, r, "filters")
		  : seccomp_filter_parse(s.buf, s.len, &set, e);
	if (r == 0) {
		seccomp_filter_fini(&set);
		if (fwrite(s.buf, s.len, 1, out) != 1)
			r = err_sys(e, "cannot write");
	}
	stream_fini(&s);
	return r;
}

/* --- the source --- */

static void put_array(FILE *out, const struct program *p)
{
	(void)fprintf(out, "static const struct sock_filter %s[] = {\n", p->name);
	for (size_t i = 0; i < p->n; i++)
		(void)fprintf(out, "\t{ 0x%02x, %u, %u, 0x%08x },\n", p->insn[i].code,
			p->insn[i].jt, p->insn[i].jf, p->insn[i].k);
	(void)fprintf(out, "};\n\n");
}

/* Puts all names into one string, so that husk's start has no pointers to relocate. */
static void put_names(FILE *out)
{
	unsigned n = 0;

	(void)fprintf(out,
		"const char *seccomp_filter_syscall_name(int nr)\n{\n"
		"\tconst char *name =\n");
	for (int nr = 0; nr < SYSCALLS_MAX; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);

		for (; name && n < (unsigned)nr; n++)
			(void)fprintf(out, "\t\t\"?\\0\"\n");
		if (name)
			(void)fprintf(out, "\t\t\"%s\\0\"\n", name);
		n += name != NULL;
		free(name);
	}
	(void)fprintf(out,
		"\t\t\"\";\n\n"
		"\tif (nr < 0 || nr >= %u)\n\t\treturn \"?\";\n"
		"\twhile (nr-- > 0)\n\t\twhile (*name++ != '\\0')\n\t\t\t;\n"
		"\treturn name;\n}\n",
		n);
}

static void write_source(FILE *out, const struct program *p, unsigned n)
{
	(void)fprintf(out,
		"/* Made by husk-seccomp from %s. */\n#include \"vmm/process/seccomp.h\"\n\n",
		arg("--input-file"));
	for (unsigned i = 0; i < n; i++)
		put_array(out, &p[i]);
	(void)fprintf(out,
		"const struct seccomp_filters *seccomp_filter_builtin(void)\n{\n"
		"\tstatic const struct seccomp_filters set = {\n");
	for (unsigned i = 0; i < n; i++) {
		(void)fprintf(out, "\t\t.program[SECCOMP_");
		for (const char *c = p[i].name; *c != '\0'; c++)
			(void)fputc(toupper((unsigned char)*c), out);
		(void)fprintf(
			out, "] = { %s, ARRAY_LEN(%s) },\n", p[i].name, p[i].name);
	}
	(void)fprintf(out, "\t};\n\n\treturn &set;\n}\n\n");
	put_names(out);
}

/* --- */

/* Removes a file that is only half written. Not a device or a pipe, which this program
 * did not make. */
static void remove_half(const char *path, FILE *out)
{
	struct stat st;

	if (fstat(fileno(out), &st) == 0 && S_ISREG(st.st_mode))
		(void)unlink(path); /* the error is reported in any case */
}

static int write_output(const struct program *p, unsigned n, struct err *e)
{
	const char *path = arg("--output-file");
	AUTO(close_file) FILE *out = NULL;
	int r = 0;

	if (!path)
		path = "seccomp_binary_filter.out";
	out = fopen(path, "w");
	if (!out)
		return err_sys(e, "cannot open '%s'", path);
	if (arg("--c-source"))
		write_source(out, p, n);
	else
		r = write_file(out, p, n, e);
	if (r == 0 && (fflush(out) != 0 || ferror(out)))
		r = err_sys(e, "cannot write");
	if (r < 0) {
		remove_half(path, out);
		return err_add(e, r, "'%s'", path);
	}
	return 0;
}

static void print_rule(unsigned number, const char *category, const char *words)
{
	printf("%u %s %s\n", number, category, words);
}

static int run(struct err *e)
{
	AUTO(dialect_free) struct dialect *f = NULL;
	struct program p[PROGRAMS_MAX] = { { .name = NULL } };
	unsigned n = 0;
	int r = read_filters(&f, e);

	if (r == 0)
		r = compile_all(f, p, &n, e);
	if (r == 0 && arg("--list"))
		dialect_walk(f, print_rule);
	else if (r == 0)
		r = write_output(p, n, e);
	while (n > 0)
		free(p[--n].insn);
	return r;
}

int main(int argc, char **argv)
{
	struct err e = { "" };
	int rest;
	int r = args_parse(argc, argv, args, ARRAY_LEN(args), &rest, &e);

	if (r == ARGS_VERSION)
		printf("husk-seccomp v%s\n", HUSK_VERSION);
	if (r == ARGS_HELP)
		args_print_help(args, ARRAY_LEN(args));
	if (r == ARGS_VERSION || r == ARGS_HELP)
		return 0;
	if (r == ARGS_RUN && !arg("--input-file"))
		r = err_bad(&e, "--input-file is missing");
	if (r == ARGS_RUN && arg("--target-arch") &&
		strcmp(arg("--target-arch"), "x86_64") != 0)
		r = err_bad(
			&e, "--target-arch '%s' is not x86_64", arg("--target-arch"));
	if (r == ARGS_RUN)
		r = run(&e);
	if (r < 0)
		(void)fprintf(stderr, "husk-seccomp: %s\n", e.text);
	return r < 0;
}
