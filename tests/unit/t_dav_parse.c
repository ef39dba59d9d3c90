/* t_dav_parse.c - multistatus and error bodies, whole and byte by byte, and what is refused. */
#include "../../worker/dav/dav_parse.h"

#include "../../common/buf.h"
#include "../../common/xml_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct buf said;

static enum code write_down(void *ctx, const struct dav_response *r, struct err *err)
{
	static const char *const texts[DAV_TEXTS] = {
#define X(id, ns, name) [DAV_TEXT_##id] = #id,
		DAV_TEXT_LIST(X)
#undef X
	};

	(void)ctx;
	(void)err;
	buf_printf(&said, SPAN_FMT " %u/%u marks=%x comps=%x cards=%x", SPAN_ARG(r->href), r->status, r->prop_status,
		   r->props.marks, r->props.comps, r->props.cards);
	for (size_t i = 0; i < DAV_TEXTS; i++)
		if (r->props.has[i])
			buf_printf(&said, " %s=[" SPAN_FMT "]", texts[i], SPAN_ARG(r->props.text[i]));
	for (size_t i = 0; i < DAV_HREFS; i++)
		for (size_t j = 0; j < r->props.n_href[i]; j++)
			buf_printf(&said, " h%zu=" SPAN_FMT, i, SPAN_ARG(r->props.href[i][j]));
	if (r->too_big)
		buf_add_str(&said, " too-big");
	if (r->precondition.n > 0)
		buf_printf(&said, " !" SPAN_FMT, SPAN_ARG(r->precondition));
	buf_add_str(&said, "\n");
	return E_OK;
}

static char token[64], precondition[64];

static enum code parse(const char *xml, size_t step, size_t item_max)
{
	struct dav_parser *p = dav_parser_new(write_down, NULL, item_max, 1 << 20);
	struct span all = span_of(xml);
	struct err err = ERR_INIT;
	enum code rc = E_OK;

	buf_init(&said, 1 << 20);
	for (size_t at = 0; rc == E_OK && at < all.n; at += step)
		rc = dav_parser_feed(p, span_cut(all, at, step), &err);
	if (rc == E_OK)
		rc = dav_parser_end(p, &err);
	snprintf(token, sizeof(token), SPAN_FMT, SPAN_ARG(dav_parser_token(p)));
	snprintf(precondition, sizeof(precondition), SPAN_FMT, SPAN_ARG(dav_parser_precondition(p)));
	dav_parser_free(&p);
	assert_true(rc == E_OK || err.text[0] != '\0');
	return rc;
}

static void expect(const char *xml, const char *want)
{
	static const size_t steps[] = { 1 << 20, 1, 7 };

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		assert_int_equal(parse(xml, steps[i], 4096), E_OK);
		assert_string_equal(buf_str(&said), want);
		buf_free(&said);
	}
}

#define NS "xmlns:D='DAV:' xmlns:c='urn:ietf:params:xml:ns:caldav' xmlns:a='urn:ietf:params:xml:ns:carddav' " \
	"xmlns:s='http://calendarserver.org/ns/'"

static void test_listing(void **state)
{
	(void)state;
	expect("<?xml version='1.0'?><D:multistatus " NS "><D:response><D:href> /cal/ </D:href><D:propstat><D:prop>"
	       "<D:resourcetype><D:collection/><c:calendar/></D:resourcetype><D:displayname>A &amp; B</D:displayname>"
	       "<s:getctag>7</s:getctag><c:supported-calendar-component-set><c:comp name='VEVENT'/><c:comp name='vtodo'/>"
	       "</c:supported-calendar-component-set></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
	       "<D:propstat><D:prop><D:sync-token/><D:getetag>secret</D:getetag></D:prop><D:status>HTTP/1.1 404 Not Found"
	       "</D:status></D:propstat></D:response></D:multistatus>",
	       "/cal/ 0/404 marks=3 comps=3 cards=0 NAME=[A & B] CTAG=[7]\n");
	/* another way to write namespaces; a foreign "calendar" is none */
	expect("<multistatus xmlns='DAV:'><response><href>/x</href><propstat><prop><resourcetype><calendar xmlns='DAV:'/>"
	       "<addressbook xmlns='urn:ietf:params:xml:ns:carddav'/></resourcetype></prop><status>HTTP/2 200</status>"
	       "</propstat></response></multistatus>",
	       "/x 0/0 marks=4 comps=0 cards=0\n");
	expect("<D:multistatus " NS "><D:response><D:href>/p</D:href><D:propstat><D:prop><c:calendar-home-set><D:href>/h1/"
	       "</D:href><D:href>/h2/</D:href></c:calendar-home-set><D:current-user-principal><D:href>/me/</D:href>"
	       "</D:current-user-principal><D:current-user-principal><D:unauthenticated/></D:current-user-principal>"
	       "<a:supported-address-data><a:address-data-type content-type='text/vcard' version='4.0'/>"
	       "</a:supported-address-data></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
	       "</D:multistatus>",
	       "/p 0/0 marks=0 comps=0 cards=2 h0=/me/ h1=/h1/ h1=/h2/\n");
}

static void test_items(void **state)
{
	(void)state;
	expect("<D:multistatus " NS "><D:response><D:href>/1</D:href><D:propstat><D:prop><D:getetag>\"e\"</D:getetag>"
	       "<c:calendar-data>BEGIN:X&#13;\nA<![CDATA[<b>]]>\n </c:calendar-data></D:prop><D:status>HTTP/1.1 200 OK"
	       "</D:status></D:propstat></D:response><D:response><D:href>/2</D:href><D:status>HTTP/1.1 404 Not Found</D:status>"
	       "</D:response><D:response><D:href>/3</D:href><D:href>/4</D:href><D:status>HTTP/1.1 403 No</D:status><D:error>"
	       "<c:no-uid-conflict><D:href>/5</D:href></c:no-uid-conflict></D:error></D:response><D:sync-token>tok"
	       "</D:sync-token></D:multistatus>",
	       "/1 0/0 marks=0 comps=0 cards=0 ETAG=[\"e\"] EVENT=[BEGIN:X\r\nA<b>\n ]\n"
	       "/2 404/0 marks=0 comps=0 cards=0\n/3 403/0 marks=0 comps=0 cards=0 !no-uid-conflict\n"
	       "/4 403/0 marks=0 comps=0 cards=0 !no-uid-conflict\n");
	assert_string_equal(token, "tok");
	expect("<D:error xmlns:D='DAV:'><D:valid-sync-token/></D:error>", "");
	assert_string_equal(precondition, "valid-sync-token");
	expect("<html><response><href>x</href></response></html>", "");
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"<!DOCTYPE x [<!ENTITY e 'boom'>]><D:multistatus xmlns:D='DAV:'>&e;</D:multistatus>",
		"<!DOCTYPE multistatus SYSTEM 'file:///etc/passwd'><multistatus/>",
		"<D:multistatus xmlns:D='DAV:'><D:response>", "<D:multistatus>", "", "junk", "<a></b>",
		"<D:multistatus xmlns:D='DAV:'>\x01</D:multistatus>", "<a>\xff</a>",
	};
	char big[70000], *at = big;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(parse(bad[i], 5, 4096), E_PROTOCOL);
		buf_free(&said);
	}
	for (int i = 0; i < 100; i++)
		at += sprintf(at, "<a>");
	assert_int_equal(parse(big, 50, 4096), E_PROTOCOL);          /* too deep */
	buf_free(&said);
	/* an item that is too large is told; a name that is is refused */
	memset(big, 'x', 60000);
	big[60000] = '\0';
	char *xml = NULL;
	assert_true(asprintf(&xml, "<D:multistatus " NS "><D:response><D:href>/1</D:href><D:propstat><D:prop><c:calendar-data>%s"
			     "</c:calendar-data></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
			     "</D:multistatus>", big) > 0);
	assert_int_equal(parse(xml, 1000, 50000), E_OK);
	assert_string_equal(buf_str(&said), "/1 0/0 marks=0 comps=0 cards=0 too-big\n");
	buf_free(&said);
	free(xml);
	assert_true(asprintf(&xml, "<D:multistatus " NS "><D:response><D:href>/%s</D:href></D:response></D:multistatus>", big) > 0);
	assert_int_equal(parse(xml, 1000, 100000), E_PROTOCOL);
	buf_free(&said);
	free(xml);
}

static enum code nothing_open(void *ctx, struct span ns, struct span name, const struct xml_attr *a, size_t n, struct err *e)
{
	(void)ctx, (void)ns, (void)name, (void)a, (void)n, (void)e;
	return E_OK;
}

static enum code nothing_text(void *ctx, struct span piece, struct err *e)
{
	(void)ctx, (void)piece, (void)e;
	return E_OK;
}

static enum code nothing_close(void *ctx, struct err *e)
{
	(void)ctx, (void)e;
	return E_OK;
}

static void test_stream_limits(void **state)
{
	static const struct xml_stream_ops ops = { nothing_open, nothing_text, nothing_close };
	const struct xml_limits limits = { E_PROTOCOL, 1 << 20, 10000, 8 };
	char block[1000];
	size_t fed = 0;

	(void)state;
	memset(block, 'a', sizeof(block));
	struct xml_stream *x = xml_stream_new(&ops, NULL, &limits);
	assert_int_equal(xml_stream_feed(x, SPAN_LIT("<r><a b='"), NULL), E_OK);
	while (xml_stream_feed(x, span_bytes(block, sizeof(block)), NULL) == E_OK)
		fed += sizeof(block);
	assert_in_range(fed, 8000, 12000);           /* a tag without end */
	xml_stream_free(&x);
	x = xml_stream_new(&ops, NULL, &limits);
	assert_int_equal(xml_stream_feed(x, SPAN_LIT("<r>"), NULL), E_OK);
	for (fed = 0; xml_stream_feed(x, span_bytes(block, sizeof(block)), NULL) == E_OK;)
		fed += sizeof(block);
	assert_in_range(fed, (1 << 20) - 2000, 1 << 20);
	xml_stream_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listing), cmocka_unit_test(test_items), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_stream_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
