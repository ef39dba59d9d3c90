/* evil.h - what an evil worker tries, for t_jail.c: each attempt is true if it got out. */
#ifndef MS_EVIL_H
#define MS_EVIL_H

#include "../../common/ms.h"

#include <sys/types.h>

extern char evil_base[64];           /* evil_base/mine may be written, evil_base/theirs not */
extern pid_t evil_victim;            /* another process of the same user */

struct evil_attempt {
	const char *name;
	bool (*attempt)(void);
	bool clear;                  /* without a jail it works for any user, and harms nobody */
};
extern const struct evil_attempt evil_escapes[];
extern const size_t evil_n_escapes;

const char *evil_at(const char *rest);  /* evil_base/rest; good for four calls */
bool evil_opens(const char *path, int flags);
bool evil_gets_socket(int family, int type, int protocol);

#endif
