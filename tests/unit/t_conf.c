/* t_conf.c - every rule of the configuration, with the line its error names; sample and schema. */
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

/* Which door refuses it: the loader alone (rules between values), or the schema as well. */
enum door { LOADER, BOTH };
static const struct refusal {
	enum door door;
	const char *old, *new_text;
	int line;
	const char *says;
} refusals[] = {
	/* structure and names */
	{ BOTH, "<Workers>2</Workers>", "<Wrokers>2</Wrokers>", 3, "did you mean <Workers>?" },
	{ BOTH, "<Workers>2</Workers>", "<Colour>2</Colour>", 3,
	  "<Colour> is not known in <gateway>" },
	{ BOTH, "  <gateway>", "  <gatewey>\n  </gatewey>\n  <gateway>", 2,
	  "did you mean <gateway>?" },
	{ BOTH, "</gateway>", "</gateway><gateway/>", 7, "a second time (first on line 2)" },
	{ BOTH, "<Workers>2</Workers>", "<Workers>2</Workers><Workers>3</Workers>", 3,
	  "second time" },
	{ BOTH, "<Workers>2</Workers>", "<Workers max=\"2\">2</Workers>", 3, "no attribute 'max'" },
	{ BOTH, "<Workers>2</Workers>", "<Workers><b/></Workers>", 3,
	  "<b> does not belong into <Workers>" },
	{ BOTH, "<Workers>2</Workers>", "stray <Workers>2</Workers>", 2, "no text of its own" },
	{ BOTH, "version=\"1\"", "version=\"2\"", 1, "version '2'" },
	{ BOTH, "version=\"1\"", "versoin=\"1\"", 1, "did you mean 'version'?" },
	{ BOTH, "<Server>imap.old.example</Server>", "<Servr>x</Servr>", 12,
	  "did you mean <Server>?" },
	{ BOTH, "name=\"old\" type=\"imap\"", "nmae=\"old\" type=\"imap\"", 9,
	  "did you mean 'name'?" },
	{ BOTH, "name=\"old\" type=\"imap\"", "type=\"imap\"", 9, "needs a name" },
	{ BOTH, "name=\"old\" type=\"imap\"", "name=\"old\"", 9, "needs a type" },
	{ BOTH, "name=\"old\" type=\"imap\"", "name=\"old\" type=\"imp\"", 9,
	  "did you mean 'imap'?" },
	{ BOTH, "name=\"old\" type=\"imap\"", "name=\"o/d\" type=\"imap\"", 9,
	  "name 'o/d' is not usable" },
	{ BOTH, "name=\"old\" type=\"imap\"", "name=\".old\" type=\"imap\"", 9,
	  "not beginning with '.'" },
	{ BOTH, "name=\"new\" type=\"imap\"", "name=\"old\" type=\"imap\"", 16,
	  "'old' already (line 9)" },
	{ BOTH, "name=\"bob\"", "name=\"alice\"", 36, "'alice' already (line 26)" },
	{ BOTH, "name=\"bob\"", "nam=\"bob\"", 36, "did you mean 'name'?" },
	{ BOTH, "<pairing name=\"bob\">", "<pairing name=\"bob\" colour=\"red\">", 36,
	  "no attribute 'colour'" },
	{ BOTH, "endpoint=\"new\" SMTPName", "endpoint=\"nwe\" SMTPName", 37,
	  "did you mean 'new'?" },
	{ BOTH, "SMTPName=\"bob@new.example\"", "", 37, "needs SMTPName" },
	{ BOTH, "SMTPName=\"bob@new.example\"", "SMTPNames=\"x\"", 37, "did you mean 'SMTPName'?" },
	{ BOTH, "<Password file=\"secret\"/>\n      </mailbox>", "<Passwort file=\"x\"/></mailbox>",
	  39, "did you mean <Password>?" },
	{ BOTH, "<exclude>Junk</exclude>", "<exclud>Junk</exclud>", 30, "did you mean <exclude>?" },
	{ BOTH, "<exclude>Junk</exclude>", "<exclude>/Junk</exclude>", 30, "not a folder path" },
	{ BOTH, "<exclude>Junk</exclude>", "<exclude>Junk/</exclude>", 30, "not a folder path" },
	{ BOTH, "<exclude>Junk</exclude>", "<exclude>A//B</exclude>", 30, "not a folder path" },
	{ BOTH, "<exclude>Junk</exclude>", "<exclude></exclude>", 30, "not a folder path" },
	{ BOTH, "<map left=\"X\" right=\"Y/Z\"/>", "<map left=\"X\"/>", 32, "needs left" },
	{ BOTH, "<map left=\"X\" right=\"Y/Z\"/>", "<map left=\"X\" rihgt=\"Y\"/>", 32,
	  "did you mean 'right'?" },
	{ LOADER, "<map left=\"X\" right=\"Y/Z\"/>",
	  "<map left=\"X\" right=\"Y\"/><map left=\"X\" right=\"Z\"/>", 26,
	  "left folder 'X' twice" },
	{ LOADER, "<map left=\"X\" right=\"Y/Z\"/>",
	  "<map left=\"W\" right=\"Y\"/><map left=\"X\" right=\"Y\"/>", 26,
	  "right folder 'Y' twice" },
	{ BOTH, "<MaxDeletions>7</MaxDeletions>", "<MaxDeletion>7</MaxDeletion>", 34,
	  "did you mean <MaxDeletions>?" },
	{ BOTH, "<MaxDeletions>7</MaxDeletions>", "<FolderPercent>101</FolderPercent>", 34,
	  "from 0 to 100" },
	{ BOTH, "    <pairing name=\"bob\">\n",
	  "    <pairing name=\"carol\"><mailbox endpoint=\"disk\" SMTPName=\"x\"/></pairing>\n"
	  "    <pairing name=\"bob\">\n",
	  36, "needs two <mailbox>" },
	{ BOTH, "        <Password file=\"secret\"/>\n      </mailbox>",
	  "</mailbox>\n<mailbox endpoint=\"disk\" SMTPName=\"x\"/>", 40, "third <mailbox>" },
	/* values */
	{ BOTH, "<Workers>2</Workers>", "<Workers>many</Workers>", 3,
	  "Workers: 'many' is not a whole number from 1 to 100" },
	{ BOTH, "<Workers>2</Workers>", "<Workers>0</Workers>", 3, "whole number" },
	{ BOTH, "<Workers>2</Workers>", "<Workers>101</Workers>", 3, "whole number" },
	{ BOTH, "<Workers>2</Workers>", "<Workers>-1</Workers>", 3, "whole number" },
	{ BOTH, "<Workers>2</Workers>", "<Workers></Workers>", 3, "whole number" },
	{ LOADER, "<Workers>2</Workers>", "<Workers>99999999999999999999</Workers>", 3,
	  "whole number" },
	{ BOTH, ">200ms<", ">soon<", 4, "'soon' is not a duration" },
	{ BOTH, ">200ms<", ">5w<", 4, "is not a duration" },
	{ BOTH, ">200ms<", ">-5<", 4, "is not a duration" },
	{ BOTH, ">200ms<", ">1.5m<", 4, "is not a duration" },
	{ BOTH, ">200ms<", "><", 4, "is not a duration" },
	{ LOADER, ">200ms<", ">0<", 4, "must be 10ms to 365d" },
	{ LOADER, ">200ms<", ">99999999999999999999d<", 4, "is not a duration" },
	{ LOADER, ">200ms<", ">2147483647d<", 4, "out of range" },
	{ BOTH, "<Workers>2</Workers>", "<LogLevel>loud</LogLevel>", 3,
	  "error, warning, info, debug" },
	{ BOTH, "<Workers>2</Workers>", "<Trace>imap,,net</Trace>", 3, "comma list" },
	{ BOTH, "<Workers>2</Workers>", "<LogDirectory></LogDirectory>", 3,
	  "LogDirectory is empty" },
	{ LOADER, "<Workers>2</Workers>", "<DispatchHold>10m</DispatchHold>", 3,
	  "longer than DispatchHoldMax" },
	{ LOADER, "<Workers>2</Workers>", "<CrashQuarantine>2d</CrashQuarantine>", 3,
	  "must be 1ms to 1d" },
	{ BOTH, "<TLS>implicit</TLS>", "<TLS>ssl</TLS>", 13, "implicit, starttls, none" },
	{ BOTH, "<TLS>implicit</TLS>", "<Port>0</Port>", 13, "from 1 to 65535" },
	{ BOTH, "<TLS>implicit</TLS>", "<Port>65536</Port>", 13, "from 1 to 65535" },
	{ BOTH, "<TLS>implicit</TLS>", "<Auth>cram</Auth>", 13, "auto|plain|login" },
	{ BOTH, "<TLS>implicit</TLS>", "<MaxConnections>0</MaxConnections>", 13, "from 1 to 1000" },
	{ BOTH, ">imap.old.example<", ">imap old<", 12, "is not a host name" },
	{ BOTH, ">imap.old.example<", "><", 12, "Server is empty" },
	{ BOTH, "conflict=\"left\"", "conflict=\"mine\"", 26, "newest, left, right, both" },
	{ BOTH, "deletions=\"archive\"", "deletions=\"shred\"", 26, "trash, archive, expunge" },
	{ BOTH, "kinds=\"mail events\"", "kinds=\"mail notes\"", 26, "'notes' is not one of" },
	{ BOTH, "kinds=\"mail events\"", "kinds=\"\"", 26, "kinds is empty" },
	{ LOADER, "kinds=\"mail events\"", "busyOnly=\"true\"", 26, "no calendars yet" },
	{ LOADER, "SMTPName=\"alice\"", "SMTPName=\"alice\" create=\"true\"", 28,
	  "no creation of accounts yet" },
	{ BOTH, "SMTPName=\"alice\"", "SMTPName=\"\"", 28, "SMTPName is empty" },
	{ LOADER, "SMTPName=\"alice\"", "SMTPName=\" alice\"", 28, "begins or ends with a blank" },
	{ LOADER, "SMTPName=\"alice\"", "SMTPName=\"../alice\"", 28, "folder on disk" },
	{ LOADER, "SMTPName=\"alice\"", "SMTPName=\"a/b\"", 28, "folder on disk" },
	{ LOADER, "SMTPName=\"alice\"", "SMTPName=\"..\"", 28, "folder on disk" },
	{ LOADER, "SMTPName=\"bob@new.example\"", "SMTPName=\"bob&#9;x\"", 37,
	  "control character" },
	{ LOADER, ">svc@old.example<", ">svc&#10;x<", 10, "control character" },
	/* what belongs where */
	{ LOADER, "<Path>mail</Path>", "<Path>mail</Path><Server>x</Server>", 22,
	  "<Server> does not belong to an endpoint of type 'local'" },
	{ LOADER, "<TLS>implicit</TLS>", "<Path>x</Path>", 13, "<Path> does not belong" },
	{ LOADER, "<TLS>implicit</TLS>", "<FrontEnd>x</FrontEnd>", 13,
	  "<FrontEnd> does not belong" },
	{ LOADER, "      <Path>mail</Path>\n", "", 21, "needs a <Path>" },
	{ LOADER, "      <Server>localhost</Server>\n", "", 16, "needs a <Server>" },
	{ LOADER, "name=\"disk\" type=\"local\"", "name=\"disk\" type=\"exchange\"", 21,
	  "this build has no 'exchange' yet" },
	{ LOADER, "name=\"disk\" type=\"local\"", "name=\"disk\" type=\"google\"", 21,
	  "this build has no 'google' yet" },
	{ LOADER, "name=\"disk\" type=\"local\"", "name=\"disk\" type=\"exchange-online\"", 21,
	  "this build has no 'exchange-online' yet" },
	{ LOADER, "SMTPName=\"alice\"/>",
	  "SMTPName=\"alice\"><Password file=\"secret\"/></mailbox>", 28,
	  "does not belong to a mailbox of type local" },
	{ BOTH, "    <pairing name=\"bob\">",
	  "<pairing name=\"x\"><mailbox endpoint=\"disk\" SMTPName=\"p\"/><mailbox "
	  "endpoint=\"old\" SMTPName=\"q\"/>"
	  "<DateWindow>1d</DateWindow></pairing>\n    <pairing name=\"bob\">",
	  36, "no date window yet" },
	/* rules between values */
	{ LOADER, "<Server>localhost</Server>",
	  "<LoginName>SVC@old.EXAMPLE</LoginName><Password "
	  "file=\"secret\"/><Server>localhost</Server>",
	  16, "'new' and 'old' (line 9) have the same LoginName" },
	{ LOADER, "<TLS>implicit</TLS>", "<TLS>none</TLS>", 13,
	  "only with a server on this machine" },
	{ LOADER, ">localhost<", ">127.evil.example<", 18, "only with a server on this machine" },
	{ LOADER, ">localhost<", ">localhost.evil.example<", 18,
	  "only with a server on this machine" },
	{ LOADER, ">localhost<", ">128.0.0.1<", 18, "only with a server on this machine" },
	{ LOADER, "      <LoginName>svc@old.example</LoginName>\n", "", 10,
	  "a <Password> but no <LoginName>" },
	{ LOADER, "endpoint=\"old\" SMTPName=\"bob@old.example\"",
	  "endpoint=\"new\" SMTPName=\"bob@new.example\"", 38, "are the same one" },
	{ LOADER, "endpoint=\"new\" SMTPName=\"bob@new.example\"",
	  "endpoint=\"old\" SMTPName=\"BOB@old.example\"", 38, "are the same one" },
	/* secrets */
	{ BOTH, "<Password file=\"secret\"/>\n      <Server>",
	  "<Password>hunter2</Password>\n      <Server>", 11, "must not stand in this file" },
	{ LOADER, "<Password file=\"secret\"/>\n      <Server>", "<Password/>\n      <Server>", 11,
	  "either file" },
	{ LOADER, "<Password file=\"secret\"/>\n      <Server>",
	  "<Password file=\"secret\" credential=\"x\"/>\n<Server>", 11, "either file" },
	{ BOTH, "<Password file=\"secret\"/>\n      <Server>",
	  "<Password credential=\"../x\"/>\n<Server>", 11, "not a plain name" },
	{ BOTH, "<Password file=\"secret\"/>\n      <Server>",
	  "<Password flie=\"secret\"/>\n<Server>", 11, "did you mean 'file'?" },
	{ LOADER, "<Password file=\"secret\"/>\n      <Server>",
	  "<Password file=\"nothing\"/>\n<Server>", 11, "No such file" },
	{ LOADER, "<DefaultPassword file=\"secret\"/>", "<DefaultPassword file=\"nothing\"/>", 19,
	  "No such file" },
	{ LOADER, "<Password file=\"secret\"/>\n      </mailbox>",
	  "<Password file=\"nothing\"/></mailbox>", 39, "No such file" },
	{ LOADER, "<Password file=\"secret\"/>\n      <Server>",
	  "<Password file=\"open\"/>\n<Server>", 11, "mode 640" },
	{ LOADER, "<Password file=\"secret\"/>\n      <Server>",
	  "<Password file=\"link\"/>\n<Server>", 11, "symbolic link" },
	{ LOADER, "<Password file=\"secret\"/>\n      <Server>",
	  "<Password file=\"empty\"/>\n<Server>", 11, "is empty" },
	{ LOADER, "<Password file=\"secret\"/>\n      <Server>",
	  "<Password file=\"folder\"/>\n<Server>", 11, "not a regular file" },
	{ LOADER, ">ca.pem<", ">nothing<", 14, "No such file" },
	{ LOADER, ">ca.pem<", ">secret<", 14, "no PEM certificate" },
	{ LOADER, ">ca.pem<", ">big<", 14, "larger than 20 KiB" },
	{ LOADER, ">ca.pem<", ">folder<", 14, "not a regular file" },
	/* XML itself; xmllint refuses what is not well-formed too, but by another status */
	{ LOADER, "</endpoints>", "</endpoint>", 24, "not well-formed XML" },
	{ LOADER, "<mailshadow version", "<!DOCTYPE x [<!ENTITY a \"b\">]>\n<mailshadow version", 1,
	  "DOCTYPE" },
	{ LOADER, "<mailshadow version",
	  "<!DOCTYPE x SYSTEM \"http://127.0.0.1:1/x.dtd\">\n<mailshadow version", 1, "DOCTYPE" },
	{ LOADER, ">imap.old.example<", ">&undefined;<", 12, "not well-formed XML" },
	{ LOADER, "<Workers>2</Workers>", "<x:Workers xmlns:x=\"urn:x\">2</x:Workers>", 3,
	  "namespace" },
	{ LOADER, "<Workers>2</Workers>",
	  "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></"
	  "a></a></a></a></a></a></a></a></a>",
	  3, "nested too deeply" },
};

static void make_bad_files(struct conf_case *c)
{
	char path[160], big[CONF_CA_MAX + 100];

	memset(big, 'x', sizeof(big));
	memcpy(big, "-----BEGIN X-----\n", 18);
	case_put(c, "big", big, sizeof(big), 0644);
	case_put(c, "open", "x", 1, 0640);
	case_put(c, "empty", "", 0, 0600);
	snprintf(path, sizeof(path), "%s/link", c->dir);
	assert_int_equal(symlink("secret", path), 0);
	snprintf(path, sizeof(path), "%s/folder", c->dir);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void refused(void **state)
{
	struct conf_case *c = *state;

	make_bad_files(c);
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *r = &refusals[i];
		char place[160];

		case_write(c, r->old, r->new_text);
		if (case_load(c) != E_CONF)
			fail_msg("'%s' was accepted", r->new_text);
		assert_null(c->conf);
		snprintf(place, sizeof(place), "%s:%d: ", c->file, r->line);
		if (strncmp(c->err.text, place, strlen(place)) != 0 ||
		    strstr(c->err.text, r->says) == NULL)
			fail_msg("'%s': expected line %d and '%s', got: %s", r->new_text, r->line,
				 r->says, c->err.text);
		assert_null(strstr(c->err.text, "hunter2"));
	}
}

static void refused_by_schema(void **state)
{
	struct conf_case *c = *state;

	case_write(c, "<", "<");
	assert_int_equal(case_xmllint(c->file), 0);
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		if (refusals[i].door != BOTH)
			continue;
		case_write(c, refusals[i].old, refusals[i].new_text);
		if (case_xmllint(c->file) != 3)
			fail_msg("the schema accepts '%s'", refusals[i].new_text);
	}
}

/* What both accept; `warns` is what the loader says about it, "" for nothing. */
static const struct { enum door door; const char *old, *new_text, *warns;
} accepted[] = {
	{ BOTH, ">200ms<", ">5<", "" },
	{ BOTH, ">200ms<", ">\n      5m\n    <", "" },
	{ BOTH, "<Workers>2</Workers>", "<ErrorRetryBump>0</ErrorRetryBump>", "" },
	{ BOTH, "<Workers>2</Workers>", "<Trace>imap,net</Trace><!-- <x> --><?pi y?>", "" },
	{ BOTH, "<Workers>2</Workers>", "<guard><MinDeletions>0</MinDeletions></guard>", "" },
	{ BOTH, "<TLS>implicit</TLS>", "<TLS>starttls</TLS><Port>143</Port><Auth>login</Auth>",
	  "" },
	{ BOTH, "<TLS>implicit</TLS>", "<CalDAV>https://dav.example/</CalDAV>",
	  "m.xml:13: <CalDAV> has no effect yet" },
	{ BOTH, "<TLS>implicit</TLS>", "<CardDAV>https://dav.example/</CardDAV>",
	  "m.xml:13: <CardDAV> has no effect yet" },
	{ BOTH, ">localhost<", ">127.0.0.2<", "" },
	{ BOTH, ">localhost<", ">::1<", "" },
	{ BOTH, "kinds=\"mail events\"", "kinds=\"events\"", "m.xml:26: kinds without mail" },
	{ BOTH, "<mailshadow version=\"1\">", "<mailshadow>", "" },
	{ BOTH, "<mailshadow version=\"1\">",
	  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<mailshadow "
	  "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
	  "xsi:noNamespaceSchemaLocation=\"mailshadow.xsd\">",
	  "" },
	{ LOADER, "SMTPName=\"bob@new.example\"", "MailboxName=\"bob@new.example\"",
	  "m.xml:37: MailboxName is the old name of SMTPName" },
	{ BOTH, "endpoint=\"new\" SMTPName=\"bob@new.example\"",
	  "endpoint=\"old\" SMTPName=\"alice@old.example\"",
	  "m.xml:37: mailbox 'alice@old.example' on endpoint 'old' is in pairing 'bob' and in "
	  "pairing 'alice' (line 27)" },
	{ BOTH, "      <Password file=\"secret\"/>\n      <Server>", "<Server>",
	  "m.xml:10: endpoint 'old' has a <LoginName> but no <Password>" },
	{ BOTH, "SMTPName=\"alice\"", "SMTPName=\"O&apos;Neil &amp; S&#xf6;hne\"", "" },
};

static void accepted_by_both(void **state)
{
	struct conf_case *c = *state;

	for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
		const char *warns = accepted[i].warns;

		case_write(c, accepted[i].old, accepted[i].new_text);
		if (case_load(c) != E_OK)
			fail_msg("'%s': %s", accepted[i].new_text, c->err.text);
		if (warns[0] == '\0' ? c->warnings[0] != '\0' : strstr(c->warnings, warns) == NULL)
			fail_msg("'%s': expected the warning '%s', got '%s'", accepted[i].new_text,
				 warns, c->warnings);
		if (accepted[i].door == BOTH && case_xmllint(c->file) != 0)
			fail_msg("the schema refuses '%s'", accepted[i].new_text);
	}
	assert_string_equal(conf_find_pairing(c->conf, "alice")->mailbox[1].smtp_name, "O'Neil & "
										       "S\u00f6hn"
										       "e");
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
		"pairing bob right Password = *** (file ",
		"pairing bob left logon = default password\n",
	};
	struct conf_case *c = *state;
	struct printed p;

	case_write(c, "<", "<");
	assert_int_equal(case_load(c), E_OK);
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
		T(valid_file),
		T(logons_and_secrets),
		T(credentials_of_systemd),
		T(refused),
		T(refused_by_schema),
		T(accepted_by_both),
		T(durations),
		T(socket_paths),
		T(unreadable_files),
		T(printing_masks),
		T(every_setting_is_documented),
		T(documented_defaults_are_true),
		T(sample_is_valid),
		T(kinds_agree_with_the_contract),
		T(relative_file_names),
		T(many_pairings),
		T(too_many_folders),
		T(entity_bomb),
		T(mutated_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
