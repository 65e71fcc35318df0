/* Objects by content: what is stored comes back whole or not at all, and only from a place that nobody else can write.
 */
#include "engine/probe/cache.h"
#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/skip.h"

enum { OTHER_USER = 12345 };

struct place {
	char top[64]; /* a folder of ours in /tmp */
	char dir[80]; /* top/cache */
	int fd;
	char *path;
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	strcpy(place->top, "/tmp/rille-test-cache.XXXXXX");
	assert_non_null(mkdtemp(place->top));
	snprintf(place->dir, sizeof(place->dir), "%s/cache", place->top);
	assert_int_equal(cache_open(place->dir, &place->path, &place->fd, NULL), 0);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	close(place->fd);
	nftw(place->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(place->path);
	free(place);
	return 0;
}

static void key_of(const char *text, char ret[65])
{
	const void *parts[] = {text};
	size_t lens[] = {strlen(text)};
	cache_key(ret, parts, lens, 1);
}

static void put(struct place *place, const char *name, const void *data, size_t len)
{
	char key[65];
	key_of(name, key);
	assert_int_equal(cache_put(place->fd, key, data, len, 0), 0);
}

static int get(struct place *place, const char *name, void **ret, size_t *ret_len)
{
	char key[65];
	key_of(name, key);
	return cache_get(place->fd, key, ret, ret_len);
}

static void assert_absent(struct place *place, const char *name)
{
	void *data;
	size_t len;
	char key[65];
	assert_int_equal(get(place, name, &data, &len), -ENOENT);
	key_of(name, key);
	assert_int_equal(faccessat(place->fd, key, F_OK, AT_SYMLINK_NOFOLLOW), -1); /* and it was removed */
}

static void entry_path(struct place *place, const char *name, char ret[160])
{
	char key[65];
	key_of(name, key);
	snprintf(ret, 160, "%s/%s", place->dir, key);
}

/* What was stored comes back byte for byte, also when it is empty; what was not is absent. */
static void test_round_trip(void **state)
{
	struct place *place = *state;
	static const char data[] = "\x7f"
	                           "ELF\0with\0zeros";
	void *got;
	size_t len;
	put(place, "a", data, sizeof(data));
	put(place, "empty", "", 0);
	assert_int_equal(get(place, "a", &got, &len), 0);
	assert_int_equal(len, sizeof(data));
	assert_memory_equal(got, data, len);
	free(got);
	assert_int_equal(get(place, "empty", &got, &len), 0);
	assert_int_equal(len, 0);
	free(got);
	assert_absent(place, "b");
}

/* The key is SHA-256 over length and bytes of each part: coreutils' sha256sum agrees, and moving a byte from one part
 * to the next gives another key. */
static void test_key(void **state)
{
	struct place *place = *state;
	const void *one[] = {"ab", "c"}, *two[] = {"a", "bc"};
	size_t one_lens[] = {2, 1}, two_lens[] = {1, 2};
	char a[65], b[65], sum[65] = "", path[160], command[256];
	cache_key(a, one, one_lens, 2);
	cache_key(b, two, two_lens, 2);
	assert_string_not_equal(a, b);
	snprintf(path, sizeof(path), "%s/parts", place->top);
	FILE *file = fopen(path, "w");
	assert_int_equal(fwrite("\2\0\0\0\0\0\0\0ab\1\0\0\0\0\0\0\0c", 1, 19, file), 19);
	fclose(file);
	snprintf(command, sizeof(command), "sha256sum < %s", path);
	file = popen(command, "r");
	assert_int_equal(fread(sum, 1, 64, file), 64);
	pclose(file);
	assert_string_equal(a, sum);
}

/* A key is a name of 64 hexadecimal digits and never a path. */
static void test_key_is_no_path(void **state)
{
	struct place *place = *state;
	void *data;
	size_t len;
	assert_int_equal(cache_get(place->fd, "../secret", &data, &len), -EINVAL);
	assert_int_equal(cache_put(place->fd, "x/y", "d", 1, 0), -EINVAL);
}

/* An entry that was cut at any length is absent, and is removed. */
static void test_truncated(void **state)
{
	struct place *place = *state;
	char path[160];
	for (off_t len = 0; len < 48 + 9; len += 3) {
		put(place, "a", "some data", 9);
		entry_path(place, "a", path);
		assert_int_equal(truncate(path, len), 0);
		assert_absent(place, "a");
	}
}

/* An entry with one bit changed anywhere, head or data, is absent. */
static void test_bit_flipped(void **state)
{
	struct place *place = *state;
	char path[160];
	for (int bit = 0; bit < (48 + 9) * 8; bit++) {
		uint8_t byte;
		put(place, "a", "some data", 9);
		entry_path(place, "a", path);
		int fd = open(path, O_RDWR);
		assert_int_equal(pread(fd, &byte, 1, bit / 8), 1);
		byte ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(pwrite(fd, &byte, 1, bit / 8), 1);
		close(fd);
		assert_absent(place, "a");
	}
}

/* An entry that others can read or write, or that is a link, a FIFO or a folder, is not taken; a link's target is left
 * alone. */
static void test_wrong_kind(void **state)
{
	struct place *place = *state;
	char path[160], target[160];
	put(place, "a", "x", 1);
	entry_path(place, "a", path);
	assert_int_equal(chmod(path, 0644), 0);
	assert_absent(place, "a");

	put(place, "b", "x", 1);
	entry_path(place, "b", target);
	assert_int_equal(symlink(target, path), 0);
	assert_absent(place, "a");
	assert_int_equal(access(target, F_OK), 0);

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_absent(place, "a");
	assert_int_equal(mkdir(path, 0700), 0);
	void *data;
	size_t len;
	assert_int_equal(get(place, "a", &data, &len), -ENOENT);
}

/* As root: an entry that belongs to someone else is not taken. */
static void test_wrong_owner(void **state)
{
	struct place *place = *state;
	char path[160];
	if (geteuid())
		skip_because("only root can make files of other users");
	put(place, "a", "x", 1);
	entry_path(place, "a", path);
	assert_int_equal(chown(path, OTHER_USER, OTHER_USER), 0);
	assert_absent(place, "a");
}

static void assert_refused(const char *path)
{
	char *ret;
	int fd;
	struct err err = {0};
	assert_int_equal(cache_open(path, &ret, &fd, &err), -EPERM);
	assert_string_equal(err.tag, "unsafe-cache");
}

/* A directory that others can write, or below one that others can write, or of another user, is refused. */
static void test_unsafe_directory(void **state)
{
	struct place *place = *state;
	char below[120];
	snprintf(below, sizeof(below), "%s/below", place->dir);
	assert_int_equal(chmod(place->dir, 0770), 0);
	assert_refused(place->dir);
	assert_refused(below);
	assert_int_equal(chmod(place->dir, 01777), 0);
	assert_refused(place->dir); /* sticky helps those below it only */
	assert_int_equal(chmod(place->dir, 0700), 0);
	if (geteuid())
		return;
	assert_int_equal(chown(place->dir, OTHER_USER, OTHER_USER), 0);
	assert_refused(place->dir);
	assert_refused(below);
}

/* A link on the way is followed, and what it leads to is checked: a link into an unsafe place does not help. */
static void test_links_on_the_way(void **state)
{
	struct place *place = *state;
	char link[120], open_dir[120], path[140], *ret;
	int fd;
	snprintf(link, sizeof(link), "%s/link", place->top);
	snprintf(open_dir, sizeof(open_dir), "%s/open", place->top);
	snprintf(path, sizeof(path), "%s/new/cache", link);
	assert_int_equal(symlink(place->dir, link), 0);
	assert_int_equal(cache_open(path, &ret, &fd, NULL), 0);
	assert_memory_equal(ret, place->dir, strlen(place->dir)); /* the real place */
	close(fd);
	free(ret);
	assert_int_equal(mkdir(open_dir, 0700), 0);
	assert_int_equal(chmod(open_dir, 0777), 0);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(open_dir, link), 0);
	assert_refused(path);
}

/* Missing directories are made, for us alone, whatever the umask. */
static void test_makes_directories(void **state)
{
	struct place *place = *state;
	char path[120], *ret;
	struct stat st;
	int fd;
	snprintf(path, sizeof(path), "%s/x/y/z", place->top);
	mode_t old = umask(0);
	assert_int_equal(cache_open(path, &ret, &fd, NULL), 0);
	umask(old);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	close(fd);
	free(ret);
}

static uint64_t bytes_in(struct place *place)
{
	char command[160], line[64] = "";
	snprintf(command, sizeof(command), "cat %s/* | wc -c", place->dir);
	FILE *file = popen(command, "r");
	assert_non_null(fgets(line, sizeof(line), file));
	pclose(file);
	return strtoull(line, NULL, 10);
}

/* The directory never holds more than its bound, the entries used last survive, and files that are not entries stay. */
static void test_bound(void **state)
{
	struct place *place = *state;
	char key[65], name[16], other[120], data[1000] = "";
	void *got;
	size_t len;
	snprintf(other, sizeof(other), "%s/facts", place->dir);
	FILE *file = fopen(other, "w");
	fputs("not an entry", file);
	fclose(file);
	key_of("first", key);
	assert_int_equal(cache_put(place->fd, key, data, sizeof(data), 10000), 0);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(get(place, "first", &got, &len), 0); /* used again and again */
		free(got);
		usleep(5000); /* file times tick with the kernel's clock */
		snprintf(name, sizeof(name), "entry %d", i);
		key_of(name, key);
		assert_int_equal(cache_put(place->fd, key, data, sizeof(data), 10000), 0);
		assert_true(bytes_in(place) <= 10000 + strlen("not an entry"));
	}
	assert_int_equal(get(place, "entry 49", &got, &len), 0);
	free(got);
	assert_int_equal(get(place, "first", &got, &len), 0);
	free(got);
	assert_absent(place, "entry 1");
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(cache_put(place->fd, key, data, sizeof(data), 500), -EFBIG);
}

static void write_and_read(struct place *place, int seed)
{
	static char data[20000];
	for (int i = 0; i < 300; i++) {
		void *got;
		size_t len;
		memset(data, 'a' + (seed + i) % 26, sizeof(data));
		put(place, "contended", data, sizeof(data));
		int r = get(place, "contended", &got, &len);
		if (r == -ENOENT)
			continue;
		if (r || len != sizeof(data) || memcmp(got, (char *)got + 1, len - 1)) /* all bytes are the same */
			_exit(1);
		free(got);
	}
	_exit(0);
}

/* While four processes write the same key, a reader sees one writer's whole entry and never a mixture. */
static void test_concurrent_writers(void **state)
{
	struct place *place = *state;
	for (int i = 0; i < 4; i++)
		if (!fork())
			write_and_read(place, i * 7);
	for (int i = 0; i < 4; i++) {
		int status;
		wait(&status);
		assert_int_equal(status, 0);
	}
}

/* A full disk leaves nothing behind and says so. */
static void test_full_disk(void **state)
{
	struct place *place = *state;
	char command[160], key[65];
	snprintf(command, sizeof(command), "mount -t tmpfs -o size=64k,mode=700 rille-test %s 2>/dev/null", place->dir);
	if (geteuid() || system(command))
		skip_because("mounting a small file system needs privileges");
	char *path, *data = calloc(1, 1 << 20);
	int fd;
	assert_int_equal(cache_open(place->dir, &path, &fd, NULL), 0);
	key_of("big", key);
	int r = cache_put(fd, key, data, 1 << 20, 0);
	struct place inside = *place;
	uint64_t left = bytes_in(&inside);
	close(fd);
	free(path);
	free(data);
	snprintf(command, sizeof(command), "umount %s", place->dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(left, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_round_trip),
	        TEST(test_key),
	        TEST(test_key_is_no_path),
	        TEST(test_truncated),
	        TEST(test_bit_flipped),
	        TEST(test_wrong_kind),
	        TEST(test_wrong_owner),
	        TEST(test_unsafe_directory),
	        TEST(test_links_on_the_way),
	        TEST(test_makes_directories),
	        TEST(test_bound),
	        TEST(test_concurrent_writers),
	        TEST(test_full_disk),
	};
	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
