/* libbpf without a word. */
#ifndef RILLE_RUN_QUIET_H
#define RILLE_RUN_QUIET_H

/* Around calls of libbpf that print. They may be nested, and be under way in several threads. */
void quiet_begin(void);
void quiet_end(void);

#endif
