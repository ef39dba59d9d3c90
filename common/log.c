/* log.c - formatting, escaping and rate-limiting of log records. */
#include "log.h"

#include "clock.h"
#include "mem.h"
#include "span.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define BASE_MAX 6

static struct {
	int fd, copy_fd;
	enum log_level level;
	unsigned rate, in_second, held;
	int64_t second;
	struct { char *key, *value; } base[BASE_MAX];
} sink = { .fd = STDERR_FILENO, .copy_fd = -1, .level = LOG_L_INFO, .rate = 10 };

static const char *const level_names[] = { "error", "warning", "info", "debug" };

void log_to_fd(int fd)
{
	sink.fd = fd;
}

void log_copy_to_fd(int fd)
{
	sink.copy_fd = fd;
}

void log_set_level(enum log_level level)
{
	sink.level = level;
}

bool log_level_from_name(const char *name, enum log_level *level_r)
{
	for (unsigned i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcmp(level_names[i], name) == 0) {
			*level_r = (enum log_level)i;
			return true;
		}
	}
	return false;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

void log_set_rate(unsigned lines_per_second)
{
	sink.rate = lines_per_second;
}

void log_set_base(const char *key, const char *value)
{
	unsigned i = 0;

	while (i < BASE_MAX && sink.base[i].key != NULL && strcmp(sink.base[i].key, key) != 0)
		i++;
	if (i == BASE_MAX)
		return;
	mem_free(sink.base[i].value);
	if (value != NULL) {
		if (sink.base[i].key == NULL)
			sink.base[i].key = mem_strdup(key);
		sink.base[i].value = mem_strdup(value);
	} else {
		sink.base[i].value = NULL;
	}
}

const char *log_escape(const char *p, size_t n, char *out, size_t size)
{
	const unsigned char *b = (const unsigned char *)p;
	size_t at = 0;

	for (size_t i = 0; i < n && at + 5 < size;) {
		size_t len = span_utf8(span_bytes(p, n), i, NULL);
		bool control = b[i] < 0x20 || b[i] == 0x7f || (b[i] == 0xc2 && len == 2 && b[i + 1] < 0xa0);

		if (control)
			len = 0;
		if (len == 0) {
			at += (size_t)snprintf(out + at, size - at, "\\x%02x", b[i]);
			i++;
		} else if (len == 1 && (b[i] == '"' || b[i] == '\\')) {
			out[at++] = '\\';
			out[at++] = (char)b[i++];
		} else {
			memcpy(out + at, b + i, len);
			at += len;
			i += len;
		}
	}
	out[at] = '\0';
	return out;
}

static void write_line(int fd, const char *line, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, line, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return;   /* a full disk must not stop the work */
		line += put;
		n -= (size_t)put;
	}
}

static void record_named(const char *level, const char *text)
{
	char line[2048], escaped[1536], when[CLOCK_TEXT_MAX];
	size_t at = (size_t)snprintf(line, sizeof(line), "%s level=%s",
				     clock_format_ms(clock_wall_ms(), when), level);

	for (unsigned i = 0; i < BASE_MAX && sink.base[i].key != NULL; i++) {
		if (sink.base[i].value == NULL || at > 400)
			continue;
		log_escape(sink.base[i].value, strlen(sink.base[i].value), escaped, 100);
		bool quote = strpbrk(escaped, " =\"") != NULL;
		at += (size_t)snprintf(line + at, sizeof(line) - at, quote ? " %s=\"%s\"" : " %s=%s",
				       sink.base[i].key, escaped);
	}
	log_escape(text, strlen(text), escaped, sizeof(escaped));
	at += (size_t)snprintf(line + at, sizeof(line) - at, " msg=\"%s\"\n", escaped);
	if (at >= sizeof(line)) {
		at = sizeof(line) - 1;
		line[at - 1] = '\n';
	}
	write_line(sink.fd, line, at);
	if (sink.copy_fd >= 0)
		write_line(sink.copy_fd, line, at);
}

static void record(enum log_level level, const char *text)
{
	record_named(level_names[level], text);
}

void log_trace(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	record_named("trace", text);
}

static bool over_rate(enum log_level level)
{
	int64_t now = clock_mono_ms() / 1000;

	if (now != sink.second) {
		unsigned held = sink.held;

		sink.second = now;
		sink.in_second = 0;
		sink.held = 0;
		if (held > 0) {
			char text[64];

			snprintf(text, sizeof(text), "%u lines were held back", held);
			record(LOG_L_WARNING, text);
		}
	}
	if (level == LOG_L_ERROR || sink.rate == 0 || ++sink.in_second <= sink.rate)
		return false;
	sink.held++;
	return true;
}

static void log_v(enum log_level level, const char *fmt, va_list ap)
{
	char text[1024];

	if (level > sink.level || over_rate(level))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	record(level, text);
}

#define DEFINE(name, level) \
void log_##name(const char *fmt, ...) \
{ \
	va_list ap; \
\
	va_start(ap, fmt); \
	log_v(level, fmt, ap); \
	va_end(ap); \
}
DEFINE(error, LOG_L_ERROR)
DEFINE(warning, LOG_L_WARNING)
DEFINE(info, LOG_L_INFO)
DEFINE(debug, LOG_L_DEBUG)
