/* kv/raft_vote_io.h -- term, vote and identity of this server, on disk.
 *
 * One small file holds them twice, each copy in a sector of its own; every change writes and
 * syncs the first, then the second. So at any moment one copy is whole and at least as new as
 * what was acknowledged last: forgetting a vote would let this server vote twice in one term.
 * No change needs room on the disk. With both copies damaged the file is named and refused.
 */
#ifndef KV_RAFT_VOTE_IO_H
#define KV_RAFT_VOTE_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"
#include "kv/file_io.h"

#define RAFT_VOTE_FILE "vote"

struct raft_vote {
	uint64_t term, voted_for; /* Raft ids; 0: nobody */
	uint64_t raft_id;         /* random, made with the log; never 0 */
	struct uuid cluster_id;   /* all zeros until one is known */
	uint32_t flags;           /* the caller's, kept with the rest */
};

struct raft_vote_file;

/* What is there. ERR_NOT_FOUND when nothing is; ERR_INPUT names damage. On 0, *file is open. */
int raft_vote_open(struct files *, struct raft_vote_file **file, struct raft_vote *, struct err *);

/* A new file; an old one is replaced. Durable once this returned 0. */
int raft_vote_create(
    struct files *, struct raft_vote_file **file, const struct raft_vote *, struct err *);

/* Durable once this returned 0; after an error either the old or the new one is there. */
int raft_vote_write(struct raft_vote_file *, const struct raft_vote *, struct err *);

void raft_vote_close(struct raft_vote_file *); /* NULL is fine */

#endif
