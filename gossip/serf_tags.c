/* gossip/serf_tags.c -- small maps of strings: tags, and the coordinate that rides on acks. */
#include <math.h>

#include "gossip/pack.h"
#include "gossip/serf_wire.h"

#define TAGS_MAGIC 255
#define COORDINATE_VERSION 1

int
serf_tag_map_read(
    struct arena *arena, struct reader *r, struct serf_tag **out, size_t *count, struct err *err)
{
	size_t n = pack_take_map(r);
	struct serf_tag *tags = rd_ok(r) ? arena_array(arena, struct serf_tag, n) : NULL;

	if (rd_ok(r) && tags == NULL)
		return err_set(err, ERR_LIMIT, "no room for %zu tags", n);
	for (size_t i = 0; i < n && rd_ok(r); i++) {
		tags[i].key = pack_take_bytes(r, arena, WIRE_META_MAX, NULL);
		tags[i].value = pack_take_bytes(r, arena, WIRE_META_MAX, NULL);
	}
	if (!rd_ok(r))
		return err_set(
		    err, ERR_INPUT, "tags are malformed at byte %zu of %zu", r->pos, r->len);
	*out = tags;
	*count = n;
	return 0;
}

/* By selecting the next larger key each time: tags are few, and the caller's order stays. */
void
serf_tag_map_write(struct writer *w, const struct serf_tag *tags, size_t count)
{
	const struct serf_tag *last = NULL;

	pack_put_map(w, count);
	for (size_t written = 0; written < count; written++) {
		const struct serf_tag *next = NULL;

		for (size_t i = 0; i < count; i++) {
			const struct serf_tag *t = &tags[i];

			if (last != NULL && str_cmp(t->key, last->key) <= 0)
				continue;
			if (next == NULL || str_cmp(t->key, next->key) < 0)
				next = t;
		}
		if (next == NULL) { /* a key stands twice */
			w->full = true;
			return;
		}
		pack_put_bytes(w, next->key);
		pack_put_bytes(w, next->value);
		last = next;
	}
}

int
serf_tags_read(
    struct arena *arena, struct str meta, struct serf_tag **out, size_t *count, struct err *err)
{
	struct reader r = rd_of(meta);

	if (meta.n > WIRE_META_MAX)
		return err_set(err, ERR_LIMIT, "tags of %zu bytes, over %d", meta.n, WIRE_META_MAX);
	if (meta.n > 0 && rd_u8(&r) == TAGS_MAGIC)
		return serf_tag_map_read(arena, &r, out, count, err);
	*out = arena_alloc(arena, sizeof **out);
	if (*out == NULL)
		return err_set(err, ERR_LIMIT, "no room for a tag");
	**out = (struct serf_tag){ STR("role"), meta };
	*count = 1;
	return 0;
}

void
serf_tags_write(struct writer *w, const struct serf_tag *tags, size_t count)
{
	wr_u8(w, TAGS_MAGIC);
	serf_tag_map_write(w, tags, count);
}

/* --- coordinates --- */

struct coordinate_map { /* as it stands on the wire */
	double adjustment, error, height;
	struct str vec;
};

static const struct pack_field coordinate_fields[] = {
	{ PACK_KEY("Adjustment"), PACK_F64, .at = offsetof(struct coordinate_map, adjustment) },
	{ PACK_KEY("Error"), PACK_F64, .at = offsetof(struct coordinate_map, error) },
	{ PACK_KEY("Height"), PACK_F64, .at = offsetof(struct coordinate_map, height) },
	{ PACK_KEY("Vec"), PACK_VALUE, .at = offsetof(struct coordinate_map, vec) },
};

int
serf_coordinate_read(struct str payload, struct serf_coordinate *out, struct err *err)
{
	struct reader r = rd_of(payload), vec;
	uint8_t version = rd_u8(&r);
	struct coordinate_map m = { 0 };
	struct serf_coordinate c;
	bool finite;
	size_t n;

	if (version != COORDINATE_VERSION)
		return err_set(err, ERR_INPUT, "a coordinate of version %u", version);
	pack_take_fields(&r, NULL, PACK_TABLE(coordinate_fields), &m);
	vec = rd_of(m.vec);
	n = pack_take_array(&vec);
	if (!rd_ok(&r) || !rd_ok(&vec) || n != SERF_COORDINATE_DIMENSIONS)
		return err_set(
		    err, ERR_INPUT, "a coordinate that is malformed or has %zu dimensions", n);
	c = (struct serf_coordinate){ m.adjustment, m.error, m.height, { 0 } };
	finite = isfinite(c.adjustment) && isfinite(c.error) && isfinite(c.height);
	for (size_t i = 0; i < n; i++) {
		c.vec[i] = pack_take_float(&vec);
		finite &= isfinite(c.vec[i]) != 0;
	}
	if (!rd_ok(&vec) || !finite)
		return err_set(err, ERR_INPUT, "a coordinate whose numbers are not numbers");
	*out = c;
	return 0;
}

void
serf_coordinate_write(struct writer *w, const struct serf_coordinate *c)
{
	struct coordinate_map m = { c->adjustment, c->error, c->height, STR_NONE };

	wr_u8(w, COORDINATE_VERSION);
	pack_put_fields(w, PACK_TABLE(coordinate_fields), &m);
	pack_put_array(w, SERF_COORDINATE_DIMENSIONS);
	for (size_t i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		pack_put_float(w, c->vec[i]);
}
