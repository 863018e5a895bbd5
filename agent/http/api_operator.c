/* agent/http/api_operator.c -- /v1/operator/raft and /v1/operator/autopilot: the servers, as Raft
 * counts them, and how the leader looks after them.
 *
 * Parts: the configuration of Raft; the autopilot's; health; state.
 */
#include <stdio.h>
#include <time.h>

#include "agent/duration.h"
#include "agent/http/api_handlers.h"
#include "agent/http/api_keys.h"
#include "agent/http/decode.h"
#include "agent/http/servers.h"

#define RAFT_PROTOCOL "3" /* Consul's number for servers that are known by id */

/* --- who takes part --- */

static void
render_server_id(struct jw *w, const struct server_view *v)
{
	char id[UUID_TEXT_LEN + 1];

	jw_kstr(w, "ID", str_of(uuid_format(&v->agent, id)));
}

static void
render_server(struct jw *w, const struct server_view *v)
{
	char raft_id[24];

	snprintf(raft_id, sizeof raft_id, "%llu", (unsigned long long)v->raft_id);
	jw_object(w);
	render_server_id(w, v);
	jw_kstr(w, "Node", v->known ? v->name : STR("(unknown)"));
	jw_kstr(w, "Address", v->address);
	jw_kbool(w, "Leader", v->leader);
	jw_kstr(w, "ProtocolVersion", STR(RAFT_PROTOCOL));
	jw_kbool(w, "Voter", v->voter);
	jw_kstr(w, "RaftID", str_of(raft_id)); /* ours; a text, for it has 64 bits */
	jw_object_end(w);
}

void
api_raft_configuration(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct server_view servers[RAFT_CORE_SERVERS_MAX];
	size_t n;
	struct jw *w;

	if (reply_wrong_dc(api, req, reply) || !keys_readable(api, req, reply))
		return;
	n = servers_view(api, req->arena, req->now, servers);
	w = reply_json(reply);
	jw_object(w);
	jw_key(w, STR("Servers"));
	jw_array(w);
	for (size_t i = 0; i < n; i++)
		render_server(w, &servers[i]);
	jw_array_end(w);
	jw_ku64(w, "Index", cluster_status(api->cluster, req->now).raft.commit);
	jw_object_end(w);
}

/* By the agent's id or by Raft's own number, which tells two logs of one agent apart. */
static bool
server_has_id(const struct server_view *v, struct str text)
{
	struct uuid id;
	uint64_t n;

	return (uuid_parse(text, &id) && uuid_eq(&id, &v->agent)) ||
	       (str_u64(text, UINT64_MAX, &n) && n == v->raft_id);
}

/* 0: none. Of several with one id that which cannot be reached: the log that was lost. */
static uint64_t
peer_find(struct api *api, const struct http_request *req, bool by_id, struct str wanted)
{
	struct server_view servers[RAFT_CORE_SERVERS_MAX];
	size_t n = servers_view(api, req->arena, req->now, servers);
	nsec oldest = NSEC_NEVER;
	uint64_t found = 0;

	for (size_t i = 0; i < n; i++) {
		const struct server_view *v = &servers[i];
		uint64_t match;
		nsec heard = 0;

		if (by_id ? !server_has_id(v, wanted) : !str_eq(v->address, wanted))
			continue;
		if (!cluster_progress(api->cluster, req->now, v->raft_id, &match, &heard))
			heard = 0;
		if (found == 0 || heard < oldest) {
			found = v->raft_id;
			oldest = heard;
		}
	}
	return found;
}

void
api_raft_peer_delete(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	bool by_id = request_has(req, STR("id")), by_address = request_has(req, STR("address"));
	struct str wanted = request_param(req, by_id ? STR("id") : STR("address"));
	uint64_t raft_id;

	if (req->answer != NULL)
		return; /* it has left */
	if (!by_id && !by_address) {
		reply_error(reply, 400,
		    "Must specify either ?id with the server's ID or ?address with IP:port of peer "
		    "to remove");
		return;
	}
	if (by_id && by_address) {
		reply_error(reply, 400, "Must specify only one of ?id or ?address");
		return;
	}
	if (reply_wrong_dc(api, req, reply))
		return;
	raft_id = peer_find(api, req, by_id, wanted);
	if (raft_id == 0)
		reply_error(reply, 500,
		    "%s \"" STR_FMT "\" was not found in the Raft configuration",
		    by_id ? "id" : "address", STR_ARG(wanted));
	else
		reply_asks(api, req, reply, cluster_remove(api->cluster, req->now, raft_id));
}

/* --- the autopilot's configuration --- */

void
api_autopilot_get(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct autopilot *a;
	char text[DURATION_TEXT_MAX];
	struct jw *w;

	if (reply_wrong_dc(api, req, reply) || !keys_readable(api, req, reply))
		return;
	a = fsm_autopilot(cluster_fsm(api->cluster));
	w = reply_json(reply);
	jw_object(w);
	jw_kbool(w, "CleanupDeadServers", a->cleanup_dead_servers);
	jw_kstr(
	    w, "LastContactThreshold", str_of(duration_format(a->last_contact_threshold, text)));
	jw_ku64(w, "MaxTrailingLogs", a->max_trailing_logs);
	jw_ku64(w, "MinQuorum", a->min_quorum);
	jw_kstr(w, "ServerStabilizationTime",
	    str_of(duration_format(a->server_stabilization_time, text)));
	jw_kstr(w, "RedundancyZoneTag", str_of(a->redundancy_zone_tag));
	jw_kbool(w, "DisableUpgradeMigration", a->disable_upgrade_migration);
	jw_kstr(w, "UpgradeVersionTag", str_of(a->upgrade_version_tag));
	jw_ku64(w, "CreateIndex", a->create);
	jw_ku64(w, "ModifyIndex", a->modify);
	jw_object_end(w);
}

static void
autopilot_written(const struct http_request *req, struct http_reply *reply)
{
	enum fsm_status status;
	struct str rest;

	if (keys_result(req, reply, "", &status, &rest))
		jw_bool(reply_json(reply), status == FSM_TRUE);
}

void
api_autopilot_put(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct fsm_op *op = arena_alloc(req->arena, sizeof *op);
	struct str cas = request_param(req, STR("cas"));
	struct err err = { 0 };

	if (req->answer != NULL) {
		autopilot_written(req, reply);
		return;
	}
	if (op == NULL) {
		reply_error(reply, 500, "No memory for this request");
		return;
	}
	op->command = FSM_AUTOPILOT;
	if (decode_autopilot(req->arena, req->body, &op->autopilot, &err) < 0) {
		reply_error(reply, 400, "Error parsing autopilot config: %s", err.text);
		return;
	}
	op->cas = request_has(req, STR("cas"));
	if (op->cas && !str_u64(cas, UINT64_MAX, &op->cas_index)) {
		reply_error(reply, 400,
		    "Error parsing cas value: strconv.ParseUint: parsing \"" STR_FMT
		    "\": invalid syntax",
		    STR_ARG(cas));
		return;
	}
	if (!reply_wrong_dc(api, req, reply))
		keys_write(api, req, reply, op);
}

/* --- health --- */

struct server_health {
	bool healthy, measured;
	nsec contact; /* since it was heard */
	uint64_t match;
};

static struct server_health
server_health(const struct api *api, struct now now, const struct server_view *v)
{
	const struct autopilot *a = fsm_autopilot(cluster_fsm(api->cluster));
	struct cluster_status status = cluster_status(api->cluster, now);
	struct server_health h = { 0 };
	nsec heard = 0;

	h.measured = cluster_progress(api->cluster, now, v->raft_id, &h.match, &heard);
	if (h.measured && !v->leader)
		h.contact = now.mono - heard;
	h.healthy =
	    v->state == SERF_ALIVE && h.measured && h.contact <= a->last_contact_threshold &&
	    (h.match >= status.raft.last || status.raft.last - h.match <= a->max_trailing_logs);
	return h;
}

/* As Go writes a time in JSON, to the second. */
static struct str
time_text(struct arena *arena, int64_t wall_ms)
{
	time_t sec = (time_t)(wall_ms / 1000);
	char text[32];
	struct tm tm;

	if (gmtime_r(&sec, &tm) == NULL ||
	    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return STR("0001-01-01T00:00:00Z");
	return arena_dup(arena, str_of(text));
}

/* How far it has come, and since when it is as it is. */
static void
render_progress(struct jw *w, const struct api *api, const struct http_request *req,
    const struct server_view *v, const struct server_health *h)
{
	struct cluster_status status = cluster_status(api->cluster, req->now);
	int64_t since = req->now.wall_ms - (req->now.mono - v->since) / NSEC_MS;
	char contact[DURATION_TEXT_MAX];

	jw_kstr(w, "LastContact", str_of(duration_format(h->contact, contact)));
	jw_ku64(w, "LastTerm", status.raft.term);
	jw_ku64(w, "LastIndex", h->match);
	jw_kbool(w, "Healthy", h->healthy);
	jw_kstr(w, "StableSince", time_text(req->arena, since));
}

static void
render_health(struct jw *w, const struct api *api, const struct http_request *req,
    const struct server_view *v, const struct server_health *h)
{
	jw_object(w);
	render_server_id(w, v);
	jw_kstr(w, "Name", v->name);
	jw_kstr(w, "Address", v->address);
	jw_kstr(w, "SerfStatus", str_of(serf_state_name(v->state)));
	jw_kstr(w, "Version", v->version);
	jw_kbool(w, "Leader", v->leader);
	render_progress(w, api, req, v, h);
	jw_kbool(w, "Voter", v->voter);
	jw_object_end(w);
}

/* All of them, as the leader sees them. */
struct servers_health {
	struct server_view servers[RAFT_CORE_SERVERS_MAX];
	struct server_health health[RAFT_CORE_SERVERS_MAX];
	size_t count, tolerance; /* healthy voters that may be lost */
	bool healthy;            /* each of them is */
};

/* False: an error reply is there, or the answer comes later. */
static bool
servers_health_read(struct api *api, const struct http_request *req, struct http_reply *reply,
    struct servers_health *out)
{
	size_t voters = 0, good = 0;

	if (reply_wrong_dc(api, req, reply) || !keys_readable(api, req, reply))
		return false;
	if (req->node.n > 0 && !cluster_status(api->cluster, req->now).leader) {
		reply_error(reply, 500, CLUSTER_NO_LEADER); /* it was, when it was asked */
		return false;
	}
	out->count = servers_view(api, req->arena, req->now, out->servers);
	out->healthy = true;
	for (size_t i = 0; i < out->count; i++) {
		out->health[i] = server_health(api, req->now, &out->servers[i]);
		voters += out->servers[i].voter;
		good += out->servers[i].voter && out->health[i].healthy;
		out->healthy = out->healthy && out->health[i].healthy;
	}
	out->tolerance = good > voters / 2 ? good - voters / 2 - 1 : 0;
	return true;
}

void
api_autopilot_health(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct servers_health all;
	struct jw *w;

	if (!servers_health_read(api, req, reply, &all))
		return;
	w = reply_json(reply);
	reply->status = all.healthy ? 200 : 429; /* as Consul */
	jw_object(w);
	jw_kbool(w, "Healthy", all.healthy);
	jw_ku64(w, "FailureTolerance", all.tolerance);
	jw_key(w, STR("Servers"));
	jw_array(w);
	for (size_t i = 0; i < all.count; i++)
		render_health(w, api, req, &all.servers[i], &all.health[i]);
	jw_array_end(w);
	jw_object_end(w);
}

/* --- state --- */

static void
render_node_meta(struct jw *w, const struct api *api, struct str name)
{
	const struct catalog_node *node = catalog_node_find(store_catalog(api->store), name);

	jw_key(w, STR("Meta"));
	jw_object(w);
	for (size_t i = 0; node != NULL && i < node->info.meta_count; i++) {
		jw_key(w, node->info.meta[i].key);
		jw_str(w, node->info.meta[i].value);
	}
	jw_object_end(w);
}

static void
render_state(struct jw *w, const struct api *api, const struct http_request *req,
    const struct server_view *v, const struct server_health *h)
{
	jw_object(w);
	render_server_id(w, v);
	jw_kstr(w, "Name", v->name);
	jw_kstr(w, "Address", v->address);
	jw_kstr(w, "NodeStatus", str_of(serf_state_name(v->state)));
	jw_kstr(w, "Version", v->version);
	render_progress(w, api, req, v, h);
	jw_kbool(w, "ReadReplica", false);
	jw_kstr(w, "Status",
	    v->leader  ? STR("leader")
	    : v->voter ? STR("voter")
		       : STR("non-voter"));
	render_node_meta(w, api, v->name);
	jw_kstr(w, "NodeType", STR("voter"));
	jw_object_end(w);
}

/* Which of several servers with one agent is shown: the one that takes part. */
static bool
state_is_shown(const struct servers_health *all, size_t i)
{
	for (size_t k = 0; k < all->count; k++)
		if (k != i && uuid_eq(&all->servers[k].agent, &all->servers[i].agent) &&
		    (all->health[k].healthy > all->health[i].healthy ||
			(all->health[k].healthy == all->health[i].healthy && k < i)))
			return false;
	return true;
}

void
api_autopilot_state(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct servers_health all;
	char leader[UUID_TEXT_LEN + 1] = "", id[UUID_TEXT_LEN + 1];
	struct jw *w;

	if (!servers_health_read(api, req, reply, &all))
		return;
	w = reply_json(reply);
	jw_object(w);
	jw_kbool(w, "Healthy", all.healthy);
	jw_ku64(w, "FailureTolerance", all.tolerance);
	jw_ku64(w, "OptimisticFailureTolerance", all.tolerance);
	jw_key(w, STR("Servers"));
	jw_object(w);
	for (size_t i = 0; i < all.count; i++) {
		if (all.servers[i].leader)
			uuid_format(&all.servers[i].agent, leader);
		if (!state_is_shown(&all, i))
			continue;
		jw_key(w, str_of(uuid_format(&all.servers[i].agent, id)));
		render_state(w, api, req, &all.servers[i], &all.health[i]);
	}
	jw_object_end(w);
	jw_kstr(w, "Leader", str_of(leader));
	jw_key(w, STR("Voters"));
	jw_array(w);
	for (size_t i = 0; i < all.count; i++)
		if (all.servers[i].voter)
			jw_str(w, str_of(uuid_format(&all.servers[i].agent, id)));
	jw_array_end(w);
	jw_object_end(w);
}
