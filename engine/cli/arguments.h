/* Small readers of what stands on a command line. */
#ifndef RILLE_CLI_ARGUMENTS_H
#define RILLE_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* "5s", "1.5m", "500ms", "2h", "10" (seconds) → nanoseconds. -1 if it is not a duration. */
int read_duration(const char *text, uint64_t *ret);
/* A whole number of decimal digits, at most `most`. */
int read_number(const char *text, uint64_t most, uint64_t *ret);
/* A number or a user's name. */
int read_user(const char *text, uid_t *ret);

#endif
