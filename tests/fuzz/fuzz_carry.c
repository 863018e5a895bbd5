/* A carried request or answer as another agent would send it: nothing crashes, and what is read is
 * written back the same. First byte: which of the two; the rest is the bytes. */
#include "tests/fuzz/fuzz.h"

#include "agent/http/carry.h"

#define ROOM ((size_t)1024 * 1024)

static void
fuzz_request(struct arena *arena, struct str bytes)
{
	struct http_request rq = { .arena = arena };
	struct buf again;

	if (carry_request_read(bytes, &rq, NULL) != 0)
		return;
	buf_init(&again, ROOM);
	carry_request_write(&again, &rq, rq.node, &rq.asks, rq.wants_records ? &rq.sees : NULL);
	FUZZ_ASSERT(str_eq(buf_str(&again), bytes));
	buf_done(&again);
}

static void
fuzz_answer(struct arena *arena, struct str bytes)
{
	struct http_reply rp;
	struct buf body, again;
	struct str records;

	buf_init(&body, ROOM);
	buf_init(&again, ROOM);
	reply_init(&rp, &body, false);
	if (carry_answer_read(bytes, arena, &rp, &records, NULL) == 0) {
		carry_answer_write(&again, &rp, records);
		FUZZ_ASSERT(again.n <= bytes.n + 16); /* flags that mean nothing are dropped */
	}
	buf_done(&body);
	buf_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = str_mem(data, size);
	struct arena arena;

	if (size == 0)
		return 0;
	arena_init(&arena, ROOM);
	if (data[0] % 2 == 0)
		fuzz_request(&arena, str_skip(bytes, 1));
	else
		fuzz_answer(&arena, str_skip(bytes, 1));
	arena_done(&arena);
	return 0;
}
