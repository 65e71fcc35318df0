/* A process that lies about itself, for tests/live/test_hostile.py.
 *
 *     hostile LIBRARY|- [fifo|fault]
 *
 * Loads the library, says "ready", and at each line on its input calls socketpair() out of code that it has generated: so the
 * tracer wants to know what runs there and looks at the library. fifo: replaces the library's file by a FIFO first.
 * fault: makes the library's tables point at memory that nobody ever fills. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((noinline)) void make_pair(void)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		exit(3);
	printf("%d %d\n", fds[0], fds[1]);
	fflush(stdout);
	close(fds[0]);
	close(fds[1]);
}

/* push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret */
static const uint8_t code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};

static void (*generate(void))(void (*)(void))
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		exit(3);
	memcpy(page + 64, code, sizeof(code));
	return (void (*)(void (*)(void)))(uintptr_t)(page + 64);
}

/* Memory that blocks whoever reads it. */
static void *never(void)
{
	enum { SIZE = 1 << 20 };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	void *area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = {.range = {(uintptr_t)area, SIZE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || area == MAP_FAILED || ioctl(fd, UFFDIO_REGISTER, &range))
		exit(77);
	return area;
}

static void point_tables(void *library, void *where)
{
	static const char *const names[] = {"gHotSpotVMStructs", "gHotSpotVMTypes", "gHotSpotVMIntConstants"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		void **table = dlsym(library, names[i]);
		if (table)
			*table = where;
	}
}

static void replace_by_fifo(const char *path)
{
	if (unlink(path) || mkfifo(path, 0600))
		exit(3);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[2] : "";
	void *library = argc > 1 && strcmp(argv[1], "-") ? dlopen(argv[1], RTLD_NOW) : NULL;
	if (library && !strcmp(mode, "fault"))
		point_tables(library, never());
	if (library && !strcmp(mode, "fifo"))
		replace_by_fifo(argv[1]);
	void (*call)(void (*)(void)) = generate();
	void (*through)(void (*)(void)) =
	        library ? (void (*)(void (*)(void)))(uintptr_t)dlsym(library, "through") : NULL;
	printf("ready\n");
	fflush(stdout);
	while (getchar() == '\n') {
		if (through)
			through(make_pair);
		else
			call(make_pair);
	}
	return 0;
}
