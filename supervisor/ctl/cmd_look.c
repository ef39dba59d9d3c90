/* cmd_look.c - test, plan and verify: long answers of a worker, as JSON or line by line. */
#include "link.h"

#include "table.h"

static const char *or_dash(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

/* Name of an item: a string, or an object whose known members are put together. */
static void add_item(struct buf *line, json_t *item)
{
	static const char *const members[] = {
		"folder", "messageId", "uid", "date", "size", "subject",
	};
	size_t before = line->n;

	if (!json_is_object(item)) {
		text_of_json(line, item);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		json_t *value = json_object_get(item, members[i]);

		if (value == NULL || json_is_null(value))
			continue;
		if (line->n > before)
			buf_add_str(line, ", ");
		text_of_json(line, value);
	}
}

static void add_folder(struct buf *line, json_t *folder)
{
	const char *left = json_text(folder, "left"), *right = json_text(folder, "right");

	if (left[0] != '\0')
		text_of_json(line, json_object_get(folder, "left"));
	if (strcmp(left, right) != 0 && left[0] != '\0' && right[0] != '\0')
		buf_add_str(line, " = ");
	if (strcmp(left, right) != 0 && right[0] != '\0')
		text_of_json(line, json_object_get(folder, "right"));
}

static void show_difference(struct ctl *ctl, json_t *folder, json_t *d, const char *word)
{
	json_t *left = json_object_get(d, "left"), *right = json_object_get(d, "right"),
	       *why = json_object_get(d, "why");
	struct buf line;

	buf_init(&line, 64 * 1024);
	buf_add_str(&line, word);
	add_folder(&line, folder);
	buf_add_str(&line, ": ");
	add_item(&line, json_object_get(d, "item"));
	buf_printf(&line, ": %s", or_dash(json_text(d, "what")));
	if (json_text(d, "property")[0] != '\0')
		buf_printf(&line, " %s", json_text(d, "property"));
	if (left != NULL || right != NULL) {
		buf_add_str(&line, " (left ");
		text_of_json(&line, left);
		buf_add_str(&line, ", right ");
		text_of_json(&line, right);
		buf_add_char(&line, ')');
	}
	if (why == NULL)
		why = json_object_get(d, "reason");
	if (why != NULL && !json_is_null(why)) {
		buf_add_str(&line, ": ");
		text_of_json(&line, why);
	}
	fprintf(ctl->out, "%s\n", buf_str(&line));
	buf_free(&line);
}

struct tally {
	size_t folders, differences, excepted, not_held;
	json_int_t items;
	bool records;                /* not only mail */
};

static void show_list(struct ctl *ctl, json_t *folder, json_t *list, const char *word,
		      size_t *count)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		show_difference(ctl, folder, json_array_get(list, i), word);
	*count += json_array_size(list);
}

static void show_folders(struct ctl *ctl, json_t *folders, struct tally *tally)
{
	for (size_t i = 0; i < json_array_size(folders); i++) {
		json_t *folder = json_array_get(folders, i);
		json_t *items = json_object_get(folder, "items");

		tally->folders++;
		tally->records |= strcmp(json_text(folder, "kind"), "mail") != 0;
		tally->items += json_is_array(items) ? (json_int_t)json_array_size(items)
						     : json_integer_value(items);
		show_list(ctl, folder, json_object_get(folder, "differences"), "",
			  &tally->differences);
		show_list(ctl, folder, json_object_get(folder, "excepted"),
			  "excepted: ", &tally->excepted);
		show_list(ctl, folder, json_object_get(folder, "notHeld"), "not held: ", &tally->not_held);
	}
}

static void show_verdict(struct ctl *ctl, json_t *document)
{
	const char *verdict = json_text(document, "verdict");
	const char *reason = json_text(document, "reason");
	struct tally tally = { 0 };

	show_folders(ctl, json_object_get(document, "folders"), &tally);
	fprintf(ctl->out, "verify: %s: %s, ", ctl->pairing, or_dash(verdict));
	if (tally.differences > 0)
		fprintf(ctl->out, "%zu %s, ", tally.differences,
			tally.differences == 1 ? "difference" : "differences");
	const char *noun = tally.records ? "item" : "message";
	fprintf(ctl->out, "%" JSON_INTEGER_FORMAT " %s%s in %zu %s", tally.items, noun,
		tally.items == 1 ? "" : "s", tally.folders,
		tally.folders == 1 ? "folder" : "folders");
	if (tally.excepted > 0)
		fprintf(ctl->out, ", %zu excepted", tally.excepted);
	if (tally.not_held > 0)
		fprintf(ctl->out, ", %zu not held by one side", tally.not_held);
	fputc('\n', ctl->out);
	if (reason[0] != '\0')
		ctl_error(ctl, "%s", reason);
}

static void show_action(struct ctl *ctl, json_t *action)
{
	static const char *const members[] = { "side", "action", "kind", "folder" };
	struct buf line;

	buf_init(&line, 64 * 1024);
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		text_of_json(&line, json_object_get(action, members[i]));
		buf_add_char(&line, ' ');
	}
	add_item(&line, json_object_get(action, "item"));
	if (json_text(action, "why")[0] != '\0') {
		buf_add_str(&line, ": ");
		text_of_json(&line, json_object_get(action, "why"));
	}
	fprintf(ctl->out, "%s\n", buf_str(&line));
	buf_free(&line);
}

static void show_plan(struct ctl *ctl, json_t *document)
{
	json_t *actions = json_object_get(document, "actions");
	size_t n = json_array_size(actions);

	for (size_t i = 0; i < n; i++)
		show_action(ctl, json_array_get(actions, i));
	if (n == 0)
		fprintf(ctl->out, "plan: %s: nothing to do\n", ctl->pairing);
	else
		fprintf(ctl->out, "plan: %s: %zu %s\n", ctl->pairing, n,
			n == 1 ? "action" : "actions");
}

static int plan(struct ctl *ctl)
{
	static const struct link_request request = {
		.cmd = "plan", .who = LINK_ANYBODY, .failed = EXIT_FAILED,
	};

	return link_show(ctl, &request, show_plan);
}

/* For verify 1 means that the sides differ, so that no answer is 2. */
static int verify(struct ctl *ctl)
{
	static const struct link_request request = {
		.cmd = "verify", .who = LINK_ANYBODY, .failed = EXIT_CONFIG,
	};

	return link_show(ctl, &request, show_verdict);
}

/* --- test --- */

static void show_step(struct ctl *ctl, json_t *step)
{
	static const struct { const char *name, *before; } members[] = {
		{ "what", "  " }, { "code", "  " }, { "reason", ": " }, { "remedy", "; " },
	};
	struct buf line;

	buf_init(&line, 64 * 1024);
	buf_printf(&line, "  %-8s %s", or_dash(json_text(step, "step")),
		   json_is_true(json_object_get(step, "ok")) ? "ok" : "FAILED");
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (json_text(step, members[i].name)[0] == '\0')
			continue;
		buf_add_str(&line, members[i].before);
		text_of_json(&line, json_object_get(step, members[i].name));
	}
	fprintf(ctl->out, "%s\n", buf_str(&line));
	buf_free(&line);
}

static void show_test(struct ctl *ctl, json_t *document)
{
	json_t *sides = json_object_get(document, "sides");

	for (size_t i = 0; i < json_array_size(sides); i++) {
		json_t *side = json_array_get(sides, i), *steps = json_object_get(side, "steps");
		struct buf line;

		buf_init(&line, 64 * 1024);
		text_of_json(&line, json_object_get(side, "endpoint"));
		buf_printf(&line, " (%s) ", or_dash(json_text(side, "type")));
		text_of_json(&line, json_object_get(side, "mailbox"));
		fprintf(ctl->out, "%s\n", buf_str(&line));
		buf_free(&line);
		for (size_t k = 0; k < json_array_size(steps); k++)
			show_step(ctl, json_array_get(steps, k));
	}
	fprintf(ctl->out, "test: %s: %s\n", ctl->item != NULL ? ctl->item : ctl->pairing,
		json_is_true(json_object_get(document, "ok")) ? "ok; that it may write was not tried" : "FAILED");
}

/* The name of an endpoint stands for the first pairing that has a mailbox there. */
static void endpoint_to_pairing(struct ctl *ctl, const struct conf *conf)
{
	if (conf_find_pairing(conf, ctl->pairing) != NULL)
		return;
	for (size_t i = 0; i < conf->n_pairings; i++) {
		for (int s = 0; s < SIDES; s++) {
			if (strcmp(conf->pairings[i].mailbox[s].endpoint->name, ctl->pairing) != 0)
				continue;
			ctl->item = ctl->pairing;
			ctl->pairing = conf->pairings[i].name;
			return;
		}
	}
}

static int test(struct ctl *ctl)
{
	static const struct link_request request = { .cmd = "test", .who = LINK_ANYBODY, .failed = EXIT_FAILED };
	struct conf *conf = NULL;
	int rc = ctl_load(ctl, false, &conf);

	if (rc == EXIT_OK) {
		endpoint_to_pairing(ctl, conf);
		rc = link_show(ctl, &request, show_test);
	}
	conf_free(&conf);
	return rc;
}

const struct ctl_command ctl_test = {
	"test", ARGS_PAIRING, OPT_JSON, "can both sides (or an endpoint) be logged on to and read?", test,
};
const struct ctl_command ctl_plan = {
	"plan", ARGS_PAIRING, OPT_JSON | OPT_SUBJECTS, "what a pass would do, without doing it",
	plan,
};
const struct ctl_command ctl_verify = {
	"verify", ARGS_PAIRING, OPT_JSON | OPT_SUBJECTS, "read both sides completely and compare",
	verify,
};
