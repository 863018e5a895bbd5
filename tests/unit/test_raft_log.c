/* The Raft log against crashes after every call, full disks and damaged bytes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kv/raft_log_io.h"
#include "kv/raft_snapshot_io.h"
#include "kv/raft_vote_io.h"
#include "tests/unit/crash_disk.h"
#include "tests/unit/test.h"

#define RAFT_ID 77
#define SEGMENT 4096
#define INDEX_MAX 256
#define STEPS_MAX 512
#define BODY_MAX 1500

struct state { /* the log after so many operations; tag[i] says which entry i is */
	uint64_t first, last;
	uint32_t tag[INDEX_MAX];
	uint64_t term[INDEX_MAX];
};

struct mark { /* from this call on … */
	size_t op;
	size_t states_acked, states_queued;
	uint64_t votes_acked, votes_tried;
	uint64_t snapshot_acked, snapshot_tried;
};

struct run {
	struct crash_disk *disk;
	struct raft_log *log;
	struct raft_vote_file *vote;
	struct rng rng;
	struct state states[STEPS_MAX];
	size_t state_count;
	struct mark marks[4 * STEPS_MAX];
	size_t mark_count;
	struct mark now;
	uint32_t tags;
	uint64_t term;
	unsigned direct;
};

static const struct raft_log_config config = { .raft_id = RAFT_ID, .segment_size = SEGMENT };

static struct str
body_of(uint32_t tag, char *room)
{
	size_t n = tag % 5 == 0 ? 0 : tag * 131u % BODY_MAX;

	for (size_t i = 0; i < n; i++)
		room[i] = (char)(tag * 7 + i * 13);
	return str_mem(room, n);
}

static void
mark(struct run *r)
{
	r->now.op = r->disk->op_count;
	r->marks[r->mark_count++] = r->now;
}

static struct state *
state_next(struct run *r)
{
	r->states[r->state_count] = r->states[r->state_count - 1];
	r->now.states_queued = r->state_count;
	return &r->states[r->state_count++];
}

static void
step_append(struct run *r)
{
	struct state *s = &r->states[r->state_count - 1];
	struct raft_log_entry e = { .index = s->last + 1, .term = r->term };
	char room[BODY_MAX];

	if (e.index >= INDEX_MAX)
		return;
	e.bytes = body_of(++r->tags, room);
	e.type = (uint16_t)r->tags;
	assert_int_equal(raft_log_append(r->log, &e, NULL), 0);
	s = state_next(r);
	s->last = e.index;
	s->tag[e.index] = r->tags;
	s->term[e.index] = r->term;
}

/* As the kernel writes what it is handed: durable once it has ended. One in three goes wrong. */
static void
step_direct(struct run *r)
{
	struct files *f = &r->disk->calls;
	struct raft_log_direct d;
	uint32_t dice;

	if (!raft_log_direct_begin(r->log, &d))
		return;
	assert_true(d.at % 4096 == 0 && d.n % 4096 == 0 && (uintptr_t)d.p % 4096 == 0);
	dice = rng_below(&r->rng, 3);
	assert_int_equal(f->write(f, d.handle, d.at, d.p, dice > 0 ? d.n : 512), 0);
	if (dice > 0)
		assert_int_equal(f->sync(f, d.handle), 0);
	raft_log_direct_end(r->log, dice > 0);
	r->direct += dice > 0;
}

static void
step_flush(struct run *r)
{
	mark(r);
	if (rng_below(&r->rng, 2) == 0)
		step_direct(r);
	assert_int_equal(raft_log_flush(r->log, NULL), 0);
	r->now.states_acked = r->state_count - 1;
	assert_int_equal(raft_log_durable(r->log), r->states[r->state_count - 1].last);
	mark(r);
}

static void
step_truncate(struct run *r)
{
	struct state *s = &r->states[r->state_count - 1];
	uint64_t low = r->now.snapshot_acked + 1;

	if (s->last < low || s->last < s->first)
		return;
	r->term++;
	low += rng_below(&r->rng, (uint32_t)(s->last - low + 1));
	assert_int_equal(raft_log_truncate(r->log, low, NULL), 0);
	s = state_next(r);
	s->last = low - 1;
}

static void
step_vote(struct run *r)
{
	struct raft_vote v = { .term = ++r->now.votes_tried, .raft_id = RAFT_ID };

	v.voted_for = v.term * 3;
	mark(r);
	assert_int_equal(raft_vote_write(r->vote, &v, NULL), 0);
	r->now.votes_acked = v.term;
	mark(r);
}

/* Of what is durable, or one from a leader that is ahead; then the log follows it. */
static void
step_snapshot(struct run *r, bool ahead)
{
	struct state *s = &r->states[r->state_count - 1];
	struct raft_snapshot_meta meta = { .config = STR("three servers") };
	struct raft_snapshot_writer *w;

	step_flush(r);
	meta.index = s->last + (ahead ? 3 : 0);
	if (meta.index <= r->now.snapshot_acked || meta.index + 1 >= INDEX_MAX)
		return;
	meta.term = ahead ? r->term : s->term[meta.index];
	r->now.snapshot_tried = meta.index;
	mark(r);
	w = raft_snapshot_begin(&r->disk->calls, &meta, NULL);
	assert_int_equal(raft_snapshot_add(w, STR("state"), NULL), 0);
	assert_int_equal(raft_snapshot_commit(w, NULL), 0);
	r->now.snapshot_acked = meta.index;
	mark(r);
	if (ahead) {
		assert_int_equal(raft_log_reset(r->log, meta.index + 1, r->term, NULL), 0);
		s = state_next(r);
		s->first = meta.index + 1;
		s->last = meta.index;
		step_flush(r);
	}
	assert_int_equal(raft_log_drop_prefix(r->log, meta.index, NULL), 0);
	mark(r);
}

static void
run_make(struct run *r, uint64_t seed, unsigned steps)
{
	/* one block; several, with zeros ahead; one that ends within a block */
	static const uint32_t sizes[] = { SEGMENT, 4 * SEGMENT, SEGMENT + 2056 };
	struct raft_log_config some = { .raft_id = RAFT_ID, .segment_size = sizes[seed % 3] };

	memset(r, 0, sizeof *r);
	rng_init(&r->rng, seed);
	r->disk = crash_disk_new();
	r->term = 1;
	r->states[0] = (struct state){ .first = 1 };
	r->state_count = 1;
	assert_int_equal(raft_vote_create(&r->disk->calls, &r->vote,
			     &(struct raft_vote){ .raft_id = RAFT_ID }, NULL),
	    0);
	r->log = raft_log_open(&r->disk->calls, &some, NULL);
	assert_non_null(r->log);
	mark(r);
	for (unsigned i = 0; i < steps; i++) {
		uint32_t dice = rng_below(&r->rng, 100);

		if (dice < 55)
			step_append(r);
		else if (dice < 80)
			step_flush(r);
		else if (dice < 88)
			step_truncate(r);
		else if (dice < 94)
			step_vote(r);
		else
			step_snapshot(r, dice == 99);
	}
	step_flush(r);
}

static void
run_done(struct run *r)
{
	raft_log_close(r->log);
	raft_vote_close(r->vote);
	crash_disk_free(r->disk);
}

static struct raft_log *
reopen(struct crash_disk *disk, uint64_t *snapshot, struct raft_vote *vote, struct err *err)
{
	struct raft_log_config c = config;
	struct raft_vote_file *file;
	struct raft_snapshot *s;

	*snapshot = 0;
	if (raft_vote_open(&disk->calls, &file, vote, err) < 0)
		return NULL;
	raft_vote_close(file);
	if (raft_snapshot_open(&disk->calls, &s, NULL, NULL, err) == 0) {
		const struct raft_snapshot_meta *meta = raft_snapshot_meta(s);
		char data[5];

		assert_str(meta->config, "three servers");
		assert_int_equal(raft_snapshot_read(s, 0, data, 5, NULL), 0);
		assert_memory_equal(data, "state", 5);
		*snapshot = meta->index;
		c.snapshot_index = meta->index;
		c.snapshot_term = meta->term;
		raft_snapshot_close(s);
	}
	return raft_log_open(&disk->calls, &c, err);
}

static bool
matches(const struct raft_log *log, const struct state *s, uint64_t snapshot)
{
	size_t count;
	const struct raft_log_entry *e = raft_log_entries(log, &count);
	char room[BODY_MAX];

	if (s->last < snapshot)
		return count == 0 && raft_log_last(log) == snapshot;
	if (raft_log_last(log) != s->last)
		return false;
	if (count == 0)
		return s->last == snapshot || s->last == 0 || s->first > s->last;
	if (e[0].index < s->first || e[0].index > snapshot + 1)
		return false;
	for (size_t i = 0; i < count; i++) {
		uint32_t tag = s->tag[e[i].index];

		if (e[i].index != e[0].index + i || e[i].type != (uint16_t)tag ||
		    !str_eq(e[i].bytes, body_of(tag, room)))
			return false;
	}
	return e[0].index + count - 1 == s->last;
}

static void
assert_recovers(const struct run *r, struct crash_disk *disk, size_t ops)
{
	const struct mark *m = r->marks, *last = r->marks;
	struct raft_vote vote;
	struct err err = { 0 };
	struct raft_log *log;
	uint64_t snapshot;
	bool good = false;

	/* Acknowledged: the last mark at or before this call. Tried: the same (marks are set
	 * before a flush begins too). */
	for (size_t i = 0; i < r->mark_count; i++, m++)
		if (m->op <= ops)
			last = m;
	log = reopen(disk, &snapshot, &vote, &err);
	if (log == NULL)
		fail_msg("after %zu calls: %s", ops, err.text);
	assert_in_range(vote.term, last->votes_acked, last->votes_tried);
	assert_true(vote.voted_for == vote.term * 3 && vote.raft_id == RAFT_ID);
	assert_in_range(snapshot, last->snapshot_acked, last->snapshot_tried);
	for (size_t i = last->states_acked; i <= last->states_queued && !good; i++)
		good = matches(log, &r->states[i], snapshot);
	if (!good)
		fail_msg("after %zu calls: last %" PRIu64 ", snapshot %" PRIu64
			 ", states %zu to %zu",
		    ops, raft_log_last(log), snapshot, last->states_acked, last->states_queued);
	raft_log_close(log);
}

/* A killed process, a start, then the power goes: what the start saw must still be there. */
static void
assert_kill_then_crash(const struct run *r, size_t ops)
{
	struct crash_disk *killed = crash_disk_replay(r->disk, ops), *dark;
	struct raft_vote seen, again;
	struct raft_log *a, *b;
	uint64_t snapshot, snapshot_again;
	size_t n = 0, m = 0;

	a = reopen(killed, &snapshot, &seen, NULL);
	assert_non_null(a);
	dark = crash_disk_after(killed, killed->op_count, KEEP_NONE, 0, false);
	b = reopen(dark, &snapshot_again, &again, NULL);
	assert_non_null(b);
	raft_log_entries(a, &n);
	raft_log_entries(b, &m);
	assert_int_equal(snapshot, snapshot_again);
	assert_int_equal(raft_log_last(a), raft_log_last(b));
	assert_int_equal(n, m);
	assert_int_equal(seen.term, again.term);
	raft_log_close(a);
	raft_log_close(b);
	crash_disk_free(killed);
	crash_disk_free(dark);
}

static void
assert_crash(const struct run *r, size_t ops, enum crash_keep keep, size_t sector)
{
	for (int names = 0; names < 2; names++) {
		struct crash_disk *d = crash_disk_after(r->disk, ops, keep, sector, names);

		assert_recovers(r, d, ops);
		crash_disk_free(d);
	}
}

static void
a_crash_after_any_call_loses_nothing_acknowledged(void **unused)
{
	static struct run r;
	unsigned direct = 0;

	(void)unused;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		run_make(&r, seed, 90);
		direct += r.direct;
		for (size_t ops = r.marks[0].op; ops <= r.disk->op_count; ops++) {
			size_t sectors = crash_disk_sectors(r.disk, ops);

			for (enum crash_keep k = KEEP_NONE; k <= KEEP_EARLY; k++)
				assert_crash(&r, ops, k, 0);
			for (size_t s = 1; s < sectors; s++) {
				assert_crash(&r, ops, KEEP_HEAD, s);
				assert_crash(&r, ops, KEEP_TAIL, s);
			}
			assert_kill_then_crash(&r, ops);
		}
		run_done(&r);
	}
	assert_true(direct >= 20);
}

static void
fill(struct raft_log *log, unsigned flushes, unsigned per_flush)
{
	char room[BODY_MAX];

	for (unsigned i = 0; i < flushes; i++) {
		for (unsigned k = 0; k < per_flush; k++) {
			struct raft_log_entry e = { raft_log_last(log) + 1, 1, 1, STR_NONE };

			e.bytes = body_of((uint32_t)e.index, room);
			assert_int_equal(raft_log_append(log, &e, NULL), 0);
		}
		assert_int_equal(raft_log_flush(log, NULL), 0);
	}
}

/* No flipped byte anywhere is served: before the last write it is named, with file and offset. */
static void
a_damaged_byte_is_named(void **unused)
{
	struct crash_disk *d = crash_disk_new();
	struct raft_log *log = raft_log_open(&d->calls, &config, NULL);
	struct crash_file *f;
	char name[32];
	unsigned k;
	size_t end;

	(void)unused;
	fill(log, 8, 2);
	raft_log_close(log);
	for (k = 1;; k++) {
		snprintf(name, sizeof name, "log-%016x", k);
		f = crash_disk_find(d, name);
		if (f == NULL)
			break;
		end = segment_dirt_end(str_mem(f->p, f->n));
		for (size_t i = 0; i < end; i++) {
			struct err err = { 0 };

			f->p[i] ^= 0x20;
			log = raft_log_open(&d->calls, &config, &err);
			if (log != NULL)
				print_error("%s: byte %zu of %zu\n", name, i, end);
			assert_null(log);
			assert_int_equal(err.code, ERR_INPUT);
			assert_non_null(strstr(err.text, "damaged at offset"));
			assert_non_null(strstr(err.text, name));
			f->p[i] ^= 0x20;
		}
	}
	assert_true(k > 3);
	crash_disk_free(d);
}

/* What a torn write left behind the cut must not come back when something is written there. */
static void
a_cut_tail_stays_cut(void **unused)
{
	struct crash_disk *d = crash_disk_new(), *dark;
	struct raft_log *log = raft_log_open(&d->calls, &config, NULL);
	static const char big[920]; /* with its frame: 968 bytes, all of the next sector too */
	struct raft_log_entry e = { 1, 1, 1, { big, sizeof big } };
	size_t count;

	(void)unused;
	assert_int_equal(raft_log_append(log, &e, NULL), 0);
	e.index = 2;
	e.type = 66;
	assert_int_equal(raft_log_append(log, &e, NULL), 0);
	assert_int_equal(raft_log_flush(log, NULL), 0);
	raft_log_close(log);
	dark = crash_disk_after(d, d->op_count - 1, KEEP_TAIL, 2, true); /* entry 2 is whole */
	log = raft_log_open(&dark->calls, &config, NULL);
	assert_non_null(log);
	assert_int_equal(raft_log_last(log), 0);
	assert_true(raft_log_torn(log) > 900);
	e.index = 1;
	assert_int_equal(raft_log_append(log, &e, NULL), 0);
	assert_int_equal(raft_log_flush(log, NULL), 0);
	raft_log_close(log);
	log = raft_log_open(&dark->calls, &config, NULL);
	assert_non_null(log);
	raft_log_entries(log, &count);
	assert_int_equal(count, 1);
	raft_log_close(log);
	crash_disk_free(d);
	crash_disk_free(dark);
}

static void
only_what_a_snapshot_covers_is_dropped(void **unused)
{
	struct raft_log_config with = config;
	struct raft_log *log;
	struct err err;
	size_t count;

	(void)unused;
	with.snapshot_term = 1;
	for (uint64_t up_to = 1; up_to <= 40; up_to++) {
		struct crash_disk *d = crash_disk_new();

		log = raft_log_open(&d->calls, &config, NULL);
		fill(log, 20, 2);
		assert_int_equal(raft_log_drop_prefix(log, up_to, NULL), 0);
		assert_in_range(raft_log_first(log), 1, up_to + 1);
		assert_true(up_to < 20 || raft_log_first(log) > 1);
		raft_log_close(log);
		with.snapshot_index = up_to;
		log = raft_log_open(&d->calls, &with, &err);
		assert_non_null(log);
		assert_int_equal(raft_log_last(log), 40);
		assert_in_range(raft_log_first(log), 1, up_to + 1);
		raft_log_entries(log, &count);
		assert_int_equal(count, 41 - raft_log_first(log));
		if (raft_log_first(log) > 1) { /* without the snapshot there is a hole */
			assert_null(raft_log_open(&d->calls, &config, &err));
			assert_int_equal(err.code, ERR_INPUT);
			assert_non_null(strstr(err.text, "missing"));
		}
		raft_log_close(log);
		crash_disk_free(d);
	}
}

static void
a_full_disk_is_said_and_then_forgotten(void **unused)
{
	struct crash_disk *d = crash_disk_new(), *dark;
	struct raft_log *log = raft_log_open(&d->calls, &config, NULL);
	struct raft_log_entry e = { 0 };
	struct err err = { 0 };
	char room[BODY_MAX];

	(void)unused;
	fill(log, 3, 2);
	for (int round = 0; round < 6; round++) {
		uint64_t durable = raft_log_durable(log);

		d->full = true;
		e = (struct raft_log_entry){ raft_log_last(log) + 1, 1, 1, STR_NONE };
		e.bytes = body_of((uint32_t)e.index, room);
		assert_int_equal(raft_log_append(log, &e, NULL), 0);
		assert_int_equal(raft_log_flush(log, &err), ERR_IO);
		assert_non_null(strstr(err.text, "No space left"));
		assert_int_equal(raft_log_durable(log), durable);
		/* Another entry takes the place of the one that is half on the disk. */
		if (round % 2 == 1) {
			assert_int_equal(raft_log_truncate(log, e.index, NULL), 0);
			e.term = 1;
			assert_int_equal(raft_log_append(log, &e, NULL), 0);
		}
		for (size_t ops = d->op_count - 1; ops <= d->op_count; ops++) {
			struct raft_log *after;

			dark = crash_disk_after(d, ops, KEEP_ALL, 0, true);
			after = raft_log_open(&dark->calls, &config, &err);
			assert_non_null(after);
			assert_true(raft_log_last(after) >= durable);
			raft_log_close(after);
			crash_disk_free(dark);
		}
		d->full = false;
		assert_int_equal(raft_log_flush(log, NULL), 0);
		assert_int_equal(raft_log_durable(log), e.index);
	}
	raft_log_close(log);
	log = raft_log_open(&d->calls, &config, &err);
	assert_non_null(log);
	assert_int_equal(raft_log_last(log), e.index);
	raft_log_close(log);
	crash_disk_free(d);
}

static void
a_batch_is_one_write_and_one_sync(void **unused)
{
	struct crash_disk *d = crash_disk_new();
	struct raft_log_config big = { .raft_id = RAFT_ID };
	struct raft_log *log = raft_log_open(&d->calls, &big, NULL);
	size_t before;

	(void)unused;
	fill(log, 1, 64); /* with the zeros ahead of it */
	before = d->op_count;
	fill(log, 1, 64);
	assert_int_equal(d->op_count, before + 2);
	assert_int_equal(d->op[before].kind, OP_WRITE);
	assert_int_equal(d->op[before + 1].kind, OP_SYNC);
	raft_log_close(log);
	crash_disk_free(d);
}

/* So that a sync has nothing to write but the records: of 200 batches one or two go to a place that
 * was never written, and bring zeros for what comes behind. */
static void
most_writes_are_where_zeros_were_written(void **unused)
{
	struct crash_disk *d = crash_disk_new();
	struct raft_log_config big = { .raft_id = RAFT_ID };
	struct raft_log *log = raft_log_open(&d->calls, &big, NULL);
	size_t wider = 0, writes = 0, count;
	uint64_t end = 0;

	(void)unused;
	for (size_t i = d->op_count, batch = 0; batch < 200; batch++) {
		bool wide = false;

		fill(log, 1, 1);
		for (; i < d->op_count; i++) {
			const struct crash_op *op = &d->op[i];

			if (op->kind != OP_WRITE)
				continue;
			writes++;
			if (op->at + op->n <= end)
				continue;
			wide = true;
			end = op->at + op->n;
			assert_int_equal(op->bytes[op->n - 1], 0);
		}
		wider += wide;
	}
	assert_in_range(wider, 1, 2);
	assert_in_range(writes, 202, 220);
	raft_log_close(log);
	log = raft_log_open(&d->calls, &big, NULL);
	(void)raft_log_entries(log, &count);
	assert_int_equal(count, 200);
	raft_log_close(log);
	crash_disk_free(d);
}

static void
what_does_not_follow_is_refused(void **unused)
{
	struct crash_disk *d = crash_disk_new();
	struct raft_log *log = raft_log_open(&d->calls, &config, NULL);
	struct raft_log_config other = { .raft_id = RAFT_ID + 1, .segment_size = SEGMENT };
	struct raft_log_entry e = { 2, 5, 0, STR("x") };
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(raft_log_append(log, &e, &err), ERR_CONFLICT);
	e.index = 1;
	assert_int_equal(raft_log_append(log, &e, &err), 0);
	e = (struct raft_log_entry){ 2, 4, 0, STR("x") };
	assert_int_equal(raft_log_append(log, &e, &err), ERR_CONFLICT);
	fill(log, 0, 0);
	assert_int_equal(raft_log_flush(log, NULL), 0);
	raft_log_close(log);
	assert_null(raft_log_open(&d->calls, &other, &err));
	assert_int_equal(err.code, ERR_REFUSED);
	crash_disk_free(d);
}

/* One copy of the vote may be lost; with both lost nothing is made up. */
static void
one_damaged_vote_is_mended_and_two_are_named(void **unused)
{
	struct crash_disk *d = crash_disk_new();
	struct raft_vote v = { .term = 9, .voted_for = 4, .raft_id = RAFT_ID }, got;
	struct raft_vote_file *file;
	struct crash_file *f;
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(raft_vote_open(&d->calls, &file, &got, &err), ERR_NOT_FOUND);
	assert_int_equal(raft_vote_create(&d->calls, &file, &v, NULL), 0);
	raft_vote_close(file);
	f = crash_disk_find(d, RAFT_VOTE_FILE);
	for (size_t i = 0; i < 512; i++) {
		f->p[i] ^= 1;
		assert_int_equal(raft_vote_open(&d->calls, &file, &got, NULL), 0);
		assert_int_equal(got.term, 9);
		raft_vote_close(file);
		assert_int_equal(raft_vote_open(&d->calls, &file, &got, NULL), 0);
		raft_vote_close(file);
	}
	f->p[20] ^= 1;
	f->p[4096 + 20] ^= 1;
	assert_int_equal(raft_vote_open(&d->calls, &file, &got, &err), ERR_INPUT);
	assert_non_null(strstr(err.text, "vote"));
	crash_disk_free(d);
}

static void
note(void *arg, const char *text)
{
	(void)text;
	++*(int *)arg;
}

static void
a_damaged_snapshot_is_named_and_never_served(void **unused)
{
	struct crash_disk *d = crash_disk_new();
	struct raft_snapshot_meta meta = { .index = 5, .term = 2, .config = STR("c") };
	struct raft_snapshot_writer *w = raft_snapshot_begin(&d->calls, &meta, NULL);
	struct raft_snapshot *s;
	struct crash_file *f;
	int named = 0;

	(void)unused;
	assert_int_equal(raft_snapshot_add(w, STR("0123456789"), NULL), 0);
	assert_int_equal(raft_snapshot_commit(w, NULL), 0);
	f = crash_disk_find(d, "snapshot-0000000000000005-0000000000000002");
	assert_non_null(f);
	for (size_t i = 0; i < f->n; i++) {
		f->p[i] ^= 4;
		assert_int_equal(
		    raft_snapshot_open(&d->calls, &s, note, &named, NULL), ERR_NOT_FOUND);
		assert_int_equal(named, i + 1);
		f->p[i] ^= 4;
	}
	assert_int_equal(raft_snapshot_open(&d->calls, &s, note, &named, NULL), 0);
	raft_snapshot_close(s);
	crash_disk_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crash_after_any_call_loses_nothing_acknowledged),
		cmocka_unit_test(a_damaged_byte_is_named),
		cmocka_unit_test(a_cut_tail_stays_cut),
		cmocka_unit_test(only_what_a_snapshot_covers_is_dropped),
		cmocka_unit_test(a_full_disk_is_said_and_then_forgotten),
		cmocka_unit_test(a_batch_is_one_write_and_one_sync),
		cmocka_unit_test(most_writes_are_where_zeros_were_written),
		cmocka_unit_test(what_does_not_follow_is_refused),
		cmocka_unit_test(one_damaged_vote_is_mended_and_two_are_named),
		cmocka_unit_test(a_damaged_snapshot_is_named_and_never_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
