/* reload_ask.c - who asks for a reload (an operator, SIGHUP), and the wait for the process that reads
 * the file: the loop goes on meanwhile. Who asks while one runs gets the answer of the next.
 */
#include "super.h"
#include "notify.h"

#include "../common/clock.h"
#include "../common/log.h"

#include <stdio.h>

#define BY_SIGNAL 0u     /* no client has this number */

static void answer(struct super *super, const struct reload_counts *counts, const struct err *err)
{
	struct reload *r = &super->reload;
	char text[200];

	if (counts != NULL)
		snprintf(text, sizeof(text), "configuration %llu: %u added, %u removed, %u changed, %u as they were",
			 (unsigned long long)super->version->conf->generation, counts->added, counts->removed,
			 counts->changed, counts->same);
	for (unsigned i = 0; i < r->n_now; i++) {
		if (r->now[i] == BY_SIGNAL)
			continue;
		if (counts != NULL)
			control_part(super->control, r->now[i], span_of(text));
		control_done(super->control, r->now[i], counts != NULL ? 0 : 2, counts != NULL ? NULL : err_text(err));
	}
	r->n_now = 0;
	notify("READY=1");
}

static void begin(struct super *super)
{
	struct reload *r = &super->reload;
	struct err err = ERR_INIT;

	memcpy(r->now, r->next, sizeof(r->now));
	r->n_now = r->n_next;
	r->n_next = 0;
	notify("RELOADING=1");
	if (reader_start(&r->reader, super->file, &err) == E_OK)
		return;
	reload_failed(super, &err);
	answer(super, NULL, &err);
}

void reload_ask(struct super *super, uint32_t client)
{
	struct reload *r = &super->reload;

	if (r->n_next < ARRAY_LEN(r->next))
		r->next[r->n_next++] = client;
	if (r->reader.pid == 0)
		begin(super);
}

void reload_signal(struct super *super)
{
	for (unsigned i = 0; i < super->reload.n_next; i++) {
		if (super->reload.next[i] == BY_SIGNAL)
			return;
	}
	reload_ask(super, BY_SIGNAL);
}

static void forget(uint32_t *list, unsigned n, uint32_t client)
{
	for (unsigned i = 0; i < n; i++)
		list[i] = list[i] == client ? BY_SIGNAL : list[i];
}

void reload_gone(struct super *super, uint32_t client)
{
	forget(super->reload.now, super->reload.n_now, client);
	forget(super->reload.next, super->reload.n_next, client);
}

static void warn(void *ctx, const char *text)
{
	(void)ctx;
	log_warning("%s", text);
}

int reload_fd(const struct super *super)
{
	return super->reload.reader.pid != 0 ? super->reload.reader.fd : -1;
}

int64_t reload_deadline_ms(const struct super *super)
{
	return super->reload.reader.pid != 0 ? super->reload.reader.deadline_ms : INT64_MAX;
}

void reload_serve(struct super *super)
{
	struct reload *r = &super->reload;
	struct reload_counts counts = { 0, 0, 0, 0 };
	struct err err = ERR_INIT;
	struct conf *conf;

	if (r->reader.pid == 0 || !reader_serve(&r->reader))
		return;
	enum code rc = reader_take(&r->reader, warn, NULL, &conf, &err);
	if (rc == E_OK)
		rc = reload_with(super, conf, &counts, &err);
	if (rc != E_OK)
		reload_failed(super, &err);
	answer(super, rc == E_OK ? &counts : NULL, &err);
	if (r->n_next > 0)
		begin(super);
}
