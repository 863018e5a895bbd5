/* tests/bench/docker-follow.c -- prints the news of a Docker engine, line by line.
 *
 *     docker-follow [unix:///path | tcp://host:port] [on-success]
 *
 * One line per piece of news: microseconds since Docker's own event (or -), kind, values.
 * For looking at what the watcher makes of an engine without an agent around it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "watcher/docker_io.h"

static const char *const kinds[] = { "service", "remove", "check", "check-remove", "synced", "away",
	"warn" };

static void
print_news(void *arg)
{
	struct docker *docker = arg;
	struct docker_news n;
	struct timespec ts;

	while (docker_news_next(docker, &n)) {
		clock_gettime(CLOCK_REALTIME, &ts);
		if (n.event_ns > 0)
			printf("%8lld ",
			    (long long)(ts.tv_sec * NSEC_SEC + ts.tv_nsec - n.event_ns) / 1000);
		else
			printf("       - ");
		printf("%-12s", kinds[n.kind]);
		if (n.service.id.n > 0)
			printf(" id=" STR_FMT " name=" STR_FMT, STR_ARG(n.service.id),
			    STR_ARG(n.service.name));
		if (n.kind == DOCKER_NEWS_SERVICE)
			printf(" at=" STR_FMT ":%u", STR_ARG(n.service.address), n.service.port);
		if (n.check_id.n > 0)
			printf(" check=" STR_FMT " status=%d", STR_ARG(n.check_id), n.check_status);
		if (n.text.n > 0)
			printf(" text=" STR_FMT, STR_ARG(n.text));
		printf("\n");
	}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct docker_config config = { .rules = { .host = STR("h"), .ip = STR("127.0.0.1") },
		.drain = 60 * NSEC_SEC };
	struct event_base *base = event_base_new();
	struct docker_endpoint endpoint;
	struct docker_io *io;
	struct docker *docker;
	struct arena arena;
	struct err err;

	log_level_set(LOG_LEVEL_DEBUG);
	arena_init(&arena, 1 << 20);
	if (argc > 2 && str_eq(str_of(argv[2]), STR("on-success")))
		config.deregister = DOCKER_DEREGISTER_ON_SUCCESS;
	if (!docker_endpoint_find(str_of(argc > 1 ? argv[1] : ""), &arena, &endpoint))
		return 0;
	docker = docker_new(&config, (struct now){ 0, 0 });
	if (docker_io_new(base, docker, &endpoint, print_news, docker, &io, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	event_base_dispatch(base);
	docker_io_free(io);
	docker_free(docker);
	arena_done(&arena);
	event_base_free(base);
	return 0;
}
