/* local.h - private to worker/local: one open mailbox on disk, and which file does what.
 *
 * Path/<SMTPName>/Mail is a Maildir++: INBOX is Mail/{cur,new,tmp}, folder "A/B" is Mail/.A.B with
 * the same three. Beside it lie Calendars/<name>/, Tasks/<name>/ (one .ics an item) and Contacts/<name>/
 * (.vcf): see vdir.h. Our own files, which other programs ignore:
 *   Mail/mailshadow-identity          the store's identity: random, made once
 *   Mail/.A.B/mailshadow-folder       the folder's id, the inode of its directory, perhaps its role;
 *                                     likewise in each collection
 *   Mail/mailshadow-{new,removed}-*   a folder under construction or being taken apart
 *
 * local_endpoint.c  the table, open and close        folder.c    one folder: index, scan, mark
 * list.c            the folders and their paths      mark.c      its change mark
 * identity.c        their ids                        maildir.c   file names
 * read.c            changes, describe, fetch         names.c     folder names
 * apply.c create.c  what changes items               keywords.c  dovecot-keywords
 * tree.c            what changes folders             vdir*.c     events, tasks, contacts
 *
 * Every effect is announced by fail_step() first. Paths are only ever one checked component below an
 * open directory, and no symbolic link is followed below Path.
 */
#ifndef MS_LOCAL_H
#define MS_LOCAL_H

#include "../endpoint.h"
#include "folder.h"

#define LOCAL_IDENTITY "mailshadow-identity"
#define LOCAL_FOLDER "mailshadow-folder"
#define LOCAL_NEW "mailshadow-new-"
#define LOCAL_REMOVED "mailshadow-removed-"
#define LOCAL_INBOX_ID "INBOX"
#define LOCAL_BUFFER ((size_t)256 * 1024)

struct local {
	int box_fd;                  /* Path/<SMTPName> */
	int root_fd;                 /* Mail/ */
	uint32_t kinds;              /* that are listed */
	char identity[64];
	struct folder **folders;     /* the cache of open ones */
	size_t n, cap;
	uint64_t clock, pinned;      /* folders used after `pinned` are not closed */
	char *buffer;                /* LOCAL_BUFFER bytes for reading and converting */
};

/* The open folder that a listing called `name`; from the cache where possible, keywords fresh
 * as of the last local_unpin(). Stays open at least until the next one. */
enum code local_folder(struct local *l, struct span name, struct folder **folder_r, struct err *err) MS_MUST_USE;
void local_unpin(struct local *l);
void local_forget_folders(struct local *l);

/* list.c: what the listing says of root_fd/dir; selectable = false if it is no folder. */
enum code local_describe_folder(struct local *l, struct arena *arena, struct span dir,
				struct ep_folder *folder_r, struct err *err) MS_MUST_USE;
/* The role that the name alone gives a folder. */
enum ep_role local_plain_role(struct span path);
/* Open parent/name, making it durably if that is allowed. -1 with errno; ECANCELED: stopped. */
int local_open_or_make(int parent, const char *name, bool may_make);
/* Give the folder directory `fd` an id file (durable). */
enum code local_new_folder_id(int fd, enum ep_role role, struct err *err) MS_MUST_USE;

enum code local_list(struct endpoint *ep, struct arena *arena, struct ep_list *list_r, struct err *err);
enum code local_changes(struct endpoint *ep, struct arena *arena, struct ep_changes *c, size_t n, struct err *err);
enum code local_describe(struct endpoint *ep, struct arena *arena, struct ep_meta *m, size_t n, struct err *err);
enum code local_fetch(struct endpoint *ep, struct arena *arena, struct ep_fetch *f, size_t n, struct err *err);
enum code local_apply(struct endpoint *ep, struct arena *arena, struct ep_op *ops, size_t n, struct err *err);
enum code local_folders(struct endpoint *ep, struct arena *arena, struct ep_folder_op *ops, size_t n, struct err *err);

/* Directories that must reach the disk before anything in them counts as done. */
#define SYNC_MAX 64
struct sync_set {
	struct { dev_t dev; ino_t ino; int fd; } dirs[SYNC_MAX];
	size_t n;
};
/* Remember the directory (a duplicate of fd); syncs all when full. */
enum code sync_add(struct sync_set *s, int fd, struct err *err) MS_MUST_USE;
enum code sync_all(struct sync_set *s, struct err *err) MS_MUST_USE;

/* create.c: a run of EP_CREATE operations. E_CANCELLED etc.: the rest of the run was not attempted. */
#define CREATE_RUN 64
enum code local_create_run(struct local *l, struct arena *arena, struct ep_op *ops, size_t n,
			   struct sync_set *sync, struct err *err) MS_MUST_USE;

/* tree.c: finish what an interrupted folder operation left. */
void local_tidy(struct local *l);

/* A failure of the whole call: say in which mailbox, and in which folder where there is one. */
enum code local_where(const struct endpoint *ep, const struct ep_folder *folder, enum code rc, struct err *err);

/* Note a failure in the element: its code and text. Returns E_OK if the failure is the element's
 * own, else the code for the whole call. */
enum code local_element(struct arena *arena, enum code rc, const struct err *err, enum code *code_r,
			const char **text_r);

#endif
