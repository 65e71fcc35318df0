/* The kernel's own description of its types (BTF): find a structure by name, describe a type, find a member. */
#ifndef RILLE_PROBE_BTF_H
#define RILLE_PROBE_BTF_H

#include "engine/base/err.h"
#include "engine/base/nearest.h"
#include "engine/probe/catalog.h"

#include <stddef.h>
#include <stdint.h>

struct btf_index;

/* Opens `path` (NULL: the running kernel's). -EOPNOTSUPP with the tag no-btf if the kernel has none. */
int btf_open(struct btf_index **ret, const char *path, struct err *err);
/* The same over `len` bytes that stay the caller's, for as long as the index lives. -EINVAL if they are not BTF. */
int btf_parse(struct btf_index **ret, const void *data, size_t len);
void btf_close(struct btf_index *btf);

/* Type ids are 1 … btf_count() - 1; 0 is void. */
uint32_t btf_count(const struct btf_index *btf);

/* The id of the structure or union called `name` (the first, if several are called so), or -ENOENT. */
int btf_find_struct(const struct btf_index *btf, const char *name, uint32_t *ret);
/* Offers the name of every structure and union. */
void btf_offer_structs(const struct btf_index *btf, struct nearest *nearest);

/* What is left of a type when typedefs and qualifiers are taken away. -EINVAL for an id that does not exist or a type
 * that is not well formed. */
int btf_describe(const struct btf_index *btf, uint32_t id, struct ktype *ret);

/* A member by name, also inside anonymous members. -ENOENT if there is none, -EINVAL as above. */
int btf_member(const struct btf_index *btf, uint32_t struct_id, const char *name, struct kmember *ret);
void btf_offer_members(const struct btf_index *btf, uint32_t struct_id, struct nearest *nearest);

#endif
