/* What this kernel offers: system calls and tracepoints.
 *
 * System calls are answered from the built-in table alone. A tracepoint's answer is its format file: the memo keeps the
 * text, which is parsed anew at each start (some microseconds). Not remembered are lists of names, and the formats of
 * events that somebody defines at run time (kprobe_events and the like): they come and go within one boot.
 *
 * What was handed out stays until the catalog is closed; asking twice gives the same pointer. */
#include "engine/probe/catalog_private.h"
#include "engine/base/grow.h"
#include "engine/probe/format.h"
#include "engine/probe/syscalls.h"
#include "engine/probe/tracefs.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NAME = 128 };

int catalog_open(struct catalog **ret, const char *facts_dir, const struct logger *log, struct err *err)
{
	struct catalog *catalog = calloc(1, sizeof(*catalog));
	if (!catalog)
		return err_nomem(err);
	catalog->log = log;
	catalog->tracefs = -1;
	catalog->facts = facts_new(facts_dir, log);
	if (!catalog->facts) {
		free(catalog);
		return err_nomem(err);
	}
	*ret = catalog;
	return 0;
}

void catalog_rest(struct catalog *catalog)
{
	facts_save(catalog->facts);
	btf_close(catalog->btf);
	catalog->btf = NULL;
	free(catalog->names);
	catalog->names = NULL;
	catalog->nnames = catalog->names_cap = 0;
	text_fini(&catalog->events);
}

void catalog_close(struct catalog *catalog)
{
	if (!catalog)
		return;
	catalog_rest(catalog);
	facts_free(catalog->facts);
	if (catalog->tracefs >= 0)
		close(catalog->tracefs);
	for (size_t i = 0; i < catalog->nformats; i++)
		free(catalog->formats[i]);
	free(catalog->formats);
	free(catalog);
}

int catalog_tracefs(struct catalog *catalog, struct err *err)
{
	if (catalog->tracefs < 0) {
		int r = tracefs_open(err);
		if (r < 0)
			return r;
		catalog->tracefs = r;
	}
	return catalog->tracefs;
}

/* --- formats handed out --- */

static bool same_category(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static const struct event_format *known(const struct catalog *catalog, const char *category, const char *name)
{
	for (size_t i = 0; i < catalog->nformats; i++) {
		const struct event_format *f = catalog->formats[i];
		if (same_category(f->category, category) && !strcmp(f->name, name))
			return f;
	}
	return NULL;
}

/* Takes `format` over, also when it fails. */
static int keep(struct catalog *catalog, struct event_format *format, const struct event_format **ret, struct err *err)
{
	size_t n = catalog->nformats;
	if (!format || grow(&catalog->formats, &catalog->formats_cap, n + 1, sizeof(struct event_format *))) {
		free(format);
		return err_nomem(err);
	}
	catalog->formats[catalog->nformats++] = format;
	*ret = format;
	return 0;
}

/* --- system calls --- */

static int unknown_syscall(const char *name, bool elsewhere, struct err *err)
{
	struct nearest nearest;
	size_t n;
	const struct syscall_entry *table = syscall_table(&n);
	nearest_init(&nearest, name);
	for (size_t i = 0; i < n; i++)
		if (table[i].number >= 0)
			nearest_offer(&nearest, table[i].name);
	if (elsewhere)
		err_set(err, -ENOENT, ERR_SCRIPT, "unknown-probe",
		        "the system call \"%s\" does not exist on this architecture", name);
	else
		err_set(err, -ENOENT, ERR_SCRIPT, "unknown-probe", "there is no system call \"%s\"", name);
	if (nearest.best)
		err_hint(err, "did you mean \"%s\"?", nearest.best);
	else
		err_hint(err, "rille list probes 'syscall:*' lists them");
	return -ENOENT;
}

int catalog_syscall(struct catalog *catalog, const char *name, const struct event_format **ret, struct err *err)
{
	const struct syscall_entry *entry = syscall_entry_find(name);
	if (!entry || entry->number < 0)
		return unknown_syscall(name, entry, err);
	*ret = known(catalog, NULL, entry->name);
	return *ret ? 0 : keep(catalog, syscall_format(entry), ret, err);
}

int catalog_match_syscalls(
        struct catalog *catalog, const char *glob, int (*fn)(void *user, const char *name), void *user, struct err *err)
{
	size_t n;
	const struct syscall_entry *table = syscall_table(&n);
	for (size_t i = 0; i < n; i++) {
		int r = table[i].number >= 0 && !fnmatch(glob, table[i].name, 0) ? fn(user, table[i].name) : 0;
		if (r)
			return r;
	}
	return 0;
}

/* --- tracepoints --- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Cuts the list into names, in order. */
static int sort_events(struct catalog *catalog)
{
	char *save = NULL, *text = catalog->events.data;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (grow(&catalog->names, &catalog->names_cap, catalog->nnames + 1, sizeof(char *)))
			return -ENOMEM;
		catalog->names[catalog->nnames++] = line;
	}
	if (catalog->nnames)
		qsort(catalog->names, catalog->nnames, sizeof(char *), by_name);
	return 0;
}

static int read_events(struct catalog *catalog, struct err *err)
{
	if (catalog->nnames)
		return 0;
	int fd = catalog_tracefs(catalog, err);
	if (fd < 0)
		return fd;
	text_reset(&catalog->events);
	int r = tracefs_read(fd, "available_events", &catalog->events);
	text_addc(&catalog->events, '\n');
	if (!r && text_failed(&catalog->events))
		r = -ENOMEM;
	if (!r)
		r = sort_events(catalog);
	return r ? err_set(err, r, ERR_RUNTIME, "tracefs", "tracefs: available_events: %s", strerror(-r)) : 0;
}

int catalog_match_tracepoints(
        struct catalog *catalog, const char *glob, int (*fn)(void *user, const char *name), void *user, struct err *err)
{
	int r = read_events(catalog, err);
	for (size_t i = 0; i < catalog->nnames && !r; i++)
		if (!fnmatch(glob, catalog->names[i], 0))
			r = fn(user, catalog->names[i]);
	return r;
}

static int offer(void *user, const char *name)
{
	nearest_offer(user, name);
	return 0;
}

static int unknown_tracepoint(struct catalog *catalog, const char *name, struct err *err)
{
	struct nearest nearest;
	nearest_init(&nearest, name);
	if (err && catalog_match_tracepoints(catalog, "*", offer, &nearest, NULL))
		nearest.best = NULL;
	err_set(err, -ENOENT, ERR_SCRIPT, "unknown-probe", "this kernel has no tracepoint \"%s\"", name);
	if (nearest.best)
		err_hint(err, "did you mean \"%s\"?", nearest.best);
	else
		err_hint(err, "rille list probes 'tracepoint:*' lists them");
	return -ENOENT;
}

/* Names become parts of a path: none of its syntax may be in them. */
static bool is_name(const char *s)
{
	size_t n = 0;
	for (; isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == '-' || (s[n] == '.' && n); n++)
		;
	return n && !s[n] && n < MAX_NAME;
}

/* Whether somebody defined it at run time. "p:kprobes/open do_sys_open" is a line of dynamic_events; "s:" of a
 * synthetic event has no group. If in doubt, it is. */
static bool is_dynamic_event(struct catalog *catalog, const char *name)
{
	struct text list = {0};
	int r = tracefs_read(catalog->tracefs, "dynamic_events", &list);
	bool found = r && r != -ENOENT;
	found |= list.len && memmem(list.data, list.len, name, strlen(name));
	text_fini(&list);
	return found;
}

static int read_format(
        struct catalog *catalog, const char *category, const char *name, struct text *ret, struct err *err)
{
	char path[2 * MAX_NAME + 32];
	int fd = catalog_tracefs(catalog, err);
	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "events/%s/%s/format", category, name);
	int r = tracefs_read(fd, path, ret);
	if (!r && ret->len)
		return 0;
	snprintf(path, sizeof(path), "%s:%s", category, name);
	if (!r || r == -ENOENT || r == -ENOTDIR)
		return unknown_tracepoint(catalog, path, err);
	return err_set(err, r, ERR_RUNTIME, "tracefs", "the format of tracepoint %s: %s", path, strerror(-r));
}

/* An event that is not there in a category of the kernel's own: those that are defined at run time have others. */
static void remember_missing(struct catalog *catalog, const char *category, const char *question)
{
	char path[MAX_NAME + 32];
	struct text text = {0};
	snprintf(path, sizeof(path), "events/%s/enable", category);
	if (tracefs_read(catalog->tracefs, path, &text) == 0)
		facts_put(catalog->facts, question, "", 0);
	text_fini(&text);
}

static int parse(const char *text, size_t len, const char *category, const char *name, struct event_format **ret,
        struct err *err)
{
	int r = format_parse(text, len, category, ret);
	return r == -ENOMEM ? err_nomem(err)
	       : r          ? err_set(err, r, ERR_KERNEL, "bad-format", "the format of tracepoint %s:%s cannot be read",
	                              category, name)
	                    : 0;
}

static int ask_tracefs(struct catalog *catalog, const char *category, const char *name, const char *question,
        struct event_format **ret, struct err *err)
{
	struct text text = {0};
	int r = read_format(catalog, category, name, &text, err);
	if (!r)
		r = parse(text.data, text.len, category, name, ret, err);
	if (r == -ENOENT && catalog->tracefs >= 0)
		remember_missing(catalog, category, question);
	if (!r && !is_dynamic_event(catalog, name))
		facts_put(catalog->facts, question, text.data, format_length(text.data, text.len));
	text_fini(&text);
	return r;
}

bool catalog_lacks_tracepoint(struct catalog *catalog, const char *category, const char *name)
{
	char question[2 * MAX_NAME + 16];
	size_t len = 1;
	if (!is_name(category) || !is_name(name))
		return false;
	snprintf(question, sizeof(question), "format %s:%s", category, name);
	return facts_get(catalog->facts, question, &len) && len == 0;
}

int catalog_tracepoint(struct catalog *catalog, const char *category, const char *name, const struct event_format **ret,
        struct err *err)
{
	char question[2 * MAX_NAME + 16];
	struct event_format *format = NULL;
	size_t len;
	if (!is_name(category) || !is_name(name))
		return err_set(
		        err, -ENOENT, ERR_SCRIPT, "unknown-probe", "there is no tracepoint \"%s:%s\"", category, name);
	*ret = known(catalog, category, name);
	if (*ret)
		return 0;
	snprintf(question, sizeof(question), "format %s:%s", category, name);
	const char *text = facts_get(catalog->facts, question, &len);
	int r = text && len ? parse(text, len, category, name, &format, err)
	                    : ask_tracefs(catalog, category, name, question, &format, err);
	return r ? r : keep(catalog, format, ret, err);
}
