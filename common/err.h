/* err.h - one enum for all outcomes, and the sentence that goes with a failure.
 *
 * Functions that can fail return `enum code` (0 = E_OK) and take `struct err *` last. The first
 * place that knows what is wrong says it with err_set(); everybody above only passes it on. What a
 * code means for callers is in codes.def: how far it reaches (scope) and whether to retry.
 */
#ifndef MS_ERR_H
#define MS_ERR_H

#include "ms.h"

enum code {
#define CODE(id, number, name, scope, retry, class, text, remedy) E_##id,
#include "codes.def"
#undef CODE
	CODE_COUNT
};

enum err_scope { SCOPE_ITEM, SCOPE_FOLDER, SCOPE_SIDE, SCOPE_PAIRING };
enum err_retry { RETRY_NOW, RETRY_WAIT, RETRY_LATER, RETRY_PERSON };

/* Result classes of a pass, as the supervisor schedules by them. X(id, text) */
#define RCLASS_LIST(X) \
	X(OK, "ok") X(LOGON_FAILED, "logon-failed") X(STORE_FAILED, "store-failed") \
	X(STOPPED, "stopped") X(THROTTLED, "throttled") X(FAILED, "failed") X(CRASHED, "crashed") \
	X(HELD, "held") X(YIELDED, "yielded") X(RETURNED, "returned")
enum rclass {
#define X(id, text) RC_##id,
	RCLASS_LIST(X)
#undef X
	RCLASS_COUNT
};

struct err {
	enum code code;
	uint32_t wait_ms;  /* E_THROTTLED: how long the server said to wait; 0 = not told */
	int8_t side;       /* enum side where known, else -1 */
	char text[480];    /* one sentence, no secret, no mail content; "" = the code's own text */
};
#define ERR_INIT { .side = -1 }

/* Fill `err` (may be NULL) and return `code`; the text is printf-formatted and truncated safely. */
enum code err_set(struct err *err, enum code code, const char *fmt, ...) MS_PRINTF(3, 4);
/* Like err_set, with ": strerror(errno)" appended. */
enum code err_errno(struct err *err, enum code code, const char *fmt, ...) MS_PRINTF(3, 4);
/* Put "context: " in front of the text that is there. Returns err->code. */
enum code err_prefix(struct err *err, const char *fmt, ...) MS_PRINTF(2, 3);
void err_clear(struct err *err);
/* The sentence to show: the specific text, else the code's own. Never NULL. */
const char *err_text(const struct err *err);

uint32_t code_number(enum code code);       /* 0x80040111 ... */
const char *code_name(enum code code);      /* MAPI_E_LOGON_FAILED ... */
const char *code_text(enum code code);
const char *code_remedy(enum code code);
enum err_scope code_scope(enum code code);
enum err_retry code_retry(enum code code);
enum rclass code_class(enum code code);
/* The code with that number; false if there is none (a foreign number never becomes a code). */
bool code_from_number(uint32_t number, enum code *code_r);

const char *rclass_name(enum rclass rc);
bool rclass_from_name(const char *name, enum rclass *rc_r);

#endif
