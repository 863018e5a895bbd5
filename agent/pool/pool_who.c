/* agent/pool/pool_who.c -- other muster agents by their ids, and what follows for the catalog.
 *
 * Parts: the table; clusters; what an agent's names amount to.
 *
 * One id may have had several names here (it was renamed, its host was), and one name several ids
 * (a data directory was lost). What presence and spread are told of an id is the best that any of
 * its names is in: alive somewhere is alive.
 */
#include <stdlib.h>

#include "agent/pool/pool_priv.h"
#include "base/mem.h"

/* The table. */

static int
who_cmp(const struct who *a, const struct who *b)
{
	return uuid_cmp(&a->id, &b->id);
}

RB_GENERATE(whos, who, by_id, who_cmp)

struct who *
pool_who_find(const struct pool *p, const struct uuid *id)
{
	struct who key = { .id = *id };
	struct whos whos = p->whos;

	return RB_FIND(whos, &whos, &key);
}

struct who *
pool_who_for(struct pool *p, const struct uuid *id)
{
	struct who *who = pool_who_find(p, id);

	if (who != NULL)
		return who;
	who = mem_new(struct who);
	who->id = *id;
	TAILQ_INIT(&who->names);
	RB_INSERT(whos, &p->whos, who);
	return who;
}

/* Clusters: their records are shown as long as anybody is known who speaks of them. */

static struct cluster *
cluster_find(struct pool *p, const struct uuid *id)
{
	for (size_t i = 0; i < p->cluster_count; i++)
		if (uuid_eq(&p->clusters[i].id, id))
			return &p->clusters[i];
	return NULL;
}

static void
cluster_show(struct pool *p, const struct uuid *id, bool shown)
{
	store_cluster(p->config.store, p->now, id, shown);
	p->store_changed = true;
}

static void
cluster_hold(struct pool *p, const struct uuid *id)
{
	struct cluster *c = cluster_find(p, id);

	if (c == NULL) {
		p->clusters = mem_grow(p->clusters, p->cluster_count, &p->cluster_room, sizeof *c);
		c = &p->clusters[p->cluster_count++];
		*c = (struct cluster){ .id = *id };
		cluster_show(p, id, true);
	}
	c->holders++;
}

static void
cluster_release(struct pool *p, const struct uuid *id)
{
	struct cluster *c = cluster_find(p, id);

	if (c == NULL || --c->holders > 0)
		return;
	cluster_show(p, id, false);
	*c = p->clusters[--p->cluster_count];
}

static void
who_cluster(struct pool *p, struct who *who, const struct uuid *id)
{
	struct uuid old = who->cluster;

	if (uuid_eq(&old, id))
		return;
	who->cluster = *id;
	if (!uuid_zero(id))
		cluster_hold(p, id);
	if (!uuid_zero(&old))
		cluster_release(p, &old);
}

/* What one agent's names amount to. */

static enum presence_word
named_word(const struct named *n)
{
	if (named_alive(n))
		return PRESENCE_ALIVE;
	/* SWIM's leave may come before serf's intent, which makes it left there too. */
	if (n->state == SERF_LEFT || n->swim == SWIM_LEFT || n->replaced)
		return PRESENCE_LEFT;
	return PRESENCE_FAILED;
}

static enum spread_peer_state
named_peer(const struct named *n)
{
	if (!named_alive(n) || n->swim >= SWIM_DEAD)
		return SPREAD_DOWN;
	return n->swim == SWIM_SUSPECT ? SPREAD_DOUBTFUL : SPREAD_UP;
}

static bool
named_better(const struct named *a, const struct named *b)
{
	if (named_peer(a) != named_peer(b))
		return named_peer(a) > named_peer(b);
	return named_word(a) < named_word(b); /* ALIVE, FAILED, LEFT */
}

static void
who_free(struct pool *p, struct who *who)
{
	RB_REMOVE(whos, &p->whos, who);
	free(who);
}

/* The counter of the newest epoch whose records are here; 0: none. */
static uint64_t
who_epoch(const struct pool *p, const struct who *who)
{
	const struct owner *o = store_owner(p->config.store, &who->id);

	return o == NULL ? 0 : owner_digest(o).epoch.counter;
}

void
pool_who_restarts(struct pool *p, const struct uuid *id, uint64_t epoch, nsec grace)
{
	struct who *who = pool_who_find(p, id);

	if (who != NULL && epoch < who_epoch(p, who))
		return; /* a late copy: that life is over */
	if (who != NULL && epoch > who->restart_epoch)
		who->restart_epoch = epoch;
	presence_restarts(p->presence, p->now.mono, id, grace);
}

/* A restart may be over before anybody has missed the member; a death after that is another one,
 * and without grace (RULES 17). The new life's epoch tells. */
static void
who_grace(struct pool *p, struct who *who)
{
	if (who->restart_epoch == 0 || who_epoch(p, who) <= who->restart_epoch)
		return;
	who->restart_epoch = 0;
	presence_returned(p->presence, &who->id);
}

/* Looks at all its names again and tells what is new. */
void
pool_who_settle(struct pool *p, struct who *who)
{
	static const struct uuid none;
	enum presence_word word = who->reaped ? PRESENCE_REAPED : PRESENCE_LEFT;
	enum spread_peer_state peer = SPREAD_DOWN;
	struct named *n;

	who->at = NULL;
	TAILQ_FOREACH (n, &who->names, of_who)
		if (who->at == NULL || named_better(n, who->at))
			who->at = n;
	if (who->at != NULL) {
		word = named_word(who->at);
		peer = named_peer(who->at);
	}
	who_cluster(
	    p, who, word == PRESENCE_ALIVE || word == PRESENCE_FAILED ? &who->at->cluster : &none);
	p->muster_alive += (peer != SPREAD_DOWN) - (who->peer != SPREAD_DOWN);
	who_grace(p, who);
	if (!who->told || word != who->word)
		presence_member(p->presence, p->now.mono, &who->id, word);
	if (peer != who->peer)
		spread_peer(p->spread, p->now, &who->id, peer);
	who->told = true;
	who->word = word;
	who->peer = peer;
	if (who->at == NULL)
		who_free(p, who);
}

/* Under whom it is counted; `who` NULL: nobody. */
void
pool_who_belongs(struct pool *p, struct named *n, struct who *who)
{
	struct who *old = n->who;

	if (old == who)
		return;
	if (old != NULL)
		TAILQ_REMOVE(&old->names, n, of_who);
	n->who = who;
	if (who != NULL)
		TAILQ_INSERT_TAIL(&who->names, n, of_who);
	if (old != NULL)
		pool_who_settle(p, old);
}

void
pool_failed_as(struct pool *p, enum spread_peer_state state)
{
	struct who *who;

	RB_FOREACH (who, whos, &p->whos)
		if (who->word == PRESENCE_FAILED && who->peer == SPREAD_DOWN)
			spread_peer(p->spread, p->now, &who->id, state);
}

void
pool_whos_done(struct pool *p)
{
	struct who *who;

	while ((who = RB_ROOT(&p->whos)) != NULL)
		who_free(p, who);
}
