/* The text of tracefs' format files.
 *
 *     name: sched_switch
 *     ID: 372
 *     format:
 *     	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
 *
 *     	field:char prev_comm[16];	offset:8;	size:16;	signed:0;
 *     	field:__data_loc char[] name;	offset:8;	size:4;	signed:0;
 *
 *     print fmt: …
 *
 * (Documentation/trace/events.rst of the kernel.) Everything before the name is the C type, except that an array's
 * bounds follow the name. The fields that begin with "common_" are the tracer's own and left out. A dynamic field's
 * four bytes say where its data is: __data_loc from the record's start, __rel_loc from behind the field itself.
 *
 * The C types of system call arguments are known here too (format_c_type): syscalls.c has only their text.
 *
 * The result is one block: the struct, its arguments, and a copy of the text in which names and types are cut out. */
#include "engine/probe/format.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FIELDS = 256, MAX_TEXT = 1 << 20 };

/* --- C types of system call arguments --- */

static const struct {
	const char *name;
	uint8_t size;
	bool is_signed;
} C_TYPES[] = {
        {"int", 4, true},
        {"unsigned int", 4, false},
        {"unsigned", 4, false},
        {"long", 8, true},
        {"unsigned long", 8, false},
        {"size_t", 8, false},
        {"ssize_t", 8, true},
        {"loff_t", 8, true},
        {"off_t", 8, true},
        {"pid_t", 4, true},
        {"uid_t", 4, false},
        {"gid_t", 4, false},
        {"qid_t", 4, false},
        {"umode_t", 2, false},
        {"mqd_t", 4, true},
        {"key_t", 4, true},
        {"key_serial_t", 4, true},
        {"clockid_t", 4, true},
        {"timer_t", 4, true},
        {"rwf_t", 4, true},
        {"u32", 4, false},
        {"__u32", 4, false},
        {"s32", 4, true},
        {"__s32", 4, true},
        {"u64", 8, false},
        {"__u64", 8, false},
        {"s64", 8, true},
        {"__s64", 8, true},
        {"u16", 2, false},
        {"short", 2, true},
        {"unsigned short", 2, false},
        {"char", 1, true},
        {"unsigned char", 1, false},
        {"u8", 1, false},
        {"__u8", 1, false},
        {"s8", 1, true},
        {"__u16", 2, false},
        {"s16", 2, true},
        {"__be16", 2, false},
        {"__be32", 4, false},
        {"bool", 1, false},
        {"aio_context_t", 8, false},
        {"enum landlock_rule_type", 4, false},
};

/* Typedefs that hide a pointer. */
static const char *const POINTER_TYPES[] = {"cap_user_data_t", "cap_user_header_t", "__sighandler_t"};

/* "const char *" that are memory with a length, not text. */
static const char *const BUFFERS[] = {"buf", "u_msg_ptr"};

static bool one_of(const char *s, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(s, list[i]))
			return true;
	return false;
}

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

void format_c_type(struct argument *a)
{
	const char *type = a->type;
	a->is_user_string = !strcmp(type, "const char *") && !one_of(a->name, BUFFERS, LENGTH(BUFFERS));
	while (!strncmp(type, "const ", 6))
		type += 6;
	a->is_pointer = strchr(type, '*') || one_of(type, POINTER_TYPES, LENGTH(POINTER_TYPES));
	a->size = 8;
	a->is_signed = false;
	for (size_t i = 0; i < LENGTH(C_TYPES) && !a->is_pointer; i++)
		if (!strcmp(type, C_TYPES[i].name)) {
			a->size = C_TYPES[i].size;
			a->is_signed = C_TYPES[i].is_signed;
		}
}

/* --- parsing --- */

size_t format_length(const char *text, size_t len)
{
	const char *end = memmem(text, len, "\nprint fmt:", 11);
	return end ? (size_t)(end - text) : len;
}

/* The number behind "KEY:" in a line, bounded. */
static int number_of(const char *line, const char *key, uint64_t most, uint64_t *ret)
{
	const char *p = strstr(line, key);
	if (!p || !isdigit((unsigned char)p[strlen(key)]))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(p + strlen(key), NULL, 10);
	return errno || *ret > most ? -EINVAL : 0;
}

static char *trim_end(char *start)
{
	size_t n = strlen(start);
	while (n && isspace((unsigned char)start[n - 1]))
		start[--n] = '\0';
	return start + n;
}

/* Cuts "TYPE NAME[16]" into type and name. The bounds go behind the type in its text only if there is room for them,
 * which there is: the name with its bounds is longer than the bounds. */
static int cut_declaration(char *text, struct argument *a)
{
	char *bounds = strchr(text, '['), *end;
	bool dynamic = !strncmp(text, "__data_loc ", 11) || !strncmp(text, "__rel_loc ", 10);
	a->is_dynamic = dynamic;
	if (bounds && !dynamic) {
		char *close = strchr(bounds, ']');
		if (!close || close[1])
			return -EINVAL; /* a bound in the middle, or two of them */
		*bounds = '\0';
	}
	end = trim_end(text);
	char *name = end;
	while (name > text && (isalnum((unsigned char)name[-1]) || name[-1] == '_'))
		name--;
	if (name == text || name == end || isdigit((unsigned char)*name))
		return -EINVAL;
	if (!isspace((unsigned char)name[-1]) && name[-1] != '*' && name[-1] != ']')
		return -EINVAL;
	a->name = name;
	a->elements = bounds && !dynamic; /* counted when the size is known */
	return 0;
}

/* Between the type and the name there is a space, which ends the type; "char *name" has none, so the type is copied. */
static int copy_type(const char *text, struct argument *a, char **spare)
{
	size_t n = (size_t)(a->name - text);
	while (n && isspace((unsigned char)text[n - 1]))
		n--;
	if (!n)
		return -EINVAL;
	memcpy(*spare, text, n);
	(*spare)[n] = '\0';
	a->type = *spare;
	*spare += n + 1;
	return 0;
}

/* The size of an element, where the declaration has bounds: those are often an expression of the kernel's
 * ("[TASK_COMM_LEN]",
 * "[2 * 4]"), so the element's type says it. */
static uint32_t element_size(const struct argument *a)
{
	struct argument element = {.name = "", .type = a->type};
	format_c_type(&element);
	if (element.is_pointer)
		return 8;
	for (size_t i = 0; i < LENGTH(C_TYPES); i++)
		if (!strcmp(a->type + (strncmp(a->type, "const ", 6) ? 0 : 6), C_TYPES[i].name))
			return C_TYPES[i].size;
	return 1;
}

static int parse_field(char *line, struct argument *a, char **spare)
{
	uint64_t offset, size, is_signed;
	char *text = strstr(line, "field:"), *end = text ? strchr(text, ';') : NULL;
	if (!end)
		return -EINVAL;
	*end++ = '\0';
	text += strlen("field:");
	if (number_of(end, "offset:", 1 << 16, &offset) || number_of(end, "size:", 1 << 16, &size) ||
	        number_of(end, "signed:", 1, &is_signed))
		return -EINVAL;
	int r = cut_declaration(text, a);
	if (!r)
		r = copy_type(text, a, spare);
	if (r)
		return r;
	a->offset = (uint32_t)offset;
	a->size = (uint32_t)size;
	a->is_signed = is_signed;
	a->is_pointer = !a->is_dynamic && a->size == 8 && strchr(a->type, '*');
	if (a->elements) {
		uint32_t each = element_size(a);
		a->elements = a->size && a->size % each == 0 ? a->size / each : a->size;
	}
	return 0;
}

static int take_field(char *line, struct event_format *format, struct argument *fields, char **spare)
{
	struct argument a = {0};
	if (format->narguments == MAX_FIELDS)
		return -EINVAL;
	int r = parse_field(line, &a, spare);
	if (r || !strncmp(a.name, "common_", 7))
		return r;
	fields[format->narguments++] = a;
	return 0;
}

static int parse_lines(char *text, struct event_format *format, struct argument *fields, char *spare)
{
	char *save = NULL;
	uint64_t id = 0;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int r = 0;
		if (!strncmp(line, "name: ", 6)) {
			format->name = line + 6;
			trim_end(line);
		} else if (!strncmp(line, "ID: ", 4)) {
			r = number_of(line, "ID: ", INT32_MAX, &id);
		} else if (!strncmp(line, "\tfield:", 7)) {
			r = take_field(line, format, fields, &spare);
		}
		if (r)
			return r;
	}
	format->number = (int64_t)id;
	return format->name && *format->name ? 0 : -EINVAL;
}

int format_parse(const char *text, size_t len, const char *category, struct event_format **ret)
{
	len = format_length(text, len);
	if (len > MAX_TEXT || memchr(text, '\0', len))
		return -EINVAL;
	size_t fields = 1, category_len = strlen(category) + 1;
	for (const char *p = text; (p = memmem(p, (size_t)(text + len - p), "field:", 6)); p += 6)
		fields++;
	/* Types are copied behind the text; each is shorter than the line that it stands in. */
	char *block =
	        calloc(1, sizeof(struct event_format) + fields * sizeof(struct argument) + category_len + 2 * len + 2);
	if (!block)
		return -ENOMEM;
	struct event_format *format = (struct event_format *)block;
	struct argument *arguments = (struct argument *)(format + 1);
	char *strings = (char *)(arguments + fields), *copy = strings + category_len;
	format->category = memcpy(strings, category, category_len);
	memcpy(copy, text, len);
	format->arguments = arguments;
	int r = parse_lines(copy, format, arguments, copy + len + 1);
	if (r) {
		free(block);
		return r;
	}
	*ret = format;
	return 0;
}
