/* imapdrive.c - drives the imap endpoint by hand against a real server, without engine or state.
 *
 *   imapdrive list SERVER                     folders with marks
 *   imapdrive dump SERVER                     every message: folder, id, flags, received, digest
 *   imapdrive copy SERVER SERVER              all folders and messages from the first to the second
 *   imapdrive verbs SERVER                    every verb once in an empty mailbox, checked
 *   SERVER = HOST:PORT:TLS:LOGIN:PASSWORDFILE[:CAFILE]   TLS = none, starttls or implicit;
 *   LOGIN = LOGIN or MAILBOX*LOGIN for a service account.
 * It prints the time and the bytes that went over the wire. Not part of the product.
 */
#include "../../common/clock.h"
#include "../../common/io.h"
#include "../../common/mem.h"
#include "../../worker/data/flags.h"
#include "../../worker/endpoint.h"
#include "../../worker/imap/imap.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK(cond) do { if (!(cond)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); exit(1); } } while (0)

struct server {
	struct conf_endpoint conf;
	struct conf_mailbox mailbox;
	char *passfile, *ca;
	struct endpoint *ep;
};

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "%s: %s (%s)\n", what, err_text(err), code_name(err->code));
	exit(1);
}

static enum code give_secret(void *ctx, const char *purpose, struct secret **secret_r, struct err *err)
{
	const struct server *s = ctx;

	(void)purpose;
	return secret_read_file(s->passfile, secret_r, err);
}

static void parse_server(char *text, struct server *s)
{
	char *part[6] = { 0 };
	struct err err = ERR_INIT;
	struct buf pem;

	for (int i = 0; i < 6 && text != NULL; i++)
		part[i] = strsep(&text, ":");
	CHECK(part[4] != NULL);
	*s = (struct server){ .passfile = part[4] };
	s->conf = (struct conf_endpoint){ .name = "drive", .type = "imap", .server = part[0], .auth = "",
		.port = (uint16_t)strtoul(part[1], NULL, 10),
		.tls = strcmp(part[2], "none") == 0 ? TLS_NONE : strcmp(part[2], "starttls") == 0 ? TLS_STARTTLS : TLS_IMPLICIT };
	s->mailbox = (struct conf_mailbox){ .endpoint = &s->conf };
	char *star = strchr(part[3], '*');
	if (star != NULL) {
		*star = '\0';
		s->conf.login = star + 1;
		s->conf.password.file = s->passfile;
		s->mailbox.smtp_name = part[3];
	} else {
		s->mailbox.smtp_name = s->mailbox.login = part[3];
		s->mailbox.password.file = s->passfile;
	}
	if (part[5] == NULL)
		return;
	buf_init(&pem, 1024 * 1024);
	if (io_read_file(part[5], &pem, &err) != E_OK)
		die(part[5], &err);
	s->ca = mem_strdup(buf_str(&pem));
	buf_free(&pem);
}

static void open_server(struct server *s, enum side side, struct ep_req *ask)
{
	struct ep_env env = { .conf = &s->conf, .mailbox = &s->mailbox, .ca_pem = s->ca, .ctx = s, .secret = give_secret };
	struct err err = ERR_INIT;

	env.spool_dir = open("/tmp", O_DIRECTORY | O_CLOEXEC);
	if (ep_new(&env, side, &s->ep, &err) != E_OK)
		die("new", &err);
	*ask = (struct ep_req){ .verb = EP_V_OPEN };
	ep_ask(s->ep, ask);
}

static void must_call(struct endpoint *ep, enum ep_verb verb, struct arena *arena, void *items, size_t n)
{
	struct err err = ERR_INIT;

	if (ep_call(ep, verb, arena, items, n, &err) != E_OK)
		die("verb", &err);
}

static void must_collect(struct ep_req *r)
{
	struct err err = ERR_INIT;

	if (ep_collect(r, &err) != E_OK)
		die("verb", &err);
}

static void list(struct server *s)
{
	struct arena *arena = arena_new(SIZE_MAX / 2);
	struct ep_list l;

	must_call(s->ep, EP_V_LIST, arena, &l, 1);
	for (size_t i = 0; i < l.n; i++) {
		const struct ep_folder *f = &l.folders[i];

		printf("%-30.*s %-8s %s count=%" PRIu64 " mark=[" SPAN_FMT "] id=" SPAN_FMT " name=" SPAN_FMT "\n", (int)f->path.n, f->path.p,
		       ep_role_name(f->role), f->selectable ? "" : "noselect", f->count, SPAN_ARG(f->mark), SPAN_ARG(f->id), SPAN_ARG(f->name));
	}
	arena_free(&arena);
}

static struct ep_changes *all_changes(struct server *s, struct arena *arena, const struct ep_list *l, size_t *n_r)
{
	struct ep_changes *c = arena_calloc(arena, l->n + 1, sizeof(*c));
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->folders[i].selectable)
			c[n++].folder = &l->folders[i];
	must_call(s->ep, EP_V_CHANGES, arena, c, n);
	for (size_t i = 0; i < n; i++)
		if (c[i].code != E_OK)
			fprintf(stderr, SPAN_FMT ": %s\n", SPAN_ARG(c[i].folder->path), c[i].text);
	*n_r = n;
	return c;
}

static void dump(struct server *s)
{
	struct arena *arena = arena_new(SIZE_MAX / 2);
	struct ep_list l;
	size_t n;

	must_call(s->ep, EP_V_LIST, arena, &l, 1);
	struct ep_changes *c = all_changes(s, arena, &l, &n);
	for (size_t i = 0; i < n; i++) {
		struct ep_fetch *f = arena_calloc(arena, c[i].n + 1, sizeof(*f));

		for (size_t k = 0; k < c[i].n; k++)
			f[k] = (struct ep_fetch){ .folder = c[i].folder, .id = c[i].items[k].id };
		for (size_t from = 0; from < c[i].n; from += 500) {
			size_t m = c[i].n - from < 500 ? c[i].n - from : 500;

			must_call(s->ep, EP_V_FETCH, arena, f + from, m);
			for (size_t k = from; k < from + m; k++) {
				uint8_t d[DIGEST_SIZE];
				char hex[65];

				if (f[k].code != E_OK) {
					printf(SPAN_FMT " " SPAN_FMT " %s\n", SPAN_ARG(c[i].folder->path), SPAN_ARG(f[k].id), code_name(f[k].code));
					continue;
				}
				CHECK(body_digest(f[k].body, d, NULL, NULL) == E_OK);
				hex_encode(d, 32, hex);
				printf(SPAN_FMT " " SPAN_FMT " %x [%s] %" PRId64 " %" PRIu64 " %s " SPAN_FMT "\n", SPAN_ARG(c[i].folder->path), SPAN_ARG(f[k].id), f[k].flags,
				       f[k].keywords ? f[k].keywords : "", f[k].received, body_size(f[k].body), hex, SPAN_ARG(f[k].key));
				body_free(&f[k].body);
			}
		}
	}
	arena_free(&arena);
}

static const struct ep_folder *mirror_folder(const struct ep_folder *made, size_t n, struct span path)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq(made[i].path, path))
			return &made[i];
	return NULL;
}

/* Folders of `from` that `to` lacks are created; all folders of `to` are returned. */
static struct ep_folder *mirror_folders(struct server *to, struct arena *arena, const struct ep_list *from, size_t *n_r)
{
	struct ep_folder_op *ops = arena_calloc(arena, from->n + 1, sizeof(*ops));
	struct ep_list l;
	size_t n = 0;

	must_call(to->ep, EP_V_LIST, arena, &l, 1);
	for (size_t i = 0; i < from->n; i++)
		if (from->folders[i].selectable && mirror_folder(l.folders, l.n, from->folders[i].path) == NULL)
			ops[n++] = (struct ep_folder_op){ .kind = EP_FOLDER_CREATE, .path = from->folders[i].path, .role = from->folders[i].role };
	must_call(to->ep, EP_V_FOLDERS, arena, ops, n);
	struct ep_folder *all = arena_calloc(arena, l.n + n + 1, sizeof(*all));
	memcpy(all, l.folders, l.n * sizeof(*all));
	*n_r = l.n;
	for (size_t i = 0; i < n; i++) {
		if (ops[i].code == E_OK)
			all[(*n_r)++] = ops[i].folder_r;
		else
			fprintf(stderr, "create " SPAN_FMT ": %s %s\n", SPAN_ARG(ops[i].path), code_name(ops[i].code), ops[i].text ? ops[i].text : "");
	}
	return all;
}

struct window {
	struct arena *arena;
	struct ep_fetch *f;
	size_t n;
	struct ep_req fetch;
};

static void copy(struct server *a, struct server *b)
{
	struct arena *arena = arena_new(SIZE_MAX / 2);
	struct ep_list l;
	size_t n, n_to, total = 0, at = 0, done = 0;

	must_call(a->ep, EP_V_LIST, arena, &l, 1);
	struct ep_folder *to = mirror_folders(b, arena, &l, &n_to);
	struct ep_changes *c = all_changes(a, arena, &l, &n);
	for (size_t i = 0; i < n; i++)
		total += c[i].n;
	struct ep_fetch *f = arena_calloc(arena, total + 1, sizeof(*f));
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < c[i].n; k++)
			f[at++] = (struct ep_fetch){ .folder = c[i].folder, .id = c[i].items[k].id };
	struct window w[2] = { { 0 } };
	size_t per = getenv("PER") ? strtoul(getenv("PER"), NULL, 10) : 500;
	for (size_t from = 0, turn = 0; from < total || w[turn ^ 1].n > 0; turn ^= 1) {
		struct window *now = &w[turn], *before = &w[turn ^ 1];

		now->n = total - from < per ? total - from : per;
		now->arena = arena_new(SIZE_MAX / 2);
		now->f = f + from;
		now->fetch = (struct ep_req){ .verb = EP_V_FETCH, .arena = now->arena, .items = now->f, .n = now->n };
		if (now->n > 0)
			ep_ask(a->ep, &now->fetch);
		from += now->n;
		if (before->n > 0) {
			struct ep_op *ops = arena_calloc(before->arena, before->n, sizeof(*ops));
			size_t m = 0;

			must_collect(&before->fetch);
			for (size_t i = 0; i < before->n; i++)
				if (before->f[i].code == E_OK)
					ops[m++] = (struct ep_op){ .kind = EP_CREATE, .folder = mirror_folder(to, n_to, before->f[i].folder->path), .body = before->f[i].body,
						.flags = before->f[i].flags, .keywords = before->f[i].keywords, .received = before->f[i].received };
			must_call(b->ep, EP_V_APPLY, before->arena, ops, m);
			for (size_t i = 0; i < m; i++) {
				if (ops[i].code == E_OK)
					done++;
				else
					fprintf(stderr, "%s %s\n", code_name(ops[i].code), ops[i].text ? ops[i].text : "");
				body_free(&ops[i].body);
			}
			arena_free(&before->arena);
			before->n = 0;
		}
		if (now->n == 0)
			arena_free(&now->arena);
	}
	printf("copied %zu of %zu\n", done, total);
	arena_free(&arena);
}

/* --- every verb once --- */

static struct body *make_body(const char *id, const char *text)
{
	char head[512];
	struct body *b = body_new(open("/tmp", O_DIRECTORY | O_CLOEXEC), 0);

	snprintf(head, sizeof(head), "Message-ID: <%s@drive>\r\nDate: Tue, 24 Nov 2026 05:00:00 +0000\r\nFrom: a@b\r\nSubject: %s\r\n\r\n", id, id);
	CHECK(body_add(b, head, strlen(head), NULL) == E_OK && body_add(b, text, strlen(text), NULL) == E_OK && body_end(b, NULL) == E_OK);
	return b;
}

static struct ep_op create_op(const struct ep_folder *f, const char *id, uint32_t flags, const char *kw)
{
	return (struct ep_op){ .kind = EP_CREATE, .folder = f, .body = make_body(id, "text\r\nzz CREATE hacked\r\n"), .flags = flags, .keywords = kw, .received = 1700000000 };
}

static void verbs(struct server *s)
{
	struct arena *arena = arena_new(SIZE_MAX / 2);
	struct ep_folder_op mk[3] = {
		{ .kind = EP_FOLDER_CREATE, .path = SPAN_LIT("Drive/\303\234ml\303\244ut & co") },
		{ .kind = EP_FOLDER_CREATE, .path = SPAN_LIT("Drive/a%2Fb.c") },
		{ .kind = EP_FOLDER_CREATE, .path = SPAN_LIT("Drive/a%2Fb.c") },
	};
	struct ep_list l;

	must_call(s->ep, EP_V_LIST, arena, &l, 1);
	must_call(s->ep, EP_V_FOLDERS, arena, mk, 3);
	for (int i = 0; i < 3; i++)
		printf("create " SPAN_FMT ": %s %s -> " SPAN_FMT " (" SPAN_FMT ")\n", SPAN_ARG(mk[i].path), code_name(mk[i].code), mk[i].text ? mk[i].text : "",
		       SPAN_ARG(mk[i].folder_r.path), SPAN_ARG(mk[i].folder_r.name));
	CHECK(mk[0].code == E_OK && mk[1].code == E_OK && mk[2].code == E_FOLDER_EXISTS);
	CHECK(span_eq(mk[0].folder_r.path, mk[0].path) && span_eq(mk[1].folder_r.path, mk[1].path));
	const struct ep_folder *x = &mk[0].folder_r, *y = &mk[1].folder_r;

	struct ep_op ops[6] = { create_op(x, "m1", EP_SEEN, NULL), create_op(x, "m2", EP_FLAGGED, "$Forwarded zwei"), create_op(x, "m3", 0, "zwei"),
		create_op(y, "n1", EP_DRAFT | EP_DELETED, NULL), create_op(x, "m3", 0, NULL), create_op(x, "empty", 0, NULL) };
	body_free(&ops[5].body);
	ops[5].body = body_new(-1, 0);
	CHECK(body_end(ops[5].body, NULL) == E_OK);
	must_call(s->ep, EP_V_APPLY, arena, ops, 6);
	for (int i = 0; i < 6; i++)
		printf("append %d: %s %s id=" SPAN_FMT "\n", i, code_name(ops[i].code), ops[i].text ? ops[i].text : "", SPAN_ARG(ops[i].new_id));
	for (int i = 0; i < 5; i++)
		CHECK(ops[i].code == E_OK);
	CHECK(ops[5].code == E_ITEM_BAD);

	struct ep_changes c[2] = { { .folder = x }, { .folder = y } };
	must_call(s->ep, EP_V_CHANGES, arena, c, 2);
	CHECK(c[0].code == E_OK && c[0].complete && c[0].full && c[0].n == 4 && c[1].n == 1);
	CHECK(c[0].items[0].flags == EP_SEEN && c[1].items[0].flags == (EP_DRAFT | EP_DELETED));
	printf("cursor " SPAN_FMT " kw=%s star=%d\n", SPAN_ARG(c[0].cursor), c[0].items[1].keywords, c[0].keywords_r);

	struct ep_meta m[2] = { { .folder = x, .id = c[0].items[1].id }, { .folder = x, .id = SPAN_LIT("4000") } };
	must_call(s->ep, EP_V_DESCRIBE, arena, m, 2);
	CHECK(m[0].code == E_OK && m[0].received == 1700000000 && m[0].size == body_size(ops[1].body) && m[1].code == E_ITEM_GONE);
	printf("key " SPAN_FMT "\n", SPAN_ARG(m[0].key));

	struct ep_op chg[5] = {
		{ .kind = EP_FLAGS, .folder = x, .id = c[0].items[0].id, .flags = EP_ANSWERED, .flags_remove = EP_SEEN, .keywords = "neu" },
		{ .kind = EP_MOVE, .folder = x, .to = y, .id = c[0].items[1].id },
		{ .kind = EP_COPY, .folder = x, .to = y, .id = c[0].items[2].id },
		{ .kind = EP_REMOVE, .folder = x, .id = c[0].items[3].id },
		{ .kind = EP_FLAGS, .folder = y, .id = c[1].items[0].id, .flags_remove = EP_DELETED },
	};
	must_call(s->ep, EP_V_APPLY, arena, chg, 5);
	for (int i = 0; i < 5; i++) {
		printf("%s: %s %s id=" SPAN_FMT "\n", ep_op_name(chg[i].kind), code_name(chg[i].code), chg[i].text ? chg[i].text : "", SPAN_ARG(chg[i].new_id));
		CHECK(chg[i].code == E_OK);
	}
	struct ep_changes d[2] = { { .folder = x, .since = c[0].cursor }, { .folder = y, .since = c[1].cursor } };
	must_call(s->ep, EP_V_CHANGES, arena, d, 2);
	for (int i = 0; i < 2; i++) {
		printf("delta: full=%d complete=%d n=%zu gone=%zu cursor " SPAN_FMT "\n", d[i].full, d[i].complete, d[i].n, d[i].n_gone, SPAN_ARG(d[i].cursor));
		CHECK(d[i].code == E_OK && d[i].complete);
	}
	CHECK(d[0].full ? d[0].n == 2 : d[0].n == 1 && d[0].n_gone == 2);
	CHECK(d[0].items[0].flags == EP_ANSWERED && kw_eq(d[0].items[0].keywords, "neu"));
	CHECK(d[1].n == 3);

	struct ep_fetch f[3] = { { .folder = y, .id = d[1].items[1].id }, { .folder = x, .id = c[0].items[0].id }, { .folder = y, .id = SPAN_LIT("999") } };
	must_call(s->ep, EP_V_FETCH, arena, f, 3);
	CHECK(f[0].code == E_OK && f[1].code == E_OK && f[2].code == E_ITEM_GONE && body_size(f[1].body) == body_size(ops[0].body));
	body_free(&f[0].body);
	body_free(&f[1].body);

	struct ep_folder_op rn[2] = { { .kind = EP_FOLDER_RENAME, .folder = y, .path = SPAN_LIT("Drive2/neu") }, { .kind = EP_FOLDER_REMOVE, .folder = x } };
	must_call(s->ep, EP_V_FOLDERS, arena, rn, 2);
	printf("rename %s %s; remove %s %s\n", code_name(rn[0].code), rn[0].text ? rn[0].text : "", code_name(rn[1].code), rn[1].text ? rn[1].text : "");
	CHECK(rn[0].code == E_OK && rn[1].code == E_FOLDER_REFUSED);
	struct ep_op rm[4];
	struct ep_changes e[2] = { { .folder = x }, { .folder = &rn[0].folder_r } };
	must_call(s->ep, EP_V_CHANGES, arena, e, 2);
	CHECK(e[0].n == 2 && e[1].n == 3);
	for (int i = 0; i < 2; i++)
		rm[i] = (struct ep_op){ .kind = EP_REMOVE, .folder = x, .id = e[0].items[i].id };
	must_call(s->ep, EP_V_APPLY, arena, rm, 2);
	struct ep_folder_op del = { .kind = EP_FOLDER_REMOVE, .folder = x };
	must_call(s->ep, EP_V_FOLDERS, arena, &del, 1);
	printf("remove %s %s\n", code_name(del.code), del.text ? del.text : "");
	CHECK(del.code == E_OK);
	must_call(s->ep, EP_V_LIST, arena, &l, 1);
	for (size_t i = 0; i < l.n; i++)
		CHECK(span_find_nocase(l.folders[i].path, "hacked") == SIZE_MAX);
	for (int i = 0; i < 6; i++)
		body_free(&ops[i].body);
	printf("verbs: all good\n");
	arena_free(&arena);
}

int main(int argc, char **argv)
{
	struct server s[2];
	struct ep_req ask[2];
	int n = argc - 2;
	int64_t start = clock_mono_ms();

	CHECK(n >= 1 && n <= 2);
	for (int i = 0; i < n; i++) {
		parse_server(argv[i + 2], &s[i]);
		open_server(&s[i], (enum side)i, &ask[i]);
	}
	for (int i = 0; i < n; i++)
		must_collect(&ask[i]);
	fprintf(stderr, "open %" PRId64 " ms\n", clock_mono_ms() - start);
	if (strcmp(argv[1], "list") == 0)
		list(&s[0]);
	else if (strcmp(argv[1], "dump") == 0)
		dump(&s[0]);
	else if (strcmp(argv[1], "copy") == 0 && n == 2)
		copy(&s[0], &s[1]);
	else
		verbs(&s[0]);
	for (int i = 0; i < n; i++) {
		const struct imap *im = s[i].ep->impl;

		if (im->conn != NULL)
			fprintf(stderr, "in %" PRIu64 " out %" PRIu64 " bytes, %u commands\n", conn_bytes_in(im->conn), conn_bytes_out(im->conn), im->next_tag);
		ep_free(&s[i].ep);
	}
	fprintf(stderr, "%" PRId64 " ms\n", clock_mono_ms() - start);
	return 0;
}
