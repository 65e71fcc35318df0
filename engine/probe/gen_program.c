/* The whole program: contract headers, pieces, offsets, parameters, records, functions, programs.
 *
 * Only what a script uses is put in. The pieces are files of bpf-templates in a fixed order, without any logic of their
 * own; what they need from kernel structures is listed here, looked up in the catalog once and written as macros. For a
 * program that is to run on other kernels the macros are CO-RE relocations on structs that have just that member. */
#include "engine/probe/gen_impl.h"
#include "engine/base/embed.h"
#include "engine/base/grow.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

extern const struct embedded bpf_templates[];

static const struct {
	const char *file;
	const char *offsets; /* structure.member, separated by spaces */
} pieces[PIECE_COUNT] = {
        [PIECE_BASE] = {"base.bpf.h"},
        [PIECE_LOAD_BTF] = {"load_btf.bpf.h"},
        [PIECE_LOAD_PROBE] = {"load_probe.bpf.h"},
        [PIECE_REGS] = {"regs_x86.bpf.h", "task_struct.thread_info thread_info.status"},
        [PIECE_REGS_HELPER] = {"regs_helper.bpf.h"},
        [PIECE_REGS_STACK] = {"regs_stack.bpf.h", "task_struct.stack"},
        [PIECE_SEND] = {"send.bpf.h",
                "task_struct.real_parent task_struct.group_leader task_struct.tgid task_struct.start_boottime"},
        [PIECE_SCRATCH] = {"scratch.bpf.h"},
        [PIECE_AGGREGATE] = {"aggregate.bpf.h"},
        [PIECE_STACK_END_VMA] = {"stack_end_vma.bpf.h", "vm_area_struct.vm_end"},
        [PIECE_STACK_END_NONE] = {"stack_end_none.bpf.h"},
        [PIECE_USER_STACK] = {"user_stack.bpf.h", "task_struct.mm mm_struct.start_stack task_struct.thread "
                                                  "thread_struct.fsbase task_struct.flags"},
        [PIECE_STACK_INLINE] = {"stack_inline.bpf.h"},
        [PIECE_STACK_SHARED] = {"stack_shared.bpf.h"},
        [PIECE_KERNEL_STACK] = {"kernel_stack.bpf.h"},
        [PIECE_TARGETS] = {"targets.bpf.h", "task_struct.signal signal_struct.live"},
        [PIECE_FOLLOW] = {"follow.bpf.h"},
        [PIECE_CGROUPS] = {"cgroups.bpf.h"},
        [PIECE_ENTRIES_TASK] = {"entries_task.bpf.h"},
        [PIECE_ENTRIES_HASH] = {"entries_hash.bpf.h"},
        [PIECE_ARITH] = {"arith.bpf.h"},
        [PIECE_TEXT] = {"text.bpf.h"},
        [PIECE_PATTERN] = {"pattern.bpf.h"},
        [PIECE_USER_MEMORY] = {"user_memory.bpf.h"},
        [PIECE_KERNEL_MEMORY] = {"kernel_memory.bpf.h"},
        [PIECE_DESCRIPTORS] = {"descriptors.bpf.h", "task_struct.files files_struct.fdt fdtable.max_fds fdtable.fd "
                                                    "file.f_inode inode.i_ino"},
        [PIECE_FAMILY] = {"descriptor_family.bpf.h",
                "inode.i_mode file.private_data socket.sk sock.__sk_common sock_common.skc_family"},
        [PIECE_FLAGS] = {"descriptor_flags.bpf.h", "fdtable.close_on_exec file.f_flags"},
        [PIECE_KIND] = {"descriptor_kind.bpf.h", "inode.i_mode inode.i_sb super_block.s_magic file.f_path path.dentry "
                                                 "dentry.d_parent dentry.d_name qstr.name"},
        [PIECE_PATH] = {"descriptor_path.bpf.h",
                "file.f_path path.dentry path.mnt dentry.d_parent dentry.d_name qstr.name qstr.len vfsmount.mnt_root "
                "mount.mnt mount.mnt_parent mount.mnt_mountpoint task_struct.fs fs_struct.root"},
        [PIECE_PATH_LOOP] = {"path_loop.bpf.h"},
        [PIECE_PATH_STEPS] = {"path_steps.bpf.h"},
        [PIECE_PATH_GET] = {"path_get.bpf.h"},
        [PIECE_NS_PID] = {"ns_pid.bpf.h",
                "task_struct.group_leader task_struct.thread_pid pid.level pid.numbers upid.nr"},
        [PIECE_EACH] = {"each.bpf.h"},
        [PIECE_EACH_LOOP] = {"each_loop.bpf.h"},
        [PIECE_EACH_STEPS] = {"each_steps.bpf.h"},
        [PIECE_EACH_GET] = {"each_get.bpf.h"},
        [PIECE_SCM] = {"scm.bpf.h"},
        [PIECE_SCM_LOOP] = {"scm_loop.bpf.h"},
        [PIECE_SCM_STEPS] = {"scm_steps.bpf.h"},
        [PIECE_SCM_GET] = {"scm_get.bpf.h"},
};

void gen_need(struct gen *gen, enum piece piece)
{
	gen->pieces |= 1ULL << piece;
}

void gen_fail(struct gen *gen, int r)
{
	if (!gen->failed)
		gen->failed = r;
}

/* A program for other kernels takes the oldest way that works everywhere. */
unsigned gen_features(const struct gen_options *options)
{
	struct utsname name;
	unsigned major = 0, minor = 0;
	if (options->portable || uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return 0;
	unsigned version = major << 8 | (minor < 255 ? minor : 255), features = 0;
	features |= version >= (5 << 8 | 11) ? FEATURE_TASK_BTF : 0;
	features |= version >= (5 << 8 | 12) ? FEATURE_TASK_STORAGE : 0;
	features |= version >= (5 << 8 | 15) ? FEATURE_TASK_REGS : 0;
	features |= version >= (5 << 8 | 17) ? FEATURE_FIND_VMA : 0;
	return features;
}

static const char *find_offset(const struct gen *gen, const char *structure, const char *member)
{
	for (size_t i = 0; i < gen->noffsets; i++) {
		if (!strcmp(gen->offsets[i].structure, structure) && !strcmp(gen->offsets[i].member, member))
			return gen->offsets[i].macro;
	}
	return NULL;
}

const char *gen_known_offset(struct gen *gen, const char *structure, const char *member, uint32_t value)
{
	const char *known = find_offset(gen, structure, member);
	if (known)
		return known;
	if (grow(&gen->offsets, &gen->offsets_cap, gen->noffsets + 1, sizeof(*gen->offsets)) < 0) {
		gen_fail(gen, err_nomem(gen->err));
		return "0";
	}
	struct offset *offset = &gen->offsets[gen->noffsets];
	snprintf(offset->structure, sizeof(offset->structure), "%s", structure);
	snprintf(offset->member, sizeof(offset->member), "%s", member);
	offset->value = value;
	if (asprintf(&offset->macro, "OFF_%s__%s", structure, member) < 0) {
		offset->macro = NULL;
		gen_fail(gen, err_nomem(gen->err));
		return "0";
	}
	gen->noffsets++;
	return offset->macro;
}

/* Members that had another name in older kernels. */
static const char *older_name(const char *member)
{
	return !strcmp(member, "start_boottime") ? "real_start_time" : NULL;
}

const char *gen_offset(struct gen *gen, const char *structure, const char *member)
{
	uint32_t value = 0;
	if (find_offset(gen, structure, member))
		return find_offset(gen, structure, member);
	int r = catalog_offset(gen->catalog, structure, member, &value, gen->err);
	if (r == -ENOENT && older_name(member))
		r = catalog_offset(gen->catalog, structure, older_name(member), &value, gen->err);
	if (r < 0)
		gen_fail(gen, r);
	return gen_known_offset(gen, structure, member, value);
}

static void need_offsets(struct gen *gen, const char *list)
{
	char structure[64], member[64];
	int n;
	for (const char *s = list; s && sscanf(s, " %63[^.].%63s%n", structure, member, &n) == 2; s += n)
		gen_offset(gen, structure, member);
}

/* What the chosen pieces need in turn. */
static void complete_pieces(struct gen *gen)
{
	gen_need(gen, PIECE_BASE);
	gen_need(gen, PIECE_SEND);
	gen_need(gen, PIECE_REGS);
	gen_need(gen, gen->features & FEATURE_TASK_BTF ? PIECE_LOAD_BTF : PIECE_LOAD_PROBE);
	gen_need(gen, gen->features & FEATURE_TASK_REGS ? PIECE_REGS_HELPER : PIECE_REGS_STACK);
	if (gen->pieces >> PIECE_USER_STACK & 1) {
		gen_need(gen, gen->features & FEATURE_FIND_VMA ? PIECE_STACK_END_VMA : PIECE_STACK_END_NONE);
		gen_need(gen, gen->nunits <= INLINE_UNITS ? PIECE_STACK_INLINE : PIECE_STACK_SHARED);
	}
	if (gen->pieces >> PIECE_EACH & 1) {
		gen_need(gen, gen->features & FEATURE_FIND_VMA ? PIECE_EACH_LOOP : PIECE_EACH_STEPS);
		gen_need(gen, PIECE_EACH_GET);
	}
	if (gen->pieces >> PIECE_SCM & 1) {
		gen_need(gen, gen->features & FEATURE_FIND_VMA ? PIECE_SCM_LOOP : PIECE_SCM_STEPS);
		gen_need(gen, PIECE_SCM_GET);
	}
	const uint64_t of_files = 1ULL << PIECE_FAMILY | 1ULL << PIECE_FLAGS | 1ULL << PIECE_KIND | 1ULL << PIECE_PATH;
	if (gen->pieces & of_files)
		gen_need(gen, PIECE_DESCRIPTORS);
	if (gen->pieces >> PIECE_PATH & 1) {
		gen_need(gen, gen->features & FEATURE_FIND_VMA ? PIECE_PATH_LOOP : PIECE_PATH_STEPS);
		gen_need(gen, PIECE_PATH_GET);
	}
	bool by_pid = gen->options->target_pids || gen->options->portable;
	if (by_pid)
		gen_need(gen, PIECE_TARGETS);
	if (by_pid && (gen->options->follow || gen->options->portable))
		gen_need(gen, PIECE_FOLLOW);
	if (gen->options->target_cgroups)
		gen_need(gen, PIECE_CGROUPS);
	for (unsigned i = 0; i < PIECE_COUNT; i++) {
		if (gen->pieces >> i & 1)
			need_offsets(gen, pieces[i].offsets);
	}
}

/* A template's text, without its #include lines: the program is one file. */
static void add_file(struct gen *gen, struct text *out, const char *file)
{
	const struct embedded *e = bpf_templates;
	while (e->name && strcmp(e->name, file) != 0)
		e++;
	if (!e->name) {
		gen_fail(gen, err_set(gen->err, -ENOENT, ERR_RUNTIME, "no-template", "no template %s", file));
		return;
	}
	for (const char *s = e->data; *s;) {
		size_t len = strcspn(s, "\n") + 1;
		if (strncmp(s, "#include", 8) != 0)
			text_add(out, s, len);
		s += len;
	}
	text_addc(out, '\n');
}

static void add_piece(struct gen *gen, struct text *out, enum piece piece)
{
	if (gen->pieces >> piece & 1)
		add_file(gen, out, pieces[piece].file);
}

/* In a program for other kernels: a struct with that member alone, and its place asked for when the program is loaded.
 * Only the member's kind has to agree (of an array: its elements'); ___ and what follows is not part of the name. */
static const char *kind_in_c(struct gen *gen, const struct ktype *type)
{
	struct ktype element;
	if (type->kind == KTYPE_ARRAY) {
		int r = catalog_type(gen->catalog, type->target_id, &element, gen->err);
		if (r < 0)
			gen_fail(gen, r);
		else
			type = &element;
	}
	return type->kind == KTYPE_POINTER ? "void *" : type->kind == KTYPE_STRUCT ? "struct { char c; }" : "int";
}

static void add_relocation(struct gen *gen, struct text *out, const struct offset *o)
{
	struct ktype object;
	struct kmember member;
	const char *type = "int", *array = "";
	int r = catalog_struct(gen->catalog, o->structure, &object, gen->err);
	if (r == 0)
		r = catalog_member(gen->catalog, object.type_id, o->member, &member, gen->err);
	if (r == 0) {
		type = kind_in_c(gen, &member.type);
		array = member.type.kind == KTYPE_ARRAY ? "[1]" : "";
	} else if (r != -ENOENT) { /* of an older kernel, which has no such member, the kind is not known */
		gen_fail(gen, r);
	}
	size_t n = (size_t)(o - gen->offsets);
	text_printf(out, "struct %s___rille%zu {\n\t%s %s%s;\n} __attribute__((preserve_access_index));\n",
	        o->structure, n, type, o->member, array);
	text_printf(out, "#define %s __builtin_preserve_field_info(((struct %s___rille%zu *)0)->%s, 0)\n", o->macro,
	        o->structure, n, o->member);
}

static void add_offsets(struct gen *gen, struct text *out)
{
	for (size_t i = 0; i < gen->noffsets; i++) {
		if (gen->options->portable)
			add_relocation(gen, out, &gen->offsets[i]);
		else
			text_printf(out, "#define %s %u\n", gen->offsets[i].macro, gen->offsets[i].value);
	}
	text_addc(out, '\n');
}

static void describe_param(const struct gen *gen, size_t i, struct param_slot *slot)
{
	const struct spec_param *param = &gen->spec->params[i];
	bool list = strstr(param->type, "[]") != NULL, text = !strncmp(param->type, "string", 6);
	bool flag = !strncmp(param->type, "bool", 4);
	struct type element = type_of_param(param->type);
	slot->param = i;
	snprintf(slot->symbol, sizeof(slot->symbol), "rille_param_%s", param->name.text);
	slot->is_signed = !text && !flag && element.is_signed;
	slot->width = flag ? 1 : element.width;
	if (text) {
		slot->width = 1;
		slot->room = gen->params_pattern[i] ? PARAM_PATTERN_ROOM : TEXT_DEFAULT;
	} else {
		slot->room = list ? PARAM_LIST_ROOM : 0;
	}
}

static void declare_param(const struct param_slot *slot, const char *type, struct text *out)
{
	bool text = !strncmp(type, "string", 6);
	struct type element = type_int(text ? 1 : slot->width, slot->is_signed);
	bool list = strstr(type, "[]") != NULL;
	text_printf(out, "const volatile %s %s", text ? "char" : c_type(&element), slot->symbol);
	if (slot->room)
		text_printf(out, "[%u]", slot->room);
	text_adds(out, text ? " ALIGNED = {0};\n" : slot->room ? " = {0};\n" : " = 0;\n");
	if (list)
		text_printf(out,
		        "const volatile u32 %s_n = 0;\nSHARED bool in_list_%s(u64 x)\n{\n"
		        "\tfor (u32 i = 0; i < %u && i < %s_n; i++) {\n\t\tif (x == (u64)(%s)%s[i])\n\t\t\treturn "
		        "true;\n"
		        "\t}\n\treturn false;\n}\n",
		        slot->symbol, slot->symbol + strlen("rille_param_"), slot->room, slot->symbol,
		        wide_type(&element), slot->symbol);
}

static int add_params(struct gen *gen, struct text *out)
{
	struct gen_result *ret = gen->ret;
	for (size_t i = 0; i < gen->spec->nparams; i++) {
		if (!gen->params_used[i])
			continue;
		if (grow(&ret->params, &ret->params_cap, ret->nparams + 1, sizeof(*ret->params)) < 0)
			return err_nomem(gen->err);
		describe_param(gen, i, &ret->params[ret->nparams]);
		declare_param(&ret->params[ret->nparams++], gen->spec->params[i].type, out);
	}
	text_addc(out, '\n');
	return 0;
}

/* The same for a program that is to know later who is traced: the loader sets the variables, and the verifier drops the
 * tests that they switch off. */
static const char any_target[] =
        "const volatile u32 rille_self = 0, rille_by_pid = 0, rille_by_uid = 0, rille_uid = 0;\n"
        "const volatile char rille_comm[RILLE_COMM] ALIGNED = {0};\n"
        "INLINE bool may_be_target(u64 id)\n{\n"
        "\tif (rille_self && id >> 32 == rille_self)\n\t\treturn false;\n"
        "\treturn !rille_by_pid || is_target_pid(id >> 32);\n}\n\n"
        "INLINE bool is_target(struct task_struct *task, u64 id)\n{\n"
        "\tif (!may_be_target(id) || (rille_by_uid && (u32)bpf_get_current_uid_gid() != rille_uid))\n"
        "\t\treturn false;\n"
        "\tconst volatile long_of_text *want = (const volatile long_of_text *)rille_comm;\n"
        "\tif (!want[0])\n\t\treturn true;\n"
        "\tu64 comm[2] = {0};\n\tbpf_get_current_comm(comm, sizeof(comm));\n"
        "\treturn comm[0] == want[0] && comm[1] == want[1];\n}\n\n";

/* Cheapest tests first. The tracer never traces itself: it would never end. */
static void add_target(struct gen *gen, struct text *out)
{
	const struct gen_options *o = gen->options;
	if (o->portable) {
		text_adds(out, any_target);
		return;
	}
	if (o->self)
		text_adds(out, "const volatile u32 rille_self = 0;\n");
	if (o->target_uid)
		text_adds(out, "const volatile u32 rille_uid = 0;\n");
	if (o->target_comm)
		text_adds(out, "const volatile char rille_comm[RILLE_COMM] ALIGNED = {0};\n");
	/* At a call's entry: execve() changes who it is by name or user. */
	text_adds(out, "INLINE bool may_be_target(u64 id)\n{\n");
	if (o->self)
		text_adds(out, "\tif (id >> 32 == rille_self)\n\t\treturn false;\n");
	if (o->target_pids)
		text_adds(out, "\tif (!is_target_pid(id >> 32))\n\t\treturn false;\n");
	if (o->target_cgroups)
		text_adds(out, "\tif (!is_in_cgroup())\n\t\treturn false;\n");
	text_adds(out, "\treturn true;\n}\n\n");
	text_adds(out, "INLINE bool is_target(struct task_struct *task, u64 id)\n{\n\tif (!may_be_target(id))\n"
	               "\t\treturn false;\n");
	if (o->target_uid)
		text_adds(out, "\tif ((u32)bpf_get_current_uid_gid() != rille_uid)\n\t\treturn false;\n");
	if (o->target_comm)
		text_adds(out, "\tu64 comm[2] = {0};\n\tbpf_get_current_comm(comm, sizeof(comm));\n"
		               "\tconst volatile long_of_text *want = (const volatile long_of_text *)rille_comm;\n"
		               "\tif (comm[0] != want[0] || comm[1] != want[1])\n\t\treturn false;\n");
	text_adds(out, "\treturn true;\n}\n\n");
}

/* Lines of a script are followed by lines of the program: says so, with the number that the line has in the file. */
static void resolve_lines(struct text *out, const struct text *draft)
{
	out->failed |= draft->failed;
	unsigned line = 1;
	for (const char *s = text_str(draft); *s; line++) {
		size_t len = strcspn(s, "\n");
		if (!strncmp(s, GEN_LINE_HERE, len + 1))
			text_printf(out, "#line %u \"rille.bpf.c\"", line + 1);
		else
			text_add(out, s, len);
		text_addc(out, '\n');
		s += len + (s[len] == '\n');
	}
}

static void add_data(struct gen *gen, struct text *out)
{
	if (gen->no_text)
		text_printf(out, "static const volatile char no_text[%u] ALIGNED = {0};\n", gen->no_text);
	text_addt(out, &gen->tables);
	if (gen->entries.len)
		text_printf(out, "struct rille_entry {\n%s};\n\n", text_str(&gen->entries));
	out->failed |= gen->entries.failed || gen->scratch.failed;
	text_addt(out, &gen->records);
	if (gen->scratch.len)
		text_printf(out, "struct rille_scratch {\n\tunion {\n%s\t};\n};\n\n", text_str(&gen->scratch));
}

static int cpus(const struct gen *gen)
{
	enum { OTHER_MACHINES = 512 };
	int n = gen->options->portable ? OTHER_MACHINES : libbpf_num_possible_cpus();
	return n > 0 ? n : OTHER_MACHINES;
}

int gen_source(struct gen *gen)
{
	struct text draft = {0}, *out = &draft;
	complete_pieces(gen);
	text_adds(out, "/* Generated by rille: BPF C, complete in one file. */\n");
	add_file(gen, out, "record.h");
	add_file(gen, out, "names.h");
	if (gen->pieces >> PIECE_KIND & 1)
		add_file(gen, out, "kinds.h");
	text_printf(out, "#define RILLE_PROBES %zu\n", gen->ret->nprobes);
	/* Few are put together with what they call; many share it, or compiling would take seconds. */
	bool inlined = gen->nunits <= INLINE_UNITS;
	text_printf(out, "#define SHARED static __attribute__((%s, unused))%s\n",
	        inlined ? "always_inline" : "noinline", inlined ? " inline" : "");
	text_printf(out, "#define UNIT_FUNCTION static __attribute__((%sunused))\n", inlined ? "" : "noinline, ");
	if (gen->ret->naggregates)
		text_printf(out, "#define RILLE_AGGREGATES %zu\n", gen->ret->naggregates);
	if (gen->pieces >> PIECE_SCRATCH & 1)
		text_printf(out, "#define RILLE_CPUS %d\n", cpus(gen));
	if (gen->stack_room)
		text_printf(out, "#define STACK_ROOM %u\n", gen->stack_room);
	add_offsets(gen, out);
	add_piece(gen, out, PIECE_BASE);
	int r = add_params(gen, out);
	add_data(gen, out);
	for (unsigned i = PIECE_BASE + 1; i < PIECE_COUNT; i++)
		add_piece(gen, out, i);
	add_target(gen, out);
	text_addt(out, &gen->rows);
	text_addt(out, &gen->probes);
	if (r == 0)
		r = gen_dispatch(gen, out);
	text_addt(out, &gen->tracepoints);
	resolve_lines(&gen->ret->source, out);
	if (r == 0 && text_failed(&gen->ret->source))
		r = err_nomem(gen->err);
	text_fini(&draft);
	return r < 0 ? r : gen->failed;
}
