/* watcher/rules_address.c -- where a service is reached: address and port, in both families.
 *
 * In order: what labels ask for, which ports count, addresses of a network, of the host, of a
 * label, the choice. The first of these that holds decides the address:
 *   SERVICE_IP                   one address, or one of each family
 *   network_mode container:ID    that of the container whose network is shared
 *   -docker-use-ip-from-label    the label's
 *   internal                     the container's own, in the network that network_pick.h chooses
 *   published, default bridge    the host's, or the one that the port is bound to
 *   published, another network   the container's in that network: registrator's doing; the host's
 *                                with -docker-ip, or where SERVICE_INTERNAL says no
 * The port is the container's where it is internal or the network maps no ports, else the host's.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/addr.h"
#include "watcher/network_pick.h"
#include "watcher/rules_priv.h"

/* What SERVICE_INTERNAL and SERVICE_NETWORK say. */
enum rules_side { SIDE_UNSAID, SIDE_INTERNAL, SIDE_HOST };

static void __attribute__((format(printf, 2, 3))) rules_note(struct rules *r, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (r->note.n > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	r->note = arena_dup(r->arena, str_of(text));
}

static struct str
rules_value(const struct rules *r, const char *name, uint16_t port)
{
	const struct rules_key *k = rules_key_of(r, name, port);

	return k == NULL ? STR_NONE : k->value;
}

/* Go's words for a truth value, and those of people. */
static bool
rules_truth(struct str s, bool *out)
{
	static const char *const yes[] = { "1", "t", "true", "y", "yes", "on" };
	static const char *const no[] = { "0", "f", "false", "n", "no", "off" };

	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
		if (str_eq_nocase(s, str_of(yes[i])) || str_eq_nocase(s, str_of(no[i]))) {
			*out = str_eq_nocase(s, str_of(yes[i]));
			return true;
		}
	}
	return false;
}

static enum rules_side
rules_side_said(struct rules *r, uint16_t port)
{
	struct str said = rules_value(r, "internal", port);
	bool internal;

	if (said.n > 0 && rules_truth(said, &internal))
		return internal ? SIDE_INTERNAL : SIDE_HOST;
	if (said.n > 0)
		rules_note(r, "SERVICE_INTERNAL is neither true nor false, left out value=" STR_FMT,
		    STR_ARG(said));
	/* A network is named for the container's address in it. */
	return rules_value(r, "network", port).n > 0 ? SIDE_INTERNAL : SIDE_UNSAID;
}

static bool
rules_internal(struct rules *r, uint16_t port)
{
	enum rules_side said = rules_side_said(r, port);

	return said == SIDE_UNSAID ? r->config->internal : said == SIDE_INTERNAL;
}

static bool
rules_same_port(const struct container_port *a, const struct container_port *b)
{
	return a->port == b->port && str_eq(a->proto, b->proto);
}

bool
rules_port_counts(struct rules *r, size_t i)
{
	const struct container_port *p = &r->c->ports[i];

	if (i > 0 && rules_same_port(&p[-1], p))
		return false;
	return p->unmapped || p->host_port != 0 || rules_internal(r, p->port);
}

/* Addresses. */

static enum addr_family
rules_family(struct str ip)
{
	struct addr addr;

	return addr_parse_ip(ip, &addr) ? addr.family : ADDR_NONE;
}

static bool
rules_is_all(struct str ip)
{
	return ip.n == 0 || str_eq(ip, STR("0.0.0.0")) || str_eq(ip, STR("::"));
}

static void
rules_at(struct rules_service *s, struct str ip, struct str other, uint16_t port)
{
	s->address = ip;
	s->address_other = other;
	s->port = s->port_other = port;
}

static void
rules_at_network(struct rules_service *s, const struct container_network *n, uint16_t port)
{
	if (n->ip.n > 0)
		rules_at(s, n->ip, n->ip6, port);
	else
		rules_at(s, n->ip6, STR_NONE, port);
}

static void
rules_at_own(struct rules *r, struct rules_service *s, const struct container *c, uint16_t port,
    uint16_t as_port)
{
	struct str label = rules_value(r, "network", port);
	struct network_pick p = network_pick(c, label, r->config->networks);

	if (label.n > 0 && !network_named(c, label))
		rules_note(r,
		    "SERVICE_NETWORK names no network of the container value=" STR_FMT
		    " taken=" STR_FMT,
		    STR_ARG(label), STR_ARG(p.network.name));
	else if (p.others > 0)
		rules_note(r,
		    "container in several networks, SERVICE_NETWORK or -docker-network chooses "
		    "taken=" STR_FMT " others=%zu",
		    STR_ARG(p.network.name), p.others);
	rules_at_network(s, &p.network, as_port);
}

/* Of the bindings that begin at port `i` the first in a family; NULL: there is none. */
static const struct container_port *
rules_binding(const struct container *c, size_t i, enum addr_family family)
{
	for (size_t j = i; j < c->port_count && rules_same_port(&c->ports[i], &c->ports[j]); j++) {
		struct str ip = c->ports[j].host_ip;

		if ((ip.n == 0 ? ADDR_V4 : rules_family(ip)) == family)
			return &c->ports[j];
	}
	return NULL;
}

/* Where port `i` of c is published. Registrator takes the first binding; Docker's order of the
 * two families is not always the same, so that of the host's address goes first here. */
static void
rules_at_host(struct rules *r, struct rules_service *s, const struct container *c, size_t i)
{
	const struct rules_config *config = r->config;
	const struct container_port *b, *other;
	enum addr_family family;

	if (c->ports[i].unmapped) {
		rules_at(s, config->ip, config->ip_other, c->ports[i].port);
		return;
	}
	b = rules_binding(c, i, rules_family(config->ip));
	if (b == NULL)
		b = &c->ports[i];
	s->address = config->ip_forced || rules_is_all(b->host_ip) ? config->ip : b->host_ip;
	s->port = b->host_port;
	family = rules_family(s->address);
	other = rules_binding(c, i, family == ADDR_V6 ? ADDR_V4 : ADDR_V6);
	if (family == ADDR_NONE || other == NULL)
		return;
	s->port_other = other->host_port;
	s->address_other =
	    config->ip_forced || rules_is_all(other->host_ip) ? config->ip_other : other->host_ip;
}

/* SERVICE_IP: "10.0.0.1", "fd00::1", or one of each. */
static bool
rules_ip_said(struct rules *r, uint16_t port, struct str *ip, struct str *other)
{
	struct str list = rules_value(r, "ip", port), rest = list;
	struct str first = str_trim(str_cut(&rest, ',')), second = str_trim(rest);

	if (list.n == 0)
		return false;
	first = str_head(first, str_find(first, '/')); /* "10.9.8.7/24" */
	second = str_head(second, str_find(second, '/'));
	if (rules_family(first) == ADDR_NONE ||
	    (second.n > 0 && (rules_family(second) == ADDR_NONE ||
				 rules_family(second) == rules_family(first)))) {
		rules_note(r,
		    "SERVICE_IP is no address, nor one of each family, left out value=" STR_FMT,
		    STR_ARG(list));
		return false;
	}
	*ip = first;
	*other = second;
	return true;
}

/* Is the host's network its own? */
static bool
rules_mode_host(const struct container *c)
{
	return str_eq(c->network_mode, STR("host"));
}

static bool
rules_mode_bridge(const struct container *c)
{
	return c->network_mode.n == 0 || str_eq(c->network_mode, STR("bridge")) ||
	       str_eq(c->network_mode, STR("default"));
}

/* Published in a network of its own, without a word about it: as registrator has it, the address
 * of the network that it was started in. */
static void
rules_at_started_in(struct rules *r, struct rules_service *s, size_t i)
{
	const struct container_port *p = &r->c->ports[i];
	uint16_t port = p->unmapped ? p->port : p->host_port;

	if (!p->unmapped && p->host_port != p->port)
		rules_note(r,
		    "published port with the address in its network, as registrator has it: "
		    "-docker-ip or SERVICE_INTERNAL decides network=" STR_FMT " port=%u",
		    STR_ARG(r->c->network_mode), port);
	for (size_t n = 0; n < r->c->network_count; n++) {
		if (network_is(&r->c->networks[n], r->c->network_mode)) {
			rules_at_network(s, &r->c->networks[n], port);
			return;
		}
	}
	rules_at_own(r, s, r->c, p->port, port); /* it has left that one */
}

/* In the network of another container, which may have published the port. */
static void
rules_at_peer(struct rules *r, struct rules_service *s, const struct container_port *p)
{
	for (size_t i = 0; rules_side_said(r, p->port) == SIDE_HOST && i < r->peer->port_count;
	     i++) {
		if (rules_same_port(&r->peer->ports[i], p) && r->peer->ports[i].host_port != 0) {
			rules_at_host(r, s, r->peer, i);
			return;
		}
	}
	if (rules_mode_host(r->peer))
		rules_at(s, r->config->ip, r->config->ip_other, p->port);
	else
		rules_at_own(r, s, r->peer, p->port, p->port);
}

void
rules_place(struct rules *r, size_t i, struct rules_service *s)
{
	const struct container_port *p = &r->c->ports[i];
	enum rules_side said = rules_side_said(r, p->port);
	bool internal = rules_internal(r, p->port);
	struct str ip, other, label = STR_NONE;

	if (r->peer != NULL)
		rules_at_peer(r, s, p);
	else if (rules_mode_host(r->c))
		rules_at(s, r->config->ip, r->config->ip_other, p->port);
	else if (internal)
		rules_at_own(r, s, r->c, p->port, p->port);
	else if (r->config->ip_forced || rules_mode_bridge(r->c) ||
		 (said == SIDE_HOST && !p->unmapped))
		rules_at_host(r, s, r->c, i);
	else
		rules_at_started_in(r, s, i);

	if (r->peer == NULL && r->config->ip_from_label.n > 0)
		label = rules_label(r->c, r->config->ip_from_label);
	if (rules_ip_said(r, p->port, &ip, &other))
		rules_at(s, ip, other, s->port);
	else if (label.n > 0)
		rules_at(s, str_head(label, str_find_last(label, '/')), STR_NONE, s->port);
}
