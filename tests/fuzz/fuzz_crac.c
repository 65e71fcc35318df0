/* Any bytes as a pasted CheckpointException: whatever is found is within its bounds. */
#include "engine/proc/crac.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(const char *s)
{
	if (s && strlen(s) > CRAC_MOST_STRING)
		abort();
}

static void check_item(const struct crac_list *list, const struct crac_item *item)
{
	if (item->line == 0 || item->line > list->lines || item->fd < -1 || item->fd2 < -1 || item->port < -1 ||
	        item->port > 65535 || !crac_kind_name(item->kind))
		abort();
	check_string(item->exception);
	check_string(item->type);
	check_string(item->path);
	check_string(item->what);
	check_string(item->thread);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct crac_list list;
	struct err err = {0};
	char *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	int r = crac_parse(&list, text, size, &err);
	if ((r == 0) != (list.n > 0) || (r < 0 && !err.tag) || list.n > CRAC_MOST_ITEMS)
		abort();
	for (size_t i = 0; i < list.n; i++)
		check_item(&list, &list.items[i]);
	crac_fini(&list);
	free(text);
	return 0;
}
