/* Stacks as a tree: what many have in common is there once. */
#ifndef RILLE_OUT_FLAME_TREE_H
#define RILLE_OUT_FLAME_TREE_H

#include <stdint.h>
#include <uthash.h>

enum { FLAME_NO_PARENT = UINT32_MAX };
enum { FLAME_SEVERAL_LINES = -1 };

struct flame_key {
	uint32_t parent; /* a node's number, or FLAME_NO_PARENT */
	uint32_t frame;  /* the caller's number for what is shown */
};

struct flame_node {
	struct flame_key key;
	uint32_t number; /* 0, 1, 2 …: a parent's is smaller than its children's */
	int32_t line;    /* 0 = not known */
	uint64_t count;  /* of the stacks that end here */
	uint64_t open;   /* descriptors that they made and that are open still */
	uint32_t kept;   /* of their events, those that are kept in full */
	UT_hash_handle hh;
};

struct flame_tree {
	struct flame_node *list; /* in the order of their numbers: follow hh.next */
};

/* The child of `parent` (NULL = the root) with this frame, made if there is none. NULL: no room for more. */
struct flame_node *flame_child(struct flame_tree *tree, const struct flame_node *parent, uint32_t frame, int32_t line);
void flame_tree_fini(struct flame_tree *tree);

#endif
