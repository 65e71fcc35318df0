/* Constants by name and numbers as text, for hosts that show what scripts show. No handle: both are tables of the library. */
#include "engine/api/handle.h"
#include "engine/probe/catalog.h"
#include "engine/probe/decode.h"

#include <errno.h>
#include <string.h>

int rille_constant(const char *name, int64_t *ret)
{
	const struct constant *constant = name && ret ? constant_find(name) : NULL;
	if (!name || !ret)
		return -EINVAL;
	if (!constant)
		return -ENOENT;
	*ret = constant->value;
	return 0;
}

int rille_format(int64_t value, const char *as, char *ret, size_t room)
{
	struct field_schema field = {.kind = VALUE_INT, .width = 8};
	struct decoder decoder = {0};
	struct text text = {0};
	struct err err = {0};
	if (!as || (!ret && room))
		return -EINVAL;
	int e = decode_format(as, &field.format, field.prefix, &err);
	if (e == 0)
		e = decoder_init(&decoder, &field, &err);
	if (e == 0) {
		decode(&decoder, value, &text);
		e = text_failed(&text) ? -ENOMEM : (int)text.len;
	}
	if (e >= 0 && room) {
		size_t len = text.len < room ? text.len : room - 1;
		memcpy(ret, text_str(&text), len);
		ret[len] = '\0';
	}
	decoder_fini(&decoder);
	text_fini(&text);
	return e;
}
