/* ews_task.c - tasks. Start and due are days on the server; what a client says of the time goes with the rest.
 *
 * The moment of completion is the server's own, and so is what follows a task of a series that is done. A
 * regenerating series has no rule: it is left as it is.
 */
#include "ews_map.h"

#include "../data/when.h"

#include <stdio.h>

static const struct { const char *status, *server; } states[] = {
	{ "NEEDS-ACTION", "NotStarted" }, { "IN-PROCESS", "InProgress" }, { "COMPLETED", "Completed" },
	{ "CANCELLED", "Deferred" },
};

static bool day_of(const struct ews_object *o, const char *element, struct buf *text, const char *name, int64_t *day_r)
{
	char day[16];

	if (!ews_read_time(ews_text(o, element), day_r, NULL))
		return false;
	buf_printf(text, "%s;VALUE=DATE:%s\r\n", name, ews_day(*day_r, day));
	return true;
}

static enum code task_text(struct arena *arena, const struct ews_object *o, const struct ews_start *master,
			   struct ews_start *start_r, struct buf *text, struct err *err)
{
	struct span status = ews_text(o, "Status"), percent = ews_text(o, "PercentComplete");
	int64_t from = 0, due = 0;
	bool has_due = day_of(o, "DueDate", text, "DUE", &due), has_from = day_of(o, "StartDate", text,
			"DTSTART", &from);
	struct ews_start start = { .date = true, .local_s = has_from ? from : due };
	struct buf rule;

	(void)master;
	(void)start_r;
	(void)err;
	for (size_t i = 1; i < ARRAY_LEN(states); i++)
		if (span_eq_str(status, states[i].server))
			ews_line(text, arena, "STATUS", "", span_of(states[i].status));
	percent = span_cut(percent, 0, span_find(percent, 0, '.'));
	if (percent.n > 0 && !span_eq_str(percent, "0"))
		ews_line(text, arena, "PERCENT-COMPLETE", "", percent);
	buf_init(&rule, 512);
	if ((has_from || has_due) && ews_recur_rule(o, &start, &rule)) {
		buf_add_str(text, "RRULE:");
		buf_add_span(text, buf_span(&rule));
		buf_add_str(text, "\r\n");
	}
	buf_free(&rule);
	ews_common_text(arena, o, "DESCRIPTION", text);
	return E_OK;
}

static enum code set_day(const struct record *r, const char *comp, struct ews_values *vs, const char *name,
			 const char *uri, const char *element, struct ews_start *start_r, bool *has_r)
{
	struct content_line line;
	struct when w;
	char text[EWS_TIME_TEXT];

	*has_r = false;
	if (!ews_time_line(vs->arena, r, comp, name, &line) || !when_parse(line.value, SPAN_NONE, NULL, &w))
		return E_OK;
	*has_r = true;
	int64_t day = w.local_s / 86400 - (w.local_s % 86400 < 0);
	*start_r = (struct ews_start){ .date = true, .local_s = day * 86400 };
	ews_set(vs, uri, element, span_of(ews_time(day * 86400, text)));
	return E_OK;
}

static enum code task_values(const struct record *r, const char *comp, struct ews_values *vs, struct err *err)
{
	struct span status = ews_record_text(vs->arena, r, comp, "STATUS");
	struct span percent = ews_record_text(vs->arena, r, comp, "PERCENT-COMPLETE");
	struct ews_start from, due;
	bool has_from, has_due, done = false;
	struct content_line line;
	enum code rc = E_OK;
	struct buf xml;

	if (r->kind != RECORD_TASK)
		return err_set(err, E_ITEM_REFUSED, "this is no task");
	set_day(r, comp, vs, "DTSTART", "task:StartDate", "StartDate", &from, &has_from);
	set_day(r, comp, vs, "DUE", "task:DueDate", "DueDate", &due, &has_due);
	/* Completed sets 100, and 100 sets Completed: only one of them is written */
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (!span_eq_nocase_str(status, states[i].status))
			continue;
		ews_set(vs, "task:Status", "Status", span_of(states[i].server));
		done = i == 2;
	}
	if (status.n == 0)
		ews_set(vs, "task:Status", "Status", SPAN_LIT("NotStarted"));
	if (percent.n > 0 && !done && !span_eq_str(percent, "100"))
		ews_set(vs, "task:PercentComplete", "PercentComplete", percent);
	ews_common_values(r, comp, "DESCRIPTION", vs);
	if (!ews_time_line(vs->arena, r, comp, "RRULE", &line))
		return E_OK;
	if (!has_from && !has_due)
		return err_set(err, E_ITEM_REFUSED, "a recurring task without a day has no counterpart in Exchange");
	buf_init(&xml, 4096);
	rc = ews_recur_xml(line.value, has_from ? &from : &due, &xml, err);
	if (rc == E_OK)
		ews_set_xml(vs, "task:Recurrence", "Recurrence", NULL, arena_span(vs->arena, buf_span(&xml)));
	buf_free(&xml);
	return rc;
}

static const struct ews_prop *const props[] = { NULL };

const struct ews_mapper ews_task_mapper = {
	.element = "Task",
	.order = EWS_ITEM_ORDER "DueDate PercentComplete Recurrence StartDate Status",
	.fields = "item:Subject item:Sensitivity item:Body item:Categories item:Importance item:LastModifiedTime "
		"task:DueDate task:PercentComplete task:Recurrence task:StartDate task:Status",
	.props = props,
	.to_text = task_text,
	.to_values = task_values,
};
