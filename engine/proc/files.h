/* What is mapped anywhere, by identity: one struct mapped_file for all who map the same bytes. */
#ifndef RILLE_PROC_FILES_H
#define RILLE_PROC_FILES_H

#include "engine/proc/proc.h"

struct files;

struct files *files_new(void);
void files_free(struct files *files, void (*free_module)(void *module));

/* As a mapping tells it: either the build id or device and inode may be missing. `path` is borrowed. */
struct file_identity {
	const char *path;
	uint32_t dev_major, dev_minor;
	uint64_t inode, inode_generation;
	const uint8_t *build_id;
	uint8_t build_id_len;
};

/* NULL: out of memory. */
struct mapped_file *files_get(struct files *files, const struct file_identity *identity);
/* Whether an opened file is the one that was mapped. Fills in what was not known of `file`. */
bool file_confirm(struct mapped_file *file, int fd);

#endif
