/* Members of a JSON object, by name and type. What a file says is not trusted: a wrong type is the same as a member that
 * is not there. */
#include "engine/out/trace_reader.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int trace_bad(struct err *err, const char *fmt, ...)
{
	char message[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return err_set(err, -EBADMSG, ERR_RUNTIME, "bad-record", "%s", message);
}

struct json_object *trace_member(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *member;
	bool there = json_object_object_get_ex(object, key, &member);
	return there && json_object_get_type(member) == type ? member : NULL;
}

/* json-c keeps what is beyond int64_t as uint64_t, and what is beyond that as the greatest. */
bool trace_integer(struct json_object *from, int64_t *ret)
{
	if (json_object_get_type(from) != json_type_int)
		return false;
	*ret = json_object_get_int64(from);
	if (*ret == INT64_MAX)
		*ret = (int64_t)json_object_get_uint64(from);
	return true;
}

bool trace_u64(struct json_object *object, const char *key, uint64_t *ret)
{
	struct json_object *member = trace_member(object, key, json_type_int);
	int64_t v;
	if (!member || json_object_get_int64(member) < 0 || !trace_integer(member, &v))
		return false;
	*ret = (uint64_t)v;
	return true;
}

bool trace_u32(struct json_object *object, const char *key, uint32_t *ret)
{
	uint64_t v;
	if (!trace_u64(object, key, &v) || v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

bool trace_text(struct json_object *object, const char *key, const char **ret, size_t *ret_len)
{
	struct json_object *member = trace_member(object, key, json_type_string);
	if (!member)
		return false;
	*ret = json_object_get_string(member);
	if (ret_len)
		*ret_len = (size_t)json_object_get_string_len(member);
	return true;
}

bool trace_bool(struct json_object *object, const char *key)
{
	struct json_object *member = trace_member(object, key, json_type_boolean);
	return member && json_object_get_boolean(member);
}

bool trace_time(struct json_object *object, const char *key, int64_t *ret)
{
	struct tm tm = {0};
	const char *text;
	if (!trace_text(object, key, &text, NULL))
		return false;
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest || *rest++ != '.' || strspn(rest, "0123456789") != 9 || strcmp(rest + 9, "Z") != 0)
		return false;
	int64_t seconds = timegm(&tm), nsecs = 0;
	for (int i = 0; i < 9; i++)
		nsecs = nsecs * 10 + (rest[i] - '0');
	return !__builtin_mul_overflow(seconds, (int64_t)1000000000, ret) && !__builtin_add_overflow(*ret, nsecs, ret);
}
