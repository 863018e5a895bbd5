/* agent/monitor_io.c -- a buffer for each reader, and an eventfd that wakes the loop.
 *
 * The log's tap runs in whichever thread logs: it touches buffers and counters, under a lock, and
 * nothing else. Streams are asked, kicked and freed in the loop.
 */
#include "agent/monitor_io.h"

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"

#define SORRY_MAX 128 /* bytes of the line that says what is lost */

struct log_reader {
	struct http_stream stream; /* first */
	struct monitor *monitor;
	enum log_level least;
	bool json;
	struct buf lines; /* under the lock */
	uint64_t lost;    /* since the last line, under the lock */
	LIST_ENTRY(log_reader) link;
};

struct monitor {
	pthread_mutex_t lock;
	LIST_HEAD(, log_reader) readers;
	struct monitor_stats stats;
	int fd; /* an eventfd */
	struct event *event;
	void (*kick)(void *arg, struct http_stream *);
	void *arg;
};

static void
line_json(struct buf *out, const struct log_record *r)
{
	struct jw w;

	jw_init(&w, out, false);
	jw_object(&w);
	jw_kstr(&w, "@level", r->word);
	jw_kstr(&w, "@message", r->text);
	jw_kstr(&w, "@module", r->room);
	jw_kstr(&w, "@timestamp", r->stamp);
	jw_object_end(&w);
}

/* What is missing, where it is missing. */
static void
lost_told(struct log_reader *r, struct buf *out)
{
	char text[SORRY_MAX];
	struct str stamp = STR_NONE;
	struct log_record record = {
		.level = LOG_LEVEL_WARN, .word = STR("warn"), .room = STR("monitor"), .stamp = stamp
	};
	int n = snprintf(
	    text, sizeof text, "reader too slow, lines lost=%llu", (unsigned long long)r->lost);

	if (r->lost == 0)
		return;
	record.text = str_mem(text, (size_t)n);
	if (r->json)
		line_json(out, &record);
	else
		buf_addf(out, "warn  monitor: %s", text);
	buf_addc(out, '\n');
	r->lost = 0;
}

static void
reader_add(struct log_reader *r, const struct log_record *record)
{
	struct buf line;

	if (record->level < r->least)
		return;
	buf_init(&line, 8 * LOG_LINE_MAX);
	if (r->lost > 0 && r->lines.n + SORRY_MAX < r->lines.cap / 2)
		lost_told(r, &r->lines);
	if (r->json)
		line_json(&line, record);
	else
		buf_add(&line, record->line);
	buf_addc(&line, '\n');
	if (r->lost > 0 || line.full || line.n > r->lines.cap - r->lines.n - SORRY_MAX) {
		r->lost++;
		r->monitor->stats.lost++;
	} else {
		buf_add(&r->lines, buf_str(&line));
	}
	buf_done(&line);
}

/* In any thread. */
static void
monitor_tap(void *arg, const struct log_record *record)
{
	struct monitor *m = arg;
	uint64_t one = 1;
	struct log_reader *r;

	pthread_mutex_lock(&m->lock);
	LIST_FOREACH (r, &m->readers, link)
		reader_add(r, record);
	pthread_mutex_unlock(&m->lock);
	if (write(m->fd, &one, sizeof one) < 0)
		return; /* full: it is awake */
}

/* Streams may end while they are kicked: each is looked for anew. */
static void
monitor_woken(evutil_socket_t fd, short what, void *arg)
{
	struct monitor *m = arg;
	struct http_stream *ready[MONITOR_READERS_MAX];
	struct log_reader *r;
	size_t count = 0;
	uint64_t n;

	(void)what;
	if (read(fd, &n, sizeof n) < 0)
		return;
	pthread_mutex_lock(&m->lock);
	LIST_FOREACH (r, &m->readers, link)
		if (r->lines.n > 0)
			ready[count++] = &r->stream;
	pthread_mutex_unlock(&m->lock);
	for (size_t i = 0; i < count; i++) {
		LIST_FOREACH (r, &m->readers, link) /* only the loop changes the list */
			if (&r->stream == ready[i])
				break;
		if (r != NULL)
			m->kick(m->arg, ready[i]);
	}
}

static bool
reader_next(struct http_stream *stream, size_t want, struct buf *out)
{
	struct log_reader *r = (struct log_reader *)stream;

	(void)want; /* all that waits is little */
	pthread_mutex_lock(&r->monitor->lock);
	buf_add(out, buf_str(&r->lines));
	buf_clear(&r->lines);
	lost_told(r, out);
	pthread_mutex_unlock(&r->monitor->lock);
	return true;
}

/* The tap is set to the least that any reader wants. */
static void
monitor_tap_set(struct monitor *m)
{
	enum log_level least = LOG_LEVEL_ERROR;
	struct log_reader *r;

	LIST_FOREACH (r, &m->readers, link)
		least = r->least < least ? r->least : least;
	log_tap_set(least, LIST_EMPTY(&m->readers) ? NULL : monitor_tap, m);
}

static void
reader_free(struct http_stream *stream)
{
	struct log_reader *r = (struct log_reader *)stream;
	struct monitor *m = r->monitor;

	pthread_mutex_lock(&m->lock);
	LIST_REMOVE(r, link);
	m->stats.readers--;
	pthread_mutex_unlock(&m->lock);
	monitor_tap_set(m);
	buf_done(&r->lines);
	free(r);
}

int
monitor_open(
    struct monitor *m, enum log_level least, bool json, struct http_stream **out, struct err *err)
{
	struct log_reader *r;

	if (m->stats.readers == MONITOR_READERS_MAX)
		return err_set(
		    err, ERR_LIMIT, "More than %d readers of the log", MONITOR_READERS_MAX);
	r = mem_new(struct log_reader);
	r->stream = (struct http_stream){ .next = reader_next, .free = reader_free, .live = true };
	r->monitor = m;
	r->least = least;
	r->json = json;
	buf_init(&r->lines, MONITOR_BYTES_MAX);
	pthread_mutex_lock(&m->lock);
	LIST_INSERT_HEAD(&m->readers, r, link);
	m->stats.readers++;
	pthread_mutex_unlock(&m->lock);
	monitor_tap_set(m);
	*out = &r->stream;
	return 0;
}

struct monitor_stats
monitor_stats(struct monitor *m)
{
	struct monitor_stats stats;

	pthread_mutex_lock(&m->lock);
	stats = m->stats;
	pthread_mutex_unlock(&m->lock);
	return stats;
}

struct monitor *
monitor_new(struct event_base *base, void (*kick)(void *arg, struct http_stream *), void *arg)
{
	struct monitor *m = mem_new(struct monitor);

	pthread_mutex_init(&m->lock, NULL);
	LIST_INIT(&m->readers);
	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->kick = kick;
	m->arg = arg;
	m->event = event_new(base, m->fd, EV_READ | EV_PERSIST, monitor_woken, m);
	event_add(m->event, NULL);
	return m;
}

void
monitor_free(struct monitor *m)
{
	if (m == NULL)
		return;
	log_tap_set(LOG_LEVEL_ERROR, NULL, NULL);
	event_free(m->event);
	close(m->fd);
	pthread_mutex_destroy(&m->lock);
	free(m);
}
