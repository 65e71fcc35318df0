/* The facade: the one opaque handle of rille.h, made of a session and the script that drives it.
 *
 * Everything here is bookkeeping: arguments are checked, strings copied, an error is turned into the public struct.
 * What a function does is one call of the layers below. */
#include "engine/api/handle.h"
#include "engine/base/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *rille_version(void)
{
	return RILLE_VERSION;
}

/* The caller's struct may be older (shorter) or newer (longer) than ours; what we do not know must be zero. */
static bool read_options(struct rille_options *ret, const struct rille_options *from)
{
	memset(ret, 0, sizeof(*ret));
	if (!from)
		return true;
	if (from->size < sizeof(from->size))
		return false;
	for (size_t i = sizeof(*ret); i < from->size; i++)
		if (((const char *)from)[i])
			return false;
	memcpy(ret, from, from->size < sizeof(*ret) ? from->size : sizeof(*ret));
	for (size_t i = 0; i < sizeof(ret->reserved); i++)
		if (ret->reserved[i])
			return false;
	return true;
}

rille *rille_new(const struct rille_options *given)
{
	struct rille_options options;
	rille *r = read_options(&options, given) ? calloc(1, sizeof(*r)) : NULL;
	if (!r)
		return NULL;
	r->log = (struct logger){options.log, options.log_user, (enum log_level)options.log_level};
	r->unsafe = options.unsafe;
	r->strict = options.strict;
	r->compiler = options.compiler ? strdup(options.compiler) : NULL;
	struct session_options session = {
	        .log = r->log,
	        .cache_dir = options.cache_dir,
	        .compiler = options.compiler,
	        .version = RILLE_VERSION,
	        .argv = options.argv,
	        .ring_bytes = options.ring_bytes,
	};
	if ((options.compiler && !r->compiler) || session_new(&r->session, &session) < 0) {
		rille_free(r);
		return NULL;
	}
	return r;
}

void rille_free(rille *r)
{
	if (!r)
		return;
	/* The script's callbacks must outlive the session's last call of them, its spec the script. */
	rille_stop(r, NULL);
	script_free(r->script);
	session_free(r->session);
	for (size_t i = 0; i < r->noutputs; i++) {
		free(r->outputs[i].format);
		free(r->outputs[i].path);
	}
	free(r->outputs);
	free(r->columns);
	free(r->fields);
	free(r->summary);
	free(r->compiler);
	text_fini(&r->formatted);
	free(r);
}

int handle_error(rille *r, int code)
{
	if (!r->err.code)
		err_set(&r->err, code, ERR_RUNTIME, "error", "%s", strerror(-code));
	return code;
}

const struct rille_error *rille_last_error(const rille *handle)
{
	/* Formatting is put off until somebody asks; it does not change what the handle is. */
	rille *r = (rille *)handle;
	text_reset(&r->formatted);
	if (r->err.code)
		err_format(&r->err, &r->formatted);
	r->error = (struct rille_error){
	        .code = r->err.code,
	        .error_class = (int)r->err.class,
	        .tag = r->err.tag ? r->err.tag : "",
	        .file = r->err.file,
	        .line = r->err.line,
	        .col = r->err.col,
	        .message = r->err.message,
	        .formatted = text_str(&r->formatted),
	};
	return &r->error;
}

int rille_target_pid(rille *r, int pid)
{
	memset(&r->err, 0, sizeof(r->err));
	if (pid <= 0)
		return err_set(&r->err, -EINVAL, ERR_SCRIPT, "bad-target", "%d is no process", pid);
	int e = session_add_pid(r->session, pid, &r->err);
	return e < 0 ? handle_error(r, e) : 0;
}

int rille_target_comm(rille *r, const char *comm)
{
	memset(&r->err, 0, sizeof(r->err));
	if (!*comm || strlen(comm) >= RILLE_COMM) {
		err_set(&r->err, -EINVAL, ERR_SCRIPT, "bad-target", "a command's name has 1 to %d bytes, '%s' has not",
		        RILLE_COMM - 1, comm);
		err_hint(&r->err, "the kernel cuts longer names: /proc/PID/comm shows what is left");
		return -EINVAL;
	}
	return session_set_comm(r->session, comm) < 0 ? err_nomem(&r->err) : 0;
}

int rille_target_uid(rille *r, uint32_t uid)
{
	session_set_uid(r->session, uid);
	return 0;
}

int rille_add_output(rille *r, const char *format, const char *path, int fd)
{
	memset(&r->err, 0, sizeof(r->err));
	if (grow(&r->outputs, &r->outputs_cap, r->noutputs + 1, sizeof(*r->outputs)) < 0)
		return err_nomem(&r->err);
	struct wanted_output *output = &r->outputs[r->noutputs];
	output->fd = fd;
	output->format = format ? strdup(format) : NULL;
	output->path = path ? strdup(path) : NULL;
	if ((format && !output->format) || (path && !output->path)) {
		free(output->format);
		free(output->path);
		return err_nomem(&r->err);
	}
	r->noutputs++;
	return 0;
}

static int add_outputs(rille *r)
{
	int e = 0;
	for (size_t i = 0; !r->outputs_added && e == 0 && i < r->noutputs; i++) {
		struct sink_options options = r->shared;
		options.format = r->outputs[i].format;
		options.path = r->outputs[i].path;
		options.fd = r->outputs[i].fd;
		e = session_add_sink(r->session, &options, &r->err);
	}
	r->outputs_added = true;
	return e;
}

static int need_script(rille *r)
{
	memset(&r->err, 0, sizeof(r->err));
	if (r->script)
		return 0;
	return err_set(&r->err, -EINVAL, ERR_RUNTIME, "wrong-state", "no script has been loaded");
}

int rille_check(rille *r)
{
	int e = need_script(r);
	if (e == 0)
		e = session_check(r->session, &r->err);
	return e < 0 ? handle_error(r, e) : 0;
}

int rille_emit(rille *r, int what, void **ret_data, size_t *ret_len)
{
	_Static_assert((int)RILLE_EMIT_C == SESSION_EMIT_C && (int)RILLE_EMIT_ASM == SESSION_EMIT_ASM &&
	                       (int)RILLE_EMIT_OBJECT == SESSION_EMIT_OBJECT,
	        "the same numbers");
	int e = need_script(r);
	if (e == 0)
		e = session_emit(r->session, what, ret_data, ret_len, &r->err);
	return e < 0 ? handle_error(r, e) : 0;
}

int rille_attach(rille *r)
{
	int e = need_script(r);
	if (e == 0)
		e = add_outputs(r);
	if (e == 0)
		e = session_attach(r->session, &r->err);
	return e < 0 ? handle_error(r, e) : 0;
}

int rille_fd(const rille *r)
{
	return session_fd(r->session);
}

int rille_dispatch(rille *r, int timeout_ms, int max_events)
{
	memset(&r->err, 0, sizeof(r->err));
	int n = session_dispatch(r->session, timeout_ms, max_events, &r->err);
	return n < 0 && n != -ESHUTDOWN ? handle_error(r, n) : n;
}

const char *rille_over_reason(const rille *r)
{
	return session_over_reason(r->session);
}

void rille_wake(rille *r)
{
	session_wake(r->session);
}

int rille_stop(rille *r, const char *reason)
{
	memset(&r->err, 0, sizeof(r->err));
	int e = r->session ? session_stop(r->session, reason, &r->err) : 0;
	return e < 0 ? handle_error(r, e) : 0;
}

size_t rille_probe_count(const rille *r)
{
	return session_probe_count(r->session);
}

static void add_reasons(const struct probe_totals *totals, char *ret, size_t room)
{
	size_t len = 0;
	for (size_t end = 0; end < STACK_ENDS && len < room; end++)
		if (totals->ends[end])
			len += (size_t)snprintf(ret + len, room - len, "%s%s %llu", len ? ", " : "",
			        stack_end_name((enum stack_end)end), (unsigned long long)totals->ends[end]);
}

int rille_probe_stats(const rille *r, size_t i, struct rille_totals *ret)
{
	struct probe_totals totals;
	int e = session_probe_totals(r->session, i, &totals);
	if (e < 0)
		return e;
	struct rille_totals stats = {
	        .size = ret->size,
	        .probe = totals.probe->name,
	        .seen = totals.stats.seen,
	        .target = totals.stats.target,
	        .passed = totals.stats.passed,
	        .sent = totals.stats.sent,
	        .lost_ring = totals.stats.lost_ring,
	        .lost_entry = totals.stats.lost_entry,
	        .lost_compat = totals.stats.lost_compat,
	        .lost_limit = totals.stats.lost_limit,
	        .callback_errors = totals.callback_errors,
	        .unresolved = totals.unresolved,
	};
	add_reasons(&totals, stats.unresolved_why, sizeof(stats.unresolved_why));
	memcpy(ret, &stats, ret->size < sizeof(stats) ? ret->size : sizeof(stats));
	return 0;
}

size_t rille_phases(const rille *r, struct rille_phase *ret, size_t n)
{
	struct session_phase phases[32];
	size_t count = session_phases(r->session, phases, sizeof(phases) / sizeof(*phases));
	for (size_t i = 0; i < count && i < n; i++)
		ret[i] = (struct rille_phase){phases[i].name, phases[i].nsecs};
	return count;
}

const char *rille_mechanisms(const rille *r)
{
	return session_mechanisms(r->session);
}
