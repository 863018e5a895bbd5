/* agent/identity.h -- who this agent is, and what it must never forget.
 *
 * A random id and the epoch counter live in -data-dir, written aside, synced and renamed before
 * they are used (RULES 1). The index ceiling (RULES 12) is kept likewise. With -dev everything
 * is made anew and nothing is written.
 */
#ifndef AGENT_IDENTITY_H
#define AGENT_IDENTITY_H

#include "base/err.h"
#include "base/uuid.h"
#include "kv/owner.h"

struct identity {
	struct uuid id, cluster;
	struct epoch epoch;
	uint64_t index_ceiling;
	char *folder; /* owned; NULL: memory only */
	int lock;     /* descriptor that keeps a second agent out of the folder; -1 */
};

/* Creates the folder when missing; takes its lock (ERR_CONFLICT: another agent has it); begins
 * and syncs a new epoch. data_dir empty: memory only. */
int identity_open(struct identity *, struct str data_dir, struct err *);
int identity_ceiling_save(struct identity *, uint64_t ceiling, struct err *);
/* A new epoch, synced, with a counter above ours and above `heard` (RULES 1, 6). */
int identity_epoch_begin(struct identity *, uint64_t heard, struct err *);
/* The disk was cloned: a new id of our own, synced, from its first epoch on (RULES 1). */
int identity_renew(struct identity *, struct err *);
void identity_close(struct identity *);

#endif
