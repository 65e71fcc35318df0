/* The declare phase on any text: reading the places, running it in the sandbox, checking its table. A text begins with one
 * byte that chooses between the reader of places alone, which takes any bytes, and the whole way. */
#include "engine/core/session.h"
#include "engine/script/locate.h"
#include "engine/script/script.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_places(const char *text, size_t len)
{
	struct locator *l = locator_new("fuzz", text, len);
	if (!l)
		return;
	int root = locate_root(l), node;
	for (size_t i = 1; (node = locate_item(l, root, i)) != LOCATE_NONE; i++) {
		struct pos pos = locate_pos(l, node), key = locate_key_pos(l, node);
		if (!pos.line || !key.line)
			abort();
	}
	locate_pos(l, locate_key(l, locate_key(l, root, "probes"), "where"));
	locate_string(l, "a", 1);
	locate_on_line(l, 2, "a", 1);
	locator_free(l);
}

static void declare(const char *text, size_t len)
{
	struct session *session;
	struct session_options options = {.cache_dir = ""};
	struct script_options script_options = {0};
	struct script *script = NULL;
	struct err err = {0};
	if (session_new(&session, &options) < 0)
		return;
	int r = script_load(&script, session, text, len, "fuzz", -1, &script_options, &err);
	if (r < 0 && (!err.tag || !err.message[0]))
		abort(); /* every failure says what it is */
	session_free(session);
	script_free(script);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	char *text = malloc(size); /* of exactly its size, with a NUL behind it as the callers have */
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] & 1)
		read_places(text, size - 1);
	else
		declare(text, size - 1);
	free(text);
	return 0;
}
