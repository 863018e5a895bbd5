/* base/addr.c -- addresses in and out of text and of socket structures. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

bool
addr_parse_ip(struct str s, struct addr *out)
{
	char z[INET6_ADDRSTRLEN + 1];
	struct addr a = { 0 };

	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		s = str_mem(s.p + 1, s.n - 2);
	if (s.n == 0 || s.n >= sizeof z || str_find(s, '\0') != s.n)
		return false;
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	if (inet_pton(AF_INET, z, a.bytes) == 1)
		a.family = ADDR_V4;
	else if (inet_pton(AF_INET6, z, a.bytes) == 1)
		a.family = ADDR_V6;
	else
		return false;
	*out = a;
	return true;
}

bool
addr_parse(struct str s, uint16_t port_default, struct addr *out)
{
	size_t colon = str_find_last(s, ':');
	uint64_t port = port_default;
	struct addr a;
	bool bracket = s.n > 0 && s.p[0] == '[';
	bool one_colon = colon < s.n && str_find(s, ':') == colon;

	if (colon < s.n && (one_colon || (bracket && s.p[colon - 1] == ']'))) {
		if (!str_u64(str_skip(s, colon + 1), 65535, &port))
			return false;
		s = str_head(s, colon);
	}
	if (!addr_parse_ip(s, &a))
		return false;
	a.port = (uint16_t)port;
	*out = a;
	return true;
}

char *
addr_format_ip(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	out[0] = '\0';
	if (a->family != ADDR_NONE)
		inet_ntop(a->family == ADDR_V4 ? AF_INET : AF_INET6, a->bytes, out, ADDR_TEXT_MAX);
	return out;
}

char *
addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	char ip[ADDR_TEXT_MAX];

	addr_format_ip(a, ip);
	snprintf(out, ADDR_TEXT_MAX, a->family == ADDR_V6 ? "[%.46s]:%u" : "%.46s:%u", ip, a->port);
	return out;
}

bool
addr_eq_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->scope == b->scope &&
	    memcmp(a->bytes, b->bytes, a->family == ADDR_V4 ? 4 : 16) == 0;
}

bool
addr_is_any(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->bytes, zero, a->family == ADDR_V4 ? 4 : 16) == 0;
}

bool
addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == ADDR_V4)
		return a->bytes[0] == 127;
	return a->family == ADDR_V6 && memcmp(a->bytes, one, 16) == 0;
}

bool
addr_is_private(const struct addr *a)
{
	const uint8_t *b = a->bytes;

	if (a->family == ADDR_V6)
		return (b[0] & 0xfe) == 0xfc;
	if (a->family != ADDR_V4)
		return false;
	return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
	    (b[0] == 100 && (b[1] & 0xc0) == 64);
}

socklen_t
addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (a->family == ADDR_V6) {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
			.sin6_port = htons(a->port), .sin6_scope_id = a->scope };

		memcpy(&in6.sin6_addr, a->bytes, 16);
		memcpy(out, &in6, sizeof in6);
		return sizeof in6;
	} else {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };

		memcpy(&in.sin_addr, a->bytes, 4);
		memcpy(out, &in, sizeof in);
		return sizeof in;
	}
}

bool
addr_from_sockaddr(const struct sockaddr *sa, struct addr *out)
{
	struct addr a = { 0 };

	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof in);
		a.family = ADDR_V4;
		a.port = ntohs(in.sin_port);
		memcpy(a.bytes, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof in6);
		a.family = ADDR_V6;
		a.port = ntohs(in6.sin6_port);
		a.scope = in6.sin6_scope_id;
		memcpy(a.bytes, &in6.sin6_addr, 16);
	} else {
		return false;
	}
	*out = a;
	return true;
}
