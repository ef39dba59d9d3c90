/* ctl.c - from the command line to a row of the table of subcommands. */
#include "ctl.h"

#include "../../common/near.h"

#include <stdarg.h>

static const struct ctl_command *const commands[] = {
	&ctl_status, &ctl_log, &ctl_sync, &ctl_stop, &ctl_start, &ctl_resume,
	&ctl_test, &ctl_addresses, &ctl_plan, &ctl_verify, &ctl_explain, &ctl_journal, &ctl_quarantine, &ctl_release,
	&ctl_check_config, &ctl_print_config, &ctl_reload,
};

static const struct { const char *name; unsigned bit; const char *summary; } options[] = {
	{ "--json", OPT_JSON, "the documented JSON instead of a table" },
	{ "--watch", OPT_WATCH, "show it again every two seconds" },
	{ "--subjects", OPT_SUBJECTS, "name items with their subjects as well" },
	{ "--retry", OPT_RETRY, "try what is set aside again at the next pass" },
	{ "--discard", OPT_DISCARD, "drop what is held back: deleted items come back" },
	{ "--all", OPT_ALL, "everything, not only the newest lines" },
	{ "--wait", OPT_WAIT, "return when the pass has ended, with its outcome" },
	{ "--follow", OPT_FOLLOW, "go on with what is written from now on (also -f)" },
};

void ctl_error(struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;

	fflush(ctl->out);
	fputs("mailshadow: ", ctl->err_out);
	va_start(ap, fmt);
	vfprintf(ctl->err_out, fmt, ap);
	va_end(ap);
	fputc('\n', ctl->err_out);
}

static void show_usage(const struct ctl_command *c, FILE *out)
{
	static const char *const args[] = {
		[ARGS_NONE] = "", [ARGS_MAYBE_PAIRING] = " [PAIRING]", [ARGS_ENDPOINT] = " ENDPOINT",
		[ARGS_PAIRING] = " PAIRING", [ARGS_PAIRING_ITEM] = " PAIRING ITEM",
	};
	char line[120];
	int n = snprintf(line, sizeof(line), "%s%s", c->name, args[c->args]);

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if ((c->options & options[i].bit) != 0)
			n += snprintf(line + n, sizeof(line) - (size_t)n, " [%s]", options[i].name);
	}
	fprintf(out, "  %-36s %s\n", line, c->summary);
}

static int show_help(FILE *out)
{
	fputs("usage: mailshadow [-c FILE] COMMAND [ARGUMENTS]\n\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		show_usage(commands[i], out);
	fputs("\n  -c FILE                              the configuration; default " CTL_CONFIG
	      "\n",
	      out);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		fprintf(out, "  %-36s %s\n", options[i].name, options[i].summary);
	fputs("  --version, --help\n\n"
	      "exit status: 0 done, 1 failed or differs, 2 configuration or usage, 3 no such "
	      "pairing,\n"
	      "69 no service runs, 75 busy\n",
	      out);
	return EXIT_OK;
}

static const struct ctl_command *find_command(struct ctl *ctl, const char *name)
{
	struct near near = { .word = name };

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
		near_offer(&near, commands[i]->name);
	}
	if (near.best != NULL)
		ctl_error(ctl, "there is no command '%s'; did you mean '%s'?", name, near.best);
	else
		ctl_error(ctl, "there is no command '%s'; see mailshadow --help", name);
	return NULL;
}

static int take_option(struct ctl *ctl, const char *arg)
{
	struct near near = { .word = arg };

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (strcmp(arg, options[i].name) == 0) {
			ctl->options |= options[i].bit;
			return EXIT_OK;
		}
		near_offer(&near, options[i].name);
	}
	if (near.best != NULL)
		ctl_error(ctl, "there is no option '%s'; did you mean '%s'?", arg, near.best);
	else
		ctl_error(ctl, "there is no option '%s'; see mailshadow --help", arg);
	return EXIT_CONFIG;
}

static int check_use(struct ctl *ctl, const struct ctl_command *c)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if ((ctl->options & options[i].bit & ~c->options) != 0) {
			ctl_error(ctl, "'%s' takes no %s; see mailshadow --help", c->name,
				  options[i].name);
			return EXIT_CONFIG;
		}
	}
	if (c->args >= ARGS_ENDPOINT && ctl->pairing == NULL) {
		ctl_error(ctl, "'%s' needs the name of %s; see mailshadow --help", c->name,
			  c->args == ARGS_ENDPOINT ? "an endpoint" : "a pairing");
		return EXIT_CONFIG;
	}
	if (c->args == ARGS_PAIRING_ITEM && ctl->item == NULL) {
		ctl_error(ctl, "'%s' needs an item: its Message-ID, FOLDER:UID or key:HEX", c->name);
		return EXIT_CONFIG;
	}
	if (c->args != ARGS_PAIRING_ITEM && ctl->item != NULL) {
		ctl_error(ctl, "'%s' is one argument too many; see mailshadow --help", ctl->item);
		return EXIT_CONFIG;
	}
	if (c->args == ARGS_NONE && ctl->pairing != NULL) {
		ctl_error(ctl, "'%s' takes no argument '%s'; see mailshadow --help", c->name,
			  ctl->pairing);
		return EXIT_CONFIG;
	}
	return EXIT_OK;
}

static int take_file(struct ctl *ctl, const char *arg, int argc, char **argv, int *i)
{
	if (arg[2] != '\0') {
		ctl->config = arg + 2;
	} else if (*i + 1 < argc) {
		ctl->config = argv[++*i];
	} else {
		ctl_error(ctl, "-c needs the name of a file");
		return EXIT_CONFIG;
	}
	return EXIT_OK;
}

static int take_word(struct ctl *ctl, const char *arg, const struct ctl_command **command)
{
	if (*command == NULL) {
		*command = find_command(ctl, arg);
		return *command != NULL ? EXIT_OK : EXIT_CONFIG;
	}
	if (ctl->item != NULL) {
		ctl_error(ctl, "'%s' is one argument too many; see mailshadow --help", arg);
		return EXIT_CONFIG;
	}
	if (ctl->pairing == NULL)
		ctl->pairing = arg;
	else
		ctl->item = arg;
	return EXIT_OK;
}

int ctl_main(int argc, char **argv, FILE *out, FILE *err_out)
{
	struct ctl ctl = { .config = CTL_CONFIG, .out = out, .err_out = err_out };
	const struct ctl_command *command = NULL;
	bool words_only = false;   /* after "--" */
	int rc = EXIT_OK;

	for (int i = 1; i < argc && rc == EXIT_OK; i++) {
		const char *arg = argv[i];

		if (words_only || arg[0] != '-') {
			rc = take_word(&ctl, arg, &command);
		} else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
			return show_help(out);
		} else if (strcmp(arg, "--version") == 0) {
			fputs("mailshadow " MS_VERSION "\n", out);
			return EXIT_OK;
		} else if (strcmp(arg, "--") == 0) {
			words_only = true;
		} else if (strcmp(arg, "-f") == 0) {
			ctl.options |= OPT_FOLLOW;
		} else if (strncmp(arg, "-c", 2) == 0) {
			rc = take_file(&ctl, arg, argc, argv, &i);
		} else {
			rc = take_option(&ctl, arg);
		}
	}
	if (rc == EXIT_OK && command == NULL) {
		show_help(err_out);
		return EXIT_CONFIG;
	}
	if (rc == EXIT_OK)
		rc = check_use(&ctl, command);
	if (rc == EXIT_OK)
		rc = command->run(&ctl);
	if (fflush(out) != 0 && rc == EXIT_OK)
		rc = EXIT_FAILED;
	return rc;
}
