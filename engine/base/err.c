/* One error, formatted once, at its origin.
 *
 * Every failure in the engine ends in one `struct err`: the negative errno that the call returned, the class (which is
 * also the command's exit code), a stable tag that tests and documentation refer to, and a sentence for a person. What a
 * script got wrong also carries the place and the source line, so that it can be shown like a compiler does.
 *
 * The struct has no pointers to owned memory: it can be copied, put on the stack and thrown away, and filling it cannot
 * fail for want of memory, which is when it is needed most. */
#include "engine/base/err.h"
#undef err_set
#undef err_at
#undef err_nomem
#include "engine/base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct err *err, int code, enum err_class class, const char *tag, const char *fmt, va_list ap)
{
	memset(err, 0, sizeof(*err));
	err->code = code;
	err->class = class;
	err->tag = tag;
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
}

int err_set(struct err *err, int code, enum err_class class, const char *tag, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		fill(err, code, class, tag, fmt, ap);
		va_end(ap);
	}
	return code;
}

static void copy_line(struct err *err, struct pos pos)
{
	const char *s = pos.source;
	for (uint32_t n = 1; s && n < pos.line; n++) {
		s = strchr(s, '\n');
		s = s ? s + 1 : NULL;
	}
	if (s)
		snprintf(err->source, sizeof(err->source), "%.*s", (int)strcspn(s, "\r\n"), s);
}

int err_at(struct err *err, struct pos pos, const char *tag, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		fill(err, -EINVAL, ERR_SCRIPT, tag, fmt, ap);
		va_end(ap);
		err->line = pos.line;
		err->col = pos.col;
		if (pos.file)
			snprintf(err->file, sizeof(err->file), "%s", pos.file);
		if (pos.line)
			copy_line(err, pos);
	}
	return -EINVAL;
}

int err_nomem(struct err *err)
{
	return err_set(err, -ENOMEM, ERR_RUNTIME, "out-of-memory", "out of memory");
}

void err_hint(struct err *err, const char *fmt, ...)
{
	if (!err)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
}

void err_context(struct err *err, const char *fmt, ...)
{
	if (!err)
		return;
	char message[sizeof(err->message)], context[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	memcpy(message, err->message, sizeof(message));
	size_t used = (size_t)snprintf(err->message, sizeof(err->message), "%s: ", context);
	snprintf(err->message + used, sizeof(err->message) - used, "%s", message);
}

/* The caret stands under column `col`; tabs are kept so that it lines up whatever a tab's width is. */
static void add_caret(const struct err *err, struct text *out)
{
	text_adds(out, "  ");
	for (uint32_t i = 0; i + 1 < err->col && err->source[i]; i++)
		text_addc(out, err->source[i] == '\t' ? '\t' : ' ');
	text_adds(out, "^\n");
}

void err_format(const struct err *err, struct text *out)
{
	if (err->file[0])
		text_add_clean(out, err->file, strlen(err->file));
	if (err->line)
		text_printf(out, ":%u", err->line);
	if (err->line && err->col)
		text_printf(out, ":%u", err->col);
	if (err->file[0])
		text_adds(out, ": ");
	text_printf(out, "error: %s [%s]\n", err->message, err->tag ? err->tag : "error");
	if (err->source[0]) {
		text_adds(out, "  ");
		text_add_clean(out, err->source, strlen(err->source));
		text_addc(out, '\n');
		if (err->col)
			add_caret(err, out);
	}
	if (err->hint[0])
		text_printf(out, "hint: %s\n", err->hint);
}
