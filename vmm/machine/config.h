/* SPDX-License-Identifier: Apache-2.0
 *
 * config: the settings of a machine, as the API and the config file give them
 * (contract, section 3). Pure data; strings belong to the struct. The json field tables
 * have checked types and ranges; config_check_* say what a field alone cannot.
 */
#ifndef HUSK_MACHINE_CONFIG_H
#define HUSK_MACHINE_CONFIG_H

#include "virtio/limiter/limiter.h"
#include "vmm/base/base.h"
#include "vmm/base/err.h"
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
	/* Says that the above is a setting; else it is ignored, and the one before
	 * stays. Never set in a machine's present settings. */
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
	bool share_kernel; /* husk's own: KERNEL_MAP, see kernel_image.h */
};

#define BOOT_ARGS_DEFAULT                                                    \
	"reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux " \
	"i8042.dumbkbd swiotlb=noforce"

enum cache_type { CACHE_UNSAFE, CACHE_WRITEBACK };
enum io_engine { IO_SYNC, IO_ASYNC };

struct drive_cfg {
	char *drive_id;
	char *path_on_host;
	bool is_root_device;
	bool is_read_only;
	char *partuuid; /* or NULL */
	uint32_t cache_type; /* enum cache_type */
	uint32_t io_engine; /* enum io_engine */
	struct limiter_cfg rate_limiter;
};

/* A change of a drive; what is not given stays. */
struct drive_patch {
	char *drive_id;
	char *path_on_host; /* or NULL */
	bool has_rate_limiter;
	struct limiter_patch rate_limiter;
};

struct net_cfg {
	char *iface_id;
	char *host_dev_name; /* see tap_open */
	char *guest_mac; /* or NULL: the guest chooses */
	uint32_t mtu; /* 0: not offered */
	struct limiter_cfg rx, tx; /* to and from the guest */
};

/* A change of an interface; what is not given stays. */
struct net_patch {
	char *iface_id;
	struct limiter_patch rx, tx;
};

struct serial_cfg {
	char *serial_out_path; /* NULL: stdin and stdout */
	struct bucket_cfg rate_limiter; /* of output, in bytes; all zero: no limit */
};

struct vsock_cfg {
	uint32_t guest_cid;
	char *uds_path;
};

void boot_cfg_fini(struct boot_cfg *c);
void drive_cfg_fini(struct drive_cfg *c);
void drive_patch_fini(struct drive_patch *p);
void net_cfg_fini(struct net_cfg *c);
void net_patch_fini(struct net_patch *p);
void serial_cfg_fini(struct serial_cfg *c);
void vsock_cfg_fini(struct vsock_cfg *c);

/* -EINVAL with text that names the member, its value and the reason. */
MUST_CHECK int config_check_machine(const struct machine_cfg *c, struct err *e);
MUST_CHECK int config_check_drive(const struct drive_cfg *c, struct err *e);
MUST_CHECK int config_check_net(const struct net_cfg *c, struct err *e);

/* Six pairs of hexadecimal digits with ':' between them: true with mac filled. */
MUST_CHECK bool config_parse_mac(const char *text, uint8_t mac[6]);
MUST_CHECK int config_check_vsock(const struct vsock_cfg *c, struct err *e);

#endif
