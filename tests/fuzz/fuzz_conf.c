/* fuzz_conf.c - any bytes as mailshadow.xml. Oracle: a clean error that names the file, or a
 * configuration that prints and whose every pairing survives the way to a worker unchanged.
 */
#include "../../common/conf_p.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drop_line(void *ctx, const char *text)
{
	(void)ctx;
	if (strchr(text, '\n') != NULL)
		abort();
}

static void round_trip(const struct conf *conf, const struct conf_pairing *pairing)
{
	struct conf *got = NULL;
	struct err err = ERR_INIT;
	struct buf one, two;

	buf_init(&one, 1024 * 1024);
	buf_init(&two, 1024 * 1024);
	conf_pairing_encode(conf, pairing, &one);
	if (conf_pairing_decode(one.p, one.n, &got, &err) != E_OK) {
		fprintf(stderr, "%s\n%s\n", err.text, buf_str(&one));
		abort();
	}
	conf_pairing_encode(got, &got->pairings[0], &two);
	if (!span_eq(buf_span(&one), buf_span(&two)))
		abort();
	conf_free(&got);
	buf_free(&one);
	buf_free(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *conf = NULL;
	struct err err = ERR_INIT;
	char path[64];
	int fd = memfd_create("conf", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (conf_load(path, drop_line, NULL, &conf, &err) == E_OK) {
		conf_print(conf, drop_line, NULL);
		for (size_t i = 0; i < conf->n_pairings && i < 8; i++)
			round_trip(conf, &conf->pairings[i]);
		conf_free(&conf);
	} else if (err.code != E_CONF || strncmp(err.text, path, strlen(path)) != 0) {
		abort();
	}
	close(fd);
	return 0;
}
