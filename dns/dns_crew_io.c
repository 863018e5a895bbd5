/* dns/dns_crew_io.c -- the threads, and what they hand over. */
#include "dns/dns_crew_io.h"

#include <assert.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "dns/dns_later_io.h"
#include "dns/dns_thread_io.h"
#include "dns/prepare.h"

#define REPLIES_ROOM (4 * (size_t)65536)

struct dns_crew {
	struct dns_responder *responder;
	unsigned count;
	struct member {
		struct handover *handover; /* owned, as all here */
		struct dns_thread *thread;
	} * members;
	struct batch *batch;
	struct later *later;
	int wake;
	struct event *asked;
	struct dns_stats stats;
};

/* Answers what one thread has asked. */
static void
member_answer(struct dns_crew *crew, struct member *m, struct now now)
{
	struct handed *asked;
	unsigned count = handover_take(m->handover, &asked);
	nsec wall = batch_wall();
	int fd = -1;

	for (unsigned i = 0; i < count; i++) {
		struct str packet = str_mem(asked[i].packet, asked[i].n);
		struct prepared_answer *keep = NULL;
		void *room;
		size_t n;

		if (wall - asked[i].came > DNS_LATE) {
			dns_stats_up(&crew->stats.late, 1);
			continue;
		}
		if (fd != asked[i].fd)
			batch_send(crew->batch, fd);
		fd = asked[i].fd;
		room = batch_reply_room(crew->batch, fd, BATCH_REPLY_MAX);
		if (asked[i].keeps)
			n = dns_prepare(crew->responder, now, packet, asked[i].variant, room,
			    BATCH_REPLY_MAX, &keep);
		else
			n = dns_answer(crew->responder, now, packet, false, room, BATCH_REPLY_MAX);
		if (n == 0)
			n = later_ask(crew->later, &asked[i].peer, fd, asked[i].came, packet, room,
			    BATCH_REPLY_MAX);
		if (n > 0)
			batch_reply_to(crew->batch, &asked[i].peer, asked[i].came, n);
		if (keep != NULL)
			handover_give(m->handover, keep);
	}
	batch_send(crew->batch, fd);
}

static void
on_asked(evutil_socket_t fd, short what, void *arg)
{
	struct dns_crew *crew = arg;
	struct now now = batch_now();
	uint64_t times;

	(void)what;
	(void)!read(fd, &times, sizeof times);
	for (unsigned i = 0; i < crew->count; i++)
		member_answer(crew, &crew->members[i], now);
}

struct dns_crew *
dns_crew_new(struct event_base *base, struct dns_responder *responder,
    const struct dns_shared *shared, unsigned threads)
{
	struct dns_crew *crew = mem_new(struct dns_crew);

	crew->responder = responder;
	crew->count = threads;
	crew->batch = batch_new(REPLIES_ROOM, &crew->stats, shared->logs);
	crew->later = later_new(shared->recurse, crew->batch);

	crew->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	crew->members = mem_zalloc(threads * sizeof crew->members[0]);
	for (unsigned i = 0; i < threads; i++) {
		struct member *m = &crew->members[i];
		uint64_t seed;

		os_random(&seed, sizeof seed);
		m->handover = handover_new(crew->wake);
		m->thread =
		    dns_thread_new(dns_responder_marks(responder), m->handover, shared, seed);
	}
	crew->asked = event_new(base, crew->wake, EV_READ | EV_PERSIST, on_asked, crew);
	return crew;
}

void
dns_crew_free(struct dns_crew *crew)
{
	if (crew == NULL)
		return;
	for (unsigned i = 0; i < crew->count; i++) {
		dns_thread_free(crew->members[i].thread);
		handover_free(crew->members[i].handover);
	}
	if (crew->asked != NULL)
		event_free(crew->asked);
	if (crew->wake >= 0)
		(void)close(crew->wake);
	later_free(crew->later);
	batch_free(crew->batch);
	free(crew->members);
	free(crew);
}

int
dns_crew_add(struct dns_crew *crew, unsigned i, int fd, const struct addr *at, struct err *err)
{
	dns_thread_add(crew->members[i].thread, fd);
	return batch_socket_tune(fd, at, err);
}

int
dns_crew_start(struct dns_crew *crew, struct err *err)
{
	int rc = 0;

	if (crew->wake < 0 || crew->asked == NULL || event_add(crew->asked, NULL) != 0)
		return err_set(err, ERR_IO, "dns: cannot watch the threads");
	for (unsigned i = 0; i < crew->count && rc == 0; i++)
		rc = dns_thread_start(crew->members[i].thread, err);
	return rc;
}

void
dns_crew_stats(const struct dns_crew *crew, struct dns_stats *stats)
{
	for (unsigned i = 0; i < crew->count; i++)
		dns_thread_stats(crew->members[i].thread, stats);
	dns_stats_add(stats, &crew->stats);
}
