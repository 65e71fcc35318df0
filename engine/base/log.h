/* Where the library's remarks go: a callback of the host's, or nowhere. The library itself never prints. */
#ifndef RILLE_BASE_LOG_H
#define RILLE_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct logger {
	void (*fn)(void *user, int level, const char *message); /* NULL: silent */
	void *user;
	enum log_level level; /* messages above it are not formatted */
};

void log_write(const struct logger *log, enum log_level level, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

#define log_warn(log, ...) log_write(log, LOG_WARN, __VA_ARGS__)
#define log_info(log, ...) log_write(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_write(log, LOG_DEBUG, __VA_ARGS__)

#endif
