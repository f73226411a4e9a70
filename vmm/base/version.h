/* SPDX-License-Identifier: Apache-2.0
 *
 * version: the numbers that husk and its jailer print. Clients of Firecracker read
 * HUSK_VERSION, which is the version of Firecracker's API that husk implements
 * (contract, 11.3). HUSK_RELEASE is husk's own.
 */
#ifndef HUSK_BASE_VERSION_H
#define HUSK_BASE_VERSION_H

#define HUSK_VERSION "1.16.0"
#define HUSK_RELEASE "0.9.0"

#endif
