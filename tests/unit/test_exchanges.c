/* Whole recorded exchanges between real agents: every datagram and every direction of every TCP
 * connection opens through all its layers to the recorded meaning, and what we would write in its
 * place means the same. */
#include <dirent.h>
#include <stdlib.h>

#include "gossip/keyring.h"
#include "tests/unit/test.h"
#include "tests/unit/vector.h"

#define ROOM (256 * 1024)

static struct arena arena;
static uint8_t room[ROOM];

struct tally {
	unsigned datagrams, streams, messages, exact;
};

/* Recorded meanings name each layer; ours is what is inside all of them. */
static const json_t *
inside(const json_t *d)
{
	static const char *const layers[] = { "encrypted", "crc", "compressed" };

	for (size_t i = 0; i < 3; i++)
		if (json_object_get(d, layers[i]) != NULL)
			d = json_object_get(d, layers[i]);
	return d;
}

static void
message_step(const char *what, struct str bytes, const json_t *want, struct tally *t)
{
	struct writer w = wr_of(room, sizeof room);
	struct wire_message m, same;
	struct err err;

	if (wire_read(&arena, bytes, &m, &err) < 0)
		fail_msg("%s: %s", what, err.text);
	vector_expect(what, vector_message_json(&arena, &m, true), want);
	wire_write(&w, &m);
	assert_false(w.full);
	assert_int_equal(wire_read(&arena, wr_done(&w), &same, NULL), 0);
	t->exact += str_eq(wr_done(&w), bytes);
	t->messages++;
	if (m.type == WIRE_USER) { /* serf's message written by us */
		struct serf_message serf;

		w = wr_of(room, sizeof room);
		assert_int_equal(serf_read(&arena, m.u.user, &serf, NULL), 0);
		serf_write(&w, &serf);
		assert_true(str_eq(wr_done(&w), m.u.user));
	}
}

static void
datagram_step(const char *what, const struct frame_config *c, struct str bytes, const json_t *d,
    struct tally *t)
{
	const json_t *want = inside(d), *parts = json_object_get(want, "compound");
	struct str opened, part, again;
	struct frame_walk walk;
	struct buf sealed;
	size_t count = 0;
	struct err err;

	if (frame_open(c, &arena, bytes, &opened, &err) < 0)
		fail_msg("%s: %s", what, err.text);
	frame_walk_init(&walk, &arena, opened);
	while (frame_walk_next(&walk, &part))
		message_step(what, part, parts == NULL ? want : json_array_get(parts, count++), t);
	assert_int_equal(count, json_array_size(parts));
	assert_int_equal(walk.refused + walk.truncated, 0);
	buf_init(&sealed, ROOM);
	assert_int_equal(frame_seal(c, opened, true, &sealed, NULL), 0);
	assert_int_equal(frame_open(c, &arena, buf_str(&sealed), &again, NULL), 0);
	assert_true(str_eq(again, opened));
	buf_done(&sealed);
	t->datagrams++;
}

static json_t *
stream_meaning(const char *what, const struct frame_config *c, bool answer, struct str bytes,
    struct buf *again)
{
	struct stream_in *s = stream_in_new(c, answer);
	struct stream_request q;
	struct err err = { 0 };
	json_t *got;
	int rc = stream_in_feed(s, bytes, &q, &err);

	if (rc != 1)
		fail_msg("%s: %d %s", what, rc, err.text);
	got = vector_stream_json(&arena, &q, true);
	if (again != NULL)
		assert_int_equal(stream_write(c, &q, answer, again, NULL), 0);
	stream_in_free(s);
	return got;
}

static void
stream_step(const char *what, const struct frame_config *c, bool answer, struct str bytes,
    const json_t *d, struct tally *t)
{
	struct buf again;

	buf_init(&again, ROOM);
	vector_expect(what, stream_meaning(what, c, answer, bytes, &again), inside(d));
	vector_expect(what, stream_meaning(what, c, answer, buf_str(&again), NULL), inside(d));
	t->exact += str_eq(buf_str(&again), bytes);
	buf_done(&again);
	t->streams++;
}

static void
step(const char *what, struct frame_config c, const json_t *s, struct tally *t)
{
	const json_t *d = json_object_get(s, "decoded");
	const char *role = json_string_value(json_object_get(s, "role"));
	struct str bytes = vector_bytes(&arena, s, "hex");

	assert_int_equal(bytes.n, json_integer_value(json_object_get(s, "bytes")));
	if (strcmp(json_string_value(json_object_get(s, "proto")), "udp") == 0) {
		datagram_step(what, &c, bytes, d, t);
	} else {
		c.compress = json_object_get(d, "compressed") != NULL;
		stream_step(what, &c, strcmp(role, "server") == 0, bytes, d, t);
	}
}

static void
exchange(const char *path)
{
	json_t *root = vector_load(path), *s;
	struct tally t = { 0 };
	struct frame_config c = {
		.verify_incoming = true, .verify_outgoing = true, .compress = true
	};
	char what[4200];
	size_t i;

	arena_init(&arena, 256 * 1024 * 1024);
	c.keys = vector_keys(&arena, json_object_get(root, "keys"));
	json_array_foreach (json_object_get(root, "steps"), i, s) {
		snprintf(what, sizeof what, "%s step %zu", path, i);
		step(what, c, s, &t);
	}
	assert_true(t.datagrams + t.streams == json_array_size(json_object_get(root, "steps")));
	printf("%s: %u datagrams with %u messages, %u streams; %u written to the byte\n", path,
	    t.datagrams, t.messages, t.streams, t.exact);
	keyring_free(c.keys);
	arena_done(&arena);
	json_decref(root);
}

static void
exchanges_of_real_agents(void **unused)
{
	const char *src = getenv("MUSTER_SRC");
	const struct dirent *entry;
	char path[4096];
	unsigned count = 0;
	DIR *dir;

	(void)unused;
	snprintf(path, sizeof path, "%s/tests/gossip/vectors/exchanges", src == NULL ? ".." : src);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "exchanges/%s", entry->d_name);
		exchange(path);
		count++;
	}
	closedir(dir);
	assert_int_equal(count, 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exchanges_of_real_agents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
