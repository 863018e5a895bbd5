/* User events as they come from the pool: the first byte says whether it is one of Consul's or of
 * serf's, the rest is the payload. What is kept reads as it was, and comes again when it is sent
 * on. */
#include "agent/pool/events.h"
#include "tests/fuzz/fuzz.h"

static void
fuzz_read_all(struct str s, size_t *sum)
{
	for (size_t i = 0; i < s.n; i++) /* a sanitizer sees what is gone */
		*sum += (uint8_t)s.p[i];
}

/* The last one kept, over the wire once more. */
static void
fuzz_again(struct events *events)
{
	struct user_event e = *events_at(events, events_count(events) - 1);
	struct serf_event from = { .ltime = e.ltime, .name = STR(EVENTS_NAME_PREFIX "x") };
	static uint8_t room[64 * 1024];
	struct writer w = wr_of(room, sizeof room);
	const struct user_event *again;
	size_t sum = 0;

	fuzz_read_all(e.name, &sum);
	fuzz_read_all(e.payload, &sum);
	fuzz_read_all(e.node_filter, &sum);
	fuzz_read_all(e.service_filter, &sum);
	fuzz_read_all(e.tag_filter, &sum);
	FUZZ_ASSERT(sum != SIZE_MAX);
	if (e.name.n == 0 || user_event_write(&w, &e, NULL) < 0)
		return;
	from.payload = wr_done(&w);
	FUZZ_ASSERT(events_input(events, &from));
	again = events_at(events, events_count(events) - 1);
	FUZZ_ASSERT(uuid_eq(&again->id, &e.id) && again->version == e.version);
	FUZZ_ASSERT(user_event_index(again) == user_event_index(&e));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct events_config config = { .node = STR("n1") };
	struct events *events = events_new(&config);
	struct serf_event e = { .ltime = 1, .name = STR(EVENTS_NAME_PREFIX "x") };
	struct events_stats stats;

	if (size > 0) {
		if (data[0] == 's')
			e.name = STR("deploy");
		e.payload = str_mem(data + 1, size - 1);
		if (events_input(events, &e))
			fuzz_again(events);
		stats = events_stats(events);
		FUZZ_ASSERT(stats.kept == events_count(events));
		FUZZ_ASSERT(stats.kept + stats.filtered + stats.malformed > 0);
	}
	events_free(events);
	return 0;
}
