/* dns/answer_node.c -- nodes by name, addresses in hex, names by address.
 *
 * In order: node meta as text (RFC 1464), nodes, .addr, PTR.
 */
#include "dns/answer_impl.h"

#define META_TEXT_MAX 4096 /* bytes of one TXT record; what is longer is cut */

/* `key` or value with a backquote before what needs one (RFC 1464 2). */
static void
rfc1464_put(struct writer *w, struct str text, bool key)
{
	size_t first = 0, last = text.n;

	while (key && first < text.n && text.p[first] == ' ')
		first++;
	while (key && last > first && text.p[last - 1] == ' ')
		last--;
	for (size_t i = 0; i < text.n; i++) {
		bool blank_at_end = key && (i < first || i >= last);

		if (text.p[i] == '`' || (key && text.p[i] == '=') || blank_at_end)
			wr_u8(w, '`');
		wr_u8(w, (uint8_t)text.p[i]);
	}
}

/* "key=value", but the bare value under keys that begin with "rfc1035-". */
static struct str
meta_text(const struct pair *meta, uint8_t room[META_TEXT_MAX])
{
	static const struct str bare = { "rfc1035-", 8 };
	struct writer w = wr_of(room, META_TEXT_MAX);

	if (meta->key.n >= bare.n && str_eq_nocase(str_head(meta->key, bare.n), bare))
		return meta->value;
	rfc1464_put(&w, meta->key, true);
	wr_u8(&w, '=');
	rfc1464_put(&w, meta->value, false);
	return wr_done(&w);
}

void
answer_meta_beside(
    struct answering *a, const struct name *owner, const struct node_info *node, uint32_t ttl)
{
	uint8_t room[META_TEXT_MAX];

	if (a->fit == FIT_ONE || a->r->config->node_meta_asked_only)
		return;
	for (size_t i = 0; i < node->meta_count; i++)
		(void)dns_put_txt(
		    &a->w, DNS_ADDITIONAL, owner, ttl, meta_text(&node->meta[i], room));
}

static void
node_meta(struct answering *a, const struct node_info *node)
{
	uint8_t room[META_TEXT_MAX];

	for (size_t i = 0; i < node->meta_count; i++) {
		struct str text = meta_text(&node->meta[i], room);

		if (!answer_open(a))
			return;
		while (
		    !dns_put_txt(&a->w, DNS_ANSWER, &a->q->name, a->r->config->node_ttl, text))
			if (!answer_make_room(a))
				return;
	}
}

static void
node_place(struct answering *a, const struct node_info *node)
{
	struct str text = node_address(node, a->q->type);
	uint32_t ttl = a->r->config->node_ttl;
	struct name host;
	struct addr ip;

	if (addr_parse_ip(text, &ip)) {
		if (!type_takes(a->q->type, &ip))
			return;
		while (!dns_put_ip(&a->w, DNS_ANSWER, &a->q->name, ttl, &ip))
			if (!answer_make_room(a))
				return;
		return;
	}
	if (text.n == 0 || !name_from_text(text, &host))
		return;
	while (!dns_put_name(&a->w, DNS_ANSWER, &a->q->name, RR_CNAME, ttl, &host))
		if (!answer_make_room(a))
			return;
	answer_inside(a, DNS_ANSWER, &host, a->q->type, ttl);
}

/* Other types are empty, whether the node is there or not, and empty answers about nodes carry no
 * SOA: both as recorded. The number of records is not limited here, only their size. */
void
answer_node(struct answering *a, const struct ask *ask)
{
	uint16_t type = a->q->type;
	const struct catalog_node *node;

	a->r->facts.keeps = true;
	a->r->facts.slot = marks_slot(MARKS_NODE, ask->node);
	if (type != RR_A && type != RR_AAAA && type != RR_TXT && type != RR_ANY)
		return;
	node = catalog_node_find_nocase(a->r->catalog, ask->node);
	if (node == NULL) {
		answer_nxdomain(a);
		return;
	}
	a->count_max = 0;
	if (type != RR_TXT)
		node_place(a, &node->info);
	if (type == RR_TXT || type == RR_ANY)
		node_meta(a, &node->info);
	else
		answer_meta_beside(a, &a->q->name, &node->info, a->r->config->node_ttl);
}

static int
hex_digit(char c)
{
	c = chr_lower(c);
	if (chr_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
hex_address(struct str hex, struct addr *out)
{
	struct addr ip = { .family = ADDR_NONE };

	if (hex.n / 2 == 4)
		ip.family = ADDR_V4;
	else if (hex.n / 2 == 16)
		ip.family = ADDR_V6;
	else
		return 0;
	if (hex.n % 2 != 0)
		return -1;
	for (size_t i = 0; i < hex.n; i++) {
		int digit = hex_digit(hex.p[i]);

		if (digit < 0)
			return -1;
		ip.bytes[i / 2] = (uint8_t)(ip.bytes[i / 2] << 4 | digit);
	}
	*out = ip;
	return 1;
}

struct str
address_hex(const struct addr *ip, char room[32])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = ip->family == ADDR_V6 ? 16 : 4;

	for (size_t i = 0; i < n; i++) {
		room[2 * i] = digits[ip->bytes[i] >> 4];
		room[2 * i + 1] = digits[ip->bytes[i] & 15];
	}
	return str_mem(room, 2 * n);
}

/* The type does not matter, and the owner comes back in lower case: both as recorded. */
void
answer_addr(struct answering *a, const struct ask *ask)
{
	struct name owner = a->q->name;
	struct addr ip;

	a->r->facts.keeps = true;
	switch (hex_address(ask->hex, &ip)) {
	case 0:
		return;
	case -1:
		answer_nxdomain(a);
		return;
	default:
		break;
	}
	name_lower(&owner);
	while (!dns_put_ip(&a->w, DNS_ANSWER, &owner, a->r->config->node_ttl, &ip))
		if (!answer_make_room(a))
			return;
}

/* "1.2.0.192.in-addr.arpa", "5.0.0.….2.ip6.arpa": whole addresses only, each part in its usual
 * spelling. */
static bool
reverse_address(const struct dns_responder *r, const struct name *name, struct addr *out)
{
	struct addr ip = { .family = ADDR_NONE };
	struct str labels[NAME_LABELS_MAX];
	size_t count = name_labels(name, labels);

	if (count == 4 + 2 && name_ends(name, &r->in_addr)) {
		ip.family = ADDR_V4;
		for (size_t i = 0; i < 4; i++) {
			uint64_t v;

			if ((labels[i].n > 1 && labels[i].p[0] == '0') ||
			    !str_u64(labels[i], 255, &v))
				return false;
			ip.bytes[3 - i] = (uint8_t)v;
		}
	} else if (count == 32 + 2 && name_ends(name, &r->ip6)) {
		ip.family = ADDR_V6;
		for (size_t i = 0; i < 32; i++) {
			int digit = labels[i].n == 1 ? hex_digit(labels[i].p[0]) : -1;

			if (digit < 0)
				return false;
			ip.bytes[15 - i / 2] |= (uint8_t)(i % 2 == 0 ? digit : digit << 4);
		}
	} else {
		return false;
	}
	*out = ip;
	return true;
}

/* The name that an address leads back to: the node's, else the service's. */
static bool
reverse_name(const struct dns_responder *r, struct str address, struct name *out)
{
	const struct catalog_node *node = catalog_node_by_address(r->catalog, address);
	const struct catalog_service *service;

	if (node != NULL && name_under(node->info.name, &r->of_nodes, out))
		return true;
	service = catalog_service_by_address(r->catalog, address);
	return service != NULL && name_under(service->info.name, &r->of_services, out);
}

bool
answer_ptr(struct answering *a)
{
	char text[ADDR_TEXT_MAX];
	struct name target;
	struct addr ip;

	if (!reverse_address(a->r, &a->q->name, &ip) ||
	    !reverse_name(a->r, str_of(addr_format_ip(&ip, text)), &target))
		return false;
	while (!dns_put_name(&a->w, DNS_ANSWER, &a->q->name, RR_PTR, 0, &target))
		if (!answer_make_room(a))
			break;
	if (a->q->type == RR_SOA)
		answer_soa(a, DNS_AUTHORITY);
	return true;
}
