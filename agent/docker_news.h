/* agent/docker_news.h -- what the watcher says about containers, as services and checks of ours.
 */
#ifndef AGENT_DOCKER_NEWS_H
#define AGENT_DOCKER_NEWS_H

#include "agent/local/local.h"
#include "base/nsec.h"
#include "watcher/docker.h"

/* Carries out SERVICE, REMOVE, CHECK and CHECK_REMOVE, and logs what changed; what is refused is
 * one warning and nothing is registered. Other news is not for here. */
void docker_news_apply(struct local *, struct now, const struct docker_news *);

/* -docker-cleanup, once the engine's containers are registered: takes out services from the API
 * whose id is of registrator's form HOST:CONTAINER:PORT[:udp], for this host, and of whose
 * container the engine has registered nothing. Says each in the log. */
void docker_news_cleanup(struct local *, struct now, struct str host);

/* A check as rules ask for it, as a definition; slices are shared, `args` is room for one.
 * ERR_INPUT: a duration that cannot be read, in Consul's words. */
int docker_news_check(
    const struct rules_check *, struct str args[1], struct check_def *out, struct err *);

#endif
