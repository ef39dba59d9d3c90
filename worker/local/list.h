/* list.h - a listing under construction: list.c puts the mail folders into it, vdir_list.c the collections. */
#ifndef MS_LOCAL_LIST_H
#define MS_LOCAL_LIST_H

#include "identity.h"
#include "local.h"

/* A folder on its way into the listing. */
struct entry {
	struct ep_folder folder;
	struct folder_id id;
	uint64_t ino;
	bool exact;                  /* the directory is called as we would call it */
	bool marked_role;
};

struct listing {
	struct arena *arena;
	struct entry *entries;
	size_t n, cap;
	bool complete;
};

void list_add(struct listing *list, const struct entry *e);
/* The id of the open directory and what follows from it. */
void list_identify(struct arena *arena, int fd, struct entry *e);

#endif
