/* agent/agent.c -- all rooms put together; every arrow between them is drawn here.
 *
 * In order: what a change sets off; Docker; time; signals; building, from the disk up to the
 * listeners; the loop; taking down. One thread: every callback below runs in the event loop.
 *
 *     a container, a request or a timer changes the store
 *       -> agent_changed(): news drained, the index ceiling kept ahead, woken queries answered,
 *          timers armed anew
 */
#include "agent/agent.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/check_io.h"
#include "agent/docker_news.h"
#include "agent/external.h"
#include "agent/http/server_io.h"
#include "agent/identity.h"
#include "agent/local.h"
#include "agent/loop.h"
#include "base/log.h"
#include "base/mem.h"
#include "dns/dns_io.h"
#include "kv/store.h"
#include "watcher/docker_io.h"

#define AGENT_BASELINE_MAX (10 * NSEC_SEC) /* the latest end of the baseline (RULES 1) */
#define AGENT_STOP_MAX (8 * NSEC_SEC)      /* for answers under way, of the 10 s of a stop */
#define AGENT_STOP_STEP (5 * NSEC_MS)      /* how often a stop looks whether all is sent */
#define AGENT_CEILING_RETRY (5 * NSEC_SEC) /* after the disk refused a new ceiling */
#define AGENT_UNKNOWN_BYTES_MAX (64 * 1024 * 1024) /* of owners that are no members (RULES 6) */
#define AGENT_SERVICES_MAX 200000                  /* local ones */
#define AGENT_SPARE_FILES 256 /* descriptors that connections leave to others */
#define AGENT_ARENA_MAX (1024 * 1024)

enum agent_signal { SIGNAL_INT, SIGNAL_TERM, SIGNAL_HUP, SIGNAL_COUNT };

struct agent {
	struct options *options; /* borrowed */
	int argc;
	char **argv;
	struct arena arena;          /* paths and the engine's address */
	char address[ADDR_TEXT_MAX]; /* the advertised one */

	struct event_base *base;
	struct identity identity;
	struct store *store;
	struct journal *local_journal, *external_journal;
	struct local *local;
	struct check_io *checks;
	struct external *external;
	struct api api;
	struct http_server *http;
	struct dns_config dns_config;
	struct dns_responder *responder;
	struct dns_io *dns;
	struct docker *docker; /* NULL: off */
	struct docker_io *docker_io;
	struct docker_endpoint docker_endpoint;

	struct event *signals[SIGNAL_COUNT], *changed;
	struct loop_timer *local_timer, *store_timer, *minute_timer, *baseline_timer, *resync_timer,
	    *stop_timer;
	nsec ceiling_retry; /* not before this */
	nsec stop_until;
	bool baseline_done, docker_away, stopping, pid_written;
};

/* ---- what a change sets off ---- */

/* Indexes are given out only below a ceiling that is on disk (RULES 12). */
static void
agent_ceiling(struct agent *a, struct now now)
{
	struct index_clock *clock = store_index(a->store);
	uint64_t wanted = index_ceiling_wanted(clock, now.wall_ms);
	struct err err = { 0 };

	if (wanted == 0 || now.mono < a->ceiling_retry)
		return;
	if (identity_ceiling_save(&a->identity, wanted, &err) < 0) {
		log_error("agent", "cannot reserve indexes, trying again: %s", err.text);
		a->ceiling_retry = now.mono + AGENT_CEILING_RETRY;
		return;
	}
	index_ceiling_set(clock, wanted);
}

static void
agent_arm(struct agent *a)
{
	loop_timer_arm(a->local_timer, local_deadline(a->local));
	loop_timer_arm(a->store_timer, store_deadline(a->store));
}

static void
agent_changed(struct agent *a, struct now now)
{
	struct owner_record record;
	struct uuid owner;
	uint64_t after;

	if (a->checks != NULL)
		check_io_step(a->checks, now);
	while (store_news_next(a->store, &owner, &after, &record))
		; /* nobody to tell: there is no gossip yet */
	agent_ceiling(a, now);
	if (a->http != NULL)
		http_server_wake(a->http);
	agent_arm(a);
}

/* A handler of the API, or a check, changed something: after its step, and once for many. */
static void
agent_api_changed(void *arg)
{
	struct agent *a = arg;

	event_active(a->changed, EV_TIMEOUT, 0);
}

static void
agent_on_changed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	agent_changed(arg, loop_now());
}

/* ---- Docker ---- */

static void
agent_baseline_end(struct agent *a, struct now now)
{
	if (a->baseline_done)
		return;
	a->baseline_done = true;
	loop_timer_arm(a->baseline_timer, NSEC_NEVER);
	store_baseline_end(a->store, now);
	log_info("agent", "baseline complete records=%zu",
	    owner_count(store_owner(a->store, &a->identity.id)));
}

static void
agent_docker_synced(struct agent *a, struct now now)
{
	struct docker_stats stats = docker_stats(a->docker);

	log_info("docker", "engine %s containers=%zu services=%zu",
	    a->docker_away ? "back" : "in step", stats.containers, stats.services);
	a->docker_away = false;
	agent_baseline_end(a, now);
}

static void
agent_docker_news(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();
	struct docker_news news;

	while (docker_news_next(a->docker, &news)) {
		switch (news.kind) {
		case DOCKER_NEWS_SYNCED:
			agent_docker_synced(a, now);
			break;
		case DOCKER_NEWS_AWAY:
			log_warn("docker",
			    "engine away, what is registered stays url=" STR_FMT ": " STR_FMT,
			    STR_ARG(a->docker_endpoint.url), STR_ARG(news.text));
			a->docker_away = true;
			break;
		case DOCKER_NEWS_WARN:
			log_warn("docker", STR_FMT, STR_ARG(news.text));
			break;
		default:
			docker_news_apply(a->local, now, &news);
		}
	}
	agent_changed(a, now);
}

static struct docker_config
agent_docker_config(struct agent *a)
{
	const struct options *o = a->options;

	return (struct docker_config){
		.rules = {
			.host = o->node_name,
			.ip = o->docker_ip_forced ? o->docker_ip : str_of(a->address),
			.ip_forced = o->docker_ip_forced,
			.internal = o->docker_internal,
			.explicit_only = o->docker_explicit,
			.meta = o->docker_meta,
			.tags = o->docker_tags,
			.ip_from_label = o->docker_use_ip_from_label,
		},
		.deregister = str_eq(o->docker_deregister, STR("on-success"))
		    ? DOCKER_DEREGISTER_ON_SUCCESS
		    : DOCKER_DEREGISTER_ALWAYS,
		.drain = o->docker_drain,
		.host_from_engine = o->node_name_is_container,
	};
}

static void
agent_resync_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	docker_resync(a->docker, now);
	docker_io_kick(a->docker_io);
	loop_timer_arm(a->resync_timer, now.mono + a->options->docker_resync);
}

static int
agent_docker_start(struct agent *a, struct now now, struct err *err)
{
	struct docker_config config = agent_docker_config(a);
	struct str option = str_eq(a->options->docker, STR("auto")) ? STR_NONE : a->options->docker;
	int rc;

	if (!docker_endpoint_find(option, &a->arena, &a->docker_endpoint))
		return 0;
	if (rules_config_check(&config.rules, err) < 0)
		return err_wrap(err, "-docker-tags");
	a->docker = docker_new(&config, now);
	rc = docker_io_new(
	    a->base, a->docker, &a->docker_endpoint, agent_docker_news, a, &a->docker_io, err);
	if (rc == 0 && a->options->docker_resync > 0)
		loop_timer_arm(a->resync_timer, now.mono + a->options->docker_resync);
	return rc;
}

/* ---- time ---- */

static void
agent_local_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	local_tick(a->local, now);
	agent_changed(a, now);
}

static void
agent_store_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	store_tick(a->store, now);
	agent_changed(a, now);
}

/* A live owner asserts again what a stranger deregistered (RULES 5). */
static void
agent_minute_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	store_assert_masked(a->store, now);
	agent_changed(a, now);
	loop_timer_arm(a->minute_timer, now.mono + STORE_ASSERT_INTERVAL);
}

static void
agent_baseline_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	agent_baseline_end(a, now);
	agent_changed(a, now);
}

/* ---- this node ---- */

static int
agent_node_publish(struct agent *a, struct now now, struct err *err)
{
	static const char *const tags[2][4] = {
		{ "lan", "lan_ipv4", "wan", "wan_ipv4" },
		{ "lan", "lan_ipv6", "wan", "wan_ipv6" },
	};
	const struct options *o = a->options;
	bool v6 = o->advertise_addr.family == ADDR_V6;
	struct pair tagged[4], *meta = mem_zalloc((o->node_meta_count + 1) * sizeof *meta);
	char id[UUID_TEXT_LEN + 1];
	struct node_info node = {
		.id = str_of(uuid_format(&a->identity.id, id)),
		.name = o->node_name,
		.address = str_of(a->address),
		.datacenter = o->datacenter,
		.tagged = tagged,
		.tagged_count = 4,
		.tagged_set = true,
		.meta = meta,
		.meta_count = o->node_meta_count + 1,
		.meta_set = true,
	};
	int rc;

	for (size_t i = 0; i < 4; i++)
		tagged[i] = (struct pair){ str_of(tags[v6][i]), node.address };
	if (o->node_meta_count > 0)
		memcpy(meta, o->node_meta, o->node_meta_count * sizeof *meta);
	meta[o->node_meta_count] = (struct pair){ STR("consul-network-segment"), STR("") };
	node.meta_count = pairs_sort(meta, node.meta_count);
	rc = local_node_set(a->local, now, &node, err);
	free(meta);
	return rc < 0 ? rc : 0;
}

/* Servers are the service "consul". */
static int
agent_self_publish(struct agent *a, struct now now, struct err *err)
{
	struct service_info self = {
		.id = STR("consul"),
		.name = STR("consul"),
		.port = (int32_t)a->options->server_port,
		.weight_passing = 1,
		.weight_warning = 1,
		.tags_set = true,
		.meta_set = true,
	};
	int rc = local_service_put(a->local, now, &self, NULL, 0, true, LOCAL_SELF, err);

	return rc < 0 ? rc : 0;
}

/* ---- DNS ---- */

/* The responder reads its config at each answer, so a new one is simply written over the old;
 * what does not reload stays the same. */
static void
agent_dns_configure(struct agent *a)
{
	const struct options *o = a->options;
	struct dns_service_ttl *ttl = mem_alloc((o->dns_service_ttl_count + 1) * sizeof *ttl);

	for (size_t i = 0; i < o->dns_service_ttl_count; i++)
		ttl[i] = (struct dns_service_ttl){ o->dns_service_ttl[i].name,
			o->dns_service_ttl[i].seconds };
	free(a->dns_config.service_ttl);
	a->dns_config = (struct dns_config){
		.domain = o->domain,
		.alt_domain = o->alt_domain,
		.datacenter = o->datacenter,
		.node = o->node_name,
		.node_ttl = (uint32_t)(o->dns_node_ttl / NSEC_SEC),
		.service_ttl = ttl,
		.service_ttl_count = o->dns_service_ttl_count,
		.only_passing = o->dns_only_passing,
		.enable_truncate = o->dns_enable_truncate,
		.disable_compression = o->dns_disable_compression,
		.udp_answer_limit = (unsigned)o->dns_udp_answer_limit,
		.a_record_limit = (unsigned)o->dns_a_record_limit,
		.soa_refresh = (uint32_t)o->dns_soa_refresh,
		.soa_retry = (uint32_t)o->dns_soa_retry,
		.soa_expire = (uint32_t)o->dns_soa_expire,
		.soa_min_ttl = (uint32_t)o->dns_soa_min_ttl,
	};
}

/* ---- signals ---- */

static void
agent_stop_step(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	if (http_server_stopping(a->http) && now.mono < a->stop_until)
		loop_timer_arm(a->stop_timer, now.mono + AGENT_STOP_STEP);
	else
		event_base_loopbreak(a->base);
}

/* The first signal stops in good order; a second one does not wait for clients. */
static void
agent_on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	(void)what;
	if (a->stopping) {
		event_base_loopbreak(a->base);
		return;
	}
	log_info("agent", "stopping signal=%d", (int)fd);
	a->stopping = true;
	a->stop_until = loop_now().mono + AGENT_STOP_MAX;
	docker_io_free(a->docker_io);
	a->docker_io = NULL;
	loop_timer_arm(a->resync_timer, NSEC_NEVER);
	dns_io_free(a->dns);
	a->dns = NULL;
	agent_stop_step(a);
}

static int
agent_reload(struct agent *a, struct now now, char *changed, size_t cap, struct err *err)
{
	struct err refused = { 0 };
	struct options fresh;
	bool help;
	int rc = options_read(&fresh, a->argc, a->argv, &help, err);

	if (rc == 0 &&
	    rules_config_check(&(struct rules_config){ .tags = fresh.docker_tags }, err) < 0)
		rc = err_wrap(err, "-docker-tags");
	if (rc == 0)
		rc = options_reload(a->options, &fresh, changed, cap, err);
	if (rc == 0 && definitions_apply(&fresh.definitions, a->local, now, &refused) < 0)
		log_error("agent", "not every service and check of the config files is taken: %s",
		    refused.text);
	options_done(&fresh);
	if (rc < 0)
		return rc;
	log_level_set(a->options->level);
	agent_dns_configure(a);
	if (a->docker != NULL) {
		struct docker_config config = agent_docker_config(a);

		docker_reconfigure(a->docker, now, &config);
		docker_io_kick(a->docker_io);
	}
	return agent_node_publish(a, now, err);
}

static void
agent_on_reload(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();
	char changed[512] = "";
	struct err err = { 0 };

	(void)fd;
	(void)what;
	if (a->stopping)
		return;
	if (agent_reload(a, now, changed, sizeof changed, &err) < 0)
		log_error("agent", "not reloaded, all stays as it is: %s", err.text);
	else if (changed[0] != '\0')
		log_warn("agent", "reloaded; a restart is needed for: %s", changed);
	else
		log_info("agent", "reloaded");
	agent_changed(a, now);
}

static int
agent_signals(struct agent *a, struct err *err)
{
	static const struct {
		int number;
		event_callback_fn call;
	} rows[SIGNAL_COUNT] = {
		[SIGNAL_INT] = { SIGINT, agent_on_stop },
		[SIGNAL_TERM] = { SIGTERM, agent_on_stop },
		[SIGNAL_HUP] = { SIGHUP, agent_on_reload },
	};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		a->signals[i] = evsignal_new(a->base, rows[i].number, rows[i].call, a);
		if (a->signals[i] == NULL || event_add(a->signals[i], NULL) < 0)
			return err_errno(err, "cannot watch for signal %d", rows[i].number);
	}
	return 0;
}

/* ---- building ---- */

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
		.ready = true, /* nothing to join (RULES 13) */
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
	return dns_io_new(a->base, a->responder, o->dns_listen, o->dns_listen_count, &a->dns, err);
}

static int
agent_timers(struct agent *a, struct now now)
{
	a->changed = event_new(a->base, -1, 0, agent_on_changed, a);
	a->local_timer = loop_timer_new(a->base, agent_local_due, a);
	a->store_timer = loop_timer_new(a->base, agent_store_due, a);
	a->minute_timer = loop_timer_new(a->base, agent_minute_due, a);
	a->baseline_timer = loop_timer_new(a->base, agent_baseline_due, a);
	a->resync_timer = loop_timer_new(a->base, agent_resync_due, a);
	a->stop_timer = loop_timer_new(a->base, agent_stop_step, a);
	loop_timer_arm(a->minute_timer, now.mono + STORE_ASSERT_INTERVAL);
	return 0;
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

/* What was given and has no effect, aloud. */
static void
agent_tell_unused(const struct options *o)
{
	if (o->dev && o->data_dir.n > 0)
		log_warn("agent", "-dev keeps everything in memory, -data-dir is not used");
	for (size_t i = 0; i < o->unused_count; i++) {
		const struct option_unused *u = &o->unused[i];

		if (u->row->type == OPTION_LATER)
			log_warn("agent", "not in this version, ignored: " STR_FMT " (%s)",
			    STR_ARG(u->name), u->row->help);
		else
			log_info(
			    "agent", "means nothing here, ignored: " STR_FMT, STR_ARG(u->name));
	}
}

static void
agent_tell_addresses(const char *what, const struct addr *list, size_t count)
{
	char text[ADDR_TEXT_MAX];

	printf("    %-12s", what);
	for (size_t i = 0; i < count; i++)
		printf("%s%s", i > 0 ? ", " : "", addr_format(&list[i], text));
	printf("%s\n", count == 0 ? "off" : "");
}

static void
agent_tell_start(struct agent *a)
{
	const struct options *o = a->options;
	char id[UUID_TEXT_LEN + 1];

	printf("muster %s\n", PACKAGE_VERSION);
	printf("    %-12s" STR_FMT " (%s)\n", "node", STR_ARG(o->node_name),
	    uuid_format(&a->identity.id, id));
	printf("    %-12s" STR_FMT "%s\n", "datacenter", STR_ARG(o->datacenter),
	    o->server ? ", server" : "");
	printf("    %-12s%s\n", "address", a->address);
	agent_tell_addresses("http", o->http_listen, o->http_listen_count);
	agent_tell_addresses("dns", o->dns_listen, o->dns_listen_count);
	printf("    %-12s" STR_FMT "\n", "docker",
	    STR_ARG(a->docker == NULL ? STR("off") : a->docker_endpoint.url));
	printf(
	    "    %-12s%s\n", "data", a->identity.folder == NULL ? "in memory" : a->identity.folder);
	fflush(stdout);
}

static int
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

static void
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
	http_server_free(a->http);
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		if (a->signals[i] != NULL)
			event_free(a->signals[i]);
	if (a->changed != NULL)
		event_free(a->changed);
	loop_timer_free(a->local_timer);
	loop_timer_free(a->store_timer);
	loop_timer_free(a->minute_timer);
	loop_timer_free(a->baseline_timer);
	loop_timer_free(a->resync_timer);
	loop_timer_free(a->stop_timer);
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

int
agent_run(struct options *options, int argc, char **argv, struct err *err)
{
	struct agent a = { .options = options, .argc = argc, .argv = argv, .identity.lock = -1 };
	struct now now;
	int rc;

	log_level_set(options->level);
	rc = agent_build(&a, err);
	if (rc == 0) {
		agent_tell_start(&a);
		agent_tell_unused(options);
		now = loop_now();
		if (a.docker == NULL)
			agent_baseline_end(&a, now);
		else
			loop_timer_arm(a.baseline_timer, now.mono + AGENT_BASELINE_MAX);
		agent_changed(&a, now);
		log_info("agent", "ready node=" STR_FMT, STR_ARG(options->node_name));
		if (event_base_dispatch(a.base) < 0)
			rc = err_set(err, ERR_IO, "the event loop failed");
	}
	agent_free(&a);
	if (rc == 0)
		log_info("agent", "stopped");
	return rc;
}
