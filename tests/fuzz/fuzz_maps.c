/* Any bytes as a line of /proc/PID/maps, and as a record of the kernel's perf ring. */
#include "engine/proc/maps.h"
#include "engine/proc/records.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 8);
	if (!text)
		return 0;
	struct maps_line line;
	memcpy(text, data, size);
	if (maps_parse_line(text, &line) && (line.start >= line.end || strlen(line.path) > size))
		abort();
	struct record record;
	memcpy(text, data, size);
	if (record_parse((uint8_t *)text, size, &record) && record.type == RECORD_MMAP && record.end < record.start)
		abort();
	free(text);
	return 0;
}
