/* t_conf_wire.c - a pairing to its worker and back: nothing lost, told or believed. */
#include "conf_case.h"

#include "../../common/conf_p.h"
#include "../../common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int set_up(void **state)
{
	struct conf_case *c = mem_alloc(sizeof(*c));

	case_begin(c);
	case_write(c, "<Workers>2</Workers>",
		   "<Workers>2</Workers><ItemRetry>7s</ItemRetry><LogLevel>debug</LogLevel>"
		   "<Trace>imap,net</Trace>");
	*state = c;
	return case_load(c) == E_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	case_end(*state);
	mem_free(*state);
	return 0;
}

static void same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		assert_ptr_equal(a, b);
	else
		assert_string_equal(a, b);
}

static void same_mailbox(const struct conf_mailbox *a, const struct conf_mailbox *b)
{
	const struct conf_endpoint *x = a->endpoint, *y = b->endpoint;

	assert_string_equal(a->smtp_name, b->smtp_name);
	same_text(a->login, b->login);
	assert_int_equal(conf_mailbox_logon(a), conf_mailbox_logon(b));
	assert_string_equal(x->name, y->name);
	assert_string_equal(x->type, y->type);
	same_text(x->login, y->login);
	same_text(x->server, y->server);
	assert_int_equal(x->port, y->port);
	assert_int_equal(x->tls, y->tls);
	same_text(x->auth, y->auth);
	same_text(x->ca_pem, y->ca_pem);
	same_text(x->path, y->path);
	same_text(x->caldav, y->caldav);
	same_text(x->carddav, y->carddav);
	assert_int_equal(x->max_connections, y->max_connections);
}

static void same_pairing(const struct conf_pairing *a, const struct conf_pairing *b)
{
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->line, b->line);
	assert_int_equal(a->conflict, b->conflict);
	assert_int_equal(a->kinds, b->kinds);
	assert_int_equal(a->busy_only[SIDE_LEFT], b->busy_only[SIDE_LEFT]);
	assert_int_equal(a->busy_only[SIDE_RIGHT], b->busy_only[SIDE_RIGHT]);
	assert_int_equal(a->window_past_s, b->window_past_s);
	assert_int_equal(a->window_future_s, b->window_future_s);
	assert_memory_equal(&a->guard, &b->guard, sizeof(a->guard));
	assert_int_equal(a->n_excludes, b->n_excludes);
	for (size_t i = 0; i < a->n_excludes; i++)
		assert_string_equal(a->excludes[i], b->excludes[i]);
	assert_int_equal(a->n_maps, b->n_maps);
	for (size_t i = 0; i < a->n_maps; i++) {
		assert_string_equal(a->maps[i].left, b->maps[i].left);
		assert_string_equal(a->maps[i].right, b->maps[i].right);
	}
	for (enum side side = SIDE_LEFT; side < SIDES; side++) {
		assert_int_equal(a->deletions[side], b->deletions[side]);
		same_mailbox(&a->mailbox[side], &b->mailbox[side]);
	}
}

static void there_and_back(void **state)
{
	struct conf_case *c = *state;

	c->conf->generation = 42;
	for (size_t i = 0; i < c->conf->n_pairings; i++) {
		struct conf *got = NULL, *again = NULL;
		struct err err = ERR_INIT;
		struct buf one, two;

		buf_init(&one, 65536);
		buf_init(&two, 65536);
		conf_pairing_encode(c->conf, &c->conf->pairings[i], &one);
		assert_false(one.overflow);
		if (conf_pairing_decode(one.p, one.n, &got, &err) != E_OK)
			fail_msg("%s", err.text);
		assert_int_equal(got->n_pairings, 1);
		assert_int_equal(got->n_endpoints, 2);
		assert_int_equal(got->generation, 42);
		assert_int_equal(got->item_retry_ms, 7000);
		assert_int_equal(got->log_level, LOG_L_DEBUG);
		assert_string_equal(got->trace, "imap,net");
		assert_string_equal(got->state_dir, c->conf->state_dir);
		same_pairing(&c->conf->pairings[i], &got->pairings[0]);
		conf_pairing_encode(got, &got->pairings[0], &two);
		assert_string_equal(buf_str(&one), buf_str(&two));
		assert_int_equal(conf_pairing_decode(two.p, two.n, &again, &err), E_OK);
		conf_free(&again);
		conf_free(&got);
		buf_free(&one);
		buf_free(&two);
	}
}

/* What records need: URLs with and without a Server, who is told only when, and the window. */
static void records_travel(void **state)
{
	struct conf_case *c = *state;
	struct conf *got = NULL;
	struct buf b;

	case_write(c, "      <Server>localhost</Server>\n      <TLS>none</TLS>\n",
		   "<CalDAV>https://dav.example/{user}/</CalDAV><CardDAV>http://[::1]:5232/</CardDAV>");
	assert_int_equal(case_load(c), E_OK);
	buf_init(&b, 65536);
	conf_pairing_encode(c->conf, conf_find_pairing(c->conf, "bob"), &b);
	assert_int_equal(conf_pairing_decode(b.p, b.n, &got, &c->err), E_OK);
	same_pairing(conf_find_pairing(c->conf, "bob"), &got->pairings[0]);
	assert_null(got->pairings[0].mailbox[0].endpoint->server);
	assert_string_equal(got->pairings[0].mailbox[0].endpoint->caldav, "https://dav.example/{user}/");
	conf_free(&got);
	buf_clear(&b);
	conf_encode(c->conf, &b);
	assert_int_equal(conf_decode(b.p, b.n, &got, &c->err), E_OK);
	assert_string_equal(got->endpoints[1].carddav, "http://[::1]:5232/");
	conf_free(&got);

	for (unsigned busy = 0; busy < 4; busy++) {
		char *with = mem_printf("kinds=\"events\" busyOnly=\"%s\"", conf_busy_names[busy]);

		case_write(c, "kinds=\"mail events\"", with);
		mem_free(with);
		assert_int_equal(case_load(c), E_OK);
		buf_clear(&b);
		conf_pairing_encode(c->conf, conf_find_pairing(c->conf, "alice"), &b);
		assert_int_equal(conf_pairing_decode(b.p, b.n, &got, &c->err), E_OK);
		same_pairing(conf_find_pairing(c->conf, "alice"), &got->pairings[0]);
		assert_int_equal(got->pairings[0].busy_only[SIDE_LEFT], busy & 1);
		assert_int_equal(got->pairings[0].busy_only[SIDE_RIGHT], busy >> 1);
		conf_free(&got);
	}
	case_write(c, "<guard><MaxDeletions>7</MaxDeletions></guard>", "<window past=\"90d\" future=\"400d\"/>");
	assert_int_equal(case_load(c), E_OK);
	buf_clear(&b);
	conf_pairing_encode(c->conf, conf_find_pairing(c->conf, "alice"), &b);
	assert_int_equal(conf_pairing_decode(b.p, b.n, &got, &c->err), E_OK);
	assert_int_equal(got->pairings[0].window_past_s, 90 * 86400);
	assert_int_equal(got->pairings[0].window_future_s, 400 * 86400);
	conf_free(&got);
	buf_free(&b);
}

static void no_secret_travels(void **state)
{
	struct conf_case *c = *state;
	struct conf *got = NULL;
	struct buf b;

	buf_init(&b, 65536);
	conf_pairing_encode(c->conf, conf_find_pairing(c->conf, "bob"), &b);
	assert_null(strstr(buf_str(&b), "s3cret"));
	assert_null(strstr(buf_str(&b), "/secret"));   /* nor where it is kept */
	assert_int_equal(conf_pairing_decode(b.p, b.n, &got, &c->err), E_OK);
	assert_string_equal(got->pairings[0].mailbox[1].password.credential, CONF_HELD);
	assert_null(got->pairings[0].mailbox[1].password.file);
	conf_free(&got);
	buf_free(&b);
}

/* The whole, as the process that reads the file hands it over: secrets as where they are. */
static void the_whole(void **state)
{
	struct conf_case *c = *state;
	struct conf *got = NULL;
	struct err err = ERR_INIT;
	struct buf one, two;

	buf_init(&one, 65536);
	buf_init(&two, 65536);
	conf_encode(c->conf, &one);
	assert_null(strstr(buf_str(&one), "s3cret"));
	if (conf_decode(one.p, one.n, &got, &err) != E_OK)
		fail_msg("%s", err.text);
	assert_int_equal(got->n_pairings, c->conf->n_pairings);
	assert_int_equal(got->n_endpoints, c->conf->n_endpoints);
	for (size_t i = 0; i < got->n_pairings; i++) {
		const struct conf_pairing *a = &c->conf->pairings[i], *b = &got->pairings[i];

		same_pairing(a, b);
		for (enum side side = SIDE_LEFT; side < SIDES; side++) {
			assert_true(b->mailbox[side].endpoint >= got->endpoints &&
				    b->mailbox[side].endpoint < got->endpoints + got->n_endpoints);
			same_text(a->mailbox[side].password.file, b->mailbox[side].password.file);
			same_text(a->mailbox[side].endpoint->password.file, b->mailbox[side].endpoint->password.file);
			assert_int_equal(a->mailbox[side].line, b->mailbox[side].line);
			assert_int_equal(a->mailbox[side].endpoint->line, b->mailbox[side].endpoint->line);
		}
	}
	assert_memory_equal(&got->guard, &c->conf->guard, sizeof(got->guard));
	conf_encode(got, &two);
	assert_string_equal(buf_str(&one), buf_str(&two));
	conf_free(&got);
	for (size_t n = 0; n < one.n; n++)
		assert_int_equal(conf_decode(one.p, n, &got, NULL), E_INTERNAL);
	for (size_t i = 0; i < one.n; i++) {
		for (const char *with = "\"x9{-]"; *with != '\0'; with++) {
			char was = one.p[i];

			one.p[i] = *with;
			if (conf_decode(one.p, one.n, &got, NULL) == E_OK)
				conf_free(&got);
			one.p[i] = was;
		}
	}
	buf_free(&one);
	buf_free(&two);
}

/* Every prefix, and every byte changed: an error or a configuration, never a crash. */
static void damage(void **state)
{
	struct conf_case *c = *state;
	struct conf *got = NULL;
	struct buf b;

	buf_init(&b, 65536);
	conf_pairing_encode(c->conf, conf_find_pairing(c->conf, "alice"), &b);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(conf_pairing_decode(b.p, n, &got, NULL), E_INTERNAL);
	for (size_t i = 0; i < b.n; i++) {
		static const char with[] = { 0, '"', 'x', '9', '{', '\x80', '-' };

		for (size_t k = 0; k < sizeof(with); k++) {
			char was = b.p[i];

			b.p[i] = with[k];
			if (conf_pairing_decode(b.p, b.n, &got, NULL) == E_OK)
				conf_free(&got);
			b.p[i] = was;
		}
	}
	buf_free(&b);
}

static void wrong_values(void **state)
{
	static const struct { const char *old, *new_text; } rows[] = {
		{ "\"version\":1", "\"version\":2" },
		{ "\"version\":1", "\"version\":-1" },
		{ "\"name\":\"alice\"", "\"name\":\"../etc\"" },
		{ "\"SMTPName\":\"alice\"", "\"SMTPName\":\"../alice\"" },
		{ "\"SMTPName\":\"alice\"", "\"SMTPName\":\"\"" },
		{ "\"SMTPName\":\"alice\"", "\"SMTPName\":7" },
		{ "\"type\":\"local\"", "\"type\":\"carrier-pigeon\"" },
		{ "\"conflict\":\"left\"", "\"conflict\":\"up\"" },
		{ "\"kinds\":3", "\"kinds\":16" },
		{ "\"MaxDeletions\":\"7\"", "\"MaxDeletions\":\"-7\"" },
		{ "\"MaxDeletions\":\"7\"", "\"MaxDeletions\":7" },
		{ "\"Password\":true", "\"Password\":\"hunter2\"" },
		{ "\"excludes\":[", "\"excludes\":[null," },
		{ "\"busyOnly\":\"none\"", "\"busyOnly\":\"up\"" },
		{ "\"busyOnly\":\"none\",", "" },
		{ "\"window\":{}", "\"window\":{\"past\":\"0d\"}" },
		{ "\"window\":{}", "\"window\":{\"past\":86400}" },
		{ "\"Server\":\"imap.old.example\",", "" },
		{ "\"Server\":\"imap.old.example\",", "\"CalDAV\":\"http://dav.example/\"," },
		{ "\"maps\":[", "\"maps\":[[\"a\"]," },
		{ "\"kinds\":3", "\"kinds\":3,\"kinds\":3" },
	};
	struct conf_case *c = *state;
	struct buf b;

	buf_init(&b, 65536);
	conf_pairing_encode(c->conf, conf_find_pairing(c->conf, "alice"), &b);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *text = buf_str(&b), *at = strstr(text, rows[i].old);
		struct conf *got = NULL;

		if (at == NULL)
			fail_msg("no %s in %s", rows[i].old, text);
		char *bad = mem_printf("%.*s%s%s", (int)(at - text), text, rows[i].new_text,
				       at + strlen(rows[i].old));
		if (conf_pairing_decode(bad, strlen(bad), &got, &c->err) == E_OK)
			fail_msg("%s was believed", rows[i].new_text);
		assert_null(got);
		assert_null(strstr(c->err.text, "hunter2"));
		mem_free(bad);
	}
	buf_free(&b);
}

/* The largest that the loader lets through fits into one message between processes. */
static void largest_fits(void **state)
{
	struct conf_case *c = *state;
	char ca[CONF_CA_MAX];
	struct buf b;

	for (size_t i = 0; i < sizeof(ca); i++)
		ca[i] = i % 65 == 64 ? '\n' : 'A';
	memcpy(ca, "-----BEGIN CERTIFICATE-----\n", 28);
	case_put(c, "ca.pem", ca, sizeof(ca), 0644);
	buf_init(&b, 65536);
	for (unsigned i = 0; b.n + 64 < 8192; i++)
		buf_printf(&b, "<exclude>\"\"\"\"\"\"\"\"\"\"\"\"\"\"%04u</exclude>", i);
	case_write(c, "<exclude>Junk</exclude>", buf_str(&b));
	buf_free(&b);
	assert_int_equal(case_load(c), E_OK);
	struct conf_endpoint both = *conf_find_endpoint(c->conf, "old");
	struct conf_pairing pairing = *conf_find_pairing(c->conf, "alice");
	pairing.mailbox[1].endpoint = &both;
	buf_init(&b, 65536 - 1024);
	conf_pairing_encode(c->conf, &pairing, &b);
	assert_false(b.overflow);
	assert_in_range(b.n, 2 * CONF_CA_MAX, 65536 - 1024);
	buf_free(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(there_and_back), T(the_whole), T(no_secret_travels), T(damage),
		T(wrong_values),   T(largest_fits), T(records_travel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
