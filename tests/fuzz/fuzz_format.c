/* Any bytes as a format file: parsed or refused, and what comes out lies inside its block. */
#include "engine/probe/format.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct event_format *format;
	char *text = malloc(len + 1); /* exact, so that reading past the end is seen */
	if (!text)
		return 0;
	memcpy(text, data, len);
	text = realloc(text, len ? len : 1);
	if (!format_parse(text, len, "category", &format)) {
		volatile size_t sum = strlen(format->name) + strlen(format->category);
		for (size_t i = 0; i < format->narguments; i++) {
			const struct argument *a = &format->arguments[i];
			sum += strlen(a->name) + strlen(a->type);
			if (!*a->name || !*a->type || (a->elements && a->size % a->elements))
				abort();
		}
		free(format);
	}
	free(text);
	return 0;
}
