/* The members that every event has, in one place for writing and reading. */
#include "engine/out/jsonl_names.h"

#include <string.h>

static const char *const reserved[] = {"type", "probe", "time", "nsecs", "pid", "tid", "ppid", "comm", "ustack",
        "ustack_end", "kstack", "kstack_end", "about"};

bool jsonl_is_reserved(const char *name)
{
	size_t len = strlen(name);
	while (len && name[len - 1] == '_')
		len--;
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (strlen(reserved[i]) == len && strncmp(name, reserved[i], len) == 0)
			return true;
	return false;
}

size_t jsonl_name_length(const char *key)
{
	size_t len = strlen(key);
	return len && key[len - 1] == '_' && jsonl_is_reserved(key) ? len - 1 : len;
}
