/* tests/sim/pool_sim.c -- see pool_sim.h. Parts: events; the trace; life of the whole; life of an
 * agent; disks; looking at it. What agents do in time is pool_sim_agent.c's, the network
 * pool_sim_net.c's. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/pool_sim_priv.h"

#define PORT 8301
#define TRACE_MAX ((size_t)1 << 28)
#define MONO_AHEAD_MAX (1u << 20) /* seconds */
#define UNKNOWN_BYTES_MAX (4 * 1024 * 1024)

const struct pool_sim_config pool_sim_lan = {
	.hosts = 3,
	.seed = 1,
	.latency_min = NSEC_MS,
	.latency_max = 5 * NSEC_MS,
};

/* Events. */

struct pool_event *
pool_event_new(struct pool_sim *sim, enum pool_event_kind kind, size_t from, size_t to, nsec delay)
{
	struct pool_event *e = mem_new(struct pool_event);

	e->kind = kind;
	e->from = from;
	e->to = to;
	e->due.at = sim->net.now + delay;
	e->life = sim->hosts[to].life;
	e->from_life = sim->hosts[from].life;
	return e;
}

void
pool_event_post(struct pool_sim *sim, struct pool_event *e)
{
	net_post(&sim->net, &e->due, e->due.at);
}

void
pool_event_free(struct pool_event *e)
{
	free((void *)(uintptr_t)e->bytes.p);
	free(e);
}

/* The trace. */

void
pool_sim_tell(struct pool_sim *sim, size_t i, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!sim->config.trace)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	buf_addf(&sim->trace, "%7.3f %s: %s\n",
	    (double)((sim->net.now - sim->trace_from) / NSEC_MS) / 1000, sim->hosts[i].name, line);
}

struct str
pool_sim_trace(const struct pool_sim *sim)
{
	return buf_str(&sim->trace);
}

void
pool_sim_trace_begin(struct pool_sim *sim)
{
	sim->trace_from = sim->net.now;
	buf_clear(&sim->trace);
}

/* Life of the whole. */

static struct uuid
random_id(struct rng *rng)
{
	struct uuid id;

	for (size_t i = 0; i < sizeof id.b; i++)
		id.b[i] = (uint8_t)rng_u32(rng);
	return id;
}

static void
host_address(struct pool_sim *sim, size_t i, unsigned generation)
{
	sim->hosts[i].addr = (struct addr){
		.family = ADDR_V4,
		.port = PORT,
		.bytes = { 10, (uint8_t)generation, (uint8_t)(i >> 8), (uint8_t)i },
	};
}

static void
host_init(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];

	if (i < 26)
		snprintf(host->name, sizeof host->name, "%c", (char)('a' + i));
	else
		snprintf(host->name, sizeof host->name, "n%u", (unsigned)i);
	snprintf(host->display, sizeof host->display, "%s", host->name);
	rng_init(&host->rng, rng_u64(&sim->net.rng));
	host->disk.id = random_id(&host->rng);
	host->mono_ahead = (nsec)rng_below(&host->rng, MONO_AHEAD_MAX) * NSEC_SEC;
	host_address(sim, i, 0);
}

struct pool_sim *
pool_sim_new(const struct pool_sim_config *config)
{
	struct pool_sim *sim = mem_new(struct pool_sim);

	assert(config->hosts >= 1 && config->hosts <= POOL_SIM_HOSTS_MAX);
	sim->config = *config;
	if (sim->config.profile.probe_interval == 0)
		sim->config.profile = swim_lan;
	sim->trace_from = POOL_SIM_EPOCH;
	net_init(&sim->net, config->hosts, config->seed, POOL_SIM_EPOCH);
	sim->net.latency_min = config->latency_min;
	sim->net.latency_max = config->latency_max;
	sim->net.loss = config->loss;
	sim->net.twice = config->twice;
	sim->hosts = mem_zalloc(config->hosts * sizeof *sim->hosts);
	sim->cluster = random_id(&sim->net.rng);
	buf_init(&sim->trace, TRACE_MAX);
	for (size_t i = 0; i < config->hosts; i++)
		host_init(sim, i);
	return sim;
}

void
pool_sim_free(struct pool_sim *sim)
{
	struct net_event *due;

	if (sim == NULL)
		return;
	while ((due = net_next(&sim->net, NSEC_NEVER)) != NULL)
		pool_event_free((struct pool_event *)due);
	for (size_t i = 0; i < sim->config.hosts; i++) {
		pool_sim_crash(sim, i);
		free(sim->hosts[i].streams);
	}
	free(sim->hosts);
	net_done(&sim->net);
	buf_done(&sim->trace);
	free(sim);
}

void
pool_sim_heal(struct pool_sim *sim)
{
	net_uncut(&sim->net);
	sim->dry_count = 0;
	for (size_t i = 0; i < sim->config.hosts; i++) {
		sim->hosts[i].host_down = false;
		pool_sim_resume(sim, i);
	}
}

/* Life of an agent. */

static struct model_ids
host_ids(struct pool_host *host, char address[ADDR_TEXT_MAX])
{
	return (struct model_ids){
		.store = host->store,
		.self = &host->disk.id,
		.node = host->display,
		.address = addr_format_ip(&host->addr, address),
	};
}

static void
host_store(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];
	char address[ADDR_TEXT_MAX];
	struct store_config config = {
		.self = host->disk.id,
		.cluster = sim->cluster,
		.limits = owner_limits_default,
		.unknown_bytes_max = UNKNOWN_BYTES_MAX,
		.index_ceiling = host->disk.index_ceiling,
	};
	struct model_ids ids;

	pool_host_epoch(sim, i, 0);
	config.epoch = host->epoch;
	if (sim->config.tombstones_max != 0)
		config.limits.tombstones_max = sim->config.tombstones_max;
	host->store = store_new(&config, pool_sim_now(sim, i));
	host->disk.index_ceiling =
	    index_ceiling_wanted(store_index(host->store), pool_sim_now(sim, i).wall_ms);
	index_ceiling_set(store_index(host->store), host->disk.index_ceiling);
	ids = host_ids(host, address);
	model_load(&host->model, &ids, pool_sim_now(sim, i));
}

static bool
others_live(const struct pool_sim *sim, size_t i)
{
	for (size_t j = 0; j < sim->config.hosts; j++)
		if (j != i && pool_sim_live(sim, j))
			return true;
	return false;
}

void
pool_sim_start(struct pool_sim *sim, size_t i, nsec reconciles)
{
	struct pool_host *host = &sim->hosts[i];
	char id[UUID_TEXT_LEN + 1];
	struct pool_config config;

	if (host->pool != NULL)
		return;
	host->life++;
	host->paused = host->leaving = host->ready = host->baseline = false;
	host->tick_at = 0;
	host->since = sim->net.now;
	host_store(sim, i);
	config = (struct pool_config){
		.store = host->store,
		.self = host->disk.id,
		.name = str_of(host->display),
		.advertise = host->addr,
		.meta = {
			.muster = SERF_MUSTER_VERSION,
			.dc = STR("dc1"),
			.id = str_of(uuid_format(&host->disk.id, id)),
			.build = STR("0.1.0"),
		},
		.profile = sim->config.profile,
		.overhead = sim->config.overhead,
		.reap = sim->config.reap,
		.clocks = host->disk.clocks,
		.awaits = others_live(sim, i),
		.restart_grace = sim->config.restart_grace,
		.spread = sim->config.spread,
		.notes = sim->config.notes,
	};
	pool_sim_tell(
	    sim, i, "starts as %.8s, epoch %llu", id, (unsigned long long)host->epoch.counter);
	if (reconciles == 0) {
		host->baseline = true;
		store_baseline_end(host->store, pool_sim_now(sim, i));
	} else {
		pool_event_post(sim, pool_event_new(sim, POOL_EVENT_BASELINE, i, i, reconciles));
	}
	host->pool = pool_new(&config, rng_u64(&host->rng), pool_sim_now(sim, i));
	pool_event_post(sim, pool_event_new(sim, POOL_EVENT_SECOND, i, i, NSEC_SEC));
	pool_host_join(sim, i);
	pool_changed(host->pool, pool_sim_now(sim, i));
	pool_sim_drain(sim, i);
}

void
pool_sim_start_all(struct pool_sim *sim)
{
	for (size_t i = 0; i < sim->config.hosts; i++)
		pool_sim_start(sim, i, 0);
}

void
pool_sim_crash(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];

	if (host->pool == NULL)
		return;
	pool_free(host->pool);
	store_free(host->store);
	host->pool = NULL;
	host->store = NULL;
	host->life++; /* what is under way to or for it is for nobody */
	host->paused = host->leaving = false;
	host->stream_count = 0;
	host->gone_at = sim->net.now;
	pool_inbox_clear(host);
	pool_sim_tell(sim, i, "stops");
}

void
pool_sim_stop(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];

	if (!pool_sim_awake(sim, i))
		return;
	pool_restarting(host->pool, pool_sim_now(sim, i));
	pool_sim_drain(sim, i);
	if (host->pool == NULL)
		return;
	host->disk.clocks = pool_clocks(host->pool);
	pool_sim_crash(sim, i);
}

void
pool_sim_leave(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];

	if (!pool_sim_awake(sim, i))
		return;
	host->leaving = true;
	pool_sim_tell(sim, i, "leaves");
	pool_leave(host->pool, pool_sim_now(sim, i));
	pool_sim_drain(sim, i);
}

void
pool_sim_changed(struct pool_sim *sim, size_t i)
{
	if (sim->hosts[i].pool == NULL)
		return;
	pool_changed(sim->hosts[i].pool, pool_sim_now(sim, i));
	pool_sim_drain(sim, i);
}

void
pool_sim_force_leave(struct pool_sim *sim, size_t i, struct str name, bool prune)
{
	struct err err = { 0 };

	if (!pool_sim_awake(sim, i))
		return;
	pool_sim_tell(sim, i, "force-leave " STR_FMT "%s", STR_ARG(name), prune ? ", prune" : "");
	pool_force_leave(sim->hosts[i].pool, pool_sim_now(sim, i), name, prune, &err);
	pool_sim_drain(sim, i);
}

/* Disks. */

void
pool_sim_move(struct pool_sim *sim, size_t i)
{
	if (sim->hosts[i].pool == NULL)
		host_address(sim, i, sim->hosts[i].addr.bytes[1] + 1u);
}

void
pool_sim_wipe(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];

	assert(host->pool == NULL);
	host->disk = (struct pool_disk){ .id = random_id(&host->rng) };
	host->has_backup = false;
}

void
pool_sim_backup(struct pool_sim *sim, size_t i)
{
	sim->hosts[i].backup = sim->hosts[i].disk;
	sim->hosts[i].has_backup = true;
}

void
pool_sim_restore(struct pool_sim *sim, size_t i)
{
	if (sim->hosts[i].pool == NULL && sim->hosts[i].has_backup)
		sim->hosts[i].disk = sim->hosts[i].backup;
}

void
pool_sim_clone(struct pool_sim *sim, size_t from, size_t to)
{
	assert(sim->hosts[to].pool == NULL);
	sim->hosts[to].disk = sim->hosts[from].disk;
}

/* Looking at it. */

struct now
pool_sim_now(const struct pool_sim *sim, size_t i)
{
	const struct pool_host *host = &sim->hosts[i];

	return (struct now){
		.mono = sim->net.now + host->mono_ahead,
		.wall_ms = POOL_SIM_WALL + sim->net.now / NSEC_MS + host->wall_ahead_ms,
	};
}

size_t
pool_sim_at(const struct pool_sim *sim, const struct addr *addr)
{
	size_t i = (size_t)addr->bytes[2] << 8 | addr->bytes[3];

	if (i >= sim->config.hosts || !addr_eq_ip(addr, &sim->hosts[i].addr) ||
	    addr->port != sim->hosts[i].addr.port)
		return SIZE_MAX;
	return i;
}

size_t
pool_sim_index(const struct pool_sim *sim, struct str name)
{
	for (size_t i = 0; i < sim->config.hosts; i++)
		if (str_eq(str_of(sim->hosts[i].name), name))
			return i;
	return SIZE_MAX;
}

bool
pool_sim_live(const struct pool_sim *sim, size_t i)
{
	return sim->hosts[i].pool != NULL && !sim->hosts[i].leaving;
}

bool
pool_sim_awake(const struct pool_sim *sim, size_t i)
{
	return pool_sim_live(sim, i) && !sim->hosts[i].paused;
}
