/* SPDX-License-Identifier: Apache-2.0
 *
 * config: the settings of a machine but for its devices, as the API and the config file
 * give them (contract, section 3). Pure data. The field tables check types and ranges
 * and own the strings (fields_fini); config_check_machine says what a field alone
 * cannot.
 */
#ifndef HUSK_MACHINE_CONFIG_H
#define HUSK_MACHINE_CONFIG_H

#include "virtio/limiter/bucket.h"
#include "vmm/base/base.h"
#include "vmm/base/err.h"
#include "vmm/codec/json.h"
#include "vmm/core/guest_mem.h"
#include "vmm/core/limits.h"
#include "vmm/x86/cpu_template.h"

struct machine_cfg {
	uint32_t vcpu_count;
	uint64_t mem_size_mib;
	bool smt;
	bool track_dirty_pages;
	uint32_t huge_pages; /* enum guest_pages */
	uint32_t cpu_template; /* enum cpu_template_id */
	/* Whether cpu_template was given. If not, the template that was set before
	 * stays. Always false in machine_config's answer. */
	bool cpu_template_given;
};

#define MACHINE_CFG_DEFAULT                          \
	(struct machine_cfg)                         \
	{                                            \
		.vcpu_count = 1, .mem_size_mib = 128 \
	}

struct boot_cfg {
	char *kernel_image_path;
	char *initrd_path; /* or NULL */
	char *boot_args; /* NULL: BOOT_ARGS_DEFAULT */
	bool share_kernel; /* husk's own: KERNEL_MAP, see vmm/boot/kernel_file.h */
};

#define BOOT_ARGS_DEFAULT                                                    \
	"reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux " \
	"i8042.dumbkbd swiotlb=noforce"

struct serial_cfg {
	char *serial_out_path; /* NULL: stdin and stdout */
	struct bucket_cfg rate_limiter; /* of output, in bytes; all zero: no limit */
};

extern const struct fields machine_cfg_fields; /* struct machine_cfg */
extern const struct fields boot_cfg_fields; /* struct boot_cfg */
extern const struct fields serial_cfg_fields; /* struct serial_cfg */

/* -EINVAL with text that names the member, its value and the reason. */
MUST_CHECK int config_check_machine(const struct machine_cfg *c, struct err *e);

#endif
