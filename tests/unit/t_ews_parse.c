/* t_ews_parse.c - answers of Exchange Web Services: objects, messages, faults, MIME, base64; whole and in pieces. */
#include "../../worker/ews/ews.h"

#include "../../common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define HEAD \
	"<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Header>" \
	"<h:ServerVersionInfo MajorVersion=\"15\" MinorVersion=\"2\" xmlns:h=\"t\"/></s:Header><s:Body " \
	"xmlns:m=\"m\" xmlns:t=\"t\">"
#define TAIL "</s:Body></s:Envelope>"
#define OK_CODE "<m:ResponseCode>NoError</m:ResponseCode>"

struct seen {
	struct buf log;
	struct buf mime;
	enum code refuse;                /* what the object's callback answers */
};

static enum code on_object(void *ctx, size_t message, const struct ews_object *o, struct err *err)
{
	struct seen *s = ctx;

	buf_printf(&s->log, "[%zu " SPAN_FMT "%s" SPAN_FMT, message, SPAN_ARG(o->name), o->change.n > 0 ? "/" : "",
		   SPAN_ARG(o->change));
	for (size_t i = 0; i < o->n; i++)
		buf_printf(&s->log, " " SPAN_FMT "=" SPAN_FMT, SPAN_ARG(o->e[i].path), SPAN_ARG(o->e[i].text));
	buf_add_char(&s->log, ']');
	return s->refuse == E_OK ? E_OK : err_set(err, s->refuse, "no");
}

static enum code on_message(void *ctx, size_t message, const struct ews_object *m, struct err *err)
{
	struct seen *s = ctx;

	(void)err;
	buf_printf(&s->log, "{%zu " SPAN_FMT " " SPAN_FMT "}", message, SPAN_ARG(ews_text(m, "@ResponseClass")),
		   SPAN_ARG(ews_text(m, "ResponseCode")));
	return E_OK;
}

static enum code on_mime(void *ctx, size_t message, struct span piece, struct err *err)
{
	struct seen *s = ctx;

	(void)message;
	(void)err;
	buf_add_span(&s->mime, piece);
	return E_OK;
}

static const struct ews_handler handler = { on_object, on_message, on_mime };

static void begin(struct seen *s)
{
	*s = (struct seen){ .refuse = E_OK };
	buf_init(&s->log, 1 << 20);
	buf_init(&s->mime, 1 << 20);
}

static void end(struct seen *s)
{
	buf_free(&s->log);
	buf_free(&s->mime);
}

static enum code feed(struct ews_parser *p, const char *text, size_t step, struct err *err)
{
	struct span rest = span_of(text);
	enum code rc = E_OK;

	while (rc == E_OK && rest.n > 0) {
		rc = ews_parser_feed(p, span_cut(rest, 0, step), err);
		rest = span_cut(rest, step, rest.n);
	}
	return rc == E_OK ? ews_parser_end(p, err) : rc;
}

/* The same log whatever the pieces. */
static void must_give(const char *text, const char *log, const char *mime)
{
	static const size_t steps[] = { 100000, 1, 7 };

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct err err = ERR_INIT;
		struct seen s;

		begin(&s);
		struct ews_parser *p = ews_parser_new(&handler, &s, 1 << 20, 1 << 20);
		if (feed(p, text, steps[i], &err) != E_OK)
			fail_msg("%s", err_text(&err));
		assert_string_equal(buf_str(&s.log), log);
		assert_string_equal(buf_str(&s.mime), mime);
		assert_int_equal(ews_parser_major(p), 15);
		assert_int_equal(ews_parser_minor(p), 2);
		ews_parser_free(&p);
		end(&s);
	}
}

static void items(void **state)
{
	(void)state;
	must_give(HEAD "<m:GetItemResponse><m:ResponseMessages><m:GetItemResponseMessage ResponseClass=\"Success\">" OK_CODE
		  "<m:Items><t:Message><t:MimeContent CharacterSet=\"UTF-8\">QU\nJD</t:MimeContent>"
		  "<t:ItemId Id=\"A\" ChangeKey=\"B\"/><t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag>"
		  "<t:Categories><t:String>a &amp; b</t:String><t:String/></t:Categories></t:Message></m:Items>"
		  "</m:GetItemResponseMessage><m:GetItemResponseMessage ResponseClass=\"Error\">"
		  "<m:ResponseCode>ErrorItemNotFound</m:ResponseCode><m:Items/></m:GetItemResponseMessage>"
		  "</m:ResponseMessages></m:GetItemResponse>" TAIL,
		  "[0 Message MimeContent= MimeContent@CharacterSet=UTF-8 ItemId= ItemId@Id=A ItemId@ChangeKey=B Flag= "
		  "Flag/FlagStatus=Flagged Categories= Categories/String=a & b Categories/String=]{0 Success NoError}"
		  "{1 Error ErrorItemNotFound}", "QU\nJD");
}

static void changes(void **state)
{
	(void)state;
	must_give(HEAD "<m:SyncFolderItemsResponse><m:ResponseMessages><m:SyncFolderItemsResponseMessage "
		  "ResponseClass=\"Success\">" OK_CODE "<m:SyncState>H4</m:SyncState><m:Changes><t:Create><t:Task>"
		  "<t:ItemId Id=\"1\"/></t:Task></t:Create><t:Update><t:Contact><t:ItemId Id=\"2\"/></t:Contact></t:Update>"
		  "<t:Delete><t:ItemId Id=\"3\"/></t:Delete><t:ReadFlagChange><t:ItemId Id=\"4\"/><t:IsRead>true</t:IsRead>"
		  "</t:ReadFlagChange></m:Changes></m:SyncFolderItemsResponseMessage></m:ResponseMessages>"
		  "</m:SyncFolderItemsResponse>" TAIL,
		  "[0 Task/Create ItemId= ItemId@Id=1][0 Contact/Update ItemId= ItemId@Id=2][0 Delete ItemId= ItemId@Id=3]"
		  "[0 ReadFlagChange ItemId= ItemId@Id=4 IsRead=true]{0 Success NoError}", "");
}

/* "Items" and "Update" within an item are the item's. */
static void containers_within(void **state)
{
	(void)state;
	must_give(HEAD "<m:R><m:ResponseMessages><m:M ResponseClass=\"Success\">" OK_CODE "<m:Items><t:CalendarItem>"
		  "<t:Attachments><t:FileAttachment><t:Name>x</t:Name></t:FileAttachment></t:Attachments>"
		  "<t:Items><t:Delete>y</t:Delete></t:Items></t:CalendarItem></m:Items></m:M></m:ResponseMessages></m:R>" TAIL,
		  "[0 CalendarItem Attachments= Attachments/FileAttachment= Attachments/FileAttachment/Name=x Items= "
		  "Items/Delete=y]{0 Success NoError}", "");
}

static void fault(void **state)
{
	static const char text[] = HEAD
		"<s:Fault><faultcode>a:ErrorServerBusy</faultcode><faultstring>later</faultstring><detail>"
		"<e:ResponseCode xmlns:e=\"e\">ErrorServerBusy</e:ResponseCode><t:MessageXml>"
		"<t:Value Name=\"Other\">1</t:Value><t:Value Name=\"BackOffMilliseconds\">4321</t:Value></t:MessageXml>"
		"</detail></s:Fault>" TAIL;
	struct ews_parser *p = ews_parser_new(&(struct ews_handler){ NULL, NULL, NULL }, NULL, 1 << 20, 1 << 20);

	(void)state;
	assert_int_equal(feed(p, text, 5, NULL), E_OK);
	assert_true(span_eq_str(ews_parser_fault(p), "ErrorServerBusy"));
	assert_true(span_eq_str(ews_parser_fault_text(p), "later"));
	assert_int_equal(ews_parser_fault_wait(p), 4321);
	ews_parser_free(&p);
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"<html><body>Sign in</body></html>", "", "<s:Envelope xmlns:s=\"other\"/>", HEAD,
		"<!DOCTYPE x><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"/>",
		HEAD "<m:R><m:ResponseMessages><m:M><m:Items><t:X>&bomb;</t:X></m:Items></m:M></m:ResponseMessages></m:R>" TAIL,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct seen s;

		begin(&s);
		struct ews_parser *p = ews_parser_new(&handler, &s, 1 << 20, 1 << 20);
		if (feed(p, bad[i], 100000, NULL) != E_PROTOCOL)
			fail_msg("accepted: %s", bad[i]);
		ews_parser_free(&p);
		end(&s);
	}
}

static void limits(void **state)
{
	struct buf b;
	struct seen s;

	(void)state;
	for (int which = 0; which < 3; which++) {
		buf_init(&b, 1 << 22);
		buf_add_str(&b, HEAD "<m:R><m:ResponseMessages><m:M><m:Items><t:X><t:Body>");
		for (int i = 0; i < 40000; i++)
			buf_add_str(&b, which == 0 ? "0123456789" : which == 1 ? "<t:a/>" : "");
		for (int i = 0; which == 2 && i < 60; i++)
			buf_add_str(&b, "<t:deep>");
		begin(&s);
		struct ews_parser *p = ews_parser_new(&handler, &s, 100000, which == 1 ? 100000 : 1 << 22);
		assert_int_equal(ews_parser_feed(p, buf_span(&b), NULL), E_PROTOCOL);
		assert_int_equal(ews_parser_feed(p, SPAN_LIT(" "), NULL), E_PROTOCOL);
		ews_parser_free(&p);
		end(&s);
		buf_free(&b);
	}
	begin(&s);
	s.refuse = E_ITEM_TOO_BIG;
	struct ews_parser *p = ews_parser_new(&handler, &s, 1000, 1 << 20);
	assert_int_equal(feed(p, HEAD "<m:R><m:ResponseMessages><m:M><m:Items><t:X/></m:Items></m:M></m:ResponseMessages>"
			      "</m:R>" TAIL, 9, NULL), E_ITEM_TOO_BIG);
	ews_parser_free(&p);
	end(&s);
}

static void properties(void **state)
{
	struct ews_entry e[] = {
#define E(a, b) { SPAN_LIT(a), SPAN_LIT(b) }
		E("ExtendedProperty", ""), E("ExtendedProperty/ExtendedFieldURI", ""),
		E("ExtendedProperty/ExtendedFieldURI@PropertyTag", "0xe07"), E("ExtendedProperty/Value", "9"),
		E("ExtendedProperty", ""), E("ExtendedProperty/ExtendedFieldURI", ""),
		E("ExtendedProperty/ExtendedFieldURI@DistinguishedPropertySetId", "Common"),
		E("ExtendedProperty/ExtendedFieldURI@PropertyId", "34160"), E("ExtendedProperty/Value", "1"),
		E("ExtendedProperty", ""), E("ExtendedProperty/ExtendedFieldURI", ""),
		E("ExtendedProperty/ExtendedFieldURI@PropertySetId", "6B1E5A7C-41F0-4D43-9D2E-7A5F0C8B3E61"),
		E("ExtendedProperty/ExtendedFieldURI@PropertyName", "MailShadowUid"), E("ExtendedProperty/Value", "u"),
#undef E
	};
	const struct ews_object o = { .e = e, .n = ARRAY_LEN(e) };

	(void)state;
	assert_true(span_eq_str(ews_ext(&o, &ews_message_flags), "9"));
	assert_true(span_eq_str(ews_ext(&o, &ews_imap_deleted), "1"));
	assert_true(span_eq_str(ews_ext(&o, &ews_uid), "u"));
	assert_null(ews_ext(&o, &ews_verb).p);
	assert_null(ews_ext(&o, &ews_rest).p);
}

static void base64(void **state)
{
	struct ews_encoder encoder = { .n = 0 };
	struct ews_base64 decoder = { 0 };
	struct buf text, back;
	char bytes[1000];

	(void)state;
	for (size_t n = 0; n < 50; n++) {
		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)(i * 37 + n);
		buf_init(&text, 4096);
		buf_init(&back, 4096);
		for (size_t i = 0; i < n; i += 4)
			ews_base64_add(&encoder, &text, span_bytes(bytes + i, n - i < 4 ? n - i : 4));
		ews_base64_end(&encoder, &text);
		decoder = (struct ews_base64){ 0 };
		for (size_t i = 0; i < text.n; i++)
			assert_true(ews_base64_decode(&decoder, span_bytes(text.p + i, 1), &back));
		assert_int_equal(back.n, n);
		assert_memory_equal(n > 0 ? back.p : "", bytes, n);
		buf_free(&text);
		buf_free(&back);
	}
	buf_init(&back, 4096);
	decoder = (struct ews_base64){ 0 };
	assert_false(ews_base64_decode(&decoder, SPAN_LIT("QU!="), &back));
	decoder = (struct ews_base64){ 0 };
	assert_false(ews_base64_decode(&decoder, SPAN_LIT("QQ==QQ"), &back));
	buf_free(&back);
}

static void codes(void **state)
{
	static const struct { const char *name; enum code code; bool side; } rows[] = {
		{ "NoError", E_OK, false }, { "ErrorServerBusy", E_THROTTLED, true },
		{ "ErrorImpersonateUserDenied", E_LOGON_FAILED, true },
		{ "ErrorMailboxStoreUnavailable", E_STORE_FAILED, true }, { "ErrorQuotaExceeded", E_QUOTA, false },
		{ "ErrorItemNotFound", E_ITEM_GONE, false }, { "ErrorIrresolvableConflict", E_ITEM_CHANGED, false },
		{ "ErrorSyncFolderNotFound", E_FOLDER_GONE, false }, { "ErrorOfTomorrow", E_ITEM_REFUSED, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(ews_error_code(span_of(rows[i].name)), rows[i].code);
		assert_int_equal(ews_error_is_side(rows[i].code), rows[i].side);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(items), cmocka_unit_test(changes), cmocka_unit_test(containers_within),
		cmocka_unit_test(fault), cmocka_unit_test(refused), cmocka_unit_test(limits),
		cmocka_unit_test(properties), cmocka_unit_test(base64), cmocka_unit_test(codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
