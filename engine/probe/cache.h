/* Objects by content, in the user's cache directory. */
#ifndef RILLE_PROBE_CACHE_H
#define RILLE_PROBE_CACHE_H

#include "engine/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* The cache directory ($RILLE_CACHE_DIR, $XDG_CACHE_HOME/rille, ~/.cache/rille; root: /var/cache/rille, else ~/.cache),
 * created mode 0700 if need be. -EPERM (tag unsafe-cache) if it or a parent that others can write is not ours: then the
 * caller goes on without a cache. `ret_fd` is an O_DIRECTORY descriptor owned by the caller. `override` may be NULL. */
int cache_open(const char *override, char **ret_path, int *ret_fd, struct err *err);

/* SHA-256 of the parts (each preceded by its length), in hexadecimal. */
void cache_key(char ret[65], const void *const *parts, const size_t *lens, size_t n);

/* Reads entry `key`; the file must be regular, ours, mode 0600 and carry its own checksum. -ENOENT if there is none; a
 * bad entry is removed and counts as none. The caller frees *ret_data. */
int cache_get(int fd, const char *key, void **ret_data, size_t *ret_len);
/* Stores it with an atomic rename, then drops the least recently used entries beyond `max_bytes` (0 = 64 MiB). */
int cache_put(int fd, const char *key, const void *data, size_t len, uint64_t max_bytes);

#endif
