/* Method, class and file names come again and again: one hash lookup, and a pointer then stands for the text. */
#include "engine/stack/intern.h"

#include "engine/stack/arena.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct string {
	UT_hash_handle hh;
	char text[];
};

struct intern {
	struct string *strings;
	struct arena arena;
};

struct intern *intern_new(void)
{
	return calloc(1, sizeof(struct intern));
}

void intern_free(struct intern *intern)
{
	if (!intern)
		return;
	HASH_CLEAR(hh, intern->strings);
	arena_fini(&intern->arena);
	free(intern);
}

const char *intern_bytes(struct intern *intern, const char *bytes, size_t len)
{
	struct string *string;
	HASH_FIND(hh, intern->strings, bytes, len, string);
	if (string)
		return string->text;
	string = arena_alloc(&intern->arena, sizeof(*string) + len + 1);
	if (!string)
		return NULL;
	memcpy(string->text, bytes, len);
	HASH_ADD_KEYPTR(hh, intern->strings, string->text, len, string);
	return string->text;
}

const char *intern_text(struct intern *intern, const char *text)
{
	return intern_bytes(intern, text, strlen(text));
}
