/* agent/monitor_io.h -- the log, shown to clients while it is written.
 *
 * Each reader has a buffer of its own. Who reads too slowly loses lines, and is told how many
 * where they would have stood; nobody else waits for it. Lines may come from any thread.
 */
#ifndef AGENT_MONITOR_IO_H
#define AGENT_MONITOR_IO_H

#include <event2/event.h>

#include "agent/http/http.h"
#include "base/log.h"

#define MONITOR_READERS_MAX 16
#define MONITOR_BYTES_MAX (256 * 1024) /* that wait for one reader */

struct monitor;

/* `kick` is called in the loop when a stream has something: http_server_stream_kick(). One monitor
 * at a time: the log is the process's. */
struct monitor *monitor_new(
    struct event_base *, void (*kick)(void *arg, struct http_stream *), void *arg);
void monitor_free(struct monitor *); /* after its streams; NULL is fine */

/* Lines from that level on, as they stand in the log, or one JSON object each. ERR_LIMIT: there are
 * too many readers. */
int monitor_open(
    struct monitor *, enum log_level, bool json, struct http_stream **out, struct err *);

struct monitor_stats {
	uint64_t lost; /* lines, of all readers */
	size_t readers;
};
struct monitor_stats monitor_stats(struct monitor *);

#endif
