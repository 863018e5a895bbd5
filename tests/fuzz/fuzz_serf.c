/* Arbitrary histories of one serf core: the input is a list of (what, length, bytes), where what is
 * a message, a push/pull state, news of a member, a request of the host or time. Nothing crashes,
 * counts and deadlines stay true, and the state that the core would send is one it can read. */
#include <string.h>

#include "gossip/serf.h"
#include "gossip/serf_meta.h"
#include "tests/fuzz/fuzz.h"

#define STEPS_MAX 256

static const struct addr self_at = { .family = ADDR_V4, .port = 7946, .bytes = { 10, 0, 0, 1 } };
static const struct addr other_at = { .family = ADDR_V4, .port = 7946, .bytes = { 10, 0, 0, 2 } };

struct fuzz {
	struct serf *serf;
	nsec now;
	uint64_t asked; /* the last query to be answered */
};

static void
fuzz_drain(struct fuzz *f)
{
	struct serf_action a;
	size_t bytes = 0;

	while (serf_action_next(f->serf, &a)) {
		FUZZ_ASSERT(a.kind != SERF_DO_BROADCAST || a.bytes.n <= SERF_MESSAGE_MAX);
		FUZZ_ASSERT(a.kind != SERF_DO_SEND || a.bytes.n <= SERF_MESSAGE_MAX);
		for (size_t i = 0; i < a.bytes.n; i++) /* a sanitizer sees what is gone */
			bytes += (uint8_t)a.bytes.p[i];
		for (size_t i = 0; i < a.member.meta.n; i++)
			bytes += (uint8_t)a.member.meta.p[i];
		for (size_t i = 0; i < a.member.name.n; i++)
			bytes += (uint8_t)a.member.name.p[i];
		for (size_t i = 0; i < a.event.payload.n; i++)
			bytes += (uint8_t)a.event.payload.p[i];
		if (a.kind == SERF_TELL_QUERY)
			f->asked = a.id;
	}
	FUZZ_ASSERT(bytes != SIZE_MAX);
}

static void
fuzz_news(struct fuzz *f, struct str in, enum swim_state state)
{
	size_t name = in.n < 3 ? in.n : 3; /* short, so that names meet again */
	struct str rest = str_skip(in, name);
	struct swim_member m = { .name = str_head(in, name),
		.meta = str_head(rest, rest.n < WIRE_META_MAX ? rest.n : WIRE_META_MAX),
		.addr = other_at,
		.vsn = wire_vsn_ours,
		.state = state };

	serf_news(f->serf, f->now, &m);
	serf_meta_check(&m, STR("dc1"), NULL);
}

static void
fuzz_ask(struct fuzz *f, struct str in)
{
	struct str nodes[2] = { STR("me"), in };
	struct serf_filter filters[2] = { { .nodes = nodes, .node_count = 2 },
		{ .tag = true, .tag_name = STR("role"), .expr = in } };
	struct serf_ask ask = { .name = STR("q"),
		.payload = in,
		.filters = filters,
		.filter_count = 2,
		.ack = true,
		.relay_factor = (uint8_t)in.n };
	uint64_t id;

	serf_query_start(f->serf, f->now, &ask, &id, NULL);
	fuzz_drain(f);
	serf_key_start(f->serf, f->now, (enum serf_key_op)(in.n % 4), in, &id, NULL);
}

static void
fuzz_time(struct fuzz *f, struct str in)
{
	f->now += (nsec)in.n * in.n * NSEC_SEC;
	serf_tick(f->serf, f->now);
	FUZZ_ASSERT(serf_deadline(f->serf) > f->now);
}

static void
fuzz_request(struct fuzz *f, struct str in)
{
	size_t n = in.n < 3 ? in.n : 3;

	switch (in.n % 6) {
	case 0:
		serf_leave(f->serf, f->now);
		break;
	case 1:
		serf_joined(f->serf, f->now);
		break;
	case 2:
		serf_respond(f->serf, f->now, f->asked, in, NULL);
		break;
	case 3:
		serf_event_fire(f->serf, f->now, str_head(in, n), in, true, NULL);
		break;
	case 4:
		serf_meta_set(f->serf, f->now, in, NULL);
		break;
	default:
		serf_force_leave(f->serf, f->now, str_head(in, n), in.n % 2, NULL);
	}
}

static void
fuzz_step(struct fuzz *f, unsigned what, struct str in)
{
	struct swim_member ours = { .name = STR("me"), .addr = self_at };
	struct swim_member theirs = { .name = STR("me"), .addr = other_at };

	switch (what % 8) {
	case 0:
	case 1:
		serf_input(f->serf, f->now, &other_at, in, NULL);
		break;
	case 2:
		serf_state_merge(f->serf, f->now, &other_at, what % 16 == 2, in, NULL);
		break;
	case 3:
		fuzz_news(f, in, SWIM_ALIVE);
		break;
	case 4:
		fuzz_news(f, in, what % 16 == 4 ? SWIM_DEAD : SWIM_LEFT);
		break;
	case 5:
		fuzz_time(f, in);
		break;
	case 6:
		fuzz_request(f, in);
		break;
	default:
		fuzz_ask(f, in);
		fuzz_drain(f);
		theirs.meta = str_head(in, in.n < WIRE_META_MAX ? in.n : WIRE_META_MAX);
		serf_conflict(f->serf, f->now, &ours, &theirs);
	}
	fuzz_drain(f);
}

static void
fuzz_end(struct fuzz *f)
{
	struct serf_member m = { 0 };
	size_t count = 0, by_state = 0;
	struct buf out;

	while (serf_member_next(f->serf, m.name, &m))
		count++;
	for (enum serf_state s = SERF_ALIVE; s <= SERF_FAILED; s++)
		by_state += serf_member_count(f->serf, s);
	FUZZ_ASSERT(count == serf_member_count(f->serf, SERF_NONE) && count == by_state);
	buf_init(&out, 64 * 1024 * 1024);
	serf_state_write(f->serf, STR("digest"), &out);
	FUZZ_ASSERT(!out.full);
	FUZZ_ASSERT(serf_state_merge(f->serf, f->now, &other_at, false, buf_str(&out), NULL) == 0);
	fuzz_drain(f);
	buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct serf_config config = {
		.name = STR("me"), .advertise = self_at, .meta = STR("\xff\x81\xa4role\xa3web")
	};
	struct reader r = rd_of(str_mem(data, size));
	struct fuzz f = { .now = NSEC_SEC };

	if (size > 256 * 1024)
		return 0;
	config.keys = keyring_new();
	keyring_install(config.keys, STR("0123456789abcdef"), NULL);
	f.serf = serf_new(&config, size, f.now);
	fuzz_drain(&f);
	for (unsigned i = 0; i < STEPS_MAX && rd_left(&r) > 0; i++) {
		uint8_t what = rd_u8(&r);
		size_t n = rd_be16(&r);

		fuzz_step(&f, what, rd_str(&r, n < rd_left(&r) ? n : rd_left(&r)));
	}
	fuzz_end(&f);
	serf_free(f.serf);
	keyring_free(config.keys);
	return 0;
}
