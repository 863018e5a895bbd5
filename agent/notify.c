/* agent/notify.c -- see notify.h. A short queue of texts, and one deadline.
 *
 * A reload before READY=1, or during the end, is not told: the READY=1 behind it would say too
 * much.
 */
#include "agent/notify.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum notify_state { NOTIFY_STARTING, NOTIFY_READY, NOTIFY_RELOADING, NOTIFY_STOPPING };

struct notify {
	enum notify_state state;
	nsec watchdog; /* between two signs of life; 0: none are wanted */
	nsec deadline;
	size_t first, count; /* of the queue, a ring */
	char texts[NOTIFY_QUEUE_MAX][NOTIFY_MESSAGE_MAX];
	char dropped[NOTIFY_MESSAGE_MAX]; /* what had no room */
};

static char *
notify_slot(struct notify *n)
{
	if (n->count == NOTIFY_QUEUE_MAX)
		return n->dropped;
	return n->texts[(n->first + n->count++) % NOTIFY_QUEUE_MAX];
}

struct notify *
notify_new(nsec now, nsec watchdog)
{
	struct notify *n = mem_new(struct notify);

	n->watchdog = watchdog / 2;
	n->deadline = n->watchdog > 0 ? now : NSEC_NEVER;
	snprintf(notify_slot(n), NOTIFY_MESSAGE_MAX,
	    "STATUS=Waits for what runs here and for other agents.");
	return n;
}

void
notify_free(struct notify *n)
{
	free(n);
}

void
notify_ready(struct notify *n, size_t members)
{
	if (n->state != NOTIFY_STARTING)
		return;
	n->state = NOTIFY_READY;
	snprintf(notify_slot(n), NOTIFY_MESSAGE_MAX,
	    "READY=1\nSTATUS=Ready, %zu member%s at first.", members, members == 1 ? "" : "s");
}

void
notify_reloading(struct notify *n, nsec now)
{
	if (n->state != NOTIFY_READY)
		return;
	n->state = NOTIFY_RELOADING;
	snprintf(notify_slot(n), NOTIFY_MESSAGE_MAX, "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)(now / NSEC_US));
}

void
notify_reloaded(struct notify *n)
{
	if (n->state != NOTIFY_RELOADING)
		return;
	n->state = NOTIFY_READY;
	snprintf(notify_slot(n), NOTIFY_MESSAGE_MAX, "READY=1");
}

void
notify_stopping(struct notify *n)
{
	if (n->state == NOTIFY_STOPPING)
		return;
	n->state = NOTIFY_STOPPING;
	snprintf(notify_slot(n), NOTIFY_MESSAGE_MAX, "STOPPING=1\nSTATUS=Stops.");
}

void
notify_tick(struct notify *n, nsec now)
{
	if (now < n->deadline)
		return;
	snprintf(notify_slot(n), NOTIFY_MESSAGE_MAX, "WATCHDOG=1");
	n->deadline = now + n->watchdog;
}

nsec
notify_deadline(const struct notify *n)
{
	return n->deadline;
}

bool
notify_message_next(struct notify *n, struct str *out)
{
	if (n->count == 0)
		return false;
	*out = str_of(n->texts[n->first]);
	n->first = (n->first + 1) % NOTIFY_QUEUE_MAX;
	n->count--;
	return true;
}
