/* A script's life: loaded and declared once, then called back, then freed.
 *
 * Declaring is: open a sandbox, compile the text, run it, check the table it returns (declare.c) into the session's
 * spec, and install the callbacks (callback.c). Nothing outside this process is touched, so `check`, `list` and
 * `--help` stop here and need no privileges. Each step into Lua is protected; an error leaves nothing behind but `err`.
 */
#include "engine/script/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_MEMORY = 64 << 20 };

/* Inside a protected call: what scripts can use. */
static int open_all(lua_State *L)
{
	library_open(L);
	origins_open(L);
	processes_open(L);
	counts_functions(L);
	address_open(L);
	require_open(L);
	output_open(L);
	return 0;
}

/* Inside a protected call: checks the table on the top. Arguments: the table, the err. Returns the code. */
static int declare(lua_State *L)
{
	struct err *err = lua_touserdata(L, 1);
	int code = declare_table(script_of(L), err);
	lua_pushinteger(L, code);
	return 1;
}

static int open_lua(struct script *script, struct err *err)
{
	lua_State *L;
	if (sandbox_open(&script->box, script, MOST_MEMORY, script->unsafe) < 0)
		return err_nomem(err);
	L = script->box.L;
	lua_pushcfunction(L, open_all);
	int status = lua_pcall(L, 0, 0, 0);
	return status == LUA_OK ? 0 : failure_take(script, status, "", err);
}

/* Runs the text; leaves what it returned on the stack. */
static int run_text(struct script *script, struct err *err)
{
	lua_State *L = script->box.L;
	sandbox_enter(&script->box, BUDGET_DECLARE);
	lua_pushcfunction(L, failure_handler);
	int r = source_compile(script, L, script->sources[0], err);
	if (r < 0)
		return r;
	int status = lua_pcall(L, 0, 1, 1);
	return status == LUA_OK ? 0 : failure_take(script, status, "", err);
}

static int check_table(struct script *script, struct err *err)
{
	lua_State *L = script->box.L;
	lua_pushcfunction(L, declare);
	lua_insert(L, -2);
	lua_pushlightuserdata(L, err);
	lua_insert(L, -2);
	int status = lua_pcall(L, 2, 1, 0);
	if (status != LUA_OK)
		return failure_take(script, status, "", err);
	int code = (int)lua_tointeger(L, -1);
	lua_settop(L, 0);
	return code;
}

static int keep_text(struct script *script, const char *text, size_t len, const char *name,
        const struct script_options *options, struct err *err)
{
	struct spec *spec = script->spec;
	spec_reset(spec); /* of a script that did not load */
	spec->name = strdup(name);
	spec->source = malloc(len + 1);
	if (!spec->name || !spec->source)
		return err_nomem(err);
	memcpy(spec->source, text, len);
	for (size_t i = 0; i < options->nfiles; i++)
		if (spec_add_file(spec, options->files[i].name, options->files[i].text, options->files[i].len) < 0)
			return err_nomem(err);
	spec->source[len] = '\0';
	return source_add(script, name, text, len) ? 0 : err_nomem(err);
}

static struct script *script_new(struct session *session, int dir_fd, const struct script_options *options)
{
	static const struct script_callbacks none = {
	        {LUA_NOREF}, {LUA_NOREF}, {LUA_NOREF}, {LUA_NOREF}, {LUA_NOREF}, {LUA_NOREF}, {LUA_NOREF}};
	struct script *script = calloc(1, sizeof(*script));
	if (!script)
		return NULL;
	script->session = session;
	script->spec = session_spec(session);
	script->callbacks = none;
	script->unsafe = options->unsafe;
	script->strict = options->strict;
	if (options->log)
		script->logger = *options->log;
	script->dir_fd = dir_fd >= 0 ? fcntl(dir_fd, F_DUPFD_CLOEXEC, 3) : -1;
	return script;
}

int script_load(struct script **ret, struct session *session, const char *text, size_t len, const char *name,
        int dir_fd, const struct script_options *options, struct err *err)
{
	struct script *script = script_new(session, dir_fd, options);
	*ret = NULL;
	if (!script)
		return err_nomem(err);
	int r = keep_text(script, text, len, name, options, err);
	if (r == 0)
		r = open_lua(script, err);
	if (r == 0)
		r = run_text(script, err);
	if (r == 0)
		r = check_table(script, err);
	if (r == 0)
		r = origins_check(script, err);
	if (r < 0) {
		script_free(script);
		return r;
	}
	callback_install(script);
	script->running = true;
	*ret = script;
	return 0;
}

void script_free(struct script *script)
{
	if (!script)
		return;
	sandbox_close(&script->box);
	view_free_all(script);
	source_free_all(script);
	if (script->origins != script->origins_given)
		origins_free(script->origins_given);
	origins_free(script->origins);
	processes_free(script->processes);
	text_fini(&script->scratch);
	if (script->dir_fd >= 0)
		close(script->dir_fd);
	for (size_t i = 0; i < script->nparams; i++)
		free(script->params[i].fallback);
	free(script->probes);
	free(script->params);
	free(script);
}
