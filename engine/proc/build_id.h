/* The build id of an ELF file, read with a few small pread()s. */
#ifndef RILLE_PROC_BUILD_ID_H
#define RILLE_PROC_BUILD_ID_H

#include <stddef.h>
#include <stdint.h>

enum { BUILD_ID_MAX = 20 };

/* Its length, 0 if there is none. */
uint8_t build_id_read(int fd, uint8_t ret[BUILD_ID_MAX]);
/* The same in one note segment: `align` as its program header says. */
uint8_t build_id_in_notes(const uint8_t *notes, size_t len, uint64_t align, uint8_t ret[BUILD_ID_MAX]);

#endif
