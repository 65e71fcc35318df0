/* The kernel's types: what our reader says is what libbpf's says, for every structure and member of this kernel; and
 * malformed input is refused. */
#include "engine/probe/btf.h"
#include "tests/unit/skip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>
#include <cmocka.h>

struct both {
	struct btf *theirs;
	struct btf_index *ours;
};

static int setup(void **state)
{
	struct both *both = calloc(1, sizeof(*both));
	struct err err;
	*state = both;
	both->theirs = btf__load_vmlinux_btf();
	if (!both->theirs)
		return 0;
	return btf_open(&both->ours, NULL, &err);
}

static int teardown(void **state)
{
	struct both *both = *state;
	btf__free(both->theirs);
	btf_close(both->ours);
	free(both);
	return 0;
}

#define NEED_BTF(both)                                                                                                 \
	do {                                                                                                           \
		if (!(both)->theirs)                                                                                   \
			skip_because("this kernel has no BTF");                                                        \
	} while (0)

/* Both see the same number of types. */
static void test_count(void **state)
{
	struct both *both = *state;
	NEED_BTF(both);
	assert_int_equal(btf_count(both->ours), btf__type_cnt(both->theirs));
}

static void check_member(struct both *both, uint32_t id, const struct btf_type *t, uint32_t i)
{
	const struct btf_member *m = btf_members(t) + i;
	const char *name = btf__name_by_offset(both->theirs, m->name_off);
	struct kmember member;
	if (!*name)
		return;
	assert_int_equal(btf_member(both->ours, id, name, &member), 0);
	assert_int_equal(member.bit_offset, btf_member_bit_offset(t, i));
	assert_int_equal(member.bit_size, btf_member_bitfield_size(t, i));
	int64_t size = btf__resolve_size(both->theirs, m->type);
	if (size >= 0)
		assert_int_equal(member.type.size, size);
}

/* Every named member of every structure is found, at libbpf's offset, with its size and width in bits. */
static void test_every_member(void **state)
{
	struct both *both = *state;
	NEED_BTF(both);
	size_t members = 0;
	for (uint32_t id = 1; id < btf__type_cnt(both->theirs); id++) {
		const struct btf_type *t = btf__type_by_id(both->theirs, id);
		if (!btf_is_composite(t))
			continue;
		for (uint32_t i = 0; i < btf_vlen(t); i++, members++)
			check_member(both, id, t, i);
	}
	assert_true(members > 10000);
}

/* The offset of a member inside anonymous members is the sum of the offsets on the way. Returns how many were checked.
 */
static size_t check_nested(struct both *both, uint32_t outer, uint32_t id, uint32_t base, int depth)
{
	const struct btf_type *t = btf__type_by_id(both->theirs, id);
	size_t n = 0;
	for (uint32_t i = 0; i < btf_vlen(t) && depth < 8; i++) {
		const struct btf_member *m = btf_members(t) + i;
		const char *name = btf__name_by_offset(both->theirs, m->name_off);
		uint32_t at = base + btf_member_bit_offset(t, i);
		struct kmember member;
		if (*name) {
			assert_int_equal(btf_member(both->ours, outer, name, &member), 0);
			assert_int_equal(member.bit_offset, at);
			n++;
		} else if (btf_is_composite(btf__type_by_id(both->theirs, m->type))) {
			n += check_nested(both, outer, m->type, at, depth + 1);
		}
	}
	return n;
}

static void test_anonymous_members(void **state)
{
	static const char *const STRUCTS[] = {
	        "sk_buff", "page", "task_struct", "file", "inode", "sock_common", "rcu_head"};
	struct both *both = *state;
	NEED_BTF(both);
	size_t n = 0;
	for (size_t i = 0; i < sizeof(STRUCTS) / sizeof(STRUCTS[0]); i++) {
		int id = btf__find_by_name_kind(both->theirs, STRUCTS[i], BTF_KIND_STRUCT);
		if (id > 0)
			n += check_nested(both, (uint32_t)id, (uint32_t)id, 0, 0);
	}
	assert_true(n > 300);
}

/* A structure's name gives the type that libbpf finds, or an earlier one of the same name. */
static void test_find(void **state)
{
	struct both *both = *state;
	NEED_BTF(both);
	for (uint32_t id = 1; id < btf__type_cnt(both->theirs); id += 97) {
		const struct btf_type *t = btf__type_by_id(both->theirs, id);
		const char *name = btf__name_by_offset(both->theirs, t->name_off);
		uint32_t found;
		if (!btf_is_composite(t) || !*name)
			continue;
		assert_int_equal(btf_find_struct(both->ours, name, &found), 0);
		int a = btf__find_by_name_kind(both->theirs, name, BTF_KIND_STRUCT);
		int b = btf__find_by_name_kind(both->theirs, name, BTF_KIND_UNION);
		assert_int_equal(found, a > 0 && (b <= 0 || a < b) ? a : b);
	}
}

/* Sizes, kinds and signs of all types agree. */
static void test_describe(void **state)
{
	struct both *both = *state;
	NEED_BTF(both);
	for (uint32_t id = 1; id < btf__type_cnt(both->theirs); id++) {
		const struct btf_type *t = btf__type_by_id(both->theirs, id);
		struct ktype type;
		while (btf_is_mod(t) || btf_is_typedef(t))
			t = btf__type_by_id(both->theirs, t->type);
		assert_int_equal(btf_describe(both->ours, id, &type), 0);
		assert_int_equal(type.kind == KTYPE_POINTER, btf_is_ptr(t));
		assert_int_equal(type.kind == KTYPE_STRUCT, btf_is_composite(t));
		assert_int_equal(type.kind == KTYPE_ARRAY, btf_is_array(t));
		assert_int_equal(type.kind == KTYPE_ENUM, btf_is_any_enum(t));
		assert_int_equal(type.kind == KTYPE_INT || type.kind == KTYPE_BOOL, btf_is_int(t));
		if (btf_is_int(t))
			assert_int_equal(type.is_signed, !!(btf_int_encoding(t) & BTF_INT_SIGNED));
		if (btf_is_array(t))
			assert_int_equal(type.elements, btf_array(t)->nelems);
	}
}

/* What is not there is told from what is broken. */
static void test_absent(void **state)
{
	struct both *both = *state;
	struct kmember member;
	struct ktype type;
	uint32_t id;
	NEED_BTF(both);
	assert_int_equal(btf_find_struct(both->ours, "no_such_struct", &id), -ENOENT);
	assert_int_equal(btf_find_struct(both->ours, "", &id), -ENOENT);
	assert_int_equal(btf_find_struct(both->ours, "task_struct", &id), 0);
	assert_int_equal(btf_member(both->ours, id, "no_such_member", &member), -ENOENT);
	assert_int_equal(btf_member(both->ours, id, "", &member), -ENOENT);
	assert_int_equal(btf_describe(both->ours, btf_count(both->ours), &type), -EINVAL);
	assert_int_equal(btf_describe(both->ours, 0, &type), 0);
	assert_int_equal(type.kind, KTYPE_OTHER);
}

/* --- made by hand --- */

struct small {
	struct btf_header head;
	uint32_t types[64];
	char strings[16];
};

static size_t finish(struct small *file, size_t words)
{
	memcpy((char *)(file->types + words), "\0a\0b", 5);
	file->head = (struct btf_header){.magic = BTF_MAGIC,
	        .version = BTF_VERSION,
	        .hdr_len = sizeof(file->head),
	        .type_len = (uint32_t)words * 4,
	        .str_off = (uint32_t)words * 4,
	        .str_len = 5};
	return sizeof(file->head) + words * 4 + 5;
}

/* Types that refer to themselves end in an error, not in a loop; so does an array larger than memory. */
static void test_circular(void **state)
{
	struct small file = {.types = {
	                             0, BTF_KIND_TYPEDEF << 24, 2,                 /* 1: typedef of 2 */
	                             0, BTF_KIND_CONST << 24, 1,                   /* 2: const 1 */
	                             0, BTF_KIND_ARRAY << 24, 0, 3, 3, 7,          /* 3: array of 7 of itself */
	                             1, BTF_KIND_STRUCT << 24 | 1, 8, 0, 4, 0,     /* 4: struct a { <anonymous 4>; } */
	                             0, BTF_KIND_INT << 24, 4, 32,                 /* 5: int */
	                             0, BTF_KIND_ARRAY << 24, 0, 5, 5, UINT32_MAX, /* 6: int[4294967295] */
	                     }};
	struct btf_index *btf;
	struct ktype type;
	struct kmember member;
	assert_int_equal(btf_parse(&btf, &file, finish(&file, 28)), 0);
	assert_int_equal(btf_count(btf), 7);
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(btf_describe(btf, id, &type), -EINVAL);
	assert_int_equal(btf_member(btf, 4, "b", &member), -EINVAL);
	assert_int_equal(btf_describe(btf, 5, &type), 0);
	assert_int_equal(btf_describe(btf, 6, &type), -EINVAL);
	btf_close(btf);
}

/* A file that is cut anywhere, or of another kind, is refused. */
static void test_truncated(void **state)
{
	struct small file = {.types = {0, BTF_KIND_INT << 24, 4, 32, 1, BTF_KIND_STRUCT << 24 | 1, 4, 3, 1, 0}};
	struct btf_index *btf;
	size_t len = finish(&file, 10);
	assert_int_equal(btf_parse(&btf, &file, len), 0);
	btf_close(btf);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(btf_parse(&btf, &file, cut), -EINVAL);
	file.types[5] = BTF_KIND_STRUCT << 24 | 2; /* a member more than there is room for */
	assert_int_equal(btf_parse(&btf, &file, len), -EINVAL);
	file.types[5] = 31u << 24; /* a kind that does not exist */
	assert_int_equal(btf_parse(&btf, &file, len), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_count),
	        cmocka_unit_test(test_every_member),
	        cmocka_unit_test(test_anonymous_members),
	        cmocka_unit_test(test_find),
	        cmocka_unit_test(test_describe),
	        cmocka_unit_test(test_absent),
	        cmocka_unit_test(test_circular),
	        cmocka_unit_test(test_truncated),
	};
	return cmocka_run_group_tests_name("btf", tests, setup, teardown);
}
