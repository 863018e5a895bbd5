/* agent/agent_build.c -- all rooms put together, from the disk up to the listeners; and taken down
 * in the opposite order.
 */
#include "agent/agent_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/api_place_io.h"
#include "agent/http/api_pool.h"
#include "base/bind_io.h"
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
	};
	struct str folder = a->options->dev ? STR_NONE : a->options->data_dir;
	int rc = identity_open(&a->identity, folder, err);

	if (rc < 0)
		return rc;
	if (a->options->node_id.n > 0) /* checked when it was read */
		uuid_parse(a->options->node_id, &a->identity.id);
	config.self = a->identity.id;
	config.epoch = a->identity.epoch;
	config.index_ceiling = a->identity.index_ceiling;
	a->store = store_new(&config, now);
	agent_ceiling(a, now);
	if (now.mono < a->ceiling_retry)
		return err_set(err, ERR_IO, "cannot write to the data folder");
	store_member(a->store, now, &a->identity.id, STORE_MEMBER_ALIVE, 0);
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
		.deregister_min = a->options->check_deregister_interval_min,
	};
	int rc = agent_journal(a, "local.journal", &a->local_journal, err);

	if (rc == 0)
		rc = agent_external_open(a, err);
	if (rc < 0)
		return rc;
	config.journal = a->local_journal;
	a->local = local_new(&config);
	rc = agent_node_publish(a, now, err);
	if (rc == 0 && a->options->server)
		rc = agent_self_publish(a, now, err);
	if (rc == 0)
		rc = local_restore(a->local, now, err);
	if (rc >= 0)
		rc = definitions_apply(&a->options->definitions, a->local, now, err);
	return rc < 0 ? rc : 0;
}

static void
agent_monitor_kick(void *arg, struct http_stream *stream)
{
	const struct agent *a = arg;

	http_server_stream_kick(a->http, stream);
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
		.handshake_max = o->https_handshake_timeout,
		.unix_mode = o->http_unix_mode,
	};
	struct http_header *headers =
	    arena_array(&a->arena, struct http_header, o->response_header_count + 1);
	uint64_t seed;
	int rc = headers == NULL ? err_set(err, ERR_LIMIT, "http_config: too many headers")
				 : agent_tls_https(o, &config.tls, err);

	if (rc < 0)
		return rc;
	/* what a client gets depends on whether it takes gzip */
	headers[0] = (struct http_header){ STR("Vary"), STR("Accept-Encoding") };
	for (size_t i = 0; i < o->response_header_count; i++)
		headers[i + 1] = (struct http_header){ o->response_headers[i].key,
			o->response_headers[i].value };
	config.response_headers = headers;
	config.response_header_count = o->response_header_count + 1;
	if (o->http_max_header_bytes > 0)
		config.limits.head_max = (size_t)o->http_max_header_bytes;
	os_random(&seed, sizeof seed);
	a->api = (struct api){
		.store = a->store,
		.local = a->local,
		.options = o,
		.access = o->http_access,
		.identity = &a->identity,
		.pool = a->pool,
		.cluster = a->cluster,
		.net = a->net,
		.events = a->events,
		.metrics = a->metrics,
		.answers = answers_new(),
		.ops = agent_pool_ops(a),
		.changed = agent_api_changed,
		.changed_arg = a,
	};
	rng_init(&a->api.rng, seed);
	a->monitor = monitor_new(a->base, agent_monitor_kick, a);
	rc = http_server_new(
	    a->base, &a->api, &config, o->http_listen, o->http_listen_count, &a->http, err);
	tls_unref(config.tls);
	return rc;
}

/* The second port of DNS is one that others may have, and that not everybody may have: what cannot
 * be bound is left out. */
static void
agent_dns_try(struct options *o)
{
	size_t kept = o->dns_listen_must;
	char text[ADDR_TEXT_MAX];

	for (size_t i = kept; i < o->dns_listen_count; i++) {
		struct addr at = o->dns_listen[i], got;
		struct err err = { 0 };
		int fds[BIND_SOCKETS];

		if (bind_pair(&at, true, &got, fds, &err) < 0) {
			log_warn("dns", "not on %s too: %s", addr_format(&at, text), err.text);
			continue;
		}
		(void)close(fds[BIND_UDP]);
		(void)close(fds[BIND_TCP]);
		o->dns_listen[kept++] = at;
	}
	o->dns_listen_count = kept;
}

static int
agent_dns_open(struct agent *a, struct err *err)
{
	struct options *o = a->options;
	struct dns_io_config config = {
		.threads = (unsigned)o->dns_threads,
		.rate = (uint32_t)o->dns_rate_limit,
		.rate_slip = (uint32_t)o->dns_rate_slip,
	};
	uint64_t seed;
	int rc;

	agent_dns_try(o);
	config.listen = o->dns_listen;
	config.count = o->dns_listen_count;
	agent_dns_configure(a);
	os_random(&seed, sizeof seed);
	a->responder = dns_responder_new(&a->dns_config, store_catalog(a->store), seed);
	dns_responder_ready(a->responder, false); /* until the pool says so (RULES 13) */
	rc = dns_io_new(a->base, a->responder, &config, &a->dns, err);
	agent_dns_io_configure(a);
	return rc;
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

/* Where our own HTTP API is without TLS: "127.0.0.1:8500", "unix:///path", or nothing. */
static struct str
agent_own_api(const struct agent *a, struct arena *arena)
{
	char text[ADDR_TEXT_MAX];
	struct addr at, loopback;

	for (size_t i = 0; i < a->options->http_listen_count; i++) {
		const struct listen_at *l = &a->options->http_listen[i];

		if (l->tls)
			continue;
		if (l->path.n > 0)
			return arena_fmt(arena, "unix://" STR_FMT, STR_ARG(l->path));
		if (!http_server_address(a->http, i, &at))
			break;
		addr_parse_ip(at.family == ADDR_V6 ? STR("::1") : STR("127.0.0.1"), &loopback);
		loopback.port = at.port;
		addr_format(addr_is_any(&at) ? &loopback : &at, text);
		return arena_dup(arena, str_of(text));
	}
	return STR_NONE;
}

void
agent_watches_apply(struct agent *a, const struct options *o)
{
	struct arena arena;
	struct str address;

	arena_init(&arena, 64 * 1024);
	address = agent_own_api(a, &arena);
	if (o->watch_count > 0 && address.n == 0)
		log_error("watch", "watches need the HTTP API without TLS, which is off");
	watch_runs_apply(a->watches, address, o->watches, o->watch_count);
	arena_done(&arena);
}

/* For muster ready. */
static void
agent_place_tell(struct agent *a)
{
	struct arena arena;

	if (a->identity.folder == NULL)
		return;
	arena_init(&arena, 64 * 1024);
	api_place_write(a->identity.folder, agent_own_api(a, &arena));
	arena_done(&arena);
}

static void
agent_watches_start(struct agent *a)
{
	struct watch_runs_config config = {
		.base = a->base,
		.fetcher = check_io_fetcher(a->checks),
		.exec = check_io_exec(a->checks),
	};

	a->watches = watch_runs_new(&config);
	agent_watches_apply(a, a->options);
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
		a->notify = notify_io_new(a->base, now.mono);
	if (rc == 0)
		rc = agent_keys_open(a, err);
	if (rc == 0)
		rc = agent_roster_open(a, err);
	if (rc == 0)
		rc = agent_cluster_open(a, now, err);
	if (rc == 0)
		rc = agent_pool_open(a, now, err);
	if (rc == 0)
		rc = agent_metrics_open(a, now, err);
	if (rc == 0)
		rc = agent_http_open(a, err);
	if (rc == 0)
		rc = agent_dns_open(a, err);
	if (rc == 0)
		agent_query_open(a, now);
	if (rc == 0)
		rc = agent_signals(a, err);
	if (rc == 0)
		rc = agent_pid_file(a, err);
	if (rc == 0)
		rc = agent_docker_start(a, now, err);
	if (rc == 0)
		agent_checks_start(a);
	if (rc == 0)
		agent_watches_start(a);
	if (rc == 0)
		agent_place_tell(a);
	return rc;
}

/* ---- taking down, in the opposite order ---- */

void
agent_free(struct agent *a)
{
	watch_runs_free(a->watches);
	check_io_free(a->checks);
	docker_io_free(a->docker_io);
	docker_free(a->docker);
	if (a->pid_written)
		unlink(a->options->pid_file.p);
	dns_io_free(a->dns);
	dns_responder_free(a->responder);
	agent_query_close(a);
	free(a->dns_config.service_ttl);
	api_pool_done(&a->api);
	http_server_free(a->http);
	monitor_free(a->monitor);
	notify_io_free(a->notify);
	metrics_free(a->metrics);
	answers_free(a->api.answers);
	agent_cluster_close(a);
	agent_pool_close(a);
	agent_signals_free(a);
	if (a->changed != NULL)
		event_free(a->changed);
	if (a->reload != NULL)
		event_free(a->reload);
	loop_timer_free(a->metrics_timer);
	loop_timer_free(a->cluster_timer);
	loop_timer_free(a->local_timer);
	loop_timer_free(a->store_timer);
	loop_timer_free(a->minute_timer);
	loop_timer_free(a->baseline_timer);
	loop_timer_free(a->resync_timer);
	loop_timer_free(a->members_timer);
	loop_timer_free(a->stop_timer);
	loop_timer_free(a->leave_timer);
	loop_timer_free(a->coordinate_timer);
	loop_timer_free(a->roster_timer);
	local_free(a->local);
	agent_external_close(a);
	journal_close(a->local_journal);
	store_free(a->store);
	identity_close(&a->identity);
	if (a->base != NULL) {
		/* the last frees of streams wait in the loop; event_base_free() can drop them */
		event_base_loop(a->base, EVLOOP_NONBLOCK);
		event_base_free(a->base);
	}
	arena_done(&a->arena);
}
