/* dns/answer.c -- a packet in, an answer out.
 *
 * In order: the responder, the domain's own records (SOA, NS), the zones (domain, alternative
 * domain, arpa), the frame around every answer (header, OPT, limits).
 *
 * Limits. Plain UDP, and EDNS up to 512 bytes, takes a few records of a service; every answer
 * ends below its size limit by a little slack; a cut answer carries no OPT, and TC only when the
 * configuration wants it. All this is as recorded. Where the recorded peer takes an
 * address away together with each SRV record, here answers come first: additional records are
 * what is left out until the answers fit.
 */
#include "dns/answer_impl.h"

#include "base/mem.h"

/* A configured domain, "." and "" counting as none. */
static struct name
domain_name(struct str text, struct str none)
{
	struct name name;

	if (text.n > 0 && name_from_text(text, &name) && name.n > 1)
		return name;
	if (none.n > 0)
		(void)name_from_text(none, &name);
	else
		name.n = 0;
	return name;
}

/* "LABEL.DC.DOMAIN" */
static struct name
domain_of(const struct dns_responder *r, struct str label)
{
	struct name with_dc, name;

	if (!name_under(r->config->datacenter, &r->domain, &with_dc))
		with_dc = r->domain;
	if (!name_under(label, &with_dc, &name))
		name = with_dc;
	return name;
}

struct dns_responder *
dns_responder_new(const struct dns_config *config, const struct catalog *catalog, uint64_t seed)
{
	struct dns_responder *r = mem_new(struct dns_responder);

	r->config = config;
	r->catalog = catalog;
	r->ready = true;
	r->begin = ANSWER_ANYWHERE;
	rng_init(&r->rng, seed);
	r->domain = domain_name(config->domain, STR("consul"));
	name_lower(&r->domain);
	r->alt_domain = domain_name(config->alt_domain, STR_NONE);
	(void)name_from_text(STR("arpa"), &r->arpa);
	(void)name_from_text(STR("in-addr.arpa"), &r->in_addr);
	(void)name_from_text(STR("ip6.arpa"), &r->ip6);
	if (!name_under(STR("ns"), &r->domain, &r->mname))
		r->mname = r->domain;
	if (!name_under(STR("hostmaster"), &r->domain, &r->rname))
		r->rname = r->domain;
	r->of_nodes = domain_of(r, STR("node"));
	r->of_services = domain_of(r, STR("service"));
	r->of_addresses = domain_of(r, STR("addr"));
	return r;
}

void
dns_responder_free(struct dns_responder *r)
{
	if (r == NULL)
		return;
	picks_done(&r->picks);
	picks_done(&r->inner);
	free(r);
}

void
dns_responder_ready(struct dns_responder *r, bool ready)
{
	if (r->ready != ready)
		marks_move(&catalog_marks(r->catalog)->all);
	r->ready = ready;
}

void
dns_responder_reloaded(struct dns_responder *r)
{
	marks_move(&catalog_marks(r->catalog)->all);
}

const struct marks *
dns_responder_marks(const struct dns_responder *r)
{
	return catalog_marks(r->catalog);
}

void
dns_responder_queries(struct dns_responder *r, dns_query_run *run, void *arg)
{
	r->query = run;
	r->query_arg = arg;
}

const struct dns_stats *
dns_responder_stats(const struct dns_responder *r)
{
	return &r->stats;
}

bool
answer_open(struct answering *a)
{
	if ((a->count_max > 0 && a->w.counts[DNS_ANSWER] >= a->count_max) ||
	    (a->fit == FIT_ONE && a->w.counts[DNS_ANSWER] > 0))
		a->cut = true;
	return !a->cut;
}

/* Sets where writing ends. Never before what is written: the writer relies on that. */
static void
room_set(struct answering *a, size_t cap)
{
	a->w.w.cap = cap > a->w.w.pos ? cap : a->w.w.pos;
}

bool
answer_make_room(struct answering *a)
{
	if (a->fit == FIT_WITH_OPT) {
		a->fit = FIT_WITHOUT_OPT;
		room_set(a, a->soft);
		return true;
	}
	if (a->fit == FIT_WITHOUT_OPT && a->w.counts[DNS_ANSWER] == 0) {
		a->fit = FIT_ONE;
		room_set(a, a->room);
		return true;
	}
	a->cut = true;
	return false;
}

void
answer_soa(struct answering *a, enum dns_section section)
{
	const struct dns_config *c = a->r->config;
	const uint32_t numbers[5] = { a->serial, c->soa_refresh, c->soa_retry, c->soa_expire,
		c->soa_min_ttl };

	if (dns_put_soa(
		&a->w, section, &a->r->domain, c->soa_min_ttl, &a->r->mname, &a->r->rname, numbers))
		a->r->facts.serial_at = a->w.w.pos - sizeof numbers;
}

void
answer_nodata(struct answering *a)
{
	answer_soa(a, DNS_AUTHORITY);
}

void
answer_nxdomain(struct answering *a)
{
	a->w.rcode = DNS_NXDOMAIN;
	answer_soa(a, DNS_AUTHORITY);
}

/* SOA and NS are those of the domain, whatever name below it was asked. */
static void
answer_domain_soa(struct answering *a)
{
	struct nameservers ns;

	nameservers_fill(a->r, &ns);
	answer_soa(a, DNS_ANSWER);
	answer_ns(a, &ns, DNS_AUTHORITY);
	answer_glue(a, &ns);
}

static void
answer_domain_ns(struct answering *a)
{
	struct nameservers ns;

	nameservers_fill(a->r, &ns);
	answer_ns(a, &ns, DNS_ANSWER);
	answer_glue(a, &ns);
}

static void
answer_asked(struct answering *a)
{
	struct ask ask;

	(void)ask_read(a->r, &a->q->name, a->q->type == RR_SRV, &ask);
	switch (ask.kind) {
	case ASK_SERVICE:
		answer_service(a, &ask);
		break;
	case ASK_NODE:
		answer_node(a, &ask);
		break;
	case ASK_ADDR:
		answer_addr(a, &ask);
		break;
	case ASK_QUERY:
		answer_query(a, &ask);
		break;
	case ASK_NONE:
		a->r->facts.keeps = true;
		if (name_eq(&a->q->name, &a->r->domain) || name_eq(&a->q->name, &a->r->alt_domain))
			answer_nodata(a); /* it exists: it has SOA and NS */
		else
			answer_nxdomain(a);
		break;
	}
}

static void
answer_domain(struct answering *a)
{
	if (!a->r->ready) {
		a->w.flags &= (uint16_t)~DNS_FLAG_AA;
		a->w.rcode = DNS_SERVFAIL;
		return;
	}
	switch (a->q->type) {
	case RR_SOA:
		answer_domain_soa(a);
		break;
	case RR_NS:
		answer_domain_ns(a);
		break;
	case RR_AXFR:
		a->w.rcode = DNS_NOTIMP;
		break;
	default:
		answer_asked(a);
		break;
	}
}

/* Without recursors an unknown reverse name is SERVFAIL with RA, as recorded: resolvers then ask
 * elsewhere. */
static void
answer_arpa(struct answering *a)
{
	if (a->r->ready && answer_ptr(a))
		return;
	if (a->r->config->recursors && forward_takes(a->q)) {
		a->r->wants = WANTS_ANSWER;
		return;
	}
	a->w.flags = (uint16_t)((a->w.flags & ~DNS_FLAG_AA) | DNS_FLAG_RA);
	a->w.rcode = DNS_SERVFAIL;
}

/* A name of others is asked for where somebody can be asked. */
static void
answer_other(struct answering *a)
{
	if (a->r->config->recursors && forward_takes(a->q))
		a->r->wants = WANTS_ANSWER;
	else
		a->w.rcode = DNS_REFUSED;
}

enum zone { ZONE_NONE, ZONE_DOMAIN, ZONE_ARPA };

/* The longest suffix decides, as the domain itself may lie below arpa. */
static enum zone
zone_of(const struct dns_responder *r, const struct name *name)
{
	enum zone zone = ZONE_NONE;
	size_t best = 0;

	if (name_ends(name, &r->arpa)) {
		zone = ZONE_ARPA;
		best = r->arpa.n;
	}
	if (r->domain.n > best && name_ends(name, &r->domain)) {
		zone = ZONE_DOMAIN;
		best = r->domain.n;
	}
	if (r->alt_domain.n > best && name_ends(name, &r->alt_domain))
		zone = ZONE_DOMAIN;
	return zone;
}

/* How much may be written: sizes and counts by transport. */
static void
limits_set(struct answering *a, bool tcp, size_t cap)
{
	const struct dns_config *c = a->r->config;
	size_t size = DNS_MESSAGE_MAX;

	a->room = cap < DNS_MESSAGE_MAX ? cap : DNS_MESSAGE_MAX;
	a->soft = a->room;
	if (tcp)
		return;
	size = DNS_UDP_PLAIN_MAX;
	if (a->q->edns && a->q->edns_size > size)
		size = a->q->edns_size;
	else
		a->count_max = c->udp_answer_limit < DNS_UDP_ANSWERS_MAX ? c->udp_answer_limit
									 : DNS_UDP_ANSWERS_MAX;
	if (size - DNS_UDP_SLACK < a->soft)
		a->soft = size - DNS_UDP_SLACK;
}

/* Flags that an answer repeats from its query: RD and CD, for plain queries only, as recorded. */
static uint16_t
flags_for(const struct dns_query *q)
{
	uint16_t flags = (uint16_t)(DNS_FLAG_QR | (q->flags & DNS_OPCODE_MASK));

	if (q->opcode == DNS_OPCODE_QUERY)
		flags |= q->flags & (DNS_FLAG_RD | DNS_FLAG_CD);
	return flags;
}

static size_t
answer_message(struct dns_responder *r, struct now now, const struct dns_query *q, bool tcp,
    void *room, size_t cap)
{
	struct answering a = { .r = r, .q = q, .serial = (uint32_t)(now.wall_ms / 1000) };
	enum zone zone = zone_of(r, &q->name);
	uint8_t subnet_room[DNS_ECS_BYTES];
	struct str subnet = STR_NONE;

	if (q->edns && zone != ZONE_NONE) {
		subnet = dns_query_subnet(q, subnet_room);
		a.opt_bytes = DNS_OPT_BYTES + subnet.n;
	}
	r->facts = (struct answer_facts){ .slot = MARKS };
	limits_set(&a, tcp, cap);
	dns_begin(
	    &a.w, room, a.room, q, flags_for(q), DNS_NOERROR, !r->config->disable_compression);
	if (a.w.w.full) {
		r->stats.dropped++;
		return 0; /* not even the question fits */
	}
	room_set(&a, a.soft > a.opt_bytes ? a.soft - a.opt_bytes : 0);

	if (zone != ZONE_NONE)
		a.w.flags |= (uint16_t)(DNS_FLAG_AA | (r->config->recursors ? DNS_FLAG_RA : 0));
	switch (zone) {
	case ZONE_NONE:
		answer_other(&a);
		break;
	case ZONE_DOMAIN:
		answer_domain(&a);
		break;
	case ZONE_ARPA:
		answer_arpa(&a);
		break;
	}

	if (r->wants != WANTS_NOTHING) {
		r->stats.queries--; /* it will come again */
		return 0;
	}
	if (a.opt_bytes > 0 && a.fit == FIT_WITH_OPT && !a.cut) {
		room_set(&a, a.room);
		(void)dns_put_opt(&a.w, q->edns_size, 0, subnet);
	}
	dns_stats_count(&r->stats, q->type, a.w.rcode, a.cut);
	r->facts.cut = a.cut;
	return dns_end(&a.w, a.cut && r->config->enable_truncate).n;
}

size_t
dns_answer(
    struct dns_responder *r, struct now now, struct str packet, bool tcp, void *room, size_t cap)
{
	struct dns_query q;
	uint16_t flags;

	r->wants = WANTS_NOTHING;
	switch (dns_query_read(packet, &q)) {
	case DNS_READ_OK:
		r->stats.queries++;
		return answer_message(r, now, &q, tcp, room, cap);
	case DNS_READ_BAD: /* the opcode is not repeated here, as recorded */
		r->stats.formerr++;
		flags = (uint16_t)(DNS_FLAG_QR | (q.flags & (DNS_FLAG_RD | DNS_FLAG_CD)));
		return dns_bare_answer(room, cap, q.id, flags, DNS_FORMERR);
	case DNS_READ_OPCODE:
		r->stats.notimp++;
		flags = (uint16_t)(DNS_FLAG_QR |
				   (q.flags & (DNS_OPCODE_MASK | DNS_FLAG_RD | DNS_FLAG_CD)));
		return dns_bare_answer(room, cap, q.id, flags, DNS_NOTIMP);
	case DNS_READ_EMPTY:
		r->stats.refused++;
		return dns_bare_answer(room, cap, q.id, flags_for(&q), DNS_REFUSED);
	case DNS_READ_DROP:
		break;
	}
	r->stats.dropped++;
	return 0;
}

bool
dns_responder_wanted(const struct dns_responder *r, struct dns_wanted *out)
{
	*out = r->wanted;
	out->whole = r->wants == WANTS_ANSWER;
	return r->wants != WANTS_NOTHING;
}

size_t
dns_answer_chased(struct dns_responder *r, struct now now, struct str packet, bool tcp, void *room,
    size_t cap, const struct chased *chased, size_t count, bool more)
{
	size_t n;

	r->chased = chased;
	r->chased_count = count;
	r->wants_no_more = !more;
	n = dns_answer(r, now, packet, tcp, room, cap);
	r->chased = NULL;
	r->chased_count = 0;
	r->wants_no_more = false;
	return n;
}

size_t
dns_answer_slip(struct str packet, void *room, size_t cap)
{
	struct dns_query q;
	struct dns_writer w;

	if (dns_query_read(packet, &q) != DNS_READ_OK)
		return 0;
	dns_begin(&w, room, cap, &q, flags_for(&q), DNS_NOERROR, true);
	return w.w.full ? 0 : dns_end(&w, true).n;
}
