/* cmd_config.c - check-config and print-config: the only commands that need no supervisor. */
#include "ctl.h"

static void show_warning(void *ctx, const char *text)
{
	struct ctl *ctl = ctx;

	fflush(ctl->out);
	fprintf(ctl->err_out, "warning: %s\n", text);
}

int ctl_load(struct ctl *ctl, bool warn, struct conf **conf_r)
{
	struct err err = ERR_INIT;

	if (conf_load(ctl->config, warn ? show_warning : NULL, ctl, conf_r, &err) == E_OK)
		return EXIT_OK;
	fflush(ctl->out);
	fprintf(ctl->err_out, "%s\n", err_text(&err));
	return EXIT_CONFIG;
}

int ctl_want_pairing(struct ctl *ctl, const struct conf *conf)
{
	const char *near;

	if (ctl->pairing == NULL || conf_find_pairing(conf, ctl->pairing) != NULL)
		return EXIT_OK;
	near = conf_near_pairing(conf, ctl->pairing);
	if (near != NULL)
		ctl_error(ctl, "there is no pairing '%s'; did you mean '%s'?", ctl->pairing, near);
	else
		ctl_error(ctl, "there is no pairing '%s'; see mailshadow status", ctl->pairing);
	return EXIT_NO_SUCH;
}

static int check_config(struct ctl *ctl)
{
	struct conf *conf;
	int rc = ctl_load(ctl, true, &conf);

	if (rc != EXIT_OK)
		return rc;
	fprintf(ctl->out, "%s: valid, %zu endpoints, %zu pairings\n", ctl->config,
		conf->n_endpoints, conf->n_pairings);
	conf_free(&conf);
	return EXIT_OK;
}

static void show_line(void *ctx, const char *text)
{
	struct ctl *ctl = ctx;

	fprintf(ctl->out, "%s\n", text);
}

static int print_config(struct ctl *ctl)
{
	struct conf *conf;
	int rc = ctl_load(ctl, true, &conf);

	if (rc != EXIT_OK)
		return rc;
	conf_print(conf, show_line, ctl);
	conf_free(&conf);
	return EXIT_OK;
}

const struct ctl_command ctl_check_config = {
	"check-config", ARGS_NONE, 0, "is the configuration valid?", check_config,
};
const struct ctl_command ctl_print_config = {
	"print-config", ARGS_NONE, 0, "the configuration as it was read, secrets masked",
	print_config,
};
