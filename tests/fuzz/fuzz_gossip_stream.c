/* Arbitrary bytes as a TCP stream, whole and in pieces (the first byte says how large): both ways
 * must agree, and what is read must be written and read again to the same. */
#include "gossip/serf_wire.h"
#include "gossip/stream.h"
#include "tests/fuzz/fuzz.h"

#define BYTES_MAX (1024 * 1024)

static int
fuzz_feed(const struct frame_config *c, bool answer, struct str in, size_t step,
    struct stream_in **s, struct stream_request *q)
{
	int rc = 0;

	*s = stream_in_new(c, answer);
	while (rc == 0 && in.n > 0) {
		struct str piece = str_head(in, step < in.n ? step : in.n);

		in = str_skip(in, piece.n);
		rc = stream_in_feed(*s, piece, q, NULL);
	}
	return rc;
}

static void
fuzz_serf(struct str state)
{
	struct serf_message m;
	struct arena arena;

	arena_init(&arena, 4 * 1024 * 1024);
	serf_read(&arena, state, &m, NULL);
	arena_done(&arena);
}

static void
fuzz_again(const struct frame_config *c, const struct stream_request *q, bool answer)
{
	struct stream_request again;
	struct stream_in *s;
	struct buf bytes;

	buf_init(&bytes, 64 * 1024 * 1024);
	FUZZ_ASSERT(stream_write(c, q, answer, &bytes, NULL) == 0);
	FUZZ_ASSERT(fuzz_feed(c, answer, buf_str(&bytes), SIZE_MAX, &s, &again) == 1);
	FUZZ_ASSERT(again.type == q->type);
	if (q->type == WIRE_PUSH_PULL) {
		FUZZ_ASSERT(again.u.push_pull.node_count == q->u.push_pull.node_count);
		FUZZ_ASSERT(str_eq(again.u.push_pull.user_state, q->u.push_pull.user_state));
		fuzz_serf(q->u.push_pull.user_state);
	} else if (q->type == WIRE_USER) {
		FUZZ_ASSERT(str_eq(again.u.user, q->u.user));
	}
	stream_in_free(s);
	buf_done(&bytes);
}

static void
fuzz_stream(const struct frame_config *c, bool answer, struct str in, size_t step)
{
	struct stream_request whole, pieces;
	struct stream_in *a, *b;
	int rc = fuzz_feed(c, answer, in, SIZE_MAX, &a, &whole);

	FUZZ_ASSERT(fuzz_feed(c, answer, in, step, &b, &pieces) == rc);
	FUZZ_ASSERT(rc != 1 || whole.type == pieces.type);
	if (rc == 1)
		fuzz_again(c, &pieces, answer);
	stream_in_free(a);
	stream_in_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_config plain = { .compress = size % 2 }, blue = { 0 };
	struct frame_config secret = { .verify_incoming = true, .verify_outgoing = true };
	struct str in;
	size_t step;

	if (size == 0 || size > BYTES_MAX)
		return 0;
	in = str_mem(data + 1, size - 1);
	step = 1u + data[0] % 64;
	blue.label = STR("blue");
	secret.keys = keyring_new();
	keyring_install(secret.keys, STR("0123456789abcdef"), NULL);
	fuzz_stream(&plain, false, in, step);
	fuzz_stream(&plain, true, in, step);
	fuzz_stream(&blue, false, in, step);
	fuzz_stream(&secret, false, in, step);
	keyring_free(secret.keys);
	return 0;
}
