/* agent/cmd/cmd_registrator.c -- muster registrator: in registrator's place, with its options,
 * beside somebody else's Consul agent.
 *
 * In order: the flags, the backend's URI, the address of this host, the loop, the command line.
 * Source: the run and backend references of gliderlabs/registrator 7; tests/registrator.
 */
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "agent/cmd/registrar_io.h"
#include "agent/loop.h"
#include "base/addr.h"
#include "base/mem.h"
#include "watcher/docker_io.h"
#include "watcher/template.h"

#define ROOM "registrator"
#define TEXTS_MAX (1024 * 1024)
#define DRAIN (60 * NSEC_SEC) /* what it decides is not told to the backend */
#define SIGNALS 3

struct registrator_flags {
	const char *deregister, *ip, *resync, *retry_attempts, *retry_interval, *tags, *ttl,
	    *ttl_refresh, *label;
	bool cleanup, explicit, internal;
};

static const struct registrator_flags registrator_initial = {
	.deregister = "always",
	.resync = "0",
	.retry_attempts = "0",
	.retry_interval = "2000",
	.ttl = "0",
	.ttl_refresh = "0",
};

static const struct flag registrator_flags[] = {
	{ "cleanup", NULL, offsetof(struct registrator_flags, cleanup),
	    "Deregister services whose ids begin with the name of this host and that no container "
	    "offers any more: at the start and with every -resync." },
	{ "deregister", "WHEN", offsetof(struct registrator_flags, deregister),
	    "always, or on-success: a container that failed stays registered until it is removed. "
	    "Default: always." },
	{ "explicit", NULL, offsetof(struct registrator_flags, explicit),
	    "Register only containers that have a SERVICE_NAME." },
	{ "internal", NULL, offsetof(struct registrator_flags, internal),
	    "Register the container's own address and port, published or not." },
	{ "ip", "ADDRESS", offsetof(struct registrator_flags, ip),
	    "Address to register for published ports; that of this host's name unless given." },
	{ "resync", "SECONDS", offsetof(struct registrator_flags, resync),
	    "Register everything again this often; 0: never. What the backend has lost is found "
	    "within 10 seconds without it. Default: 0." },
	{ "retry-attempts", "N", offsetof(struct registrator_flags, retry_attempts),
	    "How often to try again at the start when no backend answers, before it ends with "
	    "status 1; -1: for ever. Later it always goes on trying. Default: 0." },
	{ "retry-interval", "MILLISECONDS", offsetof(struct registrator_flags, retry_interval),
	    "The wait between these attempts. Default: 2000." },
	{ "tags", "TAGS", offsetof(struct registrator_flags, tags),
	    "Tags for every service, between commas; may hold registrator's templates." },
	{ "ttl", "SECONDS", offsetof(struct registrator_flags, ttl),
	    "Accepted, together with -ttl-refresh: these backends have no such thing, and "
	    "registrator sends nothing either." },
	{ "ttl-refresh", "SECONDS", offsetof(struct registrator_flags, ttl_refresh),
	    "Accepted; less than -ttl." },
	{ "useIpFromLabel", "LABEL", offsetof(struct registrator_flags, label),
	    "Register the address that this label of the container holds." },
	{ 0 },
};

/* ---- the backend ---- */

struct backend {
	bool keys;
	struct str prefix;
	struct str address; /* as -http-addr; empty: CONSUL_HTTP_ADDR, or the usual one */
};

/* Memory from arena. */
static int
backend_read(struct str uri, struct arena *arena, struct backend *out, struct err *err)
{
	struct str rest = uri, scheme = str_cut(&rest, ':'), host;
	struct backend b = { .keys = str_starts(scheme, STR("consulkv")) };

	if (!str_starts(rest, STR("//")))
		return err_set(err, ERR_INPUT, "bad adapter uri: " STR_FMT, STR_ARG(uri));
	rest = str_skip(rest, 2);
	host = str_head(rest, str_find(rest, '/'));
	if (str_eq(scheme, STR("consul"))) {
		b.address = host;
	} else if (str_eq(scheme, STR("consul-tls"))) {
		b.address = arena_fmt(arena, "https://" STR_FMT, STR_ARG(host));
	} else if (str_eq(scheme, STR("consul-unix"))) {
		b.address = arena_fmt(arena, "unix://" STR_FMT, STR_ARG(rest));
	} else if (str_eq(scheme, STR("consulkv"))) {
		b.address = host;
		b.prefix = str_skip(rest, host.n);
	} else if (str_eq(scheme, STR("consulkv-unix"))) {
		host = str_head(rest, str_find(rest, ':'));
		b.address = arena_fmt(arena, "unix://" STR_FMT, STR_ARG(host));
		b.prefix = str_skip(rest, host.n < rest.n ? host.n + 1 : host.n);
	} else {
		return err_set(err, ERR_INPUT,
		    "unrecognized adapter: " STR_FMT
		    " (consul://, consul-tls://, consul-unix://, consulkv:// or consulkv-unix://)",
		    STR_ARG(uri));
	}
	while (b.prefix.n > 0 && b.prefix.p[0] == '/')
		b.prefix = str_skip(b.prefix, 1);
	while (b.prefix.n > 0 && b.prefix.p[b.prefix.n - 1] == '/')
		b.prefix.n--;
	*out = b;
	return 0;
}

static int
backend_open(const struct backend *b, struct http_client **out, struct err *err)
{
	char *address = str_dup(b->address);
	struct client_flags flags = {
		.http_addr = address, /* "": as if it were not given */
		.client_cert = getenv("CONSUL_TLSCERT"),
		.client_key = getenv("CONSUL_TLSKEY"),
	};
	int rc = http_client_new(&flags, out, err);

	free(address);
	return rc;
}

/* ---- this host ---- */

/* The address of its name, IPv4 before IPv6; empty: it has none. */
static struct str
host_ip(const char *name, struct arena *arena)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
	struct addr best = { 0 }, a;
	char text[ADDR_TEXT_MAX];

	if (getaddrinfo(name, NULL, &hints, &all) != 0)
		return STR_NONE;
	for (struct addrinfo *i = all; i != NULL; i = i->ai_next)
		if (addr_from_sockaddr(i->ai_addr, &a) &&
		    (best.family == ADDR_NONE || (best.family == ADDR_V6 && a.family == ADDR_V4)))
			best = a;
	freeaddrinfo(all);
	return best.family == ADDR_NONE ? STR_NONE
					: arena_dup(arena, str_of(addr_format_ip(&best, text)));
}

/* ---- the loop ---- */

struct registrator {
	const struct registrator_flags *flags;
	struct arena arena;
	struct event_base *base;
	struct event *signals[SIGNALS];
	struct loop_timer *resync_timer;
	nsec resync; /* 0: never */
	struct docker *docker;
	struct docker_io *docker_io;
	struct registrar *registrar;
	struct http_client *client;
	struct registrar_io *registrar_io;
	bool failed;
};

static void
registrator_news(void *arg)
{
	struct registrator *r = arg;
	struct docker_news news;

	while (docker_news_next(r->docker, &news)) {
		if (news.kind == DOCKER_NEWS_SYNCED) {
			struct docker_stats stats = docker_stats(r->docker);

			log_info(ROOM, "in step with the engine containers=%zu services=%zu",
			    stats.containers, stats.services);
		} else if (news.kind == DOCKER_NEWS_AWAY) {
			log_warn(ROOM, "engine away, what is registered stays: " STR_FMT,
			    STR_ARG(news.text));
		} else if (news.kind == DOCKER_NEWS_WARN) {
			log_warn(ROOM, STR_FMT, STR_ARG(news.text));
		}
		registrar_news(r->registrar, loop_now().mono, &news);
	}
	registrar_io_kick(r->registrar_io);
}

static void
registrator_given_up(void *arg)
{
	struct registrator *r = arg;

	r->failed = true;
	event_base_loopbreak(r->base);
}

static void
registrator_resync(void *arg)
{
	struct registrator *r = arg;
	struct now now = loop_now();

	docker_resync(r->docker, now);
	registrar_resync(r->registrar, now.mono);
	docker_io_kick(r->docker_io);
	registrar_io_kick(r->registrar_io);
	if (r->resync > 0)
		loop_timer_arm(r->resync_timer, now.mono + r->resync);
}

static void
registrator_signal(evutil_socket_t number, short what, void *arg)
{
	struct registrator *r = arg;

	(void)what;
	if (number == SIGHUP) {
		registrator_resync(r);
		return;
	}
	log_info(ROOM, "stopping, what is registered stays signal=%d", (int)number);
	event_base_loopbreak(r->base);
}

static int
registrator_signals(struct registrator *r, struct err *err)
{
	static const int numbers[SIGNALS] = { SIGTERM, SIGINT, SIGHUP };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < SIGNALS; i++) {
		r->signals[i] = evsignal_new(r->base, numbers[i], registrator_signal, r);
		if (r->signals[i] == NULL || event_add(r->signals[i], NULL) < 0)
			return err_errno(err, "cannot watch for signal %d", numbers[i]);
	}
	return 0;
}

static struct docker_config
registrator_docker_config(struct registrator *r, struct str host)
{
	const struct registrator_flags *f = r->flags;
	bool forced = f->ip != NULL && f->ip[0] != '\0';
	struct str ip = forced ? str_of(f->ip) : host_ip(host.p, &r->arena);

	if (ip.n == 0)
		log_warn(ROOM,
		    "the name of this host has no address, ports are registered with "
		    "the agent's (-ip says another) host=" STR_FMT,
		    STR_ARG(host));
	return (struct docker_config){
		.rules = {
			.host = host,
			.ip = ip,
			.ip_forced = forced,
			.internal = f->internal,
			.explicit_only = f->explicit,
			.tags = str_of(f->tags),
			.ip_from_label = str_of(f->label),
		},
		.deregister = strcmp(f->deregister, "on-success") == 0
		    ? DOCKER_DEREGISTER_ON_SUCCESS
		    : DOCKER_DEREGISTER_ALWAYS,
		.drain = DRAIN,
	};
}

static int
registrator_open(struct registrator *r, const struct backend *backend,
    struct registrar_config *config, struct err *err)
{
	struct docker_config docker = registrator_docker_config(r, config->host);
	struct docker_endpoint endpoint = { .tls = false };
	struct registrar_io_config io = {
		.keys = backend->keys,
		.token = getenv("CONSUL_HTTP_TOKEN"),
		.given_up = registrator_given_up,
		.arg = r,
	};
	struct now now = loop_now();
	int rc;

	r->base = loop_base_new(err);
	if (r->base == NULL)
		return err->code;
	rc = registrator_signals(r, err);
	if (rc < 0)
		return rc;
	r->registrar = registrar_new(config, now.mono);
	io.base = r->base;
	io.registrar = r->registrar;
	io.client = r->client;
	r->registrar_io = registrar_io_new(&io);
	r->docker = docker_new(&docker, now);
	docker_endpoint_find(STR("auto"), &r->arena, &endpoint);
	rc = docker_io_new(r->base, r->docker, &endpoint, registrator_news, r, &r->docker_io, err);
	if (rc < 0)
		return rc;
	r->resync_timer = loop_timer_new(r->base, registrator_resync, r);
	if (r->resync > 0)
		loop_timer_arm(r->resync_timer, now.mono + r->resync);
	return 0;
}

static void
registrator_close(struct registrator *r)
{
	docker_io_free(r->docker_io);
	docker_free(r->docker);
	registrar_io_free(r->registrar_io);
	registrar_free(r->registrar);
	http_client_free(r->client);
	loop_timer_free(r->resync_timer);
	for (size_t i = 0; i < SIGNALS; i++)
		if (r->signals[i] != NULL)
			event_free(r->signals[i]);
	if (r->base != NULL)
		event_base_free(r->base);
	arena_done(&r->arena);
}

/* ---- the command line ---- */

/* A whole number from least on; -1 only where that is -1. */
static int
number_read(const char *name, const char *text, int least, int *out, struct err *err)
{
	struct str s = str_of(text);
	bool minus = s.n > 0 && s.p[0] == '-';
	uint64_t n = 0;

	if (!str_u64(minus ? str_skip(s, 1) : s, INT32_MAX, &n) ||
	    (minus ? -(int)n : (int)n) < least)
		return err_set(err, ERR_INPUT, "-%s is a number from %d on", name, least);
	*out = minus ? -(int)n : (int)n;
	return 0;
}

static int
flags_check(
    const struct registrator_flags *f, struct registrar_config *c, nsec *resync, struct err *err)
{
	int ttl = 0, refresh = 0, interval = 0, seconds = 0;
	int rc;

	if ((rc = number_read("retry-attempts", f->retry_attempts, -1, &c->retry_attempts, err)) <
		0 ||
	    (rc = number_read("retry-interval", f->retry_interval, 1, &interval, err)) < 0 ||
	    (rc = number_read("resync", f->resync, 0, &seconds, err)) < 0 ||
	    (rc = number_read("ttl", f->ttl, 0, &ttl, err)) < 0 ||
	    (rc = number_read("ttl-refresh", f->ttl_refresh, 0, &refresh, err)) < 0)
		return rc;
	if ((ttl == 0) != (refresh == 0))
		return err_set(err, ERR_INPUT,
		    "-ttl and -ttl-refresh must be specified together or not at all");
	if (ttl > 0 && ttl <= refresh)
		return err_set(err, ERR_INPUT, "-ttl must be greater than -ttl-refresh");
	if (strcmp(f->deregister, "always") != 0 && strcmp(f->deregister, "on-success") != 0)
		return err_set(err, ERR_INPUT, "-deregister must be \"always\" or \"on-success\"");
	if (f->tags != NULL && template_check(str_of(f->tags), err) < 0)
		return err_wrap(err, "-tags");
	c->cleanup = f->cleanup;
	c->retry_interval = interval * NSEC_MS;
	*resync = seconds * NSEC_SEC;
	return 0;
}

static int
registrator_run(const struct call *call)
{
	struct registrator r = { .flags = call->flags };
	struct registrar_config config = { .keys = false };
	struct backend backend = { .keys = false };
	struct err err = { 0 };
	char host[256] = "";
	int rc;

	arena_init(&r.arena, TEXTS_MAX);
	gethostname(host, sizeof host - 1);
	config.host = str_of(host);
	if (flags_check(r.flags, &config, &r.resync, &err) < 0 ||
	    backend_read(str_of(call->words[0]), &r.arena, &backend, &err) < 0 ||
	    backend_open(&backend, &r.client, &err) < 0) {
		registrator_close(&r);
		return usage_wrong(&registrator_usage, err.text);
	}
	config.keys = backend.keys;
	config.prefix = backend.prefix;
	rc = registrator_open(&r, &backend, &config, &err);
	if (rc == 0) {
		log_info(ROOM, "starting host=%s backend=%s", host, call->words[0]);
		event_base_dispatch(r.base);
	} else {
		fprintf(stderr, "muster registrator: %s\n", err.text);
	}
	registrator_close(&r);
	return rc == 0 && !r.failed ? 0 : 1;
}

const struct usage registrator_usage = {
	.name = "registrator",
	.takes = "[FLAG...] URI",
	.text =
	    "Watches the Docker engine of this host as gliderlabs/registrator does, with its "
	    "options, and registers what runs in somebody else's Consul agent: for moving one "
	    "piece at a time. An agent of muster needs no registrator beside it. The URI is "
	    "consul://HOST:PORT, consul-tls://HOST:PORT, consul-unix:///PATH, or "
	    "consulkv://HOST:PORT/PREFIX and consulkv-unix:///PATH:/PREFIX for keys "
	    "PREFIX/NAME/ID that hold ADDRESS:PORT; without a HOST CONSUL_HTTP_ADDR or "
	    "127.0.0.1:8500. CONSUL_HTTP_TOKEN is sent, CONSUL_CACERT, CONSUL_TLSCERT and "
	    "CONSUL_TLSKEY are for consul-tls; the engine is that of DOCKER_HOST, or the usual "
	    "socket. While the backend or the engine is away what is registered stays, and what "
	    "happens then is caught up with. SIGHUP registers everything again. Exit status: 0 "
	    "after SIGTERM or SIGINT; 1: no backend at the start, or flags that make no sense.",
	.flags = registrator_flags,
	.size = sizeof(struct registrator_flags),
	.initial = &registrator_initial,
	.words_min = 1,
	.words_max = 1,
	.words_wrong = "it takes the URI of one registry",
	.run = registrator_run,
};

int
cmd_registrator(int argc, char **argv)
{
	return usage_run(&registrator_usage, argc, argv);
}
