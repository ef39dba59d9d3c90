/* ews_directory.h - shared by ews_directory.c and ews_resolve.c: the two ways to the organisation's addresses. */
#ifndef MS_EWS_DIRECTORY_H
#define MS_EWS_DIRECTORY_H

#include "ews.h"

/* The type of a mailbox by its msExchRecipientTypeDetails (a decimal number, or empty). */
const char *ews_directory_type(struct span number);
/* "smtp:a@b", "SMTP:a@b": the address; empty: it is of another kind. */
struct span ews_directory_smtp(struct span proxy);

/* ews_resolve.c: by ResolveNames, which gives a hundred at the most: asked with ever longer beginnings of addresses. */
enum code ews_resolve_all(struct endpoint *ep, struct arena *arena, struct ep_directory *d,
			  struct err *err) MS_MUST_USE;

#endif
