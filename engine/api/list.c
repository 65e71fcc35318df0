/* What there is: recipes, probes, and what is in scope in a probe. */
#include "engine/api/handle.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

/* A recipe says itself what it is about: its declare phase is run, in a handle of its own. */
static int list_recipe(const struct recipe *recipe, int (*fn)(void *user, const struct rille_item *item), void *user)
{
	rille *r = rille_new(NULL);
	if (!r)
		return -ENOMEM;
	bool loaded = rille_load_recipe(r, recipe->name) == 0;
	struct rille_item item = {recipe->name, loaded ? rille_summary(r) : "", recipe->text};
	int e = fn(user, &item);
	rille_free(r);
	return e;
}

static int enter(rille *r, const char *function, bool has_fn)
{
	int e = handle_enter(r, "list");
	return e == 0 && !has_fn ? handle_null(r, function, "fn") : e;
}

int rille_list_recipes(rille *r, int (*fn)(void *user, const struct rille_item *item), void *user)
{
	int e = enter(r, "rille_list_recipes", fn != NULL);
	if (e)
		return e;
	size_t n;
	const struct recipe *all = recipe_table(&n);
	r->inside++;
	for (size_t i = 0; e == 0 && i < n; i++)
		e = list_recipe(&all[i], fn, user);
	r->inside--;
	return e;
}

struct listing {
	const char *kind; /* "syscall:" */
	const char *glob; /* over the whole name */
	int (*fn)(void *user, const struct rille_item *item);
	void *user;
};

static int list_one(void *user, const char *name)
{
	const struct listing *listing = user;
	char full[256];
	snprintf(full, sizeof(full), "%s%s", listing->kind, name);
	if (fnmatch(listing->glob, full, 0) != 0)
		return 0;
	struct rille_item item = {.name = full};
	return listing->fn(listing->user, &item);
}

/* The glob is over whole names. A kind that it cannot match is not asked for: listing system calls needs no privileges,
 * tracepoints do. */
static bool may_match(const char *glob, const char *kind)
{
	size_t fixed = strcspn(glob, "*?[");
	size_t len = strlen(kind);
	return !strncmp(glob, kind, fixed < len ? fixed : len);
}

int rille_list_probes(rille *r, const char *glob, int (*fn)(void *user, const struct rille_item *item), void *user)
{
	struct catalog *catalog;
	struct listing listing = {"syscall:", glob && *glob ? glob : "*", fn, user};
	int e = enter(r, "rille_list_probes", fn != NULL);
	if (e)
		return e;
	e = session_catalog(r->session, &catalog, &r->err);
	r->inside++;
	if (e == 0 && may_match(listing.glob, "syscall:"))
		e = catalog_match_syscalls(catalog, "*", list_one, &listing, &r->err);
	if (e == 0 && may_match(listing.glob, "tracepoint:")) {
		listing.kind = "tracepoint:";
		e = catalog_match_tracepoints(catalog, "*", list_one, &listing, &r->err);
	}
	r->inside--;
	return e < 0 ? handle_error(r, e) : e;
}

static int find_format(rille *r, const char *probe, const struct event_format **ret)
{
	struct catalog *catalog;
	char category[64];
	int e = session_catalog(r->session, &catalog, &r->err);
	if (e < 0)
		return e;
	if (!strncmp(probe, "syscall:", 8))
		return catalog_syscall(catalog, probe + 8, ret, &r->err);
	const char *event = !strncmp(probe, "tracepoint:", 11) ? strchr(probe + 11, ':') : NULL;
	if (!event || (size_t)(event - (probe + 11)) >= sizeof(category)) {
		err_set(&r->err, -ENOENT, ERR_SCRIPT, "unknown-probe", "'%s' is no probe", probe);
		err_hint(&r->err, "probes are syscall:NAME and tracepoint:CATEGORY:NAME");
		return -ENOENT;
	}
	snprintf(category, sizeof(category), "%.*s", (int)(event - (probe + 11)), probe + 11);
	return catalog_tracepoint(catalog, category, event + 1, ret, &r->err);
}

int rille_list_arguments(
        rille *r, const char *probe, int (*fn)(void *user, const struct rille_argument *argument), void *user)
{
	static const struct rille_argument at_exit[] = {
	        {NULL, "ret", "long", 1}, {NULL, "errno", "int", 1}, {NULL, "elapsed", "u64", 1}};
	const struct event_format *format;
	int e = enter(r, "rille_list_arguments", fn != NULL);
	if (e == 0 && !probe)
		e = handle_null(r, "rille_list_arguments", "probe");
	if (e)
		return e;
	e = find_format(r, probe, &format);
	if (e)
		return handle_error(r, e);
	r->inside++;
	for (size_t i = 0; e == 0 && i < format->narguments; i++) {
		char type[128];
		const struct argument *one = &format->arguments[i];
		snprintf(type, sizeof(type), one->elements ? "%s[%u]" : "%s", one->type, one->elements);
		struct rille_argument argument = {probe, one->name, type, 0};
		e = fn(user, &argument);
	}
	for (size_t i = 0; e == 0 && !format->category && i < sizeof(at_exit) / sizeof(*at_exit); i++) {
		struct rille_argument argument = at_exit[i];
		argument.probe = probe;
		e = fn(user, &argument);
	}
	r->inside--;
	return e;
}
