/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/config.h"

#include "virtio/limiter/config.h"

static const char *const huge_page_names[] = {
	[GUEST_PAGES_NONE] = "None",
	[GUEST_PAGES_TRANSPARENT] = "Transparent",
	[GUEST_PAGES_2M] = "2M",
	NULL,
};
static const char *const template_names[] = {
	[CPU_TEMPLATE_NONE] = "None",
	[CPU_TEMPLATE_C3] = "C3",
	[CPU_TEMPLATE_T2] = "T2",
	[CPU_TEMPLATE_T2S] = "T2S",
	[CPU_TEMPLATE_T2CL] = "T2CL",
	[CPU_TEMPLATE_T2A] = "T2A",
	[CPU_TEMPLATES] = NULL,
};

/* clang-format off */
static const struct field machine_rows[] = {
	{ .name = "vcpu_count", .type = FIELD_UINT, .required = true,
	  .min = 1, .max = VCPUS_MAX, FIELD_AT(struct machine_cfg, vcpu_count) },
	{ .name = "mem_size_mib", .type = FIELD_UINT, .required = true,
	  .min = 1, .max = UINT64_MAX, FIELD_AT(struct machine_cfg, mem_size_mib) },
	{ .name = "smt", .type = FIELD_BOOL, FIELD_AT(struct machine_cfg, smt) },
	{ .name = "track_dirty_pages", .type = FIELD_BOOL,
	  FIELD_AT(struct machine_cfg, track_dirty_pages) },
	{ .name = "huge_pages", .type = FIELD_ENUM, .names = huge_page_names,
	  FIELD_AT(struct machine_cfg, huge_pages) },
	{ .name = "cpu_template", .type = FIELD_ENUM, .names = template_names, .nullable = true,
	  .is_null = field_is_zero32, .omit_null = true,
	  FIELD_AT(struct machine_cfg, cpu_template), FIELD_GIVEN(struct machine_cfg, cpu_template_given) },
};

static const struct field boot_rows[] = {
	{ .name = "kernel_image_path", .type = FIELD_STRING, .required = true,
	  FIELD_AT(struct boot_cfg, kernel_image_path) },
	{ .name = "initrd_path", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct boot_cfg, initrd_path) },
	{ .name = "boot_args", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct boot_cfg, boot_args) },
	{ .name = "share_kernel_pages", .type = FIELD_BOOL,
	  .is_null = field_is_false, .omit_null = true, /* Firecracker does not know it */
	  FIELD_AT(struct boot_cfg, share_kernel) },
};

static const struct field serial_rows[] = {
	{ .name = "serial_out_path", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct serial_cfg, serial_out_path) },
	{ .name = "rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &bucket_fields,
	  .is_null = bucket_is_none, FIELD_AT(struct serial_cfg, rate_limiter) },
};
/* clang-format on */

const struct fields machine_cfg_fields = FIELDS("machine-config", machine_rows);
const struct fields boot_cfg_fields = FIELDS("boot-source", boot_rows);
const struct fields serial_cfg_fields = FIELDS("serial", serial_rows);

int config_check_machine(const struct machine_cfg *c, struct err *e)
{
	uint64_t bytes;

	if (c->vcpu_count < 1 || c->vcpu_count > VCPUS_MAX)
		return err_bad(
			e, "vcpu_count %u is not in 1 to %d", c->vcpu_count, VCPUS_MAX);
	if (c->smt && c->vcpu_count != 1 && c->vcpu_count % 2 != 0)
		return err_bad(e, "vcpu_count %u is odd: with smt it is 1 or even",
			c->vcpu_count);
	if (c->mem_size_mib == 0 || !mul_ok(c->mem_size_mib, MIB, &bytes) ||
		bytes > UINT64_MAX / 2)
		return err_bad(e, "mem_size_mib %llu is not a possible size",
			(unsigned long long)c->mem_size_mib);
	if (c->huge_pages != GUEST_PAGES_NONE && c->mem_size_mib % 2 != 0)
		return err_bad(e,
			"mem_size_mib %llu is odd: with huge_pages it is a multiple of 2",
			(unsigned long long)c->mem_size_mib);
	return 0;
}
