/* kv/raft_snapshot_io.h -- snapshots of the state machine on disk.
 *
 * Written aside in pieces, checksummed, synced, renamed to "snapshot-<last index>-<term>", its
 * folder synced; only then are older ones removed. So there is always a whole one, if there
 * ever was. A start takes the newest that is whole and names those that are not. One writer at a
 * time; another thread than the log's may run it.
 */
#ifndef KV_RAFT_SNAPSHOT_IO_H
#define KV_RAFT_SNAPSHOT_IO_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"
#include "kv/file_io.h"

#define RAFT_SNAPSHOT_CONFIG_MAX (1u << 20) /* bytes of a configuration */

struct raft_snapshot_meta {
	uint64_t index, term;  /* of the last entry in it */
	uint64_t config_index; /* of the entry that made this configuration */
	struct uuid cluster_id;
	struct str config; /* the servers, as the Raft glue encodes them; borrowed */
};

struct raft_snapshot_writer;

/* One piece after another; then either commit or abort, which also frees. Until commit returned
 * 0 nothing has changed. NULL with a sentence in err. */
struct raft_snapshot_writer *raft_snapshot_begin(
    struct files *, const struct raft_snapshot_meta *, struct err *);
int raft_snapshot_add(struct raft_snapshot_writer *, struct str, struct err *);
int raft_snapshot_commit(struct raft_snapshot_writer *, struct err *);
void raft_snapshot_abort(struct raft_snapshot_writer *); /* NULL is fine */

struct raft_snapshot;

/* The newest whole one. ERR_NOT_FOUND: there is none. `damaged` (may be NULL) is called with a
 * sentence for each that is not whole. */
int raft_snapshot_open(struct files *, struct raft_snapshot **,
    void (*damaged)(void *, const char *), void *arg, struct err *);
const struct raft_snapshot_meta *raft_snapshot_meta(const struct raft_snapshot *);
uint64_t raft_snapshot_size(const struct raft_snapshot *); /* bytes of its data */
int raft_snapshot_read(
    const struct raft_snapshot *, uint64_t at, void *out, size_t n, struct err *);
void raft_snapshot_close(struct raft_snapshot *); /* NULL is fine */

#endif
