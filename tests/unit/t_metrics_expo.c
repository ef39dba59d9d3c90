/* t_metrics_expo.c - figures as text, byte by byte; documents that are none; addresses. */
#include "../../supervisor/metrics/expo.h"
#include "../../supervisor/metrics/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/un.h>

#include <cmocka.h>

static const char sample[] =
	"{\"version\":1,\"service\":{\"version\":\"0.1\",\"startedMs\":1700000000123},"
	"\"pairings\":{\"count\":2,\"status\":{\"Success\":1,\"Failure\":1},\"oldestSuccessAgeMs\":null},"
	"\"pool\":{\"queue\":1,\"latenessMs\":1007},\"passes\":{\"ok\":5},\"later\":{\"unknown\":1},"
	"\"duration\":{\"boundsMs\":[50,1000,2500],\"counts\":[1,2,0,4],\"count\":7,\"sumMs\":9001},"
	"\"work\":{\"created\":3,\"left\":{\"items\":1,\"bytes\":10},\"right\":{\"items\":2,\"bytes\":20}},"
	"\"workers\":{\"memory\":[{\"slot\":1,\"peakBytes\":4096}]}}";

static bool has(struct buf *b, const char *text)
{
	return strstr(buf_str(b), text) != NULL;
}

static void test_figures(void **ctx)
{
	struct err err = ERR_INIT;
	struct buf b;

	(void)ctx;
	buf_init(&b, 65536);
	assert_int_equal(expo_figures(&b, span_of(sample), &err), E_OK);
	assert_true(has(&b, "mailshadow_build_info{version=\"0.1\"} 1\n"));
	assert_true(has(&b, "# TYPE mailshadow_start_time_seconds gauge\nmailshadow_start_time_seconds 1700000000.123\n"));
	assert_true(has(&b, "mailshadow_queue_lateness_seconds 1.007\n"));
	assert_true(has(&b, "mailshadow_pairings_by_status{status=\"Failure\"} 1\n"));
	assert_true(has(&b, "mailshadow_passes_total{result=\"ok\"} 5\n"));
	assert_true(has(&b, "mailshadow_pass_duration_seconds_bucket{le=\"0.05\"} 1\n"
			    "mailshadow_pass_duration_seconds_bucket{le=\"1\"} 3\n"
			    "mailshadow_pass_duration_seconds_bucket{le=\"2.5\"} 3\n"
			    "mailshadow_pass_duration_seconds_bucket{le=\"+Inf\"} 7\n"
			    "mailshadow_pass_duration_seconds_sum 9.001\n"
			    "mailshadow_pass_duration_seconds_count 7\n"));
	assert_true(has(&b, "mailshadow_written_bytes_total{side=\"right\"} 20\n"));
	assert_true(has(&b, "mailshadow_worker_peak_memory_bytes{slot=\"1\"} 4096\n"));
	/* null is no figure; a key that this version does not know is none either */
	assert_false(has(&b, "oldest_success"));
	assert_false(has(&b, "unknown"));
	buf_free(&b);
}

static void test_no_document(void **ctx)
{
	static const char *const bad[] = {
		"", "null", "[]", "{}", "{\"version\":2}", "{\"version\":\"1\"}", "{\"version\":1", "{\"version\":1,\"version\":1}",
	};
	struct err err = ERR_INIT;
	struct buf b;

	(void)ctx;
	buf_init(&b, 65536);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(expo_figures(&b, span_of(bad[i]), &err), E_PROTOCOL);
		assert_int_equal(expo_pairings(&b, span_of(bad[i]), &err), E_PROTOCOL);
	}
	assert_int_equal(b.n, 0);
	buf_free(&b);
}

static void test_label_values_are_escaped(void **ctx)
{
	static const char odd[] = "{\"version\":1,\"pairings\":[{\"name\":\"a\\\"b\\\\c\\nd\",\"status\":\"Failure\",\"held\":4}]}";
	struct err err = ERR_INIT;
	struct buf b;

	(void)ctx;
	buf_init(&b, 65536);
	assert_int_equal(expo_pairings(&b, span_of(odd), &err), E_OK);
	assert_true(has(&b, "mailshadow_pairing_failing{pairing=\"a\\\"b\\\\c\\nd\"} 1\n"));
	assert_true(has(&b, "mailshadow_pairing_held_items{pairing=\"a\\\"b\\\\c\\nd\"} 4\n"));
	buf_free(&b);
}

static void test_down(void **ctx)
{
	struct buf b;

	(void)ctx;
	buf_init(&b, 65536);
	expo_up(&b, false);
	assert_string_equal(buf_str(&b), "# HELP mailshadow_up Whether the supervisor answered\n"
			    "# TYPE mailshadow_up gauge\nmailshadow_up 0\n");
	buf_free(&b);
}

/* --- addresses --- */

static enum code parse(const char *text, enum listen_scope scope, struct sockaddr_storage *a)
{
	struct err err = ERR_INIT;
	socklen_t n;

	return listen_parse(text, scope, a, &n, &err);
}

static void test_addresses(void **ctx)
{
	static const char *const loopback[] = { "127.0.0.1:9774", "127.255.0.9:1", "[::1]:65535", "unix:/run/x" };
	static const char *const remote[] = { "0.0.0.0:1", "128.0.0.1:1", "126.255.255.255:1", "10.0.0.1:9", "[::]:1",
					      "[fe80::1]:1", "[::ffff:127.0.0.1]:1", "[::2]:1" };
	static const char *const wrong[] = { "", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
					     "127.0.0.1:-1", "127.0.0.1: 1", "127.1:1", "localhost:1", "::1:1", "[::1]", "[::1:1",
					     "[]:1", "unix:", "unix:x", "[127.0.0.1]:1", "0x7f.0.0.1:1", "127.0.0.1:1x" };
	struct sockaddr_storage a;

	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(loopback); i++)
		assert_int_equal(parse(loopback[i], LISTEN_LOOPBACK, &a), E_OK);
	for (size_t i = 0; i < ARRAY_LEN(remote); i++) {
		assert_int_equal(parse(remote[i], LISTEN_LOOPBACK, &a), E_USAGE);
		assert_int_equal(parse(remote[i], LISTEN_ANYWHERE, &a), E_OK);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(parse(wrong[i], LISTEN_LOOPBACK, &a), E_USAGE);
		assert_int_equal(parse(wrong[i], LISTEN_ANYWHERE, &a), E_USAGE);
	}
	assert_int_equal(parse("127.0.0.1:9774", LISTEN_LOOPBACK, &a), E_OK);
	assert_int_equal(ntohs(((struct sockaddr_in *)&a)->sin_port), 9774);
}

static void test_long_paths(void **ctx)
{
	char path[200] = "unix:/";
	struct sockaddr_storage a;

	(void)ctx;
	memset(path + 6, 'p', 106);
	assert_int_equal(parse(path, LISTEN_LOOPBACK, &a), E_OK);          /* 107 bytes */
	assert_int_equal(strlen(((struct sockaddr_un *)&a)->sun_path), 107);
	path[6 + 106] = 'p';
	assert_int_equal(parse(path, LISTEN_LOOPBACK, &a), E_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_figures), cmocka_unit_test(test_no_document),
		cmocka_unit_test(test_label_values_are_escaped), cmocka_unit_test(test_down),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_long_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
