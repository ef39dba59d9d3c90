/* identity.h - the id file of a folder or collection. */
#ifndef MS_LOCAL_IDENTITY_H
#define MS_LOCAL_IDENTITY_H

#include "../endpoint.h"

/* The contents of an id file. */
struct folder_id {
	char id[33];
	uint64_t ino;
	enum ep_role role;
};

/* The id of the directory `fd`, made at first sight. False: it has none and cannot get one (read-only). */
bool identity_get(int fd, struct folder_id *id_r);
/* replace = false: only if there is none yet. Durable. */
enum code identity_write(int fd, const struct folder_id *id, bool replace, struct err *err) MS_MUST_USE;
void identity_random(struct folder_id *id);
uint64_t identity_inode(int fd);             /* 0 = not known */

#endif
