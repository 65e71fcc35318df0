/* The recipes that are part of the library: scripts/NAME.lua, embedded when it was built. */
#include "engine/script/script.h"

#include <string.h>

extern const struct recipe recipe_list[];
extern const size_t recipe_list_n;

const struct recipe *recipe_table(size_t *ret_n)
{
	*ret_n = recipe_list_n;
	return recipe_list;
}

const struct recipe *recipe_find(const char *name)
{
	for (size_t i = 0; i < recipe_list_n; i++)
		if (strcmp(recipe_list[i].name, name) == 0)
			return &recipe_list[i];
	return NULL;
}
