/* memory_endpoint.c - the store in memory: data, edits by "users", and the endpoint's verbs. */
#include "memory_endpoint.h"

#include "../../common/fail.h"
#include "../../common/mem.h"
#include "../../worker/data/flags.h"
#include "../../worker/data/path.h"

#include <stdio.h>
#include <stdlib.h>

#define STORES 8
static struct mem_store *stores[STORES];

struct mem_store *mem_store_get(const char *name)
{
	size_t i = 0;

	while (i < STORES && stores[i] != NULL && strcmp(stores[i]->name, name) != 0)
		i++;
	assert(i < STORES);
	if (stores[i] == NULL) {
		struct mem_store *s = mem_alloc(sizeof(*s));

		s->name = mem_strdup(name);
		s->deltas = s->tells_ids = s->keywords = s->children_follow = s->stable_ids = true;
		s->flags = EP_FLAGS_ALL;
		s->next_id = 1;
		s->next_modseq = 1;
		stores[i] = s;
		mem_folder_make(s, "INBOX", EP_ROLE_INBOX);
	}
	return stores[i];
}

static void free_item(struct mem_item *it)
{
	mem_free(it->bytes);
	mem_free(it->keywords);
}

static void free_folder(struct mem_folder *f)
{
	for (size_t i = 0; i < f->n; i++)
		free_item(&f->items[i]);
	mem_free(f->items);
	mem_free(f->gone);
	mem_free(f->path);
}

void mem_store_reset(void)
{
	for (size_t i = 0; i < STORES; i++) {
		if (stores[i] == NULL)
			continue;
		for (size_t j = 0; j < stores[i]->n; j++)
			free_folder(&stores[i]->folders[j]);
		mem_free(stores[i]->folders);
		mem_free(stores[i]->name);
		mem_free(stores[i]);
		stores[i] = NULL;
	}
}

struct mem_folder *mem_folder_get(struct mem_store *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++) {
		if (path_eq(span_of(s->folders[i].path), span_of(path)))
			return &s->folders[i];
	}
	return NULL;
}

struct mem_folder *mem_folder_make(struct mem_store *s, const char *path, enum ep_role role)
{
	s->folders = mem_realloc(s->folders, s->n + 1, sizeof(*s->folders));
	struct mem_folder *f = &s->folders[s->n++];

	*f = (struct mem_folder){ .path = mem_strdup(path), .role = role, .id = s->next_id,
				  .validity = (uint32_t)(1000 + s->next_id), .next_uid = 1,
				  .modseq = s->next_modseq++ };
	s->next_id++;
	return f;
}

struct mem_folder *mem_folder_make_kind(struct mem_store *s, const char *path, enum ep_kind kind)
{
	struct mem_folder *f = mem_folder_make(s, path, EP_ROLE_NONE);

	f->kind = kind;
	return f;
}

void mem_folder_drop(struct mem_store *s, const char *path)
{
	struct mem_folder *f = mem_folder_get(s, path);

	assert(f != NULL);
	free_folder(f);
	*f = s->folders[--s->n];
}

static struct mem_item *add_item(struct mem_store *s, struct mem_folder *f, const char *bytes, size_t n, uint32_t flags,
				 const char *kw, int64_t received)
{
	f->items = mem_realloc(f->items, f->n + 1, sizeof(*f->items));
	struct mem_item *it = &f->items[f->n++];

	*it = (struct mem_item){ .uid = f->next_uid++, .bytes = mem_strndup(bytes, n), .n = n,
				 .flags = flags & s->flags,
				 .keywords = kw != NULL && s->keywords ? mem_strdup(kw) : NULL,
				 .received = received, .modseq = s->next_modseq, .made = s->next_modseq };
	f->modseq = s->next_modseq++;
	return it;
}

struct mem_item *mem_add(struct mem_store *s, const char *path, const char *bytes, uint32_t flags, const char *kw,
			 int64_t received)
{
	struct mem_folder *f = mem_folder_get(s, path);

	assert(f != NULL);
	return add_item(s, f, bytes, strlen(bytes), flags, kw, received);
}

/* What the server makes of a record that is put: the caller's. */
static char *rewritten(const struct mem_store *s, const char *bytes, size_t n)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	for (size_t at = 0; at < n;) {
		const char *line = bytes + at, *end = memchr(line, '\n', n - at);
		size_t len = end != NULL ? (size_t)(end - line) + 1 : n - at, keep = len;

		at += len;
		if (s->drops != NULL && strncmp(line, s->drops, strlen(s->drops)) == 0)
			continue;
		if (s->rewrites && strncmp(line, "PRODID", 6) == 0) {
			buf_add_str(&out, "PRODID:-//The Memory//EN\r\n");
			continue;
		}
		while (s->rewrites && keep > 2 && line[keep - 3] == ' ')
			keep--;
		buf_add(&out, line, keep < len ? keep - 2 : len);
		if (keep < len)
			buf_add_str(&out, "\r\n");
	}
	char *copy = mem_strndup(out.p, out.n);

	buf_free(&out);
	return copy;
}

void mem_edit(struct mem_store *s, struct mem_folder *f, size_t i, const char *bytes)
{
	struct mem_item *it = &f->items[i];
	char *copy = rewritten(s, bytes, strlen(bytes));

	mem_free(it->bytes);
	it->bytes = copy;
	it->n = strlen(copy);
	it->modseq = s->next_modseq;
	f->modseq = s->next_modseq++;
}

void mem_remove(struct mem_store *s, struct mem_folder *f, size_t i)
{
	f->gone = mem_realloc(f->gone, f->n_gone + 1, sizeof(*f->gone));
	f->gone[f->n_gone++] = (struct mem_gone){ f->items[i].uid, s->next_modseq, f->items[i].made };
	f->modseq = s->next_modseq++;
	free_item(&f->items[i]);
	memmove(&f->items[i], &f->items[i + 1], (f->n - i - 1) * sizeof(*f->items));
	f->n--;
}

void mem_move(struct mem_store *s, struct mem_folder *f, size_t i, const char *to)
{
	struct mem_folder *t = mem_folder_get(s, to);
	struct mem_item *it = &f->items[i];

	assert(t != NULL && t != f);
	add_item(s, t, it->bytes, it->n, it->flags, it->keywords, it->received);
	mem_remove(s, f, i);
}

void mem_set_flags(struct mem_store *s, struct mem_folder *f, size_t i, uint32_t flags, const char *kw)
{
	struct mem_item *it = &f->items[i];

	it->flags = flags & s->flags;
	mem_free(it->keywords);
	it->keywords = kw != NULL && kw[0] != '\0' && s->keywords ? mem_strdup(kw) : NULL;
	it->modseq = s->next_modseq;
	f->modseq = s->next_modseq++;
}

void mem_rename(struct mem_store *s, const char *from, const char *to)
{
	size_t n = strlen(from);

	for (size_t i = 0; i < s->n; i++) {
		struct mem_folder *f = &s->folders[i];
		char *path = NULL;

		if (strcmp(f->path, from) == 0)
			path = mem_strdup(to);
		else if (s->children_follow && strncmp(f->path, from, n) == 0 && f->path[n] == '/')
			path = mem_printf("%s%s", to, f->path + n);
		if (path == NULL)
			continue;
		mem_free(f->path);
		f->path = path;
	}
}

void mem_new_validity(struct mem_store *s, const char *path)
{
	struct mem_folder *f = mem_folder_get(s, path);

	assert(f != NULL);
	f->validity = (uint32_t)(100000 + s->next_id++);
	f->next_uid += 1000;
	for (size_t i = 0; i < f->n; i++)
		f->items[i].uid = f->next_uid++;
	f->n_gone = 0;
	f->modseq = s->next_modseq++;
}

static int cmp_items(const void *va, const void *vb)
{
	const struct mem_item *a = *(struct mem_item *const *)va, *b = *(struct mem_item *const *)vb;
	int c = strcmp(a->bytes, b->bytes);

	if (c == 0)
		c = a->flags != b->flags ? (a->flags < b->flags ? -1 : 1) : 0;
	if (c == 0)
		c = strcmp(a->keywords != NULL ? a->keywords : "", b->keywords != NULL ? b->keywords : "");
	return c;
}

static struct mem_item **sorted(const struct mem_folder *f)
{
	struct mem_item **list = mem_calloc(f->n + 1, sizeof(*list));

	for (size_t i = 0; i < f->n; i++)
		list[i] = &f->items[i];
	qsort(list, f->n, sizeof(*list), cmp_items);
	return list;
}

static bool folders_equal(const struct mem_folder *a, const struct mem_folder *b, uint32_t flags, bool keywords)
{
	if (a->kind != EP_MAIL)
		return a->kind == b->kind && a->n == b->n;      /* what they say is for the test to compare */

	struct mem_item **x = sorted(a), **y = sorted(b);
	bool equal = a->n == b->n;

	for (size_t i = 0; equal && i < a->n; i++) {
		equal = strcmp(x[i]->bytes, y[i]->bytes) == 0 && (x[i]->flags & flags) == (y[i]->flags & flags) &&
			x[i]->received == y[i]->received &&
			(!keywords || kw_eq(x[i]->keywords, y[i]->keywords));
	}
	mem_free(x);
	mem_free(y);
	return equal;
}

bool mem_equal(struct mem_store *a, struct mem_store *b, char *out, size_t size)
{
	struct mem_store *s[SIDES] = { a, b };
	bool equal = true;

	if (size > 0)
		out[0] = '\0';
	for (int i = 0; i < SIDES; i++) {
		for (size_t j = 0; j < s[i]->n; j++) {
			struct mem_folder *f = &s[i]->folders[j], *g = mem_folder_get(s[1 - i], f->path);

			if (f->role == EP_ROLE_TRASH)
				continue;
			if (g != NULL && folders_equal(f, g, a->flags & b->flags, a->keywords && b->keywords))
				continue;
			equal = false;
			size_t at = size > 0 ? strlen(out) : 0;
			if (size > 0)
				snprintf(out + at, size - at, "%s: %s has %zu, the other %ld\n", f->path, s[i]->name, f->n,
					 g != NULL ? (long)g->n : -1L);
			for (size_t k = 0; k < f->n && size > 0; k++) {
				at = strlen(out);
				snprintf(out + at, size - at, "   uid %u flags %u kw %s rcv %lld %.22s\n", f->items[k].uid,
					 f->items[k].flags, f->items[k].keywords != NULL ? f->items[k].keywords : "-",
					 (long long)f->items[k].received, f->items[k].bytes);
			}
		}
	}
	return equal;
}

size_t mem_total(const struct mem_store *s, bool with_trash)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (with_trash || s->folders[i].role != EP_ROLE_TRASH)
			n += s->folders[i].n;
	}
	return n;
}

/* --- the verbs --- */

struct mem_impl { struct mem_store *store; };

static struct mem_store *store_of(struct endpoint *ep)
{
	return ((struct mem_impl *)ep->impl)->store;
}

static enum code m_make(struct endpoint *ep, struct err *err)
{
	struct mem_impl *m = mem_alloc(sizeof(*m));

	(void)err;
	m->store = mem_store_get(ep->env.mailbox->smtp_name);
	ep->impl = m;
	return E_OK;
}

static enum code m_open(struct endpoint *ep, struct err *err)
{
	struct mem_store *s = store_of(ep);

	if (s->refuse_logon)
		return err_set(err, E_LOGON_FAILED, "refused");
	ep->caps = (struct ep_caps){ .kinds = 15, .max_item_bytes = s->max_bytes, .exact_size = true,
				     .keeps_bytes = true, .marks_flags = true, .moves = true };
	if (s->records_down) {
		ep->caps.kinds = 1u << EP_MAIL;
		err_set(&ep->missing, E_NET, "the calendars are down");
	}
	return E_OK;
}

static void m_close(struct endpoint *ep)
{
	mem_free(ep->impl);
	ep->impl = NULL;
}

static struct span id_of(struct arena *a, uint32_t uid)
{
	uint8_t b[4] = { (uint8_t)(uid >> 24), (uint8_t)(uid >> 16), (uint8_t)(uid >> 8), (uint8_t)uid };

	return arena_span(a, span_bytes(b, 4));
}

static uint32_t uid_of(struct span id)
{
	const uint8_t *b = (const uint8_t *)id.p;

	return id.n == 4 ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}

static struct span mark_of(const struct mem_store *s, const struct mem_folder *f, struct arena *a)
{
	uint64_t sum = 0;

	if (!s->plain_marks)
		return span_of(arena_printf(a, "%u/%llu", f->validity, (unsigned long long)f->modseq));
	for (size_t i = 0; i < f->n; i++)
		sum = sum * 31 + f->items[i].uid * 1000003u + f->items[i].modseq;
	return span_of(arena_printf(a, "%u/%llu", f->validity, (unsigned long long)sum));
}

static void show(struct mem_store *s, struct mem_folder *f, struct arena *a, struct ep_folder *out)
{
	*out = (struct ep_folder){
		.kind = f->kind, .role = f->role, .path = arena_span(a, span_of(f->path)), .selectable = true,
		.name = span_of(arena_printf(a, "%llu", (unsigned long long)f->id)),
		.id = s->stable_ids ? span_of(arena_printf(a, "id%llu", (unsigned long long)f->id))
				    : span_of(arena_printf(a, "v%u", f->validity)),
		.id_stable = s->stable_ids, .count = f->n, .flags = s->flags, .keywords = s->keywords,
		.mark = mark_of(s, f, a),
	};
}

static enum code m_list(struct endpoint *ep, struct arena *a, struct ep_list *l, struct err *err)
{
	struct mem_store *s = store_of(ep);

	(void)err;
	l->folders = arena_calloc(a, s->n + 1, sizeof(*l->folders));
	l->n = s->no_folders ? 0 : s->n;
	l->complete = true;
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++) {
		if (s->folders[i].kind == EP_MAIL || !s->records_down)
			show(s, &s->folders[i], a, &l->folders[n++]);
	}
	l->n = n;
	return E_OK;
}

static struct mem_folder *find(struct mem_store *s, const struct ep_folder *f)
{
	uint64_t id;

	if (!span_u64(f->name, UINT64_MAX, &id))
		return NULL;
	for (size_t i = 0; i < s->n; i++) {
		if (s->folders[i].id == id)
			return &s->folders[i];
	}
	return NULL;
}

static struct span version_of(struct arena *a, const struct mem_folder *f, const struct mem_item *it)
{
	return f->kind != EP_MAIL ? span_of(arena_printf(a, "\"%llu\"", (unsigned long long)it->modseq)) : SPAN_NONE;
}

static void list_items(struct mem_store *s, struct mem_folder *f, uint64_t since, struct arena *a, struct ep_changes *c)
{
	c->items = arena_calloc(a, f->n + 1, sizeof(*c->items));
	for (size_t i = 0; i < f->n; i++) {
		const struct mem_item *it = &f->items[i];

		if (it->modseq <= since)
			continue;
		c->items[c->n].id = id_of(a, it->uid);
		c->items[c->n].version = version_of(a, f, it);
		c->items[c->n].flags = it->flags;
		c->items[c->n++].keywords = it->keywords != NULL ? kw_from(a, span_of(it->keywords)) : NULL;
	}
	c->gone = arena_calloc(a, f->n_gone + 1, sizeof(*c->gone));
	for (size_t i = 0; i < f->n_gone && !c->full; i++) {
		if (f->gone[i].modseq > since && !(s->silent && f->gone[i].made > since))
			c->gone[c->n_gone++] = id_of(a, f->gone[i].uid);
	}
	if (s->incomplete && c->full) {
		c->n /= 2;
		c->complete = false;
	}
}

static enum code m_changes(struct endpoint *ep, struct arena *a, struct ep_changes *list, size_t n, struct err *err)
{
	struct mem_store *s = store_of(ep);

	(void)err;
	for (size_t i = 0; i < n; i++) {
		struct ep_changes *c = &list[i];
		struct mem_folder *f = find(s, c->folder);
		unsigned validity = 0;
		unsigned long long since = 0;

		if (f == NULL) {
			c->code = E_FOLDER_GONE;
			continue;
		}
		c->code = E_OK;
		c->n = c->n_gone = 0;
		c->complete = true;
		c->flags_r = s->flags;
		c->keywords_r = s->keywords;
		if (c->since.n > 0) {
			char *end, *text = arena_str(a, c->since);

			validity = (unsigned)strtoul(text, &end, 10);
			since = strtoull(end + 1, NULL, 10);
			c->reset = validity != f->validity;
		}
		c->full = !s->deltas || c->since.n == 0 || c->reset;
		list_items(s, f, c->full ? 0 : since, a, c);
		c->cursor = span_of(arena_printf(a, "%u/%llu", f->validity, (unsigned long long)f->modseq));
	}
	return E_OK;
}

static struct mem_item *item_at(struct mem_store *s, const struct ep_folder *folder, struct span id, size_t *at_r)
{
	struct mem_folder *f = find(s, folder);

	for (size_t i = 0; f != NULL && i < f->n; i++) {
		if (f->items[i].uid == uid_of(id)) {
			*at_r = i;
			return &f->items[i];
		}
	}
	return NULL;
}

static enum code m_describe(struct endpoint *ep, struct arena *a, struct ep_meta *m, size_t n, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < n; i++) {
		size_t at;
		struct mem_item *it = item_at(store_of(ep), m[i].folder, m[i].id, &at);

		m[i].code = it != NULL ? E_OK : E_ITEM_GONE;
		if (it == NULL)
			continue;
		m[i].header = arena_span(a, span_bytes(it->bytes, it->n));
		m[i].size = it->n;
		m[i].received = it->received;
	}
	return E_OK;
}

static enum code m_fetch(struct endpoint *ep, struct arena *a, struct ep_fetch *f, size_t n, struct err *err)
{
	struct mem_store *s = store_of(ep);
	enum code rc = E_OK;

	if (s->on_fetch != NULL)
		s->on_fetch(s);
	for (size_t i = 0; i < n && rc == E_OK; i++) {
		size_t at;
		struct mem_item *it = item_at(s, f[i].folder, f[i].id, &at);

		f[i].code = it != NULL ? E_OK : E_ITEM_GONE;
		if (it != NULL && s->unreadable != NULL && strstr(it->bytes, s->unreadable) != NULL)
			f[i].code = s->unreadable_code;
		if (f[i].code != E_OK)
			continue;
		f[i].body = body_new(ep->env.spool_dir, it->n);
		rc = body_add(f[i].body, it->bytes, it->n, err);
		if (rc == E_OK)
			rc = body_end(f[i].body, err);
		f[i].flags = it->flags;
		f[i].keywords = it->keywords != NULL ? kw_from(a, span_of(it->keywords)) : NULL;
		f[i].received = it->received;
		f[i].version = version_of(a, find(store_of(ep), f[i].folder), it);
	}
	return rc;
}

static void refuse(struct ep_op *op, enum code code, const char *text)
{
	op->code = code;
	op->text = text;
}

static void body_bytes(struct body *body, struct buf *b)
{
	struct err err = ERR_INIT;
	struct span piece;

	buf_init(b, 1 << 20);
	for (uint64_t at = 0; body_read(body, at, &piece, &err) == E_OK && piece.n > 0; at += piece.n)
		buf_add_span(b, piece);
}

static bool has_uid(const struct mem_folder *f, struct span uid)
{
	for (size_t i = 0; i < f->n && uid.n > 0; i++) {
		const char *at = strstr(f->items[i].bytes, "\r\nUID:");

		if (at != NULL && strlen(at) > 6 + uid.n && memcmp(at + 6, uid.p, uid.n) == 0 && at[6 + uid.n] == '\r')
			return true;
	}
	return false;
}

static void create(struct mem_store *s, struct ep_op *op, struct arena *a)
{
	struct mem_folder *f = find(s, op->folder);
	struct buf b;

	if (f == NULL) {
		refuse(op, E_FOLDER_GONE, "no such folder");
		return;
	}
	if (f->kind != EP_MAIL && has_uid(f, op->uid)) {
		refuse(op, E_ITEM_UNCERTAIN, "there is one of that UID");
		return;
	}
	body_bytes(op->body, &b);
	if (s->poison != NULL && strstr(buf_str(&b), s->poison) != NULL) {
		refuse(op, E_ITEM_REFUSED, "poison");
	} else {
		char *bytes = f->kind != EP_MAIL ? rewritten(s, buf_str(&b), b.n) : mem_strndup(buf_str(&b), b.n);
		struct mem_item *it = add_item(s, f, bytes, strlen(bytes), op->flags, op->keywords, op->received);

		mem_free(bytes);
		op->code = E_OK;
		op->new_id = s->tells_ids ? id_of(a, it->uid) : SPAN_NONE;
		s->writes++;
	}
	buf_free(&b);
}

static void change(struct mem_store *s, struct ep_op *op, struct arena *a)
{
	size_t at;
	struct mem_folder *f = find(s, op->folder);

	if (op->kind == EP_UPDATE && s->before_update != NULL) {
		void (*call)(struct mem_store *) = s->before_update;

		s->before_update = NULL;
		call(s);
	}
	struct mem_item *it = item_at(s, op->folder, op->id, &at);

	if (it == NULL) {
		refuse(op, E_ITEM_GONE, "no such item");
		return;
	}
	if (f->kind != EP_MAIL && op->version.n > 0 && !span_eq(op->version, version_of(a, f, it))) {
		refuse(op, E_ITEM_CHANGED, "another version");
		return;
	}
	op->code = E_OK;
	s->writes++;
	if (op->kind == EP_UPDATE) {
		struct buf b;

		body_bytes(op->body, &b);
		if (s->poison != NULL && strstr(buf_str(&b), s->poison) != NULL)
			refuse(op, E_ITEM_REFUSED, "poison");
		else
			mem_edit(s, f, at, buf_str(&b));
		buf_free(&b);
	} else if (op->kind == EP_FLAGS) {
		const char *kw = kw_minus(a, kw_union(a, it->keywords, op->keywords), op->keywords_remove);

		mem_set_flags(s, f, at, (it->flags | op->flags) & ~op->flags_remove, kw);
	} else if (op->kind == EP_REMOVE) {
		mem_remove(s, f, at);
	} else {
		struct mem_folder *to = find(s, op->to);
		struct mem_item *copy = add_item(s, to, it->bytes, it->n, it->flags, it->keywords, it->received);

		op->new_id = s->tells_ids ? id_of(a, copy->uid) : SPAN_NONE;
		item_at(s, op->folder, op->id, &at);
		if (op->kind == EP_MOVE)
			mem_remove(s, f, at);
	}
}

/* What a record's write tells, and who comes right behind it. */
static void wrote(struct mem_store *s, struct ep_op *op, struct arena *a)
{
	const struct mem_folder *f = find(s, op->folder);
	void (*call)(struct mem_store *) = s->after_write;
	size_t at;

	if (op->code != E_OK || (op->kind != EP_CREATE && op->kind != EP_UPDATE) || f == NULL || f->kind == EP_MAIL)
		return;
	struct mem_item *it = item_at(s, op->folder, op->kind == EP_CREATE ? op->new_id : op->id, &at);
	op->new_version = it != NULL ? version_of(a, f, it) : SPAN_NONE;
	s->after_write = NULL;
	if (call != NULL)
		call(s);
}

static enum code m_apply(struct endpoint *ep, struct arena *a, struct ep_op *ops, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (fail_step("memory op"))
			return err_set(err, E_CANCELLED, "stopped");
		if (ops[i].kind == EP_CREATE)
			create(store_of(ep), &ops[i], a);
		else
			change(store_of(ep), &ops[i], a);
		wrote(store_of(ep), &ops[i], a);
	}
	return E_OK;
}

static bool has_children(const struct mem_store *s, const struct mem_folder *f)
{
	size_t n = strlen(f->path);

	for (size_t i = 0; i < s->n; i++) {
		if (strncmp(s->folders[i].path, f->path, n) == 0 && s->folders[i].path[n] == '/')
			return true;
	}
	return false;
}

static void folder_op(struct mem_store *s, struct ep_folder_op *op, struct arena *a)
{
	char *path = op->path.n > 0 ? arena_str(a, op->path) : NULL;
	struct mem_folder *f = op->folder != NULL ? find(s, op->folder) : NULL;

	op->code = E_OK;
	if (op->kind != EP_FOLDER_CREATE && f == NULL) {
		op->code = E_FOLDER_GONE;
	} else if (op->kind == EP_FOLDER_CREATE) {
		if (mem_folder_get(s, path) != NULL)
			op->code = E_FOLDER_EXISTS;
		else
			mem_folder_make(s, path, op->role)->kind = op->item_kind;
		show(s, mem_folder_get(s, path), a, &op->folder_r);
	} else if (op->kind == EP_FOLDER_RENAME && mem_folder_get(s, path) != NULL) {
		op->code = E_FOLDER_EXISTS;
	} else if (op->kind == EP_FOLDER_RENAME) {
		char *from = arena_str(a, span_of(f->path));

		mem_rename(s, from, path);
		show(s, mem_folder_get(s, path), a, &op->folder_r);
	} else if (f->n > 0 || has_children(s, f)) {
		op->code = E_FOLDER_REFUSED;
		op->text = "not empty";
	} else {
		mem_folder_drop(s, arena_str(a, span_of(f->path)));
	}
	s->writes += op->code == E_OK;
}

static enum code m_folders(struct endpoint *ep, struct arena *a, struct ep_folder_op *ops, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (fail_step("memory folder"))
			return err_set(err, E_CANCELLED, "stopped");
		folder_op(store_of(ep), &ops[i], a);
	}
	return E_OK;
}

const struct ep_ops ep_memory = {
	.type = "memory", .make = m_make, .open = m_open, .close = m_close, .list = m_list, .changes = m_changes,
	.describe = m_describe, .fetch = m_fetch, .apply = m_apply, .folders = m_folders,
};
