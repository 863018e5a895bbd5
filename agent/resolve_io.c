/* agent/resolve_io.c -- c-ares driven by libevent.
 *
 * In order: questions, the channel, answers. A question cannot be taken back from
 * c-ares one by one, so one that is cancelled stays until its answer comes, unheard. The channel
 * is made at the first name, and anew when resolv.conf has changed and nothing is under way.
 */
#include "agent/resolve_io.h"

#include <bsd/sys/queue.h>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/ares_io.h"
#include "base/mem.h"

#define RESOLVE_TRY_MS 2000 /* for each server and try */
#define RESOLVE_TRIES 3
#define RESOLVE_CONF "/etc/resolv.conf"

struct resolve {
	LIST_ENTRY(resolve) link;
	resolve_done *done; /* NULL: cancelled, or answered */
	void *arg;
};

struct resolver {
	struct event_base *base;
	struct ares_io *ares; /* NULL: not made yet */
	struct timespec conf_time; /* of resolv.conf as it was read */
	LIST_HEAD(, resolve) questions;
};

/* ---- the channel ---- */

static void
resolver_close(struct resolver *r)
{
	ares_io_free(r->ares); /* answers all questions */
	r->ares = NULL;
}

static bool
resolver_open(struct resolver *r)
{
	struct ares_options options = { .timeout = RESOLVE_TRY_MS, .tries = RESOLVE_TRIES };
	struct stat st = { 0 };

	stat(RESOLVE_CONF, &st); /* absent is an answer, too */
	if (r->ares != NULL && LIST_EMPTY(&r->questions) &&
	    (st.st_mtim.tv_sec != r->conf_time.tv_sec ||
		st.st_mtim.tv_nsec != r->conf_time.tv_nsec))
		resolver_close(r);
	if (r->ares != NULL)
		return true;
	r->conf_time = st.st_mtim;
	r->ares = ares_io_new(r->base, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
	return r->ares != NULL;
}

struct resolver *
resolver_new(struct event_base *base)
{
	struct resolver *r = mem_new(struct resolver);

	r->base = base;
	LIST_INIT(&r->questions);
	return r;
}

void
resolver_free(struct resolver *r)
{
	struct resolve *q;

	if (r == NULL)
		return;
	LIST_FOREACH (q, &r->questions, link)
		q->done = NULL;
	resolver_close(r);
	free(r);
}

/* ---- answers ---- */

static const char *
resolve_fault(int status)
{
	switch (status) {
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
	case ARES_EBADNAME:
		return "no such host";
	case ARES_ETIMEOUT:
		return "i/o timeout";
	case ARES_ECONNREFUSED:
		return "connection refused";
	default:
		return ares_strerror(status);
	}
}

static void
resolve_answered(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolve *q = arg;
	resolve_done *done = q->done;
	struct addr addrs[RESOLVE_ADDRS_MAX];
	size_t n = 0;

	(void)timeouts;
	if (info != NULL) {
		for (struct ares_addrinfo_node *a = info->nodes; a != NULL && n < RESOLVE_ADDRS_MAX;
		     a = a->ai_next)
			if (addr_from_sockaddr(a->ai_addr, &addrs[n])) {
				addrs[n].port = 0;
				n++;
			}
		ares_freeaddrinfo(info);
	}
	LIST_REMOVE(q, link);
	q->done = NULL;
	if (done != NULL)
		done(q->arg, addrs, n, n > 0 ? NULL : resolve_fault(status));
	free(q);
}

/* While resolve_start() is inside c-ares: the question may be answered, and gone, at once. */
struct resolve_call {
	resolve_done *done;
	void *arg;
	bool answered;
};

static void
resolve_call_done(void *arg, const struct addr *addrs, size_t count, const char *why)
{
	struct resolve_call *call = arg;

	call->answered = true;
	call->done(call->arg, addrs, count, why);
}

struct resolve *
resolve_start(struct resolver *r, struct str host, resolve_done *done, void *arg)
{
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct resolve_call call = { done, arg, false };
	struct resolve *q;
	char *name;

	if (host.n == 0 || memchr(host.p, '\0', host.n) != NULL) {
		done(arg, NULL, 0, "no such host");
		return NULL;
	}
	if (!resolver_open(r)) {
		done(arg, NULL, 0, "no resolver");
		return NULL;
	}
	q = mem_new(struct resolve);
	q->done = resolve_call_done;
	q->arg = &call;
	LIST_INSERT_HEAD(&r->questions, q, link);
	name = str_dup(host);
	ares_getaddrinfo(ares_io_channel(r->ares), name, NULL, &hints, resolve_answered, q);
	free(name);
	if (call.answered)
		return NULL;
	q->done = done;
	q->arg = arg;
	ares_io_arm(r->ares);
	return q;
}

void
resolve_cancel(struct resolve *q)
{
	if (q != NULL)
		q->done = NULL;
}
