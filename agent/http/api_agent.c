/* agent/http/api_agent.c -- /v1/agent: the agent itself, node maintenance, and the health of its
 * services as one status.
 */
#include "agent/duration.h"
#include "agent/http/api_handlers.h"
#include "agent/http/maintenance.h"
#include "agent/http/member.h"
#include "agent/http/render.h"
#include "agent/identity.h"
#include "config.h"

static struct str
own_address(const struct api *api, char text[ADDR_TEXT_MAX])
{
	return str_of(addr_format_ip(&api->options->advertise_addr, text));
}

static void
render_config(struct jw *w, const struct api *api)
{
	const struct options *o = api->options;
	char id[UUID_TEXT_LEN + 1];

	jw_object(w);
	jw_kstr(w, "Datacenter", o->datacenter);
	jw_kstr(w, "PrimaryDatacenter", o->datacenter);
	jw_kstr(w, "NodeName", o->node_name);
	jw_kstr(w, "NodeID", str_of(uuid_format(&api->identity->id, id)));
	jw_kstr(w, "Revision", STR(PACKAGE_NAME));
	jw_kbool(w, "Server", api_is_server(o));
	jw_kstr(w, "Version", STR(PACKAGE_VERSION));
	jw_object_end(w);
}

static void
render_debug_config(struct jw *w, const struct api *api)
{
	const struct options *o = api->options;
	char address[ADDR_TEXT_MAX], ttl_min[DURATION_TEXT_MAX];

	jw_object(w);
	jw_kstr(w, "AdvertiseAddrLAN", own_address(api, address));
	jw_kbool(w, "Bootstrap", o->bootstrap);
	jw_ki64(w, "BootstrapExpect", o->bootstrap_expect);
	jw_kstr(w, "DNSDomain", o->domain);
	jw_ki64(w, "DNSPort", o->dns_port);
	jw_kstr(w, "DataDir", o->data_dir);
	jw_kstr(w, "Datacenter", o->datacenter);
	jw_kbool(w, "DevMode", o->dev);
	jw_kbool(w, "EnableRemoteScriptChecks", o->enable_script_checks);
	jw_ki64(w, "HTTPPort", o->http_port);
	jw_kstr(w, "NodeName", o->node_name);
	jw_ki64(w, "SerfPortLAN", o->serf_port);
	jw_kbool(w, "ServerMode", api_is_server(o));
	jw_ki64(w, "ServerPort", o->server_port);
	jw_kstr(w, "SessionTTLMin", str_of(duration_format(o->session_ttl_min, ttl_min)));
	jw_object_end(w);
}

/* Section "agent" of Stats: how much there is to look after. */
static void
render_stats_agent(struct jw *w, const struct api *api)
{
	const struct local_service *s = NULL;
	const struct local_check *c = NULL;
	uint64_t services = 0, checks = 0, ttls = 0, states = 0;

	while ((s = local_service_next(api->local, s)) != NULL)
		services += s->source != LOCAL_SELF;
	while ((c = local_check_next(api->local, c)) != NULL) {
		checks++;
		ttls += check_def_type(&c->def) == CHECK_TTL;
		states += check_def_type(&c->def) == CHECK_STATE;
	}
	jw_object(w);
	stat_number(w, "check_monitors", checks - ttls - states);
	stat_number(w, "check_ttls", ttls);
	stat_number(w, "checks", checks);
	stat_number(w, "services", services);
	jw_object_end(w);
}

static void
render_stats_raft(struct jw *w, const struct api *api, const struct cluster_status *status)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	const struct raft_core_status *raft = &status->raft;
	size_t n = cluster_servers(api->cluster, servers);
	char contact[DURATION_TEXT_MAX];

	jw_object(w);
	stat_number(w, "applied_index", raft->applied);
	stat_number(w, "commit_index", raft->commit);
	stat_number(w, "dropped_messages", raft->dropped);
	jw_kstr(w, "last_contact",
	    status->known_leader ? str_of(duration_format(status->last_contact, contact))
				 : STR("never"));
	stat_number(w, "last_log_index", raft->last);
	stat_number(w, "last_snapshot_index", raft->snapshot);
	stat_number(w, "num_peers", n > 0 ? n - 1 : 0);
	jw_kstr(w, "state",
	    status->leader    ? STR("Leader")
	    : raft->candidate ? STR("Candidate")
	    : raft->stopped   ? STR("Stopped")
			      : STR("Follower"));
	stat_number(w, "term", raft->term);
	jw_object_end(w);
}

static void
render_stats_server_port(struct jw *w, const struct api *api)
{
	struct server_net_stats s = server_net_stats(api->net);

	jw_object(w);
	stat_number(w, "bytes_in", s.bytes_in);
	stat_number(w, "bytes_out", s.bytes_out);
	stat_number(w, "bytes_waiting", s.waiting);
	stat_number(w, "calls_failed", s.failed);
	stat_number(w, "connections", s.connections);
	stat_number(w, "connections_refused", s.refused);
	stat_number(w, "messages_dropped", s.dropped);
	stat_number(w, "messages_in", s.messages_in);
	stat_number(w, "messages_out", s.messages_out);
	jw_object_end(w);
}

static void
render_stats(struct jw *w, const struct api *api, struct arena *arena, struct now now)
{
	struct catalog_counts counts = catalog_counts(store_catalog(api->store));
	struct str leader = api_leader(api, arena, now);
	struct cluster_status status = { .in_step = true };

	if (api->cluster != NULL)
		status = cluster_status(api->cluster, now);
	jw_object(w);
	jw_key(w, STR("agent"));
	render_stats_agent(w, api);
	jw_key(w, STR("build"));
	jw_object(w);
	jw_kstr(w, "prerelease", STR_NONE);
	jw_kstr(w, "revision", STR(PACKAGE_NAME));
	jw_kstr(w, "version", STR(PACKAGE_VERSION));
	jw_object_end(w);
	jw_key(w, STR("catalog"));
	jw_object(w);
	stat_number(w, "checks", counts.checks);
	stat_number(w, "nodes", counts.nodes);
	stat_number(w, "service_instances", counts.services);
	stat_number(w, "services", counts.names);
	jw_object_end(w);
	jw_key(w, STR("consul"));
	jw_object(w);
	stat_flag(w, "bootstrap", api->options->bootstrap);
	stat_number(w, "known_datacenters", 1);
	stat_flag(w, "leader", status.leader);
	jw_kstr(w, "leader_addr", leader);
	stat_flag(w, "server", api_is_server(api->options));
	jw_object_end(w);
	jw_key(w, STR("muster"));
	jw_object(w);
	render_stats_muster(w, api, &status);
	jw_object_end(w);
	if (status.server) {
		jw_key(w, STR("raft"));
		render_stats_raft(w, api, &status);
	}
	jw_key(w, STR("runtime"));
	jw_object(w);
	jw_kstr(w, "os", STR("linux"));
	jw_kstr(w, "version", STR("C11"));
	jw_object_end(w);
	jw_key(w, STR("serf_lan"));
	jw_object(w);
	render_stats_serf(w, api);
	jw_object_end(w);
	if (api->net != NULL) {
		jw_key(w, STR("server_port"));
		render_stats_server_port(w, api);
	}
	jw_object_end(w);
}

/* Go's client reads the answer as a map of maps: every member here is an object. */
void
api_agent_self(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	static const struct serf_coordinate nowhere = { .error = 1.5, .height = 1e-5 };
	struct jw *w = reply_json(reply);

	jw_object(w);
	jw_key(w, STR("Config"));
	render_config(w, api);
	jw_key(w, STR("DebugConfig"));
	render_debug_config(w, api);
	jw_key(w, STR("Coord"));
	render_coordinate(
	    w, api->pool == NULL ? &nowhere : coordinates_ours(pool_coordinates(api->pool)));
	jw_key(w, STR("Member"));
	render_member_self(w, api, req->arena);
	jw_key(w, STR("Stats"));
	render_stats(w, api, req->arena, req->now);
	jw_key(w, STR("Meta"));
	jw_object(w);
	jw_kstr(w, "consul-network-segment", STR_NONE);
	for (size_t i = 0; i < api->options->node_meta_count; i++) {
		jw_key(w, api->options->node_meta[i].key);
		jw_str(w, api->options->node_meta[i].value);
	}
	jw_object_end(w);
	jw_object_end(w);
}

void
api_agent_maintenance(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct check_def def = {
		.id = MAINTENANCE_NODE_ID,
		.name = STR("Node Maintenance Mode"),
		.notes =
		    STR("Maintenance mode is enabled for this node, but no reason was provided. "
			"This is a default message."),
	};
	bool enable;

	if (maintenance_read(req, &enable, reply))
		maintenance_set(api, req, enable, &def, reply);
}

/* The status of one service from its checks and the node's own, as one word and one code. */
struct aggregate {
	struct str status;
	int code;
};

static struct aggregate
service_aggregate(const struct api *api, const struct local_service *s)
{
	const struct local_check *c = NULL;
	bool warning = false, critical = false, maintenance = false;

	while ((c = local_check_next(api->local, c)) != NULL) {
		if (c->service != NULL && c->service != s)
			continue;
		maintenance = maintenance || maintenance_is(c->def.id);
		critical = critical || c->status == CHECK_CRITICAL || c->status == CHECK_MAINT;
		warning = warning || c->status == CHECK_WARNING;
	}
	if (maintenance)
		return (struct aggregate){ check_status_text(CHECK_MAINT), 503 };
	if (critical)
		return (struct aggregate){ check_status_text(CHECK_CRITICAL), 503 };
	if (warning)
		return (struct aggregate){ check_status_text(CHECK_WARNING), 429 };
	return (struct aggregate){ check_status_text(CHECK_PASSING), 200 };
}

static void
render_aggregate(
    struct jw *w, const struct api *api, const struct local_service *s, struct aggregate a)
{
	const struct local_check *c = NULL;

	jw_object(w);
	jw_kstr(w, "AggregatedStatus", a.status);
	jw_key(w, STR("Service"));
	render_agent_service(w, s, api->options->datacenter, STR_NONE);
	jw_key(w, STR("Checks"));
	jw_array(w);
	while ((c = local_check_next(api->local, c)) != NULL)
		if (c->service == NULL || c->service == s)
			render_agent_health_check(w, c, api->options->node_name);
	jw_array_end(w);
	jw_object_end(w);
}

static bool
wants_text(const struct http_request *req)
{
	return str_starts(request_header(req, STR("Accept")), STR("text/plain")) ||
	       str_eq(request_param(req, STR("format")), STR("text"));
}

static void
reply_text(struct http_reply *reply, int status, struct str text)
{
	reply->status = status;
	reply->content_type = "text/plain";
	buf_add(reply->body, text);
}

/* A service that the API shows: the agent's own entry is not among them. */
static bool
is_shown(const struct local_service *s)
{
	return s != NULL && s->source != LOCAL_SELF;
}

void
api_agent_health_id(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct local_service *s = local_service_find(api->local, req->tail);
	struct aggregate a;
	struct jw *w;

	if (req->tail.n == 0) {
		reply_error(reply, 400, "Missing serviceID");
		return;
	}
	if (is_shown(s)) {
		a = service_aggregate(api, s);
		reply->status = a.code;
		if (wants_text(req))
			reply_text(reply, a.code, a.status);
		else
			render_aggregate(reply_json(reply), api, s, a);
		return;
	}
	reply->status = 404;
	w = reply_json(reply);
	if (wants_text(req)) { /* JSON all the same, as in Consul */
		jw_str(w,
		    arena_fmt(req->arena, "ServiceId " STR_FMT " not found", STR_ARG(req->tail)));
		return;
	}
	jw_object(w);
	jw_kstr(w, "AggregatedStatus", check_status_text(CHECK_CRITICAL));
	jw_knull(w, "Service");
	jw_knull(w, "Checks");
	jw_object_end(w);
}

void
api_agent_health_name(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct local_service *s = NULL;
	struct aggregate worst = { STR_NONE, 404 };
	bool text = wants_text(req);
	struct jw *w = NULL;

	if (req->tail.n == 0) {
		reply_error(reply, 400, "Missing service Name");
		return;
	}
	if (!text) {
		w = reply_json(reply);
		jw_array(w);
	}
	while ((s = local_service_next(api->local, s)) != NULL) {
		struct aggregate a;

		if (!is_shown(s) || !str_eq(s->info.name, req->tail))
			continue;
		a = service_aggregate(api, s);
		if (worst.code == 404 || a.code > worst.code)
			worst = a;
		if (!text)
			render_aggregate(w, api, s, a);
	}
	if (text && worst.code == 404)
		worst.status =
		    arena_fmt(req->arena, "ServiceName " STR_FMT " Not Found", STR_ARG(req->tail));
	reply->status = worst.code;
	if (text)
		reply_text(reply, worst.code, worst.status);
	else
		jw_array_end(w);
}
