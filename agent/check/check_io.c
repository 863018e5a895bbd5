/* agent/check/check_io.c -- the core's actions carried out, and results brought home.
 *
 * In order: probes, results, actions, which checks there are, alias checks, time, making.
 *
 *     local's news -> check_run_put() -> START -> a probe in a shell -> done
 *       -> check_run_input() -> local_check_report() -> changed()
 *
 * A probe holds a copy of the definition it began with; local's own may change meanwhile. Alias
 * checks run nothing: they are looked at again when the scopes they read have moved.
 */
#include "agent/check/check_io.h"

#include "agent/check/check_alias.h"
#include "agent/check/check_exec_io.h"
#include "agent/check/check_http_io.h"
#include "agent/check/check_tcp_io.h"
#include "agent/loop.h"
#include "base/log.h"
#include "base/mem.h"

#define CHECK_TIMEOUT (10 * NSEC_SEC)        /* Consul's, when none is given */
#define CHECK_SCRIPT_TIMEOUT (30 * NSEC_SEC) /* likewise, of programs */
#define CHECK_NET_MAX 4096                   /* connections at a time */
#define CHECK_NET_MIN 64
#define CHECK_PROCESS_MAX 256 /* programs at a time */
#define ALIAS_ROUNDS 8        /* of aliases that follow aliases, in one step */

struct run {
	struct probe probe;
	RB_ENTRY(run) link;
	struct check_io *io;
	uint64_t number;
	const struct probe_kind *kind;
	void *shell;
	struct check_def def; /* owned copy */
	void *memory;
};

struct alias {
	LIST_ENTRY(alias) link;
	uint64_t seen; /* index of what it has read; 0: never */
	char *id;
};

RB_HEAD(run_tree, run);

struct check_io {
	struct check_io_config config;
	struct check_run *core;
	struct loop_timer *timer;
	struct resolver *resolver;
	struct fetcher *fetcher;
	struct check_tcp_io tcp;
	struct check_http_io http;
	struct check_exec_io *exec;
	struct run_tree runs;
	LIST_HEAD(, alias) aliases;
	bool stepping; /* inside check_io_step(): whoever called it sees the change */
	bool acting;   /* inside check_io_act(): what ends at once starts no second one */
};

/* ---- probes ---- */

static int
run_cmp(const struct run *a, const struct run *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}

RB_GENERATE_INTERNAL(run_tree, run, link, run_cmp, static __attribute__((unused)))

/* How each kind is run; kinds that are not run have no row. */
static const struct probe_kind *const check_kinds[] = {
	[CHECK_HTTP] = &check_http_kind,
	[CHECK_TCP] = &check_tcp_kind,
	[CHECK_UDP] = &check_udp_kind,
	[CHECK_GRPC] = &check_grpc_kind,
	[CHECK_SCRIPT] = &check_exec_kind,
	[CHECK_DOCKER] = &check_docker_kind,
	[CHECK_STATE] = NULL, /* the last, so that every kind has an index */
};

static void *
check_io_shell(struct check_io *io, enum check_type type)
{
	switch (type) {
	case CHECK_TCP:
	case CHECK_UDP:
		return &io->tcp;
	case CHECK_SCRIPT:
		return io->exec;
	default:
		return &io->http;
	}
}

static void
run_free(struct run *run)
{
	RB_REMOVE(run_tree, &run->io->runs, run);
	free(run->memory);
	free(run);
}

/* ---- results ---- */

static void check_io_act(struct check_io *);

/* True: local has changed. */
static bool
check_io_report(
    struct check_io *io, struct now now, struct str id, enum check_status status, struct str output)
{
	const struct local_check *c = local_check_find(io->config.local, id);
	enum check_status before = c == NULL ? status : c->status;
	struct err err = { 0 };

	if (local_check_report(io->config.local, now, id, status, output, &err) <= 0)
		return false;
	if (before != status)
		log_info("check", "status changed check=" STR_FMT " from=%s to=%s", STR_ARG(id),
		    check_status_text(before).p, check_status_text(status).p);
	if (!io->stepping)
		io->config.changed(io->config.arg);
	return true;
}

static void
run_done(struct probe *probe, enum check_status status, struct str output)
{
	struct run *run = (struct run *)probe; /* its first member */
	struct check_io *io = run->io;
	struct now now = loop_now();
	struct str id = run->def.id;

	log_debug(
	    "check", "ran check=" STR_FMT " status=%s", STR_ARG(id), check_status_text(status).p);
	if (check_run_input(io->core, now.mono, id, run->number, status))
		check_io_report(io, now, id, status, output);
	run_free(run);
	check_io_act(io);
}

/* ---- actions ---- */

static nsec
check_io_timeout(const struct check_def *def)
{
	if (def->timeout > 0)
		return def->timeout;
	return def->type == CHECK_SCRIPT || def->type == CHECK_DOCKER ? CHECK_SCRIPT_TIMEOUT
								      : CHECK_TIMEOUT;
}

static void
check_io_start(struct check_io *io, struct str id, uint64_t number)
{
	const struct local_check *c = local_check_find(io->config.local, id);
	struct run *run;

	if (c == NULL || check_kinds[c->def.type] == NULL) {
		/* Gone a moment ago; the news about it are on their way. */
		check_run_input(io->core, loop_now().mono, id, number, CHECK_CRITICAL);
		return;
	}
	run = mem_new(struct run);
	run->io = io;
	run->number = number;
	run->kind = check_kinds[c->def.type];
	run->shell = check_io_shell(io, c->def.type);
	check_def_copy(&run->def, &run->memory, &c->def);
	run->probe.def = &run->def;
	run->probe.timeout = check_io_timeout(&run->def);
	run->probe.done = run_done;
	RB_INSERT(run_tree, &io->runs, run);
	run->kind->start(run->shell, &run->probe);
}

static struct run *
check_io_run(struct check_io *io, uint64_t number)
{
	struct run key = { .number = number };

	return RB_FIND(run_tree, &io->runs, &key);
}

static void
check_io_expire(struct check_io *io, uint64_t number)
{
	struct run *run = check_io_run(io, number);
	enum check_status status;
	struct buf text;

	if (run == NULL)
		return;
	buf_init(&text, PROBE_TEXT_MAX + CHECK_OUTPUT_MAX);
	status = run->kind->expire(&run->probe, &text);
	run->kind->stop(&run->probe);
	run_done(&run->probe, status, buf_str(&text));
	buf_done(&text);
}

static void
check_io_stop(struct check_io *io, uint64_t number)
{
	struct run *run = check_io_run(io, number);

	if (run == NULL)
		return;
	run->kind->stop(&run->probe);
	run_free(run);
}

static void
check_io_act(struct check_io *io)
{
	struct check_run_action a;

	if (io->acting)
		return;
	io->acting = true;
	while (check_run_action_next(io->core, &a)) {
		switch (a.kind) {
		case CHECK_RUN_START:
			check_io_start(io, a.id, a.run);
			break;
		case CHECK_RUN_EXPIRE:
			check_io_expire(io, a.run);
			break;
		case CHECK_RUN_STOP:
			check_io_stop(io, a.run);
			break;
		}
	}
	io->acting = false;
	loop_timer_arm(io->timer, check_run_deadline(io->core));
}

/* ---- which checks there are ---- */

static void
check_io_alias_put(struct check_io *io, struct str id)
{
	struct alias *a = mem_new(struct alias);

	a->id = str_dup(id);
	LIST_INSERT_HEAD(&io->aliases, a, link);
}

static void
check_io_alias_remove(struct check_io *io, struct str id)
{
	struct alias *a;

	LIST_FOREACH (a, &io->aliases, link)
		if (str_eq(str_of(a->id), id))
			break;
	if (a == NULL)
		return;
	LIST_REMOVE(a, link);
	free(a->id);
	free(a);
}

static void
check_io_news(struct check_io *io, struct now now, struct str id)
{
	const struct local_check *c = local_check_find(io->config.local, id);
	struct check_plan plan;

	check_io_alias_remove(io, id);
	if (c != NULL && c->def.type == CHECK_ALIAS)
		check_io_alias_put(io, id);
	if (c == NULL || check_kinds[c->def.type] == NULL) {
		check_run_remove(io->core, now.mono, id);
		return;
	}
	plan = (struct check_plan){
		.interval = c->def.interval,
		.timeout = check_io_timeout(&c->def),
		.success_before_passing = c->def.success_before_passing,
		.failures_before_critical = c->def.failures_before_critical,
		.lane = c->def.type == CHECK_SCRIPT ? CHECK_LANE_PROCESS : CHECK_LANE_NET,
		.fresh = !c->reported,
	};
	check_run_put(io->core, now.mono, id, &plan);
}

/* ---- alias checks ---- */

/* The index of the last change of what an alias reads. */
static uint64_t
alias_index(const struct check_io *io, const struct check_def *def)
{
	const struct watches *w = store_watches(io->config.store);
	struct str node = def->alias_node.n > 0 ? def->alias_node : io->config.node;
	uint64_t checks = watch_index(w, (struct watch_key){ WATCH_NODE_CHECKS, node });
	uint64_t services = watch_index(w, (struct watch_key){ WATCH_NODE, node });

	return checks > services ? checks : services;
}

/* True: it is not as it was. */
static bool
alias_follow(struct check_io *io, struct now now, struct alias *a)
{
	struct str id = str_of(a->id);
	const struct local_check *c = local_check_find(io->config.local, id);
	enum check_status status;
	uint64_t index;
	struct buf text;
	bool moved;

	if (c == NULL)
		return false; /* the news about it are on their way */
	index = alias_index(io, &c->def);
	if (a->seen == index + 1)
		return false;
	a->seen = index + 1;
	buf_init(&text, PROBE_TEXT_MAX + CHECK_OUTPUT_MAX);
	status = check_alias_eval(store_catalog(io->config.store), &c->def, io->config.node, &text);
	moved = check_io_report(io, now, id, status, buf_str(&text));
	buf_done(&text);
	return moved;
}

void
check_io_step(struct check_io *io, struct now now)
{
	struct alias *a;
	struct str id;
	bool moved = true;

	io->stepping = true;
	while (local_check_news_next(io->config.local, &id))
		check_io_news(io, now, id);
	check_io_act(io);
	for (int round = 0; moved && round < ALIAS_ROUNDS; round++) {
		moved = false;
		LIST_FOREACH (a, &io->aliases, link)
			moved |= alias_follow(io, now, a);
	}
	io->stepping = false;
}

/* ---- time ---- */

static void
check_io_due(void *arg)
{
	struct check_io *io = arg;

	check_run_tick(io->core, loop_now().mono);
	check_io_act(io);
}

/* ---- making ---- */

struct check_io *
check_io_new(const struct check_io_config *config)
{
	struct check_io *io = mem_new(struct check_io);
	size_t net = config->files_max / 8;
	unsigned lanes[CHECK_LANES];

	if (net > CHECK_NET_MAX)
		net = CHECK_NET_MAX;
	lanes[CHECK_LANE_NET] = net < CHECK_NET_MIN ? CHECK_NET_MIN : (unsigned)net;
	lanes[CHECK_LANE_PROCESS] =
	    net / 2 < CHECK_PROCESS_MAX ? (unsigned)net / 2 : CHECK_PROCESS_MAX;
	io->config = *config;
	io->core = check_run_new(lanes);
	io->timer = loop_timer_new(config->base, check_io_due, io);
	io->resolver = resolver_new(config->base);
	io->fetcher = fetcher_new(config->base, io->resolver);
	io->tcp = (struct check_tcp_io){ config->base, io->resolver };
	io->http = (struct check_http_io){ io->fetcher, config->docker_url };
	io->exec = check_exec_io_new(config->base);
	RB_INIT(&io->runs);
	LIST_INIT(&io->aliases);
	return io;
}

void
check_io_free(struct check_io *io)
{
	struct run *run;

	if (io == NULL)
		return;
	while ((run = RB_ROOT(&io->runs)) != NULL)
		check_io_stop(io, run->number);
	while (!LIST_EMPTY(&io->aliases))
		check_io_alias_remove(io, str_of(LIST_FIRST(&io->aliases)->id));
	check_exec_io_free(io->exec);
	fetcher_free(io->fetcher);
	resolver_free(io->resolver);
	loop_timer_free(io->timer);
	check_run_free(io->core);
	free(io);
}

struct fetcher *
check_io_fetcher(const struct check_io *io)
{
	return io->fetcher;
}

struct check_exec_io *
check_io_exec(const struct check_io *io)
{
	return io->exec;
}

struct check_run_stats
check_io_stats(const struct check_io *io)
{
	return check_run_stats(io->core);
}
