/* tests/unit/cluster_one.h -- one cluster core fed by hand, with a disk in memory. */
#ifndef TESTS_UNIT_CLUSTER_ONE_H
#define TESTS_UNIT_CLUSTER_ONE_H

#include "agent/server/cluster.h"
#include "agent/server/cluster_wire.h"
#include "base/mem.h"
#include "tests/unit/test.h"

#define ONE_ANSWERS 64
#define ONE_SENT 64

static const struct uuid one_self = { { 1 } }, one_peer = { { 2 } }, one_third = { { 3 } };

struct one {
	struct cluster *cluster;
	struct store *store;
	struct now now;
	struct raft_vote vote; /* on the disk */
	uint64_t last;         /* entry on the disk */
	bool slow_disk;        /* nothing becomes durable by itself */
	struct uuid cluster_id;
	uint64_t raft_id;
	bool formed;
	struct uuid leader;
	unsigned applied, founded, asked, dropped, errors;
	uint64_t asked_request;
	struct one_answer {
		uint64_t request, index;
		int code;
		char bytes[128];
		size_t n;
	} answers[ONE_ANSWERS];
	size_t answer_count;
	struct one_sent {
		struct uuid to;
		char bytes[512];
		size_t n;
	} sent[ONE_SENT];
	size_t sent_count;
};

static inline struct store *
one_store(struct now now)
{
	struct store_config config = {
		.self = one_self,
		.cluster = { { 9 } },
		.epoch = { 1, 77 },
		.limits = owner_limits_default,
		.unknown_bytes_max = 64 * 1024,
	};
	struct store *s = store_new(&config, now);

	index_ceiling_set(store_index(s), UINT32_MAX);
	return s;
}

static inline void
one_act(struct one *o, const struct cluster_action *a)
{
	struct one_answer *answer;
	struct one_sent *sent;

	switch (a->kind) {
	case CLUSTER_SEND:
		assert_true(o->sent_count < ONE_SENT);
		sent = &o->sent[o->sent_count++];
		sent->to = a->agent;
		sent->n = a->bytes.n < sizeof sent->bytes ? a->bytes.n : sizeof sent->bytes;
		memcpy(sent->bytes, a->bytes.p, sent->n);
		break;
	case CLUSTER_RAFT:
		if (a->raft.kind == RAFT_CORE_VOTE)
			o->vote = a->vote;
		else if (a->raft.kind == RAFT_CORE_APPEND)
			o->last = a->raft.entry.index;
		else if (a->raft.kind == RAFT_CORE_TRUNCATE)
			o->last = a->raft.index - 1;
		break;
	case CLUSTER_FOUNDED:
		o->founded++;
		o->vote = a->vote;
		o->last = 0;
		break;
	case CLUSTER_TAGS:
		o->cluster_id = a->cluster;
		o->raft_id = a->raft_id;
		o->formed = a->formed;
		break;
	case CLUSTER_ANSWER:
		assert_true(o->answer_count < ONE_ANSWERS);
		answer = &o->answers[o->answer_count++];
		answer->request = a->request;
		answer->index = a->index;
		answer->code = a->code;
		answer->n = a->code == 0 ? a->bytes.n : a->text.n;
		assert_true(answer->n < sizeof answer->bytes);
		if (answer->n > 0)
			memcpy(answer->bytes, a->code == 0 ? a->bytes.p : a->text.p, answer->n);
		break;
	case CLUSTER_ASKED:
		o->asked++;
		o->asked_request = a->request;
		break;
	case CLUSTER_DROPPED:
		o->dropped++;
		break;
	case CLUSTER_APPLIED:
		o->applied++;
		break;
	case CLUSTER_LEADER:
		o->leader = a->agent;
		break;
	case CLUSTER_LOG:
		o->errors += a->level == LOG_LEVEL_ERROR;
		break;
	}
}

static inline void
one_drain(struct one *o)
{
	struct cluster_action a;
	uint64_t told;

	do {
		told = o->last;
		while (cluster_action_next(o->cluster, &a))
			one_act(o, &a);
		if (!o->slow_disk)
			cluster_durable(o->cluster, o->now, o->last);
		while (cluster_action_next(o->cluster, &a))
			one_act(o, &a);
	} while (told != o->last);
}

/* Time goes on, by what the core itself wants to wake up for. */
static inline void
one_run(struct one *o, nsec span)
{
	nsec end = o->now.mono + span;

	for (;;) {
		nsec due = cluster_deadline(o->cluster);

		if (due > end)
			break;
		if (due > o->now.mono)
			o->now.mono = due;
		cluster_tick(o->cluster, o->now);
		one_drain(o);
	}
	o->now.mono = end;
}

static inline struct one
one_new(struct cluster_config config)
{
	struct one o = { .now = { 100 * NSEC_SEC, 1700000000000 } };

	o.store = one_store(o.now);
	config.store = o.store;
	config.self = one_self;
	config.epoch = (struct epoch){ 1, 77 };
	config.suspicion_max = 10 * NSEC_SEC;
	config.watches = store_watches(o.store);
	assert_int_equal(cluster_new(&config, NULL, 42, o.now, &o.cluster, NULL), 0);
	return o;
}

static inline void
one_free(struct one *o)
{
	cluster_free(o->cluster);
	store_free(o->store);
}

static inline const struct one_answer *
one_answer(const struct one *o, uint64_t request) /* NULL: none; fails when there are two */
{
	const struct one_answer *found = NULL;

	for (size_t i = 0; i < o->answer_count; i++)
		if (o->answers[i].request == request) {
			assert_null(found);
			found = &o->answers[i];
		}
	return found;
}

static inline uint64_t
one_put(struct one *o, const char *key, const char *value)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	uint64_t request;

	op->command = FSM_KV;
	op->kv_count = 1;
	op->kv[0] = (struct kv_op){ KV_SET, str_of(key), str_of(value), 0, 0, STR_NONE };
	request = cluster_write(o->cluster, o->now, op);
	free(op);
	return request;
}

static inline void
one_member(struct one *o, const struct cluster_member *m)
{
	cluster_member_set(o->cluster, o->now, m);
	one_drain(o);
}

static inline void
one_input(struct one *o, const struct uuid *from, const struct cluster_wire *m, int code)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	cluster_wire_write(&b, m);
	assert_int_equal(cluster_input(o->cluster, o->now, from, buf_str(&b), NULL), code);
	buf_done(&b);
	one_drain(o);
}

/* The newest message of a kind to somebody. */
static inline bool
one_sent(
    struct one *o, const struct uuid *to, enum cluster_wire_kind kind, struct cluster_wire *out)
{
	for (size_t i = o->sent_count; i-- > 0;)
		if (uuid_eq(&o->sent[i].to, to) &&
		    cluster_wire_read(str_mem(o->sent[i].bytes, o->sent[i].n), out, NULL) == 0 &&
		    out->kind == kind)
			return true;
	return false;
}

#endif
