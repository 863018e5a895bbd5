/* watcher/network_pick.c -- one network out of several.
 *
 * In order: does an entry of a list mean a network; the choice by lists; the choice by rank. The
 * networks come sorted by name, so the first of the best rank is the first by name.
 */
#include "watcher/network_pick.h"

#include "base/cidr.h"

enum network_rank { RANK_BRIDGE, RANK_STARTED_IN, RANK_OTHER, RANK_INGRESS, RANK_NONE };

static bool
network_has_address(const struct container_network *n)
{
	return n->ip.n > 0 || n->ip6.n > 0;
}

bool
network_is(const struct container_network *n, struct str mode)
{
	return mode.n > 0 && (str_eq(n->name, mode) || str_eq(n->id, mode));
}

static bool
network_in(const struct cidr *subnet, struct str ip)
{
	struct addr addr;

	return addr_parse_ip(ip, &addr) && cidr_has(subnet, &addr);
}

/* "backend", its id, or "10.1.0.0/16" */
static bool
network_entry_means(struct str entry, const struct container_network *n)
{
	struct cidr subnet;

	if (cidr_parse(entry, &subnet))
		return network_in(&subnet, n->ip) || network_in(&subnet, n->ip6);
	return network_is(n, entry);
}

/* The network that the list's first fitting entry means; NULL: it names none. */
static const struct container_network *
network_by_list(const struct container *c, struct str list)
{
	while (list.n > 0) {
		struct str entry = str_trim(str_cut(&list, ','));

		for (size_t i = 0; i < c->network_count; i++)
			if (network_has_address(&c->networks[i]) &&
			    network_entry_means(entry, &c->networks[i]))
				return &c->networks[i];
	}
	return NULL;
}

bool
network_named(const struct container *c, struct str list)
{
	return network_by_list(c, list) != NULL;
}

static enum network_rank
network_rank_of(const struct container_network *n, struct str mode)
{
	if (!network_has_address(n))
		return RANK_NONE;
	if (str_eq(n->name, STR("bridge")))
		return RANK_BRIDGE;
	if (network_is(n, mode))
		return RANK_STARTED_IN;
	return str_eq(n->name, STR("ingress")) ? RANK_INGRESS : RANK_OTHER;
}

static struct network_pick
network_by_rank(const struct container *c)
{
	struct network_pick p = { .named = false };
	enum network_rank best = RANK_NONE;
	size_t candidates = 0;

	for (size_t i = 0; i < c->network_count; i++) {
		enum network_rank rank = network_rank_of(&c->networks[i], c->network_mode);

		candidates += rank < RANK_INGRESS;
		if (rank >= best)
			continue;
		best = rank;
		p.network = c->networks[i];
	}
	if (candidates > 1)
		p.others = candidates - 1;
	if (best == RANK_NONE) /* perhaps an old engine, which lists no networks */
		p.network =
		    (struct container_network){ .name = STR("bridge"), .ip = c->ip, .ip6 = c->ip6 };
	return p;
}

struct network_pick
network_pick(const struct container *c, struct str label_list, struct str option_list)
{
	const struct container_network *named = network_by_list(c, label_list);

	if (named == NULL)
		named = network_by_list(c, option_list);
	if (named == NULL)
		return network_by_rank(c);
	return (struct network_pick){ .network = *named, .named = true };
}

int
network_list_check(struct str list, struct err *err)
{
	struct cidr subnet;

	while (list.n > 0) {
		struct str entry = str_trim(str_cut(&list, ','));

		if (entry.n == 0)
			return err_set(err, ERR_INPUT, "an entry of the list is empty");
		if (str_find(entry, '/') < entry.n && !cidr_parse(entry, &subnet))
			return err_set(err, ERR_INPUT,
			    "\"" STR_FMT
			    "\" is not a network's name or a subnet such as 10.1.0.0/16",
			    STR_ARG(entry));
	}
	return 0;
}
