/* agent/pool_member.c -- who is who: wire names, ids and addresses, and what follows from them.
 *
 * Parts: the tables; tags; clusters; what one agent's names amount to; replaced ones; news;
 * reading.
 *
 * SWIM and serf know wire names; the catalog knows ids. One id may have had several names here (it
 * was renamed, its host was), and one name several ids (a data directory was lost). What presence
 * and spread are told of an id is the best that any of its names is in: alive somewhere is alive.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pool_priv.h"
#include "base/mem.h"

/* The tables. */

static int
named_name_cmp(const struct named *a, const struct named *b)
{
	return str_cmp(a->key, b->key);
}

static int
pool_addr_cmp(const struct addr *a, const struct addr *b)
{
	int c = (int)a->family - (int)b->family;

	if (c == 0)
		c = memcmp(a->bytes, b->bytes, a->family == ADDR_V6 ? 16 : 4);
	return c != 0 ? c : (int)a->port - (int)b->port;
}

bool
pool_addr_eq(const struct addr *a, const struct addr *b)
{
	return pool_addr_cmp(a, b) == 0;
}

static int
named_addr_cmp(const struct named *a, const struct named *b)
{
	int c = pool_addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : named_name_cmp(a, b);
}

static int
who_cmp(const struct who *a, const struct who *b)
{
	return uuid_cmp(&a->id, &b->id);
}

RB_GENERATE(named_names, named, by_name, named_name_cmp)
RB_GENERATE(named_addrs, named, by_addr, named_addr_cmp)
RB_GENERATE(whos, who, by_id, who_cmp)

static struct named *
named_find(const struct pool *p, struct str name)
{
	struct named key = { .key = name };
	struct named_names names = p->names;

	return RB_FIND(named_names, &names, &key);
}

struct who *
pool_who_find(const struct pool *p, const struct uuid *id)
{
	struct who key = { .id = *id };
	struct whos whos = p->whos;

	return RB_FIND(whos, &whos, &key);
}

static struct who *
who_for(struct pool *p, const struct uuid *id)
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

static bool
named_is_self(const struct pool *p, const struct named *n)
{
	return str_eq(n->key, blob_str(p->wire_name));
}

/* Tags. */

void
pool_tags_read(struct arena *arena, struct str meta, struct tags_read *out)
{
	struct serf_meta m;

	*out = (struct tags_read){ .muster = false };
	if (serf_meta_read(arena, meta, &m, NULL) < 0)
		return;
	out->server = m.server;
	out->display = m.name;
	out->muster = m.muster > 0 && uuid_parse(m.id, &out->id);
	if (!uuid_parse(m.cluster, &out->cluster))
		out->cluster = (struct uuid){ { 0 } };
}

/* Clusters: their records are shown as long as anybody is known who speaks of them. */

static bool
uuid_is_zero(const struct uuid *id)
{
	static const struct uuid zero;

	return uuid_eq(id, &zero);
}

static struct cluster *
cluster_find(struct pool *p, const struct uuid *id)
{
	for (size_t i = 0; i < p->cluster_count; i++)
		if (uuid_eq(&p->clusters[i].id, id))
			return &p->clusters[i];
	return NULL;
}

static void
cluster_show(struct pool *p, const struct uuid *id, enum store_member_state state)
{
	store_member(p->config.store, p->now, id, state, 0);
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
		cluster_show(p, id, STORE_MEMBER_ALIVE);
	}
	c->holders++;
}

static void
cluster_release(struct pool *p, const struct uuid *id)
{
	struct cluster *c = cluster_find(p, id);

	if (c == NULL || --c->holders > 0)
		return;
	cluster_show(p, id, STORE_MEMBER_GONE);
	*c = p->clusters[--p->cluster_count];
}

static void
who_cluster(struct pool *p, struct who *who, const struct uuid *id)
{
	struct uuid old = who->cluster;

	if (uuid_eq(&old, id))
		return;
	who->cluster = *id;
	if (!uuid_is_zero(id))
		cluster_hold(p, id);
	if (!uuid_is_zero(&old))
		cluster_release(p, &old);
}

/* What one agent's names amount to. */

static bool
named_alive(const struct named *n)
{
	return n->state == SERF_ALIVE || n->state == SERF_LEAVING;
}

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

/* Looks at all its names again and tells what is new. */
static void
who_settle(struct pool *p, struct who *who)
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

static bool
named_is_plain(const struct named *n)
{
	return !n->muster && named_alive(n);
}

/* Under whom it is counted; `who` NULL: nobody. */
static void
named_belongs(struct pool *p, struct named *n, struct who *who)
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
		who_settle(p, old);
}

/* Replaced ones (RULES 3): a live id at the address of a failed one has its place. */

static void
named_replaced(struct pool *p, struct named *n, bool replaced)
{
	if (n->replaced == replaced)
		return;
	n->replaced = replaced;
	if (replaced)
		p->replaced_count++;
	else
		p->replaced_count--;
}

static void
named_replaces(struct pool *p, struct named *n)
{
	struct named key = { .addr = n->addr };
	struct named *m = RB_NFIND(named_addrs, &p->addrs, &key), *next;
	bool live = named_alive(n);

	for (; m != NULL && pool_addr_eq(&m->addr, &n->addr); m = next) {
		next = RB_NEXT(named_addrs, &p->addrs, m);
		if (m == n || !m->muster || !n->muster)
			continue;
		if (live && m->state == SERF_FAILED) {
			named_replaced(p, m, true);
			if (m->who != NULL)
				who_settle(p, m->who);
		} else if (n->state == SERF_FAILED && named_alive(m)) {
			named_replaced(p, n, true);
		}
	}
}

/* News. */

static struct named *
named_new(struct pool *p, const struct serf_member *m)
{
	struct named *n = mem_new(struct named);

	n->name = blob_new(m->name);
	n->key = blob_str(n->name);
	n->addr = m->addr;
	RB_INSERT(named_names, &p->names, n);
	RB_INSERT(named_addrs, &p->addrs, n);
	return n;
}

static void
named_drop(struct pool *p, struct named *n)
{
	p->plain_alive -= named_is_plain(n) && !named_is_self(p, n);
	named_replaced(p, n, false);
	n->state = SERF_NONE;
	named_belongs(p, n, NULL);
	RB_REMOVE(named_names, &p->names, n);
	RB_REMOVE(named_addrs, &p->addrs, n);
	blob_unref(n->name);
	blob_unref(n->display);
	free(n);
}

static void
named_moved(struct pool *p, struct named *n, const struct addr *addr, bool same)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];

	if (pool_addr_eq(&n->addr, addr))
		return;
	if (same) {
		p->taken_over++;
		pool_log(p, LOG_LEVEL_INFO, "member moved name=" STR_FMT " from=%s to=%s",
		    STR_ARG(n->key), addr_format(&n->addr, from), addr_format(addr, to));
	}
	RB_REMOVE(named_addrs, &p->addrs, n);
	n->addr = *addr;
	RB_INSERT(named_addrs, &p->addrs, n);
}

/* Takes over what it says of itself. */
static void
named_describe(struct pool *p, struct named *n, const struct serf_member *m)
{
	struct tags_read tags;
	struct arena arena;
	bool same;

	arena_init(&arena, POOL_META_BYTES);
	pool_tags_read(&arena, m->meta, &tags);
	same = n->muster && tags.muster && uuid_eq(&n->id, &tags.id);
	named_moved(p, n, &m->addr, same);
	n->muster = tags.muster;
	n->server = tags.server;
	n->id = tags.muster ? tags.id : (struct uuid){ { 0 } };
	n->cluster = tags.cluster;
	blob_unref(n->display);
	n->display = tags.display.n == 0 ? blob_ref(n->name) : blob_new(tags.display);
	arena_done(&arena);
}

/* SWIM forgets who is gone before serf does; that it had left stays true. */
static void
named_swim(struct pool *p, struct named *n)
{
	struct swim_member m;

	if (swim_member_find(p->swim, n->key, &m))
		n->swim = m.state;
	else if (n->swim != SWIM_LEFT)
		n->swim = SWIM_DEAD;
}

static void
pool_member_fill(const struct named *n, const struct serf_member *m, struct pool_member *out)
{
	*out = (struct pool_member){
		.name = blob_str(n->display),
		.wire_name = n->key,
		.addr = m->addr,
		.meta = m->meta,
		.vsn = m->vsn,
		.state = n->replaced && m->state == SERF_FAILED ? SERF_LEFT : m->state,
		.id = n->id,
		.muster = n->muster,
		.server = n->server,
		.since = m->since,
	};
}

static void
pool_member_tell(
    struct pool *p, const struct named *n, enum serf_news news, const struct serf_member *m)
{
	static const char *const words[] = { "up", "left", "down", "changed", "forgotten" };
	struct pool_action *a = pool_act(p, POOL_MEMBER);
	char at[ADDR_TEXT_MAX], id[UUID_TEXT_LEN + 1];

	if (a != NULL) {
		a->news = news;
		pool_member_fill(n, m, &a->member);
		a->member.name = arena_dup(&p->out, a->member.name);
		a->member.wire_name = arena_dup(&p->out, a->member.wire_name);
		a->member.meta = arena_dup(&p->out, a->member.meta);
	}
	pool_log(p, LOG_LEVEL_INFO, "member %s name=" STR_FMT " addr=%s id=%s", words[news],
	    STR_ARG(n->key), addr_format(&m->addr, at),
	    n->muster ? uuid_format(&n->id, id) : "none");
}

static void
named_state(struct pool *p, struct named *n, enum serf_news news)
{
	if (news == SERF_JOINED)
		n->state = SERF_ALIVE;
	else if (news == SERF_WENT)
		n->state = SERF_LEFT;
	else if (news == SERF_DIED)
		n->state = SERF_FAILED;
	if (n->state != SERF_FAILED)
		named_replaced(p, n, false);
}

/* It was of no use to anybody but serf until now; or its id changed, or its state. */
static void
named_settle(struct pool *p, struct named *n)
{
	struct who *who = NULL;

	if (n->muster && !uuid_eq(&n->id, &p->config.self))
		who = who_for(p, &n->id);
	named_swim(p, n);
	named_belongs(p, n, who);
	named_replaces(p, n);
	if (who != NULL)
		who_settle(p, who);
}

void
pool_member_news(struct pool *p, enum serf_news news, const struct serf_member *m)
{
	struct named *n = named_find(p, m->name);
	bool plain;

	if (n == NULL && news == SERF_REAPED)
		return;
	if (n == NULL)
		n = named_new(p, m);
	plain = named_is_plain(n);
	if (news != SERF_REAPED)
		named_describe(p, n, m);
	named_state(p, n, news);
	if (!named_is_self(p, n))
		p->plain_alive += named_is_plain(n) - plain;
	pool_member_tell(p, n, news, m);
	if (news != SERF_REAPED) {
		named_settle(p, n);
		return;
	}
	coordinates_forget(p->coordinates, m->name);
	if (n->who != NULL)
		n->who->reaped = true;
	named_drop(p, n);
}

void
pool_member_swim(struct pool *p, struct str name)
{
	struct named *n = named_find(p, name);

	if (n == NULL)
		return;
	named_swim(p, n);
	if (n->who != NULL)
		who_settle(p, n->who);
}

void
pool_self_forget(struct pool *p)
{
	struct named *n = named_find(p, blob_str(p->wire_name));

	if (n != NULL)
		named_drop(p, n);
}

void
pool_members_done(struct pool *p)
{
	struct named *n;
	struct who *who;

	while ((n = RB_ROOT(&p->names)) != NULL) {
		RB_REMOVE(named_names, &p->names, n);
		blob_unref(n->name);
		blob_unref(n->display);
		free(n);
	}
	while ((who = RB_ROOT(&p->whos)) != NULL)
		who_free(p, who);
}

/* Reading. */

size_t
pool_member_count(const struct pool *p, enum serf_state state)
{
	size_t count = serf_member_count(p->serf, state);

	if (state == SERF_FAILED)
		return count - p->replaced_count;
	return state == SERF_LEFT ? count + p->replaced_count : count;
}

static bool
named_show(const struct pool *p, const struct named *n, struct pool_member *out)
{
	struct serf_member m;

	if (n == NULL || !serf_member_find(p->serf, n->key, &m))
		return false;
	pool_member_fill(n, &m, out);
	return true;
}

bool
pool_member_next(const struct pool *p, struct str after, struct pool_member *out)
{
	struct named key = { .key = after };
	struct named_names names = p->names;
	struct named *n = RB_NFIND(named_names, &names, &key);

	if (n != NULL && after.n > 0 && str_eq(n->key, after))
		n = RB_NEXT(named_names, NULL, n);
	while (n != NULL && !named_show(p, n, out))
		n = RB_NEXT(named_names, NULL, n);
	return n != NULL;
}

/* Of several that are shown under one name the live one (RULES 3), then the lowest id. */
static bool
named_first(const struct named *a, const struct named *b)
{
	if (named_alive(a) != named_alive(b))
		return named_alive(a);
	return uuid_cmp(&a->id, &b->id) < 0;
}

static const struct named *
named_shown_as(const struct pool *p, struct str name)
{
	struct named_names names = p->names;
	const struct named *best = NULL;
	struct named *n;

	RB_FOREACH (n, named_names, &names)
		if (str_eq(blob_str(n->display), name) && (best == NULL || named_first(n, best)))
			best = n;
	return best;
}

static const struct named *
named_by_id(const struct pool *p, const struct uuid *id)
{
	const struct who *who = pool_who_find(p, id);

	if (uuid_eq(id, &p->config.self))
		return named_find(p, blob_str(p->wire_name));
	return who == NULL ? NULL : who->at;
}

bool
pool_member_find(const struct pool *p, struct str name, struct pool_member *out)
{
	const struct named *n = named_shown_as(p, name);
	struct uuid id;

	if (n == NULL)
		n = named_find(p, name);
	if (n == NULL && uuid_parse(name, &id))
		n = named_by_id(p, &id);
	return named_show(p, n, out);
}

bool
pool_member_by_id(const struct pool *p, const struct uuid *id, struct pool_member *out)
{
	return named_show(p, named_by_id(p, id), out);
}
