/* agent/agent_build.c -- all rooms put together, from the disk up to the listeners; and taken down
 * in the opposite order.
 */
#include "agent/agent_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/http/api_pool.h"
#include "base/log.h"
#include "base/mem.h"

#define AGENT_UNKNOWN_BYTES_MAX (64 * 1024 * 1024) /* of owners that are no members (RULES 6) */
#define AGENT_SERVICES_MAX 200000                  /* local ones */
#define AGENT_SPARE_FILES 256 /* descriptors that connections leave to others */
#define AGENT_ARENA_MAX (1024 * 1024)

/* As many descriptors as we may have: each connection needs one. */
static size_t
agent_files_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	return (size_t)limit.rlim_cur;
}

static int
agent_store_open(struct agent *a, struct now now, struct err *err)
{
	struct store_config config = {
		.limits = owner_limits_default,
		.unknown_bytes_max = AGENT_UNKNOWN_BYTES_MAX,
		.cluster_writer = a->options->server,
	};
	struct str folder = a->options->dev ? STR_NONE : a->options->data_dir;
	int rc = identity_open(&a->identity, folder, err);

	if (rc < 0)
		return rc;
	if (a->options->node_id.n > 0) /* checked when it was read */
		uuid_parse(a->options->node_id, &a->identity.id);
	config.self = a->identity.id;
	config.cluster = a->identity.cluster;
	config.epoch = a->identity.epoch;
	config.index_ceiling = a->identity.index_ceiling;
	a->store = store_new(&config, now);
	agent_ceiling(a, now);
	if (now.mono < a->ceiling_retry)
		return err_set(err, ERR_IO, "cannot write to the data folder");
	store_member(a->store, now, &a->identity.id, STORE_MEMBER_ALIVE, 0);
	store_member(a->store, now, &a->identity.cluster, STORE_MEMBER_ALIVE, 0);
	return 0;
}

static int
agent_journal(struct agent *a, const char *name, struct journal **out, struct err *err)
{
	struct str path;

	if (a->identity.folder == NULL)
		return 0;
	path = arena_fmt(&a->arena, "%s/%s", a->identity.folder, name);
	return journal_open(a->base, path, out, err);
}

static int
agent_registrations_open(struct agent *a, struct now now, struct err *err)
{
	struct local_config config = {
		.store = a->store,
		.self = a->identity.id,
		.scripts_enabled = a->options->enable_script_checks,
		.local_scripts_enabled = a->options->enable_local_script_checks,
		.services_max = AGENT_SERVICES_MAX,
		.check_update_interval = a->options->check_update_interval,
	};
	int rc = agent_journal(a, "local.journal", &a->local_journal, err);

	if (rc == 0)
		rc = agent_journal(a, "external.journal", &a->external_journal, err);
	if (rc < 0)
		return rc;
	config.journal = a->local_journal;
	a->local = local_new(&config);
	a->external = external_new(a->store, a->external_journal, &a->identity.cluster);
	rc = agent_node_publish(a, now, err);
	if (rc == 0 && a->options->server)
		rc = agent_self_publish(a, now, err);
	if (rc == 0)
		rc = local_restore(a->local, now, err);
	if (rc >= 0)
		rc = definitions_apply(&a->options->definitions, a->local, now, err);
	if (rc >= 0)
		rc = external_restore(a->external, now, err);
	return rc < 0 ? rc : 0;
}

static int
agent_http_open(struct agent *a, struct err *err)
{
	const struct options *o = a->options;
	size_t files = agent_files_max();
	size_t most = files > 2 * AGENT_SPARE_FILES ? files - AGENT_SPARE_FILES : files / 2;
	struct http_server_config config = {
		.limits = http_limits_default,
		.connections_max =
		    (unsigned)(most < (size_t)o->http_max_conns ? most : (size_t)o->http_max_conns),
		.connections_per_client_max = (unsigned)o->http_max_conns_per_client,
	};
	uint64_t seed;

	os_random(&seed, sizeof seed);
	a->api = (struct api){
		.store = a->store,
		.local = a->local,
		.external = a->external,
		.options = o,
		.identity = &a->identity,
		.pool = a->pool,
		.events = a->events,
		.ops = agent_pool_ops(a),
		.changed = agent_api_changed,
		.changed_arg = a,
	};
	rng_init(&a->api.rng, seed);
	return http_server_new(
	    a->base, &a->api, &config, o->http_listen, o->http_listen_count, &a->http, err);
}

static int
agent_dns_open(struct agent *a, struct err *err)
{
	const struct options *o = a->options;
	uint64_t seed;

	agent_dns_configure(a);
	os_random(&seed, sizeof seed);
	a->responder = dns_responder_new(&a->dns_config, store_catalog(a->store), seed);
	dns_responder_ready(a->responder, false); /* until the pool says so (RULES 13) */
	return dns_io_new(a->base, a->responder, o->dns_listen, o->dns_listen_count, &a->dns, err);
}

static void
agent_checks_start(struct agent *a)
{
	struct check_io_config config = {
		.base = a->base,
		.local = a->local,
		.store = a->store,
		.node = a->options->node_name,
		.docker_url = a->docker == NULL ? STR_NONE : a->docker_endpoint.url,
		.files_max = agent_files_max(),
		.changed = agent_api_changed,
		.arg = a,
	};

	a->checks = check_io_new(&config);
}

static int
agent_pid_file(struct agent *a, struct err *err)
{
	const char *path = a->options->pid_file.p; /* terminated: options are */
	FILE *f;
	int rc = 0;

	if (a->options->pid_file.n == 0)
		return 0;
	f = fopen(path, "we");
	if (f == NULL)
		return err_errno(err, "cannot write the pid file %s", path);
	a->pid_written = true;
	if (fprintf(f, "%ld\n", (long)getpid()) < 0)
		rc = err_errno(err, "cannot write the pid file %s", path);
	if (fclose(f) != 0 && rc == 0)
		rc = err_errno(err, "cannot write the pid file %s", path);
	return rc;
}

int
agent_build(struct agent *a, struct err *err)
{
	struct now now = loop_now();
	int rc = 0;

	arena_init(&a->arena, AGENT_ARENA_MAX);
	addr_format_ip(&a->options->advertise_addr, a->address);
	a->base = loop_base_new(err);
	if (a->base == NULL)
		return ERR_IO;
	rc = agent_store_open(a, now, err);
	if (rc == 0)
		rc = agent_registrations_open(a, now, err);
	if (rc == 0)
		rc = agent_timers(a, now);
	if (rc == 0)
		rc = agent_pool_open(a, now, err);
	if (rc == 0)
		rc = agent_http_open(a, err);
	if (rc == 0)
		rc = agent_dns_open(a, err);
	if (rc == 0)
		rc = agent_signals(a, err);
	if (rc == 0)
		rc = agent_pid_file(a, err);
	if (rc == 0)
		rc = agent_docker_start(a, now, err);
	if (rc == 0)
		agent_checks_start(a);
	return rc;
}

/* ---- taking down, in the opposite order ---- */

void
agent_free(struct agent *a)
{
	check_io_free(a->checks);
	docker_io_free(a->docker_io);
	docker_free(a->docker);
	if (a->pid_written)
		unlink(a->options->pid_file.p);
	dns_io_free(a->dns);
	dns_responder_free(a->responder);
	free(a->dns_config.service_ttl);
	api_pool_done(&a->api);
	http_server_free(a->http);
	agent_pool_close(a);
	agent_signals_free(a);
	if (a->changed != NULL)
		event_free(a->changed);
	loop_timer_free(a->local_timer);
	loop_timer_free(a->store_timer);
	loop_timer_free(a->minute_timer);
	loop_timer_free(a->baseline_timer);
	loop_timer_free(a->resync_timer);
	loop_timer_free(a->stop_timer);
	loop_timer_free(a->leave_timer);
	loop_timer_free(a->coordinate_timer);
	loop_timer_free(a->roster_timer);
	external_free(a->external);
	local_free(a->local);
	journal_close(a->external_journal);
	journal_close(a->local_journal);
	store_free(a->store);
	identity_close(&a->identity);
	if (a->base != NULL)
		event_base_free(a->base);
	arena_done(&a->arena);
}
