/* agent/http/servers.c -- see servers.h. */
#include "agent/http/servers.h"

#include <stdlib.h>

#include "agent/identity.h"
#include "config.h"

#define SERVER_PORT_DEFAULT 8300

static struct str
place_text(struct arena *arena, struct addr at, int64_t port)
{
	char text[ADDR_TEXT_MAX];

	at.port = (uint16_t)(port > 0 ? port : SERVER_PORT_DEFAULT);
	return arena_dup(arena, str_of(addr_format(&at, text)));
}

void
server_place(
    const struct api *api, struct arena *arena, const struct uuid *agent, struct server_view *v)
{
	const struct options *o = api->options;
	struct serf_meta meta = { 0 };
	struct pool_member m = { 0 };
	bool member = api->pool != NULL && pool_member_by_id(api->pool, agent, &m);

	v->self = uuid_eq(agent, &api->identity->id);
	if (member) {
		v->known = true;
		v->name = arena_dup(arena, m.name);
		v->state = m.state;
		v->since = m.since;
	}
	if (v->self) {
		v->known = true;
		v->name = o->node_name;
		v->state = member ? m.state : SERF_ALIVE;
		v->address = place_text(arena, o->advertise_addr, o->server_port);
		v->version = STR(PACKAGE_VERSION);
	} else if (member && serf_meta_read(arena, m.meta, &meta, NULL) == 0) {
		v->address = place_text(arena, m.addr, meta.port);
		v->version = str_head(meta.build, str_find(meta.build, ':'));
	}
}

static int
view_cmp(const void *a, const void *b)
{
	const struct server_view *x = a, *y = b;
	int order = str_cmp(x->name, y->name);

	return order != 0 ? order : (x->raft_id > y->raft_id) - (x->raft_id < y->raft_id);
}

size_t
servers_view(const struct api *api, struct arena *arena, struct now now,
    struct server_view out[RAFT_CORE_SERVERS_MAX])
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	struct cluster_status status;
	size_t n;

	if (api->cluster == NULL)
		return 0;
	status = cluster_status(api->cluster, now);
	n = cluster_servers(api->cluster, servers);
	for (size_t i = 0; i < n; i++) {
		out[i] = (struct server_view){
			.agent = servers[i].agent,
			.raft_id = servers[i].id,
			.voter = servers[i].role == RAFT_CORE_VOTER,
			.leader =
			    status.known_leader &&
			    uuid_eq(&servers[i].agent, &status.leader_agent) &&
			    (status.raft.leader_id == 0 || status.raft.leader_id == servers[i].id),
		};
		server_place(api, arena, &servers[i].agent, &out[i]);
	}
	qsort(out, n, sizeof out[0], view_cmp);
	return n;
}
