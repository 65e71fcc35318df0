/* UNSIGNED5: the variable-length integers of HotSpot's debug information (scopes, line number tables).
 *
 * A number is 1 to 5 bytes, least significant first, six bits a byte. A byte below 192 ends it; a byte from 192 up says
 * "and more". The bytes' values are added, not ored: 192 itself is the digit 192, carried into the next position by
 * arithmetic, so every sequence is a different number and none is wasted. Since JDK 20 the byte 0 is excluded (it
 * terminates streams), so that every digit is stored one higher. Signed numbers are zig-zag coded on top.
 *
 * Format: src/hotspot/share/utilities/unsigned5.hpp of OpenJDK. */
#include "engine/stack/unsigned5.h"

enum { LARGEST_LAST = 191, DIGIT_BITS = 6, MAX_BYTES = 5 };

uint32_t unsigned5_read(struct unsigned5 *in)
{
	uint32_t sum = 0;
	for (int i = 0; i < MAX_BYTES && !in->failed; i++) {
		if (in->at >= in->end || *in->at < in->excluded)
			break;
		uint8_t byte = *in->at++;
		sum += (uint32_t)(byte - in->excluded) << (DIGIT_BITS * i);
		if (byte <= LARGEST_LAST || i == MAX_BYTES - 1)
			return sum;
	}
	in->failed = true;
	return 0;
}

int32_t unsigned5_read_signed(struct unsigned5 *in)
{
	uint32_t value = unsigned5_read(in);
	return (int32_t)(value >> 1) ^ -(int32_t)(value & 1);
}
