/* watcher/docker_io.c -- libcurl's multi interface, driven by libevent, for the docker core.
 *
 * Parts in order: finding the engine, the clock, transfers, curl's callbacks into libevent,
 * the pump, making and freeing. libcurl calls back while it works; the callbacks only feed
 * the core. Its actions are carried out, and news is announced, when libcurl has returned
 * (docker_io_pump), so nothing re-enters. Source: curl_multi_socket_action(3).
 */
#include "watcher/docker_io.h"

#include <bsd/sys/queue.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/curl_io.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#define DOCKER_IO_CONNECT_S 10L
#define DOCKER_IO_REQUEST_S 30L
#define DOCKER_IO_BUFFER (16 * 1024L) /* libcurl's, per transfer */
#define DOCKER_IO_IDLE_CONNECTIONS 4L
#define DOCKER_IO_ERROR_MAX 512 /* bytes kept of a refused stream's body */

/* One HTTP exchange: the event stream, or a GET that the core named `request`. */
struct transfer {
	TAILQ_ENTRY(transfer) link;
	struct docker_io *io;
	CURL *easy;
	bool stream;
	bool begun; /* the stream's headers were 200 and complete */
	uint64_t request;
	struct buf body;
	char why[CURL_ERROR_SIZE];
};

TAILQ_HEAD(transfer_list, transfer);

struct docker_io {
	struct event_base *base;
	struct docker *docker;
	void (*on_news)(void *);
	void *arg;
	struct curl_io *curl;
	struct event *core_timer;
	struct transfer_list transfers;
	bool unix_socket, tls, pumping;
	char *url;   /* "http://10.0.0.1:2375", for a unix socket "http://docker" */
	char *path;  /* of the unix socket */
	char *certs; /* folder, or NULL */
	char *shown; /* the endpoint as given, for the log */
};

static void docker_io_pump(void *arg); /* a struct docker_io */

/* Finding the engine. */

static bool
docker_io_is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

bool
docker_endpoint_find(struct str option, struct arena *arena, struct docker_endpoint *out)
{
	static const char usual[] = "/var/run/docker.sock", other[] = "/tmp/docker.sock";
	struct str host = option, certs = str_of(getenv("DOCKER_CERT_PATH"));
	const char *verify = getenv("DOCKER_TLS_VERIFY");
	struct docker_endpoint e = { .tls = false };

	if (str_eq(option, STR("off")))
		return false;
	if (option.n == 0 || str_eq(option, STR("auto")))
		host = str_of(getenv("DOCKER_HOST"));
	if (host.n == 0)
		host = str_of(
		    !docker_io_is_socket(usual) && docker_io_is_socket(other) ? other : usual);
	if (host.n > 0 && host.p[0] == '/')
		e.url = arena_fmt(arena, "unix://" STR_FMT, STR_ARG(host));
	else
		e.url = arena_dup(arena, host);
	if (!str_starts(e.url, STR("unix://"))) {
		e.tls = (verify != NULL && verify[0] != '\0') || str_starts(e.url, STR("https://"));
		e.cert_path = arena_dup(arena, certs);
	}
	*out = e;
	return true;
}

static int
docker_io_set_endpoint(struct docker_io *io, const struct docker_endpoint *e, struct err *err)
{
	struct buf url;
	size_t scheme = str_find(e->url, ':');
	struct str rest = scheme + 3 <= e->url.n ? str_skip(e->url, scheme + 3) : STR_NONE;
	bool known = str_starts(e->url, STR("tcp://")) || str_starts(e->url, STR("http://")) ||
		     str_starts(e->url, STR("https://"));

	if (str_starts(e->url, STR("unix://")) && rest.n > 0) {
		io->unix_socket = true;
		io->path = str_dup(rest);
		io->url = str_dup(STR("http://docker"));
	} else if (known && rest.n > 0) {
		io->tls = e->tls;
		buf_init(&url, 4096);
		buf_add(&url, io->tls ? STR("https://") : STR("http://"));
		while (rest.n > 0 && rest.p[rest.n - 1] == '/')
			rest.n--;
		buf_add(&url, rest);
		io->url = str_dup(buf_str(&url));
		buf_done(&url);
		if (e->cert_path.n > 0)
			io->certs = str_dup(e->cert_path);
	} else {
		return err_set(err, ERR_INPUT,
		    "docker endpoint " STR_FMT ": unix:///path or tcp://host:port is needed",
		    STR_ARG(e->url));
	}
	io->shown = str_dup(e->url);
	return 0;
}

/* The clock. */

static struct now
docker_io_now(void)
{
	struct timespec mono, wall;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct now){ mono.tv_sec * NSEC_SEC + mono.tv_nsec,
		wall.tv_sec * 1000 + wall.tv_nsec / 1000000 };
}

static void
docker_io_arm(struct event *timer, nsec wait)
{
	struct timeval tv;

	if (wait < 0)
		wait = 0;
	wait += NSEC_US - 1; /* never before the time */
	tv.tv_sec = wait / NSEC_SEC;
	tv.tv_usec = wait % NSEC_SEC / NSEC_US;
	evtimer_add(timer, &tv);
}

/* Transfers. */

static void
transfer_free(struct transfer *t)
{
	TAILQ_REMOVE(&t->io->transfers, t, link);
	if (t->easy != NULL) {
		curl_multi_remove_handle(curl_io_multi(t->io->curl), t->easy);
		curl_easy_cleanup(t->easy);
	}
	buf_done(&t->body);
	free(t);
}

static size_t
transfer_on_body(char *p, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t n = size * count;

	if (t->begun)
		docker_event_bytes(t->io->docker, docker_io_now(), str_mem(p, n));
	else
		buf_add(&t->body, str_mem(p, n));
	/* A GET whose body is too long is ended here; a refused stream only loses words. */
	return t->stream || !t->body.full ? n : 0;
}

/* Watches for the blank line that ends the stream's headers. */
static size_t
transfer_on_header(char *p, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	long status = 0;

	if (t->stream && size * count == 2 && memcmp(p, "\r\n", 2) == 0) {
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status == 200) {
			t->begun = true;
			docker_connected(t->io->docker, docker_io_now());
		}
	}
	return size * count;
}

static void
transfer_set_tls(const struct docker_io *io, CURL *easy)
{
	static const struct {
		const char *file;
		CURLoption option;
	} files[] = {
		{ "ca.pem", CURLOPT_CAINFO },
		{ "cert.pem", CURLOPT_SSLCERT },
		{ "key.pem", CURLOPT_SSLKEY },
	};

	for (size_t i = 0; io->tls && io->certs != NULL && i < sizeof files / sizeof files[0];
	     i++) {
		char path[4096];

		snprintf(path, sizeof path, "%s/%s", io->certs, files[i].file);
		curl_easy_setopt(easy, files[i].option, path);
	}
}

static CURL *
transfer_easy(struct transfer *t, struct str path)
{
	struct docker_io *io = t->io;
	CURL *easy = curl_easy_init();
	char url[4096];

	if (easy == NULL)
		return NULL;
	snprintf(url, sizeof url, "%s" STR_FMT, io->url, STR_ARG(path));
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, transfer_on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->why);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* http_proxy is not for the engine */
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, DOCKER_IO_BUFFER);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, DOCKER_IO_CONNECT_S);
	if (io->unix_socket)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, io->path);
	else
		curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	transfer_set_tls(io, easy);
	if (t->stream) {
		/* No end is in sight: only keep-alive probes tell that the other side is gone. */
		curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 15L);
		curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
		curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, transfer_on_header);
		curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	} else {
		curl_easy_setopt(easy, CURLOPT_TIMEOUT, DOCKER_IO_REQUEST_S);
	}
	return easy;
}

static void
transfer_start(struct docker_io *io, const struct docker_action *a)
{
	struct transfer *t = mem_new(struct transfer);

	t->io = io;
	t->stream = a->kind == DOCKER_STREAM;
	t->request = a->request;
	buf_init(&t->body, t->stream ? DOCKER_IO_ERROR_MAX : a->body_max);
	TAILQ_INSERT_TAIL(&io->transfers, t, link);
	t->easy = transfer_easy(t, a->path);
	if (t->easy == NULL ||
	    curl_multi_add_handle(curl_io_multi(io->curl), t->easy) != CURLM_OK) {
		log_error("docker", "request cannot be made path=" STR_FMT, STR_ARG(a->path));
		docker_lost(io->docker, docker_io_now(), STR("out of memory"));
		transfer_free(t);
	}
}

/* The cause in words. Of a unix socket libcurl speaks as if it were a host with a port. */
static const char *
transfer_why(const struct transfer *t, CURLcode result)
{
	long saved = 0;

	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &saved);
	if (result == CURLE_COULDNT_CONNECT && t->io->path != NULL && saved != 0)
		return strerror((int)saved);
	return t->why[0] != '\0' ? t->why : curl_easy_strerror(result);
}

/* A transfer has ended; the core hears how. */
static void
transfer_finish(struct transfer *t, CURLcode result)
{
	struct docker *docker = t->io->docker;
	const char *why = transfer_why(t, result);
	struct now now = docker_io_now();
	char text[CURL_ERROR_SIZE + 128];
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->stream) {
		if (t->begun)
			snprintf(text, sizeof text, "the event stream ended: %s",
			    result == CURLE_OK ? "closed by the engine" : why);
		else if (status != 0)
			snprintf(text, sizeof text,
			    "the event stream was refused: status %ld " STR_FMT, status,
			    STR_ARG(
				str_head(buf_str(&t->body), t->body.n < 200 ? t->body.n : 200)));
		else
			snprintf(text, sizeof text, "%s", why);
		log_debug("docker", "stream ended why=%s", text);
		docker_lost(docker, now, str_of(text));
	} else if (t->body.full) {
		docker_answer(docker, now, t->request, 413, STR_NONE);
	} else if (result != CURLE_OK) {
		log_debug("docker", "request failed id=%" PRIu64 " why=%s", t->request, why);
		docker_answer(docker, now, t->request, 0, str_of(why));
	} else {
		docker_answer(docker, now, t->request, (int)status, buf_str(&t->body));
	}
	transfer_free(t);
}

static void
docker_io_close_all(struct docker_io *io)
{
	struct transfer *t;

	while ((t = TAILQ_FIRST(&io->transfers)) != NULL)
		transfer_free(t);
}

/* Time. */

static void
docker_io_on_core_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	docker_io_pump(arg);
}

/* The pump. */

static void
docker_io_reap(struct docker_io *io)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(curl_io_multi(io->curl), &left)) != NULL) {
		struct transfer *t;
		CURLcode result = m->data.result;

		if (m->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t) != CURLE_OK)
			continue;
		transfer_finish(t, result); /* m is gone with it */
	}
}

static void
docker_io_act(struct docker_io *io, const struct docker_action *a)
{
	if (a->kind == DOCKER_STREAM_CLOSE) {
		docker_io_close_all(io);
		return;
	}
	if (a->kind == DOCKER_STREAM)
		log_debug("docker", "opening the event stream endpoint=%s", io->shown);
	transfer_start(io, a);
}

/* Ended transfers, due timers, actions, news, until all is quiet. */
static void
docker_io_pump(void *arg)
{
	struct docker_io *io = arg;
	struct docker_action a;
	bool acted;
	nsec at;

	if (io->pumping)
		return; /* on_news came back through docker_io_kick(): the loop goes on */
	io->pumping = true;
	do {
		struct now now = docker_io_now();

		acted = false;
		docker_io_reap(io);
		if (docker_deadline(io->docker) <= now.mono)
			docker_tick(io->docker, now);
		while (docker_action_next(io->docker, &a)) {
			docker_io_act(io, &a);
			acted = true;
		}
		io->on_news(io->arg);
	} while (acted || docker_deadline(io->docker) <= docker_io_now().mono);
	io->pumping = false;
	at = docker_deadline(io->docker);
	if (at == NSEC_NEVER)
		evtimer_del(io->core_timer);
	else
		docker_io_arm(io->core_timer, at - docker_io_now().mono);
}

void
docker_io_kick(struct docker_io *io)
{
	docker_io_pump(io);
}

/* Making and freeing. */

int
docker_io_new(struct event_base *base, struct docker *docker,
    const struct docker_endpoint *endpoint, void (*on_news)(void *), void *arg,
    struct docker_io **out, struct err *err)
{
	struct docker_io *io = mem_new(struct docker_io);
	int rc;

	io->base = base;
	io->docker = docker;
	io->on_news = on_news;
	io->arg = arg;
	TAILQ_INIT(&io->transfers);
	rc = docker_io_set_endpoint(io, endpoint, err);
	if (rc < 0)
		goto out;
	/* Without TLS nothing global is needed, and OpenSSL's tables stay out of memory. */
	io->curl =
	    curl_io_new(base, io->tls ? CURL_GLOBAL_SSL : CURL_GLOBAL_NOTHING, docker_io_pump, io);
	io->core_timer = evtimer_new(base, docker_io_on_core_timer, io);
	if (io->curl == NULL || io->core_timer == NULL) {
		rc = err_set(err, ERR_MEMORY, "docker client: out of memory");
		goto out;
	}
	curl_multi_setopt(
	    curl_io_multi(io->curl), CURLMOPT_MAXCONNECTS, DOCKER_IO_IDLE_CONNECTIONS);
	docker_io_arm(io->core_timer, 0); /* the first actions, from the loop */
	log_info("docker", "watching containers endpoint=%s", io->shown);
	*out = io;
	io = NULL;
out:
	docker_io_free(io);
	return rc;
}

void
docker_io_free(struct docker_io *io)
{
	if (io == NULL)
		return;
	docker_io_close_all(io);
	curl_io_free(io->curl);
	if (io->core_timer != NULL)
		event_free(io->core_timer);
	free(io->url);
	free(io->path);
	free(io->certs);
	free(io->shown);
	free(io);
}
