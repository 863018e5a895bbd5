/* kv/txn.h -- several key operations, all or nothing, and how their outcomes are told.
 *
 * Results and errors travel as bytes, so that an answer to a forwarded write can be kept and
 * sent (RULES 10). Texts are Consul's.
 */
#ifndef KV_TXN_H
#define KV_TXN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "kv/keys.h"

#define TXN_OPS_MAX 64

/* An entry in a result. Slices are borrowed from the bytes it was read from. */
struct txn_entry {
	struct str key, value;
	bool has_value; /* else null: only reads give values */
	uint64_t create, modify, lock_index, flags;
	bool held;
	struct uuid session;
};

struct txn_error {
	uint32_t op_index;
	struct str what;
};

/* Runs between keys_begin() and keys_commit(); the caller rolls back unless it returns true. Adds
 * to `out` a be32 count and the results (true) or the errors (false). Deterministic. */
bool txn_run(struct keys *, const struct kv_op *ops, size_t count, uint64_t passed,
    struct buf *out);
/* The same for reads only: nothing may change, no index is needed. Whether an op is one. */
bool txn_verb_reads(enum kv_verb);

bool txn_entry_read(struct reader *, struct txn_entry *);
bool txn_error_read(struct reader *, struct txn_error *);
void txn_entry_add(struct buf *, const struct key_entry *, bool with_value);

/* Why an operation failed, in the words of a transaction. `e`: the entry it met, may be NULL. */
void txn_what(struct buf *, const struct kv_op *, enum kv_outcome, const struct key_entry *e);

/* With quotes, as Go's %q. */
void txn_quote(struct buf *, struct str);

/* KV_NONE … for a verb's name as clients spell it ("delete-cas"); KV_UNKNOWN otherwise. */
enum kv_verb txn_verb(struct str name);

#endif
