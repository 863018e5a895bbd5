/* agent/watch_runs_io.c -- asking, handling, asking again; one small machine for each watch.
 *
 *     ASK -> (answer: news) -> HANDLE -> ASK          ASK -> (failure) -> REST -> ASK
 *
 * A program gets its data from a file in memory, so that neither side waits for the other; of its
 * output the last CHECK_OUTPUT_MAX bytes are logged.
 */
#include "agent/watch_runs_io.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/loop.h"
#include "agent/watch_plan.h"
#include "base/log.h"
#include "base/mem.h"

#define WATCH_ARENA_MAX (1024 * 1024)
#define WATCH_URL_MAX (64 * 1024)

struct watched {
	struct watch_runs *all;
	LIST_ENTRY(watched) link;
	struct arena arena; /* plan, text */
	struct str text;
	struct watch_plan plan;
	struct watch_state state;
	struct loop_timer *timer; /* rest, or the patience with a URL */
	struct fetch *fetch;      /* the question, or the handler's URL */
	bool handling, named;
	struct check_def def; /* the program, for the shell that runs programs */
	struct probe probe;
	char index_text[48]; /* CONSUL_INDEX=… */
};

struct watch_runs {
	struct watch_runs_config config;
	char *address;
	LIST_HEAD(, watched) list;
	struct watch_runs_stats stats;
};

static void watched_ask(struct watched *);

/* ---- handlers ---- */

static void
handler_over(struct watched *w, bool well)
{
	w->handling = false;
	w->all->stats.failed += !well;
	loop_timer_arm(w->timer, loop_now().mono); /* not from within the shell's callback */
}

static void
program_over(struct probe *probe, enum check_status status, struct str output)
{
	struct watched *w =
	    (struct watched *)(void *)((char *)probe - offsetof(struct watched, probe));
	bool well = status == CHECK_PASSING;

	if (probe->input > 0)
		close(probe->input);
	probe->input = 0;
	if (well)
		log_debug("watch", "handler has run path=" STR_FMT " output=" STR_FMT,
		    STR_ARG(w->plan.path), STR_ARG(output));
	else
		log_warn("watch", "handler failed path=" STR_FMT " output=" STR_FMT,
		    STR_ARG(w->plan.path), STR_ARG(output));
	handler_over(w, well);
}

/* The data as a file that begins at its beginning; below 0: there is none. */
static int
data_file(struct str data)
{
	int fd = memfd_create("watch", MFD_CLOEXEC);
	size_t done = 0;

	while (fd >= 0 && done < data.n) {
		ssize_t n = write(fd, data.p + done, data.n - done);

		if (n <= 0) {
			close(fd);
			return -1;
		}
		done += (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static void
program_start(struct watched *w)
{
	int fd = data_file(buf_str(&w->state.last));

	if (fd < 0) {
		log_error(
		    "watch", "no room for a handler's input path=" STR_FMT, STR_ARG(w->plan.path));
		handler_over(w, false);
		return;
	}
	snprintf(w->index_text, sizeof w->index_text, "CONSUL_INDEX=%llu",
	    (unsigned long long)w->state.index);
	w->probe = (struct probe){
		.def = &w->def, .done = program_over, .input = fd, .variable = w->index_text
	};
	check_exec_kind.start(w->all->config.exec, &w->probe);
}

static void
url_over(void *arg, const struct fetch_result *r)
{
	struct watched *w = arg;
	bool well = r->error == NULL && r->status >= 200 && r->status < 300;

	w->fetch = NULL;
	if (!well)
		log_warn("watch", "handler failed url=" STR_FMT " status=%d%s%s",
		    STR_ARG(w->plan.url), r->status,
		    r->error == NULL ? "" : " error=", r->error == NULL ? "" : r->error);
	handler_over(w, well);
}

static void
url_start(struct watched *w)
{
	const struct watch_plan *p = &w->plan;
	struct pair headers[WATCH_ARGS_MAX + 2];
	size_t count = 0;
	char index[24];
	struct fetch_request request = {
		.url = p->url,
		.method = p->method,
		.body = buf_str(&w->state.last),
		.headers = headers,
		.tls_skip_verify = p->tls_skip_verify,
		.keep_max = CHECK_OUTPUT_MAX,
		.done = url_over,
		.arg = w,
	};

	snprintf(index, sizeof index, "%llu", (unsigned long long)w->state.index);
	headers[count++] = (struct pair){ STR("Content-Type"), STR("application/json") };
	headers[count++] = (struct pair){ STR("X-Consul-Index"), str_of(index) };
	for (size_t i = 0; i < p->header_count; i++)
		headers[count++] = p->headers[i];
	request.header_count = count;
	loop_timer_arm(w->timer, loop_now().mono + p->timeout);
	w->fetch = fetch_start(w->all->config.fetcher, &request);
}

static void
handler_start(struct watched *w)
{
	w->handling = true;
	w->all->stats.runs++;
	if (w->plan.url.n > 0)
		url_start(w);
	else
		program_start(w);
}

/* ---- questions ---- */

static void
watched_rest(struct watched *w, struct str why)
{
	nsec wait = watch_state_failed(&w->state);

	log_at(w->state.failures > 1 ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "watch",
	    "no answer path=" STR_FMT " error=" STR_FMT, STR_ARG(w->plan.path), STR_ARG(why));
	loop_timer_arm(w->timer, loop_now().mono + wait);
}

static void
answer_take(void *arg, const struct fetch_result *r)
{
	struct watched *w = arg;
	bool key = r->status == 404 && w->plan.type <= PLAN_KEYPREFIX;
	uint64_t index = 0;

	w->fetch = NULL;
	str_u64(r->trailer, UINT64_MAX, &index);
	if (r->error != NULL || (r->status != 200 && !key)) {
		watched_rest(w, r->error != NULL ? str_of(r->error) : r->body);
		return;
	}
	if (r->body_len > r->body.n) {
		watched_rest(w, STR("the answer is too large for a handler"));
		return;
	}
	if (watch_state_answer(&w->plan, &w->state, r->status, index, r->body))
		handler_start(w);
	else
		loop_timer_arm(w->timer, loop_now().mono);
}

static void
watched_ask(struct watched *w)
{
	struct str address = str_of(w->all->address), scheme = STR("unix://");
	bool is_unix = str_starts(address, scheme);
	struct fetch_request request = {
		.keep_max = FETCH_READ_MAX,
		.trailer = "x-consul-index",
		.done = answer_take,
		.arg = w,
	};
	struct buf url;

	if (address.n == 0) {
		watched_rest(w, STR("this agent has no HTTP listener"));
		return;
	}
	buf_init(&url, WATCH_URL_MAX);
	buf_add(&url, STR("http://"));
	buf_add(&url, is_unix ? STR("localhost") : address);
	watch_state_path(&w->plan, &w->state, &url);
	request.url = buf_str(&url);
	request.unix_path = is_unix ? str_skip(address, scheme.n) : STR_NONE;
	w->fetch = fetch_start(w->all->config.fetcher, &request);
	buf_done(&url);
}

static void
watched_due(void *arg)
{
	struct watched *w = arg;

	if (!w->handling) {
		watched_ask(w);
		return;
	}
	fetch_cancel(w->fetch);
	w->fetch = NULL;
	log_warn("watch", "handler takes too long url=" STR_FMT, STR_ARG(w->plan.url));
	handler_over(w, false);
}

/* ---- the list ---- */

/* The program as the shell that runs programs wants it. */
static void
program_set(struct watched *w)
{
	w->def = (struct check_def){
		.type = CHECK_SCRIPT, .args = w->plan.args, .arg_count = w->plan.arg_count
	};
	if (w->plan.line.n == 0)
		return;
	w->def.args = &w->plan.line;
	w->def.arg_count = 1;
	w->def.shell = STR("/bin/sh");
}

static void
watched_free(struct watched *w)
{
	fetch_cancel(w->fetch);
	if (w->probe.state != NULL)
		check_exec_kind.stop(&w->probe);
	if (w->probe.input > 0)
		close(w->probe.input);
	loop_timer_free(w->timer);
	watch_state_done(&w->state);
	arena_done(&w->arena);
	LIST_REMOVE(w, link);
	w->all->stats.watches--;
	free(w);
}

static void
watched_new(struct watch_runs *all, struct str text)
{
	struct watched *w = mem_new(struct watched);
	struct err err = { 0 };
	json_t *params = NULL;
	int rc = json_read(text, &params, &err);

	w->all = all;
	w->named = true;
	arena_init(&w->arena, WATCH_ARENA_MAX);
	watch_state_init(&w->state);
	w->text = arena_dup(&w->arena, text);
	w->timer = loop_timer_new(all->config.base, watched_due, w);
	LIST_INSERT_HEAD(&all->list, w, link);
	all->stats.watches++;
	if (rc == 0)
		rc = watch_plan_read(&w->plan, &w->arena, params, true, &err);
	json_decref(params);
	if (rc < 0) {
		log_error("watch", "not taken: %s", err.text);
		watched_free(w);
		return;
	}
	program_set(w);
	loop_timer_arm(w->timer, loop_now().mono);
}

static struct watched *
watched_find(const struct watch_runs *all, struct str text)
{
	struct watched *w;

	LIST_FOREACH (w, &all->list, link)
		if (!w->named && str_eq(w->text, text))
			return w;
	return NULL;
}

void
watch_runs_apply(struct watch_runs *all, struct str address, const struct str *texts, size_t count)
{
	struct watched *w, *next;

	free(all->address);
	all->address = str_dup(address);
	LIST_FOREACH (w, &all->list, link)
		w->named = false;
	for (size_t i = 0; i < count; i++) {
		w = watched_find(all, texts[i]);
		if (w != NULL)
			w->named = true;
		else
			watched_new(all, texts[i]);
	}
	for (w = LIST_FIRST(&all->list); w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		if (!w->named)
			watched_free(w);
	}
}

struct watch_runs *
watch_runs_new(const struct watch_runs_config *config)
{
	struct watch_runs *all = mem_new(struct watch_runs);

	all->config = *config;
	LIST_INIT(&all->list);
	return all;
}

void
watch_runs_free(struct watch_runs *all)
{
	struct watched *w;

	if (all == NULL)
		return;
	while ((w = LIST_FIRST(&all->list)) != NULL)
		watched_free(w);
	free(all->address);
	free(all);
}

struct watch_runs_stats
watch_runs_stats(const struct watch_runs *all)
{
	return all->stats;
}
