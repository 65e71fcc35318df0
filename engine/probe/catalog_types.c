/* What this kernel offers: the types of its structures.
 *
 * Every question is put to the memo first; BTF is opened when it does not know. That something does not exist is
 * remembered too (as an empty answer): asking for a member that only some kernels have must not open BTF at each start.
 * Who wants the error, with the nearest name in it, pays for the look at BTF. */
#include "engine/probe/catalog_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MAX_QUESTION = 256 };

static int open_btf(struct catalog *catalog, struct err *err)
{
	return catalog->btf ? 0 : btf_open(&catalog->btf, NULL, err);
}

/* 1: answered. 0: not known. -ENOENT: known not to be. */
static int recall(struct catalog *catalog, const char *question, void *ret, size_t size)
{
	size_t len;
	const void *answer = facts_get(catalog->facts, question, &len);
	if (!answer || (len && len != size))
		return 0;
	if (!len)
		return -ENOENT;
	memcpy(ret, answer, size);
	return 1;
}

static void remember(struct catalog *catalog, const char *question, const void *answer, size_t size, int r)
{
	if (!r || r == -ENOENT)
		facts_put(catalog->facts, question, r ? "" : answer, r ? 0 : size);
}

/* A question that does not fit its buffer is not remembered, rather than taken for another one. */
static bool ask(char question[MAX_QUESTION], int printed)
{
	if (printed < 0 || printed >= MAX_QUESTION)
		question[0] = '\0';
	return question[0];
}

static int bad_btf(struct err *err)
{
	return err_set(
	        err, -EINVAL, ERR_KERNEL, "bad-btf", "this kernel's description of its types is not well formed");
}

static void hint_nearest(struct err *err, const struct nearest *nearest)
{
	if (nearest->best)
		err_hint(err, "did you mean \"%s\"?", nearest->best);
}

/* --- types --- */

static int unknown_type(struct catalog *catalog, const char *name, struct err *err)
{
	struct nearest nearest;
	if (!err || open_btf(catalog, err))
		return -ENOENT;
	nearest_init(&nearest, name);
	btf_offer_structs(catalog->btf, &nearest);
	err_set(err, -ENOENT, ERR_SCRIPT, "unknown-type", "this kernel has no struct or union \"%s\"", name);
	hint_nearest(err, &nearest);
	return -ENOENT;
}

int catalog_struct(struct catalog *catalog, const char *name, struct ktype *ret, struct err *err)
{
	char question[MAX_QUESTION];
	uint32_t id;
	bool asked = ask(question, snprintf(question, sizeof(question), "struct %s", name));
	int r = asked ? recall(catalog, question, ret, sizeof(*ret)) : 0;
	if (r)
		return r > 0 ? 0 : unknown_type(catalog, name, err);
	r = open_btf(catalog, err);
	if (r)
		return r;
	r = btf_find_struct(catalog->btf, name, &id);
	if (!r)
		r = btf_describe(catalog->btf, id, ret);
	if (asked)
		remember(catalog, question, ret, sizeof(*ret), r);
	return r == -ENOENT ? unknown_type(catalog, name, err) : r ? bad_btf(err) : 0;
}

int catalog_type(struct catalog *catalog, uint32_t type_id, struct ktype *ret, struct err *err)
{
	char question[MAX_QUESTION];
	snprintf(question, sizeof(question), "type %u", type_id);
	int r = recall(catalog, question, ret, sizeof(*ret));
	if (r > 0)
		return 0;
	r = open_btf(catalog, err);
	if (r)
		return r;
	r = btf_describe(catalog->btf, type_id, ret);
	remember(catalog, question, ret, sizeof(*ret), r);
	return r ? bad_btf(err) : 0;
}

/* --- members --- */

static int unknown_member(struct catalog *catalog, uint32_t struct_id, const char *member, struct err *err)
{
	struct nearest nearest;
	struct ktype type;
	if (!err || open_btf(catalog, err) || btf_describe(catalog->btf, struct_id, &type))
		return -ENOENT;
	nearest_init(&nearest, member);
	btf_offer_members(catalog->btf, struct_id, &nearest);
	err_set(err, -ENOENT, ERR_SCRIPT, "unknown-member", "%s%s has no member \"%s\"",
	        *type.name ? "struct " : "the type", type.name, member);
	hint_nearest(err, &nearest);
	return -ENOENT;
}

int catalog_member(
        struct catalog *catalog, uint32_t struct_id, const char *member, struct kmember *ret, struct err *err)
{
	char question[MAX_QUESTION];
	bool asked = ask(question, snprintf(question, sizeof(question), "member %u %s", struct_id, member));
	int r = asked ? recall(catalog, question, ret, sizeof(*ret)) : 0;
	if (r)
		return r > 0 ? 0 : unknown_member(catalog, struct_id, member, err);
	r = open_btf(catalog, err);
	if (r)
		return r;
	r = btf_member(catalog->btf, struct_id, member, ret);
	if (asked)
		remember(catalog, question, ret, sizeof(*ret), r);
	return r == -ENOENT ? unknown_member(catalog, struct_id, member, err) : r ? bad_btf(err) : 0;
}

int catalog_offset(struct catalog *catalog, const char *type, const char *member, uint32_t *ret, struct err *err)
{
	struct ktype outer = {0};
	struct kmember inner;
	int r = catalog_struct(catalog, type, &outer, err);
	if (!r)
		r = catalog_member(catalog, outer.type_id, member, &inner, err);
	if (r)
		return r;
	if (inner.bit_size)
		return err_set(err, -EINVAL, ERR_KERNEL, "bit-field", "%s.%s is a bit-field and has no byte offset",
		        type, member);
	*ret = inner.bit_offset / 8;
	return 0;
}
