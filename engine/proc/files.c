/* Two sources describe the same file in different words: /proc/PID/maps by device and inode, a perf record by build id.
 * So entries are hashed by path, and two descriptions are of one file when they agree in the strongest identity that
 * both have. What is missing is filled in when the file is first opened. A file that was replaced on disk has another
 * inode or another build id and so becomes another entry, with symbols of its own.
 *
 * A build id beats device and inode: stat() and the kernel's maps disagree about the device on btrfs and overlayfs. */
#include "engine/proc/files.h"

#include "engine/proc/build_id.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <uthash.h>

struct entry {
	struct mapped_file file;
	struct entry *older; /* others with the same path */
	UT_hash_handle hh;   /* by path; the newest of a path is in the hash */
};

/* More files than any machine runs code from: a target that maps ever new ones gets no names for them. */
enum { MAX_FILES = 65536 };

struct files {
	struct entry *by_path;
	size_t n;
	struct mapped_file nameless; /* stands for those beyond */
};

struct files *files_new(void)
{
	static char no_path[] = "";
	struct files *files = calloc(1, sizeof(*files));
	if (files)
		files->nameless.path = no_path;
	return files;
}

static void entry_free(struct entry *entry, void (*free_module)(void *module))
{
	if (entry->file.module && free_module)
		free_module(entry->file.module);
	free(entry->file.path);
	free(entry);
}

void files_free(struct files *files, void (*free_module)(void *module))
{
	if (!files)
		return;
	struct entry *entry, *next;
	HASH_ITER (hh, files->by_path, entry, next) {
		HASH_DEL(files->by_path, entry);
		while (entry) {
			struct entry *older = entry->older;
			entry_free(entry, free_module);
			entry = older;
		}
	}
	if (files->nameless.module && free_module)
		free_module(files->nameless.module);
	free(files);
}

static bool same_file(const struct mapped_file *file, const struct file_identity *identity)
{
	if (file->build_id_len && identity->build_id_len)
		return file->build_id_len == identity->build_id_len &&
		       !memcmp(file->build_id, identity->build_id, file->build_id_len);
	if (file->inode && identity->inode)
		return file->inode == identity->inode && file->dev_major == identity->dev_major &&
		       file->dev_minor == identity->dev_minor &&
		       (!file->inode_generation || !identity->inode_generation ||
		               file->inode_generation == identity->inode_generation);
	/* "[vdso]", "//anon": nothing but the name. */
	return !file->inode && !identity->inode && !file->build_id_len && !identity->build_id_len;
}

static void learn(struct mapped_file *file, const struct file_identity *identity)
{
	if (!file->inode) {
		file->dev_major = identity->dev_major;
		file->dev_minor = identity->dev_minor;
		file->inode = identity->inode;
		file->inode_generation = identity->inode_generation;
	}
	if (!file->build_id_len && identity->build_id_len <= sizeof(file->build_id)) {
		file->build_id_len = identity->build_id_len;
		if (identity->build_id_len)
			memcpy(file->build_id, identity->build_id, identity->build_id_len);
	}
}

static struct entry *entry_new(const struct file_identity *identity)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->file.path = strdup(identity->path);
	if (!entry->file.path) {
		free(entry);
		return NULL;
	}
	learn(&entry->file, identity);
	return entry;
}

struct mapped_file *files_get(struct files *files, const struct file_identity *identity)
{
	struct entry *newest;
	HASH_FIND_STR(files->by_path, identity->path, newest);
	for (struct entry *entry = newest; entry; entry = entry->older) {
		if (same_file(&entry->file, identity)) {
			learn(&entry->file, identity);
			return &entry->file;
		}
	}
	if (files->n == MAX_FILES)
		return &files->nameless;
	struct entry *entry = entry_new(identity);
	if (!entry)
		return NULL;
	if (newest) {
		/* The hash keeps its key and its element; the new entry stands behind it. */
		entry->older = newest->older;
		newest->older = entry;
	} else {
		HASH_ADD_KEYPTR(hh, files->by_path, entry->file.path, strlen(entry->file.path), entry);
		if (!entry->hh.tbl) { /* out of memory */
			entry_free(entry, NULL);
			return NULL;
		}
	}
	files->n++;
	return &entry->file;
}

bool file_confirm(struct mapped_file *file, int fd)
{
	struct stat st;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	uint8_t build_id[BUILD_ID_MAX];
	struct file_identity found = {
	        .dev_major = major(st.st_dev),
	        .dev_minor = minor(st.st_dev),
	        .inode = st.st_ino,
	        .build_id = build_id,
	};
	if (file->build_id_len)
		found.build_id_len = build_id_read(fd, build_id);
	if (file->build_id_len && !found.build_id_len)
		return false;
	if (!same_file(file, &found))
		return false;
	learn(file, &found);
	return true;
}
