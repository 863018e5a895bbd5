/* agent/agent_docker.c -- Docker's part of the agent: its news into local services, its options,
 * finding the engine, listing it anew now and then.
 */
#include "agent/agent_priv.h"
#include "base/log.h"

static void
agent_docker_synced(struct agent *a, struct now now)
{
	struct docker_stats stats = docker_stats(a->docker);

	log_info("docker", "engine %s containers=%zu services=%zu",
	    a->docker_away ? "back" : "in step", stats.containers, stats.services);
	a->docker_away = false;
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

	return (struct docker_config){
		.rules = {
			.host = o->node_name,
			.ip = o->docker_ip_forced ? o->docker_ip : str_of(a->address),
			.ip_forced = o->docker_ip_forced,
			.internal = o->docker_internal,
			.explicit_only = o->docker_explicit,
			.meta = o->docker_meta,
			.tags = o->docker_tags,
			.ip_from_label = o->docker_use_ip_from_label,
		},
		.deregister = str_eq(o->docker_deregister, STR("on-success"))
		    ? DOCKER_DEREGISTER_ON_SUCCESS
		    : DOCKER_DEREGISTER_ALWAYS,
		.drain = o->docker_drain,
		.host_from_engine = o->node_name_is_container,
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

int
agent_docker_start(struct agent *a, struct now now, struct err *err)
{
	struct docker_config config = agent_docker_config(a);
	struct str option = str_eq(a->options->docker, STR("auto")) ? STR_NONE : a->options->docker;
	int rc;

	if (!docker_endpoint_find(option, &a->arena, &a->docker_endpoint))
		return 0;
	if (rules_config_check(&config.rules, err) < 0)
		return err_wrap(err, "-docker-tags");
	a->docker = docker_new(&config, now);
	rc = docker_io_new(
	    a->base, a->docker, &a->docker_endpoint, agent_docker_news, a, &a->docker_io, err);
	if (rc == 0 && a->options->docker_resync > 0)
		loop_timer_arm(a->resync_timer, now.mono + a->options->docker_resync);
	return rc;
}
