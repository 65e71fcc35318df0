/* The Lua boundary: runs the declare phase into a session's spec, and the callbacks while it runs.
 * The only folder that includes lua.h. */
#ifndef RILLE_SCRIPT_SCRIPT_H
#define RILLE_SCRIPT_SCRIPT_H

#include "engine/core/session.h"

struct script;

struct script_options {
	bool unsafe, strict;
	const struct logger *log;
	const struct spec_file *files; /* that `require` finds before it looks into the folder */
	size_t nfiles;
};

/* Runs the text's declare phase, sandboxed and bounded, checks the whole table and fills session_spec(); installs the
 * callbacks. `dir_fd` is where `require` finds scripts beside this one, -1 = nowhere. */
int script_load(struct script **ret, struct session *session, const char *text, size_t len, const char *name,
        int dir_fd, const struct script_options *options, struct err *err);
void script_free(struct script *script);
/* A parameter as text ("1,2,3", "yes"); checked against its type now. Tag bad-parameter or unknown-parameter. */
int script_set_param(struct script *script, const char *name, const char *value, struct err *err);

/* How a parameter was declared: its type as the script says it ("const:AF_"), its default as a user would type it ("unix"; NULL
 * if there is none). The spec has both in the form of the layers below. `i` as in the spec. */
void script_param(const struct script *script, size_t i, const char **ret_type, const char **ret_fallback);

struct origins;
/* What stacks are about, by rille.origins as it is when this is called first; lives as long as the script. NULL and `err` if
 * the table is wrong. */
const struct origins *script_origins(struct script *script, struct err *err);

/* A recipe embedded in the library: text and length, or NULL; *ret_summary without running the whole script. */
struct recipe {
	const char *name, *text;
	size_t len;
};
const struct recipe *recipe_find(const char *name);
const struct recipe *recipe_table(size_t *ret_n);

#endif
