/* Messages of other agents to a server that leads and to an agent without a copy: a byte that says
 * to whom and from whom, two of length, the message. No crash, no endless work, every answer once.
 */
#include "agent/server/cluster.h"
#include "base/cursor.h"
#include "tests/fuzz/fuzz.h"

#define STEPS_MAX 4096

static const struct uuid self = { { 1 } }, others[] = { { { 2 } }, { { 3 } } };

struct target {
	struct store *store;
	struct cluster *cluster;
	struct now now;
	uint64_t write;
	unsigned answers;
};

static void
drain(struct target *t)
{
	struct cluster_action a;
	unsigned steps = 0;
	uint64_t last = 0;

	while (cluster_action_next(t->cluster, &a)) {
		FUZZ_ASSERT(++steps < STEPS_MAX);
		if (a.kind == CLUSTER_RAFT && a.raft.kind == RAFT_CORE_APPEND)
			last = a.raft.entry.index;
		t->answers += a.kind == CLUSTER_ANSWER && a.request == t->write;
	}
	if (last == 0)
		return;
	cluster_durable(t->cluster, t->now, last);
	drain(t);
}

static struct target
target_new(bool server)
{
	struct target t = { .now = { 100 * NSEC_SEC, 1700000000000 } };
	struct store_config store = { .self = self,
		.cluster = { { 9 } },
		.epoch = { 1, 7 },
		.limits = owner_limits_default };
	struct cluster_config config = { .self = self,
		.epoch = { 1, 7 },
		.server = server,
		.bootstrap = server,
		.suspicion_max = NSEC_SEC };
	struct fsm_op op = { .command = FSM_KV, .kv_count = 1 };

	t.store = store_new(&store, t.now);
	config.store = t.store;
	config.watches = store_watches(t.store);
	FUZZ_ASSERT(cluster_new(&config, NULL, 42, t.now, &t.cluster, NULL) == 0);
	drain(&t);
	for (size_t i = 0; i < 2; i++)
		cluster_member_set(t.cluster, t.now,
		    &(struct cluster_member){ .agent = others[i],
			.cluster = { { 7 } },
			.raft_id = 5 + i,
			.server = true,
			.alive = true,
			.formed = true,
			.version = 1 });
	op.kv[0] = (struct kv_op){ .verb = KV_SET, .key = STR("a") };
	t.write = cluster_write(t.cluster, t.now, &op);
	drain(&t);
	return t;
}

static void
feed(struct target *t, const struct uuid *from, struct str bytes)
{
	struct err err = { 0 };

	t->now.mono += 10 * NSEC_MS;
	FUZZ_ASSERT(
	    cluster_input(t->cluster, t->now, from, bytes, &err) == 0 || err.text[0] != '\0');
	drain(t);
	if (cluster_deadline(t->cluster) <= t->now.mono)
		cluster_tick(t->cluster, t->now);
	drain(t);
	FUZZ_ASSERT(t->answers <= 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target targets[2] = { target_new(true), target_new(false) };
	struct reader r = rd_of(str_mem(data, size));

	while (rd_left(&r) > 0) {
		uint8_t who = rd_u8(&r);
		struct str bytes = rd_str(&r, rd_be16(&r));

		if (rd_ok(&r))
			feed(&targets[who & 1], &others[who >> 1 & 1], bytes);
	}
	for (size_t i = 0; i < 2; i++) {
		cluster_free(targets[i].cluster);
		store_free(targets[i].store);
	}
	return 0;
}
