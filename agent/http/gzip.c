/* agent/http/gzip.c -- see gzip.h. */
#include "agent/http/gzip.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/mem.h"

#define GZIP_WINDOW (15 + 16) /* zlib's word for a gzip head and tail around it */
#define GZIP_MEMORY 8

struct gzip {
	z_stream z;
};

struct gzip *
gzip_new(void)
{
	struct gzip *g = mem_new(struct gzip);

	if (deflateInit2(&g->z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
		Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* no memory */
	return g;
}

void
gzip_free(struct gzip *g)
{
	if (g == NULL)
		return;
	deflateEnd(&g->z);
	free(g);
}

/* "gzip;q=0.5" and the like: 0 only when it says so. */
static bool
weight_is_zero(struct str params)
{
	struct str q;

	while (params.p != NULL) {
		q = str_trim(str_cut(&params, ';'));
		if (q.n < 3 || chr_lower(q.p[0]) != 'q' || q.p[1] != '=')
			continue;
		for (size_t i = 2; i < q.n; i++)
			if (q.p[i] != '0' && q.p[i] != '.')
				return false;
		return true;
	}
	return false;
}

bool
gzip_accepted(const struct http_request *rq)
{
	struct str rest = request_header(rq, STR("Accept-Encoding"));

	while (rest.n > 0) {
		struct str one = str_cut(&rest, ','), name = str_trim(str_cut(&one, ';'));

		if (str_eq_nocase(name, STR("gzip")))
			return !weight_is_zero(one);
	}
	return false;
}

bool
gzip_pack(struct gzip *g, struct str in, struct buf *out)
{
	char *room;
	int rc;

	buf_clear(out);
	room = buf_reserve(out, in.n);
	if (room == NULL || deflateReset(&g->z) != Z_OK)
		return false;
	g->z.next_in = (Bytef *)(uintptr_t)in.p; /* zlib only reads */
	g->z.avail_in = (uInt)in.n;
	g->z.next_out = (Bytef *)room;
	g->z.avail_out = (uInt)in.n;
	rc = deflate(&g->z, Z_FINISH);
	if (rc != Z_STREAM_END)
		return false;
	buf_commit(out, in.n - g->z.avail_out);
	return true;
}
