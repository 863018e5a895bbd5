/* The log's thread: order, acknowledgements, a disk that fails for a while, a clean stop. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "kv/direct_io.h"
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
set_up_with(struct bench *b, bool direct)
{
	struct raft_vote v = { .raft_id = RAFT_ID };

	memset(b, 0, sizeof *b);
	snprintf(b->path, sizeof b->path, "raft-log-XXXXXX");
	assert_non_null(mkdtemp(b->path));
	fault_disk_open(&disk, b->path);
	disk.direct = direct;
	b->base = event_base_new();
	log_open(b);
	assert_int_equal(raft_vote_create(&disk.calls, &b->vote, &v, NULL), 0);
	b->worker = raft_log_worker_start(b->base, b->log, b->vote, on_done, b, NULL);
	assert_non_null(b->worker);
}

static void
set_up(struct bench *b)
{
	set_up_with(b, false);
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

/* Whether the kernel writes by itself here; it may be too old, or not allowed to. */
static bool
direct_here(void)
{
	char *block = aligned_alloc(4096, 4096);
	int ring = eventfd(0, 0), h = disk.real->open(disk.real, "probe", FILES_NEW), to, rc;
	struct direct_io *d = direct_io_new(ring);

	memset(block, 'x', 4096);
	to = disk.real->open(disk.real, "probe", FILES_DIRECT);
	rc = to < 0 || d == NULL ? -ENOSYS : direct_io_start(d, to, 0, block, 4096);
	if (rc == 0)
		assert_true(direct_io_ended(d, true, &rc));
	direct_io_free(d);
	free(block);
	if (to >= 0)
		disk.real->close(disk.real, to);
	disk.real->close(disk.real, h);
	close(ring);
	if (rc < 0)
		print_message("no direct writes here: %s\n", strerror(-rc));
	return rc == 0;
}

/* One entry after the other; what of it the thread did has a sync. */
static int
syncs_of(struct bench *b, uint64_t from, uint64_t to, bool cached)
{
	int before = disk.syncs;

	for (uint64_t i = from; i <= to; i++) {
		if (cached) { /* the kernel has to wait for a page to leave the cache */
			char name[] = "log-0000000000000001", byte;
			int h = disk.real->open(disk.real, name, FILES_THERE);

			assert_int_equal(disk.real->read(disk.real, h, SEGMENT_HEAD, &byte, 1), 0);
			disk.real->close(disk.real, h);
		}
		wait_for(b, append(b, i));
		assert_int_equal(b->done.durable, i);
		assert_int_equal(b->done.code, 0);
	}
	return disk.syncs - before;
}

static void
where_zeros_are_the_kernel_writes(void **unused)
{
	struct raft_vote v = { .term = 8, .voted_for = 3, .raft_id = RAFT_ID };
	struct bench b;
	uint64_t ticket = 0;
	bool direct;
	int syncs;

	(void)unused;
	set_up_with(&b, true);
	direct = direct_here();
	syncs = syncs_of(&b, 1, 200, false);
	if (direct)
		assert_int_equal(syncs, 1); /* the first, with zeros ahead of the others */
	syncs_of(&b, 201, 210, true);
	raft_log_worker_submit(b.worker); /* nothing waits */
	/* what is on its way, what waits behind it, what only the thread does, in their order */
	for (uint64_t i = 211; i <= 260; i++) {
		ticket = append(&b, i);
		raft_log_worker_submit(b.worker);
	}
	ticket = raft_log_worker_truncate(b.worker, 251, NULL);
	raft_log_worker_submit(b.worker);
	assert_true(raft_log_worker_vote(b.worker, &v) > ticket);
	wait_for(&b, append(&b, 251));
	assert_int_equal(b.done.durable, 251);
	for (uint64_t i = 252; i <= 255; i++) {
		append(&b, i);
		raft_log_worker_submit(b.worker);
	}
	append(&b, 256); /* nobody was told of this one */
	assert_int_equal(raft_log_worker_stop(b.worker, NULL), 0);
	assert_log(&b, 256);
	b.worker = raft_log_worker_start(b.base, b.log, b.vote, on_done, &b, NULL);
	b.done.ticket = 0;
	syncs_of(&b, 257, 1500, false); /* behind what was found, and into the next file */
	assert_int_equal(raft_log_worker_stop(b.worker, NULL), 0);
	assert_log(&b, 1500);
	tear_down(&b);
}

/* What the kernel is refused: a file past RLIMIT_FSIZE. Only while it begins. */
static void
file_limit(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
what_the_kernel_fails_at_the_thread_writes(void **unused)
{
	struct bench b;
	uint64_t ticket;
	int before;
	bool direct;

	(void)unused;
	signal(SIGXFSZ, SIG_IGN);
	set_up_with(&b, true);
	direct = direct_here();
	syncs_of(&b, 1, 20, false);
	before = disk.syncs;
	ticket = append(&b, 21);
	if (direct)
		file_limit(512);
	raft_log_worker_submit(b.worker);
	file_limit(RLIM_INFINITY);
	wait_for(&b, ticket);
	assert_int_equal(b.said, 0);
	if (direct)
		assert_int_equal(disk.syncs, before + 1);
	syncs_of(&b, 22, 270, false); /* for a while it is not asked */
	if (direct)
		assert_int_equal(disk.syncs, before + 250);
	before = syncs_of(&b, 271, 470, false);
	if (direct)
		assert_in_range(before, 0, 20);
	assert_int_equal(raft_log_worker_stop(b.worker, NULL), 0);
	assert_log(&b, 470);
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
		cmocka_unit_test(where_zeros_are_the_kernel_writes),
		cmocka_unit_test(what_the_kernel_fails_at_the_thread_writes),
		cmocka_unit_test(what_waits_together_shares_a_sync),
		cmocka_unit_test(a_full_disk_is_said_once_and_outlived),
		cmocka_unit_test(stopping_writes_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
