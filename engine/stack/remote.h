/* Reading another process's memory without ever being blocked by it. */
#ifndef RILLE_STACK_REMOTE_H
#define RILLE_STACK_REMOTE_H

#include "engine/stack/memory.h"

struct remote;

struct remote *remote_new(void);
void remote_free(struct remote *remote);
/* All or nothing: 0, -EFAULT, or -ETIMEDOUT (the process kept us waiting, now or earlier). At most 1024 parts, 64 KiB. The time
 * for which the process, not the machine, kept us is added to `waited`, in ns. */
int remote_read(struct remote *remote, pid_t pid, const struct memory_part *parts, size_t n, uint64_t *waited);
/* A process whose memory we may not read, for want of permission; 0 = none was met. */
pid_t remote_denied(const struct remote *remote);

#endif
