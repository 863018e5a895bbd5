/* Operations and snapshots as a stranger would send them: nothing crashes, what is read is written
 * back the same, and a state that took operations still gives a snapshot that can be loaded.
 *
 * Input: a snapshot as it is; and pieces of be16 length and an operation each, applied in order. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "kv/fsm.h"

#define ROOM ((size_t)64 * 1024 * 1024)

static void
fuzz_load(struct fsm *f, struct str bytes, bool must)
{
	struct fsm_load *l = fsm_load_new(0);
	int code = fsm_load_feed(l, str_head(bytes, bytes.n / 2), NULL);

	if (code == 0)
		code = fsm_load_feed(l, str_skip(bytes, bytes.n / 2), NULL);
	if (code == 0)
		code = fsm_load_finish(l, f, NULL);
	FUZZ_ASSERT(code == 0 || !must);
	fsm_load_free(l);
}

static void
fuzz_op(struct fsm *f, uint64_t raft, struct str bytes, struct buf *result)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	struct buf again;

	buf_init(&again, ROOM);
	if (fsm_op_read(bytes, op, NULL) == 0) {
		FUZZ_ASSERT(fsm_op_write(&again, op, NULL) == 0);
		FUZZ_ASSERT(str_eq(buf_str(&again), bytes));
		FUZZ_ASSERT(fsm_apply(f, 0, raft, bytes, result, NULL) == 0);
		FUZZ_ASSERT(result->n > 0);
	} else {
		FUZZ_ASSERT(fsm_apply(f, 0, raft, bytes, result, NULL) != 0);
	}
	buf_clear(result);
	buf_done(&again);
	free(op);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = rd_of(str_mem(data, size));
	struct fsm *f = fsm_new(NULL), *other = fsm_new(NULL);
	struct fsm_snapshot *s;
	struct buf out;

	buf_init(&out, ROOM);
	if (size > 0)
		fuzz_load(other, str_mem(data, size), false);
	for (uint64_t raft = 1; rd_left(&r) >= 2; raft++) {
		uint16_t n = rd_be16(&r);

		fuzz_op(f, raft, rd_str(&r, n < rd_left(&r) ? n : rd_left(&r)), &out);
	}
	s = fsm_snapshot_new(f);
	while (fsm_snapshot_next(s, 64, &out))
		;
	fsm_snapshot_free(s);
	fuzz_load(other, buf_str(&out), true);
	FUZZ_ASSERT(keys_count(fsm_keys(f)) == keys_count(fsm_keys(other)));
	FUZZ_ASSERT(owner_digest(fsm_external(f)).number ==
		    owner_digest(fsm_external(other)).number);
	FUZZ_ASSERT(
	    owner_digest(fsm_external(f)).hash == owner_digest(fsm_external(other)).hash);
	buf_done(&out);
	fsm_free(f);
	fsm_free(other);
	return 0;
}
