/* agent/agent_node.c -- what this node says of itself: its record, the service "consul" of servers,
 * and how DNS is to answer.
 */
#include "agent/agent_priv.h"

#include <stdlib.h>

#include "base/mem.h"

/* A node's name is one node's in the catalog: where another agent was there first with ours, our
 * node goes by what the pool calls us, NAME~ID, so that the services of both are found. */
static struct str
agent_node_name(const struct agent *a)
{
	return a->pool != NULL ? pool_wire_name(a->pool) : a->options->node_name;
}

int
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
		.name = agent_node_name(a),
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
int
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

/* The responder reads its config at each answer, so a new one is simply written over the old;
 * what does not reload stays the same. */
void
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
		.recursors = o->recursor_count > 0,
		.node_meta_asked_only = !o->dns_node_meta_txt,
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

/* The same for the listeners. */
void
agent_dns_io_configure(struct agent *a)
{
	struct recurse_config config;

	if (a->dns == NULL)
		return;
	if (options_recursors(a->options, &config, NULL) == 0) /* as options_finish() has seen */
		dns_io_recursors(a->dns, &config);
	dns_io_logs(a->dns, a->options->dns_query_log);
}
