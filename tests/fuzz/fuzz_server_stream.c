/* Arbitrary bytes for the server port, whole and in pieces: both ways must agree, called or
 * calling, with keys and without. The first byte says how: its low bits how large pieces are, its
 * high bits (0xc0) that the rest is records between two who know each other: type, length, bytes.
 */
#include <string.h>

#include "agent/server/server_stream.h"
#include "base/cursor.h"
#include "tests/fuzz/fuzz.h"

#define BYTES_MAX (256 * 1024)
#define RECORDS 0xc0

static const struct uuid ann = { { 1 } }, bob = { { 2 } };

struct result {
	int rc;
	size_t events, bytes;
};

static struct server_stream *
side(bool caller, bool keyed)
{
	static const struct str key = { "0123456789abcdef", 16 };
	struct server_stream_config c = { .caller = caller, .keys = &key, .key_count = keyed };

	c.self = caller ? ann : bob;
	c.peer = bob;
	memset(c.nonce, caller ? 'a' : 'b', sizeof c.nonce);
	return server_stream_new(&c);
}

static void
drain(struct server_stream *s, struct result *out)
{
	struct server_stream_said said;

	while (out->rc == 0 && (out->rc = server_stream_next(s, &said, NULL)) > 0) {
		out->rc = 0;
		out->events++;
		out->bytes += said.bytes.n;
		if (said.event == SERVER_STREAM_HELLO)
			out->rc = server_stream_accept(s, NULL);
	}
}

static struct result
feed(struct server_stream *s, struct str in, size_t step)
{
	struct result r = { 0 };

	while (r.rc == 0 && in.n > 0) {
		struct str piece = str_head(in, step < in.n ? step : in.n);

		in = str_skip(in, piece.n);
		r.rc = server_stream_input(s, piece, NULL);
		drain(s, &r);
	}
	return r;
}

static void
fuzz_bytes(bool caller, bool keyed, struct str in, size_t step)
{
	struct server_stream *whole = side(caller, keyed), *pieces = side(caller, keyed);
	struct result a = feed(whole, in, SERVER_STREAM_RECORD_MAX), b = feed(pieces, in, step);

	FUZZ_ASSERT(a.rc == b.rc && a.events == b.events && a.bytes == b.bytes);
	server_stream_free(whole);
	server_stream_free(pieces);
}

static struct result
carry(struct server_stream *from, struct server_stream *to)
{
	struct buf *out = server_stream_out(from);
	struct result r = feed(to, buf_str(out), 1000);

	buf_drop_front(out, out->n);
	return r;
}

static void
fuzz_records(bool keyed, struct str in)
{
	struct server_stream *caller = side(true, keyed), *called = side(false, keyed);
	struct reader r = rd_of(in);

	carry(caller, called);
	carry(called, caller);
	FUZZ_ASSERT(carry(caller, called).events == 1);
	while (rd_left(&r) > 0) {
		uint8_t type = rd_u8(&r);
		struct str bytes = rd_str(&r, rd_u8(&r));
		bool known = type >= SERVER_STREAM_MESSAGE && type <= SERVER_STREAM_GIVEN_UP;
		struct result got;

		if (!rd_ok(&r) || type >= 0x80)
			break;
		FUZZ_ASSERT(server_stream_send(
				caller, (enum server_stream_type)type, bytes, true, NULL) == 0);
		got = carry(caller, called);
		FUZZ_ASSERT(known == (got.rc == 0) && (!known || got.bytes == bytes.n));
		if (!known)
			break;
	}
	server_stream_free(caller);
	server_stream_free(called);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in;

	if (size == 0 || size > BYTES_MAX)
		return 0;
	in = str_mem(data + 1, size - 1);
	for (int keyed = 0; keyed < 2; keyed++) {
		if ((data[0] & RECORDS) == RECORDS) {
			fuzz_records(keyed, in);
			continue;
		}
		fuzz_bytes(false, keyed, in, 1u + data[0] % 64);
		fuzz_bytes(true, keyed, in, 1u + data[0] % 64);
	}
	return 0;
}
