/* kv/snapshot_records.h -- the records of a snapshot of the state machine, out of pieces of any
 * size.
 *
 * "mkvs", version, then records: kind, varint length, body. The head comes first and once; the end
 * holds the number of records before it and a hash of every byte before it, so a cut or a change
 * anywhere is seen.
 *
 * snap_records_feed(), then snap_records_next() until it is not SNAP_GOT.
 */
#ifndef KV_SNAPSHOT_RECORDS_H
#define KV_SNAPSHOT_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "kv/fsm.h"

#define SNAP_VERSION 1
#define SNAP_MAGIC "mkvs"
#define SNAP_RECORD_MAX (FSM_RESULT_MAX + 4096) /* bytes of a body */

enum snap_kind { /* numbers are in files: never change one */
	SNAP_HEAD = 1,
	SNAP_SESSION,
	SNAP_ENTRY,
	SNAP_TOMBSTONE,
	SNAP_CLOSED,
	SNAP_AGENT,
	SNAP_END,
	SNAP_AUTOPILOT,
	SNAP_STAGED,
	SNAP_EXTERNALS,
	SNAP_EXTERNAL,
	SNAP_QUERY = 40,
	SNAP_KINDS,
};

struct snap_records;

struct snap_records *snap_records_new(void);
void snap_records_free(struct snap_records *); /* NULL is fine */
void snap_records_feed(struct snap_records *, struct str piece);

enum snap_next { SNAP_GOT, SNAP_MORE, SNAP_BROKEN };
/* The next record; its body is borrowed until the next call. SNAP_MORE: only more bytes help, or
 * the end has been read. */
enum snap_next snap_records_next(struct snap_records *, uint8_t *kind, struct str *body);
/* All has been read, and the hash is right. */
bool snap_records_whole(const struct snap_records *);
uint64_t snap_records_count(const struct snap_records *); /* given out so far */

#endif
