/* wire.c - encoding and decoding of the messages of wire.def, by the table that is made from it.
 * Test: tests/unit/t_wire.c, tests/fuzz/fuzz_wire.c.
 */
#include "wire.h"

#include <stdio.h>

#define MAGIC 0x4d53u
#define VERSION 1

enum field_type { F_U8, F_U32, F_U64, F_I64, F_STR };

struct field {
	enum wire_type message;
	enum field_type type;
	size_t offset;               /* in struct wire_msg */
	size_t max;                  /* F_STR */
	const char *name;
};

#define AT(id, name) offsetof(struct wire_msg, u.id.name)
static const struct field fields[] = {
#define MESSAGE(id, number, direction)
#define END(id)
#define FIELD_U8(id, name) { WIRE_##id, F_U8, AT(id, name), 0, #name },
#define FIELD_U32(id, name) { WIRE_##id, F_U32, AT(id, name), 0, #name },
#define FIELD_U64(id, name) { WIRE_##id, F_U64, AT(id, name), 0, #name },
#define FIELD_I64(id, name) { WIRE_##id, F_I64, AT(id, name), 0, #name },
#define FIELD_STR(id, name, max) { WIRE_##id, F_STR, AT(id, name), max, #name },
#include "wire.def"
#undef MESSAGE
#undef END
#undef FIELD_U8
#undef FIELD_U32
#undef FIELD_U64
#undef FIELD_I64
#undef FIELD_STR
};

enum direction { S, W };
static const struct {
	const char *name;
	enum direction direction;
} types[] = {
#define MESSAGE(id, number, dir) [number] = { #id, dir },
#define END(id)
#define FIELD_U8(id, name)
#define FIELD_U32(id, name)
#define FIELD_U64(id, name)
#define FIELD_I64(id, name)
#define FIELD_STR(id, name, max)
#include "wire.def"
};

static bool known(unsigned type)
{
	return type < ARRAY_LEN(types) && types[type].name != NULL;
}

const char *wire_type_name(enum wire_type type)
{
	return known((unsigned)type) ? types[type].name : "?";
}

bool wire_from_worker(enum wire_type type)
{
	return known((unsigned)type) && types[type].direction == W;
}

const char *wire_kind_name(enum wire_kind kind)
{
	static const char *const names[WIRE_KINDS] = {
		"sync", "plan", "verify", "test", "addresses", "quarantine", "release", "journal", "explain",
	};

	return (unsigned)kind < WIRE_KINDS ? names[kind] : "?";
}

/* --- encoding --- */

static void put(struct buf *out, uint64_t value, unsigned bytes)
{
	char raw[8];

	for (unsigned i = 0; i < bytes; i++)
		raw[i] = (char)(value >> 8 * (bytes - 1 - i) & 0xff);
	buf_add(out, raw, bytes);
}

static enum code put_field(const struct wire_msg *msg, const struct field *f, struct buf *out, struct err *err)
{
	const char *at = (const char *)msg + f->offset;
	struct span s;
	uint64_t u64;
	uint32_t u32;

	switch (f->type) {
	case F_U8:
		put(out, *(const uint8_t *)at, 1);
		return E_OK;
	case F_U32:
		memcpy(&u32, at, sizeof(u32));
		put(out, u32, 4);
		return E_OK;
	case F_U64:
	case F_I64:
		memcpy(&u64, at, sizeof(u64));
		put(out, u64, 8);
		return E_OK;
	case F_STR:
		memcpy(&s, at, sizeof(s));
		if (s.n > f->max)
			return err_set(err, E_INTERNAL, "%s.%s: %zu bytes are more than %zu",
				       wire_type_name(msg->type), f->name, s.n, f->max);
		put(out, s.n, 4);
		buf_add_span(out, s);
		return E_OK;
	}
	return err_set(err, E_INTERNAL, "a field of unknown type");
}

enum code wire_encode(const struct wire_msg *msg, struct buf *out, struct err *err)
{
	size_t start = out->n;
	enum code rc = E_OK;

	put(out, MAGIC, 2);
	put(out, VERSION, 1);
	put(out, (uint64_t)msg->type, 1);
	put(out, 0, 8);              /* the length, filled in below */
	put(out, msg->slot, 4);
	put(out, msg->incarnation, 4);
	put(out, msg->generation, 8);
	for (size_t i = 0; rc == E_OK && i < ARRAY_LEN(fields); i++) {
		if (fields[i].message == msg->type)
			rc = put_field(msg, &fields[i], out, err);
	}
	if (rc == E_OK)
		rc = buf_check(out, E_INTERNAL, "a message", err);
	if (rc != E_OK) {
		out->n = start;
		return rc;
	}
	uint64_t length = out->n - start - WIRE_HEADER;
	for (unsigned i = 0; i < 8; i++)
		out->p[start + 4 + i] = (char)(length >> 8 * (7 - i) & 0xff);
	return E_OK;
}

/* --- decoding --- */

struct reader {
	struct span rest;
	bool failed;                 /* sticky: everything read after it is 0 or empty */
	const char *where;
};

static uint64_t get(struct reader *r, unsigned bytes, const char *where)
{
	uint64_t value = 0;

	if (r->failed || r->rest.n < bytes) {
		if (!r->failed)
			r->where = where;
		r->failed = true;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | (uint8_t)r->rest.p[i];
	r->rest.p += bytes;
	r->rest.n -= bytes;
	return value;
}

static struct span get_str(struct reader *r, size_t max, const char *where)
{
	uint64_t n = get(r, 4, where);
	struct span s = SPAN_NONE;

	if (r->failed)
		return s;
	if (n > max || n > r->rest.n) {
		r->failed = true;
		r->where = where;
		return s;
	}
	s = span_bytes(r->rest.p, (size_t)n);
	r->rest.p += n;
	r->rest.n -= (size_t)n;
	return s;
}

static void get_field(struct reader *r, const struct field *f, struct wire_msg *msg)
{
	char *at = (char *)msg + f->offset;

	switch (f->type) {
	case F_U8:
		*(uint8_t *)at = (uint8_t)get(r, 1, f->name);
		return;
	case F_U32: {
		uint32_t value = (uint32_t)get(r, 4, f->name);

		memcpy(at, &value, sizeof(value));
		return;
	}
	case F_U64:
	case F_I64: {
		uint64_t value = get(r, 8, f->name);

		memcpy(at, &value, sizeof(value));
		return;
	}
	case F_STR: {
		struct span value = get_str(r, f->max, f->name);

		memcpy(at, &value, sizeof(value));
		return;
	}
	}
}

static enum code get_header(struct reader *r, struct wire_msg *msg, struct err *err)
{
	uint64_t magic = get(r, 2, "header"), version = get(r, 1, "header"), type = get(r, 1, "header");
	uint64_t length = get(r, 8, "header");

	msg->slot = (uint32_t)get(r, 4, "header");
	msg->incarnation = (uint32_t)get(r, 4, "header");
	msg->generation = get(r, 8, "header");
	if (r->failed || magic != MAGIC || version != VERSION)
		return err_set(err, E_PROTOCOL, "a message with a foreign header");
	if (!known((unsigned)type))
		return err_set(err, E_PROTOCOL, "a message of the unknown type %u", (unsigned)type);
	if (length != r->rest.n)
		return err_set(err, E_PROTOCOL, "%s: its length does not fit", types[type].name);
	msg->type = (enum wire_type)type;
	return E_OK;
}

enum code wire_decode(struct span bytes, struct wire_msg *msg_r, struct err *err)
{
	struct reader r = { .rest = bytes };

	memset(msg_r, 0, sizeof(*msg_r));
	enum code rc = get_header(&r, msg_r, err);
	if (rc != E_OK)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (fields[i].message == msg_r->type)
			get_field(&r, &fields[i], msg_r);
	}
	if (r.failed)
		return err_set(err, E_PROTOCOL, "%s.%s: short or over its limit",
			       wire_type_name(msg_r->type), r.where);
	if (r.rest.n > 0)
		return err_set(err, E_PROTOCOL, "%s: %zu bytes too many", wire_type_name(msg_r->type), r.rest.n);
	return E_OK;
}
