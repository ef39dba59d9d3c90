/* ews_task.c - tasks. Start and due are days on the server; what a client says of the time goes with the rest.
 *
 * Status and percentage follow each other there, so both are written, and they agree: Completed is 100, NotStarted 0.
 * A day is told as the midnight of somewhere: it is that of twelve hours later.
 * The moment of completion is the server's own, and so is what follows a task of a series that is done. A
 * regenerating series has no rule: it is left as it is.
 */
#include "ews_map.h"

#include "../data/when.h"

#include <stdio.h>

enum state { NOT_STARTED, IN_PROGRESS, COMPLETED, DEFERRED };
static const struct { const char *status, *server; } states[] = {
	[NOT_STARTED] = { "NEEDS-ACTION", "NotStarted" }, [IN_PROGRESS] = { "IN-PROCESS", "InProgress" },
	[COMPLETED] = { "COMPLETED", "Completed" }, [DEFERRED] = { "CANCELLED", "Deferred" },
};

static bool day_of(const struct ews_object *o, const char *element, struct buf *text, const char *name, int64_t *day_r)
{
	char day[16];

	if (!ews_read_time(ews_text(o, element), day_r, NULL))
		return false;
	*day_r += 43200;
	*day_r -= (*day_r % 86400 + 86400) % 86400;
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
	struct ews_start start = { .date = true, .local_s = has_from ? from : due }, remind = { 0 };
	struct buf rule;
	uint64_t n;

	(void)master;
	(void)start_r;
	(void)err;
	for (size_t i = 1; i < ARRAY_LEN(states); i++)
		if (span_eq_str(status, states[i].server))
			ews_line(text, arena, "STATUS", "", span_of(states[i].status));
	percent = span_trim(percent);
	if (span_u64(span_cut(percent, 0, span_find(percent, 0, '.')), 100, &n) && n > 0)
		buf_printf(text, "PERCENT-COMPLETE:%u\r\n", (unsigned int)n);
	buf_init(&rule, 512);
	if ((has_from || has_due) && ews_recur_rule(o, &start, &rule)) {
		buf_add_str(text, "RRULE:");
		buf_add_span(text, buf_span(&rule));
		buf_add_str(text, "\r\n");
	}
	buf_free(&rule);
	ews_common_text(arena, o, "DESCRIPTION", text);
	if (ews_true(ews_text(o, "ReminderIsSet")) &&
	    ews_read_time(ews_text(o, "ReminderDueBy"), &remind.local_s, NULL)) {
		buf_add_str(text, "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Reminder\r\n");
		ews_start_line(text, "TRIGGER;VALUE=DATE-TIME", &remind);
		buf_add_str(text, "END:VALARM\r\n");
	}
	return E_OK;
}

static bool set_day(const struct record *r, const char *comp, struct ews_values *vs, const char *name, const char *uri,
		    const char *element, struct ews_start *start_r)
{
	struct content_line line;
	struct when w;
	char text[EWS_TIME_TEXT];

	if (!ews_time_line(vs->arena, r, comp, name, &line) || !when_parse(line.value, SPAN_NONE, NULL, &w))
		return false;
	int64_t day = w.local_s / 86400 - (w.local_s % 86400 < 0);
	*start_r = (struct ews_start){ .date = true, .local_s = day * 86400 };
	ews_set(vs, uri, element, span_of(ews_time(day * 86400, text)));
	return true;
}

static void set_reminder(const struct record *r, const char *comp, struct ews_values *vs)
{
	char text[EWS_TIME_TEXT];
	int64_t at;
	bool reminder = ews_alarm_of(vs->arena, r, comp, vs->home, &at).n > 0;

	ews_set_bool(vs, "item:ReminderIsSet", "ReminderIsSet", reminder);
	if (reminder)
		ews_set(vs, "item:ReminderDueBy", "ReminderDueBy", span_of(ews_time(at, text)));
}

static void set_progress(const struct record *r, const char *comp, struct ews_values *vs)
{
	struct span status = ews_record_text(vs->arena, r, comp, "STATUS");
	struct span percent = ews_record_text(vs->arena, r, comp, "PERCENT-COMPLETE");
	enum state state = NOT_STARTED;
	uint64_t n;

	if (!span_u64(percent, 99, &n))
		n = 0;
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (span_eq_nocase_str(status, states[i].status))
			state = (enum state)i;
	if (state == NOT_STARTED && n > 0)
		state = IN_PROGRESS;
	if (state == COMPLETED)
		n = 100;
	ews_set(vs, "task:PercentComplete", "PercentComplete",
		span_of(arena_printf(vs->arena, "%u", (unsigned int)n)));
	ews_set(vs, "task:Status", "Status", span_of(states[state].server));
}

static enum code task_values(const struct record *r, const char *comp, struct ews_values *vs, struct err *err)
{
	struct ews_start from, due;
	struct content_line line;
	enum code rc = E_OK;
	struct buf xml;

	if (r->kind != RECORD_TASK)
		return err_set(err, E_ITEM_REFUSED, "this is no task");
	bool has_from = set_day(r, comp, vs, "DTSTART", "task:StartDate", "StartDate", &from);
	bool has_due = set_day(r, comp, vs, "DUE", "task:DueDate", "DueDate", &due);
	set_progress(r, comp, vs);
	set_reminder(r, comp, vs);
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
		"item:ReminderDueBy item:ReminderIsSet task:DueDate task:PercentComplete task:Recurrence "
		"task:StartDate task:Status",
	.props = props,
	.to_text = task_text,
	.to_values = task_values,
};
