/* agent/check/check_pack.c -- a check definition as bytes, and as a copy of its own.
 *
 * One table: a row names a field's tag, its shape and its place. Packing walks it in order;
 * unpacking counts the lists first, then fills them; copying walks it twice, for the size and
 * for the bytes. A tag, once used, keeps its meaning for ever: journals outlive versions.
 */
#include "agent/check/check.h"

#include <limits.h>
#include <stddef.h>

#include "base/cursor.h"
#include "base/mem.h"

enum def_shape {
	DEF_STR,   /* bytes */
	DEF_INT,   /* zigzag varint of 64 bits; absent: 0 */
	DEF_TYPE,  /* varint, an enum check_type */
	DEF_FLAG,  /* no bytes; there means true */
	DEF_STRS,  /* repeated: bytes */
	DEF_PAIRS, /* repeated: length and bytes of the key, then the value */
};

struct def_field {
	uint8_t tag; /* 0 ends the table */
	enum def_shape shape;
	size_t at, count_at;
};

#define ROW(tag, shape, name)                                   \
	{                                                       \
		tag, shape, offsetof(struct check_def, name), 0 \
	}
#define LIST(tag, shape, name, count)                                                           \
	{                                                                                       \
		tag, shape, offsetof(struct check_def, name), offsetof(struct check_def, count) \
	}

static const struct def_field def_fields[] = {
	ROW(1, DEF_STR, id),
	ROW(2, DEF_STR, name),
	ROW(3, DEF_STR, notes),
	ROW(4, DEF_STR, service_id),
	ROW(5, DEF_TYPE, type),
	ROW(6, DEF_STR, status),
	ROW(7, DEF_STR, output),
	ROW(8, DEF_STR, http),
	ROW(9, DEF_STR, method),
	ROW(10, DEF_STR, body),
	ROW(11, DEF_STR, tcp),
	ROW(12, DEF_STR, udp),
	ROW(13, DEF_STR, grpc),
	ROW(14, DEF_STR, docker_container_id),
	ROW(15, DEF_STR, shell),
	ROW(16, DEF_STR, alias_node),
	ROW(17, DEF_STR, alias_service),
	LIST(18, DEF_STRS, args, arg_count),
	LIST(19, DEF_PAIRS, headers, header_count),
	ROW(20, DEF_FLAG, grpc_use_tls),
	ROW(21, DEF_FLAG, tls_skip_verify),
	ROW(22, DEF_STR, tls_server_name),
	ROW(23, DEF_INT, ttl),
	ROW(24, DEF_INT, interval),
	ROW(25, DEF_INT, timeout),
	ROW(26, DEF_INT, deregister_after),
	ROW(27, DEF_INT, success_before_passing),
	ROW(28, DEF_INT, failures_before_critical),
	ROW(29, DEF_INT, output_max_size),
	{ 0 },
};

static const void *
field_in(const struct def_field *f, const struct check_def *def)
{
	return (const char *)def + f->at;
}

static size_t
field_count(const struct def_field *f, const struct check_def *def)
{
	return *(const size_t *)(const void *)((const char *)def + f->count_at);
}

/* ---- packing ---- */

static void
put_varint(struct buf *b, uint64_t v)
{
	uint8_t room[10];
	struct writer w = wr_of(room, sizeof room);

	wr_varint(&w, v);
	buf_add(b, wr_done(&w));
}

static void
put_str(struct buf *b, uint8_t tag, struct str s)
{
	put_varint(b, tag);
	put_varint(b, s.n);
	buf_add(b, s);
}

static void
put_number(struct buf *b, uint8_t tag, uint64_t v)
{
	put_varint(b, tag);
	put_varint(b, varint_len(v));
	put_varint(b, v);
}

static uint64_t
zigzag(int64_t v)
{
	return v < 0 ? ~((uint64_t)v << 1) : (uint64_t)v << 1;
}

static void
put_list(struct buf *b, const struct def_field *f, const struct check_def *def)
{
	for (size_t i = 0; i < field_count(f, def); i++) {
		struct pair p;

		if (f->shape == DEF_STRS) {
			put_str(b, f->tag, def->args[i]);
			continue;
		}
		p = def->headers[i];
		put_varint(b, f->tag);
		put_varint(b, varint_len(p.key.n) + p.key.n + p.value.n);
		put_varint(b, p.key.n);
		buf_add(b, p.key);
		buf_add(b, p.value);
	}
}

void
check_def_pack(struct buf *b, const struct check_def *def)
{
	for (const struct def_field *f = def_fields; f->tag != 0; f++) {
		const void *at = field_in(f, def);

		switch (f->shape) {
		case DEF_STR:
			if (((const struct str *)at)->n > 0)
				put_str(b, f->tag, *(const struct str *)at);
			break;
		case DEF_INT:
			if (*(const int64_t *)at != 0)
				put_number(b, f->tag, zigzag(*(const int64_t *)at));
			break;
		case DEF_TYPE:
			if (*(const enum check_type *)at != CHECK_TTL)
				put_number(b, f->tag, *(const enum check_type *)at);
			break;
		case DEF_FLAG:
			if (*(const bool *)at)
				put_str(b, f->tag, STR_NONE);
			break;
		case DEF_STRS:
		case DEF_PAIRS:
			put_list(b, f, def);
		}
	}
}

/* ---- unpacking ---- */

static int64_t
rd_zigzag(struct reader *r)
{
	uint64_t v = rd_varint(r);

	return (int64_t)(v >> 1 ^ (~(v & 1) + 1));
}

static void
list_read(const struct def_field *f, struct reader *r, struct check_def *def, bool fill)
{
	size_t *count = (size_t *)(void *)((char *)def + f->count_at);

	if (f->shape == DEF_STRS) {
		struct str s = rd_str(r, rd_left(r));

		if (fill)
			def->args[*count] = s;
	} else {
		struct str key = rd_str(r, rd_varint(r)), value = rd_str(r, rd_left(r));

		if (fill)
			def->headers[*count] = (struct pair){ key, value };
	}
	if (++*count > CHECK_ARGS_MAX)
		rd_fail(r);
}

static void
field_read(const struct def_field *f, struct reader *r, struct check_def *def, bool fill)
{
	void *at = (char *)def + f->at;
	uint64_t type;

	switch (f->shape) {
	case DEF_STR:
		*(struct str *)at = rd_str(r, rd_left(r));
		break;
	case DEF_INT:
		*(int64_t *)at = rd_zigzag(r);
		break;
	case DEF_TYPE:
		type = rd_varint(r);
		if (type > CHECK_STATE)
			rd_fail(r);
		else
			*(enum check_type *)at = (enum check_type)type;
		break;
	case DEF_FLAG:
		*(bool *)at = true;
		break;
	case DEF_STRS:
	case DEF_PAIRS:
		list_read(f, r, def, fill);
	}
	if (rd_left(r) > 0)
		rd_fail(r);
}

/* One pass over the body; tags of newer versions are stepped over. */
static bool
def_read(struct str body, struct check_def *def, bool fill)
{
	struct reader r = rd_of(body);

	while (rd_left(&r) > 0) {
		uint64_t tag = rd_varint(&r);
		struct reader field = rd_window(&r, rd_varint(&r));
		const struct def_field *f = def_fields;

		while (f->tag != 0 && f->tag != tag)
			f++;
		if (rd_ok(&r) && f->tag != 0)
			field_read(f, &field, def, fill);
		if (!rd_ok(&r) || !rd_ok(&field))
			return false;
	}
	return rd_ok(&r);
}

int
check_def_unpack(struct arena *arena, struct str body, struct check_def *out, struct err *err)
{
	struct check_def def = { 0 };

	if (!def_read(body, &def, false))
		return err_set(err, ERR_INPUT, "malformed check of %zu bytes", body.n);
	if (def.arg_count > 0)
		def.args = arena_array(arena, struct str, def.arg_count);
	if (def.header_count > 0)
		def.headers = arena_array(arena, struct pair, def.header_count);
	if (arena->full)
		return err_set(err, ERR_MEMORY, "no room for a check of %zu bytes", body.n);
	def.arg_count = def.header_count = 0;
	(void)def_read(body, &def, true);
	*out = def;
	return 0;
}

/* ---- copying ---- */

static size_t
def_text_size(const struct check_def *def)
{
	size_t n = 0;

	for (const struct def_field *f = def_fields; f->tag != 0; f++)
		if (f->shape == DEF_STR)
			n += ((const struct str *)field_in(f, def))->n;
	for (size_t i = 0; i < def->arg_count; i++)
		n += def->args[i].n;
	for (size_t i = 0; i < def->header_count; i++)
		n += def->headers[i].key.n + def->headers[i].value.n;
	return n;
}

static void
text_move(struct str *s, char **room)
{
	if (s->n > 0)
		memcpy(*room, s->p, s->n);
	s->p = s->n > 0 ? *room : NULL;
	*room += s->n;
}

void
check_def_copy(struct check_def *out, void **memory, const struct check_def *def)
{
	size_t args = def->arg_count * sizeof *def->args;
	size_t headers = def->header_count * sizeof *def->headers;
	char *p = mem_alloc(args + headers + def_text_size(def) + 1);

	*memory = p;
	*out = *def;
	out->headers = (struct pair *)(void *)p;
	out->args = (struct str *)(void *)(p + headers);
	p += headers + args;
	if (headers > 0)
		memcpy(out->headers, def->headers, headers);
	if (args > 0)
		memcpy(out->args, def->args, args);
	for (const struct def_field *f = def_fields; f->tag != 0; f++)
		if (f->shape == DEF_STR)
			text_move((struct str *)(void *)((char *)out + f->at), &p);
	for (size_t i = 0; i < out->arg_count; i++)
		text_move(&out->args[i], &p);
	for (size_t i = 0; i < out->header_count; i++) {
		text_move(&out->headers[i].key, &p);
		text_move(&out->headers[i].value, &p);
	}
}
