/* One byte of choices, then a packet, put to a responder over a catalog with a bit of everything.
 * Whatever comes in: an answer is well-formed, carries the query's id, and stays within the
 * limits of its transport, unless it holds a single record; the catalog is not touched. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/dns_room.h"

enum { CHOICE_TCP = 1, CHOICE_TUNED = 2, CHOICE_NOT_READY = 4 };

static struct dns_room plain, tuned;

static void
fill(struct dns_room *f)
{
	dns_room_init(f);
	dns_room_node(f, "a", "10.9.1.1");
	dns_room_node(f, "B.sub", "2001:db8::77");
	dns_room_node(f, "h", "host.example.com");
	dns_room_node(f, "two..dots", "10.9.1.3");
	dns_room_many(f, "web", 40);
	dns_room_service(f, "a", "own", "web", "10.9.7.7", 8080, "blue v1.2 tcp");
	dns_room_service(f, "B.sub", "six", "web", "", 70000, "udp");
	dns_room_service(f, "two..dots", "odd", "web", "", -1, "");
	dns_room_service(f, "a", "db", "db", "db.example.com", 5432, "");
	dns_room_service(f, "h", "x", "x", "", 1, "");
	dns_room_service(f, "a", "far", "far", "web.service.consul", 3, "");
	dns_room_service(f, "a", "loop", "loop", "pool.service.consul", 5, "");
	dns_room_service(f, "a", "pool", "pool", "loop.service.consul", 6, "");
	dns_room_service(f, "a", "down", "down", "", 7, "");
	dns_room_check(f, "a", "down", "critical");
}

static void
prepare(void)
{
	static struct dns_service_ttl ttl = { { "*", 1 }, 9 };

	if (plain.store != NULL)
		return;
	fill(&plain);
	fill(&tuned);
	tuned.config.alt_domain = STR("alt.example");
	tuned.config.service_ttl = &ttl;
	tuned.config.service_ttl_count = 1;
	tuned.config.enable_truncate = true;
	tuned.config.only_passing = true;
	tuned.config.disable_compression = true;
	tuned.config.a_record_limit = 5;
	plain.responder = dns_responder_new(&plain.config, store_catalog(plain.store), 1);
	tuned.responder = dns_responder_new(&tuned.config, store_catalog(tuned.store), 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t room[DNS_MESSAGE_MAX];
	struct dns_room *f;
	struct dns_query q;
	struct str packet;
	size_t n, limit = DNS_UDP_PLAIN_MAX;
	bool tcp;

	if (size < 1)
		return 0;
	prepare();
	tcp = (data[0] & CHOICE_TCP) != 0;
	f = (data[0] & CHOICE_TUNED) != 0 ? &tuned : &plain;
	dns_responder_ready(f->responder, (data[0] & CHOICE_NOT_READY) == 0);
	packet = str_mem(data + 1, size - 1);
	if (!tcp)
		(void)dns_room_send(f, packet, false); /* what is kept is what is answered */
	n = dns_answer(f->responder, dns_room_now, packet, tcp, room, sizeof room);
	if (n == 0) {
		FUZZ_ASSERT(dns_query_read(packet, &q) == DNS_READ_DROP);
		return 0;
	}
	FUZZ_ASSERT(n >= DNS_HEADER_BYTES && n <= sizeof room && packet.n >= DNS_HEADER_BYTES);
	FUZZ_ASSERT(memcmp(room, data + 1, 2) == 0);
	FUZZ_ASSERT(dns_room_show(str_mem(room, n), f->text, sizeof f->text));
	if (dns_query_read(packet, &q) == DNS_READ_OK && q.edns && q.edns_size > limit)
		limit = q.edns_size;
	FUZZ_ASSERT(tcp || n <= limit || dns_room_count(f->text, "an ") == 1);
	return 0;
}
