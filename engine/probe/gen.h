/* From a checked script to BPF C and the schema of its records. */
#ifndef RILLE_PROBE_GEN_H
#define RILLE_PROBE_GEN_H

#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/probe/catalog.h"
#include "engine/probe/schema.h"
#include "engine/probe/spec.h"

/* Which processes are traced; decided before generation so that nothing unused is generated. */
struct gen_options {
	bool target_pids;         /* only those in the map rille_pids (and, with follow, their children) */
	bool follow;              /* generate the fork/exit programs that maintain it */
	bool target_cgroups;      /* only tasks below the cgroups in the map rille_cgroups */
	bool target_comm;         /* .rodata rille_comm */
	bool target_uid;          /* .rodata rille_uid */
	unsigned force_stack;     /* --stack: added to every probe's sides */
	uint32_t depth;           /* --depth, 0 = the script's */
	const struct logger *log; /* is told which optional probes are left out; may be NULL */
	uint32_t self;            /* never trace this pid (the tracer), 0 = none */
	bool portable;            /* for other kernels and targets: relocations, and all of the above but the stacks is
	                          decided when it is loaded */
};

/* A parameter's place in the object's .rodata, so that its value is set at start without recompiling. */
struct param_slot {
	size_t param;    /* index in spec.params */
	char symbol[64]; /* variable in the object: "rille_param_inode"; lists have "rille_param_inode_n" as well */
	uint32_t width;  /* bytes of one element */
	bool is_signed;
	uint32_t room; /* elements a list has room for, 0 = scalar; bytes for a string */
};

struct gen_result {
	struct text source; /* the C program, complete: no #include */
	struct probe_schema *probes;
	size_t nprobes, probes_cap;
	struct param_slot *params;
	size_t nparams, params_cap;
	struct aggregate_schema *aggregates;
	size_t naggregates, aggregates_cap;
};

/* Parses, types and generates everything, or fails with the first error (file, line, column, nearest name). Needs no
 * privileges beyond what the catalog's answers need. */
int gen_run(const struct spec *spec, const struct gen_options *options, struct catalog *catalog, struct gen_result *ret,
        struct err *err);
void gen_result_fini(struct gen_result *result);

#endif
