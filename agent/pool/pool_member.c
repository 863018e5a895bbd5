/* agent/pool/pool_member.c -- members by their wire names and addresses, as serf and SWIM tell of them.
 *
 * Parts: the tables; tags; replaced ones; evidence; news.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pool/pool_priv.h"
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

RB_GENERATE(named_names, named, by_name, named_name_cmp)
RB_GENERATE(named_addrs, named, by_addr, named_addr_cmp)

struct named *
pool_named_find(const struct pool *p, struct str name)
{
	struct named key = { .key = name };
	struct named_names names = p->names;

	return RB_FIND(named_names, &names, &key);
}

static bool
named_is_self(const struct pool *p, const struct named *n)
{
	return str_eq(n->key, blob_str(p->wire_name));
}

bool
pool_addr_above(const struct addr *a, const struct addr *b)
{
	return pool_addr_cmp(a, b) > 0;
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

static bool
named_is_plain(const struct named *n)
{
	return !n->muster && named_alive(n);
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
				pool_who_settle(p, m->who);
		} else if (n->state == SERF_FAILED && named_alive(m)) {
			named_replaced(p, n, true);
		}
	}
}

/* Evidence. */

static struct named *
named_at(const struct pool *p, const struct addr *addr)
{
	struct named key = { .addr = *addr };
	struct named_addrs addrs = p->addrs;
	struct named *n = RB_NFIND(named_addrs, &addrs, &key);

	return n != NULL && pool_addr_eq(&n->addr, addr) ? n : NULL;
}

void
pool_heard(struct pool *p, const struct addr *from)
{
	if (named_at(p, from) != NULL)
		presence_heard(p->presence, p->now.mono);
}

void
pool_refusal(struct pool *p, const struct addr *peer)
{
	struct named *n = named_at(p, peer);

	for (; n != NULL && pool_addr_eq(&n->addr, peer); n = RB_NEXT(named_addrs, NULL, n))
		if (n->who != NULL && n == n->who->at)
			presence_refused(p->presence, p->now.mono, &n->who->id);
	swim_refused(p->swim, p->now.mono, peer);
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
	pool_who_belongs(p, n, NULL);
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

/* An agent lives under one name. Under which of two, it tells when it is asked by both; and whose
 * name the other one is by now is told then too. */
static void
who_doubt(struct pool *p, const struct who *who)
{
	const struct named *n;
	size_t alive = 0;

	TAILQ_FOREACH (n, &who->names, of_who)
		alive += named_alive(n);
	if (alive < 2)
		return;
	TAILQ_FOREACH (n, &who->names, of_who)
		if (named_alive(n))
			swim_doubt(p->swim, p->now.mono, n->key);
}

/* It was of no use to anybody but serf until now; or its id changed, or its state. */
static void
named_settle(struct pool *p, struct named *n, bool joined)
{
	struct who *who = NULL;

	if (n->muster && !uuid_eq(&n->id, &p->config.self))
		who = pool_who_for(p, &n->id);
	named_swim(p, n);
	pool_who_belongs(p, n, who);
	named_replaces(p, n);
	if (who != NULL)
		pool_who_settle(p, who);
	if (who != NULL && joined)
		who_doubt(p, who);
	if (who == NULL && n->muster && named_alive(n) && !named_is_self(p, n))
		pool_clone_seen(p);
}

void
pool_member_news(struct pool *p, enum serf_news news, const struct serf_member *m)
{
	struct named *n = pool_named_find(p, m->name);
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
		named_settle(p, n, news == SERF_JOINED);
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
	struct named *n = pool_named_find(p, name);

	if (n == NULL)
		return;
	named_swim(p, n);
	if (n->who != NULL)
		pool_who_settle(p, n->who);
}

void
pool_tell_all(struct pool *p, struct str user)
{
	size_t left = POOL_TOLD_MAX;
	struct named *n;

	RB_FOREACH (n, named_names, &p->names)
		if (left > 0 && named_alive(n) && !named_is_self(p, n)) {
			swim_send(p->swim, p->now.mono, &n->addr, user);
			left--;
		}
}

void
pool_self_forget(struct pool *p)
{
	struct named *n = pool_named_find(p, blob_str(p->wire_name));

	if (n != NULL)
		named_drop(p, n);
}

void
pool_members_done(struct pool *p)
{
	struct named *n;

	while ((n = RB_ROOT(&p->names)) != NULL) {
		RB_REMOVE(named_names, &p->names, n);
		blob_unref(n->name);
		blob_unref(n->display);
		free(n);
	}
}
