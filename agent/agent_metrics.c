/* agent/agent_metrics.c -- TABLES of figures: what the members of every part's counters are called.
 *
 * In order: a table for each struct of counters; the few figures that are put together here; the
 * list of parts; intervals and settings. Consul's name where the thing is the same, else ours.
 */
#include "agent/agent_priv.h"

#include "config.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "kv/keys.h"
#include "kv/session.h"

#define GAUGE(type, member, text, sentence)                                      \
	{                                                                        \
		text, METRIC_GAUGE, METRIC(type, member), sentence, .ours = true \
	}
#define COUNTER(type, member, text, sentence)                                      \
	{                                                                          \
		text, METRIC_COUNTER, METRIC(type, member), sentence, .ours = true \
	}
#define AMOUNT(type, member, text, sentence)                                      \
	{                                                                         \
		text, METRIC_AMOUNT, METRIC(type, member), sentence, .ours = true \
	}
#define LABELLED(type, member, text, sentence, name, is)                             \
	{                                                                            \
		text, METRIC_COUNTER, METRIC(type, member), sentence, name, is, true \
	}
#define CONSUL(type, member, is, text, sentence)                  \
	{                                                         \
		text, METRIC_##is, METRIC(type, member), sentence \
	}

static const struct metric_row gossip_rows[] = {
#define S struct gossip_io_stats
	CONSUL(
	    S, bytes_in, AMOUNT, "memberlist.udp.received", "Bytes of gossip datagrams received."),
	CONSUL(S, bytes_out, AMOUNT, "memberlist.udp.sent", "Bytes of gossip datagrams sent."),
	CONSUL(S, stream_bytes_out, AMOUNT, "memberlist.tcp.sent", "Bytes sent on gossip streams."),
	CONSUL(S, streams_in, COUNTER, "memberlist.tcp.accept", "Gossip streams of others taken."),
	CONSUL(S, streams_out, COUNTER, "memberlist.tcp.connect", "Gossip streams opened."),
	AMOUNT(S, stream_bytes_in, "gossip.stream_bytes.received",
	    "Bytes received on gossip streams."),
	COUNTER(S, datagrams_in, "gossip.datagrams.received", "Gossip datagrams received."),
	COUNTER(S, datagrams_out, "gossip.datagrams.sent", "Gossip datagrams sent."),
	LABELLED(S, unopened, "gossip.dropped", "Gossip that was dropped, by reason.", "reason",
	    "unopened"),
	LABELLED(S, truncated, "gossip.dropped", "Gossip that was dropped, by reason.", "reason",
	    "truncated"),
	LABELLED(S, send_full, "gossip.dropped", "Gossip that was dropped, by reason.", "reason",
	    "send_buffer_full"),
	LABELLED(S, send_failed, "gossip.dropped", "Gossip that was dropped, by reason.", "reason",
	    "send_failed"),
	LABELLED(S, streams_refused, "gossip.dropped", "Gossip that was dropped, by reason.",
	    "reason", "stream_limit"),
	LABELLED(S, streams_broken, "gossip.dropped", "Gossip that was dropped, by reason.",
	    "reason", "stream_broken"),
	COUNTER(S, refused, "gossip.unreachable",
	    "Datagrams of which the host said that nobody listens."),
	GAUGE(S, streams_now, "gossip.streams", "Gossip streams open now."),
	GAUGE(S, opens_now, "gossip.streams_opening", "Gossip streams being opened now."),
	GAUGE(S, bytes_now, "gossip.stream_bytes_held", "Bytes that gossip streams hold now."),
#undef S
	{ 0 },
};

static const struct metric_row pool_rows[] = {
#define S struct pool_stats
	CONSUL(S, swim.suspicions, COUNTER, "memberlist.msg.suspect",
	    "Members that came under suspicion."),
	CONSUL(S, swim.deaths, COUNTER, "memberlist.msg.dead", "Members that were declared dead."),
	CONSUL(S, awareness, GAUGE, "memberlist.health.score",
	    "How little this agent trusts its own probes; 0 is best."),
	CONSUL(S, serf.events, COUNTER, "serf.events", "User events taken up."),
	CONSUL(S, serf.queries, COUNTER, "serf.queries", "Serf's queries taken up."),
	CONSUL(
	    S, presence.damped, COUNTER, "serf.member.flap", "Members shown on because they flap."),
	COUNTER(S, swim.packets_in, "swim.packets.received", "Packets of gossip read."),
	COUNTER(S, swim.packets_out, "swim.packets.sent", "Packets of gossip made."),
	COUNTER(S, swim.probes, "swim.probes", "Probes of members."),
	COUNTER(S, swim.probes_failed, "swim.probes_failed", "Probes that found no member."),
	COUNTER(
	    S, swim.refutations, "swim.refutations", "Claims about this agent that it refuted."),
	LABELLED(S, swim.malformed, "pool.dropped",
	    "Messages of the pool that were dropped, by reason.", "reason", "swim_malformed"),
	LABELLED(S, swim.dropped, "pool.dropped",
	    "Messages of the pool that were dropped, by reason.", "reason", "swim_limit"),
	LABELLED(S, serf.malformed, "pool.dropped",
	    "Messages of the pool that were dropped, by reason.", "reason", "serf_malformed"),
	LABELLED(S, serf.dropped, "pool.dropped",
	    "Messages of the pool that were dropped, by reason.", "reason", "serf_limit"),
	LABELLED(S, spread.malformed, "pool.dropped",
	    "Messages of the pool that were dropped, by reason.", "reason", "catalog_malformed"),
	LABELLED(S, presence.refused, "pool.dropped",
	    "Messages of the pool that were dropped, by reason.", "reason", "member_limit"),
	LABELLED(S, refused_members, "pool.dropped",
	    "Messages of the pool that were dropped, by reason.", "reason", "foreign_member"),
	LABELLED(S, dropped, "pool.dropped", "Messages of the pool that were dropped, by reason.",
	    "reason", "pool_limit"),
	COUNTER(S, serf.reaped, "pool.reaped", "Members forgotten after their time."),
	COUNTER(S, serf.reconnects, "pool.reconnects", "Tries to reach failed members."),
	COUNTER(S, conflicts, "pool.conflicts", "Members whose name another one has."),
	COUNTER(S, taken_over, "pool.taken_over", "Members that another one has replaced."),
	COUNTER(S, spread.pushed, "spread.pushed", "Records of this agent pushed to others."),
	COUNTER(S, spread.passed, "spread.passed", "Records of others passed on."),
	COUNTER(S, spread.repairs, "spread.repairs", "Repairs of what pushing had missed."),
	AMOUNT(
	    S, spread.bytes_out, "spread.bytes.sent", "Bytes of catalog records sent, all copies."),
	LABELLED(S, spread.applied_push, "spread.applied",
	    "Records of others applied, by the way they came.", "way", "push"),
	LABELLED(S, spread.applied_repair, "spread.applied",
	    "Records of others applied, by the way they came.", "way", "repair"),
	COUNTER(S, presence.cut_offs, "presence.cut_offs",
	    "Times this agent presumed that it is the one cut off."),
	GAUGE(S, presence.members, "presence.members", "Members known."),
	GAUGE(S, presence.failed, "presence.failed", "Members that have failed."),
	GAUGE(S, presence.kept, "presence.kept",
	    "Members that have failed and are shown all the same."),
#undef S
	{ 0 },
};

static const struct metric_row store_rows[] = {
#define S struct store_stats
	COUNTER(S, applied, "store.applied", "Catalog records applied."),
	COUNTER(S, stale, "store.stale", "Catalog records that were known already."),
	COUNTER(S, gaps, "store.gaps", "Pushed records with a gap before them."),
	COUNTER(
	    S, refused, "store.refused", "Catalog records refused, over a limit or out of order."),
	COUNTER(S, hash_mismatch, "store.hash_mismatches",
	    "Owners whose records differed in spite of equal numbers."),
	COUNTER(S, whole_transfers, "store.whole_transfers", "Whole states of owners taken over."),
	COUNTER(S, unknown_dropped, "store.unknown_dropped",
	    "Records of owners that are no members, dropped."),
#undef S
	{ 0 },
};

static const struct metric_row catalog_rows[] = {
#define S struct catalog_counts
	CONSUL(S, nodes, GAUGE, "state.nodes", "Nodes in the catalog."),
	CONSUL(S, names, GAUGE, "state.services", "Names of services in the catalog."),
	CONSUL(
	    S, services, GAUGE, "state.service_instances", "Instances of services in the catalog."),
	GAUGE(S, checks, "catalog.checks", "Checks in the catalog."),
#undef S
	{ 0 },
};

static const struct metric_row check_rows[] = {
#define S struct check_run_stats
	GAUGE(S, checks, "checks.active", "Checks of this agent that probe."),
	GAUGE(S, running, "checks.running", "Checks that run now."),
	GAUGE(S, queued, "checks.queued", "Checks that are due and wait for others."),
	COUNTER(S, runs, "checks.runs", "Runs of checks."),
	COUNTER(S, late, "checks.late", "Runs that began a second or more after their moment."),
#undef S
	{ 0 },
};

static const struct metric_row watch_rows[] = {
#define S struct watch_runs_stats
	GAUGE(S, watches, "watches", "Watches of the config files."),
	COUNTER(S, runs, "watches.runs", "Runs of handlers of watches."),
	COUNTER(S, failed, "watches.failed", "Runs of handlers of watches that went wrong."),
#undef S
	{ 0 },
};

static const struct metric_row docker_rows[] = {
#define S struct docker_stats
	COUNTER(S, events, "docker.events", "Events of the Docker engine."),
	COUNTER(S, events_bad, "docker.events_bad",
	    "Events or answers of the engine that did not read."),
	COUNTER(
	    S, overflows, "docker.overflows", "Times more events waited than there is room for."),
	COUNTER(S, inspects, "docker.inspects", "Containers inspected."),
	COUNTER(S, lists, "docker.lists", "Times all containers were listed."),
	COUNTER(S, reconnects, "docker.reconnects", "Times the engine was lost."),
	GAUGE(S, containers, "docker.containers", "Containers known."),
	GAUGE(S, services, "docker.services", "Services that come from containers."),
#undef S
	{ 0 },
};

#define DNS_TYPE_HELP "Questions to DNS, by type."
#define DNS_RCODE_HELP "Answers of DNS, by code."
#define DNS_LIMIT_HELP "Questions to DNS over the rate limit, by what they were answered."
#define DNS_TIME_HELP "Answers of DNS over UDP by the time from a question's coming to its answer."
#define BUCKET(type, member, seconds)                                                          \
	{                                                                                      \
		"dns.answer_seconds", METRIC_BUCKET, METRIC(type, member), DNS_TIME_HELP, "le", \
		    seconds, true                                                              \
	}
static_assert(DNS_SPANS == 15 && DNS_SPAN_FIRST_LOG2 == 4, "as the buckets say");
static const struct metric_row dns_rows[] = {
#define S struct dns_stats
	LABELLED(S, by_type[DNS_COUNT_A], "dns.questions", DNS_TYPE_HELP, "type", "A"),
	LABELLED(S, by_type[DNS_COUNT_AAAA], "dns.questions", DNS_TYPE_HELP, "type", "AAAA"),
	LABELLED(S, by_type[DNS_COUNT_ANY], "dns.questions", DNS_TYPE_HELP, "type", "ANY"),
	LABELLED(S, by_type[DNS_COUNT_NS], "dns.questions", DNS_TYPE_HELP, "type", "NS"),
	LABELLED(S, by_type[DNS_COUNT_PTR], "dns.questions", DNS_TYPE_HELP, "type", "PTR"),
	LABELLED(S, by_type[DNS_COUNT_SOA], "dns.questions", DNS_TYPE_HELP, "type", "SOA"),
	LABELLED(S, by_type[DNS_COUNT_SRV], "dns.questions", DNS_TYPE_HELP, "type", "SRV"),
	LABELLED(S, by_type[DNS_COUNT_TXT], "dns.questions", DNS_TYPE_HELP, "type", "TXT"),
	LABELLED(S, by_type[DNS_COUNT_OTHER], "dns.questions", DNS_TYPE_HELP, "type", "other"),
	LABELLED(S, noerror, "dns.answers", DNS_RCODE_HELP, "rcode", "NOERROR"),
	LABELLED(S, formerr, "dns.answers", DNS_RCODE_HELP, "rcode", "FORMERR"),
	LABELLED(S, servfail, "dns.answers", DNS_RCODE_HELP, "rcode", "SERVFAIL"),
	LABELLED(S, nxdomain, "dns.answers", DNS_RCODE_HELP, "rcode", "NXDOMAIN"),
	LABELLED(S, notimp, "dns.answers", DNS_RCODE_HELP, "rcode", "NOTIMP"),
	LABELLED(S, refused, "dns.answers", DNS_RCODE_HELP, "rcode", "REFUSED"),
	COUNTER(S, truncated, "dns.truncated", "Answers of DNS that were cut."),
	COUNTER(S, dropped, "dns.dropped", "Packets to DNS that got no answer."),
	COUNTER(S, late, "dns.late", "Questions to DNS that had waited too long to be answered."),
	LABELLED(S, limited, "dns.limited", DNS_LIMIT_HELP, "answer", "none"),
	LABELLED(S, slipped, "dns.limited", DNS_LIMIT_HELP, "answer", "cut"),
	BUCKET(S, spans[0], "0.000016"),
	BUCKET(S, spans[1], "0.000032"),
	BUCKET(S, spans[2], "0.000064"),
	BUCKET(S, spans[3], "0.000128"),
	BUCKET(S, spans[4], "0.000256"),
	BUCKET(S, spans[5], "0.000512"),
	BUCKET(S, spans[6], "0.001024"),
	BUCKET(S, spans[7], "0.002048"),
	BUCKET(S, spans[8], "0.004096"),
	BUCKET(S, spans[9], "0.008192"),
	BUCKET(S, spans[10], "0.016384"),
	BUCKET(S, spans[11], "0.032768"),
	BUCKET(S, spans[12], "0.065536"),
	BUCKET(S, spans[13], "0.131072"),
	BUCKET(S, spans[14], "+Inf"),
	{ "dns.answer_seconds", METRIC_SPENT, METRIC(S, spans_us), DNS_TIME_HELP, .ours = true },
#undef S
	{ 0 },
};

static const struct metric_row recurse_rows[] = {
#define S struct recurse_stats
	COUNTER(S, asked, "dns.recursors.asked", "Questions put to recursors."),
	COUNTER(S, failed, "dns.recursors.failed", "Questions that no recursor has answered."),
	COUNTER(S, refused, "dns.recursors.refused",
	    "Questions for recursors beyond what may be under way."),
	COUNTER(S, loops, "dns.recursors.loops", "Questions of recursors that were our own."),
	COUNTER(S, foreign, "dns.recursors.foreign",
	    "Answers of recursors that did not belong to their question."),
	GAUGE(S, under_way, "dns.recursors.under_way", "Questions under way to recursors."),
#undef S
	{ 0 },
};

static const struct metric_row http_rows[] = {
#define S struct http_server_stats
	CONSUL(S, parked, GAUGE, "rpc.queries_blocking", "Blocking queries that wait."),
	COUNTER(S, requests, "http.requests", "Requests of HTTP."),
	COUNTER(S, errors, "http.errors", "Answers of HTTP with status 400 and above."),
	COUNTER(S, refused, "http.refused", "Connections of HTTP refused, over a limit."),
	COUNTER(S, timeouts, "http.timeouts", "Connections of HTTP whose time was over."),
	COUNTER(S, woken, "http.woken", "Blocking queries run again."),
	COUNTER(S, shared, "http.shared", "Blocking queries answered with bytes made for another."),
	GAUGE(S, connections, "http.connections", "Connections of HTTP."),
	GAUGE(S, held, "http.held", "Requests that wait for something the agent does."),
	GAUGE(S, asked, "http.asked", "Requests that wait for the servers."),
	GAUGE(S, carried, "http.carried", "Requests of other agents that wait here."),
#undef S
	{ 0 },
};

static const struct metric_row server_net_rows[] = {
#define S struct server_net_stats
	AMOUNT(S, bytes_in, "server_port.bytes.received", "Bytes received from other agents."),
	AMOUNT(S, bytes_out, "server_port.bytes.sent", "Bytes sent to other agents."),
	COUNTER(S, messages_in, "server_port.messages.received",
	    "Messages received from other agents."),
	COUNTER(S, messages_out, "server_port.messages.sent", "Messages sent to other agents."),
	COUNTER(S, dropped, "server_port.dropped", "Messages there was no way or no room for."),
	COUNTER(S, refused, "server_port.refused", "Connections of strangers refused."),
	COUNTER(S, failed, "server_port.calls_failed", "Connections to others that failed."),
	GAUGE(S, connections, "server_port.connections", "Connections with other agents."),
	GAUGE(
	    S, waiting, "server_port.bytes_waiting", "Bytes that wait to be sent to other agents."),
#undef S
	{ 0 },
};

static const struct metric_row event_rows[] = {
#define S struct events_stats
	LABELLED(
	    S, kept, "user_events", "User events heard, by what became of them.", "what", "kept"),
	LABELLED(S, filtered, "user_events", "User events heard, by what became of them.", "what",
	    "filtered"),
	LABELLED(S, malformed, "user_events", "User events heard, by what became of them.", "what",
	    "malformed"),
#undef S
	{ 0 },
};

/* What is put together here. */
struct raft_figures {
	uint64_t leader, applied, last, commit, term, snapshot, contact_ms, dropped, peers;
	uint64_t keys, sessions;
};

static const struct metric_row raft_rows[] = {
#define S struct raft_figures
	CONSUL(S, leader, GAUGE, "server.isLeader", "1 at the leader, else 0."),
	CONSUL(S, applied, GAUGE, "raft.applied_index", "Index of the last entry applied."),
	CONSUL(S, last, GAUGE, "raft.last_index", "Index of the last entry of the log."),
	CONSUL(S, peers, GAUGE, "raft.peers", "Servers that take part in Raft."),
	CONSUL(S, keys, GAUGE, "state.kv_entries", "Keys."),
	GAUGE(S, sessions, "sessions", "Sessions."),
	GAUGE(S, commit, "raft.commit_index", "Index of the last entry that a majority has."),
	GAUGE(S, snapshot, "raft.snapshot_index", "Index of the last snapshot."),
	GAUGE(S, term, "raft.term", "Raft's term."),
	GAUGE(S, contact_ms, "raft.leader_silence", "Milliseconds since the leader was heard."),
	COUNTER(S, dropped, "raft.dropped", "Messages of Raft that were no good."),
#undef S
	{ 0 },
};

struct agent_figures {
	uint64_t log_readers, log_lost;
	uint64_t one, alloc, resident, services, checks, waiting, ready;
	uint64_t alive, failed, left;
};

#define MEMBERS_HELP "Members of the pool, by state."
static const struct metric_row agent_rows[] = {
#define S struct agent_figures
	{ "version", METRIC_GAUGE, METRIC(S, one), "1, labelled with the version.", "version",
	    PACKAGE_VERSION },
	CONSUL(S, alloc, GAUGE, "runtime.alloc_bytes", "Bytes of memory in use."),
	CONSUL(
	    S, resident, GAUGE, "runtime.sys_bytes", "Bytes of memory that the system has given."),
	GAUGE(S, services, "agent.services", "Services of this agent."),
	GAUGE(S, checks, "agent.checks", "Checks of this agent."),
	GAUGE(S, waiting, "agent.queries_waiting", "Queries that wait for a change."),
	GAUGE(S, ready, "agent.ready", "1 when the catalog is answered from, else 0."),
	GAUGE(S, log_readers, "monitor.readers", "Clients that read the log."),
	COUNTER(S, log_lost, "monitor.lost", "Lines of the log that slow clients have lost."),
	{ "members", METRIC_GAUGE, METRIC(S, alive), MEMBERS_HELP, "state", "alive", true },
	{ "members", METRIC_GAUGE, METRIC(S, failed), MEMBERS_HELP, "state", "failed", true },
	{ "members", METRIC_GAUGE, METRIC(S, left), MEMBERS_HELP, "state", "left", true },
#undef S
	{ 0 },
};

/* Resident pages, of /proc; 0: it is not to be had. */
static uint64_t
resident_bytes(void)
{
	unsigned long long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct agent_figures
agent_figures(const struct agent *a)
{
	struct mallinfo2 heap = mallinfo2();
	struct monitor_stats log = { 0 };
	const struct local_service *s = NULL;
	const struct local_check *c = NULL;
	struct agent_figures f = {
		.one = 1,
		.alloc = heap.uordblks + heap.hblkhd,
		.resident = resident_bytes(),
		.waiting = watch_waiter_count(store_watches(a->store)),
		.ready = a->api.ready,
		.alive = pool_member_count(a->pool, SERF_ALIVE),
		.failed = pool_member_count(a->pool, SERF_FAILED),
		.left = pool_member_count(a->pool, SERF_LEFT),
	};

	if (a->monitor != NULL)
		log = monitor_stats(a->monitor);
	f.log_readers = log.readers;
	f.log_lost = log.lost;
	while ((s = local_service_next(a->local, s)) != NULL)
		f.services += s->source != LOCAL_SELF;
	while ((c = local_check_next(a->local, c)) != NULL)
		f.checks++;
	return f;
}

static struct raft_figures
raft_figures(const struct agent *a, struct now now)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	struct cluster_status status = cluster_status(a->cluster, now);
	struct fsm *fsm = cluster_fsm(a->cluster);
	struct raft_figures f = {
		.leader = status.leader,
		.applied = status.raft.applied,
		.last = status.raft.last,
		.commit = status.raft.commit,
		.term = status.raft.term,
		.snapshot = status.raft.snapshot,
		.contact_ms = status.known_leader ? (uint64_t)(status.last_contact / NSEC_MS) : 0,
		.dropped = status.raft.dropped,
		.peers = cluster_servers(a->cluster, servers),
	};

	if (fsm != NULL) {
		f.keys = keys_count(fsm_keys(fsm));
		f.sessions = session_count(fsm_sessions(fsm));
	}
	return f;
}

/* A part that is off has figures all the same, zeros: the tables are the same at every turn. */
void
agent_measure(struct agent *a, struct now now)
{
	struct metrics *m = a->metrics;
	struct agent_figures agent = agent_figures(a);
	struct catalog_counts catalog = catalog_counts(store_catalog(a->store));
	struct store_stats store = store_stats(a->store);
	struct pool_stats pool = pool_stats(a->pool);
	struct gossip_io_stats gossip = pool_io_stats(a->pool_io);
	struct events_stats events = events_stats(a->events);
	struct http_server_stats http = { 0 };
	struct check_run_stats checks = { 0 };
	struct watch_runs_stats watches = { 0 };
	struct docker_stats docker = { 0 };
	struct server_net_stats net = { 0 };
	struct dns_stats dns = *dns_responder_stats(a->responder);
	struct recurse_stats recurse = { 0 };
	struct raft_figures raft = raft_figures(a, now);

	if (a->dns != NULL) {
		dns = dns_io_stats(a->dns);
		recurse = dns_io_recurse_stats(a->dns);
	}
	if (a->http != NULL)
		http = http_server_stats(a->http);
	if (a->checks != NULL)
		checks = check_io_stats(a->checks);
	if (a->watches != NULL)
		watches = watch_runs_stats(a->watches);
	if (a->docker != NULL)
		docker = docker_stats(a->docker);
	if (a->net != NULL)
		net = server_net_stats(a->net);
	metrics_begin(m);
	metrics_take(m, agent_rows, &agent);
	metrics_take(m, catalog_rows, &catalog);
	metrics_take(m, store_rows, &store);
	metrics_take(m, gossip_rows, &gossip);
	metrics_take(m, pool_rows, &pool);
	metrics_take(m, event_rows, &events);
	metrics_take(m, dns_rows, &dns);
	metrics_take(m, recurse_rows, &recurse);
	metrics_take(m, http_rows, &http);
	metrics_take(m, check_rows, &checks);
	metrics_take(m, watch_rows, &watches);
	metrics_take(m, docker_rows, &docker);
	metrics_take(m, server_net_rows, &net);
	metrics_take(m, raft_rows, &raft);
}

void
agent_metrics_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	agent_measure(a, now);
	metrics_roll(a->metrics, now);
	loop_timer_arm(a->metrics_timer, now.mono + METRICS_INTERVAL);
}

/* ---- settings ---- */

static struct metrics_config
metrics_config(const struct agent *a)
{
	const struct options *o = a->options;

	return (struct metrics_config){
		.prefix = o->metrics_prefix,
		.host = o->metrics_disable_hostname ? STR_NONE : o->node_name,
		.rules = o->metrics_rules,
		.rule_count = o->metrics_rule_count,
		.keep_others = o->metrics_filter_default,
	};
}

int
agent_metrics_open(struct agent *a, struct now now, struct err *err)
{
	struct metrics_config config = metrics_config(a);
	int rc = metrics_new(&config, now, &a->metrics, err);

	if (rc < 0)
		return rc;
	for (const struct route *r = http_routes; r->path.p != NULL; r++) {
		struct str path = str_skip(r->path, 1);
		char label[128];
		size_t n = 0;

		for (size_t i = 0; i < path.n && n < sizeof label; i++)
			if (path.p[i] != '*')
				label[n++] = path.p[i] == '/' ? '_' : path.p[i];
		metrics_timer(a->metrics, "api.http",
		    "Milliseconds that requests take, with all that they wait for.", "method",
		    http_method_text(r->method), "path", str_mem(label, n));
	}
	loop_timer_arm(a->metrics_timer, now.mono + METRICS_INTERVAL);
	return 0;
}

int
agent_metrics_configure(struct agent *a, struct err *err)
{
	struct metrics_config config = metrics_config(a);

	return metrics_configure(a->metrics, &config, err);
}
