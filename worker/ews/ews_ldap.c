/* ews_ldap.c - libldap over a connection of ours.
 *
 * 1. libldap reads and writes through on_read() and on_write(), which wait as everything here does; that it never polls
 *    by itself is because on_ctrl() says that there is something to read.
 * 2. What went wrong on the connection is kept (`broken`): libldap knows only that its server is down.
 * 3. libldap's copies of the password are zeroed as they are freed.
 * Its test: tests/e2e/test_directory.py, against slapd.
 */
#include "ews_ldap.h"

#include "../../common/arena.h"
#include "../../common/mem.h"
#include "../../common/wiped.h"
#include "../net/conn.h"

#include <dlfcn.h>
#include <errno.h>
#include <lber.h>
#include <ldap.h>
#include <openldap.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE 500                     /* a domain controller gives 1000 at the most */
#define MESSAGE_MAX ((ber_len_t)16 << 20)
#define ENTRY_MEMORY ((size_t)64 << 20)

#define FUNCTION_LIST(X) \
	X(ldap_init_fd) X(ldap_set_option) X(ldap_get_option) X(ldap_destroy) X(ldap_sasl_bind) X(ldap_result) \
	X(ldap_msgfree) X(ldap_parse_result) X(ldap_memfree) X(ldap_err2string) X(ldap_extended_operation) \
	X(ldap_search_ext) X(ldap_create_page_control) X(ldap_control_free) X(ldap_controls_free) \
	X(ldap_control_find) X(ldap_parse_pageresponse_control) X(ldap_get_values_len) X(ldap_value_free_len) \
	X(ber_set_option) X(ber_sockbuf_add_io) X(ber_sockbuf_ctrl) X(ber_memfree)
static struct {
#define X(name) __typeof__(name) *name;
	FUNCTION_LIST(X)
#undef X
} lib;

struct ews_ldap {
	LDAP *ld;
	struct conn *conn;
	struct ews_ldap_conf conf;
	struct arena *arena;             /* of one entry */
	bool secret_goes;                /* the next bytes hold the password */
	enum code broken;                /* the connection is, and why */
	struct err err;
};

/* --- loading --- */

static void *take(ber_len_t n, void *ctx)
{
	(void)ctx;
	return wiped_take(n);
}

static void *take_zeroed(ber_len_t n, ber_len_t size, void *ctx)
{
	(void)ctx;
	return wiped_take_zeroed(n, size);
}

static void *resize(void *old, ber_len_t n, void *ctx)
{
	(void)ctx;
	return wiped_resize(old, n);
}

static void give_back(void *p, void *ctx)
{
	(void)ctx;
	wiped_give_back(p);
}

static void *find_library(void)
{
	static const char *const names[] = { "libldap-2.5.so.0", "libldap.so.2" };
	void *library = NULL;

	for (size_t i = 0; i < ARRAY_LEN(names) && library == NULL; i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	return library;
}

enum code ews_ldap_load(struct err *err)
{
	static BerMemoryFunctions memory = { take, take_zeroed, resize, give_back };
	static const char *const names[] = {
#define X(name) #name,
		FUNCTION_LIST(X)
#undef X
	};
	static bool loaded;
	void *found[ARRAY_LEN(names)], *library;

	if (loaded)
		return E_OK;
	library = find_library();
	if (library == NULL)
		return err_set(err, E_UNSUPPORTED, "libldap cannot be loaded; install libldap-2.5-0: %s", dlerror());
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		found[i] = dlsym(library, names[i]);
		if (found[i] == NULL)
			return err_set(err, E_UNSUPPORTED, "libldap has no %s; install OpenLDAP 2.5 or later",
				       names[i]);
	}
	_Static_assert(sizeof(found) == sizeof(lib), "one pointer per function");
	memcpy(&lib, found, sizeof(found));
	lib.ber_set_option(NULL, LBER_OPT_MEMORY_FNS, &memory);
	loaded = setenv("LDAPNOINIT", "1", 1) == 0;
	return loaded ? E_OK : err_errno(err, E_INTERNAL, "libldap");
}

/* --- its bytes --- */

static int on_setup(Sockbuf_IO_Desc *d, void *arg)
{
	d->sbiod_pvt = arg;
	return 0;
}

static int on_remove(Sockbuf_IO_Desc *d)
{
	(void)d;
	return 0;
}

static int on_ctrl(Sockbuf_IO_Desc *d, int option, void *arg)
{
	(void)d;
	(void)arg;
	return option == LBER_SB_OPT_DATA_READY;
}

static ber_slen_t ended(struct ews_ldap *l, enum code rc, size_t n)
{
	if (rc == E_OK)
		return (ber_slen_t)n;
	l->broken = rc;
	errno = ECONNRESET;
	return -1;
}

static ber_slen_t on_read(Sockbuf_IO_Desc *d, void *p, ber_len_t n)
{
	struct ews_ldap *l = d->sbiod_pvt;
	size_t got = 0;
	enum code rc = l->broken != E_OK ? l->broken : conn_read(l->conn, p, n, &got, &l->err);

	return ended(l, rc, got);
}

static ber_slen_t on_write(Sockbuf_IO_Desc *d, void *p, ber_len_t n)
{
	struct ews_ldap *l = d->sbiod_pvt;
	enum code rc = l->broken != E_OK ? l->broken : conn_put(l->conn, p, n, &l->err);

	if (rc == E_OK)
		rc = l->secret_goes ? conn_scrub(l->conn, &l->err) : conn_flush(l->conn, &l->err);
	return ended(l, rc, n);
}

static int on_close(Sockbuf_IO_Desc *d)
{
	(void)d;
	return 0;
}

/* --- what went wrong --- */

static enum code code_of(int result)
{
	switch (result) {
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_INAPPROPRIATE_AUTH:
	case LDAP_INSUFFICIENT_ACCESS:
	case LDAP_INVALID_DN_SYNTAX:
		return E_LOGON_FAILED;
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_REFERRAL:
		return E_CONF;
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE:
	case LDAP_OPERATIONS_ERROR:
	case LDAP_OTHER:
		return E_SERVER;
	case LDAP_TIMELIMIT_EXCEEDED:
		return E_TIMEOUT;
	case LDAP_SIZELIMIT_EXCEEDED:
	case LDAP_ADMINLIMIT_EXCEEDED:
		return E_INCOMPLETE;
	default:
		return E_PROTOCOL;
	}
}

static enum code refused(const struct ews_ldap *l, const char *what, int result, const char *text, struct err *err)
{
	bool more = text != NULL && text[0] != '\0';

	return err_set(err, code_of(result), "directory %s: %s: %s%s%.200s", l->conf.at.host, what,
		       lib.ldap_err2string(result), more ? "; " : "", more ? text : "");
}

/* A function of the library failed: by what the connection suffered, else by its own number. */
static enum code failed(const struct ews_ldap *l, const char *what, int result, struct err *err)
{
	if (l->broken == E_OK)
		return refused(l, what, result, NULL, err);
	*err = l->err;
	err_prefix(err, "directory %s: %s", l->conf.at.host, what);
	return l->broken;
}

/* The next message of that request. */
static enum code next(struct ews_ldap *l, int id, const char *what, LDAPMessage **m_r, int *type_r, struct err *err)
{
	int result = LDAP_DECODING_ERROR;

	*m_r = NULL;
	*type_r = lib.ldap_result(l->ld, id, LDAP_MSG_ONE, NULL, m_r);
	if (*type_r > 0)
		return E_OK;
	lib.ldap_get_option(l->ld, LDAP_OPT_RESULT_CODE, &result);
	return failed(l, what, result, err);
}

/* How a request ended, by its last message, which is freed. controls_r may be NULL. */
static enum code outcome(struct ews_ldap *l, const char *what, LDAPMessage *m, LDAPControl ***controls_r,
			 struct err *err)
{
	char *text = NULL;
	int result = LDAP_OTHER;
	enum code rc = E_OK;
	int parsed = lib.ldap_parse_result(l->ld, m, &result, NULL, &text, NULL, controls_r, 1);

	if (parsed != LDAP_SUCCESS)
		rc = failed(l, what, parsed, err);
	else if (result != LDAP_SUCCESS)
		rc = refused(l, what, result, text, err);
	lib.ldap_memfree(text);
	return rc;
}

/* --- opening --- */

static enum code attach(struct ews_ldap *l, struct err *err)
{
	static Sockbuf_IO io = { on_setup, on_remove, on_ctrl, on_read, on_write, on_close };
	const int version = LDAP_VERSION3;
	ber_len_t max = MESSAGE_MAX;
	Sockbuf *sb = NULL;

	/* it wants a descriptor, and uses none: reading and writing are ours */
	if (lib.ldap_init_fd(STDIN_FILENO, LDAP_PROTO_EXT, NULL, &l->ld) != LDAP_SUCCESS)
		return err_set(err, E_INTERNAL, "libldap cannot begin");
	if (lib.ldap_set_option(l->ld, LDAP_OPT_PROTOCOL_VERSION, &version) != LDAP_SUCCESS ||
	    lib.ldap_set_option(l->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) != LDAP_SUCCESS ||
	    lib.ldap_get_option(l->ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_SUCCESS || sb == NULL ||
	    lib.ber_sockbuf_add_io(sb, &io, LBER_SBIOD_LEVEL_PROVIDER, l) != 0 ||
	    lib.ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &max) < 0)
		return err_set(err, E_INTERNAL, "libldap refused a setting");
	return E_OK;
}

static enum code start_tls(struct ews_ldap *l, struct err *err)
{
	LDAPMessage *m;
	int id = 0, type;
	int sent = lib.ldap_extended_operation(l->ld, LDAP_EXOP_START_TLS, NULL, NULL, NULL, &id);
	enum code rc = sent == LDAP_SUCCESS ? next(l, id, "StartTLS", &m, &type, err) :
		       failed(l, "StartTLS", sent, err);

	if (rc == E_OK)
		rc = outcome(l, "StartTLS", m, NULL, err);
	/* whatever the reason: without TLS there is no logon */
	if (rc == E_LOGON_FAILED || rc == E_PROTOCOL || rc == E_CONF)
		rc = err->code = E_TLS;
	return rc == E_OK ? conn_start_tls(l->conn, l->conf.ca_pem, err) : rc;
}

static enum code log_on(struct ews_ldap *l, struct err *err)
{
	struct berval password = { secret_len(l->conf.secret), (char *)(uintptr_t)secret_reveal(l->conf.secret) };
	LDAPMessage *m;
	int id = 0, type;

	if (password.bv_len == 0 || l->conf.user == NULL || l->conf.user[0] == '\0')
		return err_set(err, E_CREDENTIALS_MISSING, "directory %s: nobody to log on", l->conf.at.host);
	conn_begin(l->conn);
	l->secret_goes = true;
	int sent = lib.ldap_sasl_bind(l->ld, l->conf.user, LDAP_SASL_SIMPLE, &password, NULL, NULL, &id);
	l->secret_goes = false;
	enum code rc = sent == LDAP_SUCCESS ? next(l, id, "the logon", &m, &type, err) :
		       failed(l, "the logon", sent, err);

	return rc == E_OK ? outcome(l, "the logon", m, NULL, err) : rc;
}

enum code ews_ldap_open(const struct ews_ldap_conf *conf, struct ews_ldap **ldap_r, struct err *err)
{
	struct ews_ldap *l;
	enum code rc = ews_ldap_load(err);

	if (rc != E_OK)
		return rc;
	l = mem_alloc(sizeof(*l));
	l->conf = *conf;
	l->err = (struct err)ERR_INIT;
	l->arena = arena_new(ENTRY_MEMORY);
	rc = conn_open(conf->at.host, conf->at.port, &l->conn, err);
	if (rc == E_OK && !conf->at.starttls)
		rc = conn_start_tls(l->conn, conf->ca_pem, err);
	if (rc != E_OK)
		err_prefix(err, "directory");
	if (rc == E_OK)
		rc = attach(l, err);
	if (rc == E_OK && conf->at.starttls)
		rc = start_tls(l, err);
	if (rc == E_OK)
		rc = log_on(l, err);
	if (rc == E_OK)
		*ldap_r = l;
	else
		ews_ldap_close(&l);
	return rc;
}

void ews_ldap_close(struct ews_ldap **ldap)
{
	struct ews_ldap *l = *ldap;

	*ldap = NULL;
	if (l == NULL)
		return;
	if (l->ld != NULL)
		lib.ldap_destroy(l->ld);
	conn_close(&l->conn);
	arena_free(&l->arena);
	mem_free(l);
}

/* --- searching --- */

static enum code tell(struct ews_ldap *l, const struct ews_ldap_search *s, LDAPMessage *m, struct err *err)
{
	struct ews_ldap_values values[EWS_LDAP_ATTRS_MAX] = { { NULL, 0 } };
	struct berval **kept[EWS_LDAP_ATTRS_MAX] = { NULL };
	size_t n = 0;

	arena_reset(l->arena);
	for (; s->attrs[n] != NULL && n < EWS_LDAP_ATTRS_MAX; n++) {
		kept[n] = lib.ldap_get_values_len(l->ld, m, s->attrs[n]);
		while (kept[n] != NULL && kept[n][values[n].n] != NULL)
			values[n].n++;
		values[n].v = arena_calloc(l->arena, values[n].n + 1, sizeof(*values[n].v));
		for (size_t i = 0; i < values[n].n; i++)
			values[n].v[i] = span_bytes(kept[n][i]->bv_val, kept[n][i]->bv_len);
	}
	enum code rc = s->entry(s->ctx, values, err);
	while (n-- > 0)
		if (kept[n] != NULL)
			lib.ldap_value_free_len(kept[n]);
	return rc;
}

/* The cookie of the next page; empty: it was the last. */
static enum code next_page(struct ews_ldap *l, LDAPControl **controls, struct berval *cookie, struct err *err)
{
	LDAPControl *page = lib.ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
	ber_int_t estimate = 0;

	if (page == NULL)
		return err_set(err, E_INCOMPLETE, "directory %s does not answer in pages", l->conf.at.host);
	if (lib.ldap_parse_pageresponse_control(l->ld, page, &estimate, cookie) != LDAP_SUCCESS)
		return err_set(err, E_PROTOCOL, "directory %s: a page that is none", l->conf.at.host);
	return E_OK;
}

/* All answers of one request. */
static enum code read_answers(struct ews_ldap *l, const struct ews_ldap_search *s, int id, struct berval *cookie,
			      struct err *err)
{
	LDAPControl **controls = NULL;
	LDAPMessage *m = NULL;
	int type = 0;
	enum code rc = E_OK;

	while (rc == E_OK && type != LDAP_RES_SEARCH_RESULT) {
		rc = next(l, id, "the search", &m, &type, err);
		if (rc == E_OK && type == LDAP_RES_SEARCH_ENTRY)
			rc = tell(l, s, m, err);
		if (rc == E_OK && type != LDAP_RES_SEARCH_RESULT)
			lib.ldap_msgfree(m);
	}
	if (rc != E_OK) {
		lib.ldap_msgfree(m);
		return rc;
	}
	rc = outcome(l, "the search", m, &controls, err);
	if (rc == E_OK && s->deep)
		rc = next_page(l, controls, cookie, err);
	lib.ldap_controls_free(controls);
	return rc;
}

static enum code one_page(struct ews_ldap *l, const struct ews_ldap_search *s, struct berval *cookie, struct err *err)
{
	char *attrs[EWS_LDAP_ATTRS_MAX + 1] = { NULL };
	LDAPControl *controls[2] = { NULL, NULL };
	int id = 0, sent = LDAP_SUCCESS;

	for (size_t i = 0; s->attrs[i] != NULL && i < EWS_LDAP_ATTRS_MAX; i++)
		attrs[i] = (char *)(uintptr_t)s->attrs[i];
	if (s->deep)
		sent = lib.ldap_create_page_control(l->ld, PAGE, cookie, 1, &controls[0]);
	lib.ber_memfree(cookie->bv_val);
	*cookie = (struct berval){ 0, NULL };
	conn_begin(l->conn);
	if (sent == LDAP_SUCCESS)
		sent = lib.ldap_search_ext(l->ld, s->base, s->deep ? LDAP_SCOPE_SUBTREE : LDAP_SCOPE_BASE, s->filter,
					   attrs, 0, controls, NULL, NULL, LDAP_NO_LIMIT, &id);
	lib.ldap_control_free(controls[0]);
	return sent == LDAP_SUCCESS ? read_answers(l, s, id, cookie, err) : failed(l, "the search", sent, err);
}

enum code ews_ldap_find(struct ews_ldap *l, const struct ews_ldap_search *s, struct err *err)
{
	struct berval cookie = { 0, NULL };
	enum code rc;

	do
		rc = one_page(l, s, &cookie, err);
	while (rc == E_OK && cookie.bv_len > 0);
	lib.ber_memfree(cookie.bv_val);
	return rc;
}
