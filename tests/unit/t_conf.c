/* t_conf.c - what a configuration becomes, prints and documents; sample, limits, damaged files. */
#include "conf_case.h"

#include "../../common/conf_p.h"
#include "../../common/io.h"
#include "../../common/mem.h"
#include "../../worker/endpoint.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state)
{
	struct conf_case *c = mem_alloc(sizeof(*c));

	case_begin(c);
	*state = c;
	return 0;
}

static int tear_down(void **state)
{
	case_end(*state);
	mem_free(*state);
	return 0;
}

static void valid_file(void **state)
{
	struct conf_case *c = *state;
	char path[160];

	case_write(c, "<", "<");
	assert_int_equal(case_load(c), E_OK);
	assert_string_equal(c->warnings, "");
	const struct conf *conf = c->conf;
	assert_string_equal(conf->file, c->file);
	assert_int_equal(conf->workers, 2);
	assert_int_equal(conf->interval_ms, 200);
	assert_int_equal(conf->retry_bump_ms, 15 * 60000);
	assert_int_equal(conf->time_slice_ms, 15 * 60000);
	assert_int_equal(conf->heartbeat_timeout_ms, 30000);
	assert_int_equal(conf->progress_timeout_ms, 300000);
	assert_int_equal(conf->dispatch_hold_ms, 5000);
	assert_int_equal(conf->dispatch_hold_max_ms, 300000);
	assert_int_equal(conf->crash_quarantine_ms, 3600000);
	assert_int_equal(conf->credential_trial_ms, 300000);
	assert_int_equal(conf->item_retry_ms, 3600000);
	assert_int_equal(conf->log_level, LOG_L_INFO);
	assert_string_equal(conf->trace, "");
	snprintf(path, sizeof(path), "%s/state", c->dir);
	assert_string_equal(conf->state_dir, path);
	snprintf(path, sizeof(path), "%s/run", c->dir);
	assert_string_equal(conf->runtime_dir, path);
	assert_string_equal(conf->log_dir, "/var/log/mailshadow");
	char *peeked = conf_peek_runtime_dir(c->file);
	assert_string_equal(peeked, path);
	mem_free(peeked);

	assert_int_equal(conf->n_endpoints, 3);
	const struct conf_endpoint *e = conf_find_endpoint(conf, "old");
	assert_string_equal(e->type, "imap");
	assert_int_equal(e->line, 9);
	assert_string_equal(e->login, "svc@old.example");
	assert_int_equal(e->port, 0);
	assert_string_equal(e->auth, "");
	assert_non_null(strstr(e->ca_pem, "BEGIN CERTIFICATE"));
	assert_null(conf_find_endpoint(conf, "nix"));
	assert_int_equal(conf_find_endpoint(conf, "new")->tls, TLS_NONE);

	assert_int_equal(conf->n_pairings, 2);
	const struct conf_pairing *p = conf_find_pairing(conf, "alice");
	assert_int_equal(p->line, 26);
	assert_int_equal(p->conflict, CONFLICT_LEFT);
	assert_int_equal(p->deletions[SIDE_LEFT], DELETIONS_ARCHIVE);
	assert_int_equal(p->deletions[SIDE_RIGHT], DELETIONS_ARCHIVE);
	assert_int_equal(p->kinds, 1u << EP_MAIL | 1u << EP_EVENTS);
	assert_int_equal(p->n_excludes, 2);
	assert_string_equal(p->excludes[1], "A/*");
	assert_int_equal(p->n_maps, 1);
	assert_string_equal(p->maps[0].right, "Y/Z");
	assert_int_equal(p->guard.max_deletions, 7);
	assert_int_equal(p->guard.folder_percent, 25);
	assert_ptr_equal(p->mailbox[SIDE_LEFT].endpoint, e);
	const struct conf_pairing *b = conf_find_pairing(conf, "bob");
	assert_int_equal(b->deletions[SIDE_LEFT], DELETIONS_TRASH);
	assert_int_equal(b->conflict, CONFLICT_NEWEST);
	assert_int_equal(b->guard.max_deletions, 500);
	assert_int_equal(b->kinds, (1u << EP_KINDS) - 1);
	assert_string_equal(conf_near_pairing(conf, "alcie"), "alice");
	assert_null(conf_near_pairing(conf, "zzzzzz"));
}

static void logons_and_secrets(void **state)
{
	struct conf_case *c = *state;
	struct secret *secret = NULL;
	struct err err = ERR_INIT;

	case_write(c, "<", "<");
	assert_int_equal(case_load(c), E_OK);
	const struct conf_pairing *alice = conf_find_pairing(c->conf, "alice"),
				  *bob = conf_find_pairing(c->conf, "bob");
	assert_int_equal(conf_mailbox_logon(&alice->mailbox[0]), LOGON_SERVICE);
	assert_int_equal(conf_mailbox_logon(&alice->mailbox[1]), LOGON_NONE_NEEDED);
	assert_int_equal(conf_mailbox_logon(&bob->mailbox[0]), LOGON_DEFAULT);
	assert_int_equal(conf_mailbox_logon(&bob->mailbox[1]), LOGON_OWN);
	assert_string_equal(bob->mailbox[1].login, "bob@old.example");
	assert_int_equal(conf_mailbox_secret(&alice->mailbox[0], &secret, &err), E_OK);
	assert_string_equal(secret_reveal(secret), "s3cret");
	secret_free(&secret);
	assert_int_equal(conf_mailbox_secret(&alice->mailbox[1], &secret, &err), E_OK);
	assert_null(secret);

	case_write(c, "      <DefaultPassword file=\"secret\"/>\n", "");
	assert_int_equal(case_load(c), E_OK);
	bob = conf_find_pairing(c->conf, "bob");
	assert_int_equal(conf_mailbox_logon(&bob->mailbox[0]), LOGON_MISSING);
	assert_int_equal(conf_mailbox_secret(&bob->mailbox[0], &secret, &err),
			 E_CREDENTIALS_MISSING);
	assert_null(secret);
	assert_non_null(strstr(err.text, "bob@new.example"));

	/* a name of its own without a password never falls back to somebody else's password */
	case_write(c, "SMTPName=\"bob@new.example\"/>",
		   "SMTPName=\"bob@new.example\"><LoginName>b</LoginName></mailbox>");
	assert_int_equal(case_load(c), E_OK);
	assert_int_equal(conf_mailbox_logon(&conf_find_pairing(c->conf, "bob")->mailbox[0]),
			 LOGON_MISSING);
}

static void credentials_of_systemd(void **state)
{
	struct conf_case *c = *state;
	struct secret *secret = NULL;

	case_write(c, "<Password file=\"secret\"/>\n      <Server>",
		   "<Password credential=\"corp\"/>\n      <Server>");
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(case_load(c), E_OK);
	const struct conf_mailbox *m = &conf_find_pairing(c->conf, "alice")->mailbox[0];
	assert_int_equal(conf_mailbox_secret(m, &secret, &c->err), E_CONF);
	setenv("CREDENTIALS_DIRECTORY", c->dir, 1);
	assert_int_equal(case_load(c), E_CONF);
	assert_non_null(strstr(c->err.text, "m.xml:11:"));
	case_put(c, "corp", "from systemd\n", 13, 0440);
	assert_int_equal(case_load(c), E_OK);
	m = &conf_find_pairing(c->conf, "alice")->mailbox[0];
	assert_int_equal(conf_mailbox_secret(m, &secret, &c->err), E_OK);
	assert_string_equal(secret_reveal(secret), "from systemd");
	secret_free(&secret);
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void durations(void **state)
{
	static const struct { const char *text; int64_t ms;
	} rows[] = {
		{ "5", 300000 },   { "1ms", 1 },       { "90s", 90000 }, { "5m", 300000 },
		{ "2h", 7200000 }, { "1d", 86400000 }, { "0", 0 },	 { "1500ms", 1500 },
	};
	static const struct conf_setting s = { .name = "X",
					       .value = V_TIME,
					       .min = 0,
					       .max = INT64_MAX };
	char text[CONF_TIME_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = -1, again = -1;

		assert_int_equal(conf_value_read(&s, rows[i].text, NULL, &ms, NULL), E_OK);
		assert_int_equal(ms, rows[i].ms);
		assert_int_equal(conf_value_read(&s, conf_time_text(ms, text), NULL, &again, NULL),
				 E_OK);
		assert_int_equal(again, ms);
	}
	assert_string_equal(conf_time_text(90000, text), "90s");
	assert_string_equal(conf_time_text(3600000, text), "1h");
}

static void socket_paths(void **state)
{
	struct conf_case *c = *state;
	char old[] = "<RuntimeDirectory>./run<", new_text[256] = "<RuntimeDirectory>/";
	size_t at = strlen(new_text),
	       fits = CONF_SOCKET_PATH_MAX - strlen("/" CONF_CONTROL_SOCKET) - 1;

	memset(new_text + at, 'r', fits);
	new_text[at + fits] = '<';
	case_write(c, old, new_text);
	assert_int_equal(case_load(c), E_OK);
	new_text[at + fits] = 'r';
	new_text[at + fits + 1] = '<';
	case_write(c, old, new_text);
	assert_int_equal(case_load(c), E_CONF);
	assert_non_null(strstr(c->err.text, "m.xml:6: RuntimeDirectory"));
	assert_non_null(strstr(c->err.text, "108 bytes long"));
}

static void unreadable_files(void **state)
{
	struct conf_case *c = *state;

	assert_int_equal(case_load(c), E_CONF);
	assert_non_null(strstr(c->err.text, "m.xml"));
	case_put(c, "m.xml", "", 0, 0644);
	assert_int_equal(case_load(c), E_CONF);
	case_put(c, "m.xml", "<mailshadow/>\0", 14, 0644);
	assert_int_equal(case_load(c), E_CONF);
	case_put(c, "m.xml", "<other/>", 8, 0644);
	assert_int_equal(case_load(c), E_CONF);
	assert_non_null(strstr(c->err.text, "m.xml:1: the outermost element is <other>"));
	case_put(c, "m.xml", "<mailshadow/>", 13, 0644);
	assert_int_equal(case_load(c), E_OK);
	assert_int_equal(c->conf->n_pairings, 0);
	assert_int_equal(c->conf->workers, 15);
}

struct printed {
	struct buf text;
};

static void print_line(void *ctx, const char *text)
{
	struct printed *p = ctx;

	assert_null(strchr(text, '\n'));
	buf_printf(&p->text, "%s\n", text);
}

static void printing_masks(void **state)
{
	static const char *const lines[] = {
		"gateway LastSyncTimeInterval = 200ms\n",
		"gateway ErrorRetryBump = 15m\n",
		"gateway guard MaxDeletions = 500\n",
		"endpoint old Password = *** (file ",
		"endpoint new DefaultPassword = *** (file ",
		"endpoint disk Path = ",
		"pairing alice left endpoint = old\n",
		"pairing alice right logon = none needed\n",
		"pairing alice exclude = A/*\n",
		"pairing alice map = X -> Y/Z\n",
		"pairing alice guard MaxDeletions = 7\n",
		"pairing alice kinds = mail events\n",
		"pairing alice busyOnly = right\n",
		"pairing alice window past = 90d\n",
		"pairing bob busyOnly = none\n",
		"endpoint old CalDAV = https://dav.example/\n",
		"pairing bob right Password = *** (file ",
		"pairing bob left logon = default password\n",
	};
	struct conf_case *c = *state;
	struct printed p;

	case_write(c, "<TLS>implicit</TLS>", "<CalDAV>https://dav.example/</CalDAV>");
	assert_int_equal(case_load(c), E_OK);
	struct conf_pairing *alice = (struct conf_pairing *)(uintptr_t)conf_find_pairing(c->conf, "alice");
	alice->busy_only[SIDE_RIGHT] = true;
	alice->window_past_s = 90 * 86400;
	buf_init(&p.text, 65536);
	conf_print(c->conf, print_line, &p);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		if (strstr(buf_str(&p.text), lines[i]) == NULL)
			fail_msg("no line '%s' in:\n%s", lines[i], buf_str(&p.text));
	}
	assert_null(strstr(buf_str(&p.text), "s3cret"));
	buf_free(&p.text);
}

static void must_name(const char *file, const struct conf_table *t, const char *before,
		      const char *after)
{
	struct err err = ERR_INIT;
	struct buf b;

	buf_init(&b, 1024 * 1024);
	if (io_read_file(file, &b, &err) != E_OK)
		fail_msg("%s (run the tests from the project's directory)", err.text);
	for (size_t i = 0; i < t->n; i++) {
		char *word = mem_printf("%s%s%s", before, t->rows[i].name, after);

		if (strstr(buf_str(&b), word) == NULL)
			fail_msg("%s does not name %s of %s", file, t->rows[i].name, t->where);
		mem_free(word);
	}
	buf_free(&b);
}

static void every_setting_is_documented(void **state)
{
	static const struct conf_table *const tables[] = { &conf_gateway_table,
							   &conf_endpoint_table,
							   &conf_guard_table };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		must_name("config/mailshadow.xml", tables[i], "<", "");
		must_name("config/mailshadow.xsd", tables[i], "<xs:element name=\"", "\"");
		must_name("doc/configuration.md", tables[i], "| `", "` |");
		must_name("doc/man/mailshadow.xml.5", tables[i], "\n.B ", "\n");
	}
}

/* The defaults that the documentation tells are those of the table. */
static void documented_defaults_are_true(void **state)
{
	static const struct conf_table *const tables[] = { &conf_gateway_table, &conf_guard_table };
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	buf_init(&b, 1024 * 1024);
	assert_int_equal(io_read_file("doc/configuration.md", &b, &err), E_OK);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		for (size_t k = 0; k < tables[i]->n; k++) {
			const struct conf_setting *s = &tables[i]->rows[k];
			char *cell = mem_printf("| `%s` | %s%s%s |", s->name,
						s->fallback[0] ? "`" : "none", s->fallback,
						s->fallback[0] ? "`" : "");

			if (strstr(buf_str(&b), cell) == NULL)
				fail_msg("doc/configuration.md has no '%s'", cell);
			mem_free(cell);
		}
	}
	buf_free(&b);
}

static void sample_is_valid(void **state)
{
	struct conf_case *c = *state;
	struct err err = ERR_INIT;
	char path[160];
	struct buf b;

	buf_init(&b, 1024 * 1024);
	assert_int_equal(io_read_file("config/mailshadow.xml", &b, &err), E_OK);
	case_put(c, "m.xml", b.p, b.n, 0644);
	buf_free(&b);
	snprintf(path, sizeof(path), "%s/secrets", c->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	case_put(c, "secrets/old", "a", 1, 0600);
	case_put(c, "secrets/initial", "b", 1, 0600);
	case_put(c, "secrets/bob", "c", 1, 0600);
	if (case_load(c) != E_OK)
		fail_msg("%s", c->err.text);
	assert_int_equal(case_xmllint("config/mailshadow.xml"), 0);
	/* what it shows as defaults are the defaults */
	struct conf defaults = { 0 };
	struct arena *arena = arena_new(1024 * 1024);
	struct conf_source src = { .arena = arena, .dir = "" };
	conf_defaults(&conf_gateway_table, &src, &defaults);
	for (size_t i = 0; i < conf_gateway_table.n; i++) {
		const struct conf_setting *s = &conf_gateway_table.rows[i];

		assert_string_equal(conf_value_text(s, c->conf, arena),
				    conf_value_text(s, &defaults, arena));
	}
	arena_free(&arena);
}

static void kinds_agree_with_the_contract(void **state)
{
	(void)state;
	assert_int_equal(CONF_KINDS, EP_KINDS);
	assert_string_equal(conf_kind_names[EP_MAIL], "mail");
	assert_string_equal(conf_kind_names[EP_EVENTS], "events");
	assert_string_equal(conf_kind_names[EP_CONTACTS], "contacts");
	assert_string_equal(conf_kind_names[EP_TASKS], "tasks");
	assert_int_equal(CONF_KIND_MAIL, 1 << EP_MAIL);
	assert_int_equal(CONF_KIND_EVENTS, 1 << EP_EVENTS);
	assert_int_equal(CONF_KIND_CONTACTS, 1 << EP_CONTACTS);
	assert_int_equal(CONF_KIND_TASKS, 1 << EP_TASKS);
}

static void kinds_of_a_pairing(void **state)
{
	struct conf_endpoint imap = { .type = "imap", .server = "x" }, disk = { .type = "local" };
	struct conf_pairing p = { .kinds = CONF_KINDS_ALL, .mailbox = { { .endpoint = &imap }, { .endpoint = &disk } } };

	(void)state;
	assert_int_equal(conf_pairing_kinds(&p), CONF_KIND_MAIL);
	assert_false(conf_pairing_uses_http(&p));
	imap.caldav = "https://x/";
	assert_true(conf_pairing_uses_http(&p));
	p.kinds = CONF_KIND_MAIL;
	assert_false(conf_pairing_uses_http(&p));
	p.kinds = CONF_KINDS_ALL;
	assert_int_equal(conf_pairing_kinds(&p), CONF_KIND_MAIL | CONF_KIND_EVENTS | CONF_KIND_TASKS);
	imap.server = NULL;
	imap.carddav = "https://x/";
	assert_int_equal(conf_pairing_kinds(&p), CONF_KINDS_ALL & ~(unsigned)CONF_KIND_MAIL);
	p.kinds = CONF_KIND_MAIL | CONF_KIND_TASKS;
	assert_int_equal(conf_pairing_kinds(&p), CONF_KIND_TASKS);
}

static void relative_file_names(void **state)
{
	struct conf_case *c = *state;
	char here[PATH_MAX], path[160];

	case_write(c, "<", "<");
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(c->dir), 0);
	strcpy(c->file, "m.xml");
	enum code rc = case_load(c);
	assert_int_equal(chdir(here), 0);
	assert_int_equal(rc, E_OK);
	snprintf(path, sizeof(path), "%s/mail", c->dir);
	assert_string_equal(conf_find_endpoint(c->conf, "disk")->path, path);
}

/* A file as large as a big site's: time and memory stay linear. */
static void many_pairings(void **state)
{
	struct conf_case *c = *state;
	struct buf b;

	buf_init(&b, CONF_FILE_MAX);
	buf_add_str(&b, "<mailshadow><endpoints><endpoint name=\"a\" "
			"type=\"local\"><Path>a</Path></endpoint>"
			"<endpoint name=\"b\" "
			"type=\"local\"><Path>b</Path></endpoint></endpoints><pairings>");
	for (unsigned i = 0; i < 20000; i++)
		buf_printf(&b, "<pairing name=\"p%u\"><mailbox endpoint=\"a\" SMTPName=\"u%u\"/>"
			   "<mailbox endpoint=\"b\" SMTPName=\"u%u\"/></pairing>\n", i, i, i);
	buf_add_str(&b, "</pairings></mailshadow>");
	case_put(c, "m.xml", b.p, b.n, 0644);
	buf_free(&b);
	assert_int_equal(case_load(c), E_OK);
	assert_int_equal(c->conf->n_pairings, 20000);
	assert_string_equal(c->conf->pairings[19999].name, "p19999");
}

static void too_many_folders(void **state)
{
	struct conf_case *c = *state;
	struct buf b;

	buf_init(&b, 1024 * 1024);
	for (unsigned i = 0; i < 1000; i++)
		buf_printf(&b, "<exclude>Folder number %u</exclude>", i);
	case_write(c, "<exclude>Junk</exclude>", buf_str(&b));
	buf_free(&b);
	assert_int_equal(case_load(c), E_CONF);
	assert_non_null(strstr(c->err.text, "m.xml:29: the folders of pairing 'alice' take"));
}

/* A file whose size would be its entities' is refused before anything is expanded. */
static void entity_bomb(void **state)
{
	struct conf_case *c = *state;
	struct buf b;

	buf_init(&b, 1024 * 1024);
	buf_add_str(&b, "<!DOCTYPE m [<!ENTITY a \"");
	for (unsigned i = 0; i < 100000; i++)
		buf_add_char(&b, 'x');
	buf_add_str(&b, "\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]><mailshadow>&f;");
	for (unsigned i = 0; i < 20000; i++)
		buf_add_str(&b, "&a;");
	buf_add_str(&b, "</mailshadow>");
	case_put(c, "m.xml", b.p, b.n, 0644);
	buf_free(&b);
	assert_int_equal(case_load(c), E_CONF);
	assert_non_null(strstr(c->err.text, "DOCTYPE"));
}

static uint32_t seed;
static uint32_t next_random(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static void mutate(struct buf *b)
{
	static const char *const words[] = {
		"<",	">",	"\"",	"&amp;",	"<![CDATA[x]]>",
		"<!--", "&#0;", "\xff", "\xed\xa0\x80", "</mailshadow>"
	};
	size_t at = next_random((uint32_t)b->n), n = next_random(40);
	const char *word = words[next_random(ARRAY_LEN(words))];
	struct buf out;

	if (n > b->n - at)
		n = b->n - at;
	buf_init(&out, b->ceiling);
	buf_add(&out, b->p, at);
	switch (next_random(4)) {
	case 0:                  /* cut */
		break;
	case 1:                  /* double */
		buf_add(&out, b->p + at, n);
		buf_add(&out, b->p + at, n);
		break;
	case 2:                  /* insert */
		buf_add_str(&out, word);
		buf_add(&out, b->p + at, n);
		break;
	case 3:                  /* overwrite one byte */
		buf_add_char(&out, (char)next_random(256));
		buf_add(&out, b->p + at + (n > 0 ? 1 : 0), n > 0 ? n - 1 : 0);
		break;
	}
	buf_add(&out, b->p + at + n, b->n - at - n);
	buf_clear(b);
	buf_add(b, out.p, out.n);
	buf_free(&out);
}

static void mutated_files(void **state)
{
	struct conf_case *c = *state;
	unsigned loaded = 0;

	for (uint32_t run = 0; run < 3000; run++) {
		struct buf b;

		seed = run * 2654435761u + 1;
		buf_init(&b, 1024 * 1024);
		buf_add_str(&b, case_valid);
		for (uint32_t k = 1 + next_random(3); k > 0; k--)
			mutate(&b);
		case_put(c, "m.xml", b.p, b.n, 0644);
		buf_free(&b);
		enum code rc = case_load(c);
		if (rc == E_OK)
			loaded++;
		else if (rc != E_CONF || strncmp(c->err.text, c->file, strlen(c->file)) != 0)
			fail_msg("run %u: code %d, '%s'", run, (int)rc, c->err.text);
	}
	assert_in_range(loaded, 1, 2999);   /* both doors were used */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(valid_file), T(logons_and_secrets), T(credentials_of_systemd),
		
		T(durations),
		T(socket_paths),
		T(unreadable_files),
		T(printing_masks),
		T(every_setting_is_documented),
		T(documented_defaults_are_true),
		T(sample_is_valid),
		T(kinds_agree_with_the_contract), T(kinds_of_a_pairing),
		T(relative_file_names),
		T(many_pairings),
		T(too_many_folders),
		T(entity_bomb),
		T(mutated_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
