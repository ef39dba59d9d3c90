/* needs.c - the supervisor's end of the socketpairs: a worker that holds a lease gets the secrets
 * of that pairing, one at a time, and of no other. They leave our memory when they have been sent.
 */
#include "super.h"

#include "../common/log.h"
#include "../common/mem.h"
#include "../common/pipe.h"

#include <errno.h>
#include <sys/socket.h>
#include <poll.h>
#include <unistd.h>

void needs_flush(struct super *super, uint32_t slot)
{
	struct worker *w = &super->workers[slot];

	while (w->proc.pid > 0 && w->out.n > 0) {
		ssize_t n = send(w->proc.fd, w->out.p, w->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;          /* full: later; gone: its death is told by the pidfd */
		buf_consume(&w->out, (size_t)n);
	}
	if (w->out.p != NULL) {
		secret_wipe(w->out.p, w->out.cap);
		buf_free(&w->out);
	}
	logs_tell(super, slot);
}

static void refuse(struct worker *w, enum code code, const char *text)
{
	uint32_t number = code_number(code);
	char raw[4 + 480];
	size_t n = strlen(text);

	for (unsigned i = 0; i < 4; i++)
		raw[i] = (char)(number >> 8 * (3 - i) & 0xff);
	n = n > 480 ? 480 : n;
	memcpy(raw + 4, text, n);
	pipe_frame(&w->out, PIPE_REFUSED, span_bytes(raw, 4 + n));
}

static const struct conf_mailbox *mailbox_of(const struct super *super, uint32_t slot,
					     const struct pipe_need *need)
{
	const struct pool_slot *s = &super->pool.slots[slot];
	const struct conf_pairing *pairing;

	if (!slot_has_task(s->state) || s->task == POOL_NONE ||
	    super->pool.pairings[s->task].generation != need->generation)
		return NULL;
	/* as it was when the worker was born: a changed password is not for the server of before */
	pairing = unit_conf_in(super->workers[slot].version->conf, &super->units[s->task]);
	return pairing != NULL ? &pairing->mailbox[need->side] : NULL;
}

void needs_note_secret(struct super *super, uint32_t unit, enum side side, const struct secret *secret)
{
	static const uint8_t never[DIGEST_SIZE];
	uint32_t logon = super->pool.pairings[unit].logon[side];
	uint8_t digest[DIGEST_SIZE];

	if (logon == POOL_NONE)
		return;
	if (logon >= super->n_digests) {
		super->digests = mem_realloc(super->digests, super->pool.n_logons, sizeof(*super->digests));
		memset(super->digests + super->n_digests, 0,
		       sizeof(*super->digests) * (super->pool.n_logons - super->n_digests));
		super->n_digests = super->pool.n_logons;
	}
	digest_of(secret_reveal(secret), secret_len(secret), digest);
	if (memcmp(super->digests[logon], digest, DIGEST_SIZE) == 0)
		return;
	if (memcmp(super->digests[logon], never, DIGEST_SIZE) != 0)
		pool_new_secret(&super->pool, super->pool.logons[logon].key);
	memcpy(super->digests[logon], digest, DIGEST_SIZE);
}

static void answer(struct super *super, uint32_t slot, const struct pipe_need *need)
{
	struct worker *w = &super->workers[slot];
	const struct conf_mailbox *mailbox = mailbox_of(super, slot, need);
	struct secret *secret = NULL;
	struct err err = ERR_INIT;

	if (mailbox == NULL) {
		log_warning("worker %u asked for a secret without a lease", slot + 1);
		refuse(w, E_CANCELLED, "the lease is over");
		return;
	}
	bool directory = span_eq_str(need->purpose, "directory");

	if (!directory && !span_eq_str(need->purpose, "password")) {
		refuse(w, E_UNSUPPORTED, "only passwords are handed out");
		return;
	}
	enum code rc = directory ? conf_directory_secret(mailbox->endpoint, &secret, &err) :
		       conf_mailbox_secret(mailbox, &secret, &err);
	if (rc != E_OK) {
		refuse(w, err.code, err_text(&err));
		return;
	}
	struct span bytes = secret != NULL ? span_bytes(secret_reveal(secret), secret_len(secret)) : SPAN_NONE;
	if (!directory)
		digest_of(bytes.p != NULL ? bytes.p : "", bytes.n,
			  super->units[super->pool.slots[slot].task].secret_digest[need->side]);
	if (secret != NULL && !directory)
		needs_note_secret(super, super->pool.slots[slot].task, need->side, secret);
	(void)buf_room(&w->out, bytes.n + 16);   /* at once: a growing buffer would leave copies behind */
	pipe_frame(&w->out, PIPE_SECRET, bytes);
	secret_free(&secret);
}

static void read_frames(struct super *super, uint32_t slot)
{
	struct worker *w = &super->workers[slot];
	struct err err = ERR_INIT;
	enum pipe_type type;
	struct pipe_need need;
	struct span payload;
	size_t used = 0;
	bool there = true;

	while (there) {
		enum code rc = pipe_take(&w->in, &there, &type, &payload, &used, &err);

		if (rc != E_OK || (there && (type != PIPE_NEED || !pipe_need_decode(payload, &need)))) {
			log_warning("worker %u broke the protocol of its socketpair", slot + 1);
			w->deaf = true;
			proc_kill(&w->proc);
			return;
		}
		if (!there)
			return;
		answer(super, slot, &need);
		buf_consume(&w->in, used);
	}
}

void needs_serve(struct super *super, uint32_t slot, short revents)
{
	struct worker *w = &super->workers[slot];
	char chunk[1024];

	if (revents & (POLLIN | POLLHUP | POLLERR)) {
		ssize_t n = recv(w->proc.fd, chunk, sizeof(chunk), MSG_DONTWAIT);

		if (n > 0) {
			buf_add(&w->in, chunk, (size_t)n);
			read_frames(super, slot);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			w->deaf = true;
		}
	}
	needs_flush(super, slot);
}
