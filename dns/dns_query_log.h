/* dns/dns_query_log.h -- a line for every answer, when it is wanted. */
#ifndef DNS_DNS_QUERY_LOG_H
#define DNS_DNS_QUERY_LOG_H

#include "base/addr.h"
#include "base/nsec.h"
#include "base/str.h"

/* An answer that leaves now; `over`: "udp" or "tcp". By any thread. */
void dns_query_log(struct str answer, const struct addr *to, const char *over, nsec took);

#endif
