/* kv/snapshot_file.h -- a snapshot as a file that people keep: what GET /v1/snapshot gives and PUT
 * takes back.
 *
 * "muster-snapshot\n", version, be32 length of the head, the head (whence and when it is), be64
 * hash (XXH3) of all that; then the state as fsm_snapshot_next() gives it, whose end holds a hash
 * of its own. Every byte is covered by one of the two.
 */
#ifndef KV_SNAPSHOT_FILE_H
#define KV_SNAPSHOT_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/uuid.h"
#include "kv/snapshot_records.h"

#define SNAPSHOT_FILE_VERSION 1
#define SNAPSHOT_FILE_TEXT_MAX 256 /* bytes of a text in the head */

struct snapshot_head {
	uint64_t index, raft_index; /* key index and Raft index of the last operation in it */
	int64_t wall_ms;            /* when it was taken */
	struct uuid cluster;        /* zero: of no cluster */
	struct str node, datacenter, build; /* of the server that wrote it */
};

/* What stands before the state. Texts that are too long are cut. */
void snapshot_head_write(struct buf *, const struct snapshot_head *);

/* Reading: feed pieces of any size, drain snapshot_scan_next() after each, finish. */
struct snapshot_scan;

struct snapshot_record {
	enum snap_kind kind;
	size_t bytes;   /* of its body */
	struct str key; /* ENTRY; borrowed until the next call */
};

struct snapshot_scan *snapshot_scan_new(void);
void snapshot_scan_free(struct snapshot_scan *); /* NULL is fine */
void snapshot_scan_feed(struct snapshot_scan *, struct str piece);
bool snapshot_scan_next(struct snapshot_scan *, struct snapshot_record *out);
/* 0: the file is whole and every byte is as it was written. Else ERR_INPUT: what is wrong. */
int snapshot_scan_finish(const struct snapshot_scan *, struct err *);
/* NULL until it has been read; borrowed from the scan. */
const struct snapshot_head *snapshot_scan_head(const struct snapshot_scan *);
size_t snapshot_scan_head_bytes(const struct snapshot_scan *); /* the state begins behind them */

/* A whole file in memory: *state is its part for FSM_RESTORE. */
int snapshot_file_check(struct str file, struct str *state, struct err *);

#endif
