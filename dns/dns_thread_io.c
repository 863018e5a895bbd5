/* dns/dns_thread_io.c -- wait, a batch in, a batch out.
 *
 * In order: a batch, the thread, its life. What is not kept is handed over with its
 * asker, and answered from the loop.
 */
#include "dns/dns_thread_io.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "dns/message.h"

#define BATCHES_A_TURN 8 /* then other sockets have their turn */
#define STACK_BYTES ((size_t)512 * 1024)

struct dns_thread {
	struct handover *handover;
	struct rate *rate;
	struct prepared *prepared; /* owned */
	struct batch *batch;       /* owned */
	struct pollfd *polls;      /* owned: the one that ends it, then the sockets, owned too */
	size_t count, cap;
	struct dns_stats stats;
	pthread_t id;
	bool runs;
	_Atomic bool ends;
};

/* The bytes written to room; 0: somebody else answers, or nobody. */
static size_t
query_answer(struct dns_thread *t, int fd, unsigned i, uint32_t serial, void *room)
{
	struct str query = batch_query(t->batch, i);
	struct prepared_key key;
	unsigned variant = 0;
	bool cut = false, worth = false;
	size_t n = 0;

	if (prepared_key_read(query, &key)) {
		n = prepared_answer(
		    t->prepared, &key, query, serial, room, PREPARED_PACKET_MAX, &variant, &cut);
		worth = n == 0 && prepared_is_worth(t->prepared, &key, variant);
	}
	if (n > 0) {
		dns_stats_up(&t->stats.queries, 1);
		dns_stats_count(&t->stats, key.type, ((const uint8_t *)room)[3] & 0xf, cut);
	} else if (!handover_ask(t->handover, t->batch, i, fd, variant, worth)) {
		dns_stats_up(&t->stats.dropped, 1);
	}
	return n;
}

static void
batch_answer(struct dns_thread *t, int fd, unsigned count)
{
	nsec wall = batch_wall();
	uint32_t serial = (uint32_t)(wall / NSEC_SEC);

	handover_keep(t->handover, t->prepared);
	for (unsigned i = 0; i < count; i++) {
		void *room = batch_reply_room(t->batch, fd, PREPARED_PACKET_MAX);
		size_t n = 0;

		switch (batch_verdict(t->batch, i, wall, t->rate)) {
		case BATCH_ANSWER:
			n = query_answer(t, fd, i, serial, room);
			break;
		case BATCH_SLIP:
			n = dns_answer_slip(batch_query(t->batch, i), room, PREPARED_PACKET_MAX);
			break;
		case BATCH_DROP:
			break;
		}
		if (n > 0)
			batch_reply(t->batch, i, n);
	}
	batch_send(t->batch, fd);
	handover_wake(t->handover);
}

static void
socket_serve(struct dns_thread *t, int fd)
{
	for (int turn = 0; turn < BATCHES_A_TURN; turn++) {
		int n = batch_receive(t->batch, fd);

		if (n <= 0)
			return;
		batch_answer(t, fd, (unsigned)n);
		if (n < BATCH)
			return;
	}
}

/* With a single socket the wait for it is the receiving itself. */
static void *
thread_run_single(void *arg)
{
	struct dns_thread *t = arg;
	int fd = t->polls[1].fd;

	for (;;) {
		int n = batch_wait(t->batch, fd);

		if (atomic_load(&t->ends))
			return NULL;
		if (n > 0)
			batch_answer(t, fd, (unsigned)n);
	}
}

static void *
thread_run(void *arg)
{
	struct dns_thread *t = arg;

	for (;;) {
		(void)poll(t->polls, t->count, -1);
		if (t->polls[0].revents != 0)
			return NULL;
		for (size_t i = 1; i < t->count; i++)
			if (t->polls[i].revents != 0)
				socket_serve(t, t->polls[i].fd);
	}
}

struct dns_thread *
dns_thread_new(const struct marks *marks, struct handover *handover,
    const struct dns_shared *shared, uint64_t seed)
{
	struct dns_thread *t = mem_new(struct dns_thread);

	t->handover = handover;
	t->rate = shared->rate;
	t->prepared = prepared_new(marks, seed, PREPARED_BYTES_MAX);
	t->batch = batch_new((size_t)BATCH * PREPARED_PACKET_MAX, &t->stats, shared->logs);
	dns_thread_add(t, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	return t;
}

void
dns_thread_free(struct dns_thread *t)
{
	if (t == NULL)
		return;
	dns_thread_stop(t);
	for (size_t i = 0; i < t->count; i++)
		(void)close(t->polls[i].fd);
	free(t->polls);
	prepared_free(t->prepared);
	batch_free(t->batch);
	free(t);
}

void
dns_thread_add(struct dns_thread *t, int fd)
{
	assert(!t->runs);
	t->polls = mem_grow(t->polls, t->count, &t->cap, sizeof t->polls[0]);
	t->polls[t->count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

static bool
is_single(const struct dns_thread *t)
{
	return t->count == 2;
}

/* Signals are the main thread's. */
int
dns_thread_start(struct dns_thread *t, struct err *err)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int rc;

	if (t->polls[0].fd < 0)
		return err_errno(err, "dns: eventfd");
	if (is_single(t) && fcntl(t->polls[1].fd, F_SETFL, 0) != 0)
		return err_errno(err, "dns: a socket that waits");
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&t->id, &attr, is_single(t) ? thread_run_single : thread_run, t);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	if (rc != 0)
		return err_set(err, ERR_IO, "dns: cannot start a thread (error %d)", rc);
	t->runs = true;
	return 0;
}

void
dns_thread_stop(struct dns_thread *t)
{
	const uint64_t one = 1;

	if (!t->runs)
		return;
	atomic_store(&t->ends, true);
	if (is_single(t)) /* wakes who receives, although it is not connected and says so */
		(void)shutdown(t->polls[1].fd, SHUT_RD);
	else
		(void)!write(t->polls[0].fd, &one, sizeof one);
	(void)pthread_join(t->id, NULL);
	t->runs = false;
}

void
dns_thread_stats(const struct dns_thread *t, struct dns_stats *stats)
{
	dns_stats_add(stats, &t->stats);
}
