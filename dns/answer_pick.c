/* dns/answer_pick.c -- which instances answer, and under which address.
 *
 * In order: addresses by family, one instance to one pick, picks without duplicates. An instance
 * stands under its own address, else its node's; of both an address tagged lan_ipv4 or lan_ipv6
 * serves questions for that family. Critical instances are left out, with only_passing those
 * with warnings too.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"
#include "dns/answer_impl.h"

#define PICKS_LINEAR 16 /* up to this many are compared one by one, above by hash */
#define PICKS_KEEP 4096 /* a larger array is not kept for the next question */

bool
type_takes(uint16_t type, const struct addr *ip)
{
	switch (type) {
	case RR_SRV:
	case RR_ANY:
	case RR_TXT: /* as recorded: TXT of a service gives its addresses */
		return ip->family != ADDR_NONE;
	case RR_A:
		return ip->family == ADDR_V4;
	case RR_AAAA:
		return ip->family == ADDR_V6;
	default:
		return false;
	}
}

/* Of an object's address and its two tagged ones, which a question of this type wants. */
static struct str
address_choose(uint16_t type, struct str address, struct str v4, struct str v6)
{
	if (type != RR_A && v6.n > 0)
		return v6;
	if (type != RR_AAAA && v4.n > 0)
		return v4;
	return address;
}

struct str
node_address(const struct node_info *node, uint16_t type)
{
	struct str v4 = STR_NONE, v6 = STR_NONE;

	for (size_t i = 0; i < node->tagged_count; i++) {
		if (str_eq(node->tagged[i].key, STR("lan_ipv4")))
			v4 = node->tagged[i].value;
		else if (str_eq(node->tagged[i].key, STR("lan_ipv6")))
			v6 = node->tagged[i].value;
	}
	return address_choose(type, node->address, v4, v6);
}

static struct str
service_address(const struct service_info *service, uint16_t type)
{
	struct str v4 = STR_NONE, v6 = STR_NONE;

	for (size_t i = 0; i < service->tagged_count; i++) {
		if (str_eq(service->tagged[i].tag, STR("lan_ipv4")))
			v4 = service->tagged[i].address;
		else if (str_eq(service->tagged[i].tag, STR("lan_ipv6")))
			v6 = service->tagged[i].address;
	}
	return address_choose(type, service->address, v4, v6);
}

bool
host_is_name(struct str text, const struct name *name)
{
	struct name host;

	return name_from_text(text, &host) && name_eq(&host, name);
}

/* Fills in where an instance is; false when nothing of it answers this type. An instance whose
 * address is the very name that was asked stands under its node's. */
static bool
pick_place(struct pick *pick, const struct ask *ask, uint16_t type)
{
	const struct catalog_service *s = pick->of;
	const struct node_info *node = &s->node->info;
	struct str text = service_address(&s->info, type);

	pick->own = text.n > 0;
	if (!pick->own) {
		text = node_address(node, type);
		pick->own = !str_eq(text, node->address);
	}
	if (addr_parse_ip(text, &pick->ip))
		return type_takes(type, &pick->ip);
	if (ask->self != NULL && host_is_name(text, ask->self) &&
	    addr_parse_ip(node_address(node, type), &pick->ip)) {
		pick->own = false;
		return type_takes(type, &pick->ip);
	}
	pick->ip.family = ADDR_NONE;
	pick->host = text;
	return text.n > 0;
}

static bool
instance_has_tag(const struct service_info *service, struct str tag)
{
	for (size_t i = 0; i < service->tag_count; i++)
		if (str_eq_nocase(service->tags[i], tag))
			return true;
	return false;
}

static bool
instance_serves(const struct catalog_service *s, const struct ask *ask, bool only_passing)
{
	if (s->health > (only_passing ? CHECK_PASSING : CHECK_WARNING))
		return false;
	return ask->tag.n == 0 || instance_has_tag(&s->info, ask->tag);
}

static bool
pick_same(const struct pick *a, const struct pick *b, enum pick_by by)
{
	if (by == PICK_TARGETS)
		return a->of->node == b->of->node && a->of->info.port == b->of->info.port &&
		       str_eq(a->of->info.address, b->of->info.address);
	if (a->ip.family != b->ip.family)
		return false;
	if (a->ip.family == ADDR_NONE)
		return str_eq_nocase(a->host, b->host);
	return addr_eq_ip(&a->ip, &b->ip);
}

/* Equal for picks that are the same. */
static uint64_t
pick_hash(const struct pick *pick, enum pick_by by)
{
	if (by == PICK_TARGETS) {
		struct str address = pick->of->info.address;

		return XXH3_64bits_withSeed(address.p == NULL ? "" : address.p, address.n,
		    (uint64_t)(uintptr_t)pick->of->node ^ (uint64_t)pick->of->info.port << 48);
	}
	if (pick->ip.family == ADDR_NONE)
		return pick->host.n; /* host names are few; the comparison ignores case */
	return XXH3_64bits(pick->ip.bytes, pick->ip.family == ADDR_V6 ? 16 : 4);
}

/* Whether an equal pick is there already; else a place for this one, the next, is taken. */
static bool
picks_have(struct picks *set, const struct pick *pick, enum pick_by by)
{
	if (set->slot_count == 0) {
		for (size_t i = 0; i < set->count; i++)
			if (pick_same(&set->items[i], pick, by))
				return true;
		return false;
	}
	size_t at = (size_t)pick_hash(pick, by) & (set->slot_count - 1);

	while (set->slots[at] != 0) {
		if (pick_same(&set->items[set->slots[at] - 1], pick, by))
			return true;
		at = (at + 1) & (set->slot_count - 1);
	}
	set->slots[at] = (uint32_t)set->count + 1;
	return false;
}

/* Empties the set and makes room for as many instances as the name has. */
static void
picks_prepare(struct picks *set, size_t count)
{
	set->count = 0;
	set->slot_count = 0;
	if (set->cap > PICKS_KEEP && count <= PICKS_KEEP)
		picks_done(set);
	if (set->cap < count) {
		free(set->items);
		set->items = mem_alloc(count * sizeof set->items[0]);
		set->cap = count;
	}
	if (count <= PICKS_LINEAR)
		return;
	for (set->slot_count = 2 * PICKS_LINEAR; set->slot_count < 2 * count;)
		set->slot_count *= 2;
	if (set->slot_cap < set->slot_count) {
		free(set->slots);
		set->slots = mem_alloc(set->slot_count * sizeof set->slots[0]);
		set->slot_cap = set->slot_count;
	}
	memset(set->slots, 0, set->slot_count * sizeof set->slots[0]);
}

void
picks_done(struct picks *set)
{
	free(set->items);
	free(set->slots);
	*set = (struct picks){ 0 };
}

void
picks_fill(struct picks *set, const struct dns_responder *r, const struct ask *ask, uint16_t type,
    enum pick_by by, bool *known)
{
	const struct catalog_name *name = catalog_name_find_nocase(r->catalog, ask->service);
	const struct catalog_service *s;

	*known = false;
	set->count = 0;
	if (name == NULL)
		return;
	picks_prepare(set, name->count);
	for (s = catalog_instance_next(name, NULL); s != NULL && set->count < set->cap;
	     s = catalog_instance_next(name, s)) {
		struct pick *pick = &set->items[set->count];

		if (!instance_serves(s, ask, r->config->only_passing))
			continue;
		*known = true;
		*pick = (struct pick){ .of = s };
		if (pick_place(pick, ask, type) && !picks_have(set, pick, by))
			set->count++;
	}
}

void
picks_fill_found(struct picks *set, const struct dns_query_found *found, const struct ask *ask,
    uint16_t type, enum pick_by by)
{
	picks_prepare(set, found->count);
	for (size_t i = 0; i < found->count; i++) {
		struct pick *pick = &set->items[set->count];

		*pick = (struct pick){ .of = found->of[i] };
		if (pick_place(pick, ask, type) && !picks_have(set, pick, by))
			set->count++;
	}
}
