/* A probe's fields: their types, their places in the record, and the code that fills them.
 *
 * Every field starts at a multiple of 8 bytes and one number takes 8, so the struct in C and the schema cannot disagree
 * (the program asserts it). Each field is computed in a block of its own with its own `ok`: what fails in one field
 * leaves the others alone, and its bit in `present` clear. */
#include "engine/probe/gen_impl.h"
#include "bpf-templates/record.h"
#include "engine/probe/decode.h"
#include "engine/base/grow.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RECORD = 16384 };

/* What every event carries anyway, and the methods that it has in callbacks. */
static const char *const reserved[] = {"probe", "time", "nsecs", "pid", "tid", "ppid", "comm", "ustack", "kstack",
        "ustack_end", "kstack_end", "number", "copy", "show"};

/* The names of keys are checked where they are declared (spec_check_key()). */
static int check_name(struct build *b, const struct spec_text *name, struct err *err)
{
	if (b->is_key)
		return 0;
	bool valid = name->text[0] && !isdigit((unsigned char)name->text[0]) && strlen(name->text) < 64;
	for (const char *s = name->text; *s && valid; s++)
		valid = isalnum((unsigned char)*s) || *s == '_';
	if (!valid)
		return expr_error(name, 0, err, "bad-field", "'%s' cannot be the name of a field", name->text);
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (!strcmp(reserved[i], name->text)) {
			int r = expr_error(name, 0, err, "reserved-field", "'%s' is in every event anyway", name->text);
			err_hint(err, "leave it out, or give the field another name");
			return r;
		}
	}
	for (size_t i = 0; i < b->scope.nfields; i++) {
		if (!strcmp(b->fields[i].name, name->text))
			return expr_error(name, 0, err, "duplicate-field", "there is a field '%s' already", name->text);
	}
	return 0;
}

static enum value_kind kind_of(const struct type *type)
{
	switch (type->kind) {
	case TYPE_BOOL:
		return VALUE_BOOL;
	case TYPE_STR:
		return VALUE_STR;
	case TYPE_BYTES:
		return VALUE_BYTES;
	case TYPE_SOCKADDR:
		return VALUE_SOCKADDR;
	default:
		return type->is_signed ? VALUE_INT : VALUE_UINT;
	}
}

static bool is_integer(const struct type *type)
{
	return type->kind == TYPE_INT || type->kind == TYPE_BOOL || type->kind == TYPE_USER || type->kind == TYPE_KPTR;
}

static int set_format(
        const struct spec_field *spec, const struct type *type, struct field_schema *field, struct err *err)
{
	field->format = (enum format_kind)type->format;
	if (!spec->as.text)
		return 0;
	if (!is_integer(type))
		return expr_error(&spec->as, 0, err, "type-mismatch",
		        "as = \"%s\" is for integers, and this field is %s", spec->as.text, type_name(type));
	int r = decode_format(spec->as.text, &field->format, field->prefix, err);
	return r < 0 ? expr_place(&spec->as, 0, err, r) : 0;
}

static void lay_out(struct build *b, struct field_schema *field, const struct type *type)
{
	unsigned n = b->schema->nfields - 1;
	field->kind = kind_of(type);
	field->width = is_integer(type) ? type->width : 0;
	field->count = type->count;
	field->element_bits = type->count && type->each;
	field->varies = type->varies;
	field->offset = b->size;
	if (!is_integer(type)) {
		field->size = type->size;
		text_printf(&b->members, "\tchar f_%s[%u] ALIGNED;\n", field->name, field->size);
	} else if (!type->count) {
		field->size = 8;
		text_printf(&b->members, "\tu64 f_%s;\n", field->name);
	} else {
		field->size = ((uint32_t)type->count * type->width + 7) & ~7u;
		text_printf(
		        &b->members, "\t%s f_%s[%u] ALIGNED;\n", c_type(type), field->name, field->size / type->width);
		if (field->element_bits) {
			field->size += 8;
			text_printf(&b->members, "\tu64 bits_%u;\n", n);
		}
	}
	b->size += field->size;
}

static int add_field(struct build *b, const struct spec_field *spec, const struct type *type, struct err *err)
{
	struct probe_schema *schema = b->schema;
	if (grow(&schema->fields, &schema->fields_cap, schema->nfields + 1, sizeof(*schema->fields)) < 0)
		return err_nomem(err);
	struct field_schema *field = &schema->fields[schema->nfields++];
	field->name = strdup(spec->name.text);
	if (!field->name)
		return err_nomem(err);
	int r = set_format(spec, type, field, err);
	if (r < 0)
		return r;
	lay_out(b, field, type);
	if (b->size > MAX_RECORD)
		return expr_error(
		        &spec->name, 0, err, "record-too-big", "the fields take more than %d bytes", MAX_RECORD);
	b->fields[b->scope.nfields++] = (struct scope_field){.name = field->name, .type = *type};
	return 0;
}

static int check_recordable(const struct expr_tree *tree, struct err *err)
{
	const struct type *type = &tree->root->type;
	if (type->kind != TYPE_LIST && type->kind != TYPE_KOBJ && type->kind != TYPE_NONE)
		return 0;
	return expr_error(tree->source, tree->root->at, err, "type-mismatch", "a field cannot be %s", type_name(type));
}

/* What is counted is one number. A key that is the probe's name is its index: a name would be code of its own for each of the
 * hundreds that a glob can match. */
static int check_key(const struct build *b, struct expr_tree *tree, struct err *err)
{
	struct expr *root = tree->root;
	bool is_value = b->scope.nfields == b->nkeys;
	if (root->type.count || (is_value && !type_is_number(&root->type))) {
		int r = expr_error(tree->source, root->at, err, "type-mismatch", "%s is needed here, and this is %s",
		        is_value ? "a number" : "a single value", type_name(&root->type));
		if (root->type.count)
			err_hint(err, "take one element: NAME[0]");
		return r;
	}
	if (root->op == EXPR_BUILTIN && root->index == BUILTIN_PROBE)
		root->type = type_int(4, false);
	return 0;
}

static int type_field(struct build *b, const struct spec_field *spec, struct expr_tree *tree, struct err *err)
{
	int r = check_name(b, &spec->name, err);
	if (r < 0 || (r = expr_parse(tree, &spec->expr, err)) < 0)
		return r;
	/* "comm", "nsecs" … would be builtins; a short form means the name, so nothing differs here. */
	if ((r = type_tree(&b->scope, tree, err)) < 0 || (r = check_recordable(tree, err)) < 0)
		return r;
	if (b->is_key && (r = check_key(b, tree, err)) < 0)
		return r;
	return add_field(b, spec, &tree->root->type, err);
}

/* Code. */

static void emit_line(struct text *out, struct pos pos)
{
	if (!pos.line || !pos.file)
		return;
	text_printf(out, "#line %u ", pos.line);
	emit_c_string(out, pos.file, strlen(pos.file));
	text_addc(out, '\n');
}

void emit_script(struct emit *em, const struct expr_tree *tree, void (*emit)(struct emit *em, const struct expr *e))
{
	em->source = tree->source;
	text_addc(em->out, '\n');
	emit_line(em->out, expr_pos(tree->source, tree->root->at));
	text_adds(em->out, "\t\t");
	emit(em, tree->root);
	text_adds(em->out, ";\n" GEN_LINE_HERE);
}

/* What is stored for a field without a value does not matter, and not looking makes one path less to verify. */
static void emit_number_field(struct emit *em, const struct expr_tree *tree, size_t i)
{
	const char *type = wide_type(&tree->root->type);
	text_printf(em->out, "\t%s v%zu;\n\tbool has%zu;\n\t{\n\t\tbool ok = true;\n\t\tv%zu =", type, i, i, i);
	emit_script(em, tree, emit_expr);
	text_printf(em->out, "\t\thas%zu = ok;\n\t}\n\trec->f_%s = (u64)v%zu%s", i, em->build->schema->fields[i].name,
	        i, em->build->is_key ? "" : ";\n");
	if (em->build->is_key)
		text_printf(em->out, " & -(u64)has%zu;\n", i);
}

/* Text and bytes that are read are read into their place; what is elsewhere already is copied. */
static bool is_placed(const struct expr *e)
{
	return e->op == EXPR_CALL || e->op == EXPR_ARG || e->op == EXPR_MEMBER || e->op == EXPR_INDEX;
}

/* Without what was in its room before: a key ends where its text ends. */
static void emit_key_copy(struct emit *em, const struct expr *e, const char *name)
{
	if (e->type.kind == TYPE_STR)
		text_printf(em->out, "\t\tif (ok)\n\t\t\tbpf_probe_read_kernel_str(rec->f_%s, %u, from);\n", name,
		        e->type.size);
	else
		text_printf(em->out, "\t\tif (ok)\n\t\t\tcopy_bytes(rec->f_%s, %u, from);\n", name, e->type.size);
}

static void emit_copy(struct emit *em, const struct expr *e, const char *name)
{
	enum { INLINE_COPY = 64 };
	bool is_probe = e->op == EXPR_BUILTIN && e->index == BUILTIN_PROBE;
	size_t literal = e->op == EXPR_STRING ? e->len + 1 : is_probe ? strlen(em->build->schema->name) + 1 : 0;
	if (literal || e->type.size <= INLINE_COPY)
		text_printf(em->out, "\t\tif (ok)\n\t\t\t__builtin_memcpy(rec->f_%s, from, %zu);\n", name,
		        literal ? literal : e->type.size);
	else
		text_printf(em->out, "\t\tif (ok && bpf_probe_read_kernel(rec->f_%s, %u, from))\n\t\t\tok = false;\n",
		        name, e->type.size);
}

static void emit_text_field(struct emit *em, const struct expr_tree *tree, size_t i)
{
	const char *name = em->build->schema->fields[i].name;
	char to[96];
	snprintf(to, sizeof(to), "rec->f_%s", name);
	em->to = is_placed(tree->root) ? to : NULL;
	text_printf(em->out, "\tbool has%zu;\n\t{\n\t\tbool ok = true;\n\t\tconst char *from =", i);
	emit_script(em, tree, emit_expr);
	em->to = NULL;
	bool clean = tree->root->op == EXPR_STRING || tree->root->op == EXPR_BUILTIN; /* zeros behind its end */
	if (!is_placed(tree->root) && em->build->is_key && !clean)
		emit_key_copy(em, tree->root, name);
	else if (!is_placed(tree->root))
		emit_copy(em, tree->root, name);
	else
		text_adds(em->out, "\t\t(void)from;\n");
	text_printf(em->out, "\t\thas%zu = ok;\n\t}\n", i);
}

/* An array that is read as a whole. */
static bool is_block(const struct expr *e)
{
	size_t n;
	return e->op == EXPR_CALL && function_table(&n)[e->function].block;
}

static void emit_block(struct emit *em, const struct expr *e)
{
	size_t n;
	function_table(&n)[e->function].block(em, e);
}

static void emit_block_field(struct emit *em, const struct expr_tree *tree, size_t i)
{
	char to[96];
	snprintf(to, sizeof(to), "rec->f_%s", em->build->schema->fields[i].name);
	em->to = to;
	if (tree->root->type.each)
		text_printf(em->out, "\tu64 bits%zu;\n", i);
	text_printf(em->out, "\tbool has%zu;\n\t{\n\t\tbool ok = true;", i);
	if (tree->root->type.each)
		text_printf(em->out, "\n\t\tbits%zu =", i);
	emit_script(em, tree, emit_block);
	em->to = NULL;
	text_printf(em->out, "\t\thas%zu = ok;\n\t}\n", i);
	if (tree->root->type.each)
		text_printf(em->out, "\trec->bits_%zu = bits%zu;\n\tbits%zu = *(volatile u64 *)&rec->bits_%zu;\n", i, i,
		        i, i);
}

static void emit_array_element(struct emit *em, const struct expr_tree *tree, size_t i)
{
	const char *name = em->build->schema->fields[i].name;
	text_printf(em->out, "\t{\n\t\tbool ok = true;\n\t\t%s v =", wide_type(&tree->root->type));
	emit_script(em, tree, emit_expr);
	text_printf(em->out, "\t\trec->f_%s[", name);
	emit_element(em);
	text_adds(em->out, "] = v;\n");
}

/* Many: a loop. Which of them have a value is kept in the record's memory, of which the verifier knows nothing: in a
 * variable, each combination would be a path of its own. */
static void emit_array_loop(struct emit *em, const struct expr_tree *tree, size_t i)
{
	em->element = ELEMENT_LOOP;
	text_printf(em->out,
	        "\trec->bits_%zu = 0;\n#pragma clang loop unroll(disable)\n\tfor (u32 el = 0; el < %u; el++)\n", i,
	        em->build->schema->fields[i].count);
	emit_array_element(em, tree, i);
	text_printf(em->out, "\t\t*(volatile u64 *)&rec->bits_%zu |= (u64)ok << el;\n\t}\n", i);
	em->element = ELEMENT_NONE;
}

/* What many descriptors stand for, if that is all that is asked: not even a loop here. */
static bool emit_each(struct emit *em, const struct expr_tree *tree, size_t i)
{
	const struct expr *call = tree->root;
	size_t n;
	const char *each = call->op == EXPR_CALL ? function_table(&n)[call->function].each : NULL;
	if (!each || call->args[0]->op != EXPR_FIELD || !call->args[0]->type.varies)
		return false;
	const struct field_schema *fields = em->build->schema->fields;
	size_t from = call->args[0]->index;
	gen_need(em->gen, PIECE_DESCRIPTORS);
	gen_need(em->gen, PIECE_EACH);
	text_printf(em->out, "\trec->bits_%zu = %s(task, rec->f_%s, bits%zu, rec->f_%s);\n", i, each, fields[from].name,
	        from, fields[i].name);
	return true;
}

/* Element by element; the array is there if one of them is. */
static void emit_array_field(struct emit *em, const struct expr_tree *tree, size_t i)
{
	enum { UNROLLED = 4 };
	const struct field_schema *field = &em->build->schema->fields[i];
	if (field->element_bits && field->count > UNROLLED) {
		if (!emit_each(em, tree, i))
			emit_array_loop(em, tree, i);
		text_printf(em->out,
		        "\tu64 bits%zu = *(volatile u64 *)&rec->bits_%zu;\n\tbool has%zu = bits%zu != 0;\n", i, i, i,
		        i);
		return;
	}
	text_printf(em->out, "\tu64 bits%zu = 0;\n", i);
	for (em->element = 0; em->element < field->count; em->element++) {
		emit_array_element(em, tree, i);
		text_printf(em->out, "\t\tbits%zu |= (u64)ok << %d;\n\t}\n", i, em->element);
	}
	em->element = ELEMENT_NONE;
	text_printf(em->out, "\tbool has%zu = bits%zu != 0;\n", i, i);
	if (field->element_bits)
		text_printf(em->out, "\trec->bits_%zu = bits%zu;\n", i, i);
}

static void emit_one_field(struct emit *em, const struct expr_tree *tree, size_t i)
{
	if (!is_integer(&tree->root->type))
		emit_text_field(em, tree, i);
	else if (!tree->root->type.count)
		emit_number_field(em, tree, i);
	else if (is_block(tree->root))
		emit_block_field(em, tree, i);
	else
		emit_array_field(em, tree, i);
	/* Hidden from the compiler, so that it does not carry one field's outcomes into the next: each path through the
	 * fields would be verified on its own. */
	text_printf(em->out, "\tpresent |= (u64)has%zu << %zu;\n\tHIDE(present);\n", i, i);
}

int build_fields(struct build *b, struct err *err)
{
	const struct spec_probe *spec = b->spec;
	if (spec->nfields > SCHEMA_MAX_FIELDS)
		return expr_error(&spec->fields[SCHEMA_MAX_FIELDS].name, 0, err, "too-many-fields",
		        "a probe has at most %d fields", SCHEMA_MAX_FIELDS);
	b->trees = calloc(spec->nfields + 1, sizeof(*b->trees));
	if (!b->trees)
		return err_nomem(err);
	b->ntrees = spec->nfields;
	b->scope.fields = b->fields;
	struct emit em = {.gen = b->gen, .build = b, .out = &b->late, .element = ELEMENT_NONE};
	for (size_t i = 0; i < spec->nfields; i++) {
		int r = type_field(b, &spec->fields[i], &b->trees[i], err);
		if (r < 0)
			return r;
		emit_one_field(&em, &b->trees[i], i);
	}
	return 0;
}
