/* wire.h - the messages of wire.def as structs, and their bytes.
 *
 * A message is a fixed header of 28 bytes (big endian: magic, version, type, length of the rest,
 * slot, incarnation, lease generation) and its fields. Decoding never trusts a byte: a wrong
 * header, an unknown type, a short or long field, a string over its limit, or bytes left over set
 * a sticky error and nothing else; nothing here ends the process. Strings are UTF-8 or whatever the
 * sender put in: who shows them escapes them.
 */
#ifndef MS_WIRE_H
#define MS_WIRE_H

#include "buf.h"
#include "err.h"
#include "span.h"

#define WIRE_MAX 65536          /* largest message, also the limit that ZeroMQ enforces */
#define WIRE_PART_MAX 32768     /* largest text of one PART */
#define WIRE_HEADER 28

/* Kinds of tasks. Those from WIRE_QUARANTINE on ask or change the pairing's state, and no server. */
enum wire_kind {
	WIRE_SYNC, WIRE_PLAN, WIRE_VERIFY, WIRE_TEST, WIRE_ADDRESSES,
	WIRE_QUARANTINE, WIRE_RELEASE, WIRE_JOURNAL, WIRE_EXPLAIN,
	WIRE_KINDS
};
enum wire_option { WIRE_OPT_RETRY = 1, WIRE_OPT_DISCARD = 2 };
const char *wire_kind_name(enum wire_kind kind);

enum wire_type {
#define MESSAGE(id, number, direction) WIRE_##id = number,
#define END(id)
#define FIELD_U8(id, name)
#define FIELD_U32(id, name)
#define FIELD_U64(id, name)
#define FIELD_I64(id, name)
#define FIELD_STR(id, name, max)
#include "wire.def"
#undef MESSAGE
#undef END
#undef FIELD_U8
#undef FIELD_U32
#undef FIELD_U64
#undef FIELD_I64
#undef FIELD_STR
};

#define MESSAGE(id, number, direction) struct wire_##id { char unused_first;
#define END(id) };
#define FIELD_U8(id, name) uint8_t name;
#define FIELD_U32(id, name) uint32_t name;
#define FIELD_U64(id, name) uint64_t name;
#define FIELD_I64(id, name) int64_t name;
#define FIELD_STR(id, name, max) struct span name;
#include "wire.def"
#undef MESSAGE
#undef END
#undef FIELD_U8
#undef FIELD_U32
#undef FIELD_U64
#undef FIELD_I64
#undef FIELD_STR

struct wire_msg {
	enum wire_type type;
	uint32_t slot, incarnation;  /* of the worker, as the supervisor named it */
	uint64_t generation;         /* of the lease; 0 where there is none */
	union {
#define MESSAGE(id, number, direction) struct wire_##id id;
#define END(id)
#define FIELD_U8(id, name)
#define FIELD_U32(id, name)
#define FIELD_U64(id, name)
#define FIELD_I64(id, name)
#define FIELD_STR(id, name, max)
#include "wire.def"
#undef MESSAGE
#undef END
#undef FIELD_U8
#undef FIELD_U32
#undef FIELD_U64
#undef FIELD_I64
#undef FIELD_STR
	} u;
};

const char *wire_type_name(enum wire_type type);      /* "TASK"; "?" for a foreign number */
bool wire_from_worker(enum wire_type type);           /* its direction is W */
/* Append the message to out. Fails (E_INTERNAL, out as it was) if a string is over its limit. */
enum code wire_encode(const struct wire_msg *msg, struct buf *out, struct err *err) MS_MUST_USE;
/* Strings in *msg_r point into `bytes`. E_PROTOCOL with what is wrong. */
enum code wire_decode(struct span bytes, struct wire_msg *msg_r, struct err *err) MS_MUST_USE;

#endif
