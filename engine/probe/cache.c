/* Objects by content, in the user's cache directory.
 *
 * What comes out of here is loaded into the kernel, often by root, so the question is who can write it:
 *
 * - The directory and every directory above it (after symbolic links are resolved) belong to us or to root and cannot
 * be written by others; a sticky one, like /tmp, is accepted above a directory that is ours. Otherwise there is no
 * cache.
 * - All access is relative to the descriptor of the directory that was checked, and never follows a link.
 * - An entry is a regular file of ours that only we can read and write. It starts with its length and SHA-256, so that
 * what a full disk or a crash left behind counts as absent and is removed.
 *
 * Entries are written under a temporary name and renamed: a reader sees a whole one or none, and of two writers the
 * last wins, with the same content. Reading one sets its time; when the entries exceed their bound, the longest unread
 * go. */
#include "engine/probe/cache.h"
#include "engine/base/grow.h"
#include "engine/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { KEY_LEN = 64, STALE_SECONDS = 3600 };
static const uint64_t DEFAULT_BYTES = 64ull << 20;
static const char TEMPORARY[] = "tmp.";

struct entry_head {
	char magic[8];
	uint64_t len;
	uint8_t sum[SHA256_DIGEST_LENGTH];
};
static const char MAGIC[8] = "rilleob1";

/* --- the directory --- */

static int refuse(struct err *err, const char *path, const char *why)
{
	return err_set(
	        err, -EPERM, ERR_PERMISSION, "unsafe-cache", "the cache directory cannot be trusted: %s %s", path, why);
}

/* `last`: the cache directory itself, which must be ours alone. One above it may be writable by others if it is sticky:
 * what lies in it is then ours or root's (it is checked next), and nobody else can rename or remove it. */
static int check_directory(int fd, const char *path, bool last, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st))
		return err_set(err, -errno, ERR_RUNTIME, "cache", "%s: %s", path, strerror(errno));
	bool shared = st.st_mode & 022;
	if (st.st_uid != geteuid() && (last || st.st_uid != 0))
		return refuse(err, path, "belongs to another user");
	if (shared && (last || !(st.st_mode & S_ISVTX)))
		return refuse(err, path, "can be written by other users");
	return 0;
}

/* Opens `name` in the directory `parent`, making it if it is missing. */
static int open_step(int parent, const char *name, bool create)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, flags);
	if (fd < 0 && errno == ENOENT && create && (!mkdirat(parent, name, 0700) || errno == EEXIST))
		fd = openat(parent, name, flags);
	return fd < 0 ? -errno : fd;
}

/* Walks an absolute path without links from the root, checking every directory before the next is opened or made. */
static int walk(char *path, struct err *err)
{
	char *save = NULL, *name = strtok_r(path, "/", &save);
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : check_directory(fd, "/", !name, err);
	while (!r && name) {
		char *next = strtok_r(NULL, "/", &save);
		int child = open_step(fd, name, true);
		if (child < 0) {
			r = err_set(err, child, ERR_RUNTIME, "cache", "%s: %s", name, strerror(-child));
			break;
		}
		close(fd);
		fd = child;
		r = check_directory(fd, name, !next, err);
		name = next;
	}
	if (r && fd >= 0)
		close(fd);
	return r ? r : fd;
}

/* Resolves the links of the part of `path` that exists, and appends the rest. */
static int resolve(const char *path, char ret[PATH_MAX], struct err *err)
{
	char start[PATH_MAX], rest[PATH_MAX] = "";
	int n = path[0] == '/' ? snprintf(start, sizeof(start), "%s", path)
	                       : snprintf(start, sizeof(start), "./%s", path);
	if (n < 0 || n >= PATH_MAX)
		return err_set(err, -ENAMETOOLONG, ERR_RUNTIME, "cache", "%s: the path is too long", path);
	while (!realpath(start, ret)) {
		char *slash = strrchr(start, '/'), tail[PATH_MAX];
		if (errno != ENOENT || !slash)
			return err_set(err, -errno, ERR_RUNTIME, "cache", "%s: %s", path, strerror(errno));
		if (strcmp(slash, "/..") == 0)
			return err_set(err, -ENOENT, ERR_RUNTIME, "cache", "%s: %s", path, strerror(ENOENT));
		snprintf(tail, sizeof(tail), "%s", rest);
		if (snprintf(rest, sizeof(rest), "%s%s", slash, tail) >= PATH_MAX)
			return -ENAMETOOLONG;
		*slash = '\0';
		if (!start[0])
			strcpy(start, "/");
	}
	size_t len = strlen(ret);
	if (snprintf(ret + len, PATH_MAX - len, "%s", rest) >= (int)(PATH_MAX - len))
		return err_set(err, -ENAMETOOLONG, ERR_RUNTIME, "cache", "%s: the path is too long", path);
	return 0;
}

static int choose(const char *override, struct text *path, struct err *err)
{
	const char *own = secure_getenv("RILLE_CACHE_DIR"), *xdg = secure_getenv("XDG_CACHE_HOME"),
	           *home = secure_getenv("HOME");
	if (override)
		text_adds(path, override);
	else if (own && *own)
		text_adds(path, own);
	else if (geteuid() == 0)
		text_adds(path, "/var/cache/rille");
	else if (xdg && *xdg == '/')
		text_printf(path, "%s/rille", xdg);
	else if (home && *home == '/')
		text_printf(path, "%s/.cache/rille", home);
	else
		return err_set(err, -ENOENT, ERR_RUNTIME, "cache", "no cache directory: HOME is not set");
	return text_failed(path) ? err_nomem(err) : 0;
}

int cache_open(const char *override, char **ret_path, int *ret_fd, struct err *err)
{
	struct text path = {0};
	char real[PATH_MAX], walked[PATH_MAX];
	int r = choose(override, &path, err);
	if (!r)
		r = resolve(text_str(&path), real, err);
	text_fini(&path);
	if (r)
		return r;
	memcpy(walked, real, sizeof(real));
	int fd = walk(walked, err);
	if (fd < 0)
		return fd;
	*ret_path = strdup(real);
	if (!*ret_path) {
		close(fd);
		return err_nomem(err);
	}
	*ret_fd = fd;
	return 0;
}

/* --- keys --- */

void cache_key(char ret[65], const void *const *parts, const size_t *lens, size_t n)
{
	SHA2_CTX sha;
	SHA256Init(&sha);
	for (size_t i = 0; i < n; i++) {
		uint64_t len = lens[i];
		SHA256Update(&sha, (const uint8_t *)&len, sizeof(len));
		SHA256Update(&sha, parts[i], lens[i]);
	}
	SHA256End(&sha, ret);
}

static bool is_key(const char *name)
{
	return strlen(name) == KEY_LEN && strspn(name, "0123456789abcdef") == KEY_LEN;
}

static void sum_of(const void *data, size_t len, uint8_t ret[SHA256_DIGEST_LENGTH])
{
	SHA2_CTX sha;
	SHA256Init(&sha);
	SHA256Update(&sha, data, len);
	SHA256Final(ret, &sha);
}

/* --- entries --- */

static int read_exactly(int fd, void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(fd, (char *)data + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int write_exactly(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)data + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

static int read_entry(int fd, void **ret_data, size_t *ret_len)
{
	struct stat st;
	struct entry_head head;
	uint8_t sum[SHA256_DIGEST_LENGTH];
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return -EPERM;
	if (read_exactly(fd, &head, sizeof(head)) || memcmp(head.magic, MAGIC, sizeof(MAGIC)) ||
	        (uint64_t)st.st_size < sizeof(head) || head.len != (uint64_t)st.st_size - sizeof(head))
		return -EIO;
	char *data = malloc(head.len ? head.len : 1);
	if (!data)
		return -ENOMEM;
	if (read_exactly(fd, data, head.len))
		goto bad;
	sum_of(data, head.len, sum);
	if (memcmp(sum, head.sum, sizeof(sum)))
		goto bad;
	*ret_data = data;
	*ret_len = head.len;
	return 0;
bad:
	free(data);
	return -EIO;
}

int cache_get(int fd, const char *key, void **ret_data, size_t *ret_len)
{
	if (!is_key(key))
		return -EINVAL;
	int entry = openat(fd, key, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (entry < 0 && errno == ENOENT)
		return -ENOENT;
	int r = entry < 0 ? -errno : read_entry(entry, ret_data, ret_len);
	if (!r)
		futimens(entry, NULL); /* last use */
	else if (r != -ENOMEM && r != -EMFILE && r != -ENFILE) {
		unlinkat(fd, key, 0);
		r = -ENOENT;
	}
	if (entry >= 0)
		close(entry);
	return r;
}

static int write_entry(int fd, const void *data, size_t len)
{
	struct entry_head head = {.len = len};
	memcpy(head.magic, MAGIC, sizeof(MAGIC));
	sum_of(data, len, head.sum);
	if (fchmod(fd, 0600)) /* whatever the umask took away */
		return -errno;
	int r = write_exactly(fd, &head, sizeof(head));
	return r ? r : write_exactly(fd, data, len);
}

/* --- the bound --- */

struct found {
	char name[KEY_LEN + 1];
	struct timespec used;
	uint64_t size;
};

static int by_age(const void *a, const void *b)
{
	const struct timespec *x = &((const struct found *)a)->used, *y = &((const struct found *)b)->used;
	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* Lists the entries, and removes temporary files that a killed writer left. Other files are none of our business: the
 * directory holds other things, too. */
static int list_entries(DIR *dir, struct found **ret, size_t *ret_n, uint64_t *ret_total)
{
	size_t cap = 0;
	struct stat st;
	for (struct dirent *item; (item = readdir(dir));) {
		bool temporary = !strncmp(item->d_name, TEMPORARY, sizeof(TEMPORARY) - 1);
		if ((!temporary && !is_key(item->d_name)) ||
		        fstatat(dirfd(dir), item->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (temporary) {
			if (st.st_mtime < time(NULL) - STALE_SECONDS)
				unlinkat(dirfd(dir), item->d_name, 0);
			continue;
		}
		if (grow(ret, &cap, *ret_n + 1, sizeof(**ret)))
			return -ENOMEM;
		struct found *found = &(*ret)[(*ret_n)++];
		memcpy(found->name, item->d_name, sizeof(found->name));
		found->used = st.st_mtim;
		found->size = (uint64_t)st.st_size;
		*ret_total += found->size;
	}
	return 0;
}

static void drop_oldest(int fd, uint64_t max_bytes)
{
	struct found *entries = NULL;
	size_t n = 0;
	uint64_t total = 0;
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* fdopendir takes it, and its offset, over */
	DIR *dir = own >= 0 ? fdopendir(own) : NULL;
	if (dir && !list_entries(dir, &entries, &n, &total) && total > max_bytes) {
		qsort(entries, n, sizeof(*entries), by_age);
		for (size_t i = 0; i < n && total > max_bytes; i++)
			if (!unlinkat(fd, entries[i].name, 0))
				total -= entries[i].size;
	}
	free(entries);
	if (dir)
		closedir(dir);
	else if (own >= 0)
		close(own);
}

int cache_put(int fd, const char *key, const void *data, size_t len, uint64_t max_bytes)
{
	if (!max_bytes)
		max_bytes = DEFAULT_BYTES;
	if (!is_key(key))
		return -EINVAL;
	if (len + sizeof(struct entry_head) > max_bytes)
		return -EFBIG;
	uint64_t random;
	char temporary[32];
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint64_t)getpid();
	snprintf(temporary, sizeof(temporary), "%s%016llx", TEMPORARY, (unsigned long long)random);
	int entry = openat(fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (entry < 0)
		return -errno;
	int r = write_entry(entry, data, len);
	close(entry);
	if (!r && renameat(fd, temporary, fd, key))
		r = -errno;
	if (r)
		unlinkat(fd, temporary, 0);
	else
		drop_oldest(fd, max_bytes);
	return r;
}
