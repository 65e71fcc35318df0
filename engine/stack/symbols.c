/* A libjvm has 20 MB of symbol tables and a stack needs some ten names of it. So the tables are read through once and
 * only sixteen bytes a function are kept, sorted by address; a name is read from the file when it is first asked for.
 *
 * Which tables: .symtab if the file has it. Else the separate debug file's .symtab, or, where none is installed,
 * .dynsym and .gnu_debugdata together, which are made to complement each other.
 *
 * A name is given only inside the symbol's [value, value + size). Where functions nest the innermost one wins. Symbols
 * without a size (hand-written assembly) reach to the next symbol or the end of their section, but never win over one
 * that has a size. Of several names of one function that one is given which a user would write: exported over
 * local, fewer leading underscores, then the shorter (`socketpair`, not `__socketpair`). */
#include "engine/stack/symbols.h"

#include "engine/base/grow.h"
#include "engine/stack/arena.h"
#include "engine/stack/debugfile.h"
#include "engine/stack/demangle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TABLES = 4,   /* a string table each */
	BATCH = 1024, /* symbols read at once */
	MAX_SYMBOLS = 8 << 20,
	NAME_MAX_LEN = 4096,
	MAX_ALIASES = 64,
};

/* Offsets from the lowest address of the file: a module is smaller than 4 GB. */
struct indexed {
	uint32_t start, end;
	uint32_t reach;     /* the furthest end of this and all earlier ones: how far back a search must look */
	uint32_t name : 28; /* in the table's strings; a longer table's names are not kept */
	uint32_t table : 2;
	uint32_t local : 1;
	uint32_t guessed : 1; /* it had no size */
};
enum { NAME_OFFSETS = 1 << 28 };

struct strings {
	const struct elf_file *elf;
	uint64_t offset, size;
};

struct symbols {
	const struct elf_file *elf;
	struct elf_file debug, debugdata;
	uint64_t base;
	struct strings strings[TABLES];
	size_t nstrings;
	struct indexed *index;
	size_t n, cap;
	struct symbol **made; /* by the index's number; NULL = name not read yet */
	struct arena arena;
};

static uint64_t lowest_va(const struct elf_file *elf)
{
	uint64_t lowest = elf->nsegments ? elf->segments[0].va : 0;
	for (size_t i = 1; i < elf->nsegments; i++)
		if (elf->segments[i].va < lowest)
			lowest = elf->segments[i].va;
	return lowest;
}

static bool is_function(const Elf64_Sym *symbol, const struct elf_section *sections, size_t nsections)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);
	if (symbol->st_shndx == SHN_UNDEF || !symbol->st_name)
		return false;
	if (type == STT_FUNC || type == STT_GNU_IFUNC)
		return true;
	/* Labels of assembly: only in code, and none of the mapping marks that some assemblers leave. */
	return type == STT_NOTYPE && symbol->st_shndx < nsections && sections[symbol->st_shndx].flags & SHF_EXECINSTR;
}

/* Where a symbol without a size must end at the latest. */
static uint64_t section_end(const Elf64_Sym *symbol, const struct elf_section *sections, size_t nsections)
{
	if (symbol->st_shndx >= nsections)
		return symbol->st_value;
	const struct elf_section *section = &sections[symbol->st_shndx];
	return section->va + section->size;
}

static int add_symbol(struct symbols *symbols, const Elf64_Sym *symbol, const struct elf_section *sections,
        size_t nsections, unsigned table)
{
	bool guessed = !symbol->st_size;
	uint64_t end = guessed ? section_end(symbol, sections, nsections) : symbol->st_value + symbol->st_size;
	uint64_t start = symbol->st_value - symbols->base;
	end -= symbols->base;
	if (symbol->st_value < symbols->base || end <= start || end > UINT32_MAX || symbol->st_name >= NAME_OFFSETS)
		return 0;
	if (grow(&symbols->index, &symbols->cap, symbols->n + 1, sizeof(*symbols->index)))
		return -ENOMEM;
	symbols->index[symbols->n++] = (struct indexed){
	        .start = start,
	        .end = end,
	        .name = symbol->st_name,
	        .table = table,
	        .local = ELF64_ST_BIND(symbol->st_info) == STB_LOCAL,
	        .guessed = guessed,
	};
	return 0;
}

static int add_table(struct symbols *symbols, const struct elf_file *elf, const struct elf_section *sections,
        size_t nsections, const struct elf_section *table)
{
	if (table->link >= nsections || table->entry_size != sizeof(Elf64_Sym) || symbols->nstrings == TABLES)
		return 0;
	unsigned number = symbols->nstrings++;
	const struct elf_section *strings = &sections[table->link];
	symbols->strings[number] = (struct strings){elf, strings->offset, strings->size};
	size_t n = table->size / sizeof(Elf64_Sym);
	if (n > MAX_SYMBOLS)
		n = MAX_SYMBOLS;
	Elf64_Sym *batch = malloc(BATCH * sizeof(*batch));
	int r = batch ? 0 : -ENOMEM;
	for (size_t at = 0; !r && at < n; at += BATCH) {
		size_t count = n - at < BATCH ? n - at : BATCH;
		if (elf_read(elf, table->offset + at * sizeof(*batch), batch, count * sizeof(*batch)))
			break;
		for (size_t i = 0; !r && i < count; i++)
			if (is_function(&batch[i], sections, nsections))
				r = add_symbol(symbols, &batch[i], sections, nsections, number);
	}
	free(batch);
	return r;
}

/* Adds the tables of that type: how many, or -ENOMEM. */
static int add_tables(struct symbols *symbols, const struct elf_file *elf, uint32_t type)
{
	size_t n;
	int r = 0, found = 0;
	struct elf_section *sections = elf_sections(elf, &n);
	for (size_t i = 0; !r && i < n; i++) {
		if (sections[i].type != type)
			continue;
		r = add_table(symbols, elf, sections, n, &sections[i]);
		found++;
	}
	free(sections);
	return r ? r : found;
}

static int load_tables(struct symbols *symbols, const char *path, const char *debug_root)
{
	int r = add_tables(symbols, symbols->elf, SHT_SYMTAB);
	if (r)
		return r;
	int fd = debugfile_open(symbols->elf, path, debug_root);
	if (fd >= 0 && !elf_open(&symbols->debug, fd)) {
		r = add_tables(symbols, &symbols->debug, SHT_SYMTAB);
		if (r)
			return r;
	}
	r = add_tables(symbols, symbols->elf, SHT_DYNSYM);
	if (r >= 0 && !debugdata_open(symbols->elf, &symbols->debugdata))
		r = add_tables(symbols, &symbols->debugdata, SHT_SYMTAB);
	return r;
}

/* By start; at the same start the longer first, so that the innermost is the last that covers an address. */
static int by_start(const void *a, const void *b)
{
	const struct indexed *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end > y->end ? -1 : x->end < y->end;
}

static void finish_index(struct symbols *symbols)
{
	if (symbols->n)
		qsort(symbols->index, symbols->n, sizeof(*symbols->index), by_start);
	/* A guessed end stops at the next start. */
	uint32_t next = UINT32_MAX;
	for (size_t i = symbols->n; i-- > 0;) {
		struct indexed *symbol = &symbols->index[i];
		if (i + 1 < symbols->n && symbols->index[i + 1].start > symbol->start)
			next = symbols->index[i + 1].start;
		if (symbol->guessed && symbol->end > next)
			symbol->end = next;
	}
	uint32_t reach = 0;
	for (size_t i = 0; i < symbols->n; i++) {
		reach = symbols->index[i].end > reach ? symbols->index[i].end : reach;
		symbols->index[i].reach = reach;
	}
	struct indexed *fit = symbols->n ? realloc(symbols->index, symbols->n * sizeof(*fit)) : NULL;
	if (fit)
		symbols->index = fit;
}

struct symbols *symbols_load(const struct elf_file *elf, const char *path, const char *debug_root)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	if (!symbols)
		return NULL;
	symbols->elf = elf;
	symbols->debug.fd = symbols->debugdata.fd = -1;
	symbols->base = lowest_va(elf);
	if (load_tables(symbols, path, debug_root) < 0) {
		symbols_free(symbols);
		return NULL;
	}
	finish_index(symbols);
	symbols->made = calloc(symbols->n + 1, sizeof(*symbols->made));
	if (!symbols->made) {
		symbols_free(symbols);
		return NULL;
	}
	return symbols;
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	elf_close(&symbols->debug);
	elf_close(&symbols->debugdata);
	arena_fini(&symbols->arena);
	free(symbols->index);
	free(symbols->made);
	free(symbols);
}

/* The number of the innermost symbol that covers the offset, -1 = none. One that had a size wins over a guess. */
static ssize_t find(const struct symbols *symbols, uint32_t offset)
{
	size_t past = 0;
	for (size_t end = symbols->n; past < end;) {
		size_t middle = past + (end - past) / 2;
		if (symbols->index[middle].start <= offset)
			past = middle + 1;
		else
			end = middle;
	}
	ssize_t guess = -1;
	for (size_t i = past; i-- > 0 && symbols->index[i].reach > offset;) {
		if (symbols->index[i].end <= offset)
			continue;
		if (!symbols->index[i].guessed)
			return i;
		if (guess < 0)
			guess = i;
	}
	return guess;
}

/* Cuts the version that linkers put behind a name ("@@GLIBC_2.34"). */
static void cut_version(char *name)
{
	char *at = strchr(name, '@');
	if (at && at != name)
		*at = 0;
}

static bool read_name(const struct symbols *symbols, const struct indexed *symbol, char name[NAME_MAX_LEN])
{
	const struct strings *strings = &symbols->strings[symbol->table];
	if (symbol->name >= strings->size)
		return false;
	uint64_t left = strings->size - symbol->name;
	/* Most names are short: a second read is seldom needed. */
	size_t len = elf_read_some(strings->elf, strings->offset + symbol->name, name, left < 128 ? left : 128);
	if (len == 128 && !memchr(name, 0, len))
		len = elf_read_some(
		        strings->elf, strings->offset + symbol->name, name, left < NAME_MAX_LEN ? left : NAME_MAX_LEN);
	if (!len)
		return false;
	if (!memchr(name, 0, len))
		name[len < NAME_MAX_LEN ? len : NAME_MAX_LEN - 1] = 0;
	cut_version(name);
	return name[0];
}

static size_t underscores(const char *name)
{
	return strspn(name, "_");
}

static bool better(const struct indexed *a, const char *name_a, const struct indexed *b, const char *name_b)
{
	if (a->local != b->local)
		return !a->local;
	if (underscores(name_a) != underscores(name_b))
		return underscores(name_a) < underscores(name_b);
	if (strlen(name_a) != strlen(name_b))
		return strlen(name_a) < strlen(name_b);
	return strcmp(name_a, name_b) < 0;
}

/* The best name of all symbols with the same bounds; `i` is the last of them. */
static bool best_name(const struct symbols *symbols, size_t i, char best[NAME_MAX_LEN])
{
	const struct indexed *chosen = NULL, *last = &symbols->index[i];
	char name[NAME_MAX_LEN];
	for (size_t n = 0; n < MAX_ALIASES; n++, i--) {
		const struct indexed *symbol = &symbols->index[i];
		if (symbol->start != last->start || symbol->end != last->end)
			break;
		if (symbol->guessed == last->guessed && read_name(symbols, symbol, name) &&
		        (!chosen || better(symbol, name, chosen, best))) {
			chosen = symbol;
			memcpy(best, name, strlen(name) + 1);
		}
		if (!i)
			break;
	}
	return chosen;
}

static struct symbol *make(struct symbols *symbols, size_t i)
{
	char name[NAME_MAX_LEN];
	if (!best_name(symbols, i, name))
		return NULL;
	char *readable = demangle(name);
	const char *text = readable ? readable : name;
	struct symbol *symbol = arena_alloc(&symbols->arena, sizeof(*symbol));
	if (symbol) {
		symbol->address = symbols->base + symbols->index[i].start;
		symbol->size = symbols->index[i].end - symbols->index[i].start;
		symbol->name = arena_text(&symbols->arena, text, strlen(text));
	}
	free(readable);
	return symbol && symbol->name ? symbol : NULL;
}

const struct symbol *symbols_find(struct symbols *symbols, uint64_t va)
{
	if (va < symbols->base || va - symbols->base > UINT32_MAX)
		return NULL;
	ssize_t i = find(symbols, va - symbols->base);
	if (i < 0)
		return NULL;
	if (!symbols->made[i])
		symbols->made[i] = make(symbols, i);
	return symbols->made[i];
}
