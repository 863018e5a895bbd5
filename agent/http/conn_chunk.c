/* agent/http/conn_chunk.c -- chunked request bodies (RFC 9112 7.1), decoded in place.
 *
 * The buffer is [body decoded so far][raw bytes]. Each call eats what raw bytes it can and
 * closes the gap, so memory follows the body and not its framing. Line ends are CRLF and
 * nothing else; extensions are read over, but not without end.
 */
#include "agent/http/conn_private.h"

#define CHUNK_LINE_MAX 4096            /* bytes: size and extensions of one chunk */
#define CHUNK_OVERHEAD_MAX (16 * 1024) /* bytes of extensions in one body */

/* Length of the line at the start of `s` without its CRLF; -1: not whole yet, -2: wrong. */
static ptrdiff_t
chunk_line(struct chunks *c, struct str s, size_t max)
{
	for (size_t i = c->scanned; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if (i > max)
			return -2;
		if (ch == '\n') {
			c->scanned = 0;
			return i > 0 && s.p[i - 1] == '\r' ? (ptrdiff_t)i - 1 : -2;
		}
		if (i > 0 && s.p[i - 1] == '\r')
			return -2; /* a CR that ends no line */
		if ((ch < 0x20 && ch != '\t' && ch != '\r') || ch == 0x7f)
			return -2;
	}
	c->scanned = s.n;
	return -1;
}

/* "1a2b" or "1a2b ;name=value" */
static bool
chunk_size(struct str line, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i < line.n; i++) {
		char ch = chr_lower(line.p[i]);

		if (!chr_digit(ch) && !(ch >= 'a' && ch <= 'f'))
			break;
		if (i >= 15)
			return false; /* more than any body */
		v = v << 4 | (uint64_t)(chr_digit(ch) ? ch - '0' : ch - 'a' + 10);
	}
	if (i == 0)
		return false;
	line = str_trim(str_skip(line, i));
	if (line.n > 0 && line.p[0] != ';')
		return false;
	*out = v;
	return true;
}

/* The line before a chunk, whose length is n. */
static int
chunk_begin(struct chunks *c, struct str line, size_t body, size_t body_max)
{
	if (!chunk_size(line, &c->left))
		return 400;
	c->overhead += line.n;
	if (c->overhead > CHUNK_OVERHEAD_MAX + body) /* a size needs no more bytes than data */
		return 400;
	if (c->left > body_max - body)
		return 413;
	c->state = c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
	return 0;
}

static int
trailer_line(struct chunks *c, struct str line, size_t trailer_max)
{
	if (line.n == 0) {
		c->state = CHUNK_DONE;
		return 0;
	}
	c->trailer_n += line.n + 2;
	if (c->trailer_n > trailer_max)
		return 431;
	return str_find(line, ':') == line.n || line.p[0] == ' ' || line.p[0] == '\t' ? 400 : 0;
}

int
chunks_decode(
    struct chunks *c, char *p, size_t *body, size_t *raw, size_t body_max, size_t trailer_max)
{
	size_t from = *body, end = *body + *raw, n; /* raw bytes are p[from, end) */
	ptrdiff_t line;
	int status = 0;

	while (status == 0 && c->state != CHUNK_DONE && from < end) {
		struct str s = str_mem(p + from, end - from);

		if (c->state == CHUNK_DATA) {
			n = s.n < c->left ? s.n : (size_t)c->left;
			memmove(p + *body, s.p, n);
			*body += n;
			from += n;
			c->left -= n;
			if (c->left == 0)
				c->state = CHUNK_DATA_END;
			continue;
		}
		line = chunk_line(c, s, c->state == CHUNK_SIZE ? CHUNK_LINE_MAX : trailer_max);
		if (line == -1)
			break;
		if (line == -2)
			return 400;
		if (c->state == CHUNK_DATA_END) {
			status = line == 0 ? 0 : 400;
			c->state = CHUNK_SIZE;
		} else if (c->state == CHUNK_SIZE) {
			status = chunk_begin(c, str_head(s, (size_t)line), *body, body_max);
		} else {
			status = trailer_line(c, str_head(s, (size_t)line), trailer_max);
		}
		from += (size_t)line + 2;
	}
	if (from > *body && end > from)
		memmove(p + *body, p + from, end - from);
	*raw = end - from;
	return status;
}
