/* dns/answer_inside.c -- host names as addresses.
 *
 * An instance or a node may have "db.service.consul" for its address. Such a name is followed here,
 * at most DNS_CHAIN_MAX steps, so that the asker has the addresses along with the CNAME. A name
 * outside the domain is for recursors: they are asked, and the answer is made again with what they
 * say.
 */
#include "dns/answer_impl.h"

/* Into the answer with all its limits; into the additional section as long as there is room. */
static bool
inside_ip(struct answering *a, enum dns_section section, const struct name *owner, uint32_t ttl,
    const struct addr *ip)
{
	if (section == DNS_ADDITIONAL)
		return dns_put_ip(&a->w, section, owner, ttl, ip);
	if (!answer_open(a))
		return false;
	while (!dns_put_ip(&a->w, section, owner, ttl, ip))
		if (!answer_make_room(a))
			return false;
	return true;
}

static bool
inside_cname(struct answering *a, enum dns_section section, const struct name *owner, uint32_t ttl,
    const struct name *target)
{
	if (section == DNS_ADDITIONAL)
		return dns_put_name(&a->w, section, owner, RR_CNAME, ttl, target);
	if (!answer_open(a))
		return false;
	while (!dns_put_name(&a->w, section, owner, RR_CNAME, ttl, target))
		if (!answer_make_room(a))
			return false;
	return true;
}

/* Each of these writes what stands at `owner`; true: a CNAME, with the name to go on with. */
static bool
inside_text(struct answering *a, enum dns_section section, const struct name *owner, uint16_t type,
    uint32_t ttl, struct str address, struct name *next)
{
	struct addr ip;

	if (addr_parse_ip(address, &ip)) {
		if (type_takes(type, &ip))
			(void)inside_ip(a, section, owner, ttl, &ip);
		return false;
	}
	return address.n > 0 && name_from_text(address, next) &&
	       inside_cname(a, section, owner, ttl, next);
}

static bool
inside_node(struct answering *a, enum dns_section section, const struct name *owner,
    const struct ask *ask, uint16_t type, uint32_t ttl, struct name *next)
{
	const struct catalog_node *node = catalog_node_find_nocase(a->r->catalog, ask->node);

	if (node == NULL)
		return false;
	return inside_text(a, section, owner, type, ttl, node_address(&node->info, type), next);
}

static bool
inside_picks(struct answering *a, enum dns_section section, const struct name *owner,
    const struct picks *set, size_t start, uint16_t type, uint32_t ttl, struct name *next)
{
	const struct pick *host = NULL;
	bool any = false;

	for (size_t i = 0; i < set->count; i++) {
		const struct pick *pick = &set->items[(start + i) % set->count];

		if (pick->ip.family == ADDR_NONE) {
			host = host == NULL ? pick : host;
			continue;
		}
		any = true;
		if (!inside_ip(a, section, owner, ttl, &pick->ip))
			break;
	}
	return !any && host != NULL && inside_text(a, section, owner, type, ttl, host->host, next);
}

static bool
inside_service(struct answering *a, enum dns_section section, const struct name *owner,
    const struct ask *ask, uint16_t type, uint32_t ttl, struct name *next)
{
	struct picks *set = &a->r->inner;
	bool known;

	picks_fill(set, a->r, ask, type, PICK_ADDRESSES, &known);
	return set->count > 0 && inside_picks(a, section, owner, set,
				     rng_below(&a->r->rng, (uint32_t)set->count), type, ttl, next);
}

static bool
inside_query(struct answering *a, enum dns_section section, const struct name *owner,
    const struct ask *ask, uint16_t type, uint32_t ttl, struct name *next)
{
	struct picks *set = &a->r->inner;
	struct dns_query_found found;

	if (a->r->query == NULL ||
	    a->r->query(a->r->query_arg, ask->query, &found) != DNS_QUERY_KNOWN)
		return false;
	picks_fill_found(set, &found, ask, type, PICK_ADDRESSES);
	return inside_picks(a, section, owner, set, 0, type, ttl, next);
}

/* As Consul: of names elsewhere only addresses are of interest, of IPv6 when that is asked. */
static uint16_t
outside_type(uint16_t type)
{
	return type == RR_AAAA ? RR_AAAA : RR_A;
}

static const struct chased *
chased_find(const struct dns_responder *r, const struct name *name, uint16_t type)
{
	for (size_t i = 0; i < r->chased_count; i++)
		if (r->chased[i].type == type && name_eq(&r->chased[i].asked, name))
			return &r->chased[i];
	return NULL;
}

static void
inside_outside(struct answering *a, enum dns_section section, const struct name *name,
    uint16_t type, uint32_t ttl)
{
	struct dns_responder *r = a->r;
	const struct chased *found = chased_find(r, name, outside_type(type));

	if (found == NULL && r->config->recursors && !r->wants_no_more &&
	    r->wants == WANTS_NOTHING) {
		r->wants = WANTS_NAME;
		r->wanted = (struct dns_wanted){ .name = *name, .type = outside_type(type) };
	}
	for (unsigned i = 0; found != NULL && i < found->count; i++) {
		const struct chased_record *rr = &found->of[i];
		bool fits = rr->type == RR_CNAME
				? inside_cname(a, section, &rr->owner, ttl, &rr->target)
				: inside_ip(a, section, &rr->owner, ttl, &rr->ip);

		if (!fits)
			return;
	}
}

static bool
is_inside(const struct dns_responder *r, const struct name *name)
{
	return name_ends(name, &r->domain) ||
	       (r->alt_domain.n > 0 && name_ends(name, &r->alt_domain));
}

static bool
inside_step(struct answering *a, enum dns_section section, const struct name *owner, uint16_t type,
    uint32_t ttl, struct name *next)
{
	struct addr ip;
	struct ask ask;

	(void)ask_read(a->r, owner, false, &ask);
	switch (ask.kind) {
	case ASK_SERVICE:
		return inside_service(a, section, owner, &ask, type, ttl, next);
	case ASK_QUERY:
		return inside_query(a, section, owner, &ask, type, ttl, next);
	case ASK_NODE:
		return inside_node(a, section, owner, &ask, type, ttl, next);
	case ASK_ADDR:
		if (hex_address(ask.hex, &ip) > 0 && type_takes(type, &ip))
			(void)inside_ip(a, section, owner, ttl, &ip);
		return false;
	case ASK_NONE:
		break;
	}
	return false;
}

void
answer_inside(struct answering *a, enum dns_section section, const struct name *name, uint16_t type,
    uint32_t ttl)
{
	struct name at = *name, next;

	a->r->facts.keeps = false;
	for (unsigned step = 0; step < DNS_CHAIN_MAX; step++) {
		if (!is_inside(a->r, &at)) {
			inside_outside(a, section, &at, type, ttl);
			return;
		}
		if (!inside_step(a, section, &at, type, ttl, &next))
			return;
		at = next;
	}
}
