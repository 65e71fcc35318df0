/* The table of processes against /proc itself: what it says of a process that is gone is what /proc said while it was
 * there. */
#include "engine/proc/proc.h"

#include "engine/proc/maps.h"
#include "skip.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* last: it needs the ones above */
#include <cmocka.h>

enum { MAX_LINES = 64 };

struct world {
	struct proc_table *table;
	pid_t wanted;
	unsigned asked_of_others, execs, exits;
};

static bool wanted(void *user, pid_t pid, pid_t parent)
{
	struct world *world = user;
	if (pid == world->wanted || parent == world->wanted)
		return true;
	world->asked_of_others++;
	return false;
}

static void on_exec(void *user, struct process *process, const char *comm)
{
	((struct world *)user)->execs++;
}

static void on_exit_seen(void *user, struct process *process)
{
	((struct world *)user)->exits++;
}

static void open_world(struct world *world)
{
	struct err err = {0};
	struct proc_options options = {
	        .user = world, .wanted = world->wanted ? wanted : NULL, .on_exec = on_exec, .on_exit = on_exit_seen};
	assert_int_equal(proc_table_open(&world->table, &options, &err), 0);
}

/* The executable lines of a process's maps. */
static size_t read_maps(pid_t pid, struct maps_line lines[MAX_LINES])
{
	char name[64], *text = NULL;
	size_t cap = 0, n = 0;
	snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
	FILE *file = fopen(name, "re");
	assert_non_null(file);
	while (n < MAX_LINES && getline(&text, &cap, file) > 0) {
		if (!maps_parse_line(text, &lines[n]) || !(lines[n].flags & MAPPING_EXEC) || lines[n].path[0] == '[')
			continue;
		lines[n].path = strdup(lines[n].path);
		n++;
	}
	free(text);
	fclose(file);
	return n;
}

static void check_lines(struct process *process, struct maps_line *lines, size_t n)
{
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		struct mapping *first = process_find(process, lines[i].start);
		struct mapping *last = process_find(process, lines[i].end - 1);
		assert_non_null(first);
		assert_ptr_equal(first, last);
		assert_string_equal(first->file->path, lines[i].path);
		assert_int_equal(lines[i].start - first->start + first->offset, lines[i].offset);
		free(lines[i].path);
	}
}

/* A child that waits on a pipe at two points: before its exec and, being `sleep`, after it. */
static pid_t start_child(int *ret_go)
{
	int go[2];
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	if (!pid) {
		char c;
		close(go[1]);
		if (read(go[0], &c, 1) == 1)
			execlp("sleep", "sleep", "30", (char *)NULL);
		_exit(1);
	}
	close(go[0]);
	*ret_go = go[1];
	return pid;
}

static void wait_for_exec(pid_t pid)
{
	char name[64], target[256];
	snprintf(name, sizeof(name), "/proc/%d/exe", (int)pid);
	for (int i = 0; i < 500; i++) {
		ssize_t len = readlink(name, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = 0;
		struct maps_line lines[MAX_LINES];
		if (!strstr(target, "test_proc")) {
			size_t n = read_maps(pid, lines);
			for (size_t k = 0; k < n; k++)
				free(lines[k].path);
			if (n >= 3)
				break;
		}
		usleep(10000);
	}
	usleep(50000);
}

/* Forked, executed, killed, gone: its mappings are known, and nobody else's are kept. */
static void test_short_life(void **state)
{
	struct world world = {0};
	struct maps_line lines[MAX_LINES];
	int go;
	world.wanted = getpid();
	open_world(&world);
	if (proc_table_fd(world.table) < 0) {
		proc_table_close(world.table);
		skip_because("perf events of a whole CPU are not allowed here");
	}
	pid_t pid = start_child(&go);
	world.wanted = pid;
	assert_int_equal(write(go, "x", 1), 1);
	wait_for_exec(pid);
	size_t n = read_maps(pid, lines);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	proc_table_advance(world.table, UINT64_MAX);
	assert_int_equal(world.execs, 1);
	assert_int_equal(world.exits, 1);
	struct process *process = proc_table_get(world.table, pid, 0);
	assert_false(process_alive(process));
	check_lines(process, lines, n);
	assert_int_equal(proc_table_lost(world.table), 0);
	/* It can still be opened, by its path. */
	size_t count;
	const struct mapping *all = process_mappings(process, &count);
	for (size_t i = 0; i < count; i++) {
		int fd = process_open_mapping(process, &all[i]);
		assert_true(all[i].file->path[0] == '/' ? fd >= 0 : fd < 0);
		if (fd >= 0)
			close(fd);
	}
	close(go);
	proc_table_reap(world.table, UINT64_MAX);
	proc_table_close(world.table);
}

/* Records are applied up to a time: what a process did afterwards has not happened yet. */
static void test_order(void **state)
{
	struct world world = {0};
	int go;
	open_world(&world);
	if (proc_table_fd(world.table) < 0) {
		proc_table_close(world.table);
		skip_because("perf events of a whole CPU are not allowed here");
	}
	pid_t pid = start_child(&go);
	usleep(20000);
	proc_table_advance(world.table, UINT64_MAX);
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t before = (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	assert_int_equal(write(go, "x", 1), 1);
	wait_for_exec(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unsigned execs = world.execs, exits = world.exits;
	proc_table_advance(world.table, before);
	assert_int_equal(world.execs, execs);
	assert_int_equal(world.exits, exits);
	proc_table_advance(world.table, UINT64_MAX);
	assert_true(world.execs > execs);
	assert_true(world.exits > exits);
	close(go);
	proc_table_close(world.table);
}

static uint64_t now_nsecs(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A fork is seen though the records that were read before it end with one that means nothing (a thread's new name): the child,
 * gone by now, has its parent's mappings. */
static void test_behind_a_name(void **state)
{
	struct world world = {0};
	size_t n;
	open_world(&world);
	if (proc_table_fd(world.table) < 0) {
		proc_table_close(world.table);
		skip_because("perf events of a whole CPU are not allowed here");
	}
	process_mappings(proc_table_get(world.table, getpid(), 0), &n);
	assert_true(n > 0);
	proc_table_advance(world.table, UINT64_MAX);
	uint64_t before = now_nsecs();
	prctl(PR_SET_NAME, "renamed");
	proc_table_advance(world.table, before); /* reads the name's record, which is not due yet */
	int go[2];
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	if (!pid) {
		char c;
		close(go[1]);
		_exit(read(go[0], &c, 1) != 0);
	}
	uint64_t after = now_nsecs();
	close(go[0]);
	close(go[1]);
	waitpid(pid, NULL, 0);
	proc_table_advance(world.table, after);
	process_mappings(proc_table_get(world.table, pid, 0), &n);
	assert_true(n > 0);
	proc_table_close(world.table);
}

/* A process that was there before us is read from /proc; a new mapping of it is followed from then on. */
static void test_itself(void **state)
{
	struct world world = {0};
	struct maps_line lines[MAX_LINES];
	open_world(&world);
	struct process *process = proc_table_get(world.table, getpid(), 0);
	check_lines(process, lines, read_maps(getpid(), lines));
	uint32_t generation = process_generation(process);
	void *code = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(code, MAP_FAILED);
	proc_table_advance(world.table, UINT64_MAX);
	if (proc_table_fd(world.table) < 0)
		process_refresh(process, 1);
	assert_int_not_equal(process_generation(process), generation);
	struct mapping *mapping = process_find(process, (uintptr_t)code + 5000);
	assert_non_null(mapping);
	assert_true(mapping->flags & MAPPING_ANON);
	assert_int_equal(process_ns_pid(process), getpid());
	munmap(code, 8192);
	proc_table_close(world.table);
}

/* A pid with another start time is another process, one that does not exist is a process without mappings. */
static void test_identity(void **state)
{
	struct world world = {0};
	size_t n;
	open_world(&world);
	struct process *process = proc_table_get(world.table, getpid(), 0);
	process_mappings(process, &n);
	assert_true(n > 0);
	process = proc_table_get(world.table, getpid(), 30000000);
	assert_false(process_alive(process));
	process_mappings(process, &n);
	assert_int_equal(n, 0);
	process = proc_table_get(world.table, 1 << 22, 0);
	assert_non_null(process);
	assert_false(process_alive(process));
	proc_table_close(world.table);
}

/* What is not the regular file that was mapped is not opened, and opening never blocks. */
static void test_open(void **state)
{
	struct world world = {0};
	char folder[] = "/tmp/rille-fifo-XXXXXX", fifo[64];
	open_world(&world);
	struct process *process = proc_table_get(world.table, getpid(), 0);
	assert_non_null(mkdtemp(folder));
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	struct mapped_file file = {.path = fifo, .inode = 1};
	struct mapping mapping = {.start = 0x1000, .end = 0x2000, .file = &file};
	alarm(5);
	assert_true(process_open_mapping(process, &mapping) < 0);
	alarm(0);
	unlink(fifo);
	rmdir(folder);
	file.path = (char *)"/dev/zero";
	assert_true(process_open_mapping(process, &mapping) < 0);
	file.path = (char *)"/proc/self/exe"; /* another inode than the one that was "mapped" */
	assert_int_equal(process_open_mapping(process, &mapping), -ESTALE);
	file.path = (char *)"[vdso]";
	assert_int_equal(process_open_mapping(process, &mapping), -ENOENT);
	proc_table_close(world.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_short_life),
	        cmocka_unit_test(test_order),
	        cmocka_unit_test(test_behind_a_name),
	        cmocka_unit_test(test_itself),
	        cmocka_unit_test(test_identity),
	        cmocka_unit_test(test_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
