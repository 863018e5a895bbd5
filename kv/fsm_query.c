/* kv/fsm_query.c -- prepared queries in the log and in snapshots.
 *
 * A record of a snapshot is a query's id, indexes and bytes; before them all stands one with the
 * zero id, which holds the index of the table: deletions show in it.
 */
#include "kv/fsm_priv.h"

void
fsm_query_apply(struct fsm *f, const struct fsm_op *op, uint64_t index, struct buf *result)
{
	struct err err = { 0 };
	bool done = true;

	if (op->query_verb == FSM_QUERY_DELETE)
		done = query_remove(f->queries, index, &op->query_id, &err);
	else
		done = query_set(f->queries, f->sessions, index, op->query_verb == FSM_QUERY_CREATE,
		    &op->query_id, op->query, &err);
	buf_addc(result, done ? FSM_TRUE : FSM_ERROR);
	if (!done)
		buf_add(result, str_of(err.text));
}

void
fsm_query_save(const struct queries *queries, void *to, void (*each)(void *to, struct str record))
{
	static const struct uuid none;
	struct buf b;

	if (queries_index(queries) == 0)
		return; /* there never was one */
	buf_init(&b, QUERY_BODY_MAX + 64);
	buf_add(&b, str_mem(none.b, sizeof none.b));
	fsm_add_varint(&b, queries_index(queries));
	each(to, buf_str(&b));
	for (struct query *q = query_first(queries); q != NULL; q = query_next(queries, q)) {
		buf_clear(&b);
		buf_add(&b, str_mem(q->info.id.b, sizeof q->info.id.b));
		fsm_add_varint(&b, q->info.create);
		fsm_add_varint(&b, q->info.modify);
		buf_add(&b, q->body);
		each(to, buf_str(&b));
	}
	buf_done(&b);
}

bool
fsm_query_load(struct queries *queries, struct reader *r, uint64_t index)
{
	static const struct uuid none;
	struct uuid id = fsm_read_uuid(r);
	uint64_t create = rd_varint(r), modify;

	if (!rd_ok(r) || create > index)
		return false;
	if (uuid_eq(&id, &none)) {
		queries_index_raise(queries, create);
		return true;
	}
	modify = rd_varint(r);
	return rd_ok(r) && create <= modify && modify <= index &&
	       query_load(queries, &id, create, modify, rd_str(r, rd_left(r)));
}
