/* kv/segment.h -- the bytes of one log segment: a head, then records, then zeros.
 *
 * A segment is a preallocated file of zeros that is only ever appended to. Its head (one sector)
 * says whose log it is, which segment went before and where that one ended; each record carries
 * checksums that also bind it to its place. Records are written in batches, one write and one
 * sync each, and name the batch they belong to. From that the scan of what a crash left knows
 *
 *   - the end: zeros from here on;
 *   - a torn tail: a record of the last batch that lacks a sector or its end. It was never
 *     acknowledged, since a batch counts only once it is synced, so it may be cut;
 *   - damage: everything else. A record that a later batch follows had been synced, and a
 *     record with all of its sectors was not torn. Nothing from there on is served.
 *
 * A disk is taken to write sectors of 512 bytes whole or not at all, in any order.
 * This is a core: the shell is raft_log_io.
 */
#ifndef KV_SEGMENT_H
#define KV_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/str.h"

#define SEGMENT_SECTOR 512
#define SEGMENT_HEAD 512  /* bytes of the head; the first record begins here */
#define SEGMENT_RECORD 40 /* bytes of a record before its body */
#define SEGMENT_BODY_MAX (64u << 20)
#define SEGMENT_SIZE_MAX (SEGMENT_HEAD + SEGMENT_RECORD + SEGMENT_BODY_MAX + 8) /* of a file */
#define SEGMENT_PAD(n) (((n) + 8) & ~(size_t)7) /* a body and its end mark; a multiple of 8 */

struct segment_head {
	uint64_t sequence;   /* 1, 2, 3 … without a gap */
	uint64_t raft_id;    /* the server whose log this is */
	uint64_t nonce;      /* random; seeds the checksums of the records */
	uint64_t start;      /* index that the next entry had when this segment was begun */
	uint64_t start_term; /* of the entry before it */
	uint64_t prev_nonce; /* of the segment before; 0 in the first */
	uint32_t prev_end;   /* where its last record ended; 0 in the first */
	uint32_t size;       /* bytes of this file */
};

/* The order is on disk. */
enum segment_kind {
	SEGMENT_ENTRY = 1,    /* an entry of the Raft log; `index` is one more than the last */
	SEGMENT_TRUNCATE = 2, /* entries from `index` on are no more */
	SEGMENT_RESET = 3,    /* no entry counts; the next has `index`, a snapshot is before it */
};

struct segment_record {
	enum segment_kind kind;
	uint16_t type; /* the Raft library's kind of entry; stored, not understood */
	uint64_t term, index;
	uint32_t batch;   /* offset of the first record that was written together with this one */
	struct str bytes; /* borrowed */
};

/* Exactly SEGMENT_HEAD bytes, in and out. */
void segment_head_write(uint8_t *out, const struct segment_head *);
bool segment_head_read(struct str, struct segment_head *out);

static inline size_t
segment_record_size(size_t body) /* what a record with such a body takes */
{
	return SEGMENT_RECORD + SEGMENT_PAD(body);
}

/* `at` is the record's place in the file; a multiple of 8. */
void segment_record_write(
    struct writer *, uint64_t nonce, uint64_t at, const struct segment_record *);

enum segment_verdict { SEGMENT_OK, SEGMENT_END, SEGMENT_TORN, SEGMENT_DAMAGED };

struct segment_scan {
	struct str file; /* borrowed, whole */
	uint64_t nonce;
	uint64_t at;     /* of the next record; after a verdict other than OK: of the trouble */
	uint64_t sealed; /* where the records end, known from the next segment; 0: not known */
	const char *why; /* after DAMAGED: what is wrong there, constant */
};

void segment_scan_init(struct segment_scan *, struct str file, uint64_t nonce, uint64_t sealed);

/* The next record (only with SEGMENT_OK), or why there is none. */
enum segment_verdict segment_next(struct segment_scan *, struct segment_record *out);

/* Offset after the last byte of the file that is not zero. */
size_t segment_dirt_end(struct str file);

#endif
