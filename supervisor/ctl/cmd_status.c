/* cmd_status.c - status: what the supervisor knows of the service and of each pairing. */
#include "link.h"

#include "table.h"

#include "../../common/clock.h"
#include "../../common/mem.h"

#include <inttypes.h>
#include <unistd.h>

#define WATCH_MS 2000

/* Keep only the pairing that was asked for; false if it is not there. */
static bool only_pairing(json_t *document, const char *name)
{
	json_t *all = json_object_get(document, "pairings"), *one = json_array();
	bool found = false;

	for (size_t i = 0; i < json_array_size(all); i++) {
		json_t *p = json_array_get(all, i);

		if (strcmp(json_text(p, "name"), name) == 0) {
			json_array_append(one, p);
			found = true;
		}
	}
	json_object_set_new(document, "pairings", one);
	return found;
}

static void show_service(struct ctl *ctl, json_t *document)
{
	json_t *service = json_object_get(document, "service"),
	       *pool = json_object_get(document, "pool");
	const char *held = json_text(pool, "dispatchHeldUntil");

	if (json_is_integer(json_object_get(service, "pid")) && json_number(service, "pid") > 0)
		fprintf(ctl->out, "Service: pid %" JSON_INTEGER_FORMAT ", since %s\n",
			json_number(service, "pid"), json_text(service, "startedAt"));
	else
		fputs("Service: not running\n", ctl->out);
	fprintf(ctl->out,
		"Pool: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
		" slots busy, %" JSON_INTEGER_FORMAT " queued, logon failures %" JSON_INTEGER_FORMAT
		" of %" JSON_INTEGER_FORMAT ", restarts %" JSON_INTEGER_FORMAT "%s%s\n",
		json_number(pool, "busy"), json_number(pool, "slots"), json_number(pool, "queue"),
		json_number(pool, "logonFailures"), json_number(pool, "threshold"),
		json_number(pool, "restarts"), held[0] != '\0' ? ", dispatch held until " : "",
		held);
	if (json_array_size(json_object_get(document, "pairings")) > 0)
		fprintf(ctl->out, "Oldest success: %s\n", json_text(service, "oldestSuccess")[0] != '\0' ?
			json_text(service, "oldestSuccess") : "none yet for some pairing");
}

/* As exact as such a guess is. */
static void add_time(struct buf *b, json_int_t seconds)
{
	if (seconds < 120)
		buf_printf(b, "%" JSON_INTEGER_FORMAT " s", seconds);
	else if (seconds < 7200)
		buf_printf(b, "%" JSON_INTEGER_FORMAT " min", (seconds + 59) / 60);
	else
		buf_printf(b, "%" JSON_INTEGER_FORMAT " h", (seconds + 3599) / 3600);
}

static void add_progress(struct buf *b, json_t *pairing)
{
	json_t *items = json_object_get(pairing, "items");
	json_int_t done = json_number(items, "done"), todo = json_number(items, "todo");

	if (done == 0 && todo == 0)
		return;
	buf_printf(b, "%" JSON_INTEGER_FORMAT " done", done);
	if (todo > 0)
		buf_printf(b, ", %" JSON_INTEGER_FORMAT " to do", todo);
	if (todo > 0 && json_number(items, "perMinute") > 0) {
		buf_printf(b, ", %" JSON_INTEGER_FORMAT " a minute, ", json_number(items, "perMinute"));
		add_time(b, json_number(items, "secondsLeft"));
		buf_add_str(b, " left");
	}
}

/* "0x80040111 the logon was refused; check ..." and what else a person should know. */
static void add_reason(struct buf *b, json_t *pairing)
{
	static const char *const parts[] = { "code", "reason", "remedy" };
	static const struct {
		const char *key, *text;
	} counts[] = {
		{ "quarantined", "quarantined" },
		{ "held", "held back" },
		{ "failures", "failures in a row" },
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const char *text = json_text(pairing, parts[i]);

		if (text[0] != '\0' && strcmp(text, "0x00000000") != 0)
			buf_printf(b, "%s%s", b->n == 0 ? "" : i == 1 ? " " : "; ", text);
	}
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		json_t *value = json_object_get(pairing, counts[i].key);
		json_int_t n = json_is_true(value) ? 1 : json_integer_value(value);

		if (n > 0)
			buf_printf(b, "%s%" JSON_INTEGER_FORMAT " %s", b->n > 0 ? "; " : "", n,
				   counts[i].text);
	}
}

static char *made_of(json_t *pairing, void (*add)(struct buf *b, json_t *pairing))
{
	struct buf b;

	buf_init(&b, 64 * 1024);
	add(&b, pairing);
	char *text = mem_strdup(buf_str(&b));
	buf_free(&b);
	return text;
}

static void show_pairings(struct ctl *ctl, json_t *pairings)
{
	static const char *const heads[] = {
		"Pairing", "Status", "State", "Last Updated", "Last Success", "Items", "Next Run", "Reason",
	};
	struct table *t = table_new(ARRAY_LEN(heads), heads);

	for (size_t i = 0; i < json_array_size(pairings); i++) {
		json_t *p = json_array_get(pairings, i);
		char *progress = made_of(p, add_progress), *reason = made_of(p, add_reason);

		table_cell(t, json_text(p, "name"));
		table_cell(t, json_text(p, "status"));
		table_cell(t, json_text(p, "state"));
		table_cell(t, json_text(p, "lastUpdated"));
		table_cell(t, json_text(p, "lastSuccess"));
		table_cell(t, progress);
		table_cell(t, json_text(p, "nextRun"));
		table_cell(t, reason);
		mem_free(progress);
		mem_free(reason);
	}
	table_show(t, ctl->out);
	table_free(&t);
}

static void show_fact(struct ctl *ctl, const char *name, const char *text)
{
	struct buf shown;

	buf_init(&shown, 64 * 1024);
	terminal_add(&shown, text, strlen(text));
	fprintf(ctl->out, "%-14s %s\n", name, shown.n > 0 ? buf_str(&shown) : "-");
	buf_free(&shown);
}

static void show_count(struct ctl *ctl, json_t *pairing, const char *key, const char *name, const char *command)
{
	json_int_t n = json_number(pairing, key);

	if (n > 0)
		fprintf(ctl->out, "%-14s %" JSON_INTEGER_FORMAT " (mailshadow %s %s)\n", name, n, command,
			json_text(pairing, "name"));
}

/* One pairing: everything, a line each. */
static void show_pairing(struct ctl *ctl, json_t *p)
{
	static const struct { const char *name, *key; } facts[] = {
		{ "Pairing:", "name" }, { "Status:", "status" }, { "State:", "state" },
		{ "Last Updated:", "lastUpdated" }, { "Last Success:", "lastSuccess" }, { "Next Run:", "nextRun" },
	};
	static const char *const sides[SIDES] = { "left", "right" };
	char *progress = made_of(p, add_progress), *reason = made_of(p, add_reason);

	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		show_fact(ctl, facts[i].name, json_text(p, facts[i].key));
	for (size_t i = 0; i < SIDES; i++) {
		json_t *side = json_object_get(p, sides[i]);
		char *text = mem_printf("%s on %s", json_text(side, "mailbox"), json_text(side, "endpoint"));

		show_fact(ctl, i == 0 ? "Left:" : "Right:", text);
		mem_free(text);
	}
	show_fact(ctl, "Items:", progress);
	show_count(ctl, p, "quarantined", "Set aside:", "quarantine");
	show_count(ctl, p, "held", "Held back:", "release");
	show_fact(ctl, "Reason:", reason);
	mem_free(progress);
	mem_free(reason);
}

static void show_json(struct ctl *ctl, json_t *document)
{
	json_dumpf(document, ctl->out,
		   (ctl->options & OPT_WATCH) != 0 ? JSON_COMPACT : JSON_INDENT(2));
	fputc('\n', ctl->out);
}

static int show_once(struct ctl *ctl)
{
	static const struct link_request request = {
		.cmd = "status", .who = LINK_ANYBODY, .failed = EXIT_FAILED, .wait_s = 60,
	};
	struct buf answer;

	buf_init(&answer, LINK_ANSWER_MAX);
	int rc = link_ask(ctl, &request, &answer);
	json_t *document = rc == EXIT_OK ? link_document(ctl, &answer) : NULL;
	buf_free(&answer);
	if (rc == EXIT_OK && document == NULL)
		rc = EXIT_FAILED;
	if (rc == EXIT_OK && ctl->pairing != NULL && !only_pairing(document, ctl->pairing)) {
		ctl_error(ctl, "the service has no pairing '%s'; see mailshadow reload",
			  ctl->pairing);
		rc = EXIT_NO_SUCH;
	}
	if (rc == EXIT_OK && (ctl->options & OPT_WATCH) != 0 && isatty(fileno(ctl->out)))
		fputs("\033[H\033[2J", ctl->out);
	if (rc == EXIT_OK && (ctl->options & OPT_JSON) != 0) {
		show_json(ctl, document);
	} else if (rc == EXIT_OK && ctl->pairing != NULL) {
		show_pairing(ctl, json_array_get(json_object_get(document, "pairings"), 0));
	} else if (rc == EXIT_OK) {
		show_service(ctl, document);
		show_pairings(ctl, json_object_get(document, "pairings"));
	}
	json_decref(document);
	return rc;
}

static int status(struct ctl *ctl)
{
	int rc = show_once(ctl);

	while (rc == EXIT_OK && (ctl->options & OPT_WATCH) != 0) {
		if (fflush(ctl->out) != 0)
			return EXIT_FAILED;
		clock_sleep_ms(WATCH_MS);
		rc = show_once(ctl);
	}
	return rc;
}

const struct ctl_command ctl_status = {
	"status", ARGS_MAYBE_PAIRING, OPT_JSON | OPT_WATCH, "how the service and the pairings are",
	status,
};
