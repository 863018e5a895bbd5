/* gossip/swim.h -- who is in the cluster, as a state machine without I/O.
 *
 * SWIM (Das, Gupta, Motivala 2002) as memberlist speaks it, with Lifeguard (Dadgar et al.
 * 2017): probes in randomised rounds, indirect probes with nacks, a fallback over TCP,
 * suspicion with confirmations, local health awareness, refutation, gossip with retransmit
 * limits, push/pull. Packets are given to it unframed (after decryption, CRC and decompression) and
 * leave it unframed; frame.h does the rest at the rim.
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
	    dead_reclaim;
	unsigned indirect_checks, gossip_nodes, retransmit_mult, suspicion_mult, suspicion_max_mult,
	    awareness_max;
};
extern const struct swim_profile swim_lan, swim_local;

struct swim_config {
	struct str name;       /* ours on the wire */
	struct addr advertise;
	struct str meta;       /* tags, at most WIRE_META_MAX */
	struct swim_profile profile;
	size_t members_max;    /* beyond it new names are dropped and counted; default 65536 */
	size_t overhead;       /* bytes that encryption and labels add to a datagram */
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
	SWIM_STREAM_PING, /* probe peer over TCP with seq until `until`; swim_stream_ack() if it answers */
	SWIM_PUSH_PULL,   /* start a push/pull with peer; join: its Join flag */
	SWIM_NEWS,        /* member as it now stands; was: its state before (joined: unknown before) */
	SWIM_USER,        /* a user message came: bytes, from peer */
	SWIM_CONFLICT,    /* two addresses claim one name: member is ours, peer the other's */
};

struct swim_action {
	enum swim_action_kind kind;
	struct addr peer;
	struct str peer_name;
	struct str bytes;
	bool crc, join, joined;
	uint32_t seq;
	nsec until;
	struct swim_member member;
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
/* The TCP probe of SWIM_STREAM_PING was answered. */
void swim_stream_ack(struct swim *, nsec now, uint32_t seq);

/* Push/pull: our side of the table to `out` as node states (drain: *cursor from 0), and the
 * other's, one by one after swim_merge_check() has taken all of them (versions: one violator
 * refuses the whole). */
bool swim_state_next(const struct swim *, size_t *cursor, struct wire_node_state *out);
int swim_merge_check(const struct swim *, const struct wire_node_state *, size_t count, struct err *);
void swim_merge(struct swim *, nsec now, const struct wire_node_state *, size_t count);

/* A message of the upper layer to gossip: queued until its retransmits are used up. The bytes
 * go out as a user message. ERR_LIMIT: larger than a datagram's budget. `done_id` non-zero:
 * swim_broadcast_done() tells when it is through. */
int swim_broadcast(struct swim *, struct str bytes, uint64_t done_id, struct err *);
bool swim_broadcast_done(struct swim *, uint64_t *done_id); /* drain */
/* To one member, at once; filled with what is queued. */
void swim_send(struct swim *, nsec now, const struct addr *peer, struct str bytes);

void swim_meta_set(struct swim *, nsec now, struct str meta); /* new tags: next incarnation */
/* Announces that we leave (dead with from == node); true once it has spread. */
void swim_leave(struct swim *, nsec now);
bool swim_leave_done(const struct swim *);
/* Forgets a member (force-leave with prune). */
void swim_forget(struct swim *, struct str name);

size_t swim_count(const struct swim *);
bool swim_member_next(const struct swim *, size_t *cursor, struct swim_member *out);
bool swim_member_find(const struct swim *, struct str name, struct swim_member *out);
unsigned swim_awareness(const struct swim *);

struct swim_stats {
	uint64_t packets_in, packets_out, dropped, malformed, probes, probes_failed, suspicions, refutations;
};
struct swim_stats swim_stats(const struct swim *);

#endif
