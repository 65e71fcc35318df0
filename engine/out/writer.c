/* The buffer between a sink and its descriptor.
 *
 * A record costs about half a microsecond to format and a write() about as much again, more on a terminal. So records
 * are gathered, and written when there are many or when the session has nothing else to do (sink_flush): lines appear
 * at once when events are rare, and in big pieces when they are not. A piece always ends with a whole record, so that a
 * reader of a pipe never waits in the middle of a line.
 *
 * The first failure is kept and ends all writing: after a full disk a file must not go on with a hole in it. The
 * library may not change how the host treats SIGPIPE; where the signal could be raised it is blocked around the write
 * and taken off the thread again. */
#include "engine/out/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WRITE_AT = 128 * 1024 };

static void add_start_time(struct text *out, int64_t started)
{
	time_t seconds = (time_t)(started / 1000000000);
	struct tm tm;
	char text[32];
	if (gmtime_r(&seconds, &tm) && strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &tm))
		text_adds(out, text);
}

static char *expand_path(const char *path, int64_t started)
{
	struct text out = {0};
	for (const char *p = path; *p; p++) {
		if (*p == '%' && p[1] == 'p') {
			text_addi(&out, getpid());
			p++;
		} else if (*p == '%' && p[1] == 't') {
			add_start_time(&out, started);
			p++;
		} else {
			p += *p == '%' && p[1] == '%';
			text_addc(&out, *p);
		}
	}
	if (text_failed(&out)) {
		text_fini(&out);
		return NULL;
	}
	return text_steal(&out);
}

static int open_path(struct writer *writer, const char *path, int64_t started, struct err *err)
{
	writer->path = expand_path(path, started);
	if (!writer->path)
		return err_nomem(err);
	writer->fd = open(writer->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	if (writer->fd < 0)
		return err_set(err, -errno, ERR_RUNTIME, "cannot-open", "cannot write to %s: %s", writer->path,
		        strerror(errno));
	writer->own_fd = true;
	return 0;
}

int writer_open(struct writer *writer, const char *path, int fd, int64_t started, struct err *err)
{
	memset(writer, 0, sizeof(*writer));
	writer->fd = fd;
	if (path && strcmp(path, "-") != 0) {
		int r = open_path(writer, path, started, err);
		if (r)
			return r;
	}
	struct stat st;
	if (fstat(writer->fd, &st) < 0)
		return err_set(err, -errno, ERR_RUNTIME, "cannot-open", "cannot write to descriptor %d: %s", writer->fd,
		        strerror(errno));
	writer->can_pipe = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode);
	return 0;
}

/* write() once more where that is all there is to do. */
static ssize_t write_some(int fd, const char *data, size_t len)
{
	for (;;) {
		ssize_t n = write(fd, data, len);
		if (n >= 0)
			return n;
		if (errno == EAGAIN)
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		else if (errno != EINTR)
			return -errno;
	}
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write_some(fd, data, len);
		if (n <= 0)
			return n ? (int)n : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The same with SIGPIPE held back. One that was pending before is not ours to take. */
static int write_quietly(int fd, const char *data, size_t len)
{
	sigset_t pipe_only, before, pending;
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
	int r = write_all(fd, data, len);
	if (r == -EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe_only, NULL, &(struct timespec){0});
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int writer_flush(struct writer *writer)
{
	if (!writer->error && text_failed(&writer->buffer))
		writer->error = -ENOMEM;
	if (!writer->error && writer->buffer.len) {
		int (*write_it)(int, const char *, size_t) = writer->can_pipe ? write_quietly : write_all;
		writer->error = write_it(writer->fd, writer->buffer.data, writer->buffer.len);
	}
	text_reset(&writer->buffer);
	return writer->error;
}

int writer_commit(struct writer *writer)
{
	if (writer->error || text_failed(&writer->buffer) || writer->buffer.len >= WRITE_AT)
		return writer_flush(writer);
	return 0;
}

int writer_close(struct writer *writer)
{
	int r = writer_flush(writer);
	if (writer->own_fd) {
		writer->own_fd = false;
		if (close(writer->fd) < 0 && !r)
			r = writer->error = -errno;
		writer->fd = -1;
	}
	return r;
}

void writer_fini(struct writer *writer)
{
	if (writer->own_fd)
		close(writer->fd);
	text_fini(&writer->buffer);
	free(writer->path);
	memset(writer, 0, sizeof(*writer));
	writer->fd = -1;
}

const char *writer_name(const struct writer *writer, char room[32])
{
	if (writer->path)
		return writer->path;
	if (writer->fd == STDOUT_FILENO)
		return "standard output";
	snprintf(room, 32, "descriptor %d", writer->fd);
	return room;
}
