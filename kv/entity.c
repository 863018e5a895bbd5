/* kv/entity.c -- nodes, services and checks: status words, and packing by a table of fields.
 *
 * Each entity has one table; a row names a field's tag, its shape and its place in the struct.
 * Packing walks the table in order. Unpacking goes over the body twice: the first pass checks
 * everything, takes the scalars and counts what the arrays need; one allocation later the second
 * pass fills them. A tag number, once used, keeps its meaning for ever (RULES 14).
 */
#include "kv/entity.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/mem.h"

enum field_shape {
	FIELD_STR,   /* bytes */
	FIELD_INT,   /* zigzag varint; absent: the row's default */
	FIELD_FLAG,  /* no bytes; there means true */
	FIELD_NANOS, /* zigzag varints of billionths, as many as `absent` says; absent: zeros */
	FIELD_STRS,  /* repeated: bytes */
	FIELD_PAIRS, /* repeated: length and bytes of the key, then the value */
	FIELD_ADDRS, /* repeated: length and bytes of tag and address, zigzag port */
	FIELD_SHAPES
};

struct field {
	uint8_t tag; /* 0 ends a table */
	enum field_shape shape;
	size_t at;       /* offset in the struct */
	size_t count_at; /* arrays: offset of their count; flags: of the count that implies them, or
			    0 */
	int32_t absent;  /* INT: the default; NANOS: how many doubles */
};

#define F_STR(tag, type, name)                                    \
	{                                                         \
		tag, FIELD_STR, offsetof(struct type, name), 0, 0 \
	}
#define F_INT(tag, type, name, absent)                                 \
	{                                                              \
		tag, FIELD_INT, offsetof(struct type, name), 0, absent \
	}
#define F_NANOS(tag, type, name, count)                                 \
	{                                                               \
		tag, FIELD_NANOS, offsetof(struct type, name), 0, count \
	}
#define F_FLAG(tag, type, name)                                    \
	{                                                          \
		tag, FIELD_FLAG, offsetof(struct type, name), 0, 0 \
	}
#define F_SET(tag, type, name, count)                                                         \
	{                                                                                     \
		tag, FIELD_FLAG, offsetof(struct type, name), offsetof(struct type, count), 0 \
	}
#define F_ARRAY(tag, type, shape, name, count)                                           \
	{                                                                                \
		tag, shape, offsetof(struct type, name), offsetof(struct type, count), 0 \
	}

static const struct field node_fields[] = {
	F_STR(1, node_info, id),
	F_STR(2, node_info, name),
	F_STR(3, node_info, address),
	F_STR(4, node_info, datacenter),
	F_SET(5, node_info, tagged_set, tagged_count),
	F_ARRAY(6, node_info, FIELD_PAIRS, tagged, tagged_count),
	F_SET(7, node_info, meta_set, meta_count),
	F_ARRAY(8, node_info, FIELD_PAIRS, meta, meta_count),
	{ 0 },
};

static const struct field service_fields[] = {
	F_STR(1, service_info, node),
	F_STR(2, service_info, id),
	F_STR(3, service_info, name),
	F_STR(4, service_info, kind),
	F_STR(5, service_info, address),
	F_INT(6, service_info, port, 0),
	F_SET(7, service_info, tags_set, tag_count),
	F_ARRAY(8, service_info, FIELD_STRS, tags, tag_count),
	F_SET(9, service_info, meta_set, meta_count),
	F_ARRAY(10, service_info, FIELD_PAIRS, meta, meta_count),
	F_SET(11, service_info, tagged_set, tagged_count),
	F_ARRAY(12, service_info, FIELD_ADDRS, tagged, tagged_count),
	F_INT(13, service_info, weight_passing, 1),
	F_INT(14, service_info, weight_warning, 1),
	F_FLAG(15, service_info, enable_tag_override),
	F_STR(16, service_info, proxy_json),
	F_STR(17, service_info, connect_json),
	{ 0 },
};

static const struct field check_fields[] = {
	F_STR(1, check_info, node),
	F_STR(2, check_info, id),
	F_STR(3, check_info, name),
	F_STR(4, check_info, status),
	F_STR(5, check_info, notes),
	F_STR(6, check_info, output),
	F_STR(7, check_info, service_id),
	F_STR(8, check_info, service_name),
	F_ARRAY(9, check_info, FIELD_STRS, service_tags, service_tag_count),
	F_STR(10, check_info, type),
	F_STR(11, check_info, interval),
	F_STR(12, check_info, timeout),
	F_STR(13, check_info, definition_json),
	{ 0 },
};

static const struct field coordinate_fields[] = {
	F_NANOS(1, coordinate_info, vec, COORDINATE_DIMENSIONS),
	F_NANOS(2, coordinate_info, error, 1),
	F_NANOS(3, coordinate_info, adjustment, 1),
	F_NANOS(4, coordinate_info, height, 1),
	{ 0 },
};

static const size_t element_size[FIELD_SHAPES] = {
	[FIELD_STRS] = sizeof(struct str),
	[FIELD_PAIRS] = sizeof(struct pair),
	[FIELD_ADDRS] = sizeof(struct tagged_address),
};

/* Status words. */

struct str
check_status_text(enum check_status status)
{
	switch (status) {
	case CHECK_PASSING:
		return STR("passing");
	case CHECK_WARNING:
		return STR("warning");
	case CHECK_CRITICAL:
		return STR("critical");
	case CHECK_MAINT:
		return STR("maintenance");
	}
	return STR("critical");
}

bool
check_status_parse(struct str word, enum check_status *out)
{
	for (enum check_status s = CHECK_PASSING; s <= CHECK_CRITICAL; s++)
		if (str_eq(word, check_status_text(s))) {
			*out = s;
			return true;
		}
	return false;
}

enum check_status
check_status_of(struct str word)
{
	enum check_status status = CHECK_CRITICAL;

	(void)check_status_parse(word, &status);
	return status;
}

/* Packing. */

#define NANOS_MAX 1e18 /* in billionths */

/* v >= -INT64_MAX. */
static uint64_t
zigzag(int64_t v)
{
	return v < 0 ? (uint64_t)-v * 2 - 1 : (uint64_t)v * 2;
}

/* To the nearest; what is no number or far too large counts as none. */
static int64_t
nanos(double v)
{
	double scaled = v * 1e9;

	if (!(scaled >= -NANOS_MAX && scaled <= NANOS_MAX))
		return 0;
	return (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

static void
put_varint(struct buf *b, uint64_t v)
{
	uint8_t room[10];
	struct writer w = wr_of(room, sizeof room);

	wr_varint(&w, v);
	buf_add(b, wr_done(&w));
}

static void
put_head(struct buf *b, uint8_t tag, size_t len)
{
	put_varint(b, tag);
	put_varint(b, len);
}

static void
put_counted(struct buf *b, struct str s)
{
	put_varint(b, s.n);
	buf_add(b, s);
}

static void
put_element(struct buf *b, const struct field *f, const void *array, size_t i)
{
	if (f->shape == FIELD_STRS) {
		struct str s = ((const struct str *)array)[i];

		put_head(b, f->tag, s.n);
		buf_add(b, s);
	} else if (f->shape == FIELD_PAIRS) {
		const struct pair *p = (const struct pair *)array + i;

		put_head(b, f->tag, varint_len(p->key.n) + p->key.n + p->value.n);
		put_counted(b, p->key);
		buf_add(b, p->value);
	} else {
		const struct tagged_address *a = (const struct tagged_address *)array + i;

		put_head(b, f->tag,
		    varint_len(a->tag.n) + a->tag.n + varint_len(a->address.n) + a->address.n +
			varint_len(zigzag(a->port)));
		put_counted(b, a->tag);
		put_counted(b, a->address);
		put_varint(b, zigzag(a->port));
	}
}

static void
put_nanos(struct buf *b, uint8_t tag, const double *values, size_t count)
{
	size_t len = 0;
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		any = any || nanos(values[i]) != 0;
		len += varint_len(zigzag(nanos(values[i])));
	}
	if (!any)
		return;
	put_head(b, tag, len);
	for (size_t i = 0; i < count; i++)
		put_varint(b, zigzag(nanos(values[i])));
}

static void
fields_pack(struct buf *b, const struct field *f, const void *entity)
{
	const char *e = entity;

	for (; f->tag != 0; f++) {
		const void *at = e + f->at;
		size_t count =
		    f->count_at == 0 ? 0 : *(const size_t *)(const void *)(e + f->count_at);

		switch (f->shape) {
		case FIELD_STR:
			if (((const struct str *)at)->n > 0) {
				put_head(b, f->tag, ((const struct str *)at)->n);
				buf_add(b, *(const struct str *)at);
			}
			break;
		case FIELD_INT:
			if (*(const int32_t *)at != f->absent) {
				put_head(b, f->tag, varint_len(zigzag(*(const int32_t *)at)));
				put_varint(b, zigzag(*(const int32_t *)at));
			}
			break;
		case FIELD_FLAG:
			if (*(const bool *)at || count > 0)
				put_head(b, f->tag, 0);
			break;
		case FIELD_NANOS:
			put_nanos(b, f->tag, at, (size_t)f->absent);
			break;
		default:
			for (size_t i = 0; i < count; i++)
				put_element(b, f, *(void *const *)at, i);
		}
	}
}

void
node_pack(struct buf *b, const struct node_info *info)
{
	fields_pack(b, node_fields, info);
}

void
service_pack(struct buf *b, const struct service_info *info)
{
	fields_pack(b, service_fields, info);
}

void
check_pack(struct buf *b, const struct check_info *info)
{
	fields_pack(b, check_fields, info);
}

void
coordinate_pack(struct buf *b, const struct coordinate_info *info)
{
	fields_pack(b, coordinate_fields, info);
}

/* Unpacking. */

static int64_t
rd_zigzag_below(struct reader *r, uint64_t max)
{
	uint64_t v = rd_varint(r);

	if (v > max) {
		rd_fail(r);
		return 0;
	}
	return (v & 1) != 0 ? -(int64_t)(v / 2) - 1 : (int64_t)(v / 2);
}

static int32_t
rd_zigzag(struct reader *r)
{
	return (int32_t)rd_zigzag_below(r, UINT32_MAX);
}

static struct str
rd_counted(struct reader *r)
{
	uint64_t n = rd_varint(r);

	if (n > rd_left(r))
		rd_fail(r);
	return rd_str(r, n);
}

/* One element out of its field's bytes; `out` NULL: only looked at. */
static void
element_read(const struct field *f, struct reader *r, void *out)
{
	struct str first = f->shape == FIELD_STRS ? STR_NONE : rd_counted(r);
	struct str second = f->shape == FIELD_ADDRS ? rd_counted(r) : rd_str(r, rd_left(r));
	int32_t port = f->shape == FIELD_ADDRS ? rd_zigzag(r) : 0;

	if (rd_left(r) > 0)
		rd_fail(r);
	if (out == NULL)
		return;
	if (f->shape == FIELD_STRS)
		*(struct str *)out = second;
	else if (f->shape == FIELD_PAIRS)
		*(struct pair *)out = (struct pair){ first, second };
	else
		*(struct tagged_address *)out = (struct tagged_address){ first, second, port };
}

static void
field_read(const struct field *f, struct reader *r, char *entity, bool fill)
{
	void *at = entity + f->at;
	size_t *count = (size_t *)(void *)(entity + f->count_at);

	switch (f->shape) {
	case FIELD_STR:
		*(struct str *)at = rd_str(r, rd_left(r));
		break;
	case FIELD_INT:
		*(int32_t *)at = rd_zigzag(r);
		break;
	case FIELD_FLAG:
		*(bool *)at = true;
		break;
	case FIELD_NANOS:
		for (int32_t i = 0; i < f->absent; i++)
			((double *)at)[i] =
			    (double)rd_zigzag_below(r, 2 * (uint64_t)NANOS_MAX) / 1e9;
		break;
	default:
		element_read(f, r, fill ? *(char **)at + *count * element_size[f->shape] : NULL);
		(*count)++;
	}
	if (rd_left(r) > 0)
		rd_fail(r);
}

/* One pass over the body. Known tags rise; only arrays repeat theirs. */
static bool
fields_read(const struct field *fields, struct str body, char *entity, bool fill)
{
	struct reader r = rd_of(body);
	const struct field *f = fields;
	uint64_t before = 0;

	while (rd_ok(&r) && rd_left(&r) > 0) {
		uint64_t tag = rd_varint(&r), len = rd_varint(&r);
		struct reader window;

		if (len > rd_left(&r))
			return false;
		window = rd_window(&r, len);
		if (!rd_ok(&r) || tag == 0 || tag < before)
			return false;
		while (f->tag != 0 && f->tag < tag)
			f++;
		if (f->tag == tag) {
			if (tag == before && element_size[f->shape] == 0)
				return false;
			field_read(f, &window, entity, fill);
			if (!rd_ok(&window))
				return false;
		}
		before = tag;
	}
	return rd_ok(&r);
}

static void
fields_defaults(const struct field *f, char *entity)
{
	for (; f->tag != 0; f++)
		if (f->shape == FIELD_INT)
			*(int32_t *)(void *)(entity + f->at) = f->absent;
}

/* Bytes that the arrays counted in the first pass need. */
static size_t
arrays_size(const struct field *f, const char *entity)
{
	size_t sum = 0;

	for (; f->tag != 0; f++)
		if (element_size[f->shape] > 0)
			sum += element_size[f->shape] *
			       *(const size_t *)(const void *)(entity + f->count_at);
	return sum;
}

/* Deals `room` out to the arrays and sets their counts back for the second pass. */
static void
arrays_place(const struct field *f, char *entity, char *room)
{
	for (; f->tag != 0; f++) {
		size_t *count = (size_t *)(void *)(entity + f->count_at);

		if (element_size[f->shape] == 0)
			continue;
		if (*count == 0)
			continue; /* stays NULL; there may be no room at all */
		*(void **)(void *)(entity + f->at) = room;
		room += *count * element_size[f->shape];
		*count = 0;
	}
}

/* Into a zeroed entity, with room from the arena or, without one, from the heap (*owned). */
static int
fields_unpack(const struct field *fields, struct arena *arena, void **owned, struct str body,
    void *entity, struct err *err)
{
	void *room = NULL;
	size_t size;

	fields_defaults(fields, entity);
	if (!fields_read(fields, body, entity, false))
		return err_set(err, ERR_INPUT, "malformed entity of %zu bytes", body.n);
	size = arrays_size(fields, entity);
	if (size > 0) {
		room = arena != NULL ? arena_alloc(arena, size) : mem_alloc(size);
		if (room == NULL)
			return err_set(
			    err, ERR_MEMORY, "no room for an entity of %zu bytes", body.n);
	}
	if (owned != NULL)
		*owned = room;
	arrays_place(fields, entity, room);
	if (room != NULL)
		(void)fields_read(fields, body, entity, true);
	return 0;
}

int
node_unpack(struct arena *arena, struct str body, struct node_info *out, struct err *err)
{
	struct node_info info = { 0 };
	int rc = fields_unpack(node_fields, arena, NULL, body, &info, err);

	if (rc == 0)
		*out = info;
	return rc;
}

int
service_unpack(struct arena *arena, struct str body, struct service_info *out, struct err *err)
{
	struct service_info info = { 0 };
	int rc = fields_unpack(service_fields, arena, NULL, body, &info, err);

	if (rc == 0)
		*out = info;
	return rc;
}

int
check_unpack(struct arena *arena, struct str body, struct check_info *out, struct err *err)
{
	struct check_info info = { 0 };
	int rc = fields_unpack(check_fields, arena, NULL, body, &info, err);

	if (rc == 0)
		*out = info;
	return rc;
}

int
coordinate_unpack(struct str body, struct coordinate_info *out, struct err *err)
{
	struct coordinate_info info = { 0 };
	int rc = fields_unpack(coordinate_fields, NULL, NULL, body, &info, err);

	if (rc == 0)
		*out = info;
	return rc;
}

int
node_unpack_owned(void **arrays, struct str body, struct node_info *out, struct err *err)
{
	struct node_info info = { 0 };
	int rc = fields_unpack(node_fields, NULL, arrays, body, &info, err);

	if (rc == 0)
		*out = info;
	return rc;
}

int
service_unpack_owned(void **arrays, struct str body, struct service_info *out, struct err *err)
{
	struct service_info info = { 0 };
	int rc = fields_unpack(service_fields, NULL, arrays, body, &info, err);

	if (rc == 0)
		*out = info;
	return rc;
}

int
check_unpack_owned(void **arrays, struct str body, struct check_info *out, struct err *err)
{
	struct check_info info = { 0 };
	int rc = fields_unpack(check_fields, NULL, arrays, body, &info, err);

	if (rc == 0)
		*out = info;
	return rc;
}

/* Pairs. */

/* Merge sort: stable, so that of equal keys the last given is the last of its run. */
static void
pairs_merge_sort(struct pair *p, struct pair *room, size_t count)
{
	size_t half = count / 2, a = 0, b = half, n = 0;

	if (count < 2)
		return;
	pairs_merge_sort(p, room, half);
	pairs_merge_sort(p + half, room, count - half);
	while (a < half || b < count)
		if (b == count || (a < half && str_cmp(p[a].key, p[b].key) <= 0))
			room[n++] = p[a++];
		else
			room[n++] = p[b++];
	memcpy(p, room, count * sizeof *p);
}

size_t
pairs_sort(struct pair *p, size_t count)
{
	struct pair *room;
	size_t n = 0;

	if (count < 2)
		return count;
	room = mem_alloc(count * sizeof *room);
	pairs_merge_sort(p, room, count);
	free(room);
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || !str_eq(p[i].key, p[i + 1].key))
			p[n++] = p[i];
	return n;
}
