/* agent/agent_pool.c -- the pool's part of the agent: its core and shell from the options, what it
 * tells, joining and leaving, and what is kept of it on disk.
 */
#include "agent/agent_priv.h"

#include "config.h"

#include <stdlib.h>

#include "agent/http/api_pool.h"
#include "agent/host_io.h"
#include "agent/pool/keyring_io.h"
#include "base/log.h"
#include "base/rng.h"

#define AGENT_KNOWN_MAX ROSTER_MEMBERS_MAX

/* ---- what the pool tells ---- */

static void
agent_member_told(struct agent *a, struct now now, const struct pool_action *told)
{
	const struct pool_member *m = &told->member;
	const struct roster_member entry = { .id = m->id, .name = m->name, .addr = m->addr };
	struct err err = { 0 };

	agent_server_member(a, now, m, told->news == SERF_REAPED);
	agent_docker_members(a, now);
	if (str_eq(m->wire_name, pool_wire_name(a->pool))) {
		if (agent_node_publish(a, now, &err) < 0) /* we may be called otherwise now */
			log_warn("agent", "the node's record stays as it was: %s", err.text);
		agent_api_changed(a);
		return;
	}
	if (m->state == SERF_ALIVE)
		roster_seen(a->roster, now.mono, &entry);
	else if (m->state == SERF_LEFT)
		roster_forget(a->roster, now.mono, &entry);
	roster_clocks_set(a->roster, now.mono, pool_clocks(a->pool));
}

/* Our death is certified, or others have a later epoch of ours (RULES 1, 6). */
static void
agent_epoch_begin(struct agent *a, struct now now, uint64_t heard)
{
	struct err err = { 0 };

	if (identity_epoch_begin(&a->identity, heard, &err) < 0) {
		log_error("agent", "cannot begin a new epoch: %s", err.text);
		return;
	}
	log_warn("agent", "others had buried this agent: a new epoch begins epoch=%llu",
	    (unsigned long long)a->identity.epoch.counter);
	store_epoch_begin(a->store, now, a->identity.epoch);
	agent_api_changed(a);
}

/* The later starter of two that run on one disk's copies takes another id, which means to begin
 * anew with all that is local (RULES 1). */
static void
agent_cloned(struct agent *a)
{
	char old[UUID_TEXT_LEN + 1], fresh[UUID_TEXT_LEN + 1];
	struct err err = { 0 };

	uuid_format(&a->identity.id, old);
	if (a->options->node_id.n > 0) {
		log_error("agent", "another agent runs under our -node-id %s", old);
		return;
	}
	if (identity_renew(&a->identity, &err) < 0) {
		log_error("agent",
		    "another agent runs under our id %s, and no new one can be kept: %s", old,
		    err.text);
		return;
	}
	log_error("agent",
	    "another agent runs under our id %s, this data folder is a copy: starting anew as %s",
	    old, uuid_format(&a->identity.id, fresh));
	a->again = true;
	event_base_loopbreak(a->base);
}

static void
agent_keys_save(struct agent *a)
{
	const char *folder = a->options->disable_keyring_file ? NULL : a->identity.folder;
	struct err err = { 0 };

	if (keyring_io_save(folder, a->keys, &err) < 0)
		log_error("gossip", "the keyring cannot be written: %s", err.text);
	if (keyring_count(a->keys) < a->key_count)
		server_net_cut(a->net); /* who was let in by a key that is no more */
	a->key_count = keyring_count(a->keys);
}

static void
agent_told(void *arg, const struct pool_action *told)
{
	struct agent *a = arg;
	struct now now = loop_now();

	switch (told->kind) {
	case POOL_MEMBER:
		agent_member_told(a, now, told);
		break;
	case POOL_EVENT:
		api_event(&a->api, now, &told->event);
		break;
	case POOL_KEYS:
		api_keys(&a->api, told->id, told->name, &told->keys);
		break;
	case POOL_KEYS_DONE:
		api_keys_done(&a->api, told->id, told->expected);
		break;
	case POOL_KEYS_SAVE:
		agent_keys_save(a);
		break;
	case POOL_READY:
		cluster_synced(a->cluster, now);
		agent_docker_members(a, now);
		agent_api_changed(a);
		agent_ready_check(a);
		break;
	case POOL_EPOCH:
		agent_epoch_begin(a, now, told->id);
		break;
	case POOL_CLONE:
		agent_cloned(a);
		break;
	case POOL_LEFT:
		agent_left(a);
		break;
	default:
		break; /* answers to queries: nobody asks any */
	}
}

static void
agent_join_over(void *arg, uint64_t ticket, unsigned joined, struct str why)
{
	struct agent *a = arg;

	api_joined(&a->api, ticket, joined, why);
}

static void
agent_join_failed(void *arg, struct str why)
{
	struct agent *a = arg;

	err_set(&a->failure, ERR_REFUSED, STR_FMT, STR_ARG(why));
	event_base_loopbreak(a->base);
}

/* ---- what the API asks ---- */

static void
agent_op_finish(void *arg, uint64_t ticket, const struct http_reply *reply)
{
	struct agent *a = arg;

	http_server_finish(a->http, ticket, reply);
}

static void
agent_op_resume(void *arg, struct now now, const struct cluster_action *answer)
{
	struct agent *a = arg;

	http_server_resume(a->http, now, answer);
}

static void
agent_op_carry(void *arg, struct now now, uint64_t request, struct str bytes)
{
	struct agent *a = arg;

	http_server_carry(a->http, now, request, bytes);
}

static void
agent_op_carry_drop(void *arg, uint64_t request)
{
	struct agent *a = arg;

	http_server_carry_drop(a->http, request);
}

static void
agent_op_join(void *arg, struct now now, struct str target, uint64_t ticket)
{
	struct agent *a = arg;

	(void)now;
	pool_io_join(a->pool_io, target, ticket);
}

static void
agent_op_leave(void *arg, struct now now, uint64_t ticket)
{
	struct agent *a = arg;

	a->leave_ticket = ticket;
	agent_leave(a, now);
}

static void
agent_op_pull(void *arg, struct now now, const struct uuid *agent)
{
	struct agent *a = arg;

	pool_pull(a->pool, now, agent);
	agent_api_changed(a);
}

static void
agent_op_measure(void *arg, struct now now)
{
	agent_measure(arg, now);
}

static void
agent_op_host(void *arg, struct jw *w)
{
	const struct agent *a = arg;

	host_write(w, a->identity.folder);
}

static struct http_stream *
agent_op_monitor(void *arg, enum log_level level, bool json, struct err *err)
{
	const struct agent *a = arg;
	struct http_stream *stream = NULL;

	return monitor_open(a->monitor, level, json, &stream, err) < 0 ? NULL : stream;
}

struct api_ops
agent_pool_ops(struct agent *a)
{
	return (struct api_ops){
		.finish = agent_op_finish,
		.join = agent_op_join,
		.leave = agent_op_leave,
		.resume = agent_op_resume,
		.carry = agent_op_carry,
		.carry_drop = agent_op_carry_drop,
		.pull = agent_op_pull,
		.reload = agent_reload_ask,
		.measure = agent_op_measure,
		.host = agent_op_host,
		.monitor = agent_op_monitor,
		.arg = a,
	};
}

/* ---- time ---- */

void
agent_coordinate_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();
	struct coordinate_info info;
	struct err err = { 0 };

	if (coordinate_publish(&a->coordinate, now.mono, pool_coordinates(a->pool),
		pool_member_count(a->pool, SERF_ALIVE), &info) &&
	    local_coordinate_put(a->local, now, &info, &err) < 0)
		log_warn("gossip", "our coordinate is not told: %s", err.text);
	loop_timer_arm(a->coordinate_timer, coordinate_publish_deadline(&a->coordinate));
	agent_changed(a, now);
}

void
agent_roster_due(void *arg)
{
	struct agent *a = arg;
	struct err err = { 0 };

	roster_clocks_set(a->roster, loop_now().mono, pool_clocks(a->pool));
	if (roster_tick(a->roster, loop_now().mono, &err) < 0)
		log_warn("gossip", "cannot keep the list of members: %s", err.text);
	loop_timer_arm(a->roster_timer, roster_deadline(a->roster));
}

/* ---- building ---- */

int
agent_keys_open(struct agent *a, struct err *err)
{
	const struct options *o = a->options;
	const char *folder = o->disable_keyring_file ? NULL : a->identity.folder;
	struct str key = str_mem(o->encrypt_key, o->encrypt_key_len);
	enum keyring_source source;
	int rc = keyring_io_load(folder, key, &a->keys, &source, err);

	if (rc == 0 && source == KEYRING_CONFLICT)
		log_warn("gossip",
		    "-encrypt is not the primary key of the keyring file, whose keys are used");
	if (rc == 0 && source == KEYRING_CONSUL)
		log_info("gossip", "keys taken from the Consul agent's file in the data folder");
	a->key_count = a->keys == NULL ? 0 : keyring_count(a->keys);
	a->frame = (struct frame_config){
		.keys = a->keys,
		.verify_incoming = o->encrypt_verify_incoming,
		.verify_outgoing = o->encrypt_verify_outgoing,
		.compress = true,
	};
	return rc;
}

struct serf_meta
agent_meta(struct agent *a)
{
	const struct options *o = a->options;

	uuid_format(&a->identity.id, a->id_text);
	uuid_format(&a->raft_tag.cluster, a->cluster_text);
	return (struct serf_meta){
		.server = o->server,
		.expect = (unsigned)o->bootstrap_expect,
		.bootstrap = o->bootstrap,
		.raft = a->raft_tag,
		.port = o->server ? (uint16_t)o->server_port : 0,
		.dc = o->datacenter,
		.id = str_of(a->id_text),
		.build = STR(PACKAGE_VERSION),
		/* of the external records' owner only who publishes it speaks */
		.cluster = a->raft_tag.formed ? str_of(a->cluster_text) : STR_NONE,
	};
}

static int
agent_pool_io_open(struct agent *a, const struct addr *known, size_t known_count, struct err *err)
{
	const struct options *o = a->options;
	struct pool_io_config config = {
		.base = a->base,
		.pool = a->pool,
		.bind = o->gossip_bind,
		.frame = &a->frame,
		.join = {
			.once = o->start_join,
			.once_count = o->start_join_count,
			.retry = o->retry_join,
			.retry_count = o->retry_join_count,
			.port = o->advertise_addr.port,
			.self = o->advertise_addr,
			.retry_interval = o->retry_interval,
			.retry_max = (unsigned)o->retry_max,
			.known = known,
			.known_count = known_count,
		},
		.arg = a,
		.fed = agent_api_changed,
		.told = agent_told,
		.joined = agent_join_over,
		.failed = agent_join_failed,
	};

	return pool_io_new(&config, &a->pool_io, err);
}

int
agent_roster_open(struct agent *a, struct err *err)
{
	struct err damage = { 0 };

	(void)err;
	a->roster = roster_open(a->identity.folder, a->options->rejoin_after_leave, &damage);
	if (damage.code != 0)
		log_warn("gossip", "the list of members is of no use: %s", damage.text);
	return 0;
}

int
agent_pool_open(struct agent *a, struct now now, struct err *err)
{
	const struct options *o = a->options;
	struct addr *known = arena_array(&a->arena, struct addr, AGENT_KNOWN_MAX);
	struct coordinate_info last;
	bool told = local_coordinate(a->local, &last);
	struct serf_coordinate last_at;
	struct pool_config config;
	size_t known_count;
	uint64_t seed;

	known_count = known == NULL ? 0 : roster_addrs(a->roster, known, AGENT_KNOWN_MAX);
	os_random(&seed, sizeof seed);
	config = (struct pool_config){
		.store = a->store,
		.self = a->identity.id,
		.name = o->node_name,
		.advertise = o->advertise_addr,
		.meta = agent_meta(a),
		.profile = o->gossip_profile,
		.keys = a->keys,
		.overhead = frame_overhead(&a->frame),
		.reap = o->reconnect_timeout,
		.clocks = roster_clocks(a->roster),
		.awaits = o->start_join_count + o->retry_join_count + known_count > 0,
		.restart_grace = o->restart_grace,
		.hold_share = (unsigned)o->hold_share,
		.damp_flaps = (unsigned)o->damp_flaps,
		.notes = o->level == LOG_LEVEL_DEBUG,
	};
	if (told) {
		last_at = coordinate_of_info(&last);
		config.coordinate = &last_at;
	}
	a->pool = pool_new(&config, seed, now);
	a->events = events_new(&(struct events_config){ .node = o->node_name, .local = a->local });
	coordinate_publish_init(&a->coordinate, seed ^ 1, now.mono, told ? &last : NULL);
	loop_timer_arm(a->coordinate_timer, coordinate_publish_deadline(&a->coordinate));
	agent_server_members(a, now);
	return agent_pool_io_open(a, known, known_count, err);
}

void
agent_pool_close(struct agent *a)
{
	struct err err = { 0 };

	if (a->pool != NULL)
		roster_clocks_set(a->roster, loop_now().mono, pool_clocks(a->pool));
	if (roster_close(a->roster, &err) < 0)
		log_warn("gossip", "cannot keep the list of members: %s", err.text);
	pool_io_free(a->pool_io);
	pool_free(a->pool);
	events_free(a->events);
	keyring_free(a->keys);
}
