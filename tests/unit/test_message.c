/* tests/unit/test_message.c -- queries taken apart, answers built. */
#include "dns/message.h"
#include "tests/unit/test.h"

#define HEAD "\x12\x34\1\0\0\1\0\0\0\0\0\0"
#define QUESTION "\3web\7service\6consul\0\0\1\0\1"
/* OPT of 1232 bytes, version 1, DO, with a cookie and a client subnet */
#define OPT "\0\0\51\4\320\0\1\200\0\0\27\0\12\0\10abcdefgh\0\10\0\7\0\1\24\5\300\0\37"

static struct str
packet(const char *bytes, size_t n)
{
	return str_mem(bytes, n);
}
#define PACKET(literal) packet("" literal, sizeof(literal) - 1)

static void
a_query_is_read(void **unused)
{
	char text[NAME_TEXT_MAX];
	struct dns_query q;

	(void)unused;
	assert_int_equal(dns_query_read(PACKET(HEAD QUESTION), &q), DNS_READ_OK);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.opcode, DNS_OPCODE_QUERY);
	assert_int_equal(q.type, RR_A);
	assert_int_equal(q.class, DNS_CLASS_IN);
	assert_false(q.edns);
	(void)name_to_text(&q.name, text);
	assert_string_equal(text, "web.service.consul.");
}

static void
edns_is_read(void **unused)
{
	static const char bytes[] = "\x12\x34\1\0\0\1\0\0\0\0\0\1" QUESTION OPT;
	static const char echoed[] = "\0\10\0\7\0\1\24\0\300\0\20"; /* masked to 20 bits, scope 0 */
	uint8_t room[DNS_ECS_BYTES];
	struct dns_query q;
	struct str subnet;

	(void)unused;
	assert_int_equal(dns_query_read(packet(bytes, sizeof bytes - 1), &q), DNS_READ_OK);
	assert_true(q.edns);
	assert_int_equal(q.edns_size, 1232);
	assert_int_equal(q.edns_version, 1);
	assert_true(q.edns_do);
	subnet = dns_query_subnet(&q, room);
	assert_int_equal(subnet.n, sizeof echoed - 1);
	assert_memory_equal(subnet.p, echoed, subnet.n);
}

/* A message cut anywhere is malformed, but at the borders that the peer takes. */
static void
every_truncation(void **unused)
{
	static const char bytes[] = "\x12\x34\1\0\0\1\0\0\0\0\0\1" QUESTION OPT;
	const size_t head = DNS_HEADER_BYTES, question = head + sizeof QUESTION - 1;
	struct dns_query q;

	(void)unused;
	for (size_t n = 0; n < sizeof bytes - 1; n++) {
		enum dns_read want = n < head        ? DNS_READ_DROP
				     : n == head     ? DNS_READ_EMPTY
				     : n == question ? DNS_READ_OK
						     : DNS_READ_BAD;

		assert_int_equal(dns_query_read(packet(bytes, n), &q), want);
	}
}

static void
what_is_refused(void **unused)
{
	struct dns_query q;

	(void)unused;
	/* an answer */
	assert_int_equal(
	    dns_query_read(PACKET("\0\1\200\0\0\1\0\0\0\0\0\0" QUESTION), &q), DNS_READ_DROP);
	/* STATUS; NOTIFY is fine */
	assert_int_equal(
	    dns_query_read(PACKET("\0\1\20\0\0\1\0\0\0\0\0\0" QUESTION), &q), DNS_READ_OPCODE);
	assert_int_equal(
	    dns_query_read(PACKET("\0\1\40\0\0\1\0\0\0\0\0\0" QUESTION), &q), DNS_READ_OK);
	/* no question, two questions, too many records */
	assert_int_equal(dns_query_read(PACKET("\0\1\1\0\0\0\0\0\0\0\0\0"), &q), DNS_READ_BAD);
	assert_int_equal(
	    dns_query_read(PACKET("\0\1\1\0\0\2\0\0\0\0\0\0" QUESTION QUESTION), &q), DNS_READ_BAD);
	assert_int_equal(
	    dns_query_read(PACKET("\0\1\1\0\0\1\0\2\0\0\0\0" QUESTION), &q), DNS_READ_BAD);
	assert_int_equal(
	    dns_query_read(PACKET("\0\1\1\0\0\1\0\0\0\2\0\0" QUESTION), &q), DNS_READ_BAD);
	assert_int_equal(
	    dns_query_read(PACKET("\0\1\1\0\0\1\0\0\0\0\0\3" QUESTION), &q), DNS_READ_BAD);
	/* a name that points to itself */
	assert_int_equal(dns_query_read(PACKET(HEAD "\300\14\0\1\0\1"), &q), DNS_READ_BAD);
	/* bytes behind the last record do not matter */
	assert_int_equal(dns_query_read(PACKET(HEAD QUESTION "\xde\xad"), &q), DNS_READ_OK);
}

static void
subnets_that_make_no_sense(void **unused)
{
	static const char *const rows[] = {
		"\0\1\41\0\300\0\2\0\0", /* 33 bits of IPv4 */
		"\0\3\10\0\300",         /* no such family */
		"\0\1\10",               /* too short */
	};
	static const size_t lengths[] = { 9, 5, 3 };
	struct dns_query q;

	(void)unused;
	for (size_t i = 0; i < 3; i++) {
		uint8_t room[128];
		struct writer w = wr_of(room, sizeof room);

		wr_bytes(&w, PACKET("\0\1\1\0\0\1\0\0\0\0\0\1" QUESTION "\0\0\51\4\320\0\0\0\0"));
		wr_be16(&w, (uint16_t)(lengths[i] + 4));
		wr_be16(&w, 8);
		wr_be16(&w, (uint16_t)lengths[i]);
		wr_bytes(&w, str_mem(rows[i], lengths[i]));
		assert_int_equal(dns_query_read(wr_done(&w), &q), DNS_READ_BAD);
	}
}

static struct name
name(const char *text)
{
	struct name n;

	assert_true(name_from_text(str_of(text), &n));
	return n;
}

static struct dns_query
query(const char *text, uint16_t type)
{
	return (struct dns_query){
		.id = 7, .qdcount = 1, .name = name(text), .type = type, .class = DNS_CLASS_IN
	};
}

static void
an_answer_is_compressed(void **unused)
{
	static const char want[] = "\0\7\204\0\0\1\0\1\0\0\0\1"
				   "\3web\6consul\0\0\41\0\1"
				   "\300\14\0\41\0\1\0\0\0\11\0\21\0\1\0\2\0\120\2n1\6consul\0"
				   "\300\56\0\1\0\1\0\0\0\11\0\4\12\0\0\1";
	const uint8_t ip[4] = { 10, 0, 0, 1 };
	struct dns_query q = query("web.consul", RR_SRV);
	struct name target = name("n1.consul");
	struct dns_writer w;
	uint8_t room[512];
	struct str got;

	(void)unused;
	dns_begin(&w, room, sizeof room, &q, DNS_FLAG_QR | DNS_FLAG_AA, DNS_NOERROR, true);
	assert_true(dns_put_srv(&w, DNS_ANSWER, &q.name, 9, 1, 2, 80, &target));
	assert_true(dns_put_a(&w, DNS_ADDITIONAL, &target, 9, ip));
	got = dns_end(&w, false);
	assert_int_equal(got.n, sizeof want - 1);
	assert_memory_equal(got.p, want, got.n);
	assert_int_equal(w.target_at, 46);
}

static void
other_spelling_is_not_compressed(void **unused)
{
	struct dns_query q = query("web.CONSUL", RR_SOA);
	struct name domain = name("consul");
	struct dns_writer w;
	uint8_t room[512];

	(void)unused;
	dns_begin(&w, room, sizeof room, &q, DNS_FLAG_QR, DNS_NOERROR, true);
	size_t before = w.w.pos;

	assert_true(dns_put_name(&w, DNS_ANSWER, &q.name, RR_PTR, 0, &domain));
	assert_int_equal(w.w.pos - before, 2 + 10 + 8);
	before = w.w.pos;
	assert_true(dns_put_name(&w, DNS_ANSWER, &q.name, RR_PTR, 0, &domain));
	assert_int_equal(w.w.pos - before, 2 + 10 + 2);
}

static void
without_compression_names_are_whole(void **unused)
{
	const uint8_t ip[16] = { 0x20, 1 };
	struct dns_query q = query("web.consul", RR_AAAA);
	struct dns_writer w;
	uint8_t room[512];

	(void)unused;
	dns_begin(&w, room, sizeof room, &q, DNS_FLAG_QR, DNS_NOERROR, false);
	size_t before = w.w.pos;

	assert_true(dns_put_aaaa(&w, DNS_ANSWER, &q.name, 0, ip));
	assert_int_equal(w.w.pos - before, 12 + 10 + 16);
}

static void
what_does_not_fit_leaves_no_trace(void **unused)
{
	struct dns_query q = query("web.consul", RR_TXT);
	struct name other = name("some.other.name");
	struct dns_writer w;
	uint8_t room[512];
	char text[600];

	(void)unused;
	memset(text, 'x', sizeof text);
	dns_begin(&w, room, sizeof room, &q, DNS_FLAG_QR, DNS_NOERROR, true);
	struct dns_mark before = dns_mark(&w);

	assert_false(dns_put_txt(&w, DNS_ANSWER, &other, 0, str_mem(text, sizeof text)));
	assert_int_equal(w.w.pos, before.pos);
	assert_int_equal(w.offset_count, before.offset_count);
	assert_int_equal(w.counts[DNS_ANSWER], 0);
	assert_true(dns_put_txt(&w, DNS_ANSWER, &q.name, 0, str_mem(text, 300)));
	assert_int_equal(w.w.pos - before.pos, 2 + 10 + 1 + 255 + 1 + 45);
	assert_true(dns_put_txt(&w, DNS_ANSWER, &q.name, 0, STR_NONE)); /* one empty string */
	dns_rewind(&w, before);
	assert_int_equal(dns_end(&w, true).n, before.pos);
	assert_int_equal(room[2], 0x82); /* QR, TC */
	assert_int_equal(room[7], 0);
}

static void
many_names_stay_correct(void **unused)
{
	struct dns_query q = query("web.service.consul", RR_SRV);
	static uint8_t room[DNS_MESSAGE_MAX];
	struct dns_writer w;
	unsigned count = 0;

	(void)unused;
	dns_begin(&w, room, sizeof room, &q, DNS_FLAG_QR, DNS_NOERROR, true);
	for (; count < 2000; count++) {
		char text[64];
		struct name target;

		(void)snprintf(text, sizeof text, "n%u.node.dc1.consul", count);
		target = name(text);
		if (!dns_put_name(&w, DNS_ANSWER, &q.name, RR_CNAME, 0, &target))
			break;
	}
	struct str got = dns_end(&w, false);
	struct reader r = rd_of(got);
	struct name read;

	assert_int_equal(count, 2000);
	(void)rd_take(&r, DNS_HEADER_BYTES);
	assert_true(name_read(&r, got, &read));
	(void)rd_take(&r, 4);
	for (unsigned i = 0; i < count; i++) {
		char text[NAME_TEXT_MAX], want[64];

		(void)snprintf(want, sizeof want, "n%u.node.dc1.consul.", i);
		assert_true(name_read(&r, got, &read));
		assert_true(name_eq(&read, &q.name));
		(void)rd_take(&r, 10);
		assert_true(name_read(&r, got, &read));
		(void)name_to_text(&read, text);
		assert_string_equal(text, want);
	}
	assert_int_equal(rd_left(&r), 0);
}

static void
types_have_names(void **unused)
{
	char room[16];

	(void)unused;
	assert_string_equal(rrtype_text(RR_SRV, room), "SRV");
	assert_string_equal(rrtype_text(65280, room), "TYPE65280");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_read),
		cmocka_unit_test(edns_is_read),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(subnets_that_make_no_sense),
		cmocka_unit_test(an_answer_is_compressed),
		cmocka_unit_test(other_spelling_is_not_compressed),
		cmocka_unit_test(without_compression_names_are_whole),
		cmocka_unit_test(what_does_not_fit_leaves_no_trace),
		cmocka_unit_test(many_names_stay_correct),
		cmocka_unit_test(types_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
