/* Declaring: from a recipe's name, a file, a text, or the body of one probe to a loaded script, and its parameters. */
#include "engine/api/handle.h"
#include "engine/base/nearest.h"
#include "engine/probe/portable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SCRIPT = 4 << 20, MAX_OBJECT = 64 << 20 };

/* With the files that `require` is to find, if they are known. */
static int load_with(rille *r, const char *text, size_t len, const char *name, int dir_fd,
        const struct spec_file *files, size_t nfiles)
{
	if (r->declared)
		return err_set(&r->err, -EBUSY, ERR_RUNTIME, "wrong-state",
		        r->script ? "a script has been loaded already"
		                  : "probes have been declared already; they and a script do not mix");
	struct script_options options = {
	        .unsafe = r->unsafe, .strict = r->strict, .log = &r->log, .files = files, .nfiles = nfiles};
	int e = script_load(&r->script, r->session, text, len, name, dir_fd, &options, &r->err);
	r->declared = e == 0;
	if (e < 0)
		spec_reset(session_spec(r->session));
	return handle_result(r, e);
}

static int load(rille *r, const char *text, size_t len, const char *name, int dir_fd)
{
	return load_with(r, text, len, name, dir_fd, NULL, 0);
}

/* What the loading functions begin with. */
static int enter(rille *r, const char *function, const char *argument, const char *value)
{
	int e = handle_enter(r, "declare");
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
		bool object = portable_is_object(ret->data, ret->len);
		if (ret->len > (object ? MAX_OBJECT : MAX_SCRIPT))
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

static int declare_probe(rille *r, const struct spec_probe *probe)
{
	static const char *const words[] = {NULL, "user", "kernel", "both"};
	struct rille_field fields[SCHEMA_MAX_FIELDS] = {{0}};
	for (size_t i = 0; i < probe->nfields; i++)
		fields[i] = (struct rille_field){
		        probe->fields[i].name.text, probe->fields[i].expr.text, probe->fields[i].as.text, NULL};
	const struct rille_probe given = {
	        .size = sizeof(given),
	        .on = probe->on.text,
	        .where = probe->where.text,
	        .fields = fields,
	        .nfields = probe->nfields,
	        .stack = words[probe->stack.sides],
	        .depth = probe->stack.depth,
	        .max_bytes = probe->stack.max_bytes,
	};
	int e = rille_add_probe(r, &given);
	return e < 0 ? e : 0;
}

/* What the object was made of is declared again; with it come the settings that are part of the program. */
static int declare_object(rille *r, const struct portable *made)
{
	const struct spec *spec = &made->spec;
	struct gen_options *options = session_gen_options(r->session);
	int e = 0;
	if (made->is_script)
		e = load_with(r, spec->source, strlen(spec->source), spec->name, -1, spec->files, spec->nfiles);
	for (size_t i = 0; e == 0 && i < spec->nprobes; i++)
		e = declare_probe(r, &spec->probes[i]);
	if (e == 0 && spec->filter.text)
		e = rille_set(r, "filter", spec->filter.text);
	options->force_stack = made->force_stack;
	options->depth = made->depth;
	return e;
}

static int load_object(rille *r, const void *data, size_t len)
{
	struct portable made;
	if (r->declared)
		return err_set(&r->err, -EBUSY, ERR_RUNTIME, "wrong-state", "there is something to trace already");
	int e = portable_read(&made, data, len, &r->err);
	if (e < 0)
		return e;
	log_info(&r->log, "object made by rille %s on Linux %s", made.version, made.kernel);
	e = declare_object(r, &made);
	if (e == 0)
		e = session_set_object(r->session, data, len, made.digest, &r->err);
	portable_fini(&made);
	return e;
}

int rille_load_object(rille *r, const void *data, size_t len)
{
	int e = handle_enter(r, "declare");
	if (e == 0 && !data)
		e = handle_null(r, "rille_load_object", "data");
	return e < 0 ? e : load_object(r, data, len);
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
	} else if (portable_is_object(text_str(&text), text.len)) {
		e = load_object(r, text_str(&text), text.len);
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
	return handle_result(r, e);
}
