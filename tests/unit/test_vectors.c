/* Every vector of tests/gossip/vectors, both ways: what is accepted decodes to the recorded meaning
 * and encodes to the recorded bytes (where those do not depend on chance), what is rejected is
 * refused, and no beginning of an accepted one passes for the whole. Prints how many of each. */
#include <stdlib.h>

#include "gossip/keyring.h"
#include "gossip/lzw.h"
#include "tests/unit/test.h"
#include "tests/unit/vector.h"

#define ROOM (256 * 1024)

static struct arena arena;
static uint8_t room[ROOM];

struct tally {
	unsigned accepted, rejected, exact, equivalent, cuts;
};

static const json_t *
decoded(const json_t *v, const char *member)
{
	return json_object_get(json_object_get(v, "decoded"), member);
}

static const char *
kind(const json_t *v)
{
	return json_string_value(json_object_get(v, "kind"));
}

static const char *
name(const json_t *v)
{
	return json_string_value(json_object_get(v, "name"));
}

static bool
is(const json_t *v, const char *want)
{
	return strcmp(kind(v), want) == 0;
}

static void
expect_bytes(const json_t *v, struct str got, struct str want)
{
	if (!str_eq(got, want)) {
		json_t *a = vector_hex_json(got), *b = vector_hex_json(want);

		print_error(
		    "%s:\ngot  %s\nwant %s\n", name(v), json_string_value(a), json_string_value(b));
		json_decref(a);
		json_decref(b);
		fail();
	}
}

/* The same bytes where the vector says so. */
static bool
expect_encoded(const json_t *v, const struct writer *w, struct str want, struct tally *t)
{
	bool exact = json_is_true(json_object_get(v, "encode_exact"));

	assert_false(w->full);
	if (exact) {
		expect_bytes(v, wr_done(w), want);
		t->exact++;
	} else {
		t->equivalent++;
	}
	return exact;
}

/* A copy that ends where its memory ends, so that a sanitizer sees a byte read too far. */
static struct str
exact_copy(struct str s)
{
	char *p = malloc(s.n > 0 ? s.n : 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return str_mem(p, s.n);
}

static void
drop_copy(struct str s)
{
	free((void *)(uintptr_t)s.p);
}

/* --- messages --- */

static void
message_vector(const json_t *v, struct str hex, struct tally *t)
{
	struct writer w = wr_of(room, sizeof room);
	struct wire_message m;
	json_t *want = json_deep_copy(json_object_get(v, "decoded"));
	struct err err;

	if (wire_read(&arena, hex, &m, &err) < 0)
		fail_msg("%s: %s", name(v), err.text);
	vector_expect(name(v), vector_message_json(&arena, &m, false), want);
	json_decref(want);
	wire_write(&w, &m);
	expect_encoded(v, &w, hex, t);
	for (size_t n = 0; n < hex.n && m.type != WIRE_USER; n++, t->cuts++) {
		struct str cut = exact_copy(str_head(hex, n));

		assert_true(wire_read(&arena, cut, &m, NULL) < 0);
		drop_copy(cut);
	}
	for (size_t n = 0; n < hex.n; n++) { /* and with too little room it says so */
		w = wr_of(room, n);
		wire_write(&w, &m);
		assert_true(w.full && w.pos <= n);
	}
}

/* --- tags --- */

static void
tags_vector(const json_t *v, struct str hex, struct tally *t)
{
	struct writer w = wr_of(room, sizeof room);
	struct serf_tag *tags;
	size_t count;

	vector_expect(name(v), vector_tags_json(&arena, hex), decoded(v, "tags"));
	assert_int_equal(serf_tags_read(&arena, hex, &tags, &count, NULL), 0);
	serf_tags_write(&w, tags, count);
	vector_expect(name(v), vector_tags_json(&arena, wr_done(&w)), decoded(v, "tags"));
	if (hex.n > 0 && (uint8_t)hex.p[0] == 0xff)
		expect_encoded(v, &w, hex, t);
	else
		t->equivalent++; /* a bare role: we write the map that means the same */
	for (size_t n = 1; n < hex.n && (uint8_t)hex.p[0] == 0xff; n++, t->cuts++) {
		struct str cut = exact_copy(str_head(hex, n));

		assert_true(serf_tags_read(&arena, cut, &tags, &count, NULL) < 0);
		drop_copy(cut);
	}
}

/* --- serf --- */

static void
filter_vector(const json_t *v, struct str hex, struct tally *t)
{
	struct writer w = wr_of(room, sizeof room);
	struct serf_filter f;

	assert_int_equal(serf_filter_read(&arena, hex, &f, NULL), 0);
	vector_expect(name(v), vector_filter_json(&f), json_object_get(v, "decoded"));
	serf_filter_write(&w, &f);
	expect_encoded(v, &w, hex, t);
	for (size_t n = 0; n < hex.n; n++, t->cuts++)
		assert_true(serf_filter_read(&arena, str_head(hex, n), &f, NULL) < 0);
}

static void
serf_vector(const json_t *v, struct str hex, struct tally *t)
{
	struct writer w = wr_of(room, sizeof room);
	struct serf_message m, same;
	struct err err;
	size_t whole;

	if (is(v, "serf-filter")) {
		filter_vector(v, hex, t);
		return;
	}
	if (serf_read(&arena, hex, &m, &err) < 0)
		fail_msg("%s: %s", name(v), err.text);
	vector_expect(name(v), vector_serf_json(&arena, &m, false), json_object_get(v, "decoded"));
	serf_write(&w, &m);
	if (!expect_encoded(v, &w, hex, t)) {
		assert_int_equal(serf_read(&arena, wr_done(&w), &same, NULL), 0);
		vector_expect(
		    name(v), vector_serf_json(&arena, &same, false), json_object_get(v, "decoded"));
	}
	whole = m.type == SERF_RELAY ? hex.n - m.u.relay.inner.n : hex.n;
	for (size_t n = 0; n < whole; n++, t->cuts++) {
		struct str cut = exact_copy(str_head(hex, n));

		assert_true(serf_read(&arena, cut, &same, NULL) < 0);
		drop_copy(cut);
	}
}

/* --- framing --- */

static size_t
joint(const struct str *parts, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += parts[i].n;
	return n;
}

static void
compound_vector(const json_t *v, struct str hex, struct tally *t)
{
	struct writer w = wr_of(room, sizeof room);
	struct str parts[WIRE_COMPOUND_MAX];
	size_t count, truncated;
	json_t *got = json_array();

	assert_int_equal(
	    wire_compound_read(hex, parts, WIRE_COMPOUND_MAX, &count, &truncated, NULL), 0);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(got, vector_hex_json(parts[i]));
	vector_expect(name(v), got, decoded(v, "parts"));
	assert_int_equal(truncated, json_integer_value(decoded(v, "truncated")));
	wire_compound_write(&w, parts, count);
	if (!expect_encoded(v, &w, hex, t)) { /* what was cut off is not announced again */
		assert_int_equal(wr_done(&w).n, 2 + 2 * count + joint(parts, count));
		assert_true(str_eq(str_skip(wr_done(&w), 2 + 2 * count),
		    str_head(str_skip(hex, 2 + 2 * (count + truncated)), joint(parts, count))));
	}
	for (size_t n = 0; n < hex.n; n++, t->cuts++) {
		struct str cut = exact_copy(str_head(hex, n));
		size_t fewer, missing;

		if (wire_compound_read(cut, parts, WIRE_COMPOUND_MAX, &fewer, &missing, NULL) == 0)
			assert_true(fewer <= count && missing > 0);
		drop_copy(cut);
	}
}

static void
lzw_cuts(struct str lzw, struct tally *t)
{
	size_t step = lzw.n > 2000 ? 97 : 1;

	for (size_t n = 0; n < lzw.n; n += step, t->cuts++) {
		struct str cut = exact_copy(str_head(lzw, n));
		size_t length;

		assert_int_equal(lzw_length(cut, SIZE_MAX, &length, NULL), ERR_INPUT);
		drop_copy(cut);
	}
}

static void
lzw_vector(const json_t *v, struct str hex, struct str plain, struct tally *t)
{
	struct buf out;
	size_t length;

	buf_init(&out, ROOM);
	assert_int_equal(lzw_unpack(hex, &out, NULL), 0);
	expect_bytes(v, buf_str(&out), plain);
	assert_int_equal(lzw_length(hex, plain.n, &length, NULL), 0);
	assert_int_equal(length, plain.n);
	if (plain.n > 0)
		assert_int_equal(lzw_length(hex, plain.n - 1, &length, NULL), ERR_LIMIT);
	buf_clear(&out);
	lzw_pack(plain, &out);
	expect_bytes(v, buf_str(&out), hex);
	buf_done(&out);
	lzw_cuts(hex, t);
	t->exact++;
}

static void
compressed_vector(const json_t *v, struct str hex, struct tally *t)
{
	struct str inner = vector_bytes(&arena, json_object_get(v, "decoded"), "inner"), lzw, out;
	struct reader r = rd_of(str_skip(hex, 1));
	struct writer w = wr_of(room, sizeof room);
	struct frame_config plain = { 0 };

	lzw = wire_compressed_read(&r);
	assert_true(rd_ok(&r));
	lzw_vector(v, lzw, inner, t);
	wire_compressed_write(&w, lzw);
	expect_bytes(v, wr_done(&w), hex);
	assert_int_equal(frame_open(&plain, &arena, hex, &out, NULL), 0);
	if ((uint8_t)inner.p[0] != WIRE_COMPRESSED)
		expect_bytes(v, out, inner);
	for (size_t n = 1; n < hex.n; n++, t->cuts++)
		assert_true(frame_open(&plain, &arena, str_head(hex, n), &out, NULL) < 0);
}

/* No message of a packet is understood. */
static bool
nothing_comes_of(const struct frame_config *c, struct str packet)
{
	struct frame_walk walk;
	struct wire_message m;
	struct str opened, part;

	if (frame_open(c, &arena, packet, &opened, NULL) < 0)
		return true;
	frame_walk_init(&walk, &arena, opened);
	while (frame_walk_next(&walk, &part))
		if (wire_read(&arena, part, &m, NULL) == 0)
			return false;
	return true;
}

static void
crc_vector(const json_t *v, struct str hex, struct tally *t)
{
	struct str inner = vector_bytes(&arena, json_object_get(v, "decoded"), "inner"), out,
		   unpacked;
	struct frame_config plain = { 0 };
	struct buf sealed;

	assert_int_equal(frame_open(&plain, &arena, hex, &out, NULL), 0);
	assert_int_equal(frame_open(&plain, &arena, inner, &unpacked, NULL), 0);
	expect_bytes(v, out, unpacked);
	buf_init(&sealed, ROOM);
	assert_int_equal(frame_seal(&plain, inner, true, &sealed, NULL), 0);
	expect_bytes(v, buf_str(&sealed), hex);
	buf_done(&sealed);
	for (size_t n = 1; n < hex.n; n++, t->cuts++)
		assert_true(frame_open(&plain, &arena, str_head(hex, n), &out, NULL) < 0);
	t->exact++;
}

static void
framing_vector(const json_t *v, struct str hex, struct tally *t)
{
	if (is(v, "compound"))
		compound_vector(v, hex, t);
	else if (is(v, "compressed"))
		compressed_vector(v, hex, t);
	else if (is(v, "crc"))
		crc_vector(v, hex, t);
	else
		lzw_vector(v, hex, vector_bytes(&arena, json_object_get(v, "decoded"), "plain"), t);
}

/* --- encryption --- */

static struct frame_config
config_of(const json_t *v)
{
	const json_t *context = json_object_get(v, "context");
	const json_t *label = json_object_get(context, "label");

	return (struct frame_config){
		.keys = vector_keys(&arena, json_object_get(context, "keys")),
		.verify_incoming = true,
		.verify_outgoing = true,
		.label = str_mem(json_string_value(label), json_string_length(label)),
	};
}

/* With the recorded nonce, under the key that opens it, the same blob comes out. */
static void
reseal(const json_t *v, const struct frame_config *c, struct str blob, struct str plain,
    struct str aad)
{
	bool same = false;

	for (size_t i = 0; i < keyring_count(c->keys) && !same; i++) {
		struct keyring *one = keyring_new();
		struct buf out;

		buf_init(&out, ROOM);
		assert_int_equal(keyring_install(one, keyring_key(c->keys, i), NULL), 0);
		assert_int_equal(keyring_seal(one, (uint8_t)blob.p[0], (const uint8_t *)blob.p + 1,
				     plain, aad, &out, NULL),
		    0);
		same = str_eq(buf_str(&out), blob);
		buf_done(&out);
		keyring_free(one);
	}
	if (!same)
		fail_msg("%s: no key seals it again", name(v));
}

static void
encryption_vector(const json_t *v, struct str hex, struct tally *t)
{
	struct str inner = vector_bytes(&arena, json_object_get(v, "decoded"), "inner"), opened;
	struct frame_config c = config_of(v);
	struct buf plain, again;

	buf_init(&plain, ROOM);
	buf_init(&again, ROOM);
	assert_int_equal(keyring_open(c.keys, hex, STR_NONE, &plain, NULL), 0);
	expect_bytes(v, buf_str(&plain), inner);
	reseal(v, &c, hex, inner, STR_NONE);
	assert_int_equal(frame_open(&c, &arena, hex, &opened, NULL), 0);
	assert_int_equal(frame_seal(&c, inner, false, &again, NULL), 0);
	assert_false(str_eq(buf_str(&again), hex)); /* another nonce */
	buf_clear(&plain);
	assert_int_equal(keyring_open(c.keys, buf_str(&again), STR_NONE, &plain, NULL), 0);
	expect_bytes(v, buf_str(&plain), inner);
	for (size_t n = 1; n < hex.n; n++, t->cuts++)
		assert_true(keyring_open(c.keys, str_head(hex, n), STR_NONE, &plain, NULL) < 0);
	buf_done(&plain);
	buf_done(&again);
	keyring_free(c.keys);
	t->exact++;
}

/* --- streams --- */

/* Feeds `bytes` in pieces of `step`; the request lives as long as the stream. */
static int
stream_of(const struct frame_config *c, struct str bytes, size_t step, struct stream_in **s,
    struct stream_request *q)
{
	int rc = 0;

	*s = stream_in_new(c, false);
	while (rc == 0 && bytes.n > 0) {
		struct str piece = exact_copy(str_head(bytes, step < bytes.n ? step : bytes.n));

		bytes = str_skip(bytes, piece.n);
		rc = stream_in_feed(*s, piece, q, NULL);
		drop_copy(piece);
		if (rc > 0)
			assert_int_equal(bytes.n, 0);
	}
	return rc;
}

/* What a stream means; the fields of a message are found by opening its bytes. */
static json_t *
stream_meaning(const json_t *v, const struct frame_config *c, struct str bytes, size_t step)
{
	struct stream_request q;
	struct stream_in *s;
	json_t *got;
	int rc = stream_of(c, bytes, step, &s, &q);

	if (rc != 1)
		fail_msg("%s: %d", name(v), rc);
	got = vector_stream_json(&arena, &q, false);
	stream_in_free(s);
	return got;
}

static void
expect_stream_cuts(const struct frame_config *c, struct str hex, struct tally *t)
{
	for (size_t n = 0; n < hex.n; n++, t->cuts++) {
		struct stream_request q;
		struct stream_in *s;

		assert_int_equal(stream_of(c, str_head(hex, n), n > 0 ? n : 1, &s, &q), 0);
		stream_in_free(s);
	}
}

static struct buf
stream_again(const json_t *v, const struct frame_config *c, struct str hex)
{
	struct stream_request q;
	struct stream_in *s;
	struct buf out;

	buf_init(&out, ROOM);
	assert_int_equal(stream_of(c, hex, hex.n, &s, &q), 1);
	if (stream_write(c, &q, false, &out, NULL) < 0)
		fail_msg("%s: is not written", name(v));
	stream_in_free(s);
	return out;
}

/* The recorded meaning of a plain request. */
static json_t *
recorded_meaning(const json_t *v, const json_t *want)
{
	struct frame_config plain = { 0 };
	const json_t *message = json_object_get(want, "message");

	if (message == NULL)
		return json_deep_copy(want);
	return stream_meaning(v, &plain, vector_hex(&arena, json_string_value(message)), 4096);
}

static void
stream_vector(const json_t *v, struct str hex, struct tally *t)
{
	const json_t *d = json_object_get(v, "decoded");
	struct str inner = vector_bytes(&arena, d, "inner"),
		   plain_hex = vector_bytes(&arena, d, "plain");
	struct frame_config c = config_of(v), plain = { 0 };
	json_t *want;
	struct buf out;

	if (json_object_get(d, "decoded") != NULL)
		want = recorded_meaning(v, json_object_get(d, "decoded"));
	else if (plain_hex.n > 0)
		want = stream_meaning(v, &plain, plain_hex, 4096);
	else if (inner.n > 0)
		want = stream_meaning(v, &plain, inner, 4096);
	else
		want = recorded_meaning(v, d);
	for (size_t step = 1; step < hex.n * 2; step *= 3)
		vector_expect(name(v), stream_meaning(v, &c, hex, step), want);
	expect_stream_cuts(&c, hex, t);
	c.compress = inner.n > 0;
	out = stream_again(v, &c, hex);
	if (c.keys == NULL) {
		expect_bytes(v, buf_str(&out), hex);
		t->exact++;
	} else { /* another nonce: the same below the encryption */
		size_t head = c.label.n > 0 ? 2 + c.label.n : 0;
		struct str blob = str_skip(hex, head + 5);
		struct str aad = vector_bytes(&arena, json_object_get(v, "context"), "aad");

		vector_expect(name(v), stream_meaning(v, &c, buf_str(&out), 7), want);
		reseal(v, &c, blob, inner, aad);
		t->equivalent++;
	}
	if (inner.n > 0) { /* compressed: its inside alone, too */
		struct frame_config packed = { .compress = c.keys != NULL };
		struct buf bare = stream_again(v, &packed, inner);

		expect_bytes(v, buf_str(&bare), inner);
		buf_done(&bare);
	}
	buf_done(&out);
	json_decref(want);
	keyring_free(c.keys);
}

/* --- labels --- */

static void
label_vector(const json_t *v, struct str hex, struct tally *t)
{
	struct str inner = vector_bytes(&arena, json_object_get(v, "decoded"), "inner"), opened;
	struct frame_config c = config_of(v), other = c;
	struct buf out;

	if (is(v, "label-stream")) {
		keyring_free(c.keys);
		stream_vector(v, hex, t);
		return;
	}
	assert_int_equal(frame_open(&c, &arena, hex, &opened, NULL), 0);
	expect_bytes(v, opened, inner);
	other.label = STR("other");
	assert_int_equal(frame_open(&other, &arena, hex, &opened, NULL), ERR_REFUSED);
	other.label = STR_NONE;
	assert_int_equal(frame_open(&other, &arena, hex, &opened, NULL), ERR_REFUSED);
	buf_init(&out, ROOM);
	assert_int_equal(frame_seal(&c, inner, false, &out, NULL), 0);
	if (c.keys == NULL) {
		expect_bytes(v, buf_str(&out), hex);
		t->exact++;
	} else {
		reseal(v, &c, str_skip(hex, 2 + c.label.n), inner, c.label);
		t->equivalent++;
	}
	assert_int_equal(frame_open(&c, &arena, buf_str(&out), &opened, NULL), 0);
	expect_bytes(v, opened, inner);
	buf_done(&out);
	for (size_t n = 1; n < 2 + c.label.n; n++, t->cuts++)
		assert_true(frame_open(&c, &arena, str_head(hex, n), &opened, NULL) < 0);
	keyring_free(c.keys);
}

/* --- files --- */

static void
refuse(const json_t *v, struct str hex)
{
	struct frame_config c = config_of(v);

	if (!nothing_comes_of(&c, hex))
		fail_msg("%s: is taken", name(v));
	keyring_free(c.keys);
}

static void
file(const char *path, unsigned count, void (*accept)(const json_t *, struct str, struct tally *))
{
	json_t *root = vector_load(path), *v;
	struct tally t = { 0 };
	size_t i;

	json_array_foreach (json_object_get(root, "vectors"), i, v) {
		arena_init(&arena, 64 * 1024 * 1024);
		if (strcmp(json_string_value(json_object_get(v, "expect")), "accept") == 0) {
			accept(v, vector_bytes(&arena, v, "hex"), &t);
			t.accepted++;
		} else {
			refuse(v, vector_bytes(&arena, v, "hex"));
			t.rejected++;
		}
		arena_done(&arena);
	}
	assert_int_equal(
	    t.accepted + t.rejected, json_integer_value(json_object_get(root, "count")));
	assert_int_equal(t.accepted + t.rejected, count);
	assert_int_equal(t.exact + t.equivalent, t.accepted);
	printf("%s: %u accepted (%u to the byte, %u equivalent), %u rejected, %u cut short\n", path,
	    t.accepted, t.exact, t.equivalent, t.rejected, t.cuts);
	json_decref(root);
}

#define FILE_TEST(noun, path, count, accept)             \
	static void noun##_of_real_agents(void **unused) \
	{                                                \
		(void)unused;                            \
		file(path, count, accept);               \
	}

FILE_TEST(messages, "messages.json", 112, message_vector)
FILE_TEST(tags, "tags.json", 12, tags_vector)
FILE_TEST(serf_messages, "serf.json", 66, serf_vector)
FILE_TEST(layers, "framing.json", 62, framing_vector)
FILE_TEST(encrypted_packets, "encryption.json", 24, encryption_vector)
FILE_TEST(labels, "labels.json", 10, label_vector)
FILE_TEST(streams, "streams.json", 36, stream_vector)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_real_agents),
		cmocka_unit_test(tags_of_real_agents),
		cmocka_unit_test(serf_messages_of_real_agents),
		cmocka_unit_test(layers_of_real_agents),
		cmocka_unit_test(encrypted_packets_of_real_agents),
		cmocka_unit_test(labels_of_real_agents),
		cmocka_unit_test(streams_of_real_agents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
