/* base/log.c -- format, escape, one write(2) per line so that lines never mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum log_level log_least = LOG_LEVEL_INFO;

void
log_level_set(enum log_level level)
{
	log_least = level;
}

bool
log_level_shown(enum log_level level)
{
	return level >= log_least;
}

bool
log_level_parse(struct str s, enum log_level *out)
{
	static const struct {
		const char *name;
		enum log_level level;
	} names[] = {
		{ "trace", LOG_LEVEL_DEBUG },
		{ "debug", LOG_LEVEL_DEBUG },
		{ "info", LOG_LEVEL_INFO },
		{ "warn", LOG_LEVEL_WARN },
		{ "err", LOG_LEVEL_ERROR },
		{ "error", LOG_LEVEL_ERROR },
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (str_eq_nocase(s, str_of(names[i].name))) {
			*out = names[i].level;
			return true;
		}
	}
	return false;
}

static size_t
log_stamp(char *out, size_t room)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(out, room, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(out + n, room - n, ".%03ldZ ", ts.tv_nsec / 1000000);
	return n;
}

static void __attribute__((format(printf, 3, 0)))
log_line(const char *level, const char *room, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX], line[LOG_LINE_MAX + 64];
	size_t n = log_stamp(line, sizeof line);
	int m;

	m = snprintf(line + n, sizeof line - n, "%-5s %s: ", level, room);
	n += m > 0 ? (size_t)m : 0;
	vsnprintf(text, sizeof text, fmt, ap);
	for (const char *p = text; *p != '\0' && n < sizeof line - 6; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(line + n, 5, "\\x%02x", c);
		else
			line[n++] = *p;
	}
	line[n++] = '\n';
	while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR)
		;
}

#define LOG_BODY(level, word)                     \
	do {                                      \
		va_list ap;                       \
		if (!log_level_shown(level))      \
			return;                   \
		va_start(ap, fmt);                \
		log_line(word, room, fmt, ap);    \
		va_end(ap);                       \
	} while (0)

void
log_debug(const char *room, const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_DEBUG, "debug");
}

void
log_info(const char *room, const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_INFO, "info");
}

void
log_warn(const char *room, const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_WARN, "warn");
}

void
log_error(const char *room, const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_ERROR, "error");
}

void
log_at(enum log_level level, const char *room, const char *fmt, ...)
{
	static const char *const words[] = {
		[LOG_LEVEL_DEBUG] = "debug",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_WARN] = "warn",
		[LOG_LEVEL_ERROR] = "error",
	};

	LOG_BODY(level, words[level]);
}
