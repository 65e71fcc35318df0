/* The table of descriptors: a replay of events over what was open when tracing began.
 *
 *     process ─▶ descriptor table ─▶ slot (a number) ─▶ open file ─▶ who made it
 *
 * as in the kernel, since dup, fork and SCM_RIGHTS share at different levels of it. A slot has a maker of its own where
 * a call made it of a file that was open already. A file lives as long as a slot stands for it; those whose address in
 * the kernel is known are found by it, which is how a descriptor that arrives in a message finds its sender's file.
 *
 * The table may be wrong: events are lost, and what happens between a system call's effect and its event is seen by
 * others first. So it is never shown as it is: what /proc says of a living process is the truth (open_report.c), and
 * a maker is shown only if the slot's identity agrees with it. A slot remembers how many losses were known when it came
 * to be; more losses since then make what is not proved by a unique inode doubtful.
 *
 * Memory is bounded by what is open: slots go when their descriptor does, and there are at most MAX_SLOTS. */
#include "engine/out/open_table.h"
#include "engine/base/grow.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { MAX_SUBMITS = 16384, MAX_SLOTS = 4 << 20, MAX_ENDED = 4096, MAX_ENDED_SLOTS = 65536 };

/* --- files and slots --- */

static void file_free(struct open_table *table, struct open_file *file)
{
	if (file->orphan)
		table->orphans[file->orphan - 1] = NULL;
	if (file->indexed)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): with it the table is not empty */
		HASH_DEL(table->files, file);
	open_maker_unref(file->maker);
	free(file->path);
	free(file->local);
	free(file->remote);
	free(file);
}

/* Its last descriptor has gone. It may be on its way in a message, so it is remembered for a while. */
static void file_unref(struct open_table *table, struct open_file *file)
{
	if (--file->refs)
		return;
	if (!file->indexed) {
		file_free(table, file);
		return;
	}
	size_t place = table->next_orphan++ % OPEN_ORPHANS;
	if (table->orphans[place])
		file_free(table, table->orphans[place]);
	table->orphans[place] = file;
	file->orphan = place + 1;
}

static void file_ref(struct open_table *table, struct open_file *file)
{
	file->refs++;
	if (file->orphan)
		table->orphans[file->orphan - 1] = NULL;
	file->orphan = 0;
}

/* What was found at this address before has been freed, whatever we know. */
static void file_index(struct open_table *table, struct open_file *file, uint64_t address)
{
	struct open_file *old;
	if (!address || file->indexed)
		return;
	HASH_FIND(hh, table->files, &address, sizeof(address), old);
	if (old && old->orphan) {
		file_free(table, old);
	} else if (old) {
		HASH_DEL(table->files, old);
		old->indexed = false;
	}
	file->file = address;
	HASH_ADD(hh, table->files, file, sizeof(address), file);
	file->indexed = file->hh.tbl != NULL;
}

static struct open_file *file_new(struct open_table *table, uint64_t inode, uint64_t address, enum descriptor_kind kind)
{
	struct open_file *file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->inode = inode;
	file->kind = (uint8_t)kind;
	file->lost = table->lost;
	file_index(table, file, address);
	return file;
}

/* Whether what is at an orphan's address and has its inode is the same file. While no descriptor that we know stands for
 * it, it may have gone and the address be somebody else's: only if we saw all there is, or the inode is unique, we know. */
static bool is_provable(const struct open_table *table, const struct open_file *file)
{
	if (file->inode && (file->kind == DESCRIPTOR_SOCKET || file->kind == DESCRIPTOR_PIPE))
		return true;
	return table->all && file->lost == table->lost;
}

static struct open_file *file_find(struct open_table *table, uint64_t address, uint64_t inode)
{
	struct open_file *file = NULL;
	if (address)
		HASH_FIND(hh, table->files, &address, sizeof(address), file);
	if (!file || (inode && file->inode && file->inode != inode))
		return NULL;
	return !file->orphan || is_provable(table, file) ? file : NULL;
}

static struct open_slot *slot_find(const struct open_fds *fds, int fd)
{
	struct open_slot *slot;
	HASH_FIND_INT(fds->slots, &fd, slot);
	return slot;
}

static void slot_drop(struct open_table *table, struct open_fds *fds, struct open_slot *slot)
{
	HASH_DEL(fds->slots, slot);
	open_maker_unref(slot->maker);
	file_unref(table, slot->file);
	free(slot);
	table->slots--;
}

/* A slot for a file, in place of what had the number before. The maker's reference passes to it. NULL: no memory. */
static struct open_slot *slot_add(
        struct open_table *table, struct open_fds *fds, int fd, struct open_file *file, struct open_maker *maker)
{
	struct open_slot *old = slot_find(fds, fd);
	struct open_slot *slot = table->slots < MAX_SLOTS ? calloc(1, sizeof(*slot)) : NULL;
	file_ref(table, file); /* before the old one goes: it may be the same */
	if (old)
		slot_drop(table, fds, old);
	if (slot) {
		slot->fd = fd;
		slot->file = file;
		slot->maker = maker;
		slot->lost = table->lost;
		HASH_ADD_INT(fds->slots, fd, slot);
	}
	if (slot && slot->hh.tbl) {
		table->slots++;
		return slot;
	}
	free(slot);
	open_maker_unref(maker);
	file_unref(table, file);
	fds->partial = true;
	table->dropped++;
	return NULL;
}

/* --- processes --- */

static void fds_unref(struct open_table *table, struct open_fds *fds)
{
	struct open_slot *slot, *next;
	if (!fds || --fds->refs)
		return;
	HASH_ITER (hh, fds->slots, slot, next)
		slot_drop(table, fds, slot);
	free(fds);
}

static struct open_fds *fds_new(void)
{
	struct open_fds *fds = calloc(1, sizeof(*fds));
	if (fds)
		fds->refs = 1;
	return fds;
}

/* A child's table, or that of who no longer shares one. */
static struct open_fds *fds_copy(struct open_table *table, const struct open_fds *from, pid_t parent)
{
	struct open_fds *copy = fds_new();
	if (!copy)
		return NULL;
	copy->partial = from->partial;
	for (struct open_slot *slot = from->slots; slot; slot = slot->hh.next) {
		struct open_slot *mine = slot_add(table, copy, slot->fd, slot->file, open_maker_ref(slot->maker));
		if (!mine)
			continue;
		mine->how = parent ? OPEN_INHERITED : slot->how;
		mine->from = parent && slot->how != OPEN_INHERITED ? (uint32_t)parent : slot->from;
		mine->cloexec = slot->cloexec;
		mine->lost = slot->lost;
	}
	return copy;
}

struct open_process *open_table_process(const struct open_table *table, pid_t pid)
{
	struct open_process *process;
	HASH_FIND_INT(table->processes, &pid, process);
	return process;
}

const struct open_slot *open_process_slot(const struct open_process *process, int fd)
{
	return process ? slot_find(process->fds, fd) : NULL;
}

static void process_free(struct open_table *table, struct open_process *process)
{
	fds_unref(table, process->fds);
	free(process);
}

static void process_forget(struct open_table *table, struct open_process *process)
{
	HASH_DEL(table->processes, process);
	process_free(table, process);
}

/* Takes over the reference to `fds`; NULL: out of memory. */
static struct open_process *process_add(struct open_table *table, pid_t pid, struct open_fds *fds)
{
	struct open_process *process = fds ? calloc(1, sizeof(*process)) : NULL;
	if (process) {
		process->pid = pid;
		process->fds = fds;
		HASH_ADD_INT(table->processes, pid, process);
	}
	if (process && process->hh.tbl)
		return process;
	free(process);
	if (fds)
		fds_unref(table, fds);
	table->dropped++;
	return NULL;
}

static struct open_process *process_get(struct open_table *table, pid_t pid)
{
	struct open_process *process = open_table_process(table, pid);
	return process ? process : process_add(table, pid, fds_new());
}

/* A thread may have a table of its own (CLONE_THREAD without CLONE_FILES, unshare()): then it is in here by its own number,
 * which no process has. */
static struct open_process *process_of(struct open_table *table, const struct rille_record *record)
{
	struct open_process *thread = record->tid != record->pid ? open_table_process(table, (pid_t)record->tid) : NULL;
	return thread ? thread : process_get(table, (pid_t)record->pid);
}

static void set_comm(struct open_process *process, const char *comm)
{
	memcpy(process->comm, comm, sizeof(process->comm));
	process->comm[sizeof(process->comm) - 1] = 0;
}

/* --- what events do --- */

static void set_path(struct open_file *file, const struct value *path)
{
	if (!path->missing && path->kind == VALUE_STR && path->len && !file->path)
		file->path = strndup((const char *)path->data, path->len);
}

static void apply_new(
        struct open_table *table, struct open_process *process, const struct open_fact *fact, struct open_maker *maker)
{
	for (size_t i = 0; i < fact->n; i++) {
		if (fact->fd[i] < 0 || fact->fd[i] > INT32_MAX)
			continue;
		struct open_file *file = file_new(table, fact->inode[i], fact->file[i], fact->kind);
		if (!file) {
			table->dropped++;
			continue;
		}
		file->maker = open_maker_ref(maker);
		file->family = fact->family;
		file->type = fact->type;
		if (fact->n == 1)
			set_path(file, &fact->path);
		struct open_slot *slot = slot_add(table, process->fds, (int)fact->fd[i], file, open_maker_ref(maker));
		if (slot)
			slot->cloexec = fact->cloexec;
	}
}

/* The file that a new descriptor stands for: found by its address, else where it was duplicated from. One that nobody
 * knows is made up: there is a file, whose maker was not seen. */
static struct open_file *file_of(
        struct open_table *table, struct open_process *process, const struct open_fact *fact, size_t i)
{
	struct open_file *file = file_find(table, fact->file[i], fact->inode[i]);
	if (file)
		return file;
	/* pidfd_getfd()'s is a number of another process. */
	bool here = fact->has_from && strcmp(fact->call, "pidfd_getfd") != 0;
	struct open_slot *from = here ? slot_find(process->fds, (int)fact->from) : NULL;
	bool same = from && (!from->file->file || !fact->file[i] || from->file->file == fact->file[i]);
	/* Of what was open before we have stat(2)'s inode, which need not be the kernel's. */
	if (same && !from->file->before)
		same = !fact->inode[i] || !from->file->inode || fact->inode[i] == from->file->inode;
	if (same) {
		if (!from->file->inode)
			from->file->inode = fact->inode[i];
		file_index(table, from->file, fact->file[i]);
		return from->file;
	}
	return file_new(table, fact->inode[i], fact->file[i], DESCRIPTOR_UNKNOWN);
}

static bool is_completion(const struct open_fact *fact)
{
	return fact->req || fact->ring;
}

/* In a message, or taken out of another process. */
static bool is_from_elsewhere(const struct open_fact *fact)
{
	return fact->received || strcmp(fact->call, "pidfd_getfd") == 0;
}

static void apply_dup(
        struct open_table *table, struct open_process *process, const struct open_fact *fact, struct open_maker *maker)
{
	for (size_t i = 0; i < fact->n; i++) {
		if (fact->fd[i] < 0 || fact->fd[i] > INT32_MAX)
			continue;
		struct open_file *file = file_of(table, process, fact, i);
		if (!file) {
			table->dropped++;
			continue;
		}
		struct open_slot *slot = slot_add(table, process->fds, (int)fact->fd[i], file, open_maker_ref(maker));
		if (!slot)
			continue;
		slot->how = is_from_elsewhere(fact) ? OPEN_RECEIVED : OPEN_DUP;
		slot->cloexec = fact->cloexec;
	}
}

/* Told before it happens: whatever has the number is about to lose it. */
static void apply_close(struct open_table *table, struct open_process *process, const struct open_fact *fact)
{
	for (size_t i = 0; i < fact->n; i++) {
		struct open_slot *slot = slot_find(process->fds, (int)fact->fd[i]);
		if (slot)
			slot_drop(table, process->fds, slot);
	}
}

/* The table that others have as well becomes the process's own. */
static bool unshare(struct open_table *table, struct open_process *process)
{
	struct open_fds *own = process->fds->refs > 1 ? fds_copy(table, process->fds, 0) : process->fds;
	if (own && own != process->fds) {
		fds_unref(table, process->fds);
		process->fds = own;
	}
	return own != NULL;
}

static void apply_range(struct open_table *table, struct open_process *process, const struct open_fact *fact)
{
	struct open_slot *slot, *next;
	uint32_t first = (uint32_t)fact->first, last = (uint32_t)fact->last;
	if (fact->flags & CLOSE_RANGE_UNSHARE && !unshare(table, process))
		return;
	HASH_ITER (hh, process->fds->slots, slot, next) {
		if ((uint32_t)slot->fd < first || (uint32_t)slot->fd > last)
			continue;
		if (fact->flags & CLOSE_RANGE_CLOEXEC)
			slot->cloexec = true;
		else
			slot_drop(table, process->fds, slot);
	}
}

static void apply_unshare(struct open_table *table, struct open_process *process, const struct rille_record *record)
{
	struct open_fds *own;
	if (record->tid == record->pid || process->pid == (pid_t)record->tid)
		unshare(table, process);
	else if ((own = fds_copy(table, process->fds, 0)))
		process_add(table, (pid_t)record->tid, own);
}

/* A child that was heard of before its fork was (events of other CPUs) keeps what it made itself. */
static void apply_fork(struct open_table *table, struct open_process *parent, const struct open_fact *fact)
{
	if (table->alone || !fact->has_child || fact->child <= 0 || fact->child == parent->pid)
		return;
	struct open_process *old = open_table_process(table, (pid_t)fact->child);
	if (old)
		process_forget(table, old); /* the number was somebody else's */
	struct open_fds *fds = parent->fds;
	if (fact->shared)
		fds->refs++;
	else
		fds = fds_copy(table, fds, parent->pid);
	struct open_process *child = process_add(table, (pid_t)fact->child, fds);
	if (child)
		memcpy(child->comm, parent->comm, sizeof(child->comm));
}

/* What is marked so goes; a table that was shared becomes the process's own. */
static void apply_exec(struct open_table *table, struct open_process *process)
{
	struct open_slot *slot, *next;
	if (!unshare(table, process))
		return;
	HASH_ITER (hh, process->fds->slots, slot, next)
		if (slot->cloexec)
			slot_drop(table, process->fds, slot);
}

bool open_slot_is_told(const struct open_process *process, const struct open_slot *slot)
{
	return process->target || (slot->maker && slot->how != OPEN_INHERITED);
}

static bool is_told(const struct open_process *process)
{
	for (const struct open_slot *slot = process->fds->slots; slot; slot = slot->hh.next)
		if (open_slot_is_told(process, slot))
			return true;
	return false;
}

/* Kept as it was for the report; of a table that others still have, nothing ended. */
static void apply_exit(struct open_table *table, struct open_process *process, const struct event *event)
{
	size_t n = HASH_COUNT(process->fds->slots);
	bool told = process->fds->refs == 1 && (process->target || !table->all) && is_told(process);
	bool room = table->nended < MAX_ENDED && (!table->ended_slots || table->ended_slots + n <= MAX_ENDED_SLOTS);
	HASH_DEL(table->processes, process);
	if (told && room && grow(&table->ended, &table->ended_cap, table->nended + 1, sizeof(*table->ended)) == 0) {
		table->ended[table->nended++] = (struct open_ended){process, event->wall_nsecs, event->record->nsecs};
		table->ended_slots += n;
		return;
	}
	table->ended_dropped += told;
	process_free(table, process);
}

static void set_address(uint8_t **to, const struct value *address)
{
	if (address->missing || address->kind != VALUE_SOCKADDR || !address->len || address->len > UINT8_MAX)
		return;
	uint8_t *copy = malloc(address->len + 1);
	if (!copy)
		return;
	copy[0] = (uint8_t)address->len;
	memcpy(copy + 1, address->data, address->len);
	free(*to);
	*to = copy;
}

static void apply_note(struct open_process *process, const struct open_fact *fact)
{
	struct open_slot *slot = fact->n ? slot_find(process->fds, (int)fact->fd[0]) : NULL;
	if (!slot)
		return;
	if (fact->has_cloexec)
		slot->cloexec = fact->cloexec;
	if (strcmp(fact->call, "bind") == 0)
		set_address(&slot->file->local, &fact->addr);
	else if (strcmp(fact->call, "connect") == 0)
		set_address(&slot->file->remote, &fact->addr);
	else if (strcmp(fact->call, "listen") == 0)
		slot->file->listens = true;
}

/* --- io_uring: who submitted is not who completes --- */

static struct open_submit_key key_of(const struct open_fact *fact)
{
	return (struct open_submit_key){fact->ring, fact->user_data};
}

static void submit_drop(struct open_table *table, struct open_submit *submit)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): with it the table is not empty */
	HASH_DELETE(by_req, table->submits_by_req, submit);
	if (submit->by_data.tbl)
		HASH_DELETE(by_data, table->submits_by_data, submit);
	DL_DELETE(table->submits, submit);
	open_maker_unref(submit->maker);
	free(submit);
}

static struct open_submit *find_by_req(const struct open_table *table, uint64_t req)
{
	struct open_submit *submit;
	HASH_FIND(by_req, table->submits_by_req, &req, sizeof(req), submit);
	return submit;
}

static struct open_submit *find_by_data(const struct open_table *table, const struct open_fact *fact)
{
	struct open_submit_key key = key_of(fact);
	struct open_submit *submit;
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): a struct read as bytes */
	HASH_FIND(by_data, table->submits_by_data, &key, sizeof(key), submit);
	return submit;
}

/* A completion names its request; of a request that goes on (multishot) only what the program calls it. */
static struct open_submit *submit_find(const struct open_table *table, const struct open_fact *fact)
{
	return fact->req ? find_by_req(table, fact->req) : find_by_data(table, fact);
}

/* By what the program calls it, the last one of that name is found. */
static void index_by_data(struct open_table *table, struct open_submit *submit, const struct open_fact *fact)
{
	struct open_submit *old = find_by_data(table, fact);
	if (old) {
		HASH_DELETE(by_data, table->submits_by_data, old);
		old->by_data.tbl = NULL;
	}
	HASH_ADD(by_data, table->submits_by_data, key, sizeof(submit->key), submit);
}

/* One that fails has no completion that we see: the oldest makes room. */
static void apply_submit(struct open_table *table, const struct open_fact *fact, struct event *event)
{
	struct open_submit *submit = find_by_req(table, fact->req);
	if (submit)
		submit_drop(table, submit);
	if (HASH_CNT(by_req, table->submits_by_req) >= MAX_SUBMITS)
		submit_drop(table, table->submits);
	submit = calloc(1, sizeof(*submit));
	struct open_maker *maker = submit ? open_maker_new(table, event) : NULL;
	if (submit) {
		submit->req = fact->req;
		submit->key = key_of(fact);
		submit->maker = maker;
	}
	if (maker)
		HASH_ADD(by_req, table->submits_by_req, req, sizeof(submit->req), submit);
	if (!maker || !submit->by_req.tbl) {
		open_maker_unref(maker);
		free(submit);
		table->dropped++;
		return;
	}
	DL_APPEND(table->submits, submit);
	index_by_data(table, submit, fact);
}

/* Who made what the event tells: its own thread, or who submitted it (and may have asked for many, so that it stays). The
 * caller has a reference. */
static struct open_maker *maker_of(struct open_table *table, const struct open_fact *fact, struct event *event)
{
	struct open_submit *submit = is_completion(fact) ? submit_find(table, fact) : NULL;
	if (!submit)
		return open_maker_new(table, event);
	return open_maker_again(submit->maker, event);
}

static void apply_made(
        struct open_table *table, struct open_process *process, const struct open_fact *fact, struct event *event)
{
	struct open_maker *maker = maker_of(table, fact, event);
	if (!maker)
		table->dropped++;
	if (fact->op == OP_NEW)
		apply_new(table, process, fact, maker);
	else
		apply_dup(table, process, fact, maker);
	open_maker_unref(maker);
}

void open_table_event(struct open_table *table, struct event *event)
{
	struct open_fact fact;
	if (!open_fact_read(table, event, &fact))
		return;
	struct open_process *process = process_of(table, event->record);
	if (!process)
		return;
	if (process->pid == (pid_t)event->record->tid)
		set_comm(process, event->record->comm);
	switch (fact.op) {
	case OP_NEW:
	case OP_DUP:
		apply_made(table, process, &fact, event);
		break;
	case OP_CLOSE:
		apply_close(table, process, &fact);
		break;
	case OP_RANGE:
		apply_range(table, process, &fact);
		break;
	case OP_UNSHARE:
		apply_unshare(table, process, event->record);
		break;
	case OP_SUBMIT:
		apply_submit(table, &fact, event);
		break;
	case OP_FORK:
		apply_fork(table, process, &fact);
		break;
	case OP_EXEC:
		apply_exec(table, process);
		break;
	case OP_EXIT:
		apply_exit(table, process, event);
		break;
	case OP_NOTE:
		apply_note(process, &fact);
		break;
	case OP_NONE:
		break;
	}
}

/* --- from outside --- */

void open_table_known(struct open_table *table, const struct descriptors *list, bool target)
{
	struct open_process *process = process_get(table, list->pid);
	if (!process)
		return;
	process->target |= target;
	memcpy(process->comm, list->comm, sizeof(process->comm));
	for (size_t i = 0; i < list->n; i++) {
		const struct descriptor *descriptor = &list->list[i];
		if (slot_find(process->fds, descriptor->fd))
			continue;
		struct open_file *file = file_new(table, descriptor->inode, 0, (enum descriptor_kind)descriptor->kind);
		if (!file) {
			table->dropped++;
			continue;
		}
		const char *path = descriptor_path(list, descriptor);
		file->before = true;
		file->path = path ? strdup(path) : NULL;
		slot_add(table, process->fds, descriptor->fd, file, NULL);
	}
}

void open_table_forget_ended(struct open_table *table)
{
	for (size_t i = 0; i < table->nended; i++)
		process_free(table, table->ended[i].process);
	table->nended = table->ended_slots = 0;
	table->ended_dropped = 0;
}

/* The event of its end may be on its way: only who is not there twice is dropped. */
void open_table_sweep(struct open_table *table)
{
	struct open_process *process, *next;
	HASH_ITER (hh, table->processes, process, next) {
		process->gone = kill(process->pid, 0) < 0 && errno == ESRCH ? process->gone + 1 : 0;
		if (process->gone > 1)
			process_forget(table, process);
	}
}

void open_table_fini(struct open_table *table)
{
	struct open_process *process, *next;
	open_table_forget_ended(table);
	HASH_ITER (hh, table->processes, process, next)
		process_forget(table, process);
	while (table->submits)
		submit_drop(table, table->submits);
	for (size_t i = 0; i < OPEN_ORPHANS; i++)
		if (table->orphans[i])
			file_free(table, table->orphans[i]);
	open_sites_fini(table);
	open_fields_fini(table);
	free(table->ended);
	memset(table, 0, sizeof(*table));
}
