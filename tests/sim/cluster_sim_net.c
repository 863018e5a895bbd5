/* tests/sim/cluster_sim_net.c -- connections that keep order and break, and gossip that lags.
 *
 * A message over a broken way, or to who is not there, is lost with all that was on its way; the
 * sender learns of it later and may then send again. Gossip: each host now and then meets each
 * other one that it can reach, and takes its tags and records; who was not met for the suspicion
 * time is failed.
 */
#include "tests/sim/cluster_sim_priv.h"

#include "kv/delta.h"

/* Connections. */

static void
lost_later(struct cluster_sim *sim, size_t host, size_t other, nsec min, nsec max)
{
	if (cluster_sim_up(sim, host))
		csim_post(sim, CSIM_LOST, host, sim->net.now + csim_between(sim, min, max))->other =
		    other;
}

/* Nothing that is on its way arrives; both sides will know. */
static void
way_break(struct cluster_sim *sim, size_t a, size_t b, nsec min, nsec max)
{
	sim->ways[a][b].generation++;
	sim->ways[b][a].generation++;
	sim->ways[a][b].hold = cluster_sim_up(sim, a);
	sim->ways[b][a].hold = cluster_sim_up(sim, b);
	lost_later(sim, a, b, min, max);
	lost_later(sim, b, a, min, max);
	sim->resets++;
}

void
cluster_sim_reset(struct cluster_sim *sim, size_t a, size_t b)
{
	way_break(sim, a, b, NSEC_MS, 100 * NSEC_MS);
}

void
csim_lost(struct cluster_sim *sim, size_t i, size_t other)
{
	sim->ways[i][other].hold = false;
	cluster_lost(sim->hosts[i].cluster, csim_now(sim), &sim->hosts[other].agent);
	csim_drain(sim, i);
}

void
csim_gone(struct cluster_sim *sim, size_t i)
{
	for (size_t j = 0; j < sim->config.hosts; j++) {
		sim->ways[i][j].generation++;
		sim->ways[j][i].generation++;
		sim->ways[i][j].hold = false;
		if (j != i && cluster_sim_up(sim, j)) {
			sim->ways[j][i].hold = true;
			lost_later(sim, j, i, NSEC_MS, 50 * NSEC_MS);
		}
	}
}

static void
wire_put(struct cluster_sim *sim, struct csim_message *m)
{
	struct csim_connection *way = &sim->ways[m->from][m->to];
	nsec at = sim->net.now + net_latency(&sim->net);
	struct csim_event *e;

	if (way->hold) {
		buf_done(&m->bytes);
		buf_done(&m->data);
		return;
	}
	sim->messages++;
	if (at <= way->last)
		at = way->last + 1;
	way->last = at;
	m->generation = way->generation;
	e = csim_post(sim, CSIM_MESSAGE, m->to, at);
	e->message = *m;
}

void
csim_send_flush(struct cluster_sim *sim, size_t i)
{
	struct csim_host *h = &sim->hosts[i];
	size_t n = 0;

	while (n < h->out && h->outbox[n].ticket <= h->disk.done)
		wire_put(sim, &h->outbox[n++]);
	h->out -= n;
	if (n > 0 && h->out > 0)
		memmove(h->outbox, h->outbox + n, h->out * sizeof *h->outbox);
}

static size_t
host_of(const struct cluster_sim *sim, const struct uuid *agent)
{
	size_t i = agent->b[0];

	return i >= 1 && i <= sim->config.hosts ? i - 1 : SIZE_MAX;
}

void
csim_send(struct cluster_sim *sim, size_t i, const struct cluster_action *a, bool with_data)
{
	struct csim_host *h = &sim->hosts[i];
	struct csim_message m = { .from = i,
		.to = host_of(sim, &a->agent),
		.ticket = h->disk.vote_ticket > h->disk.done ? h->disk.vote_ticket : 0,
		.with_data = with_data };

	if (m.to == SIZE_MAX || m.to == i) {
		cluster_sim_fail(sim, "%s sends to nobody", h->name);
		return;
	}
	if (with_data && h->disk.snapshot.meta.index != a->raft.index)
		return;
	buf_init(&m.bytes, CLUSTER_SIM_BYTES);
	buf_init(&m.data, CLUSTER_SIM_BYTES);
	buf_add(&m.bytes, a->bytes);
	if (with_data)
		buf_add(&m.data, buf_str(&h->disk.snapshot.data));
	h->outbox = mem_grow(h->outbox, h->out, &h->out_cap, sizeof *h->outbox);
	h->outbox[h->out++] = m;
	csim_send_flush(sim, i);
}

struct pieces {
	struct str left;
	struct rng *rng;
};

static int
piece_read(void *arg, size_t want, struct buf *out, struct err *err)
{
	struct pieces *p = arg;
	size_t n = 1 + rng_below(p->rng, 4000);

	(void)want;
	(void)err;
	n = n > p->left.n ? p->left.n : n;
	buf_add(out, str_head(p->left, n));
	p->left = str_skip(p->left, n);
	return 0;
}

void
csim_message(struct cluster_sim *sim, struct csim_event *e)
{
	struct csim_message *m = &e->message;
	struct csim_host *h = &sim->hosts[m->to];
	struct pieces p = { buf_str(&m->data), &sim->net.rng };
	struct err err = { 0 };
	int code;

	if (m->generation != sim->ways[m->from][m->to].generation)
		return;
	if (h->cluster == NULL) { /* refused at once, where its host can be reached */
		way_break(sim, m->from, m->to, NSEC_MS, 5 * NSEC_MS);
		return;
	}
	if (!net_open(&sim->net, m->from, m->to) || !net_open(&sim->net, m->to, m->from)) {
		if (net_open(&sim->net, m->from, m->to) && csim_one_in(sim, 2))
			goto deliver; /* it came through; what it answers will not */
		way_break(sim, m->from, m->to, 500 * NSEC_MS, 3 * NSEC_SEC);
		return;
	}
deliver:
	if (m->with_data)
		code = cluster_install(h->cluster, csim_now(sim), &sim->hosts[m->from].agent,
		    buf_str(&m->bytes), piece_read, &p, &err);
	else
		code = cluster_input(h->cluster, csim_now(sim), &sim->hosts[m->from].agent,
		    buf_str(&m->bytes), &err);
	if (code < 0)
		cluster_sim_say(sim, m->to, "from %s: %s", sim->hosts[m->from].name, err.text);
	if (code == ERR_INPUT)
		cluster_sim_fail(sim, "%s to %s: %s", sim->hosts[m->from].name, h->name, err.text);
	csim_drain(sim, m->to);
}

/* Gossip. */

static void
member_tell(struct cluster_sim *sim, size_t i, size_t j)
{
	struct csim_host *h = &sim->hosts[i], *of = &sim->hosts[j];
	struct csim_view *v = &h->views[j];
	struct cluster_member m = {
		.agent = of->agent,
		.cluster = v->tags.cluster,
		.raft_id = v->tags.raft_id,
		.server = of->server,
		.alive = v->alive,
		.left = v->left,
		.formed = v->tags.formed,
		.expect = of->server ? sim->config.expect : 0,
		.version = 1,
		.since = v->since,
	};

	store_member(h->store, csim_now(sim), &of->agent,
	    v->left    ? STORE_MEMBER_GONE
	    : v->alive ? STORE_MEMBER_ALIVE
		       : STORE_MEMBER_FAILED,
	    0);
	cluster_member_set(h->cluster, csim_now(sim), &m);
}

void
csim_records(struct cluster_sim *sim, size_t i)
{
	struct csim_host *h = &sim->hosts[i];
	char check[16] = "check-";
	struct node_info node = { .name = str_of(h->name), .address = STR("10.0.0.1") };
	struct check_info info = { .id = str_of(check),
		.name = STR("a check"),
		.status = h->critical ? STR("critical") : STR("passing") };

	check[6] = h->name[0];
	info.id = str_of(check);
	store_put_node(h->store, csim_now(sim), &h->agent, &node, NULL);
	store_put_check(h->store, csim_now(sim), &h->agent, &info, NULL);
}

void
cluster_sim_check_set(struct cluster_sim *sim, size_t i, bool critical)
{
	struct csim_host *h = &sim->hosts[i];

	if (h->critical || critical)
		h->critical_at = sim->net.now;
	h->critical = critical;
	if (h->cluster == NULL)
		return;
	csim_records(sim, i);
	cluster_store_changed(h->cluster, csim_now(sim));
	csim_drain(sim, i);
}

static void
records_take(struct cluster_sim *sim, size_t i, size_t j)
{
	struct csim_host *h = &sim->hosts[i], *of = &sim->hosts[j];
	struct digest ours, theirs;
	struct store_needs needs;
	struct buf b;

	if (!store_digest_of(of->store, &of->agent, &theirs))
		return;
	if (store_digest_of(h->store, &of->agent, &ours) &&
	    epoch_cmp(&ours.epoch, &theirs.epoch) == 0 && ours.number == theirs.number)
		return;
	buf_init(&b, 1 << 20);
	delta_range(store_owner(of->store, &of->agent), 0, 1 << 20, &b);
	if (b.n > 0)
		store_range(h->store, csim_now(sim), buf_str(&b), &needs, NULL);
	buf_done(&b);
	cluster_store_changed(h->cluster, csim_now(sim));
}

static void
meet(struct cluster_sim *sim, size_t i, size_t j)
{
	struct csim_host *of = &sim->hosts[j];
	struct csim_view *v = &sim->hosts[i].views[j];
	bool news = !v->told || !v->alive || v->life != of->life ||
		    memcmp(&v->tags, &of->tags, sizeof v->tags) != 0;

	v->heard = sim->net.now;
	if (news) {
		if (!v->told || !v->alive)
			v->since = sim->net.now;
		v->told = v->alive = true;
		v->life = of->life;
		v->tags = of->tags;
		member_tell(sim, i, j);
	}
	records_take(sim, i, j);
}

void
csim_gossip(struct cluster_sim *sim, size_t i)
{
	struct csim_host *h = &sim->hosts[i];
	uint32_t odds = (uint32_t)(1 + sim->config.learn_max / (400 * NSEC_MS));

	for (size_t j = 0; j < sim->config.hosts && h->cluster != NULL; j++) {
		struct csim_host *of = &sim->hosts[j];
		struct csim_view *v = &h->views[j];

		if (j == i) {
			struct cluster_member self = { .agent = h->agent,
				.server = h->server,
				.cluster = h->tags.cluster,
				.raft_id = h->tags.raft_id,
				.formed = h->tags.formed,
				.alive = true,
				.version = 1,
				.expect = h->server ? sim->config.expect : 0 };

			cluster_member_set(h->cluster, csim_now(sim), &self);
		} else if (of->left) {
			if (!v->left && csim_one_in(sim, odds)) {
				v->left = v->told = true;
				v->alive = false;
				v->since = sim->net.now;
				member_tell(sim, i, j);
			}
		} else if (of->cluster != NULL && !of->paused && net_open(&sim->net, i, j) &&
			   net_open(&sim->net, j, i)) {
			if (csim_one_in(sim, odds))
				meet(sim, i, j);
		} else if (v->told && v->alive && sim->net.now - v->heard > CLUSTER_SIM_SUSPICION) {
			v->alive = false;
			v->since = sim->net.now;
			cluster_sim_say(sim, i, "%s has failed", of->name);
			member_tell(sim, i, j);
		}
		csim_drain(sim, i);
	}
}
