/* t_conf_rules.c - every rule of the configuration, with the line its error names; what the schema
 * can know, it refuses too.
 */
#include "conf_case.h"

#include "../../common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

/* An exchange endpoint with these settings in the place of "disk". */
#define EXCHANGE(settings) \
	"name=\"disk\" type=\"local\">\n      <Path>mail</Path>", "name=\"disk\" type=\"exchange\">\n" settings

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
	{ BOTH, "kinds=\"mail events\"", "busyOnly=\"true\"", 26, "none, left, right, both" },
	{ BOTH, "<guard><MaxDeletions>7</MaxDeletions></guard>", "<window past=\"90\"/>", 34, "write 90d" },
	{ BOTH, "<guard><MaxDeletions>7</MaxDeletions></guard>", "<window past=\"0d\"/>", 34, "from 1d to 36500d" },
	{ LOADER, "<guard><MaxDeletions>7</MaxDeletions></guard>", "<window future=\"36501d\"/>", 34,
	  "<window> future: '36501d'" },
	{ BOTH, "<guard><MaxDeletions>7</MaxDeletions></guard>", "<window future=\"d\"/>", 34, "number of days" },
	{ BOTH, "<guard><MaxDeletions>7</MaxDeletions></guard>", "<window futur=\"1d\"/>", 34,
	  "did you mean 'future'?" },
	{ BOTH, "<guard><MaxDeletions>7</MaxDeletions></guard>", "<window>1d</window>", 34, "no text" },
	{ LOADER, "<guard><MaxDeletions>7</MaxDeletions></guard>",
	  "<window past=\"1d\"/>\n<window past=\"2d\"/>", 35, "a second time" },
	/* URLs */
	{ BOTH, "<TLS>implicit</TLS>", "<CalDAV>dav.example</CalDAV>", 13, "begins with https://" },
	{ BOTH, "<TLS>implicit</TLS>", "<CalDAV>ftp://dav.example/</CalDAV>", 13, "begins with https://" },
	{ BOTH, "<TLS>implicit</TLS>", "<CardDAV></CardDAV>", 13, "CardDAV is empty" },
	{ BOTH, "<TLS>implicit</TLS>", "<CardDAV>https://</CardDAV>", 13, "no valid host" },
	{ BOTH, "<TLS>implicit</TLS>", "<CardDAV>https:///x</CardDAV>", 13, "no valid host" },
	{ LOADER, "<TLS>implicit</TLS>", "<CalDAV>http://dav.example/</CalDAV>", 13,
	  "only with a server on this machine" },
	{ LOADER, "<TLS>implicit</TLS>", "<CalDAV>http://127.evil.example/</CalDAV>", 13,
	  "only with a server on this machine" },
	{ LOADER, "<TLS>implicit</TLS>", "<CalDAV>http://[::2]/</CalDAV>", 13,
	  "only with a server on this machine" },
	{ LOADER, "<TLS>implicit</TLS>", "<CalDAV>https://dav.example:0/</CalDAV>", 13, "no valid host and port" },
	{ LOADER, "<TLS>implicit</TLS>", "<CalDAV>https://dav.example:65536/</CalDAV>", 13, "host and port" },
	{ LOADER, "<TLS>implicit</TLS>", "<CalDAV>https://[::1/</CalDAV>", 13, "host and port" },
	{ LOADER, "<TLS>implicit</TLS>", "<CalDAV>https://[::1]x/</CalDAV>", 13, "host and port" },
	{ LOADER, "<TLS>implicit</TLS>", "<CalDAV>https://{mailbox}.example/</CalDAV>", 13, "host and port" },
	{ BOTH, "<TLS>implicit</TLS>", "<CalDAV>https://svc:hunter2@dav.example/</CalDAV>", 13,
	  "no user or password" },
	{ BOTH, "<TLS>implicit</TLS>", "<CalDAV>https://hunter2@dav.example</CalDAV>", 13, "no user or password" },
	{ BOTH, "<TLS>implicit</TLS>", "<CalDAV>https://dav.example/#a</CalDAV>", 13, "'#'" },
	{ BOTH, "<TLS>implicit</TLS>", "<CalDAV>https://dav.example/a b</CalDAV>", 13, "%XX" },
	{ BOTH, "<TLS>implicit</TLS>", "<CalDAV>https://dav.example/&#xe4;</CalDAV>", 13, "%XX" },
	{ LOADER, "<TLS>implicit</TLS>", "<CalDAV>https://dav.example/{login}/</CalDAV>", 13, "{mailbox}" },
	{ LOADER, "<TLS>implicit</TLS>", "<CalDAV>https://dav.example/{user</CalDAV>", 13, "{mailbox}" },
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
	{ LOADER, "      <Server>localhost</Server>\n", "", 16, "needs a <Server> (mail), a <CalDAV>" },
	{ LOADER, "name=\"disk\" type=\"local\"", "name=\"disk\" type=\"exchange\"", 22,
	  "<Path> does not belong to an endpoint of type 'exchange'" },
	{ LOADER, EXCHANGE(""), 21, "needs a <Server> or a <FrontEnd>" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><TLS>none</TLS>"), 22, "only with a server on this machine" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><TLS>starttls</TLS>"), 22, "starttls is not possible" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><Auth>plain</Auth>"), 22, "Auth 'plain' does not belong" },
	{ BOTH, EXCHANGE("<Server>x.example</Server><Access>full</Access>"), 22, "impersonate|delegate" },
	{ BOTH, EXCHANGE("<FrontEnd>owa.example</FrontEnd>"), 22, "begins with https://" },
	{ LOADER, EXCHANGE("<FrontEnd>http://owa.example/EWS/Exchange.asmx</FrontEnd>"), 22,
	  "only with a server on this machine" },
	{ LOADER, EXCHANGE("<FrontEnd>https://owa.example/{user}</FrontEnd>"), 22, "without {words}" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><Auth>oauth</Auth>"), 22, "needs a <TokenURL> and a <Scope>" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><Scope>s</Scope>"), 22, "are for <Auth>oauth</Auth>" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><Auth>oauth</Auth><TokenURL>https://x.example/{user}</TokenURL>"
			   "<Scope>s</Scope>"), 22, "without {words}" },
	{ BOTH, EXCHANGE("<Server>x.example</Server><Directory>https://gc.example/</Directory>"), 22,
	  "is not ldaps://host:port" },
	{ BOTH, EXCHANGE("<Server>x.example</Server><Directory>ldaps://u@gc.example</Directory>"), 22,
	  "no user or password may stand in the URL" },
	{ BOTH, EXCHANGE("<Server>x.example</Server><Directory>ldaps://gc.example/DC=x</Directory>"), 22,
	  "the place to search in is <DirectoryBase>" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><DirectoryBase>DC=x</DirectoryBase>"), 22,
	  "<DirectoryBase> has no use without <Directory>" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><Directory>ldaps://gc.example</Directory>"), 22,
	  "nobody to log on to it" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><Directory>ldap://gc.example</Directory>"
			   "<DirectoryLogin>u</DirectoryLogin>"), 22, "needs both <DirectoryLogin> and" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><PrincipalName>y.example</PrincipalName>"), 22,
	  "in the certificate of a <FrontEnd>" },
	{ LOADER, EXCHANGE("<FrontEnd>https://x.example/</FrontEnd><PrincipalName>a b</PrincipalName>"), 22,
	  "is not a host name" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><HTTPProxy>https://p.example:1/</HTTPProxy>"), 22,
	  "begins with http://" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><HTTPProxy>http://u:p@p.example:1/</HTTPProxy>"), 22,
	  "no user or password" },
	{ LOADER, EXCHANGE("<Server>x.example</Server><HTTPProxy>http://p.example/x</HTTPProxy>"), 22,
	  "is not http://host:port" },
	{ LOADER, EXCHANGE("<Server>127.0.0.1</Server><TLS>none</TLS><HTTPProxy>http://p.example:1</HTTPProxy>"), 22,
	  "used with https:// only" },
	{ LOADER, "<TLS>implicit</TLS>", "<Auth>ntlm</Auth>", 13, "Auth 'ntlm' does not belong" },
	{ LOADER, "name=\"disk\" type=\"local\"", "name=\"disk\" type=\"google\"", 21,
	  "this build has no 'google' yet" },
	{ LOADER, "name=\"disk\" type=\"local\"", "name=\"disk\" type=\"exchange-online\"", 21,
	  "this build has no 'exchange-online' yet" },
	{ LOADER, "SMTPName=\"alice\"/>",
	  "SMTPName=\"alice\"><Password file=\"secret\"/></mailbox>", 28,
	  "does not belong to a mailbox of type local" },
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
	{ BOTH, "<TLS>implicit</TLS>",
	  "<CalDAV>https://dav.example</CalDAV><CardDAV>https://[2001:db8::1]:8443/x?y=@%20</CardDAV>", "" },
	{ BOTH, "<TLS>implicit</TLS>", "<CalDAV>http://127.0.0.1:5232/{user}/{mailbox}/</CalDAV>", "" },
	{ BOTH, "<TLS>implicit</TLS>", "<CalDAV>HTTP://[::1]:5232/</CalDAV>", "" },
	{ BOTH, "<Server>imap.old.example</Server>\n      <TLS>implicit</TLS>", "<CalDAV>https://dav.example/</CalDAV>",
	  "" },
	{ BOTH, "<Server>localhost</Server>", "<CardDAV>http://localhost/</CardDAV>",
	  "m.xml:18: <TLS> has no effect: endpoint 'new' has no <Server>" },
	{ BOTH, "<Server>localhost</Server>", "<CardDAV>https://x/</CardDAV><CAFile>ca.pem</CAFile>", "has no effect" },
	{ BOTH, "<guard><MaxDeletions>7</MaxDeletions></guard>", "<window/>", "" },
	{ BOTH, "<guard><MaxDeletions>7</MaxDeletions></guard>", "<window past=\"36500d\" future=\"1d\"/>", "" },
	{ BOTH, "kinds=\"mail events\"", "busyOnly=\"none\"", "" },
	{ BOTH, "kinds=\"mail events\"", "busyOnly=\"both\"", "" },
	{ BOTH, ">localhost<", ">127.0.0.2<", "" },
	{ BOTH, ">localhost<", ">::1<", "" },
	{ BOTH, "kinds=\"mail events\"", "kinds=\"events\"", "" },
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
	{ BOTH, EXCHANGE("<Server>x.example</Server>"), "" },
	{ BOTH, EXCHANGE("<FrontEnd>http://127.0.0.1:8443/EWS/Exchange.asmx</FrontEnd><Auth>oauth</Auth>"
			 "<TokenURL>https://x.example/token</TokenURL><Scope>s</Scope>"), "" },
	{ BOTH, EXCHANGE("<Server>x.example</Server><Directory>ldap://[::1]:389/</Directory><DirectoryBase>DC=x"
			 "</DirectoryBase><LoginName>s</LoginName><Password credential=\"c\"/>"), "" },
	{ BOTH, EXCHANGE("<FrontEnd>https://x.example/</FrontEnd><PrincipalName>msstd:*.y.example</PrincipalName>"
			 "<HTTPProxy>http://[::1]:3128/</HTTPProxy><Access>delegate</Access><Auth>ntlm</Auth>"), "" },
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refused_by_schema, set_up, tear_down),
		cmocka_unit_test_setup_teardown(accepted_by_both, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
