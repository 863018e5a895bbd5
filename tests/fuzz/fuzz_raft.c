/* What other Raft servers might send, true or not: nothing crashes, and what can be read is written
 * back the same. One of three servers gets it, as a new one, a follower, a candidate or a leader.
 *
 * Input: steps of a byte and what it needs.
 *   0-3  a message: be16 length, then the kind and all behind the ids; from server 1 (0: twice) … 3
 *   4    be16 milliseconds pass
 *   5    all is durable
 *   6    an operation is submitted, a read asked
 *   7    a snapshot is stored, or (next byte odd) could not be
 *   8    a snapshot's message as in 1; the data is the rest of the input
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "kv/raft_core.h"
#include "kv/raft_wire.h"

#define ROOM ((size_t)64 * 1024 * 1024)

struct fuzz {
	struct raft_core *core;
	struct fsm *fsm;
	struct uuid cluster;
	struct now now;
	uint64_t request, last, taking;
	struct reader *data;
};

static void
fuzz_drain(struct fuzz *f)
{
	struct raft_core_action a;

	while (raft_core_action_next(f->core, &a)) {
		if (a.kind == RAFT_CORE_APPEND)
			f->last = a.entry.index;
		else if (a.kind == RAFT_CORE_TRUNCATE)
			f->last = a.index - 1;
		else if (a.kind == RAFT_CORE_INSTALLED)
			f->last = a.meta.index;
		else if (a.kind == RAFT_CORE_SNAPSHOT)
			f->taking = a.meta.index;
	}
}

static int
fuzz_read(void *arg, size_t want, struct buf *out, struct err *err)
{
	struct reader *r = ((struct fuzz *)arg)->data;

	(void)want;
	(void)err;
	buf_add(out, rd_str(r, rd_left(r)));
	return 0;
}

static void
fuzz_message(struct fuzz *f, uint64_t from, struct str body, bool snapshot)
{
	struct raft_wire m;
	struct buf b, again;
	struct reader r;
	struct raft_log_entry e;
	uint64_t index;
	char head[34];
	struct writer w = wr_of(head, sizeof head);

	buf_init(&b, ROOM);
	buf_init(&again, ROOM);
	wr_u8(&w, RAFT_WIRE_VERSION);
	wr_u8(&w, body.n > 0 ? (uint8_t)body.p[0] : 0);
	wr_bytes(&w, str_mem(f->cluster.b, sizeof f->cluster.b));
	wr_be64(&w, from);
	wr_be64(&w, 1);
	buf_add(&b, wr_done(&w));
	if (body.n > 0)
		buf_add(&b, str_skip(body, 1));
	if (raft_wire_read(buf_str(&b), &m, NULL) == 0) {
		raft_wire_write(&again, &m);
		r = rd_of(m.entries);
		index = m.index + 1;
		while (m.kind == RAFT_WIRE_APPEND && raft_wire_entry(&r, &index, &e))
			raft_wire_entry_write(&again, &e);
		FUZZ_ASSERT(again.n <= b.n);
	}
	if (snapshot)
		raft_core_install(f->core, f->now, from, buf_str(&b), fuzz_read, f, NULL);
	else
		raft_core_input(f->core, f->now, from, buf_str(&b), NULL);
	buf_done(&b);
	buf_done(&again);
}

static void
fuzz_step(struct fuzz *f, uint8_t what)
{
	struct reader *r = f->data;
	uint16_t n;

	switch (what) {
	case 4:
		f->now.mono += rd_be16(r) * NSEC_MS;
		raft_core_tick(f->core, f->now);
		break;
	case 5:
		raft_core_durable(f->core, f->now, f->last);
		break;
	case 6:
		raft_core_submit(f->core, f->now, ++f->request, STR("0123456789"), NULL);
		raft_core_read(f->core, f->now, ++f->request, NULL);
		break;
	case 7:
		raft_core_snapshot_stored(f->core, f->now, rd_u8(r) & 1 ? 0 : f->taking);
		break;
	case 0:
	case 1:
	case 2:
	case 3:
	case 8:
		n = rd_be16(r);
		fuzz_message(
		    f, what == 8 ? 2 : what, rd_str(r, n < rd_left(r) ? n : rd_left(r)), what == 8);
		break;
	default:
		break;
	}
	fuzz_drain(f);
}

/* The log of a server that is one of three, or of one that knows nothing yet. */
static void
fuzz_start(struct fuzz *f, struct raft_core_config *config, uint8_t kind)
{
	struct raft_core_server servers[3] = { { 1, { { 1 } }, RAFT_CORE_VOTER },
		{ 2, { { 2 } }, RAFT_CORE_VOTER }, { 3, { { 3 } }, RAFT_CORE_VOTER } };
	struct raft_core_found found = { .term = kind == 0 ? 0 : 1 };
	struct raft_log_entry e;
	struct buf b;

	buf_init(&b, ROOM);
	FUZZ_ASSERT(raft_core_config_entry(1, 1, servers, kind == 1 ? 1 : 3, &b, &e, NULL) == 0);
	if (kind != 0) {
		found.entries = &e;
		found.count = 1;
		f->last = 1;
	}
	f->core = raft_core_new(config, 1, f->now);
	FUZZ_ASSERT(raft_core_start(f->core, f->now, &found, NULL) == 0);
	buf_done(&b);
	fuzz_drain(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = rd_of(str_mem(data, size));
	struct fuzz f = { .now = { 1000 * NSEC_SEC, 0 }, .data = &r, .fsm = fsm_new(NULL) };
	struct raft_core_config config = {
		.id = 1, .fsm = f.fsm, .snapshot_entries = 4, .trail = 2
	};

	memset(f.cluster.b, 0xc1, sizeof f.cluster.b);
	config.cluster = f.cluster;
	config.agent.b[0] = 1;
	fuzz_start(&f, &config, rd_u8(&r) % 3);
	for (int i = 0; i < 200 && rd_left(&r) > 0; i++)
		fuzz_step(&f, rd_u8(&r) % 9);
	raft_core_free(f.core);
	fsm_free(f.fsm);
	return 0;
}
