/* gossip/serf_event.c -- user events: each delivered once, in a ring of 512 Lamport times.
 *
 * A slot holds all events of one time; the same name and payload there has been seen. The ring goes
 * into every push/pull, so it is bounded in bytes: over that the oldest times are forgotten.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "gossip/serf_private.h"

static void
slot_clear(struct serf *s, struct slot *slot)
{
	for (size_t i = 0; i < slot->count; i++) {
		blob_unref(slot->events[i].name);
		blob_unref(slot->events[i].payload);
	}
	free(slot->events);
	s->event_bytes -= slot->bytes;
	*slot = (struct slot){ 0 };
}

static bool
slot_holds(const struct slot *slot, const struct serf_event *e)
{
	for (size_t i = 0; i < slot->count; i++)
		if (str_eq(blob_str(slot->events[i].name), e->name) &&
		    str_eq(blob_str(slot->events[i].payload), e->payload))
			return true;
	return false;
}

/* Makes room by forgetting the oldest time; never the one that is filled now. */
static bool
ring_room(struct serf *s, const struct slot *filled, size_t n)
{
	while (s->event_bytes + n > SERF_RING_BYTES_MAX) {
		struct slot *oldest = NULL;

		for (size_t i = 0; i < SERF_EVENT_RING; i++) {
			struct slot *at = &s->events[i];

			if (at != filled && at->count > 0 &&
			    (oldest == NULL || at->ltime < oldest->ltime))
				oldest = at;
		}
		if (oldest == NULL)
			return false;
		slot_clear(s, oldest);
	}
	return true;
}

static struct slot_event *
slot_add(struct serf *s, struct slot *slot, const struct serf_event *e)
{
	struct slot_event *at;
	size_t bytes = e->name.n + e->payload.n;

	if (slot->count >= SERF_SLOT_MAX || !ring_room(s, slot, bytes)) {
		s->stats.dropped++;
		return NULL;
	}
	if (slot->count == slot->room)
		slot->events =
		    mem_grow(slot->events, slot->count, &slot->room, sizeof *slot->events);
	at = &slot->events[slot->count++];
	at->name = blob_new(e->name);
	at->payload = e->payload_nil ? NULL : blob_new(e->payload);
	slot->bytes += bytes;
	s->event_bytes += bytes;
	return at;
}

static void
event_tell(struct serf *s, const struct slot_event *e, uint64_t ltime, bool cc)
{
	struct serf_action *a = serf_act(s, SERF_TELL_EVENT);

	if (a == NULL)
		return;
	a->event = (struct serf_event){ .ltime = ltime,
		.name = blob_str(e->name),
		.payload = blob_str(e->payload),
		.payload_nil = e->payload == NULL,
		.cc = cc };
	serf_spend(s, blob_ref(e->name));
	if (e->payload != NULL)
		serf_spend(s, blob_ref(e->payload));
}

bool
serf_event_take(struct serf *s, const struct serf_event *e)
{
	struct slot *slot = &s->events[e->ltime % SERF_EVENT_RING];
	struct slot_event *kept;

	if (!serf_witness(s, &s->clock.event, e->ltime))
		return false;
	if (e->ltime < s->event_min || e->ltime + SERF_EVENT_RING < s->clock.event) {
		s->stats.stale++;
		return false;
	}
	if (slot->count > 0 && slot->ltime == e->ltime && slot_holds(slot, e)) {
		s->stats.repeated++;
		return false;
	}
	if (slot->ltime != e->ltime)
		slot_clear(s, slot);
	slot->ltime = e->ltime;
	kept = slot_add(s, slot, e);
	if (kept == NULL)
		return false;
	s->stats.events++;
	event_tell(s, kept, e->ltime, e->cc);
	return true;
}

int
serf_event_fire(
    struct serf *s, nsec now, struct str name, struct str payload, bool cc, struct err *err)
{
	uint8_t room[SERF_MESSAGE_MAX];
	struct serf_message m = { .type = SERF_USER_EVENT,
		.u.event = { .ltime = s->clock.event,
		    .name = name,
		    .payload = payload,
		    .payload_nil = payload.p == NULL,
		    .cc = cc } };
	struct str bytes;

	serf_begin(s, now);
	if (name.n + payload.n > SERF_EVENT_SIZE_MAX)
		return err_set(err, ERR_LIMIT,
		    "the event's name and payload have %zu bytes, the limit is %d",
		    name.n + payload.n, SERF_EVENT_SIZE_MAX);
	if (serf_encode(&m, room, sizeof room, &bytes, err) < 0)
		return ERR_LIMIT;
	if (!serf_event_take(s, &m.u.event))
		return err_set(err, ERR_LIMIT, "too many events at once");
	serf_pass_on(s, SERF_EVENTS, bytes, 0);
	return 0;
}

void
serf_events_list(const struct serf *s, struct arena *arena, struct serf_push_pull *out)
{
	out->ring = SERF_EVENT_RING;
	out->slots = arena_array(arena, struct serf_event_slot, SERF_EVENT_RING);
	for (size_t i = 0; i < SERF_EVENT_RING && out->slots != NULL; i++) {
		const struct slot *from = &s->events[i];
		struct serf_event *events =
		    from->count == 0 ? NULL : arena_array(arena, struct serf_event, from->count);

		if (events == NULL)
			continue;
		for (size_t k = 0; k < from->count; k++) {
			events[k].name = blob_str(from->events[k].name);
			events[k].payload = blob_str(from->events[k].payload);
			events[k].payload_nil = from->events[k].payload == NULL;
		}
		out->slots[out->slot_count++] =
		    (struct serf_event_slot){ from->ltime, events, from->count };
	}
}

void
serf_events_done(struct serf *s)
{
	for (size_t i = 0; i < SERF_EVENT_RING; i++)
		slot_clear(s, &s->events[i]);
}
