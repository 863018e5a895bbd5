/* tests/unit/docker_story.h -- an engine played by the test, and what the core says, as a story.
 *
 * Each feed is followed by draining: actions and news become lines of the story.
 *     > /v1.41/containers/aa/json        a GET      > stream /v1.41/events    > close
 *     service h:web:80 10.0.0.1:8080     remove h:web:80
 *     check docker-state:h:web:80 2 container is paused     uncheck docker-state:h:web:80
 *     synced     away WHY     warn TEXT
 * story() compares all lines since the last one. Time moves only by wait_for().
 */
#ifndef TESTS_UNIT_DOCKER_STORY_H
#define TESTS_UNIT_DOCKER_STORY_H

#include <stdlib.h>

#include "tests/unit/test.h"
#include "watcher/docker.h"

#define T0 1000 /* seconds since 1970 at which every story begins */

static struct docker *docker;
static struct docker_config config;
static struct now now;
static char told[64 * 1024];
static struct {
	uint64_t request;
	char path[256];
} asked[256];
static size_t asked_count;

static void __attribute__((format(printf, 1, 2))) tell(const char *fmt, ...)
{
	size_t n = strlen(told);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(told + n, sizeof told - n, fmt, ap);
	va_end(ap);
}

static void
tell_action(const struct docker_action *a)
{
	struct str path = a->path, filters = STR("filters=");
	const char *at = a->path.n == 0 ? NULL : strstr(a->path.p, filters.p);

	if (at != NULL)
		path.n = (size_t)(at - path.p);
	if (a->kind == DOCKER_STREAM_CLOSE) {
		asked_count = 0;
		tell("> close\n");
		return;
	}
	tell("> %s" STR_FMT "\n", a->kind == DOCKER_STREAM ? "stream " : "", STR_ARG(path));
	if (a->kind == DOCKER_GET) {
		assert_true(asked_count < sizeof asked / sizeof asked[0]);
		asked[asked_count].request = a->request;
		snprintf(asked[asked_count++].path, sizeof asked[0].path, STR_FMT, STR_ARG(path));
	}
}

static void
tell_news(const struct docker_news *n)
{
	switch (n->kind) {
	case DOCKER_NEWS_SERVICE:
		tell("service " STR_FMT " " STR_FMT ":%u\n", STR_ARG(n->service.id),
		    STR_ARG(n->service.address), n->service.port);
		break;
	case DOCKER_NEWS_REMOVE:
		tell("remove " STR_FMT "\n", STR_ARG(n->service.id));
		break;
	case DOCKER_NEWS_CHECK:
		tell("check " STR_FMT " %d " STR_FMT "\n", STR_ARG(n->check_id), n->check_status,
		    STR_ARG(n->text));
		break;
	case DOCKER_NEWS_CHECK_REMOVE:
		tell("uncheck " STR_FMT "\n", STR_ARG(n->check_id));
		break;
	case DOCKER_NEWS_SYNCED:
		tell("synced\n");
		break;
	case DOCKER_NEWS_AWAY:
		tell("away " STR_FMT "\n", STR_ARG(n->text));
		break;
	case DOCKER_NEWS_WARN:
		tell("warn " STR_FMT "\n", STR_ARG(n->text));
		break;
	}
}

static void
drain(void)
{
	struct docker_action a;
	struct docker_news n;

	while (docker_action_next(docker, &a))
		tell_action(&a);
	while (docker_news_next(docker, &n))
		tell_news(&n);
}

static void
story(const char *want)
{
	if (strcmp(told, want) != 0) {
		print_error("told:\n%swanted:\n%s", told, want);
		fail();
	}
	told[0] = '\0';
}

static void
forget(void) /* what was told so far */
{
	told[0] = '\0';
}

/* Answers the oldest request whose path ends so. */
static void
answer(const char *suffix, int status, const char *body)
{
	for (size_t i = 0; i < asked_count; i++) {
		uint64_t request = asked[i].request;

		if (!str_ends(str_of(asked[i].path), str_of(suffix)))
			continue;
		memmove(&asked[i], &asked[i + 1], (--asked_count - i) * sizeof asked[0]);
		docker_answer(docker, now, request, status, str_of(body));
		drain();
		return;
	}
	fail_msg("nobody asked for %s", suffix);
}

static void
bytes(const char *text)
{
	docker_event_bytes(docker, now, str_of(text));
	drain();
}

/* Time goes by; the core's timers run when they are due. */
static void
wait_for(nsec span)
{
	nsec end = now.mono + span;

	while (docker_deadline(docker) <= end) {
		nsec at = docker_deadline(docker);

		if (at > now.mono) {
			now.wall_ms += (at - now.mono) / NSEC_MS;
			now.mono = at;
		}
		docker_tick(docker, now);
		drain();
	}
	now.wall_ms += (end - now.mono) / NSEC_MS;
	now.mono = end;
}

/* An event of this moment; `attributes` begins with a comma, or is empty. */
static const char *
event_text(const char *action, const char *id, const char *attributes)
{
	static char text[4096];

	snprintf(text, sizeof text,
	    "{\"status\":\"%s\",\"id\":\"%s\",\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{"
	    "\"ID\":\"%s\",\"Attributes\":{\"image\":\"web\"%s}},\"timeNano\":%lld}\n",
	    action, id, action, id, attributes, (long long)now.wall_ms * 1000000);
	return text;
}

static void
event(const char *action, const char *id, const char *attributes)
{
	wait_for(NSEC_MS);
	bytes(event_text(action, id, attributes));
}

/* A description of a running container with port 80 on a host port, started `started`
 * seconds after T0. `config_more` and `state_more` begin with a comma, or are empty. */
static const char *
running(const char *id, const char *name, int port, int started, const char *config_more,
    const char *state_more)
{
	static char text[8192];
	int s = T0 + started;

	snprintf(text, sizeof text,
	    "{\"Id\":\"%s\",\"Name\":\"/"
	    "%s\",\"Config\":{\"Image\":\"web\"%s},\"State\":{\"Running\":true,"
	    "\"StartedAt\":\"1970-01-01T%02d:%02d:%02d.5Z\"%s},\"HostConfig\":{\"NetworkMode\":"
	    "\"default\"},\"NetworkSettings\":{\"IPAddress\":\"172.17.0.2\",\"Ports\":{\"80/"
	    "tcp\":[{"
	    "\"HostIp\":\"0.0.0.0\",\"HostPort\":\"%d\"}]}}}",
	    id, name, config_more, s / 3600, s / 60 % 60, s % 60, state_more, port);
	return text;
}

static const char *
ended(const char *id, int code)
{
	static char text[1024];

	snprintf(text, sizeof text,
	    "{\"Id\":\"%s\",\"Name\":\"/x\",\"State\":{\"Running\":false,\"ExitCode\":%d}}", id,
	    code);
	return text;
}

/* An engine that is reached and lists these: `[{"Id":"aa","State":"running"}]`. */
static void
reach(const char *list)
{
	answer("/version", 200, "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}");
	docker_connected(docker, now);
	drain();
	answer(config.deregister == DOCKER_DEREGISTER_ALWAYS ? "containers/json" : "json?all=1",
	    200, list);
}

/* An engine with one container, aa, known as web since second 10; the story is empty. */
static void
reach_one(const char *config_more, const char *state_more)
{
	wait_for(20 * NSEC_SEC);
	reach("[{\"Id\":\"aa\",\"State\":\"running\"}]");
	answer("/containers/aa/json", 200, running("aa", "web", 8080, 10, config_more, state_more));
	forget();
}

static void
begin(void)
{
	now = (struct now){ 5 * NSEC_SEC, T0 * 1000 };
	asked_count = 0;
	forget();
	docker = docker_new(&config, now);
	drain();
}

static int
setup(void **unused)
{
	(void)unused;
	config = (struct docker_config){ .rules = { .host = STR("h"), .ip = STR("10.0.0.1") },
		.drain = 60 * NSEC_SEC };
	begin();
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	docker_free(docker);
	return 0;
}

#define story_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
