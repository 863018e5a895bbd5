/* agent/http/member.c -- see member.h. */
#include "agent/http/member.h"

#include <stdio.h>

#include "agent/identity.h"
#include "config.h"

void
stat_number(struct jw *w, const char *key, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)n);
	jw_kstr(w, key, str_of(text));
}

void
stat_flag(struct jw *w, const char *key, bool flag)
{
	jw_kstr(w, key, flag ? STR("true") : STR("false"));
}

bool
api_is_server(const struct options *o)
{
	return o->server || o->dev;
}

static uint16_t
port_or(int64_t port, uint16_t otherwise)
{
	return port > 0 ? (uint16_t)port : otherwise;
}

static void
render_place(struct jw *w, struct str name, const struct addr *at)
{
	char address[ADDR_TEXT_MAX];

	jw_kstr(w, "Name", name);
	jw_kstr(w, "Addr", str_of(addr_format_ip(at, address)));
	jw_ku64(w, "Port", at->port);
}

static void
render_state(struct jw *w, enum serf_state state, const struct wire_vsn *vsn)
{
	jw_ku64(w, "Status", (uint64_t)state);
	jw_ku64(w, "ProtocolMin", vsn->pmin);
	jw_ku64(w, "ProtocolMax", vsn->pmax);
	jw_ku64(w, "ProtocolCur", vsn->pcur);
	jw_ku64(w, "DelegateMin", vsn->dmin);
	jw_ku64(w, "DelegateMax", vsn->dmax);
	jw_ku64(w, "DelegateCur", vsn->dcur);
}

void
render_member(struct jw *w, struct arena *arena, const struct pool_member *m)
{
	struct serf_tag *tags = NULL;
	size_t count = 0;

	jw_object(w);
	render_place(w, m->name, &m->addr);
	jw_key(w, STR("Tags"));
	jw_object(w);
	if (serf_tags_read(arena, m->meta, &tags, &count, NULL) == 0)
		for (size_t i = 0; i < count; i++) {
			jw_key(w, tags[i].key);
			jw_str(w, tags[i].value);
		}
	jw_object_end(w);
	render_state(w, m->state, &m->vsn);
	jw_object_end(w);
}

/* Without a pool we say of ourselves what the pool would. */
static void
render_member_alone(struct jw *w, const struct api *api)
{
	const struct options *o = api->options;
	struct addr at = o->advertise_addr;
	char id[UUID_TEXT_LEN + 1];

	at.port = port_or(o->serf_port, 8301);
	jw_object(w);
	render_place(w, o->node_name, &at);
	jw_key(w, STR("Tags"));
	jw_object(w);
	jw_kstr(w, "build", STR(PACKAGE_VERSION ":" PACKAGE_NAME));
	jw_kstr(w, "dc", o->datacenter);
	jw_kstr(w, "id", str_of(uuid_format(&api->identity->id, id)));
	if (api_is_server(o))
		stat_number(w, "port", port_or(o->server_port, 8300));
	jw_kstr(w, "role", api_is_server(o) ? STR("consul") : STR("node"));
	jw_kstr(w, "segment", STR_NONE);
	jw_kstr(w, "vsn", STR("2"));
	jw_kstr(w, "vsn_max", STR("3"));
	jw_kstr(w, "vsn_min", STR("2"));
	jw_object_end(w);
	render_state(w, SERF_ALIVE, &wire_vsn_ours);
	jw_object_end(w);
}

void
render_member_self(struct jw *w, const struct api *api, struct arena *arena)
{
	struct pool_member self;

	if (api->pool != NULL && pool_member_find(api->pool, pool_wire_name(api->pool), &self))
		render_member(w, arena, &self);
	else
		render_member_alone(w, api);
}

void
render_stats_serf(struct jw *w, const struct api *api)
{
	struct serf_clocks clocks = { 0 };
	struct pool_stats stats = { 0 };
	size_t failed = 0, left = 0, members = 1;

	if (api->pool != NULL) {
		clocks = pool_clocks(api->pool);
		stats = pool_stats(api->pool);
		failed = pool_member_count(api->pool, SERF_FAILED);
		left = pool_member_count(api->pool, SERF_LEFT);
		members = pool_member_count(api->pool, SERF_NONE);
	}
	stat_number(w, "event_time", clocks.event);
	stat_number(w, "failed", failed);
	stat_number(w, "health_score", stats.awareness);
	stat_number(w, "left", left);
	stat_number(w, "member_time", clocks.member);
	stat_number(w, "members", members);
	stat_number(w, "query_time", clocks.query);
}

void
render_stats_muster(struct jw *w, const struct api *api, const struct cluster_status *status)
{
	struct pool_stats stats = { 0 };

	if (api->pool != NULL) {
		stats = pool_stats(api->pool);
		stat_number(w, "conflicts", stats.conflicts);
	}
	stat_flag(w, "ready", api->ready && status->in_step);
	stat_number(w, "waiting_queries", watch_waiter_count(store_watches(api->store)));
	if (api->pool != NULL) {
		stat_number(w, "refused_members", stats.refused_members);
		stat_number(w, "renamed", stats.renamed);
		stat_number(w, "taken_over", stats.taken_over);
		jw_kstr(w, "wire_name", pool_wire_name(api->pool));
	}
}
