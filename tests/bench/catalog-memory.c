/* tests/bench/catalog-memory.c -- what service instances cost: bytes each, and time to put one.
 *
 *     make tests/bench/catalog-memory && tests/bench/catalog-memory [INSTANCES [TAGS [META]]]
 *
 * Fills a store with instances (50,000), each with a check, tags (1) and meta values (0), spread
 * over a thousand names on one node; then prints PSS (the whole process) and CPU times.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kv/store.h"

static const struct uuid self = { { 1 } }, cluster = { { 9 } };
static size_t tag_count = 1, meta_count = 0;

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
pss_print(const char *when)
{
	char line[256];
	FILE *f = fopen("/proc/self/smaps_rollup", "r");

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "Pss:", 4) == 0)
			printf("%-22s %s", when, line);
	if (f != NULL)
		fclose(f);
}

static void
put(struct store *s, struct now now, unsigned i, const char *output)
{
	struct str tags[] = { STR("blue"), STR("v1"), STR("traefik.enable=true"), STR("http") };
	struct pair meta[] = { { STR("team"), STR("core") }, { STR("version"), STR("1.2.3") } };
	char id[64], name[32], check[80];
	struct service_info service = { .tags = tags,
		.tag_count = tag_count,
		.meta = meta,
		.meta_count = meta_count,
		.address = STR("10.0.0.1"),
		.port = 8080,
		.weight_passing = 1,
		.weight_warning = 1 };
	struct check_info c = { .name = STR("Service check"),
		.status = STR("passing"),
		.type = STR("ttl"),
		.output = str_of(output) };

	snprintf(id, sizeof id, "host-17:web-%06u:8080", i);
	snprintf(name, sizeof name, "service-%03u", i % 1000);
	snprintf(check, sizeof check, "service:%s", id);
	service.id = c.service_id = str_of(id);
	service.name = c.service_name = str_of(name);
	c.id = str_of(check);
	(void)store_put_service(s, now, &self, &service, NULL);
	(void)store_put_check(s, now, &self, &c, NULL);
}

static void
run(const char *what, struct store *s, struct now now, unsigned count, const char *output)
{
	double start = seconds(), took;

	for (unsigned i = 0; i < count; i++)
		put(s, now, i, output);
	took = seconds() - start;
	printf("%-22s %.2f s, %.0f pairs/s\n", what, took, count / took);
	pss_print(what);
}

int
main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 50000;
	struct now now = { 0, INDEX_EPOCH_MS + 1 };
	struct store_config config = {
		.self = self, .cluster = cluster, .epoch = { 1, 1 }, .limits = owner_limits_default
	};
	struct node_info node = { .name = STR("host-17"), .address = STR("10.0.0.1") };
	struct store *s = store_new(&config, now);

	if (argc > 2)
		tag_count = (size_t)atoi(argv[2]) % 5;
	if (argc > 3)
		meta_count = (size_t)atoi(argv[3]) % 3;
	pss_print("empty");
	(void)store_put_node(s, now, &self, &node, NULL);
	run("new", s, now, count, "HTTP GET http://10.0.0.1:8080/: 200 OK");
	store_baseline_end(s, now);
	run("equal", s, now, count, "HTTP GET http://10.0.0.1:8080/: 200 OK");
	run("changed output", s, now, count, "HTTP GET http://10.0.0.1:8080/: 204 OK");
	printf("%-22s %zu\n", "scopes", watch_scope_count(store_watches(s)));
	store_free(s);
	return 0;
}
