/* The registrar against a backend that goes away, forgets, refuses and loses answers: in the end
 * the backend has what the containers offer, and nothing else of this host's.
 *
 * Time is data. `SEED=n` repeats one random run, `SEEDS=n` makes many.
 */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "watcher/registrar.h"
#include "watcher/registration.h"

#define IDS 12

struct flight {          /* a request under way */
	bool used, lost; /* lost: the backend never hears of it */
	enum registrar_action_kind kind;
	size_t slot;
	char name[128], body[1024];
	nsec serve_at; /* 0: served, the answer is on its way */
	nsec answer_at;
	int status;
	struct buf answer;
};

struct world {
	struct registrar *r;
	struct registrar_config config;
	struct rng rng;
	nsec now;
	json_t *held;   /* what the backend has: by id or key, what was put */
	json_t *wanted; /* by id: name and port */
	bool down, gave_up;
	int refuse;     /* status for every PUT; 0: none */
	unsigned loses; /* of 100 answers */
	size_t pings, lists, puts, removes;
	char log[8192];
	struct flight flights[REGISTRAR_REQUESTS_MAX + 1];
};

/* ---- the backend ---- */

static void
serve_list(struct world *w, struct flight *f)
{
	const char *key;
	json_t *value;
	bool first = true;

	w->lists++;
	buf_addc(&f->answer, w->config.keys ? '[' : '{');
	json_object_foreach (w->held, key, value) {
		buf_addf(&f->answer, "%s\"%s\"", first ? "" : ",", key);
		first = false;
		if (!w->config.keys)
			buf_addf(&f->answer,
			    ":{\"ID\":\"%s\",\"Service\":\"" STR_FMT "\",\"Address\":\"" STR_FMT
			    "\",\"Port\":%d}",
			    key, STR_ARG(json_member_str(value, "Name")),
			    STR_ARG(json_member_str(value, "Address")),
			    (int)json_member_int(value, "Port", 0));
	}
	buf_addc(&f->answer, w->config.keys ? ']' : '}');
}

static void
serve(struct world *w, struct flight *f)
{
	json_t *body = NULL;

	f->status = 200;
	switch (f->kind) {
	case REGISTRAR_PING:
		w->pings++;
		break;
	case REGISTRAR_LIST:
		serve_list(w, f);
		break;
	case REGISTRAR_PUT:
		w->puts++;
		if (w->refuse != 0) {
			f->status = w->refuse;
			buf_add(&f->answer, STR("no, thank you\n"));
			break;
		}
		if (w->config.keys)
			body = json_string(f->body);
		else
			assert_int_equal(json_read(str_of(f->body), &body, NULL), 0);
		json_object_set_new(w->held,
		    f->name[0] != '\0' ? f->name : json_string_value(json_object_get(body, "ID")),
		    body);
		break;
	default:
		w->removes++;
		if (json_object_del(w->held, f->name) < 0 && !w->config.keys)
			f->status = 404;
	}
}

static void
carry_out(struct world *w)
{
	struct registrar_action a;

	while (registrar_action_next(w->r, &a)) {
		struct flight *f = &w->flights[a.slot];
		size_t n = strlen(w->log);

		if (a.kind == REGISTRAR_SAY || a.kind == REGISTRAR_GIVE_UP) {
			w->gave_up |= a.kind == REGISTRAR_GIVE_UP;
			if (n + a.text.n + 2 < sizeof w->log)
				sprintf(w->log + n, STR_FMT "\n", STR_ARG(a.text));
			continue;
		}
		assert_false(f->used);
		for (size_t i = 0; i <= REGISTRAR_REQUESTS_MAX;
		     i++) /* one for an id, lists alone */
			assert_false(
			    w->flights[i].used &&
			    (a.kind == REGISTRAR_LIST || w->flights[i].kind == REGISTRAR_LIST ||
				str_eq(a.name, str_of(w->flights[i].name))));
		f->used = true;
		f->kind = a.kind;
		f->slot = a.slot;
		snprintf(f->name, sizeof f->name, STR_FMT, STR_ARG(a.name));
		snprintf(f->body, sizeof f->body, STR_FMT, STR_ARG(a.body));
		f->serve_at = w->now + 1 + rng_below(&w->rng, 20) * NSEC_MS;
		f->answer_at = f->serve_at + rng_below(&w->rng, 20) * NSEC_MS;
		f->lost = rng_below(&w->rng, 100) < w->loses;
		buf_clear(&f->answer);
	}
}

static void
flight_step(struct world *w, struct flight *f)
{
	if (f->used && f->serve_at != 0 && f->serve_at <= w->now) {
		f->serve_at = 0;
		f->status = 0;
		if (!w->down && !f->lost)
			serve(w, f);
		if (!w->down && rng_below(&w->rng, 100) < w->loses)
			f->status = 0; /* it was done, but nobody hears of it */
	}
	if (f->used && f->serve_at == 0 && f->answer_at <= w->now) {
		struct str answer =
		    f->status == 0 ? STR("connection refused") : buf_str(&f->answer);

		f->used = false;
		registrar_answer(w->r, w->now, f->slot, f->status, answer);
		carry_out(w);
	}
}

static void
run_for(struct world *w, nsec span)
{
	nsec end = w->now + span;

	carry_out(w);
	while (w->now < end) {
		w->now += NSEC_MS;
		for (size_t i = 0; i <= REGISTRAR_REQUESTS_MAX; i++)
			flight_step(w, &w->flights[i]);
		if (registrar_deadline(w->r) <= w->now)
			registrar_tick(w->r, w->now);
		carry_out(w);
	}
}

/* ---- the engine ---- */

static void
news(struct world *w, enum docker_news_kind kind, const char *id, const char *name, unsigned port)
{
	struct docker_news n = { .kind = kind };

	if (id != NULL)
		n.service = (struct rules_service){ .id = str_of(id),
			.name = str_of(name),
			.address = STR("10.0.0.1"),
			.port = (uint16_t)port };
	if (kind == DOCKER_NEWS_SERVICE)
		json_object_set_new(
		    w->wanted, id, json_pack("{s:s,s:i}", "Name", name, "Port", port));
	if (kind == DOCKER_NEWS_REMOVE)
		json_object_del(w->wanted, id);
	registrar_news(w->r, w->now, &n);
	carry_out(w);
}

static void
world_init(struct world *w, const struct registrar_config *config, uint64_t seed)
{
	*w = (struct world){ .config = *config, .now = NSEC_SEC };
	w->config.host = STR("h");
	rng_init(&w->rng, seed);
	w->held = json_object();
	w->wanted = json_object();
	for (size_t i = 0; i <= REGISTRAR_REQUESTS_MAX; i++)
		buf_init(&w->flights[i].answer, 1 << 20);
	w->r = registrar_new(&w->config, w->now);
	registrar_tick(w->r, w->now);
}

static void
world_done(struct world *w)
{
	registrar_free(w->r);
	json_decref(w->held);
	json_decref(w->wanted);
	for (size_t i = 0; i <= REGISTRAR_REQUESTS_MAX; i++)
		buf_done(&w->flights[i].answer);
}

/* The backend has exactly what is wanted. */
static void
assert_in_step(struct world *w)
{
	const char *id;
	json_t *value;

	json_object_foreach (w->wanted, id, value) {
		const json_t *held;
		char key[256];

		snprintf(key, sizeof key, "p/" STR_FMT "/%s",
		    STR_ARG(json_member_str(value, "Name")), id);
		held = json_object_get(w->held, w->config.keys ? key : id);
		if (held == NULL)
			print_error("%s is missing\n%s", id, w->log);
		assert_non_null(held);
		if (w->config.keys) {
			snprintf(
			    key, sizeof key, "10.0.0.1:%d", (int)json_member_int(value, "Port", 0));
			assert_string_equal(json_string_value(held), key);
		} else {
			assert_str(json_member_str(held, "Name"),
			    json_string_value(json_object_get(value, "Name")));
			assert_int_equal(
			    json_member_int(held, "Port", 0), json_member_int(value, "Port", 0));
		}
	}
	assert_int_equal(json_object_size(w->held), json_object_size(w->wanted));
	assert_int_equal(registrar_stats(w->r).waiting, 0);
	assert_int_equal(registrar_stats(w->r).services, json_object_size(w->wanted));
}

/* ---- tests ---- */

static void
what_runs_is_registered_and_what_ends_is_not(void **unused)
{
	struct registrar_config config = { .retry_interval = NSEC_SEC };
	struct world w;

	(void)unused;
	world_init(&w, &config, 1);
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 8080);
	news(&w, DOCKER_NEWS_SERVICE, "h:db:1", "db", 1);
	news(&w, DOCKER_NEWS_SYNCED, NULL, NULL, 0);
	run_for(&w, NSEC_SEC);
	assert_int_equal(w.pings, 1);
	assert_int_equal(w.lists, 1);
	assert_in_step(&w);
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 8080); /* the same once more: no request */
	news(&w, DOCKER_NEWS_SERVICE, "h:db:1", "db", 2);
	run_for(&w, NSEC_SEC);
	assert_int_equal(w.puts, 3);
	assert_in_step(&w);
	news(&w, DOCKER_NEWS_REMOVE, "h:web:80", "web", 0);
	run_for(&w, NSEC_SEC);
	assert_int_equal(w.removes, 1);
	assert_in_step(&w);
	world_done(&w);
}

static void
what_changes_while_it_is_asked_for_is_asked_again(void **unused)
{
	struct registrar_config config = { .retry_interval = NSEC_SEC };
	struct world w;

	(void)unused;
	world_init(&w, &config, 2);
	run_for(&w, NSEC_SEC);
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 1);
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 2); /* the first is under way */
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 3);
	run_for(&w, NSEC_SEC);
	assert_int_equal(w.puts, 2);
	assert_in_step(&w);
	news(&w, DOCKER_NEWS_REMOVE, "h:web:80", "web", 0);
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 4);
	run_for(&w, NSEC_SEC);
	assert_in_step(&w);
	world_done(&w);
}

static void
nothing_is_lost_while_the_backend_is_away(void **unused)
{
	struct registrar_config config = { .retry_interval = NSEC_SEC };
	struct world w;

	(void)unused;
	world_init(&w, &config, 3);
	news(&w, DOCKER_NEWS_SERVICE, "h:old:80", "old", 1);
	run_for(&w, NSEC_SEC);
	w.down = true;
	news(&w, DOCKER_NEWS_REMOVE, "h:old:80", "old", 0);
	for (unsigned i = 0; i < 20; i++) {
		char id[32];

		snprintf(id, sizeof id, "h:new%u:80", i);
		news(&w, DOCKER_NEWS_SERVICE, id, "new", 100 + i);
	}
	news(&w, DOCKER_NEWS_REMOVE, "h:new3:80", "new", 0); /* it was never told of */
	run_for(&w, 120 * NSEC_SEC);
	assert_int_equal(json_object_size(w.held), 1);
	w.down = false;
	run_for(&w, REGISTRAR_BACKOFF_MAX + NSEC_SEC);
	assert_in_step(&w);
	assert_non_null(strstr(w.log, "backend away"));
	assert_null(strstr(strstr(w.log, "backend away") + 1, "backend away")); /* said once */
	assert_non_null(strstr(w.log, "backend back"));
	world_done(&w);
}

static void
an_agent_that_forgets_is_told_again(void **unused)
{
	struct registrar_config config = { .retry_interval = NSEC_SEC };
	struct world w;

	(void)unused;
	world_init(&w, &config, 4);
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 1);
	news(&w, DOCKER_NEWS_SERVICE, "h:web:81", "web", 2);
	run_for(&w, NSEC_SEC);
	json_object_del(w.held, "h:web:80");
	json_object_set_new(json_object_get(w.held, "h:web:81"), "Port", json_integer(7));
	run_for(&w, REGISTRAR_LOOK_EVERY + NSEC_SEC);
	assert_in_step(&w);
	world_done(&w);
}

static void
what_is_refused_is_not_sent_again_before_it_changes(void **unused)
{
	struct registrar_config config = { .retry_interval = NSEC_SEC };
	struct world w;

	(void)unused;
	world_init(&w, &config, 5);
	run_for(&w, NSEC_SEC);
	w.refuse = 400;
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 1);
	run_for(&w, 120 * NSEC_SEC);
	assert_int_equal(w.puts, 1);
	assert_non_null(strstr(w.log, "service refused id=h:web:80 status=400: no, thank you"));
	w.refuse = 0;
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 2);
	run_for(&w, NSEC_SEC);
	assert_in_step(&w);
	w.refuse = 500; /* that may pass */
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 3);
	run_for(&w, 20 * NSEC_SEC);
	assert_in_range(w.puts, 5, 9);
	w.refuse = 0;
	run_for(&w, REGISTRAR_RETRY_MAX);
	assert_in_step(&w);
	world_done(&w);
}

static void
cleanup_takes_what_is_this_hosts_and_nobodys(void **unused)
{
	static const char *const others[] = { "h2:gone:80", "h:gone:x", "h:g:80", "mine", "h",
		"h:gone:80:tcp", "h:go/ne:80" };
	struct registrar_config config = { .retry_interval = NSEC_SEC, .cleanup = true };
	struct world w;

	(void)unused;
	world_init(&w, &config, 6);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		json_object_set_new(w.held, others[i], json_object());
	json_object_set_new(w.held, "h:gone:80", json_object());
	json_object_set_new(w.held, "h:gone:53:udp", json_object());
	json_object_set_new(w.held, "h:web:80", json_object());
	run_for(&w, NSEC_SEC);
	assert_int_equal(w.removes, 0); /* which containers there are is not known yet */
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 1);
	news(&w, DOCKER_NEWS_SYNCED, NULL, NULL, 0);
	run_for(&w, NSEC_SEC);
	assert_int_equal(w.removes, 2);
	assert_int_equal(json_object_size(w.held), sizeof others / sizeof others[0] + 1);
	json_object_set_new(w.held, "h:gone:80", json_object());
	run_for(&w, 2 * REGISTRAR_LOOK_EVERY);
	assert_int_equal(w.removes, 2);
	w.puts = 0;
	registrar_resync(w.r, w.now);
	run_for(&w, NSEC_SEC);
	assert_int_equal(w.removes, 3);
	assert_int_equal(w.puts, 1);
	world_done(&w);
}

static void
it_gives_up_after_as_many_attempts_as_it_may_make(void **unused)
{
	struct registrar_config config = { .retry_interval = NSEC_SEC, .retry_attempts = 3 };
	struct world w;

	(void)unused;
	world_init(&w, &config, 7);
	w.down = true;
	run_for(&w, 2 * NSEC_SEC);
	assert_false(w.gave_up);
	run_for(&w, 3 * NSEC_SEC);
	assert_true(w.gave_up);
	world_done(&w);

	config.retry_attempts = -1;
	world_init(&w, &config, 7);
	w.down = true;
	run_for(&w, 600 * NSEC_SEC);
	assert_false(w.gave_up);
	w.down = false;
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 1);
	run_for(&w, 2 * NSEC_SEC);
	assert_in_step(&w);
	world_done(&w);
}

static void
keys_move_with_the_name(void **unused)
{
	struct registrar_config config = {
		.retry_interval = NSEC_SEC, .keys = true, .prefix = STR("p")
	};
	struct rules_service six = { .address = STR("fd00::1"), .port = 53 };
	struct buf b;
	struct world w;

	(void)unused;
	world_init(&w, &config, 8);
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "web", 1);
	run_for(&w, NSEC_SEC);
	assert_in_step(&w);
	news(&w, DOCKER_NEWS_SERVICE, "h:web:80", "shop", 1);
	run_for(&w, NSEC_SEC);
	assert_in_step(&w);
	assert_int_equal(w.removes, 1);
	json_object_clear(w.held);
	run_for(&w, REGISTRAR_LOOK_EVERY + NSEC_SEC);
	assert_in_step(&w);
	world_done(&w);
	buf_init(&b, 100);
	registration_value(&b, &six);
	assert_str(buf_str(&b), "[fd00::1]:53");
	buf_done(&b);
}

/* ---- random runs ---- */

static void
random_step(struct world *w)
{
	char id[32];

	snprintf(id, sizeof id, "h:c%u:80", rng_below(&w->rng, IDS));
	switch (rng_below(&w->rng, 12)) {
	case 0:
		w->down = !w->down;
		break;
	case 1:
		w->loses = rng_below(&w->rng, 2) * 30;
		break;
	case 2:
		w->refuse = rng_below(&w->rng, 3) == 0 ? 500 : 0;
		break;
	case 3:
		json_object_del(w->held, id);
		break;
	case 4:
		registrar_resync(w->r, w->now);
		carry_out(w);
		break;
	case 5:
	case 6:
	case 7:
		if (json_object_get(w->wanted, id) != NULL)
			news(w, DOCKER_NEWS_REMOVE, id,
			    json_string_value(
				json_object_get(json_object_get(w->wanted, id), "Name")),
			    0);
		break;
	default:
		news(w, DOCKER_NEWS_SERVICE, id, rng_below(&w->rng, 2) == 0 ? "a" : "b",
		    1 + rng_below(&w->rng, 3));
	}
	run_for(w, rng_below(&w->rng, 3) == 0 ? rng_below(&w->rng, 5000) * NSEC_MS
					      : rng_below(&w->rng, 60) * NSEC_MS);
}

static void
in_the_end_the_backend_has_what_there_is(void **unused)
{
	const char *one = getenv("SEED"), *many = getenv("SEEDS");
	uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
	uint64_t count = one != NULL ? 1 : many != NULL ? strtoull(many, NULL, 10) : 30;

	(void)unused;
	for (uint64_t seed = first; seed < first + count; seed++) {
		struct registrar_config config = { .retry_interval = NSEC_SEC,
			.retry_attempts = -1,
			.cleanup = seed % 3 == 0,
			.keys = seed % 2 == 1,
			.prefix = seed % 2 == 1 ? STR("p") : STR_NONE };
		struct world w;

		world_init(&w, &config, seed);
		news(&w, DOCKER_NEWS_SYNCED, NULL, NULL, 0);
		for (int i = 0; i < 120; i++)
			random_step(&w);
		w.down = false;
		w.loses = 0;
		w.refuse = 0;
		w.log[0] = '\0';
		run_for(&w, REGISTRAR_RETRY_MAX + 2 * REGISTRAR_LOOK_EVERY);
		if (json_object_size(w.held) != json_object_size(w.wanted))
			print_error("SEED=%llu\n", (unsigned long long)seed);
		assert_in_step(&w);
		world_done(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_runs_is_registered_and_what_ends_is_not),
		cmocka_unit_test(what_changes_while_it_is_asked_for_is_asked_again),
		cmocka_unit_test(nothing_is_lost_while_the_backend_is_away),
		cmocka_unit_test(an_agent_that_forgets_is_told_again),
		cmocka_unit_test(what_is_refused_is_not_sent_again_before_it_changes),
		cmocka_unit_test(cleanup_takes_what_is_this_hosts_and_nobodys),
		cmocka_unit_test(it_gives_up_after_as_many_attempts_as_it_may_make),
		cmocka_unit_test(keys_move_with_the_name),
		cmocka_unit_test(in_the_end_the_backend_has_what_there_is),
	};

	return cmocka_run_group_tests_name("registrar", tests, NULL, NULL);
}
