/* tests/sim/raft_sim_client.c -- what clients and those who run the servers ask, and what they see.
 */
#include "tests/sim/raft_sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/sim/raft_sim_priv.h"

#define CLIENTS 8

static struct raft_sim_request *
request_new(struct raft_sim *sim, size_t i)
{
	sim->requests =
	    mem_grow(sim->requests, sim->request_count, &sim->request_cap, sizeof *sim->requests);
	sim->requests[sim->request_count] = (struct raft_sim_request){ .server = i, .open = true };
	return &sim->requests[sim->request_count++];
}

static uint64_t
requested(struct raft_sim *sim, size_t i, int code)
{
	uint64_t number = sim->request_count;

	if (code != 0) {
		sim->requests[number - 1].open = false;
		sim->requests[number - 1].code = code;
	}
	raft_sim_drain(sim, i);
	return code == 0 ? number : 0;
}

static struct str
key_text(uint64_t key, char out[24])
{
	snprintf(out, 24, "k%" PRIu64, key);
	return str_of(out);
}

uint64_t
raft_sim_write(struct raft_sim *sim, size_t i, uint64_t key, struct err *err)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	struct raft_sim_request *r = request_new(sim, i);
	struct buf bytes;
	char name[24];
	char *value = mem_zalloc(24 + sim->config.value_size);
	int code;

	r->kind = SIM_WRITE;
	r->key = key;
	op->command = FSM_KV;
	memset(op->agent.b, 0x10 + (int)(key % CLIENTS), sizeof op->agent.b);
	op->epoch = (struct epoch){ 1, 7 };
	op->request = key / CLIENTS + 1;
	op->kv_count = 1;
	op->kv[0].verb = KV_SET;
	op->kv[0].key = key_text(key, name);
	snprintf(value, 24, "%zu", sim->request_count); /* each try is another */
	op->kv[0].value =
	    sim->config.value_size > 0 ? str_mem(value, sim->config.value_size) : str_of(value);
	buf_init(&bytes, DATA_MAX);
	code = fsm_op_write(&bytes, op, err);
	assert(code == 0);
	code = raft_core_submit(
	    sim->servers[i].core, raft_sim_now(sim), sim->request_count, buf_str(&bytes), err);
	buf_done(&bytes);
	free(op);
	free(value);
	return requested(sim, i, code);
}

uint64_t
raft_sim_read(struct raft_sim *sim, size_t i, struct err *err)
{
	struct raft_sim_request *r = request_new(sim, i);

	r->kind = SIM_READ;
	r->floor = sim->acknowledged;
	return requested(sim, i,
	    raft_core_read(sim->servers[i].core, raft_sim_now(sim), sim->request_count, err));
}

uint64_t
raft_sim_wait(struct raft_sim *sim, size_t i, struct err *err)
{
	struct raft_sim_request *r = request_new(sim, i);

	r->kind = SIM_WAIT;
	r->floor = sim->acknowledged;
	return requested(
	    sim, i, raft_core_wait(sim->servers[i].core, sim->request_count, r->floor, err));
}

void
raft_sim_forget(struct raft_sim *sim, uint64_t request)
{
	struct raft_sim_request *r = &sim->requests[request - 1];

	if (!r->open)
		return;
	raft_core_forget(sim->servers[r->server].core, request);
	r->open = false; /* an answer now is one too many */
	r->code = ERR_STATE;
	raft_sim_drain(sim, r->server);
}

uint64_t
raft_sim_change(
    struct raft_sim *sim, size_t i, enum raft_sim_change what, size_t of, struct err *err)
{
	struct raft_core *core = sim->servers[i].core;
	const struct raft_sim_server *s = &sim->servers[of];
	struct raft_sim_request *r = request_new(sim, i);
	uint64_t number = sim->request_count;
	int code = 0;

	r->kind = SIM_CHANGE;
	raft_sim_say(sim, "%zu: request %" PRIu64 " %s %" PRIu64, i, number,
	    what == SIM_ADD       ? "add"
	    : what == SIM_PROMOTE ? "promote"
				  : "remove",
	    s->id);
	switch (what) {
	case SIM_ADD:
		code = raft_core_add(core, raft_sim_now(sim), number, s->id, &s->agent, err);
		break;
	case SIM_PROMOTE:
		code = raft_core_promote(core, raft_sim_now(sim), number, s->id, err);
		break;
	case SIM_REMOVE:
		code = raft_core_remove(core, raft_sim_now(sim), number, s->id, err);
		break;
	}
	return requested(sim, i, code);
}

size_t
raft_sim_leading(const struct raft_sim *sim)
{
	size_t best = RAFT_SIM_SERVERS;
	uint64_t term = 0;

	for (size_t i = 0; i < RAFT_SIM_SERVERS; i++) {
		struct raft_core_status st;

		if (sim->servers[i].core == NULL)
			continue;
		st = raft_core_status(sim->servers[i].core, raft_sim_now(sim));
		if (st.leader && st.term > term) {
			term = st.term;
			best = i;
		}
	}
	return best;
}

bool
raft_sim_has(const struct raft_sim *sim, size_t i, uint64_t key)
{
	char name[24];

	return key_find(fsm_keys(sim->servers[i].fsm), key_text(key, name)) != NULL;
}

bool
raft_sim_set_once(const struct raft_sim *sim, size_t i, uint64_t key)
{
	char name[24];
	const struct key_entry *e = key_find(fsm_keys(sim->servers[i].fsm), key_text(key, name));

	return e != NULL && e->create == e->modify;
}

static void
state_bytes(struct raft_sim *sim, size_t i, struct buf *out)
{
	struct fsm_snapshot *s = fsm_snapshot_new(sim->servers[i].fsm);

	while (fsm_snapshot_next(s, 65536, out))
		;
	fsm_snapshot_free(s);
}

/* Who runs and is in the leader's configuration. */
static size_t
members(struct raft_sim *sim, size_t out[RAFT_SIM_SERVERS])
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	size_t leader = raft_sim_leading(sim), n, count = 0;

	if (leader == RAFT_SIM_SERVERS)
		return 0;
	n = raft_core_servers(sim->servers[leader].core, servers);
	for (size_t k = 0; k < n; k++) {
		size_t i = raft_sim_slot(sim, servers[k].id);

		if (i < RAFT_SIM_SERVERS && sim->servers[i].core != NULL)
			out[count++] = i;
	}
	return count;
}

bool
raft_sim_agreed(struct raft_sim *sim, void *arg)
{
	size_t who[RAFT_SIM_SERVERS], n = members(sim, who);
	uint64_t applied = n == 0 ? 0 : fsm_raft_index(sim->servers[who[0]].fsm);
	struct buf a, b;
	bool same = n > 0;

	(void)arg;
	if (n > 0) {
		struct raft_core_status st =
		    raft_core_status(sim->servers[raft_sim_leading(sim)].core, raft_sim_now(sim));

		if (!st.led_long || st.applied != st.last)
			return false;
	}
	for (size_t k = 1; k < n; k++)
		if (fsm_raft_index(sim->servers[who[k]].fsm) != applied)
			return false;
	buf_init(&a, DATA_MAX);
	buf_init(&b, DATA_MAX);
	if (n > 0)
		state_bytes(sim, who[0], &a);
	for (size_t k = 1; k < n && same; k++) {
		buf_clear(&b);
		state_bytes(sim, who[k], &b);
		same = str_eq(buf_str(&a), buf_str(&b));
	}
	buf_done(&a);
	buf_done(&b);
	return same;
}
