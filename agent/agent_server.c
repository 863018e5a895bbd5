/* agent/agent_server.c -- the server's part of the agent: Raft's folder, the server port, what the
 * tags say of them, and the pool's members as the cluster sees them.
 *
 * The folder is read and the cluster made before the pool is: the first word that others hear of us
 * says already whether we have a log, or one who founds a cluster might count us in (RULES 8).
 */
#include "agent/agent_priv.h"

#include "agent/server/cluster_wire.h"
#include "base/log.h"
#include "base/rng.h"

#define SERVER_META_BYTES (16 * 1024) /* memory for reading one member's tags */

/* ---- members ---- */

static bool
member_meta(struct arena *arena, const struct pool_member *m, struct serf_meta *out)
{
	return m->muster && serf_meta_read(arena, m->meta, out, NULL) == 0;
}

/* News of a member, ourselves too. */
void
agent_server_member(struct agent *a, struct now now, const struct pool_member *m, bool gone)
{
	struct cluster_member member = {
		.agent = m->id,
		.server = m->server,
		.alive = m->state == SERF_ALIVE,
		.left = m->state == SERF_LEFT,
		.since = m->since,
	};
	struct serf_meta meta;
	struct arena arena;

	if (!m->muster)
		return;
	arena_init(&arena, SERVER_META_BYTES);
	if (gone) {
		cluster_member_gone(a->cluster, now, &m->id);
	} else if (member_meta(&arena, m, &meta)) {
		member.cluster = meta.raft.cluster;
		member.raft_id = meta.raft.id;
		member.formed = meta.raft.formed;
		member.expect = meta.expect;
		member.version = meta.raft.version;
		cluster_member_set(a->cluster, now, &member);
		if (member.alive && member.server)
			server_net_kick(a->net, &m->id);
	}
	arena_done(&arena);
	agent_api_changed(a);
}

void
agent_server_members(struct agent *a, struct now now)
{
	struct str after = STR_NONE;
	struct pool_member m;

	for (; pool_member_next(a->pool, after, &m); after = m.wire_name)
		agent_server_member(a, now, &m, false);
}

static bool
server_address(void *arg, const struct uuid *agent, struct addr *out)
{
	struct agent *a = arg;
	struct pool_member m;
	struct serf_meta meta;
	struct arena arena;
	bool found;

	if (a->pool == NULL || !pool_member_by_id(a->pool, agent, &m) || m.state == SERF_LEFT)
		return false;
	arena_init(&arena, SERVER_META_BYTES);
	found = member_meta(&arena, &m, &meta) && meta.server && meta.port > 0;
	if (found) {
		*out = m.addr;
		out->port = meta.port;
	}
	arena_done(&arena);
	return found;
}

/* Is this a member's address, or that of one member? */
static bool
server_is_member(void *arg, const struct addr *from, const struct uuid *agent)
{
	struct agent *a = arg;
	struct str after = STR_NONE;
	struct pool_member m;

	if (a->pool == NULL)
		return false;
	if (agent != NULL)
		return pool_member_by_id(a->pool, agent, &m) && m.state != SERF_LEFT &&
		       addr_eq_ip(&m.addr, from);
	for (; pool_member_next(a->pool, after, &m); after = m.wire_name)
		if (m.muster && m.state != SERF_LEFT && addr_eq_ip(&m.addr, from))
			return true;
	return false;
}

/* ---- tags ---- */

void
agent_server_tags(struct agent *a, struct now now, const struct cluster_action *told)
{
	struct serf_meta meta;
	struct err err = { 0 };

	a->raft_tag = (struct serf_raft){
		.version = FSM_LEVEL,
		.id = told->raft_id,
		.cluster = told->cluster,
		.formed = told->formed,
	};
	server_net_cluster_set(a->net, &told->cluster);
	if (a->pool == NULL)
		return; /* it begins with them */
	meta = agent_meta(a);
	if (pool_meta_set(a->pool, now, &meta, &err) < 0)
		log_error("raft", "others are not told of our part in Raft: %s", err.text);
	agent_api_changed(a);
}

/* ---- building ---- */

static int
server_disk_open(struct agent *a, struct now now, struct raft_disk_found *found, struct err *err)
{
	struct raft_disk_config config = {
		.base = a->base,
		.watches = store_watches(a->store),
		.arg = a,
		.durable = agent_cluster_durable,
		.stored = agent_cluster_stored,
		.voted = agent_cluster_voted,
		.failing = agent_cluster_failing,
	};

	if (a->identity.folder != NULL) {
		a->raft_files =
		    files_open(arena_fmt(&a->arena, "%s/raft", a->identity.folder).p, err);
		if (a->raft_files == NULL)
			return ERR_IO;
	}
	config.files = a->raft_files;
	return raft_disk_open(&config, now, &a->disk, found, err);
}

static int
server_net_open(struct agent *a, struct err *err)
{
	const struct options *o = a->options;
	struct server_net_config config = {
		.base = a->base,
		.listen = o->server,
		.bind = o->bind_addr,
		.self = a->identity.id,
		.keys = a->keys,
		.disk = a->disk,
		.arg = a,
		.address = server_address,
		.member = server_is_member,
		.message = agent_cluster_message,
		.snapshot = agent_cluster_snapshot,
		.lost = agent_cluster_lost,
	};

	struct server_net_tls tls;
	int rc = agent_tls_servers(o, &tls, err);

	if (rc < 0)
		return rc;
	config.bind.port = (uint16_t)o->server_port;
	if (o->server && a->keys == NULL && !tls.required && !addr_is_loopback(&o->bind_addr))
		log_warn("raft", "without -encrypt and TLS the server port knows members by their address "
				 "alone, and what it says can be read and changed on its way");
	rc = server_net_new(&config, &a->net, err);
	if (rc == 0)
		server_net_tls(a->net, &tls);
	tls_unref(tls.in);
	tls_unref(tls.out);
	return rc;
}

/* Damage keeps us out of Raft, not out of everything: keys are asked for as any other agent does.
 */
static int
server_disk_try(struct agent *a, struct now now, struct raft_disk_found *found, bool *server)
{
	struct err err = { 0 };
	int rc = server_disk_open(a, now, found, &err);

	if (rc == 0)
		return 0;
	*server = false;
	if (rc != ERR_INPUT && rc != ERR_REFUSED && rc != ERR_LIMIT && rc != ERR_IO)
		return rc;
	log_error("raft", "this server takes no part in Raft, its data is of no use: %s", err.text);
	return 0;
}

int
agent_cluster_open(struct agent *a, struct now now, struct err *err)
{
	const struct options *o = a->options;
	const struct swim_profile *p = &o->gossip_profile;
	struct raft_disk_found found = { 0 };
	struct cluster_disk disk;
	struct cluster_config config = {
		.store = a->store,
		.self = a->identity.id,
		.epoch = a->identity.epoch,
		.server = o->server,
		.bootstrap = o->bootstrap,
		.joins = o->start_join_count + o->retry_join_count + roster_count(a->roster) > 0,
		.expect = (unsigned)o->bootstrap_expect,
		.suspicion_max =
		    (nsec)p->suspicion_mult * p->suspicion_max_mult * p->probe_interval,
		.watches = store_watches(a->store),
		.notes = o->level == LOG_LEVEL_DEBUG,
	};
	uint64_t seed;
	int rc = 0;

	TAILQ_INIT(&a->sent);
	os_random(&seed, sizeof seed);
	if (config.server)
		rc = server_disk_try(a, now, &found, &config.server);
	if (rc < 0)
		return err_set(err, rc, "Raft's folder cannot be used");
	disk = (struct cluster_disk){ found.vote, found.found, found.fsm };
	rc = cluster_new(&config, found.there ? &disk : NULL, seed, now, &a->cluster, err);
	if (rc == 0 && a->disk != NULL)
		rc = raft_disk_start(a->disk, err);
	if (rc == 0)
		rc = server_net_open(a, err);
	if (rc == 0)
		agent_cluster_step(a, now);
	return rc;
}

void
agent_server_close(struct agent *a)
{
	struct err err = { 0 };

	server_net_free(a->net);
	a->net = NULL;
	if (raft_disk_close(a->disk, &err) < 0)
		log_error("raft", "not all could be written: %s", err.text);
	a->disk = NULL;
	files_close(a->raft_files);
	a->raft_files = NULL;
}
