/* dns/answer_service.c -- the instances of a service as A, AAAA and SRV records.
 *
 * In order: TTLs, addresses, SRV records, the dispatch. Addresses begin at a random instance. SRV
 * records keep the catalog's order when all of them fit, so that a client sees a change only
 * when there is one; an answer that is cut begins at a random instance, so that all of them
 * have their turn. Picks that are ordered already stay so in either case.
 */
#include "dns/answer_impl.h"

/* A name in the configuration stands for itself, or, ending in '*', for a prefix. The longest
 * prefix counts, a full name before all. */
uint32_t
service_ttl(const struct dns_config *c, struct str name)
{
	size_t best = 0;
	uint32_t ttl = 0;

	for (size_t i = 0; i < c->service_ttl_count; i++) {
		struct str row = c->service_ttl[i].name;

		if (row.n == 0)
			continue;
		if (row.p[row.n - 1] != '*') {
			if (str_eq_nocase(row, name))
				return c->service_ttl[i].ttl;
			continue;
		}
		row.n--;
		if (row.n <= name.n && str_eq_nocase(row, str_head(name, row.n)) &&
		    row.n + 1 > best) {
			best = row.n + 1;
			ttl = c->service_ttl[i].ttl;
		}
	}
	return ttl;
}

/* Addresses, from a random one on; the number written. */
static size_t
answer_ips(struct answering *a, const struct picks *set, size_t start, uint32_t ttl)
{
	unsigned limit = a->r->config->a_record_limit;
	size_t written = 0;

	for (size_t i = 0; i < set->count; i++) {
		const struct pick *pick = &set->items[(start + i) % set->count];

		if (pick->ip.family == ADDR_NONE)
			continue;
		if ((limit > 0 && written == limit) || !answer_open(a))
			break;
		while (!dns_put_ip(&a->w, DNS_ANSWER, &a->q->name, ttl, &pick->ip))
			if (!answer_make_room(a))
				return written;
		written++;
	}
	return written;
}

/* No instance has an address: one that has a host name instead. */
static bool
answer_host(struct answering *a, const struct picks *set, size_t start, uint32_t ttl)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct pick *pick = &set->items[(start + i) % set->count];
		struct name host;

		if (pick->ip.family != ADDR_NONE || !name_from_text(pick->host, &host))
			continue;
		while (!dns_put_name(&a->w, DNS_ANSWER, &a->q->name, RR_CNAME, ttl, &host))
			if (!answer_make_room(a))
				return true;
		answer_inside(a, DNS_ANSWER, &host, a->q->type, ttl);
		return true;
	}
	return false;
}

static void
answer_addresses(struct answering *a, const struct picks *set, uint32_t ttl, bool ordered)
{
	size_t start = ordered ? 0 : rng_below(&a->r->rng, (uint32_t)set->count);

	a->r->facts.turns = true;
	if (answer_ips(a, set, start, ttl) == 0 && !answer_host(a, set, start, ttl))
		answer_nodata(a);
}

/* Where an SRV record points: a host name as it stands, the node's name, or, for an address of
 * the instance's own and for a node whose name cannot stand in DNS, the address in hex. */
static bool
srv_target(const struct dns_responder *r, const struct pick *pick, struct name *out)
{
	char hex[32];

	if (pick->ip.family == ADDR_NONE)
		return name_from_text(pick->host, out);
	if (!pick->own && name_under(pick->of->node->info.name, &r->of_nodes, out))
		return true;
	return name_under(address_hex(&pick->ip, hex), &r->of_addresses, out);
}

/* By the worst check, as it stands in the answer: passing or warning. */
static uint16_t
srv_weight(const struct catalog_service *s)
{
	int32_t weight =
	    s->health == CHECK_PASSING ? s->info.weight_passing : s->info.weight_warning;

	return weight < 0 ? 0 : weight > UINT16_MAX ? UINT16_MAX : (uint16_t)weight;
}

static void
srv_records(struct answering *a, struct picks *set, size_t start, uint32_t ttl)
{
	for (size_t i = 0; i < set->count; i++) {
		struct pick *pick = &set->items[(start + i) % set->count];
		struct name target;

		if (!srv_target(a->r, pick, &target))
			continue;
		if (!answer_open(a))
			return;
		while (!dns_put_srv(&a->w, DNS_ANSWER, &a->q->name, ttl, DNS_SRV_PRIORITY,
		    srv_weight(pick->of), (uint16_t)pick->of->info.port, &target))
			if (!answer_make_room(a))
				return;
		pick->written = true;
		pick->target_at = a->w.target_at;
	}
}

/* One additional record; false when the message is full. */
static bool
srv_additional(struct answering *a, const struct pick *pick, uint32_t ttl)
{
	struct name target;

	if (pick->target_at != 0)
		return dns_put_ip_at(&a->w, DNS_ADDITIONAL, pick->target_at, ttl, &pick->ip);
	return srv_target(a->r, pick, &target) &&
	       dns_put_ip(&a->w, DNS_ADDITIONAL, &target, ttl, &pick->ip);
}

/* The addresses of the targets, in the order of the answers, as many as fit. A target that two
 * records share has its address twice, as recorded. */
static void
srv_additionals(struct answering *a, const struct picks *set, size_t start, uint32_t ttl)
{
	unsigned inside = 0;
	struct name host;

	if (a->fit == FIT_ONE)
		return;
	for (size_t i = 0; i < set->count; i++) {
		const struct pick *pick = &set->items[(start + i) % set->count];

		if (!pick->written)
			continue;
		if (pick->ip.family != ADDR_NONE) {
			if (!srv_additional(a, pick, ttl))
				return;
		} else if (inside < DNS_INSIDE_MAX && name_from_text(pick->host, &host)) {
			inside++;
			answer_inside(a, DNS_ADDITIONAL, &host, RR_SRV, ttl);
		}
	}
}

/* The meta of the nodes, behind the addresses, which so have the room; once for instances of one
 * node that follow each other. An instance with an address of its own is on a node, too. */
static void
srv_metas(struct answering *a, const struct picks *set, size_t start, uint32_t ttl)
{
	const struct catalog_node *before = NULL;

	for (size_t i = 0; i < set->count; i++) {
		const struct pick *pick = &set->items[(start + i) % set->count];
		const struct node_info *node = &pick->of->node->info;
		struct name owner;

		if (!pick->written || pick->of->node == before)
			continue;
		before = pick->of->node;
		if (node->meta_count > 0 && name_under(node->name, &a->r->of_nodes, &owner))
			answer_meta_beside(a, &owner, node, ttl);
	}
}

/* Where an answer begins that is cut. */
static size_t
srv_begin(struct dns_responder *r, size_t count)
{
	if (r->begin < count && count <= ANSWER_TURNS_MAX)
		return r->begin;
	return rng_below(&r->rng, (uint32_t)count);
}

static void
answer_srv(struct answering *a, struct picks *set, uint32_t ttl, bool ordered)
{
	struct dns_mark before = dns_mark(&a->w);
	size_t cap = a->w.w.cap;
	size_t start = 0;

	srv_records(a, set, start, ttl);
	if (a->cut && !ordered) {
		dns_rewind(&a->w, before);
		a->w.w.cap = cap;
		a->fit = FIT_WITH_OPT;
		a->cut = false;
		for (size_t i = 0; i < set->count; i++)
			set->items[i].written = false;
		start = srv_begin(a->r, set->count);
		a->r->facts.cut_from = set->count;
		srv_records(a, set, start, ttl);
	}
	if (a->w.counts[DNS_ANSWER] == 0) {
		answer_nodata(a);
		return;
	}
	srv_additionals(a, set, start, ttl);
	srv_metas(a, set, start, ttl);
}

void
answer_picks(struct answering *a, struct picks *set, uint32_t ttl, bool ordered)
{
	if (set->count == 0)
		answer_nodata(a);
	else if (a->q->type == RR_SRV)
		answer_srv(a, set, ttl, ordered);
	else
		answer_addresses(a, set, ttl, ordered);
}

void
answer_service(struct answering *a, const struct ask *ask)
{
	struct picks *set = &a->r->picks;
	bool srv = a->q->type == RR_SRV;
	uint32_t ttl = service_ttl(a->r->config, ask->service);
	bool known;

	a->r->facts.keeps = true;
	a->r->facts.slot = marks_slot(MARKS_SERVICE, ask->service);
	picks_fill(set, a->r, ask, a->q->type, srv ? PICK_TARGETS : PICK_ADDRESSES, &known);
	if (known)
		answer_picks(a, set, ttl, false);
	else
		answer_nxdomain(a);
}
