/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/kind.h"

#include "vmm/base/ids.h"

const char *kind_id(const struct kind_body *b, const void *body)
{
	return *(char *const *)(const void *)((const char *)body + b->id_at);
}

static const char *id_member(const struct kind_body *b)
{
	const struct field *f = b->fields->field;

	while (f->offset != b->id_at)
		f++;
	return f->name;
}

int kind_check(const struct device_kind *k, const void *cfg, struct err *e)
{
	int r = k->is_list
		? ids_check_device(id_member(&k->cfg), kind_id(&k->cfg, cfg), e)
		: 0;

	if (r == 0 && k->check)
		r = k->check(cfg, e);
	return r;
}
