/* SPDX-License-Identifier: Apache-2.0
 *
 * handlers: what serves each route, named by method and resource; see struct route for
 * what they get and return, and the contract's section 3 for what they do.
 */
#ifndef HUSK_API_HANDLERS_H
#define HUSK_API_HANDLERS_H

#include "api/routes.h"

int get_instance(struct api *a, struct call *c, struct err *e);
int get_version(struct api *a, struct call *c, struct err *e);
int get_machine_config(struct api *a, struct call *c, struct err *e);
int get_vm_config(struct api *a, struct call *c, struct err *e);
int get_metrics(struct api *a, struct call *c, struct err *e);

int put_actions(struct api *a, struct call *c, struct err *e);
int put_boot_source(struct api *a, struct call *c, struct err *e);
int put_cpu_config(struct api *a, struct call *c, struct err *e);
int put_device(struct api *a, struct call *c, struct err *e); /* of any kind */
int patch_device(struct api *a, struct call *c, struct err *e);
int put_logger(struct api *a, struct call *c, struct err *e);
int put_metrics(struct api *a, struct call *c, struct err *e);
int put_machine_config(struct api *a, struct call *c, struct err *e);
int patch_machine_config(struct api *a, struct call *c, struct err *e);
int put_serial(struct api *a, struct call *c, struct err *e);
int patch_vm(struct api *a, struct call *c, struct err *e);

#endif
