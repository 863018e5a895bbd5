/* tests/sim/cluster_sim_disk.c -- the disk of a server: what is queued becomes durable in batches,
 * in order; a crash keeps any beginning of it.
 */
#include "tests/sim/cluster_sim_priv.h"

static void
snapshot_init(struct csim_snapshot *s)
{
	memset(s, 0, sizeof *s);
	buf_init(&s->config, CLUSTER_SIM_BYTES);
	buf_init(&s->data, CLUSTER_SIM_BYTES);
}

static void
snapshot_done(struct csim_snapshot *s)
{
	buf_done(&s->config);
	buf_done(&s->data);
	snapshot_init(s);
}

void
csim_disk_init(struct csim_disk *d)
{
	memset(d, 0, sizeof *d);
	d->first = 1;
	snapshot_init(&d->snapshot);
	snapshot_init(&d->storing);
}

static void
log_cut(struct csim_disk *d, uint64_t from)
{
	while (d->count > 0 && d->first + d->count > from)
		buf_done(&d->log[--d->count].bytes);
}

static void
log_drop(struct csim_disk *d, uint64_t upto)
{
	size_t n = 0;

	while (n < d->count && d->first + n <= upto)
		buf_done(&d->log[n++].bytes);
	d->count -= n;
	d->first += n;
	if (d->count > 0)
		memmove(d->log, d->log + n, d->count * sizeof *d->log);
}

static void
queue_drop(struct csim_disk *d, size_t n)
{
	for (size_t k = 0; k < n; k++)
		buf_done(&d->queue[k].bytes);
	d->queued -= n;
	if (d->queued > 0)
		memmove(d->queue, d->queue + n, d->queued * sizeof *d->queue);
}

void
csim_disk_wipe(struct csim_disk *d)
{
	log_cut(d, 0);
	queue_drop(d, d->queued);
	snapshot_done(&d->snapshot);
	snapshot_done(&d->storing);
	memset(&d->vote, 0, sizeof d->vote);
	d->first = 1;
	d->batch = 0;
	d->ticket = d->done = d->vote_ticket = 0;
}

void
csim_disk_done(struct csim_disk *d)
{
	csim_disk_wipe(d);
	free(d->log);
	free(d->queue);
}

static void
disk_do(struct csim_disk *d, struct csim_op *op)
{
	switch (op->kind) {
	case CSIM_SET:
		assert(op->index == d->first + d->count);
		d->log = mem_grow(d->log, d->count, &d->cap, sizeof *d->log);
		d->log[d->count++] = *op;
		buf_init(&op->bytes, CLUSTER_SIM_BYTES);
		break;
	case CSIM_TRUNCATE:
		log_cut(d, op->index);
		break;
	case CSIM_RESET:
		log_cut(d, 0);
		d->first = op->index;
		break;
	case CSIM_VOTE:
		d->vote = op->vote;
		break;
	case CSIM_DROP:
		log_drop(d, op->index);
		break;
	}
}

static void
disk_begin(struct cluster_sim *sim, size_t i)
{
	struct csim_disk *d = &sim->hosts[i].disk;
	nsec slow = csim_one_in(sim, 200) ? 300 * NSEC_MS : 0;

	if (d->batch > 0 || d->queued == 0)
		return;
	d->batch = d->queued;
	csim_post(sim, CSIM_SYNCED, i,
	    sim->net.now + slow + csim_between(sim, sim->config.sync_min, sim->config.sync_max));
}

static void
disk_queue(struct cluster_sim *sim, size_t i, const struct csim_op *op, struct str bytes)
{
	struct csim_disk *d = &sim->hosts[i].disk;
	struct csim_op copy = *op;

	buf_init(&copy.bytes, CLUSTER_SIM_BYTES);
	buf_add(&copy.bytes, bytes);
	d->queue = mem_grow(d->queue, d->queued, &d->queue_cap, sizeof *d->queue);
	d->queue[d->queued++] = copy;
	d->ticket++;
	if (op->kind == CSIM_VOTE)
		d->vote_ticket = d->ticket;
	disk_begin(sim, i);
}

/* What is still queued may take some of it back: see raft_core_durable(). */
void
csim_disk_synced(struct cluster_sim *sim, size_t i)
{
	struct csim_disk *d = &sim->hosts[i].disk;
	uint64_t durable;

	for (size_t k = 0; k < d->batch; k++)
		disk_do(d, &d->queue[k]);
	d->done += d->batch;
	queue_drop(d, d->batch);
	d->batch = 0;
	durable = d->first + d->count - 1;
	for (size_t k = 0; k < d->queued; k++) {
		const struct csim_op *op = &d->queue[k];

		if ((op->kind == CSIM_TRUNCATE || op->kind == CSIM_RESET) && durable >= op->index)
			durable = op->index - 1;
	}
	disk_begin(sim, i);
	csim_send_flush(sim, i);
	cluster_durable(sim->hosts[i].cluster, csim_now(sim), durable);
	csim_drain(sim, i);
}

static void
snapshot_take(struct cluster_sim *sim, size_t i, const struct raft_core_action *a)
{
	struct csim_disk *d = &sim->hosts[i].disk;
	struct fsm_snapshot *s = fsm_snapshot_new(cluster_fsm(sim->hosts[i].cluster));

	snapshot_done(&d->storing);
	buf_add(&d->storing.config, a->meta.config);
	d->storing.meta = a->meta;
	d->storing.meta.config = buf_str(&d->storing.config);
	while (fsm_snapshot_next(s, 4096, &d->storing.data))
		;
	fsm_snapshot_free(s);
	csim_post(sim, CSIM_STORED, i, sim->net.now + csim_between(sim, NSEC_MS, 50 * NSEC_MS));
}

void
csim_disk_stored(struct cluster_sim *sim, size_t i)
{
	struct csim_disk *d = &sim->hosts[i].disk;
	uint64_t index = d->storing.meta.index;

	if (index == 0)
		return; /* the log began anew meanwhile */
	snapshot_done(&d->snapshot);
	d->snapshot = d->storing;
	snapshot_init(&d->storing);
	cluster_snapshot_stored(sim->hosts[i].cluster, csim_now(sim), index);
	csim_drain(sim, i);
}

void
csim_disk_raft(struct cluster_sim *sim, size_t i, const struct cluster_action *a)
{
	const struct raft_core_action *r = &a->raft;
	struct csim_op op = { .index = r->index };

	switch (r->kind) {
	case RAFT_CORE_VOTE:
		op.kind = CSIM_VOTE;
		op.vote = a->vote;
		disk_queue(sim, i, &op, STR_NONE);
		break;
	case RAFT_CORE_TRUNCATE:
		op.kind = CSIM_TRUNCATE;
		disk_queue(sim, i, &op, STR_NONE);
		break;
	case RAFT_CORE_APPEND:
		op = (struct csim_op){ .kind = CSIM_SET,
			.index = r->entry.index,
			.term = r->entry.term,
			.type = r->entry.type };
		disk_queue(sim, i, &op, r->entry.bytes);
		break;
	case RAFT_CORE_SNAPSHOT:
		snapshot_take(sim, i, r);
		break;
	case RAFT_CORE_INSTALLED:
		op.kind = CSIM_RESET;
		op.index = r->meta.index + 1;
		disk_queue(sim, i, &op, STR_NONE);
		sim->installs++;
		break;
	case RAFT_CORE_DROP:
		op.kind = CSIM_DROP;
		disk_queue(sim, i, &op, STR_NONE);
		break;
	default:
		cluster_sim_fail(sim, "a disk does not know Raft's action %d", (int)r->kind);
	}
}

/* At once, and nothing that was on its way to the old files is told any more. */
void
csim_disk_found(struct cluster_sim *sim, size_t i, const struct raft_vote *vote)
{
	struct csim_host *h = &sim->hosts[i];
	bool busy = h->disk.batch > 0;

	for (size_t k = 0; k < h->out; k++) {
		buf_done(&h->outbox[k].bytes);
		buf_done(&h->outbox[k].data);
	}
	h->out = 0;
	csim_disk_wipe(&h->disk);
	h->disk.vote = *vote;
	if (busy) /* its event comes still, and finds an empty batch */
		h->disk.batch = 0;
}

void
csim_disk_crash(struct cluster_sim *sim, size_t i)
{
	struct csim_disk *d = &sim->hosts[i].disk;
	size_t keep = d->queued == 0 ? 0 : rng_below(&sim->net.rng, (uint32_t)d->queued + 1);

	for (size_t k = 0; k < keep; k++)
		disk_do(d, &d->queue[k]);
	queue_drop(d, d->queued);
	snapshot_done(&d->storing);
	d->batch = 0;
	d->ticket = d->done = d->vote_ticket = 0;
}

struct cluster_disk *
csim_disk_read(struct cluster_sim *sim, size_t i, struct cluster_disk *out,
    struct raft_log_entry **entries, struct watches *watches)
{
	struct csim_disk *d = &sim->hosts[i].disk;
	struct fsm_load *load;
	struct err err = { 0 };

	if (d->vote.raft_id == 0)
		return NULL;
	*out = (struct cluster_disk){ .vote = d->vote, .fsm = fsm_new(watches) };
	out->found.term = d->vote.term;
	out->found.voted_for = d->vote.voted_for;
	if (d->snapshot.meta.index != 0) {
		d->snapshot.meta.config = buf_str(&d->snapshot.config);
		d->snapshot.meta.cluster_id = d->vote.cluster_id;
		out->found.snapshot = &d->snapshot.meta;
		load = fsm_load_new(sim->net.now);
		if (fsm_load_feed(load, buf_str(&d->snapshot.data), &err) < 0 ||
		    fsm_load_finish(load, out->fsm, &err) < 0)
			cluster_sim_fail(sim, "a snapshot does not load: %s", err.text);
		fsm_load_free(load);
		/* as kv/raft_log_io.h: what ends before the snapshot is forgotten */
		if (d->first + d->count <= d->snapshot.meta.index) {
			log_cut(d, 0);
			d->first = d->snapshot.meta.index + 1;
		}
	}
	*entries = mem_zalloc((d->count + 1) * sizeof **entries);
	for (size_t k = 0; k < d->count; k++)
		(*entries)[k] = (struct raft_log_entry){ d->first + k, d->log[k].term,
			d->log[k].type, buf_str(&d->log[k].bytes) };
	out->found.entries = *entries;
	out->found.count = d->count;
	return out;
}
