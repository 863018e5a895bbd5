/* agent/http/server_park.c -- requests that wait: on the store, or for an answer that was put off.
 *
 * One block of memory for each, whoever the request belongs to; nothing of the reply is kept but
 * what it reads, or its ticket.
 */
#include "agent/http/server_private.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static int
ticket_cmp(const struct parked *a, const struct parked *b)
{
	return a->ticket < b->ticket ? -1 : a->ticket > b->ticket;
}

RB_GENERATE_INTERNAL(ticket_tree, parked, ticket_link, ticket_cmp, static __attribute__((unused)))

static bool
asks_cluster(const struct parked *p)
{
	return (p->ticket & HTTP_TICKET_CLUSTER) != 0;
}

static struct parked *
parked_new(struct http_server *s)
{
	struct parked *p = spare_take(&s->spare_parked);

	*p = (struct parked){ .client = NULL };
	return p;
}

void
server_park(struct http_server *s, struct parked **place, const struct http_reply *rp, nsec until)
{
	if (*place == NULL) {
		*place = parked_new(s);
		(*place)->until = until;
		(*place)->keep = rp->keep;
		(*place)->seen = answer_hash(rp);
		s->stats.parked++;
	}
	watch_wait(store_watches(s->api->store), &(*place)->waiter, rp->reads, rp->read_count);
}

uint64_t
answer_hash(const struct http_reply *rp)
{
	uint64_t hash = rp->shared != NULL ? rp->body_hash : XXH3_64bits(rp->body->p, rp->body->n);

	return hash ^ (uint64_t)rp->status;
}

/* Readers of keys wait for writes, also of what they do not show (as Consul's do: ?keys wakes with
 * a new value); an index without order stands for the answer itself. */
bool
server_nothing_new(const struct parked *p, const struct http_reply *rp, uint64_t hash)
{
	return p != NULL && p->ticket == 0 && p->seen == hash && rp->indexed && !rp->index_keys &&
	       !rp->index_exact && rp->read_count > 0 && rp->later == 0 && rp->stream == NULL &&
	       rp->status < 500;
}

bool
server_may_hold(const struct http_server *s, const struct http_reply *rp)
{
	/* the cluster has a limit of its own for what it is asked */
	return (rp->later & HTTP_TICKET_CLUSTER) != 0 || s->stats.held < HTTP_LATER_HELD_MAX;
}

void
server_hold(
    struct http_server *s, struct parked **place, const struct http_reply *rp, struct now now)
{
	struct parked *p = parked_new(s), *other;

	p->until = rp->later_until != 0 ? rp->later_until : now.mono + s->config.later_max;
	p->ticket = rp->later;
	p->keep = rp->keep;
	other = RB_INSERT(ticket_tree, &s->tickets, p);
	assert(other == NULL); /* each is given out once */
	if (asks_cluster(p))
		s->stats.asked++;
	else
		s->stats.held++;
	*place = p;
}

struct parked *
server_ticket_find(struct http_server *s, uint64_t ticket)
{
	struct parked key = { .ticket = ticket };

	return RB_FIND(ticket_tree, &s->tickets, &key);
}

static void
ticket_drop(struct http_server *s, struct parked *p)
{
	RB_REMOVE(ticket_tree, &s->tickets, p);
	if (asks_cluster(p))
		s->stats.asked--;
	else
		s->stats.held--;
}

void
server_unpark(struct http_server *s, struct parked **place)
{
	struct parked *p = *place;

	if (p == NULL)
		return;
	if (asks_cluster(p))
		cluster_cancel(s->api->cluster, p->ticket & ~HTTP_TICKET_CLUSTER);
	if (p->ticket != 0) {
		ticket_drop(s, p);
	} else {
		watch_cancel(store_watches(s->api->store), &p->waiter);
		s->stats.parked--;
	}
	spare_give(&s->spare_parked, p);
	*place = NULL;
}

struct http_keep
server_unhold(struct http_server *s, struct parked **place)
{
	struct http_keep keep = (*place)->keep;

	ticket_drop(s, *place);
	spare_give(&s->spare_parked, *place);
	*place = NULL;
	return keep;
}
