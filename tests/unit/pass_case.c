/* pass_case.c - see pass_case.h. */
#include "pass_case.h"

#include "../../common/log.h"
#include "../../common/mem.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void pc_new(struct pass_case *c, const char *left_type, const char *right_type)
{
	const char *types[SIDES] = { left_type, right_type };

	memset(c, 0, sizeof(*c));
	mem_store_reset();
	ep_register_test(&ep_memory);
	log_set_level(LOG_L_ERROR);
	snprintf(c->dir, sizeof(c->dir), "%s/ms-pass-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(c->dir) == NULL)
		abort();
	c->conf.item_retry_ms = 3600 * 1000;
	for (int s = 0; s < SIDES; s++) {
		c->endpoint[s] = (struct conf_endpoint){ .name = s == 0 ? "lefty" : "righty", .type = types[s],
							 .path = mem_printf("%s/%s", c->dir, side_name((enum side)s)) };
		mkdir(c->endpoint[s].path, 0700);
		c->pairing.mailbox[s] = (struct conf_mailbox){ .endpoint = &c->endpoint[s],
							       .smtp_name = s == 0 ? "a@left.example" : "a@right.example" };
		if (strcmp(types[s], "memory") == 0)
			c->store[s] = mem_store_get(c->pairing.mailbox[s].smtp_name);
		c->pairing.deletions[s] = DELETIONS_TRASH;
	}
	c->pairing.name = "case";
	c->pairing.kinds = 15;
	c->pairing.guard = (struct conf_guard){ 500, 20, 5, 25, 1000, 50 };
	buf_init(&c->parts, (size_t)64 * 1024 * 1024);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void pc_free(struct pass_case *c)
{
	for (int s = 0; s < SIDES; s++) {
		char *path = mem_printf("%s", c->endpoint[s].path);

		mem_free(path);
	}
	nftw(c->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	for (int s = 0; s < SIDES; s++) {
		union { const char *in; char *out; } path = { c->endpoint[s].path };

		mem_free(path.out);
	}
	buf_free(&c->parts);
	mem_store_reset();
}

void pc_forget_state(struct pass_case *c)
{
	static const char *const names[] = { "state.db", "state.db-wal", "state.db-open" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = mem_printf("%s/%s", c->dir, names[i]);

		unlink(path);
		mem_free(path);
	}
}

static enum code no_secret(void *ctx, enum side side, const char *purpose, struct secret **secret_r, struct err *err)
{
	(void)ctx;
	(void)side;
	(void)purpose;
	(void)secret_r;
	return err_set(err, E_CREDENTIALS_MISSING, "none here");
}

static void take_part(void *ctx, struct span json)
{
	buf_add_span(&((struct pass_case *)ctx)->parts, json);
}

struct pass_result pc_run(struct pass_case *c, enum pass_mode mode)
{
	struct pass_result r;
	struct pass_env env = { .conf = &c->conf, .pairing = &c->pairing, .state_dir = c->dir, .mode = mode,
				.generation = ++c->generation, .slice_end_ms = INT64_MAX, .ctx = c,
				.secret = no_secret, .part = take_part };

	buf_clear(&c->parts);
	c->env = &env;
	pass_run(&env, &r);
	c->env = NULL;
	return r;
}

const char *pc_mail(const char *id, const char *body)
{
	static char ring[16][512];
	static unsigned at;
	char *text = ring[at++ % ARRAY_LEN(ring)];

	snprintf(text, sizeof(ring[0]), "Message-ID: <%s@example>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
		 "From: a@example\r\nSubject: %s\r\n\r\n%s\r\n", id, id, body);
	return text;
}
