/* Raft's messages as bytes: each kind there and back, every truncation, every flipped byte. */
#include "kv/raft_wire.h"

#include "tests/unit/test.h"

static struct raft_wire
head(enum raft_wire_kind kind)
{
	struct raft_wire m = {
		.kind = kind, .from = 7, .to = 9, .term = 5, .index = 12, .index_term = 4
	};

	for (size_t i = 0; i < sizeof m.cluster.b; i++)
		m.cluster.b[i] = (uint8_t)(0x30 + i);
	return m;
}

static void
write_one(struct buf *out, enum raft_wire_kind kind)
{
	struct raft_wire m = head(kind);

	m.commit = 10;
	m.rejected = 3;
	m.config_index = 2;
	m.config = STR("servers");
	m.question = 77;
	m.disrupt = m.granted = true;
	m.count = kind == RAFT_WIRE_APPEND ? 2 : 0;
	raft_wire_write(out, &m);
	if (kind == RAFT_WIRE_APPEND) {
		raft_wire_entry_write(out, &(struct raft_log_entry){ 13, 4, 1, STR("one") });
		raft_wire_entry_write(out, &(struct raft_log_entry){ 14, 5, 2, STR("") });
	}
}

static void
every_kind_comes_back(void **unused)
{
	struct buf b;
	struct err err;

	(void)unused;
	buf_init(&b, 4096);
	for (int kind = RAFT_WIRE_APPEND; kind <= RAFT_WIRE_GONE; kind++) {
		struct raft_wire m;

		buf_clear(&b);
		write_one(&b, (enum raft_wire_kind)kind);
		assert_int_equal(raft_wire_read(buf_str(&b), &m, &err), 0);
		assert_int_equal(m.kind, kind);
		assert_true(m.from == 7 && m.to == 9 && m.term == 5);
		assert_int_equal(m.cluster.b[15], 0x3f);
		if (kind == RAFT_WIRE_SNAPSHOT)
			assert_str(m.config, "servers");
		if (kind == RAFT_WIRE_ASK || kind == RAFT_WIRE_YES)
			assert_int_equal(m.question, 77);
		if (kind == RAFT_WIRE_VOTED)
			assert_true(m.granted && !m.pre_vote);
		buf_addc(&b, 'x'); /* of a later version */
		assert_int_equal(raft_wire_read(buf_str(&b), &m, &err), 0);
	}
	buf_done(&b);
}

static void
entries_come_back_in_order(void **unused)
{
	struct buf b;
	struct err err;
	struct raft_wire m;
	struct raft_log_entry e;
	struct reader r;
	uint64_t index;

	(void)unused;
	buf_init(&b, 4096);
	write_one(&b, RAFT_WIRE_APPEND);
	assert_int_equal(raft_wire_read(buf_str(&b), &m, &err), 0);
	assert_int_equal(m.count, 2);
	r = rd_of(m.entries);
	index = m.index + 1;
	assert_true(raft_wire_entry(&r, &index, &e));
	assert_true(e.index == 13 && e.term == 4 && e.type == 1);
	assert_str(e.bytes, "one");
	assert_true(raft_wire_entry(&r, &index, &e));
	assert_true(e.index == 14 && e.term == 5 && e.type == 2 && e.bytes.n == 0);
	assert_false(raft_wire_entry(&r, &index, &e));
	buf_done(&b);
}

static void
what_is_cut_is_refused(void **unused)
{
	struct buf b;
	struct err err;
	struct raft_wire m;

	(void)unused;
	buf_init(&b, 4096);
	for (int kind = RAFT_WIRE_APPEND; kind <= RAFT_WIRE_GONE; kind++) {
		buf_clear(&b);
		write_one(&b, (enum raft_wire_kind)kind);
		for (size_t n = 0; n < b.n; n++)
			assert_int_equal(
			    raft_wire_read(str_head(buf_str(&b), n), &m, &err), ERR_INPUT);
	}
	buf_done(&b);
}

static void
what_cannot_be_is_refused(void **unused)
{
	struct raft_wire bad[] = { head(RAFT_WIRE_APPEND), head(RAFT_WIRE_APPEND),
		head(RAFT_WIRE_VOTE), head(RAFT_WIRE_SNAPSHOT), head(RAFT_WIRE_ASK),
		head(RAFT_WIRE_ASK), head(RAFT_WIRE_APPEND) };
	struct raft_wire m;
	struct buf b;
	struct err err;

	(void)unused;
	bad[0].index = 0;      /* an entry before the first has a term */
	bad[1].index_term = 6; /* newer than the sender's */
	bad[2].term = 0;
	bad[3].config_index = 13; /* behind the snapshot */
	bad[4].to = bad[4].from;
	bad[5].term = UINT64_MAX;
	bad[6].count = 1; /* and not there */
	buf_init(&b, 4096);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		buf_clear(&b);
		raft_wire_write(&b, &bad[i]);
		assert_int_equal(raft_wire_read(buf_str(&b), &m, &err), ERR_INPUT);
	}
	buf_clear(&b);
	write_one(&b, RAFT_WIRE_ASK);
	b.p[0] = 2;
	assert_int_equal(raft_wire_read(buf_str(&b), &m, &err), ERR_REFUSED);
	buf_done(&b);
}

static void
terms_of_entries_do_not_fall(void **unused)
{
	struct raft_wire m = head(RAFT_WIRE_APPEND);
	struct buf b;
	struct err err;

	(void)unused;
	buf_init(&b, 4096);
	m.count = 2;
	raft_wire_write(&b, &m);
	raft_wire_entry_write(&b, &(struct raft_log_entry){ 13, 5, 1, STR("one") });
	raft_wire_entry_write(&b, &(struct raft_log_entry){ 14, 4, 1, STR("two") });
	assert_int_equal(raft_wire_read(buf_str(&b), &m, &err), ERR_INPUT);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_comes_back),
		cmocka_unit_test(entries_come_back_in_order),
		cmocka_unit_test(what_is_cut_is_refused),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(terms_of_entries_do_not_fall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
