/* tests/unit/test_forward.c -- questions for other name servers, and what is made of answers. */
#include "tests/unit/test.h"

#include <string.h>

#include "dns/answer.h"
#include "tests/unit/dns_room.h"

static uint8_t query_room[512], forward_room[FORWARD_QUERY_MAX], answer_room[DNS_MESSAGE_MAX],
    reply_room[DNS_MESSAGE_MAX];

static struct str
asked(const char *name, uint16_t type, uint16_t edns, struct dns_query *q)
{
	struct dns_ask ask = { name, type, edns, false };
	struct str packet = dns_room_packet(&ask, query_room);

	assert_int_equal(dns_query_read(packet, q), DNS_READ_OK);
	return packet;
}

static struct str
put(const struct dns_query *q, uint16_t id)
{
	return str_mem(forward_room, forward_query(q, id, forward_room));
}

/* What a recursor answers to `query`: a CNAME and `count` addresses. */
static struct str
answered(struct str query, unsigned count)
{
	struct dns_query q;
	struct dns_writer w;
	struct name target;

	assert_int_equal(dns_query_read(query, &q), DNS_READ_OK);
	assert_true(name_from_text(STR("real.example.net"), &target));
	dns_begin(
	    &w, answer_room, sizeof answer_room, &q, DNS_FLAG_QR | DNS_FLAG_RD, DNS_NOERROR, true);
	assert_true(dns_put_name(&w, DNS_ANSWER, &q.name, RR_CNAME, 60, &target));
	for (unsigned i = 0; i < count; i++) {
		const uint8_t ip[4] = { 192, 0, 2, (uint8_t)i };

		assert_true(dns_put_a(&w, DNS_ANSWER, &target, 60, ip));
	}
	return dns_end(&w, false);
}

static void
a_query_is_put_anew(void **state)
{
	struct dns_query q, sent;

	(void)state;
	(void)asked("Db.Example.COM", RR_A, 4096, &q);
	assert_int_equal(dns_query_read(put(&q, 0x1234), &sent), DNS_READ_OK);
	assert_int_equal(sent.id, 0x1234);
	assert_int_equal(sent.flags, DNS_FLAG_RD);
	assert_int_equal(sent.edns_size, FORWARD_EDNS_SIZE);
	assert_true(name_eq(&sent.name, &q.name));
	(void)asked("db.example.com", RR_A, 0, &q);
	assert_int_equal(dns_query_read(put(&q, 1), &sent), DNS_READ_OK);
	assert_false(sent.edns);
}

static void
cookies_stay_with_us(void **state)
{
	static const uint8_t options[] = { 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 8, 0, 7, 0, 1,
		24, 0, 10, 0, 0, 0, 11, 0, 0 };
	struct dns_query q, sent;

	(void)state;
	(void)asked("db.example.com", RR_A, 4096, &q);
	q.edns_options = str_mem(options, sizeof options);
	assert_int_equal(dns_query_read(put(&q, 1), &sent), DNS_READ_OK);
	assert_int_equal(sent.edns_options.n, 11); /* the client subnet alone */
	assert_int_equal(sent.edns_options.p[1], 8);
}

static void
what_is_not_forwarded(void **state)
{
	struct dns_query q;

	(void)state;
	(void)asked("db.example.com", RR_A, 0, &q);
	assert_true(forward_takes(&q));
	q.class = 3; /* CHAOS */
	assert_false(forward_takes(&q));
	q.class = DNS_CLASS_IN;
	q.type = RR_AXFR;
	assert_false(forward_takes(&q));
	q.type = RR_A;
	q.opcode = DNS_OPCODE_NOTIFY;
	assert_false(forward_takes(&q));
}

static void
only_its_own_answer_counts(void **state)
{
	struct dns_query q;
	struct str query, answer;
	uint8_t other[512];

	(void)state;
	(void)asked("db.example.com", RR_A, 0, &q);
	query = put(&q, 7);
	answer = answered(query, 1);
	assert_true(forward_matches(query, answer));
	for (size_t i = 0; i < DNS_HEADER_BYTES + q.name.n + 4u; i++) {
		memcpy(other, answer.p, answer.n);
		other[i] ^= 0x81; /* a letter's case alone does not matter */
		if (i == 3 || (i >= 6 && i < 12))
			continue; /* codes and counts may differ */
		assert_false(forward_matches(query, str_mem(other, answer.n)));
	}
	for (size_t n = 0; n < DNS_HEADER_BYTES + q.name.n + 4u; n++)
		assert_false(forward_matches(query, str_head(answer, n)));
	assert_false(forward_matches(query, query)); /* a question is no answer */
}

static void
the_asker_s_id_and_letters(void **state)
{
	struct dns_query q, lower;
	struct str answer;
	char text[4096];
	size_t n;

	(void)state;
	(void)asked("db.example.com", RR_A, 0, &lower);
	answer = answered(put(&lower, 7), 2);
	(void)asked("dB.eXample.com", RR_A, 0, &q);
	q.id = 0x9999;
	n = forward_answer(&q, answer, false, reply_room, sizeof reply_room);
	assert_true(n > 0);
	assert_int_equal(reply_room[0], 0x99);
	assert_int_equal(reply_room[3] & 0x80, 0x80); /* RA */
	assert_true(dns_room_show(str_mem(reply_room, n), text, sizeof text));
	assert_non_null(strstr(text, "dB.eXample.com."));
	assert_non_null(strstr(text, "real.example.net. 60 A 192.0.2.1"));
	(void)asked("other.example.com", RR_A, 0, &q);
	assert_int_equal(forward_answer(&q, answer, false, reply_room, sizeof reply_room), 0);
}

static void
too_long_for_a_datagram_is_cut(void **state)
{
	struct dns_query q;
	struct str answer;
	size_t n;

	(void)state;
	(void)asked("db.example.com", RR_A, 0, &q);
	answer = answered(put(&q, 7), 100);
	n = forward_answer(&q, answer, false, reply_room, sizeof reply_room);
	assert_true(n > 0 && n <= DNS_UDP_PLAIN_MAX);
	assert_int_equal(reply_room[2] & 2, 2); /* TC */
	assert_int_equal(reply_room[7], 0);     /* and no answer */
	n = forward_answer(&q, answer, true, reply_room, sizeof reply_room);
	assert_int_equal(n, answer.n);
	assert_int_equal(reply_room[2] & 2, 0);
	(void)asked("db.example.com", RR_A, 4096, &q);
	assert_int_equal(
	    forward_answer(&q, answer, false, reply_room, sizeof reply_room), answer.n);
}

static void
nobody_answers(void **state)
{
	struct dns_query q;
	size_t n;

	(void)state;
	(void)asked("db.example.com", RR_A, 4096, &q);
	n = forward_failed(&q, reply_room, sizeof reply_room);
	assert_true(n > DNS_HEADER_BYTES);
	assert_int_equal(reply_room[3] & 0xf, DNS_SERVFAIL);
	assert_int_equal(reply_room[3] & 0x80, 0x80);
}

static void
a_few_addresses_of_a_name_elsewhere(void **state)
{
	struct chased c = { .type = RR_A };
	struct str answer;
	struct name name;

	(void)state;
	assert_true(name_from_text(STR("db.example.com"), &name));
	answer =
	    answered(str_mem(forward_room, forward_question(&name, RR_A, 9, forward_room)), 40);
	chased_read(&c, answer);
	assert_int_equal(c.count, CHASED_RECORDS_MAX);
	assert_int_equal(c.of[0].type, RR_CNAME);
	assert_int_equal(c.of[1].ip.bytes[3], 0);
	assert_int_equal(c.of[4].ip.bytes[3], 3);
	for (size_t n = 0; n < answer.n; n++) { /* cut anywhere: what is whole, or nothing */
		chased_read(&c, str_head(answer, n));
		assert_true(c.count <= CHASED_RECORDS_MAX);
	}
	answer_room[3] |= DNS_NXDOMAIN;
	chased_read(&c, answer);
	assert_int_equal(c.count, 0);
}

/* The responder: silent with a wish, then answers with what was found. */
static void
an_address_that_is_a_name_elsewhere(void **state)
{
	static struct dns_room f;
	struct dns_ask ask = { "db.service.consul", RR_A, 0, false };
	struct chased c = { .type = RR_A, .count = 1 };
	struct str packet = dns_room_packet(&ask, query_room);
	struct dns_wanted wanted;
	char text[4096];
	size_t n;

	(void)state;
	dns_room_init(&f);
	f.config.recursors = true;
	dns_room_node(&f, "a", "10.9.1.1");
	dns_room_service(&f, "a", "db", "db", "db.example.com", 5432, "");
	f.responder = dns_responder_new(&f.config, store_catalog(f.store), 1);
	n = dns_answer(f.responder, dns_room_now, packet, false, reply_room, sizeof reply_room);
	assert_int_equal(n, 0);
	assert_true(dns_responder_wanted(f.responder, &wanted));
	assert_false(wanted.whole);
	assert_int_equal(wanted.type, RR_A);
	c.asked = wanted.name;
	c.of[0] = (struct chased_record){ .owner = wanted.name, .type = RR_A };
	assert_true(addr_parse_ip(STR("192.0.2.9"), &c.of[0].ip));
	n = dns_answer_chased(
	    f.responder, dns_room_now, packet, false, reply_room, sizeof reply_room, &c, 1, true);
	assert_true(dns_room_show(str_mem(reply_room, n), text, sizeof text));
	assert_non_null(strstr(text, "db.service.consul. 0 CNAME db.example.com."));
	assert_non_null(strstr(text, "db.example.com. 0 A 192.0.2.9"));
	n = dns_answer_chased(f.responder, dns_room_now, packet, false, reply_room,
	    sizeof reply_room, NULL, 0, false);
	assert_true(dns_room_show(str_mem(reply_room, n), text, sizeof text));
	assert_non_null(strstr(text, "db.service.consul. 0 CNAME db.example.com."));
	assert_null(strstr(text, "192.0.2.9"));
	assert_int_equal(dns_responder_stats(f.responder)->queries, 2);
	dns_room_done(&f);
}

static void
other_names_are_wanted_whole(void **state)
{
	static struct dns_room f;
	struct dns_ask ask = { "www.example.com", RR_A, 0, false },
		       reverse = { "7.2.0.192.in-addr.arpa", RR_PTR, 0, false };
	struct dns_wanted wanted;

	(void)state;
	dns_room_init(&f);
	f.config.recursors = true;
	f.responder = dns_responder_new(&f.config, store_catalog(f.store), 1);
	assert_int_equal(dns_answer(f.responder, dns_room_now, dns_room_packet(&ask, query_room),
			     false, reply_room, sizeof reply_room),
	    0);
	assert_true(dns_responder_wanted(f.responder, &wanted) && wanted.whole);
	assert_int_equal(
	    dns_answer(f.responder, dns_room_now, dns_room_packet(&reverse, query_room), false,
		reply_room, sizeof reply_room),
	    0);
	assert_true(dns_responder_wanted(f.responder, &wanted) && wanted.whole);
	ask.name = "n1.node.consul";
	assert_true(dns_answer(f.responder, dns_room_now, dns_room_packet(&ask, query_room), false,
			reply_room, sizeof reply_room) > 0);
	assert_false(dns_responder_wanted(f.responder, &wanted));
	dns_room_done(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_put_anew),
		cmocka_unit_test(cookies_stay_with_us),
		cmocka_unit_test(what_is_not_forwarded),
		cmocka_unit_test(only_its_own_answer_counts),
		cmocka_unit_test(the_asker_s_id_and_letters),
		cmocka_unit_test(too_long_for_a_datagram_is_cut),
		cmocka_unit_test(nobody_answers),
		cmocka_unit_test(a_few_addresses_of_a_name_elsewhere),
		cmocka_unit_test(an_address_that_is_a_name_elsewhere),
		cmocka_unit_test(other_names_are_wanted_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
