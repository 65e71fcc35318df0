/* A perf map of any bytes, arriving in two pieces: an address has a name only if a line covers it. */
#include "engine/stack/perfmap.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct intern *names = intern_new();
	struct perfmap *map = perfmap_new(names);
	int fd = memfd_create("perfmap", MFD_CLOEXEC);
	size_t half = size / 3;
	if (pwrite(fd, data, half, 0) != (ssize_t)half)
		abort();
	perfmap_update(map, fd);
	if (pwrite(fd, data + half, size - half, (off_t)half) != (ssize_t)(size - half))
		abort();
	perfmap_update(map, fd);
	for (uint64_t address = 0; address < 0x100; address++) {
		uint64_t start;
		bool reused;
		if (perfmap_find(map, address, &start, &reused) && start > address)
			abort();
	}
	close(fd);
	perfmap_free(map);
	intern_free(names);
	return 0;
}
