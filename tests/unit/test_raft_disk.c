/* What a server's Raft keeps: order, votes, a full disk, new logs, snapshots out and in, crashes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "kv/raft_disk_io.h"
#include "tests/unit/crash_disk.h"
#include "tests/unit/fault_disk.h"
#include "tests/unit/folder_fixture.h"
#include "tests/unit/fsm_fixture.h"

#define ID 7

static const struct now now = { .mono = 1000 };

struct bench {
	struct event_base *base;
	struct raft_disk *disk;
	struct raft_disk_found found;
	uint64_t durable, stored;
	unsigned voted, stores;
	struct run run; /* the state machine */
	/* of a source or a sink */
	struct buf bytes;
	bool last;
	unsigned news;
	struct raft_disk_source *source;
};

static void
on_durable(void *arg, uint64_t index)
{
	((struct bench *)arg)->durable = index;
}

static void
on_stored(void *arg, uint64_t index)
{
	struct bench *b = arg;

	b->stored = index;
	b->stores++;
}

static void
on_voted(void *arg)
{
	((struct bench *)arg)->voted++;
}

static int
bench_open_at(struct bench *b, struct files *files, struct err *err)
{
	struct raft_disk_config config = {
		.base = b->base,
		.files = files,
		.arg = b,
		.durable = on_durable,
		.stored = on_stored,
		.voted = on_voted,
	};

	return raft_disk_open(&config, now, &b->disk, &b->found, err);
}

static void
bench_open(struct bench *b, struct files *files)
{
	struct err err = { 0 };

	*b = (struct bench){ .base = event_base_new() };
	run_init(&b->run);
	buf_init(&b->bytes, FSM_RUN_MAX);
	if (bench_open_at(b, files, &err) < 0)
		fail_msg("%s", err.text);
}

static void
bench_start(struct bench *b)
{
	assert_int_equal(raft_disk_start(b->disk, NULL), 0);
}

static void
bench_close(struct bench *b)
{
	raft_disk_source_free(b->source);
	assert_int_equal(raft_disk_close(b->disk, NULL), 0);
	fsm_free(b->found.fsm);
	run_done(&b->run);
	buf_done(&b->bytes);
	event_base_free(b->base);
}

static void
turn(struct bench *b)
{
	assert_int_equal(event_base_loop(b->base, EVLOOP_ONCE), 0);
}

static void
found_new(struct bench *b, uint64_t id)
{
	struct raft_vote vote = { .term = 1, .raft_id = id, .flags = 5 };

	vote.cluster_id.b[0] = (uint8_t)id;
	raft_disk_founded(b->disk, &vote);
	raft_disk_turn(b->disk);
}

static void
append(struct bench *b, uint64_t index, uint64_t term)
{
	struct raft_core_action a = { .kind = RAFT_CORE_APPEND };
	char text[64];

	snprintf(text, sizeof text, "%" PRIu64 " of %" PRIu64, index, term);
	a.entry = (struct raft_log_entry){ index, term, 2, str_of(text) };
	raft_disk_act(b->disk, b->run.fsm, &a);
}

static void
act(struct bench *b, enum raft_core_action_kind kind, uint64_t index, uint64_t term)
{
	struct raft_core_action a = { .kind = kind, .index = index };

	if (kind == RAFT_CORE_TRUNCATE || kind == RAFT_CORE_DROP) {
		raft_disk_act(b->disk, b->run.fsm, &a);
		return;
	}
	a.index = 0;
	a.meta = (struct raft_snapshot_meta){ index, term, 1, { { 4 } }, STR("servers") };
	raft_disk_act(b->disk, b->run.fsm, &a);
}

static void
vote_for(struct bench *b, uint64_t term)
{
	struct raft_vote vote = { .term = term, .voted_for = 9, .raft_id = ID, .flags = 5 };

	vote.cluster_id.b[0] = ID;
	raft_disk_vote(b->disk, &vote);
}

static void
wait_durable(struct bench *b, uint64_t index)
{
	raft_disk_turn(b->disk);
	while (b->durable != index)
		turn(b);
}

static void
assert_entry(const struct bench *b, size_t i, uint64_t index, uint64_t term)
{
	const struct raft_log_entry *e = &b->found.found.entries[i];
	char text[64];

	snprintf(text, sizeof text, "%" PRIu64 " of %" PRIu64, index, term);
	assert_true(i < b->found.found.count);
	assert_int_equal(e->index, index);
	assert_int_equal(e->term, term);
	assert_str(e->bytes, text);
}

static void
what_was_told_durable_is_there_after_a_restart(void **unused)
{
	struct files *files = files_open(folder, NULL);
	struct bench b;

	(void)unused;
	bench_open(&b, files);
	assert_false(b.found.there);
	bench_start(&b);
	found_new(&b, ID);
	for (uint64_t i = 1; i <= 10; i++)
		append(&b, i, 1);
	vote_for(&b, 3);
	act(&b, RAFT_CORE_TRUNCATE, 8, 0);
	append(&b, 8, 3);
	wait_durable(&b, 8);
	bench_close(&b);

	bench_open(&b, files);
	assert_true(b.found.there);
	assert_int_equal(b.found.vote.raft_id, ID);
	assert_int_equal(b.found.vote.cluster_id.b[0], ID);
	assert_int_equal(b.found.vote.flags, 5);
	assert_int_equal(b.found.found.term, 3);
	assert_int_equal(b.found.found.voted_for, 9);
	assert_null(b.found.found.snapshot);
	assert_int_equal(b.found.found.count, 8);
	assert_entry(&b, 6, 7, 1);
	assert_entry(&b, 7, 8, 3);
	bench_start(&b);
	append(&b, 9, 3);
	wait_durable(&b, 9);
	bench_close(&b);
	files_close(files);
}

static void
a_vote_counts_once_it_is_durable(void **unused)
{
	struct files *files = files_open(folder, NULL);
	struct bench b;
	uint64_t asked;

	(void)unused;
	bench_open(&b, files);
	found_new(&b, ID);
	assert_int_equal(raft_disk_votes(b.disk), raft_disk_votes_durable(b.disk));
	vote_for(&b, 2);
	asked = raft_disk_votes(b.disk);
	assert_true(raft_disk_votes_durable(b.disk) < asked);
	append(&b, 1, 2);
	raft_disk_turn(b.disk);
	b.voted = 0;
	while (b.voted == 0)
		turn(&b);
	assert_int_equal(raft_disk_votes_durable(b.disk), asked);
	bench_close(&b);
	files_close(files);
}

/* The thread may speak of an entry that the loop has cut since, and put another in its place. */
static void
old_news_does_not_vouch_for_a_new_entry(void **unused)
{
	struct files *files = files_open(folder, NULL);
	struct bench b;

	(void)unused;
	bench_open(&b, files);
	found_new(&b, ID);
	for (uint64_t round = 1; round <= 200; round++) {
		uint64_t base = b.durable;

		for (uint64_t i = 1; i <= 5; i++)
			append(&b, base + i, round * 2);
		raft_disk_turn(b.disk); /* on its way, and its answer not read yet */
		act(&b, RAFT_CORE_TRUNCATE, base + 3, 0);
		append(&b, base + 3, round * 2 + 1);
		while (b.durable < base + 2)
			turn(&b);
		assert_true(b.durable <= base + 3);
		wait_durable(&b, base + 3);
	}
	bench_close(&b);
	files_close(files);
}

static void
a_full_disk_loses_nothing_and_is_outlived(void **unused)
{
	struct fault_disk fault;
	struct bench b;

	(void)unused;
	fault_disk_open(&fault, folder);
	bench_open(&b, &fault.calls);
	fault.full = true;
	found_new(&b, ID); /* not even the new log fits */
	append(&b, 1, 1);
	raft_disk_turn(b.disk);
	assert_int_equal(b.durable, 0);
	fault.full = false;
	wait_durable(&b, 1);
	fault.full = true;
	append(&b, 2, 1);
	act(&b, RAFT_CORE_SNAPSHOT, 1, 1);
	raft_disk_turn(b.disk);
	while (b.stores == 0)
		turn(&b);
	assert_int_equal(b.stored, 0);
	assert_int_equal(b.durable, 1);
	append(&b, 3, 1);
	raft_disk_turn(b.disk);
	fault.full = false;
	wait_durable(&b, 3);
	bench_close(&b);

	bench_open(&b, &fault.calls);
	assert_int_equal(b.found.found.count, 3);
	bench_close(&b);
	files_close(fault.real);
}

static void
damage_is_named_and_nothing_starts(void **unused)
{
	static const char *const name = "log-0000000000000001";
	struct files *files = files_open(folder, NULL);
	struct err err = { 0 };
	struct bench b;
	FILE *f;

	(void)unused;
	bench_open(&b, files);
	found_new(&b, ID);
	for (uint64_t i = 1; i <= 3; i++)
		append(&b, i, 1);
	wait_durable(&b, 3);
	append(&b, 4, 1);
	wait_durable(&b, 4);
	bench_close(&b);
	f = fopen(folder_path(name), "r+");
	assert_non_null(f);
	assert_int_equal(fseek(f, SEGMENT_HEAD + SEGMENT_RECORD + 2, SEEK_SET), 0);
	fputc('!', f);
	fclose(f);
	b = (struct bench){ .base = event_base_new() };
	assert_true(bench_open_at(&b, files, &err) < 0);
	assert_non_null(strstr(err.text, name));
	assert_non_null(strstr(err.text, "offset"));
	event_base_free(b.base);
	unlink(folder_path("vote"));
	b = (struct bench){ .base = event_base_new() };
	assert_int_equal(bench_open_at(&b, files, &err), ERR_INPUT);
	assert_non_null(strstr(err.text, "vote is missing"));
	event_base_free(b.base);
	files_close(files);
}

/* ---- peers.json ---- */

#define AGENT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define AGENT_B "bbbbbbbb-0000-4000-8000-000000000002"
#define AGENT_C "cccccccc-0000-4000-8000-000000000003"

static struct raft_core_server
server(uint64_t id, const char *agent)
{
	struct raft_core_server s = { .id = id };

	assert_true(uuid_parse(str_of(agent), &s.agent));
	return s;
}

static void
log_of_three(struct files *files)
{
	struct raft_core_server all[] = { server(7, AGENT_A), server(8, AGENT_B),
		server(9, AGENT_C) };
	struct raft_core_action a = { .kind = RAFT_CORE_APPEND };
	struct buf bytes;
	struct bench b;

	bench_open(&b, files);
	found_new(&b, ID);
	buf_init(&bytes, 4096);
	assert_int_equal(raft_core_config_entry(1, 1, all, 3, &bytes, &a.entry, NULL), 0);
	raft_disk_act(b.disk, b.run.fsm, &a);
	append(&b, 2, 5);
	wait_durable(&b, 2);
	bench_close(&b);
	buf_done(&bytes);
}

static void
a_lost_quorum_is_recovered_by_peers_json(void **unused)
{
	struct files *files = files_open(folder, NULL);
	struct raft_core_server got[RAFT_CORE_SERVERS_MAX];
	const struct raft_log_entry *e;
	struct bench b;
	size_t n = 0;

	(void)unused;
	log_of_three(files);
	folder_write("peers.json", STR("[{\"id\":\"" AGENT_B "\",\"address\":\"10.0.0.2:8300\"},"
				       "{\"id\":\"" AGENT_A "\",\"non_voter\":true}]"));
	bench_open(&b, files);
	assert_int_equal(b.found.found.count, 3);
	e = &b.found.found.entries[2];
	assert_int_equal(e->index, 3);
	assert_int_equal(e->term, 1 << 20);
	assert_int_equal(b.found.found.term, 1 << 20);
	assert_true(raft_core_entry_is_config(e));
	assert_true(raft_core_config_read(e->bytes, got, &n));
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		assert_true(got[i].id == 7 || got[i].id == 8);
		assert_int_equal(
		    got[i].role, got[i].id == 8 ? RAFT_CORE_VOTER : RAFT_CORE_NON_VOTER);
	}
	assert_false(folder_has("peers.json"));
	assert_true(folder_has("peers.json.used"));
	bench_start(&b);
	append(&b, 4, 1 << 20);
	wait_durable(&b, 4);
	bench_close(&b);
	bench_open(&b, files);
	assert_int_equal(b.found.found.count, 4);
	bench_close(&b);
	files_close(files);
}

static void
a_wrong_peers_json_is_named_and_left(void **unused)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "[", "peers.json" },
		{ "{}", "not an array" },
		{ "[]", "at least one" },
		{ "[{\"id\":\"x\"}]", "\"x\"" },
		{ "[{\"id\":\"" AGENT_A "\",\"non_voter\":true}]", "no voter" },
		{ "[{\"id\":\"" AGENT_A "\"},{\"id\":\"" AGENT_A "\"}]", "twice" },
		{ "[{\"id\":\"dddddddd-0000-4000-8000-000000000001\"}]", "does not know" },
	};
	struct files *files = files_open(folder, NULL);

	(void)unused;
	log_of_three(files);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct bench b = { .base = event_base_new() };
		struct err err = { 0 };

		folder_write("peers.json", str_of(rows[i].text));
		assert_int_equal(bench_open_at(&b, files, &err), ERR_INPUT);
		if (strstr(err.text, rows[i].why) == NULL)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_true(folder_has("peers.json"));
		event_base_free(b.base);
	}
	files_close(files);
}

/* ---- snapshots ---- */

static void
fill(struct bench *b, unsigned keys)
{
	char key[32], *value = mem_alloc(2048);

	memset(value, 'v', 2047);
	value[2047] = '\0';
	for (unsigned i = 0; i < keys; i++) {
		snprintf(key, sizeof key, "key/%06u", i);
		run_put(&b->run, key, value);
	}
	free(value);
}

static void
state_bytes(struct fsm *fsm, struct buf *out)
{
	struct fsm_snapshot *s = fsm_snapshot_new(fsm);

	buf_init(out, FSM_RUN_MAX);
	while (fsm_snapshot_next(s, 1 << 20, out))
		;
	fsm_snapshot_free(s);
}

static void
assert_state(struct fsm *fsm, struct str want)
{
	struct buf have;

	state_bytes(fsm, &have);
	assert_int_equal(have.n, want.n);
	assert_true(str_eq(buf_str(&have), want));
	buf_done(&have);
}

static void
wait_stored(struct bench *b)
{
	unsigned before = b->stores;

	raft_disk_turn(b->disk);
	while (b->stores == before)
		turn(b);
}

static void
a_snapshot_is_of_its_moment_and_drops_the_log(void **unused)
{
	struct files *files = files_open(folder, NULL);
	struct buf want;
	struct bench b;

	(void)unused;
	bench_open(&b, files);
	found_new(&b, ID);
	fill(&b, 2000);
	for (uint64_t i = 1; i <= 2010; i++)
		append(&b, i, 1);
	state_bytes(b.run.fsm, &want);
	act(&b, RAFT_CORE_SNAPSHOT, 2000, 1);
	run_put(&b.run, "later", "than the snapshot");
	wait_stored(&b);
	assert_int_equal(b.stored, 2000);
	act(&b, RAFT_CORE_DROP, 1990, 0);
	append(&b, 2011, 1);
	wait_durable(&b, 2011);
	bench_close(&b);

	bench_open(&b, files);
	assert_non_null(b.found.found.snapshot);
	assert_int_equal(b.found.found.snapshot->index, 2000);
	assert_str(b.found.found.snapshot->config, "servers");
	assert_state(b.found.fsm, buf_str(&want));
	assert_int_equal(b.found.found.entries[b.found.found.count - 1].index, 2011);
	bench_close(&b);
	buf_done(&want);
	files_close(files);
}

static void
what_comes_behind_an_installed_snapshot_waits_for_it(void **unused)
{
	struct files *files = files_open(folder, NULL);
	struct buf want;
	struct bench b;

	(void)unused;
	bench_open(&b, files);
	found_new(&b, ID);
	append(&b, 1, 1);
	append(&b, 2, 1);
	wait_durable(&b, 2);
	fill(&b, 3000);
	act(&b, RAFT_CORE_SNAPSHOT, 2, 1); /* under way, and overtaken */
	state_bytes(b.run.fsm, &want);
	act(&b, RAFT_CORE_INSTALLED, 3000, 4);
	append(&b, 3001, 4);
	run_put(&b.run, "later", "than the snapshot");
	raft_disk_turn(b.disk);
	while (b.stored != 3000)
		turn(&b);
	wait_durable(&b, 3001);
	bench_close(&b);

	bench_open(&b, files);
	assert_int_equal(b.found.found.snapshot->index, 3000);
	assert_int_equal(b.found.found.snapshot->term, 4);
	assert_state(b.found.fsm, buf_str(&want));
	assert_int_equal(b.found.found.count, 1);
	assert_entry(&b, 0, 3001, 4);
	bench_close(&b);
	buf_done(&want);
	files_close(files);
}

static void
an_installed_snapshot_that_is_stored_is_not_stored_again(void **unused)
{
	struct files *files = files_open(folder, NULL);
	struct bench b;

	(void)unused;
	bench_open(&b, files);
	found_new(&b, ID);
	append(&b, 1, 1);
	fill(&b, 300);
	act(&b, RAFT_CORE_SNAPSHOT, 300, 4);
	wait_stored(&b);
	act(&b, RAFT_CORE_INSTALLED, 300, 4);
	append(&b, 301, 4);
	wait_durable(&b, 301);
	assert_int_equal(b.stores, 1);
	bench_close(&b);
	bench_open(&b, files);
	assert_int_equal(b.found.found.snapshot->index, 300);
	assert_int_equal(b.found.found.count, 1);
	assert_entry(&b, 0, 301, 4);
	bench_close(&b);
	files_close(files);
}

static void
an_installed_snapshot_waits_for_room(void **unused)
{
	struct fault_disk fault;
	struct bench b;

	(void)unused;
	fault_disk_open(&fault, folder);
	bench_open(&b, &fault.calls);
	found_new(&b, ID);
	fill(&b, 300);
	fault.full = true;
	act(&b, RAFT_CORE_INSTALLED, 300, 4);
	append(&b, 301, 4);
	raft_disk_turn(b.disk);
	turn(&b); /* the task failed */
	assert_int_equal(b.stores, 0);
	fault.full = false;
	wait_durable(&b, 301);
	assert_int_equal(b.stored, 300);
	bench_close(&b);
	bench_open(&b, &fault.calls);
	assert_int_equal(b.found.found.snapshot->index, 300);
	assert_entry(&b, 0, 301, 4);
	bench_close(&b);
	files_close(fault.real);
}

static void
on_piece(void *arg, struct str piece, bool last, const struct err *err)
{
	struct bench *b = arg;

	assert_null(err);
	buf_add(&b->bytes, piece);
	b->last = last;
	if (!last)
		assert_true(raft_disk_source_next(b->source));
}

static void
send_all(struct bench *b, uint64_t index)
{
	b->source = raft_disk_source_new(b->disk, index, on_piece, b);
	assert_non_null(b->source);
	assert_true(raft_disk_source_next(b->source));
	while (!b->last)
		turn(b);
}

static void
on_news(void *arg, const struct err *err)
{
	struct bench *b = arg;

	assert_null(err);
	b->news++;
}

static void
take_all(struct bench *b, struct str bytes)
{
	struct raft_disk_sink *s = raft_disk_sink_new(b->disk, on_news, b, NULL);
	struct buf back;
	size_t n;

	assert_non_null(s);
	for (size_t at = 0; at < bytes.n;) {
		size_t n_now = bytes.n - at < 100000 ? bytes.n - at : 100000;

		while (raft_disk_sink_full(s))
			turn(b);
		assert_int_equal(raft_disk_sink_add(s, str_mem(bytes.p + at, n_now), NULL), 0);
		at += n_now;
	}
	raft_disk_sink_end(s);
	while (!raft_disk_sink_whole(s))
		turn(b);
	buf_init(&back, FSM_RUN_MAX);
	do {
		n = back.n;
		assert_int_equal(raft_disk_sink_read(s, 77777, &back, NULL), 0);
	} while (back.n > n);
	assert_true(str_eq(buf_str(&back), bytes));
	buf_done(&back);
	raft_disk_sink_free(s);
}

static void
a_snapshot_travels(struct files *files)
{
	struct buf want;
	struct bench b;

	bench_open(&b, files);
	found_new(&b, ID);
	fill(&b, 6000);
	append(&b, 1, 1);
	state_bytes(b.run.fsm, &want);
	act(&b, RAFT_CORE_SNAPSHOT, 1, 1);
	run_put(&b.run, "later", "than the snapshot");
	wait_stored(&b);
	assert_int_equal(b.stored, 1);
	assert_null(raft_disk_source_new(b.disk, 2, on_piece, &b));
	send_all(&b, 1);
	assert_true(str_eq(buf_str(&b.bytes), buf_str(&want)));
	take_all(&b, buf_str(&want));
	bench_close(&b);
	buf_done(&want);
}

static void
a_snapshot_travels_from_disk_to_disk(void **unused)
{
	struct files *files = files_open(folder, NULL);

	(void)unused;
	a_snapshot_travels(files);
	assert_false(folder_has("incoming-1"));
	files_close(files);
}

static void
without_a_folder_all_is_durable_at_once(void **unused)
{
	struct bench b;

	(void)unused;
	bench_open(&b, NULL);
	bench_start(&b);
	found_new(&b, ID);
	vote_for(&b, 2);
	append(&b, 1, 2);
	raft_disk_turn(b.disk);
	assert_int_equal(b.durable, 1);
	assert_int_equal(raft_disk_votes(b.disk), raft_disk_votes_durable(b.disk));
	bench_close(&b);
	a_snapshot_travels(NULL);
}

/* ---- crashes ---- */

static void
check_crash(const struct crash_disk *d, size_t ops, void (*check)(const struct bench *))
{
	for (enum crash_keep keep = KEEP_NONE; keep <= KEEP_EARLY; keep++)
		for (int names = 0; names < 2; names++) {
			struct crash_disk *after = crash_disk_after(d, ops, keep, 0, names);
			struct bench b;

			bench_open(&b, &after->calls);
			check(&b);
			bench_close(&b);
			crash_disk_free(after);
		}
}

static void
old_log_or_new(const struct bench *b)
{
	assert_true(b->found.there);
	if (b->found.vote.raft_id == ID) {
		assert_int_equal(b->found.found.count, 3);
		return;
	}
	assert_int_equal(b->found.vote.raft_id, ID + 1);
	assert_int_equal(b->found.vote.flags, 5);
	assert_int_equal(b->found.found.count, 0);
	assert_null(b->found.found.snapshot);
}

static void
a_new_log_takes_the_old_ones_place_whole(void **unused)
{
	struct crash_disk *d = crash_disk_new();
	struct bench b;
	size_t from, to;

	(void)unused;
	bench_open(&b, &d->calls);
	found_new(&b, ID);
	for (uint64_t i = 1; i <= 3; i++)
		append(&b, i, 1);
	wait_durable(&b, 3);
	act(&b, RAFT_CORE_SNAPSHOT, 2, 1);
	wait_stored(&b);
	from = d->op_count;
	found_new(&b, ID + 1);
	to = d->op_count;
	bench_close(&b);
	for (size_t ops = from; ops <= to; ops++)
		check_crash(d, ops, old_log_or_new);
	crash_disk_free(d);
}

static void
old_entries_or_the_snapshot(const struct bench *b)
{
	if (b->found.found.snapshot == NULL) {
		assert_int_equal(b->found.found.count, 3);
		return;
	}
	assert_int_equal(b->found.found.snapshot->index, 50);
	assert_non_null(key_find(fsm_keys(b->found.fsm), STR("key/000049")));
	if (b->found.found.count > 0)
		assert_entry(b, 0, 51, 4);
}

static void
a_snapshot_is_installed_whole(void **unused)
{
	struct crash_disk *d = crash_disk_new();
	struct bench b;
	size_t from, to;

	(void)unused;
	bench_open(&b, &d->calls);
	found_new(&b, ID);
	for (uint64_t i = 1; i <= 3; i++)
		append(&b, i, 1);
	wait_durable(&b, 3);
	fill(&b, 50);
	from = d->op_count;
	act(&b, RAFT_CORE_INSTALLED, 50, 4);
	append(&b, 51, 4);
	wait_durable(&b, 51);
	to = d->op_count;
	bench_close(&b);
	for (size_t ops = from; ops <= to; ops++)
		check_crash(d, ops, old_entries_or_the_snapshot);
	crash_disk_free(d);
}

#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_drop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(what_was_told_durable_is_there_after_a_restart),
		WITH_FOLDER(a_vote_counts_once_it_is_durable),
		WITH_FOLDER(old_news_does_not_vouch_for_a_new_entry),
		WITH_FOLDER(a_full_disk_loses_nothing_and_is_outlived),
		WITH_FOLDER(damage_is_named_and_nothing_starts),
		WITH_FOLDER(a_lost_quorum_is_recovered_by_peers_json),
		WITH_FOLDER(a_wrong_peers_json_is_named_and_left),
		WITH_FOLDER(a_snapshot_is_of_its_moment_and_drops_the_log),
		WITH_FOLDER(what_comes_behind_an_installed_snapshot_waits_for_it),
		WITH_FOLDER(an_installed_snapshot_that_is_stored_is_not_stored_again),
		WITH_FOLDER(an_installed_snapshot_waits_for_room),
		WITH_FOLDER(a_snapshot_travels_from_disk_to_disk),
		cmocka_unit_test(without_a_folder_all_is_durable_at_once),
		cmocka_unit_test(a_new_log_takes_the_old_ones_place_whole),
		cmocka_unit_test(a_snapshot_is_installed_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
