/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/kind.h"

#include "vmm/base/utf8.h"

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
	if (k->is_list && !utf8_is_id(kind_id(&k->cfg, cfg), '_', VDEV_ID_MAX))
		return err_bad(e,
			"%s '%.80s' is not 1 to %d bytes of letters, digits and '_'",
			id_member(&k->cfg), kind_id(&k->cfg, cfg), VDEV_ID_MAX);
	return k->check(cfg, e);
}
