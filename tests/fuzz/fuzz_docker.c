/* tests/fuzz/fuzz_docker.c -- the Docker core against an engine that says anything.
 *
 * Input: pieces, each a byte that says what it is, two bytes of length (big endian), and the
 * bytes. 0: of the event stream; 1-4: answer to the oldest request with status 200, 404, 500,
 * 0; 5: lost; 6: time goes by, the length in milliseconds; 7: resync. The input's length chooses
 * what is switched on. The engine's first
 * answers are given. Invariants: what is registered is never registered a second time when
 * equal, and whatever is removed was registered; checks belong to registered services.
 */
#include "base/cursor.h"
#include "tests/fuzz/fuzz.h"
#include "watcher/docker.h"

#define FUZZ_IDS 256
#define FUZZ_ASKED 64

struct world {
	struct docker *docker;
	struct now now;
	uint64_t asked[FUZZ_ASKED];
	size_t asked_count;
	uint64_t services[FUZZ_IDS]; /* hashes of ids */
	size_t service_count;
};

static uint64_t
hash(struct str s)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
	return h;
}

static size_t
find(const struct world *w, uint64_t id)
{
	size_t i = 0;

	while (i < w->service_count && w->services[i] != id)
		i++;
	return i;
}

static void
take_news(struct world *w, const struct docker_news *n)
{
	uint64_t id = hash(n->service.id);
	size_t at = find(w, id);

	switch (n->kind) {
	case DOCKER_NEWS_SERVICE:
		if (at == w->service_count && at < FUZZ_IDS)
			w->services[w->service_count++] = id;
		break;
	case DOCKER_NEWS_REMOVE:
		FUZZ_ASSERT(at < w->service_count || w->service_count == FUZZ_IDS);
		if (at < w->service_count)
			w->services[at] = w->services[--w->service_count];
		break;
	case DOCKER_NEWS_CHECK:
	case DOCKER_NEWS_CHECK_REMOVE:
		FUZZ_ASSERT(at < w->service_count || w->service_count == FUZZ_IDS);
		FUZZ_ASSERT(n->check_id.n > 0);
		break;
	default:
		break;
	}
}

static void
drain(struct world *w)
{
	struct docker_action a;
	struct docker_news n;

	while (docker_action_next(w->docker, &a)) {
		if (a.kind == DOCKER_GET && w->asked_count < FUZZ_ASKED)
			w->asked[w->asked_count++] = a.request;
		else if (a.kind == DOCKER_STREAM)
			docker_connected(w->docker, w->now);
		else if (a.kind == DOCKER_STREAM_CLOSE)
			w->asked_count = 0;
	}
	while (docker_news_next(w->docker, &n))
		take_news(w, &n);
}

static void
answer(struct world *w, int status, struct str body)
{
	uint64_t request;

	if (w->asked_count == 0)
		return;
	request = w->asked[0];
	memmove(w->asked, w->asked + 1, --w->asked_count * sizeof w->asked[0]);
	docker_answer(w->docker, w->now, request, status, body);
	drain(w);
}

static void
piece(struct world *w, unsigned kind, struct str bytes)
{
	static const int statuses[] = { 200, 404, 500, 0 };

	if (kind == 0)
		docker_event_bytes(w->docker, w->now, bytes);
	else if (kind <= 4)
		answer(w, statuses[kind - 1], bytes);
	else if (kind == 5)
		docker_lost(w->docker, w->now, bytes);
	else if (kind == 7)
		docker_resync(w->docker, w->now);
	drain(w);
	if (kind == 6)
		w->now.mono += (nsec)bytes.n * NSEC_MS;
	for (int i = 0; i < 4 && docker_deadline(w->docker) <= w->now.mono; i++) {
		docker_tick(w->docker, w->now);
		drain(w);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct docker_config config = {
		.rules = { .host = STR("h"), .ip = STR("10.0.0.1"), .tags = STR("{{.Name}}") },
		.drain = 60 * NSEC_SEC
	};
	const struct docker_agent agent = { STR("h"), STR("10.83.17.1") };
	struct world w = { .now = { NSEC_SEC, 1000000 } };
	struct reader r = rd_of(str_mem(data, size));

	config.deregister = size % 2 == 0 ? DOCKER_DEREGISTER_ALWAYS : DOCKER_DEREGISTER_ON_SUCCESS;
	config.remote = size % 4 == 3;
	w.docker = docker_new(&config, w.now);
	drain(&w);
	docker_agents(w.docker, w.now, &agent, 1);
	answer(&w, 200, STR("{\"ApiVersion\":\"1.41\"}"));
	while (rd_left(&r) > 0) {
		unsigned kind = rd_u8(&r) % 8;
		size_t n = rd_be16(&r);

		piece(&w, kind, rd_str(&r, n < rd_left(&r) ? n : rd_left(&r)));
	}
	docker_free(w.docker);
	return 0;
}
