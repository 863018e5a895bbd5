/* Whole pools, simulated: how long until everybody knows of everybody and of one change, and what
 * an idle agent sends.
 *
 *     pool-sim [AGENTS [RECORDS [CHANGES]]]      1000 agents, 50 records each, 200 changes
 *
 * Every agent holds all records of all others: 50 million at 1,000 x 50. So most agents publish
 * small records of a kind that nobody knows, which are stored, hashed and passed on like any other
 * but not indexed; one agent in twenty publishes services. Bytes are those of messages, both of
 * datagrams and streams, compressed as in the field, with the headers of IP and UDP; a TCP
 * connection is reckoned with CONNECTION bytes of headers.
 *
 * Parts: what is sent; reaching everybody; the figures.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gossip/frame.h"
#include "tests/sim/pool_check.h"

#define HEADERS 28     /* bytes of IPv4 and UDP */
#define CONNECTION 520 /* ten packets of 52: handshake, request, answer, end, and their acks */
#define SAMPLE 20      /* every so many'th agent publishes services */
#define GIVE_UP (300 * NSEC_SEC)
#define SETTLE (10 * NSEC_SEC) /* without news of members: the joins' retransmits are through */
#define IDLE (180 * NSEC_SEC)

/* What is sent. */

enum sent {
	PROBE,
	PAYLOAD,
	TOUCH,
	GOSSIP,
	SERF,
	CATALOG,
	FRAME,
	PUSH_PULL,
	CATALOG_STREAM,
	OTHER,
	SENTS
};
static const char *const sent_names[SENTS] = {
	"probes (ping, ack, indirect)",
	"coordinates in acks",
	"touches",
	"membership gossip",
	"serf's intents, events, queries",
	"catalog, datagrams",
	"compound headers",
	"push/pull",
	"catalog, streams",
	"other",
};

struct bench {
	struct pool_sim *sim;
	double bytes[SENTS];
	uint64_t count[SENTS];
	double share; /* length on the wire, of the datagram being counted, beside its own */
	/* of the change under way */
	size_t origin, left;
	uint64_t number;
	nsec since;
	bool *has;
	nsec *took; /* of all changes and agents */
	size_t took_count;
	nsec last; /* of the present change */
};

static void
count(struct bench *b, enum sent what, size_t bytes)
{
	b->bytes[what] += (double)bytes * b->share;
	b->count[what]++;
}

static void
count_message(struct bench *b, struct str m)
{
	struct wire_message w;
	struct arena arena;

	arena_init(&arena, 64 * 1024);
	if (m.n == 0 || wire_read(&arena, m, &w, NULL) != 0) {
		count(b, OTHER, m.n);
		arena_done(&arena);
		return;
	}
	switch (w.type) {
	case WIRE_PING:
	case WIRE_INDIRECT_PING:
		count(b, PROBE, m.n);
		break;
	case WIRE_ACK:
		count(b, PROBE, m.n - w.u.ack.payload.n);
		count(b, PAYLOAD, w.u.ack.payload.n);
		break;
	case WIRE_NACK:
		count(b, TOUCH, m.n);
		break;
	case WIRE_SUSPECT:
	case WIRE_ALIVE:
	case WIRE_DEAD:
		count(b, GOSSIP, m.n);
		break;
	case WIRE_USER:
		count(b, w.u.user.n > 0 && (uint8_t)w.u.user.p[0] == SERF_MUSTER ? CATALOG : SERF,
		    m.n);
		break;
	default:
		count(b, OTHER, m.n);
	}
	arena_done(&arena);
}

static void
count_stream(struct bench *b, struct str bytes)
{
	static const struct frame_config framed = { .compress = true };
	struct stream_in *in = stream_in_new(&framed, false);
	struct stream_request request;
	enum sent what = OTHER;

	b->share = 1;
	if (stream_in_feed(in, bytes, &request, NULL) == 1)
		what = request.type == WIRE_PUSH_PULL ? PUSH_PULL
		       : request.type == WIRE_USER    ? CATALOG_STREAM
						      : OTHER;
	count(b, what, bytes.n + CONNECTION / 2);
	stream_in_free(in);
}

static void
on_sent(struct pool_sim *sim, size_t from, struct str bytes, size_t n, bool stream)
{
	struct bench *b = sim->arg;
	struct frame_walk walk;
	struct arena arena;
	struct str message;
	size_t parts = 0;

	(void)from;
	if (stream) {
		count_stream(b, bytes);
		return;
	}
	b->share = (double)(n + HEADERS) / (double)bytes.n;
	arena_init(&arena, 64 * 1024);
	frame_walk_init(&walk, &arena, bytes);
	while (frame_walk_next(&walk, &message)) {
		parts += message.n;
		count_message(b, message);
	}
	if (parts < bytes.n)
		count(b, FRAME, bytes.n - parts);
	arena_done(&arena);
}

/* Reaching everybody. */

static bool
has(const struct bench *b, size_t i)
{
	struct digest d;

	return store_digest_of(b->sim->hosts[i].store, &b->sim->hosts[b->origin].disk.id, &d) &&
	       d.number >= b->number;
}

static void
on_drained(struct pool_sim *sim, size_t i)
{
	struct bench *b = sim->arg;

	if (b->left == 0 || b->has[i] || !has(b, i))
		return;
	b->has[i] = true;
	b->left--;
	b->last = sim->net.now - b->since;
	if (i != b->origin)
		b->took[b->took_count++] = b->last;
}

static void
put(struct bench *b, size_t i, size_t k)
{
	struct pool_host *host = &b->sim->hosts[i];
	struct model_ids ids = { .store = host->store, .self = &host->disk.id };

	if (i % SAMPLE == 0)
		model_service(&host->model, &ids, pool_sim_now(b->sim, i), k, true);
	else
		model_note(&host->model, &ids, pool_sim_now(b->sim, i), k, true);
}

static void
change(struct bench *b, size_t records)
{
	struct pool_host *host;
	struct digest d;
	size_t n = b->sim->config.hosts;

	b->origin = rng_below(&b->sim->net.rng, (uint32_t)n);
	host = &b->sim->hosts[b->origin];
	put(b, b->origin, rng_below(&b->sim->net.rng, (uint32_t)records));
	store_digest_of(host->store, &host->disk.id, &d);
	b->number = d.number;
	b->since = b->sim->net.now;
	b->left = n;
	memset(b->has, 0, n);
	pool_sim_changed(b->sim, b->origin);
	while (b->left > 0 && b->sim->net.now - b->since < GIVE_UP)
		pool_sim_run(b->sim, 10 * NSEC_MS);
	pool_sim_run(b->sim, (nsec)rng_below(&b->sim->net.rng, 500) * NSEC_MS);
}

static size_t
alive_seen(const struct bench *b)
{
	size_t seen = 0;

	for (size_t i = 0; i < b->sim->config.hosts; i++)
		seen += pool_member_count(b->sim->hosts[i].pool, SERF_ALIVE);
	return seen;
}

/* The figures. */

static int
nsec_cmp(const void *a, const void *b)
{
	nsec x = *(const nsec *)a, y = *(const nsec *)b;

	return x < y ? -1 : x > y;
}

static double
ms(nsec d)
{
	return (double)d / NSEC_MS;
}

static double
cpu(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* How far it is, on a terminal's line or a log's: 1,000 agents take their time. */
static void
progress(const struct bench *b, nsec start)
{
	struct mallinfo2 m = mallinfo2();

	fprintf(stderr, "  %6.2f s: %.1f %% of members known; %.0f MB, %.0f s of CPU\n",
	    ms(b->sim->net.now - start) / 1000,
	    100.0 * (double)alive_seen(b) / (double)(b->sim->config.hosts * b->sim->config.hosts),
	    (double)(m.uordblks + m.hblkhd) / 1e6, cpu());
}

static void
converge(struct bench *b)
{
	struct pool_check check = { .sim = b->sim };
	size_t n = b->sim->config.hosts;
	nsec start = b->sim->net.now, members = 0;
	double cpu_start = cpu();
	struct mallinfo2 m;

	pool_sim_start_all(b->sim);
	while (b->sim->net.now - start < GIVE_UP) {
		pool_sim_run(b->sim, 250 * NSEC_MS);
		progress(b, start);
		if (members == 0 && alive_seen(b) == n * n)
			members = b->sim->net.now - start;
		if (members != 0 && pool_check_agreed(&check, NULL))
			break;
	}
	m = mallinfo2();
	printf(
	    "all start at once: all members known after %.2f s, all catalogs equal after %.2f s\n",
	    ms(members) / 1000, ms(b->sim->net.now - start) / 1000);
	printf("    sent until then, per agent: %.0f kB in datagrams, %.0f kB in streams\n",
	    (double)b->sim->datagram_bytes / 1000 / (double)n,
	    (double)b->sim->stream_bytes / 1000 / (double)n);
	printf("    %.0f MB in all, %.0f s of CPU\n", (double)(m.uordblks + m.hblkhd) / 1e6,
	    cpu() - cpu_start);
	if (!pool_check_agreed(&check, NULL))
		printf("    NOT all equal\n");
}

static void
changes(struct bench *b, size_t records, size_t count_max)
{
	size_t n = b->sim->config.hosts;
	nsec *all = calloc(count_max, sizeof *all);

	b->took = calloc(count_max * n, sizeof *b->took);
	if (all == NULL || b->took == NULL)
		exit(1);
	for (size_t k = 0; k < count_max; k++) {
		change(b, records);
		all[k] = b->left > 0 ? GIVE_UP : b->last;
	}
	qsort(all, count_max, sizeof *all, nsec_cmp);
	qsort(b->took, b->took_count, sizeof *b->took, nsec_cmp);
	printf("one change, at each agent:   p50 %7.1f ms  p99 %7.1f ms  max %7.1f ms\n",
	    ms(b->took[b->took_count / 2]), ms(b->took[b->took_count * 99 / 100]),
	    ms(b->took[b->took_count - 1]));
	printf("one change, at the last one: p50 %7.1f ms  p99 %7.1f ms  max %7.1f ms\n",
	    ms(all[count_max / 2]), ms(all[count_max * 99 / 100]), ms(all[count_max - 1]));
	free(all);
	free(b->took);
}

/* Each join is retransmitted by each agent: at 1,000 agents that takes minutes. */
static void
settle(struct bench *b)
{
	nsec start = b->sim->net.now;
	uint64_t before;

	do {
		before = b->count[GOSSIP];
		pool_sim_run(b->sim, SETTLE);
	} while (b->count[GOSSIP] != before && b->sim->net.now - start < GIVE_UP);
	printf("news of members were through after %.0f s more%s\n",
	    ms(b->sim->net.now - start) / 1000, b->count[GOSSIP] != before ? ": NOT" : "");
}

static void
idle(struct bench *b)
{
	double span = (double)b->sim->config.hosts * (double)(IDLE / NSEC_SEC), all = 0;
	uint64_t datagrams, streams;
	double cpu_start;

	settle(b);
	memset(b->bytes, 0, sizeof b->bytes);
	memset(b->count, 0, sizeof b->count);
	datagrams = b->sim->datagrams;
	streams = b->sim->streams;
	cpu_start = cpu();
	pool_sim_run(b->sim, IDLE);
	for (int i = 0; i < SENTS; i++)
		all += b->bytes[i];
	printf(
	    "idle: %.0f B/s sent per agent; %.2f datagrams and %.3f streams per s; %.0f us of CPU "
	    "per s\n",
	    all / span, (double)(b->sim->datagrams - datagrams) / span,
	    (double)(b->sim->streams - streams) / span, (cpu() - cpu_start) * 1e6 / span);
	for (int i = 0; i < SENTS; i++)
		if (b->count[i] != 0)
			printf("    %-32s %8.1f B/s  %7.3f per s  %7.0f B each\n", sent_names[i],
			    b->bytes[i] / span, (double)b->count[i] / span,
			    b->bytes[i] / (double)b->count[i]);
}

int
main(int argc, char **argv)
{
	size_t agents = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	size_t records = argc > 2 ? strtoul(argv[2], NULL, 10) : 50;
	size_t count_max = argc > 3 ? strtoul(argv[3], NULL, 10) : 200;
	struct pool_sim_config config = pool_sim_lan;
	struct bench b = { 0 };

	if (agents < 2 || agents > POOL_SIM_HOSTS_MAX || records < 1 || records > MODEL_NOTES ||
	    count_max < 1 || count_max > 100000) {
		fprintf(stderr, "usage: pool-sim [AGENTS [RECORDS [CHANGES]]]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	config.hosts = agents;
	config.framed = true;
	b.sim = pool_sim_new(&config);
	b.has = calloc(agents, 1);
	if (b.has == NULL)
		return 1;
	for (size_t i = 0; i < agents; i++)
		for (size_t k = 0; k < records; k++)
			put(&b, i, k);
	b.sim->arg = &b;
	b.sim->on_sent = on_sent;
	b.sim->on_drained = on_drained;
	printf(
	    "%zu agents with %zu records each (services on one in %d, else of an unknown kind)\n",
	    agents, records, SAMPLE);
	converge(&b);
	changes(&b, records, count_max);
	idle(&b);
	pool_sim_free(b.sim);
	free(b.has);
	return 0;
}
