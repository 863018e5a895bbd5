/* agent/cmd/registrar_io.c -- see registrar_io.h.
 *
 * libcurl calls back while it works; its callbacks only collect. Answers go to the core when
 * libcurl has returned (registrar_io_pump), so nothing re-enters.
 */
#include "agent/cmd/registrar_io.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>

#include "agent/cmd/path.h"
#include "agent/loop.h"
#include "base/curl_io.h"
#include "base/mem.h"

#define ROOM "registrator"
#define REQUEST_SECONDS 10L
#define LIST_SECONDS 60L
#define ANSWER_MAX (64 * 1024) /* bytes kept of any answer but the list's */

struct transfer {
	LIST_ENTRY(transfer) link;
	CURL *easy;
	struct curl_slist *headers;
	size_t slot;
	struct buf answer;
	char error[CURL_ERROR_SIZE];
};

struct registrar_io {
	struct registrar_io_config config;
	struct curl_io *curl;
	struct loop_timer *timer;
	bool pumping;
	LIST_HEAD(, transfer) transfers;
};

static void
transfer_free(struct registrar_io *io, struct transfer *t)
{
	LIST_REMOVE(t, link);
	if (t->easy != NULL) {
		curl_multi_remove_handle(curl_io_multi(io->curl), t->easy);
		curl_easy_cleanup(t->easy);
	}
	curl_slist_free_all(t->headers);
	buf_done(&t->answer);
	free(t);
}

static size_t
answer_take(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	buf_add(&t->answer, str_mem(p, size * n));
	return t->answer.full ? 0 : size * n;
}

/* The path and query of a request; returns its method. */
static const char *
request_path(const struct registrar_io *io, const struct registrar_action *a, struct buf *path)
{
	bool keys = io->config.keys;

	switch (a->kind) {
	case REGISTRAR_PING:
		buf_add(path, STR("/v1/status/leader"));
		return "GET";
	case REGISTRAR_LIST:
		buf_add(path, keys ? STR("/v1/kv/") : STR("/v1/agent/services"));
		if (!keys)
			return "GET";
		path_add_key(path, a->name);
		buf_add(path, a->name.n > 0 ? STR("/?keys") : STR("?keys"));
		return "GET";
	case REGISTRAR_PUT:
		buf_add(path, keys ? STR("/v1/kv/") : STR("/v1/agent/service/register"));
		if (keys)
			path_add_key(path, a->name);
		return "PUT";
	default: /* REMOVE */
		buf_add(path, keys ? STR("/v1/kv/") : STR("/v1/agent/service/deregister/"));
		if (keys)
			path_add_key(path, a->name);
		else
			path_add(path, a->name);
		return keys ? "DELETE" : "PUT";
	}
}

static void
header_add(struct transfer *t, const char *line)
{
	struct curl_slist *longer = curl_slist_append(t->headers, line);

	if (longer != NULL)
		t->headers = longer;
}

static void
transfer_set_headers(const struct registrar_io *io, struct transfer *t)
{
	header_add(t, "Content-Type: application/json");
	header_add(t, "Expect:"); /* a body of some KiB needs no leave */
	if (io->config.token != NULL) {
		struct buf line;

		buf_init(&line, 64 * 1024);
		buf_addf(&line, "X-Consul-Token: %s%c", io->config.token, '\0');
		if (!line.full)
			header_add(t, line.p);
		buf_done(&line);
	}
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

static bool
transfer_set(struct registrar_io *io, struct transfer *t, const struct registrar_action *a)
{
	struct buf path, url;
	const char *method;
	bool ok;

	t->easy = http_client_handle(io->config.client);
	if (t->easy == NULL)
		return false;
	buf_init(&path, PATH_URL_MAX);
	buf_init(&url, PATH_URL_MAX);
	method = request_path(io, a, &path);
	http_client_url(io->config.client, buf_str(&path), &url);
	ok = !path.full && !url.full && curl_easy_setopt(t->easy, CURLOPT_URL, url.p) == CURLE_OK;
	buf_done(&path);
	buf_done(&url);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(
	    t->easy, CURLOPT_TIMEOUT, a->kind == REGISTRAR_LIST ? LIST_SECONDS : REQUEST_SECONDS);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, NULL);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, NULL);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, answer_take);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
	if (strcmp(method, "PUT") == 0) {
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE, (long)a->body.n);
		curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, a->body.n == 0 ? "" : a->body.p);
	}
	curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method);
	transfer_set_headers(io, t);
	return ok && curl_multi_add_handle(curl_io_multi(io->curl), t->easy) == CURLM_OK;
}

static void
transfer_start(struct registrar_io *io, const struct registrar_action *a)
{
	struct transfer *t = mem_new(struct transfer);

	t->slot = a->slot;
	buf_init(&t->answer, a->kind == REGISTRAR_LIST ? REGISTRAR_LIST_BYTES_MAX : ANSWER_MAX);
	LIST_INSERT_HEAD(&io->transfers, t, link);
	if (transfer_set(io, t, a))
		return;
	/* too long a name for a URL: no backend could take it */
	transfer_free(io, t);
	registrar_answer(
	    io->config.registrar, loop_now().mono, a->slot, 414, STR("the request cannot be made"));
}

static void
transfer_finish(struct registrar_io *io, struct transfer *t, CURLcode code)
{
	struct str answer = buf_str(&t->answer);
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->answer.full) {
		status = 413;
	} else if (code != CURLE_OK) {
		status = 0;
		answer = str_of(t->error[0] != '\0' ? t->error : curl_easy_strerror(code));
	}
	registrar_answer(io->config.registrar, loop_now().mono, t->slot, (int)status, answer);
	transfer_free(io, t);
}

static void
registrar_io_reap(struct registrar_io *io)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(curl_io_multi(io->curl), &left)) != NULL) {
		struct transfer *t;
		CURLcode code = m->data.result;

		if (m->msg == CURLMSG_DONE &&
		    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t) == CURLE_OK)
			transfer_finish(io, t, code); /* m is gone with it */
	}
}

static void
registrar_io_act(struct registrar_io *io, const struct registrar_action *a)
{
	switch (a->kind) {
	case REGISTRAR_SAY:
		log_at(a->level, ROOM, STR_FMT, STR_ARG(a->text));
		break;
	case REGISTRAR_GIVE_UP:
		log_error(ROOM, STR_FMT, STR_ARG(a->text));
		io->config.given_up(io->config.arg);
		break;
	case REGISTRAR_PING:
	case REGISTRAR_LIST:
	case REGISTRAR_PUT:
	case REGISTRAR_REMOVE:
		transfer_start(io, a);
		break;
	}
}

/* Ended requests, due timers, actions, until all is quiet. */
static void
registrar_io_pump(void *arg)
{
	struct registrar_io *io = arg;
	struct registrar *r = io->config.registrar;
	struct registrar_action a;
	bool acted;

	if (io->pumping)
		return;
	io->pumping = true;
	do {
		acted = false;
		registrar_io_reap(io);
		if (registrar_deadline(r) <= loop_now().mono)
			registrar_tick(r, loop_now().mono);
		while (registrar_action_next(r, &a)) {
			registrar_io_act(io, &a);
			acted = true;
		}
	} while (acted);
	io->pumping = false;
	loop_timer_arm(io->timer, registrar_deadline(r));
}

void
registrar_io_kick(struct registrar_io *io)
{
	registrar_io_pump(io);
}

struct registrar_io *
registrar_io_new(const struct registrar_io_config *config)
{
	struct registrar_io *io = mem_new(struct registrar_io);

	io->config = *config;
	LIST_INIT(&io->transfers);
	io->curl = curl_io_new(config->base, CURL_GLOBAL_DEFAULT, registrar_io_pump, io);
	if (io->curl == NULL)
		abort();
	curl_multi_setopt(
	    curl_io_multi(io->curl), CURLMOPT_MAXCONNECTS, (long)REGISTRAR_REQUESTS_MAX);
	io->timer = loop_timer_new(config->base, registrar_io_pump, io);
	loop_timer_arm(io->timer, loop_now().mono);
	return io;
}

void
registrar_io_free(struct registrar_io *io)
{
	struct transfer *t;

	if (io == NULL)
		return;
	while ((t = LIST_FIRST(&io->transfers)) != NULL)
		transfer_free(io, t);
	curl_io_free(io->curl);
	loop_timer_free(io->timer);
	free(io);
}
