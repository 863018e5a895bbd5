/* tests/unit/test_prepared.c -- answers that are kept: which, until when, in which turns. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "dns/prepare.h"
#include "tests/unit/dns_room.h"

struct world {
	struct dns_room room;
	struct dns_responder *responder;
	struct prepared *prepared;
	char text[64 * 1024];
};

static int
setup(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof w);
	dns_room_init(&w.room);
	w.responder = dns_responder_new(&w.room.config, store_catalog(w.room.store), 1);
	w.prepared = prepared_new(dns_responder_marks(w.responder), 2, PREPARED_BYTES_MAX);
	*state = &w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	prepared_free(w->prepared);
	dns_responder_free(w->responder);
	dns_room_done(&w->room);
	return 0;
}

static const struct now later = { .mono = 9 * NSEC_SEC, .wall_ms = 5678123 };

/* As a thread and the loop do it together; *kept says whether the thread had it. */
static const char *
ask_packet(struct world *w, struct str packet, bool *kept)
{
	static uint8_t room[DNS_MESSAGE_MAX];
	struct prepared_answer *keep = NULL;
	struct prepared_key key;
	unsigned variant = 0;
	bool cut;
	size_t n = 0;

	if (prepared_key_read(packet, &key))
		n = prepared_answer(w->prepared, &key, packet, (uint32_t)(later.wall_ms / 1000),
		    room, PREPARED_PACKET_MAX, &variant, &cut);
	*kept = n > 0;
	if (n == 0)
		n = dns_prepare(w->responder, later, packet, variant, room, sizeof room, &keep);
	if (keep != NULL)
		prepared_add(w->prepared, keep);
	assert_true(n > 0);
	assert_memory_equal(room, packet.p, 2);
	assert_true(dns_room_show(str_mem(room, n), w->text, sizeof w->text));
	return w->text;
}

static const char *
ask(struct world *w, const char *name, uint16_t type, uint16_t edns, bool *kept)
{
	struct dns_ask question = { name, type, edns, false };
	uint8_t room[512];

	return ask_packet(w, dns_room_packet(&question, room), kept);
}

/* Whether a second asker is answered from what is kept. */
static bool
keeps(struct world *w, const char *name, uint16_t type)
{
	bool kept;

	(void)ask(w, name, type, 0, &kept);
	(void)ask(w, name, type, 0, &kept);
	return kept;
}

static void
what_is_kept(void **state)
{
	struct world *w = *state;

	dns_room_many(&w->room, "web", 3);
	dns_room_service(&w->room, "n0001", "db", "db", "db.example.com", 5432, "");
	dns_room_service(&w->room, "n0001", "in", "in", "web.service.consul", 5432, "");
	assert_true(keeps(w, "web.service.consul", RR_A));
	assert_true(keeps(w, "web.service.consul", RR_AAAA));
	assert_true(keeps(w, "web.service.consul", RR_SRV));
	assert_true(keeps(w, "_web._tcp.service.consul", RR_SRV));
	assert_true(keeps(w, "n0001.node.consul", RR_A));
	assert_true(keeps(w, "n1.node.consul", RR_TXT));
	assert_true(keeps(w, "0a090102.addr.consul", RR_A));
	assert_true(keeps(w, "absent.service.consul", RR_A));
	assert_true(keeps(w, "absent.node.consul", RR_A));
	assert_false(keeps(w, "web.service.consul", RR_ANY));
	assert_false(keeps(w, "db.service.consul", RR_A));
	assert_false(keeps(w, "in.service.consul", RR_A));
	assert_false(keeps(w, "in.service.consul", RR_SRV));
	assert_false(keeps(w, "consul", RR_SOA));
	assert_false(keeps(w, "consul", RR_NS));
	assert_false(keeps(w, "1.0.0.127.in-addr.arpa", RR_PTR));
	assert_false(keeps(w, "example.com", RR_A));
	dns_responder_ready(w->responder, false);
	assert_false(keeps(w, "web.service.consul", RR_A)); /* SERVFAIL */
	dns_responder_ready(w->responder, true);
	assert_true(keeps(w, "web.service.consul", RR_A));
}

static void
a_change_of_one_ends_only_what_shows_it(void **state)
{
	static const char *const names[] = { "web.service.consul", "db.service.consul",
		"n0001.node.consul", "n0002.node.consul", "new.service.consul", "n3.node.consul" };
	enum { WEB, DB, N1, N2, NEW, N3, COUNT };
	struct world *w = *state;
	bool had[COUNT], kept;

#define after(change)                                             \
	do {                                                      \
		for (size_t i = 0; i < COUNT; i++)                \
			(void)ask(w, names[i], RR_A, 0, &kept);   \
		change;                                           \
		for (size_t i = 0; i < COUNT; i++)                \
			(void)ask(w, names[i], RR_A, 0, &had[i]); \
	} while (0)

	dns_room_node(&w->room, "n0001", "10.9.1.1");
	dns_room_node(&w->room, "n0002", "10.9.1.2");
	dns_room_service(&w->room, "n0001", "web", "web", "", 80, "");
	dns_room_service(&w->room, "n0002", "db", "db", "", 80, "");
	after((void)0);
	for (size_t i = 0; i < COUNT; i++)
		assert_true(had[i]);
	after(dns_room_service(&w->room, "n0001", "web", "web", "", 81, ""));
	assert_true(!had[WEB] && had[DB] && had[N1] && had[N2] && had[NEW] && had[N3]);
	after(dns_room_check(&w->room, "n0001", "web", "critical"));
	assert_true(!had[WEB] && had[DB] && had[N1] && had[N2] && had[NEW] && had[N3]);
	assert_non_null(strstr(ask(w, names[WEB], RR_A, 0, &kept), "NXDOMAIN"));
	after(dns_room_node(&w->room, "n0002", "10.9.1.3"));
	assert_true(had[WEB] && !had[DB] && had[N1] && !had[N2] && had[NEW] && had[N3]);
	assert_non_null(strstr(ask(w, names[DB], RR_A, 0, &kept), "A 10.9.1.3"));
	after(dns_room_service(&w->room, "n0002", "new", "NEW", "", 81, ""));
	assert_true(had[WEB] && had[DB] && had[N1] && had[N2] && !had[NEW] && had[N3]);
	assert_non_null(strstr(ask(w, names[NEW], RR_A, 0, &kept), "A 10.9.1.3"));
	after(dns_room_node(&w->room, "N3", "10.9.1.4"));
	assert_true(had[WEB] && had[DB] && had[N1] && had[N2] && had[NEW] && !had[N3]);
	assert_non_null(strstr(ask(w, names[N3], RR_A, 0, &kept), "A 10.9.1.4"));
	after(dns_responder_reloaded(w->responder));
	for (size_t i = 0; i < COUNT; i++)
		assert_false(had[i]);
#undef after
}

/* How often each of `count` instances comes first (or, with `all`, comes at all) in `times`
 * answers. */
static void
shown(struct world *w, uint16_t type, uint16_t edns, unsigned count, unsigned times, bool all,
    unsigned seen[])
{
	struct dns_ask question = { "web.service.consul", type, edns, false };
	uint8_t packet_room[512];
	struct str packet = dns_room_packet(&question, packet_room);

	memset(seen, 0, count * sizeof seen[0]);
	for (unsigned i = 0; i < times; i++) {
		static uint8_t room[DNS_MESSAGE_MAX];
		struct prepared_answer *keep = NULL;
		struct prepared_key key;
		unsigned variant, answers;
		bool cut;
		struct reader r;
		size_t n;

		assert_true(prepared_key_read(packet, &key));
		n = prepared_answer(
		    w->prepared, &key, packet, 1, room, PREPARED_PACKET_MAX, &variant, &cut);
		if (n == 0)
			n = dns_prepare(
			    w->responder, later, packet, variant, room, sizeof room, &keep);
		if (keep != NULL)
			prepared_add(w->prepared, keep);
		r = rd_of(str_mem(room, n));
		(void)rd_take(&r, 6);
		answers = rd_be16(&r);
		assert_true(answers > 0);
		(void)rd_take(&r, 4 + key.question_n);
		for (unsigned k = 0; k < (all ? answers : 1); k++) {
			unsigned number, len;

			(void)rd_take(&r, 10);
			len = rd_be16(&r);
			struct reader data = rd_window(&r, len);

			if (type == RR_SRV) { /* the port */
				(void)rd_take(&data, 4);
				number = rd_be16(&data) - 8001u;
			} else { /* 10.9.20.1 … */
				(void)rd_take(&data, 2);
				number = rd_u8(&data) - 20u;
				number = number * 256 + rd_u8(&data) - 1;
			}
			assert_true(rd_ok(&r) && number < count);
			seen[number]++;
		}
	}
}

static void
expect_even(const unsigned seen[], unsigned count, unsigned each)
{
	for (unsigned i = 0; i < count; i++)
		assert_in_range(seen[i], each / 2, each * 2);
}

/* Complete, cut by count, cut by size. */
static void
addresses_begin_at_any_instance(void **state)
{
	struct world *w = *state;
	unsigned seen[200];

	dns_room_many(&w->room, "web", 200);
	shown(w, RR_A, 4096, 200, 20000, false, seen);
	expect_even(seen, 200, 100);
	shown(w, RR_A, 0, 200, 20000, true, seen);
	expect_even(seen, 200, 300);
	shown(w, RR_A, 1232, 200, 20000, false, seen);
	expect_even(seen, 200, 100);
}

/* Up to as many as there are variants each begins one of them; of more, all have their turn too. */
static void
cut_srv_answers_take_turns(void **state)
{
	struct world *w = *state;
	static unsigned seen[300];

	dns_room_many(&w->room, "web", 10);
	shown(w, RR_SRV, 0, 10, 10000, false, seen);
	expect_even(seen, 10, 1000);
	dns_room_many(&w->room, "web", 300);
	shown(w, RR_SRV, 0, 300, 300000, true, seen);
	for (unsigned i = 0; i < 300; i++)
		assert_in_range(seen[i], 1500, 6000);
}

static void
complete_srv_answers_keep_their_order(void **state)
{
	struct world *w = *state;
	unsigned seen[3];

	dns_room_many(&w->room, "web", 3);
	shown(w, RR_SRV, 0, 3, 100, false, seen);
	assert_int_equal(seen[0], 100);
}

static void
letters_come_back_as_asked(void **state)
{
	struct world *w = *state;
	bool kept;

	dns_room_many(&w->room, "web", 3);
	(void)ask(w, "web.service.consul", RR_A, 0, &kept);
	assert_non_null(strstr(ask(w, "wEb.SERVICE.conSul", RR_A, 0, &kept),
	    "an wEb.SERVICE.conSul. 0 A 10.9.20.2\n"));
	assert_true(kept);
	assert_non_null(strstr(ask(w, "web.service.CONSUL", RR_SRV, 0, &kept),
	    "an web.service.CONSUL. 0 SRV 1 1 8001 n0001.node.dc1.consul.\n"));
	assert_false(kept);
	assert_non_null(strstr(ask(w, "WEB.service.consul", RR_SRV, 0, &kept),
	    "ad n0002.node.dc1.consul. 0 A 10.9.20.2\n"));
	assert_true(kept);
	/* the SOA's owner leans on the question's name, so these are made each time */
	(void)ask(w, "no.service.consul", RR_A, 0, &kept);
	assert_non_null(strstr(ask(w, "NO.service.CONSUL", RR_A, 0, &kept), "au consul. "));
	assert_false(kept);
}

static void
the_serial_number_is_the_time(void **state)
{
	struct world *w = *state;
	bool kept;

	(void)ask(w, "no.service.consul", RR_A, 1232, &kept);
	assert_non_null(strstr(ask(w, "no.service.consul", RR_A, 1232, &kept), " 5678 3600 "));
	assert_true(kept);
}

static struct str
with_option(const struct dns_ask *question, uint16_t code, struct str data, uint8_t room[512])
{
	struct str packet = dns_room_packet(question, room);
	struct writer w = wr_of(room, 512);

	w.pos = packet.n - 2;
	wr_be16(&w, (uint16_t)(4 + data.n));
	wr_be16(&w, code);
	wr_be16(&w, (uint16_t)data.n);
	wr_bytes(&w, data);
	return wr_done(&w);
}

/* A cookie changes nothing (RFC 7873 5.2.3: ignored); a subnet comes back in the answer. */
static void
edns_options(void **state)
{
	static const char subnet[] = { 0, 1, 24, 0, 10, 1, 2 };
	struct dns_ask question = { "web.service.consul", RR_A, 1232, false };
	struct world *w = *state;
	uint8_t room[512];
	bool kept;

	dns_room_many(&w->room, "web", 3);
	(void)ask(w, question.name, RR_A, 1232, &kept);
	(void)ask_packet(w, with_option(&question, 10, STR("12345678"), room), &kept);
	assert_true(kept);
	(void)ask_packet(w, with_option(&question, 8, str_mem(subnet, sizeof subnet), room), &kept);
	assert_false(kept);
	(void)ask(w, question.name, RR_A, 4096, &kept); /* another size is another question */
	assert_false(kept);
}

/* Every truncation and every flipped bit of a query: kept or not, never out of bounds. */
static void
odd_queries(void **state)
{
	struct dns_ask question = { "web.service.consul", RR_A, 1232, false };
	struct world *w = *state;
	uint8_t room[512];
	struct str packet = dns_room_packet(&question, room);

	dns_room_many(&w->room, "web", 3);
	for (size_t n = 0; n < packet.n; n++) {
		uint8_t *part = malloc(n + 1);

		memcpy(part, packet.p, n);
		(void)dns_room_send(&w->room, str_mem(part, n), false);
		free(part);
	}
	for (size_t bit = 0; bit < 8 * packet.n; bit++) {
		room[bit / 8] ^= (uint8_t)(1 << bit % 8);
		(void)dns_room_send(&w->room, packet, false);
		room[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
what_is_kept_is_bounded(void **state)
{
	enum { MOST = 10000 };
	struct world *w = *state;
	bool kept;

	dns_room_many(&w->room, "web", 3);
	prepared_free(w->prepared);
	w->prepared = prepared_new(dns_responder_marks(w->responder), 2, MOST);
	(void)ask(w, "web.service.consul", RR_A, 0, &kept);
	for (int i = 0; i < 1000; i++) {
		char name[64];

		(void)snprintf(name, sizeof name, "random%d.service.consul", i);
		(void)ask(w, name, RR_A, 0, &kept);
		assert_false(kept);
		assert_in_range(prepared_bytes(w->prepared), 1, MOST);
		(void)ask(w, "web.service.consul", RR_A, 0, &kept); /* what is used stays */
		assert_true(kept);
	}
}

static void
without_compression(void **state)
{
	struct world *w = *state;
	bool kept;

	w->room.config.disable_compression = true;
	dns_room_many(&w->room, "web", 3);
	(void)ask(w, "web.service.consul", RR_SRV, 0, &kept);
	(void)ask(w, "web.service.consul", RR_SRV, 0, &kept);
	assert_true(kept);
	assert_int_equal(
	    dns_room_count(ask(w, "Web.service.consul", RR_SRV, 0, &kept), "an Web.service."), 3);
	assert_int_equal(
	    dns_room_count(ask(w, "Web.service.consul", RR_A, 0, &kept), "an Web.service."), 3);
	assert_int_equal(
	    dns_room_count(ask(w, "web.service.consul", RR_A, 0, &kept), "an web.service."), 3);
}

/* Names that are made up are asked once each: nothing is kept of them. */
static void
asked_once_is_not_worth_keeping(void **state)
{
	struct world *w = *state;
	unsigned worth = 0;

	for (unsigned i = 0; i < 100000; i++) {
		struct dns_ask question = { .type = RR_A };
		struct prepared_key key;
		uint8_t room[512];
		char name[64];

		(void)snprintf(name, sizeof name, "r%u.service.consul", i);
		question.name = name;
		assert_true(prepared_key_read(dns_room_packet(&question, room), &key));
		worth += prepared_is_worth(w->prepared, &key, 0);
		if (i % 1000 == 0) {
			assert_true(prepared_is_worth(w->prepared, &key, 0));
			assert_false(prepared_is_worth(w->prepared, &key, 1)); /* another turn */
		}
	}
	assert_true(worth < 3);
	assert_int_equal(prepared_bytes(w->prepared), 0);
}

/* Names asked in turn, as many as a sixteenth of what is remembered: the second time all of them
 * are known, none has pushed out another by chance. */
static void
asked_in_turn_is_worth_keeping(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 2 * (PREPARED_SEEN / 16); i++) {
		struct dns_ask question = { .type = RR_A };
		struct prepared_key key;
		uint8_t room[512];
		char name[64];

		(void)snprintf(name, sizeof name, "r%u.service.consul", i % (PREPARED_SEEN / 16));
		question.name = name;
		assert_true(prepared_key_read(dns_room_packet(&question, room), &key));
		assert_int_equal(prepared_is_worth(w->prepared, &key, 0), i >= PREPARED_SEEN / 16);
	}
}

#define world_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(what_is_kept),
		world_test(a_change_of_one_ends_only_what_shows_it),
		world_test(asked_once_is_not_worth_keeping),
		world_test(asked_in_turn_is_worth_keeping),
		world_test(addresses_begin_at_any_instance),
		world_test(cut_srv_answers_take_turns),
		world_test(complete_srv_answers_keep_their_order),
		world_test(letters_come_back_as_asked),
		world_test(the_serial_number_is_the_time),
		world_test(edns_options),
		world_test(odd_queries),
		world_test(what_is_kept_is_bounded),
		world_test(without_compression),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
