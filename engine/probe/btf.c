/* A reader for the kernel's BTF that does only what expressions ask.
 *
 * The file has 5 MB and more than a hundred thousand types; a trace asks for a handful of them. libbpf's reader
 * validates, copies and hashes everything, 40–50 ms. Here one pass over the types stores where each begins, since they
 * vary in length and refer to each other by number; a name is found by comparing, which happens once or twice a start
 * (answers are kept by facts.c). Nothing is copied: from Linux 6.16 on the file is mapped, before that read.
 *
 * Format: Documentation/bpf/btf.rst of the kernel, <linux/btf.h>. The pass checks that every record lies inside the
 * type section and the string section ends with a NUL, so that whoever looks at a type later needs to check only
 * references: an id against the count, a name against the section. Chains of references are followed for a bounded
 * number of steps, because hostile input can make them circular. */
#include "engine/probe/btf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char KERNEL_BTF[] = "/sys/kernel/btf/vmlinux";

enum {
	MAX_STEPS = 64,        /* typedefs, qualifiers and array levels in a row */
	MAX_NESTING = 16,      /* anonymous structures in one another */
	MAX_MEMBERS = 1 << 18, /* looked at for one question */
	MAX_FILE = 256 << 20,
};

struct btf_index {
	void *owned; /* the file, if we opened it */
	size_t owned_len;
	const uint8_t *types;
	const char *strings;
	uint32_t types_len, strings_len;
	uint32_t *offsets; /* of type id in `types` */
	uint32_t count;
};

/* --- opening --- */

/* Bytes behind struct btf_type, or -1 for a kind that this code does not know: then the rest cannot be found. */
static int64_t extra_bytes(const struct btf_type *t)
{
	uint32_t vlen = BTF_INFO_VLEN(t->info);
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
		return sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return vlen * (int64_t)sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return vlen * (int64_t)sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return vlen * (int64_t)sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return vlen * (int64_t)sizeof(struct btf_param);
	case BTF_KIND_VAR:
		return sizeof(struct btf_var);
	case BTF_KIND_DATASEC:
		return vlen * (int64_t)sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG:
		return sizeof(struct btf_decl_tag);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	default:
		return -1;
	}
}

static int index_types(struct btf_index *btf)
{
	size_t most = btf->types_len / sizeof(struct btf_type) + 1, at = 0;
	btf->offsets = malloc(most * sizeof(*btf->offsets));
	if (!btf->offsets)
		return -ENOMEM;
	btf->offsets[0] = UINT32_MAX; /* void */
	btf->count = 1;
	while (btf->types_len - at >= sizeof(struct btf_type)) {
		int64_t extra = extra_bytes((const struct btf_type *)(btf->types + at));
		if (extra < 0 || (uint64_t)extra > btf->types_len - at - sizeof(struct btf_type))
			return -EINVAL;
		btf->offsets[btf->count++] = (uint32_t)at;
		at += sizeof(struct btf_type) + (size_t)extra;
	}
	return at == btf->types_len ? 0 : -EINVAL;
}

static int find_sections(struct btf_index *btf, const uint8_t *data, size_t len)
{
	struct btf_header head;
	if (len < sizeof(head))
		return -EINVAL;
	memcpy(&head, data, sizeof(head));
	if (head.magic != BTF_MAGIC || head.version != BTF_VERSION || head.hdr_len < sizeof(head) || head.hdr_len > len)
		return -EINVAL;
	size_t room = len - head.hdr_len;
	if (head.type_off > room || head.type_len > room - head.type_off || head.str_off > room ||
	        head.str_len > room - head.str_off || head.str_len == 0)
		return -EINVAL;
	btf->types = data + head.hdr_len + head.type_off;
	btf->types_len = head.type_len;
	btf->strings = (const char *)data + head.hdr_len + head.str_off;
	btf->strings_len = head.str_len;
	if ((uintptr_t)btf->types % sizeof(uint32_t) || btf->strings[btf->strings_len - 1])
		return -EINVAL;
	return 0;
}

int btf_parse(struct btf_index **ret, const void *data, size_t len)
{
	struct btf_index *btf = calloc(1, sizeof(*btf));
	if (!btf)
		return -ENOMEM;
	int r = find_sections(btf, data, len);
	if (!r)
		r = index_types(btf);
	if (r) {
		btf_close(btf);
		return r;
	}
	*ret = btf;
	return 0;
}

/* The whole file in memory: mapped where the kernel can (ENODEV before 6.16), else read. */
static int load(int fd, size_t len, void **ret)
{
	void *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	*ret = data;
	if (data != MAP_FAILED)
		return 0;
	data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return -ENOMEM;
	*ret = data;
	for (size_t got = 0; got < len;) {
		ssize_t n = pread(fd, (char *)data + got, len - got, (off_t)got);
		if (n <= 0) {
			int r = n < 0 ? -errno : -EINVAL;
			munmap(data, len);
			return r;
		}
		got += (size_t)n;
	}
	return 0;
}

static int open_file(struct btf_index **ret, const char *path)
{
	struct stat st;
	void *data = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		r = -errno;
	else if (st.st_size < (off_t)sizeof(struct btf_header) || st.st_size > MAX_FILE)
		r = -EINVAL;
	if (!r)
		r = load(fd, (size_t)st.st_size, &data);
	close(fd);
	if (r)
		return r;
	r = btf_parse(ret, data, (size_t)st.st_size);
	if (r) {
		munmap(data, (size_t)st.st_size);
		return r;
	}
	(*ret)->owned = data;
	(*ret)->owned_len = (size_t)st.st_size;
	return 0;
}

int btf_open(struct btf_index **ret, const char *path, struct err *err)
{
	if (!path)
		path = KERNEL_BTF;
	int r = open_file(ret, path);
	if (r == -ENOENT) {
		err_set(err, -EOPNOTSUPP, ERR_KERNEL, "no-btf",
		        "this kernel does not describe its types (%s is missing)", path);
		err_hint(err, "it needs CONFIG_DEBUG_INFO_BTF=y");
		return -EOPNOTSUPP;
	}
	if (r == -EINVAL)
		return err_set(err, r, ERR_KERNEL, "bad-btf", "%s is not BTF that can be read here", path);
	return r ? err_set(err, r, ERR_RUNTIME, "btf", "%s: %s", path, strerror(-r)) : 0;
}

void btf_close(struct btf_index *btf)
{
	if (!btf)
		return;
	if (btf->owned)
		munmap(btf->owned, btf->owned_len);
	free(btf->offsets);
	free(btf);
}

/* --- looking at types --- */

uint32_t btf_count(const struct btf_index *btf)
{
	return btf->count;
}

static const struct btf_type *type_at(const struct btf_index *btf, uint32_t id)
{
	return id && id < btf->count ? (const struct btf_type *)(btf->types + btf->offsets[id]) : NULL;
}

static const char *name_at(const struct btf_index *btf, uint32_t offset)
{
	return offset < btf->strings_len ? btf->strings + offset : "";
}

static bool is_struct(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT || BTF_INFO_KIND(t->info) == BTF_KIND_UNION;
}

static bool is_modifier(const struct btf_type *t)
{
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		return true;
	default:
		return false;
	}
}

/* Takes typedefs and qualifiers away. *id becomes that of the type behind them; NULL is void if *id is 0, else bad. */
static const struct btf_type *peel(const struct btf_index *btf, uint32_t *id)
{
	const struct btf_type *t = type_at(btf, *id);
	for (int steps = 0; t && is_modifier(t); steps++) {
		if (steps == MAX_STEPS)
			return NULL;
		*id = t->type;
		t = type_at(btf, *id);
	}
	return t;
}

int btf_find_struct(const struct btf_index *btf, const char *name, uint32_t *ret)
{
	for (uint32_t id = 1; id < btf->count && *name; id++) {
		const struct btf_type *t = type_at(btf, id);
		if (is_struct(t) && !strcmp(name_at(btf, t->name_off), name)) {
			*ret = id;
			return 0;
		}
	}
	return -ENOENT;
}

void btf_offer_structs(const struct btf_index *btf, struct nearest *nearest)
{
	for (uint32_t id = 1; id < btf->count; id++) {
		const struct btf_type *t = type_at(btf, id);
		if (is_struct(t) && t->name_off)
			nearest_offer(nearest, name_at(btf, t->name_off));
	}
}

/* --- describing --- */

static void describe_int(const struct btf_index *btf, const struct btf_type *t, struct ktype *ret)
{
	uint32_t info;
	memcpy(&info, t + 1, sizeof(info));
	ret->kind = BTF_INT_ENCODING(info) & BTF_INT_BOOL ? KTYPE_BOOL : KTYPE_INT;
	ret->is_signed = BTF_INT_ENCODING(info) & BTF_INT_SIGNED;
	/* Compilers say BTF_INT_CHAR only on paper. */
	ret->is_char =
	        t->size == 1 && (BTF_INT_ENCODING(info) & BTF_INT_CHAR || !strcmp(name_at(btf, t->name_off), "char"));
	ret->size = t->size;
}

/* Bytes of an array: the counts of its levels times the size of the innermost element. */
static int describe_array(const struct btf_index *btf, const struct btf_type *t, struct ktype *ret)
{
	struct btf_array array;
	memcpy(&array, t + 1, sizeof(array));
	ret->kind = KTYPE_ARRAY;
	ret->target_id = array.type;
	ret->elements = array.nelems;
	uint64_t size = array.nelems;
	uint32_t id = array.type;
	for (int steps = 0; steps < MAX_STEPS; steps++) {
		const struct btf_type *element = peel(btf, &id);
		if (!element)
			return -EINVAL;
		if (BTF_INFO_KIND(element->info) != BTF_KIND_ARRAY) {
			struct ktype inner;
			int r = btf_describe(btf, id, &inner);
			if (r || __builtin_mul_overflow(size, inner.size, &size) || size > UINT32_MAX)
				return -EINVAL;
			ret->size = (uint32_t)size;
			return 0;
		}
		memcpy(&array, element + 1, sizeof(array));
		if (__builtin_mul_overflow(size, array.nelems, &size))
			return -EINVAL;
		id = array.type;
	}
	return -EINVAL;
}

static int describe(const struct btf_index *btf, const struct btf_type *t, struct ktype *ret)
{
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
		describe_int(btf, t, ret);
		return 0;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		ret->kind = KTYPE_ENUM;
		ret->is_signed = BTF_INFO_KFLAG(t->info);
		ret->size = t->size;
		return 0;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		ret->kind = KTYPE_STRUCT;
		ret->size = t->size;
		snprintf(ret->name, sizeof(ret->name), "%s", name_at(btf, t->name_off));
		return 0;
	case BTF_KIND_PTR:
		ret->kind = KTYPE_POINTER;
		ret->size = sizeof(uint64_t);
		ret->target_id = t->type;
		return 0;
	case BTF_KIND_ARRAY:
		return describe_array(btf, t, ret);
	case BTF_KIND_FLOAT:
		ret->size = t->size;
		return 0;
	default:
		return 0; /* a function, a forward declaration, a variable: nothing an expression could read */
	}
}

int btf_describe(const struct btf_index *btf, uint32_t id, struct ktype *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->kind = KTYPE_OTHER;
	const struct btf_type *t = peel(btf, &id);
	ret->type_id = id;
	if (!t)
		return id ? -EINVAL : 0; /* void */
	return describe(btf, t, ret);
}

/* --- members --- */

/* What a walk over the members of a structure and its anonymous members is after. */
struct walk {
	const struct btf_index *btf;
	const char *name; /* of the member; NULL: offers them all */
	struct nearest *nearest;
	uint32_t left; /* members that may still be looked at */
	const struct btf_type *in;
	const struct btf_member *found;
	uint64_t bit_offset; /* of the structure that has it */
};

static uint32_t member_bits(const struct btf_type *in, const struct btf_member *m)
{
	return BTF_INFO_KFLAG(in->info) ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
}

static int walk_members(struct walk *w, const struct btf_type *t, uint64_t base, int depth)
{
	const struct btf_member *m = (const struct btf_member *)(t + 1);
	for (uint32_t i = 0; i < BTF_INFO_VLEN(t->info); i++, m++) {
		if (!w->left--)
			return -EINVAL;
		const char *name = name_at(w->btf, m->name_off);
		if (*name && !w->name) {
			nearest_offer(w->nearest, name);
		} else if (*name && !strcmp(name, w->name)) {
			w->in = t;
			w->found = m;
			w->bit_offset = base;
			return 0;
		}
		uint32_t id = m->type;
		const struct btf_type *inner = *name ? NULL : peel(w->btf, &id);
		if (!inner || !is_struct(inner))
			continue; /* named, or an unnamed bit-field */
		int r = depth < MAX_NESTING ? walk_members(w, inner, base + member_bits(t, m), depth + 1) : -EINVAL;
		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

/* Bit-fields are told by the member (kind_flag), or, by old compilers, by an integer type of fewer bits than its size.
 */
static int describe_member(const struct walk *w, struct kmember *ret)
{
	const struct btf_member *m = w->found;
	int r = btf_describe(w->btf, m->type, &ret->type);
	if (r)
		return r;
	uint64_t bits = w->bit_offset + member_bits(w->in, m);
	ret->bit_size = BTF_INFO_KFLAG(w->in->info) ? BTF_MEMBER_BITFIELD_SIZE(m->offset) : 0;
	if (!BTF_INFO_KFLAG(w->in->info) && (ret->type.kind == KTYPE_INT || ret->type.kind == KTYPE_BOOL)) {
		uint32_t info;
		memcpy(&info, type_at(w->btf, ret->type.type_id) + 1, sizeof(info));
		bits += BTF_INT_OFFSET(info);
		if (BTF_INT_BITS(info) != ret->type.size * 8)
			ret->bit_size = BTF_INT_BITS(info);
	}
	if (bits > UINT32_MAX || ret->bit_size > 64)
		return -EINVAL;
	ret->bit_offset = (uint32_t)bits;
	return 0;
}

int btf_member(const struct btf_index *btf, uint32_t struct_id, const char *name, struct kmember *ret)
{
	const struct btf_type *t = peel(btf, &struct_id);
	if (!t || !is_struct(t))
		return -EINVAL;
	if (!*name)
		return -ENOENT;
	struct walk w = {.btf = btf, .name = name, .left = MAX_MEMBERS};
	memset(ret, 0, sizeof(*ret));
	int r = walk_members(&w, t, 0, 0);
	return r ? r : describe_member(&w, ret);
}

void btf_offer_members(const struct btf_index *btf, uint32_t struct_id, struct nearest *nearest)
{
	const struct btf_type *t = peel(btf, &struct_id);
	struct walk w = {.btf = btf, .nearest = nearest, .left = MAX_MEMBERS};
	if (t && is_struct(t))
		walk_members(&w, t, 0, 0);
}
