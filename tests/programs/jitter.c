/* Runs machine code from a file as if it had generated it, and describes it in a jitdump file.
 *
 *     jitter CODE FRAMES DUMP
 *
 * CODE: instructions of one function, int (*)(int (*callback)(void)); FRAMES: the .eh_frame that the compiler made for it, linked to
 * stand behind it; empty = no unwind information. Line 42 of generated.x is said to be where the code begins. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct part {
	uint8_t *data;
	size_t len;
};

static struct part slurp(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		exit(3);
	struct part part = {malloc((size_t)st.st_size + 1), (size_t)st.st_size};
	if (read(fd, part.data, part.len) != (ssize_t)part.len)
		exit(3);
	close(fd);
	return part;
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void record(FILE *out, uint32_t kind, const void *body, size_t len, const void *rest, size_t rest_len)
{
	uint32_t head[2] = {kind, (uint32_t)(16 + len + rest_len)};
	uint64_t time = now();
	fwrite(head, sizeof(head), 1, out);
	fwrite(&time, sizeof(time), 1, out);
	fwrite(body, len, 1, out);
	fwrite(rest, rest_len, 1, out);
}

static void describe(FILE *out, uint64_t address, const struct part *code, const struct part *frames)
{
	uint32_t header[6] = {0x4A695444, 1, 40, 62, 0, (uint32_t)getpid()};
	uint64_t rest[2] = {now(), 0};
	fwrite(header, sizeof(header), 1, out);
	fwrite(rest, sizeof(rest), 1, out);
	struct {
		uint64_t address, count, first;
		int32_t line, discriminator;
	} debug = {address, 1, address, 42, 0};
	record(out, 2, &debug, sizeof(debug), "generated.x", 12);
	uint64_t unwinding[3] = {frames->len, 0, frames->len};
	if (frames->len)
		record(out, 4, unwinding, sizeof(unwinding), frames->data, frames->len);
	struct {
		uint32_t pid, tid;
		uint64_t vma, address, size, index;
	} load = {(uint32_t)getpid(), (uint32_t)getpid(), address, address, code->len, 1};
	uint8_t *tail = malloc(code->len + 16);
	memcpy(tail, "generated_code", 15);
	memcpy(tail + 15, code->data, code->len);
	record(out, 0, &load, sizeof(load), tail, 15 + code->len);
	free(tail);
	fflush(out);
}

int make_pair(void)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		exit(3);
	return fds[0] + fds[1];
}

int main(int argc, char **argv)
{
	struct part code = slurp(argv[1]), frames = slurp(argv[2]);
	char path[4096];
	snprintf(path, sizeof(path), "%s/jit-%d.dump", argv[3], (int)getpid());
	FILE *out = fopen(path, "w+");
	uint8_t *page = mmap(NULL, 65536, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!out || page == MAP_FAILED || code.len > 4096)
		return 3;
	memcpy(page + 256, code.data, code.len);
	describe(out, (uintptr_t)page + 256, &code, &frames);
	/* how profilers find the file */
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(out), 0) == MAP_FAILED)
		return 3;
	int (*run)(int (*)(void)) = (int (*)(int (*)(void)))(uintptr_t)(page + 256);
	int sum = run(make_pair);
	usleep(300000);
	return sum == 0;
}
