/* dns/rrtype.c -- record types and their names. */
#include "dns/rrtype.h"

#include <stdio.h>

static const struct {
	uint16_t type;
	const char *text;
} rrtypes[] = {
	{ RR_A, "A" },
	{ RR_NS, "NS" },
	{ RR_CNAME, "CNAME" },
	{ RR_SOA, "SOA" },
	{ RR_PTR, "PTR" },
	{ RR_TXT, "TXT" },
	{ RR_AAAA, "AAAA" },
	{ RR_SRV, "SRV" },
	{ RR_OPT, "OPT" },
	{ RR_AXFR, "AXFR" },
	{ RR_ANY, "ANY" },
};

const char *
rrtype_text(uint16_t type, char room[16])
{
	for (size_t i = 0; i < sizeof rrtypes / sizeof rrtypes[0]; i++)
		if (rrtypes[i].type == type)
			return rrtypes[i].text;
	(void)snprintf(room, 16, "TYPE%u", (unsigned)type);
	return room;
}
