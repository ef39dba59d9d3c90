/* mail_user_private.h - what mail_user.c (the acts) and mail_picture.c (the look) share. */
#ifndef T_MAIL_USER_PRIVATE_H
#define T_MAIL_USER_PRIVATE_H

#include "mail_user.h"

#define USER_TEXT_MAX 4096

/* A broken test ends here. */
void user_must(bool ok, const char *what);
/* The bytes of a file, closed with a NUL; 0 if it cannot be opened. */
size_t user_read_file(const char *path, char *out, size_t size);

/* Calls `each` for every message file of the folder; `part` is "cur" or "new". Stops when it says so. */
typedef bool (*each_fn)(void *ctx, const char *part, const char *file, const char *full);
void user_for_messages(const struct user *u, const char *path, each_fn each, void *ctx);

/* The keyword names of a folder by letter. */
void user_read_keywords(const struct user *u, const char *path, char names[26][64]);

#define USER_LETTERS 5
extern const struct user_letter { char letter; uint32_t flag; } user_letters[USER_LETTERS];

#endif
