/* tests/unit/spread_net.c -- see spread_net.h. Events in a binary heap by (time, order). */
#include "tests/unit/spread_net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kv/delta.h"

const struct uuid net_cluster = { { 0xee, 0xee, 0xee } };

enum net_kind { NET_DATAGRAM, NET_REQUEST, NET_ANSWER, NET_FAIL, NET_TIMER };
struct net_event {
	nsec at;
	uint64_t order;
	enum net_kind kind;
	size_t from, to;
	uint64_t ask, life; /* life: of the asker, so that answers to a former one are dropped */
	size_t n;
	char bytes[];
};

/* The heap. */

static bool
before(const struct net_event *a, const struct net_event *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void
heap_push(struct net *net, struct net_event *e)
{
	size_t i = net->heap_count++;

	net->heap = mem_grow(net->heap, i, &net->heap_cap, sizeof *net->heap);
	e->order = net->events++;
	for (; i > 0 && before(e, net->heap[(i - 1) / 2]); i = (i - 1) / 2)
		net->heap[i] = net->heap[(i - 1) / 2];
	net->heap[i] = e;
}

static struct net_event *
heap_pop(struct net *net)
{
	struct net_event *top = net->heap[0], *last = net->heap[--net->heap_count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < net->heap_count) {
		if (child + 1 < net->heap_count && before(net->heap[child + 1], net->heap[child]))
			child++;
		if (!before(net->heap[child], last))
			break;
		net->heap[i] = net->heap[child];
		i = child;
	}
	if (net->heap_count > 0)
		net->heap[i] = last;
	return top;
}

static nsec
delay(struct net *net)
{
	nsec span = net->delay_max - net->delay_min;

	return net->delay_min + (span == 0 ? 0 : (nsec)(rng_u64(&net->rng) % (uint64_t)span));
}

static void
post(struct net *net, enum net_kind kind, nsec after, size_t from, size_t to, uint64_t ask,
    uint64_t life, struct str bytes)
{
	struct net_event *e = mem_alloc(sizeof *e + bytes.n);

	*e = (struct net_event){
		.at = net->now.mono + after,
		.kind = kind,
		.from = from,
		.to = to,
		.ask = ask,
		.life = life,
		.n = bytes.n,
	};
	if (bytes.n > 0)
		memcpy(e->bytes, bytes.p, bytes.n);
	heap_push(net, e);
}

/* Life. */

struct net *
net_new(size_t count, uint64_t seed)
{
	struct net *net = mem_new(struct net);

	net->now = (struct now){ NSEC_SEC, 1800000000000 };
	rng_init(&net->rng, seed);
	net->count = count;
	net->nodes = mem_zalloc(count * sizeof *net->nodes);
	net->cut = mem_zalloc(count * count);
	net->limits = owner_limits_default;
	net->delay_min = NSEC_MS / 5;
	net->delay_max = NSEC_MS;
	for (size_t i = 0; i < count; i++) {
		for (size_t b = 0; b < 14; b++)
			net->nodes[i].id.b[b] = (uint8_t)rng_u32(&net->rng);
		net->nodes[i].id.b[14] = (uint8_t)(i >> 8);
		net->nodes[i].id.b[15] = (uint8_t)i;
		net->nodes[i].timer = NSEC_NEVER;
	}
	return net;
}

void
net_free(struct net *net)
{
	for (size_t i = 0; i < net->count; i++) {
		spread_free(net->nodes[i].spread);
		store_free(net->nodes[i].store);
	}
	for (size_t i = 0; i < net->heap_count; i++)
		free(net->heap[i]);
	free(net->heap);
	free(net->nodes);
	free(net->cut);
	free(net);
}

static size_t
net_find(const struct net *net, const struct uuid *id)
{
	size_t i = (size_t)id->b[14] << 8 | id->b[15];

	return i < net->count && uuid_eq(&net->nodes[i].id, id) ? i : SIZE_MAX;
}

void
net_start(struct net *net, size_t node)
{
	struct net_node *n = &net->nodes[node];
	struct store_config store = {
		.self = n->id,
		.cluster = net_cluster,
		.epoch = { ++n->counter, rng_u64(&net->rng) },
		.limits = net->limits,
		.unknown_bytes_max = 1024 * 1024,
	};
	struct spread_config spread = net->spread;

	n->store = store_new(&store, net->now);
	spread.store = n->store;
	spread.self = n->id;
	n->spread = spread_new(&spread, rng_u64(&net->rng), net->now);
	net_drain(net, node);
}

void
net_stop(struct net *net, size_t node)
{
	struct net_node *n = &net->nodes[node];

	spread_free(n->spread);
	store_free(n->store);
	n->spread = NULL;
	n->store = NULL;
}

static void
hear_of(struct net *net, size_t a, size_t b, enum store_member_state state)
{
	struct net_node *n = &net->nodes[a];

	if (n->store == NULL || a == b)
		return;
	store_member(n->store, net->now, &net->nodes[b].id, state,
	    state == STORE_MEMBER_GONE ? net->now.mono + NSEC_HOUR : 0);
	spread_peer(n->spread, net->now, &net->nodes[b].id,
	    state == STORE_MEMBER_ALIVE ? SPREAD_UP : SPREAD_DOWN);
	net_drain(net, a);
}

void
net_meet(struct net *net, size_t a, size_t b)
{
	hear_of(net, a, b, STORE_MEMBER_ALIVE);
	hear_of(net, b, a, STORE_MEMBER_ALIVE);
}

void
net_part(struct net *net, size_t a, size_t b, enum store_member_state state)
{
	hear_of(net, a, b, state);
	hear_of(net, b, a, state);
}

void
net_cut(struct net *net, size_t a, size_t b, bool cut)
{
	net->cut[a * net->count + b] = net->cut[b * net->count + a] = cut;
}

void
net_start_all(struct net *net)
{
	for (size_t i = 0; i < net->count; i++) {
		net_start(net, i);
		store_baseline_end(net->nodes[i].store, net->now);
		net_changed(net, i);
	}
	for (size_t i = 0; i < net->count; i++)
		for (size_t j = 0; j < i; j++)
			net_meet(net, i, j);
}

/* Carrying out. */

static void
carry_datagram(struct net *net, size_t from, size_t to, struct str bytes)
{
	net->nodes[from].bytes_out += bytes.n;
	net->nodes[from].datagrams_out++;
	if (net->cut[from * net->count + to] || rng_below(&net->rng, 1000) < net->loss)
		return;
	post(net, NET_DATAGRAM,
	    delay(net) + (rng_below(&net->rng, 1000) < net->straggle ? 2 * NSEC_SEC : 0), from, to,
	    0, 0, bytes);
	if (rng_below(&net->rng, 1000) < net->twice)
		post(net, NET_DATAGRAM, delay(net), from, to, 0, 0, bytes);
}

static void
carry_ask(struct net *net, size_t from, size_t to, uint64_t ask, struct str bytes)
{
	bool fails = net->cut[from * net->count + to] || net->nodes[to].store == NULL ||
		     rng_below(&net->rng, 1000) < net->stream_fails;

	net->nodes[from].stream_bytes += bytes.n;
	net->nodes[from].streams++;
	if (fails)
		post(net, NET_FAIL, 3 * delay(net), to, from, ask, net->nodes[from].counter,
		    STR_NONE);
	else
		post(net, NET_REQUEST, 3 * delay(net), from, to, ask, net->nodes[from].counter,
		    bytes);
}

void
net_drain(struct net *net, size_t node)
{
	struct net_node *n = &net->nodes[node];
	struct spread_action a;
	nsec at;

	while (spread_action_next(n->spread, &a)) {
		size_t peer = net_find(net, &a.peer);

		n->synced += a.kind == SPREAD_SYNCED;
		n->cloned += a.kind == SPREAD_CLONED;
		if (a.kind == SPREAD_SEND && peer != SIZE_MAX)
			carry_datagram(net, node, peer, a.bytes);
		if (a.kind == SPREAD_ASK && peer != SIZE_MAX)
			carry_ask(net, node, peer, a.ask, a.bytes);
		if (a.kind == SPREAD_RESTARTS) {
			n->restarts++;
			n->restart_span = a.span;
		}
		if (a.kind == SPREAD_BURIED) {
			n->buried++;
			n->buried_epoch = a.epoch;
		}
	}
	at = spread_deadline(n->spread);
	if (at < n->timer) {
		n->timer = at;
		post(net, NET_TIMER, at > net->now.mono ? at - net->now.mono : 0, node, node, 0, 0,
		    STR_NONE);
	}
}

void
net_input(struct net *net, size_t node, struct str bytes)
{
	struct net_node *n = &net->nodes[node];

	n->payloads += bytes.n > 0 && bytes.p[0] == 1;
	spread_input(n->spread, net->now, bytes);
	net_drain(net, node);
}

static void
request(struct net *net, const struct net_event *e)
{
	struct net_node *n = &net->nodes[e->to];
	struct buf answer;

	buf_init(&answer, 20 * 1024 * 1024);
	if (spread_request(n->spread, net->now, str_mem(e->bytes, e->n), &answer, NULL) < 0)
		post(net, NET_FAIL, delay(net), e->to, e->from, e->ask, e->life, STR_NONE);
	else
		post(
		    net, NET_ANSWER, delay(net), e->to, e->from, e->ask, e->life, buf_str(&answer));
	n->stream_bytes += answer.n;
	buf_done(&answer);
	net_drain(net, e->to);
}

static void
timer(struct net *net, size_t node)
{
	struct net_node *n = &net->nodes[node];

	n->timer = NSEC_NEVER;
	if (spread_deadline(n->spread) <= net->now.mono)
		spread_tick(n->spread, net->now);
	net_drain(net, node);
}

static void
event(struct net *net, const struct net_event *e)
{
	struct net_node *n = &net->nodes[e->to];
	struct str bytes = str_mem(e->bytes, e->n);
	bool there = n->spread != NULL;

	switch (e->kind) {
	case NET_DATAGRAM:
		if (there)
			net_input(net, e->to, bytes);
		return;
	case NET_REQUEST:
		if (there)
			request(net, e);
		else
			post(net, NET_FAIL, delay(net), e->to, e->from, e->ask, e->life, STR_NONE);
		return;
	case NET_ANSWER:
	case NET_FAIL:
		if (!there || e->life != n->counter)
			return;
		spread_answer(n->spread, net->now, e->ask, bytes, e->kind == NET_FAIL);
		net_drain(net, e->to);
		return;
	case NET_TIMER:
		if (there)
			timer(net, e->to);
		else
			n->timer = NSEC_NEVER;
	}
}

void
net_run(struct net *net, nsec span)
{
	nsec until = net->now.mono + span;

	while (net->heap_count > 0 && net->heap[0]->at <= until) {
		struct net_event *e = heap_pop(net);

		net->now.wall_ms += (e->at - net->now.mono) / NSEC_MS;
		net->now.mono = e->at;
		event(net, e);
		free(e);
	}
	net->now.mono = until;
	for (size_t i = 0; i < net->count; i++)
		if (net->nodes[i].store != NULL)
			store_tick(net->nodes[i].store, net->now);
}

/* Records. */

void
net_put(struct net *net, size_t node, const char *key, const char *body)
{
	struct net_node *n = &net->nodes[node];

	store_put(n->store, net->now, &n->id, NET_KIND, str_of(key), str_of(body), NULL);
}

void
net_remove(struct net *net, size_t node, const char *key)
{
	struct net_node *n = &net->nodes[node];

	store_remove(n->store, net->now, &n->id, NET_KIND, str_of(key));
}

void
net_changed(struct net *net, size_t node)
{
	spread_changed(net->nodes[node].spread, net->now);
	net_drain(net, node);
}

const char *
net_get(const struct net *net, size_t node, size_t owner, const char *key)
{
	static char text[256];
	struct str body;
	const struct owner *o = store_owner(net->nodes[node].store, &net->nodes[owner].id);
	struct owner_record r;

	if (o == NULL || !owner_find(o, NET_KIND, str_of(key), &r) || r.gone)
		return "";
	body = blob_str(r.body);
	snprintf(text, sizeof text, STR_FMT,
	    STR_ARG(str_head(body, body.n < sizeof text ? body.n : sizeof text - 1)));
	return text;
}

static void
digests(const struct net *net, size_t node, struct buf *out)
{
	struct digest d;
	size_t cursor = 0;

	while (store_digest_next(net->nodes[node].store, &cursor, &d)) {
		char *room = buf_reserve(out, DIGEST_SIZE_MAX);
		struct writer w = wr_of(room, DIGEST_SIZE_MAX);

		digest_write(&w, &d);
		buf_commit(out, w.pos);
	}
}

bool
net_equal(const struct net *net)
{
	struct buf first, other;
	bool equal = true, any = false;

	buf_init(&first, 16 * 1024 * 1024);
	buf_init(&other, 16 * 1024 * 1024);
	for (size_t i = 0; equal && i < net->count; i++) {
		if (net->nodes[i].store == NULL)
			continue;
		buf_clear(&other);
		digests(net, i, any ? &other : &first);
		equal = !any || str_eq(buf_str(&first), buf_str(&other));
		any = true;
	}
	buf_done(&first);
	buf_done(&other);
	return equal;
}

bool
net_run_until_equal(struct net *net, nsec most, nsec *took)
{
	nsec start = net->now.mono;

	while (!net_equal(net) && net->now.mono - start < most)
		net_run(net, 10 * NSEC_MS);
	if (took != NULL)
		*took = net->now.mono - start;
	return net_equal(net);
}
