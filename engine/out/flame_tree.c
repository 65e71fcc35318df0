/* The tree behind a flame graph, in bounded memory: about 90 bytes a node, a million nodes. */
#include "engine/out/flame_tree.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 1048576 };

static struct flame_node *node_add(struct flame_tree *tree, const struct flame_key *key, int32_t line)
{
	unsigned n = HASH_COUNT(tree->list);
	struct flame_node *node = n < MAX_NODES ? calloc(1, sizeof(*node)) : NULL;
	if (!node)
		return NULL;
	node->key = *key;
	node->number = n;
	node->line = line;
	HASH_ADD(hh, tree->list, key, sizeof(node->key), node);
	if (node->hh.tbl)
		return node;
	free(node); /* out of memory */
	return NULL;
}

struct flame_node *flame_child(struct flame_tree *tree, const struct flame_node *parent, uint32_t frame, int32_t line)
{
	struct flame_key key = {parent ? parent->number : FLAME_NO_PARENT, frame};
	struct flame_node *node;
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): a struct read as bytes */
	HASH_FIND(hh, tree->list, &key, sizeof(key), node);
	if (!node)
		return node_add(tree, &key, line);
	if (node->line != line)
		node->line = FLAME_SEVERAL_LINES;
	return node;
}

void flame_tree_fini(struct flame_tree *tree)
{
	struct flame_node *node, *next;
	HASH_ITER (hh, tree->list, node, next) {
		HASH_DEL(tree->list, node);
		free(node);
	}
}
