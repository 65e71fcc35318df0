/* Any bytes as /proc/PID/cgroup: what is said of a container fits its room and holds no slash. */
#include "engine/proc/container.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *s, size_t room)
{
	if (strnlen(s, room) == room)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct container container;
	char *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	bool found = container_parse(text, size, &container);
	check(container.runtime, sizeof(container.runtime));
	check(container.id, sizeof(container.id));
	check(container.name, sizeof(container.name));
	check(container.pod_uid, sizeof(container.pod_uid));
	check(container.cgroup, sizeof(container.cgroup));
	if (found && (!container.runtime[0] || strchr(container.id, '/')))
		abort();
	free(text);
	return 0;
}
