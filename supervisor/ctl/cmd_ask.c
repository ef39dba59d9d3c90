/* cmd_ask.c - quarantine, release, journal, explain: what a worker reads in the pairing's state. */
#include "link.h"

#include "table.h"

#define JOURNAL_NEWEST 200
#define LINE_ROOM ((size_t)64 * 1024)

static void put_line(struct ctl *ctl, struct buf *line)
{
	fprintf(ctl->out, "%s\n", buf_str(line));
	buf_free(line);
}

static bool given(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return value != NULL && !json_is_null(value);
}

/* " text VALUE" if the object has that member. */
static void add(struct buf *line, const char *text, json_t *object, const char *key)
{
	if (!given(object, key))
		return;
	buf_add_str(line, text);
	text_of_json(line, json_object_get(object, key));
}

/* "INBOX:UID 5 <a@b>" */
static void add_place(struct buf *line, json_t *place, json_t *names)
{
	add(line, "", place, "folder");
	if (given(place, "id")) {
		buf_add_char(line, ':');
		text_of_json(line, json_object_get(place, "id"));
	}
	add(line, " ", names, "messageId");
}

/* An item that is on one side only. */
static void show_solo(struct ctl *ctl, json_t *item)
{
	struct buf line;

	buf_init(&line, LINE_ROOM);
	text_of_json(&line, json_object_get(item, "state"));
	add(&line, " on the ", item, "side");
	buf_add_str(&line, " side: ");
	add_place(&line, item, item);
	if (json_number(item, "size") > 0)
		add(&line, ", bytes ", item, "size");
	add(&line, ": ", item, "code");
	add(&line, given(item, "code") ? " " : ": ", item, "reason");
	add(&line, "; ", item, "remedy");
	add(&line, "; since ", item, "since");
	if (json_number(item, "attempts") > 0)
		add(&line, "; attempts ", item, "attempts");
	add(&line, "; next try ", item, "nextTry");
	put_line(ctl, &line);
}

static void show_row(struct ctl *ctl, json_t *row)
{
	json_t *from = json_object_get(row, "from"), *to = json_object_get(row, "to");
	struct buf line;

	buf_init(&line, LINE_ROOM);
	text_of_json(&line, json_object_get(row, "at"));
	add(&line, " pass ", row, "pass");
	add(&line, " ", row, "side");
	add(&line, " ", row, "action");
	buf_add_char(&line, ' ');
	add_place(&line, from, from);
	if (json_is_object(from) && json_is_object(to))
		buf_add_str(&line, " -> ");
	add_place(&line, to, to);
	add(&line, " ", row, "messageId");
	add(&line, ": ", row, "why");
	put_line(ctl, &line);
}

/* --- quarantine --- */

static void show_quarantine(struct ctl *ctl, json_t *document)
{
	json_t *items = json_object_get(document, "items");
	size_t n = json_array_size(items);

	for (size_t i = 0; i < n; i++)
		show_solo(ctl, json_array_get(items, i));
	fprintf(ctl->out, "quarantine: %s: ", ctl->pairing);
	if (n == 0)
		fputs("nothing is set aside or held back\n", ctl->out);
	else if ((ctl->options & OPT_RETRY) != 0)
		fprintf(ctl->out, "%" JSON_INTEGER_FORMAT " of %zu are tried again now\n",
			json_number(document, "retried"), n);
	else
		fprintf(ctl->out, "%zu %s\n", n, n == 1 ? "item" : "items");
}

static int quarantine(struct ctl *ctl)
{
	static const struct link_request list = { .cmd = "quarantine", .who = LINK_ANYBODY, .failed = EXIT_FAILED };
	static const struct link_request retry = { .cmd = "quarantine", .who = LINK_SERVICE, .failed = EXIT_FAILED };

	return link_show(ctl, (ctl->options & OPT_RETRY) != 0 ? &retry : &list, show_quarantine);
}

/* --- release --- */

static void show_release(struct ctl *ctl, json_t *document)
{
	json_int_t deletions = json_number(document, "deletions"), creations = json_number(document, "creations");
	bool discarded = json_is_true(json_object_get(document, "discarded"));

	if (deletions > 0)
		fprintf(ctl->out, "%s: %" JSON_INTEGER_FORMAT " deletions %s\n", ctl->pairing, deletions, discarded ?
			"dropped: the next pass brings the items back where they vanished" :
			"released: the next pass makes them");
	if (creations > 0)
		fprintf(ctl->out, "%s: %" JSON_INTEGER_FORMAT " creations %s\n", ctl->pairing, creations, discarded ?
			"dropped: the items stay on one side only" : "released: the next pass makes them");
}

static int release(struct ctl *ctl)
{
	static const struct link_request request = { .cmd = "release", .who = LINK_SERVICE, .failed = EXIT_FAILED };

	return link_show(ctl, &request, show_release);
}

/* --- journal --- */

static void show_journal(struct ctl *ctl, json_t *document)
{
	json_t *rows = json_object_get(document, "rows");

	for (size_t i = 0; i < json_array_size(rows); i++)
		show_row(ctl, json_array_get(rows, i));
	if (json_array_size(rows) == 0)
		fprintf(ctl->out, "journal: %s: no pass has written anything\n", ctl->pairing);
}

static int journal(struct ctl *ctl)
{
	static const struct link_request request = {
		.cmd = "journal", .who = LINK_ANYBODY, .failed = EXIT_FAILED, .newest = JOURNAL_NEWEST,
	};

	return link_show(ctl, &request, show_journal);
}

/* --- explain --- */

static void show_match(struct ctl *ctl, json_t *match)
{
	json_t *left = json_object_get(match, "left"), *right = json_object_get(match, "right");
	struct buf line;

	if (!json_is_object(left)) {
		show_solo(ctl, match);
		return;
	}
	buf_init(&line, LINE_ROOM);
	buf_add_str(&line, "left ");
	add_place(&line, left, left);
	buf_add_str(&line, " = right ");
	add_place(&line, right, right);
	if (json_text(match, "flags")[0] != '\0')
		add(&line, ", ", match, "flags");
	add(&line, ", keywords ", match, "keywords");
	add(&line, ", bytes ", match, "size");
	add(&line, ", ", match, "key");
	put_line(ctl, &line);
}

static void show_explain(struct ctl *ctl, json_t *document)
{
	json_t *matches = json_object_get(document, "matches"), *rows = json_object_get(document, "journal");
	struct buf line;

	for (size_t i = 0; i < json_array_size(matches); i++)
		show_match(ctl, json_array_get(matches, i));
	for (size_t i = 0; i < json_array_size(rows); i++)
		show_row(ctl, json_array_get(rows, i));
	buf_init(&line, LINE_ROOM);
	terminal_add(&line, ctl->item, strlen(ctl->item));
	add(&line, ": ", document, "conclusion");
	put_line(ctl, &line);
}

static int explain(struct ctl *ctl)
{
	static const struct link_request request = { .cmd = "explain", .who = LINK_ANYBODY, .failed = EXIT_FAILED };

	return link_show(ctl, &request, show_explain);
}

const struct ctl_command ctl_quarantine = {
	"quarantine", ARGS_PAIRING, OPT_JSON | OPT_RETRY, "what was set aside or is held back, and why",
	quarantine,
};
const struct ctl_command ctl_release = {
	"release", ARGS_PAIRING, OPT_JSON | OPT_DISCARD, "let a held batch of changes go, or drop it", release,
};
const struct ctl_command ctl_journal = {
	"journal", ARGS_PAIRING, OPT_JSON | OPT_ALL, "what passes did, newest last", journal,
};
const struct ctl_command ctl_explain = {
	"explain", ARGS_PAIRING_ITEM, OPT_JSON, "what is known of one item", explain,
};
