/* kv/spread_restart.c -- an agent stops and will be back (RULES 17).
 *
 * It says so to every peer at once, in one datagram each, and is gone: nobody will say it again
 * when one is lost, or went to who was not known yet. So whoever hears it passes it on to a few,
 * once. What is of an earlier life than the one we know of is old.
 */
#include "kv/spread_priv.h"

static void
restart_write(struct spread *s, struct writer *w, const struct spread_restart *r)
{
	*w = spread_begin(s, SPREAD_M_RESTARTING);
	spread_id_write(w, &r->who);
	wr_varint(w, r->epoch);
	wr_varint(w, r->ms);
}

/* True the first time. */
static bool
restart_is_new(struct spread *s, const struct spread_restart *r)
{
	for (size_t i = 0; i < SPREAD_RESTARTS_KEPT; i++) {
		const struct spread_restart *k = &s->restarts[i];

		if (k->epoch == r->epoch && k->ms == r->ms && uuid_eq(&k->who, &r->who))
			return false;
	}
	s->restarts[s->restart_next] = *r;
	s->restart_next = (s->restart_next + 1) % SPREAD_RESTARTS_KEPT;
	return true;
}

void
spread_restarting(struct spread *s, struct now now, nsec span)
{
	struct spread_restart r = { .who = s->config.self,
		.epoch = spread_held(s, &s->config.self).epoch.counter,
		.ms = (uint64_t)(span / NSEC_MS) };
	struct writer w;

	(void)now;
	spread_step_begin(s);
	restart_write(s, &w, &r);
	for (size_t i = 0; i < s->peer_count; i++)
		spread_send(s, &s->peers[i].id, wr_done(&w));
}

static void
restart_pass_on(struct spread *s, const struct spread_restart *r)
{
	struct writer w;

	restart_write(s, &w, r);
	for (unsigned i = 0; i < SPREAD_RESTARTS_PASSED; i++) {
		const struct spread_peer *p = spread_peer_random(s, &r->who);

		if (p != NULL)
			spread_send(s, &p->id, wr_done(&w));
	}
}

bool
spread_restarting_take(struct spread *s, struct now now, const struct uuid *sender,
    struct reader *r, struct str message)
{
	struct spread_restart restart;
	struct spread_action *a;

	(void)now;
	(void)message;
	restart.who = spread_id_read(r);
	restart.epoch = rd_varint(r);
	restart.ms = rd_varint(r);
	if (!rd_ok(r))
		return false;
	if (uuid_eq(&restart.who, &s->config.self) ||
	    spread_held(s, &restart.who).epoch.counter > restart.epoch ||
	    !restart_is_new(s, &restart))
		return true;
	a = spread_emit(s, SPREAD_RESTARTS, &restart.who, STR_NONE);
	if (a != NULL)
		a->span = restart.ms < (uint64_t)(SPREAD_RESTART_MAX / NSEC_MS)
			      ? (nsec)restart.ms * NSEC_MS
			      : SPREAD_RESTART_MAX;
	if (uuid_eq(sender, &restart.who))
		restart_pass_on(s, &restart);
	return true;
}
