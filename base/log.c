/* base/log.c -- format, escape, one write(2) per line so that lines never mix. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static atomic_int log_least = LOG_LEVEL_INFO;

#define TAP_NONE (LOG_LEVEL_ERROR + 1)
static atomic_int log_tap_least = TAP_NONE;
static pthread_mutex_t log_tap_lock = PTHREAD_MUTEX_INITIALIZER;
static log_tap *log_tap_call;
static void *log_tap_arg;

void
log_tap_set(enum log_level least, log_tap *call, void *arg)
{
	pthread_mutex_lock(&log_tap_lock);
	log_tap_call = call;
	log_tap_arg = arg;
	atomic_store(&log_tap_least, call == NULL ? TAP_NONE : (int)least);
	pthread_mutex_unlock(&log_tap_lock);
}

void
log_level_set(enum log_level level)
{
	atomic_store(&log_least, (int)level);
}

bool
log_level_shown(enum log_level level)
{
	return (int)level >= atomic_load(&log_least) || (int)level >= atomic_load(&log_tap_least);
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

static void
log_show(enum log_level level, struct str line)
{
	if ((int)level < atomic_load(&log_least))
		return;
	while (write(STDERR_FILENO, line.p, line.n) < 0 && errno == EINTR)
		;
}

static void
log_tell(const struct log_record *r)
{
	if ((int)r->level < atomic_load(&log_tap_least))
		return;
	pthread_mutex_lock(&log_tap_lock);
	if (log_tap_call != NULL)
		log_tap_call(log_tap_arg, r);
	pthread_mutex_unlock(&log_tap_lock);
}

static void __attribute__((format(printf, 4, 0)))
log_line(enum log_level level, const char *word, const char *room, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX], line[LOG_LINE_MAX + 64];
	size_t n = log_stamp(line, sizeof line), begin;
	struct log_record r = { .level = level, .word = str_of(word), .room = str_of(room) };
	int m;

	r.stamp = str_mem(line, n - 1);
	m = snprintf(line + n, sizeof line - n, "%-5s %s: ", word, room);
	n += m > 0 ? (size_t)m : 0;
	begin = n;
	vsnprintf(text, sizeof text, fmt, ap);
	for (const char *p = text; *p != '\0' && n < sizeof line - 6; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(line + n, 5, "\\x%02x", c);
		else
			line[n++] = *p;
	}
	r.text = str_mem(line + begin, n - begin);
	r.line = str_mem(line, n);
	log_tell(&r);
	line[n++] = '\n';
	log_show(level, str_mem(line, n));
}

#define LOG_BODY(level, word)                     \
	do {                                      \
		va_list ap;                       \
		if (!log_level_shown(level))      \
			return;                   \
		va_start(ap, fmt);                \
		log_line(level, word, room, fmt, ap); \
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
