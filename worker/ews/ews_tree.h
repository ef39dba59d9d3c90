/* ews_tree.h - shared by ews_list.c and ews_folders.c: the folders as the server lists them. */
#ifndef MS_EWS_TREE_H
#define MS_EWS_TREE_H

#include "ews.h"

struct ews_node {
	struct span id, parent, name, class, mark;
	uint64_t count;
	bool search, hidden;
	/* filled by ews_list_verb() */
	bool placed, left_out;
	enum ep_role role;
	struct span path;
};

/* All folders below the root, in the arena. */
enum code ews_tree(struct ews *e, struct arena *arena, struct ews_node **nodes_r, size_t *n_r, bool *complete_r,
		   struct err *err) MS_MUST_USE;
/* False: nothing that is synchronised. */
bool ews_kind_of(struct span folder_class, enum ep_kind *kind_r);

#endif
