/* agent/local/journal_frames.h -- what a journal holds, and the bytes of each change to it.
 *
 *     frame   be16 mark, be32 length of the payload, be64 XXH3 of the payload, payload
 *     payload operations in a row: u8 operation, be16 kind, varint length, key;
 *             a put goes on with varint length, value
 *
 * A frame is the unit that is there or not: a batch is one frame. This is a core: the file is
 * journal_io's.
 */
#ifndef AGENT_JOURNAL_FRAMES_H
#define AGENT_JOURNAL_FRAMES_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/str.h"

#define JOURNAL_FRAME_HEAD 14
#define JOURNAL_FRAME_MAX (16 * 1024 * 1024) /* bytes of a payload */

enum journal_op { JOURNAL_PUT = 1, JOURNAL_DELETE = 2 };

struct journal_entry {
	RB_ENTRY(journal_entry) link;
	uint16_t kind;
	size_t key_len, value_len;
	char bytes[]; /* key, then value */
};

RB_HEAD(journal_tree, journal_entry);

struct journal_entries { /* all zero: empty */
	struct journal_tree tree;
	size_t live; /* bytes that they would take in a new file */
};

static inline struct str
journal_entry_key(const struct journal_entry *e)
{
	return str_mem(e->bytes, e->key_len);
}

static inline struct str
journal_entry_value(const struct journal_entry *e)
{
	return str_mem(e->bytes + e->key_len, e->value_len);
}

struct journal_entry *journal_entry_find(
    const struct journal_entries *, uint16_t kind, struct str key); /* NULL: none */
/* The one behind it by kind and key; of NULL the first. NULL: no more. */
struct journal_entry *journal_entry_next(
    const struct journal_entries *, const struct journal_entry *);
void journal_entries_clear(struct journal_entries *);

/* A frame: begin empties the buffer, end fills in the head. Too much sets the buffer's `full`. */
void journal_frame_begin(struct buf *);
void journal_frame_op(
    struct buf *, enum journal_op, uint16_t kind, struct str key, struct str value);
void journal_frame_end(struct buf *);

/* The payload of the frame that begins at the reader, which moves behind it. False: there is no
 * sound frame. */
bool journal_frame_read(struct reader *, struct str *payload);
/* Carries a payload out. False: it is not well formed, and nothing was done. */
bool journal_frame_apply(struct journal_entries *, struct str payload);
/* Whether a sound and well formed frame begins anywhere behind `at`. */
bool journal_frame_follows(struct str file, size_t at);

#endif
