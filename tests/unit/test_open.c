/* The table behind `rille open`: what a descriptor stands for and who made it, through copies, children, messages and execs;
 * that what cannot be proved has no maker; and that what is gone costs nothing. What real programs do is
 * tests/live/test_open.py's. */
#include "engine/out/open_table.h"
#include "bpf-templates/kinds.h"
#include "engine/proc/descriptors.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* What the recipe tells, as one record. */
struct sample {
	struct rille_record head;
	char op[8];
	int64_t fd, from, child, shared, cloexec, kind, count;
	uint64_t inode, file;
};

enum { HAS_FROM = 1 << 2, HAS_COUNT = 1 << 7 };

#define FIELD(member, kind_, width_)                                                                                   \
	{                                                                                                              \
		.name = (char *)#member, .kind = kind_, .width = width_, .offset = offsetof(struct sample, member),    \
		.size = sizeof(((struct sample *)0)->member)                                                           \
	}

static struct field_schema fields[] = {FIELD(op, VALUE_STR, 0), FIELD(fd, VALUE_INT, 8), FIELD(from, VALUE_INT, 8),
        FIELD(child, VALUE_INT, 8), FIELD(shared, VALUE_INT, 8), FIELD(cloexec, VALUE_INT, 8),
        FIELD(kind, VALUE_INT, 8), FIELD(count, VALUE_INT, 8), FIELD(inode, VALUE_UINT, 8), FIELD(file, VALUE_UINT, 8)};

static struct probe_schema probe = {.name = (char *)"syscall:test",
        .fields = fields,
        .nfields = sizeof(fields) / sizeof(*fields),
        .size = sizeof(struct sample),
        .stack_sides = STACK_USER};

static struct stack stack;

static const struct stack *resolve(struct event *event, enum stack_sides side)
{
	return &stack;
}

/* One event; `sample` says what differs from nothing. */
static void tell(struct open_table *table, const char *op, uint32_t pid, uint64_t present, struct sample sample)
{
	static uint64_t nsecs;
	memcpy(sample.op, op, strlen(op));
	sample.head = (struct rille_record){.pid = pid,
	        .tid = pid,
	        .nsecs = ++nsecs,
	        .size = sizeof(sample),
	        .present = ~(uint64_t)(HAS_FROM | HAS_COUNT)};
	sample.head.present |= present;
	struct event event = {
	        .probe = &probe, .record = &sample.head, .size = sizeof(sample), .wall_nsecs = 1, .resolve = resolve};
	open_table_event(table, &event);
}

static void begin(struct open_table *table)
{
	static struct frame frames[] = {{.ip = 1, .name = "maker"}};
	memset(table, 0, sizeof(*table));
	stack = (struct stack){.frames = frames, .nframes = 1, .end = STACK_ROOT, .site = 1};
	assert_int_equal(open_fields_init(table, &probe, 1), 0);
}

static const struct open_slot *slot_of(const struct open_table *table, pid_t pid, int fd)
{
	return open_process_slot(open_table_process(table, pid), fd);
}

/* A copy and a child's descriptor stand for the same open file, whose maker is the first one's. */
static void test_copies_and_children(void **state)
{
	struct open_table table;
	begin(&table);
	tell(&table, "new", 10, 0, (struct sample){.fd = 3, .kind = KIND_SOCKET, .inode = 77, .file = 0x1000});
	tell(&table, "dup", 10, HAS_FROM,
	        (struct sample){.fd = 4, .from = 3, .kind = KIND_SOCKET, .inode = 77, .file = 0x1000});
	tell(&table, "fork", 10, 0, (struct sample){.child = 11});
	const struct open_slot *made = slot_of(&table, 10, 3), *copy = slot_of(&table, 10, 4),
	                       *child = slot_of(&table, 11, 4);
	assert_ptr_equal(made->file, copy->file);
	assert_ptr_equal(made->file, child->file);
	assert_ptr_equal(made->file->maker, made->maker);
	assert_ptr_not_equal(copy->maker, made->maker);
	assert_int_equal(copy->how, OPEN_DUP);
	assert_int_equal(child->how, OPEN_INHERITED);
	assert_int_equal(child->from, 10);
	assert_ptr_equal(child->maker, copy->maker);
	tell(&table, "close", 10, 0, (struct sample){.fd = 4});
	assert_null(slot_of(&table, 10, 4));
	assert_non_null(slot_of(&table, 11, 4));
	open_table_fini(&table);
}

/* With a shared table what one does the other sees, until one of them starts a program. */
static void test_shared_until_exec(void **state)
{
	struct open_table table;
	begin(&table);
	tell(&table, "new", 10, 0, (struct sample){.fd = 3, .file = 0x1000});
	tell(&table, "fork", 10, 0, (struct sample){.child = 11, .shared = 1});
	tell(&table, "new", 11, 0, (struct sample){.fd = 4, .file = 0x2000, .cloexec = 1});
	assert_non_null(slot_of(&table, 10, 4));
	tell(&table, "exec", 11, 0, (struct sample){0});
	assert_null(slot_of(&table, 11, 4));
	assert_non_null(slot_of(&table, 11, 3));
	assert_non_null(slot_of(&table, 10, 4));
	open_table_fini(&table);
}

/* What comes in a message has its sender's maker, even if the sender has closed it by then. Another file at the same
 * address has not. */
static void test_messages(void **state)
{
	struct open_table table;
	struct sample sent = {.fd = 3, .kind = KIND_SOCKET, .inode = 77, .file = 0x1000};
	begin(&table);
	tell(&table, "new", 10, 0, sent);
	const struct open_maker *maker = slot_of(&table, 10, 3)->maker;
	tell(&table, "close", 10, 0, sent);
	sent.fd = 9;
	sent.count = 1;
	tell(&table, "dup", 20, HAS_COUNT, sent);
	assert_int_equal(slot_of(&table, 20, 9)->how, OPEN_RECEIVED);
	assert_ptr_equal(slot_of(&table, 20, 9)->file->maker, maker);
	tell(&table, "close", 20, 0, sent);
	sent.inode = 78;
	tell(&table, "dup", 20, HAS_COUNT, sent);
	assert_null(slot_of(&table, 20, 9)->file->maker);
	open_table_fini(&table);
}

/* Anonymous inodes are shared by all of a kind: an address alone proves nothing once nobody has the file, unless every
 * process is traced. */
static void test_orphans_without_an_inode(void **state)
{
	for (int all = 0; all < 2; all++) {
		struct open_table table;
		struct sample sent = {.fd = 3, .kind = KIND_EVENTFD, .inode = 5, .file = 0x1000, .count = 1};
		begin(&table);
		table.all = all;
		tell(&table, "new", 10, 0, sent);
		tell(&table, "close", 10, 0, sent);
		tell(&table, "dup", 20, HAS_COUNT, sent);
		assert_int_equal(slot_of(&table, 20, 3)->file->maker != NULL, all);
		open_table_fini(&table);
	}
}

/* What was open before has no maker, nor has a copy of it any other file. */
static void test_before(void **state)
{
	struct open_table table;
	struct descriptor listed[] = {{.fd = 0, .kind = DESCRIPTOR_FILE, .inode = 5}};
	struct descriptors list = {.pid = 10, .list = listed, .n = 1};
	begin(&table);
	open_table_known(&table, &list, true);
	assert_true(slot_of(&table, 10, 0)->file->before);
	tell(&table, "dup", 10, HAS_FROM,
	        (struct sample){.fd = 4, .from = 0, .kind = KIND_FILE, .inode = 999, .file = 0x1000});
	assert_ptr_equal(slot_of(&table, 10, 4)->file, slot_of(&table, 10, 0)->file);
	assert_non_null(slot_of(&table, 10, 4)->maker);
	assert_null(slot_of(&table, 10, 4)->file->maker);
	open_table_fini(&table);
}

/* Of what is gone nothing is left: neither slots nor stacks. */
static void test_memory(void **state)
{
	struct open_table table;
	begin(&table);
	for (uint64_t i = 0; i < 200000; i++) {
		stack.frames[0].ip = i; /* another stack each time: unnamed frames differ by address */
		stack.frames[0].name = NULL;
		struct sample sample = {
		        .fd = (int64_t)(i % 7), .kind = KIND_SOCKET, .inode = i + 1, .file = (i + 1) * 64};
		tell(&table, "new", 10, 0, sample);
		tell(&table, "close", 10, 0, sample);
	}
	stack.frames[0].name = "maker";
	assert_int_equal(table.slots, 0);
	assert_true(HASH_COUNT(table.files) <= OPEN_ORPHANS);
	assert_true(HASH_COUNT(table.sites) <= 65536);
	assert_int_equal(table.nsites_dropped, 0);
	tell(&table, "exit", 10, 0, (struct sample){0});
	assert_null(open_table_process(&table, 10));
	open_table_fini(&table);
}

/* The kinds of links, as the kernel writes them. */
static void test_links(void **state)
{
	static const struct {
		const char *link;
		enum descriptor_kind kind;
		uint64_t inode;
	} links[] = {{"socket:[7504404]", DESCRIPTOR_SOCKET, 7504404}, {"pipe:[1]", DESCRIPTOR_PIPE, 1},
	        {"anon_inode:[eventpoll]", DESCRIPTOR_EVENTPOLL, 0}, {"anon_inode:inotify", DESCRIPTOR_INOTIFY, 0},
	        {"anon_inode:[io_uring]", DESCRIPTOR_IO_URING, 0}, {"anon_inode:bpf-map", DESCRIPTOR_BPF, 0},
	        {"anon_inode:[fscontext]", DESCRIPTOR_ANON, 0}, {"anon_inode:", DESCRIPTOR_ANON, 0},
	        {"/memfd:a (deleted)", DESCRIPTOR_MEMFD, 0}, {"net:[4026531840]", DESCRIPTOR_NAMESPACE, 4026531840},
	        {"/tmp/socket:[5]", DESCRIPTOR_FILE, 0}, {"pidfd:[12]", DESCRIPTOR_PIDFD, 12},
	        {"", DESCRIPTOR_ANON, 0}};
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		uint64_t inode;
		assert_int_equal(descriptor_classify(links[i].link, &inode), links[i].kind);
		assert_int_equal(inode, links[i].inode);
	}
}

/* Our own descriptors, as we know them. */
static void test_scan(void **state)
{
	struct descriptors list;
	struct err err = {0};
	int event = eventfd(0, EFD_CLOEXEC), folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(descriptors_scan(getpid(), &list, &err), 0);
	assert_int_equal(descriptors_find(&list, event)->kind, DESCRIPTOR_EVENTFD);
	assert_int_equal(descriptors_find(&list, folder)->kind, DESCRIPTOR_DIRECTORY);
	assert_string_equal(descriptor_path(&list, descriptors_find(&list, folder)), "/tmp");
	assert_int_equal(descriptors_find(&list, pair[0])->kind, DESCRIPTOR_SOCKET);
	assert_null(descriptors_find(&list, 999999));
	descriptors_fini(&list);
	assert_int_not_equal(descriptors_scan(1 << 22, &list, &err), 0);
	assert_string_equal(err.tag, "no-process");
	descriptors_fini(&list);
	close(event);
	close(folder);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_copies_and_children),
	        cmocka_unit_test(test_shared_until_exec),
	        cmocka_unit_test(test_messages),
	        cmocka_unit_test(test_orphans_without_an_inode),
	        cmocka_unit_test(test_before),
	        cmocka_unit_test(test_memory),
	        cmocka_unit_test(test_links),
	        cmocka_unit_test(test_scan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
