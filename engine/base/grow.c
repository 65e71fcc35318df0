/* Growing arrays by half, with the overflow checks in one place. */
#include "engine/base/grow.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int grow(void *array_ptr, size_t *cap, size_t need, size_t size)
{
	if (need <= *cap)
		return 0;
	size_t want = *cap + *cap / 2 + 8;
	if (want < need)
		want = need;
	if (want > SIZE_MAX / size)
		return -ENOMEM;
	void *old;
	memcpy(&old, array_ptr, sizeof(old));
	char *fresh = realloc(old, want * size);
	if (!fresh)
		return -ENOMEM;
	memset(fresh + *cap * size, 0, (want - *cap) * size);
	memcpy(array_ptr, &fresh, sizeof(fresh));
	*cap = want;
	return 0;
}
