/* conf_case.c - what the tests of the configuration share. */
#include "conf_case.h"

#include "../../common/mem.h"

#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

const char case_valid[] = "<mailshadow version=\"1\">\n"
			  "  <gateway>\n"
			  "    <Workers>2</Workers>\n"
			  "    <LastSyncTimeInterval>200ms</LastSyncTimeInterval>\n"
			  "    <StateDirectory>state/</StateDirectory>\n"
			  "    <RuntimeDirectory>./run</RuntimeDirectory>\n"
			  "  </gateway>\n"
			  "  <endpoints>\n"
			  "    <endpoint name=\"old\" type=\"imap\">\n"
			  "      <LoginName>svc@old.example</LoginName>\n"
			  "      <Password file=\"secret\"/>\n"
			  "      <Server>imap.old.example</Server>\n"
			  "      <TLS>implicit</TLS>\n"
			  "      <CAFile>ca.pem</CAFile>\n"
			  "    </endpoint>\n"
			  "    <endpoint name=\"new\" type=\"imap\">\n"
			  "      <Server>localhost</Server>\n"
			  "      <TLS>none</TLS>\n"
			  "      <DefaultPassword file=\"secret\"/>\n"
			  "    </endpoint>\n"
			  "    <endpoint name=\"disk\" type=\"local\">\n"
			  "      <Path>mail</Path>\n"
			  "    </endpoint>\n"
			  "  </endpoints>\n"
			  "  <pairings>\n"
			  "    <pairing name=\"alice\" conflict=\"left\" deletions=\"archive\" "
			  "kinds=\"mail events\">\n"
			  "      <mailbox endpoint=\"old\" SMTPName=\"alice@old.example\"/>\n"
			  "      <mailbox endpoint=\"disk\" SMTPName=\"alice\"/>\n"
			  "      <folders>\n"
			  "        <exclude>Junk</exclude>\n"
			  "        <exclude>A/*</exclude>\n"
			  "        <map left=\"X\" right=\"Y/Z\"/>\n"
			  "      </folders>\n"
			  "      <guard><MaxDeletions>7</MaxDeletions></guard>\n"
			  "    </pairing>\n"
			  "    <pairing name=\"bob\">\n"
			  "      <mailbox endpoint=\"new\" SMTPName=\"bob@new.example\"/>\n"
			  "      <mailbox endpoint=\"old\" SMTPName=\"bob@old.example\">\n"
			  "        <Password file=\"secret\"/>\n"
			  "      </mailbox>\n"
			  "    </pairing>\n"
			  "  </pairings>\n"
			  "</mailshadow>\n";

void case_put(struct conf_case *c, const char *name, const char *text, size_t n, unsigned mode)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", c->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, n) != (ssize_t)n || fchmod(fd, mode) != 0)
		abort();
	close(fd);
}

void case_begin(struct conf_case *c)
{
	static const char ca[] = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n";

	memset(c, 0, sizeof(*c));
	strcpy(c->dir, "/tmp/t_conf.XXXXXX");
	if (mkdtemp(c->dir) == NULL)
		abort();
	snprintf(c->file, sizeof(c->file), "%s/m.xml", c->dir);
	case_put(c, "secret", "s3cret\n", 7, 0600);
	case_put(c, "ca.pem", ca, sizeof(ca) - 1, 0644);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void case_end(struct conf_case *c)
{
	conf_free(&c->conf);
	nftw(c->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void case_write(struct conf_case *c, const char *old, const char *new_text)
{
	const char *at = strstr(case_valid, old);

	if (at == NULL) {
		fprintf(stderr, "the valid file has no '%s'\n", old);
		abort();
	}
	char *text = mem_printf("%.*s%s%s", (int)(at - case_valid), case_valid, new_text,
				at + strlen(old));
	case_put(c, "m.xml", text, strlen(text), 0644);
	mem_free(text);
}

static void keep_warning(void *ctx, const char *text)
{
	struct conf_case *c = ctx;
	size_t used = strlen(c->warnings);

	snprintf(c->warnings + used, sizeof(c->warnings) - used, "%s\n", text);
}

enum code case_load(struct conf_case *c)
{
	conf_free(&c->conf);
	c->warnings[0] = '\0';
	err_clear(&c->err);
	return conf_load(c->file, keep_warning, c, &c->conf, &c->err);
}

int case_xmllint(const char *file)
{
	char *argv[] = { mem_strdup("xmllint"),
			 mem_strdup("--noout"),
			 mem_strdup("--nonet"),
			 mem_strdup("--schema"),
			 mem_strdup("config/mailshadow.xsd"),
			 mem_strdup(file),
			 NULL };
	posix_spawn_file_actions_t quiet;
	int status = -1;
	pid_t pid;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ) != 0 ||
	    waitpid(pid, &status, 0) != pid)
		status = -1;
	posix_spawn_file_actions_destroy(&quiet);
	for (size_t i = 0; argv[i] != NULL; i++)
		mem_free(argv[i]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
