/* agent/http/carry.c -- see carry.h.
 *
 * Request: version, method, path, query, node, agent, epoch and number, body; texts and the body
 * with their lengths. Version 2 has a second such position before the body, and the answer to it,
 * which is of version 2 too, ends with records. Answer: version, be16 status, flags, varint index
 * and contact, content type, number of headers, their names and values, body.
 */
#include "agent/http/carry.h"

#include "base/cursor.h"

#define CARRY_VERSION 1
#define CARRY_VERSION_SEES 2 /* only where both may want it: 1 is understood everywhere */
#define CARRY_TEXT_MAX HTTP_HEAD_BYTES_MAX
#define CARRY_BODY_MAX HTTP_LARGE_BYTES_MAX
#define CARRY_HEADERS_MAX (sizeof((struct http_reply *)NULL)->extra / sizeof(struct http_header))

enum answer_flags { ANSWER_INDEXED = 1, ANSWER_LEADERLESS = 2 };

static const struct {
	enum http_method method; /* its place is its number in the bytes */
	struct str text;
} methods[] = {
	{ HTTP_GET, STR("GET") },
	{ HTTP_PUT, STR("PUT") },
	{ HTTP_POST, STR("POST") },
	{ HTTP_DELETE, STR("DELETE") },
	{ HTTP_HEAD, STR("HEAD") },
	{ HTTP_OPTIONS, STR("OPTIONS") },
};
#define METHODS (sizeof methods / sizeof methods[0])

static void
add_varint(struct buf *out, uint64_t v)
{
	uint8_t room[10];
	struct writer w = wr_of(room, sizeof room);

	wr_varint(&w, v);
	buf_add(out, wr_done(&w));
}

static void
add_text(struct buf *out, struct str s)
{
	add_varint(out, s.n);
	buf_add(out, s);
}

static struct str
read_text(struct reader *r, size_t max)
{
	uint64_t n = rd_varint(r);

	if (n > max)
		rd_fail(r);
	return rd_str(r, (size_t)n);
}

/* False with an error when these bytes are not of this version. */
static bool
read_version(struct reader *r, uint8_t *out, struct err *err)
{
	uint8_t version = rd_u8(r);

	*out = version;
	if (rd_ok(r) && (version == CARRY_VERSION || version == CARRY_VERSION_SEES))
		return true;
	if (!rd_ok(r))
		err_set(err, ERR_INPUT, "nothing was carried");
	else
		err_set(err, ERR_REFUSED, "carried in version %u, this program knows version %d",
		    version, CARRY_VERSION_SEES);
	return false;
}

static int
read_end(const struct reader *r, const char *what, struct err *err)
{
	if (rd_ok(r) && rd_left(r) == 0)
		return 0;
	return err_set(err, ERR_INPUT, "a carried %s is broken", what);
}

static void
add_position(struct buf *out, const struct http_position *p)
{
	uint8_t room[24];
	struct writer w = wr_of(room, sizeof room);

	wr_be64(&w, p->epoch.counter);
	wr_be64(&w, p->epoch.nonce);
	wr_be64(&w, p->number);
	buf_add(out, str_mem(p->agent.b, sizeof p->agent.b));
	buf_add(out, wr_done(&w));
}

void
carry_request_write(struct buf *out, const struct http_request *rq, struct str node,
    const struct http_position *asks, const struct http_position *sees)
{
	uint8_t method = 0;

	while (method < METHODS && methods[method].method != rq->method)
		method++;
	buf_addc(out, sees == NULL ? CARRY_VERSION : CARRY_VERSION_SEES);
	buf_addc(out, (char)method);
	add_text(out, rq->path);
	add_text(out, rq->query);
	add_text(out, node);
	add_position(out, asks);
	if (sees != NULL)
		add_position(out, sees);
	add_text(out, rq->body);
}

static struct http_position
read_position(struct reader *r)
{
	const uint8_t *id = rd_take(r, sizeof(struct uuid));
	struct http_position p = { 0 };

	if (id != NULL)
		memcpy(p.agent.b, id, sizeof p.agent.b);
	p.epoch.counter = rd_be64(r);
	p.epoch.nonce = rd_be64(r);
	p.number = rd_be64(r);
	return p;
}

int
carry_request_read(struct str bytes, struct http_request *out, struct err *err)
{
	struct reader r = rd_of(bytes);
	struct str path, query, node, body;
	struct http_position asks, sees = { 0 };
	uint8_t version, method;

	if (!read_version(&r, &version, err))
		return err == NULL ? ERR_INPUT : err->code;
	method = rd_u8(&r);
	path = read_text(&r, CARRY_TEXT_MAX);
	query = read_text(&r, CARRY_TEXT_MAX);
	node = read_text(&r, CARRY_TEXT_MAX);
	asks = read_position(&r);
	if (version == CARRY_VERSION_SEES)
		sees = read_position(&r);
	body = read_text(&r, CARRY_BODY_MAX);
	if (method >= METHODS || path.n == 0 || node.n == 0)
		rd_fail(&r);
	if (read_end(&r, "request", err) != 0)
		return ERR_INPUT;
	out->method = methods[method].method;
	out->method_text = methods[method].text;
	out->target = out->path = path;
	out->query = query;
	out->node = node;
	out->asks = asks;
	out->wants_records = version == CARRY_VERSION_SEES;
	out->sees = sees;
	out->body = body;
	out->header_count = out->param_count = 0;
	out->header_lines = STR_NONE;
	out->version_minor = 1;
	out->keep_alive = true;
	out->tail = STR_NONE;
	out->route = NULL;
	return 0;
}

void
carry_answer_write(struct buf *out, const struct http_reply *rp, struct str records)
{
	uint8_t room[2];
	struct writer w = wr_of(room, sizeof room);
	unsigned flags = 0;

	wr_be16(&w, (uint16_t)rp->status);
	flags |= rp->indexed ? ANSWER_INDEXED : 0u;
	flags |= rp->leaderless ? ANSWER_LEADERLESS : 0u;
	buf_addc(out, records.p == NULL ? CARRY_VERSION : CARRY_VERSION_SEES);
	buf_add(out, wr_done(&w));
	buf_addc(out, (char)flags);
	add_varint(out, rp->index);
	add_varint(out, rp->contact_ms);
	add_text(out, str_of(rp->content_type));
	buf_addc(out, (char)rp->extra_count);
	for (size_t i = 0; i < rp->extra_count; i++) {
		add_text(out, rp->extra[i].name);
		add_text(out, rp->extra[i].value);
	}
	add_text(out, buf_str(rp->body));
	if (records.p != NULL)
		add_text(out, records);
}

static void
read_headers(struct reader *r, struct arena *arena, struct http_reply *rp)
{
	uint8_t count = rd_u8(r);

	if (count > CARRY_HEADERS_MAX)
		rd_fail(r);
	rp->extra_count = 0;
	for (uint8_t i = 0; i < count && rd_ok(r); i++) {
		struct str name = read_text(r, CARRY_TEXT_MAX);
		struct str value = read_text(r, CARRY_TEXT_MAX);

		reply_header(rp, arena_dup(arena, name), arena_dup(arena, value));
	}
}

int
carry_answer_read(struct str bytes, struct arena *arena, struct http_reply *rp, struct str *records,
    struct err *err)
{
	struct reader r = rd_of(bytes);
	struct str type, body, more = STR_NONE;
	uint8_t version, flags;

	if (!read_version(&r, &version, err))
		return err == NULL ? ERR_INPUT : err->code;
	rp->status = rd_be16(&r);
	flags = rd_u8(&r);
	rp->index = rd_varint(&r);
	rp->contact_ms = rd_varint(&r);
	type = read_text(&r, CARRY_TEXT_MAX);
	read_headers(&r, arena, rp);
	body = read_text(&r, SIZE_MAX);
	if (version == CARRY_VERSION_SEES)
		more = read_text(&r, SIZE_MAX);
	if (rp->status < 100 || rp->status > 599)
		rd_fail(&r);
	if (read_end(&r, "answer", err) != 0)
		return ERR_INPUT;
	rp->indexed = (flags & ANSWER_INDEXED) != 0;
	rp->leaderless = (flags & ANSWER_LEADERLESS) != 0;
	rp->content_type = type.n == 0 ? NULL : arena_dup(arena, type).p;
	buf_add(rp->body, body);
	*records = more;
	return 0;
}
