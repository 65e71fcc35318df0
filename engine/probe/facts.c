/* A memo of what the running kernel answered, kept on disk.
 *
 * Opening BTF or tracefs costs milliseconds and megabytes, and the same script asks the same questions at every start.
 * So question and answer are remembered: here in a hash table, and between runs in one entry of the user's cache
 * (cache.c, which sees to owner, mode and checksum).
 *
 * Facts hold for one boot of one kernel: the entry's name is a hash over the release and version, the build id in the
 * kernel's notes, the boot id, and the modules with their addresses, because a module that is loaded anew gets other
 * tracepoint ids. What this program's answers look like is in there as well. When anything of that changes, the entry
 * is simply not found, and is dropped from the cache as the longest unread.
 *
 * The entry: per fact the lengths of question and answer as u32, the question with its NUL, the answer. */
#include "engine/probe/facts.h"
#include "engine/base/text.h"
#include "engine/probe/cache.h"
#include "engine/probe/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define uthash_nonfatal_oom(fact) ((fact)->unlinked = true)
#include <uthash.h>

enum { MAX_FACTS_BYTES = 4 << 20, VERSION = 1 };

struct fact {
	UT_hash_handle hh;
	bool unlinked; /* there was no memory to put it into the table */
	size_t len;
	const void *answer; /* behind the question */
	char question[];
};

struct facts {
	char *dir;
	const struct logger *log;
	bool loaded, grown;
	int fd;       /* of the cache directory, -1 if there is none */
	char key[65]; /* this kernel's entry */
	size_t bytes;
	struct fact *table;
};

struct fact_head {
	uint32_t question_len, answer_len;
};

/* --- which kernel this is --- */

static void add_file(struct text *identity, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char chunk[1024];
	for (ssize_t n; fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0;)
		text_add(identity, chunk, (size_t)n);
	if (fd >= 0)
		close(fd);
	text_addc(identity, '\0');
}

/* "overlay 151552 2 - Live 0xffffffffc0a0e000": the use count and the users change all the time, the rest does not. */
static void add_modules(struct text *identity)
{
	char name[64], address[32];
	unsigned long size;
	char line[4096];
	FILE *f = fopen("/proc/modules", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %lu %*s %*s %*s %31s", name, &size, address) == 3)
			text_printf(identity, "%s %lu %s\n", name, size, address);
	if (f)
		fclose(f);
}

static int name_entry(struct facts *facts)
{
	struct text identity = {0};
	struct utsname uts;
	if (uname(&uts))
		return -errno;
	text_printf(&identity, "rille facts %d %zu %zu\n%s\n%s\n%s\n", VERSION, sizeof(struct ktype),
	        sizeof(struct kmember), uts.release, uts.version, uts.machine);
	add_file(&identity, "/sys/kernel/notes");
	add_file(&identity, "/proc/sys/kernel/random/boot_id");
	add_modules(&identity);
	int r = text_failed(&identity) ? -ENOMEM : 0;
	const void *part = text_str(&identity);
	cache_key(facts->key, &part, &identity.len, 1);
	text_fini(&identity);
	return r;
}

/* --- the table --- */

static struct fact *find(struct facts *facts, const char *question)
{
	struct fact *fact;
	HASH_FIND_STR(facts->table, question, fact);
	return fact;
}

static void add(struct facts *facts, const char *question, const void *answer, size_t len)
{
	size_t question_size = strlen(question) + 1;
	if (len > MAX_FACTS_BYTES || facts->bytes + question_size + len > MAX_FACTS_BYTES || find(facts, question))
		return;
	size_t start = (question_size + 7) & ~(size_t)7; /* answers are structs */
	struct fact *fact = calloc(1, sizeof(*fact) + start + len);
	if (!fact)
		return;
	memcpy(fact->question, question, question_size);
	fact->answer = memcpy(fact->question + start, answer, len);
	fact->len = len;
	HASH_ADD_KEYPTR(hh, facts->table, fact->question, question_size - 1, fact);
	if (fact->unlinked)
		free(fact);
	else
		facts->bytes += question_size + len;
}

/* --- the entry --- */

static void unpack(struct facts *facts, const char *data, size_t len)
{
	struct fact_head head;
	for (size_t at = 0; len - at >= sizeof(head);) {
		memcpy(&head, data + at, sizeof(head));
		at += sizeof(head);
		size_t room = len - at, size = (size_t)head.question_len + head.answer_len;
		if (!head.question_len || size > room || data[at + head.question_len - 1])
			return;
		add(facts, data + at, data + at + head.question_len, head.answer_len);
		at += size;
	}
}

/* At the first question, so that a catalog that is never asked costs nothing. */
static void load(struct facts *facts)
{
	struct err err;
	char *path = NULL;
	void *data;
	size_t len;
	facts->loaded = true;
	if (!facts->dir)
		return;
	if (cache_open(facts->dir, &path, &facts->fd, &err)) {
		log_info(facts->log, "no memo of the kernel's types: %s", err.message);
		return;
	}
	free(path);
	if (name_entry(facts)) {
		close(facts->fd);
		facts->fd = -1;
		return;
	}
	int r = cache_get(facts->fd, facts->key, &data, &len);
	if (r) {
		log_debug(facts->log, "memo of the kernel's types: %s", strerror(-r));
		return;
	}
	unpack(facts, data, len);
	log_debug(facts->log, "memo of the kernel's types: %u facts, %zu bytes", HASH_COUNT(facts->table), len);
	free(data);
}

void facts_save(struct facts *facts)
{
	struct text packed = {0};
	if (!facts->grown || facts->fd < 0)
		return;
	facts->grown = false;
	for (struct fact *f = facts->table; f; f = f->hh.next) {
		size_t question_len = strlen(f->question) + 1;
		struct fact_head head = {(uint32_t)question_len, (uint32_t)f->len};
		text_add(&packed, &head, sizeof(head));
		text_add(&packed, f->question, question_len);
		text_add(&packed, f->answer, f->len);
	}
	int r = text_failed(&packed) ? -ENOMEM : cache_put(facts->fd, facts->key, packed.data, packed.len, 0);
	if (r)
		log_info(facts->log, "the memo of the kernel's types was not saved: %s", strerror(-r));
	text_fini(&packed);
}

/* --- what others call --- */

struct facts *facts_new(const char *dir, const struct logger *log)
{
	struct facts *facts = calloc(1, sizeof(*facts));
	if (!facts)
		return NULL;
	facts->fd = -1;
	facts->log = log;
	facts->dir = dir ? strdup(dir) : NULL;
	if (dir && !facts->dir) {
		free(facts);
		return NULL;
	}
	return facts;
}

const void *facts_get(struct facts *facts, const char *question, size_t *ret_len)
{
	if (!facts->loaded)
		load(facts);
	struct fact *fact = find(facts, question);
	if (!fact)
		return NULL;
	*ret_len = fact->len;
	return fact->answer;
}

void facts_put(struct facts *facts, const char *question, const void *answer, size_t len)
{
	if (!facts->loaded)
		load(facts);
	if (find(facts, question))
		return;
	add(facts, question, answer, len);
	facts->grown = true;
}

void facts_free(struct facts *facts)
{
	if (!facts)
		return;
	if (facts->fd >= 0)
		close(facts->fd);
	struct fact *fact, *next;
	HASH_ITER (hh, facts->table, fact, next) {
		HASH_DEL(facts->table, fact);
		free(fact);
	}
	free(facts->dir);
	free(facts);
}
