/* rille_set(): one table of the settings, a function each. Values are text, as on a command line. */
#include "engine/api/handle.h"
#include "engine/base/nearest.h"
#include "engine/proc/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct choice {
	const char *name;
	int value;
};

struct setting {
	const char *name;
	int (*set)(rille *r, const struct setting *setting, const char *value);
};

static int bad_value(rille *r, const struct setting *setting, const char *value, const char *wanted)
{
	err_set(&r->err, -EINVAL, ERR_SCRIPT, "bad-setting", "%s: '%s' is not %s", setting->name, value, wanted);
	return -EINVAL;
}

static int choose(rille *r, const struct setting *setting, const char *value, const struct choice *choices,
        const char *wanted, int *ret)
{
	for (; choices->name; choices++) {
		if (!strcmp(choices->name, value)) {
			*ret = choices->value;
			return 0;
		}
	}
	return bad_value(r, setting, value, wanted);
}

static int choose_bool(rille *r, const struct setting *setting, const char *value, bool *ret)
{
	static const struct choice choices[] = {
	        {"yes", 1}, {"true", 1}, {"1", 1}, {"on", 1}, {"no", 0}, {"false", 0}, {"0", 0}, {"off", 0}, {NULL, 0}};
	int chosen;
	int e = choose(r, setting, value, choices, "yes or no", &chosen);
	if (e == 0)
		*ret = chosen;
	return e;
}

static int number(rille *r, const struct setting *setting, const char *value, uint64_t most, uint64_t *ret)
{
	char *end;
	errno = 0;
	*ret = strtoull(value, &end, 10);
	if (end == value || *end || *value == '-' || errno || *ret > most)
		return bad_value(r, setting, value, "a number that is possible here");
	return 0;
}

static int set_filter(rille *r, const struct setting *setting, const char *value)
{
	struct spec_text *filter = &session_spec(r->session)->filter;
	char *copy = strdup(value);
	if (!copy)
		return err_nomem(&r->err);
	free(filter->text);
	filter->text = copy;
	filter->pos = (struct pos){"--filter", copy, 1, 1};
	return 0;
}

static int set_stack(rille *r, const struct setting *setting, const char *value)
{
	static const struct choice choices[] = {
	        {"user", STACK_USER}, {"kernel", STACK_KERNEL}, {"both", STACK_USER | STACK_KERNEL}, {NULL, 0}};
	int sides;
	int e = choose(r, setting, value, choices, "user, kernel or both", &sides);
	if (e == 0)
		session_gen_options(r->session)->force_stack = (unsigned)sides;
	return e;
}

static int set_depth(rille *r, const struct setting *setting, const char *value)
{
	uint64_t depth;
	int e = number(r, setting, value, 1024, &depth);
	if (e == 0 && !depth)
		return bad_value(r, setting, value, "a number of frames from 1 to 1024");
	if (e == 0)
		session_gen_options(r->session)->depth = (uint32_t)depth;
	return e;
}

static int set_limit(rille *r, const struct setting *setting, const char *value)
{
	uint64_t limit;
	int e = number(r, setting, value, UINT64_MAX, &limit);
	if (e == 0)
		session_set_limit(r->session, limit);
	return e;
}

/* "64M": bytes, with K, M or G for powers of 1024. */
static int size(rille *r, const struct setting *setting, const char *value, uint64_t most, uint64_t *ret)
{
	static const char units[] = "KMG";
	char *end;
	errno = 0;
	*ret = strtoull(value, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	if (end == value || end[unit ? 1 : 0] || *value == '-' || errno || *ret > most >> shift)
		return bad_value(r, setting, value, "a size such as 512K or 64M, at most 1G");
	*ret <<= shift;
	return 0;
}

static int set_ring(rille *r, const struct setting *setting, const char *value)
{
	uint64_t bytes;
	int e = size(r, setting, value, 1 << 30, &bytes);
	if (e == 0)
		session_set_ring(r->session, bytes);
	return e;
}

static int set_fields(rille *r, const struct setting *setting, const char *value)
{
	size_t n = 1;
	for (const char *s = value; *s; s++)
		n += *s == ',';
	char *copy = strdup(value);
	const char **columns = calloc(n, sizeof(*columns));
	if (!copy || !columns) {
		free(copy);
		free(columns);
		return err_nomem(&r->err);
	}
	size_t i = 0;
	char *rest = copy;
	for (char *name; (name = strsep(&rest, ","));)
		if (*name)
			columns[i++] = name;
	free(r->fields);
	free(r->columns);
	r->fields = copy;
	r->columns = columns;
	r->shared.columns = columns;
	r->shared.ncolumns = i;
	return 0;
}

static int set_timestamp(rille *r, const struct setting *setting, const char *value)
{
	static const struct choice choices[] = {{"time", TIMESTAMP_TIME}, {"iso", TIMESTAMP_ISO},
	        {"epoch", TIMESTAMP_EPOCH}, {"delta", TIMESTAMP_DELTA}, {"none", TIMESTAMP_NONE}, {NULL, 0}};
	int chosen;
	int e = choose(r, setting, value, choices, "time, iso, epoch, delta or none", &chosen);
	if (e == 0)
		r->shared.timestamp = chosen;
	return e;
}

static int set_color(rille *r, const struct setting *setting, const char *value)
{
	return choose_bool(r, setting, value, &r->shared.color);
}

static int set_addresses(rille *r, const struct setting *setting, const char *value)
{
	return choose_bool(r, setting, value, &r->shared.addresses);
}

static int set_follow(rille *r, const struct setting *setting, const char *value)
{
	return choose_bool(r, setting, value, &session_gen_options(r->session)->follow);
}

/* One, or several with commas; again for more. */
static int set_container(rille *r, const struct setting *setting, const char *value)
{
	char *copy = strdup(value), *rest = copy;
	int e = copy ? 0 : err_nomem(&r->err);
	for (char *name; e == 0 && (name = strsep(&rest, ","));)
		e = *name ? session_add_container(r->session, name, &r->err)
		          : bad_value(r, setting, value, "a container's id or name");
	free(copy);
	return e;
}

static int set_origins(rille *r, const struct setting *setting, const char *value)
{
	return choose_bool(r, setting, value, &r->shared.origins);
}

static int set_signatures(rille *r, const struct setting *setting, const char *value)
{
	int e = choose_bool(r, setting, value, &r->shared.signatures);
	session_set_signatures(r->session, r->shared.signatures);
	return e;
}

static int set_top(rille *r, const struct setting *setting, const char *value)
{
	uint64_t top;
	int e = number(r, setting, value, UINT32_MAX, &top);
	if (e == 0)
		r->shared.top = top;
	return e;
}

static int set_open_by(rille *r, const struct setting *setting, const char *value)
{
	static const struct choice choices[] = {{"site", 1}, {"fd", 0}, {NULL, 0}};
	int chosen;
	int e = choose(r, setting, value, choices, "site or fd", &chosen);
	if (e == 0)
		r->shared.open.by_site = chosen;
	return e;
}

/* "4,7": calls `add` with each. */
static int numbers(rille *r, const struct setting *setting, const char *value, uint64_t most,
        int (*add)(struct sink_open *open, uint64_t number))
{
	char *copy = strdup(value), *rest = copy;
	int e = copy ? 0 : err_nomem(&r->err);
	for (char *word; e == 0 && (word = strsep(&rest, ","));) {
		uint64_t n;
		e = number(r, setting, word, most, &n);
		if (e == 0 && add(&r->shared.open, n) < 0)
			e = err_set(&r->err, -E2BIG, ERR_SCRIPT, "bad-setting", "%s: at most %d", setting->name,
			        SINK_MOST_ASKED);
	}
	free(copy);
	return e;
}

static int add_fd(struct sink_open *open, uint64_t fd)
{
	if (open->nfds == SINK_MOST_ASKED)
		return -E2BIG;
	open->fds[open->nfds++] = (int)fd;
	return 0;
}

static int add_inode(struct sink_open *open, uint64_t inode)
{
	if (open->ninodes == SINK_MOST_ASKED)
		return -E2BIG;
	open->inodes[open->ninodes++] = inode;
	return 0;
}

static int set_open_fd(rille *r, const struct setting *setting, const char *value)
{
	return numbers(r, setting, value, INT32_MAX, add_fd);
}

static int set_open_inode(rille *r, const struct setting *setting, const char *value)
{
	return numbers(r, setting, value, UINT64_MAX, add_inode);
}

/* A file with a pasted CheckpointException, or "-". `later`: it may come to be while the trace runs, and is read again for each
 * report. */
static int read_crac(rille *r, const char *value, bool later)
{
	bool standard = !strcmp(value, "-");
	int fd = standard ? STDIN_FILENO : open(value, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && !(later && errno == ENOENT))
		return err_set(&r->err, -errno, ERR_SCRIPT, "cannot-read", "%s: %s", value, strerror(errno));
	crac_fini(&r->crac);
	int e = fd < 0 ? -ENOENT : crac_read(&r->crac, fd, standard ? "standard input" : value, &r->err);
	if (!standard && fd >= 0)
		close(fd);
	if (e == -ENOENT && later && !standard) {
		log_warn(&r->log, "%s: no descriptor lines yet; it is read again for the report", value);
		e = 0;
	}
	free(r->crac_path);
	r->crac_path = standard ? NULL : strdup(value);
	r->shared.open.crac = e == 0 ? &r->crac : NULL;
	r->shared.open.crac_path = later ? r->crac_path : NULL;
	return e < 0 || standard || r->crac_path ? e : err_nomem(&r->err);
}

static int set_open_crac(rille *r, const struct setting *setting, const char *value)
{
	return read_crac(r, value, false);
}

static int set_open_crac_later(rille *r, const struct setting *setting, const char *value)
{
	return read_crac(r, value, true);
}

static int unknown_kind(rille *r, const struct setting *setting, const char *word)
{
	struct nearest nearest;
	nearest_init(&nearest, word);
	for (int kind = 0; kind < DESCRIPTOR_KINDS; kind++)
		nearest_offer(&nearest, descriptor_kind_name((enum descriptor_kind)kind));
	bad_value(r, setting, word, "a kind of descriptor");
	if (nearest.best)
		err_hint(&r->err, "did you mean '%s'?", nearest.best);
	else
		err_hint(
		        &r->err, "socket, pipe, file, directory, device, eventpoll, eventfd …: as the list calls them");
	return -EINVAL;
}

static int set_open_kind(rille *r, const struct setting *setting, const char *value)
{
	char *copy = strdup(value), *rest = copy;
	int e = copy ? 0 : err_nomem(&r->err);
	for (char *word; e == 0 && (word = strsep(&rest, ","));) {
		int kind = 0;
		while (kind < DESCRIPTOR_KINDS && strcmp(descriptor_kind_name((enum descriptor_kind)kind), word))
			kind++;
		if (kind == DESCRIPTOR_KINDS)
			e = unknown_kind(r, setting, word);
		else
			r->shared.open.kinds |= 1u << kind;
	}
	free(copy);
	return e;
}

static const struct setting settings[] = {
        {"addresses", set_addresses},
        {"color", set_color},
        {"container", set_container},
        {"depth", set_depth},
        {"fields", set_fields},
        {"filter", set_filter},
        {"follow", set_follow},
        {"limit", set_limit},
        {"open-by", set_open_by},
        {"open-crac", set_open_crac},
        {"open-crac-later", set_open_crac_later},
        {"open-fd", set_open_fd},
        {"open-inode", set_open_inode},
        {"open-kind", set_open_kind},
        {"origins", set_origins},
        {"ring", set_ring},
        {"signatures", set_signatures},
        {"stack", set_stack},
        {"timestamp", set_timestamp},
        {"top", set_top},
};

int rille_set(rille *r, const char *name, const char *value)
{
	struct nearest nearest;
	int e = handle_enter_early(r, "rille_set");
	if (e < 0)
		return e;
	if (!name || !value)
		return handle_null(r, "rille_set", name ? "value" : "name");
	nearest_init(&nearest, name);
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		if (!strcmp(settings[i].name, name))
			return settings[i].set(r, &settings[i], value);
		nearest_offer(&nearest, settings[i].name);
	}
	err_set(&r->err, -ENOENT, ERR_SCRIPT, "unknown-setting", "there is no setting '%s'", name);
	if (nearest.best)
		err_hint(&r->err, "did you mean '%s'?", nearest.best);
	return -ENOENT;
}
