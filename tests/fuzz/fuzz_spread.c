/* Arbitrary bytes as everything that other agents send to a spread: datagrams, requests and
 * answers of streams, push/pull state. The first byte says how the rest is cut and given. Whatever
 * comes, the store stays in order and what is sent stays within its limits. */
#include "kv/delta.h"
#include "kv/spread.h"
#include "tests/fuzz/fuzz.h"

static const struct uuid self = { { 1 } }, peer = { { 2 } }, other = { { 0xf3 } },
			 cluster = { { 9 } };
static const struct now start = { NSEC_SEC, 1800000000000 };

struct world {
	struct store *store;
	struct spread *spread;
	struct now now;
	uint64_t ask; /* the last one under way; 0: none */
	size_t actions;
};

static void
drain(struct world *w)
{
	struct spread_action a;

	while (spread_action_next(w->spread, &a)) {
		FUZZ_ASSERT(a.kind != SPREAD_SEND || a.bytes.n <= SPREAD_DATAGRAM_MAX);
		if (a.kind == SPREAD_ASK)
			w->ask = a.ask;
		FUZZ_ASSERT(++w->actions < 100000);
	}
}

static struct world
world_new(void)
{
	struct store_config config = {
		.self = self,
		.cluster = cluster,
		.epoch = { 3, 33 },
		.limits = { 1000, 1 << 20, 4 },
		.unknown_bytes_max = 64 * 1024,
	};
	struct world w = { .now = start };
	struct store_needs needs;
	struct record r = { 200, false, 2, STR("a"), STR("1") };

	w.store = store_new(&config, w.now);
	store_put(w.store, w.now, &self, 200, STR("mine"), STR("1"), NULL);
	store_baseline_end(w.store, w.now);
	store_member(w.store, w.now, &peer, STORE_MEMBER_ALIVE, 0);
	store_member(w.store, w.now, &other, STORE_MEMBER_FAILED, 0);
	store_baseline(w.store, w.now, &peer, (struct epoch){ 1, 11 }, 0, &needs);
	store_push(w.store, w.now, &peer, (struct epoch){ 1, 11 }, &r, &needs);
	w.spread = spread_new(&(struct spread_config){ .store = w.store, .self = self }, 1, w.now);
	spread_peer(w.spread, w.now, &peer, SPREAD_UP);
	spread_peer(w.spread, w.now, &other, SPREAD_DOUBTFUL);
	drain(&w);
	store_put(w.store, w.now, &self, 200, STR("mine"), STR("2"), NULL);
	spread_changed(w.spread, w.now);
	spread_sync(w.spread, w.now, &peer);
	drain(&w);
	return w;
}

static void
give(struct world *w, unsigned how, struct str bytes)
{
	struct buf answer;

	switch (how) {
	case 0:
		spread_input(w->spread, w->now, bytes);
		break;
	case 1:
		buf_init(&answer, 1 << 20);
		spread_request(w->spread, w->now, bytes, &answer, NULL);
		buf_done(&answer);
		break;
	case 2:
		spread_answer(w->spread, w->now, w->ask, bytes, false);
		break;
	default:
		spread_digest_read(w->spread, w->now, bytes);
	}
	drain(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = rd_of(str_mem(data, size));
	struct world w = world_new();
	struct digest d;
	size_t cursor = 0;

	while (rd_left(&r) > 2) { /* how, length (be16), bytes; the last piece may be cut */
		unsigned how = rd_u8(&r);
		size_t n = rd_be16(&r);

		if (n > rd_left(&r))
			n = rd_left(&r);
		give(&w, how & 3, rd_str(&r, n));
		if (how & 4) {
			w.now.mono += NSEC_SEC;
			spread_tick(w.spread, w.now);
			drain(&w);
		}
	}
	while (store_digest_next(w.store, &cursor, &d))
		FUZZ_ASSERT(owner_floor(store_owner(w.store, &d.owner)) <= d.number);
	spread_free(w.spread);
	store_free(w.store);
	return 0;
}
