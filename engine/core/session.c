/* The session: owns everything a trace needs, from the declared spec to the attached kernel programs.
 *
 * This file holds its life and its settings; plan.c the way from a spec to attached programs, loop.c the waiting,
 * event.c what happens to one record, report.c losses and totals. A session is used by one thread; session_wake() alone
 * may be called from others and from signal handlers, since it only writes to an eventfd. */
#include "engine/core/session.h"
#include "engine/core/state.h"
#include "engine/base/grow.h"
#include "engine/probe/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static int copy_string(char **ret, const char *s)
{
	char *copy = s ? strdup(s) : NULL;
	if (s && !copy)
		return -ENOMEM;
	free(*ret);
	*ret = copy;
	return 0;
}

int session_new(struct session **ret, const struct session_options *options)
{
	struct session *session = calloc(1, sizeof(*session));
	if (!session)
		return -ENOMEM;
	session->log = options->log;
	session->argv = options->argv;
	session->version = options->version;
	session->ring_bytes = options->ring_bytes;
	session->strict = options->strict;
	session->cache_fd = session->epoll = session->wake = session->timer = -1;
	session->uid = -1;
	session->gen_options.follow = true;
	spec_init(&session->spec);
	if (copy_string(&session->cache_dir, options->cache_dir) ||
	        copy_string(&session->compiler, options->compiler)) {
		session_free(session);
		return -ENOMEM;
	}
	*ret = session;
	return 0;
}

static void free_output(struct output *output)
{
	sink_free(output->sink);
	free((char *)output->options.format);
	free((char *)output->options.path);
	for (size_t i = 0; i < output->options.ncolumns; i++)
		free((char *)output->options.columns[i]);
	free((void *)output->options.columns);
}

void session_free(struct session *session)
{
	if (!session)
		return;
	for (size_t i = 0; i < session->noutputs; i++)
		free_output(&session->outputs[i]);
	sink_free(session->lines);
	for (size_t i = 0; i < session->ntargets; i++)
		if (session->targets[i].pidfd >= 0)
			close(session->targets[i].pidfd);
	containers_close(session);
	inside_free(session->containers);
	loop_close(session);
	follow_close(session);
	resolver_free(session->resolver);
	counts_close(session);
	kernel_free(session->kernel);
	stack_fini(&session->ustack);
	stack_fini(&session->kstack);
	gen_result_fini(&session->plan);
	if (session->catalog)
		catalog_close(session->catalog);
	if (session->cache_fd >= 0)
		close(session->cache_fd);
	spec_fini(&session->spec);
	free(session->object);
	free(session->targets);
	free(session->outputs);
	free(session->accounts);
	free(session->mechanisms);
	free(session->comm);
	free(session->cache_path);
	free(session->cache_dir);
	free(session->compiler);
	free(session);
}

struct spec *session_spec(struct session *session)
{
	return &session->spec;
}

void session_set_callbacks(struct session *session, const struct session_callbacks *callbacks)
{
	session->callbacks = *callbacks;
}

void session_set_observer(struct session *session, session_observer fn, void *user)
{
	session->observer = fn;
	session->observer_user = user;
}

enum session_state session_state(const struct session *session)
{
	return session->state;
}

struct gen_options *session_gen_options(struct session *session)
{
	return &session->gen_options;
}

/* The cache is a help, never a condition: what is wrong with it is told and the run goes on without. */
static void open_cache(struct session *session)
{
	struct err err = {0};
	if (session->cache_opened)
		return;
	session->cache_opened = true;
	if (session->cache_dir && !*session->cache_dir)
		return;
	if (cache_open(session->cache_dir, &session->cache_path, &session->cache_fd, &err) < 0) {
		log_warn(&session->log, "no cache: %s", err.message);
		session->cache_fd = -1;
	}
}

int session_catalog(struct session *session, struct catalog **ret, struct err *err)
{
	if (!session->catalog) {
		open_cache(session);
		int r = catalog_open(&session->catalog, session->cache_path, &session->log, err);
		if (r < 0)
			return r;
	}
	*ret = session->catalog;
	return 0;
}

const char *session_cache_path(struct session *session, struct err *err)
{
	struct catalog *catalog;
	return session_catalog(session, &catalog, err) == 0 && session->cache_fd >= 0 ? session->cache_path : NULL;
}

static int watch_target(struct session *session, struct target *target, struct err *err)
{
	target->pidfd = (int)syscall(SYS_pidfd_open, target->pid, 0);
	if (target->pidfd < 0 && errno == ESRCH)
		return err_set(err, -ESRCH, ERR_RUNTIME, "no-process", "there is no process %d", (int)target->pid);
	return target->pidfd >= 0 && session->epoll >= 0 ? loop_watch(session, target->pidfd, err) : 0;
}

int session_add_pid(struct session *session, pid_t pid, struct err *err)
{
	struct target target = {pid, -1};
	if (grow(&session->targets, &session->targets_cap, session->ntargets + 1, sizeof(target)) < 0)
		return err_nomem(err);
	int r = watch_target(session, &target, err);
	if (r == 0 && session->kernel)
		r = kernel_add_pid(session->kernel, pid, err);
	if (r < 0) {
		if (target.pidfd >= 0)
			close(target.pidfd);
		return r;
	}
	session->targets[session->ntargets++] = target;
	if (!session->kernel)
		session->gen_options.target_pids = true;
	return 0;
}

int session_set_comm(struct session *session, const char *comm)
{
	session->gen_options.target_comm = comm != NULL;
	return copy_string(&session->comm, comm);
}

void session_set_uid(struct session *session, uint32_t uid)
{
	session->uid = uid;
	session->gen_options.target_uid = true;
}

void session_set_ring(struct session *session, uint64_t bytes)
{
	session->ring_bytes = bytes;
}

void session_set_limit(struct session *session, uint64_t events)
{
	session->limit = events;
}

static int copy_columns(struct sink_options *to, const struct sink_options *from)
{
	char **columns = from->ncolumns ? calloc(from->ncolumns, sizeof(*columns)) : NULL;
	if (from->ncolumns && !columns)
		return -ENOMEM;
	to->columns = (const char *const *)columns;
	to->ncolumns = from->ncolumns;
	for (size_t i = 0; i < from->ncolumns; i++)
		if (copy_string(&columns[i], from->columns[i]))
			return -ENOMEM;
	return 0;
}

int session_add_sink(struct session *session, const struct sink_options *options, struct err *err)
{
	if (grow(&session->outputs, &session->outputs_cap, session->noutputs + 1, sizeof(*session->outputs)) < 0)
		return err_nomem(err);
	struct output *output = &session->outputs[session->noutputs];
	memset(output, 0, sizeof(*output));
	output->options = *options;
	output->options.format = output->options.path = NULL;
	output->options.columns = NULL;
	output->options.ncolumns = 0;
	if (copy_string((char **)&output->options.format, options->format) ||
	        copy_string((char **)&output->options.path, options->path) || copy_columns(&output->options, options)) {
		free_output(output);
		return err_nomem(err);
	}
	session->noutputs++;
	return 0;
}

void session_set_signatures(struct session *session, bool on)
{
	session->signatures = on;
}

int session_check(struct session *session, struct err *err)
{
	return plan_generate(session, err);
}

/* For other machines: with a description of itself, in which a changed byte is noticed. */
static int emit_object(struct session *session, void **ret_data, size_t *ret_len, struct err *err)
{
	struct gen_options *options = &session->gen_options;
	bool portable = options->portable; /* set if an object has been loaded */
	options->portable = true;
	int r = plan_generate(session, err);
	if (r == 0)
		r = portable_describe(&session->spec, options, session->version, &session->plan.source, err);
	options->portable = portable;
	if (r == 0)
		r = plan_compile(session, SESSION_EMIT_OBJECT, ret_data, ret_len, err);
	if (r < 0)
		return r;
	r = portable_seal(*ret_data, *ret_len, err);
	if (r < 0)
		free(*ret_data);
	return r;
}

int session_emit(struct session *session, int what, void **ret_data, size_t *ret_len, struct err *err)
{
	if (what == SESSION_EMIT_OBJECT)
		return emit_object(session, ret_data, ret_len, err);
	int r = plan_generate(session, err);
	if (r < 0)
		return r;
	if (what == SESSION_EMIT_ASM)
		return plan_compile(session, what, ret_data, ret_len, err);
	*ret_len = session->plan.source.len;
	*ret_data = strdup(text_str(&session->plan.source));
	return *ret_data ? 0 : err_nomem(err);
}

int session_set_object(struct session *session, const void *data, size_t len, const uint8_t *digest, struct err *err)
{
	void *copy = malloc(len);
	if (!copy)
		return err_nomem(err);
	memcpy(copy, data, len);
	free(session->object);
	session->object = copy;
	session->object_len = len;
	memcpy(session->object_digest, digest, sizeof(session->object_digest));
	session->gen_options.portable = true;
	return 0;
}

int session_attach(struct session *session, struct err *err)
{
	if (session->state == SESSION_STOPPED)
		return err_set(err, -EBUSY, ERR_RUNTIME, "wrong-state", "this handle has been stopped; make a new one");
	if (session->state != SESSION_NEW)
		return err_set(err, -EBUSY, ERR_RUNTIME, "wrong-state", "this handle is attached already");
	int r = plan_attach(session, err);
	if (r == 0)
		session->state = SESSION_RUNNING;
	return r;
}

int session_fd(const struct session *session)
{
	return session->epoll;
}

void session_wake(struct session *session)
{
	uint64_t one = 1;
	int saved = errno;
	if (session->wake >= 0)
		(void)!write(session->wake, &one, sizeof(one));
	errno = saved;
}

const char *session_over_reason(const struct session *session)
{
	return session->over_reason;
}

void session_end(struct session *session, const char *reason)
{
	if (session->over_reason)
		return;
	strncpy(session->over_text, reason ? reason : "done", sizeof(session->over_text) - 1);
	session->over_reason = session->over_text;
	session->cut = true;
}

int session_stop(struct session *session, const char *reason, struct err *err)
{
	if (session->state != SESSION_RUNNING && session->state != SESSION_OVER)
		return 0;
	int drained = session_look(session, err);
	if (drained == 0)
		drained = loop_drain(session, err);
	session->state = SESSION_STOPPED;
	int reported = session_report_end(session, reason ? reason : session->over_reason, drained < 0 ? NULL : err);
	kernel_detach(session->kernel);
	return drained < 0 ? drained : reported;
}

size_t session_probe_count(const struct session *session)
{
	return session->plan.nprobes;
}

const struct probe_schema *session_probe(const struct session *session, size_t i)
{
	return i < session->plan.nprobes ? &session->plan.probes[i] : NULL;
}

const char *session_mechanisms(const struct session *session)
{
	return session->mechanisms ? session->mechanisms : "";
}

size_t session_phases(const struct session *session, struct session_phase *ret, size_t n)
{
	for (size_t i = 0; i < n && i < session->nphases; i++)
		ret[i] = session->phases[i];
	return session->nphases;
}
