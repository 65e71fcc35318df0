/* A line that says what a stack is about, and one of advice; in JSON an object. Names are a target's. */
#include "engine/out/origin_text.h"

#include <stdint.h>
#include <string.h>

static void add_frame(struct text *out, const struct frame *frame)
{
	text_add_clean(out, frame->name, strlen(frame->name));
	if (!frame->file)
		return;
	const char *slash = strrchr(frame->file, '/'), *file = slash ? slash + 1 : frame->file;
	text_adds(out, " (");
	text_add_clean(out, file, strlen(file));
	if (frame->line > 0)
		text_printf(out, ":%d", frame->line);
	text_addc(out, ')');
}

bool origin_text(struct text *out, const struct origins *origins, const struct stack *stack, const char *path,
        const char *indent, const struct palette *palette)
{
	struct origin_hit hit = {.by = SIZE_MAX};
	if (!origins || !origins_match(origins, stack, path, &hit))
		return false;
	text_printf(out, "%s%sabout:%s %s", indent, palette->label, palette->reset, hit.origin->about);
	if (hit.by != SIZE_MAX) {
		text_adds(out, "; for ");
		add_frame(out, &stack->frames[hit.by]);
	}
	text_addc(out, '\n');
	if (hit.origin->advice)
		text_printf(out, "%s%sadvice:%s %s\n", indent, palette->label, palette->reset, hit.origin->advice);
	return true;
}

void origin_text_policy(struct text *out, const struct origin *origin, const char *path, int fd, const char *indent)
{
	struct text policy = {0};
	if (!origin->crac)
		return;
	origin_policy(&policy, origin, path, fd);
	for (const char *line = text_str(&policy); *line;) {
		size_t len = strcspn(line, "\n");
		text_printf(out, "%s%.*s\n", indent, (int)len, line);
		line += len + (line[len] == '\n');
	}
	text_fini(&policy);
}

static void add_member(struct text *out, const char *key, const char *s)
{
	if (!s)
		return;
	text_adds(out, key);
	text_addc(out, '"');
	text_add_json(out, s, strlen(s));
	text_addc(out, '"');
}

void origin_json_hit(
        struct text *out, const char *key, const struct origin_hit *hit, const struct stack *stack, const char *path)
{
	struct text policy = {0};
	text_adds(out, key);
	add_member(out, "{\"name\":", hit->origin->name);
	add_member(out, ",\"about\":", hit->origin->about);
	add_member(out, ",\"advice\":", hit->origin->advice);
	if (hit->origin->crac) {
		origin_policy(&policy, hit->origin, path, -1);
		add_member(out, ",\"crac\":", text_str(&policy));
		text_fini(&policy);
	}
	if (hit->by != SIZE_MAX)
		add_member(out, ",\"by\":", stack->frames[hit->by].name);
	text_addc(out, '}');
}

void origin_json(
        struct text *out, const char *key, const struct origins *origins, const struct stack *stack, const char *path)
{
	struct origin_hit hit = {.by = SIZE_MAX};
	if (origins && origins_match(origins, stack, path, &hit))
		origin_json_hit(out, key, &hit, stack, path);
}
