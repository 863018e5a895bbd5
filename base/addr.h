/* base/addr.h -- an IP address with a port, as a value.
 *
 * IPv4 and IPv6; the port may be 0 where only the address matters. Text forms: "10.0.0.1:53",
 * "[fd00::1]:53", and without a port "10.0.0.1", "fd00::1".
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"

enum addr_family { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

struct addr {
	enum addr_family family;
	uint16_t port;    /* host order */
	uint32_t scope;   /* interface of a link-local IPv6 address, else 0 */
	uint8_t bytes[16]; /* network order; the first 4 for IPv4 */
};

#define ADDR_TEXT_MAX 64 /* bytes for any text form, with its NUL */

/* An address without port: "10.0.0.1", "fd00::1", "[fd00::1]". Names are refused. */
bool addr_parse_ip(struct str, struct addr *out);

/* "ADDRESS:PORT" or "[ADDRESS]:PORT"; without a port `port_default` is taken. */
bool addr_parse(struct str, uint16_t port_default, struct addr *out);

char *addr_format_ip(const struct addr *, char out[ADDR_TEXT_MAX]); /* without port; returns out */
char *addr_format(const struct addr *, char out[ADDR_TEXT_MAX]);    /* with port; returns out */

bool addr_eq_ip(const struct addr *, const struct addr *); /* the port does not count */
bool addr_is_any(const struct addr *);      /* 0.0.0.0, :: */
bool addr_is_loopback(const struct addr *); /* 127.0.0.0/8, ::1 */
bool addr_is_private(const struct addr *);  /* RFC 1918, RFC 6598, fc00::/7 */

/* Between this and the socket calls. addr_from_sockaddr() is false for other families. */
socklen_t addr_to_sockaddr(const struct addr *, struct sockaddr_storage *out);
bool addr_from_sockaddr(const struct sockaddr *, struct addr *out);

#endif
