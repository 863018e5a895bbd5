/* agent/server/server_snap_io.c -- snapshots on a connection: announced, then their data piece by piece.
 */
#include "agent/server/server_net_priv.h"

#include "base/log.h"

#define NEXT_RETRY_MS 50 /* when no thread could be had */

/* ---- out ---- */

void
snap_next(struct net_peer *p)
{
	const struct timeval after = { .tv_usec = NEXT_RETRY_MS * 1000 };

	p->snap.ready = false;
	p->snap.retry = !raft_disk_source_next(p->snap.source);
	if (p->snap.retry)
		evtimer_add(p->retry, &after);
}

void
snap_out_done(struct net_peer *p)
{
	raft_disk_source_free(p->snap.source);
	p->snap.source = NULL;
	buf_clear(&p->snap.announce);
	p->snap.announced = 0;
	p->snap.ready = p->snap.retry = p->snap.last = false;
	p->snap.piece = STR_NONE;
}

static struct str
record_of(struct str left, bool *whole)
{
	*whole = left.n <= SERVER_STREAM_RECORD_MAX;
	return *whole ? left : str_head(left, SERVER_STREAM_RECORD_MAX);
}

static int
announce_send(struct net_conn *c, struct net_snap_out *s, struct err *err)
{
	bool end;
	struct str piece = record_of(str_skip(buf_str(&s->announce), s->announced), &end);
	int rc = server_stream_send(c->stream, SERVER_STREAM_SNAPSHOT, piece, end, err);

	if (rc < 0)
		return rc;
	s->announced += piece.n;
	if (end) {
		buf_clear(&s->announce);
		s->announced = 0;
		snap_next(c->peer);
	}
	return 1;
}

int
snap_send(struct net_conn *c, struct err *err)
{
	struct net_snap_out *s = &c->peer->snap;
	struct str piece;
	bool end;
	int rc;

	if (s->source == NULL)
		return 0;
	if (s->announce.n > 0)
		return announce_send(c, s, err);
	if (!s->ready)
		return 0;
	piece = record_of(s->piece, &end);
	rc = server_stream_send(c->stream, SERVER_STREAM_DATA, piece, end && s->last, err);
	if (rc < 0)
		return rc;
	s->piece = str_skip(s->piece, piece.n);
	if (end && s->last)
		snap_out_done(c->peer);
	else if (end)
		snap_next(c->peer);
	return 1;
}

/* ---- in ---- */

void
snap_in_done(struct net_conn *c)
{
	raft_disk_sink_free(c->sink);
	c->sink = NULL;
	c->sink_ended = c->announced = false;
	buf_clear(&c->announce);
}

static void
snap_deliver(struct net_conn *c)
{
	const struct server_net_config *config = &c->net->config;

	config->snapshot(config->arg, &c->peer->id, buf_str(&c->announce), c->sink);
	snap_in_done(c);
}

static void
on_sink(void *arg, const struct err *err)
{
	struct net_conn *c = arg;

	if (err != NULL) {
		log_error("raft", "a snapshot that comes in is given up: %s", err->text);
		snap_in_done(c);
	} else if (c->sink_ended && raft_disk_sink_whole(c->sink) && !c->dead) {
		snap_deliver(c);
	} else if (raft_disk_sink_full(c->sink)) {
		return;
	}
	conn_resume(c);
}

static bool
snap_announced(struct net_conn *c, const struct server_stream_said *said, struct err *err)
{
	struct err why = { 0 };

	if (c->announced)
		snap_in_done(c);
	buf_add(&c->announce, said->bytes);
	if (c->announce.full) {
		err_set(err, ERR_LIMIT, "a snapshot's announcement that is too long");
		return false;
	}
	if (!said->end)
		return true;
	c->announced = true;
	c->sink = raft_disk_sink_new(c->net->config.disk, on_sink, c, &why);
	if (c->sink == NULL)
		log_error("raft", "a snapshot cannot be taken in: %s", why.text);
	return true;
}

/* Without a sink it was given up here: the rest is read and forgotten. */
static void
snap_data(struct net_conn *c, const struct server_stream_said *said)
{
	struct err err = { 0 };

	if (c->sink == NULL)
		return;
	if (raft_disk_sink_add(c->sink, said->bytes, &err) < 0) {
		log_error("raft", "a snapshot that comes in is given up: %s", err.text);
		snap_in_done(c);
		return;
	}
	if (said->end) {
		c->sink_ended = true;
		raft_disk_sink_end(c->sink);
		if (raft_disk_sink_whole(c->sink))
			snap_deliver(c);
	} else if (raft_disk_sink_full(c->sink)) {
		c->paused = true;
		bufferevent_disable(c->bev, EV_READ);
	}
}

bool
snap_record(struct net_conn *c, const struct server_stream_said *said, struct err *err)
{
	if (c->net->config.disk == NULL) {
		err_set(err, ERR_INPUT, "a snapshot, for one who keeps none");
		return false;
	}
	if (said->type == SERVER_STREAM_SNAPSHOT)
		return snap_announced(c, said, err);
	if (said->type == SERVER_STREAM_DATA)
		snap_data(c, said);
	else
		snap_in_done(c);
	return true;
}
