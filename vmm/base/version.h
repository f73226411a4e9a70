/* SPDX-License-Identifier: Apache-2.0
 *
 * version: what husk and its jailer call themselves. Clients of Firecracker read the
 * level of the API that both implement (contract, 11.3); the release is husk's own.
 */
#ifndef HUSK_BASE_VERSION_H
#define HUSK_BASE_VERSION_H

#define HUSK_VERSION "1.16.0"
#define HUSK_RELEASE "0.9.0"

#endif
