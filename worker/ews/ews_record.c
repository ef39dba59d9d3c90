/* ews_record.c - records: not in this build. */
#include "ews_record.h"

enum code ews_records_fetch(struct ews *e, struct arena *arena, struct ep_fetch **f, size_t n, struct err *err)
{
	(void)e, (void)arena, (void)f, (void)n;
	return err_set(err, E_UNSUPPORTED, "records are not read");
}

enum code ews_records_apply(struct ews *e, struct arena *arena, struct ep_op **ops, size_t n, struct err *err)
{
	(void)e, (void)arena, (void)ops, (void)n;
	return err_set(err, E_UNSUPPORTED, "records are not written");
}
