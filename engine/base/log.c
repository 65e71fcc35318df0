/* The logging callback. A message is formatted only when somebody listens at its level. */
#include "engine/base/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_write(const struct logger *log, enum log_level level, const char *fmt, ...)
{
	char message[1024];
	if (!log || !log->fn || level > log->level)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	log->fn(log->user, level, message);
}
