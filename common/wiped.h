/* wiped.h - memory for libraries that keep copies of the secrets they send: zeroed before it is freed. The functions
 * have the types of malloc and its sisters, and end the process where there is no memory.
 */
#ifndef MS_WIPED_H
#define MS_WIPED_H

#include "ms.h"

void *wiped_take(size_t n);
void *wiped_take_zeroed(size_t n, size_t size);
void *wiped_resize(void *old, size_t n);
char *wiped_copy(const char *s);
void wiped_give_back(void *p);

#endif
