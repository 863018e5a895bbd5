/* dns/answer_servers.c -- the name servers of the domain: NS records and their addresses.
 *
 * They are the healthy instances of the service "consul", as many as DNS_NAMESERVERS_MAX from
 * a random one on; where there are none, this agent's own node.
 */
#include "dns/answer_impl.h"

/* Only plain names can be written as a host's (RFC 1123 2.1). */
static bool
is_host_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = chr_lower(name.p[i]);

		if (!chr_digit(c) && !(c >= 'a' && c <= 'z') && c != '-')
			return false;
	}
	return name.n > 0;
}

static void
nameserver_add(const struct dns_responder *r, struct nameservers *ns, struct str name,
    const struct node_info *node)
{
	struct nameserver *server = &ns->of[ns->count];

	if (!is_host_name(name) || !name_under(name, &r->of_nodes, &server->name))
		return;
	name_lower(&server->name);
	for (size_t i = 0; i < ns->count; i++)
		if (name_eq(&ns->of[i].name, &server->name))
			return;
	server->ip.family = ADDR_NONE;
	if (node != NULL)
		(void)addr_parse_ip(node_address(node, RR_ANY), &server->ip);
	ns->count++;
}

static bool
server_serves(const struct catalog_service *s, bool only_passing)
{
	return s->health <= (only_passing ? CHECK_PASSING : CHECK_WARNING);
}

void
nameservers_fill(struct dns_responder *r, struct nameservers *ns)
{
	const struct catalog_name *servers = catalog_name_find(r->catalog, STR("consul"));
	const struct catalog_service *s = NULL;
	const struct catalog_node *self;
	size_t skip;

	ns->count = 0;
	if (servers != NULL && servers->count > 0) {
		skip = rng_below(&r->rng, (uint32_t)servers->count);
		for (size_t i = 0; i < skip + servers->count && ns->count < DNS_NAMESERVERS_MAX;
		     i++) {
			s = catalog_instance_next(servers, s); /* NULL: once around */
			if (s == NULL)
				s = catalog_instance_next(servers, NULL);
			if (i >= skip && server_serves(s, r->config->only_passing))
				nameserver_add(r, ns, s->node->info.name, &s->node->info);
		}
	}
	if (ns->count > 0)
		return;
	self = catalog_node_find(r->catalog, r->config->node);
	nameserver_add(r, ns, r->config->node, self == NULL ? NULL : &self->info);
}

void
answer_ns(struct answering *a, const struct nameservers *ns, enum dns_section section)
{
	for (size_t i = 0; i < ns->count; i++)
		(void)dns_put_name(
		    &a->w, section, &a->r->domain, RR_NS, a->r->config->node_ttl, &ns->of[i].name);
}

void
answer_glue(struct answering *a, const struct nameservers *ns)
{
	for (size_t i = 0; i < ns->count; i++)
		if (ns->of[i].ip.family != ADDR_NONE)
			(void)dns_put_ip(&a->w, DNS_ADDITIONAL, &ns->of[i].name,
			    a->r->config->node_ttl, &ns->of[i].ip);
}
