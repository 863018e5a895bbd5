/* gossip/swim_priv.h -- the state behind swim.h, shared by its files.
 *
 *     swim.c         life, input, time, actions, what others may ask
 *     swim_table.c   members by name and by address, the round's order, the buried
 *     swim_claim.c   what alive, suspect and dead do to a member; refuting; leaving
 *     swim_probe.c   rounds, checks, relays for others, acks and nacks, evidence of refusal
 *     swim_gossip.c  packets and what rides on them; gossip, touches, nudges
 *     swim_merge.c   push/pull
 */
#ifndef GOSSIP_SWIM_PRIV_H
#define GOSSIP_SWIM_PRIV_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/rng.h"
#include "gossip/awareness.h"
#include "gossip/broadcast.h"
#include "gossip/suspicion.h"
#include "gossip/swim.h"

#define SWIM_MEMBERS_MAX 65536 /* when the configuration says nothing */
#define SWIM_BURIED_MAX 1024   /* the longest buried go first */
#define SWIM_BURIED_KEEP (72 * NSEC_HOUR)
#define SWIM_QUEUE_MAX 8192 /* messages of one queue */
#define SWIM_QUEUES 4       /* membership, then enum swim_queue */
#define SWIM_MEMBERSHIP 0
#define SWIM_CHECKS_MAX 32  /* probes under way beside the round's */
#define SWIM_RELAYS_MAX 256 /* probes for others under way */
#define SWIM_ACTION_BYTES_MAX (16 * 1024 * 1024)
#define SWIM_EARLY_MAX 2                  /* gossip rounds ahead of their tick, per tick */
#define SWIM_EARLY_GAP (5 * NSEC_MS)      /* after the last one; what comes meanwhile rides along */
#define SWIM_NUDGE_GAP NSEC_SEC           /* to one member */
#define SWIM_CONFLICT_GAP NSEC_SEC        /* about one name */
#define SWIM_MOVING (5 * NSEC_SEC)        /* for a moved member to refute */
#define SWIM_LINGER (5 * NSEC_SEC)        /* who has left may still be heard for so long */
#define SWIM_EVIDENCE_KEEP (5 * NSEC_SEC) /* a refusal counts for so long */
#define SWIM_CHECKERS 10                  /* members that look for themselves at a new suspect */
#define SWIM_TOUCH_BURIED 4               /* every so-manieth touch goes to a buried one */
#define SWIM_FAREWELL_MAX 64              /* whom we tell ourselves that we leave */
#define SWIM_SMALL 64                     /* members that are looked through one by one */
#define SWIM_LATE (NSEC_SEC / 2)          /* timers later than this: we stood still */

/* No member gets near the top by itself: claims that leap there are dropped. */
#define SWIM_INCARNATION_HIGH 0xf0000000u
#define SWIM_INCARNATION_LEAP (1u << 20)

struct node { /* a member */
	RB_ENTRY(node) by_name, by_addr;
	TAILQ_ENTRY(node) link; /* of suspects or buried */
	struct str name, meta;  /* owned */
	struct addr addr;
	struct wire_vsn vsn;
	uint32_t incarnation;
	enum swim_state state;
	bool buried;
	bool accused_by_us, accused_by_others; /* while suspect */
	nsec since;
	/* 0: never */
	nsec refused_at, nudged_at, conflict_at, checked_at, corrected_at;
	struct addr moving; /* known to be the same node's, until then */
	nsec moving_until;
	size_t slot; /* in swim.nodes, unless buried */
	struct suspicion suspicion;
};

RB_HEAD(node_names, node);
RB_HEAD(node_addrs, node);
TAILQ_HEAD(node_list, node);
RB_PROTOTYPE(node_names, node, by_name, )
RB_PROTOTYPE(node_addrs, node, by_addr, )

struct probe { /* one question whether a member is alive */
	TAILQ_ENTRY(probe) link;
	struct node *target;
	uint32_t seq;
	nsec sent, indirect_at, deadline; /* indirect_at: NSEC_NEVER once others were asked */
	unsigned expected, nacks;         /* nacks from helpers that send them */
	bool round;                       /* the round's probe, not a check */
	bool refused;                     /* its host said so */
	bool stream_acked;
	bool last; /* the suspect's last round */
};

struct relay { /* a probe for somebody else */
	TAILQ_ENTRY(relay) link;
	uint32_t seq, asker_seq;
	struct addr asker, target;
	bool nack;
	nsec deadline;
};

struct swim {
	struct swim_config config; /* name and meta are in self */
	struct rng rng;
	struct awareness awareness;
	struct swim_stats stats;

	struct node_names names;
	struct node_addrs addrs;
	struct node **nodes; /* all but the buried, in the round's order */
	size_t node_count, node_cap;
	struct node_list suspects, buried;
	size_t buried_count;
	struct node *self;
	bool leaving, left;

	TAILQ_HEAD(, probe) probes; /* the round's first */
	TAILQ_HEAD(, relay) relays; /* in order of deadline */
	size_t probe_count, relay_count;
	uint32_t seq;
	size_t probe_at, touch_at; /* next in nodes */
	unsigned touches;

	struct broadcast *queues[SWIM_QUEUES];
	struct str payload; /* owned; of our acks */

	nsec last;                                               /* when we were last called */
	nsec probe_next, gossip_next, pushpull_next, touch_next; /* moments */
	nsec gossip_early, gossip_last; /* a round ahead of the tick; the last round */
	unsigned early_left;
	nsec suspect_next;  /* the earliest end of a suspicion */
	bool suspect_stale; /* … must be looked for again */
	nsec merge_wait; /* between push/pulls, at most the interval: short while they bring news */
	uint64_t revived; /* members that joined or came back */
	nsec merge_soon;  /* the earliest moment for another push/pull out of turn */

	struct swim_action *actions; /* [action_at, action_count) */
	size_t action_at, action_count, action_cap;
	struct arena out; /* what actions point to */
	struct arena in;  /* what a message was read into */
};

/* swim.c: every public call that feeds begins and ends with these */
void swim_begin(struct swim *, nsec now);
void swim_end(struct swim *, nsec now);
struct swim_action *swim_act(struct swim *, enum swim_action_kind);
void swim_note(struct swim *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void swim_member_of(const struct node *, struct swim_member *out);

/* swim_table.c */
void swim_table_init(struct swim *);
void swim_table_done(struct swim *);
struct node *swim_table_find(const struct swim *, struct str name);
struct node *swim_table_first_at(const struct swim *, const struct addr *); /* by address … */
struct node *swim_table_next_at(struct node *);                             /* … all of them */
/* A dead member of incarnation 0, to be filled in; NULL: no room. */
struct node *swim_table_add(struct swim *, struct str name, const struct addr *);
void swim_table_move(struct swim *, struct node *, const struct addr *);
void swim_table_meta(struct node *, struct str meta);
void swim_table_bury(struct swim *, nsec now, struct node *);
void swim_table_drop(struct swim *, struct node *); /* as if it had never been */
void swim_table_rename(struct swim *, struct node *, struct str name);
void swim_table_raise(struct swim *, struct node *); /* a buried one is back */
void swim_table_shuffle(struct swim *, nsec now);    /* buries who is due; a new order */
typedef bool swim_pick_fn(const struct swim *, nsec now, const struct node *);
size_t swim_table_pick(
    struct swim *, nsec now, swim_pick_fn *, const struct node *but, struct node **out, size_t max);
bool swim_addr_eq(const struct addr *, const struct addr *);

/* swim_claim.c */
void swim_claim_self(struct swim *, nsec now); /* at start */
void swim_claim_alive(struct swim *, nsec now, const struct wire_alive *, bool take_over);
void swim_claim_suspect(
    struct swim *, nsec now, const struct wire_claim *, const struct addr *from);
void swim_claim_dead(struct swim *, nsec now, const struct wire_claim *, const struct addr *from);
void swim_claim_expire(struct swim *, nsec now); /* suspicions that are over */
void swim_claim_deadline_find(struct swim *);    /* suspect_next, when it is stale */
void swim_claim_shift(struct swim *, nsec by);
void swim_claim_accuse(struct swim *, nsec now, struct node *); /* suspect, from us */

/* swim_probe.c */
void swim_probe_round(struct swim *, nsec now);
void swim_probe_tick(struct swim *, nsec now); /* probes and relays that are due */
nsec swim_probe_deadline(const struct swim *);
void swim_probe_cancel(struct swim *, const struct node *);
void swim_probe_check(struct swim *, nsec now, struct node *, bool last);
void swim_probe_suspected(struct swim *, nsec now, struct node *); /* others suspect it */
void swim_probe_evidence(struct swim *, nsec now, struct node *);
void swim_probe_shift(struct swim *, nsec by);
void swim_probe_done(struct swim *);
void swim_probe_ping_in(struct swim *, nsec now, const struct addr *from, const struct wire_ping *);
void swim_probe_indirect_in(
    struct swim *, nsec now, const struct addr *from, const struct wire_indirect_ping *);
void swim_probe_ack_in(struct swim *, nsec now, const struct addr *from, const struct wire_ack *);
void swim_probe_nack_in(struct swim *, nsec now, const struct wire_nack *);

/* swim_gossip.c */
size_t swim_gossip_room(const struct swim *); /* for the parts of a compound */
void swim_gossip_queue(struct swim *, nsec now, unsigned queue, struct str name,
    const struct wire_message *, uint64_t done_id);
/* One packet: the messages given; `fill`: and what is queued. `to` may be nobody we know. */
void swim_gossip_send(struct swim *, nsec now, const struct addr *to, const struct node *,
    const struct wire_message *, size_t count, bool fill);
void swim_gossip_tick(struct swim *, nsec now);
nsec swim_gossip_deadline(const struct swim *);
void swim_gossip_nudge(struct swim *, nsec now, struct node *, const struct addr *to);
void swim_gossip_heard(struct swim *, nsec now, const struct addr *from);

/* swim_merge.c */
void swim_merge_tick(struct swim *, nsec now);
void swim_merge_unsettled(struct swim *, nsec now);
void swim_merge_pinger(struct swim *, nsec now, const struct addr *from); /* of an unknown name */
void swim_merge_with(struct swim *, nsec now, const struct node *);

#endif
