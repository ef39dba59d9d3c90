/* cmd_addresses.c - addresses: whom the organisation behind an endpoint has mailboxes for. */
#include "link.h"

#include "table.h"

static const struct { const char *head, *member; } columns[] = {
	{ "ADDRESS", "address" }, { "NAME", "name" }, { "TYPE", "type" }, { "LOGIN", "login" },
};

/* Why a person hardly looks for it; NULL: it is shown. A shared mailbox's account is always disabled. */
static const char *left_out(json_t *a)
{
	const char *type = json_text(a, "type");

	if (strcmp(type, "system") == 0)
		return "of the system";
	if (json_is_true(json_object_get(a, "disabled")) && strcmp(type, "user") == 0)
		return "of disabled accounts";
	return json_is_true(json_object_get(a, "hidden")) ? "hidden from address lists" : NULL;
}

static void add_row(struct table *table, json_t *a)
{
	json_t *aliases = json_object_get(a, "aliases");
	struct buf line;

	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		table_cell(table, json_text(a, columns[i].member));
	buf_init(&line, 64 * 1024);
	for (size_t i = 0; i < json_array_size(aliases); i++)
		buf_printf(&line, "%s%s", i > 0 ? " " : "", json_string_value(json_array_get(aliases, i)) != NULL ?
			   json_string_value(json_array_get(aliases, i)) : "?");
	table_cell(table, buf_str(&line));
	buf_free(&line);
}

/* "addresses: corp: 12 mailboxes of ldaps://gc; 3 more are hidden from address lists (--all)" */
static void show_addresses(struct ctl *ctl, json_t *document)
{
	static const char *const heads[] = { "ADDRESS", "NAME", "TYPE", "LOGIN", "ALIASES" };
	static const char *const reasons[] = { "of the system", "of disabled accounts", "hidden from address lists" };
	json_t *all = json_object_get(document, "addresses");
	struct table *table = table_new(ARRAY_LEN(heads), heads);
	size_t shown = 0, out[ARRAY_LEN(reasons)] = { 0 };

	for (size_t i = 0; i < json_array_size(all); i++) {
		json_t *a = json_array_get(all, i);
		const char *why = (ctl->options & OPT_ALL) != 0 ? NULL : left_out(a);

		for (size_t k = 0; k < ARRAY_LEN(reasons) && why != NULL; k++)
			out[k] += strcmp(why, reasons[k]) == 0;
		if (why != NULL)
			continue;
		add_row(table, a);
		shown++;
	}
	if (shown > 0)
		table_show(table, ctl->out);
	table_free(&table);
	fprintf(ctl->out, "addresses: %s: %zu mailbox%s, by %s", json_text(document, "endpoint"), shown,
		shown == 1 ? "" : "es", json_text(document, "source"));
	for (size_t k = 0; k < ARRAY_LEN(reasons); k++)
		if (out[k] > 0)
			fprintf(ctl->out, "; %zu %s not shown (--all)", out[k], reasons[k]);
	fputc('\n', ctl->out);
	if (!json_is_true(json_object_get(document, "complete")))
		ctl_error(ctl, "%s", json_text(document, "lacking"));
}

/* The supervisor works for pairings: the first that has a mailbox there lends its place. */
static int find_pairing(struct ctl *ctl, const struct conf *conf)
{
	const char *endpoint = ctl->pairing;

	if (conf_find_endpoint(conf, endpoint) == NULL) {
		ctl_error(ctl, "there is no endpoint '%s'", endpoint);
		return EXIT_NO_SUCH;
	}
	for (size_t i = 0; i < conf->n_pairings; i++) {
		for (int s = 0; s < SIDES; s++) {
			if (strcmp(conf->pairings[i].mailbox[s].endpoint->name, endpoint) != 0)
				continue;
			ctl->item = endpoint;
			ctl->pairing = conf->pairings[i].name;
			return EXIT_OK;
		}
	}
	ctl_error(ctl, "no pairing has a mailbox on endpoint '%s' yet; add one (it may be stopped), then ask again",
		  endpoint);
	return EXIT_NO_SUCH;
}

static int addresses(struct ctl *ctl)
{
	static const struct link_request request = { .cmd = "addresses", .who = LINK_ANYBODY, .failed = EXIT_FAILED };
	struct conf *conf = NULL;
	int rc = ctl_load(ctl, false, &conf);

	if (rc == EXIT_OK)
		rc = find_pairing(ctl, conf);
	if (rc == EXIT_OK)
		rc = link_show(ctl, &request, show_addresses);
	conf_free(&conf);
	return rc;
}

const struct ctl_command ctl_addresses = {
	"addresses", ARGS_ENDPOINT, OPT_JSON | OPT_ALL, "the mailboxes of the organisation behind an endpoint",
	addresses,
};
