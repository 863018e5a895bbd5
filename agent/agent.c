/* agent/agent.c -- the agent at work; every arrow between the rooms is drawn in agent*.c.
 *
 * In order: what a change sets off; time; signals; what is said at the start; the loop. One thread:
 * every callback below runs in the event loop.
 *
 *     a container, a request, another agent or a timer changes the store
 *       -> agent_changed(): the pool told, the index ceiling kept ahead, woken queries answered,
 *          timers armed anew
 */
#include "agent/agent_priv.h"

#include "config.h"

#include <signal.h>
#include <stdio.h>

#include "agent/http/api_pool.h"
#include "agent/user_io.h"
#include "base/log.h"

#define AGENT_LEAVE_MAX (10 * NSEC_SEC)    /* to leave the pool in good order */
#define AGENT_STOP_MAX (8 * NSEC_SEC)      /* for answers under way, of the 10 s of a stop */
#define AGENT_STOP_STEP (5 * NSEC_MS)      /* how often a stop looks whether all is sent */
#define AGENT_CEILING_RETRY (5 * NSEC_SEC) /* after the disk refused a new ceiling */

/* ---- what a change sets off ---- */

/* Indexes are given out only below a ceiling that is on disk (RULES 12). */
void
agent_ceiling(struct agent *a, struct now now)
{
	struct index_clock *clock = store_index(a->store);
	uint64_t wanted = index_ceiling_wanted(clock, now.wall_ms);
	struct err err = { 0 };

	if (wanted == 0 || now.mono < a->ceiling_retry)
		return;
	if (identity_ceiling_save(&a->identity, wanted, &err) < 0) {
		log_error("agent", "cannot reserve indexes, trying again: %s", err.text);
		a->ceiling_retry = now.mono + AGENT_CEILING_RETRY;
		return;
	}
	index_ceiling_set(clock, wanted);
}

static void
agent_arm(struct agent *a)
{
	loop_timer_arm(a->local_timer, local_deadline(a->local));
	loop_timer_arm(a->store_timer, store_deadline(a->store));
	loop_timer_arm(a->roster_timer, roster_deadline(a->roster));
}

void
agent_changed(struct agent *a, struct now now)
{
	if (a->checks != NULL)
		check_io_step(a->checks, now);
	pool_changed(a->pool, now);
	pool_io_step(a->pool_io);
	agent_cluster_look(a, now);
	agent_cluster_step(a, now);
	agent_ceiling(a, now);
	if (a->http != NULL)
		http_server_wake(a->http);
	agent_arm(a);
}

/* A handler of the API, or a check, changed something: after its step, and once for many. */
void
agent_api_changed(void *arg)
{
	struct agent *a = arg;

	event_active(a->changed, EV_TIMEOUT, 0);
}

static void
agent_on_changed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	agent_changed(arg, loop_now());
}

void
agent_baseline_end(struct agent *a, struct now now)
{
	if (a->baseline_done)
		return;
	a->baseline_done = true;
	loop_timer_arm(a->baseline_timer, NSEC_NEVER);
	store_baseline_end(a->store, now);
	log_info("agent", "baseline complete records=%zu",
	    owner_count(store_owner(a->store, &a->identity.id)));
	agent_ready_check(a);
}

/* Answers begin when both halves of them are there: what the pool knows (RULES 13), and what runs
 * here, or that nobody can say so. */
void
agent_ready_check(struct agent *a)
{
	if (a->api.ready || a->pool == NULL || !pool_ready(a->pool) ||
	    !(a->baseline_done || a->docker_away))
		return;
	a->api.ready = true;
	dns_responder_ready(a->responder, true);
	log_info("agent", "ready node=" STR_FMT " members=%zu", STR_ARG(a->options->node_name),
	    pool_member_count(a->pool, SERF_ALIVE));
	notify_io_ready(a->notify, pool_member_count(a->pool, SERF_ALIVE));
}

/* ---- time ---- */

static void
agent_local_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	local_tick(a->local, now);
	agent_changed(a, now);
}

static void
agent_store_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	store_tick(a->store, now);
	agent_changed(a, now);
}

/* A live owner asserts again what a stranger deregistered (RULES 5). */
static void
agent_minute_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	store_assert_masked(a->store, now);
	agent_changed(a, now);
	loop_timer_arm(a->minute_timer, now.mono + STORE_ASSERT_INTERVAL);
}

static void
agent_baseline_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	agent_baseline_end(a, now);
	agent_changed(a, now);
}

/* ---- signals ---- */

static void
agent_stop_step(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();
	bool busy = http_server_stopping(a->http);

	if ((!agent_cluster_stopped(a, now) || busy) && now.mono < a->stop_until)
		loop_timer_arm(a->stop_timer, now.mono + AGENT_STOP_STEP);
	else
		event_base_loopbreak(a->base);
}

static void
agent_stop(struct agent *a)
{
	if (a->stopping)
		return;
	a->stopping = true;
	notify_io_stopping(a->notify);
	a->stop_until = loop_now().mono + AGENT_STOP_MAX;
	watch_runs_free(a->watches);
	a->watches = NULL;
	docker_io_free(a->docker_io);
	a->docker_io = NULL;
	loop_timer_arm(a->resync_timer, NSEC_NEVER);
	loop_timer_arm(a->members_timer, NSEC_NEVER);
	dns_io_free(a->dns);
	a->dns = NULL;
	agent_stop_step(a);
}

/* The pool does not hear of it, or does not take it up: it will see for itself that we are gone. */
static void
agent_leave_due(void *arg)
{
	struct agent *a = arg;

	log_warn("agent", "leaving takes too long, stopping");
	agent_left(a);
}

void
agent_leave(struct agent *a, struct now now)
{
	if (a->leaving || a->stopping)
		return;
	log_info("agent", "leaving the pool");
	a->leaving = true;
	notify_io_stopping(a->notify);
	roster_leaving(a->roster);
	(void)agent_cluster_stopped(a, now);
	pool_leave(a->pool, now);
	loop_timer_arm(a->leave_timer, now.mono + AGENT_LEAVE_MAX);
	agent_api_changed(a);
}

void
agent_left(struct agent *a)
{
	loop_timer_arm(a->leave_timer, NSEC_NEVER);
	if (a->leave_ticket != 0)
		api_left(&a->api, a->leave_ticket);
	a->leave_ticket = 0;
	agent_stop(a);
}

/* The first signal leaves or stops in good order, by RULES 17; a second one does not wait. */
static void
agent_on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	const struct options *o = a->options;
	struct now now = loop_now();

	(void)what;
	if (a->stopping || a->leaving) {
		event_base_loopbreak(a->base);
		return;
	}
	if (fd == SIGTERM ? o->leave_on_terminate : !o->skip_leave_on_interrupt) {
		agent_leave(a, now);
		return;
	}
	log_info("agent", "stopping signal=%d", (int)fd);
	if (o->restart_grace > 0)
		pool_restarting(a->pool, now);
	agent_changed(a, now);
	agent_stop(a);
}

static int
agent_reload(struct agent *a, struct now now, char *changed, size_t cap, struct err *err)
{
	struct err refused = { 0 };
	struct options fresh;
	bool help;
	int rc = options_read(&fresh, a->argc, a->argv, &help, err);

	if (rc == 0 &&
	    rules_config_check(&(struct rules_config){ .tags = fresh.docker_tags,
	                           .networks = fresh.docker_network },
	        err) < 0)
		rc = err->code;
	if (rc == 0)
		rc = agent_tls_reload(a, &fresh, err);
	if (rc == 0)
		rc = options_reload(a->options, &fresh, changed, cap, err);
	if (rc == 0 && definitions_apply(&fresh.definitions, a->local, now, &refused) < 0)
		log_error("agent", "not every service and check of the config files is taken: %s",
		    refused.text);
	if (rc == 0)
		agent_watches_apply(a, &fresh);
	options_done(&fresh);
	if (rc < 0)
		return rc;
	log_level_set(a->options->level);
	if (agent_metrics_configure(a, &refused) < 0)
		log_error("agent", "figures stay as they are: %s", refused.text);
	agent_dns_configure(a);
	agent_dns_io_configure(a);
	if (a->responder != NULL)
		dns_responder_reloaded(a->responder);
	pool_presence_configure(
	    a->pool, (unsigned)a->options->hold_share, (unsigned)a->options->damp_flaps);
	if (a->docker != NULL) {
		struct docker_config config = agent_docker_config(a);

		docker_reconfigure(a->docker, now, &config);
		docker_io_kick(a->docker_io);
		agent_docker_members(a, now);
	}
	return agent_node_publish(a, now, err);
}

/* SIGHUP, or a client's wish. */
static void
agent_on_reload(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();
	char changed[512] = "";
	struct err err = { 0 };

	(void)fd;
	(void)what;
	if (a->stopping)
		return; /* who waits for it is answered by the server's end */
	notify_io_reloading(a->notify, now.mono);
	if (agent_reload(a, now, changed, sizeof changed, &err) < 0)
		log_error("agent", "not reloaded, all stays as it is: %s", err.text);
	else if (changed[0] != '\0')
		log_warn("agent", "reloaded; a restart is needed for: %s", changed);
	else
		log_info("agent", "reloaded");
	notify_io_reloaded(a->notify);
	agent_changed(a, now);
	for (size_t i = 0; i < a->reload_count; i++)
		api_reloaded(&a->api, a->reload_tickets[i], str_of(err.text));
	a->reload_count = 0;
}

void
agent_reload_ask(void *arg, uint64_t ticket)
{
	struct agent *a = arg;

	if (a->reload_count == AGENT_RELOADS_MAX) {
		api_reloaded(&a->api, ticket, STR("Too many reloads wait"));
		return;
	}
	a->reload_tickets[a->reload_count++] = ticket;
	event_active(a->reload, EV_TIMEOUT, 0);
}

int
agent_timers(struct agent *a, struct now now)
{
	a->changed = event_new(a->base, -1, 0, agent_on_changed, a);
	a->reload = event_new(a->base, -1, 0, agent_on_reload, a);
	a->local_timer = loop_timer_new(a->base, agent_local_due, a);
	a->store_timer = loop_timer_new(a->base, agent_store_due, a);
	a->minute_timer = loop_timer_new(a->base, agent_minute_due, a);
	a->baseline_timer = loop_timer_new(a->base, agent_baseline_due, a);
	a->resync_timer = loop_timer_new(a->base, agent_resync_due, a);
	a->members_timer = loop_timer_new(a->base, agent_members_due, a);
	a->stop_timer = loop_timer_new(a->base, agent_stop_step, a);
	a->leave_timer = loop_timer_new(a->base, agent_leave_due, a);
	a->coordinate_timer = loop_timer_new(a->base, agent_coordinate_due, a);
	a->roster_timer = loop_timer_new(a->base, agent_roster_due, a);
	a->cluster_timer = loop_timer_new(a->base, agent_cluster_due, a);
	a->metrics_timer = loop_timer_new(a->base, agent_metrics_due, a);
	loop_timer_arm(a->minute_timer, now.mono + STORE_ASSERT_INTERVAL);
	return 0;
}

/* While an agent is taken down signals wait: they would end the process where it stands. What
 * came meanwhile is for the next agent, or ends with the process. */
static void
agent_signals_wait(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(how, &set, NULL);
}

void
agent_signals_free(struct agent *a)
{
	agent_signals_wait(SIG_BLOCK);
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		if (a->signals[i] != NULL)
			event_free(a->signals[i]);
}

int
agent_signals(struct agent *a, struct err *err)
{
	static const struct {
		int number;
		event_callback_fn call;
	} rows[SIGNAL_COUNT] = {
		[SIGNAL_INT] = { SIGINT, agent_on_stop },
		[SIGNAL_TERM] = { SIGTERM, agent_on_stop },
		[SIGNAL_HUP] = { SIGHUP, agent_on_reload },
	};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		a->signals[i] = evsignal_new(a->base, rows[i].number, rows[i].call, a);
		if (a->signals[i] == NULL || event_add(a->signals[i], NULL) < 0)
			return err_errno(err, "cannot watch for signal %d", rows[i].number);
	}
	agent_signals_wait(SIG_UNBLOCK); /* where there was an agent before */
	return 0;
}

/* ---- the start, and the loop ---- */

/* What was given and has no effect, aloud. */
static void
agent_tell_unused(const struct options *o)
{
	if (o->dev && o->data_dir.n > 0)
		log_warn("agent", "-dev keeps everything in memory, -data-dir is not used");
	for (size_t i = 0; i < o->unused_count; i++) {
		const struct option_unused *u = &o->unused[i];

		if (u->row->type == OPTION_LATER)
			log_warn("agent", "not in this version, ignored: " STR_FMT " (%s)",
			    STR_ARG(u->name), u->row->help);
		else
			log_info(
			    "agent", "means nothing here, ignored: " STR_FMT, STR_ARG(u->name));
	}
}

static void
agent_tell_addresses(const char *what, const struct addr *list, size_t count)
{
	char text[ADDR_TEXT_MAX];

	printf("    %-12s", what);
	for (size_t i = 0; i < count; i++)
		printf("%s%s", i > 0 ? ", " : "", addr_format(&list[i], text));
	printf("%s\n", count == 0 ? "off" : "");
}

static void
agent_tell_http(const char *what, const struct options *o, bool tls)
{
	char text[ADDR_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < o->http_listen_count; i++) {
		const struct listen_at *at = &o->http_listen[i];

		if (at->tls != tls)
			continue;
		if (n++ > 0)
			printf(", ");
		else
			printf("    %-12s", what);
		if (at->path.n > 0)
			printf("unix://" STR_FMT, STR_ARG(at->path));
		else
			printf("%s", addr_format(&at->addr, text));
	}
	if (n == 0)
		printf("    %-12soff", what);
	printf("\n");
}

static void
agent_tell_start(struct agent *a)
{
	const struct options *o = a->options;
	char id[UUID_TEXT_LEN + 1];

	printf("muster %s\n", PACKAGE_VERSION);
	printf("    %-12s" STR_FMT " (%s)\n", "node", STR_ARG(o->node_name),
	    uuid_format(&a->identity.id, id));
	printf("    %-12s" STR_FMT "%s\n", "datacenter", STR_ARG(o->datacenter),
	    o->server ? ", server" : "");
	printf("    %-12s%s\n", "address", a->address);
	agent_tell_http("http", o, false);
	agent_tell_http("https", o, true);
	agent_tell_addresses("dns", o->dns_listen, o->dns_listen_count);
	printf("    %-12s" STR_FMT "\n", "docker",
	    STR_ARG(a->docker == NULL ? STR("off") : a->docker_endpoint.url));
	printf(
	    "    %-12s%s\n", "data", a->identity.folder == NULL ? "in memory" : a->identity.folder);
	fflush(stdout);
}

static int
agent_once(struct agent *a, struct err *err)
{
	struct now now;
	int rc = agent_build(a, err);

	if (rc == 0) {
		agent_tell_start(a);
		agent_tell_unused(a->options);
		now = loop_now();
		if (a->docker == NULL)
			agent_baseline_end(a, now);
		else
			loop_timer_arm(a->baseline_timer, now.mono + AGENT_BASELINE_MAX);
		agent_changed(a, now);
		if (event_base_dispatch(a->base) < 0)
			rc = err_set(err, ERR_IO, "the event loop failed");
		else if (a->failure.code < 0)
			rc = err_set(err, a->failure.code, "%s", a->failure.text);
	}
	agent_free(a);
	return rc;
}

int
agent_run(struct options *options, int argc, char **argv, struct err *err)
{
	bool again;
	int rc;

	log_level_set(options->level);
	rc = user_become(options, err);
	if (rc < 0)
		return rc;
	do {
		struct agent a = {
			.options = options, .argc = argc, .argv = argv, .identity.lock = -1
		};

		rc = agent_once(&a, err);
		again = rc == 0 && a.again;
	} while (again);
	if (rc == 0)
		log_info("agent", "stopped");
	return rc;
}
