/* Reading a verifier's log (level 1; the format: kernel/bpf/verifier.c, verbose_linfo()).
 *
 * The log walks through the program; before the instructions of a source line stands
 *
 *     ; return 1 / x; @ script.lua:7
 *
 * where the place comes with kernels since 6.10, and the text is the line that the compiler saw, from BTF. Older
 * kernels print the text alone; then it is searched in the script. The complaint is the last line before "processed N
 * insns", the summary. The object was compiled from C with #line directives, so file and line are the script's wherever
 * an expression of the script became code. */
#include "engine/run/verifier.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
	const char *start;
	size_t len;
};

static bool next_line(const char **cursor, struct line *ret)
{
	if (!**cursor)
		return false;
	ret->start = *cursor;
	ret->len = strcspn(*cursor, "\n");
	*cursor += ret->len + ((*cursor)[ret->len] == '\n');
	return true;
}

static bool starts(const struct line *line, const char *prefix)
{
	return line->len >= strlen(prefix) && !memcmp(line->start, prefix, strlen(prefix));
}

/* Not an instruction ("12: (85) call …"), not a state dump ("R0=…", "from 3 to 7: …"), not a source line. */
static bool is_complaint(const struct line *line)
{
	static const char *const noise[] = {";", "processed ", "from ", "verification time", "stack depth",
	        "mark_precise", "last_idx", "regs=", "parent ", "Validating ", "Func#", "func#", "arg#", "old state",
	        "propagating"};
	if (!line->len || line->start[0] == ' ' || (line->start[0] >= '0' && line->start[0] <= '9'))
		return false;
	for (size_t i = 0; i < sizeof(noise) / sizeof(*noise); i++)
		if (starts(line, noise[i]))
			return false;
	/* "R1_w=ctx() R10=fp0" is a state; "R1 type=scalar expected=…" and "R0 !read_ok" are complaints. */
	if (line->start[0] == 'R' && line->len > 2) {
		size_t i = 1 + strspn(line->start + 1, "0123456789");
		return line->start[i] == ' ';
	}
	return true;
}

/* "; text @ file:line": the last of them that names the script. */
static bool place_of(const struct line *line, const struct spec *spec, uint32_t *ret_line)
{
	const char *end = line->start + line->len, *at = NULL;
	for (const char *p = line->start; p + 3 < end; p++)
		if (!memcmp(p, " @ ", 3))
			at = p + 3;
	if (!at)
		return false;
	const char *colon = memrchr(at, ':', (size_t)(end - at));
	const char *base = spec->name ? strrchr(spec->name, '/') : NULL;
	const char *name = base ? base + 1 : spec->name;
	/* The kernel prints the path's last part. */
	if (!colon || !name || (size_t)(colon - at) != strlen(name) || memcmp(at, name, strlen(name)) != 0)
		return false;
	*ret_line = (uint32_t)strtoul(colon + 1, NULL, 10);
	return *ret_line > 0;
}

/* Without a place: the text itself, if it stands in the script once. */
static bool search(const struct line *line, const struct spec *spec, uint32_t *ret_line)
{
	char text[256];
	if (!spec->source || line->len < 8 || line->len - 2 >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)(line->len - 2), line->start + 2);
	const char *hit = strstr(spec->source, text);
	if (!hit || strstr(hit + 1, text))
		return false;
	*ret_line = 1;
	for (const char *p = spec->source; p < hit; p++)
		*ret_line += *p == '\n';
	return true;
}

int verifier_explain(const char *log, const char *program, const struct spec *spec, int code, struct err *err)
{
	struct line line, complaint = {"no complaint in its log", strlen("no complaint in its log")};
	uint32_t number = 0;
	for (const char *cursor = log; next_line(&cursor, &line);) {
		uint32_t found;
		if (starts(&line, "; ") && (place_of(&line, spec, &found) || search(&line, spec, &found)))
			number = found;
		else if (is_complaint(&line))
			complaint = line;
	}
	struct pos pos = {spec->name, spec->source, number, 0};
	err_at(err, pos, "verifier-rejected", "the kernel's verifier refuses this probe: %.*s", (int)complaint.len,
	        complaint.start);
	err_hint(err, "program %s; -v shows the verifier's whole log", program);
	if (err)
		err->code = code;
	return code;
}
