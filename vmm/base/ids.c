/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/ids.h"

#include "vmm/base/utf8.h"

int ids_check_instance(const char *id, struct err *e)
{
	if (utf8_is_id(id, '-', INSTANCE_ID_MAX))
		return 0;
	return err_bad(e, "id '%.80s' is not 1 to %d bytes of letters, digits and '-'",
		id, INSTANCE_ID_MAX);
}

bool ids_is_device(const char *id)
{
	return utf8_is_id(id, '_', DEVICE_ID_MAX);
}

int ids_check_device(const char *what, const char *id, struct err *e)
{
	if (ids_is_device(id))
		return 0;
	return err_bad(e, "%s '%.80s' is not 1 to %d bytes of letters, digits and '_'",
		what, id, DEVICE_ID_MAX);
}
