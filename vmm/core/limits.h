/* SPDX-License-Identifier: Apache-2.0
 *
 * limits: how many vCPUs and devices a machine can have. Rooms size their arrays by
 * these. vmm/x86/layout.h asserts that there is an interrupt line for each device.
 */
#ifndef HUSK_CORE_LIMITS_H
#define HUSK_CORE_LIMITS_H

enum {
	VCPUS_MAX = 32, /* contract, 3.10 */
	VIRTIO_DEVICES_MAX = 18, /* interrupt lines, on x86 6 to 23: contract, 3.21 */
};

#endif
