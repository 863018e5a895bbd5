/* The server port's handshake and records: who is let in, who is not, and every cut and changed
 * byte. */
#include <stdlib.h>
#include <string.h>

#include "agent/server/server_stream.h"
#include "base/mem.h"
#include "tests/unit/test.h"

static const struct uuid ann = { { 1 } }, bob = { { 2 } }, eve = { { 3 } };
static const struct uuid red = { { 7 } }, blue = { { 8 } }, none;
static const struct str old_key = { "0123456789abcdef", 16 };
static const struct str new_key = { "0123456789abcdef0123456789ABCDEF", 32 };
static const struct str other_key = { "fedcba9876543210", 16 };

struct pair {
	struct server_stream *caller, *called;
	int rc; /* of whoever failed first */
	struct err err;
	bool hello, caller_ready, called_ready;
	struct str last;
	char copy[SERVER_STREAM_RECORD_MAX];
	enum server_stream_type type;
	bool end;
	unsigned records;
};

static struct server_stream *
side(bool caller, const struct uuid *self, const struct uuid *peer, const struct uuid *cluster,
    const struct str *keys, size_t count)
{
	struct server_stream_config c = { .caller = caller, .self = *self, .peer = *peer };

	c.cluster = *cluster;
	c.keys = keys;
	c.key_count = count;
	memset(c.nonce, caller ? 'a' : 'b', sizeof c.nonce);
	return server_stream_new(&c);
}

static void
pair_done(struct pair *p)
{
	server_stream_free(p->caller);
	server_stream_free(p->called);
	free(p);
}

static void
told(struct pair *p, bool to_called, const struct server_stream_said *said)
{
	struct server_stream *s = to_called ? p->called : p->caller;

	switch (said->event) {
	case SERVER_STREAM_HELLO:
		assert_true(to_called && !p->hello);
		p->hello = true;
		p->rc = server_stream_accept(s, &p->err);
		break;
	case SERVER_STREAM_READY:
		*(to_called ? &p->called_ready : &p->caller_ready) = true;
		assert_true(uuid_eq(server_stream_peer(s), to_called ? &ann : &bob));
		break;
	case SERVER_STREAM_RECORD:
		assert_true(to_called ? p->called_ready : p->caller_ready);
		p->records++;
		if (said->bytes.n > 0)
			memcpy(p->copy, said->bytes.p, said->bytes.n);
		p->last = str_mem(p->copy, said->bytes.n);
		p->type = said->type;
		p->end = said->end;
		break;
	}
}

static void
feed(struct pair *p, bool to_called, struct str bytes, size_t step)
{
	struct server_stream *s = to_called ? p->called : p->caller;
	struct server_stream_said said;
	int rc;

	while (bytes.n > 0 && p->rc == 0) {
		size_t n = bytes.n < step ? bytes.n : step;

		p->rc = server_stream_input(s, str_head(bytes, n), &p->err);
		bytes = str_skip(bytes, n);
		while (p->rc == 0 && (rc = server_stream_next(s, &said, &p->err)) != 0) {
			if (rc < 0)
				p->rc = rc;
			else
				told(p, to_called, &said);
		}
	}
}

/* What one side has to say, to the other. False: nothing. */
static bool
carry(struct pair *p, bool to_called, size_t step)
{
	struct buf *out = server_stream_out(to_called ? p->caller : p->called);
	struct buf bytes;

	if (out->n == 0)
		return false;
	buf_init(&bytes, SERVER_STREAM_OUT_MAX);
	buf_add(&bytes, buf_str(out));
	buf_drop_front(out, out->n);
	feed(p, to_called, buf_str(&bytes), step);
	buf_done(&bytes);
	return true;
}

static void
settle(struct pair *p, size_t step)
{
	bool more = true;

	while (more && p->rc == 0) {
		more = carry(p, true, step);
		if (p->rc == 0)
			more = carry(p, false, step) || more;
	}
}

static struct pair *
pair_of(const struct str *a, size_t a_count, const struct str *b, size_t b_count)
{
	struct pair *p = mem_new(struct pair);

	p->caller = side(true, &ann, &bob, &none, a, a_count);
	p->called = side(false, &bob, &none, &red, b, b_count);
	return p;
}

static void
assert_talks(struct pair *p, size_t step)
{
	char *big = mem_alloc(SERVER_STREAM_RECORD_MAX);

	assert_int_equal(p->rc, 0);
	assert_true(p->hello && p->caller_ready && p->called_ready);
	memset(big, 'x', SERVER_STREAM_RECORD_MAX);
	assert_int_equal(
	    server_stream_send(p->caller, SERVER_STREAM_MESSAGE, STR("hi"), true, NULL), 0);
	settle(p, step);
	assert_str(p->last, "hi");
	assert_true(p->type == SERVER_STREAM_MESSAGE && p->end);
	assert_int_equal(server_stream_send(p->called, SERVER_STREAM_DATA,
			     str_mem(big, SERVER_STREAM_RECORD_MAX), false, NULL),
	    0);
	assert_int_equal(
	    server_stream_send(p->called, SERVER_STREAM_DATA, STR_NONE, true, NULL), 0);
	settle(p, step);
	assert_int_equal(p->rc, 0);
	assert_int_equal(p->records, 3);
	assert_true(p->type == SERVER_STREAM_DATA && p->end && p->last.n == 0);
	assert_true(server_stream_send(p->called, SERVER_STREAM_DATA,
			str_mem(big, SERVER_STREAM_RECORD_MAX + 1), false, NULL) < 0);
	free(big);
}

static void
who_shares_a_key_talks(void **unused)
{
	const struct str rings[][2] = { { new_key, old_key }, { old_key, other_key } };

	(void)unused;
	for (size_t step = 1; step <= 1 << 20; step = step * 7 + 1) {
		struct pair *p = pair_of(rings[0], 2, rings[1], 2);

		settle(p, step > SERVER_STREAM_RECORD_MAX ? SERVER_STREAM_RECORD_MAX : step);
		assert_talks(p, step > SERVER_STREAM_RECORD_MAX ? SERVER_STREAM_RECORD_MAX : step);
		assert_true(server_stream_encrypted(p->caller));
		assert_true(uuid_eq(server_stream_cluster(p->caller), &red));
		assert_true(uuid_eq(server_stream_cluster(p->called), &none));
		pair_done(p);
	}
}

static void
without_keys_the_named_one_talks(void **unused)
{
	struct pair *p = pair_of(NULL, 0, NULL, 0);

	(void)unused;
	settle(p, 100);
	assert_talks(p, 1000);
	assert_false(server_stream_encrypted(p->called));
	pair_done(p);
}

static void
assert_refused(struct pair *p, const char *why)
{
	settle(p, 4096);
	assert_int_equal(p->rc, ERR_REFUSED);
	assert_non_null(strstr(p->err.text, why));
	assert_false(p->called_ready);
	pair_done(p);
}

static void
strangers_are_refused(void **unused)
{
	struct pair *p;

	(void)unused;
	assert_refused(pair_of(&other_key, 1, &old_key, 1), "none of our keys");
	assert_refused(pair_of(NULL, 0, &old_key, 1), "no key");
	assert_refused(pair_of(&old_key, 1, NULL, 0), "here there is none");
	p = pair_of(&old_key, 1, &old_key, 1);
	server_stream_free(p->called);
	p->called = side(false, &eve, &none, &none, &old_key, 1);
	assert_refused(p, "another agent");
	p = pair_of(&old_key, 1, &old_key, 1);
	server_stream_free(p->caller);
	p->caller = side(true, &ann, &bob, &blue, &old_key, 1);
	assert_refused(p, "another Raft cluster");
	p = pair_of(&old_key, 1, &old_key, 1);
	server_stream_free(p->called);
	p->called = side(false, &ann, &none, &none, &old_key, 1);
	assert_refused(p, "ourselves");
}

/* A whole good talk of both sides, recorded. */
static void
record(struct pair *p, struct buf *to_called, struct buf *to_caller)
{
	buf_init(to_called, SERVER_STREAM_OUT_MAX);
	buf_init(to_caller, SERVER_STREAM_OUT_MAX);
	for (int i = 0; i < 4; i++) {
		struct buf *out = server_stream_out(p->caller);

		if (p->caller_ready)
			server_stream_send(p->caller, SERVER_STREAM_MESSAGE, STR("hi"), true, NULL);
		buf_add(to_called, buf_str(out));
		carry(p, true, 4096);
		if (p->called_ready)
			server_stream_send(p->called, SERVER_STREAM_MESSAGE, STR("ho"), true, NULL);
		buf_add(to_caller, buf_str(server_stream_out(p->called)));
		carry(p, false, 4096);
	}
	assert_int_equal(p->rc, 0);
}

/* The same nonces give the same talk, so that a side can be played what was recorded. */
static unsigned
play(bool keyed, bool to_called, struct str bytes, int *rc)
{
	struct pair *p = pair_of(keyed ? &old_key : NULL, keyed, keyed ? &old_key : NULL, keyed);
	unsigned records;

	feed(p, to_called, bytes, 4096);
	records = p->records;
	*rc = p->rc;
	pair_done(p);
	return records;
}

static void
no_changed_byte_gets_through(void **unused)
{
	(void)unused;
	for (int keyed = 0; keyed < 2; keyed++) {
		struct pair *p =
		    pair_of(keyed ? &old_key : NULL, keyed, keyed ? &old_key : NULL, keyed);
		struct buf to[2];
		int rc;

		record(p, &to[1], &to[0]);
		for (int called = 0; called < 2; called++) {
			struct buf *b = &to[called];
			unsigned all = play(keyed, called, buf_str(b), &rc);

			assert_int_equal(rc, 0);
			assert_true(all >= 2);
			for (size_t n = 0; n < b->n; n++) {
				unsigned cut = play(keyed, called, str_head(buf_str(b), n), &rc);

				assert_int_equal(rc, 0);
				assert_true(cut < all);
			}
			for (size_t i = 0; keyed && i < b->n; i++) {
				b->p[i] ^= 0x10;
				assert_true(play(keyed, called, buf_str(b), &rc) < all);
				b->p[i] ^= 0x10;
			}
		}
		buf_done(&to[0]);
		buf_done(&to[1]);
		pair_done(p);
	}
}

/* What was recorded from a caller is of no use to another: the called one's nonce differs. */
static void
a_repeated_talk_says_nothing(void **unused)
{
	struct server_stream_config c = { .self = bob, .keys = &old_key, .key_count = 1 };
	struct pair *p = pair_of(&old_key, 1, &old_key, 1);
	struct buf to_called, to_caller;

	(void)unused;
	record(p, &to_called, &to_caller);
	pair_done(p);
	p = pair_of(&old_key, 1, &old_key, 1);
	server_stream_free(p->called);
	memset(c.nonce, 'c', sizeof c.nonce);
	p->called = server_stream_new(&c);
	feed(p, true, buf_str(&to_called), 4096);
	assert_true(p->rc < 0);
	assert_false(p->called_ready);
	pair_done(p);
	/* nor to its own side: directions have their own keys */
	p = pair_of(&old_key, 1, &old_key, 1);
	feed(p, false, buf_str(&to_called), 4096);
	assert_true(p->rc < 0);
	pair_done(p);
	buf_done(&to_called);
	buf_done(&to_caller);
}

static void
who_is_not_accepted_hears_nothing(void **unused)
{
	struct server_stream *s = side(false, &bob, &none, &none, NULL, 0);
	struct server_stream *caller = side(true, &ann, &bob, &none, NULL, 0);
	struct server_stream_said said;

	(void)unused;
	assert_int_equal(server_stream_accept(s, NULL), ERR_STATE);
	assert_int_equal(server_stream_input(s, buf_str(server_stream_out(caller)), NULL), 0);
	assert_int_equal(server_stream_next(s, &said, NULL), 1);
	assert_int_equal(said.event, SERVER_STREAM_HELLO);
	assert_int_equal(server_stream_next(s, &said, NULL), 0);
	assert_int_equal(server_stream_out(s)->n, 0);
	assert_true(server_stream_send(s, SERVER_STREAM_MESSAGE, STR("x"), true, NULL) < 0);
	server_stream_free(s);
	s = side(false, &bob, &none, &none, NULL, 0);
	assert_int_equal(server_stream_input(s, STR("GET / HTTP/1.1\r\n"), NULL), 0);
	assert_int_equal(server_stream_next(s, &said, NULL), ERR_INPUT);
	server_stream_free(s);
	server_stream_free(caller);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_shares_a_key_talks),
		cmocka_unit_test(without_keys_the_named_one_talks),
		cmocka_unit_test(strangers_are_refused),
		cmocka_unit_test(no_changed_byte_gets_through),
		cmocka_unit_test(a_repeated_talk_says_nothing),
		cmocka_unit_test(who_is_not_accepted_hears_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
