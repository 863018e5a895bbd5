/* tests/sim/pool_check.c -- see pool_check.h. Parts: life; what was said at which number; what is
 * shown; upgrades; calm; all the time; in the end. */
#include "tests/sim/pool_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct pool_past {
	struct uuid owner;
	struct epoch epoch;
	uint64_t number, hash;
	bool used;
};

static bool __attribute__((format(printf, 2, 3))) broken(struct pool_check *c, const char *fmt, ...)
{
	va_list ap;

	if (c->broken[0] != '\0')
		return false;
	va_start(ap, fmt);
	vsnprintf(c->broken, sizeof c->broken, fmt, ap);
	va_end(ap);
	return false;
}

static const char *
host_name(const struct pool_check *c, size_t i)
{
	return c->sim->hosts[i].name;
}

/* Life. */

static void pool_check_drained(struct pool_sim *, size_t);

void
pool_check_init(struct pool_check *c, struct pool_sim *sim)
{
	size_t n = sim->config.hosts;

	*c = (struct pool_check){ .sim = sim, .weather = sim->net.now };
	c->disturbed = mem_zalloc(n * sizeof *c->disturbed);
	c->seen = mem_zalloc(n * n * MODEL_SERVICES * sizeof *c->seen);
	c->seen_life = mem_zalloc(n * sizeof *c->seen_life);
	c->upgrades = mem_zalloc(n * sizeof *c->upgrades);
	c->mixed = mem_zalloc(n * sizeof *c->mixed);
	for (size_t i = 0; i < n; i++) {
		c->disturbed[i] = sim->net.now;
		c->upgrades[i].viewers = mem_zalloc(n * sizeof *c->upgrades[i].viewers);
		c->upgrades[i].lives = mem_zalloc(n * sizeof *c->upgrades[i].lives);
	}
	sim->arg = c;
	sim->on_drained = pool_check_drained;
}

void
pool_check_done(struct pool_check *c)
{
	c->sim->on_drained = NULL;
	for (size_t i = 0; i < c->sim->config.hosts; i++) {
		free(c->upgrades[i].viewers);
		free(c->upgrades[i].lives);
	}
	free(c->disturbed);
	free(c->seen);
	free(c->seen_life);
	free(c->upgrades);
	free(c->mixed);
	free(c->past);
	free(c->pruned);
}

/* What was said at which number. */

static size_t
past_slot(const struct pool_check *c, const struct digest *d)
{
	uint64_t h = d->number * 0x9e3779b97f4a7c15u ^ d->epoch.nonce;
	size_t i = (size_t)(h ^ h >> 29) & (c->past_slots - 1);

	while (c->past[i].used &&
	       (c->past[i].number != d->number || c->past[i].epoch.nonce != d->epoch.nonce ||
		   c->past[i].epoch.counter != d->epoch.counter ||
		   !uuid_eq(&c->past[i].owner, &d->owner)))
		i = (i + 1) & (c->past_slots - 1);
	return i;
}

static void
past_grow(struct pool_check *c)
{
	struct pool_past *old = c->past;
	size_t slots = c->past_slots;

	c->past_slots = slots == 0 ? 1024 : 2 * slots;
	c->past = mem_zalloc(c->past_slots * sizeof *c->past);
	for (size_t i = 0; i < slots; i++)
		if (old[i].used)
			c->past[past_slot(c, &(struct digest){ .owner = old[i].owner,
						 .epoch = old[i].epoch,
						 .number = old[i].number })] = old[i];
	free(old);
}

static bool
past_agrees(struct pool_check *c, size_t viewer, const struct digest *d)
{
	struct pool_past *p;
	char id[UUID_TEXT_LEN + 1];

	if (!d->exact || d->number == 0)
		return true;
	if (4 * (c->past_count + 1) > 3 * c->past_slots)
		past_grow(c);
	p = &c->past[past_slot(c, d)];
	if (!p->used) {
		*p = (struct pool_past){ d->owner, d->epoch, d->number, d->hash, true };
		c->past_count++;
	}
	if (p->hash == d->hash)
		return true;
	return broken(c, "%s has %.8s epoch %llu number %llu with another hash",
	    host_name(c, viewer), uuid_format(&d->owner, id), (unsigned long long)d->epoch.counter,
	    (unsigned long long)d->number);
}

/* After each step of an agent: what it now says of itself is how it is. */
static void
pool_check_drained(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];
	struct digest d;

	if (host->baseline && store_digest_of(host->store, &host->disk.id, &d))
		past_agrees(sim->arg, i, &d);
}

void
pool_check_written(struct pool_check *c, size_t i)
{
	if (c->sim->hosts[i].store != NULL)
		pool_check_drained(c->sim, i);
}

static bool
digests_agree(struct pool_check *c, size_t viewer)
{
	size_t cursor = 0;
	struct digest d;

	while (store_digest_next(c->sim->hosts[viewer].store, &cursor, &d))
		if (!uuid_eq(&d.owner, &c->sim->hosts[viewer].disk.id) &&
		    !past_agrees(c, viewer, &d))
			return false;
	return true;
}

/* What is shown. */

static const struct catalog_node *
node_of(const struct pool_sim *sim, size_t viewer, size_t j)
{
	const struct catalog_node *node = catalog_node_find(
	    store_catalog(sim->hosts[viewer].store), str_of(sim->hosts[j].display));

	return node != NULL && uuid_eq(&node->owner, &sim->hosts[j].disk.id) ? node : NULL;
}

bool
pool_check_answers(const struct pool_sim *sim, size_t i, size_t j)
{
	const struct catalog_node *node = node_of(sim, i, j);

	return node != NULL && node->health < CHECK_CRITICAL;
}

bool
pool_check_hidden(const struct pool_sim *sim, size_t j)
{
	for (size_t i = 0; i < sim->config.hosts; i++)
		if (i != j && pool_sim_awake(sim, i) && pool_check_answers(sim, i, j))
			return false;
	return true;
}

static unsigned
version_shown(const struct catalog_node *node, size_t service)
{
	const struct catalog_service *s;
	char id[16];
	uint64_t version = 0;

	snprintf(id, sizeof id, "s%zu", service);
	s = catalog_service_find(node, str_of(id));
	if (s != NULL && s->info.tag_count == 1 && s->info.tags[0].n > 1)
		str_u64(str_skip(s->info.tags[0], 1), UINT32_MAX, &version);
	return (unsigned)version;
}

/* Within one life a viewer never shows an older version of a service than it has shown. */
static bool
versions_rise(struct pool_check *c, size_t viewer)
{
	size_t n = c->sim->config.hosts;
	unsigned *seen = &c->seen[viewer * n * MODEL_SERVICES];

	if (c->seen_life[viewer] != c->sim->hosts[viewer].life) {
		memset(seen, 0, n * MODEL_SERVICES * sizeof *seen);
		c->seen_life[viewer] = c->sim->hosts[viewer].life;
	}
	for (size_t j = 0; j < n; j++) {
		const struct catalog_node *node = node_of(c->sim, viewer, j);

		for (size_t s = 0; node != NULL && !c->mixed[j] &&
				   s < c->sim->hosts[j].model.extent && s < MODEL_SERVICES;
		     s++) {
			unsigned version = version_shown(node, s);
			unsigned *newest = &seen[j * MODEL_SERVICES + s];

			if (version != 0 && version < *newest)
				return broken(c, "%s shows %s's s%zu v%u after v%u",
				    host_name(c, viewer), host_name(c, j), s, version, *newest);
			if (version > *newest)
				*newest = version;
		}
	}
	return true;
}

static bool shows(const struct pool_check *, size_t i, size_t j, bool settled, struct buf *why);

/* Upgrades: a viewer that showed all of a host shows it until it is back, and then on. */

void
pool_check_upgrade(struct pool_check *c, size_t i)
{
	struct pool_upgrade *u = &c->upgrades[i];
	struct pool_sim *sim = c->sim;

	u->services = model_services(&sim->hosts[i].model);
	u->until = NSEC_NEVER;
	u->on = false;
	for (size_t v = 0; v < sim->config.hosts; v++) {
		u->viewers[v] = v != i && !c->mixed[i] && pool_sim_awake(sim, v) &&
				sim->net.now - c->disturbed[v] > POOL_SETTLED &&
				shows(c, i, v, false, NULL) && pool_check_answers(sim, v, i) &&
				model_missing(u->services, node_of(sim, v, i)) == 0;
		u->lives[v] = sim->hosts[v].life;
		u->on = u->on || u->viewers[v];
	}
}

static bool
upgrade_hidden(struct pool_check *c, size_t v, size_t i)
{
	const struct catalog_node *node = node_of(c->sim, v, i);
	struct pool_member m = { 0 };

	pool_member_by_id(c->sim->hosts[v].pool, &c->sim->hosts[i].disk.id, &m);
	return broken(c, "%s hides %s, which is being upgraded: %s, its node %s", host_name(c, v),
	    host_name(c, i), serf_state_name(m.state),
	    node == NULL ? "is not there" : "is critical");
}

static bool
upgrade_holds(struct pool_check *c, size_t i)
{
	struct pool_upgrade *u = &c->upgrades[i];
	struct pool_sim *sim = c->sim;

	if (!u->on)
		return true;
	u->services &= model_services(&sim->hosts[i].model);
	if (u->until == NSEC_NEVER && sim->hosts[i].pool != NULL)
		u->until = sim->net.now + POOL_DIP_AFTER;
	u->on = sim->net.now < u->until;
	for (size_t v = 0; u->on && v < sim->config.hosts; v++) {
		if (!u->viewers[v])
			continue;
		if (sim->hosts[v].life != u->lives[v]) /* it is another process by now */
			u->viewers[v] = false;
		else if (!pool_check_answers(sim, v, i))
			return upgrade_hidden(c, v, i);
		else if (model_missing(u->services, node_of(sim, v, i)) != 0)
			return broken(c, "%s misses services of %s, which is being upgraded",
			    host_name(c, v), host_name(c, i));
	}
	return true;
}

/* Calm. */

void
pool_check_disturbed(struct pool_check *c, size_t i)
{
	c->disturbed[i] = c->sim->net.now;
	c->upgrades[i].on = false;
	for (size_t j = 0; j < c->sim->config.hosts; j++)
		c->upgrades[j].viewers[i] = false;
}

void
pool_check_weather(struct pool_check *c)
{
	c->weather = c->sim->net.now;
	for (size_t j = 0; j < c->sim->config.hosts; j++)
		c->upgrades[j].on = false;
}

static bool
is_calm(const struct pool_check *c, size_t i)
{
	return pool_sim_awake(c->sim, i) && c->sim->net.now - c->disturbed[i] >= POOL_CALM;
}

static bool
nobody_is_hidden(struct pool_check *c, size_t viewer)
{
	struct pool_sim *sim = c->sim;

	if (!is_calm(c, viewer) || sim->net.now - c->weather < POOL_CALM || !net_whole(&sim->net))
		return true;
	if (!sim->hosts[viewer].ready)
		return broken(c, "%s is not ready", host_name(c, viewer));
	for (size_t j = 0; j < sim->config.hosts; j++) {
		struct pool_member m;

		if (!is_calm(c, j) ||
		    !pool_member_by_id(sim->hosts[viewer].pool, &sim->hosts[j].disk.id, &m) ||
		    m.state != SERF_FAILED)
			continue;
		return broken(c, "%s shows %s as failed; both were undisturbed for %d s",
		    host_name(c, viewer), host_name(c, j), (int)(POOL_CALM / NSEC_SEC));
	}
	return true;
}

/* All the time. */

void
pool_check_pruned(struct pool_check *c, const struct uuid *id)
{
	c->pruned = mem_grow(c->pruned, c->pruned_count, &c->pruned_cap, sizeof *c->pruned);
	c->pruned[c->pruned_count++] = *id;
}

void
pool_check_revived(struct pool_check *c, const struct uuid *id)
{
	for (size_t k = 0; k < c->pruned_count;)
		if (uuid_eq(&c->pruned[k], id))
			c->pruned[k] = c->pruned[--c->pruned_count];
		else
			k++;
}

void
pool_check_mixed(struct pool_check *c, size_t i)
{
	c->mixed[i] = true;
}

bool
pool_check_now(struct pool_check *c)
{
	struct pool_sim *sim = c->sim;
	size_t n = sim->config.hosts;

	if (sim->over_budget != 0)
		return broken(
		    c, "%llu datagrams over the budget", (unsigned long long)sim->over_budget);
	if (sim->over_streams != 0)
		return broken(c, "more than %d streams at once", POOL_STREAMS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!upgrade_holds(c, i))
			return false;
		if (sim->hosts[i].pool == NULL || sim->hosts[i].paused)
			continue;
		if (!digests_agree(c, i) || !versions_rise(c, i) || !nobody_is_hidden(c, i))
			return false;
		if (pool_member_count(sim->hosts[i].pool, SERF_NONE) > 4 * n)
			return broken(c, "%s has %zu members", host_name(c, i),
			    pool_member_count(sim->hosts[i].pool, SERF_NONE));
	}
	return c->broken[0] == '\0';
}

/* In the end. */

/* An old intent to leave is outlived by a push/pull at the latest; until then it hides nobody. */
static bool
shows(const struct pool_check *c, size_t i, size_t j, bool settled, struct buf *why)
{
	struct pool_sim *sim = c->sim;
	struct pool_member m = { 0 };
	bool known = pool_member_by_id(sim->hosts[i].pool, &sim->hosts[j].disk.id, &m);

	bool alive = m.state == SERF_ALIVE || (m.state == SERF_LEAVING && !settled);

	if (known && alive && addr_eq_ip(&m.addr, &sim->hosts[j].addr))
		return true;
	if (why != NULL)
		buf_addf(why, "%s shows %s as %s%s\n", host_name(c, i), host_name(c, j),
		    known ? serf_state_name(m.state) : "unknown",
		    known && m.state == SERF_ALIVE ? ", at another address" : "");
	return false;
}

/* Two live hosts may have one display name: then it is the lowest id's (RULES 3). */
static bool
name_is_lost(const struct pool_sim *sim, size_t j)
{
	for (size_t k = 0; k < sim->config.hosts; k++)
		if (k != j && pool_sim_live(sim, k) &&
		    str_eq(str_of(sim->hosts[k].display), str_of(sim->hosts[j].display)) &&
		    uuid_cmp(&sim->hosts[k].disk.id, &sim->hosts[j].disk.id) < 0)
			return true;
	return false;
}

static bool
holds(const struct pool_check *c, size_t i, size_t j, struct buf *why)
{
	struct pool_sim *sim = c->sim;
	struct digest own = { 0 }, d = { 0 };
	bool hidden = !name_is_lost(sim, j) && !pool_check_answers(sim, i, j);

	store_digest_of(sim->hosts[j].store, &sim->hosts[j].disk.id, &own);
	store_digest_of(sim->hosts[i].store, &sim->hosts[j].disk.id, &d);
	if (d.exact && d.number == own.number && d.hash == own.hash &&
	    epoch_cmp(&d.epoch, &own.epoch) == 0 && !hidden)
		return true;
	if (why != NULL)
		buf_addf(why, "%s holds of %s epoch %llu number %llu%s%s, it is at %llu, %llu\n",
		    host_name(c, i), host_name(c, j), (unsigned long long)d.epoch.counter,
		    (unsigned long long)d.number, d.exact ? "" : " inexact",
		    hidden ? " hidden" : "", (unsigned long long)own.epoch.counter,
		    (unsigned long long)own.number);
	return false;
}

static bool
all_shown(const struct pool_check *c, bool settled, struct buf *why)
{
	struct pool_sim *sim = c->sim;
	bool all = true;

	for (size_t i = 0; i < sim->config.hosts; i++)
		for (size_t j = 0; pool_sim_live(sim, i) && j < sim->config.hosts; j++)
			if (pool_sim_live(sim, j) && !shows(c, i, j, settled, why)) {
				all = false;
				if (why == NULL)
					return false;
			}
	return all;
}

bool
pool_check_shown(const struct pool_check *c, struct buf *why)
{
	return all_shown(c, false, why);
}

static bool
is_gone(const struct pool_check *c, size_t i, size_t j, struct buf *why)
{
	if (!pool_check_answers(c->sim, i, j))
		return true;
	if (why != NULL)
		buf_addf(
		    why, "%s answers for %s, which is gone\n", host_name(c, i), host_name(c, j));
	return false;
}

bool
pool_check_agreed(const struct pool_check *c, struct buf *why)
{
	struct pool_sim *sim = c->sim;
	bool all = all_shown(c, true, why);

	for (size_t i = 0; (all || why != NULL) && i < sim->config.hosts; i++)
		for (size_t j = 0; pool_sim_live(sim, i) && j < sim->config.hosts; j++) {
			if (!pool_sim_live(sim, j))
				all = is_gone(c, i, j, why) && all;
			else
				all = holds(c, i, j, why) && all;
			if (!all && why == NULL)
				return false;
		}
	return all;
}

static bool
catalog_is_right(struct pool_check *c, size_t i, size_t j, struct buf *want, struct buf *have)
{
	struct pool_host *host = &c->sim->hosts[j];
	const struct catalog_node *node = node_of(c->sim, i, j);
	char address[ADDR_TEXT_MAX];

	buf_clear(want);
	buf_clear(have);
	model_show(&host->model, host->display, addr_format_ip(&host->addr, address), want);
	if (node != NULL)
		model_shown(
		    &host->model, node, store_owner(c->sim->hosts[i].store, &host->disk.id), have);
	if (str_eq(buf_str(want), buf_str(have)))
		return true;
	fprintf(stderr, "%s runs:\n" STR_FMT "%s shows:\n" STR_FMT, host_name(c, j),
	    STR_ARG(buf_str(want)), host_name(c, i), STR_ARG(buf_str(have)));
	return broken(
	    c, "%s's catalog of %s is not what runs there", host_name(c, i), host_name(c, j));
}

/* No healthy node that is nobody's, no trace of who was pruned. */
static bool
nothing_else_shows(struct pool_check *c, size_t i)
{
	const struct catalog *catalog = store_catalog(c->sim->hosts[i].store);

	for (const struct catalog_node *node = catalog_node_next(catalog, NULL); node != NULL;
	     node = catalog_node_next(catalog, node)) {
		bool lives = false;

		for (size_t j = 0; j < c->sim->config.hosts && !lives; j++)
			lives = pool_sim_live(c->sim, j) &&
				uuid_eq(&c->sim->hosts[j].disk.id, &node->owner);
		if (!lives && node->health < CHECK_CRITICAL)
			return broken(c, "%s shows node " STR_FMT ", whose owner does not live",
			    host_name(c, i), STR_ARG(node->info.name));
		for (size_t k = 0; k < c->pruned_count && !lives; k++)
			if (uuid_eq(&c->pruned[k], &node->owner))
				return broken(c, "%s shows node " STR_FMT ", which was pruned",
				    host_name(c, i), STR_ARG(node->info.name));
	}
	return true;
}

bool
pool_check_catalogs(struct pool_check *c)
{
	struct pool_sim *sim = c->sim;
	struct buf want, have;
	bool right = true;

	buf_init(&want, 1 << 20);
	buf_init(&have, 1 << 20);
	for (size_t i = 0; right && i < sim->config.hosts; i++) {
		if (!pool_sim_live(sim, i))
			continue;
		for (size_t j = 0; right && j < sim->config.hosts; j++)
			right = !pool_sim_live(sim, j) || name_is_lost(sim, j) ||
				catalog_is_right(c, i, j, &want, &have);
		right = right && nothing_else_shows(c, i);
	}
	buf_done(&want);
	buf_done(&have);
	return right;
}
