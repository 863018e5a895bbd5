/* kv/keys_apply.c -- what each verb does, as Consul's state store does it.
 *
 * An ordinary write keeps the session and sets LockIndex to 0; a write that changes nothing
 * moves no index; acquiring again by the holder keeps LockIndex; a release needs the holder.
 */
#include <assert.h>

#include "kv/keys_priv.h"

static struct str
entry_value(const struct key_entry *e)
{
	return blob_str(e->value);
}

static bool
same(const struct key_entry *e, const struct kv_op *op, uint64_t lock_index,
    const struct uuid *session)
{
	return str_eq(entry_value(e), op->value) && e->flags == op->flags &&
	       e->lock_index == lock_index && e->held == (session != NULL) &&
	       (session == NULL || uuid_eq(&e->session, session));
}

static struct key_entry *
put(struct keys *k, struct key_entry *old, const struct kv_op *op, uint64_t lock_index,
    const struct uuid *session)
{
	struct key_entry *e;
	struct blob *value;

	if (old != NULL && same(old, op, lock_index, session))
		return old;
	value = old != NULL && str_eq(entry_value(old), op->value)
	            ? (old->value != NULL ? blob_ref(old->value) : NULL)
	            : (op->value.n == 0 ? NULL : blob_new(op->value));
	e = key_entry_new(op->key, value);
	e->create = old != NULL ? old->create : k->index;
	e->modify = k->index;
	e->lock_index = lock_index;
	e->flags = op->flags;
	e->held = session != NULL;
	if (session != NULL)
		e->session = *session;
	keys_change(k, old, e);
	return e;
}

static struct key_entry *
put_plain(struct keys *k, struct key_entry *old, const struct kv_op *op)
{
	return put(k, old, op, 0, old != NULL && old->held ? &old->session : NULL);
}

static enum kv_outcome
lock(struct keys *k, struct key_entry *old, const struct kv_op *op, uint64_t passed,
    struct key_entry **out)
{
	const struct mark *closed;
	uint64_t lock_index = old == NULL ? 1 : old->lock_index;
	struct uuid id;

	if (op->session.n == 0)
		return KV_SESSION_MISSING;
	if (!uuid_parse(op->session, &id))
		return KV_SESSION_BAD;
	closed = mark_find(&k->closed, op->key);
	if (closed != NULL && closed->index > passed)
		return KV_DELAYED;
	if (session_find(k->sessions, &id) == NULL)
		return KV_SESSION_UNKNOWN;
	if (old != NULL && old->held && !uuid_eq(&old->session, &id))
		return KV_HELD;
	if (old != NULL && !old->held)
		lock_index++;
	*out = put(k, old, op, lock_index, &id);
	return KV_DONE;
}

static enum kv_outcome
unlock(struct keys *k, struct key_entry *old, const struct kv_op *op, struct key_entry **out)
{
	struct uuid id;

	if (op->session.n == 0)
		return KV_SESSION_MISSING;
	if (old == NULL || !old->held || !uuid_parse(op->session, &id) ||
	    !uuid_eq(&old->session, &id))
		return KV_NOT_HELD;
	*out = put(k, old, op, old->lock_index, NULL);
	return KV_DONE;
}

static enum kv_outcome
check_session(const struct key_entry *e, const struct kv_op *op)
{
	struct uuid id;

	if (e == NULL)
		return KV_ABSENT;
	if (!e->held)
		return op->session.n == 0 ? KV_DONE : KV_SESSION_NOT;
	return uuid_parse(op->session, &id) && uuid_eq(&id, &e->session) ? KV_DONE
	                                                                 : KV_SESSION_NOT;
}

static void
delete_tree(struct keys *k, struct str prefix)
{
	struct key_entry *e;

	while ((e = key_prefix_first(k, prefix)) != NULL)
		keys_change(k, e, NULL);
}

enum kv_outcome
keys_apply(struct keys *k, const struct kv_op *op, uint64_t passed, struct key_entry **out)
{
	struct key_entry *e = key_find(k, op->key);
	enum kv_outcome outcome = KV_DONE;

	*out = NULL;
	switch (op->verb) {
	case KV_SET:
		*out = put_plain(k, e, op);
		break;
	case KV_CAS:
		if (op->index != (e == NULL ? 0 : e->modify))
			return KV_STALE;
		*out = put_plain(k, e, op);
		break;
	case KV_LOCK:
		return lock(k, e, op, passed, out);
	case KV_UNLOCK:
		return unlock(k, e, op, out);
	case KV_GET:
		*out = e;
		return e == NULL ? KV_ABSENT : KV_DONE;
	case KV_CHECK_INDEX:
		*out = e;
		return e == NULL ? KV_ABSENT : e->modify != op->index ? KV_INDEX_NOT : KV_DONE;
	case KV_CHECK_SESSION:
		*out = e;
		return check_session(e, op);
	case KV_CHECK_NOT_EXISTS:
		*out = e;
		return e != NULL ? KV_PRESENT : KV_DONE;
	case KV_DELETE:
		if (e != NULL)
			keys_change(k, e, NULL);
		break;
	case KV_DELETE_CAS:
		if (e != NULL && e->modify != op->index)
			return KV_STALE;
		if (e != NULL)
			keys_change(k, e, NULL);
		break;
	case KV_DELETE_TREE:
		delete_tree(k, op->key);
		break;
	case KV_UNKNOWN:
		return KV_VERB_UNKNOWN;
	case KV_NONE:
	case KV_GET_TREE: /* the reader walks the tree itself */
	case KV_VERBS:
		break;
	}
	return outcome;
}

void
keys_session_end(struct keys *k, nsec now, struct session *s)
{
	struct key_entry *e;

	while ((e = LIST_FIRST(&s->keys)) != NULL) {
		struct kv_op op = { KV_SET, key_name(e), entry_value(e), e->flags, 0, STR_NONE };

		if (s->info.lock_delay > 0) {
			struct mark *m = mark_set(&k->closed, op.key, k->index);

			m->delay = s->info.lock_delay;
			m->due = now + m->delay;
		}
		if (s->info.behavior == SESSION_DELETE)
			keys_change(k, e, NULL);
		else
			put(k, e, &op, e->lock_index, NULL);
	}
}
