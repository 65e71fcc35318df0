/* Any text as a condition and as a field of a probe: refused with an error at a place inside the text, or made into C. */
#include "engine/probe/gen.h"

#include <stdlib.h>
#include <string.h>

static struct spec_text place(const char *text)
{
	return (struct spec_text){.text = strdup(text), .pos = {.file = "fuzz.lua", .line = 1, .col = 1}};
}

static void add_param(struct spec *spec, const char *name, const char *type)
{
	struct spec_param *param = spec_add_param(spec);
	if (!param)
		abort();
	param->name = place(name);
	strcpy(param->type, type);
}

static void make_spec(struct spec *spec, const char *on, const char *text)
{
	spec_init(spec);
	add_param(spec, "n", "u64");
	add_param(spec, "list", "s32[]");
	add_param(spec, "word", "string");
	struct spec_probe *probe = spec_add_probe(spec);
	struct spec_field *field = probe ? spec_add_field(probe) : NULL;
	if (!field)
		abort();
	probe->on = place(on);
	probe->where = place(text);
	field->name = place("f");
	field->expr = place(text);
}

static void check(const struct spec *spec, struct catalog *catalog)
{
	struct gen_result result;
	struct gen_options options = {0};
	struct err err = {0};
	int r = gen_run(spec, &options, catalog, &result, &err);
	size_t lines = 1;
	for (const char *s = spec->probes[0].where.text; *s; s++)
		lines += *s == '\n';
	if (r == 0 && (!result.source.len || result.nprobes != 1 || result.probes[0].nfields != 1))
		abort();
	if (r < 0 && (!err.tag || !err.message[0] || (err.class == ERR_SCRIPT && (!err.line || err.line > lines))))
		abort();
	if (r == 0)
		gen_result_fini(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct catalog *catalog; /* the kernel's types are read once */
	static const char *const probes[] = {"syscall:socketpair", "syscall:bind", "syscall:execve", "syscall:openat"};
	struct err err;
	struct spec spec;
	if (len < 1 || (!catalog && catalog_open(&catalog, NULL, NULL, &err) < 0))
		return 0;
	char *text = strndup((const char *)data + 1, len - 1);
	if (!text)
		return 0;
	make_spec(&spec, probes[data[0] % 4], text);
	check(&spec, catalog);
	spec_fini(&spec);
	free(text);
	return 0;
}
