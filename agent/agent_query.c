/* agent/agent_query.c -- prepared queries for DNS: from a server's own table, elsewhere from a copy
 * that follows it.
 */
#include "agent/agent_priv.h"

#include "agent/query_run.h"
#include "base/log.h"

#define QUERY_MEMORY_MAX (64 * 1024 * 1024) /* bytes, for one question */

static const struct queries *
agent_queries(struct agent *a)
{
	struct fsm *fsm = cluster_fsm(a->cluster);

	return fsm != NULL ? fsm_queries(fsm) : query_copy_queries(a->query_copy);
}

/* What dns asks. */
static enum dns_query_known
agent_query_run(void *arg, struct str name, struct dns_query_found *out)
{
	struct agent *a = arg;
	struct query_source source = { .agent = pool_wire_name(a->pool) };
	struct query_found found;
	struct err err = { 0 };
	struct query_info q;
	nsec ttl = 0;
	int rc;

	arena_reset(&a->query_memory);
	rc = query_get(&a->query_memory, agent_queries(a), name, &q, &err);
	if (rc == 0)
		rc = query_run(&a->query_memory, &a->api.rng, store_catalog(a->store), &q, &source,
		    &found, &err);
	if (rc == ERR_NOT_FOUND)
		return DNS_QUERY_UNKNOWN;
	if (rc != 0) {
		log_debug("dns", "a prepared query is not answered name=" STR_FMT ": %s",
		    STR_ARG(name), err.text);
		return DNS_QUERY_FAILED;
	}
	*out = (struct dns_query_found){ .of = found.of,
		.count = found.count,
		.service = q.service,
		.has_ttl = query_ttl(&q, &ttl) };
	out->ttl = ttl / NSEC_SEC > UINT32_MAX ? UINT32_MAX : (uint32_t)(ttl / NSEC_SEC);
	return DNS_QUERY_KNOWN;
}

/* The copy asks when it is time to. A server has the table itself. */
static void
agent_query_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();
	struct buf request;
	uint64_t number;

	if (cluster_fsm(a->cluster) != NULL)
		return;
	buf_init(&request, CLUSTER_HTTP_MAX);
	if (query_copy_asks(a->query_copy, now, a->options->node_name, &request)) {
		number = cluster_ask_http(a->cluster, now, buf_str(&request));
		cluster_repeatable(a->cluster, number);
		query_copy_asked(a->query_copy, number);
		agent_changed(a, now);
	}
	buf_done(&request);
	loop_timer_arm(a->query_timer, query_copy_deadline(a->query_copy));
}

bool
agent_query_answer(struct agent *a, struct now now, const struct cluster_action *act)
{
	if (!query_copy_answer(a->query_copy, now, act))
		return false;
	loop_timer_arm(a->query_timer, query_copy_deadline(a->query_copy));
	return true;
}

void
agent_query_open(struct agent *a, struct now now)
{
	arena_init(&a->query_memory, QUERY_MEMORY_MAX);
	a->query_copy = query_copy_new(now);
	a->query_timer = loop_timer_new(a->base, agent_query_due, a);
	loop_timer_arm(a->query_timer, query_copy_deadline(a->query_copy));
	dns_responder_queries(a->responder, agent_query_run, a);
}

void
agent_query_close(struct agent *a)
{
	loop_timer_free(a->query_timer);
	query_copy_free(a->query_copy);
	arena_done(&a->query_memory);
}
