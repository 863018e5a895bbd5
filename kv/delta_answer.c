/* kv/delta_answer.c -- our digests beside another agent's: what it lacks, what we lack.
 *
 * Both lists are sorted by owner id, so one walk over the two meets every owner once. Scuttlebutt
 * (van Renesse et al., 2008), with epochs, floors and hashes beside its numbers (RULES 1, 2).
 */
#include "kv/delta.h"

void
delta_digests(const struct store *s, struct buf *out)
{
	struct digest d;
	size_t cursor = 0;

	while (store_digest_next(s, &cursor, &d)) {
		char *room = buf_reserve(out, DIGEST_SIZE_MAX);
		struct writer w;

		if (room == NULL)
			return;
		w = wr_of(room, DIGEST_SIZE_MAX);
		digest_write(&w, &d);
		buf_commit(out, w.pos);
	}
}

/* Well formed, sorted, none twice: checked before anything is answered. */
static bool
delta_digests_valid(struct str digests)
{
	struct reader r = rd_of(digests);
	struct digest d, last;

	for (size_t n = 0; rd_left(&r) > 0; n++) {
		if (!digest_read(&r, &d) || (n > 0 && uuid_cmp(&last.owner, &d.owner) >= 0))
			return false;
		last = d;
	}
	return true;
}

/* `theirs` is all zero when they have never heard of the owner. */
static enum delta_verdict
delta_judge(const struct digest *ours, const struct digest *theirs, bool writer)
{
	int order = epoch_cmp(&theirs->epoch, &ours->epoch);

	if (order > 0) /* an epoch of our own that we do not know is no state to take */
		return theirs->number > 0 && !writer ? DELTA_BEHIND : DELTA_EVEN;
	if (order < 0)
		return DELTA_GIVE_WHOLE;
	if (theirs->number > ours->number)
		return writer ? DELTA_EVEN : DELTA_BEHIND;
	if (theirs->number < ours->number)
		return DELTA_GIVE;
	if (ours->exact && theirs->exact && ours->hash != theirs->hash)
		return writer ? DELTA_GIVE_WHOLE : DELTA_DIFFERS;
	return DELTA_EVEN;
}

/* What is kept away may still be held, unseen: so what we lack is judged by what is there, and what
 * we give by what others are told of. */
enum delta_verdict
delta_compare(const struct store *s, const struct digest *theirs)
{
	const struct owner *o = store_owner(s, &theirs->owner);
	struct digest ours = { .owner = theirs->owner }, told;
	enum delta_verdict verdict;

	if (o != NULL)
		ours = owner_digest(o);
	verdict = delta_judge(&ours, theirs, o != NULL && owner_is_writer(o));
	if (verdict == DELTA_DIFFERS && store_cluster_is_taken(s, &theirs->owner))
		verdict = DELTA_GIVE_WHOLE; /* every server's is the owner's own word */
	if (verdict == DELTA_BEHIND &&
	    !store_takes(s, &theirs->owner, theirs->epoch, theirs->number))
		return DELTA_EVEN;
	if (verdict >= DELTA_DIFFERS && !store_digest_of(s, &theirs->owner, &told))
		return DELTA_EVEN;
	return verdict;
}

/* The answer as it grows. */
struct delta_out {
	const struct store *store;
	struct buf *out;
	size_t bytes_max;
	size_t behind; /* owners that they have more of */
	bool more;     /* something was left out for its size */
	bool full;     /* a range did not fit in `out` */
};

static void
delta_out_one(struct delta_out *d, const struct digest *theirs)
{
	enum delta_verdict verdict = delta_compare(d->store, theirs);
	const struct owner *o = store_owner(d->store, &theirs->owner);
	uint64_t after = verdict == DELTA_GIVE ? theirs->number : 0, upto;
	size_t before = d->out->n;

	if (verdict == DELTA_BEHIND)
		d->behind++;
	if (verdict < DELTA_GIVE)
		return;
	if (d->out->n > d->bytes_max) {
		d->more = true;
		return;
	}
	upto = delta_range_framed(o, after, d->bytes_max, d->out);
	if (d->out->full) {
		d->out->full = false;
		d->full = true;
		d->more |= before > 0;
	} else if (d->out->n > before && upto < owner_digest(o).number) {
		d->more = true;
	}
}

/* One walk over both lists, which are sorted by id. */
static void
delta_out_all(struct delta_out *d, const struct delta_scope *scope, struct str digests)
{
	struct reader r = rd_of(digests);
	struct digest ours, theirs;
	bool more = digest_read(&r, &theirs);
	size_t cursor = 0;

	while (!scope->listed && store_digest_next(d->store, &cursor, &ours)) {
		struct digest unheard = { .owner = ours.owner };

		if ((scope->buckets >> delta_bucket(&ours.owner) & 1) == 0)
			continue;
		while (more && uuid_cmp(&theirs.owner, &ours.owner) < 0) {
			delta_out_one(d, &theirs);
			more = digest_read(&r, &theirs);
		}
		if (more && uuid_eq(&theirs.owner, &ours.owner)) {
			delta_out_one(d, &theirs);
			more = digest_read(&r, &theirs);
		} else {
			delta_out_one(d, &unheard);
		}
	}
	for (; more; more = digest_read(&r, &theirs))
		delta_out_one(d, &theirs);
}

int
delta_answer(const struct store *s, struct str digests, size_t bytes_max, struct buf *out,
    size_t *behind, struct err *err)
{
	struct delta_out d = { .store = s, .out = out, .bytes_max = bytes_max };

	if (!delta_digests_valid(digests))
		return err_set(err, ERR_INPUT, "malformed digests in %zu bytes", digests.n);
	delta_out_all(&d, &(struct delta_scope){ .buckets = UINT64_MAX }, digests);
	if (d.full) {
		out->full = true;
		return err_set(err, ERR_LIMIT, "an answer of over %zu bytes", out->cap);
	}
	*behind = d.behind;
	return 0;
}

int
delta_answer_in(const struct store *s, const struct delta_scope *scope, struct str digests,
    size_t bytes_max, struct buf *out, bool *more, struct err *err)
{
	struct delta_out d = { .store = s, .out = out, .bytes_max = bytes_max };

	if (!delta_digests_valid(digests))
		return err_set(err, ERR_INPUT, "malformed digests in %zu bytes", digests.n);
	delta_out_all(&d, scope, digests);
	*more = d.more;
	return 0;
}
