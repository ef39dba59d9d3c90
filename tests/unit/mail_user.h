/* mail_user.h - what a person, or a person's other programs, do to a mailbox behind the product's back.
 *
 * The mailbox is a store in memory or a Maildir on disk. For a Maildir this is plain system calls and
 * none of the product's code, so that it is also an independent reader of what the product wrote.
 * Messages are named by the id of pc_mail(); paths are ASCII.
 */
#ifndef T_MAIL_USER_H
#define T_MAIL_USER_H

#include "pass_case.h"

struct user {
	struct mem_store *mem;       /* NULL: a Maildir */
	char root[160];              /* .../Mail */
};

/* The user of one side of the case; makes the Maildir. */
struct user user_of(struct pass_case *c, enum side side);

void user_make(struct user *u, const char *path, enum ep_role role);
void user_drop(struct user *u, const char *path);
void user_rename(struct user *u, const char *from, const char *to);      /* children follow */
void user_add(struct user *u, const char *path, const char *id);
void user_add_body(struct user *u, const char *path, const char *id, const char *body);
void user_flags(struct user *u, const char *path, const char *id, uint32_t flags, const char *keyword);
void user_remove(struct user *u, const char *path, const char *id);
void user_move(struct user *u, const char *path, const char *id, const char *to);
void user_copy(struct user *u, const char *path, const char *id, const char *to);
/* All ids become void: another UIDVALIDITY, or new file names. */
void user_renumber(struct user *u, const char *path);

/* One line per folder and message, sorted: path, bytes, flags, keywords, received time; with `ids`
 * also the ids, so that nothing can be written without showing; without them it is the picture of an
 * end, where nothing half-done may lie about. The caller's, mem_free(). */
char *user_picture(const struct user *u, bool ids);

#endif
