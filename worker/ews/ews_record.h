/* ews_record.h - private to worker/ews: records (events, contacts, tasks) in and out. */
#ifndef MS_EWS_RECORD_H
#define MS_EWS_RECORD_H

#include "ews.h"

/* Element by element, as ep_fetch and ep_op say. */
enum code ews_records_fetch(struct ews *e, struct arena *arena, struct ep_fetch **f, size_t n,
			     struct err *err) MS_MUST_USE;
enum code ews_records_apply(struct ews *e, struct arena *arena, struct ep_op **ops, size_t n,
			     struct err *err) MS_MUST_USE;

#endif
