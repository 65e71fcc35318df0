/* A jitdump file of any bytes, arriving in two pieces: what is read from it is inside the ranges that it claims. */
#include "engine/stack/jitdump.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct intern *names = intern_new();
	struct jitdump *dump = jitdump_new(names);
	int fd = memfd_create("jitdump", MFD_CLOEXEC);
	size_t half = size / 2;
	if (pwrite(fd, data, half, 0) != (ssize_t)half)
		abort();
	jitdump_update(dump, fd);
	if (pwrite(fd, data + half, size - half, (off_t)half) != (ssize_t)(size - half))
		abort();
	jitdump_update(dump, fd);
	for (size_t at = 0; at + 8 <= size && at < 4096; at += 8) {
		uint64_t address = *(const uint64_t *)(const void *)(data + at);
		const struct jit_code *code = jitdump_find(dump, address, UINT64_MAX / 2);
		const char *file;
		int line;
		if (code && (address < code->start || address - code->start >= code->size))
			abort();
		if (code)
			jitdump_line(dump, fd, code, address, &file, &line);
	}
	close(fd);
	jitdump_free(dump);
	intern_free(names);
	return 0;
}
