/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu_config: see the header. The field tables of json.h do not know lists, nor numbers
 * in strings, so this body is read by hand.
 */
#include "api/cpu_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A list in the body. read fills element `at` of the array; the elements before it are
 * there already. */
struct list {
	const char *name;
	unsigned max;
	size_t size; /* of an element */
	int (*read)(const struct json *v, void *made, unsigned at, struct err *e);
};

/* The text of a member that must be there, borrowed, or NULL with text in *e. */
static const char *find_text(const struct json *object, const char *name, struct err *e)
{
	const struct json *v = json_find(object, name);
	const char *s = v ? json_string(v) : NULL;

	if (!v)
		(void)err_bad(e, "member '%s' is missing", name);
	else if (!s)
		(void)err_bad(e, "member '%s' is not a string", name);
	return s;
}

/* One or more digits that make a number of 32 bits. */
static bool parse_u32(const char *s, unsigned base, uint32_t *out)
{
	uint32_t n = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		int digit = hex_digit(*s);

		if (digit < 0 || (unsigned)digit >= base || !mul_ok(n, base, &n) ||
			!add_ok(n, (unsigned)digit, &n))
			return false;
	}
	*out = n;
	return true;
}

static int read_number(
	const struct json *object, const char *name, uint32_t *out, struct err *e)
{
	const char *s = find_text(object, name, e);

	if (!s)
		return -EINVAL;
	if ((strncmp(s, "0x", 2) == 0 && parse_u32(s + 2, 16, out)) ||
		(strncmp(s, "0b", 2) == 0 && parse_u32(s + 2, 2, out)))
		return 0;
	return err_bad(
		e, "member '%s' cannot be '%.80s': not 0x or 0b and 32 bits", name, s);
}

/* Reads a bitmap of at most `width` digits; the last digit is bit 0. */
static int read_bitmap(const struct json *object, unsigned width, uint64_t *clear,
	uint64_t *set, struct err *e)
{
	const char *s = find_text(object, "bitmap", e), *first = s;
	uint64_t cleared = 0, given = 0;
	unsigned bit = 0;

	if (!s)
		return -EINVAL;
	if (strncmp(s, "0b", 2) == 0)
		first += 2;
	for (const char *at = first + strlen(first); at > first;) {
		char c = *--at;

		if (c == '_')
			continue;
		if (c != '0' && c != '1' && c != 'x')
			return err_bad(e, "member 'bitmap' cannot be '%.80s'", s);
		if (bit >= width)
			return err_bad(e,
				"member 'bitmap' has more than %u bits: '%.80s'", width,
				s);
		cleared |= (uint64_t)(c == '0') << bit;
		given |= (uint64_t)(c == '1') << bit;
		bit++;
	}
	*clear = cleared;
	*set = given;
	return 0;
}

/* Reads one entry of modifiers. *seen has a bit for each register that was named
 * before. */
static int read_register(
	const struct json *v, struct cpuid_change *to, unsigned *seen, struct err *e)
{
	static const char *const names[] = { "eax", "ebx", "ecx", "edx" };
	struct cpuid_bits *const at[] = { &to->eax, &to->ebx, &to->ecx, &to->edx };
	uint64_t clear, set;
	const char *name;
	unsigned i = 0;
	int r;

	if (!json_is_object(v))
		return err_bad(e, "not an object");
	name = find_text(v, "register", e);
	if (!name)
		return -EINVAL;
	while (i < ARRAY_LEN(names) && strcmp(names[i], name) != 0)
		i++;
	if (i == ARRAY_LEN(names))
		return err_bad(e, "member 'register' cannot be '%.80s'", name);
	if (*seen & 1u << i)
		return err_bad(e, "register %s is given twice", name);
	r = read_bitmap(v, 32, &clear, &set, e);
	if (r < 0)
		return r;
	*seen |= 1u << i;
	*at[i] = (struct cpuid_bits){ (uint32_t)clear, (uint32_t)set };
	return 0;
}

/* The loop ends, because a register that is named twice is refused. */
static int read_registers(
	const struct json *object, struct cpuid_change *to, struct err *e)
{
	const struct json *list = json_find(object, "modifiers"), *v;
	unsigned seen = 0;

	if (!list)
		return err_bad(e, "member 'modifiers' is missing");
	if (!json_is_array(list))
		return err_bad(e, "member 'modifiers' is not an array");
	for (unsigned i = 0; (v = json_element(list, i)); i++) {
		int r = read_register(v, to, &seen, e);

		if (r < 0)
			return err_add(e, r, "modifiers[%u]", i);
	}
	return 0;
}

static int read_cpuid(const struct json *v, void *made, unsigned at, struct err *e)
{
	const struct cpuid_change *before = made;
	struct cpuid_change *to = (struct cpuid_change *)made + at;
	const struct json *flags;
	uint64_t n;
	int r;

	if (!json_is_object(v))
		return err_bad(e, "not an object");
	r = read_number(v, "leaf", &to->leaf, e);
	if (r == 0)
		r = read_number(v, "subleaf", &to->subleaf, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < at; i++)
		if (before[i].leaf == to->leaf && before[i].subleaf == to->subleaf)
			return err_bad(e, "leaf %#x subleaf %#x is given twice",
				to->leaf, to->subleaf);
	flags = json_find(v, "flags");
	if (!flags)
		return err_bad(e, "member 'flags' is missing");
	if (!json_uint(flags, UINT32_MAX, &n))
		return err_bad(
			e, "member 'flags' is not an unsigned integer of 32 bits");
	to->flags = (uint32_t)n;
	return read_registers(v, to, e);
}

static int read_msr(const struct json *v, void *made, unsigned at, struct err *e)
{
	const struct msr_change *before = made;
	struct msr_change *to = (struct msr_change *)made + at;
	int r;

	if (!json_is_object(v))
		return err_bad(e, "not an object");
	r = read_number(v, "addr", &to->addr, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < at; i++)
		if (before[i].addr == to->addr)
			return err_bad(e, "MSR %#x is given twice", to->addr);
	return read_bitmap(v, 64, &to->clear, &to->set, e);
}

static int read_cap(const struct json *v, void *made, unsigned at, struct err *e)
{
	struct kvm_cap_change *to = (struct kvm_cap_change *)made + at;
	const char *s = json_string(v);

	if (!s)
		return err_bad(e, "not a string");
	to->drop = *s == '!';
	if (!parse_u32(s + to->drop, 10, &to->cap))
		return err_bad(e, "'%.80s' is not a capability's number", s);
	return 0;
}

static const struct list caps = { "kvm_capabilities", KVM_CAP_CHANGES_MAX,
	sizeof(struct kvm_cap_change), read_cap };
static const struct list cpuids = { "cpuid_modifiers", CPUID_CHANGES_MAX,
	sizeof(struct cpuid_change), read_cpuid };
static const struct list msrs = { "msr_modifiers", MSR_CHANGES_MAX,
	sizeof(struct msr_change), read_msr };

static int read_elements(const struct json *v, const struct list *l, void *made,
	unsigned n, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		int r = l->read(json_element(v, i), made, i, e);

		if (r < 0)
			return err_add(e, r, "%s[%u]", l->name, i);
	}
	return 0;
}

/* Makes an array from a list; NULL if the list is empty or absent. */
static int read_list(const struct json *body, const struct list *l, void **out,
	unsigned *n_out, struct err *e)
{
	const struct json *v = json_find(body, l->name);
	unsigned n = 0;
	void *made;
	int r;

	if (v && !json_is_array(v))
		return err_bad(e, "member '%s' is not an array", l->name);
	while (v && n <= l->max && json_element(v, n))
		n++;
	if (n > l->max)
		return err_bad(
			e, "member '%s' has more than %u elements", l->name, l->max);
	if (n == 0)
		return 0;
	made = calloc(n, l->size);
	if (!made)
		return err_code(e, -ENOMEM, "member '%s'", l->name);
	r = read_elements(v, l, made, n, e);
	if (r < 0) {
		free(made);
		return r;
	}
	*out = made;
	*n_out = n;
	return 0;
}

static int check_names(const struct json *body, struct err *e)
{
	const struct json *v;

	if (!json_is_object(body))
		return err_bad(e, "not an object");
	for (unsigned i = 0; (v = json_element(body, i)); i++) {
		const char *name = json_name(v);

		if (strcmp(name, caps.name) != 0 && strcmp(name, cpuids.name) != 0 &&
			strcmp(name, msrs.name) != 0)
			return err_bad(e, "unknown member '%.80s'", name);
	}
	return 0;
}

int cpu_config_read(const struct json *body, struct cpu_template *out, struct err *e)
{
	void *cap = NULL, *cpuid = NULL, *msr = NULL;
	struct cpu_template t = { .name = "cpu-config" };
	int r = check_names(body, e);

	if (r == 0)
		r = read_list(body, &caps, &cap, &t.n_caps, e);
	if (r == 0)
		r = read_list(body, &cpuids, &cpuid, &t.n_cpuid, e);
	if (r == 0)
		r = read_list(body, &msrs, &msr, &t.n_msrs, e);
	t.cap = cap;
	t.cpuid = cpuid;
	t.msr = msr;
	if (r == 0)
		*out = t;
	else
		cpu_template_fini(&t);
	return r < 0 ? err_add(e, r, "cpu-config") : 0;
}
