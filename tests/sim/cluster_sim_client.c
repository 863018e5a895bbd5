/* tests/sim/cluster_sim_client.c -- clients, and what must hold.
 *
 * A client writes a key of its own that may only be created: done twice it would fail. What was
 * acknowledged is read back through the same agent. It may hold a session on its host's node.
 */
#include "tests/sim/cluster_sim_priv.h"

#include <stdio.h>

#include "base/cursor.h"

#define SESSION_TTL (10 * NSEC_SEC)
#define ANSWER_MAX (12 * NSEC_SEC)

/* Keys. */

static struct csim_key *
key_of(struct cluster_sim *sim, const char *key)
{
	for (size_t k = sim->key_count; k-- > 0;)
		if (strcmp(sim->keys[k].key, key) == 0)
			return &sim->keys[k];
	sim->keys = mem_grow(sim->keys, sim->key_count, &sim->key_cap, sizeof *sim->keys);
	memset(&sim->keys[sim->key_count], 0, sizeof sim->keys[0]);
	snprintf(sim->keys[sim->key_count].key, sizeof sim->keys[0].key, "%s", key);
	return &sim->keys[sim->key_count++];
}

static bool
key_there(const struct csim_host *h, const char *key)
{
	return key_find(fsm_keys(cluster_fsm(h->cluster)), str_of(key)) != NULL;
}

/* What clients ask. */

static struct csim_client *
client_of(struct cluster_sim *sim, size_t host, uint64_t request)
{
	for (size_t k = 0; k < sim->config.clients; k++) {
		struct csim_client *c = &sim->clients[k];

		if (c->step != CSIM_IDLE && c->host == host && c->request == request)
			return c;
	}
	return NULL;
}

static void
client_again(struct cluster_sim *sim, struct csim_client *c)
{
	c->step = CSIM_IDLE;
	c->request = 0;
	csim_post(
	    sim, CSIM_CLIENT, c->host, sim->net.now + csim_between(sim, NSEC_MS, 700 * NSEC_MS))
	    ->other = (size_t)(c - sim->clients);
}

static void
client_asks(struct cluster_sim *sim, struct csim_client *c, enum csim_step step, uint64_t request)
{
	c->step = step;
	c->request = request;
	c->since = sim->net.now;
	c->life = sim->hosts[c->host].life;
}

static void
client_writes(struct cluster_sim *sim, struct csim_client *c)
{
	struct csim_host *h = &sim->hosts[c->host];
	struct fsm_op *op = mem_new(struct fsm_op);

	snprintf(c->key, sizeof c->key, "%zu/%u", (size_t)(c - sim->clients), ++c->number);
	op->command = FSM_KV;
	op->kv_count = 1;
	op->kv[0] = (struct kv_op){ .verb = KV_CAS, .key = str_of(c->key), .value = STR("x") };
	key_of(sim, c->key);
	client_asks(sim, c, CSIM_WRITES, cluster_write(h->cluster, csim_now(sim), op));
	free(op);
}

static void
client_reads(struct cluster_sim *sim, struct csim_client *c, const char *key, bool must)
{
	struct csim_host *h = &sim->hosts[c->host];
	enum cluster_read mode = (enum cluster_read)rng_below(&sim->net.rng, 3);
	char text[32];

	snprintf(c->key, sizeof c->key, "%s", key);
	c->must = must;
	if (h->server) {
		client_asks(sim, c, CSIM_READS, cluster_read(h->cluster, csim_now(sim), mode));
		return;
	}
	snprintf(text, sizeof text, "%c%s", mode == CLUSTER_STALE ? 'S' : 'D', key);
	client_asks(sim, c, CSIM_READS, cluster_ask_http(h->cluster, csim_now(sim), str_of(text)));
	cluster_repeatable(h->cluster, c->request);
}

static void
client_creates(struct cluster_sim *sim, struct csim_client *c)
{
	struct csim_host *h = &sim->hosts[c->host];
	struct fsm_op *op = mem_new(struct fsm_op);
	char checks[32], check[16] = "check-";
	struct writer w = wr_of(checks, sizeof checks);

	check[6] = h->name[0];
	for (size_t i = 0; i < sizeof c->session.b; i++)
		c->session.b[i] = (uint8_t)rng_u32(&sim->net.rng);
	c->timed = csim_one_in(sim, 2);
	c->renews = csim_one_in(sim, 2);
	wr_varint(&w, 10);
	wr_bytes(&w, STR(CATALOG_SERF_CHECK));
	wr_varint(&w, 7);
	wr_bytes(&w, str_of(check));
	op->command = FSM_SESSION_CREATE;
	op->session = (struct session_info){ .id = c->session,
		.node = str_of(h->name),
		.ttl = c->timed ? SESSION_TTL : 0,
		.node_checks = { .count = 2, .bytes = wr_done(&w) } };
	c->created = c->renewed = c->maybe = sim->net.now;
	client_asks(sim, c, CSIM_CREATES, cluster_write(h->cluster, csim_now(sim), op));
	free(op);
}

static void
client_destroys(struct cluster_sim *sim, struct csim_client *c)
{
	struct csim_host *h = &sim->hosts[c->host];
	struct fsm_op *op = mem_new(struct fsm_op);

	op->command = FSM_SESSION_END;
	op->cause = FSM_DESTROYED;
	op->session.id = c->session;
	client_asks(sim, c, CSIM_DESTROYS, cluster_write(h->cluster, csim_now(sim), op));
	free(op);
}

void
csim_client(struct cluster_sim *sim, size_t k)
{
	struct csim_client *c = &sim->clients[k];
	struct csim_host *h = &sim->hosts[c->host];

	if (sim->calm)
		return;
	if (h->cluster == NULL || h->paused) {
		client_again(sim, c);
		return;
	}
	if (c->lasting && c->timed && c->renews && sim->net.now - c->renewed > 3 * NSEC_SEC)
		client_asks(
		    sim, c, CSIM_RENEWS, cluster_renew(h->cluster, csim_now(sim), &c->session));
	else if (!c->lasting && csim_one_in(sim, 12))
		client_creates(sim, c);
	else if (c->lasting && csim_one_in(sim, 60))
		client_destroys(sim, c);
	else if (c->acked[0] != '\0' && csim_one_in(sim, 3))
		client_reads(sim, c, c->acked, true);
	else
		client_writes(sim, c);
	csim_drain(sim, c->host);
}

/* What they hear. */

static void
wrote(struct cluster_sim *sim, struct csim_client *c, const struct cluster_action *a)
{
	struct csim_key *key = key_of(sim, c->key);

	if (a->code != 0) {
		sim->failed++;
		if (str_eq(a->text, STR(CLUSTER_NO_LEADER)))
			key->fate = CSIM_NEVER;
		return;
	}
	sim->acked++;
	key->fate = CSIM_ACKED;
	if (a->bytes.n == 0 || a->bytes.p[0] != FSM_TRUE)
		cluster_sim_fail(
		    sim, "%s: key %s was created twice", sim->hosts[c->host].name, c->key);
	snprintf(c->acked, sizeof c->acked, "%s", c->key);
}

static void
was_read(struct cluster_sim *sim, struct csim_client *c, const struct cluster_action *a)
{
	struct csim_host *h = &sim->hosts[c->host];
	bool there;

	if (a->code != 0)
		return;
	if (!h->server && str_eq(a->bytes, STR("E")))
		return;
	there = h->server ? key_there(h, c->key) : str_eq(a->bytes, STR("1"));
	if (there)
		sim->read_back++;
	else if (c->must)
		cluster_sim_fail(
		    sim, "%s: key %s was acknowledged and is not read", h->name, c->key);
}

static void
renewed(struct cluster_sim *sim, struct csim_client *c, const struct cluster_action *a)
{
	c->maybe = sim->net.now;
	if (a->code != 0)
		return;
	if (str_eq(a->bytes, STR("\1")))
		c->renewed = c->since;
	else
		c->lasting = false;
}

static void
client_hears(struct cluster_sim *sim, struct csim_client *c, const struct cluster_action *a)
{
	if (sim->net.now - c->since > ANSWER_MAX && sim->hosts[c->host].resumed < c->since &&
	    (c->step != CSIM_READS || sim->hosts[c->host].server))
		cluster_sim_fail(sim, "%s: an answer after %.1f s", sim->hosts[c->host].name,
		    (double)(sim->net.now - c->since) / NSEC_SEC);
	switch (c->step) {
	case CSIM_IDLE:
		break;
	case CSIM_WRITES:
		wrote(sim, c, a);
		if (a->code == 0 && !csim_one_in(sim, 3) && !sim->calm) {
			client_reads(sim, c, c->acked, true);
			return;
		}
		break;
	case CSIM_READS:
		was_read(sim, c, a);
		break;
	case CSIM_CREATES:
		c->maybe = sim->net.now;
		c->lasting = a->code == 0;
		sim->sessions += c->lasting;
		break;
	case CSIM_RENEWS:
		renewed(sim, c, a);
		break;
	case CSIM_DESTROYS:
		c->lasting = c->lasting && a->code != 0;
		break;
	}
	client_again(sim, c);
}

/* A server that answers for an agent without a copy. */

static struct csim_http *
http_of(struct csim_host *h, bool by_read, uint64_t request)
{
	for (size_t k = 0; k < CSIM_HTTP_MAX; k++)
		if (h->http[k].asked != 0 &&
		    (by_read ? h->http[k].read : h->http[k].asked) == request)
			return &h->http[k];
	return NULL;
}

void
csim_asked(struct cluster_sim *sim, size_t i, const struct cluster_action *a)
{
	struct csim_host *h = &sim->hosts[i];
	bool stale = a->bytes.n > 0 && a->bytes.p[0] == 'S';

	sim->carried++;
	for (size_t k = 0; k < CSIM_HTTP_MAX; k++) {
		struct csim_http *http = &h->http[k];

		if (http->asked != 0)
			continue;
		http->asked = a->request;
		snprintf(http->key, sizeof http->key, STR_FMT, STR_ARG(str_skip(a->bytes, 1)));
		http->read = cluster_read(
		    h->cluster, csim_now(sim), stale ? CLUSTER_STALE : CLUSTER_DEFAULT);
		return;
	}
	cluster_sim_fail(sim, "%s serves more than there are clients", h->name);
}

void
csim_dropped(struct cluster_sim *sim, size_t i, const struct cluster_action *a)
{
	struct csim_http *http = http_of(&sim->hosts[i], false, a->request);

	if (http == NULL)
		return;
	cluster_cancel(sim->hosts[i].cluster, http->read);
	http->asked = 0;
}

void
csim_answer(struct cluster_sim *sim, size_t i, const struct cluster_action *a)
{
	struct csim_host *h = &sim->hosts[i];
	struct csim_client *c = client_of(sim, i, a->request);
	struct csim_http *http = http_of(h, true, a->request);
	uint64_t asked;

	if (c != NULL) {
		client_hears(sim, c, a);
		return;
	}
	if (http == NULL && a->request == sim->take_out) {
		cluster_sim_say(sim, i, "a server is taken out: %d", a->code);
		return;
	}
	if (http == NULL) {
		cluster_sim_fail(sim, "%s: an answer to nobody", h->name);
		return;
	}
	asked = http->asked;
	http->asked = 0;
	cluster_served(h->cluster, csim_now(sim), asked,
	    a->code != 0              ? STR("E")
	    : key_there(h, http->key) ? STR("1")
				      : STR("0"));
}

/* What became of their requests nobody knows. */
void
csim_host_gone(struct cluster_sim *sim, size_t i)
{
	for (size_t k = 0; k < sim->config.clients; k++) {
		struct csim_client *c = &sim->clients[k];

		if (c->host != i)
			continue;
		if (c->step == CSIM_CREATES || c->step == CSIM_RENEWS)
			c->maybe = sim->net.now;
		if (c->step == CSIM_CREATES)
			c->lasting = false;
		/* a new life knows of nothing it has seen */
		c->acked[0] = '\0';
		if (c->step != CSIM_IDLE)
			client_again(sim, c);
	}
}

/* What must hold. */

void
csim_check_tags(struct cluster_sim *sim, size_t i)
{
	const struct csim_host *h = &sim->hosts[i];

	if (!h->tags.formed)
		return;
	if (uuid_eq(&sim->formed, &(struct uuid){ { 0 } }))
		sim->formed = h->tags.cluster;
	if (!uuid_eq(&sim->formed, &h->tags.cluster))
		cluster_sim_fail(sim, "%s is in a second formed cluster", h->name);
}

static struct csim_client *
holder(struct cluster_sim *sim, const struct uuid *session)
{
	for (size_t k = 0; k < sim->config.clients; k++)
		if (uuid_eq(&sim->clients[k].session, session))
			return &sim->clients[k];
	return NULL;
}

/* The leader proposes to end a session: is there the evidence? */
static void
check_end(struct cluster_sim *sim, size_t i, const struct fsm_op *op)
{
	const struct csim_client *c = holder(sim, &op->session.id);
	const struct csim_host *h = &sim->hosts[i];
	const struct csim_view *v;
	nsec now = sim->net.now;

	if (c == NULL || op->cause == FSM_DESTROYED)
		return; /* an older one, of which only the newest word is kept */
	v = &h->views[c->host];
	sim->ended++;
	switch (op->cause) {
	case FSM_EXPIRED:
		sim->expired++;
		if (!c->timed || now - c->renewed < SESSION_TTL)
			cluster_sim_fail(sim, "%s ends a session %.1f s after it was renewed",
			    h->name, (double)(now - c->renewed) / NSEC_SEC);
		break;
	case FSM_CHECK:
		if (!sim->hosts[c->host].critical && sim->hosts[c->host].critical_at == 0)
			cluster_sim_fail(sim, "%s ends a session whose checks pass", h->name);
		break;
	case FSM_NODE_FAILED:
		if (c->host == i || v->alive ||
		    now - v->since < CLUSTER_SIM_SUSPICION + 15 * NSEC_SEC)
			cluster_sim_fail(sim, "%s ends a session of a live node", h->name);
		break;
	case FSM_NODE_LEFT:
		if (!sim->hosts[c->host].left)
			cluster_sim_fail(
			    sim, "%s ends a session of a node that did not leave", h->name);
		break;
	default:
		cluster_sim_fail(sim, "%s ends a session for cause %d", h->name, (int)op->cause);
	}
}

void
csim_check_entry(struct cluster_sim *sim, size_t i, const struct raft_log_entry *e)
{
	struct fsm_op *op;

	/* Followers append it too, later; a leader that no one follows may as well. */
	if (e->bytes.n < 2 || e->bytes.p[0] != FSM_VERSION || e->bytes.p[1] != FSM_SESSION_END ||
	    !cluster_status(sim->hosts[i].cluster, csim_now(sim)).leader)
		return;
	op = mem_new(struct fsm_op);
	if (fsm_op_read(e->bytes, op, NULL) == 0)
		check_end(sim, i, op);
	free(op);
}

/* None outlives twice its TTL while one leader lives. */
void
csim_check_sessions(struct cluster_sim *sim, size_t i)
{
	struct csim_host *h = &sim->hosts[i];

	if (h->cluster == NULL || h->leading_since == 0 || !net_whole(&sim->net))
		return;
	for (size_t k = 0; k < sim->config.clients; k++) {
		const struct csim_client *c = &sim->clients[k];
		nsec from = c->maybe > h->leading_since ? c->maybe : h->leading_since;

		if (c->timed && c->step != CSIM_RENEWS && c->step != CSIM_CREATES &&
		    sim->net.now - from > 2 * SESSION_TTL &&
		    session_find(fsm_sessions(cluster_fsm(h->cluster)), &c->session) != NULL)
			cluster_sim_fail(sim, "%s: a session lasts %.1f s", h->name,
			    (double)(sim->net.now - from) / NSEC_SEC);
	}
}

static bool
keys_right(struct cluster_sim *sim, size_t i, char *why, size_t n)
{
	const struct csim_host *h = &sim->hosts[i];

	for (size_t k = 0; k < sim->key_count; k++) {
		const struct csim_key *key = &sim->keys[k];
		bool there = key_there(h, key->key);

		if ((key->fate == CSIM_ACKED && !there) || (key->fate == CSIM_NEVER && there)) {
			snprintf(why, n, "%s: key %s was %s and is%s there", h->name, key->key,
			    key->fate == CSIM_ACKED ? "acknowledged" : "refused",
			    there ? "" : " not");
			return false;
		}
	}
	return true;
}

bool
cluster_sim_settled(struct cluster_sim *sim, char *why, size_t n)
{
	size_t leader = cluster_sim_leader(sim);
	uint64_t index;

	if (leader == SIZE_MAX) {
		snprintf(why, n, "nobody leads");
		return false;
	}
	index = fsm_index(cluster_fsm(sim->hosts[leader].cluster));
	for (size_t k = 0; k < sim->config.clients; k++)
		if (sim->clients[k].step != CSIM_IDLE && !sim->hosts[sim->clients[k].host].left) {
			snprintf(
			    why, n, "client %zu waits for step %d", k, (int)sim->clients[k].step);
			return false;
		}
	for (size_t i = 0; i < sim->config.hosts; i++) {
		struct csim_host *h = &sim->hosts[i];
		struct cluster_status s;

		if (h->left)
			continue;
		s = cluster_status(h->cluster, csim_now(sim));
		if (!s.known_leader || !uuid_eq(&s.leader_agent, &sim->hosts[leader].agent)) {
			snprintf(why, n, "%s does not know that %s leads", h->name,
			    sim->hosts[leader].name);
			return false;
		}
		if (!h->server)
			continue;
		if (fsm_index(cluster_fsm(h->cluster)) != index) {
			snprintf(why, n, "%s is at %llu, %s at %llu", h->name,
			    (unsigned long long)fsm_index(cluster_fsm(h->cluster)),
			    sim->hosts[leader].name, (unsigned long long)index);
			return false;
		}
		if (!keys_right(sim, i, why, n))
			return false;
	}
	return true;
}
