/* The catalog: answers agree with the headers and with what tracefs prints; a second start opens neither BTF nor
 * tracefs. */
#include "engine/base/grow.h"
#include "engine/probe/catalog.h"
#include "engine/probe/catalog_private.h"
#include "engine/probe/syscalls.h"
#include "tests/unit/skip.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char dir[64]; /* of the memo */
	struct catalog *catalog;
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	strcpy(place->dir, "/tmp/rille-test-catalog.XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	*state = place;
	return catalog_open(&place->catalog, place->dir, NULL, NULL);
}

static int teardown(void **state)
{
	struct place *place = *state;
	catalog_close(place->catalog);
	nftw(place->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(place);
	return 0;
}

static void reopen(struct place *place)
{
	catalog_close(place->catalog);
	assert_int_equal(catalog_open(&place->catalog, place->dir, NULL, NULL), 0);
}

#define NEED_TRACEFS(catalog)                                                                                          \
	do {                                                                                                           \
		struct err why;                                                                                        \
		if (catalog_tracefs(catalog, &why) < 0)                                                                \
			skip_because(why.message);                                                                     \
	} while (0)
#define NEED_BTF(catalog)                                                                                              \
	do {                                                                                                           \
		struct ktype any;                                                                                      \
		struct err why;                                                                                        \
		if (catalog_struct(catalog, "task_struct", &any, &why))                                                \
			skip_because(why.message);                                                                     \
	} while (0)

/* --- system calls --- */

/* Numbers are those of <sys/syscall.h>, and every call in it that kernels still have is known. */
static void test_syscall_numbers(void **state)
{
	struct place *place = *state;
	static const char GONE[] =
	        " _sysctl afs_syscall create_module epoll_ctl_old epoll_wait_old get_kernel_syms getpmsg "
	        "nfsservctl putpmsg query_module security tuxcall vserver ";
	const struct event_format *format;
	size_t n, checked = 0;
	const struct constant *table = constant_table(&n);
	for (size_t i = 0; i < n; i++) {
		char word[80];
		if (strncmp(table[i].name, "SYS_", 4) || isupper((unsigned char)table[i].name[4]))
			continue; /* SYS_ACCEPT is socketcall()'s */
		snprintf(word, sizeof(word), " %s ", table[i].name + 4);
		if (strstr(GONE, word))
			continue;
		if (catalog_syscall(place->catalog, table[i].name + 4, &format, NULL))
			fail_msg("%s is missing", table[i].name);
		assert_int_equal(format->number, table[i].value);
		checked++;
	}
	assert_true(checked > 280);
}

/* No two calls share a number, names are in order, and both names of a call find it. */
static void test_syscall_table(void **state)
{
	struct place *place = *state;
	const struct event_format *a, *b;
	bool used[1024] = {false};
	size_t n;
	const struct syscall_entry *table = syscall_table(&n);
	for (size_t i = 0; i < n; i++) {
		assert_true(!i || strcmp(table[i - 1].name, table[i].name) <= 0);
		if (table[i].number < 0)
			continue;
		assert_true(table[i].number < 1024 && !used[table[i].number]);
		used[table[i].number] = true;
		assert_int_equal(catalog_syscall(place->catalog, table[i].name, &a, NULL), 0);
		assert_int_equal(catalog_syscall(place->catalog, table[i].kernel_name, &b, NULL), 0);
		assert_ptr_equal(a, b);
		assert_string_equal(a->name, table[i].name);
	}
}

/* Names and types of the arguments are what this kernel prints, for all the calls that it has. */
static void test_syscall_arguments(void **state)
{
	struct place *place = *state;
	size_t n, checked = 0;
	const struct syscall_entry *table = syscall_table(&n);
	NEED_TRACEFS(place->catalog);
	for (size_t i = 0; i < n; i++) {
		const struct event_format *ours, *theirs;
		char name[96];
		snprintf(name, sizeof(name), "sys_enter_%s", table[i].kernel_name);
		if (table[i].number < 0 || catalog_tracepoint(place->catalog, "syscalls", name, &theirs, NULL))
			continue;
		assert_int_equal(catalog_syscall(place->catalog, table[i].name, &ours, NULL), 0);
		assert_int_equal(ours->narguments + 1, theirs->narguments); /* __syscall_nr */
		for (size_t k = 0; k < ours->narguments; k++) {
			assert_string_equal(ours->arguments[k].name, theirs->arguments[k + 1].name);
			assert_string_equal(ours->arguments[k].type, theirs->arguments[k + 1].type);
			assert_int_equal(ours->arguments[k].offset, k * 8);
		}
		checked++;
	}
	assert_true(checked > 250);
}

/* Each wrong name is told, with what was probably meant. */
static void test_unknown(void **state)
{
	struct place *place = *state;
	const struct event_format *format;
	struct err err;
	assert_int_equal(catalog_syscall(place->catalog, "soketpair", &format, &err), -ENOENT);
	assert_string_equal(err.tag, "unknown-probe");
	assert_non_null(strstr(err.hint, "\"socketpair\""));
	assert_int_equal(catalog_tracepoint(place->catalog, "..", "sched", &format, &err), -ENOENT);
	assert_int_equal(catalog_tracepoint(place->catalog, "sched/..", "x", &format, &err), -ENOENT);
	assert_int_equal(catalog_tracepoint(place->catalog, "", "", &format, &err), -ENOENT);
	NEED_TRACEFS(place->catalog);
	assert_int_equal(catalog_tracepoint(place->catalog, "sched", "sched_swich", &format, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "\"sched:sched_switch\""));
	/* That is remembered; of what could still be defined, nothing is. A name that is asked for again has its hint. */
	assert_true(catalog_lacks_tracepoint(place->catalog, "sched", "sched_swich"));
	assert_false(catalog_lacks_tracepoint(place->catalog, "sched", "sched_switch"));
	assert_int_equal(catalog_tracepoint(place->catalog, "no_category", "x", &format, &err), -ENOENT);
	assert_false(catalog_lacks_tracepoint(place->catalog, "no_category", "x"));
	assert_int_equal(catalog_tracepoint(place->catalog, "sched", "sched_swich", &format, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "\"sched:sched_switch\""));
}

static void test_unknown_types(void **state)
{
	struct place *place = *state;
	struct ktype type;
	struct kmember member;
	struct err err;
	NEED_BTF(place->catalog);
	assert_int_equal(catalog_struct(place->catalog, "task_strct", &type, &err), -ENOENT);
	assert_string_equal(err.tag, "unknown-type");
	assert_non_null(strstr(err.hint, "\"task_struct\""));
	assert_int_equal(catalog_struct(place->catalog, "task_struct", &type, &err), 0);
	assert_int_equal(catalog_member(place->catalog, type.type_id, "real_parnt", &member, &err), -ENOENT);
	assert_string_equal(err.tag, "unknown-member");
	assert_non_null(strstr(err.hint, "\"real_parent\""));
	/* Also when the memo knows that there is no such thing. */
	assert_int_equal(catalog_member(place->catalog, type.type_id, "real_parnt", &member, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "\"real_parent\""));
}

/* --- globs --- */

struct names {
	char **list;
	size_t n, cap, stop_at;
};

static int take(void *user, const char *name)
{
	struct names *names = user;
	assert_int_equal(grow(&names->list, &names->cap, names->n + 1, sizeof(*names->list)), 0);
	names->list[names->n++] = strdup(name);
	return names->n == names->stop_at ? 7 : 0;
}

static void drop(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->list[i]);
	free(names->list);
}

/* In order of name, only what matches, and the callback's answer ends it. */
static void test_globs(void **state)
{
	struct place *place = *state;
	struct names names = {0}, one = {.stop_at = 1};
	assert_int_equal(catalog_match_syscalls(place->catalog, "socket*", take, &names, NULL), 0);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.list[0], "socket");
	assert_string_equal(names.list[1], "socketpair");
	assert_int_equal(catalog_match_syscalls(place->catalog, "*", take, &one, NULL), 7);
	assert_int_equal(one.n, 1);
	drop(&names);
	drop(&one);
}

/* Every tracepoint that tracefs lists has a format that can be read, whose fields lie behind one another. */
static void test_every_tracepoint(void **state)
{
	struct place *place = *state;
	struct names names = {0};
	NEED_TRACEFS(place->catalog);
	assert_int_equal(catalog_match_tracepoints(place->catalog, "*", take, &names, NULL), 0);
	assert_true(names.n > 300);
	for (size_t i = 0; i < names.n; i++) {
		const struct event_format *format;
		struct err err;
		char *name = strchr(names.list[i], ':');
		assert_true(!i || strcmp(names.list[i - 1], names.list[i]) < 0);
		*name++ = '\0';
		if (catalog_tracepoint(place->catalog, names.list[i], name, &format, &err))
			fail_msg("%s:%s: %s", names.list[i], name, err.message);
		assert_string_equal(format->name, name);
		assert_string_equal(format->category, names.list[i]);
		uint32_t end = 8;
		for (size_t k = 0; k < format->narguments; k++) {
			const struct argument *a = &format->arguments[k];
			assert_true(a->offset >= end);
			end = a->offset + a->size;
			assert_true(!a->elements || a->size % a->elements == 0);
		}
	}
	drop(&names);
}

/* --- the memo --- */

struct answers {
	struct ktype task;
	struct kmember comm, parent;
	uint32_t files;
	const struct event_format *format;
};

static void ask(struct catalog *catalog, struct answers *ret)
{
	struct kmember none;
	memset(ret, 0, sizeof(*ret));
	assert_int_equal(catalog_struct(catalog, "task_struct", &ret->task, NULL), 0);
	assert_int_equal(catalog_member(catalog, ret->task.type_id, "comm", &ret->comm, NULL), 0);
	assert_int_equal(catalog_member(catalog, ret->task.type_id, "real_parent", &ret->parent, NULL), 0);
	assert_int_equal(catalog_member(catalog, ret->task.type_id, "no_such_member", &none, NULL), -ENOENT);
	assert_int_equal(catalog_offset(catalog, "task_struct", "files", &ret->files, NULL), 0);
	assert_int_equal(catalog_tracepoint(catalog, "sched", "sched_switch", &ret->format, NULL), 0);
}

static void assert_same(const struct answers *a, const struct answers *b)
{
	assert_memory_equal(&a->task, &b->task, sizeof(a->task));
	assert_memory_equal(&a->comm, &b->comm, sizeof(a->comm));
	assert_memory_equal(&a->parent, &b->parent, sizeof(a->parent));
	assert_int_equal(a->files, b->files);
}

/* The second start gives the same answers, and asks the kernel nothing. */
static void test_warm(void **state)
{
	struct place *place = *state;
	struct answers cold, warm;
	NEED_TRACEFS(place->catalog);
	NEED_BTF(place->catalog);
	ask(place->catalog, &cold);
	size_t fields = cold.format->narguments;
	assert_non_null(place->catalog->btf);
	reopen(place);
	ask(place->catalog, &warm);
	assert_same(&cold, &warm);
	assert_int_equal(warm.format->narguments, fields);
	assert_null(place->catalog->btf);
	assert_int_equal(place->catalog->tracefs, -1);
}

/* A memo that was damaged is not believed: the kernel is asked again. */
static void test_damaged(void **state)
{
	struct place *place = *state;
	struct answers cold, again;
	NEED_TRACEFS(place->catalog);
	NEED_BTF(place->catalog);
	ask(place->catalog, &cold);
	reopen(place);
	DIR *dir = opendir(place->dir);
	for (struct dirent *item; (item = readdir(dir));) {
		int fd = openat(dirfd(dir), item->d_name, O_RDWR);
		if (item->d_name[0] != '.')
			assert_int_equal(pwrite(fd, "\x55", 1, lseek(fd, 0, SEEK_END) / 2), 1);
		close(fd);
	}
	closedir(dir);
	ask(place->catalog, &again);
	assert_same(&cold, &again);
	assert_non_null(place->catalog->btf);
}

/* Without a place for a memo everything works, only slower. */
static void test_no_memo(void **state)
{
	struct place *place = *state;
	struct answers cold, again;
	struct catalog *catalog;
	NEED_TRACEFS(place->catalog);
	NEED_BTF(place->catalog);
	ask(place->catalog, &cold);
	assert_int_equal(catalog_open(&catalog, NULL, NULL, NULL), 0);
	ask(catalog, &again);
	assert_same(&cold, &again);
	catalog_close(catalog);
	assert_int_equal(catalog_open(&catalog, "/proc/no/such/place", NULL, NULL), 0);
	ask(catalog, &again);
	assert_same(&cold, &again);
	catalog_close(catalog);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_syscall_numbers),
	        TEST(test_syscall_table),
	        TEST(test_syscall_arguments),
	        TEST(test_unknown),
	        TEST(test_unknown_types),
	        TEST(test_globs),
	        TEST(test_every_tracepoint),
	        TEST(test_warm),
	        TEST(test_damaged),
	        TEST(test_no_memo),
	};
	return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
