/* dns/recurse_io.c -- in order: questions under way, askers, the outside.
 *
 * c-ares may answer from within ares_send(), and its channel may not be freed in a callback, so
 * an answer is kept and given to its askers from an event of its own.
 */
#include "dns/recurse_io.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>

#include "base/ares_io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "dns/dns_batch_io.h"

TAILQ_HEAD(asks, recurse_ask);

struct recurse_ask {
	TAILQ_ENTRY(recurse_ask) link;
	struct recurse *r;
	struct flight *on;
	struct dns_query q; /* into packet */
	uint8_t *packet;    /* owned */
	size_t n;
	bool tcp;
	struct dns_wanted wanted; /* now */
	struct chased *chased;    /* owned: what is known */
	size_t chased_count;
	recurse_done *done;
	void *arg;
};

/* One question under way. */
struct flight {
	TAILQ_ENTRY(flight) link;
	struct recurse *r;
	struct ares_io *ares; /* owned */
	struct asks asks;     /* who waits for it, owned */
	uint8_t query[FORWARD_QUERY_MAX];
	size_t n;
	bool over;       /* c-ares is done with it */
	uint8_t *answer; /* owned; NULL: there is none */
	size_t answer_n;
};

struct recurse {
	struct event_base *base;
	struct dns_responder *responder;
	struct recurse_config config;
	TAILQ_HEAD(flights, flight) flights;
	size_t flight_count, ask_count;
	struct event *deliver; /* owned: some are over */
	struct recurse_stats stats;
	struct dns_stats answers;
	uint8_t *room; /* owned: for one answer; NULL until the first */
	bool loop_told;
};

/* ---- questions under way ---- */

static void
flight_free(struct flight *f)
{
	TAILQ_REMOVE(&f->r->flights, f, link);
	f->r->flight_count--;
	ares_io_free(f->ares);
	free(f->answer);
	free(f);
}

static void
on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int n)
{
	struct flight *f = arg;

	(void)timeouts;
	if (f->over || status == ARES_EDESTRUCTION)
		return;
	f->over = true;
	if (status == ARES_SUCCESS && n > 0) {
		struct str answer = str_mem(bytes, (size_t)n);

		if (forward_matches(str_mem(f->query, f->n), answer)) {
			f->answer = (uint8_t *)str_dup(answer);
			f->answer_n = answer.n;
		} else {
			f->r->stats.foreign++;
		}
	}
	f->r->stats.failed += f->answer == NULL;
	event_active(f->r->deliver, EV_TIMEOUT, 0);
}

/* The order for one question. */
static void
servers_set(const struct recurse *r, struct ares_addr_port_node nodes[RECURSORS_MAX])
{
	size_t order[RECURSORS_MAX];

	for (size_t i = 0; i < r->config.count; i++) {
		uint8_t random;
		size_t at = i;

		os_random(&random, sizeof random);
		if (r->config.random)
			at = random % (i + 1); /* a shuffle, inside out; a little bias is no harm */
		order[i] = order[at];
		order[at] = i;
	}
	for (size_t i = 0; i < r->config.count; i++) {
		const struct addr *to = &r->config.recursors[order[i]];

		nodes[i] = (struct ares_addr_port_node){ .udp_port = to->port,
			.tcp_port = to->port,
			.family = to->family == ADDR_V6 ? AF_INET6 : AF_INET };
		memcpy(&nodes[i].addr, to->bytes, to->family == ADDR_V6 ? 16 : 4);
		nodes[i].next = i + 1 < r->config.count ? &nodes[i + 1] : NULL;
	}
}

/* Everything is said, so that it reads no file. */
static struct ares_io *
channel_new(const struct recurse *r)
{
	static char lookups[] = "b";
	struct ares_addr_port_node servers[RECURSORS_MAX];
	struct ares_options options = {
		.timeout = (int)(r->config.timeout / NSEC_MS),
		.tries = 1,
		.ndots = 1,
		.lookups = lookups,
	};
	struct ares_io *ares = ares_io_new(r->base, &options,
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_LOOKUPS |
		ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST);

	if (ares == NULL)
		return NULL;
	servers_set(r, servers);
	if (ares_set_servers_ports(ares_io_channel(ares), servers) == ARES_SUCCESS)
		return ares;
	ares_io_free(ares);
	return NULL;
}

static struct flight *
flight_new(struct recurse *r, const uint8_t *query, size_t n)
{
	struct flight *f = mem_new(struct flight);

	f->r = r;
	memcpy(f->query, query, n);
	f->n = n;
	TAILQ_INIT(&f->asks);
	TAILQ_INSERT_TAIL(&r->flights, f, link);
	r->flight_count++;
	r->stats.asked++;
	f->ares = channel_new(r);
	if (f->ares == NULL) {
		on_answer(f, ARES_ENOMEM, 0, NULL, 0);
		return f;
	}
	ares_send(ares_io_channel(f->ares), f->query, (int)n, on_answer, f);
	ares_io_arm(f->ares);
	return f;
}

/* The same but for its id. */
static struct flight *
flight_find(struct recurse *r, const uint8_t *query, size_t n)
{
	struct flight *f;

	TAILQ_FOREACH (f, &r->flights, link)
		if (!f->over && f->n == n && memcmp(f->query + 2, query + 2, n - 2) == 0)
			return f;
	return NULL;
}

/* ---- askers ---- */

static void
ask_free(struct recurse_ask *ask)
{
	if (ask->on != NULL)
		TAILQ_REMOVE(&ask->on->asks, ask, link);
	ask->r->ask_count--;
	free(ask->packet);
	free(ask->chased);
	free(ask);
}

static void
loop_tell(struct recurse *r)
{
	r->stats.loops++;
	if (!r->loop_told)
		log_warn("dns", "a recursor asks us what we ask it: recursors lead in a circle");
	r->loop_told = true;
}

/* Asks for what is wanted now, or joins those who wait for it. False: it cannot be asked. */
static bool
ask_put(struct recurse_ask *ask)
{
	struct recurse *r = ask->r;
	const struct dns_wanted *w = &ask->wanted;
	uint8_t query[FORWARD_QUERY_MAX];
	struct flight *f;
	uint16_t id;
	size_t n;

	os_random(&id, sizeof id);
	n = w->whole ? forward_query(&ask->q, id, query)
		     : forward_question(&w->name, w->type, id, query);
	if (n == 0)
		return false;
	f = flight_find(r, query, n);
	if (f != NULL && w->whole && memcmp(f->query, ask->packet, 2) == 0) {
		loop_tell(r);
		return false;
	}
	if (f == NULL && r->flight_count >= RECURSE_FLIGHT_MAX) {
		r->stats.refused++;
		return false;
	}
	if (f == NULL)
		f = flight_new(r, query, n);
	ask->on = f;
	TAILQ_INSERT_TAIL(&f->asks, ask, link);
	return true;
}

/* What is known of the name that was wanted; nothing when there was no answer. */
static void
ask_learn(struct recurse_ask *ask, const struct flight *f)
{
	struct chased *c;

	if (ask->chased == NULL)
		ask->chased = mem_zalloc(RECURSE_NAMES_MAX * sizeof *ask->chased);
	c = &ask->chased[ask->chased_count++];
	c->asked = ask->wanted.name;
	c->type = ask->wanted.type;
	if (f->answer != NULL)
		chased_read(c, str_mem(f->answer, f->answer_n));
}

static size_t
ask_failed(struct recurse_ask *ask, void *room, size_t cap)
{
	dns_stats_count(&ask->r->answers, ask->q.type, DNS_SERVFAIL, false);
	ask->r->answers.queries++;
	return forward_failed(&ask->q, room, cap);
}

/* A whole answer, as it came. */
static size_t
ask_forwarded(struct recurse_ask *ask, const struct flight *f, uint8_t *room, size_t cap)
{
	size_t n = 0;

	if (f->answer != NULL)
		n = forward_answer(&ask->q, str_mem(f->answer, f->answer_n), ask->tcp, room, cap);
	if (n == 0)
		return ask_failed(ask, room, cap);
	ask->r->answers.queries++;
	dns_stats_count(
	    &ask->r->answers, ask->q.type, room[3] & 0xf, (room[2] & DNS_FLAG_TC >> 8) != 0);
	return n;
}

/* An answer of ours, with what is known of names elsewhere; 0 with *waits: it wants one more. */
static size_t
ask_again(struct recurse_ask *ask, void *room, size_t cap, bool *waits)
{
	struct recurse *r = ask->r;
	struct str packet = str_mem(ask->packet, ask->n);
	bool more = ask->chased_count < RECURSE_NAMES_MAX;
	struct now now = batch_now();
	size_t n = dns_answer_chased(
	    r->responder, now, packet, ask->tcp, room, cap, ask->chased, ask->chased_count, more);

	*waits = n == 0 && dns_responder_wanted(r->responder, &ask->wanted) && ask_put(ask);
	if (n == 0 && !*waits)
		n = dns_answer_chased(r->responder, now, packet, ask->tcp, room, cap, ask->chased,
		    ask->chased_count, false);
	return n;
}

static void
ask_deliver(struct recurse_ask *ask, const struct flight *f)
{
	struct recurse *r = ask->r;
	size_t cap = ask->tcp ? DNS_MESSAGE_MAX : BATCH_REPLY_MAX, n;
	recurse_done *done = ask->done;
	void *arg = ask->arg;
	bool waits = false;

	if (r->room == NULL)
		r->room = mem_alloc(DNS_MESSAGE_MAX);
	TAILQ_REMOVE(&ask->on->asks, ask, link);
	ask->on = NULL;
	if (ask->wanted.whole) {
		n = ask_forwarded(ask, f, r->room, cap);
	} else {
		ask_learn(ask, f);
		n = ask_again(ask, r->room, cap, &waits);
	}
	if (waits)
		return;
	ask_free(ask);
	done(arg, str_mem(r->room, n));
}

static void
on_deliver(evutil_socket_t fd, short what, void *arg)
{
	struct recurse *r = arg;
	struct flight *f, *next;

	(void)fd;
	(void)what;
	for (f = TAILQ_FIRST(&r->flights); f != NULL; f = next) {
		if (f->over)
			while (!TAILQ_EMPTY(&f->asks))
				ask_deliver(TAILQ_FIRST(&f->asks), f);
		next = TAILQ_NEXT(f, link); /* those that were added meanwhile come at the end */
		if (f->over && TAILQ_EMPTY(&f->asks))
			flight_free(f);
	}
}

/* ---- the outside ---- */

struct recurse *
recurse_new(struct event_base *base, struct dns_responder *responder)
{
	struct recurse *r = mem_new(struct recurse);

	r->base = base;
	r->responder = responder;
	TAILQ_INIT(&r->flights);
	r->deliver = evtimer_new(base, on_deliver, r);
	return r;
}

void
recurse_free(struct recurse *r)
{
	if (r == NULL)
		return;
	while (!TAILQ_EMPTY(&r->flights)) {
		struct flight *f = TAILQ_FIRST(&r->flights);

		while (!TAILQ_EMPTY(&f->asks))
			ask_free(TAILQ_FIRST(&f->asks));
		flight_free(f);
	}
	event_free(r->deliver);
	free(r->room);
	free(r);
}

void
recurse_configure(struct recurse *r, const struct recurse_config *config)
{
	r->config = *config;
}

bool
recurse_wanted(const struct recurse *r)
{
	struct dns_wanted wanted;

	return r->config.count > 0 && dns_responder_wanted(r->responder, &wanted);
}

size_t
recurse_ask(struct recurse *r, struct str packet, bool tcp, void *room, size_t cap,
    recurse_done *done, void *arg, struct recurse_ask **out)
{
	struct recurse_ask *ask = mem_new(struct recurse_ask);
	bool waits = false;
	size_t n;

	ask->r = r;
	ask->packet = (uint8_t *)str_dup(packet);
	ask->n = packet.n;
	ask->tcp = tcp;
	ask->done = done;
	ask->arg = arg;
	(void)dns_responder_wanted(r->responder, &ask->wanted);
	(void)dns_query_read(str_mem(ask->packet, ask->n), &ask->q);
	if (r->ask_count++ < RECURSE_ASKS_MAX)
		waits = ask_put(ask);
	else
		r->stats.refused++;
	if (waits) {
		*out = ask;
		return 0;
	}
	n = ask->wanted.whole ? ask_failed(ask, room, cap)
			      : dns_answer_chased(r->responder, batch_now(), packet, tcp, room, cap,
				    NULL, 0, false);
	ask_free(ask);
	return n;
}

void
recurse_cancel(struct recurse_ask *ask)
{
	if (ask != NULL)
		ask_free(ask);
}

void
recurse_count(const struct recurse *r, struct dns_stats *stats)
{
	dns_stats_add(stats, &r->answers);
}

struct recurse_stats
recurse_stats(const struct recurse *r)
{
	struct recurse_stats stats = r->stats;

	stats.under_way = r->flight_count;
	return stats;
}
