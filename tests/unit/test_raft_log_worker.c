/* The log's thread: order, acknowledgements, a disk that fails for a while, a clean stop. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "kv/raft_log_worker_io.h"
#include "tests/unit/fault_disk.h"
#include "tests/unit/test.h"

#define RAFT_ID 5
#define SEGMENT 65536

static struct fault_disk disk;

struct bench {
	char path[64];
	struct event_base *base;
	struct raft_log *log;
	struct raft_vote_file *vote;
	struct raft_log_worker *worker;
	struct raft_log_done done;
	int said;
};

static void
on_done(void *arg, const struct raft_log_done *done)
{
	struct bench *b = arg;

	assert_true(done->ticket >= b->done.ticket);
	b->done = *done;
	b->said += done->code != 0;
	event_base_loopbreak(b->base);
}

static void
log_open(struct bench *b)
{
	struct raft_log_config config = { .raft_id = RAFT_ID, .segment_size = SEGMENT };

	b->log = raft_log_open(&disk.calls, &config, NULL);
	assert_non_null(b->log);
}

static void
set_up(struct bench *b)
{
	struct raft_vote v = { .raft_id = RAFT_ID };

	memset(b, 0, sizeof *b);
	snprintf(b->path, sizeof b->path, "raft-log-XXXXXX");
	assert_non_null(mkdtemp(b->path));
	fault_disk_open(&disk, b->path);
	b->base = event_base_new();
	log_open(b);
	assert_int_equal(raft_vote_create(&disk.calls, &b->vote, &v, NULL), 0);
	b->worker = raft_log_worker_start(b->base, b->log, b->vote, on_done, b, NULL);
	assert_non_null(b->worker);
}

static void
remove_file(void *arg, const char *name)
{
	(void)arg;
	disk.real->unlink(disk.real, name);
}

static void
tear_down(struct bench *b)
{
	raft_log_close(b->log);
	raft_vote_close(b->vote);
	event_base_free(b->base);
	disk.real->list(disk.real, remove_file, NULL);
	files_close(disk.real);
	assert_int_equal(rmdir(b->path), 0);
}

static uint64_t
append(struct bench *b, uint64_t index)
{
	char text[64];
	struct raft_log_entry e = { index, 1, 2, STR_NONE };

	snprintf(text, sizeof text, "entry %" PRIu64, index);
	e.bytes = str_of(text);
	return raft_log_worker_append(b->worker, &e, NULL);
}

static void
wait_for(struct bench *b, uint64_t ticket)
{
	raft_log_worker_submit(b->worker);
	while (b->done.ticket < ticket)
		assert_int_equal(event_base_dispatch(b->base), 0);
}

static void
assert_log(struct bench *b, size_t want)
{
	const struct raft_log_entry *e;
	char text[64];
	size_t count;

	raft_log_close(b->log);
	log_open(b);
	e = raft_log_entries(b->log, &count);
	assert_int_equal(count, want);
	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof text, "entry %zu", i + 1);
		assert_str(e[i].bytes, text);
	}
}

static void
what_was_queued_is_there_in_order(void **unused)
{
	struct raft_vote v = { .term = 8, .voted_for = 3, .raft_id = RAFT_ID }, got;
	struct bench b;
	uint64_t ticket = 0, index = 0;

	(void)unused;
	set_up(&b);
	for (int turn = 0; turn < 100; turn++) {
		for (int i = 0; i < 50; i++)
			ticket = append(&b, ++index);
		assert_int_equal(append(&b, index + 2), 0);
		raft_log_worker_submit(b.worker);
		event_base_loop(b.base, EVLOOP_NONBLOCK);
	}
	wait_for(&b, ticket);
	assert_int_equal(b.done.durable, index);
	ticket = raft_log_worker_truncate(b.worker, index - 9, NULL);
	wait_for(&b, raft_log_worker_vote(b.worker, &v));
	assert_int_equal(b.done.durable, index - 10);
	assert_int_equal(raft_log_worker_stop(b.worker, NULL), 0);
	assert_log(&b, index - 10);
	raft_vote_close(b.vote);
	assert_int_equal(raft_vote_open(&disk.calls, &b.vote, &got, NULL), 0);
	assert_int_equal(got.term, 8);
	assert_int_equal(got.voted_for, 3);
	tear_down(&b);
}

static void
what_waits_together_shares_a_sync(void **unused)
{
	struct bench b;
	uint64_t ticket = 0;
	int before;

	(void)unused;
	set_up(&b);
	before = disk.syncs;
	for (uint64_t i = 1; i <= 64; i++)
		ticket = append(&b, i);
	wait_for(&b, ticket);
	assert_int_equal(disk.syncs, before + 1);
	assert_int_equal(raft_log_worker_stop(b.worker, NULL), 0);
	assert_log(&b, 64);
	tear_down(&b);
}

static void
a_full_disk_is_said_once_and_outlived(void **unused)
{
	struct bench b;
	uint64_t ticket;

	(void)unused;
	set_up(&b);
	wait_for(&b, append(&b, 1));
	disk.full = true;
	ticket = append(&b, 2);
	raft_log_worker_submit(b.worker);
	while (b.said == 0)
		assert_int_equal(event_base_dispatch(b.base), 0);
	assert_int_equal(b.done.code, ERR_IO);
	assert_int_equal(b.done.durable, 1);
	ticket = append(&b, 3);
	raft_log_worker_submit(b.worker);
	disk.full = false;
	wait_for(&b, ticket);
	assert_int_equal(b.said, 1);
	assert_int_equal(b.done.code, 0);
	assert_int_equal(b.done.durable, 3);
	assert_int_equal(raft_log_worker_stop(b.worker, NULL), 0);
	assert_log(&b, 3);
	tear_down(&b);
}

static void
stopping_writes_what_waits(void **unused)
{
	struct bench b;
	struct err err = { 0 };

	(void)unused;
	set_up(&b);
	append(&b, 1);
	append(&b, 2);
	assert_int_equal(raft_log_worker_stop(b.worker, NULL), 0);
	assert_log(&b, 2);
	b.worker = raft_log_worker_start(b.base, b.log, b.vote, on_done, &b, NULL);
	disk.full = true;
	append(&b, 3);
	assert_int_equal(raft_log_worker_stop(b.worker, &err), ERR_IO);
	disk.full = false;
	assert_log(&b, 2);
	tear_down(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_queued_is_there_in_order),
		cmocka_unit_test(what_waits_together_shares_a_sync),
		cmocka_unit_test(a_full_disk_is_said_once_and_outlived),
		cmocka_unit_test(stopping_writes_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
