/* agent/http/member.h -- members of the pool in Consul's answers: agent/members and agent/self. */
#ifndef AGENT_HTTP_MEMBER_H
#define AGENT_HTTP_MEMBER_H

#include "agent/http/api.h"

void render_member(struct jw *, struct arena *, const struct pool_member *);
/* This agent; alone, when there is no pool. */
void render_member_self(struct jw *, const struct api *, struct arena *);
/* Of Stats in agent/self, the members of its sections "serf_lan" and "muster". */
void render_stats_serf(struct jw *, const struct api *);
void render_stats_muster(struct jw *, const struct api *, const struct cluster_status *);

/* Below Stats everything is a string. */
void stat_number(struct jw *, const char *key, uint64_t);
void stat_flag(struct jw *, const char *key, bool);

/* In Consul -dev is a server too. */
bool api_is_server(const struct options *);

#endif
