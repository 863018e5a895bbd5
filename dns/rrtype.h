/* dns/rrtype.h -- the record types that we speak, in one table. */
#ifndef DNS_RRTYPE_H
#define DNS_RRTYPE_H

#include <stdint.h>

#include "base/str.h"

enum rrtype {
	RR_A = 1, RR_NS = 2, RR_CNAME = 5, RR_SOA = 6, RR_PTR = 12, RR_TXT = 16, RR_AAAA = 28,
	RR_SRV = 33, RR_OPT = 41, RR_AXFR = 252, RR_ANY = 255,
};

#define DNS_CLASS_IN 1

/* "A", "SRV" … and "TYPE123" for others (RFC 3597). Static or in `room` (16 bytes). */
const char *rrtype_text(uint16_t type, char room[16]);

#endif
