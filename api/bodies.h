/* SPDX-License-Identifier: Apache-2.0
 *
 * bodies: the field tables of the API's request bodies (contract, section 3), which are
 * the sections of a config file too.
 */
#ifndef HUSK_BODIES_H
#define HUSK_BODIES_H

#include "api/json.h"

extern const struct fields machine_cfg_fields; /* into struct machine_cfg */
extern const struct fields boot_cfg_fields; /* into struct boot_cfg */
extern const struct fields drive_cfg_fields; /* into struct drive_cfg */
extern const struct fields serial_cfg_fields; /* into struct serial_cfg */

#endif
