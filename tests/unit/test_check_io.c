/* tests/unit/test_check_io.c -- the shells that run checks, against sockets and programs of the
 * test's own, and check_io.c between them and a real local.
 */
#include "agent/check/check_io.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "agent/check/check_alias.h"
#include "agent/check/check_exec_io.h"
#include "agent/check/check_http_io.h"
#include "agent/check/check_tcp_io.h"
#include "agent/loop.h"
#include "tests/unit/local_bench.h"

#define PATIENCE_S 20

static struct event_base *base;
static struct resolver *resolver;
static struct fetcher *fetcher;
static struct check_tcp_io tcp;
static struct check_http_io http;
static struct check_exec_io *programs;

static int
make_shells(void **state)
{
	struct err err;

	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the agent does */
	log_level_set(LOG_LEVEL_ERROR);
	base = loop_base_new(&err);
	resolver = resolver_new(base);
	fetcher = fetcher_new(base, resolver);
	tcp = (struct check_tcp_io){ base, resolver };
	http = (struct check_http_io){ fetcher, STR_NONE };
	programs = check_exec_io_new(base);
	return 0;
}

static int
free_shells(void **state)
{
	(void)state;
	check_exec_io_free(programs);
	fetcher_free(fetcher);
	resolver_free(resolver);
	event_base_free(base);
	return 0;
}

/* ---- one run ---- */

static enum check_status got_status;
static char got_text[16384];
static bool got;

static void
on_done(struct probe *p, enum check_status status, struct str output)
{
	assert_null(p->state);
	assert_false(got);
	got = true;
	got_status = status;
	assert_true(output.n < sizeof got_text);
	memcpy(got_text, output.p == NULL ? "" : output.p, output.n);
	got_text[output.n] = '\0';
}

static void
run(const struct probe_kind *kind, void *shell, const struct check_def *def)
{
	struct probe p = { .def = def, .timeout = NSEC_SEC, .done = on_done };
	nsec end = loop_now().mono + PATIENCE_S * NSEC_SEC;

	got = false;
	kind->start(shell, &p);
	while (!got && loop_now().mono < end)
		event_base_loop(base, EVLOOP_ONCE);
	if (!got)
		fail_msg("no result");
}

#define assert_got(status, text)                                              \
	do {                                                                  \
		assert_string_equal(got_text, text);                          \
		assert_string_equal(check_status_text(got_status).p, status); \
	} while (0)

/* Begins a run, waits a little, ends it as its time being up. */
static void
run_out_of_time(const struct probe_kind *kind, void *shell, const struct check_def *def)
{
	struct probe p = { .def = def, .timeout = 1500 * NSEC_MS, .done = on_done };
	nsec end = loop_now().mono + 100 * NSEC_MS;
	struct buf text;

	got = false;
	kind->start(shell, &p);
	while (!got && loop_now().mono < end)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_false(got);
	assert_non_null(p.state);
	buf_init(&text, 65536);
	got_status = kind->expire(&p, &text);
	snprintf(got_text, sizeof got_text, STR_FMT, STR_ARG(buf_str(&text)));
	buf_done(&text);
	kind->stop(&p);
	assert_null(p.state);
	kind->stop(&p); /* nothing is under way: nothing happens */
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_false(got);
}

/* ---- a server of ours ---- */

struct server {
	struct evconnlistener *listener;
	int port;
	const char *answer; /* whole, or NULL: none */
	char request[65536];
};

static void
server_on_bytes(struct bufferevent *bev, void *arg)
{
	struct server *s = arg;
	size_t n = strlen(s->request);

	n += bufferevent_read(bev, s->request + n, sizeof s->request - n - 1);
	s->request[n] = '\0';
	if (strstr(s->request, "\r\n\r\n") == NULL || s->answer == NULL)
		return;
	bufferevent_write(bev, s->answer, strlen(s->answer));
}

static void
server_on_end(struct bufferevent *bev, short what, void *arg)
{
	(void)what;
	(void)arg;
	bufferevent_free(bev);
}

static void
server_on_sent(struct bufferevent *bev, void *arg)
{
	const struct server *s = arg;

	/* it is also told of when nothing was written yet */
	if (s->answer != NULL && strstr(s->request, "\r\n\r\n") != NULL &&
	    evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void
server_on_client(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a, int n, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	struct server *s = arg;

	(void)l;
	(void)a;
	(void)n;
	s->request[0] = '\0';
	bufferevent_setcb(bev, server_on_bytes, server_on_sent, server_on_end, arg);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
server_open(struct server *s, const char *answer)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof in;

	s->answer = answer;
	s->listener = evconnlistener_new_bind(base, server_on_client, s,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 5, (struct sockaddr *)&in, sizeof in);
	assert_non_null(s->listener);
	getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&in, &n);
	s->port = ntohs(in.sin_port);
}

static void
server_close(struct server *s)
{
	evconnlistener_free(s->listener);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static const char *
fmt(const char *format, int port)
{
	static char text[4][256];
	static int turn;

	turn = (turn + 1) % 4;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text[turn], sizeof text[turn], format, port);
#pragma GCC diagnostic pop
	return text[turn];
}

/* ---- TCP and UDP ---- */

static void
tcp_passes_where_somebody_listens(void **unused)
{
	static struct server s;
	struct check_def def = { 0 };

	(void)unused;
	server_open(&s, NULL);
	def.tcp = str_of(fmt("127.0.0.1:%d", s.port));
	run(&check_tcp_kind, &tcp, &def);
	assert_got("passing", fmt("TCP connect 127.0.0.1:%d: Success", s.port));
	def.tcp = str_of(fmt("localhost:%d", s.port)); /* maybe ::1 first, which refuses */
	run(&check_tcp_kind, &tcp, &def);
	assert_got("passing", fmt("TCP connect localhost:%d: Success", s.port));
	def.tcp = str_of(fmt(":%d", s.port));
	run(&check_tcp_kind, &tcp, &def);
	assert_got("passing", fmt("TCP connect :%d: Success", s.port));
	server_close(&s);
	def.tcp = str_of(fmt("127.0.0.1:%d", s.port));
	run(&check_tcp_kind, &tcp, &def);
	assert_got("critical", fmt("dial tcp 127.0.0.1:%d: connect: connection refused", s.port));
}

static void
odd_targets_are_critical(void **unused)
{
	static const char *const odd[] = { "", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
		"127.0.0.1:99999", "::1:80" };
	struct str host;
	uint16_t port;

	(void)unused;
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		struct check_def def = { .tcp = str_of(odd[i]) };
		char want[128];

		snprintf(want, sizeof want, "dial tcp: address %s: host:port is needed", odd[i]);
		run(&check_tcp_kind, &tcp, &def);
		assert_got("critical", want);
	}
	assert_true(check_target_parse(STR("[::1]:80"), &host, &port));
	assert_str(host, "::1");
	assert_int_equal(port, 80);
	run(&check_tcp_kind, &tcp, &(struct check_def){ .tcp = STR("no-such-host.invalid:1") });
	assert_int_equal(got_status, CHECK_CRITICAL);
	assert_true(str_starts(str_of(got_text), STR("dial tcp: lookup no-such-host.invalid: ")));
}

static void
udp_passes_unless_refused(void **unused)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof in;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct check_def def = { 0 };
	nsec began = loop_now().mono;

	(void)unused;
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	getsockname(fd, (struct sockaddr *)&in, &n);
	def.udp = str_of(fmt("127.0.0.1:%d", ntohs(in.sin_port)));
	run(&check_udp_kind, &tcp, &def); /* silence */
	assert_got("passing", fmt("UDP connect 127.0.0.1:%d: Success", ntohs(in.sin_port)));
	assert_true(loop_now().mono - began >= NSEC_SEC);
	run_out_of_time(&check_udp_kind, &tcp, &def); /* with less time: the same */
	assert_got("passing", fmt("UDP connect 127.0.0.1:%d: Success", ntohs(in.sin_port)));
	close(fd);
	run(&check_udp_kind, &tcp, &def);
	assert_got(
	    "critical", fmt("read udp 127.0.0.1:%d: read: connection refused", ntohs(in.sin_port)));
}

/* ---- HTTP ---- */

static void
http_status_decides(void **unused)
{
	static const struct {
		const char *answer, *status, *text;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", "passing",
		    "200 OK Output: fine" },
		{ "HTTP/1.1 204 No Content\r\n\r\n", "passing", "204 No Content Output: " },
		{ "HTTP/1.1 299 Odd  words\r\nContent-Length: 0\r\n\r\n", "passing",
		    "299 Odd  words Output: " },
		{ "HTTP/1.1 300 Choose\r\nContent-Length: 1\r\n\r\nx", "critical",
		    "300 Choose Output: x" },
		{ "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nbusy", "warning",
		    "429 Too Many Requests Output: busy" },
		{ "HTTP/1.0 500 Internal Server Error\r\n\r\nbroken", "critical",
		    "500 Internal Server Error Output: broken" },
		/* the rest of the body does not come: judged by its status */
		{ "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\npart", "passing",
		    "200 OK Output: part" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		static struct server s;
		struct check_def def = { 0 };
		char want[256];

		server_open(&s, rows[i].answer);
		def.http = str_of(fmt("http://127.0.0.1:%d/a?b=1", s.port));
		run(&check_http_kind, &http, &def);
		snprintf(want, sizeof want, "HTTP GET http://127.0.0.1:%d/a?b=1: %s", s.port,
		    rows[i].text);
		assert_got(rows[i].status, want);
		server_close(&s);
	}
}

static void
http_says_what_it_is_told(void **unused)
{
	static struct server s;
	struct pair headers[] = { { STR("X-A"), STR("1") }, { STR("X-A"), STR("2") },
		{ STR("X-Bad"), STR("a\r\nX-Forged: 1") }, { STR("X-None"), STR("") } };
	struct pair own[] = { { STR("accept"), STR("text/x") }, { STR("Host"), STR("here") },
		{ STR("User-Agent"), STR("me") } };
	struct check_def def = {
		.method = STR("PUT"), .body = STR("the body"), .headers = headers, .header_count = 4
	};

	(void)unused;
	server_open(&s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	def.http = str_of(fmt("http://localhost:%d/p", s.port));
	run(&check_http_kind, &http, &def);
	assert_got("passing", fmt("HTTP PUT http://localhost:%d/p: 200 OK Output: ", s.port));
	assert_true(str_starts(str_of(s.request), STR("PUT /p HTTP/1.1\r\n")));
	assert_non_null(strstr(s.request, fmt("\r\nHost: localhost:%d\r\n", s.port)));
	assert_non_null(strstr(s.request, "\r\nX-A: 1\r\nX-A: 2\r\nX-None:\r\n"));
	assert_non_null(strstr(s.request, "\r\nUser-Agent: Consul Health Check\r\n"));
	assert_non_null(strstr(s.request, "\r\nAccept: text/plain, text/*, */*\r\n"));
	assert_non_null(strstr(s.request, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(s.request, "\r\nContent-Length: 8\r\n"));
	assert_non_null(strstr(s.request, "\r\n\r\nthe body"));
	assert_null(strstr(s.request, "X-Forged"));
	assert_null(strstr(s.request, "Content-Type"));
	assert_null(strstr(s.request, "Expect"));
	def = (struct check_def){ .method = STR("HEAD"), .headers = own, .header_count = 3 };
	def.http = str_of(fmt("http://127.0.0.1:%d", s.port));
	run(&check_http_kind, &http, &def);
	assert_int_equal(got_status, CHECK_PASSING);
	assert_true(str_starts(str_of(s.request), STR("HEAD / HTTP/1.1\r\n")));
	assert_non_null(strstr(s.request, "\r\naccept: text/x\r\n"));
	assert_non_null(strstr(s.request, "\r\nHost: here\r\n"));
	assert_non_null(strstr(s.request, "\r\nUser-Agent: me\r\n"));
	assert_null(strstr(s.request, "Consul"));
	server_close(&s);
}

static void
http_follows_redirects(void **unused)
{
	static struct server to, from;
	static char answer[256];
	struct check_def def = { .method = STR("POST") };

	(void)unused;
	server_open(&to, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend");
	snprintf(answer, sizeof answer,
	    "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 3\r\n\r\nold",
	    to.port);
	server_open(&from, answer);
	def.http = str_of(fmt("http://127.0.0.1:%d/", from.port));
	run(&check_http_kind, &http, &def);
	assert_got("passing", fmt("HTTP POST http://127.0.0.1:%d/: 200 OK Output: end", from.port));
	assert_true(str_starts(str_of(to.request), STR("GET /x ")));
	/* to itself, and to what is no web at all */
	snprintf(answer, sizeof answer,
	    "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
	run(&check_http_kind, &http, &def);
	assert_got("critical",
	    fmt("Post \"http://127.0.0.1:%d/\": stopped after 10 redirects", from.port));
	snprintf(answer, sizeof answer,
	    "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
	run(&check_http_kind, &http, &def);
	assert_int_equal(got_status, CHECK_CRITICAL);
	assert_null(strstr(got_text, "root"));
	server_close(&from);
	server_close(&to);
}

static void
http_bodies_are_kept_by_their_tail(void **unused)
{
	static struct server s;
	static char answer[3 * 1024 * 1024];
	struct check_def def = { .output_max_size = 6 };
	int n;

	(void)unused;
	server_open(&s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
	def.http = str_of(fmt("http://127.0.0.1:%d/", s.port));
	run(&check_http_kind, &http, &def);
	assert_got("passing", fmt("HTTP GET http://127.0.0.1:%d/: 200 OK Output: 456789", s.port));
	/* more than we care to read */
	n = snprintf(answer, sizeof answer, "HTTP/1.1 503 Busy\r\n\r\n");
	memset(answer + n, 'x', sizeof answer - 1 - (size_t)n);
	s.answer = answer;
	run(&check_http_kind, &http, &def);
	assert_got(
	    "critical", fmt("HTTP GET http://127.0.0.1:%d/: 503 Busy Output: xxxxxx", s.port));
	server_close(&s);
}

static void
http_that_does_not_answer(void **unused)
{
	static struct server s;
	struct check_def def = { 0 };

	(void)unused;
	server_open(&s, NULL);
	def.http = str_of(fmt("http://127.0.0.1:%d/", s.port));
	run_out_of_time(&check_http_kind, &http, &def);
	assert_got("critical",
	    fmt("Get \"http://127.0.0.1:%d/\": context deadline exceeded (Client.Timeout exceeded "
		"while awaiting headers)",
		s.port));
	run_out_of_time(&check_http_kind, &http,
	    &(struct check_def){ .http = str_of(fmt("https://127.0.0.1:%d/", s.port)) });
	server_close(&s);
	run(&check_http_kind, &http, &def);
	assert_got("critical", fmt("Get \"http://127.0.0.1:%1$d/\": dial tcp 127.0.0.1:%1$d: "
				   "connect: connection refused",
				   s.port));
	server_open(&s, "what\r\n\r\n");
	def.http = str_of(fmt("http://127.0.0.1:%d/", s.port));
	run(&check_http_kind, &http, &def);
	assert_int_equal(got_status, CHECK_CRITICAL);
	server_close(&s);
	run(&check_http_kind, &http, &(struct check_def){ .http = STR("gopher://127.0.0.1/") });
	assert_got(
	    "critical", "Get \"gopher://127.0.0.1/\": unsupported URL: http or https is needed");
	run(&check_http_kind, &http, &(struct check_def){ .http = STR("http://no-such.invalid/") });
	assert_int_equal(got_status, CHECK_CRITICAL);
	assert_true(str_starts(str_of(got_text),
	    STR("Get \"http://no-such.invalid/\": dial tcp: lookup no-such.invalid: ")));
}

/* ---- programs ---- */

static void
run_sh(const char *line, int64_t output_max)
{
	struct str args[] = { STR("/bin/sh"), STR("-c"), str_of(line) };

	run(&check_exec_kind, programs,
	    &(struct check_def){ .args = args, .arg_count = 3, .output_max_size = output_max });
}

static void
exit_status_decides(void **unused)
{
	(void)unused;
	run_sh("echo fine", 0);
	assert_got("passing", "fine\n");
	run_sh("echo so so; exit 1", 0);
	assert_got("warning", "so so\n");
	run_sh("echo bad >&2; exit 2", 0);
	assert_got("critical", "bad\n");
	run_sh("kill -9 $$", 0);
	assert_got("critical", "");
	run_sh("echo 0123456789abcdef", 8);
	assert_got("passing", "Captured 8 of 17 bytes\n...\n9abcdef\n");
	run_sh("echo 0123456", 8); /* exactly as much */
	assert_got("passing", "0123456\n");
	run_sh("echo 012345; echo 67890", 8);
	assert_got("passing", "Captured 8 of 13 bytes\n...\n5\n67890\n");
	run_sh("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done", 0);
	assert_int_equal(got_status, CHECK_PASSING);
	assert_int_equal(strlen(got_text), 4096 + strlen("Captured 4096 of 28890 bytes\n...\n"));
	assert_true(str_ends(str_of(got_text), STR("line 2998\nline 2999\n")));
	run_sh("printf 'a\\001b\\tc\\n'", 0);
	assert_got("passing", "a\001b\tc\n");
	run_sh("read x; echo $?", 0); /* no input */
	assert_got("passing", "1\n");
	run_sh("sleep 30 & echo done", 0); /* what it leaves behind is not waited for */
	assert_got("passing", "done\n");
}

static void
programs_inherit_nothing(void **unused)
{
	int leak = open("/dev/null", O_RDONLY); /* as a careless library opens */

	(void)unused;
	assert_true(leak > 2);
	run_sh("echo /proc/self/fd/*", 0);
	/* the three, and the one of the listing itself */
	assert_true(strcmp(got_text, "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2\n") == 0 ||
		    strcmp(got_text,
			"/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n") == 0);
	close(leak);
}

static void
what_cannot_run_is_critical(void **unused)
{
	struct str missing[] = { STR("/no/such/program") };
	struct str line[] = { STR("echo a line; exit 1") };
	struct str shell_line[] = { STR("echo $0") };

	(void)unused;
	run(&check_exec_kind, programs, &(struct check_def){ .args = missing, .arg_count = 1 });
	assert_got("critical", "fork/exec /no/such/program: no such file or directory");
	run(&check_exec_kind, programs, &(struct check_def){ .args = line, .arg_count = 1 });
	assert_got("warning", "a line\n");
	run(&check_exec_kind, programs,
	    &(struct check_def){ .args = shell_line, .arg_count = 1, .shell = STR("/bin/sh") });
	assert_got("passing", "/bin/sh\n");
}

static void
a_group_is_killed_when_its_time_is_up(void **unused)
{
	struct str args[] = { STR("/bin/sh"), STR("-c"), STR_NONE };
	char file[] = "/tmp/muster-check-XXXXXX", line[256];
	int fd = mkstemp(file);
	struct stat st;
	pid_t pids[2];
	FILE *f;

	(void)unused;
	close(fd);
	snprintf(line, sizeof line, "sleep 1000 & echo $$ $! >%s.new; mv %s.new %s; wait", file,
	    file, file);
	args[2] = str_of(line);
	run_out_of_time(
	    &check_exec_kind, programs, &(struct check_def){ .args = args, .arg_count = 3 });
	assert_got("critical", "Timed out (1.5s) running check");
	for (int i = 0; i < 1000 && (stat(file, &st) < 0 || st.st_size == 0); i++)
		usleep(1000); /* it may have been killed before it wrote */
	f = fopen(file, "r");
	if (fscanf(f, "%d %d", &pids[0], &pids[1]) == 2)
		for (int i = 0; i < 2; i++) {
			char path[64];

			for (int k = 0; k < 5000; k++) {
				char state = 'X';
				FILE *p;

				event_base_loop(base, EVLOOP_NONBLOCK);
				snprintf(path, sizeof path, "/proc/%d/stat", (int)pids[i]);
				p = fopen(path, "r");
				if (p == NULL || fscanf(p, "%*d %*s %c", &state) != 1)
					state = 'X';
				if (p != NULL)
					fclose(p);
				if (state == 'X' || state == 'Z') /* orphans are init's */
					goto next;
				usleep(1000);
			}
			fail_msg("%d lives", (int)pids[i]);
		next:;
		}
	fclose(f);
	unlink(file);
}

/* ---- all together ---- */

static int changes;

static void
on_changed(void *arg)
{
	(void)arg;
	changes++;
}

static void
step(struct bench *b, struct check_io *io)
{
	b->now = loop_now();
	check_io_step(io, b->now);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

#define wait_for(b, io, condition)                                       \
	do {                                                             \
		nsec end_ = loop_now().mono + PATIENCE_S * NSEC_SEC;     \
		while (!(condition)) {                                   \
			if (loop_now().mono > end_)                      \
				fail_msg("not in time: %s", #condition); \
			step(b, io);                                     \
			usleep(1000);                                    \
		}                                                        \
	} while (0)

static bool
is(struct bench *b, const char *id, enum check_status status)
{
	const struct local_check *c = local_check_find(b->local, str_of(id));

	return c != NULL && c->status == status;
}

static void
checks_run_and_are_published(void **state)
{
	static struct server s;
	struct check_io_config config = {
		.base = base, .node = STR("n1"), .files_max = 1024, .changed = on_changed
	};
	struct check_def web[2] = { { .interval = NSEC_SEC }, { .interval = NSEC_HOUR } };
	struct check_def alias = { .name = STR("al"), .alias_service = STR("web") };
	struct check_def http_check = { .name = STR("h"), .interval = NSEC_HOUR };
	struct check_io *io;
	struct bench *b;

	setup(state);
	b = *state;
	config.local = b->local;
	config.store = b->store;
	store_member(b->store, b->now, &b->config.self, STORE_MEMBER_ALIVE, 0);
	io = check_io_new(&config);
	put_check(b, &alias);
	step(b, io);
	assert_check(b, "al", "critical", "Service web could not be found on node n1");
	server_open(&s, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup");
	web[0].tcp = web[1].tcp = str_of(fmt("127.0.0.1:%d", s.port));
	assert_int_equal(put_service(b, "web", "web", s.port, web, 2), 1);
	step(b, io);
	assert_check(b, "service:web:1", "critical", ""); /* not yet */
	assert_int_equal(own_check(b, "al")->status, CHECK_CRITICAL);
	changes = 0;
	wait_for(b, io, is(b, "service:web:1", CHECK_PASSING));
	wait_for(b, io, is(b, "service:web:2", CHECK_PASSING));
	assert_true(changes >= 2);
	assert_seen(
	    b, "service:web:2", "passing", fmt("TCP connect 127.0.0.1:%d: Success", s.port));
	wait_for(b, io, is(b, "al", CHECK_PASSING));
	assert_check(b, "al", "passing", "All checks passing.");
	http_check.http = str_of(fmt("http://127.0.0.1:%d/", s.port));
	put_check(b, &http_check);
	wait_for(b, io, is(b, "h", CHECK_PASSING));
	/* registered anew with another address: tried at once, in spite of its long interval */
	http_check.http = STR("http://127.0.0.1:1/");
	put_check(b, &http_check);
	assert_int_equal(own_check(b, "h")->status, CHECK_PASSING); /* until then */
	wait_for(b, io, is(b, "h", CHECK_CRITICAL));
	wait_for(b, io, is(b, "al", CHECK_CRITICAL)); /* a check of the node counts */
	local_check_remove(b->local, b->now, STR("h"), &b->err);
	wait_for(b, io, is(b, "al", CHECK_PASSING));
	server_close(&s);
	wait_for(b, io, is(b, "service:web:1", CHECK_CRITICAL));
	wait_for(b, io, is(b, "al", CHECK_CRITICAL));
	assert_true(str_starts(own_check(b, "al")->output,
	    STR("Aliased check \"Service 'web' check\" failing: dial tcp 127.0.0.1:")));
	local_service_remove(b->local, b->now, STR("web"), &b->err);
	step(b, io);
	assert_int_equal(check_io_stats(io).checks, 0);
	wait_for(b, io, str_starts(own_check(b, "al")->output, STR("Service web could not")));
	put_check(b, &http_check);
	step(b, io);
	assert_int_equal(check_io_stats(io).checks, 1);
	put_check(b, &(struct check_def){ .name = STR("h"), .ttl = NSEC_HOUR });
	put_check(b, &(struct check_def){ .name = STR("al"), .ttl = NSEC_HOUR });
	step(b, io);
	assert_int_equal(check_io_stats(io).checks, 0);
	check_io_free(io);
	teardown(state);
}

static void
what_runs_at_the_end_is_ended(void **state)
{
	static struct server s;
	struct check_io_config config = {
		.base = base, .node = STR("n1"), .files_max = 1024, .changed = on_changed
	};
	struct str args[] = { STR("/bin/sleep"), STR("1000") };
	struct check_def def = { .name = STR("h"), .interval = NSEC_SEC };
	struct check_def script = {
		.name = STR("s"), .args = args, .arg_count = 2, .interval = NSEC_SEC
	};
	struct check_io *io;
	struct bench *b;

	setup(state);
	b = *state;
	b->config.scripts_enabled = true;
	local_free(b->local);
	b->local = local_new(&b->config);
	config.local = b->local;
	config.store = b->store;
	io = check_io_new(&config);
	server_open(&s, NULL);
	def.http = str_of(fmt("http://127.0.0.1:%d/", s.port));
	put_check(b, &def);
	assert_int_equal(put_check(b, &script), 1);
	wait_for(b, io, check_io_stats(io).running == 2);
	local_check_remove(b->local, b->now, STR("h"), &b->err);
	step(b, io);
	assert_int_equal(check_io_stats(io).running, 1);
	put_check(b, &def);
	wait_for(b, io, check_io_stats(io).running == 2);
	check_io_free(io); /* with both under way */
	server_close(&s);
	teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_passes_where_somebody_listens),
		cmocka_unit_test(odd_targets_are_critical),
		cmocka_unit_test(udp_passes_unless_refused),
		cmocka_unit_test(http_status_decides),
		cmocka_unit_test(http_says_what_it_is_told),
		cmocka_unit_test(http_follows_redirects),
		cmocka_unit_test(http_bodies_are_kept_by_their_tail),
		cmocka_unit_test(http_that_does_not_answer),
		cmocka_unit_test(exit_status_decides),
		cmocka_unit_test(programs_inherit_nothing),
		cmocka_unit_test(what_cannot_run_is_critical),
		cmocka_unit_test(a_group_is_killed_when_its_time_is_up),
		cmocka_unit_test(checks_run_and_are_published),
		cmocka_unit_test(what_runs_at_the_end_is_ended),
	};

	return cmocka_run_group_tests(tests, make_shells, free_shells);
}
