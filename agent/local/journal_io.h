/* agent/local/journal_io.h -- a small durable map: what was registered, back after a restart.
 *
 * One append-only file of framed records with a checksum each: put(kind, key, value) or
 * delete(kind, key). Every write is in the kernel before it is acknowledged (kill -9 loses
 * nothing) and on disk a moment later, all pending ones by one fdatasync on a thread. A torn tail is cut at
 * start; damage before the tail is named, the file is set aside, and what stood before the damage
 * is kept. When more than half is stale the file is written anew, aside, synced and renamed.
 */
#ifndef AGENT_JOURNAL_IO_H
#define AGENT_JOURNAL_IO_H

#include <event2/event.h>

#include "base/err.h"
#include "base/str.h"

#define JOURNAL_KEY_MAX   8192          /* bytes */
#define JOURNAL_VALUE_MAX (1024 * 1024) /* bytes */
#define JOURNAL_SYNC_MS   100           /* from the first pending write to its fdatasync */

struct journal;

/* base may be NULL: then every write is synced at once (tests). */
int journal_open(struct event_base *, struct str path, struct journal **out, struct err *);
void journal_close(struct journal *); /* syncs; NULL is fine */

/* Walks what is there, sorted by (kind, key); *cursor starts at 0. Borrowed until the next
 * change. */
bool journal_next(const struct journal *, size_t *cursor, uint16_t *kind, struct str *key,
    struct str *value);

/* ERR_IO (disk full …): the write is not there and must be refused. Equal values write nothing.
 * ERR_LIMIT: key or value is longer than the limits above. */
int journal_put(struct journal *, uint16_t kind, struct str key, struct str value, struct err *);
int journal_delete(struct journal *, uint16_t kind, struct str key, struct err *);

/* Several changes that are there together or not at all, also after a crash. Between begin and
 * commit puts and deletes are collected (each key at most once) and not seen by journal_next(). */
void journal_begin(struct journal *);
int journal_commit(struct journal *, struct err *); /* ERR_IO, ERR_LIMIT: none of them is there */
void journal_abort(struct journal *);               /* forgets them */

#endif
