/* rille-cc: BPF C in, BPF object out. A program of its own so that the tracer never maps LLVM, and so that clang, fed
 * with text that a script had a part in, runs without privileges and may crash or run out of memory without harm.
 *
 *     rille-cc --serve                          for the engine: one request, one answer (wire.h)
 *     rille-cc [--asm | --llvm] [-o OUT] FILE   for people; "-" is standard input or output
 *     rille-cc --version
 *
 * It exits without freeing what the kernel frees faster. The engine starts it before it knows the source: everything
 * that does not depend on the source, most of it page faults on LLVM's tables, happens before the request is awaited.
 */
#include "engine/cc/backend.h"

#include <llvm-c/Core.h>
#include <llvm-c/ErrorHandling.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDENTITY "rille-cc " RILLE_VERSION " clang " CLANG_VERSION

/* The identity as an ELF note: the engine finds it through the program headers without running us. */
struct identity_note {
	uint32_t owner_len, desc_len, type;
	char owner[8];
	char desc[(sizeof(IDENTITY) + 3) & ~(size_t)3];
};
__attribute__((section(".note.rille"), used, aligned(4))) static const struct identity_note identity = {
        sizeof(CC_NOTE_OWNER), sizeof(((struct identity_note *)0)->desc), CC_NOTE_TYPE, CC_NOTE_OWNER, IDENTITY};

/* Diagnostics as they will be sent. File-scope because LLVM's fatal error handler has no argument, and must still
 * answer. */
static struct {
	struct cc_diag diags[CC_MAX_DIAGS];
	uint32_t n;
	bool serving;
} state;

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void print(enum cc_severity severity, const char *file, unsigned line, unsigned col, const char *message)
{
	static const char *const names[] = {"note", "warning", "error"};
	if (line)
		fprintf(stderr, "%s:%u:%u: ", file, line, col);
	fprintf(stderr, "%s: %s\n", names[severity], message);
}

static void report(
        void *user, enum cc_severity severity, const char *file, unsigned line, unsigned col, const char *message)
{
	(void)user;
	if (!state.serving) {
		print(severity, file, line, col, message);
		return;
	}
	if (state.n == CC_MAX_DIAGS)
		return;
	struct cc_diag *diag = &state.diags[state.n++];
	memset(diag, 0, sizeof(*diag));
	diag->severity = severity;
	diag->line = line;
	diag->col = col;
	copy(diag->file, sizeof(diag->file), file);
	copy(diag->message, sizeof(diag->message), message);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Reads all of fd, with a NUL behind it; NULL with errno set. */
static char *read_all(int fd, size_t *ret_len)
{
	size_t len = 0, cap = 1 << 16;
	char *data = malloc(cap);
	while (data) {
		ssize_t n = read(fd, data + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			data[len] = '\0';
			*ret_len = len;
			if (!n)
				return data;
			break;
		}
		len += (size_t)n;
		if (len > CC_MAX_SOURCE) {
			errno = EFBIG;
			break;
		}
		if (len + 1 == cap) {
			char *more = realloc(data, cap *= 2);
			if (!more)
				break;
			data = more;
		}
	}
	free(data);
	return NULL;
}

static int answer(const char *output, size_t len)
{
	struct cc_reply reply = {
	        .magic = CC_MAGIC, .failed = !output, .output_len = output ? len : 0, .ndiags = state.n};
	if (output && write_all(CC_FD_ANSWER, output, len))
		return 1;
	if (write_all(CC_FD_ANSWER, (const char *)state.diags, state.n * sizeof(state.diags[0])))
		return 1;
	return send(CC_FD_CONTROL, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply);
}

/* LLVM calls this where it would abort; it must not return. */
static void die(const char *reason)
{
	report(NULL, CC_ERROR, "", 0, 0, reason);
	_exit(state.serving ? answer(NULL, 0) : CC_EXIT_FAILED);
}

static void no_memory(void)
{
	_exit(CC_EXIT_MEMORY);
}

/* 1 = a request came, 0 = the engine does not need us. */
static int await(struct cc_request *request)
{
	ssize_t n;
	do
		n = recv(CC_FD_CONTROL, request, sizeof(*request), 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*request) && request->magic == CC_MAGIC && request->source_len <= CC_MAX_SOURCE;
}

/* Has the kernel map the whole code in one go. It takes 2 ms, less than the page faults of a compilation otherwise do,
 * and now there is time. Before Linux 5.14 it has no effect. */
static void fault_in(void)
{
#ifdef MADV_POPULATE_READ
	extern const char __executable_start, etext; /* the linker's */
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)&__executable_start & ~(page - 1), end = (uintptr_t)&etext & ~(page - 1);
	madvise((void *)start, end - start, MADV_POPULATE_READ);
#endif
}

static int serve(void)
{
	state.serving = true;
	fault_in();
	struct backend *backend = backend_new();
	struct cc_request request;
	if (!backend)
		return 1;
	if (!await(&request))
		return 0;
	size_t len;
	char *source = read_all(CC_FD_SOURCE, &len);
	if (!source || len != request.source_len)
		return 1;
	LLVMMemoryBufferRef output = backend_compile(backend, source, len, request.output, report, NULL);
	return answer(output ? LLVMGetBufferStart(output) : NULL, output ? LLVMGetBufferSize(output) : 0);
}

static int compile_file(const char *in, const char *out, enum cc_output kind)
{
	int fd = strcmp(in, "-") ? open(in, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	size_t len;
	char *source = fd >= 0 ? read_all(fd, &len) : NULL;
	if (!source) {
		fprintf(stderr, "rille-cc: %s: %s\n", in, strerror(errno));
		return 1;
	}
	struct backend *backend = backend_new();
	LLVMMemoryBufferRef output = backend ? backend_compile(backend, source, len, kind, report, NULL) : NULL;
	free(source);
	if (!output)
		return 1;
	int to = strcmp(out, "-") ? open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : STDOUT_FILENO;
	int r = to < 0 ? -errno : write_all(to, LLVMGetBufferStart(output), LLVMGetBufferSize(output));
	if (r)
		fprintf(stderr, "rille-cc: %s: %s\n", out, strerror(-r));
	return r ? 1 : 0;
}

static int usage(void)
{
	fputs("usage: rille-cc [--asm | --llvm] [-o OUT] FILE\n       rille-cc --version\n", stderr);
	return CC_EXIT_USAGE;
}

static int command(int argc, char **argv)
{
	const char *in = NULL, *out = "-";
	enum cc_output kind = CC_OBJECT;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--asm"))
			kind = CC_ASM;
		else if (!strcmp(argv[i], "--llvm"))
			kind = CC_LLVM;
		else if (!strcmp(argv[i], "-o") && i + 1 < argc)
			out = argv[++i];
		else if ((argv[i][0] == '-' && argv[i][1]) || in)
			return usage();
		else
			in = argv[i];
	}
	return in ? compile_file(in, out, kind) : usage();
}

int main(int argc, char **argv)
{
	/* The engine starts us with all signals blocked. */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (argc == 2 && !strcmp(argv[1], "--version"))
		return puts(identity.desc) < 0;
	LLVMInstallFatalErrorHandler(die);
	frontend_on_no_memory(no_memory);
	int status = argc == 2 && !strcmp(argv[1], "--serve") ? serve() : command(argc, argv);
	fflush(NULL);
	_exit(status);
}
