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

enum delta_verdict { DELTA_EVEN, DELTA_BEHIND, DELTA_GIVE, DELTA_GIVE_WHOLE };

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
	if (ours->exact && theirs->exact && ours->hash != theirs->hash && writer)
		return DELTA_GIVE_WHOLE;
	return DELTA_EVEN;
}

/* What they have and we have never heard of. */
static bool
delta_unheard(const struct digest *theirs)
{
	return theirs->number > 0 && theirs->epoch.counter > 0;
}

int
delta_answer(const struct store *s, struct str digests, size_t bytes_max, struct buf *out,
    size_t *behind, struct err *err)
{
	struct reader r = rd_of(digests);
	struct digest ours, theirs;
	size_t cursor = 0, behind_count = 0;
	bool more = false;

	if (!delta_digests_valid(digests))
		return err_set(err, ERR_INPUT, "malformed digests in %zu bytes", digests.n);
	more = digest_read(&r, &theirs);
	while (store_digest_next(s, &cursor, &ours)) {
		struct digest seen = { .owner = ours.owner };
		const struct owner *o = store_owner(s, &ours.owner);
		enum delta_verdict verdict;

		while (more && uuid_cmp(&theirs.owner, &ours.owner) < 0) {
			behind_count += delta_unheard(&theirs);
			more = digest_read(&r, &theirs);
		}
		if (more && uuid_eq(&theirs.owner, &ours.owner)) {
			seen = theirs;
			more = digest_read(&r, &theirs);
		}
		if (o == NULL)
			continue;
		verdict = delta_judge(&ours, &seen, owner_is_writer(o));
		if (verdict == DELTA_BEHIND)
			behind_count++;
		if (verdict < DELTA_GIVE || out->n > bytes_max)
			continue;
		delta_range_framed(o, verdict == DELTA_GIVE ? seen.number : 0, bytes_max, out);
		if (out->full)
			return err_set(err, ERR_LIMIT, "an answer of over %zu bytes", out->cap);
	}
	for (; more; more = digest_read(&r, &theirs))
		behind_count += delta_unheard(&theirs);
	*behind = behind_count;
	return 0;
}
