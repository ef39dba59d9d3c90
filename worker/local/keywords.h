/* keywords.h - the 26 keywords that a Maildir folder can hold, in its dovecot-keywords.
 *
 * Line "N NAME" gives letter 'a' + N its name. The file is only ever added to, as a whole new file,
 * under Dovecot's own lock (dovecot-uidlist.lock). $Forwarded gets a letter like any other and, when
 * none is free, the letter P of the Maildir standard; reading knows both.
 */
#ifndef MS_LOCAL_KEYWORDS_H
#define MS_LOCAL_KEYWORDS_H

#include "../../common/arena.h"
#include "../../common/err.h"

#include <sys/stat.h>

#define KEYWORDS_MAX 26
#define KEYWORDS_FILE "dovecot-keywords"
#define KEYWORDS_LOCK "dovecot-uidlist.lock"
#define KEYWORD_PASSED "$Forwarded"

struct keywords {
	char *name[KEYWORDS_MAX];    /* NULL = free */
	struct stat seen;            /* the file that was read; st_ino 0 = none */
	int64_t hopeless_until_ms;   /* the lock could not be had: until then it is not waited for */
};

void keywords_free(struct keywords *k);
/* Read the folder's file again if it is not the one that was read before. */
enum code keywords_refresh(struct keywords *k, int folder_fd, struct err *err) MS_MUST_USE;
bool keywords_full(const struct keywords *k);
/* The keywords of an item as a set (data/flags.h); letters without a name are left out. */
const char *keywords_of(const struct keywords *k, struct arena *arena, uint32_t letters, bool passed);
/* The letters of a set, known names only. *passed_r: $Forwarded is in it without a letter of its own. */
uint32_t keywords_letters(const struct keywords *k, const char *set, bool *passed_r);
/* Give every valid name of the set a letter while there are any. E_ITEM_REFUSED: another program
 * holds the lock for longer than 5 s. */
enum code keywords_add(struct keywords *k, int folder_fd, const char *set, mode_t mode, struct err *err) MS_MUST_USE;

#endif
