/* dns/dns_handover.c -- two arrays that change places, and a list. */
#include "dns/dns_handover.h"

#include <pthread.h>
#include <unistd.h>

#include "base/mem.h"

struct handover {
	int wake;
	pthread_mutex_t lock; /* for all below, but for `taken`, which is the loop's, and `due` */
	struct handed *asked; /* owned: HANDOVER_MAX; memory that was never used costs nothing */
	struct handed *taken; /* owned: the same */
	unsigned asked_count;
	bool due; /* the thread's: the loop does not know yet */
	TAILQ_HEAD(given, prepared_answer) given;
	_Atomic bool any_given; /* so that the thread need not lock to see that there is nothing */
};

struct handover *
handover_new(int wake)
{
	struct handover *h = mem_new(struct handover);

	h->wake = wake;
	(void)pthread_mutex_init(&h->lock, NULL);
	h->asked = mem_alloc(HANDOVER_MAX * sizeof h->asked[0]);
	h->taken = mem_alloc(HANDOVER_MAX * sizeof h->taken[0]);
	TAILQ_INIT(&h->given);
	return h;
}

void
handover_free(struct handover *h)
{
	struct prepared_answer *a;

	if (h == NULL)
		return;
	while ((a = TAILQ_FIRST(&h->given)) != NULL) {
		TAILQ_REMOVE(&h->given, a, age);
		free(a);
	}
	(void)pthread_mutex_destroy(&h->lock);
	free(h->asked);
	free(h->taken);
	free(h);
}

bool
handover_ask(
    struct handover *h, const struct batch *batch, unsigned i, int fd, unsigned variant, bool keeps)
{
	unsigned at;

	(void)pthread_mutex_lock(&h->lock);
	at = h->asked_count;
	if (at < HANDOVER_MAX) {
		struct handed *to = &h->asked[at];
		struct str query = batch_query(batch, i);

		batch_peer(batch, i, &to->peer);
		to->fd = fd;
		to->came = batch_came(batch, i);
		to->variant = variant;
		to->keeps = keeps;
		to->n = query.n;
		memcpy(to->packet, query.p, query.n);
		h->asked_count++;
	}
	(void)pthread_mutex_unlock(&h->lock);
	h->due = h->due || at == 0;
	return at < HANDOVER_MAX;
}

void
handover_wake(struct handover *h)
{
	const uint64_t one = 1;

	if (!h->due)
		return;
	h->due = false;
	(void)!write(h->wake, &one, sizeof one);
}

void
handover_keep(struct handover *h, struct prepared *prepared)
{
	struct given given = TAILQ_HEAD_INITIALIZER(given);
	struct prepared_answer *a;

	if (!atomic_load_explicit(&h->any_given, memory_order_relaxed))
		return;
	(void)pthread_mutex_lock(&h->lock);
	TAILQ_CONCAT(&given, &h->given, age);
	atomic_store_explicit(&h->any_given, false, memory_order_relaxed);
	(void)pthread_mutex_unlock(&h->lock);
	while ((a = TAILQ_FIRST(&given)) != NULL) {
		TAILQ_REMOVE(&given, a, age);
		prepared_add(prepared, a);
	}
}

unsigned
handover_take(struct handover *h, struct handed **out)
{
	struct handed *spare = h->taken;
	unsigned count;

	(void)pthread_mutex_lock(&h->lock);
	count = h->asked_count;
	h->taken = h->asked;
	h->asked = spare;
	h->asked_count = 0;
	(void)pthread_mutex_unlock(&h->lock);
	*out = h->taken;
	return count;
}

void
handover_give(struct handover *h, struct prepared_answer *a)
{
	(void)pthread_mutex_lock(&h->lock);
	TAILQ_INSERT_TAIL(&h->given, a, age);
	atomic_store_explicit(&h->any_given, true, memory_order_relaxed);
	(void)pthread_mutex_unlock(&h->lock);
}
