/* dns/dns_query_log.c -- what was asked stands in the answer. */
#include "dns/dns_query_log.h"

#include "base/log.h"
#include "dns/message.h"

static const char *
rcode_text(unsigned rcode)
{
	static const char *const names[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
		"REFUSED" };

	return rcode < sizeof names / sizeof names[0] ? names[rcode] : "other";
}

void
dns_query_log(struct str answer, const struct addr *to, const char *over, nsec took)
{
	char name_text[NAME_TEXT_MAX] = "", type_room[16], from[ADDR_TEXT_MAX];
	struct reader r = rd_of(answer);
	uint16_t flags, questions, answers, type = 0;
	struct name name;

	(void)rd_be16(&r);
	flags = rd_be16(&r);
	questions = rd_be16(&r);
	answers = rd_be16(&r);
	(void)rd_be32(&r);
	if (questions == 1 && name_read(&r, answer, &name)) {
		(void)name_to_text(&name, name_text);
		type = rd_be16(&r);
	}
	log_info("dns",
	    "answered name=%s type=%s from=%s over=%s code=%s answers=%u cut=%d bytes=%zu us=%lld",
	    name_text, rrtype_text(type, type_room), addr_format(to, from), over,
	    rcode_text(flags & 0xf), answers, (flags & DNS_FLAG_TC) != 0, answer.n,
	    (long long)(took / NSEC_US));
}
