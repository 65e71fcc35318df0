/* A module is opened when the first address in it is looked at. What costs time (finding the entry of an address,
 * running its program, finding and demangling its symbol) is done once an address: the result is kept in a place, and a
 * stack that was seen before needs one hash lookup a frame. Places are few, since programs call what creates things
 * from few places; should they become many, all are dropped and made anew.
 *
 * [vdso] is not in any file. It is the same code in every process of this machine, ours included, so ours is read: that
 * works for processes that are gone, too. */
#include "engine/stack/module.h"

#include "engine/stack/arena.h"
#include "engine/stack/fde.h"
#include "engine/stack/lines.h"
#include "engine/stack/lookup.h"
#include "engine/stack/place.h"
#include "engine/stack/row.h"
#include "engine/stack/symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

enum { MAX_ATTEMPTS = 16, MAX_PLACES = 32768, FIRST_BUCKETS = 64, VDSO_MAX = 64 << 10 };

struct module {
	struct elf_file elf; /* fd -1 and no image: it could not be read, and is not tried again */
	bool usable;
	unsigned attempts; /* to open it */
	char *path;
	const char *debug_root;
	char build_id[41];
	struct fde_index eh_frame, debug_frame;
	bool debug_frame_made;
	struct symbols *symbols;
	bool symbols_tried;
	struct lines *lines;
	bool lines_tried;
	struct place **buckets; /* by virtual address */
	size_t nbuckets, nplaces;
	struct arena arena; /* places and their rows */
};

static void write_build_id(struct module *module)
{
	for (size_t i = 0; i < module->elf.build_id_len; i++)
		snprintf(module->build_id + 2 * i, 3, "%02x", module->elf.build_id[i]);
}

/* A module that cannot be used is made all the same: it stands for "tried". */
static struct module *module_new(const char *path)
{
	struct module *module = calloc(1, sizeof(*module));
	if (!module)
		return NULL;
	module->elf.fd = -1;
	module->path = strdup(path);
	if (module->path)
		return module;
	free(module);
	return NULL;
}

static void become_usable(struct module *module)
{
	module->usable = true;
	fde_index_eh(&module->eh_frame, &module->elf);
	write_build_id(module);
}

struct module *module_open(int fd, const char *path)
{
	struct module *module = module_new(path);
	if (!module || elf_open(&module->elf, fd)) {
		module_free(module);
		return NULL;
	}
	become_usable(module);
	return module;
}

static int open_vdso(struct module *module)
{
	const uint8_t *ours = (const uint8_t *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *header = (const void *)ours;
	if (!ours)
		return -ENOENT;
	/* The section headers stand at its end. */
	uint64_t size = header->e_shoff + (uint64_t)header->e_shnum * header->e_shentsize;
	uint8_t *image = size <= VDSO_MAX ? malloc(size) : NULL;
	if (!image)
		return -ENOMEM;
	memcpy(image, ours, size);
	return elf_open_image(&module->elf, image, size);
}

/* False if that may go better with another process or later: the one that was asked may be gone, or we may have too
 * many files open. */
static bool try_to_open(struct module *module, struct process *process, const struct mapping *mapping)
{
	int r;
	if (!strcmp(mapping->file->path, "[vdso]")) {
		r = open_vdso(module);
	} else {
		r = process_open_mapping(process, mapping);
		if (r == -ENOENT && mapping->flags & MAPPING_ANON)
			return true;
		if (r < 0)
			return false;
		r = elf_open(&module->elf, r);
	}
	if (!r)
		become_usable(module);
	return true;
}

struct module *module_of(struct process *process, const struct mapping *mapping)
{
	struct mapped_file *file = mapping->file;
	struct module *module = file->module;
	if (!module)
		module = file->module = module_new(file->path);
	if (!module)
		return NULL;
	if (module->attempts < MAX_ATTEMPTS && !module->usable)
		module->attempts = try_to_open(module, process, mapping) ? MAX_ATTEMPTS : module->attempts + 1;
	return module->usable ? module : NULL;
}

void module_free(void *ptr)
{
	struct module *module = ptr;
	if (!module)
		return;
	lines_free(module->lines);
	symbols_free(module->symbols);
	fde_index_fini(&module->eh_frame);
	fde_index_fini(&module->debug_frame);
	elf_close(&module->elf);
	arena_fini(&module->arena);
	free(module->buckets);
	free(module->path);
	free(module);
}

void module_set_debug_root(struct module *module, const char *debug_root)
{
	module->debug_root = debug_root;
}

uint64_t module_address(const struct module *module, const struct mapping *mapping, uint64_t address)
{
	return address - module_bias(module, mapping);
}

uint64_t module_bias(const struct module *module, const struct mapping *mapping)
{
	return mapping->start - elf_va_of_offset(&module->elf, mapping->offset);
}

const char *module_path(const struct module *module)
{
	return module->path;
}

const char *module_build_id(const struct module *module)
{
	return module->build_id[0] ? module->build_id : NULL;
}

int module_read(struct module *module, uint64_t va, void *buffer, size_t len)
{
	return elf_read_va(&module->elf, va, buffer, len);
}

uint64_t module_lookup(struct module *module, const char *name)
{
	uint64_t size;
	return module_lookup_sized(module, name, &size);
}

uint64_t module_lookup_sized(struct module *module, const char *name, uint64_t *ret_size)
{
	uint64_t value;
	return elf_lookup(&module->elf, name, &value, ret_size) ? value : 0;
}

bool module_at_entry(const struct module *module, uint64_t va)
{
	enum { START_BYTES = 96 };
	return va - module->elf.entry < START_BYTES;
}

/* Below: places. */

static size_t bucket_of(const struct module *module, uint64_t va)
{
	return (va * 0x9E3779B97F4A7C15ULL >> 32) & (module->nbuckets - 1);
}

static void drop_places(struct module *module)
{
	arena_fini(&module->arena);
	free(module->buckets);
	module->buckets = NULL;
	module->nbuckets = module->nplaces = 0;
}

static int more_buckets(struct module *module)
{
	size_t n = module->nbuckets ? module->nbuckets * 2 : FIRST_BUCKETS, old_n = module->nbuckets;
	struct place **old = module->buckets, **buckets = calloc(n, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	module->buckets = buckets;
	module->nbuckets = n;
	for (size_t i = 0; i < old_n; i++) {
		for (struct place *place = old[i], *next; place; place = next) {
			next = place->next;
			struct place **bucket = &buckets[bucket_of(module, place->va)];
			place->next = *bucket;
			*bucket = place;
		}
	}
	free(old);
	return 0;
}

struct place *module_place(struct module *module, uint64_t va)
{
	if (module->nbuckets) {
		for (struct place *place = module->buckets[bucket_of(module, va)]; place; place = place->next)
			if (place->va == va)
				return place;
	}
	if (module->nplaces == MAX_PLACES)
		drop_places(module);
	if (module->nplaces == module->nbuckets && more_buckets(module))
		return NULL;
	struct place *place = arena_alloc(&module->arena, sizeof(*place));
	if (!place)
		return NULL;
	struct place **bucket = &module->buckets[bucket_of(module, va)];
	place->va = va;
	place->next = *bucket;
	*bucket = place;
	module->nplaces++;
	return place;
}

/* Below: unwinding. */

static int row_from(struct fde_index *index, uint64_t va, struct arena *arena, const struct row **ret)
{
	struct fde fde;
	int r = fde_find(index, va, &fde);
	if (r)
		return r;
	r = row_make(&fde, va, arena, ret);
	fde_fini(&fde);
	return r;
}

static int find_row(struct module *module, uint64_t va, const struct row **ret)
{
	int r = row_from(&module->eh_frame, va, &module->arena, ret);
	if (r != -ENOENT)
		return r;
	if (!module->debug_frame_made) {
		fde_index_debug(&module->debug_frame, &module->elf);
		module->debug_frame_made = true;
	}
	return module->debug_frame.section.size ? row_from(&module->debug_frame, va, &module->arena, ret) : -ENOENT;
}

const struct row *place_row(struct module *module, struct place *place)
{
	if (!place->row_tried) {
		if (find_row(module, place->va, &place->row))
			place->row = NULL;
		place->row_tried = true;
	}
	return place->row;
}

enum step place_step(
        struct module *module, struct place *place, struct memory *memory, struct regs *regs, bool *ret_signal)
{
	const struct row *row = place_row(module, place);
	if (!row)
		return STEP_NO_CFI;
	*ret_signal = row->signal;
	switch (row_apply(row, memory, regs)) {
	case ROW_OK:
		return STEP_OK;
	case ROW_ROOT:
		return STEP_ROOT;
	case ROW_UNREADABLE:
		return STEP_UNREADABLE;
	default:
		return STEP_NO_CFI;
	}
}

enum step module_step(struct module *module, uint64_t va, struct memory *memory, struct regs *regs, bool *ret_signal)
{
	struct place *place = module_place(module, va);
	return place ? place_step(module, place, memory, regs, ret_signal) : STEP_NO_CFI;
}

/* Below: names. */

static struct symbols *symbols_of(struct module *module)
{
	if (!module->symbols_tried) {
		module->symbols_tried = true;
		module->symbols = symbols_load(&module->elf, module->path, module->debug_root);
	}
	return module->symbols;
}

const struct symbol *place_symbol(struct module *module, struct place *place)
{
	if (!place->symbol_tried) {
		struct symbols *symbols = symbols_of(module);
		place->symbol = symbols ? symbols_find(symbols, place->va) : NULL;
		place->symbol_tried = true;
	}
	return place->symbol;
}

const struct symbol *module_symbol(struct module *module, uint64_t va)
{
	struct place *place = module_place(module, va);
	return place ? place_symbol(module, place) : NULL;
}

bool module_line(struct module *module, uint64_t va, const char **ret_file, int *ret_line)
{
	if (!module->lines_tried) {
		module->lines_tried = true;
		module->lines = lines_load(&module->elf);
	}
	return module->lines && lines_find(module->lines, va, ret_file, ret_line);
}

bool place_line(struct module *module, struct place *place, const char **ret_file, int *ret_line)
{
	if (!place->line_tried) {
		place->line_tried = true;
		if (!module_line(module, place->va, &place->file, &place->line))
			place->line = 0;
	}
	*ret_file = place->file;
	*ret_line = place->line;
	return place->line;
}
