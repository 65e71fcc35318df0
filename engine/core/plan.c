/* The plan: from a declared spec to attached programs, all or nothing.
 *
 *     spec ─generate─▶ BPF C ─object─▶ ELF ─load─▶ programs, maps ─attach─▶ events
 *
 * It is the table `steps` at the end of this file, in order; each step is a function above it, and each is timed. What a
 * step makes belongs to the session at once, so that a failure anywhere is undone in one place. */
#include "engine/core/build.h"
#include "engine/core/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

int plan_generate(struct session *session, struct err *err)
{
	struct catalog *catalog;
	int r = session_catalog(session, &catalog, err);
	if (r < 0)
		return r;
	/* The tracer writes and reads for every event: tracing everybody, it must not trace itself. */
	session->gen_options.self = session->gen_options.target_pids ? 0 : (uint32_t)getpid();
	session->gen_options.log = &session->log;
	gen_result_fini(&session->plan);
	memset(&session->plan, 0, sizeof(session->plan));
	r = gen_run(&session->spec, &session->gen_options, catalog, &session->plan, err);
	catalog_rest(catalog); /* BTF is 5 MB, and the trace may be long */
	return r;
}

int plan_compile(struct session *session, int output, void **ret_data, size_t *ret_len, struct err *err)
{
	struct build build = {.session = session, .options = {.path = session->compiler, .log = &session->log}};
	int r = build_output(&build, output == SESSION_EMIT_ASM ? COMPILE_ASM : COMPILE_OBJECT, err);
	if (r == 0) {
		*ret_data = build.object;
		*ret_len = build.len;
		build.object = NULL;
	}
	build_end(&build);
	return r;
}

static unsigned stack_sides(const struct session *session)
{
	unsigned sides = STACK_NONE;
	for (size_t i = 0; i < session->plan.nprobes; i++)
		sides |= session->plan.probes[i].stack_sides;
	return sides;
}

static int generate(struct session *session, struct build *build, struct err *err)
{
	return plan_generate(session, err);
}

static int get_object(struct session *session, struct build *build, struct err *err)
{
	return build_object(build, err);
}

static int make_accounts(struct session *session, struct build *build, struct err *err)
{
	session->accounts = calloc(session->plan.nprobes + 1, sizeof(*session->accounts));
	return session->accounts ? counts_open(session, err) : err_nomem(err);
}

/* Before attaching, so that no mapping is missed between the first event and its process's first reading. */
static int open_processes(struct session *session, struct build *build, struct err *err)
{
	bool wanted = stack_sides(session) & STACK_USER || session->callbacks.on_exec || session->callbacks.on_exit;
	return wanted ? follow_open(session, err) : 0;
}

static int load(struct session *session, struct build *build, struct err *err)
{
	pid_t *pids = calloc(session->ntargets + 1, sizeof(*pids));
	if (!pids)
		return err_nomem(err);
	for (size_t i = 0; i < session->ntargets; i++)
		pids[i] = session->targets[i].pid;
	struct kernel_options options = {
	        .log = &session->log,
	        .spec = &session->spec,
	        .plan = &session->plan,
	        .ring_bytes = session->ring_bytes,
	        .pids = pids,
	        .npids = session->ntargets,
	        .cgroups = session->cgroups,
	        .ncgroups = session->ncgroups,
	        .comm = session->comm,
	        .uid = session->uid,
	        .limit = session->limit,
	        .follow = session->gen_options.follow,
	        .portable = session->gen_options.portable,
	};
	int r = kernel_load(&session->kernel, build->object, build->len, &options, err);
	free(pids);
	return r;
}

static int open_resolver(struct session *session, struct build *build, struct err *err)
{
	if (!stack_sides(session))
		return 0;
	struct resolve_options options = {
	        .log = &session->log,
	        .procs = session->procs,
	        .lines = true,
	        .signatures = session->signatures,
	        .anchor_map = kernel_anchor_map(session->kernel),
	};
	session->resolver = resolver_new(&options);
	return session->resolver ? 0 : err_nomem(err);
}

static int describe(struct session *session, struct build *build, struct err *err)
{
	const char *procs = session->procs ? proc_table_mechanism(session->procs) : NULL;
	free(session->mechanisms);
	if (asprintf(&session->mechanisms, "%s%s%s%s", kernel_mechanisms(session->kernel), procs ? "mappings: " : "",
	            procs ? procs : "", procs ? "\n" : "") < 0)
		session->mechanisms = NULL;
	return session->mechanisms ? 0 : err_nomem(err);
}

struct sink_meta plan_meta(const struct session *session, struct utsname *name)
{
	uname(name);
	struct sink_meta meta = {
	        .version = session->version,
	        .script = session->spec.name,
	        .host = name->nodename,
	        .kernel = name->release,
	        .argv = session->argv,
	        .probes = session->plan.probes,
	        .nprobes = session->plan.nprobes,
	        .aggregates = session->plan.aggregates,
	        .naggregates = session->plan.naggregates,
	        .started = (int64_t)now_ns(CLOCK_REALTIME),
	        .mechanisms = session_mechanisms(session),
	};
	while (session->argv && session->argv[meta.argc])
		meta.argc++;
	return meta;
}

/* The script's table, if an output wants it. */
int plan_find_origins(struct session *session, struct sink_meta *meta, struct err *err)
{
	bool wanted = false;
	for (size_t i = 0; i < session->noutputs; i++)
		wanted |= session->outputs[i].options.origins;
	if (!wanted || !session->callbacks.origins)
		return 0;
	meta->origins = session->callbacks.origins(session->callbacks.user, err);
	return meta->origins ? 0 : err && err->code ? err->code : -ENOMEM;
}

int plan_open_outputs(struct session *session, struct err *err)
{
	struct utsname name;
	struct sink_meta meta = plan_meta(session, &name);
	pid_t *pids = calloc(session->ntargets + session->ninside + 1, sizeof(*pids));
	int r = pids ? 0 : err_nomem(err);
	for (size_t i = 0; r == 0 && i < session->ntargets; i++)
		pids[i] = session->targets[i].pid;
	for (size_t i = 0; r == 0 && i < session->ninside && !session->ntargets; i++)
		pids[i] = session->inside[i];
	for (size_t i = 0; r == 0 && i < session->ntargets; i++)
		inside_label(session, pids[i], 0); /* while it is there to be asked */
	meta.pids = pids;
	meta.npids = session->ntargets ? session->ntargets : session->ninside;
	meta.follow = session->gen_options.follow;
	meta.filtered = session->comm || session->uid >= 0 || session->ncgroups;
	meta.traced = session->kernel != NULL;
	if (r == 0)
		r = plan_find_origins(session, &meta, err);
	for (size_t i = 0; r == 0 && i < session->noutputs; i++)
		r = sink_open(&session->outputs[i].sink, &session->outputs[i].options, &meta, err);
	free(pids);
	return r;
}

static int open_outputs(struct session *session, struct build *build, struct err *err)
{
	int r = plan_open_outputs(session, err);
	if (r == 0)
		counts_warn(session);
	return r;
}

static int open_loop(struct session *session, struct build *build, struct err *err)
{
	return loop_open(session, err);
}

static int attach(struct session *session, struct build *build, struct err *err)
{
	return kernel_attach(session->kernel, err);
}

/* The runtimes of processes that are running already, while their events wait in the ring. */
static int prepare_targets(struct session *session, struct build *build, struct err *err)
{
	for (size_t i = 0; stack_sides(session) & STACK_USER && i < session->ntargets; i++)
		resolver_prepare(session->resolver, session->targets[i].pid);
	/* A host that traces everybody may well fork: its children begin with its mappings, and can be gone when their
	 * first event is looked at. */
	if (stack_sides(session) & STACK_USER && !session->ntargets)
		proc_table_get(session->procs, getpid(), 0);
	return 0;
}

static int start(struct session *session, struct build *build, struct err *err)
{
	for (size_t i = 0; i < session->noutputs; i++)
		sink_start(session->outputs[i].sink);
	loop_start(session);
	return session->callbacks.on_start ? session->callbacks.on_start(session->callbacks.user, err) : 0;
}

/* A step without a name is timed with the one after it. */
static const struct step {
	const char *name;
	int (*run)(struct session *session, struct build *build, struct err *err);
} steps[] = {
        {"generate", generate},
        {"object", get_object},
        {NULL, make_accounts},
        {"processes", open_processes},
        {"load", load},
        {NULL, open_resolver},
        {NULL, describe},
        {NULL, open_outputs},
        {"outputs", open_loop},
        {"attach", attach},
        {"runtimes", prepare_targets},
        {"start", start},
};

/* Returns what the phase is called. */
static const char *add_phase(struct session *session, const struct build *build, const char *name, uint64_t *began)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	if (!strcmp(name, "object"))
		name = build->session->object ? "given object" : build->cached ? "cached object" : "compile";
	if (session->nphases < MAX_PHASES)
		session->phases[session->nphases++] = (struct session_phase){name, now - *began};
	*began = now;
	return name;
}

/* Back to where session_attach() can be called again. */
static void undo(struct session *session)
{
	loop_close(session);
	for (size_t i = 0; i < session->noutputs; i++) {
		sink_free(session->outputs[i].sink);
		session->outputs[i].sink = NULL;
	}
	sink_free(session->lines);
	session->lines = NULL;
	follow_close(session);
	resolver_free(session->resolver);
	session->resolver = NULL;
	kernel_free(session->kernel);
	session->kernel = NULL;
	free(session->accounts);
	session->accounts = NULL;
	counts_close(session);
}

int plan_attach(struct session *session, struct err *err)
{
	struct build build;
	const char *stage = "prepare";
	uint64_t began = now_ns(CLOCK_MONOTONIC);
	session->nphases = 0;
	int r = build_begin(&build, session, err);
	add_phase(session, &build, "prepare", &began);
	for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(*steps); i++) {
		r = steps[i].run(session, &build, err);
		if (!steps[i].name)
			continue;
		stage = add_phase(session, &build, steps[i].name, &began);
	}
	if (r < 0) {
		if (err)
			err->stage = stage;
		undo(session);
	}
	build_end(&build);
	return r;
}
