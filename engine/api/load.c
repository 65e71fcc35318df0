/* Declaring: from a recipe's name, a file, a text, or the body of one probe to a loaded script, and its parameters. */
#include "engine/api/handle.h"
#include "engine/base/nearest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SCRIPT = 4 << 20 };

static int load(rille *r, const char *text, size_t len, const char *name, int dir_fd)
{
	if (r->declared)
		return err_set(&r->err, -EBUSY, ERR_RUNTIME, "wrong-state",
		        r->script ? "a script has been loaded already"
		                  : "probes have been declared already; they and a script do not mix");
	struct script_options options = {.unsafe = r->unsafe, .strict = r->strict, .log = &r->log};
	int e = script_load(&r->script, r->session, text, len, name, dir_fd, &options, &r->err);
	r->declared = e == 0;
	if (e < 0)
		spec_reset(session_spec(r->session));
	return e < 0 ? handle_error(r, e) : 0;
}

/* What the loading functions begin with. */
static int enter(rille *r, const char *function, const char *argument, const char *value)
{
	int e = handle_enter(r);
	if (e == 0 && !value)
		e = handle_null(r, function, argument);
	return e;
}

int rille_load_string(rille *r, const char *text, size_t len, const char *name)
{
	int e = enter(r, "rille_load_string", "text", text);
	return e < 0 ? e : load(r, text, len, name ? name : "script", -1);
}

int rille_load_recipe(rille *r, const char *name)
{
	int e = enter(r, "rille_load_recipe", "name", name);
	if (e < 0)
		return e;
	const struct recipe *recipe = recipe_find(name);
	if (recipe)
		return load(r, recipe->text, recipe->len, recipe->name, -1);
	size_t n;
	struct nearest nearest;
	const struct recipe *all = recipe_table(&n);
	nearest_init(&nearest, name);
	for (size_t i = 0; i < n; i++)
		nearest_offer(&nearest, all[i].name);
	err_set(&r->err, -ENOENT, ERR_SCRIPT, "unknown-recipe", "there is no recipe '%s'", name);
	if (nearest.best)
		err_hint(&r->err, "did you mean '%s'? 'rille list recipes' shows all", nearest.best);
	else
		err_hint(&r->err, "'rille list recipes' shows all; a file's name ends in .lua or has a slash");
	return -ENOENT;
}

/* The user's text stays on its line and is shown as it is inside the script; only columns move. */
int rille_load_table(rille *r, const char *text, const char *name)
{
	struct text script = {0};
	int e = enter(r, "rille_load_table", "text", text);
	if (e < 0)
		return e;
	text_printf(&script, "return { probes = { %s } }", text);
	if (text_failed(&script))
		return err_nomem(&r->err);
	e = load(r, text_str(&script), script.len, name ? name : "probe", -1);
	text_fini(&script);
	return e;
}

static int read_whole(int fd, struct text *ret)
{
	for (;;) {
		char *room = text_reserve(ret, 65536);
		if (!room)
			return -ENOMEM;
		ssize_t n = read(fd, room, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		ret->len += (size_t)n;
		if (ret->len > MAX_SCRIPT)
			return -EFBIG;
	}
}

/* Where `require` looks: the folder that the file is in. -1 if it cannot be opened; then nothing is found there. */
static int open_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	free(folder);
	return fd;
}

int rille_load_file(rille *r, const char *path)
{
	struct text text = {0};
	int e = enter(r, "rille_load_file", "path", path);
	if (e < 0)
		return e;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	e = fd >= 0 ? read_whole(fd, &text) : -errno;
	if (fd >= 0)
		close(fd);
	if (e < 0) {
		err_set(&r->err, e, ERR_SCRIPT, "cannot-read", "cannot read %s: %s", path, strerror(-e));
	} else {
		int folder = open_folder(path);
		e = load(r, text_str(&text), text.len, path, folder);
		if (folder >= 0)
			close(folder);
	}
	text_fini(&text);
	return e;
}

size_t rille_param_count(const rille *r)
{
	return r ? session_spec(r->session)->nparams : 0;
}

int rille_param(const rille *r, size_t i, struct rille_param *ret)
{
	if (!r || !ret)
		return -EINVAL;
	const struct spec *spec = session_spec(r->session);
	if (!r->script || i >= spec->nparams)
		return -ENOENT;
	const struct spec_param *param = &spec->params[i];
	*ret = (struct rille_param){.name = param->name.text, .help = param->help};
	script_param(r->script, i, &ret->type, &ret->fallback);
	return 0;
}

const char *rille_summary(const rille *r)
{
	const char *summary = r ? session_spec(r->session)->summary : NULL;
	return summary ? summary : "";
}

int rille_set_param(rille *r, const char *name, const char *value)
{
	int e = handle_enter_early(r, "rille_set_param");
	if (e < 0)
		return e;
	if (!name)
		return handle_null(r, "rille_set_param", "name");
	if (!r->script)
		return err_set(&r->err, -EINVAL, ERR_RUNTIME, "wrong-state", "no script has been loaded");
	e = script_set_param(r->script, name, value, &r->err);
	return e < 0 ? handle_error(r, e) : 0;
}
