/* The facade: the one opaque handle of rille.h, made of a session and the script that drives it.
 *
 * Everything here is bookkeeping: arguments are checked, strings copied, an error is turned into the public struct.
 * What a function does is one call of the layers below. */
#include "engine/api/handle.h"
#include "engine/base/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *rille_version(void)
{
	return RILLE_VERSION;
}

bool handle_read_struct(void *ret, size_t known, const void *from)
{
	size_t size;
	memcpy(&size, from, sizeof(size));
	memset(ret, 0, known);
	if (size < sizeof(size) || size > 1 << 16)
		return false;
	for (size_t i = known; i < size; i++)
		if (((const char *)from)[i])
			return false;
	memcpy(ret, from, size < known ? size : known);
	return true;
}

int handle_write_struct(rille *r, const char *function, void *to, const void *from, size_t known)
{
	size_t size;
	if (!to)
		return handle_null(r, function, "ret");
	memcpy(&size, to, sizeof(size));
	if (size < sizeof(size) || size > 1 << 16)
		return err_set(&r->err, -EINVAL, ERR_RUNTIME, "bad-argument",
		        "%s: `size` is %zu; set it to sizeof the struct", function, size);
	memset((char *)to + sizeof(size), 0, size - sizeof(size));
	if (size < known)
		known = size;
	memcpy((char *)to + sizeof(size), (const char *)from + sizeof(size), known - sizeof(size));
	return 0;
}

/* Remarks may come while the session is at work: a host that calls back from there is told so. */
static void handle_log(void *user, int level, const char *message)
{
	rille *r = user;
	r->inside++;
	r->host_log.fn(r->host_log.user, level, message);
	r->inside--;
}

static bool read_options(struct rille_options *ret, const struct rille_options *from)
{
	memset(ret, 0, sizeof(*ret));
	if (from && !handle_read_struct(ret, sizeof(*ret), from))
		return false;
	for (size_t i = 0; i < sizeof(ret->reserved); i++)
		if (ret->reserved[i])
			return false;
	return true;
}

static int make_handle(rille *r, const struct rille_options *options)
{
	r->host_log = (struct logger){options->log, options->log_user, (enum log_level)options->log_level};
	r->log = (struct logger){options->log ? handle_log : NULL, r, r->host_log.level};
	r->unsafe = options->unsafe;
	r->strict = options->strict;
	r->compiler = options->compiler ? strdup(options->compiler) : NULL;
	struct session_options session = {
	        .log = r->log,
	        .cache_dir = options->cache_dir,
	        .compiler = options->compiler,
	        .version = RILLE_VERSION,
	        .argv = options->argv,
	        .ring_bytes = options->ring_bytes,
	        .strict = options->strict,
	};
	if (options->compiler && !r->compiler)
		return -ENOMEM;
	return session_new(&r->session, &session);
}

rille *rille_new(const struct rille_options *given)
{
	struct rille_options options;
	if (!read_options(&options, given)) {
		errno = EINVAL;
		return NULL;
	}
	rille *r = calloc(1, sizeof(*r));
	if (r && make_handle(r, &options) == 0)
		return r;
	rille_free(r);
	errno = ENOMEM;
	return NULL;
}

/* --- what each call begins with --- */

#undef handle_null
int handle_null(rille *r, const char *function, const char *argument)
{
	return err_set(&r->err, -EINVAL, ERR_RUNTIME, "null-argument", "%s: `%s` is NULL", function, argument);
}

static bool is_forked(const rille *r)
{
	return r->owner && r->owner != getpid();
}

/* A function's stage is its name: rille_check() is "check". */
static const char *stage_of(const char *function)
{
	return function + strlen("rille_");
}

int handle_enter(rille *r, const char *stage)
{
	if (!r)
		return -EINVAL;
	memset(&r->err, 0, sizeof(r->err));
	r->stage = stage;
	if (!is_forked(r))
		return 0;
	return err_set(&r->err, -ECHILD, ERR_RUNTIME, "forked",
	        "this handle was attached by process %d, of which this is a child; it can be freed here and nothing "
	        "else",
	        (int)r->owner);
}

int handle_enter_outside(rille *r, const char *function)
{
	int e = handle_enter(r, stage_of(function));
	if (e < 0 || !r->inside)
		return e;
	err_set(&r->err, -EBUSY, ERR_RUNTIME, "in-callback", "%s() was called in a callback", function);
	err_hint(&r->err, "a callback ends the trace by returning RILLE_END");
	return -EBUSY;
}

int handle_enter_early(rille *r, const char *function)
{
	int e = handle_enter(r, stage_of(function));
	if (e < 0 || session_state(r->session) == SESSION_NEW)
		return e;
	return err_set(&r->err, -EBUSY, ERR_RUNTIME, "wrong-state", "%s() is too late: the handle has been attached",
	        function);
}

void rille_free(rille *r)
{
	if (!r)
		return;
	if (r->inside) {
		handle_enter_outside(r, "rille_free");
		return;
	}
	/* The script's callbacks must outlive the session's last call of them, its spec the script. */
	if (!is_forked(r))
		rille_stop(r, NULL);
	events_free(r);
	rille_free(r->scriptless);
	script_free(r->script);
	session_free(r->session);
	for (size_t i = 0; i < r->noutputs; i++) {
		free(r->outputs[i].format);
		free(r->outputs[i].path);
	}
	free(r->outputs);
	crac_fini(&r->crac);
	free(r->crac_path);
	free(r->columns);
	free(r->fields);
	free(r->compiler);
	text_fini(&r->policy);
	text_fini(&r->formatted);
	free(r);
}

int handle_error(rille *r, int code)
{
	if (!r->err.code)
		err_set(&r->err, code, ERR_RUNTIME, "error", "%s", strerror(-code));
	return code;
}

int handle_result(rille *r, int code)
{
	if (code < 0)
		return handle_error(r, code);
	r->err.code = 0; /* of what was tried on the way */
	return code;
}

const struct rille_error *rille_last_error(const rille *handle)
{
	static const struct rille_error no_handle = {
	        .code = -EINVAL,
	        .error_class = RILLE_RUNTIME,
	        .tag = "null-argument",
	        .file = "",
	        .message = "there is no handle: NULL was given",
	        .formatted = "error: there is no handle: NULL was given [null-argument]\n",
	        .stage = "",
	};
	if (!handle)
		return &no_handle;
	/* Formatting is put off until somebody asks; it does not change what the handle is. */
	rille *r = (rille *)handle;
	text_reset(&r->formatted);
	if (r->err.code)
		err_format(&r->err, &r->formatted);
	else
		memset(&r->err, 0, sizeof(r->err));
	r->error = (struct rille_error){
	        .code = r->err.code,
	        .error_class = (int)r->err.class,
	        .tag = r->err.tag ? r->err.tag : "",
	        .file = r->err.file,
	        .line = r->err.line,
	        .col = r->err.col,
	        .message = r->err.message,
	        .formatted = text_str(&r->formatted),
	        .stage = r->err.code ? (r->err.stage ? r->err.stage : r->stage) : "",
	};
	return &r->error;
}

int rille_target_pid(rille *r, int pid)
{
	int e = handle_enter(r, "target_pid");
	if (e < 0)
		return e;
	if (session_state(r->session) >= SESSION_OVER)
		return err_set(&r->err, -EBUSY, ERR_RUNTIME, "wrong-state", "the trace is over");
	if (pid <= 0)
		return err_set(&r->err, -EINVAL, ERR_SCRIPT, "bad-target", "%d is no process", pid);
	e = session_add_pid(r->session, pid, &r->err);
	return handle_result(r, e);
}

int rille_target_comm(rille *r, const char *comm)
{
	int e = handle_enter_early(r, "rille_target_comm");
	if (e < 0)
		return e;
	if (!comm)
		return handle_null(r, "rille_target_comm", "comm");
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
	int e = handle_enter_early(r, "rille_target_uid");
	if (e == 0)
		session_set_uid(r->session, uid);
	return e;
}

int rille_add_output(rille *r, const char *format, const char *path, int fd)
{
	int e = handle_enter_early(r, "rille_add_output");
	if (e < 0)
		return e;
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

int handle_add_outputs(rille *r)
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

static int need_probes(rille *r)
{
	if (r->declared)
		return 0;
	err_set(&r->err, -EINVAL, ERR_RUNTIME, "wrong-state", "there is nothing to trace yet");
	err_hint(&r->err, "rille_load_file(), rille_load_recipe() … or rille_add_probe() come first");
	return -EINVAL;
}

int rille_check(rille *r)
{
	int e = handle_enter_early(r, "rille_check");
	if (e < 0)
		return e;
	e = need_probes(r);
	if (e == 0)
		e = session_check(r->session, &r->err);
	return handle_result(r, e);
}

int rille_emit(rille *r, int what, void **ret_data, size_t *ret_len)
{
	_Static_assert((int)RILLE_EMIT_C == SESSION_EMIT_C && (int)RILLE_EMIT_ASM == SESSION_EMIT_ASM &&
	                       (int)RILLE_EMIT_OBJECT == SESSION_EMIT_OBJECT,
	        "the same numbers");
	int e = handle_enter_early(r, "rille_emit");
	if (e < 0)
		return e;
	if (!ret_data || !ret_len)
		return handle_null(r, "rille_emit", ret_data ? "ret_len" : "ret_data");
	if (what < RILLE_EMIT_C || what > RILLE_EMIT_OBJECT)
		return err_set(&r->err, -EINVAL, ERR_RUNTIME, "bad-argument", "rille_emit: there is no form %d", what);
	e = need_probes(r);
	if (e == 0)
		e = session_emit(r->session, what, ret_data, ret_len, &r->err);
	return handle_result(r, e);
}

int rille_attach(rille *r)
{
	int e = handle_enter_outside(r, "rille_attach");
	if (e < 0)
		return e;
	e = need_probes(r);
	if (e == 0)
		e = handle_add_outputs(r);
	if (e == 0)
		e = session_attach(r->session, &r->err);
	if (e == 0)
		r->owner = getpid();
	return handle_result(r, e);
}

int rille_fd(const rille *r)
{
	return r ? session_fd(r->session) : -EINVAL;
}

int rille_dispatch(rille *r, int timeout_ms, int max_events)
{
	int n = handle_enter_outside(r, "rille_dispatch");
	if (n < 0)
		return n;
	n = session_dispatch(r->session, timeout_ms, max_events, &r->err);
	return n == -ESHUTDOWN ? n : handle_result(r, n);
}

int rille_report(rille *r, const char *reason)
{
	int e = handle_enter_outside(r, "rille_report");
	if (e < 0)
		return e;
	e = session_report(r->session, reason, &r->err);
	return handle_result(r, e);
}

int rille_snapshot(rille *r)
{
	int e = handle_enter_outside(r, "rille_snapshot");
	if (e == 0)
		e = handle_add_outputs(r);
	if (e == 0)
		e = session_snapshot(r->session, &r->err);
	return handle_result(r, e);
}

const char *rille_over_reason(const rille *r)
{
	return r ? session_over_reason(r->session) : NULL;
}

void rille_wake(rille *r)
{
	int saved = errno;
	if (r && !is_forked(r))
		session_wake(r->session);
	errno = saved;
}

int rille_stop(rille *r, const char *reason)
{
	int e = handle_enter_outside(r, "rille_stop");
	if (e < 0 || !r->session)
		return e;
	e = session_stop(r->session, reason, &r->err);
	return handle_result(r, e);
}

size_t rille_probe_count(const rille *r)
{
	return r ? session_probe_count(r->session) : 0;
}

static void add_reasons(const struct probe_totals *totals, char *ret, size_t room)
{
	size_t len = 0;
	for (size_t end = 0; end < STACK_ENDS && len < room; end++)
		if (totals->ends[end])
			len += (size_t)snprintf(ret + len, room - len, "%s%s %llu", len ? ", " : "",
			        stack_end_name((enum stack_end)end), (unsigned long long)totals->ends[end]);
}

int rille_probe_stats(const rille *handle, size_t i, struct rille_totals *ret)
{
	rille *r = (rille *)handle; /* its last error is not what it is */
	struct probe_totals totals;
	int e = handle_enter(r, "probe_stats");
	if (e == 0)
		e = session_probe_totals(r->session, i, &totals);
	if (e == -ENOENT)
		err_set(&r->err, e, ERR_RUNTIME, "out-of-range", "there is no attached probe %zu", i);
	if (e)
		return e;
	struct rille_totals stats = {
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
	        .lost_full = totals.stats.lost_full,
	};
	add_reasons(&totals, stats.unresolved_why, sizeof(stats.unresolved_why));
	return handle_write_struct(r, "rille_probe_stats", ret, &stats, sizeof(stats));
}

size_t rille_phases(const rille *r, struct rille_phase *ret, size_t n)
{
	struct session_phase phases[32];
	if (!r)
		return 0;
	size_t count = session_phases(r->session, phases, sizeof(phases) / sizeof(*phases));
	for (size_t i = 0; i < count && i < n; i++)
		ret[i] = (struct rille_phase){phases[i].name, phases[i].nsecs};
	return count;
}

const char *rille_mechanisms(const rille *r)
{
	return r ? session_mechanisms(r->session) : "";
}
