/* tests/sim/cluster_sim.c -- hosts and time; see cluster_sim.h. */
#include "tests/sim/cluster_sim_priv.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

#define GOSSIP_EVERY (200 * NSEC_MS)

/* Small things. */

struct now
csim_now(const struct cluster_sim *sim)
{
	return (struct now){ sim->net.now, 1700000000000 + sim->net.now / NSEC_MS };
}

nsec
csim_between(struct cluster_sim *sim, nsec min, nsec max)
{
	return min + (nsec)(rng_u64(&sim->net.rng) % (uint64_t)(max - min + 1));
}

bool
csim_one_in(struct cluster_sim *sim, uint32_t n)
{
	return rng_below(&sim->net.rng, n) == 0;
}

void
cluster_sim_say(struct cluster_sim *sim, size_t i, const char *fmt, ...)
{
	va_list ap;

	if (!sim->config.trace)
		return;
	fprintf(stderr, "%8.3f %s: ", (double)(sim->net.now - CLUSTER_SIM_START) / NSEC_SEC,
	    sim->hosts[i].name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void
cluster_sim_fail(struct cluster_sim *sim, const char *fmt, ...)
{
	va_list ap;

	if (sim->broken[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(sim->broken, sizeof sim->broken, fmt, ap);
	va_end(ap);
}

bool
cluster_sim_up(const struct cluster_sim *sim, size_t i)
{
	return sim->hosts[i].cluster != NULL;
}

size_t
cluster_sim_leader(const struct cluster_sim *sim)
{
	for (size_t i = 0; i < sim->config.hosts; i++)
		if (cluster_sim_up(sim, i) && !sim->hosts[i].paused &&
		    cluster_status(sim->hosts[i].cluster, csim_now(sim)).leader)
			return i;
	return SIZE_MAX;
}

/* Events. */

struct csim_event *
csim_post(struct cluster_sim *sim, enum csim_event_kind kind, size_t host, nsec at)
{
	struct csim_event *e = mem_new(struct csim_event);

	e->kind = kind;
	e->host = host;
	e->life = sim->hosts[host].life;
	net_post(&sim->net, &e->net, at);
	return e;
}

static void
event_free(struct csim_event *e)
{
	if (e->kind == CSIM_MESSAGE) {
		buf_done(&e->message.bytes);
		buf_done(&e->message.data);
	}
	free(e);
}

static void
tick_arm(struct cluster_sim *sim, size_t i)
{
	struct csim_host *h = &sim->hosts[i];
	nsec due = cluster_deadline(h->cluster);

	if (due == NSEC_NEVER)
		return;
	if (due < sim->net.now)
		due = sim->net.now;
	if (h->tick_at != 0 && h->tick_at <= due)
		return;
	h->tick_at = due;
	csim_post(sim, CSIM_TICK, i, due);
}

static void
host_tick(struct cluster_sim *sim, size_t i)
{
	struct csim_host *h = &sim->hosts[i];

	if (h->tick_at == 0 || h->tick_at > sim->net.now)
		return; /* armed for an earlier moment since, and done then */
	h->tick_at = 0;
	if (cluster_deadline(h->cluster) <= sim->net.now)
		cluster_tick(h->cluster, csim_now(sim));
	csim_drain(sim, i);
}

static void
event_do(struct cluster_sim *sim, struct csim_event *e)
{
	switch (e->kind) {
	case CSIM_TICK:
		host_tick(sim, e->host);
		break;
	case CSIM_MESSAGE:
		csim_message(sim, e);
		break;
	case CSIM_SYNCED:
		csim_disk_synced(sim, e->host);
		break;
	case CSIM_STORED:
		csim_disk_stored(sim, e->host);
		break;
	case CSIM_LOST:
		csim_lost(sim, e->host, e->other);
		break;
	case CSIM_GOSSIP:
		csim_gossip(sim, e->host);
		csim_check_sessions(sim, e->host);
		csim_post(sim, CSIM_GOSSIP, e->host,
		    sim->net.now + csim_between(sim, GOSSIP_EVERY / 2, GOSSIP_EVERY * 3 / 2));
		break;
	case CSIM_CLIENT:
		break;
	}
}

/* A stopped process does not see what happens until it goes on; then it sees it in order. */
static void
event_take(struct cluster_sim *sim, struct csim_event *e)
{
	struct csim_host *h = &sim->hosts[e->host];

	if (e->kind == CSIM_CLIENT)
		csim_client(sim, e->other);
	else if (h->cluster == NULL || e->life != h->life) {
		if (e->kind == CSIM_MESSAGE)
			csim_message(sim, e); /* is refused */
	} else if (h->paused) {
		*h->inbox_end = e;
		h->inbox_end = &e->next;
		return;
	} else
		event_do(sim, e);
	event_free(e);
}

void
cluster_sim_run(struct cluster_sim *sim, nsec span)
{
	nsec end = sim->net.now + span;
	struct net_event *e;

	while (sim->broken[0] == '\0' && (e = net_next(&sim->net, end)) != NULL)
		event_take(sim, (struct csim_event *)(void *)e);
}

/* Actions. */

static void
act(struct cluster_sim *sim, size_t i, const struct cluster_action *a)
{
	struct csim_host *h = &sim->hosts[i];

	switch (a->kind) {
	case CLUSTER_SEND:
		csim_send(sim, i, a, false);
		break;
	case CLUSTER_RAFT:
		if (a->raft.kind == RAFT_CORE_SEND_SNAPSHOT)
			csim_send(sim, i, a, true);
		else
			csim_disk_raft(sim, i, a);
		if (a->raft.kind == RAFT_CORE_APPEND)
			csim_check_entry(sim, i, &a->raft.entry);
		break;
	case CLUSTER_FOUNDED:
		csim_disk_found(sim, i, &a->vote);
		break;
	case CLUSTER_TAGS:
		h->tags = (struct csim_tags){ a->cluster, a->raft_id, a->formed };
		csim_check_tags(sim, i);
		break;
	case CLUSTER_ANSWER:
		csim_answer(sim, i, a);
		break;
	case CLUSTER_ASKED:
		csim_asked(sim, i, a);
		break;
	case CLUSTER_DROPPED:
		csim_dropped(sim, i, a);
		break;
	case CLUSTER_APPLIED:
		break;
	case CLUSTER_LEADER:
		break;
	case CLUSTER_LOG:
		cluster_sim_say(sim, i, STR_FMT, STR_ARG(a->text));
		break;
	}
}

void
csim_drain(struct cluster_sim *sim, size_t i)
{
	struct csim_host *h = &sim->hosts[i];
	struct cluster_action a;
	bool leads;

	while (h->cluster != NULL && cluster_action_next(h->cluster, &a))
		act(sim, i, &a);
	leads = cluster_status(h->cluster, csim_now(sim)).leader;
	if (!leads)
		h->leading_since = 0;
	else if (h->leading_since == 0)
		h->leading_since = sim->net.now;
	tick_arm(sim, i);
}

/* Processes. */

void
cluster_sim_start(struct cluster_sim *sim, size_t i)
{
	struct csim_host *h = &sim->hosts[i];
	struct raft_log_entry *entries = NULL;
	struct cluster_disk found, *disk;
	struct store_config store = { .self = h->agent,
		.cluster = { { 99 } },
		.limits = owner_limits_default,
		.unknown_bytes_max = 1 << 20 };
	struct cluster_config config = { .self = h->agent,
		.server = h->server,
		.expect = h->server ? sim->config.expect : 0,
		.bootstrap = i == 0 && sim->config.expect == 0,
		.suspicion_max = CLUSTER_SIM_SUSPICION,
		.snapshot_entries = sim->config.snapshot_entries,
		.notes = sim->config.trace && getenv("NOTES") != NULL };
	struct err err = { 0 };

	assert(h->cluster == NULL && !h->left);
	h->life++;
	h->tick_at = 0;
	h->leading_since = 0;
	memset(h->http, 0, sizeof h->http);
	memset(h->views, 0, sizeof h->views);
	memset(&h->tags, 0, sizeof h->tags);
	store.epoch = config.epoch = (struct epoch){ h->life, rng_u64(&sim->net.rng) };
	h->store = store_new(&store, csim_now(sim));
	index_ceiling_set(store_index(h->store), UINT32_MAX);
	csim_records(sim, i);
	store_baseline_end(h->store, csim_now(sim));
	config.store = h->store;
	config.watches = store_watches(h->store);
	disk = csim_disk_read(sim, i, &found, &entries, config.watches);
	if (cluster_new(&config, disk, rng_u64(&sim->net.rng), csim_now(sim), &h->cluster, &err) <
	    0) {
		cluster_sim_fail(sim, "%s does not start: %s", h->name, err.text);
		store_free(h->store);
		h->store = NULL;
	}
	free(entries);
	cluster_sim_say(sim, i, "starts");
	if (h->cluster == NULL)
		return;
	cluster_synced(h->cluster, csim_now(sim));
	csim_post(sim, CSIM_GOSSIP, i, sim->net.now + csim_between(sim, 0, GOSSIP_EVERY));
	csim_drain(sim, i);
}

static void
inbox_drop(struct csim_host *h)
{
	struct csim_event *e;

	while ((e = h->inbox) != NULL) {
		h->inbox = e->next;
		event_free(e);
	}
	h->inbox_end = &h->inbox;
}

static void
outbox_drop(struct csim_host *h)
{
	for (size_t k = 0; k < h->out; k++) {
		buf_done(&h->outbox[k].bytes);
		buf_done(&h->outbox[k].data);
	}
	h->out = 0;
}

void
cluster_sim_crash(struct cluster_sim *sim, size_t i)
{
	struct csim_host *h = &sim->hosts[i];

	if (h->cluster == NULL)
		return;
	cluster_sim_say(sim, i, "crashes");
	cluster_free(h->cluster);
	h->cluster = NULL;
	store_free(h->store);
	h->store = NULL;
	h->paused = false;
	inbox_drop(h);
	outbox_drop(h);
	csim_disk_crash(sim, i);
	csim_gone(sim, i);
	csim_host_gone(sim, i);
}

void
cluster_sim_pause(struct cluster_sim *sim, size_t i)
{
	if (cluster_sim_up(sim, i) && !sim->hosts[i].paused) {
		sim->hosts[i].paused = true;
		cluster_sim_say(sim, i, "is stopped");
	}
}

void
cluster_sim_resume(struct cluster_sim *sim, size_t i)
{
	struct csim_host *h = &sim->hosts[i];
	struct csim_event *e = h->inbox;

	if (!h->paused)
		return;
	cluster_sim_say(sim, i, "goes on");
	h->paused = false;
	h->resumed = sim->net.now;
	h->leading_since = h->leading_since == 0 ? 0 : sim->net.now; /* if it leads at all */
	h->inbox = NULL;
	h->inbox_end = &h->inbox;
	while (e != NULL) {
		struct csim_event *next = e->next;

		e->next = NULL;
		event_take(sim, e);
		e = next;
	}
}

void
cluster_sim_wipe(struct cluster_sim *sim, size_t i)
{
	assert(!cluster_sim_up(sim, i));
	csim_disk_wipe(&sim->hosts[i].disk);
	cluster_sim_say(sim, i, "loses its Raft folder");
}

void
cluster_sim_rename(struct cluster_sim *sim, size_t i)
{
	assert(!cluster_sim_up(sim, i));
	sim->hosts[i].agent.b[1]++;
	cluster_sim_say(sim, i, "has a new agent id");
}

void
cluster_sim_leave(struct cluster_sim *sim, size_t i)
{
	sim->hosts[i].left = true;
	cluster_sim_say(sim, i, "leaves");
	cluster_sim_crash(sim, i);
}

void
cluster_sim_stop(struct cluster_sim *sim, size_t i)
{
	cluster_sim_say(sim, i, "is asked to stop");
	cluster_stop(sim->hosts[i].cluster, csim_now(sim));
	csim_drain(sim, i);
}

void
cluster_sim_take_out(struct cluster_sim *sim, size_t i, uint64_t raft_id)
{
	sim->take_out = cluster_remove(sim->hosts[i].cluster, csim_now(sim), raft_id);
	csim_drain(sim, i);
}

void
cluster_sim_heal(struct cluster_sim *sim)
{
	net_uncut(&sim->net);
	for (size_t i = 0; i < sim->config.hosts; i++) {
		cluster_sim_resume(sim, i);
		if (!cluster_sim_up(sim, i) && !sim->hosts[i].left)
			cluster_sim_start(sim, i);
	}
}

/* Life. */

struct cluster_sim *
cluster_sim_new(const struct cluster_sim_config *config)
{
	struct cluster_sim *sim = mem_new(struct cluster_sim);

	sim->config = *config;
	net_init(&sim->net, config->hosts, config->seed, CLUSTER_SIM_START);
	sim->net.latency_min = NSEC_MS / 5;
	sim->net.latency_max = 3 * NSEC_MS;
	for (size_t i = 0; i < config->hosts; i++) {
		struct csim_host *h = &sim->hosts[i];

		h->name[0] = (char)('a' + i);
		h->server = i < config->servers;
		h->agent.b[0] = (uint8_t)(i + 1);
		h->inbox_end = &h->inbox;
		csim_disk_init(&h->disk);
	}
	for (size_t k = 0; k < config->clients; k++) {
		sim->clients[k].host = k % config->hosts;
		csim_post(sim, CSIM_CLIENT, sim->clients[k].host,
		    CLUSTER_SIM_START + csim_between(sim, 0, NSEC_SEC))
		    ->other = k;
	}
	return sim;
}

void
cluster_sim_free(struct cluster_sim *sim)
{
	struct net_event *e;

	while ((e = net_next(&sim->net, NSEC_NEVER)) != NULL)
		event_free((struct csim_event *)(void *)e);
	for (size_t i = 0; i < sim->config.hosts; i++) {
		struct csim_host *h = &sim->hosts[i];

		cluster_free(h->cluster);
		store_free(h->store);
		inbox_drop(h);
		outbox_drop(h);
		free(h->outbox);
		csim_disk_done(&h->disk);
	}
	net_done(&sim->net);
	free(sim->keys);
	free(sim);
}
