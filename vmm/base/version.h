/* SPDX-License-Identifier: Apache-2.0
 *
 * version: what husk and its jailer call themselves: the level of the API that they
 * implement (contract, 11.3).
 */
#ifndef HUSK_VERSION_H
#define HUSK_VERSION_H

#define HUSK_VERSION "1.16.0"

#endif
