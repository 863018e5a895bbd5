/* base/log.h -- one line for one fact, for a person to read.
 *
 *     2026-11-21T09:14:03.512Z info  gossip: member down name=web-3 after_ms=5210
 *
 * Time (UTC), level, room, subject, then values as key=value. Lines go to stderr; control
 * characters that come in through values are shown as \xNN so that input cannot forge a line.
 * `error`: someone must act. `warn`: degraded, and what we do instead. `info`: a change worth
 * telling. `debug`: traces of the cores. The level is one of the few globals of the program.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/str.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

#define LOG_LINE_MAX 2048 /* longer lines are cut */

void log_level_set(enum log_level);
bool log_level_shown(enum log_level);

/* "debug", "info", "warn", "err" or "error"; "trace" counts as debug; any case. */
bool log_level_parse(struct str, enum log_level *out);

/* Shows every line from a level on to one more reader, which must not log. Called in whichever thread
 * logs, one call at a time; NULL: to nobody. */
struct log_record {
	enum log_level level;
	struct str line;                    /* whole, without the line end */
	struct str stamp, word, room, text; /* its parts */
};
typedef void log_tap(void *arg, const struct log_record *);
void log_tap_set(enum log_level least, log_tap *, void *arg);

void log_debug(const char *room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const char *room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_error(const char *room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The level is data: what a core wants told. */
void log_at(enum log_level, const char *room, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
