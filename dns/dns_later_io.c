/* dns/dns_later_io.c -- peers, kept until their answers are there. Their number is limited by
 * recurse_io. */
#include "dns/dns_later_io.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>

#include "base/mem.h"

struct later_asker {
	LIST_ENTRY(later_asker) link;
	struct later *later;
	struct recurse_ask *ask;
	struct batch_peer peer;
	int fd;
	nsec came;
};

struct later {
	struct recurse *recurse;
	struct batch *batch;
	LIST_HEAD(, later_asker) askers;
};

struct later *
later_new(struct recurse *recurse, struct batch *batch)
{
	struct later *l = mem_new(struct later);

	l->recurse = recurse;
	l->batch = batch;
	LIST_INIT(&l->askers);
	return l;
}

static void
asker_free(struct later_asker *w)
{
	LIST_REMOVE(w, link);
	free(w);
}

void
later_free(struct later *l)
{
	if (l == NULL)
		return;
	while (!LIST_EMPTY(&l->askers)) {
		recurse_cancel(LIST_FIRST(&l->askers)->ask);
		asker_free(LIST_FIRST(&l->askers));
	}
	free(l);
}

static void
on_answer(void *arg, struct str answer)
{
	struct later_asker *w = arg;
	struct batch *batch = w->later->batch;

	if (answer.n > 0) {
		memcpy(batch_reply_room(batch, w->fd, answer.n), answer.p, answer.n);
		batch_reply_to(batch, &w->peer, w->came, answer.n);
		batch_send(batch, w->fd);
	}
	asker_free(w);
}

size_t
later_ask(struct later *l, const struct batch_peer *peer, int fd, nsec came, struct str packet,
    void *room, size_t cap)
{
	struct later_asker *w;
	size_t n;

	if (!recurse_wanted(l->recurse))
		return 0;
	w = mem_new(struct later_asker);
	w->later = l;
	w->peer = *peer;
	w->fd = fd;
	w->came = came;
	LIST_INSERT_HEAD(&l->askers, w, link);
	n = recurse_ask(l->recurse, packet, false, room, cap, on_answer, w, &w->ask);
	if (w->ask == NULL)
		asker_free(w);
	return n;
}
