/* tests/unit/test_dns_threads.c -- threads answer while the catalog changes: every answer is one
 * that was right at some moment between its question and itself.
 *
 * The service "web" has INSTANCES instances. Change k gives instance k % INSTANCES the port
 * FIRST_PORT
 * + k % PORTS and an address with the same number in it, so each state of the catalog can be told
 * from its answer, and an answer made of two states from both. An asker notes the last change that
 * was over before it asked, and the last that had begun when it was answered.
 */
#include "tests/unit/test.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/addr.h"
#include "dns/dns_io.h"
#include "tests/unit/dns_room.h"

#define INSTANCES 3
#define FIRST_PORT 10000
#define PORTS 40000
#define ASKERS 3
#define ANSWERS 1500 /* that each asker wants */
#define WAIT_S 20

struct world {
	struct dns_room room;
	struct event_base *base;
	struct dns_io *io;
	_Atomic unsigned begun, over; /* changes */
	_Atomic unsigned done;        /* askers */
};

struct asker {
	struct world *w;
	pthread_t id;
	unsigned number;
	const char *wrong; /* NULL: nothing */
	unsigned states;   /* how often the answer was another than before */
};

static void
change(struct world *w, unsigned k)
{
	char id[16], address[24];
	unsigned number = k % PORTS;

	(void)snprintf(id, sizeof id, "web%u", k % INSTANCES);
	(void)snprintf(
	    address, sizeof address, "10.%u.%u.%u", k % INSTANCES, number >> 8, number & 255);
	atomic_store(&w->begun, k);
	dns_room_service(&w->room, "n1", id, "web", address, (int)(FIRST_PORT + number), "");
	atomic_store(&w->over, k);
}

/* The change that the answer shows for each instance; false: not one record for each. */
static bool
answer_read(struct str packet, bool srv, unsigned shown[INSTANCES])
{
	struct reader r = rd_of(packet);
	unsigned seen = 0;

	(void)rd_take(&r, 2);
	if ((rd_be16(&r) & 0xf) != DNS_NOERROR || rd_be16(&r) != 1 || rd_be16(&r) != INSTANCES)
		return false;
	(void)rd_take(&r, 4 + 20 + 4); /* counts; "web.service.consul" and its type and class */
	for (unsigned i = 0; i < INSTANCES; i++) {
		unsigned number, instance;

		(void)rd_take(&r, 10);
		(void)rd_be16(&r);
		if (srv) {
			char hex[9] = { 0 };
			const uint8_t *p;
			unsigned ip;

			(void)rd_take(&r, 4);
			number = rd_be16(&r) - FIRST_PORT;
			(void)rd_u8(&r);
			p = rd_take(&r, 8); /* the address in hex: "0a….addr.dc1.consul" */
			if (p == NULL)
				return false;
			memcpy(hex, p, 8);
			if (sscanf(hex, "%8x", &ip) != 1 || (ip & 0xffff) != number)
				return false;
			instance = ip >> 16 & 255;
			(void)rd_take(&r, 1 + 4 + 1 + 3 + 1 + 6 + 1);
		} else {
			(void)rd_u8(&r);
			instance = rd_u8(&r);
			number = rd_be16(&r);
		}
		if (!rd_ok(&r) || instance >= INSTANCES)
			return false;
		shown[instance] = number;
		seen |= 1u << instance;
	}
	return seen == (1u << INSTANCES) - 1;
}

/* Whether this is the state after some change k of first … last. */
static bool
answer_right(const unsigned shown[INSTANCES], unsigned first, unsigned last)
{
	for (unsigned k = first; k <= last; k++) {
		unsigned right = 0;

		for (unsigned back = 0; back < INSTANCES; back++)
			right += shown[(k - back) % INSTANCES] == (k - back) % PORTS;
		if (right == INSTANCES)
			return true;
	}
	return false;
}

static void *
ask(void *arg)
{
	struct asker *a = arg;
	struct world *w = a->w;
	struct addr at = dns_io_address(w->io, 0);
	const struct timeval wait = { WAIT_S, 0 };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&at, &sa);
	unsigned before = 0;

	for (unsigned i = 0; i < ANSWERS && a->wrong == NULL; i++) {
		bool srv = (i + a->number) % 2 == 0;
		struct dns_ask question = { "web.service.consul", srv ? RR_SRV : RR_A, 0, false };
		unsigned shown[INSTANCES] = { 0 }, first, last;
		uint8_t room[512], answer[1024];
		struct str packet = dns_room_packet(&question, room);
		int fd = socket(AF_INET, SOCK_DGRAM, 0); /* each time another: another thread */
		ssize_t n;

		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
		first = atomic_load(&w->over);
		n = sendto(fd, packet.p, packet.n, 0, (struct sockaddr *)&sa, len);
		if (n > 0)
			n = recv(fd, answer, sizeof answer, 0);
		last = atomic_load(&w->begun);
		(void)close(fd);
		if (n <= 0)
			a->wrong = "no answer";
		else if (!answer_read(str_mem(answer, (size_t)n), srv, shown))
			a->wrong = "half an answer";
		else if (!answer_right(shown, first, last))
			a->wrong = "a wrong answer";
		else
			a->states += shown[0] != before;
		before = shown[0];
	}
	atomic_fetch_add(&w->done, 1);
	return NULL;
}

static int
listen_at(struct event_base *base, struct dns_responder *responder, const struct addr *at,
    unsigned count, struct dns_io **out, struct err *err)
{
	const struct dns_io_config config = { .listen = at, .count = 1, .threads = count };

	return dns_io_new(base, responder, &config, out, err);
}

static void
answers_while_the_catalog_changes(unsigned threads)
{
	static struct world w;
	struct asker askers[ASKERS] = { 0 };
	struct dns_stats stats;
	struct addr at;
	struct err err;
	unsigned k = 0;

	memset(&w, 0, sizeof w);
	dns_room_init(&w.room);
	for (; k < INSTANCES; k++)
		change(&w, k);
	w.room.responder = dns_responder_new(&w.room.config, store_catalog(w.room.store), 1);
	w.base = event_base_new();
	assert_true(addr_parse(STR("127.0.0.1:0"), 0, &at));
	assert_int_equal(listen_at(w.base, w.room.responder, &at, threads, &w.io, &err), 0);
	for (unsigned i = 0; i < ASKERS; i++) {
		askers[i].w = &w;
		askers[i].number = i;
		assert_int_equal(pthread_create(&askers[i].id, NULL, ask, &askers[i]), 0);
	}
	while (atomic_load(&w.done) < ASKERS) {
		for (int turn = 0; turn < 4; turn++)
			(void)event_base_loop(w.base, EVLOOP_NONBLOCK);
		(void)usleep(200);
		change(&w, k++);
	}
	for (unsigned i = 0; i < ASKERS; i++) {
		(void)pthread_join(askers[i].id, NULL);
		if (askers[i].wrong != NULL)
			fail_msg("asker %u: %s", i, askers[i].wrong);
		assert_true(askers[i].states > 5);
	}
	stats = dns_io_stats(w.io);
	assert_int_equal(stats.queries, ASKERS * ANSWERS);
	/* some by the threads, some by the loop */
	assert_in_range(dns_responder_stats(w.room.responder)->queries, 1, ASKERS * ANSWERS - 1);
	dns_io_free(w.io);
	event_base_free(w.base);
	dns_room_done(&w.room);
}

static void
by_one_thread(void **state)
{
	(void)state;
	answers_while_the_catalog_changes(1);
}

static void
by_three_threads(void **state)
{
	(void)state;
	answers_while_the_catalog_changes(3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_one_thread),
		cmocka_unit_test(by_three_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
