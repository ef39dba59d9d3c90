/* err.c - the table of outcomes and the building of error sentences. */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
	uint32_t number;
	const char *name;
	enum err_scope scope;
	enum err_retry retry;
	enum rclass rclass;
	const char *text;
	const char *remedy;
} codes[CODE_COUNT] = {
#define CODE(id, number, name, scope, retry, class, text, remedy) \
	[E_##id] = { number, name, SCOPE_##scope, RETRY_##retry, RC_##class, text, remedy },
#include "codes.def"
#undef CODE
};

static const char *const rclass_names[RCLASS_COUNT] = {
#define X(id, text) [RC_##id] = text,
	RCLASS_LIST(X)
#undef X
};

static void append(struct err *err, const char *fmt, va_list ap)
{
	size_t used = strlen(err->text);

	vsnprintf(err->text + used, sizeof(err->text) - used, fmt, ap);
}

enum code err_set(struct err *err, enum code code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return code;
	err->code = code;
	err->text[0] = '\0';
	va_start(ap, fmt);
	append(err, fmt, ap);
	va_end(ap);
	return code;
}

enum code err_errno(struct err *err, enum code code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (err == NULL)
		return code;
	err->code = code;
	err->text[0] = '\0';
	va_start(ap, fmt);
	append(err, fmt, ap);
	va_end(ap);
	size_t used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(saved));
	if (saved == ENOSPC || saved == EDQUOT)
		err->code = E_DISK;
	return err->code;
}

enum code err_prefix(struct err *err, const char *fmt, ...)
{
	struct err old;
	va_list ap;

	if (err == NULL)
		return E_INTERNAL;
	old = *err;
	err->text[0] = '\0';
	va_start(ap, fmt);
	append(err, fmt, ap);
	va_end(ap);
	size_t used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", err_text(&old));
	return err->code;
}

void err_clear(struct err *err)
{
	*err = (struct err)ERR_INIT;
}

const char *err_text(const struct err *err)
{
	return err->text[0] != '\0' ? err->text : code_text(err->code);
}

uint32_t code_number(enum code code)
{
	assert((unsigned)code < CODE_COUNT);
	return codes[code].number;
}

const char *code_name(enum code code)
{
	assert((unsigned)code < CODE_COUNT);
	return codes[code].name;
}

const char *code_text(enum code code)
{
	assert((unsigned)code < CODE_COUNT);
	return codes[code].text;
}

const char *code_remedy(enum code code)
{
	assert((unsigned)code < CODE_COUNT);
	return codes[code].remedy;
}

enum err_scope code_scope(enum code code)
{
	assert((unsigned)code < CODE_COUNT);
	return codes[code].scope;
}

enum err_retry code_retry(enum code code)
{
	assert((unsigned)code < CODE_COUNT);
	return codes[code].retry;
}

enum rclass code_class(enum code code)
{
	assert((unsigned)code < CODE_COUNT);
	return codes[code].rclass;
}

bool code_from_number(uint32_t number, enum code *code_r)
{
	for (unsigned i = 0; i < CODE_COUNT; i++) {
		if (codes[i].number == number) {
			*code_r = (enum code)i;
			return true;
		}
	}
	return false;
}

const char *rclass_name(enum rclass rc)
{
	assert((unsigned)rc < RCLASS_COUNT);
	return rclass_names[rc];
}

bool rclass_from_name(const char *name, enum rclass *rc_r)
{
	for (unsigned i = 0; i < RCLASS_COUNT; i++) {
		if (strcmp(rclass_names[i], name) == 0) {
			*rc_r = (enum rclass)i;
			return true;
		}
	}
	return false;
}
