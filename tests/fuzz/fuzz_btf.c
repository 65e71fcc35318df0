/* Any bytes as BTF: refused, or every type and member can be asked for. The first eight bytes choose the questions. */
#include "engine/probe/btf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ask(const struct btf_index *btf, uint32_t id, const char *name)
{
	struct nearest nearest;
	struct kmember member;
	struct ktype type;
	if (!btf_describe(btf, id, &type) && memchr(type.name, '\0', sizeof(type.name)) == NULL)
		abort();
	int r = btf_member(btf, id, name, &member);
	if (r && r != -ENOENT && r != -EINVAL)
		abort();
	nearest_init(&nearest, name);
	btf_offer_members(btf, id, &nearest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct btf_index *btf;
	char name[9] = {0};
	uint32_t id;
	if (len < 8)
		return 0;
	memcpy(name, data, 8);
	len -= 8;
	void *exact = malloc(len ? len : 1);
	if (!exact)
		return 0;
	memcpy(exact, data + 8, len);
	if (!btf_parse(&btf, exact, len)) {
		btf_find_struct(btf, name, &id);
		for (id = 0; id <= btf_count(btf) && id < 64; id++)
			ask(btf, id, name);
		btf_close(btf);
	}
	free(exact);
	return 0;
}
