/* kv/raft_wire.h -- what Raft servers say to each other, as bytes.
 *
 * Every message names the cluster and both Raft ids (RULES 8, 18), so one that went astray is
 * seen. The numbers on the wire are ours, not libraft's; ASK and YES are our own question "is
 * your term still T?" (RULES 11), WHO and GONE how a server learns that it was taken out. Bytes behind what is known are passed over: a later version
 * may add fields there.
 */
#ifndef KV_RAFT_WIRE_H
#define KV_RAFT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/uuid.h"
#include "kv/raft_log_io.h"

#define RAFT_WIRE_VERSION 1
#define RAFT_WIRE_ENTRIES_MAX 65536            /* in one message */
#define RAFT_WIRE_JUMP_MAX ((uint64_t)1 << 62) /* no term or index is above this */

enum raft_wire_kind { /* numbers are on the wire: never change one */
	RAFT_WIRE_APPEND = 1,
	RAFT_WIRE_APPENDED = 2,
	RAFT_WIRE_VOTE = 3,
	RAFT_WIRE_VOTED = 4,
	RAFT_WIRE_SNAPSHOT = 5,
	RAFT_WIRE_TIMEOUT_NOW = 6,
	RAFT_WIRE_ASK = 7,
	RAFT_WIRE_YES = 8,
	RAFT_WIRE_WHO = 9,   /* am I one of you? */
	RAFT_WIRE_GONE = 10, /* no: not in the configuration of this index, which is committed */
};

struct raft_wire {
	enum raft_wire_kind kind;
	struct uuid cluster;
	uint64_t from, to; /* Raft ids */
	uint64_t term;     /* the sender's; of a pre-vote: the one it would take */
	/* APPEND: the entry before the first. VOTE, TIMEOUT_NOW: the sender's last one. SNAPSHOT:
	 * the last one in it. APPENDED: the receiver's last one (no term). YES: the last durable
	 * one (no term). */
	uint64_t index, index_term;
	uint64_t commit;       /* APPEND */
	uint64_t rejected;     /* APPENDED; 0: not */
	uint64_t config_index; /* SNAPSHOT, GONE */
	struct str config;     /* SNAPSHOT */
	uint64_t question;     /* ASK, YES */
	bool disrupt, pre_vote, granted;
	size_t count;       /* APPEND: entries */
	struct str entries; /* read with raft_wire_entry() */
};

void raft_wire_write(struct buf *, const struct raft_wire *);
/* To be called `count` times behind an APPEND's raft_wire_write(), whose `entries` is ignored. */
void raft_wire_entry_write(struct buf *, const struct raft_log_entry *);
size_t raft_wire_entry_size(const struct raft_log_entry *);

/* Slices point into the bytes. Entries have been looked at: each can be read, terms do not fall
 * and lie between index_term and term. ERR_INPUT: broken. ERR_REFUSED: a version not known. */
int raft_wire_read(struct str, struct raft_wire *out, struct err *);
/* The next entry; `index` is set from *index, which goes up. False: no more. */
bool raft_wire_entry(struct reader *, uint64_t *index, struct raft_log_entry *out);

#endif
