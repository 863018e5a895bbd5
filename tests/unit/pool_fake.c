/* tests/unit/pool_fake.c -- see pool_fake.h: all of pool.h that the API calls. */
#include "tests/unit/pool_fake.h"

#include <stdio.h>

static int
pool_take(struct pool *p, struct str name, struct str payload, struct err *err)
{
	if (p->refusal != NULL)
		return err_set(err, ERR_REFUSED, "%s", p->refusal);
	snprintf(p->name, sizeof p->name, STR_FMT, STR_ARG(name));
	p->payload_n = payload.n < sizeof p->payload ? payload.n : sizeof p->payload;
	if (payload.n > 0)
		memcpy(p->payload, payload.p, p->payload_n);
	p->id++;
	return 0;
}

int
pool_force_leave(struct pool *p, struct now now, struct str name, bool prune, struct err *err)
{
	(void)now;
	p->prune = prune;
	return pool_take(p, name, STR_NONE, err);
}

int
pool_event_fire(
    struct pool *p, struct now now, struct str name, struct str payload, struct err *err)
{
	(void)now;
	return pool_take(p, name, payload, err);
}

int
pool_keys(struct pool *p, struct now now, enum serf_key_op op, struct str key, uint64_t *id,
    struct err *err)
{
	int rc = pool_take(p, STR_NONE, key, err);

	(void)now;
	p->op = op;
	*id = p->id;
	return rc;
}

size_t
pool_member_count(const struct pool *p, enum serf_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		n += state == SERF_NONE || p->members[i].state == state;
	return n;
}

bool
pool_member_next(const struct pool *p, struct str after, struct pool_member *out)
{
	for (size_t i = 0; i < p->count; i++)
		if (str_cmp(p->members[i].wire_name, after) > 0) {
			*out = p->members[i];
			return true;
		}
	return false;
}

bool
pool_member_find(const struct pool *p, struct str name, struct pool_member *out)
{
	for (size_t i = 0; i < p->count; i++)
		if (str_eq(p->members[i].name, name) || str_eq(p->members[i].wire_name, name)) {
			*out = p->members[i];
			return true;
		}
	return false;
}

bool
pool_member_by_id(const struct pool *p, const struct uuid *id, struct pool_member *out)
{
	for (size_t i = 0; i < p->count; i++)
		if (uuid_eq(&p->members[i].id, id)) {
			*out = p->members[i];
			return true;
		}
	return false;
}

struct str
pool_wire_name(const struct pool *p)
{
	return p->members[0].wire_name;
}

struct serf_clocks
pool_clocks(const struct pool *p)
{
	(void)p;
	return (struct serf_clocks){ 11, 12, 13 };
}

struct pool_stats
pool_stats(const struct pool *p)
{
	(void)p;
	return (struct pool_stats){ .awareness = 3, .conflicts = 4, .renamed = 5 };
}

const struct coordinates *
pool_coordinates(const struct pool *p)
{
	return p->coordinates;
}
