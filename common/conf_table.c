/* conf_table.c - every setting with its unit, range and default, and how values read and print.
 *
 * doc/configuration.md, config/mailshadow.xml and config/mailshadow.xsd name every row of these
 * tables; tests/unit/t_conf.c fails when one of them does not.
 */
#include "conf_p.h"

#include <inttypes.h>
#include <stdio.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define ALWAYS 0

#define C(member) offsetof(struct conf, member)
static const struct conf_setting gateway_rows[] = {
	{ "Workers", V_COUNT, ALWAYS, C(workers), 1, 100, "15", NULL },
	{ "LastSyncTimeInterval", V_TIME, ALWAYS, C(interval_ms), 10, 365 * DAY, "5m", NULL },
	{ "ErrorRetryBump", V_TIME, ALWAYS, C(retry_bump_ms), 0, 365 * DAY, "15m", NULL },
	{ "PrintConfiguration", V_COUNT, ALWAYS, C(print_configuration), 0, UINT32_MAX, "0", NULL },
	{ "LogLevel", V_LEVEL, ALWAYS, C(log_level), 0, 0, "info", NULL },
	{ "Trace", V_TRACE, ALWAYS, C(trace), 0, 0, "", NULL },
	{ "StateDirectory", V_PATH, ALWAYS, C(state_dir), 0, 0, "/var/lib/mailshadow", NULL },
	{ "LogDirectory", V_PATH, ALWAYS, C(log_dir), 0, 0, "/var/log/mailshadow", NULL },
	{ "RuntimeDirectory", V_PATH, ALWAYS, C(runtime_dir), 0, 0, "/run/mailshadow", NULL },
	{ "TimeSlice", V_TIME, ALWAYS, C(time_slice_ms), 10, DAY, "15m", NULL },
	{ "HeartbeatTimeout", V_TIME, ALWAYS, C(heartbeat_timeout_ms), 100, DAY, "30s", NULL },
	{ "ProgressTimeout", V_TIME, ALWAYS, C(progress_timeout_ms), 100, DAY, "5m", NULL },
	{ "DispatchHold", V_TIME, ALWAYS, C(dispatch_hold_ms), 1, DAY, "5s", NULL },
	{ "DispatchHoldMax", V_TIME, ALWAYS, C(dispatch_hold_max_ms), 1, DAY, "5m", NULL },
	{ "CrashQuarantine", V_TIME, ALWAYS, C(crash_quarantine_ms), 1, DAY, "1h", NULL },
	{ "CredentialTrial", V_TIME, ALWAYS, C(credential_trial_ms), 1, DAY, "5m", NULL },
	{ "StopTimeout", V_TIME, ALWAYS, C(stop_timeout_ms), 100, HOUR, "60s", NULL },
	{ "ItemRetry", V_TIME, ALWAYS, C(item_retry_ms), 1, 365 * DAY, "1h", NULL },
};
#undef C

#define C(member) offsetof(struct conf_endpoint, member)
#define T_SERVERS (T_ALL & ~(unsigned)T_LOCAL)
static const struct conf_setting endpoint_rows[] = {
	{ "LoginName", V_TEXT, T_SERVERS, C(login), 0, 0, NULL, NULL },
	{ "Password", V_SECRET, T_SERVERS, C(password), 0, 0, NULL, NULL },
	{ "DefaultPassword", V_SECRET, T_SERVERS, C(default_password), 0, 0, NULL, NULL },
	{ "SMTPAddress", V_TEXT, T_SERVERS, C(smtp_address), 0, 0, NULL, NULL },
	{ "Server", V_HOST, T_SERVERS, C(server), 0, 0, NULL, NULL },
	{ "Port", V_PORT, T_SERVERS, C(port), 1, 65535, NULL, NULL },
	{ "TLS", V_TLS, T_SERVERS, C(tls), 0, 0, "implicit", NULL },
	{ "Auth", V_WORD, T_SERVERS, C(auth), 0, 0, "auto",
	  "|auto|plain|login|xoauth2|oauthbearer|basic|ntlm|negotiate|oauth|" },
	{ "CAFile", V_PATH, T_SERVERS, C(ca_file), 0, 0, NULL, NULL },
	{ "MaxConnections", V_COUNT, T_SERVERS, C(max_connections), 1, 1000, NULL, NULL },
	{ "Path", V_PATH, T_LOCAL, C(path), 0, 0, NULL, NULL },
	{ "CalDAV", V_URL, T_IMAP, C(caldav), 0, 0, NULL, NULL },
	{ "CardDAV", V_URL, T_IMAP, C(carddav), 0, 0, NULL, NULL },
	{ "Access", V_WORD, T_EXCHANGE, C(access), 0, 0, "impersonate", "|impersonate|delegate|" },
	{ "FrontEnd", V_URL, T_EXCHANGE, C(front_end), 0, 0, NULL, NULL },
	{ "PrincipalName", V_TEXT, T_EXCHANGE, C(principal_name), 0, 0, NULL, NULL },
	{ "MaxRequestMiB", V_COUNT, T_EXCHANGE, C(max_request_mib), 1, 1024, "64", NULL },
	{ "CommitGrace", V_TIME, T_EXCHANGE, C(commit_grace_ms), 0, DAY, "1m", NULL },
	{ "HTTPProxy", V_PROXY, T_EXCHANGE | T_GOOGLE | T_EXCHANGE_ONLINE, C(http_proxy), 0, 0, NULL, NULL },
	{ "TokenURL", V_URL, T_EXCHANGE, C(token_url), 0, 0, NULL, NULL },
	{ "Scope", V_TEXT, T_EXCHANGE, C(scope), 0, 0, NULL, NULL },
	{ "Directory", V_LDAP, T_EXCHANGE, C(directory), 0, 0, NULL, NULL },
	{ "DirectoryBase", V_TEXT, T_EXCHANGE, C(directory_base), 0, 0, NULL, NULL },
	{ "DirectoryLogin", V_TEXT, T_EXCHANGE, C(directory_login), 0, 0, NULL, NULL },
	{ "DirectoryPassword", V_SECRET, T_EXCHANGE, C(directory_password), 0, 0, NULL, NULL },
	{ "ServiceAccountKey", V_LATER, T_GOOGLE, 0, 0, 0, NULL, NULL },
};
#undef C

#define C(member) offsetof(struct conf_guard, member)
static const struct conf_setting guard_rows[] = {
	{ "MaxDeletions", V_COUNT, ALWAYS, C(max_deletions), 0, UINT32_MAX, "500", NULL },
	{ "MinDeletions", V_COUNT, ALWAYS, C(min_deletions), 0, UINT32_MAX, "20", NULL },
	{ "PairingPercent", V_COUNT, ALWAYS, C(pairing_percent), 0, 100, "5", NULL },
	{ "FolderPercent", V_COUNT, ALWAYS, C(folder_percent), 0, 100, "25", NULL },
	{ "MaxCreations", V_COUNT, ALWAYS, C(max_creations), 0, UINT32_MAX, "1000", NULL },
	{ "CreationsPercent", V_COUNT, ALWAYS, C(creations_percent), 0, 100, "50", NULL },
};
#undef C

#define C(member) offsetof(struct conf_mailbox, member)
static const struct conf_setting mailbox_rows[] = {
	{ "LoginName", V_TEXT, ALWAYS, C(login), 0, 0, NULL, NULL },
	{ "Password", V_SECRET, ALWAYS, C(password), 0, 0, NULL, NULL },
};
#undef C

#define C(member) offsetof(struct conf_pairing, member)
static const struct conf_setting window_rows[] = {
	{ "past", V_DAYS, ALWAYS, C(window_past_s), 1, 36500, NULL, NULL },
	{ "future", V_DAYS, ALWAYS, C(window_future_s), 1, 36500, NULL, NULL },
};
#undef C

const struct conf_table conf_gateway_table = { gateway_rows, ARRAY_LEN(gateway_rows), "gateway" };
const struct conf_table conf_endpoint_table = { endpoint_rows, ARRAY_LEN(endpoint_rows),
						"endpoint" };
const struct conf_table conf_guard_table = { guard_rows, ARRAY_LEN(guard_rows), "guard" };
const struct conf_table conf_mailbox_table = { mailbox_rows, ARRAY_LEN(mailbox_rows), "mailbox" };
const struct conf_table conf_window_table = { window_rows, ARRAY_LEN(window_rows), "window" };

const char *const conf_kind_names[CONF_KINDS] = {
#define X(id, text) text,
	CONF_KIND_LIST(X)
#undef X
};
const char *const conf_conflict_names[4] = {
	[CONFLICT_NEWEST] = "newest", [CONFLICT_LEFT] = "left",
	[CONFLICT_RIGHT] = "right", [CONFLICT_BOTH] = "both",
};
const char *const conf_deletions_names[3] = {
	[DELETIONS_TRASH] = "trash",
	[DELETIONS_ARCHIVE] = "archive",
	[DELETIONS_EXPUNGE] = "expunge",
};
const char *const conf_tls_names[3] = {
	[TLS_IMPLICIT] = "implicit", [TLS_STARTTLS] = "starttls", [TLS_NONE] = "none",
};

const char *const conf_busy_names[1 << SIDES] = {
	[0] = "none", [1 << SIDE_LEFT] = "left", [1 << SIDE_RIGHT] = "right",
	[1 << SIDE_LEFT | 1 << SIDE_RIGHT] = "both",
};

const char *conf_busy_word(const struct conf_pairing *p)
{
	return conf_busy_names[(unsigned)p->busy_only[SIDE_LEFT] << SIDE_LEFT |
			       (unsigned)p->busy_only[SIDE_RIGHT] << SIDE_RIGHT];
}

bool conf_word(const char *const *names, size_t n, const char *name, unsigned *index_r)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0) {
			*index_r = (unsigned)i;
			return true;
		}
	}
	return false;
}

unsigned conf_type_bit(const char *type)
{
	static const char *const names[] = { "imap", "local", "exchange", "google",
					     "exchange-online" };
	unsigned i;

	return conf_word(names, ARRAY_LEN(names), type, &i) ? 1u << i : 0;
}

bool conf_path_valid(const char *path)
{
	size_t n = strlen(path);

	return n > 0 && n <= 1024 && path[0] != '/' && path[n - 1] != '/' &&
	       strstr(path, "//") == NULL;
}

const struct conf_setting *conf_setting_find(const struct conf_table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->rows[i].name, name) == 0)
			return &t->rows[i];
	}
	return NULL;
}

static const struct { const char *suffix; int64_t ms; } units[] = {
	{ "d", DAY }, { "h", HOUR }, { "m", MINUTE }, { "s", SECOND }, { "ms", 1 },
};

const char *conf_time_text(int64_t ms, char out[CONF_TIME_TEXT])
{
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(units) && (ms % units[i].ms != 0 || ms == 0))
		i++;
	if (ms == 0)
		snprintf(out, CONF_TIME_TEXT, "0");
	else
		snprintf(out, CONF_TIME_TEXT, "%" PRId64 "%s", ms / units[i].ms, units[i].suffix);
	return out;
}

static enum code read_time(const struct conf_setting *s, const char *text, int64_t *ms_r,
			   struct err *err)
{
	char lo[CONF_TIME_TEXT], hi[CONF_TIME_TEXT];
	size_t digits = strspn(text, "0123456789");
	int64_t unit = text[digits] == '\0' ? MINUTE : 0;
	uint64_t n;

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(text + digits, units[i].suffix) == 0)
			unit = units[i].ms;
	}
	if (unit == 0 || !span_u64(span_cut(span_of(text), 0, digits), INT32_MAX, &n))
		return err_set(err, E_CONF,
			       "%s: '%.60s' is not a duration; write 5 (minutes), 30s, 200ms, 2h "
			       "or 1d",
			       s->name, text);
	*ms_r = (int64_t)n * unit;      /* at most 2^31 * 86.4e6: fits */
	if (*ms_r < s->min || *ms_r > s->max)
		return err_set(err, E_CONF, "%s: %.60s is out of range; it must be %s to %s",
			       s->name, text, conf_time_text(s->min, lo),
			       conf_time_text(s->max, hi));
	return E_OK;
}

static enum code read_days(const struct conf_setting *s, const char *text, int64_t *seconds_r, struct err *err)
{
	struct span days = span_of(text);
	uint64_t n;

	if (days.n < 2 || days.p[days.n - 1] != 'd' ||
	    !span_u64(span_cut(days, 0, days.n - 1), (uint64_t)s->max, &n) || n < (uint64_t)s->min)
		return err_set(err, E_CONF,
			       "%s: '%.60s' is not a number of days from %" PRId64 "d to %" PRId64 "d; write 90d",
			       s->name, text, s->min, s->max);
	*seconds_r = (int64_t)n * (DAY / SECOND);
	return E_OK;
}

static enum code read_number(const struct conf_setting *s, const char *text, uint64_t *n_r,
			     struct err *err)
{
	if (!span_u64(span_of(text), (uint64_t)s->max, n_r) || *n_r < (uint64_t)s->min)
		return err_set(err, E_CONF,
			       "%s: '%.60s' is not a whole number from %" PRId64 " to %" PRId64,
			       s->name, text, s->min, s->max);
	return E_OK;
}

static enum code read_word(const struct conf_setting *s, const char *text, const char **word_r,
			   struct err *err)
{
	size_t n = strlen(text);

	for (const char *at = strstr(s->words, text); n > 0 && at != NULL;
	     at = strstr(at + 1, text)) {
		if (at > s->words && at[-1] == '|' && at[n] == '|') {
			*word_r = strcmp(text, "auto") == 0 ? "" : text;
			return E_OK;
		}
	}
	return err_set(err, E_CONF, "%s: '%.60s' is not one of %.*s", s->name, text,
		       (int)strlen(s->words) - 2, s->words + 1);
}

static enum code read_enum(const struct conf_setting *s, const char *text, void *at,
			   struct err *err)
{
	unsigned i;

	if (s->value == V_LEVEL) {
		if (log_level_from_name(text, at))
			return E_OK;
		return err_set(err, E_CONF,
			       "LogLevel: '%.60s' is not one of error, warning, info, debug", text);
	}
	if (!conf_word(conf_tls_names, ARRAY_LEN(conf_tls_names), text, &i))
		return err_set(err, E_CONF, "TLS: '%.60s' is not one of implicit, starttls, none",
			       text);
	*(enum conf_tls *)at = (enum conf_tls)i;
	return E_OK;
}

static bool trace_valid(const char *text)
{
	size_t n = strlen(text);

	return n == 0 || (strspn(text, "abcdefghijklmnopqrstuvwxyz" "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789._-,") == n && n <= 320 && text[0] != ',' &&
			  text[n - 1] != ',' && strstr(text, ",,") == NULL);
}

/* dir/text without "." components, doubled slashes and a slash at the end; ".." stays, because
 * what it means depends on links. */
static const char *absolute(const struct conf_source *src, const char *text)
{
	char *out = arena_printf(src->arena, "%s/%s", text[0] == '/' ? "" : src->dir, text);
	size_t n = 0;

	for (const char *p = out; *p != '\0';) {
		size_t len;

		while (*p == '/')
			p++;
		len = strcspn(p, "/");
		if (len > 0 && !(len == 1 && p[0] == '.')) {
			out[n++] = '/';
			memmove(out + n, p, len);
			n += len;
		}
		p += len;
	}
	out[n == 0 ? 1 : n] = '\0';
	out[0] = '/';
	return out;
}

static enum code read_text(const struct conf_setting *s, const char *text,
			   const struct conf_source *src, const char **at, struct err *err)
{
	if (text[0] == '\0' && s->value != V_TRACE)
		return err_set(err, E_CONF, "%s is empty", s->name);
	if (s->value == V_HOST && !conf_host_valid(text))
		return err_set(err, E_CONF, "%s: '%.100s' is not a host name or address", s->name,
			       text);
	if (s->value == V_TRACE && !trace_valid(text))
		return err_set(err, E_CONF,
			       "%s: '%.60s' is not a comma list of endpoints and types of endpoints, or all",
			       s->name, text);
	if ((s->value == V_PATH || s->value == V_URL || s->value == V_PROXY || s->value == V_LDAP) &&
	    strlen(text) > 1024)
		return err_set(err, E_CONF, "%s: the %s is longer than 1024 bytes", s->name,
			       s->value == V_PATH ? "path" : "URL");
	if (s->value == V_TEXT && strlen(text) > 320)
		return err_set(err, E_CONF, "%s is longer than 320 bytes", s->name);
	if (s->value == V_URL && conf_url_check(s->name, text, src->arena, err) != E_OK)
		return E_CONF;
	if (s->value == V_PROXY && conf_proxy_check(s->name, text, src->arena, err) != E_OK)
		return E_CONF;
	if (s->value == V_LDAP && conf_ldap_check(s->name, text, src->arena, err) != E_OK)
		return E_CONF;
	*at = s->value == V_PATH ? absolute(src, text) : arena_str(src->arena, span_of(text));
	return E_OK;
}

enum code conf_value_read(const struct conf_setting *s, const char *text,
			  const struct conf_source *src, void *base, struct err *err)
{
	void *at = (char *)base + s->offset;
	const char *word = NULL;
	uint64_t n = 0;
	enum code rc;

	switch (s->value) {
	case V_COUNT:
		rc = read_number(s, text, &n, err);
		if (rc == E_OK)
			*(uint32_t *)at = (uint32_t)n;
		return rc;
	case V_PORT:
		rc = read_number(s, text, &n, err);
		if (rc == E_OK)
			*(uint16_t *)at = (uint16_t)n;
		return rc;
	case V_TIME:
		return read_time(s, text, at, err);
	case V_DAYS:
		return read_days(s, text, at, err);
	case V_WORD:
		rc = read_word(s, text, &word, err);
		if (rc == E_OK)
			*(const char **)at = arena_str(src->arena, span_of(word));
		return rc;
	case V_LEVEL:
	case V_TLS:
		return read_enum(s, text, at, err);
	case V_TEXT:
	case V_TRACE:
	case V_HOST:
	case V_URL:
	case V_PROXY:
	case V_LDAP:
	case V_PATH:
		return read_text(s, text, src, at, err);
	case V_SECRET:
	case V_LATER:
		break;
	}
	return err_set(err, E_INTERNAL, "%s is not read from text", s->name);
}

static const char *secret_text(const struct conf_secret *secret, struct arena *arena)
{
	if (secret->file != NULL)
		return arena_printf(arena, "*** (file %s)", secret->file);
	if (secret->credential != NULL)
		return arena_printf(arena, "*** (credential %s)", secret->credential);
	return NULL;
}

const char *conf_value_text(const struct conf_setting *s, const void *base, struct arena *arena)
{
	const void *at = (const char *)base + s->offset;
	char text[CONF_TIME_TEXT];

	switch (s->value) {
	case V_COUNT:
		return s->fallback == NULL && *(const uint32_t *)at == 0 ?
			NULL : arena_printf(arena, "%" PRIu32, *(const uint32_t *)at);
	case V_PORT:
		return *(const uint16_t *)at == 0
			       ? NULL
			       : arena_printf(arena, "%u", *(const uint16_t *)at);
	case V_TIME:
		return arena_printf(arena, "%s", conf_time_text(*(const int64_t *)at, text));
	case V_DAYS:
		return *(const int64_t *)at == 0 ?
			NULL : arena_printf(arena, "%" PRId64 "d", *(const int64_t *)at / (DAY / SECOND));
	case V_LEVEL:
		return log_level_name(*(const enum log_level *)at);
	case V_TLS:
		return conf_tls_names[*(const enum conf_tls *)at];
	case V_WORD: {
		const char *word = *(const char *const *)at;

		return word == NULL || word[0] != '\0' ? word : "auto";
	}
	case V_TEXT:
	case V_TRACE:
	case V_HOST:
	case V_URL:
	case V_PROXY:
	case V_LDAP:
	case V_PATH:
		return *(const char *const *)at;
	case V_SECRET:
		return secret_text(at, arena);
	case V_LATER:
		break;
	}
	return NULL;
}

void conf_defaults(const struct conf_table *t, const struct conf_source *src, void *base)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->rows[i].fallback == NULL)
			continue;
		enum code rc = conf_value_read(&t->rows[i], t->rows[i].fallback, src, base, NULL);

		assert(rc == E_OK);
		(void)rc;
	}
}
