/* Random runs: three agents and the virtual owner put, remove, fail, leave, restart and mask; a
 * naive model says what must show. After each step the whole catalog is compared, and for every
 * scope: its index moved and its waiter woke exactly when what it reads has changed.
 *
 * Parts: the model; what should show and what does; scopes; steps; the run.
 */
#include "base/rng.h"
#include "kv/delta.h"
#include "tests/unit/store_fixture.h"

enum { NODES = 3, SERVICES = 3, CHECKS = 4, AGENTS = 3, NAMES = 2, STATES = 3, STEPS = 400 };

static const char *const node_names[NODES] = { "n1", "n2", "n3" };
static const char *const service_ids[SERVICES] = { "s1", "s2", "s3" };
static const char *const check_ids[CHECKS] = { "c1", "c2", "c3", "serfHealth" };
static const char *const names[NAMES] = { "web", "db" };
static const char *const states[STATES] = { "passing", "warning", "critical" };

/* The model. Numbers are one more than an index, 0 is "not there". */

struct m_service {
	int name, tag;
	int version; /* grows with every change: masks hide one version */
};

struct m_check {
	int status, service; /* service: 0 for the node's own */
};

struct m_place {     /* what one owner says about one node */
	int address; /* 0: no node record */
	struct m_service services[SERVICES];
	struct m_check checks[CHECKS];
};

struct m_agent {
	int node;
	struct m_place place;
};

struct run {
	struct fix f;
	struct store *peers[AGENTS]; /* the agents' own stores; [0] is f.store */
	uint64_t epochs[AGENTS];
	struct m_agent written[AGENTS], seen[AGENTS]; /* at the owner, and here */
	enum { M_OUT, M_ALIVE, M_KEPT, M_FAILED } state[AGENTS];
	struct m_place external[NODES];
	int masked[AGENTS][SERVICES]; /* the hidden version */
	int version;
	struct rng rng;
};

static const struct uuid *const agent_ids[AGENTS] = { &fix_self, &fix_peer, &fix_other };

/* What should show, and what does. */

struct v_service {
	int name, tag, health, external;
};

struct v_check {
	int status, service, external;
	int name, tag; /* of the service that is there */
};

struct view {
	struct {
		int address, agent, health; /* agent: one more than its number */
		struct v_service services[SERVICES];
		struct v_check checks[CHECKS];
	} nodes[NODES];
};

static int
worst(int a, int b)
{
	return a > b ? a : b;
}

static int
model_winner(const struct run *r, int node)
{
	for (unsigned state = M_ALIVE; state <= M_FAILED; state++)
		for (int i = 0; i < AGENTS; i++)
			if (r->state[i] == state && r->seen[i].node == node + 1)
				return i;
	return -1;
}

static void
view_health(struct view *v, int n)
{
	for (int c = 0; c < CHECKS; c++)
		if (v->nodes[n].checks[c].status > 0 && v->nodes[n].checks[c].service == 0)
			v->nodes[n].health =
			    worst(v->nodes[n].health, v->nodes[n].checks[c].status - 1);
	for (int s = 0; s < SERVICES; s++) {
		struct v_service *service = &v->nodes[n].services[s];

		if (service->name == 0)
			continue;
		service->health = v->nodes[n].health;
		for (int c = 0; c < CHECKS; c++)
			if (v->nodes[n].checks[c].status > 0 &&
			    v->nodes[n].checks[c].service == s + 1)
				service->health =
				    worst(service->health, v->nodes[n].checks[c].status - 1);
	}
}

static void
view_model_node(const struct run *r, struct view *v, int n)
{
	const struct m_place *external = &r->external[n], *own = NULL;
	int agent = model_winner(r, n);

	if (agent >= 0)
		own = &r->seen[agent].place;
	if (own == NULL && external->address == 0)
		return;
	v->nodes[n].address = own != NULL ? own->address : external->address;
	v->nodes[n].agent = agent + 1;
	for (int s = 0; s < SERVICES; s++) {
		const struct m_service *from = &external->services[s];
		bool is_own = own != NULL && own->services[s].name > 0 &&
			      r->masked[agent][s] != own->services[s].version;

		if (is_own)
			from = &own->services[s];
		if (from->name > 0)
			v->nodes[n].services[s] =
			    (struct v_service){ from->name, from->tag, 0, !is_own };
	}
	for (int c = 0; c < CHECKS; c++) {
		const struct m_check *from = &external->checks[c];
		struct v_check *to = &v->nodes[n].checks[c];

		if (own != NULL && own->checks[c].status > 0)
			from = &own->checks[c];
		to->external = from == &external->checks[c] && from->status > 0;
		to->status = from->status;
		to->service = from->status > 0 ? from->service : 0;
		if (own != NULL && c == CHECKS - 1) {
			to->status = r->state[agent] == M_FAILED ? 3 : 1;
			to->service = to->external = 0;
		}
		if (to->service > 0) {
			to->name = v->nodes[n].services[to->service - 1].name;
			to->tag = v->nodes[n].services[to->service - 1].tag;
		}
	}
	view_health(v, n);
}

static int
word_of(struct str s, const char *const *words, int count)
{
	for (int i = 0; i < count; i++)
		if (str_eq(s, str_of(words[i])))
			return i + 1;
	return 0;
}

static int
agent_of(const struct catalog_node *node)
{
	for (int i = 0; i < AGENTS; i++)
		if (node->agent && uuid_eq(&node->owner, agent_ids[i]))
			return i + 1;
	return 0;
}

static void
view_catalog_node(struct view *v, const struct catalog_node *node)
{
	int n = word_of(node->info.name, node_names, NODES) - 1;
	const struct catalog_service *s = NULL;
	const struct catalog_check *c = NULL;

	v->nodes[n].address = node->info.address.p[0] - '0';
	v->nodes[n].agent = agent_of(node);
	v->nodes[n].health = (int)node->health;
	while ((s = catalog_service_next(node, s)) != NULL)
		v->nodes[n].services[word_of(s->info.id, service_ids, SERVICES) - 1] =
		    (struct v_service){ word_of(s->info.name, names, NAMES), (int)s->info.tag_count,
			    (int)s->health, s->external };
	while ((c = catalog_check_next(node, c)) != NULL)
		v->nodes[n].checks[word_of(c->info.id, check_ids, CHECKS) - 1] =
		    (struct v_check){ word_of(c->info.status, states, STATES),
			    word_of(c->info.service_id, service_ids, SERVICES), c->external,
			    word_of(c->info.service_name, names, NAMES),
			    (int)c->info.service_tag_count };
}

/* Both ways into the services must tell the same; counts too. */
static void
assert_indexes_agree(struct run *r)
{
	struct catalog_counts want = catalog_counts(r->f.catalog), got = { 0 };
	struct catalog_node *node = NULL;
	struct catalog_name *name = NULL;

	while ((node = catalog_node_next(r->f.catalog, node)) != NULL) {
		got.nodes++;
		got.checks += node->check_count;
	}
	while ((name = catalog_name_next(r->f.catalog, name)) != NULL) {
		struct catalog_service *s = NULL;
		size_t count = 0;

		got.names++;
		while ((s = catalog_instance_next(name, s)) != NULL) {
			assert_ptr_equal(s->of, name);
			assert_ptr_equal(catalog_service_find(s->node, s->info.id), s);
			count++;
		}
		assert_int_equal(count, name->count);
		got.services += count;
	}
	assert_memory_equal(&want, &got, sizeof want);
}

static void
view_both(struct run *r, struct view *want, struct view *got)
{
	struct catalog_node *node = NULL;

	memset(want, 0, sizeof *want);
	memset(got, 0, sizeof *got);
	for (int n = 0; n < NODES; n++)
		view_model_node(r, want, n);
	while ((node = catalog_node_next(r->f.catalog, node)) != NULL)
		view_catalog_node(got, node);
}

/* Scopes: each as the numbers that its query would show. */

static const struct watch_key scopes[] = {
	{ WATCH_NODES, { NULL, 0 } },
	{ WATCH_SERVICES, { NULL, 0 } },
	{ WATCH_INSTANCES, { NULL, 0 } },
	{ WATCH_SERVICE, { "web", 3 } },
	{ WATCH_SERVICE, { "db", 2 } },
	{ WATCH_SERVICE_HEALTH, { "web", 3 } },
	{ WATCH_SERVICE_HEALTH, { "db", 2 } },
	{ WATCH_SERVICE_CHECKS, { "web", 3 } },
	{ WATCH_SERVICE_CHECKS, { "db", 2 } },
	{ WATCH_NODE, { "n1", 2 } },
	{ WATCH_NODE, { "n2", 2 } },
	{ WATCH_NODE, { "n3", 2 } },
	{ WATCH_NODE_CHECKS, { "n1", 2 } },
	{ WATCH_NODE_CHECKS, { "n2", 2 } },
	{ WATCH_NODE_CHECKS, { "n3", 2 } },
	{ WATCH_STATE, { "any", 3 } },
	{ WATCH_STATE, { "passing", 7 } },
	{ WATCH_STATE, { "warning", 7 } },
	{ WATCH_STATE, { "critical", 8 } },
};
enum { SCOPES = sizeof scopes / sizeof scopes[0] };

struct content {
	int n;
	int values[400];
};

static void
add(struct content *c, int value)
{
	assert_true(c->n < 400);
	c->values[c->n++] = value;
}

static void
add_check(struct content *c, const struct view *v, int n, int check)
{
	add(c, 1000 + n * 10 + check);
	add(c, v->nodes[n].checks[check].status);
	add(c, v->nodes[n].checks[check].service);
	add(c, v->nodes[n].checks[check].external);
	add(c, v->nodes[n].checks[check].name);
	add(c, v->nodes[n].checks[check].tag);
}

/* That a record is external counts as content: its body names the node, an agent's does not. */
static void
add_service(struct content *c, const struct view *v, const struct watch_key *key, int n, int s)
{
	add(c, 2000 + n * 10 + s);
	add(c, v->nodes[n].services[s].name);
	add(c, v->nodes[n].services[s].tag);
	if (key->kind != WATCH_SERVICES)
		add(c, v->nodes[n].services[s].external);
}

static void
content_of_node(struct content *c, const struct view *v, const struct watch_key *key, int n)
{
	int which = word_of(key->name, node_names, NODES);
	int word = word_of(key->name, states, STATES);

	if (key->kind == WATCH_NODES || (key->kind == WATCH_NODE && which == n + 1)) {
		add(c, n + 1);
		add(c, v->nodes[n].address);
	}
	for (int i = 0; i < CHECKS; i++) {
		int status = v->nodes[n].checks[i].status;

		if (status > 0 && ((key->kind == WATCH_NODE_CHECKS && which == n + 1) ||
				      (key->kind == WATCH_STATE && (word == 0 || word == status))))
			add_check(c, v, n, i);
	}
}

static void
content_of_service(
    struct content *c, const struct view *v, const struct watch_key *key, int n, int s)
{
	bool named = v->nodes[n].services[s].name == word_of(key->name, names, NAMES);

	if (key->kind == WATCH_SERVICES || key->kind == WATCH_INSTANCES ||
	    (key->kind == WATCH_NODE && word_of(key->name, node_names, NODES) == n + 1) ||
	    ((key->kind == WATCH_SERVICE || key->kind == WATCH_SERVICE_HEALTH) && named))
		add_service(c, v, key, n, s);
	if ((key->kind == WATCH_SERVICE || key->kind == WATCH_SERVICE_HEALTH) && named)
		add(c, v->nodes[n].address);
	for (int i = 0; i < CHECKS; i++) {
		const struct v_check *check = &v->nodes[n].checks[i];

		if (check->status > 0 && named &&
		    ((key->kind == WATCH_SERVICE_HEALTH &&
			 (check->service == 0 || check->service == s + 1)) ||
			(key->kind == WATCH_SERVICE_CHECKS && check->service == s + 1)))
			add_check(c, v, n, i);
	}
}

static struct content
content_of(const struct view *v, const struct watch_key *key)
{
	struct content c = { 0 };

	for (int n = 0; n < NODES; n++) {
		if (v->nodes[n].address == 0)
			continue;
		content_of_node(&c, v, key, n);
		for (int s = 0; s < SERVICES; s++)
			if (v->nodes[n].services[s].name > 0)
				content_of_service(&c, v, key, n, s);
	}
	return c;
}

/* Steps. */

static struct store *
peer_new(struct run *r, int agent)
{
	struct store_config config = { .self = *agent_ids[agent],
		.cluster = fix_cluster,
		.epoch = { r->epochs[agent], 5 },
		.limits = owner_limits_default };
	struct store *s = store_new(&config, r->f.now);

	return s;
}

static void
put_service(struct run *r, struct store *store, const struct uuid *owner, const char *node, int s,
    struct m_service *m, int name, int tag)
{
	struct str blue = STR("blue");
	struct service_info info = { .node = str_of(node),
		.id = str_of(service_ids[s]),
		.name = str_of(names[name - 1]),
		.tags = &blue,
		.tag_count = (size_t)tag,
		.weight_passing = 1,
		.weight_warning = 1 };
	bool equal = m->name == name && m->tag == tag;

	assert_int_equal(store_put_service(store, r->f.now, owner, &info, NULL), !equal);
	if (!equal)
		*m = (struct m_service){ name, tag, ++r->version };
}

static void
put_check(struct run *r, struct store *store, const struct uuid *owner, const char *node, int c,
    struct m_check *m, int status, int service)
{
	struct check_info info = { .node = str_of(node),
		.id = str_of(check_ids[c]),
		.status = str_of(states[status - 1]),
		.service_id = str_of(service == 0 ? "" : service_ids[service - 1]) };

	assert_int_equal(store_put_check(store, r->f.now, owner, &info, NULL),
	    m->status != status || m->service != service);
	*m = (struct m_check){ status, service };
}

static void
put_node(struct run *r, struct store *store, const struct uuid *owner, int node, int address)
{
	static const char *const addresses[] = { "", "1", "2", "3" };
	struct node_info info = { .name = str_of(node_names[node]),
		.address = str_of(addresses[address]) };

	assert_true(store_put_node(store, r->f.now, owner, &info, NULL) >= 0);
}

static int
roll(struct run *r, int n)
{
	return (int)rng_below(&r->rng, (uint32_t)n);
}

/* One record put or removed in one owner's place; `node` NULL: an agent's own. */
static void
step_place(struct run *r, struct store *store, const struct uuid *owner, const char *node,
    struct m_place *m)
{
	int s = roll(r, SERVICES), c = roll(r, CHECKS);

	switch (roll(r, 4)) {
	case 0:
		put_service(
		    r, store, owner, node, s, &m->services[s], 1 + roll(r, NAMES), roll(r, 2));
		break;
	case 1:
		put_check(r, store, owner, node, c, &m->checks[c], 1 + roll(r, STATES),
		    roll(r, SERVICES + 1));
		break;
	case 2:
		if (m->services[s].name == 0 && node != NULL)
			break; /* would take checks along that the model keeps */
		(void)store_remove_service(
		    store, r->f.now, owner, str_of(node), str_of(service_ids[s]));
		m->services[s] = (struct m_service){ 0 };
		for (c = 0; c < CHECKS && node != NULL; c++)
			if (m->checks[c].service == s + 1)
				m->checks[c] = (struct m_check){ 0 };
		break;
	default:
		assert_int_equal(
		    store_remove_check(store, r->f.now, owner, str_of(node), str_of(check_ids[c])),
		    m->checks[c].status > 0);
		m->checks[c] = (struct m_check){ 0 };
	}
}

static bool
step_agent(struct run *r, int agent)
{
	struct m_agent *m = &r->written[agent];

	if (roll(r, 4) > 0) {
		step_place(r, r->peers[agent], agent_ids[agent], NULL, &m->place);
		return true;
	} else if (roll(r, 4) > 0) {
		m->node = 1 + roll(r, NODES);
		m->place.address = 1 + agent;
		put_node(r, r->peers[agent], agent_ids[agent], m->node - 1, m->place.address);
	} else {
		(void)store_remove(
		    r->peers[agent], r->f.now, agent_ids[agent], RECORD_NODE, STR_NONE);
		m->node = m->place.address = 0;
	}
	return false;
}

static void
step_external(struct run *r)
{
	int n = roll(r, NODES);
	struct m_place *m = &r->external[n];

	if (roll(r, 4) > 0) {
		step_place(r, r->f.store, &fix_cluster, node_names[n], m);
	} else if (roll(r, 3) > 0) {
		m->address = 1 + roll(r, 3);
		put_node(r, r->f.store, &fix_cluster, n, m->address);
	} else {
		(void)store_remove_node(r->f.store, r->f.now, str_of(node_names[n]));
		memset(m, 0, sizeof *m);
	}
}

/* A restarted agent: the same content under a new epoch. */
static void
step_restart(struct run *r, int agent)
{
	struct m_agent *m = &r->written[agent];

	store_free(r->peers[agent]);
	r->epochs[agent]++;
	r->peers[agent] = peer_new(r, agent);
	if (m->node > 0)
		put_node(r, r->peers[agent], agent_ids[agent], m->node - 1, m->place.address);
	for (int s = 0; s < SERVICES; s++) {
		struct m_service was = m->place.services[s];

		m->place.services[s] = (struct m_service){ 0 };
		if (was.name > 0)
			put_service(r, r->peers[agent], agent_ids[agent], NULL, s,
			    &m->place.services[s], was.name, was.tag);
	}
	for (int c = 0; c < CHECKS; c++) {
		struct m_check was = m->place.checks[c];

		m->place.checks[c] = (struct m_check){ 0 };
		if (was.status > 0)
			put_check(r, r->peers[agent], agent_ids[agent], NULL, c,
			    &m->place.checks[c], was.status, was.service);
	}
	store_baseline_end(r->peers[agent], r->f.now);
}

/* Everything an agent has written arrives here. */
static void
step_sync(struct run *r, int agent)
{
	const struct owner *from, *have;
	struct store_needs needs;
	struct digest d;
	struct buf b;

	r->seen[agent] = r->written[agent];
	if (agent == 0)
		return;
	from = store_owner(r->peers[agent], agent_ids[agent]);
	have = store_owner(r->f.store, agent_ids[agent]);
	d = have == NULL ? (struct digest){ 0 } : owner_digest(have);
	buf_init(&b, 1024 * 1024);
	delta_range(from, d.epoch.counter == r->epochs[agent] ? d.number : 0, 100000, &b);
	if (b.n > 0)
		assert_int_equal(store_range(r->f.store, r->f.now, buf_str(&b), &needs, NULL), 0);
	buf_done(&b);
	have = store_owner(r->f.store, agent_ids[agent]);
	assert_true(have != NULL && owner_digest(have).hash == owner_digest(from).hash);
}

static void
step_member(struct run *r, int agent)
{
	static const enum store_member_state words[] = { STORE_MEMBER_GONE, STORE_MEMBER_ALIVE,
		STORE_MEMBER_KEPT, STORE_MEMBER_FAILED };

	r->state[agent] = (unsigned)roll(r, 4);
	store_member(r->f.store, r->f.now, agent_ids[agent], words[r->state[agent]], 0);
	if (r->state[agent] == M_OUT)
		memset(&r->seen[agent], 0, sizeof r->seen[agent]);
}

static void
step_mask(struct run *r, int agent)
{
	int s = roll(r, SERVICES);
	const struct m_service *m = &r->seen[agent].place.services[s];
	int rc = store_mask(
	    r->f.store, r->f.now, agent_ids[agent], RECORD_SERVICE, str_of(service_ids[s]), NULL);

	if (store_owner(r->f.store, agent_ids[agent]) == NULL || m->name == 0)
		assert_int_equal(rc, 0);
	else
		r->masked[agent][s] = m->version;
}

static void
step_assert(struct run *r)
{
	size_t hidden = 0;

	for (int s = 0; s < SERVICES; s++) {
		struct m_service *m = &r->written[0].place.services[s];

		if (m->name == 0 || r->masked[0][s] != m->version)
			continue;
		m->version = ++r->version;
		hidden++;
	}
	assert_int_equal(store_assert_masked(r->f.store, r->f.now), hidden);
}

/* True: no more than one object has changed here, so that no scope may move for nothing. Where a
 * whole node changes hands, one may be touched for a state between. */
static bool
step(struct run *r)
{
	int agent = roll(r, AGENTS);
	bool single;

	r->f.now.wall_ms += roll(r, 3);
	switch (roll(r, 10)) {
	case 0:
		if (agent > 0)
			step_member(r, agent);
		return false;
	case 1:
		step_mask(r, agent);
		return true;
	case 2:
		step_assert(r);
		step_sync(r, 0);
		return false;
	case 3:
		if (agent > 0 && roll(r, 4) == 0)
			step_restart(r, agent);
		step_sync(r, agent);
		return false;
	case 4:
	case 5:
	case 6:
		step_external(r);
		return true;
	default:
		single = step_agent(r, agent);
		if (agent == 0)
			step_sync(r, 0);
		return single || agent > 0;
	}
}

/* The run. */

struct watchers {
	struct waiter waiters[SCOPES];
	uint64_t index[SCOPES];
	struct content content[SCOPES];
	bool watched;
};

static void
watchers_compare(
    struct run *r, struct watchers *w, const struct view *v, bool exact, const char *where)
{
	struct watches *watches = store_watches(r->f.store);
	bool woken[SCOPES] = { false };
	struct waiter *ready;

	while ((ready = watch_ready_next(watches)) != NULL)
		woken[ready - w->waiters] = true;
	for (int i = 0; i < SCOPES; i++) {
		struct content content = content_of(v, &scopes[i]);
		uint64_t index = watch_index(watches, scopes[i]);
		bool changed =
		    content.n != w->content[i].n ||
		    memcmp(content.values, w->content[i].values, sizeof content.values) != 0;

		if (changed ? index <= w->index[i] : index < w->index[i])
			fail_msg("%s: scope %d changed without a higher index", where, i);
		if (w->watched && woken[i] != (index != w->index[i]))
			fail_msg("%s: scope %d moved without waking, or the other way", where, i);
		if (w->watched && exact && !changed && index != w->index[i])
			fail_msg("%s: scope %d moved without a change", where, i);
		w->index[i] = index;
		w->content[i] = content;
		if (woken[i])
			watch_wait(watches, &w->waiters[i], &scopes[i], 1);
	}
}

static void
run(uint64_t seed, bool watched)
{
	static struct watchers w;
	struct run r = {
		.f = fix_new(), .epochs = { 1, 1, 1 }, .state = { M_ALIVE, M_OUT, M_OUT }
	};
	struct view want, got;
	char where[64];

	memset(&w, 0, sizeof w);
	rng_init(&r.rng, seed);
	r.peers[0] = r.f.store;
	for (int i = 1; i < AGENTS; i++)
		r.peers[i] = peer_new(&r, i);
	for (int i = 0; i < AGENTS; i++)
		store_baseline_end(r.peers[i], r.f.now);
	view_both(&r, &want, &got);
	watchers_compare(&r, &w, &want, false, "start");
	w.watched = watched;
	for (int i = 0; i < SCOPES && watched; i++)
		watch_wait(store_watches(r.f.store), &w.waiters[i], &scopes[i], 1);
	for (int i = 0; i < STEPS; i++) {
		bool exact = step(&r);

		snprintf(where, sizeof where, "seed %d step %d", (int)seed, i);
		view_both(&r, &want, &got);
		if (memcmp(&want, &got, sizeof want) != 0)
			fail_msg("%s: the catalog is not what it should be", where);
		assert_indexes_agree(&r);
		watchers_compare(&r, &w, &want, exact, where);
	}
	for (int i = 0; i < SCOPES; i++)
		watch_cancel(store_watches(r.f.store), &w.waiters[i]);
	for (int i = 0; i < AGENTS; i++)
		store_free(r.peers[i]);
}

static void
everything_shows_as_the_model_says(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 60; seed++)
		run(seed, true);
}

static void
unwatched_scopes_may_move_but_never_back(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1001; seed <= 1040; seed++)
		run(seed, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_shows_as_the_model_says),
		cmocka_unit_test(unwatched_scopes_may_move_but_never_back),
	};

	return cmocka_run_group_tests_name("store_runs", tests, NULL, NULL);
}
