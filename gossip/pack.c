/* gossip/pack.c -- msgpack's old dialect: single values, then tables of fields.
 *
 * Format: msgpack spec, with its str family under the old name raw. Two invariants keep hostile
 * input cheap: a loop over a container's elements ends with the reader's first failure, and every
 * element costs at least one byte of input, so work is linear in bytes that really came; and depth
 * is bounded where values nest (only in what is skipped).
 */
#include "gossip/pack.h"

#include <assert.h>

#include "base/addr.h"

enum {
	FIXMAP = 0x80,
	FIXARRAY = 0x90,
	FIXRAW = 0xa0,
	NIL = 0xc0,
	UNUSED = 0xc1,
	FALSE_ = 0xc2,
	TRUE_ = 0xc3,
	BIN8 = 0xc4,
	BIN16 = 0xc5,
	BIN32 = 0xc6,
	EXT8 = 0xc7,
	EXT32 = 0xc9,
	FLOAT32 = 0xca,
	FLOAT64 = 0xcb,
	UINT8 = 0xcc,
	UINT16 = 0xcd,
	UINT32 = 0xce,
	UINT64 = 0xcf,
	INT8 = 0xd0,
	INT16 = 0xd1,
	INT32 = 0xd2,
	INT64 = 0xd3,
	FIXEXT1 = 0xd4,
	FIXEXT16 = 0xd8,
	STR8 = 0xd9,
	RAW16 = 0xda,
	RAW32 = 0xdb,
	ARRAY16 = 0xdc,
	ARRAY32 = 0xdd,
	MAP16 = 0xde,
	MAP32 = 0xdf,
	NEGATIVE = 0xe0,
};

bool
pack_take_nil(struct reader *r)
{
	if (rd_left(r) == 0 || r->base[r->pos] != NIL)
		return false;
	r->pos++;
	return true;
}

/* An integer of either signedness: its bits, and whether it is below zero. */
static uint64_t
pack_take_integer(struct reader *r, bool *negative)
{
	uint8_t head = rd_u8(r);
	int64_t v = 0;

	*negative = false;
	switch (head) {
	case NIL:
		return 0;
	case UINT8:
		return rd_u8(r);
	case UINT16:
		return rd_be16(r);
	case UINT32:
		return rd_be32(r);
	case UINT64:
		return rd_be64(r);
	case INT8:
		v = (int8_t)rd_u8(r);
		break;
	case INT16:
		v = (int16_t)rd_be16(r);
		break;
	case INT32:
		v = (int32_t)rd_be32(r);
		break;
	case INT64:
		v = (int64_t)rd_be64(r);
		break;
	default:
		if (head < FIXMAP)
			return head;
		if (head < NEGATIVE)
			rd_fail(r);
		else
			v = (int8_t)head;
	}
	if (!rd_ok(r))
		return 0;
	*negative = v < 0;
	return (uint64_t)v;
}

uint64_t
pack_take_uint(struct reader *r, uint64_t max)
{
	bool negative;
	uint64_t v = pack_take_integer(r, &negative);

	if (negative || v > max)
		rd_fail(r);
	return rd_ok(r) ? v : 0;
}

int64_t
pack_take_int(struct reader *r, int64_t min, int64_t max)
{
	bool negative;
	uint64_t bits = pack_take_integer(r, &negative);
	int64_t v = (int64_t)bits;

	if (!negative && bits > INT64_MAX)
		rd_fail(r);
	if (v < min || v > max)
		rd_fail(r);
	return rd_ok(r) ? v : 0;
}

bool
pack_take_bool(struct reader *r)
{
	uint8_t head = rd_u8(r);

	if (head != NIL && head != FALSE_ && head != TRUE_)
		rd_fail(r);
	return rd_ok(r) && head == TRUE_;
}

double
pack_take_float(struct reader *r)
{
	union {
		uint64_t bits;
		double v;
	} f64 = { 0 };
	union {
		uint32_t bits;
		float v;
	} f32 = { 0 };

	if (rd_left(r) > 0 && r->base[r->pos] == FLOAT32) {
		r->pos++;
		f32.bits = rd_be32(r);
		f64.v = (double)f32.v;
	} else if (rd_left(r) > 0 && r->base[r->pos] == FLOAT64) {
		r->pos++;
		f64.bits = rd_be64(r);
	} else {
		f64.v = (double)pack_take_int(r, INT64_MIN, INT64_MAX);
	}
	return rd_ok(r) ? f64.v : 0;
}

static bool
is_array(uint8_t head)
{
	return (head & 0xf0) == FIXARRAY || head == ARRAY16 || head == ARRAY32;
}

/* A count of elements that need `each` bytes at least. More than can follow is too few bytes. */
static size_t
pack_fits(struct reader *r, size_t count, size_t each)
{
	if (rd_ok(r) && count > rd_left(r) / each)
		r->state = RD_SHORT;
	return rd_ok(r) ? count : 0;
}

size_t
pack_take_array(struct reader *r)
{
	uint8_t head = rd_u8(r);
	size_t count = 0;

	if ((head & 0xf0) == FIXARRAY)
		count = head & 0x0f;
	else if (head == ARRAY16)
		count = rd_be16(r);
	else if (head == ARRAY32)
		count = rd_be32(r);
	else if (head != NIL)
		rd_fail(r);
	return pack_fits(r, count, 1);
}

size_t
pack_take_map(struct reader *r)
{
	uint8_t head = rd_u8(r);
	size_t count = 0;

	if ((head & 0xf0) == FIXMAP)
		count = head & 0x0f;
	else if (head == MAP16)
		count = rd_be16(r);
	else if (head == MAP32)
		count = rd_be32(r);
	else if (head != NIL)
		rd_fail(r);
	return pack_fits(r, count, 2);
}

/* An array of small integers as bytes. */
static struct str
pack_take_byte_array(struct reader *r, struct arena *arena, size_t max)
{
	size_t count = pack_take_array(r);
	uint8_t *copy;

	if (count > max)
		rd_fail(r);
	if (!rd_ok(r) || count == 0)
		return STR_NONE;
	copy = arena_alloc(arena, count);
	if (copy == NULL)
		rd_fail(r);
	for (size_t i = 0; i < count && rd_ok(r); i++)
		copy[i] = (uint8_t)pack_take_uint(r, UINT8_MAX);
	return rd_ok(r) ? str_mem(copy, count) : STR_NONE;
}

struct str
pack_take_bytes(struct reader *r, struct arena *arena, size_t max, bool *nil)
{
	struct reader before = *r;
	uint8_t head = rd_u8(r);
	size_t n = 0;

	if (nil != NULL)
		*nil = false;
	if ((head & 0xe0) == FIXRAW) {
		n = head & 0x1f;
	} else if (head == STR8 || head == BIN8) {
		n = rd_u8(r);
	} else if (head == RAW16 || head == BIN16) {
		n = rd_be16(r);
	} else if (head == RAW32 || head == BIN32) {
		n = rd_be32(r);
	} else if (head == NIL) {
		if (nil != NULL)
			*nil = rd_ok(r);
	} else if (arena != NULL && is_array(head)) {
		*r = before;
		return pack_take_byte_array(r, arena, max);
	} else {
		rd_fail(r);
	}
	if (n > max)
		rd_fail(r);
	return rd_str(r, n);
}

static void pack_skip_in(struct reader *r, unsigned depth);

static void
pack_skip_elements(struct reader *r, size_t count, unsigned depth)
{
	if (depth == 0)
		rd_fail(r);
	while (count-- > 0 && rd_ok(r))
		pack_skip_in(r, depth - 1);
}

static void
pack_skip_in(struct reader *r, unsigned depth)
{
	uint8_t head = rd_left(r) > 0 ? r->base[r->pos] : NIL;

	if (is_array(head)) {
		pack_skip_elements(r, pack_take_array(r), depth);
	} else if (head == MAP16 || head == MAP32 || (head & 0xf0) == FIXMAP) {
		pack_skip_elements(r, pack_take_map(r) * 2, depth);
	} else if ((head & 0xe0) == FIXRAW || (head >= STR8 && head <= RAW32) ||
		   (head >= BIN8 && head <= BIN32)) {
		pack_take_bytes(r, NULL, SIZE_MAX, NULL);
	} else if (head == FALSE_ || head == TRUE_) {
		rd_u8(r);
	} else if (head == FLOAT32 || head == FLOAT64) {
		pack_take_float(r);
	} else if (head >= EXT8 && head <= EXT32) {
		rd_u8(r);
		rd_take(r, head == EXT8 ? rd_u8(r) : head == EXT32 ? rd_be32(r) : rd_be16(r));
		rd_u8(r); /* with the type */
	} else if (head >= FIXEXT1 && head <= FIXEXT16) {
		rd_take(r, 2 + ((size_t)1 << (head - FIXEXT1)));
	} else {
		bool negative;

		pack_take_integer(r, &negative); /* nil too; UNUSED fails */
	}
}

void
pack_skip(struct reader *r, size_t max)
{
	size_t left = rd_left(r), room = left < max ? left : max;
	struct reader in;

	if (!rd_ok(r))
		return;
	in = (struct reader){ r->base + r->pos, 0, room, RD_OK };
	pack_skip_in(&in, PACK_DEPTH_MAX);
	if (in.state == RD_SHORT && room < left)
		in.state = RD_BAD;
	r->state = in.state;
	r->pos += in.pos;
}

void
pack_put_nil(struct writer *w)
{
	wr_u8(w, NIL);
}

void
pack_put_bool(struct writer *w, bool v)
{
	wr_u8(w, v ? TRUE_ : FALSE_);
}

void
pack_put_uint(struct writer *w, uint64_t v)
{
	if (v < FIXMAP) {
		wr_u8(w, (uint8_t)v);
	} else if (v <= UINT8_MAX) {
		wr_u8(w, UINT8);
		wr_u8(w, (uint8_t)v);
	} else if (v <= UINT16_MAX) {
		wr_u8(w, UINT16);
		wr_be16(w, (uint16_t)v);
	} else if (v <= UINT32_MAX) {
		wr_u8(w, UINT32);
		wr_be32(w, (uint32_t)v);
	} else {
		wr_u8(w, UINT64);
		wr_be64(w, v);
	}
}

void
pack_put_int(struct writer *w, int64_t v)
{
	if (v >= 0) {
		pack_put_uint(w, (uint64_t)v);
	} else if (v >= -32) {
		wr_u8(w, (uint8_t)v);
	} else if (v >= INT8_MIN) {
		wr_u8(w, INT8);
		wr_u8(w, (uint8_t)v);
	} else if (v >= INT16_MIN) {
		wr_u8(w, INT16);
		wr_be16(w, (uint16_t)v);
	} else if (v >= INT32_MIN) {
		wr_u8(w, INT32);
		wr_be32(w, (uint32_t)v);
	} else {
		wr_u8(w, INT64);
		wr_be64(w, (uint64_t)v);
	}
}

void
pack_put_float(struct writer *w, double v)
{
	union {
		double v;
		uint64_t bits;
	} f64 = { .v = v };

	wr_u8(w, FLOAT64);
	wr_be64(w, f64.bits);
}

void
pack_put_bytes(struct writer *w, struct str s)
{
	if (s.n < 32) {
		wr_u8(w, (uint8_t)(FIXRAW | s.n));
	} else if (s.n <= UINT16_MAX) {
		wr_u8(w, RAW16);
		wr_be16(w, (uint16_t)s.n);
	} else if (s.n <= UINT32_MAX) {
		wr_u8(w, RAW32);
		wr_be32(w, (uint32_t)s.n);
	} else {
		w->full = true;
	}
	wr_bytes(w, s);
}

static void
pack_put_count(struct writer *w, uint8_t fix, uint8_t wide, size_t count)
{
	if (count < 16) {
		wr_u8(w, (uint8_t)(fix | count));
	} else if (count <= UINT16_MAX) {
		wr_u8(w, wide);
		wr_be16(w, (uint16_t)count);
	} else if (count <= UINT32_MAX) {
		wr_u8(w, wide + 1);
		wr_be32(w, (uint32_t)count);
	} else {
		w->full = true;
	}
}

void
pack_put_array(struct writer *w, size_t count)
{
	pack_put_count(w, FIXARRAY, ARRAY16, count);
}

void
pack_put_map(struct writer *w, size_t count)
{
	pack_put_count(w, FIXMAP, MAP16, count);
}

/* A table's rows point at members by offset; these are the only casts. */
static void *
field_at(void *out, uint16_t offset)
{
	return (char *)out + offset;
}

static const void *
field_in(const void *in, uint16_t offset)
{
	return (const char *)in + offset;
}

static uint64_t
field_max(const struct pack_field *f, uint64_t type_max)
{
	return f->max != 0 && f->max < type_max ? f->max : type_max;
}

static void
take_fixed(struct reader *r, struct arena *arena, const struct pack_field *f, void *out)
{
	struct str s = pack_take_bytes(r, arena, PACK_SMALL_MAX, NULL);
	size_t n = s.n < f->max ? s.n : f->max;

	memset(field_at(out, f->at), 0, f->max);
	if (n > 0)
		memcpy(field_at(out, f->at), s.p, n);
	*(bool *)field_at(out, f->more) = n == f->max;
}

static void
take_ip(struct reader *r, struct arena *arena, const struct pack_field *f, void *out)
{
	struct str s = pack_take_bytes(r, arena, PACK_SMALL_MAX, NULL);
	struct addr *addr = field_at(out, f->at);

	addr->family = s.n == 4 ? ADDR_V4 : s.n == 16 ? ADDR_V6 : ADDR_NONE;
	memset(addr->bytes, 0, sizeof addr->bytes);
	if (addr->family != ADDR_NONE)
		memcpy(addr->bytes, s.p, s.n);
	if (f->more != 0)
		*(bool *)field_at(out, f->more) = addr->family != ADDR_NONE;
}

static void
take_list(struct reader *r, struct arena *arena, const struct pack_field *f, void *out)
{
	size_t count = pack_take_array(r);
	struct str *list;

	assert(arena != NULL);
	if (f->max != 0 && count > f->max)
		rd_fail(r);
	if (!rd_ok(r))
		return;
	list = arena_array(arena, struct str, count);
	if (list == NULL)
		rd_fail(r);
	for (size_t i = 0; i < count && rd_ok(r); i++)
		list[i] = pack_take_bytes(r, arena, SIZE_MAX, NULL);
	if (!rd_ok(r))
		return;
	*(struct str **)field_at(out, f->at) = list;
	*(size_t *)field_at(out, f->more) = count;
}

static struct str
take_value(struct reader *r, size_t max)
{
	struct reader before = *r;

	pack_skip(r, max);
	return rd_ok(r) ? str_mem(before.base + before.pos, r->pos - before.pos) : STR_NONE;
}

static void
take_field(struct reader *r, struct arena *arena, const struct pack_field *f, void *out)
{
	void *at = field_at(out, f->at);
	size_t bytes_max = f->max != 0 ? f->max : SIZE_MAX;

	switch (f->kind) {
	case PACK_BOOL:
		*(bool *)at = pack_take_bool(r);
		break;
	case PACK_U8:
		*(uint8_t *)at = (uint8_t)pack_take_uint(r, field_max(f, UINT8_MAX));
		break;
	case PACK_U16:
		*(uint16_t *)at = (uint16_t)pack_take_uint(r, field_max(f, UINT16_MAX));
		break;
	case PACK_U32:
		*(uint32_t *)at = (uint32_t)pack_take_uint(r, field_max(f, UINT32_MAX));
		break;
	case PACK_U64:
		*(uint64_t *)at = pack_take_uint(r, field_max(f, UINT64_MAX));
		break;
	case PACK_I64:
		*(int64_t *)at = pack_take_int(r, INT64_MIN, INT64_MAX);
		break;
	case PACK_F64:
		*(double *)at = pack_take_float(r);
		break;
	case PACK_TEXT:
		*(struct str *)at = pack_take_bytes(r, arena, bytes_max, NULL);
		break;
	case PACK_BYTES:
		*(struct str *)at = pack_take_bytes(r, arena, bytes_max, field_at(out, f->more));
		break;
	case PACK_FIXED:
		take_fixed(r, arena, f, out);
		break;
	case PACK_IP:
		take_ip(r, arena, f, out);
		break;
	case PACK_LIST:
		take_list(r, arena, f, out);
		break;
	case PACK_VALUE:
		*(struct str *)at = take_value(r, bytes_max);
		break;
	}
}

/* Keys come in the table's order from every sender we know: look there first. */
static const struct pack_field *
table_find(struct pack_table t, struct str key, size_t *hint)
{
	for (size_t i = 0; i < t.count; i++) {
		size_t at = (*hint + i) % t.count;

		if (str_eq(key, str_mem(t.fields[at].key, t.fields[at].key_n))) {
			*hint = at + 1;
			return &t.fields[at];
		}
	}
	return NULL;
}

void
pack_take_fields(struct reader *r, struct arena *arena, struct pack_table t, void *out)
{
	size_t pairs = pack_take_map(r), hint = 0;

	for (size_t i = 0; i < t.count; i++) /* what is missing is nil */
		if (t.fields[i].kind == PACK_BYTES)
			*(bool *)field_at(out, t.fields[i].more) = true;
	while (pairs-- > 0 && rd_ok(r)) {
		struct str key = pack_take_bytes(r, NULL, SIZE_MAX, NULL);
		const struct pack_field *f = table_find(t, key, &hint);

		if (f != NULL)
			take_field(r, arena, f, out);
		else
			pack_skip(r, SIZE_MAX);
	}
}

static uint64_t
field_uint(const struct pack_field *f, const void *at)
{
	switch (f->kind) {
	case PACK_BOOL:
		return *(const bool *)at;
	case PACK_U8:
		return *(const uint8_t *)at;
	case PACK_U16:
		return *(const uint16_t *)at;
	case PACK_U32:
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static bool
field_empty(const struct pack_field *f, const void *in)
{
	const void *at = field_in(in, f->at);

	switch (f->kind) {
	case PACK_TEXT:
	case PACK_BYTES:
		return ((const struct str *)at)->n == 0;
	case PACK_IP:
		return ((const struct addr *)at)->family == ADDR_NONE;
	default:
		return field_uint(f, at) == 0;
	}
}

static void
put_fixed(struct writer *w, const struct pack_field *f, const void *in)
{
	struct str s = str_mem(field_in(in, f->at), f->max);
	bool whole = *(const bool *)field_in(in, f->more);

	for (size_t i = 0; i < s.n; i++)
		whole |= s.p[i] != 0;
	if (whole)
		pack_put_bytes(w, s);
	else
		pack_put_nil(w);
}

static void
put_list(struct writer *w, const struct pack_field *f, const void *in)
{
	struct str *const *list = field_in(in, f->at);
	size_t count = *(const size_t *)field_in(in, f->more);

	if (count == 0) {
		pack_put_nil(w);
		return;
	}
	pack_put_array(w, count);
	for (size_t i = 0; i < count; i++)
		pack_put_bytes(w, (*list)[i]);
}

static void
put_field(struct writer *w, const struct pack_field *f, const void *in)
{
	const void *at = field_in(in, f->at);
	const struct addr *addr;

	switch (f->kind) {
	case PACK_BOOL:
		pack_put_bool(w, *(const bool *)at);
		break;
	case PACK_U8:
	case PACK_U16:
	case PACK_U32:
	case PACK_U64:
		pack_put_uint(w, field_uint(f, at));
		break;
	case PACK_I64:
		pack_put_int(w, *(const int64_t *)at);
		break;
	case PACK_F64:
		pack_put_float(w, *(const double *)at);
		break;
	case PACK_TEXT:
		pack_put_bytes(w, *(const struct str *)at);
		break;
	case PACK_BYTES:
		if (*(const bool *)field_in(in, f->more))
			pack_put_nil(w);
		else
			pack_put_bytes(w, *(const struct str *)at);
		break;
	case PACK_FIXED:
		put_fixed(w, f, in);
		break;
	case PACK_IP:
		addr = at;
		if (addr->family == ADDR_NONE)
			pack_put_nil(w);
		else
			pack_put_bytes(w, str_mem(addr->bytes, addr->family == ADDR_V4 ? 4 : 16));
		break;
	case PACK_LIST:
		put_list(w, f, in);
		break;
	case PACK_VALUE:
		break; /* the caller's turn */
	}
}

void
pack_put_fields(struct writer *w, struct pack_table t, const void *in)
{
	size_t pairs = 0;

	for (size_t i = 0; i < t.count; i++)
		pairs += !t.fields[i].omit || !field_empty(&t.fields[i], in);
	pack_put_map(w, pairs);
	for (size_t i = 0; i < t.count; i++) {
		const struct pack_field *f = &t.fields[i];

		if (f->omit && field_empty(f, in))
			continue;
		pack_put_bytes(w, str_mem(f->key, f->key_n));
		assert(f->kind != PACK_VALUE || i + 1 == t.count);
		put_field(w, f, in);
	}
}
