/* tests/linear/key_model.c -- each verb against each state. Source: Consul's recorded answers
 * (tests/conformance/http/kv.json, session.json). */
#include "tests/linear/key_model.h"

#include <inttypes.h>

static bool
refused(const char **why, const char *text)
{
	if (why != NULL)
		*why = text;
	return false;
}

/* Something was changed, with an index that nobody has seen. */
static void
index_moves(struct key_state *s)
{
	if (s->index != 0)
		s->floor = s->index;
	s->index = 0;
}

static bool
index_is(struct key_state *s, uint64_t index) /* and is known from now on */
{
	if (s->index == 0 && index > s->floor) {
		s->index = index;
		s->floor = 0;
	}
	return s->index == index && index != 0;
}

static void
write_value(struct key_state *s, uint32_t value, uint64_t lock_index, uint32_t session)
{
	if (s->there && s->value == value && value != KEY_VALUE_UNREAD &&
	    s->lock_index == lock_index && s->session == session)
		return; /* a write that changes nothing moves no index */
	s->there = true;
	s->value = value;
	s->lock_index = lock_index;
	s->session = session;
	index_moves(s);
}

static void
remove_key(struct key_state *s)
{
	if (!s->there)
		return;
	index_moves(s);
	s->there = false;
	s->value = s->session = 0;
	s->lock_index = 0;
}

static bool
step_get(struct key_state *s, const struct op *op, const char **why)
{
	if (op->answer == ANSWER_NO)
		return !s->there || refused(why, "the key is there");
	if (!s->there)
		return refused(why, "the key is not there");
	if (s->value != op->value)
		return refused(why, "the key holds another value");
	if (s->session != op->session)
		return refused(why, "the key has another session");
	if (s->lock_index != op->lock_index)
		return refused(why, "the key has another LockIndex");
	return index_is(s, op->index) || refused(why, "the key has another ModifyIndex");
}

/* cas and delete-cas: whether the index is the one given. 0 means that there must be no key. */
static bool
step_compare(struct key_state *s, const struct op *op, bool *equal, const char **why)
{
	bool known = op->index == 0 || !s->there || s->index != 0 || op->index <= s->floor;
	bool same = s->there ? op->index != 0 && s->index == op->index
			     : op->index == 0 || op->verb == VERB_DELETE_CAS;

	if (known) {
		*equal = same;
		return op->answer == ANSWER_UNKNOWN || same == (op->answer == ANSWER_YES) ||
		       refused(
			   why, same ? "the index was the key's" : "the index was not the key's");
	}
	/* no read has told the index: the answer does. A "no" leaves it open. */
	*equal = op->answer != ANSWER_NO && index_is(s, op->index);
	return true;
}

static bool
session_ended(const struct key_state *s, unsigned place)
{
	return (s->ended[place / 64] >> place % 64 & 1) != 0;
}

static bool
step_acquire(struct key_state *s, const struct op *op, unsigned place, const char **why)
{
	bool ended = session_ended(s, place);
	bool other = s->session != 0 && s->session != op->session;
	bool closed = s->closed != 0 && op->ret < s->closed;

	switch (op->answer) {
	case ANSWER_INVALID:
		return ended || refused(why, "the session had not ended");
	case ANSWER_NO: /* when a delay is over is the leader's to say: a new one begins it anew */
		return other || s->closed != 0 || refused(why, "nobody else held the key");
	case ANSWER_YES:
		if (ended)
			return refused(why, "the session had ended");
		if (other)
			return refused(why, "another session held the key");
		if (closed)
			return refused(why, "the lock delay was not over");
		break;
	case ANSWER_UNKNOWN:
		if (ended || other)
			return true; /* it did nothing */
		break;
	}
	s->closed = 0;
	write_value(s, op->value, !s->there ? 1 : s->lock_index + (s->session == 0), op->session);
	return true;
}

static bool
step_release(struct key_state *s, const struct op *op, const char **why)
{
	bool holds = s->there && s->session == op->session;

	if (op->answer == ANSWER_NO)
		return !holds || refused(why, "the session held the key");
	if (holds)
		write_value(s, op->value, s->lock_index, 0);
	return holds || op->answer == ANSWER_UNKNOWN ||
	       refused(why, "the session did not hold the key");
}

static void
step_end(struct key_state *s, const struct op *op, unsigned place)
{
	s->ended[place / 64] |= UINT64_C(1) << place % 64;
	if (!s->there || s->session != op->session)
		return;
	if (op->delay > 0)
		s->closed = op->invoke + op->delay;
	if (op->deletes)
		remove_key(s);
	else
		write_value(s, s->value, s->lock_index, 0);
}

bool
key_model_step(struct key_state *s, const struct op *op, unsigned place, const char **why)
{
	bool equal;

	switch (op->verb) {
	case VERB_GET:
		return step_get(s, op, why);
	case VERB_PUT:
		write_value(s, op->value, 0, s->session);
		return true;
	case VERB_DELETE:
		remove_key(s);
		return true;
	case VERB_CAS:
		if (!step_compare(s, op, &equal, why))
			return false;
		if (equal)
			write_value(s, op->value, 0, s->session);
		return true;
	case VERB_DELETE_CAS:
		if (!step_compare(s, op, &equal, why))
			return false;
		if (equal)
			remove_key(s);
		return true;
	case VERB_ACQUIRE:
		return step_acquire(s, op, place, why);
	case VERB_RELEASE:
		return step_release(s, op, why);
	case VERB_END:
		step_end(s, op, place);
		return true;
	}
	return false;
}

static void
write_index(struct buf *b, uint64_t index, uint64_t lock_index)
{
	buf_addf(b, ", index %" PRIu64, index);
	if (lock_index != 0)
		buf_addf(b, ", LockIndex %" PRIu64, lock_index);
}

void
key_model_write(struct buf *b, const struct history *h, const struct key_state *s)
{
	if (!s->there) {
		buf_add(b, STR("the key is not there"));
		return;
	}
	buf_addf(b, "the key holds %s",
	    s->value == KEY_VALUE_UNREAD ? "what nobody has read" : h->words[s->value]);
	if (s->index != 0)
		write_index(b, s->index, s->lock_index);
	else
		buf_addf(
		    b, ", an index above %" PRIu64 ", LockIndex %" PRIu64, s->floor, s->lock_index);
	if (s->session != 0)
		buf_addf(b, ", session %s", h->words[s->session]);
}

void
key_model_write_op(struct buf *b, const struct history *h, const struct op *op)
{
	static const char *const verbs[] = { "get", "put", "cas", "delete", "delete-cas", "acquire",
		"release", "end" };
	static const char *const answers[] = { "?", "yes", "no", "invalid session" };

	buf_addf(b, "%s", verbs[op->verb]);
	if (op->verb == VERB_CAS || op->verb == VERB_DELETE_CAS)
		buf_addf(b, " %" PRIu64, op->index);
	if (op->verb != VERB_GET && op->session != 0)
		buf_addf(b, " %s", h->words[op->session]);
	if (op->verb != VERB_GET && op->value != 0)
		buf_addf(b, " %s", h->words[op->value]);
	buf_add(b, STR(" = "));
	if (op->verb != VERB_GET) {
		buf_addf(b, "%s", answers[op->answer]);
		return;
	}
	if (op->answer != ANSWER_YES) {
		buf_add(b, op->answer == ANSWER_NO ? STR("none") : STR("?"));
		return;
	}
	buf_addf(b, "%s", h->words[op->value]);
	write_index(b, op->index, op->lock_index);
	if (op->session != 0)
		buf_addf(b, ", session %s", h->words[op->session]);
}
