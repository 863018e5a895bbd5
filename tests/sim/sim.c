/* tests/sim/sim.c -- see sim.h. Parts: events; the trace; datagrams; streams; an
 * agent's actions; time; faults; looking at it. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"

#define SIM_INBOX_MAX (256 * 1024) /* bytes that wait for a paused process */
#define SIM_PORT 7946

enum sim_event_kind {
	SIM_TICK,
	SIM_DATAGRAM,
	SIM_REFUSED,
	SIM_STREAM_PING,
	SIM_STREAM_ACK,
	SIM_PUSH,
	SIM_PULL,
	SIM_JOIN,
	SIM_STOP,
};

struct sim_event {
	struct net_event due;
	enum sim_event_kind kind;
	size_t from, to;
	unsigned life, from_life; /* of the process it is for; of the one it comes from */
	struct addr addr;         /* DATAGRAM: source; REFUSED, STREAM_*: the other side */
	uint32_t ping;
	nsec until;
	struct str bytes;
	struct arena arena; /* PUSH, PULL: the states */
	struct wire_node_state *states;
	size_t count;
	bool join;
	struct sim_event *next; /* in an inbox */
};

const struct sim_config sim_lan = {
	.agents = 3,
	.seed = 1,
	.latency_min = NSEC_MS,
	.latency_max = 5 * NSEC_MS,
};

/* Events. */

static void
sim_event_free(struct sim_event *e)
{
	free((void *)(uintptr_t)e->bytes.p);
	arena_done(&e->arena);
	free(e);
}

static struct sim_event *
sim_event_new(struct sim *sim, enum sim_event_kind kind, size_t from, size_t to, nsec delay)
{
	struct sim_event *e = mem_new(struct sim_event);

	e->kind = kind;
	e->from = from;
	e->to = to;
	e->due.at = sim->net.now + delay;
	e->life = sim->agents[to].life;
	e->from_life = sim->agents[from].life;
	return e;
}

static void
sim_post(struct sim *sim, struct sim_event *e)
{
	net_post(&sim->net, &e->due, e->due.at);
}

/* The trace. */

static void
sim_tell(struct sim *sim, size_t i, struct str name, const char *what)
{
	if (!sim->config.trace)
		return;
	buf_addf(&sim->trace,
	    "%7.3f %s: ", (double)((sim->net.now - sim->trace_from) / NSEC_MS) / 1000,
	    sim->agents[i].name);
	buf_add(&sim->trace, name);
	buf_addf(&sim->trace, "%s\n", what);
}

static void
sim_news(struct sim *sim, size_t i, const struct swim_action *a)
{
	static const char *const words[] = { " is alive", " is suspect", " is dead", " left" };
	struct sim_agent *agent = &sim->agents[i];
	size_t j = sim_index(sim, a->member.name);

	if (a->joined)
		sim_tell(sim, i, a->member.name, " joined");
	else if (a->was == a->member.state)
		sim_tell(sim, i, a->member.name, " changed");
	else
		sim_tell(sim, i, a->member.name, words[a->member.state]);
	if (j == SIZE_MAX)
		return;
	if (a->member.state == SWIM_ALIVE && agent->view[j] == SWIM_LEFT && sim->agents[j].gone &&
	    agent->view_incarnation[j] >= sim->agents[j].left_incarnation) {
		sim_tell(sim, i, a->member.name, " had left for good");
		sim->resurrected++;
	}
	agent->view_incarnation[j] = a->member.incarnation;
	agent->view[j] = (uint8_t)a->member.state;
}

/* Datagrams. */

static bool
sim_same(const struct addr *a, const struct addr *b)
{
	return addr_eq_ip(a, b) && a->port == b->port;
}

static size_t
sim_at(const struct sim *sim, const struct addr *addr)
{
	size_t i = (size_t)addr->bytes[2] << 8 | addr->bytes[3];

	if (i >= sim->config.agents || !sim_same(addr, &sim->agents[i].addr))
		return SIZE_MAX;
	return i;
}

static void
sim_datagram_post(struct sim *sim, size_t from, size_t to, struct str bytes)
{
	struct sim_event *e = sim_event_new(sim, SIM_DATAGRAM, from, to, net_latency(&sim->net));

	e->addr = sim->agents[from].addr;
	e->bytes = str_mem(str_dup(bytes), bytes.n);
	sim_post(sim, e);
}

static void
sim_datagram_send(struct sim *sim, size_t from, const struct swim_action *a)
{
	size_t to = sim_at(sim, &a->peer);

	sim->datagrams++;
	sim->datagram_bytes += a->bytes.n;
	if (a->bytes.n + sim->config.overhead > WIRE_PACKET_BUDGET)
		sim->over_budget++;
	if (sim->on_sent != NULL)
		sim->on_sent(sim, from, a->bytes);
	if (to == SIZE_MAX || !net_open(&sim->net, from, to) ||
	    net_chance(&sim->net, sim->net.loss)) {
		sim->lost++;
		return;
	}
	sim_datagram_post(sim, from, to, a->bytes);
	if (net_chance(&sim->net, sim->net.twice))
		sim_datagram_post(sim, from, to, a->bytes);
}

static void
sim_refuse(struct sim *sim, const struct sim_event *e)
{
	struct sim_event *r;

	if (sim->config.silent_hosts || sim->agents[e->to].host_down ||
	    !net_open(&sim->net, e->to, e->from) || net_chance(&sim->net, sim->net.loss))
		return;
	r = sim_event_new(sim, SIM_REFUSED, e->to, e->from, net_latency(&sim->net));
	r->addr = sim->agents[e->to].addr;
	r->life = e->from_life;
	sim_post(sim, r);
}

static void
sim_inbox_add(struct sim_agent *agent, struct sim_event *e)
{
	if (agent->inbox_bytes + e->bytes.n > SIM_INBOX_MAX) {
		sim_event_free(e);
		return;
	}
	agent->inbox_bytes += e->bytes.n;
	if (agent->inbox == NULL)
		agent->inbox = e;
	else
		agent->inbox_last->next = e;
	agent->inbox_last = e;
}

static void
sim_inbox_clear(struct sim_agent *agent)
{
	struct sim_event *e;

	while ((e = agent->inbox) != NULL) {
		agent->inbox = e->next;
		sim_event_free(e);
	}
	agent->inbox_bytes = 0;
}

/* Streams: TCP, so nothing is lost on an open way; a cut either way stops it. */

static bool
sim_stream_open(const struct sim *sim, const struct sim_event *e)
{
	const struct sim_agent *to = &sim->agents[e->to];

	return net_open(&sim->net, e->from, e->to) && net_open(&sim->net, e->to, e->from) &&
	       !to->host_down;
}

static void
sim_states_take(struct sim_event *e, const struct swim *swim)
{
	size_t cursor = 0, cap = 0;
	struct wire_node_state n;

	arena_init(&e->arena, (size_t)64 << 20);
	while (swim_state_next(swim, &cursor, &n)) {
		e->states = mem_grow(e->states, e->count, &cap, sizeof n);
		n.name = arena_dup(&e->arena, n.name);
		n.meta = arena_dup(&e->arena, n.meta);
		e->states[e->count++] = n;
	}
}

static void
sim_push(struct sim *sim, size_t from, size_t to, bool join)
{
	struct sim_event *e = sim_event_new(sim, SIM_PUSH, from, to, 2 * net_latency(&sim->net));

	e->join = join;
	sim_states_take(e, sim->agents[from].swim);
	sim_post(sim, e);
}

static void
sim_merge(struct sim *sim, const struct sim_event *e)
{
	struct swim *swim = sim->agents[e->to].swim;

	sim->streams++;
	for (size_t i = 0; i < e->count; i++)
		sim->stream_bytes += e->states[i].name.n + e->states[i].meta.n + 70;
	if (swim_merge_check(swim, e->states, e->count, NULL) != 0)
		sim->merge_refused++;
	else
		swim_merge(swim, sim->net.now, e->states, e->count);
}

static void
sim_push_arrives(struct sim *sim, const struct sim_event *e)
{
	struct sim_event *pull;

	if (!sim_stream_open(sim, e) || sim->agents[e->to].paused)
		return;
	if (sim->agents[e->to].swim == NULL) {
		sim_refuse(sim, e);
		return;
	}
	pull = sim_event_new(sim, SIM_PULL, e->to, e->from, net_latency(&sim->net));
	pull->life = e->from_life;
	sim_states_take(pull, sim->agents[e->to].swim);
	sim_post(sim, pull);
	sim_merge(sim, e);
}

static void
sim_ping_arrives(struct sim *sim, const struct sim_event *e)
{
	struct sim_event *ack;

	if (!sim_stream_open(sim, e) || sim->agents[e->to].paused)
		return;
	if (sim->agents[e->to].swim == NULL) {
		sim_refuse(sim, e);
		return;
	}
	ack = sim_event_new(sim, SIM_STREAM_ACK, e->to, e->from, net_latency(&sim->net));
	ack->life = e->from_life;
	ack->ping = e->ping;
	if (ack->due.at < e->until)
		sim_post(sim, ack);
	else
		sim_event_free(ack);
}

static bool sim_shows(const struct sim *, size_t i, size_t j);

static bool
sim_lonely(const struct sim *sim, size_t i)
{
	for (size_t j = 0; j < sim->config.agents; j++)
		if (j != i && sim_shows(sim, i, j))
			return false;
	return true;
}

/* Everybody has the addresses of all to join. Who knows of nobody alive tries one each second,
 * rather one that knows others; and every half minute or so each tries one that it does not
 * know to be alive: two that found only each other must not stay an island. */
static void
sim_join(struct sim *sim, size_t i)
{
	size_t n = sim->config.agents, at = rng_below(&sim->net.rng, (uint32_t)n), to = n;
	bool now_and_then = rng_below(&sim->net.rng, 30) == 0;

	sim_post(sim, sim_event_new(sim, SIM_JOIN, i, i, NSEC_SEC));
	if (sim->no_rejoin || sim->agents[i].paused || sim->agents[i].leaving ||
	    (!now_and_then && !sim_lonely(sim, i)))
		return;
	for (size_t k = 0; k < n; k++, at = (at + 1) % n) {
		if (at == i || !sim_live(sim, at) || sim_shows(sim, i, at))
			continue;
		if (to == n || !sim_lonely(sim, at))
			to = at;
	}
	if (to < n)
		sim_push(sim, i, to, true);
}

/* An agent's actions. */

static void
sim_act(struct sim *sim, size_t i, const struct swim_action *a)
{
	struct sim_event *e;
	size_t to = sim_at(sim, &a->peer);

	switch (a->kind) {
	case SWIM_SEND:
		sim_datagram_send(sim, i, a);
		break;
	case SWIM_STREAM_PING:
		if (to == SIZE_MAX)
			break;
		e = sim_event_new(sim, SIM_STREAM_PING, i, to, 2 * net_latency(&sim->net));
		e->ping = a->seq;
		e->until = a->until;
		sim_post(sim, e);
		break;
	case SWIM_PUSH_PULL:
		if (to != SIZE_MAX)
			sim_push(sim, i, to, a->join);
		break;
	case SWIM_NEWS:
		sim_news(sim, i, a);
		break;
	case SWIM_CONFLICT:
		sim_tell(sim, i, a->member.name, " is claimed from elsewhere");
		sim->conflicts++; /* one name is one agent here: what ids say in an agent */
		swim_take_over(sim->agents[i].swim, sim->net.now, &a->other);
		break;
	case SWIM_NOTE:
		sim_tell(sim, i, a->bytes, "");
		break;
	case SWIM_USER:
		sim->user_bytes += a->bytes.n;
		break;
	case SWIM_ACKED:
		break;
	}
}

static void
sim_drain(struct sim *sim, size_t i)
{
	struct sim_agent *agent = &sim->agents[i];
	struct swim_action a;
	nsec next;

	if (agent->swim == NULL)
		return;
	while (swim_action_next(agent->swim, &a))
		sim_act(sim, i, &a);
	next = swim_deadline(agent->swim);
	if (next < sim->net.now)
		next = sim->net.now;
	if (agent->tick_at > sim->net.now && agent->tick_at <= next)
		return; /* wakes early enough, and looks again */
	if (agent->tick_at == next)
		return;
	agent->tick_at = next;
	sim_post(sim, sim_event_new(sim, SIM_TICK, i, i, next - sim->net.now));
}

/* Time. */

static void
sim_tick(struct sim *sim, const struct sim_event *e)
{
	struct sim_agent *agent = &sim->agents[e->to];

	if (agent->tick_at != e->due.at || agent->paused)
		return;
	agent->tick_at = 0;
	if (swim_deadline(agent->swim) <= sim->net.now)
		swim_tick(agent->swim, sim->net.now);
}

/* True: the event is kept. */
static bool
sim_arrive(struct sim *sim, struct sim_event *e)
{
	struct sim_agent *agent = &sim->agents[e->to];

	switch (e->kind) {
	case SIM_DATAGRAM:
		if (agent->host_down)
			return false;
		if (agent->swim == NULL) {
			sim_refuse(sim, e);
		} else if (agent->paused) {
			sim_inbox_add(agent, e);
			return true;
		} else {
			swim_input(agent->swim, sim->net.now, &e->addr, e->bytes);
		}
		break;
	case SIM_STREAM_PING:
		sim_ping_arrives(sim, e);
		break;
	case SIM_PUSH:
		sim_push_arrives(sim, e);
		break;
	case SIM_TICK:
	case SIM_REFUSED:
	case SIM_STREAM_ACK:
	case SIM_PULL:
	case SIM_JOIN:
	case SIM_STOP:
		if (agent->swim == NULL || agent->life != e->life)
			return false; /* for a process that is no more */
		if (e->kind == SIM_TICK)
			sim_tick(sim, e);
		else if (e->kind == SIM_STOP)
			sim_crash(sim, e->to);
		else if (e->kind == SIM_JOIN)
			sim_join(sim, e->to);
		else if (e->kind == SIM_REFUSED && !agent->paused) {
			sim->refused++;
			swim_refused(agent->swim, sim->net.now, &e->addr);
		} else if (e->kind == SIM_STREAM_ACK && !agent->paused)
			swim_stream_ack(agent->swim, sim->net.now, e->ping);
		else if (e->kind == SIM_PULL && !agent->paused)
			sim_merge(sim, e);
		break;
	}
	return false;
}

void
sim_run(struct sim *sim, nsec span)
{
	nsec end = sim->net.now + span;
	struct net_event *due;

	while ((due = net_next(&sim->net, end)) != NULL) {
		struct sim_event *e = (struct sim_event *)due;
		size_t to = e->to;

		if (!sim_arrive(sim, e)) {
			if (e->states != NULL)
				free(e->states);
			sim_event_free(e);
		}
		if (!sim->agents[to].paused)
			sim_drain(sim, to);
	}
}

/* Life of the whole. */

static void
sim_address(struct sim *sim, size_t i, unsigned generation)
{
	sim->agents[i].addr = (struct addr){
		.family = ADDR_V4,
		.port = SIM_PORT,
		.bytes = { 10, (uint8_t)generation, (uint8_t)(i >> 8), (uint8_t)i },
	};
}

struct sim *
sim_new(const struct sim_config *config)
{
	struct sim *sim = mem_new(struct sim);
	size_t n = config->agents;

	sim->config = *config;
	if (sim->config.profile.probe_interval == 0)
		sim->config.profile = swim_lan;
	sim->trace_from = SIM_EPOCH;
	net_init(&sim->net, n, config->seed, SIM_EPOCH);
	sim->net.latency_min = config->latency_min;
	sim->net.latency_max = config->latency_max;
	sim->net.loss = config->loss;
	sim->net.twice = config->twice;
	sim->agents = mem_zalloc(n * sizeof *sim->agents);
	buf_init(&sim->trace, 1 << 24);
	for (size_t i = 0; i < n; i++) {
		struct sim_agent *agent = &sim->agents[i];

		if (i < 26)
			snprintf(agent->name, sizeof agent->name, "%c", (char)('a' + i));
		else
			snprintf(agent->name, sizeof agent->name, "n%u", (unsigned)i);
		agent->view = mem_alloc(n);
		agent->view_incarnation = mem_zalloc(n * sizeof *agent->view_incarnation);
		agent->rng_salt = rng_u64(&sim->net.rng);
		sim_address(sim, i, 0);
	}
	return sim;
}

void
sim_free(struct sim *sim)
{
	struct net_event *due;

	if (sim == NULL)
		return;
	while ((due = net_next(&sim->net, NSEC_NEVER)) != NULL) {
		struct sim_event *e = (struct sim_event *)due;

		free(e->states);
		sim_event_free(e);
	}
	for (size_t i = 0; i < sim->config.agents; i++) {
		swim_free(sim->agents[i].swim);
		sim_inbox_clear(&sim->agents[i]);
		free(sim->agents[i].view);
		free(sim->agents[i].view_incarnation);
	}
	free(sim->agents);
	net_done(&sim->net);
	buf_done(&sim->trace);
	free(sim);
}

/* Faults. */

void
sim_start(struct sim *sim, size_t i)
{
	struct sim_agent *agent = &sim->agents[i];
	struct swim_config config = {
		.name = str_of(agent->name),
		.advertise = agent->addr,
		.meta = str_of(agent->name),
		.profile = sim->config.profile,
		.overhead = sim->config.overhead,
		.notes = sim->config.notes,
	};

	if (agent->swim != NULL)
		return;
	agent->life++;
	agent->swim = swim_new(&config, agent->rng_salt + agent->life, sim->net.now);
	agent->paused = agent->leaving = agent->gone = false;
	agent->tick_at = 0;
	memset(agent->view, SIM_NEVER_SEEN, sim->config.agents);
	sim_drain(sim, i);
	sim_join(sim, i);
}

void
sim_start_all(struct sim *sim)
{
	for (size_t i = 0; i < sim->config.agents; i++)
		sim_start(sim, i);
}

void
sim_crash(struct sim *sim, size_t i)
{
	struct sim_agent *agent = &sim->agents[i];

	if (agent->swim == NULL)
		return;
	swim_free(agent->swim);
	agent->swim = NULL;
	agent->gone = agent->leaving;
	agent->leaving = agent->paused = false;
	sim_inbox_clear(agent);
}

void
sim_leave(struct sim *sim, size_t i)
{
	struct sim_agent *agent = &sim->agents[i];
	struct swim_member self;

	if (!sim_live(sim, i) || agent->paused)
		return;
	agent->leaving = true;
	swim_member_find(agent->swim, str_of(agent->name), &self);
	agent->left_incarnation = self.incarnation;
	swim_leave(agent->swim, sim->net.now);
	sim_drain(sim, i);
	sim_post(sim, sim_event_new(sim, SIM_STOP, i, i, 3 * NSEC_SEC));
}

void
sim_move(struct sim *sim, size_t i)
{
	if (sim->agents[i].swim == NULL)
		sim_address(sim, i, sim->agents[i].addr.bytes[1] + 1u);
}

void
sim_pause(struct sim *sim, size_t i)
{
	if (sim->agents[i].swim != NULL)
		sim->agents[i].paused = true;
}

/* As after SIGCONT: what waits in the socket is read before timers are looked at. */
void
sim_resume(struct sim *sim, size_t i)
{
	struct sim_agent *agent = &sim->agents[i];
	struct sim_event *e;

	if (!agent->paused)
		return;
	agent->paused = false;
	while ((e = agent->inbox) != NULL) {
		agent->inbox = e->next;
		swim_input(agent->swim, sim->net.now, &e->addr, e->bytes);
		sim_event_free(e);
	}
	agent->inbox_bytes = 0;
	swim_tick(agent->swim, sim->net.now);
	agent->tick_at = 0;
	sim_drain(sim, i);
}

void
sim_heal(struct sim *sim)
{
	net_uncut(&sim->net);
	for (size_t i = 0; i < sim->config.agents; i++) {
		sim->agents[i].host_down = false;
		sim_resume(sim, i);
	}
}

void
sim_meta(struct sim *sim, size_t i, struct str meta)
{
	if (!sim_live(sim, i) || sim->agents[i].paused)
		return;
	swim_meta_set(sim->agents[i].swim, sim->net.now, meta);
	sim_drain(sim, i);
}

void
sim_inject(struct sim *sim, size_t to, const struct addr *from, struct str bytes)
{
	swim_input(sim->agents[to].swim, sim->net.now, from, bytes);
	sim_drain(sim, to);
}

/* Looking at it. */

size_t
sim_index(const struct sim *sim, struct str name)
{
	uint64_t i;

	if (name.n == 1 && name.p[0] >= 'a' && name.p[0] <= 'z')
		i = (uint64_t)(name.p[0] - 'a');
	else if (name.n < 2 || name.p[0] != 'n' || !str_u64(str_skip(name, 1), SIM_AGENTS_MAX, &i))
		return SIZE_MAX;
	return i < sim->config.agents ? (size_t)i : SIZE_MAX;
}

bool
sim_live(const struct sim *sim, size_t i)
{
	return sim->agents[i].swim != NULL && !sim->agents[i].leaving;
}

static bool
sim_shows(const struct sim *sim, size_t i, size_t j)
{
	struct swim_member m;

	return swim_member_find(sim->agents[i].swim, str_of(sim->agents[j].name), &m) &&
	       m.state <= SWIM_SUSPECT;
}

bool
sim_agreed(const struct sim *sim)
{
	for (size_t i = 0; i < sim->config.agents; i++) {
		if (!sim_live(sim, i))
			continue;
		for (size_t j = 0; j < sim->config.agents; j++)
			if (sim_shows(sim, i, j) != sim_live(sim, j))
				return false;
	}
	return true;
}

bool
sim_all_know_gone(const struct sim *sim, size_t j)
{
	for (size_t i = 0; i < sim->config.agents; i++)
		if (sim_live(sim, i) && i != j && sim_shows(sim, i, j))
			return false;
	return true;
}

struct str
sim_trace(const struct sim *sim)
{
	return buf_str(&sim->trace);
}

void
sim_trace_begin(struct sim *sim)
{
	sim->trace_from = sim->net.now;
	buf_clear(&sim->trace);
}
