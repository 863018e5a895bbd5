/* tests/unit/dns_room.c -- see dns_room.h. */
#include "tests/unit/dns_room.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "dns/answer_impl.h"
#include "dns/prepare.h"

#define LINES_MAX 5000
#define LINE_MAX_BYTES 4096

const struct now dns_room_now = { .mono = 5 * NSEC_SEC, .wall_ms = 1234567 };

static const struct uuid self = { { 1 } }, cluster = { { 2 } };

static void
must(int rc, const struct err *err)
{
	if (rc < 0) {
		fprintf(stderr, "%s\n", err->text);
		abort();
	}
}

void
dns_room_init(struct dns_room *f)
{
	const struct store_config config = {
		.self = self,
		.cluster = cluster,
		.epoch = { 1, 1 },
		.limits = owner_limits_default,
		.unknown_bytes_max = 1 << 20,
	};
	struct pair meta = { STR("rack"), STR("r1") };
	struct node_info node = { .name = STR("n1"),
		.address = STR("127.0.0.1"),
		.datacenter = STR("dc1"),
		.meta = &meta,
		.meta_count = 1,
		.meta_set = true };
	struct service_info service = { .id = STR("consul"),
		.name = STR("consul"),
		.port = 8300,
		.weight_passing = 1,
		.weight_warning = 1 };
	struct err err;

	memset(f, 0, sizeof *f);
	f->store = store_new(&config, dns_room_now);
	f->config = (struct dns_config){
		.domain = STR("consul"),
		.datacenter = STR("dc1"),
		.node = STR("n1"),
		.udp_answer_limit = 3,
		.soa_refresh = 3600,
		.soa_retry = 600,
		.soa_expire = 86400,
	};
	must(store_put_node(f->store, dns_room_now, &self, &node, &err), &err);
	must(store_put_service(f->store, dns_room_now, &self, &service, &err), &err);
}

void
dns_room_done(struct dns_room *f)
{
	dns_responder_free(f->responder);
	store_free(f->store);
}

void
dns_room_node(struct dns_room *f, const char *name, const char *address)
{
	struct node_info node = { .name = str_of(name), .address = str_of(address) };
	struct err err;

	node.datacenter = STR("dc1");
	must(store_put_node(f->store, dns_room_now, &cluster, &node, &err), &err);
}

void
dns_room_put(struct dns_room *f, const struct service_info *service)
{
	struct err err;

	must(store_put_service(f->store, dns_room_now, &cluster, service, &err), &err);
}

void
dns_room_service(struct dns_room *f, const char *node, const char *id, const char *name,
    const char *address, int port, const char *tags)
{
	struct str list[16], rest = str_of(tags);
	struct service_info service = { .node = str_of(node),
		.id = str_of(id),
		.name = str_of(name),
		.address = str_of(address),
		.port = port,
		.weight_passing = 1,
		.weight_warning = 1,
		.tags = list,
		.tags_set = true };

	while (rest.n > 0)
		list[service.tag_count++] = str_cut(&rest, ' ');
	dns_room_put(f, &service);
}

void
dns_room_check(struct dns_room *f, const char *node, const char *service_id, const char *status)
{
	struct check_info check = { .node = str_of(node),
		.id = STR("check"),
		.name = STR("check"),
		.status = str_of(status),
		.service_id = str_of(service_id) };
	struct err err;

	must(store_put_check(f->store, dns_room_now, &cluster, &check, &err), &err);
}

void
dns_room_many(struct dns_room *f, const char *service, unsigned count)
{
	for (unsigned i = 1; i <= count; i++) {
		char node[16], address[24];

		(void)snprintf(node, sizeof node, "n%04u", i);
		(void)snprintf(address, sizeof address, "10.9.%u.%u", 20 + i / 256, i % 256);
		dns_room_node(f, node, address);
		dns_room_service(f, node, service, service, "", (int)(8000 + i), "");
	}
}

struct str
dns_room_packet(const struct dns_ask *ask, uint8_t room[512])
{
	struct writer w = wr_of(room, 512);
	struct name name;

	if (!name_from_text(str_of(ask->name), &name))
		abort();
	wr_be16(&w, 0x4242);
	wr_be16(&w, DNS_FLAG_RD);
	wr_be16(&w, 1);
	wr_be32(&w, 0);
	wr_be16(&w, ask->edns > 0);
	wr_bytes(&w, str_mem(name.bytes, name.n));
	wr_be16(&w, ask->type);
	wr_be16(&w, DNS_CLASS_IN);
	if (ask->edns > 0) {
		wr_u8(&w, 0);
		wr_be16(&w, RR_OPT);
		wr_be16(&w, ask->edns);
		wr_be32(&w, 0);
		wr_be16(&w, 0);
	}
	return wr_done(&w);
}

/* One way of answering, as text; the responder's luck and counters as they were. */
static const char *
prepared_text(struct dns_room *f, struct prepared *prepared, struct str packet, bool make)
{
	static uint8_t room[DNS_MESSAGE_MAX];
	static char texts[2][sizeof f->text];
	struct rng rng = f->responder->rng;
	struct dns_stats stats = f->responder->stats;
	struct prepared_answer *keep = NULL;
	struct prepared_key key;
	unsigned variant = 0;
	bool cut;
	size_t n = 0;

	if (make) {
		n = dns_prepare(f->responder, dns_room_now, packet, 0, room, sizeof room, &keep);
		if (keep != NULL)
			prepared_add(prepared, keep);
		f->responder->rng = rng;
		f->responder->stats = stats;
	} else if (prepared_key_read(packet, &key)) {
		n = prepared_answer(prepared, &key, packet,
		    (uint32_t)(dns_room_now.wall_ms / 1000), room, sizeof room, &variant, &cut);
	}
	if (n > 0 && (!dns_room_show(str_mem(room, n), texts[make], sizeof texts[0]) ||
			 memcmp(room, packet.p, 2) != 0))
		return "malformed";
	return n == 0 ? "" : texts[make];
}

/* The same to those who do not look at which of many records were chosen. */
static bool
same_text(struct dns_room *f, const char *got)
{
	const struct answer_facts *facts = &f->responder->facts;
	struct str want = str_of(f->text), have = str_of(got);

	if (facts->cut_from > 0 || facts->turns || !facts->keeps)
		return str_eq(str_cut(&want, '\n'), str_cut(&have, '\n')) &&
		       dns_room_count(f->text, "an ") == dns_room_count(got, "an ");
	return str_eq(want, have);
}

/* Whatever is asked in tests: what is kept of it must be what is answered. */
static void
check_prepared(struct dns_room *f, struct str packet)
{
	struct prepared *prepared =
	    prepared_new(dns_responder_marks(f->responder), 7, PREPARED_BYTES_MAX);
	const char *made = prepared_text(f, prepared, packet, true);
	const char *kept = prepared_text(f, prepared, packet, false);

	f->kept = kept[0] != '\0';
	if (!same_text(f, made) || (f->kept && !same_text(f, kept))) {
		fprintf(stderr, "answered:\n%s\nprepared:\n%s\nkept:\n%s\n", f->text, made, kept);
		abort();
	}
	prepared_free(prepared);
}

const char *
dns_room_send(struct dns_room *f, struct str packet, bool tcp)
{
	static uint8_t room[DNS_MESSAGE_MAX];

	if (f->responder == NULL)
		f->responder = dns_responder_new(&f->config, store_catalog(f->store), 42);
	f->size = dns_answer(f->responder, dns_room_now, packet, tcp, room, sizeof room);
	f->text[0] = '\0';
	if (f->size > 0 && !dns_room_show(str_mem(room, f->size), f->text, sizeof f->text))
		(void)snprintf(f->text, sizeof f->text, "malformed\n");
	f->kept = false;
	if (!tcp)
		check_prepared(f, packet);
	return f->text;
}

const char *
dns_room_ask(struct dns_room *f, struct dns_ask ask)
{
	uint8_t room[512];

	return dns_room_send(f, dns_room_packet(&ask, room), ask.tcp);
}

unsigned
dns_room_count(const char *text, const char *head)
{
	struct str rest = str_of(text);
	unsigned count = 0;

	while (rest.p != NULL)
		count += str_starts(str_cut(&rest, '\n'), str_of(head));
	return count;
}

/* Appends; what does not fit is cut. */
static void show(struct str *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
show(struct str *out, const char *fmt, ...)
{
	va_list args;
	char text[LINE_MAX_BYTES];
	size_t n;

	va_start(args, fmt);
	n = (size_t)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (n >= sizeof text)
		n = sizeof text - 1;
	if (n > out->n)
		n = out->n;
	memcpy((char *)(uintptr_t)out->p, text, n);
	*out = str_skip(*out, n);
}

static bool
show_name(struct str *out, struct reader *r, struct str message)
{
	char text[NAME_TEXT_MAX];
	struct name name;

	if (!name_read(r, message, &name))
		return false;
	(void)name_to_text(&name, text);
	show(out, "%s", text);
	return true;
}

static bool
show_data(struct str *out, struct reader *r, struct str message, uint16_t type, uint16_t len)
{
	size_t end = r->pos + len;
	const uint8_t *p;
	struct addr ip = { 0 };
	char text[ADDR_TEXT_MAX];

	switch (type) {
	case RR_A:
	case RR_AAAA:
		ip.family = type == RR_A ? ADDR_V4 : ADDR_V6;
		p = rd_take(r, type == RR_A ? 4 : 16);
		if (p == NULL)
			return false;
		memcpy(ip.bytes, p, type == RR_A ? 4 : 16);
		show(out, "%s", addr_format_ip(&ip, text));
		break;
	case RR_SRV:
		for (int i = 0; i < 3; i++)
			show(out, "%u ", rd_be16(r));
		if (!show_name(out, r, message))
			return false;
		break;
	case RR_NS:
	case RR_CNAME:
	case RR_PTR:
		if (!show_name(out, r, message))
			return false;
		break;
	case RR_SOA:
		if (!show_name(out, r, message))
			return false;
		show(out, " ");
		if (!show_name(out, r, message))
			return false;
		for (int i = 0; i < 5; i++)
			show(out, " %u", rd_be32(r));
		break;
	case RR_TXT:
		while (rd_ok(r) && r->pos < end) {
			uint8_t n = rd_u8(r);

			p = rd_take(r, n);
			show(out, "\"%.*s\"", p == NULL ? 0 : n, (const char *)p);
		}
		break;
	default:
		(void)rd_take(r, len);
		break;
	}
	return rd_ok(r) && r->pos == end;
}

static int
line_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One section, sorted; OPT goes to *opt. */
static bool
show_section(struct str *out, struct reader *r, struct str message, const char *label,
    unsigned count, char opt[64])
{
	static char *lines[LINES_MAX];
	unsigned n = 0;
	bool good = true;

	for (unsigned i = 0; i < count && good; i++) {
		char text[LINE_MAX_BYTES], type_room[16];
		struct str line = str_mem(text, sizeof text - 1);
		uint16_t type, class, len;
		uint32_t ttl;

		show(&line, "%s ", label);
		good = show_name(&line, r, message);
		type = rd_be16(r);
		class = rd_be16(r);
		ttl = rd_be32(r);
		len = rd_be16(r);
		if (type == RR_OPT) {
			good = good && opt[0] == '\0' && rd_take(r, len) != NULL;
			(void)snprintf(opt, 64, "opt %u%s\n", class, ttl == 0 ? "" : " odd");
			continue;
		}
		good = good && class == DNS_CLASS_IN && n < LINES_MAX;
		show(&line, " %u %s ", ttl, rrtype_text(type, type_room));
		good = good && show_data(&line, r, message, type, len);
		show(&line, "\n");
		*(char *)(uintptr_t)line.p = '\0';
		if (good)
			lines[n++] = str_dup(str_of(text));
	}
	qsort(lines, n, sizeof lines[0], line_cmp);
	for (unsigned i = 0; i < n; i++) {
		show(out, "%s", lines[i]);
		free(lines[i]);
	}
	return good;
}

bool
dns_room_show(struct str message, char *out, size_t cap)
{
	static const char *const rcodes[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
		"NOTIMP", "REFUSED" };
	static const char *const labels[] = { "an", "au", "ad" };
	struct reader r = rd_of(message);
	struct str rest = str_mem(out, cap - 1);
	uint16_t id = rd_be16(&r), flags = rd_be16(&r), questions = rd_be16(&r), counts[3];
	struct name name;
	char opt[64] = "";
	bool good = true;

	for (int i = 0; i < 3; i++)
		counts[i] = rd_be16(&r);
	if (!rd_ok(&r) || (flags & DNS_FLAG_QR) == 0 || (flags & 15) > 5 || questions > 1)
		return false;
	(void)id;
	show(&rest, "%s%s%s%s%s\n", rcodes[flags & 15], (flags & DNS_FLAG_AA) ? " aa" : "",
	    (flags & DNS_FLAG_TC) ? " tc" : "", (flags & DNS_FLAG_RD) ? " rd" : "",
	    (flags & DNS_FLAG_RA) ? " ra" : "");
	if (questions == 1) {
		good = name_read(&r, message, &name);
		(void)rd_be32(&r);
	}
	for (int i = 0; i < 3 && good; i++)
		good = show_section(&rest, &r, message, labels[i], counts[i], opt);
	show(&rest, "%s", opt);
	*(char *)(uintptr_t)rest.p = '\0';
	return good && rd_left(&r) == 0 && rd_ok(&r);
}
