/* agent/options_finish.c -- what follows from the options together, and from the host.
 *
 * In order: checks that concern several options; the node's name; addresses to bind, to advertise
 * and to listen on; TLS; joining and gossip. The rules for addresses are Consul's; with -dev
 * everything is loopback unless it was given.
 */
#include "agent/options.h"

#include <grp.h>
#include <ifaddrs.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/pool/join.h"
#include "agent/tls_io.h"
#include "base/base64.h"
#include "base/uuid.h"
#include "dns/recurse_io.h"

#define DNS_PORT 53

#define LISTEN_MAX 32                    /* addresses in one option */
#define GRACE_MAX (10 * NSEC_MIN)        /* others grant no more */
#define RESPONSE_HEADERS_MAX (16 * 1024) /* bytes, of every answer */
#define GOSSIP_TIME_MIN (10 * NSEC_MS)
#define RECONNECT_MIN (8 * NSEC_HOUR) /* Consul's: shorter, and a long night loses members */

static int
finish_checks(struct options *o, struct err *err)
{
	struct uuid id;

	if (o->dev)
		o->server = o->bootstrap = true;
	/* Consul refuses these without -server, which the images people used said themselves */
	if (o->bootstrap || o->bootstrap_expect > 0)
		o->server = true;
	if (o->bootstrap_expect > 0 && o->bootstrap && !o->dev)
		return err_set(
		    err, ERR_INPUT, "-bootstrap and -bootstrap-expect exclude each other");
	if (o->data_dir.n == 0 && !o->dev)
		return err_set(err, ERR_INPUT,
		    "-data-dir is needed (or -dev, which keeps everything in memory)");
	if (!log_level_parse(o->log_level, &o->level))
		return err_set(err, ERR_INPUT,
		    "-log-level: \"" STR_FMT "\" is not debug, info, warn or error",
		    STR_ARG(o->log_level));
	if (o->node_id.n > 0 && !uuid_parse(o->node_id, &id))
		return err_set(
		    err, ERR_INPUT, "-node-id: \"" STR_FMT "\" is not a UUID", STR_ARG(o->node_id));
	return 0;
}

/* Consul's rule for datacenters, which are labels of domain names. */
static int
finish_names(struct options *o, struct err *err)
{
	bool good = o->datacenter.n > 0 && o->datacenter.n <= 64;
	char *dc = arena_alloc(&o->arena, o->datacenter.n + 1);

	for (size_t i = 0; good && i < o->datacenter.n; i++) {
		char c = chr_lower(o->datacenter.p[i]);

		good = (c >= 'a' && c <= 'z') || chr_digit(c) || c == '-' || c == '_';
		if (good && dc != NULL)
			dc[i] = c;
	}
	if (!good || dc == NULL)
		return err_set(err, ERR_INPUT,
		    "-datacenter: \"" STR_FMT "\" must be letters, digits, dashes and underscores",
		    STR_ARG(o->datacenter));
	o->datacenter = str_mem(dc, o->datacenter.n);
	if (o->domain.n == 0 || str_eq(o->domain, STR(".")))
		return err_set(err, ERR_INPUT, "-domain must not be empty");
	return 0;
}

/* Inside a container whose host name is its own id, as Docker sets it: 12 hex digits, and what
 * is mounted at /etc/hostname comes from the folder of the container with that id. */
static bool
finish_is_container(struct str host)
{
	char line[4096], wanted[64];
	bool found = false;
	FILE *f;

	if (host.n != 12)
		return false;
	for (size_t i = 0; i < host.n; i++)
		if (!chr_digit(host.p[i]) && (host.p[i] < 'a' || host.p[i] > 'f'))
			return false;
	snprintf(wanted, sizeof wanted, "/" STR_FMT, STR_ARG(host));
	f = fopen("/proc/self/mountinfo", "re");
	while (!found && f != NULL && fgets(line, sizeof line, f) != NULL)
		found = strstr(line, wanted) != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

static int
finish_node_name(struct options *o, struct err *err)
{
	char host[256] = "";

	o->node_name = o->node;
	if (o->node.n > 0)
		return 0;
	if (gethostname(host, sizeof host - 1) < 0 || host[0] == '\0')
		return err_set(err, ERR_INPUT, "this host has no name; give one with -node");
	o->node_name = arena_dup(&o->arena, str_of(host));
	o->node_name_is_container = finish_is_container(o->node_name);
	return 0;
}

int
options_advertise_choose(const struct addr *a, size_t count, struct addr *out, struct err *err)
{
	const struct addr *chosen = NULL;
	char names[256] = "", text[ADDR_TEXT_MAX];
	size_t n = 0, found = 0;

	for (size_t i = 0; i < count; i++) {
		if (a[i].family != ADDR_V4 || !addr_is_private(&a[i]))
			continue;
		chosen = &a[i];
		found++;
		if (n < sizeof names)
			n += (size_t)snprintf(names + n, sizeof names - n, "%s%s",
			    n > 0 ? ", " : "", addr_format_ip(&a[i], text));
	}
	if (found == 0)
		return err_set(err, ERR_INPUT,
		    "this host has no private IPv4 address; say which to use with -advertise or "
		    "-bind");
	if (found > 1)
		return err_set(err, ERR_INPUT,
		    "this host has several private IPv4 addresses (%s); say which to use with "
		    "-advertise or -bind",
		    names);
	*out = *chosen;
	return 0;
}

static int
finish_advertise_found(struct options *o, struct err *err)
{
	struct ifaddrs *list = NULL;
	struct addr found[64];
	size_t count = 0;

	if (getifaddrs(&list) < 0)
		return err_errno(err, "cannot list this host's addresses");
	for (struct ifaddrs *i = list; i != NULL && count < 64; i = i->ifa_next)
		if (i->ifa_addr != NULL && addr_from_sockaddr(i->ifa_addr, &found[count]))
			count++;
	freeifaddrs(list);
	return options_advertise_choose(found, count, &o->advertise_addr, err);
}

static int
finish_ip(const char *flag, struct str text, struct addr *out, struct err *err)
{
	if (!addr_parse_ip(text, out))
		return err_set(err, ERR_INPUT, "%s: \"" STR_FMT "\" is not an IP address", flag,
		    STR_ARG(text));
	return 0;
}

static int
finish_addresses(struct options *o, struct err *err)
{
	struct str bind = o->bind.n > 0 ? o->bind : o->dev ? STR("127.0.0.1") : STR("0.0.0.0");
	int rc = finish_ip("-bind", bind, &o->bind_addr, err);

	if (rc == 0 && o->serf_lan.n > 0)
		rc = finish_ip("-serf-lan-bind", o->serf_lan, &o->gossip_bind, err);
	else
		o->gossip_bind = o->bind_addr;
	if (rc < 0)
		return rc;
	if (o->advertise.n > 0)
		rc = finish_ip("-advertise", o->advertise, &o->advertise_addr, err);
	else if (!addr_is_any(&o->bind_addr))
		o->advertise_addr = o->bind_addr;
	else if (!addr_is_any(&o->gossip_bind))
		o->advertise_addr = o->gossip_bind;
	else
		rc = finish_advertise_found(o, err);
	if (rc == 0 && addr_is_any(&o->advertise_addr))
		rc = err_set(err, ERR_INPUT, "-advertise: others cannot reach " STR_FMT,
		    STR_ARG(o->advertise));
	o->bind_addr.port = o->advertise_addr.port = o->gossip_bind.port = (uint16_t)o->serf_port;
	return rc;
}

/* One of the places in -client and addresses.*: an address or a unix socket. */
static int
finish_place(struct options *o, const char *flag, struct str one, int64_t port,
    struct listen_at *out, struct err *err)
{
	if (!str_starts(one, STR("unix://"))) {
		int rc = finish_ip(flag, one, &out->addr, err);

		out->addr.port = (uint16_t)port;
		return rc;
	}
	out->path = str_skip(one, strlen("unix://"));
	if (out->path.n == 0 || out->path.n > LISTEN_PATH_MAX)
		return err_set(err, ERR_INPUT,
		    "%s: the path of \"" STR_FMT "\" must have 1 to %d bytes", flag, STR_ARG(one),
		    LISTEN_PATH_MAX);
	out->path = arena_dup(&o->arena, out->path);
	return out->path.p == NULL ? err_set(err, ERR_LIMIT, "%s: no memory for paths", flag) : 0;
}

/* Places between blanks, added to `list`; a port of -1 gives none. */
static int
finish_listen(struct options *o, const char *flag, struct str text, int64_t port,
    struct listen_at *list, size_t *count, struct err *err)
{
	size_t n = 0;

	for (struct str rest = text; port >= 0 && rest.p != NULL;) {
		struct str one = str_trim(str_cut(&rest, ' '));
		int rc;

		if (one.n == 0)
			continue;
		if (n == LISTEN_MAX)
			return err_set(
			    err, ERR_LIMIT, "%s: more than %d addresses", flag, LISTEN_MAX);
		list[n] = (struct listen_at){ 0 };
		rc = finish_place(o, flag, one, port, &list[n], err);
		if (rc < 0)
			return rc;
		n++;
	}
	if (n == 0 && port >= 0)
		return err_set(err, ERR_INPUT, "%s: no address", flag);
	*count = n;
	return 0;
}

static int
finish_http(struct options *o, struct str client, struct err *err)
{
	bool own = o->http_address.n > 0, own_tls = o->https_address.n > 0;
	size_t n = 0, n_tls = 0;
	int rc;

	o->http_listen = arena_array(&o->arena, struct listen_at, 2 * LISTEN_MAX);
	if (o->http_listen == NULL)
		return err_set(err, ERR_LIMIT, "-client: no memory for addresses");
	rc = finish_listen(o, own ? "addresses.http" : "-client", own ? o->http_address : client,
	    o->http_port, o->http_listen, &n, err);
	/* -client may name a unix socket, which can be one thing only; 0 is off for Consul */
	if (rc == 0 && o->https_port > 0)
		rc = finish_listen(o, own_tls ? "addresses.https" : "-client",
		    own_tls ? o->https_address : client, o->https_port, o->http_listen + n, &n_tls,
		    err);
	if (rc < 0)
		return rc;
	o->http_listen_count = n;
	for (size_t i = n; i < n + n_tls; i++) {
		o->http_listen[i].tls = true;
		if (own_tls || o->http_listen[i].path.n == 0)
			o->http_listen[o->http_listen_count++] = o->http_listen[i];
	}
	return 0;
}

static int
finish_dns_listen(struct options *o, struct str client, struct err *err)
{
	bool own = o->dns_address.n > 0;
	const char *flag = own ? "addresses.dns" : "-client";
	struct listen_at list[LISTEN_MAX];
	size_t n = 0;
	int rc = finish_listen(o, flag, own ? o->dns_address : client, o->dns_port, list, &n, err);

	o->dns_listen = arena_array(&o->arena, struct addr, 2 * LISTEN_MAX);
	if (rc == 0 && o->dns_listen == NULL)
		rc = err_set(err, ERR_LIMIT, "%s: no memory for addresses", flag);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (list[i].path.n > 0)
			rc = err_set(err, ERR_INPUT,
			    "%s: DNS cannot listen on a unix socket; addresses.dns says where else",
			    flag);
		o->dns_listen[i] = list[i].addr;
	}
	o->dns_listen_count = o->dns_listen_must = n;
	if (o->dns_second_port < 0 || o->dns_second_port == o->dns_port)
		return rc;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		o->dns_listen[n + i] = o->dns_listen[i];
		o->dns_listen[n + i].port = (uint16_t)o->dns_second_port;
		o->dns_listen_count++;
	}
	return rc;
}

static int
finish_id_wrong(struct err *err, const char *key, struct str text)
{
	return err_set(
	    err, ERR_INPUT, "%s: \"" STR_FMT "\" is not known on this host", key, STR_ARG(text));
}

/* Who may use the unix sockets: names of this host, or numbers. */
static int
finish_unix_mode(struct options *o, struct err *err)
{
	struct str user = o->unix_sockets.user, group = o->unix_sockets.group,
		   mode = o->unix_sockets.mode;
	struct listen_mode *m = &o->http_unix_mode;
	const struct passwd *pw;
	const struct group *gr;
	uint64_t id;
	char *end;

	*m = (struct listen_mode){ -1, -1, -1 };
	if (str_u64(user, UINT32_MAX - 1, &id))
		m->user = (int64_t)id;
	else if (user.n > 0 && (pw = getpwnam(user.p)) != NULL)
		m->user = (int64_t)pw->pw_uid;
	else if (user.n > 0)
		return finish_id_wrong(err, "unix_sockets.user", user);
	if (str_u64(group, UINT32_MAX - 1, &id))
		m->group = (int64_t)id;
	else if (group.n > 0 && (gr = getgrnam(group.p)) != NULL)
		m->group = (int64_t)gr->gr_gid;
	else if (group.n > 0)
		return finish_id_wrong(err, "unix_sockets.group", group);
	if (mode.n == 0)
		return 0;
	m->mode = (int64_t)strtol(mode.p, &end, 8);
	if (!chr_digit(mode.p[0]) || *end != '\0' || m->mode > 0777)
		return err_set(err, ERR_INPUT,
		    "unix_sockets.mode: \"" STR_FMT "\" is not octal, as \"0660\" is",
		    STR_ARG(mode));
	return 0;
}

/* Letters and the like only: what else is in a header's name would end it. */
static bool
finish_is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = chr_lower(s.p[i]);

		if (!(c >= 'a' && c <= 'z') && !chr_digit(c) &&
		    (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return s.n > 0;
}

static int
finish_headers(const struct options *o, struct err *err)
{
	size_t bytes = 0;

	for (size_t i = 0; i < o->response_header_count; i++) {
		const struct pair *h = &o->response_headers[i];

		bytes += h->key.n + h->value.n + 4;
		for (size_t k = 0; k < h->value.n; k++)
			if ((unsigned char)h->value.p[k] < ' ' && h->value.p[k] != '\t')
				return err_set(err, ERR_INPUT,
				    "http_config.response_headers: \"" STR_FMT
				    "\" has a value of more than one line",
				    STR_ARG(h->key));
		if (!finish_is_token(h->key))
			return err_set(err, ERR_INPUT,
			    "http_config.response_headers: \"" STR_FMT "\" is no name of a header",
			    STR_ARG(h->key));
	}
	if (bytes > RESPONSE_HEADERS_MAX)
		return err_set(err, ERR_LIMIT, "http_config.response_headers: more than %d bytes",
		    RESPONSE_HEADERS_MAX);
	return 0;
}

static int
finish_access(struct options *o, struct err *err)
{
	struct cidr *list = arena_array(&o->arena, struct cidr, o->allow_write_from_count + 1);

	if (list == NULL)
		return err_set(err, ERR_LIMIT, "-allow-write-http-from: too many networks");
	for (size_t i = 0; i < o->allow_write_from_count; i++)
		if (!cidr_parse(o->allow_write_from[i], &list[i]))
			return err_set(err, ERR_INPUT,
			    "-allow-write-http-from: \"" STR_FMT
			    "\" is not a network such as 10.0.0.0/8",
			    STR_ARG(o->allow_write_from[i]));
	o->http_access = (struct http_access){
		.blocked = o->block_endpoints,
		.blocked_count = o->block_endpoint_count,
		.writers = list,
		.writer_count = o->allow_write_from_count,
	};
	return finish_headers(o, err);
}

int
options_recursors(const struct options *o, struct recurse_config *out, struct err *err)
{
	bool random = str_eq(o->dns_recursor_strategy, STR("random"));

	*out = (struct recurse_config){ .random = random, .timeout = o->dns_recursor_timeout };
	if (!random && !str_eq(o->dns_recursor_strategy, STR("sequential")))
		return err_set(err, ERR_INPUT,
		    "dns_config.recursor_strategy: \"" STR_FMT
		    "\" is neither sequential nor random",
		    STR_ARG(o->dns_recursor_strategy));
	if (o->dns_recursor_timeout < NSEC_MS || o->dns_recursor_timeout > NSEC_MIN)
		return err_set(
		    err, ERR_INPUT, "dns_config.recursor_timeout: must be from 1ms to 1m");
	if (o->recursor_count > RECURSORS_MAX)
		return err_set(err, ERR_LIMIT, "recursors: more than %d", RECURSORS_MAX);
	for (size_t i = 0; i < o->recursor_count; i++)
		if (!addr_parse(o->recursors[i], DNS_PORT, &out->recursors[out->count++]))
			return err_set(err, ERR_INPUT,
			    "-recursor: \"" STR_FMT "\" is not an IP address, with or without port",
			    STR_ARG(o->recursors[i]));
	return 0;
}

/* One that is ourselves would ask itself. */
static int
finish_recursors(struct options *o, struct err *err)
{
	struct recurse_config config;
	int rc = options_recursors(o, &config, err);

	for (size_t i = 0; rc == 0 && i < config.count * o->dns_listen_count; i++) {
		const struct addr *to = &config.recursors[i / o->dns_listen_count];
		const struct addr *here = &o->dns_listen[i % o->dns_listen_count];
		bool loopback = addr_is_any(here) && addr_is_loopback(to);

		if (to->port == here->port && (loopback || addr_eq_ip(to, here)))
			rc = err_set(err, ERR_INPUT,
			    "-recursor: " STR_FMT " is this agent's own DNS: it would ask itself",
			    STR_ARG(o->recursors[i / o->dns_listen_count]));
	}
	return rc;
}

static int
finish_client(struct options *o, struct err *err)
{
	struct str client = o->client.n > 0 ? o->client : STR("127.0.0.1");
	int rc = finish_http(o, client, err);

	if (rc == 0)
		rc = finish_dns_listen(o, client, err);
	if (rc == 0)
		rc = finish_recursors(o, err);
	if (rc == 0)
		rc = finish_unix_mode(o, err);
	if (rc == 0)
		rc = finish_access(o, err);
	return rc;
}

/* The files are looked at when the agent starts. */
static int
finish_tls(struct options *o, struct err *err)
{
	int rc = tls_version_check(o->tls_min_version, err);
	bool incoming = o->verify_incoming || o->verify_incoming_https || o->verify_incoming_rpc;
	bool ca = o->ca_file.n > 0 || o->ca_path.n > 0, cert = o->cert_file.n > 0;
	struct str domain = o->domain;

	if (rc == 0)
		rc = tls_ciphers_check(o->tls_cipher_suites, err);
	if (rc == 0 && o->https_port > 0 && (o->cert_file.n == 0 || o->key_file.n == 0))
		rc = err_set(err, ERR_INPUT, "-https-port needs cert_file and key_file");
	if (rc == 0 && (o->cert_file.n == 0) != (o->key_file.n == 0))
		rc = err_set(err, ERR_INPUT, "cert_file and key_file belong together");
	if (rc == 0 && incoming && !ca)
		rc = err_set(err, ERR_INPUT, "verify_incoming needs ca_file or ca_path");
	if (rc == 0 && (o->verify_incoming || o->verify_incoming_rpc) && o->server && !cert)
		rc = err_set(err, ERR_INPUT, "verify_incoming needs cert_file and key_file");
	if (rc == 0 && (o->verify_outgoing || o->verify_server_hostname) && !ca)
		rc = err_set(err, ERR_INPUT, "verify_outgoing needs ca_file or ca_path");
	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	o->tls_server_name = arena_fmt(
	    &o->arena, "server." STR_FMT "." STR_FMT, STR_ARG(o->datacenter), STR_ARG(domain));
	if (rc == 0 && o->tls_server_name.p == NULL)
		rc = err_set(err, ERR_LIMIT, "-domain: no memory");
	if (rc == 0 && o->https_handshake_timeout < NSEC_MS)
		rc =
		    err_set(err, ERR_INPUT, "limits.https_handshake_timeout must be 1ms or longer");
	return rc;
}

/* "10.0.0.1", or one of each family: "10.0.0.1,fd00::1" */
static int
finish_docker_ip(struct options *o, struct err *err)
{
	struct str rest = o->docker_ip, first = str_cut(&rest, ',');
	struct addr ip, other;
	int rc = 0;

	o->docker_ip_forced = o->docker_ip.n > 0;
	if (o->docker_ip_forced)
		rc = finish_ip("-docker-ip", first, &ip, err);
	if (rc == 0 && rest.p != NULL)
		rc = finish_ip("-docker-ip", rest, &other, err);
	if (rc == 0 && rest.p != NULL && ip.family == other.family)
		rc = err_set(err, ERR_INPUT,
		    "-docker-ip: \"" STR_FMT "\": two addresses have to be of two families",
		    STR_ARG(o->docker_ip));
	return rc;
}

static int
finish_docker(struct options *o, struct err *err)
{
	int rc = finish_docker_ip(o, err);

	if (rc < 0)
		return rc;
	if (!str_eq(o->docker_deregister, STR("always")) &&
	    !str_eq(o->docker_deregister, STR("on-success")))
		return err_set(err, ERR_INPUT,
		    "-docker-deregister: \"" STR_FMT "\" is not always or on-success",
		    STR_ARG(o->docker_deregister));
	if (!str_eq(o->docker_compose, STR("off")) && !str_eq(o->docker_compose, STR("tags")) &&
	    !str_eq(o->docker_compose, STR("meta")))
		return err_set(err, ERR_INPUT,
		    "-docker-compose: \"" STR_FMT "\" is not tags, meta or off",
		    STR_ARG(o->docker_compose));
	if ((o->docker_ttl > 0) != (o->docker_ttl_refresh > 0))
		return err_set(
		    err, ERR_INPUT, "-docker-ttl and -docker-ttl-refresh go together, or not at all");
	if (o->docker_ttl > 0 && o->docker_ttl <= o->docker_ttl_refresh)
		return err_set(
		    err, ERR_INPUT, "-docker-ttl must be longer than -docker-ttl-refresh");
	return 0;
}

/* ---- joining and gossip ---- */

static int
finish_targets(
    const struct options *o, const char *flag, const struct str *list, size_t n, struct err *err)
{
	struct join_target target;

	if (n > JOIN_TARGETS_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %d hosts", flag, JOIN_TARGETS_MAX);
	for (size_t i = 0; i < n; i++)
		if (join_target_parse(list[i], (uint16_t)o->serf_port, &target, err) < 0)
			return err_wrap(err, "%s", flag);
	return 0;
}

static int
finish_joining(struct options *o, struct err *err)
{
	int rc = finish_targets(o, "-join", o->start_join, o->start_join_count, err);

	if (rc == 0)
		rc = finish_targets(o, "-retry-join", o->retry_join, o->retry_join_count, err);
	if (rc == 0 && o->retry_interval < NSEC_MS)
		rc = err_set(err, ERR_INPUT, "-retry-interval must be 1ms or longer");
	return rc;
}

/* A key is never shown, a wrong one neither: it may be a right one of somewhere else. */
static int
finish_key(struct options *o, struct err *err)
{
	size_t n;

	if (o->encrypt.n == 0)
		return 0;
	if (!base64_decode(o->encrypt, o->encrypt_key, sizeof o->encrypt_key, &n) ||
	    (n != 16 && n != 24 && n != 32))
		return err_set(err, ERR_INPUT,
		    "-encrypt: the key must be 16, 24 or 32 bytes in base64, as muster keygen "
		    "prints them");
	o->encrypt_key_len = n;
	return 0;
}

static void
finish_profile_count(unsigned *out, int64_t given)
{
	if (given > 0)
		*out = (unsigned)given;
}

static void
finish_profile_time(nsec *out, nsec given)
{
	if (given > 0)
		*out = given;
}

static int
finish_gossip(struct options *o, struct err *err)
{
	struct swim_profile *p = &o->gossip_profile;

	if (str_eq(o->gossip_profile_name, STR("lan")))
		*p = swim_lan;
	else if (str_eq(o->gossip_profile_name, STR("local")))
		*p = swim_local;
	else
		return err_set(err, ERR_INPUT,
		    "-gossip-profile: \"" STR_FMT "\" is not lan or local",
		    STR_ARG(o->gossip_profile_name));
	finish_profile_time(&p->gossip_interval, o->gossip_lan.gossip_interval);
	finish_profile_time(&p->probe_interval, o->gossip_lan.probe_interval);
	finish_profile_time(&p->probe_timeout, o->gossip_lan.probe_timeout);
	finish_profile_count(&p->gossip_nodes, o->gossip_lan.gossip_nodes);
	finish_profile_count(&p->retransmit_mult, o->gossip_lan.retransmit_mult);
	finish_profile_count(&p->suspicion_mult, o->gossip_lan.suspicion_mult);
	if (p->probe_interval < GOSSIP_TIME_MIN || p->probe_timeout < GOSSIP_TIME_MIN ||
	    p->gossip_interval < GOSSIP_TIME_MIN)
		return err_set(err, ERR_INPUT, "gossip_lan: times must be 10ms or longer");
	if (p->probe_timeout > p->probe_interval)
		return err_set(err, ERR_INPUT,
		    "gossip_lan.probe_timeout must not be longer than gossip_lan.probe_interval");
	if (o->reconnect_timeout < RECONNECT_MIN)
		return err_set(err, ERR_INPUT, "reconnect_timeout must be 8h or longer");
	if (o->restart_grace > GRACE_MAX)
		return err_set(err, ERR_INPUT, "-restart-grace must not be longer than 10m");
	return finish_key(o, err);
}

static int
finish_pair_cmp(const void *a, const void *b)
{
	return str_cmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

int
options_finish(struct options *o, struct err *err)
{
	int rc = finish_checks(o, err);

	if (rc == 0)
		rc = finish_names(o, err);
	if (rc == 0)
		rc = finish_node_name(o, err);
	if (rc == 0)
		rc = finish_addresses(o, err);
	if (rc == 0)
		rc = finish_client(o, err);
	if (rc == 0)
		rc = finish_tls(o, err);
	if (rc == 0)
		rc = finish_joining(o, err);
	if (rc == 0)
		rc = finish_gossip(o, err);
	if (rc == 0)
		rc = finish_docker(o, err);
	if (o->node_meta_count > 1) /* keys are unique already */
		qsort(o->node_meta, o->node_meta_count, sizeof o->node_meta[0], finish_pair_cmp);
	return rc;
}
