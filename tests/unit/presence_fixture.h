/* tests/unit/presence_fixture.h -- whose services are shown: told as a story of words about members
 * a, b, c … and of what the store hears. Each change is a line "seconds id state"; the same moment
 * may have several. */
#ifndef TESTS_UNIT_PRESENCE_FIXTURE_H
#define TESTS_UNIT_PRESENCE_FIXTURE_H

#include "agent/pool/presence.h"
#include "kv/delta.h"
#include "tests/unit/store_fixture.h"

#define SUSPICION (5 * NSEC_SEC)
#define CERTIFICATE (144 * NSEC_HOUR)

struct tale {
	struct presence *p;
	nsec now;
	char told[4096];
	size_t n;
	nsec certificate_until;
	const char *why;
};

static const struct presence_config tale_config = {
	.self = { { 's' } },
	.suspicion = SUSPICION,
	.certificate = CERTIFICATE,
};

static inline struct tale
tale_new(const struct presence_config *config)
{
	struct tale t = { .now = 1000 * NSEC_SEC };

	t.p = presence_new(config != NULL ? config : &tale_config, t.now);
	return t;
}

static inline struct uuid
tale_id(char name)
{
	return (struct uuid){ { (uint8_t)name } };
}

/* Writes down what the store is told now. */
static inline void
tale_drain(struct tale *t)
{
	static const char *const states[] = {
		[STORE_MEMBER_ALIVE] = "alive",
		[STORE_MEMBER_FAILED] = "failed",
		[STORE_MEMBER_GONE] = "gone",
		[STORE_MEMBER_KEPT] = "kept",
	};
	struct presence_show show;

	while (presence_next(t->p, &show)) {
		int n = snprintf(t->told + t->n, sizeof t->told - t->n, "%g %c %s\n",
		    (double)t->now / (double)NSEC_SEC - 1000, show.id.b[0], states[show.state]);

		assert_true(n > 0 && t->n + (size_t)n < sizeof t->told);
		t->n += (size_t)n;
		t->certificate_until = show.certificate_until;
		t->why = show.why;
		assert_non_null(show.why);
	}
}

/* Lets time pass, ticking at each deadline and nowhere else. */
static inline void
tale_at(struct tale *t, double seconds)
{
	nsec end = (nsec)((seconds + 1000) * (double)NSEC_SEC), at;

	while ((at = presence_deadline(t->p)) <= end) {
		t->now = at > t->now ? at : t->now;
		presence_tick(t->p, t->now);
		tale_drain(t);
		assert_true(presence_deadline(t->p) > t->now);
	}
	t->now = end;
}

/* One word about each of the names. */
static inline void
tale_word(struct tale *t, const char *names, enum presence_word word)
{
	for (; *names != '\0'; names++) {
		struct uuid id = tale_id(*names);

		presence_member(t->p, t->now, &id, word);
		tale_drain(t);
	}
}

static inline void
tale_restarts(struct tale *t, char name, nsec grace)
{
	struct uuid id = tale_id(name);

	presence_restarts(t->p, t->now, &id, grace);
	tale_drain(t);
}

#define tale_told(t, want)                            \
	do {                                          \
		assert_string_equal((t)->told, want); \
		(t)->n = 0;                           \
		(t)->told[0] = '\0';                  \
	} while (0)

/* The same with members that have been there for long. */
static inline struct tale
tale_of(const struct presence_config *config, const char *names)
{
	struct tale t = tale_new(config);

	t.now -= 100 * NSEC_SEC;
	tale_word(&t, names, PRESENCE_ALIVE);
	t.now += 100 * NSEC_SEC;
	t.n = 0;
	t.told[0] = '\0';
	return t;
}

static inline void
tale_refused(struct tale *t, char name)
{
	struct uuid id = tale_id(name);

	presence_refused(t->p, t->now, &id);
	tale_drain(t);
}

/* The agent of this name has a node and one instance of "web", as its own store says. */
static inline void
share_put(struct fix *f, char name)
{
	char id_text[UUID_TEXT_LEN + 1], node_name[] = { name, '\0' };
	struct uuid id = tale_id(name);
	struct store_config config = { .self = id,
		.cluster = fix_cluster,
		.epoch = { 1, 5 },
		.limits = owner_limits_default };
	struct node_info node = { .id = str_of(uuid_format(&id, id_text)),
		.name = str_of(node_name),
		.address = STR("10.0.0.1") };
	struct service_info web = { .id = STR("web-1"), .name = STR("web") };
	struct store *s = store_new(&config, f->now);
	struct store_needs needs;
	struct buf b;

	buf_init(&b, 65536);
	store_put_node(s, f->now, &id, &node, NULL);
	store_put_service(s, f->now, &id, &web, NULL);
	store_baseline_end(s, f->now);
	delta_range(store_owner(s, &id), 0, 65536, &b);
	store_member(f->store, f->now, &id, STORE_MEMBER_ALIVE, 0);
	assert_int_equal(store_range(f->store, f->now, buf_str(&b), &needs, NULL), 0);
	buf_done(&b);
	store_free(s);
}

static inline struct tale
share_tale(struct fix *f, unsigned share, const char *names)
{
	struct presence_config config = tale_config;

	for (const char *at = names; *at != '\0'; at++)
		share_put(f, *at);
	assert_int_equal(catalog_name_find(f->catalog, STR("web"))->count, strlen(names));
	config.store = f->store;
	config.hold_share = share;
	config.hold_max = 2 * NSEC_MIN;
	return tale_of(&config, names);
}

#endif
