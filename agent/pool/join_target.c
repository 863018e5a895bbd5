/* agent/pool/join_target.c -- one target of a join taken apart: address or name, and port.
 *
 *     10.0.0.1   10.0.0.1:8301   fd00::1   [fd00::1]   [fd00::1]:8301   host   host:8301
 *
 * More than one colon outside brackets is an IPv6 address without a port, as in memberlist.
 */
#include "agent/pool/join.h"

#define HOST_LEN_MAX 253 /* RFC 1035 2.3.4, as text */

static bool
target_is_host(struct str s)
{
	if (s.n == 0 || s.n > HOST_LEN_MAX || s.p[0] == '-' || s.p[0] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = chr_lower(s.p[i]);

		if ((c < 'a' || c > 'z') && !chr_digit(c) && c != '-' && c != '_' && c != '.')
			return false;
	}
	return true;
}

int
join_target_parse(struct str text, uint16_t port_default, struct join_target *out, struct err *err)
{
	struct join_target t = { .host = text, .port = port_default };
	size_t colon = str_find(text, ':');
	uint64_t port;

	if (text.n > JOIN_TARGET_LEN_MAX)
		return err_set(
		    err, ERR_INPUT, "a host to join is longer than %d bytes", JOIN_TARGET_LEN_MAX);
	if (str_find(text, '=') < text.n) /* may hold a secret: not shown */
		return err_set(err, ERR_INPUT,
		    "muster does not ask cloud providers for hosts (provider=...); name hosts or "
		    "addresses");
	if (addr_parse(text, port_default, &t.addr)) {
		if (t.addr.port == 0)
			return err_set(
			    err, ERR_INPUT, "\"" STR_FMT "\" has no usable port", STR_ARG(text));
		t.host = STR_NONE;
		t.port = t.addr.port;
		*out = t;
		return 0;
	}
	if (colon < text.n) {
		if (!str_u64(str_skip(text, colon + 1), 65535, &port) || port == 0)
			return err_set(err, ERR_INPUT,
			    "\"" STR_FMT "\" is not an address or a host name, with or without a "
			    "port (1-65535)",
			    STR_ARG(text));
		t.host = str_head(text, colon);
		t.port = (uint16_t)port;
	}
	if (!target_is_host(t.host))
		return err_set(err, ERR_INPUT,
		    "\"" STR_FMT "\" is not an address or a host name, with or without a port "
		    "(1-65535)",
		    STR_ARG(text));
	*out = t;
	return 0;
}
