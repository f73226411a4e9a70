/* SPDX-License-Identifier: Apache-2.0
 *
 * limits: how many of a thing one machine can have, whatever its architecture. Rooms
 * size their arrays by these; the architecture's address map says that they fit.
 */
#ifndef HUSK_CORE_LIMITS_H
#define HUSK_CORE_LIMITS_H

enum {
	VCPUS_MAX = 32, /* contract, 3.10 */
	VIRTIO_DEVICES_MAX = 18, /* each has an interrupt line: contract, 3.21 */
};

#endif
