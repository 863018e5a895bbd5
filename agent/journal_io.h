/* agent/journal_io.h -- a small durable map: what was registered, back after a restart.
 *
 * One append-only file of framed records with a CRC each: put(kind, key, value) or
 * delete(kind, key). Every write is in the kernel before it is acknowledged (kill -9 loses
 * nothing) and on disk a moment later, all pending ones by one fdatasync. A torn tail is cut at
 * start; damage before the tail is named and the file set aside. When more than half is stale
 * the file is written anew, aside, synced and renamed.
 */
#ifndef AGENT_JOURNAL_IO_H
#define AGENT_JOURNAL_IO_H

#include <event2/event.h>

#include "base/err.h"
#include "base/str.h"

struct journal;

/* base may be NULL: then every write is synced at once (tests). */
int journal_open(struct event_base *, struct str path, struct journal **out, struct err *);
void journal_close(struct journal *); /* syncs; NULL is fine */

/* Walks what is there, sorted by (kind, key); *cursor starts at 0. Borrowed until the next
 * change. */
bool journal_next(const struct journal *, size_t *cursor, uint16_t *kind, struct str *key,
    struct str *value);

/* ERR_IO (disk full …): the write is not there and must be refused. Equal values write nothing. */
int journal_put(struct journal *, uint16_t kind, struct str key, struct str value, struct err *);
int journal_delete(struct journal *, uint16_t kind, struct str key, struct err *);

#endif
