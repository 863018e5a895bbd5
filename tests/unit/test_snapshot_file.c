/* Snapshots as files: whole, cut, changed, and of others. */
#include "kv/snapshot_file.h"
#include "tests/unit/fsm_fixture.h"

static void
file_make(struct buf *out)
{
	struct snapshot_head head = { .wall_ms = 1795252443000,
		.node = STR("n1"),
		.datacenter = STR("dc1"),
		.build = STR("0.1.0") };
	struct run r;

	memset(head.cluster.b, 7, sizeof head.cluster.b);
	run_init(&r);
	run_session(&r, S1, 0, 0, SESSION_RELEASE);
	run_put(&r, "a/b", "value");
	run_put(&r, "c", "");
	run_put(&r, "gone", "x");
	run_delete(&r, "gone");
	head.index = fsm_index(r.fsm);
	head.raft_index = fsm_raft_index(r.fsm);
	snapshot_head_write(out, &head);
	run_snapshot(&r, 64, out);
	run_done(&r);
}

static int
check(struct str file, struct err *err)
{
	struct str state = STR_NONE;
	int rc = snapshot_file_check(file, &state, err);

	if (rc == 0)
		assert_true(str_starts(state, STR(SNAP_MAGIC)) && str_ends(file, state));
	return rc;
}

static void
a_file_tells_what_is_in_it(void **unused)
{
	static const size_t pieces[] = { 1, 3, 50, 100000 };
	struct buf file;

	(void)unused;
	buf_init(&file, FSM_RUN_MAX);
	file_make(&file);
	assert_int_equal(check(buf_str(&file), NULL), 0);
	for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
		struct snapshot_scan *s = snapshot_scan_new();
		size_t counts[SNAP_KINDS] = { 0 };
		struct snapshot_record rec;
		char keys[32] = "";

		for (size_t at = 0; at < file.n; at += pieces[k]) {
			struct str rest = str_skip(buf_str(&file), at);

			snapshot_scan_feed(
			    s, str_head(rest, rest.n < pieces[k] ? rest.n : pieces[k]));
			while (snapshot_scan_next(s, &rec)) {
				counts[rec.kind]++;
				if (rec.kind == SNAP_ENTRY)
					snprintf(keys + strlen(keys), sizeof keys - strlen(keys),
					    STR_FMT ";", STR_ARG(rec.key));
			}
		}
		assert_int_equal(snapshot_scan_finish(s, NULL), 0);
		assert_string_equal(keys, "a/b;c;");
		assert_int_equal(counts[SNAP_HEAD], 1);
		assert_int_equal(counts[SNAP_SESSION], 1);
		assert_int_equal(counts[SNAP_TOMBSTONE], 1);
		assert_str(snapshot_scan_head(s)->node, "n1");
		assert_str(snapshot_scan_head(s)->datacenter, "dc1");
		assert_str(snapshot_scan_head(s)->build, "0.1.0");
		assert_true(snapshot_scan_head(s)->index == 5);
		assert_true(snapshot_scan_head(s)->wall_ms == 1795252443000);
		assert_int_equal(snapshot_scan_head(s)->cluster.b[15], 7);
		snapshot_scan_free(s);
	}
	buf_done(&file);
}

static void
no_cut_and_no_changed_byte_goes_unseen(void **unused)
{
	struct buf file, copy;
	struct err err;

	(void)unused;
	buf_init(&file, FSM_RUN_MAX);
	buf_init(&copy, FSM_RUN_MAX);
	file_make(&file);
	for (size_t n = 0; n < file.n; n++) {
		char kept = file.p[n];

		assert_int_equal(check(str_mem(file.p, n), &err), ERR_INPUT);
		for (unsigned bit = 0; bit < 8; bit++) {
			file.p[n] = (char)(kept ^ (1 << bit));
			assert_int_equal(check(buf_str(&file), &err), ERR_INPUT);
		}
		file.p[n] = kept;
	}
	buf_add(&copy, buf_str(&file));
	buf_addc(&copy, '\0'); /* and nothing stands behind it */
	assert_int_equal(check(buf_str(&copy), &err), ERR_INPUT);
	buf_done(&copy);
	buf_done(&file);
}

static void
what_is_no_snapshot_is_told(void **unused)
{
	static const struct {
		struct str file;
		const char *text;
	} cases[] = {
		{ STR(""), "the snapshot is empty" },
		{ STR("hello"), "this is no snapshot of muster" },
		{ STR("must"), "the snapshot is cut in its head" },
		{ STR("\x1f\x8b\x08\x00\x00"), "this is a snapshot of Consul, not of muster: take "
					       "its keys over with kv export "
					       "and kv import" },
		{ STR("muster-snapshot\n\x02xxxxxxxxxxxxxx"),
		    "a snapshot of version 2, this program knows version 1" },
		{ STR("muster-snapshot\n\x01\xff\xff\xff\xff"),
		    "the snapshot is damaged in its head" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err err = { 0 };

		assert_int_equal(check(cases[i].file, &err), ERR_INPUT);
		assert_string_equal(err.text, cases[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_tells_what_is_in_it),
		cmocka_unit_test(no_cut_and_no_changed_byte_goes_unseen),
		cmocka_unit_test(what_is_no_snapshot_is_told),
	};

	return cmocka_run_group_tests_name("snapshot_file", tests, NULL, NULL);
}
