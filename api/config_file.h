/* SPDX-License-Identifier: Apache-2.0
 *
 * config_file: the document of --config-file (contract, section 10): one JSON object
 * whose members hold the bodies of the API's PUTs.
 */
#ifndef HUSK_API_CONFIG_FILE_H
#define HUSK_API_CONFIG_FILE_H

#include "api/api.h"

enum { CONFIG_FILE_MAX = 1 << 20 };

/* Applies a document of n bytes to a machine that has not started. -errno with text
 * that names section and member; the machine then has some of the settings. */
MUST_CHECK int config_apply(struct api *a, const char *text, size_t n, struct err *e);

/* Reads the file at path and applies it. */
MUST_CHECK int config_load(struct api *a, const char *path, struct err *e);

#endif
