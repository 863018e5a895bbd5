/* agent/options_finish.c -- what follows from the options together, and from the host.
 *
 * In order: checks that concern several options; the node's name; addresses to bind, to advertise
 * and to listen on; joining and gossip. The rules for addresses are Consul's; with -dev everything is loopback unless
 * it was given.
 */
#include "agent/options.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/join.h"
#include "base/base64.h"
#include "base/uuid.h"

#define LISTEN_MAX 32 /* addresses in one option */
#define GRACE_MAX (10 * NSEC_MIN)     /* others grant no more */
#define GOSSIP_TIME_MIN (10 * NSEC_MS)
#define RECONNECT_MIN (8 * NSEC_HOUR) /* Consul's: shorter, and a long night loses members */

static int
finish_checks(struct options *o, struct err *err)
{
	struct uuid id;

	if (o->dev)
		o->server = o->bootstrap = true;
	if (o->bootstrap && !o->server)
		return err_set(err, ERR_INPUT, "-bootstrap needs -server");
	if (o->bootstrap_expect > 0 && !o->server)
		return err_set(err, ERR_INPUT, "-bootstrap-expect needs -server");
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
	if (!str_eq(o->docker_deregister, STR("always")) &&
	    !str_eq(o->docker_deregister, STR("on-success")))
		return err_set(err, ERR_INPUT,
		    "-docker-deregister: \"" STR_FMT "\" is not always or on-success",
		    STR_ARG(o->docker_deregister));
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

/* Addresses between blanks, each with this port; a port of -1 gives none. */
static int
finish_listen(struct options *o, const char *flag, struct str text, int64_t port, struct addr **out,
    size_t *count, struct err *err)
{
	struct addr *list = arena_array(&o->arena, struct addr, LISTEN_MAX);
	size_t n = 0;

	if (list == NULL)
		return err_set(err, ERR_LIMIT, "%s: no memory for addresses", flag);
	for (struct str rest = text; port >= 0 && rest.p != NULL;) {
		struct str one = str_trim(str_cut(&rest, ' '));
		int rc;

		if (one.n == 0)
			continue;
		if (n == LISTEN_MAX)
			return err_set(
			    err, ERR_LIMIT, "%s: more than %d addresses", flag, LISTEN_MAX);
		rc = finish_ip(flag, one, &list[n], err);
		if (rc < 0)
			return rc;
		list[n++].port = (uint16_t)port;
	}
	if (n == 0 && port >= 0)
		return err_set(err, ERR_INPUT, "%s: no address", flag);
	*out = list;
	*count = n;
	return 0;
}

static int
finish_client(struct options *o, struct err *err)
{
	struct str client = o->client.n > 0 ? o->client : STR("127.0.0.1");
	bool own_http = o->http_address.n > 0, own_dns = o->dns_address.n > 0;
	int rc =
	    finish_listen(o, "-client", client, 0, &o->client_addrs, &o->client_addr_count, err);

	if (rc == 0)
		rc = finish_listen(o, own_http ? "addresses.http" : "-client",
		    own_http ? o->http_address : client, o->http_port, &o->http_listen,
		    &o->http_listen_count, err);
	if (rc == 0)
		rc = finish_listen(o, own_dns ? "addresses.dns" : "-client",
		    own_dns ? o->dns_address : client, o->dns_port, &o->dns_listen,
		    &o->dns_listen_count, err);
	return rc;
}

static int
finish_docker(struct options *o, struct err *err)
{
	struct addr ip;

	o->docker_ip_forced = o->docker_ip.n > 0;
	return o->docker_ip.n == 0 ? 0 : finish_ip("-docker-ip", o->docker_ip, &ip, err);
}

/* ---- joining and gossip ---- */

static int
finish_targets(
    const struct options *o, const char *flag, const struct str *list, size_t n, struct err *err)
{
	struct join_target target;

	if (n > JOIN_TARGETS_MAX)
		return err_set(
		    err, ERR_LIMIT, "%s: more than %d hosts", flag, JOIN_TARGETS_MAX);
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
		return err_set(err, ERR_INPUT, "-gossip-profile: \"" STR_FMT "\" is not lan or local",
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
		rc = finish_joining(o, err);
	if (rc == 0)
		rc = finish_gossip(o, err);
	if (rc == 0)
		rc = finish_docker(o, err);
	if (o->node_meta_count > 1) /* keys are unique already */
		qsort(o->node_meta, o->node_meta_count, sizeof o->node_meta[0], finish_pair_cmp);
	return rc;
}
