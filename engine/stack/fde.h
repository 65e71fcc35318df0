/* Finding the frame description entry of an address. */
#ifndef RILLE_STACK_FDE_H
#define RILLE_STACK_FDE_H

#include "engine/stack/elffile.h"

/* A section of entries: .eh_frame or .debug_frame. */
struct fde_section {
	const struct elf_file *elf;
	uint64_t offset, va, size; /* in the file; size 0 = there is none */
	bool debug_frame;          /* its pointers to CIEs are offsets in the section, and addresses are plain */
	uint8_t *image;            /* the section unpacked, if it was compressed; else NULL: read from the file */
};

struct fde_index {
	struct fde_section section;
	/* The linker's sorted table in .eh_frame_hdr, searched in the file. */
	uint64_t table_offset, table_base;
	uint32_t table_entries;
	/* Where there is no such table: our own, made at the first search. */
	struct fde_place *places;
	size_t nplaces;
	bool made;
};

/* What a common information entry says. */
struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t return_register;
	uint8_t encoding; /* of addresses in its FDEs */
	bool signal;      /* 'S': the frame of a signal handler's caller */
	bool augmented;   /* 'z' */
	const uint8_t *code, *code_end;
};

struct fde {
	uint64_t start, end; /* [start, end) */
	struct cie cie;
	const uint8_t *code, *code_end;
	uint64_t code_va;  /* where `code` would be mapped, for DW_CFA_set_loc */
	uint8_t *bytes[2]; /* owned: the entry's and its CIE's */
};

void fde_index_eh(struct fde_index *ret, const struct elf_file *elf);
void fde_index_debug(struct fde_index *ret, const struct elf_file *elf);
void fde_index_fini(struct fde_index *index);

/* 0, -ENOENT (no entry covers it), -EINVAL (it makes no sense), -ENOMEM. On 0 the caller ends with fde_fini(). */
int fde_find(struct fde_index *index, uint64_t va, struct fde *ret);
void fde_fini(struct fde *fde);

#endif
