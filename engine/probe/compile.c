/* Running rille-cc: the engine's side of engine/cc/wire.h.
 *
 * One helper serves one compilation. It is started as soon as a compilation is likely, so that its own start runs in
 * parallel with ours, and is thrown away if the cache had the object after all. Source and answer travel in memfds, the
 * request and the reply over a socket whose closing tells each side of the other's end.
 *
 * The helper is not trusted: it works on text that a script had a part in. Its answer is read with pread() into memory
 * of ours (a mapping could be cut under us), lengths are checked against the memfd's, strings are ended by us, and a
 * wall-clock limit backs its CPU limit. */
#include "engine/probe/compile.h"
#include "engine/cc/wire.h"
#include "engine/probe/helper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DEFAULT_SECONDS = 10, WALL_FACTOR = 3 };
static const uint64_t DEFAULT_MEMORY = 1ull << 30;

struct compiler {
	struct helper helper;
	struct helper_limits limits;
	const struct logger *log;
	int control, source, answer;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void compiler_free(struct compiler *compiler)
{
	if (!compiler)
		return;
	close_fd(&compiler->control);
	close_fd(&compiler->source);
	close_fd(&compiler->answer);
	if (compiler->helper.pidfd >= 0)
		helper_finish(&compiler->helper, true);
	free(compiler);
}

static int open_channels(struct compiler *compiler, int *ret_theirs)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	compiler->control = pair[0];
	*ret_theirs = pair[1];
	compiler->source = memfd_create("rille-source", MFD_CLOEXEC);
	compiler->answer = memfd_create("rille-answer", MFD_CLOEXEC);
	return compiler->source < 0 || compiler->answer < 0 ? -errno : 0;
}

int compiler_start(struct compiler **ret, const struct compiler_options *options, struct err *err)
{
	struct text path = {0};
	int program = -1, theirs = -1, r;
	struct compiler *compiler = calloc(1, sizeof(*compiler));
	if (!compiler)
		return err_nomem(err);
	*compiler =
	        (struct compiler){.helper.pidfd = -1, .control = -1, .source = -1, .answer = -1, .log = options->log};
	compiler->limits.seconds = options->seconds ? options->seconds : DEFAULT_SECONDS;
	compiler->limits.memory = options->memory ? options->memory : DEFAULT_MEMORY;
	r = program = helper_open(options->path, &path, err);
	if (r < 0)
		goto out;
	r = open_channels(compiler, &theirs);
	if (r) {
		err_set(err, r, ERR_RUNTIME, "no-compiler", "cannot talk to rille-cc: %s", strerror(-r));
		goto out;
	}
	const int fds[3] = {theirs, compiler->source, compiler->answer};
	r = helper_start(&compiler->helper, program, fds, &compiler->limits, err);
	if (!r)
		log_debug(compiler->log, "compiler: started %s", text_str(&path));
out:
	close_fd(&program);
	close_fd(&theirs);
	text_fini(&path);
	if (r) {
		compiler_free(compiler);
		return r;
	}
	*ret = compiler;
	return 0;
}

int compiler_identity(const struct compiler_options *options, struct text *ret, struct err *err)
{
	struct text path = {0};
	int r, fd = helper_open(options->path, &path, err);
	if (fd < 0) {
		r = fd;
		goto out;
	}
	r = helper_identity(fd, ret);
	close(fd);
	if (r)
		err_set(err, r, ERR_RUNTIME, "no-compiler", "%s is not rille-cc", text_str(&path));
	else if (text_failed(ret))
		r = err_nomem(err);
out:
	text_fini(&path);
	return r;
}

/* pwrite leaves the offset, which the helper shares and reads from, at 0. */
static int send_request(struct compiler *compiler, const char *source, size_t len, enum compile_output output)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = pwrite(compiler->source, source + at, len - at, (off_t)at);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	static const uint32_t kinds[] = {
	        [COMPILE_OBJECT] = CC_OBJECT, [COMPILE_ASM] = CC_ASM, [COMPILE_LLVM] = CC_LLVM};
	struct cc_request request = {.magic = CC_MAGIC, .output = kinds[output], .source_len = len};
	ssize_t sent;
	do
		sent = send(compiler->control, &request, sizeof(request), MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	/* If the helper is dead already, the wait for its reply says why. */
	bool dead = sent < 0 && (errno == EPIPE || errno == ECONNRESET);
	return sent < 0 && !dead ? -errno : 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* 0 with the reply; -ETIME; -EPIPE if the helper ended without one. */
static int await_reply(struct compiler *compiler, struct cc_reply *reply)
{
	int64_t end = now_ms() + (int64_t)compiler->limits.seconds * WALL_FACTOR * 1000;
	for (;;) {
		struct pollfd pollfd = {.fd = compiler->control, .events = POLLIN};
		int64_t left = end - now_ms();
		int n = left > 0 ? poll(&pollfd, 1, left < 1 << 30 ? (int)left : 1 << 30) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ETIME;
		ssize_t got = recv(compiler->control, reply, sizeof(*reply), MSG_DONTWAIT);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0 && errno != ECONNRESET)
			return -errno;
		return got == sizeof(*reply) && reply->magic == CC_MAGIC ? 0 : -EPIPE;
	}
}

static int report_death(struct compiler *compiler, struct err *err)
{
	/* Its socket closes a moment before it is gone. One that lives on without it is of no use. */
	struct pollfd gone = {.fd = compiler->helper.pidfd, .events = POLLIN};
	int status = helper_finish(&compiler->helper, poll(&gone, 1, 1000) <= 0);
	unsigned seconds = compiler->limits.seconds;
	if (status == 256 + SIGXCPU)
		return err_set(err, -ETIME, ERR_RUNTIME, "compiler-limit",
		        "rille-cc was ended after %u s of CPU time, its limit", seconds);
	if (status == CC_EXIT_MEMORY)
		return err_set(err, -ENOMEM, ERR_RUNTIME, "compiler-limit",
		        "rille-cc needed more than %llu MiB of memory",
		        (unsigned long long)compiler->limits.memory >> 20);
	if (status >= 256)
		return err_set(err, -EIO, ERR_RUNTIME, "compiler-died", "rille-cc was ended by signal %d (%s)",
		        status - 256, strsignal(status - 256));
	if (status < 0)
		return err_set(err, -EIO, ERR_RUNTIME, "compiler-died",
		        "rille-cc ended without an answer; of what, only whoever reaped it knows");
	return err_set(err, -EIO, ERR_RUNTIME, "compiler-died", "rille-cc ended with status %d and no answer", status);
}

static int read_exactly(int fd, void *data, size_t len, off_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)data + done, len - done, at + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EPROTO;
		done += (size_t)n;
	}
	return 0;
}

/* A diagnostic becomes the error if it is the first of that severity; the others are remarks. In generated code (no
 * #line: the main file) it is not the script's fault, and the line shown is the generated one. */
static void take_diagnostic(
        struct compiler *compiler, struct cc_diag *diag, const char *source, bool failed, struct err *err)
{
	diag->file[sizeof(diag->file) - 1] = '\0';
	diag->message[sizeof(diag->message) - 1] = '\0';
	bool generated = !strcmp(diag->file, CC_MAIN_FILE);
	if (!failed || diag->severity != CC_ERROR || err->code) {
		log_write(compiler->log, failed ? LOG_DEBUG : LOG_WARN, "%s:%u:%u: %s", diag->file, diag->line,
		        diag->col, diag->message);
		return;
	}
	struct pos pos = {
	        .file = diag->file, .source = generated ? source : NULL, .line = diag->line, .col = diag->col};
	err_at(err, pos, "compile-error", "%s", diag->message);
	if (generated || !diag->line) {
		err->class = ERR_RUNTIME;
		err_hint(err,
		        "this is in the generated code and a bug of rille's; `rille emit FILE --c` shows that code");
	}
}

static int take_diagnostics(
        struct compiler *compiler, const struct cc_reply *reply, const char *source, struct err *err)
{
	struct cc_diag diag;
	for (uint32_t i = 0; i < reply->ndiags && i < CC_MAX_DIAGS; i++) {
		off_t at = (off_t)(reply->output_len + i * sizeof(diag));
		int r = read_exactly(compiler->answer, &diag, sizeof(diag), at);
		if (r)
			return r;
		take_diagnostic(compiler, &diag, source, reply->failed, err);
	}
	return 0;
}

static int take_output(struct compiler *compiler, const struct cc_reply *reply, void **ret_data, size_t *ret_len)
{
	struct stat st;
	if (fstat(compiler->answer, &st))
		return -errno;
	if (reply->output_len > CC_MAX_OUTPUT || reply->output_len > (uint64_t)st.st_size)
		return -EPROTO;
	char *data = malloc(reply->output_len + 1); /* a NUL behind it, for assembly */
	if (!data)
		return -ENOMEM;
	int r = read_exactly(compiler->answer, data, reply->output_len, 0);
	if (r) {
		free(data);
		return r;
	}
	data[reply->output_len] = '\0';
	*ret_data = data;
	*ret_len = reply->output_len;
	return 0;
}

static int take_answer(struct compiler *compiler, const struct cc_reply *reply, const char *source, void **ret_data,
        size_t *ret_len, struct err *err)
{
	struct err diagnostic = {0};
	int r = take_diagnostics(compiler, reply, source, &diagnostic);
	if (!r && reply->failed) {
		if (!diagnostic.code)
			err_set(&diagnostic, -EIO, ERR_RUNTIME, "compiler-died", "rille-cc failed and did not say why");
		if (err)
			*err = diagnostic;
		return diagnostic.code;
	}
	if (!r)
		r = take_output(compiler, reply, ret_data, ret_len);
	if (r)
		err_set(err, r, ERR_RUNTIME, "compiler-died", "rille-cc's answer: %s", strerror(-r));
	return r;
}

int compiler_run(struct compiler *compiler, const char *source, size_t len, enum compile_output output, void **ret_data,
        size_t *ret_len, struct err *err)
{
	struct cc_reply reply = {0};
	if (len > CC_MAX_SOURCE)
		return err_set(
		        err, -EFBIG, ERR_RUNTIME, "compiler-limit", "the generated program is too big: %zu bytes", len);
	int r = send_request(compiler, source, len, output);
	if (r)
		return err_set(err, r, ERR_RUNTIME, "compiler-died", "cannot pass the source: %s", strerror(-r));
	r = await_reply(compiler, &reply);
	if (r == -ETIME)
		return err_set(err, r, ERR_RUNTIME, "compiler-limit", "rille-cc did not answer within %u s",
		        compiler->limits.seconds * WALL_FACTOR);
	if (r == -EPIPE)
		return report_death(compiler, err);
	if (r)
		return err_set(err, r, ERR_RUNTIME, "compiler-died", "no answer of rille-cc: %s", strerror(-r));
	return take_answer(compiler, &reply, source, ret_data, ret_len, err);
}
