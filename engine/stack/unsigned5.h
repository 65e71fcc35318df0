/* UNSIGNED5: the variable-length integers of HotSpot's debug information. */
#ifndef RILLE_STACK_UNSIGNED5_H
#define RILLE_STACK_UNSIGNED5_H

#include <stdbool.h>
#include <stdint.h>

struct unsigned5 {
	const uint8_t *at, *end;
	uint8_t excluded; /* byte values below it never start or continue a number: 0 before JDK 20, 1 since */
	bool failed;      /* ran past the end or met an excluded byte; every later read gives 0 */
};

uint32_t unsigned5_read(struct unsigned5 *in);
int32_t unsigned5_read_signed(struct unsigned5 *in);

#endif
