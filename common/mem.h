/* mem.h - allocation that succeeds or ends the process with its own exit status.
 *
 * A worker that runs out of memory exits with MEM_EXIT; its pass resumes from the state. Sizes that
 * a remote chooses never come here directly: they go through struct buf or struct arena, which have
 * ceilings and return an error.
 */
#ifndef MS_MEM_H
#define MS_MEM_H

#include "ms.h"

#define MEM_EXIT 83

void *mem_alloc(size_t size);                       /* zeroed; never NULL */
void *mem_calloc(size_t n, size_t size);            /* zeroed; overflow ends the process */
void *mem_realloc(void *p, size_t n, size_t size);  /* not zeroed beyond the old size */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
char *mem_printf(const char *fmt, ...) MS_PRINTF(1, 2);
void mem_free(void *p);                             /* NULL is fine */

#endif
