/* The store: local writes, masks, membership, and what other agents send. */
#include "kv/delta.h"
#include "tests/unit/store_fixture.h"

/* A second agent with a store of its own, and its records on their way to the first. */
static struct store *
peer_new(const struct fix *f, uint64_t counter, const char *node)
{
	struct store_config config = { .self = fix_peer,
		.cluster = fix_cluster,
		.epoch = { counter, 5 },
		.limits = owner_limits_default };
	struct node_info info = { .name = str_of(node), .address = STR("10.0.0.2") };
	struct store *s = store_new(&config, f->now);

	store_put_node(s, f->now, &fix_peer, &info, NULL);
	return s;
}

static int
peer_service(const struct fix *f, struct store *peer, const char *id, const char *name)
{
	struct service_info info = {
		.id = str_of(id), .name = str_of(name), .weight_passing = 1, .weight_warning = 1
	};

	return store_put_service(peer, f->now, &fix_peer, &info, NULL);
}

/* A whole range from `after` on; what the first store still wants. */
static struct store_needs
peer_range(struct fix *f, struct store *peer, uint64_t after)
{
	struct store_needs needs;
	struct buf b;

	buf_init(&b, 1024 * 1024);
	delta_range(store_owner(peer, &fix_peer), after, 1000000, &b);
	assert_int_equal(store_range(f->store, f->now, buf_str(&b), &needs, NULL), 0);
	buf_done(&b);
	return needs;
}

/* All its news, pushed one by one, but for the first `lost`. */
static struct store_needs
peer_push(struct fix *f, struct store *peer, int lost)
{
	struct store_needs needs = { 0 };
	struct owner_record r;
	struct uuid owner;
	uint64_t after;

	while (store_news_next(peer, &owner, &after, &r)) {
		struct record record = { r.kind, r.gone, r.number, r.key, blob_str(r.body) };

		if (lost-- > 0)
			continue;
		store_push(f->store, f->now, &owner, owner_digest(store_owner(peer, &owner)).epoch,
		    &record, &needs);
	}
	return needs;
}

static void
only_owners_write(void **unused)
{
	struct fix f = fix_new();
	struct err err;

	(void)unused;
	assert_int_equal(
	    store_put(f.store, f.now, &fix_peer, RECORD_SERVICE, STR("a"), STR("b"), &err),
	    ERR_REFUSED);
	assert_int_equal(store_remove(f.store, f.now, &fix_peer, RECORD_SERVICE, STR("a")), 0);
	assert_int_equal(fix_node(&f, &fix_self, "", ""), ERR_INPUT);
	assert_int_equal(fix_service(&f, "", "x", "x", NULL), ERR_INPUT); /* external, nowhere */
	store_free(f.store);
}

static void
limits_refuse_what_is_too_large(void **unused)
{
	struct fix f = fix_new();
	static char big[RECORD_BODY_MAX + 1];
	struct service_info info = {
		.id = STR("x"), .name = STR("x"), .proxy_json = { big, sizeof big }
	};
	struct service_info external = { .node = { big, RECORD_KEY_MAX }, .id = STR("x") };
	struct err err;

	(void)unused;
	memset(big, 'x', sizeof big);
	assert_int_equal(store_put_service(f.store, f.now, &fix_self, &info, &err), ERR_LIMIT);
	assert_int_equal(
	    store_put_service(f.store, f.now, &fix_cluster, &external, &err), ERR_INPUT);
	assert_int_equal(fix_service(&f, NULL, "x", "x", NULL), 1);
	store_free(f.store);
}

static void
malformed_bodies_do_not_show(void **unused)
{
	struct fix f = fix_new();
	struct str other = STR("\2\1b\3\1n"); /* its id is b */

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, NULL, "a", "web", NULL);
	assert_int_equal(
	    store_put(f.store, f.now, &fix_self, RECORD_SERVICE, STR("a"), STR("\2"), NULL), 1);
	assert_null(fix_find(&f, "n1", "a"));
	assert_int_equal(
	    store_put(f.store, f.now, &fix_self, RECORD_SERVICE, STR("a"), other, NULL), 1);
	assert_null(fix_find(&f, "n1", "a"));
	assert_null(fix_find(&f, "n1", "b"));
	assert_int_equal(store_put(f.store, f.now, &fix_self, 77, STR("a"), other, NULL), 1);
	assert_int_equal(
	    store_put(f.store, f.now, &fix_self, RECORD_NODE, STR_NONE, STR("\2"), NULL), 1);
	assert_int_equal(catalog_counts(f.catalog).nodes, 0);
	store_free(f.store);
}

static void
an_equal_put_is_no_event(void **unused)
{
	struct fix f = fix_new();
	struct watch_key web = { WATCH_SERVICE, STR("web") };
	struct waiter waiter = { 0 };
	struct owner_record r;
	struct uuid owner;
	uint64_t after;

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, NULL, "web-1", "web", "blue");
	store_baseline_end(f.store, f.now);
	assert_false(
	    store_news_next(f.store, &owner, &after, &r)); /* a baseline is announced, not pushed */
	watch_wait(store_watches(f.store), &waiter, &web, 1);
	assert_int_equal(fix_service(&f, NULL, "web-1", "web", "blue"), 0);
	assert_null(watch_ready_next(store_watches(f.store)));
	assert_false(store_news_next(f.store, &owner, &after, &r));
	assert_int_equal(fix_service(&f, NULL, "web-1", "web", "green"), 1);
	assert_ptr_equal(watch_ready_next(store_watches(f.store)), &waiter);
	assert_true(store_news_next(f.store, &owner, &after, &r));
	assert_true(uuid_eq(&owner, &fix_self));
	assert_int_equal(r.number, 2);
	assert_str(r.key, "web-1");
	assert_false(store_news_next(f.store, &owner, &after, &r));
	store_free(f.store);
}

static void
news_come_in_order_from_both_writers(void **unused)
{
	struct fix f = fix_new();
	struct owner_record r;
	struct uuid owner;
	uint64_t after;

	(void)unused;
	store_baseline_end(f.store, f.now);
	fix_service(&f, NULL, "a", "a", NULL);
	fix_service(&f, NULL, "b", "b", NULL);
	fix_service(&f, "ext", "c", "c", NULL);
	store_remove_service(f.store, f.now, &fix_self, STR(""), STR("a"));
	assert_true(store_news_next(f.store, &owner, &after, &r));
	assert_str(r.key, "b");
	assert_true(store_news_next(f.store, &owner, &after, &r));
	assert_str(r.key, "a");
	assert_true(r.gone);
	assert_true(store_news_next(f.store, &owner, &after, &r));
	assert_true(uuid_eq(&owner, &fix_cluster));
	assert_false(store_news_next(f.store, &owner, &after, &r));
	store_free(f.store);
}

/* A tombstone that fell before it was told leaves a gap: what follows must not close it. */
static void
news_do_not_reach_over_a_risen_floor(void **unused)
{
	struct store_config config = { .self = fix_self,
		.cluster = fix_cluster,
		.epoch = { 1, 77 },
		.limits = owner_limits_default,
		.unknown_bytes_max = 1024 };
	struct now now = { NSEC_SEC, FIX_WALL };
	struct owner_record r;
	struct store *s;
	struct uuid owner;
	uint64_t after;

	(void)unused;
	config.limits.tombstones_max = 2;
	s = store_new(&config, now);
	store_put(s, now, &fix_self, 77, STR("a"), STR("1"), NULL);
	store_put(s, now, &fix_self, 77, STR("b"), STR("1"), NULL);
	store_put(s, now, &fix_self, 77, STR("c"), STR("1"), NULL);
	store_baseline_end(s, now);
	store_remove(s, now, &fix_self, 77, STR("a"));              /* 2 */
	store_put(s, now, &fix_self, 77, STR("d"), STR("1"), NULL); /* 3 */
	store_remove(s, now, &fix_self, 77, STR("b"));              /* 4 */
	store_remove(s, now, &fix_self, 77, STR("c"));              /* 5 */
	assert_true(owner_floor(store_owner(s, &fix_self)) >= 2);
	assert_true(store_news_next(s, &owner, &after, &r));
	assert_str(r.key, "d");
	assert_int_equal(after, owner_floor(store_owner(s, &fix_self))); /* who is at 1 must ask */
	assert_true(store_news_next(s, &owner, &after, &r));
	assert_true(after == r.number - 1);
	store_free(s);
}

static void
digests_of_members_only_in_order_of_id(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2");
	struct digest d;
	size_t cursor = 0;

	(void)unused;
	assert_false(store_digest_next(f.store, &cursor, &d)); /* the baseline is open */
	store_baseline_end(f.store, f.now);
	store_baseline_end(peer, f.now);
	(void)peer_range(&f, peer, 0);
	cursor = 0;
	assert_true(store_digest_next(f.store, &cursor, &d));
	assert_true(uuid_eq(&d.owner, &fix_self));
	assert_false(store_digest_next(f.store, &cursor, &d)); /* the peer is unknown */
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	fix_node(&f, &fix_cluster, "ext", "10.0.0.9");
	cursor = 0;
	assert_true(store_digest_next(f.store, &cursor, &d));
	assert_true(store_digest_next(f.store, &cursor, &d));
	assert_true(uuid_eq(&d.owner, &fix_peer));
	assert_true(store_digest_next(f.store, &cursor, &d));
	assert_true(uuid_eq(&d.owner, &fix_cluster));
	assert_false(store_digest_next(f.store, &cursor, &d));
	store_free(peer);
	store_free(f.store);
}

static void
a_failed_agent_is_critical_and_comes_back(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2");
	uint64_t created;

	(void)unused;
	peer_service(&f, peer, "web-2", "web");
	store_baseline_end(peer, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	created = fix_find(&f, "n2", "web-2")->create_index;
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_FAILED, 0);
	assert_int_equal(fix_find(&f, "n2", "web-2")->health, CHECK_CRITICAL);
	assert_str(
	    fix_find_check(&f, "n2", "serfHealth")->info.output, "Agent not live or unreachable");
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	assert_int_equal(fix_find(&f, "n2", "web-2")->health, CHECK_PASSING);
	assert_true(fix_find(&f, "n2", "web-2")->create_index == created);
	store_member(f.store, f.now, &fix_self, STORE_MEMBER_GONE, 0); /* says nothing to us */
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_GONE, 0);
	assert_null(catalog_node_find(f.catalog, STR("n2")));
	assert_null(store_owner(f.store, &fix_peer));
	store_free(peer);
	store_free(f.store);
}

static void
a_name_goes_to_the_live_holder_then_to_the_lowest_id(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n1");

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	peer_service(&f, peer, "web-2", "web");
	store_baseline_end(peer, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	assert_str(catalog_node_find(f.catalog, STR("n1"))->info.address, "10.0.0.1");
	assert_null(catalog_name_find(f.catalog, STR("web")));
	fix_node(&f, &fix_self, "other", "10.0.0.1");
	assert_str(catalog_node_find(f.catalog, STR("n1"))->info.address, "10.0.0.2");
	assert_non_null(catalog_name_find(f.catalog, STR("web")));
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_FAILED, 0);
	fix_node(&f, &fix_self, "n1", "10.0.0.1"); /* the lower id, and alive */
	assert_str(catalog_node_find(f.catalog, STR("n1"))->info.address, "10.0.0.1");
	store_free(peer);
	store_free(f.store);
}

static void
who_is_kept_is_shown_and_marked(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2");
	struct catalog_check *serf;
	uint64_t before;

	(void)unused;
	peer_service(&f, peer, "web-2", "web");
	store_baseline_end(peer, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	serf = fix_find_check(&f, "n2", CATALOG_SERF_CHECK);
	assert_str(serf->info.output, "Agent alive and reachable");
	before = fix_index(&f, WATCH_SERVICE_HEALTH, "web");
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_KEPT, 0);
	serf = fix_find_check(&f, "n2", CATALOG_SERF_CHECK);
	assert_str(serf->info.status, "passing");
	assert_str(serf->info.output, "Agent not live or unreachable, kept in answers for now");
	assert_int_equal(fix_find(&f, "n2", "web-2")->health, CHECK_PASSING);
	assert_true(fix_index(&f, WATCH_SERVICE_HEALTH, "web") > before);
	before = fix_index(&f, WATCH_SERVICE_HEALTH, "web");
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_KEPT, 0);
	assert_true(fix_index(&f, WATCH_SERVICE_HEALTH, "web") == before);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_FAILED, 0);
	assert_int_equal(fix_find(&f, "n2", "web-2")->health, CHECK_CRITICAL);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_KEPT, 0);
	assert_int_equal(fix_find(&f, "n2", "web-2")->health, CHECK_PASSING);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	serf = fix_find_check(&f, "n2", CATALOG_SERF_CHECK);
	assert_str(serf->info.output, "Agent alive and reachable");
	store_free(peer);
	store_free(f.store);
}

static void
a_coordinate_is_no_news_for_watchers_of_anything_else(void **unused)
{
	static const enum watch_kind others[] = { WATCH_NODES, WATCH_SERVICES };
	const struct coordinate_info at = { .vec = { 0.25 }, .error = 1 };
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2");
	struct catalog_node *node;
	struct coordinate_info out;
	uint64_t before[2], mine;
	struct store_needs needs;
	struct buf b;

	(void)unused;
	peer_service(&f, peer, "web-2", "web");
	store_baseline_end(peer, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	node = catalog_node_find(f.catalog, STR("n2"));
	assert_false(catalog_node_coordinate(f.catalog, node, &out));
	for (size_t i = 0; i < 2; i++)
		before[i] = fix_index(&f, others[i], "");
	mine = fix_index(&f, WATCH_COORDINATES, "");
	buf_init(&b, 1000);
	coordinate_pack(&b, &at);
	assert_int_equal(
	    store_put(peer, f.now, &fix_peer, RECORD_COORDINATE, STR_NONE, buf_str(&b), NULL), 1);
	needs = peer_push(&f, peer, 0);
	assert_false(needs.range);
	assert_true(catalog_node_coordinate(f.catalog, node, &out));
	assert_true(out.vec[0] == 0.25 && out.error == 1);
	assert_true(fix_index(&f, WATCH_COORDINATES, "") > mine);
	for (size_t i = 0; i < 2; i++)
		assert_true(fix_index(&f, others[i], "") == before[i]);
	buf_clear(&b);
	buf_add(&b, STR("\x01\x01")); /* malformed: as if there were none */
	store_put(peer, f.now, &fix_peer, RECORD_COORDINATE, STR_NONE, buf_str(&b), NULL);
	(void)peer_push(&f, peer, 0);
	assert_false(catalog_node_coordinate(f.catalog, node, &out));
	buf_done(&b);
	store_free(peer);
	store_free(f.store);
}

/* An agent with a lower id than ours, and what it says of itself. */
static void
lowest_take(struct fix *f, const struct uuid *id, const char *node)
{
	struct store_config config = { .self = *id,
		.cluster = fix_cluster,
		.epoch = { 1, 5 },
		.limits = owner_limits_default };
	struct node_info info = { .name = str_of(node), .address = STR("10.0.0.3") };
	struct store *s = store_new(&config, f->now);
	struct store_needs needs;
	struct buf b;

	buf_init(&b, 65536);
	store_put_node(s, f->now, id, &info, NULL);
	store_baseline_end(s, f->now);
	delta_range(store_owner(s, id), 0, 65536, &b);
	assert_int_equal(store_range(f->store, f->now, buf_str(&b), &needs, NULL), 0);
	buf_done(&b);
	store_free(s);
}

static void
a_live_holder_of_a_name_comes_before_a_kept_one(void **unused)
{
	static const struct uuid lowest = { { 0, 1 } };
	struct fix f = fix_new();
	struct catalog_node *node;

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	store_member(f.store, f.now, &lowest, STORE_MEMBER_ALIVE, 0);
	lowest_take(&f, &lowest, "n1");
	node = catalog_node_find(f.catalog, STR("n1"));
	assert_str(node->info.address, "10.0.0.3");
	store_member(f.store, f.now, &lowest, STORE_MEMBER_KEPT, 0);
	assert_str(node->info.address, "10.0.0.1");
	store_member(f.store, f.now, &lowest, STORE_MEMBER_ALIVE, 0);
	assert_str(node->info.address, "10.0.0.3");
	store_free(f.store);
}

static void
records_of_unknown_owners_wait_a_minute(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2");

	(void)unused;
	store_baseline_end(peer, f.now);
	assert_true(store_deadline(f.store) == NSEC_NEVER);
	(void)peer_range(&f, peer, 0);
	assert_null(catalog_node_find(f.catalog, STR("n2")));
	assert_true(store_deadline(f.store) == f.now.mono + 60 * NSEC_SEC);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	assert_non_null(catalog_node_find(f.catalog, STR("n2")));
	f.now.mono += 60 * NSEC_SEC;
	store_tick(f.store, f.now); /* in vain */
	assert_non_null(catalog_node_find(f.catalog, STR("n2")));
	assert_true(store_deadline(f.store) == NSEC_NEVER);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_GONE, 0);
	(void)peer_range(&f, peer, 0);
	assert_non_null(store_owner(f.store, &fix_peer));
	f.now.mono += 60 * NSEC_SEC - 1;
	store_tick(f.store, f.now);
	assert_non_null(store_owner(f.store, &fix_peer));
	f.now.mono++;
	store_tick(f.store, f.now);
	assert_null(store_owner(f.store, &fix_peer));
	assert_true(store_deadline(f.store) == NSEC_NEVER);
	assert_int_equal(store_stats(f.store).unknown_dropped, 1);
	store_free(peer);
	store_free(f.store);
}

static void
unknown_owners_have_a_budget(void **unused)
{
	struct fix f = fix_new();
	struct store_needs needs;
	struct record r = { RECORD_SERVICE, false, 2, STR("k"), STR("b") };

	(void)unused;
	for (uint8_t i = 0; i < 255; i++) {
		struct uuid id = { { 77, i } };

		store_push(f.store, f.now, &id, (struct epoch){ 1, 1 }, &r, &needs);
	}
	assert_true(store_stats(f.store).unknown_dropped > 100);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0); /* members have their own */
	store_push(f.store, f.now, &fix_peer, (struct epoch){ 1, 1 }, &r, &needs);
	assert_true(needs.whole);
	f.now.mono += NSEC_MIN;
	store_tick(f.store, f.now);
	r.number = 3;
	store_push(f.store, f.now, &fix_other, (struct epoch){ 1, 1 }, &r, &needs);
	assert_true(needs.whole); /* there is room again */
	store_free(f.store);
}

static void
a_certificate_keeps_old_epochs_away(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 3, "n2"), *again = peer_new(&f, 4, "n2");

	(void)unused;
	store_baseline_end(peer, f.now);
	store_baseline_end(again, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_GONE, f.now.mono + NSEC_HOUR);
	assert_null(catalog_node_find(f.catalog, STR("n2")));
	assert_true(store_deadline(f.store) == f.now.mono + NSEC_HOUR);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	assert_null(catalog_node_find(f.catalog, STR("n2")));
	assert_int_equal(store_stats(f.store).stale, 1);
	(void)peer_range(&f, again, 0); /* it has heard its certificate */
	assert_non_null(catalog_node_find(f.catalog, STR("n2")));
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_GONE, 0);
	f.now.mono += NSEC_HOUR;
	store_tick(f.store, f.now);
	assert_true(store_deadline(f.store) == NSEC_NEVER);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	assert_non_null(catalog_node_find(f.catalog, STR("n2")));
	store_free(peer);
	store_free(again);
	store_free(f.store);
}

static void
a_push_over_a_gap_shows_at_once_and_asks(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2");
	struct store_needs needs;

	(void)unused;
	store_baseline_end(peer, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	peer_service(&f, peer, "a", "a");
	peer_service(&f, peer, "b", "b");
	needs = peer_push(&f, peer, 1);
	assert_null(fix_find(&f, "n2", "a"));
	assert_non_null(fix_find(&f, "n2", "b"));
	assert_true(needs.range && !needs.whole);
	assert_int_equal(needs.after, 1);
	assert_int_equal(store_stats(f.store).gaps, 1);
	needs = peer_range(&f, peer, needs.after);
	assert_false(needs.range);
	assert_non_null(fix_find(&f, "n2", "a"));
	needs = peer_range(&f, peer, 0); /* old: nothing happens */
	assert_false(needs.range);
	store_free(peer);
	store_free(f.store);
}

static void
nobody_tells_us_what_we_wrote(void **unused)
{
	struct fix f = fix_new();
	struct record r = { RECORD_SERVICE, false, 9, STR("k"), STR("b") };
	struct store_needs needs;

	(void)unused;
	store_baseline_end(f.store, f.now);
	store_push(f.store, f.now, &fix_self, (struct epoch){ 9, 9 }, &r, &needs);
	assert_false(needs.range);
	assert_int_equal(owner_digest(store_owner(f.store, &fix_self)).epoch.counter, 1);
	store_free(f.store);
}

static void
numbers_that_jump_are_dropped(void **unused)
{
	struct fix f = fix_new();
	struct record r = { RECORD_SERVICE, false, 9, STR("k"), STR("b") };
	struct store_needs needs;

	(void)unused;
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	store_push(f.store, f.now, &fix_peer, (struct epoch){ 1ull << 33, 9 }, &r, &needs);
	assert_false(needs.range);
	store_baseline(f.store, f.now, &fix_peer, (struct epoch){ 1, 9 }, 0, &needs);
	r.number = UINT64_MAX;
	store_push(f.store, f.now, &fix_peer, (struct epoch){ 1, 9 }, &r, &needs);
	assert_false(needs.range);
	assert_false(store_takes(f.store, &fix_peer, (struct epoch){ 1, 9 }, 2 + (1ull << 32)));
	assert_int_equal(store_stats(f.store).refused, 2);

	/* But whoever meets an owner for the first time meets it anywhere: a Raft index, say. */
	r.number = 1ull << 40;
	store_push(f.store, f.now, &fix_cluster, (struct epoch){ 1, 9 }, &r, &needs);
	assert_true(needs.range);
	assert_int_equal(store_stats(f.store).refused, 2);
	store_free(f.store);
}

/* The shown set of a restarted agent never dips, and nothing moves when it says the same. */
static void
a_restarted_agent_with_the_same_baseline_changes_nothing(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2"), *again = peer_new(&f, 2, "n2");
	struct store_needs needs;
	struct digest d;
	uint64_t index;

	(void)unused;
	peer_service(&f, peer, "a", "a");
	store_baseline_end(peer, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	index = fix_index(&f, WATCH_SERVICE_HEALTH, "a");
	peer_service(&f, again, "a", "a");
	store_baseline_end(again, f.now);
	d = owner_digest(store_owner(again, &fix_peer));
	store_baseline(f.store, f.now, &fix_peer, d.epoch, d.hash ^ 1, &needs);
	assert_true(needs.whole);
	assert_int_equal(owner_digest(store_owner(f.store, &fix_peer)).epoch.counter, 1);
	store_baseline(f.store, f.now, &fix_peer, d.epoch, d.hash, &needs);
	assert_false(needs.range);
	assert_int_equal(owner_digest(store_owner(f.store, &fix_peer)).epoch.counter, 2);
	assert_non_null(fix_find(&f, "n2", "a"));
	assert_true(fix_index(&f, WATCH_SERVICE_HEALTH, "a") == index);
	store_free(peer);
	store_free(again);
	store_free(f.store);
}

static void
a_new_baseline_replaces_the_old_one_in_one_step(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2"), *again = peer_new(&f, 2, "moved");
	uint64_t kept;

	(void)unused;
	peer_service(&f, peer, "a", "a");
	peer_service(&f, peer, "b", "b");
	store_baseline_end(peer, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	peer_service(&f, again, "b", "b");
	peer_service(&f, again, "c", "c");
	store_baseline_end(again, f.now);
	(void)peer_range(&f, again, 0);
	assert_null(catalog_node_find(f.catalog, STR("n2")));
	assert_null(fix_find(&f, "moved", "a"));
	assert_non_null(fix_find(&f, "moved", "b"));
	kept = fix_find(&f, "moved", "c")->create_index;
	assert_true(fix_index(&f, WATCH_SERVICE, "a") == kept); /* all of it has one index */
	assert_true(fix_index(&f, WATCH_NODES, "") == kept);
	assert_int_equal(store_stats(f.store).whole_transfers, 2);
	store_free(peer);
	store_free(again);
	store_free(f.store);
}

static void
malformed_ranges_are_refused_whole(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2");
	struct store_needs needs;
	struct err err;
	struct buf b;

	(void)unused;
	peer_service(&f, peer, "a", "a");
	store_baseline_end(peer, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	buf_init(&b, 1024 * 1024);
	delta_range(store_owner(peer, &fix_peer), 0, 1000000, &b);
	for (size_t n = 0; n < b.n; n++) {
		assert_int_equal(
		    store_range(f.store, f.now, str_mem(b.p, n), &needs, &err), ERR_INPUT);
		assert_int_equal(catalog_counts(f.catalog).nodes, 0);
	}
	assert_int_equal(store_range(f.store, f.now, buf_str(&b), &needs, &err), 0);
	assert_int_equal(catalog_counts(f.catalog).services, 1);
	buf_done(&b);
	store_free(peer);
	store_free(f.store);
}

static void
a_mask_hides_one_version(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2"), *again = peer_new(&f, 2, "n2");

	(void)unused;
	peer_service(&f, peer, "a", "a");
	store_baseline_end(peer, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	assert_int_equal(
	    store_mask(f.store, f.now, &fix_peer, RECORD_SERVICE, STR("none"), NULL), 0);
	assert_int_equal(store_mask(f.store, f.now, &fix_peer, RECORD_SERVICE, STR("a"), NULL), 1);
	assert_null(fix_find(&f, "n2", "a"));
	assert_int_equal(store_mask(f.store, f.now, &fix_peer, RECORD_SERVICE, STR("a"), NULL), 0);
	peer_service(&f, again, "a", "a");
	store_baseline_end(again, f.now);
	(void)peer_range(&f, again, 0); /* a newer epoch ends it */
	assert_non_null(fix_find(&f, "n2", "a"));
	assert_int_equal(store_mask(f.store, f.now, &fix_peer, RECORD_NODE, STR(""), NULL), 1);
	assert_null(catalog_node_find(f.catalog, STR("n2")));
	peer_service(&f, again, "a", "b");
	(void)peer_push(&f, again, 0); /* of another record: the node stays hidden */
	assert_null(catalog_node_find(f.catalog, STR("n2")));
	store_free(peer);
	store_free(again);
	store_free(f.store);
}

static void
a_relabelled_owner_ends_its_masks(void **unused)
{
	struct fix f = fix_new();
	struct store *peer = peer_new(&f, 1, "n2");
	struct store_needs needs;

	(void)unused;
	peer_service(&f, peer, "a", "a");
	store_baseline_end(peer, f.now);
	store_member(f.store, f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	(void)peer_range(&f, peer, 0);
	store_mask(f.store, f.now, &fix_peer, RECORD_SERVICE, STR("a"), NULL);
	assert_null(fix_find(&f, "n2", "a"));
	store_baseline(f.store, f.now, &fix_peer, (struct epoch){ 2, 1 },
	    owner_digest(store_owner(peer, &fix_peer)).hash, &needs);
	assert_non_null(fix_find(&f, "n2", "a"));
	store_free(peer);
	store_free(f.store);
}

static void
an_owner_asserts_again_what_masks_hide(void **unused)
{
	struct fix f = fix_new();
	struct owner_record r;
	struct uuid owner;
	uint64_t after;

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, NULL, "a", "a", NULL);
	store_baseline_end(f.store, f.now);
	store_mask(f.store, f.now, &fix_self, RECORD_SERVICE, STR("a"), NULL);
	assert_null(fix_find(&f, "n1", "a"));
	while (store_news_next(f.store, &owner, &after, &r))
		;
	assert_int_equal(store_assert_masked(f.store, f.now), 1);
	assert_non_null(fix_find(&f, "n1", "a"));
	assert_int_equal(store_assert_masked(f.store, f.now), 0);
	assert_true(store_news_next(f.store, &owner, &after, &r));
	assert_str(r.key, "a");
	store_free(f.store);
}

static void
one_call_gives_one_index(void **unused)
{
	struct fix f = fix_new();
	uint64_t index;

	(void)unused;
	fix_node(&f, &fix_cluster, "ext", "10.0.0.9");
	fix_service(&f, "ext", "a", "a", NULL);
	fix_service(&f, "ext", "b", "b", NULL);
	fix_check(&f, "ext", "c", "a", "passing");
	store_remove_node(f.store, f.now, STR("ext"));
	index = fix_index(&f, WATCH_NODES, "");
	assert_true(fix_index(&f, WATCH_SERVICE, "a") == index);
	assert_true(fix_index(&f, WATCH_SERVICE, "b") == index);
	assert_true(fix_index(&f, WATCH_STATE, "any") == index);
	assert_true(index_is_ours(store_index(f.store), index));
	store_free(f.store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_owners_write),
		cmocka_unit_test(limits_refuse_what_is_too_large),
		cmocka_unit_test(malformed_bodies_do_not_show),
		cmocka_unit_test(an_equal_put_is_no_event),
		cmocka_unit_test(news_come_in_order_from_both_writers),
		cmocka_unit_test(news_do_not_reach_over_a_risen_floor),
		cmocka_unit_test(digests_of_members_only_in_order_of_id),
		cmocka_unit_test(a_failed_agent_is_critical_and_comes_back),
		cmocka_unit_test(a_name_goes_to_the_live_holder_then_to_the_lowest_id),
		cmocka_unit_test(who_is_kept_is_shown_and_marked),
		cmocka_unit_test(a_coordinate_is_no_news_for_watchers_of_anything_else),
		cmocka_unit_test(a_live_holder_of_a_name_comes_before_a_kept_one),
		cmocka_unit_test(records_of_unknown_owners_wait_a_minute),
		cmocka_unit_test(unknown_owners_have_a_budget),
		cmocka_unit_test(a_certificate_keeps_old_epochs_away),
		cmocka_unit_test(a_push_over_a_gap_shows_at_once_and_asks),
		cmocka_unit_test(nobody_tells_us_what_we_wrote),
		cmocka_unit_test(numbers_that_jump_are_dropped),
		cmocka_unit_test(a_restarted_agent_with_the_same_baseline_changes_nothing),
		cmocka_unit_test(a_new_baseline_replaces_the_old_one_in_one_step),
		cmocka_unit_test(malformed_ranges_are_refused_whole),
		cmocka_unit_test(a_mask_hides_one_version),
		cmocka_unit_test(a_relabelled_owner_ends_its_masks),
		cmocka_unit_test(an_owner_asserts_again_what_masks_hide),
		cmocka_unit_test(one_call_gives_one_index),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
