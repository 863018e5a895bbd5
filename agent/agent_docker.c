/* agent/agent_docker.c -- Docker's part of the agent: its news into local services, its options,
 * finding the engine, listing it anew now and then.
 */
#include "agent/agent_priv.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

static void
agent_docker_synced(struct agent *a, struct now now)
{
	struct docker_stats stats = docker_stats(a->docker);

	log_info("docker", "engine %s containers=%zu services=%zu",
	    a->docker_away ? "back" : "in step", stats.containers, stats.services);
	a->docker_away = false;
	if (a->options->docker_cleanup)
		docker_news_cleanup(a->local, now, docker_host(a->docker));
	agent_baseline_end(a, now);
}

static void
agent_docker_news(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();
	struct docker_news news;

	while (docker_news_next(a->docker, &news)) {
		switch (news.kind) {
		case DOCKER_NEWS_SYNCED:
			agent_docker_synced(a, now);
			break;
		case DOCKER_NEWS_AWAY:
			log_warn("docker",
			    "engine away, what is registered stays url=" STR_FMT ": " STR_FMT,
			    STR_ARG(a->docker_endpoint.url), STR_ARG(news.text));
			a->docker_away = true;
			agent_ready_check(a);
			break;
		case DOCKER_NEWS_WARN:
			log_warn("docker", STR_FMT, STR_ARG(news.text));
			break;
		default:
			docker_news_apply(a->local, now, &news);
		}
	}
	agent_changed(a, now);
}

struct docker_config
agent_docker_config(struct agent *a)
{
	const struct options *o = a->options;
	struct str other = o->docker_ip, ip = str_cut(&other, ',');

	return (struct docker_config){
		.rules = {
			.host = o->node_name,
			.ip = o->docker_ip_forced ? ip : str_of(a->address),
			.ip_other = other,
			.ip_forced = o->docker_ip_forced,
			.internal = o->docker_internal,
			.explicit_only = o->docker_explicit,
			.meta = o->docker_meta,
			.tags = o->docker_tags,
			.ip_from_label = o->docker_use_ip_from_label,
			.networks = o->docker_network,
			.compose = str_eq(o->docker_compose, STR("tags"))   ? RULES_COMPOSE_TAGS
				   : str_eq(o->docker_compose, STR("meta")) ? RULES_COMPOSE_META
									     : RULES_COMPOSE_OFF,
		},
		.deregister = str_eq(o->docker_deregister, STR("on-success"))
		    ? DOCKER_DEREGISTER_ON_SUCCESS
		    : DOCKER_DEREGISTER_ALWAYS,
		.drain = o->docker_drain,
		.host_from_engine = o->node_name_is_container,
		.workers = (unsigned)o->docker_workers,
		.remote = o->docker_swarm_nodes,
	};
}

void
agent_resync_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	docker_resync(a->docker, now);
	docker_io_kick(a->docker_io);
	loop_timer_arm(a->resync_timer, now.mono + a->options->docker_resync);
}

void
agent_docker_members(struct agent *a, struct now now)
{
	if (a->docker_io != NULL && a->options->docker_swarm_nodes)
		loop_timer_arm(a->members_timer, now.mono);
}

/* Where agents are; all of it anew, for it is asked for once per change of the pool. */
void
agent_members_due(void *arg)
{
	struct agent *a = arg;
	size_t max = pool_member_count(a->pool, SERF_NONE), n = 0;
	struct docker_agent *agents = mem_zalloc((max + 1) * sizeof *agents);
	struct pool_member m = { .since = 0 };
	char ip[ADDR_TEXT_MAX];
	struct arena texts;

	arena_init(&texts, SIZE_MAX / 2);
	if (!pool_ready(a->pool)) /* POOL_READY comes: whom we have not met is not away */
		goto out;
	while (n < max && pool_member_next(a->pool, m.wire_name, &m))
		if (m.muster && m.state == SERF_ALIVE)
			agents[n++] = (struct docker_agent){ arena_dup(&texts, m.name),
				arena_dup(&texts, str_of(addr_format_ip(&m.addr, ip))) };
	docker_agents(a->docker, loop_now(), agents, n);
	docker_io_kick(a->docker_io);
out:
	arena_done(&texts);
	free(agents);
}

int
agent_docker_start(struct agent *a, struct now now, struct err *err)
{
	struct docker_config config = agent_docker_config(a);
	struct str option = str_eq(a->options->docker, STR("auto")) ? STR_NONE : a->options->docker;
	int rc;

	if (!docker_endpoint_find(option, &a->arena, &a->docker_endpoint))
		return 0;
	if (rules_config_check(&config.rules, err) < 0)
		return err->code;
	if (a->options->docker_ttl > 0)
		log_info(
		    "docker", "-docker-ttl registers nothing, as registrator does with Consul");
	a->docker = docker_new(&config, now);
	rc = docker_io_new(
	    a->base, a->docker, &a->docker_endpoint, agent_docker_news, a, &a->docker_io, err);
	if (rc == 0 && a->options->docker_resync > 0)
		loop_timer_arm(a->resync_timer, now.mono + a->options->docker_resync);
	if (rc == 0)
		agent_docker_members(a, now);
	return rc;
}
