/* base/cidr.c -- see cidr.h. */
#include "base/cidr.h"

#include <string.h>

/* An IPv4 address that came as IPv6. */
static struct addr
unmapped(const struct addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };
	struct addr v4 = { .family = ADDR_V4, .port = a->port };

	if (a->family != ADDR_V6 || memcmp(a->bytes, prefix, sizeof prefix) != 0)
		return *a;
	memcpy(v4.bytes, a->bytes + sizeof prefix, 4);
	return v4;
}

bool
cidr_parse(struct str text, struct cidr *out)
{
	size_t slash = str_find(text, '/');
	struct cidr c;
	uint64_t bits;

	if (slash == text.n || !addr_parse_ip(str_head(text, slash), &c.addr) ||
	    !str_u64(str_skip(text, slash + 1), c.addr.family == ADDR_V4 ? 32 : 128, &bits))
		return false;
	c.bits = (unsigned)bits;
	*out = c;
	return true;
}

bool
cidr_has(const struct cidr *c, const struct addr *given)
{
	struct addr a = unmapped(given);
	unsigned whole = c->bits / 8, rest = c->bits % 8;

	if (a.family != c->addr.family || a.family == ADDR_NONE ||
	    memcmp(a.bytes, c->addr.bytes, whole) != 0)
		return false;
	return rest == 0 || ((a.bytes[whole] ^ c->addr.bytes[whole]) >> (8 - rest)) == 0;
}
