/* Arrays that grow: the one place that computes the new size and checks for overflow. */
#ifndef RILLE_BASE_GROW_H
#define RILLE_BASE_GROW_H

#include <stddef.h>

/* Makes room for `need` elements of `size` bytes in *array, which holds *cap. New room is zeroed.
 * 0 or -ENOMEM; on failure the array is as it was. */
int grow(void *array_ptr, size_t *cap, size_t need, size_t size);

#endif
