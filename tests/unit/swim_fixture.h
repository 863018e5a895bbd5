/* tests/unit/swim_fixture.h -- one core, "me" at 10.0.0.1, fed by hand; what it says as text.
 *
 * Others are single letters: "b" lives at 10.0.0.98. What is sent is told as lines such as
 * "b: ping 7 b, suspect b 1 by me" (to whom: what), what is news as "news b suspect 1".
 * Sequence numbers are told as the order of their first appearance, so that stories do not depend
 * on the seed.
 */
#ifndef TESTS_UNIT_SWIM_FIXTURE_H
#define TESTS_UNIT_SWIM_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "gossip/frame.h"
#include "gossip/swim.h"
#include "tests/unit/test.h"

#define EPOCH (1000 * NSEC_SEC)
#define PORT 7946

struct one {
	struct swim *swim;
	nsec now;
	struct buf told;
	uint32_t seq;     /* the last one that it used for a ping or stream ping */
	size_t bytes_max; /* of the largest datagram */
	bool quiet;       /* told stays empty */
};

static inline struct addr
at_host(uint8_t host)
{
	return (struct addr){ .family = ADDR_V4, .port = PORT, .bytes = { 10, 0, 0, host } };
}

static inline struct addr
at(const char *name)
{
	return at_host(str_eq(str_of(name), STR("me")) ? 1 : (uint8_t)name[0]);
}

static inline void
one_tell_message(struct one *o, const struct wire_message *m)
{
	static const char *const claims[] = { [WIRE_SUSPECT] = "suspect", [WIRE_DEAD] = "dead" };
	struct buf *b = &o->told;

	switch (m->type) {
	case WIRE_PING:
		buf_addf(b, "ping " STR_FMT, STR_ARG(m->u.ping.node));
		o->seq = m->u.ping.seq;
		break;
	case WIRE_INDIRECT_PING:
		buf_addf(b, "ping " STR_FMT " for me%s", STR_ARG(m->u.indirect.node),
		    m->u.indirect.nack ? "" : " without nack");
		break;
	case WIRE_ACK:
		buf_addf(b, "ack %u", m->u.ack.seq);
		if (!m->u.ack.payload_nil)
			buf_addf(b, " with " STR_FMT, STR_ARG(m->u.ack.payload));
		break;
	case WIRE_NACK:
		if (m->u.nack.seq == 0)
			buf_add(b, STR("touch"));
		else
			buf_addf(b, "nack %u", m->u.nack.seq);
		break;
	case WIRE_SUSPECT:
	case WIRE_DEAD:
		buf_addf(b, "%s " STR_FMT " %u by " STR_FMT, claims[m->type],
		    STR_ARG(m->u.claim.node), m->u.claim.incarnation, STR_ARG(m->u.claim.from));
		break;
	case WIRE_ALIVE:
		buf_addf(
		    b, "alive " STR_FMT " %u", STR_ARG(m->u.alive.node), m->u.alive.incarnation);
		break;
	case WIRE_USER:
		buf_addf(b, "user " STR_FMT, STR_ARG(m->u.user));
		break;
	default:
		buf_addf(b, "type %d", m->type);
		break;
	}
}

static inline void
one_tell_peer(struct one *o, const struct addr *peer)
{
	if (peer->bytes[3] >= 'a' && peer->bytes[3] <= 'z')
		buf_addf(&o->told, "%c: ", peer->bytes[3]);
	else
		buf_addf(&o->told, "%u: ", peer->bytes[3]);
}

static inline void
one_tell_send(struct one *o, const struct swim_action *a)
{
	struct frame_walk walk;
	struct wire_message m;
	struct arena arena;
	struct str part;
	const char *sep = "";

	if (a->bytes.n > o->bytes_max)
		o->bytes_max = a->bytes.n;
	arena_init(&arena, 1 << 20);
	one_tell_peer(o, &a->peer);
	frame_walk_init(&walk, &arena, a->bytes);
	while (frame_walk_next(&walk, &part)) {
		assert_int_equal(wire_read(&arena, part, &m, NULL), 0);
		buf_addf(&o->told, "%s", sep);
		one_tell_message(o, &m);
		sep = ", ";
	}
	assert_int_equal(walk.truncated + walk.refused, 0);
	buf_addc(&o->told, '\n');
	arena_done(&arena);
}

static inline void
one_tell_news(struct one *o, const struct swim_action *a)
{
	static const char *const states[] = { "alive", "suspect", "dead", "left" };

	buf_addf(&o->told, "news " STR_FMT " %s%s %u\n", STR_ARG(a->member.name),
	    a->joined                   ? "joined "
	    : a->was == a->member.state ? "still "
					: "",
	    states[a->member.state], a->member.incarnation);
}

static inline void
one_drain(struct one *o)
{
	struct swim_action a;

	while (swim_action_next(o->swim, &a)) {
		switch (a.kind) {
		case SWIM_SEND:
			one_tell_send(o, &a);
			break;
		case SWIM_NEWS:
			one_tell_news(o, &a);
			break;
		case SWIM_STREAM_PING:
			one_tell_peer(o, &a.peer);
			buf_addf(&o->told, "stream ping until %lld ms\n",
			    (long long)((a.until - EPOCH) / NSEC_MS));
			o->seq = a.seq;
			break;
		case SWIM_PUSH_PULL:
			one_tell_peer(o, &a.peer);
			buf_addf(&o->told, "push/pull\n");
			break;
		case SWIM_CONFLICT:
			buf_addf(&o->told, "conflict about " STR_FMT ", also at %u\n",
			    STR_ARG(a.member.name), a.peer.bytes[3]);
			break;
		case SWIM_USER:
			one_tell_peer(o, &a.peer);
			buf_addf(&o->told, "user in " STR_FMT "\n", STR_ARG(a.bytes));
			break;
		case SWIM_ACKED:
			buf_addf(&o->told, STR_FMT " answers after %lld ms" STR_FMT "\n",
			    STR_ARG(a.peer_name), (long long)(a.rtt / NSEC_MS), STR_ARG(a.bytes));
			break;
		case SWIM_NOTE:
			break;
		}
		if (o->quiet)
			buf_clear(&o->told);
	}
}

/* Timers far away unless a test asks for them: what is told then is the answer to what was fed. */
static inline struct swim_profile
calm_profile(void)
{
	struct swim_profile p = swim_lan;

	p.probe_interval = p.pushpull_interval = p.gossip_interval = 1000 * NSEC_SEC;
	p.touch_interval = 0;
	return p;
}

static inline struct one *
one_new(const struct swim_profile *profile)
{
	struct one *o = calloc(1, sizeof *o);
	struct swim_config config = {
		.name = STR("me"),
		.advertise = at("me"),
		.meta = STR("my tags"),
		.profile = profile == NULL ? calm_profile() : *profile,
	};

	assert_non_null(o);
	buf_init(&o->told, 1 << 24);
	o->now = EPOCH;
	o->swim = swim_new(&config, 1, o->now);
	one_drain(o);
	return o;
}

static inline void
one_free(struct one *o)
{
	swim_free(o->swim);
	buf_done(&o->told);
	free(o);
}

#define one_told(o, want)                              \
	do {                                           \
		one_drain(o);                          \
		assert_str(buf_str(&(o)->told), want); \
		buf_clear(&(o)->told);                 \
	} while (0)

static inline void
one_hush(struct one *o) /* what was told so far is of no interest */
{
	one_drain(o);
	buf_clear(&o->told);
}

static inline void
one_feed(struct one *o, const struct addr *from, const struct wire_message *m)
{
	uint8_t room[4096];
	struct writer w = wr_of(room, sizeof room);

	wire_write(&w, m);
	assert_false(w.full);
	swim_input(o->swim, o->now, from, wr_done(&w));
	one_drain(o);
}

static inline struct wire_alive
alive_of(const char *name, uint32_t incarnation)
{
	return (struct wire_alive){
		.incarnation = incarnation,
		.node = str_of(name),
		.addr = at(name),
		.meta = STR("tags"),
		.vsn = wire_vsn_ours,
		.vsn_whole = true,
		.addr_ok = true,
	};
}

static inline void
one_alive_as(struct one *o, struct wire_alive alive)
{
	struct wire_message m = { .type = WIRE_ALIVE };
	struct addr nowhere = at_host(200);

	m.u.alive = alive;
	one_feed(o, &nowhere, &m);
}

static inline void
one_alive(struct one *o, const char *name, uint32_t incarnation)
{
	one_alive_as(o, alive_of(name, incarnation));
}

static inline void
one_claim(struct one *o, enum wire_type type, const char *name, uint32_t incarnation,
    const char *by, uint8_t host)
{
	struct wire_message m = { .type = type };
	struct addr from = at_host(host);

	m.u.claim = (struct wire_claim){ incarnation, str_of(name), str_of(by) };
	one_feed(o, &from, &m);
}

#define one_suspect(o, name, inc, by) one_claim(o, WIRE_SUSPECT, name, inc, by, 200)
#define one_dead(o, name, inc, by) one_claim(o, WIRE_DEAD, name, inc, by, 200)

static inline void
one_ack(struct one *o, const char *from_name, uint32_t seq)
{
	struct wire_message m = { .type = WIRE_ACK };
	struct addr from = at(from_name);

	m.u.ack = (struct wire_ack){ .seq = seq, .payload_nil = true };
	one_feed(o, &from, &m);
}

static inline void
one_nack(struct one *o, const char *from_name, uint32_t seq)
{
	struct wire_message m = { .type = WIRE_NACK };
	struct addr from = at(from_name);

	m.u.nack.seq = seq;
	one_feed(o, &from, &m);
}

/* Lets time pass, ticking at every deadline. */
static inline void
one_pass(struct one *o, nsec span)
{
	nsec end = o->now + span;

	while (swim_deadline(o->swim) <= end) {
		nsec next = swim_deadline(o->swim);

		o->now = next > o->now ? next : o->now;
		swim_tick(o->swim, o->now);
		one_drain(o);
	}
	o->now = end;
}

/* "alive 3", "unknown". */
#define one_state(o, name, want)                                                                  \
	do {                                                                                      \
		static const char *const words_[] = { "alive", "suspect", "dead", "left" };       \
		struct swim_member m_;                                                            \
		char text_[64] = "unknown";                                                       \
		if (swim_member_find((o)->swim, str_of(name), &m_))                               \
			snprintf(text_, sizeof text_, "%s %u", words_[m_.state], m_.incarnation); \
		assert_str(str_of(text_), want);                                                  \
	} while (0)

#endif
