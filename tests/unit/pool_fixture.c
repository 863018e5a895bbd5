/* tests/unit/pool_fixture.c -- see pool_fixture.h. Parts: the queue; what comes out of a pool;
 * datagrams; streams; time; life; looking at it. */
#include "tests/unit/pool_fixture.h"

#include <stdlib.h>

#include "base/mem.h"

#define WALL (INDEX_EPOCH_MS + 1000000)

enum kind { DATAGRAM, REFUSED, OPEN, ANSWER, OVER };

struct world_event {
	struct world_event *next;
	enum kind kind;
	nsec at;
	unsigned from, to, from_life, to_life;
	uint64_t id;
	nsec until;
	bool want_answer, refused;
	struct addr addr;
	struct str bytes; /* owned */
};

/* The queue: by time, then in the order of posting. */

static struct world_event *
world_post(struct world *w, enum kind kind, unsigned from, unsigned to, nsec at, struct str bytes)
{
	struct world_event *e = mem_new(struct world_event), **link = &w->queue;

	e->kind = kind;
	e->from = from;
	e->to = to;
	e->from_life = w->nodes[from].life;
	e->to_life = w->nodes[to].life;
	e->at = at;
	e->addr = w->nodes[from].addr;
	e->bytes = str_mem(str_dup(bytes), bytes.n);
	while (*link != NULL && (*link)->at <= at)
		link = &(*link)->next;
	e->next = *link;
	*link = e;
	return e;
}

static void
world_event_free(struct world_event *e)
{
	free((void *)(uintptr_t)e->bytes.p);
	free(e);
}

static bool
world_addr_eq(const struct addr *a, const struct addr *b)
{
	return addr_eq_ip(a, b) && a->port == b->port;
}

static unsigned
world_at(const struct world *w, const struct addr *addr)
{
	for (unsigned i = 0; i < WORLD_MAX; i++)
		if (world_addr_eq(&w->nodes[i].addr, addr))
			return i;
	return WORLD_MAX;
}

static struct frame_config
world_frame(const struct world_node *n)
{
	return (struct frame_config){
		.keys = n->keys,
		.verify_incoming = true,
		.verify_outgoing = true,
	};
}

static uint64_t
world_nonce(const struct world *w, const struct world_node *n)
{
	return 1000 * (uint64_t)(n - w->nodes) + n->epoch;
}

/* What comes out of a pool. */

static void world_tell(struct world *w, unsigned node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
world_tell(struct world *w, unsigned node, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	buf_addf(&w->nodes[node].story, "%s\n", line);
	if (getenv("TRACE") != NULL)
		print_message("%9.3f %u %s: %s\n", (double)w->now.mono / 1e9, node,
		    w->nodes[node].name, line);
}

static bool
world_says_muster(struct str message)
{
	return message.n > 1 && (uint8_t)message.p[0] == WIRE_USER &&
	       (uint8_t)message.p[1] == SERF_MUSTER;
}

static void
world_send(struct world *w, unsigned node, const struct pool_action *a)
{
	struct world_node *n = &w->nodes[node];
	struct frame_config frame = world_frame(n);
	unsigned to = world_at(w, &a->addr);
	struct frame_walk walk;
	struct arena arena;
	struct str one;
	struct buf b;

	arena_init(&arena, 1 << 20);
	frame_walk_init(&walk, &arena, a->bytes);
	while (frame_walk_next(&walk, &one)) {
		n->user_0xc5 += world_says_muster(one);
		if (to < WORLD_MAX && w->nodes[to].fake != NULL)
			w->nodes[to].fake_heard_muster += world_says_muster(one);
	}
	arena_done(&arena);
	buf_init(&b, 1 << 16);
	assert_int_equal(frame_seal(&frame, a->bytes, a->crc, &b, NULL), 0);
	n->datagrams++;
	n->bytes += b.n;
	if (b.n > n->largest)
		n->largest = b.n;
	if (to < WORLD_MAX && !w->cut[node][to] && !w->udp_cut[node][to] &&
	    rng_below(&w->rng, 1000) >= w->loss)
		world_post(w, DATAGRAM, node, to, w->now.mono + WORLD_LATENCY, buf_str(&b));
	buf_done(&b);
}

static void
world_open(struct world *w, unsigned node, const struct pool_action *a)
{
	unsigned to = world_at(w, &a->addr);
	struct world_event *e;

	if (to == WORLD_MAX)
		e = world_post(w, OVER, node, node, a->until, STR_NONE);
	else
		e = world_post(w, OPEN, node, to, w->now.mono + 2 * WORLD_LATENCY, STR_NONE);
	e->id = a->id;
	e->until = a->until;
	e->want_answer = a->want_answer;
}

static void
world_joined(struct world *w, unsigned node, const struct pool_action *a)
{
	struct world_node *n = &w->nodes[node];

	n->joins_ok += a->ok;
	n->joins_failed += !a->ok;
	snprintf(n->join_text, sizeof n->join_text, STR_FMT, STR_ARG(a->text));
	world_tell(w, node, "joined ok=%d %s", a->ok, n->join_text);
}

static void
world_carry_out(struct world *w, unsigned node, const struct pool_action *a)
{
	struct world_node *n = &w->nodes[node];

	switch (a->kind) {
	case POOL_SEND:
		world_send(w, node, a);
		break;
	case POOL_OPEN:
		world_open(w, node, a);
		break;
	case POOL_KEYS_SAVE:
		n->keys_saved++;
		break;
	case POOL_MEMBER:
		world_tell(
		    w, node, "%s " STR_FMT, serf_news_name(a->news), STR_ARG(a->member.wire_name));
		break;
	case POOL_EVENT:
		world_tell(w, node, "event " STR_FMT " " STR_FMT, STR_ARG(a->event.name),
		    STR_ARG(a->event.payload));
		break;
	case POOL_JOINED:
		world_joined(w, node, a);
		break;
	case POOL_KEYS:
		n->key_answers++;
		world_tell(w, node, "keys of " STR_FMT " %s %zu", STR_ARG(a->name),
		    a->keys.result ? "ok" : "not", a->keys.key_count);
		break;
	case POOL_KEYS_DONE:
		n->key_done++;
		world_tell(w, node, "keys over %zu of %zu", a->answers, a->expected);
		break;
	case POOL_ANSWER:
		world_tell(w, node, "answer of " STR_FMT, STR_ARG(a->name));
		break;
	case POOL_DONE:
		world_tell(w, node, "query over %zu of %zu", a->answers, a->expected);
		break;
	case POOL_READY:
		assert_false(n->ready);
		n->ready = true;
		n->ready_at = w->now.mono;
		world_tell(w, node, "ready");
		break;
	case POOL_LEFT:
		n->left = true;
		n->left_at = w->now.mono;
		world_tell(w, node, "left");
		break;
	case POOL_EPOCH:
		n->epochs++;
		world_tell(w, node, "epoch above %llu", (unsigned long long)a->id);
		n->epoch = a->id > n->epoch ? a->id : n->epoch;
		n->epoch++;
		store_epoch_begin(n->store, w->now, (struct epoch){ n->epoch, world_nonce(w, n) });
		store_baseline_end(n->store, w->now);
		n->changed = true;
		break;
	case POOL_CLONE:
		n->clones++;
		world_tell(w, node, "clone");
		break;
	case POOL_LOG:
		if (a->level >= LOG_LEVEL_INFO || getenv("TRACE_DEBUG") != NULL)
			world_tell(w, node, STR_FMT, STR_ARG(a->text));
		break;
	}
}

void
world_drain(struct world *w, unsigned node)
{
	struct pool_action a;

	struct world_node *n = &w->nodes[node];

	while (n->pool != NULL && pool_action_next(n->pool, &a))
		world_carry_out(w, node, &a);
	if (!n->changed)
		return;
	n->changed = false;
	pool_changed(n->pool, w->now);
	world_drain(w, node);
}

/* What arrives. */

static void
world_datagram(struct world *w, struct world_event *e)
{
	struct world_node *n = &w->nodes[e->to];
	struct frame_config frame = world_frame(n);
	struct frame_walk walk;
	struct arena arena;
	struct str opened, one;

	if (n->pool == NULL) {
		if (!n->silent && n->fake == NULL && !w->cut[e->to][e->from])
			world_post(
			    w, REFUSED, e->to, e->from, w->now.mono + WORLD_LATENCY, STR_NONE);
		return;
	}
	arena_init(&arena, 1 << 20);
	if (frame_open(&frame, &arena, e->bytes, &opened, NULL) == 0) {
		frame_walk_init(&walk, &arena, opened);
		while (frame_walk_next(&walk, &one))
			pool_input(n->pool, w->now, &e->addr, one);
	}
	arena_done(&arena);
	world_drain(w, e->to);
}

static bool
world_stream_cut(const struct world *w, const struct world_event *e)
{
	return w->cut[e->from][e->to] || w->cut[e->to][e->from];
}

struct wire_node_state
world_fake_node(
    struct world *w, unsigned node, uint8_t room[WIRE_META_MAX], const char *const *tags)
{
	struct writer m = wr_of(room, WIRE_META_MAX);
	struct serf_tag list[16];
	size_t count = 0;

	for (; tags[count] != NULL; count++) {
		struct str rest = str_of(tags[count]);

		list[count].key = str_cut(&rest, '=');
		list[count].value = rest;
	}
	serf_tags_write(&m, list, count);
	assert_false(m.full);
	return (struct wire_node_state){
		.name = str_of(w->nodes[node].name),
		.addr = w->nodes[node].addr,
		.meta = wr_done(&m),
		.vsn_whole = true,
		.addr_ok = true,
		.incarnation = 1,
		.state = SWIM_ALIVE,
		.vsn = wire_vsn_ours,
	};
}

static bool
world_fake_answer(
    const struct world_node *n, const struct stream_request *q, struct stream_request *answer)
{
	if (n->fake == NULL || q->type != WIRE_PUSH_PULL)
		return false;
	*answer = (struct stream_request){ .type = WIRE_PUSH_PULL };
	answer->u.push_pull.nodes = (struct wire_node_state *)(uintptr_t)n->fake;
	answer->u.push_pull.node_count = n->fake_count;
	return true;
}

/* The request out of its writer, through the wire, into the other's pool, and the answer on its
 * way. */
static void
world_stream(struct world *w, struct world_event *e)
{
	struct world_node *from = &w->nodes[e->from], *to = &w->nodes[e->to];
	struct frame_config ff = world_frame(from), ft = world_frame(to);
	struct stream_request request, answer;
	struct stream_in *in;
	struct world_event *back;
	struct arena arena;
	struct buf wire;
	bool listens;

	if (from->pool == NULL || from->life != e->from_life)
		return;
	if (world_stream_cut(w, e) || (to->pool == NULL && to->silent)) {
		back = world_post(w, OVER, e->to, e->from, e->until, STR_NONE);
		back->id = e->id;
		return;
	}
	arena_init(&arena, (size_t)64 << 20);
	buf_init(&wire, (size_t)64 << 20);
	listens = to->pool != NULL || to->fake != NULL;
	back = world_post(
	    w, listens ? ANSWER : OVER, e->to, e->from, w->now.mono + WORLD_LATENCY, STR_NONE);
	back->id = e->id;
	back->refused = !listens;
	in = stream_in_new(&ft, false);
	if (listens && pool_stream_request(from->pool, w->now, e->id, &arena, &request) &&
	    stream_write(&ff, &request, false, &wire, NULL) == 0 &&
	    stream_in_feed(in, buf_str(&wire), &request, NULL) == 1 &&
	    (to->pool == NULL
		    ? world_fake_answer(to, &request, &answer)
		    : pool_request(to->pool, w->now, &e->addr, &request, &arena, &answer))) {
		buf_clear(&wire);
		assert_int_equal(stream_write(&ft, &answer, true, &wire, NULL), 0);
		free((void *)(uintptr_t)back->bytes.p);
		back->bytes = str_mem(str_dup(buf_str(&wire)), wire.n);
	}
	stream_in_free(in);
	buf_done(&wire);
	arena_done(&arena);
	world_drain(w, e->from);
	world_drain(w, e->to);
}

static void
world_answer(struct world *w, struct world_event *e)
{
	struct world_node *n = &w->nodes[e->to];
	struct frame_config frame = world_frame(n);
	struct stream_in *in = stream_in_new(&frame, true);
	struct stream_request answer;
	bool whole = e->kind == ANSWER && e->bytes.n > 0 && !world_stream_cut(w, e) &&
		     stream_in_feed(in, e->bytes, &answer, NULL) == 1;

	pool_stream_end(n->pool, w->now, e->id, e->refused, whole ? &answer : NULL);
	stream_in_free(in);
	world_drain(w, e->to);
}

static void
world_arrive(struct world *w, struct world_event *e)
{
	struct world_node *n = &w->nodes[e->to];
	bool same = n->pool != NULL && n->life == e->to_life;

	if (e->kind == DATAGRAM)
		world_datagram(w, e);
	else if (e->kind == OPEN)
		world_stream(w, e);
	else if (e->kind == REFUSED && same)
		pool_refused(n->pool, w->now, &e->addr);
	else if (same)
		world_answer(w, e);
	world_drain(w, e->to);
}

/* Time. */

static void
world_now(struct world *w, nsec at)
{
	if (at > w->now.mono)
		w->now.mono = at;
	w->now.wall_ms = WALL + w->now.mono / NSEC_MS;
}

/* One step that is due by `until`; false: there is none. */
static bool
world_step(struct world *w, nsec until)
{
	struct world_event *e = w->queue;
	unsigned who = WORLD_MAX;
	nsec due = NSEC_NEVER;

	for (unsigned i = 0; i < WORLD_MAX; i++)
		if (w->nodes[i].pool != NULL) {
			nsec at = nsec_min(
			    pool_deadline(w->nodes[i].pool), store_deadline(w->nodes[i].store));

			if (at < due) {
				due = at;
				who = i;
			}
		}
	if (e != NULL && e->at <= until && e->at <= due) {
		w->queue = e->next;
		world_now(w, e->at);
		world_arrive(w, e);
		world_event_free(e);
		return true;
	}
	if (due > until)
		return false;
	w->ticks = due > w->now.mono ? 0 : w->ticks + 1;
	assert_in_range(w->ticks, 0, 1000); /* no timer may spin */
	world_now(w, due);
	store_tick(w->nodes[who].store, w->now);
	pool_tick(w->nodes[who].pool, w->now);
	world_drain(w, who);
	return true;
}

void
world_run(struct world *w, nsec span)
{
	nsec until = w->now.mono + span;

	while (world_step(w, until))
		;
	world_now(w, until);
}

nsec
world_until(struct world *w, nsec max, world_cond *cond, const void *arg, const char *what)
{
	nsec from = w->now.mono;

	while (!cond(w, arg)) {
		if (!world_step(w, from + max))
			fail_msg("not within %lld ms: %s", (long long)(max / NSEC_MS), what);
	}
	return w->now.mono - from;
}

void
world_never(struct world *w, nsec span, world_cond *cond, const void *arg, const char *what)
{
	nsec until = w->now.mono + span;

	do {
		if (cond(w, arg))
			fail_msg("at %lld ms: %s", (long long)(w->now.mono / NSEC_MS), what);
	} while (world_step(w, until));
	world_now(w, until);
}

/* Life. */

struct world *
world_new(void)
{
	struct world *w = mem_new(struct world);

	world_now(w, NSEC_SEC);
	w->profile = swim_lan;
	rng_init(&w->rng, 1);
	for (unsigned i = 0; i < WORLD_MAX; i++) {
		struct world_node *n = &w->nodes[i];

		snprintf(n->name, sizeof n->name, "%c", (char)('a' + i));
		n->dc = "dc1";
		n->addr = (struct addr){
			.family = ADDR_V4, .port = 8301, .bytes = { 10, 0, 0, (uint8_t)(i + 1) }
		};
		n->id = (struct uuid){ { (uint8_t)(0x10 + i), 0x11, 0x22, 0x33 } };
		n->cluster = (struct uuid){ { 0xc0, (uint8_t)i } };
		buf_init(&n->story, 1 << 22);
	}
	return w;
}

struct world *
world_of(unsigned count)
{
	struct world *w = world_new();

	for (unsigned i = 0; i < count; i++) {
		world_start(w, i);
		world_service(w, i, "web");
		if (i > 0)
			world_join(w, i, A);
	}
	for (unsigned i = 0; i < count; i++)
		world_until_shown(w, 5 * NSEC_SEC, count, i, SHOWN);
	return w;
}

static void
world_end_process(struct world_node *n)
{
	pool_free(n->pool);
	store_free(n->store);
	n->pool = NULL;
	n->store = NULL;
}

void
world_free(struct world *w)
{
	struct world_event *e;

	for (unsigned i = 0; i < WORLD_MAX; i++) {
		world_end_process(&w->nodes[i]);
		keyring_free(w->nodes[i].keys);
		buf_done(&w->nodes[i].story);
	}
	while ((e = w->queue) != NULL) {
		w->queue = e->next;
		world_event_free(e);
	}
	free(w);
}

static void
world_store(struct world *w, struct world_node *n)
{
	struct store_config config = {
		.self = n->id,
		.cluster = n->cluster,
		.epoch = { n->epoch, world_nonce(w, n) },
		.limits = owner_limits_default,
		.unknown_bytes_max = 1 << 20,
	};
	struct node_info info = { .name = str_of(n->name) };
	char at[ADDR_TEXT_MAX];

	n->store = store_new(&config, w->now);
	index_ceiling_set(store_index(n->store), UINT32_MAX);
	info.address = str_of(addr_format_ip(&n->addr, at));
	store_put_node(n->store, w->now, &n->id, &info, NULL);
}

void
world_start(struct world *w, unsigned node)
{
	static const uint8_t key[] = "0123456789abcdef";
	struct world_node *n = &w->nodes[node];
	char cluster[UUID_TEXT_LEN + 1];
	struct pool_config config = {
		.self = n->id,
		.name = str_of(n->name),
		.advertise = n->addr,
		.meta = { .dc = str_of(n->dc),
		    .build = STR("1.0"),
		    .cluster = str_of(uuid_format(&n->cluster, cluster)),
		    .more = n->more,
		    .more_count = n->more_count },
		.profile = w->profile,
		.reap = w->reap,
		.awaits = n->awaits,
	};

	assert_null(n->pool);
	if (w->encrypt && n->keys == NULL) {
		n->keys = keyring_new();
		keyring_install(n->keys, str_mem(key, 16), NULL);
	}
	if (n->keys != NULL) {
		struct frame_config frame = world_frame(n);

		config.keys = n->keys;
		config.overhead = frame_overhead(&frame);
	}
	n->life++;
	n->ready = n->left = false;
	n->epoch++;
	world_store(w, n);
	config.store = n->store;
	n->pool = pool_new(&config, 1000 * node + n->life, w->now);
	world_drain(w, node);
	store_baseline_end(n->store, w->now);
	pool_changed(n->pool, w->now);
	world_drain(w, node);
}

void
world_kill(struct world *w, unsigned node)
{
	world_end_process(&w->nodes[node]);
	w->nodes[node].life++;
}

void
world_join(struct world *w, unsigned node, unsigned via)
{
	pool_join(w->nodes[node].pool, w->now, &w->nodes[via].addr);
	world_drain(w, node);
	world_run(w, 50 * NSEC_MS);
}

void
world_cut(struct world *w, unsigned one, unsigned other, bool cut)
{
	w->cut[one][other] = w->cut[other][one] = cut;
}

/* Looking at it. */

const char *
world_state(struct world *w, unsigned at, unsigned about)
{
	struct pool_member m;

	if (!pool_member_by_id(w->nodes[at].pool, &w->nodes[about].id, &m))
		return "-";
	return serf_state_name(m.state);
}

static enum world_shown
world_service_shown(struct world *w, unsigned at, unsigned about, const char *id)
{
	const struct catalog *c = store_catalog(w->nodes[at].store);
	struct catalog_node *n = catalog_node_find(c, str_of(w->nodes[about].name));
	struct catalog_check *serf;

	if (n == NULL || catalog_service_find(n, str_of(id)) == NULL)
		return NOT_THERE;
	serf = catalog_check_find(n, STR(CATALOG_SERF_CHECK));
	return serf != NULL && serf->status != CHECK_PASSING ? HIDDEN : SHOWN;
}

enum world_shown
world_shown(struct world *w, unsigned at, unsigned about)
{
	return world_service_shown(w, at, about, "web");
}

struct wish {
	unsigned count, about;
	const char *id;
	enum world_shown shown;
};

static bool
world_wish(struct world *w, const void *arg)
{
	const struct wish *wish = arg;

	for (unsigned i = 0; i < wish->count; i++)
		if (w->nodes[i].pool != NULL && !(i == wish->about && wish->shown != SHOWN) &&
		    world_service_shown(w, i, wish->about, wish->id) != wish->shown)
			return false;
	return true;
}

nsec
world_until_shown(struct world *w, nsec max, unsigned count, unsigned about, enum world_shown shown)
{
	static const char *const words[] = { "not there", "hidden", "shown" };
	struct wish wish = { count, about, "web", shown };

	return world_until(w, max, world_wish, &wish, words[shown]);
}

nsec
world_until_service(struct world *w, unsigned count, unsigned of, const char *id)
{
	struct wish wish = { count, of, id, SHOWN };

	return world_until(w, 3 * NSEC_SEC, world_wish, &wish, id);
}

static bool
world_is_ready(struct world *w, const void *arg)
{
	return w->nodes[*(const unsigned *)arg].ready;
}

nsec
world_until_ready(struct world *w, nsec max, unsigned node)
{
	return world_until(w, max, world_is_ready, &node, "ready");
}

bool
world_told(struct world *w, unsigned node, const char *text)
{
	const struct buf *b = &w->nodes[node].story;

	return b->n > 0 && memmem(b->p, b->n, text, strlen(text)) != NULL;
}

void
world_service(struct world *w, unsigned node, const char *id)
{
	struct world_node *n = &w->nodes[node];
	struct service_info info = {
		.id = str_of(id), .name = str_of(id), .weight_passing = 1, .weight_warning = 1
	};

	assert_int_equal(store_put_service(n->store, w->now, &n->id, &info, NULL), 1);
	pool_changed(n->pool, w->now);
	world_drain(w, node);
}
