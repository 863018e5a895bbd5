/* gossip/swim.h -- who is in the cluster, as a state machine without I/O.
 *
 * SWIM (Das, Gupta, Motivala 2002) as memberlist speaks it, with Lifeguard (Dadgar et al.
 * 2017): probes in randomised rounds, indirect probes with nacks, a fallback over TCP,
 * suspicion with confirmations, local health awareness, refutation, gossip with retransmit
 * limits, push/pull. Packets are given to it unframed (after decryption, CRC and decompression) and
 * leave it unframed; frame.h does the rest at the rim.
 *
 * Beyond memberlist, in ways that its agents understand:
 * - A refused packet starts a round of probing at once; refusal here and an accuser elsewhere leave
 *   the suspect one more round. So that a dead process is met soon, an idle agent touches the
 *   others in turn with the smallest packet there is (a nack that nobody waits for).
 * - The first packets about news leave at once, not with the next tick.
 * - Whoever we hold for suspect or dead and hear is told so directly, refutes, and a push/pull
 *   follows: a link that is back is used again within a second or two. Who spreads what was
 *   refuted long ago is told so.
 * - Push/pulls follow each other quickly while they bring news.
 * - Dead and left members are remembered (`buried`) beyond their time in the table, with their
 *   incarnation, so that old gossip cannot bring them back, and touched, so that halves of a
 *   pool find each other again.
 * - Timers that are late because this process stood still are put off by as much.
 *
 * After every call that feeds it: drain swim_action_next(), then re-arm the one timer with
 * swim_deadline(). What an action points to is borrowed until the next call that feeds.
 */
#ifndef GOSSIP_SWIM_H
#define GOSSIP_SWIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/nsec.h"
#include "base/str.h"
#include "gossip/wire.h"

enum swim_state { SWIM_ALIVE, SWIM_SUSPECT, SWIM_DEAD, SWIM_LEFT };

struct swim_profile { /* memberlist's LAN and local profiles */
	nsec probe_interval, probe_timeout, gossip_interval, pushpull_interval, gossip_to_dead,
	    dead_reclaim, touch_interval; /* touch_interval 0: never */
	unsigned indirect_checks, gossip_nodes, retransmit_mult, suspicion_mult, suspicion_max_mult,
	    awareness_max;
};
extern const struct swim_profile swim_lan, swim_local;

struct swim_config {
	struct str name; /* ours on the wire */
	struct addr advertise;
	struct str meta;     /* tags, at most WIRE_META_MAX */
	struct wire_vsn vsn; /* all zero: wire_vsn_ours */
	struct swim_profile profile;
	size_t members_max; /* beyond it new names are dropped and counted; default 65536 */
	size_t overhead;    /* bytes that encryption and labels add to a datagram */
	bool notes;         /* SWIM_NOTE actions are wanted */
	/* May this one be a member? Asked of names that are new and of tags that are; who is
	 * refused is not taken in, counted as dropped, and not passed on. NULL: everybody. Must not
	 * call back. */
	bool (*welcome)(void *arg, const struct wire_alive *);
	void *welcome_arg;
};

struct swim_member {
	struct str name, meta;
	struct addr addr;
	struct wire_vsn vsn;
	uint32_t incarnation;
	enum swim_state state;
	nsec since; /* of the last change of state */
};

enum swim_action_kind {
	SWIM_SEND,        /* one datagram to peer: bytes, unframed; crc: the peer understands CRC */
	SWIM_STREAM_PING, /* probe peer over TCP with seq until `until`; swim_stream_ack() if it
			     answers */
	SWIM_PUSH_PULL,   /* start a push/pull with peer; join: its Join flag */
	SWIM_NEWS,     /* member as it now stands; was: its state before (joined: unknown before) */
	SWIM_USER,     /* a user message came: bytes, from peer */
	SWIM_CONFLICT, /* two addresses claim one name: member is ours, peer and other the other's;
			* swim_take_over() if they are the same node. At most one a second and name
			*/
	SWIM_ACKED,    /* peer_name answered our ping itself after rtt, with payload bytes */
	SWIM_NOTE,     /* bytes: a line for the debug log */
};

struct swim_action {
	enum swim_action_kind kind;
	struct addr peer;
	struct str peer_name;
	struct str bytes;
	bool crc, join, joined;
	uint32_t seq;
	nsec until, rtt;
	struct swim_member member, other;
	enum swim_state was;
};

struct swim;

struct swim *swim_new(const struct swim_config *, uint64_t seed, nsec now);
void swim_free(struct swim *);

/* One unframed message or compound from a datagram. */
void swim_input(struct swim *, nsec now, const struct addr *from, struct str message);
void swim_tick(struct swim *, nsec now);
nsec swim_deadline(const struct swim *);
bool swim_action_next(struct swim *, struct swim_action *out);

/* The peer's host says that nobody listens (ICMP port unreachable, TCP reset): evidence of a
 * dead process. Confirmed by another member it shortens suspicion to one more round. */
void swim_refused(struct swim *, nsec now, const struct addr *peer);
/* Something speaks against this name's being in use: it is probed now, not when its turn comes. */
void swim_doubt(struct swim *, nsec now, struct str name);
/* The TCP probe of SWIM_STREAM_PING was answered. */
void swim_stream_ack(struct swim *, nsec now, uint32_t seq);

/* Push/pull: our side of the table to `out` as node states (drain: *cursor from 0), and the
 * other's, one by one after swim_merge_check() has taken all of them (versions: one violator
 * refuses the whole). */
bool swim_state_next(const struct swim *, size_t *cursor, struct wire_node_state *out);
int swim_merge_check(
    const struct swim *, const struct wire_node_state *, size_t count, struct err *);
void swim_merge(struct swim *, nsec now, const struct wire_node_state *, size_t count);
/* Somebody is in the pool whom gossip did not tell us of: a push/pull within two seconds. */
void swim_stranger(struct swim *, nsec now);

/* A message of the upper layer to gossip: queued until its retransmits are used up. The bytes
 * go out as a user message. ERR_LIMIT: larger than a datagram's budget. `done_id` non-zero:
 * swim_broadcast_done() tells when it is through. Queues are emptied in this order, membership's
 * own before all. swim_broadcast() is for events. */
enum swim_queue { SWIM_INTENTS, SWIM_QUERIES, SWIM_EVENTS };
int swim_broadcast_in(
    struct swim *, nsec now, enum swim_queue, struct str bytes, uint64_t done_id, struct err *);
int swim_broadcast(struct swim *, nsec now, struct str bytes, uint64_t done_id, struct err *);
bool swim_broadcast_done(struct swim *, uint64_t *done_id); /* drain */
/* To one member, at once, and nothing else with it. ERR_LIMIT: larger than the budget. */
int swim_send(struct swim *, nsec now, const struct addr *peer, struct str bytes);

/* What our acks carry (coordinates); empty, as at first: nil. */
void swim_payload_set(struct swim *, struct str payload);

void swim_meta_set(struct swim *, nsec now, struct str meta); /* new tags: next incarnation */
/* We are called otherwise from now on: announced with the next incarnation. Who else had that name
 * here is forgotten, and our old one is free for whoever claims it. */
void swim_rename(struct swim *, nsec now, struct str name);
/* After SWIM_CONFLICT: both are one node, which has moved: its new address is taken. */
void swim_take_over(struct swim *, nsec now, const struct swim_member *other);
/* Announces that we leave (dead with from == node), to all and directly to many; true once it has
 * been sent as often as it should. */
void swim_leave(struct swim *, nsec now);
bool swim_leave_done(const struct swim *);
/* Forgets a member (force-leave with prune, reap): buries it as left; only it itself, with
 * a higher incarnation, comes back from there. */
void swim_forget(struct swim *, nsec now, struct str name);

/* The table: us, everybody alive or suspect, and who died or left a short while ago. */
size_t swim_count(const struct swim *);
size_t swim_buried(const struct swim *);
bool swim_member_next(const struct swim *, size_t *cursor, struct swim_member *out);
bool swim_member_find(const struct swim *, struct str name, struct swim_member *out);
unsigned swim_awareness(const struct swim *);

struct swim_stats {
	uint64_t packets_in, packets_out, bytes_out;
	uint64_t malformed; /* messages that do not read */
	uint64_t dropped;   /* messages that read, but are beyond a limit or against a rule */
	uint64_t probes, probes_failed, suspicions, deaths, refutations, refusals, touches, nudges;
};
struct swim_stats swim_stats(const struct swim *);

#endif
