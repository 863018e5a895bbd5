/* The connection: framing, keep-alive, limits and time, fed whole, cut in two and byte by byte. */
#include "agent/http/conn.h"
#include "base/mem.h"
#include "tests/unit/test.h"

static void
handler(struct api *api, const struct http_request *rq, struct http_reply *rp)
{
	(void)api;
	(void)rq;
	(void)rp;
}

static const struct route routes[] = {
	{ HTTP_PUT, STR("/large"), handler, ROUTE_LARGE, "" },
	{ HTTP_PUT, STR("/small"), handler, 0, "" },
	{ 0 },
};

static struct http_limits limits;
static struct http_work *work;
static struct http_conn *conn;
static struct now now;
static struct buf sent;  /* what the client has got */
static struct buf story; /* what the handler has seen */
static struct buf body;
static size_t reply_size;

static void
begin(void)
{
	struct addr peer = { .family = ADDR_V4, .bytes = { 127, 0, 0, 1 } };

	http_conn_free(conn);
	http_work_free(work);
	work = http_work_new(&limits, routes, NULL, 0);
	now = (struct now){ .mono = NSEC_SEC, .wall_ms = 1795252443000 };
	conn = http_conn_new(work, &peer, now);
	buf_clear(&sent);
	buf_clear(&story);
	reply_size = 2;
}

static void
send_all(void)
{
	struct str s[4];
	size_t n = http_conn_output(conn, s, 4), total = 0;

	for (size_t i = 0; i < n; i++) {
		buf_add(&sent, s[i]);
		total += s[i].n;
	}
	http_conn_sent(conn, now, total);
}

/* Answers every request with `reply_size` bytes and writes it into the story. */
static void
serve(void)
{
	struct http_request *rq;
	bool more = true;

	while (more) {
		more = false;
		while ((rq = http_conn_request(conn, now)) != NULL) {
			struct http_reply rp;

			buf_addf(&story, STR_FMT " " STR_FMT " %zu[" STR_FMT "]%s;",
			    STR_ARG(rq->method_text), STR_ARG(rq->target), rq->header_count,
			    STR_ARG(rq->body), rq->keep_alive ? "" : " close");
			reply_init(&rp, &body, false);
			rp.content_type = "text/plain";
			for (size_t i = 0; i < reply_size; i++)
				buf_addc(&body, i + 1 < reply_size ? 'o' : 'k');
			http_conn_reply(conn, now, &rp, NULL);
			more = true;
		}
		send_all();
	}
	http_conn_settle(conn);
}

/* Gives bytes in pieces of n. Each piece is a block of its own that dies with the turn. */
static void
give(struct str bytes, size_t n)
{
	while (bytes.n > 0 && !http_conn_closed(conn)) {
		size_t k = n < bytes.n ? n : bytes.n;
		char *piece;

		if (!http_conn_wants_input(conn))
			break;
		piece = mem_alloc(k);
		memcpy(piece, bytes.p, k);
		http_conn_input(conn, now, str_mem(piece, k));
		serve();
		free(piece);
		bytes = str_skip(bytes, k);
	}
}

static int
status_sent(void)
{
	struct str s = buf_str(&sent);
	uint64_t status = 0;

	return s.n > 12 && str_u64(str_head(str_skip(s, 9), 3), 999, &status) ? (int)status : 0;
}

#define HOST "Host: a\r\n"

static void
one_request_one_reply(void **unused)
{
	(void)unused;
	begin();
	give(STR("GET /v1/x?y=1 HTTP/1.1\r\n" HOST "X: 1\r\n\r\n"), 1000);
	assert_str(buf_str(&story), "GET /v1/x?y=1 2[];");
	assert_str(buf_str(&sent),
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	    "Date: Sat, 21 Nov 2026 09:14:03 GMT\r\nContent-Length: 2\r\n\r\nok");
	assert_false(http_conn_closed(conn));
}

static const struct {
	struct str in;
	const char *story;
} streams[] = {
	{ STR("GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n"),
	    "GET /a 1[];GET /b 1[];" },
	{ STR("\r\n\r\nGET /a HTTP/1.1\n" HOST "\nGET /b HTTP/1.0\r\n\r\n"),
	    "GET /a 1[];GET /b 0[] close;" },
	{ STR("PUT /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhelloPUT /b HTTP/1.1\r\n" HOST
	      "Content-Length: 0\r\n\r\nGET /c HTTP/1.1\r\n" HOST "\r\n"),
	    "PUT /a 2[hello];PUT /b 2[];GET /c 1[];" },
	{ STR("PUT /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	      "5;x=\"y\"\r\nhello\r\n00A \r\n, chunked!\r\n0\r\nT: 1\r\n\r\nGET /b "
	      "HTTP/1.1\r\n" HOST "\r\n"),
	    "PUT /a 2[hello, chunked!];GET /b 1[];" },
	{ STR("GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET /b HTTP/1.1\r\n" HOST
	      "Connection: x, close\r\n\r\nGET /lost HTTP/1.1\r\n" HOST "\r\n"),
	    "GET /a 1[];GET /b 2[] close;" },
	{ STR("DELETE http://h:1/p?q HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: "
	      "1\r\n\r\nx"),
	    "DELETE http://h:1/p?q 3[x];" },
};

static void
streams_are_read_however_they_are_cut(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
		struct str in = streams[i].in;

		for (size_t n = 1; n <= in.n; n++) {
			begin();
			give(in, n);
			assert_str(buf_str(&story), streams[i].story);
		}
		for (size_t cut = 1; cut < in.n; cut++) {
			begin();
			give(str_head(in, cut), cut);
			give(str_skip(in, cut), in.n);
			assert_str(buf_str(&story), streams[i].story);
		}
	}
}

static void
refused(struct str in, int status)
{
	for (size_t n = 1; n <= in.n; n += in.n - 1) {
		begin();
		give(in, n);
		if (status_sent() != status || buf_str(&story).n > 0)
			print_error("of \"" STR_FMT "\"\n", STR_ARG(in));
		assert_int_equal(status_sent(), status);
		assert_str(buf_str(&story), "");
		assert_true(http_conn_half_closed(conn));
		http_conn_eof(conn, now);
		assert_true(http_conn_closed(conn));
	}
}

static void
malformed_heads_are_refused(void **unused)
{
	(void)unused;
	refused(STR("GET /a\r\n\r\n"), 400);
	refused(STR("GET  /a HTTP/1.1\r\n" HOST "\r\n"), 400);
	refused(STR("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400);
	refused(STR("G@T /a HTTP/1.1\r\n" HOST "\r\n"), 400);
	refused(STR("GET a HTTP/1.1\r\n" HOST "\r\n"), 400);
	refused(STR("GET /%zz HTTP/1.1\r\n" HOST "\r\n"), 400);
	refused(STR("GET /\x01 HTTP/1.1\r\n" HOST "\r\n"), 400);
	refused(STR("GET / HTTP/1.x\r\n" HOST "\r\n"), 400);
	refused(STR("PRI * HTTP/2.0\r\n\r\n"), 505);
	refused(STR("GET / HTTP/1.1\r\n\r\n"), 400);
	refused(STR("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), 400);
	refused(STR("GET / HTTP/1.1\r\n" HOST "X : 1\r\n\r\n"), 400);
	refused(STR("GET / HTTP/1.1\r\n" HOST " X: 1\r\n\r\n"), 400);
	refused(STR("GET / HTTP/1.1\r\n" HOST "X: 1\r\n folded\r\n\r\n"), 400);
	refused(STR("GET / HTTP/1.1\r\n" HOST "X\r\n\r\n"), 400);
	refused(STR("GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n"), 400);
	refused(STR("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"), 400);
	refused(STR("GET / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n"), 417);
	begin();
	give(STR("GET /v1/kv/%zz HTTP/1.1\r\n" HOST "\r\n"), 1000);
	assert_str(buf_str(&sent),
	    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Connection: close\r\nDate: Sat, 21 Nov 2026 09:14:03 GMT\r\nContent-Length: 15\r\n"
	    "\r\n400 Bad Request");
}

static void
two_readers_never_see_two_lengths(void **unused)
{
	(void)unused;
#define PUT "PUT / HTTP/1.1\r\n" HOST
	refused(STR(PUT "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400);
	refused(STR(PUT "Content-Length: 1, 1\r\n\r\n"), 400);
	refused(STR(PUT "Content-Length: +1\r\n\r\n"), 400);
	refused(STR(PUT "Content-Length: 0x1\r\n\r\n"), 400);
	refused(STR(PUT "Content-Length: \r\n\r\n"), 400);
	refused(STR(PUT "Content-Length: 99999999999999999999\r\n\r\n"), 400);
	refused(STR(PUT "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
	refused(STR(PUT "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
	refused(STR(PUT "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501);
	refused(STR(PUT "Transfer-Encoding: xchunked\r\n\r\n"), 501);
	refused(STR("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
#define CHUNKED PUT "Transfer-Encoding: chunked\r\n\r\n"
	refused(STR(CHUNKED "\r\n"), 400);
	refused(STR(CHUNKED "g\r\n"), 400);
	refused(STR(CHUNKED "-1\r\n"), 400);
	refused(STR(CHUNKED "1 1\r\n"), 400);
	refused(STR(CHUNKED "1\nx\r\n"), 400);
	refused(STR(CHUNKED "1\r\nxy\r\n"), 400);
	refused(STR(CHUNKED "1;a\rb\r\n"), 400);
	refused(STR(CHUNKED "fffffffffffffffff\r\n"), 400);
	refused(STR(CHUNKED "0\r\n x\r\n\r\n"), 400);
	refused(STR(CHUNKED "fffffffff\r\n"), 413);
}

static void
limits_hold(void **unused)
{
	char *big = mem_zalloc(200000);

	(void)unused;
	memset(big, 'a', 200000);
	begin();
	give(STR("GET /"), 5);
	give(str_mem(big, limits.head_max), 1000);
	assert_int_equal(status_sent(), 431);

	begin();
	give(STR("GET / HTTP/1.1\r\n" HOST), 1000);
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		give(STR("X: 1\r\n"), 100);
	give(STR("\r\n"), 2);
	assert_int_equal(status_sent(), 431);

	/* refused before the body comes, and what still comes is read over */
	refused(STR("PUT /small HTTP/1.1\r\n" HOST "Content-Length: 10000\r\n\r\n"), 413);
	begin();
	give(STR("PUT /small HTTP/1.1\r\n" HOST "Content-Length: 10000\r\n\r\n"), 1000);
	give(str_mem(big, 10000), 10000);
	assert_true(http_conn_memory(conn) < 1000);

	begin();
	give(STR("PUT /large HTTP/1.1\r\n" HOST "Content-Length: 10000\r\n\r\n"), 1000);
	give(str_mem(big, 10000), 777);
	assert_int_equal(status_sent(), 200);

	/* chunks: one byte each, and one with endless extensions */
	begin();
	give(STR("PUT /large HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), 1000);
	for (int i = 0; i < 15000; i++)
		give(STR("1\r\na\r\n"), 6);
	assert_true(http_conn_memory(conn) < 40000);
	give(STR("0\r\n\r\n"), 5);
	assert_int_equal(status_sent(), 200);
	begin();
	give(STR("PUT /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;"), 1000);
	give(str_mem(big, 5000), 5000);
	assert_int_equal(status_sent(), 400);
	begin();
	give(STR("PUT /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nT:"), 1000);
	give(str_mem(big, 100000), 5000);
	assert_int_equal(status_sent(), 400);
	free(big);
}

static void
a_client_that_expects_is_told_to_go_on(void **unused)
{
	(void)unused;
	begin();
	give(STR("PUT /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
	    999);
	assert_str(buf_str(&sent), "HTTP/1.1 100 Continue\r\n\r\n");
	give(STR("hi"), 2);
	assert_str(buf_str(&story), "PUT /a 3[hi];");
	refused(
	    STR("PUT /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 90000\r\n\r\n"),
	    413);
}

static void
time_runs_out(void **unused)
{
	(void)unused;
	begin(); /* between requests: silently */
	assert_int_equal(http_conn_deadline(conn), now.mono + limits.idle_time);
	now.mono += limits.idle_time;
	http_conn_tick(conn, now);
	assert_true(http_conn_closed(conn));
	assert_int_equal(sent.n, 0);

	begin(); /* a slow head: every byte late, the sum counts */
	for (int i = 0; i < 20 && !http_conn_half_closed(conn); i++) {
		give(STR("G"), 1);
		now.mono += limits.head_time / 10;
		http_conn_tick(conn, now);
		send_all();
	}
	assert_int_equal(status_sent(), 408);

	begin(); /* a slow body */
	give(STR("PUT / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nx"), 1000);
	assert_int_equal(http_conn_deadline(conn), now.mono + limits.body_time);
	now.mono += limits.body_time;
	http_conn_tick(conn, now);
	send_all();
	assert_int_equal(status_sent(), 408);
	assert_true(http_conn_half_closed(conn));
	now = (struct now){ .mono = http_conn_deadline(conn) };
	http_conn_tick(conn, now); /* and it does not even read that */
	assert_true(http_conn_closed(conn));
}

static void
a_reader_that_stops_reading_is_dropped(void **unused)
{
	struct str s[2];

	(void)unused;
	begin();
	reply_size = 100000;
	http_conn_input(
	    conn, now, STR("GET / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n"));
	{
		struct http_request *rq = http_conn_request(conn, now);
		struct http_reply rp;

		assert_non_null(rq);
		reply_init(&rp, &body, false);
		assert_non_null(buf_reserve(&body, reply_size));
		memset(body.p, 'x', reply_size);
		buf_commit(&body, reply_size);
		http_conn_reply(conn, now, &rp, NULL);
	}
	assert_null(http_conn_request(conn, now)); /* not before this is sent */
	http_conn_settle(conn);
	buf_clear(&body); /* the next request's answer is made in it */
	assert_false(http_conn_wants_input(conn));
	assert_int_equal(http_conn_output(conn, s, 2), 2);
	assert_int_equal(s[1].n, 100000);
	assert_true(s[1].p[99999] == 'x');
	http_conn_sent(conn, now, s[0].n + 5);
	assert_int_equal(http_conn_output(conn, s, 2), 1);
	assert_int_equal(s[0].n, 99995);
	now.mono += limits.write_time - 1;
	http_conn_sent(conn, now, 1);
	now.mono += limits.write_time - 1;
	http_conn_tick(conn, now);
	assert_false(http_conn_closed(conn));
	now.mono += 1;
	http_conn_tick(conn, now);
	assert_true(http_conn_closed(conn));
}

static void
idle_and_parked_connections_are_small(void **unused)
{
	struct str get =
	    STR("GET /v1/health/service/web?passing&index=1234567890&wait=60s HTTP/1.1\r\n"
		"Host: 127.0.0.1:8500\r\nUser-Agent: Go-http-client/1.1\r\n"
		"Accept-Encoding: gzip\r\n\r\n");
	struct http_request *rq;

	(void)unused;
	begin();
	give(get, get.n);
	assert_true(http_conn_memory(conn) <= 384); /* no buffer between requests */
	{
		char *copy = str_dup(get);

		http_conn_input(conn, now, str_mem(copy, get.n));
		rq = http_conn_request(conn, now);
		assert_non_null(rq);
		http_conn_settle(conn); /* parked: not answered in this turn */
		memset(copy, 0, get.n);
		free(copy);
	}
	print_message("parked: %zu bytes\n", http_conn_memory(conn));
	assert_true(http_conn_memory(conn) <= 1024);
	assert_int_equal(http_conn_deadline(conn), NSEC_NEVER);
	assert_true(http_conn_wants_input(conn)); /* one read more */
	http_conn_input(conn, now, STR("GET /next HTTP/1.1\r\n" HOST "\r\n"));
	http_conn_settle(conn);
	assert_false(http_conn_wants_input(conn));
	rq = http_conn_request(conn, now);
	assert_non_null(rq);
	assert_str(rq->path, "/v1/health/service/web");
	assert_str(request_param(rq, STR("wait")), "60s");
	serve();
	assert_true(str_ends(buf_str(&story), STR("GET /next 1[];")));
}

static void
assert_says(const struct http_request *rq)
{
	assert_non_null(rq);
	assert_int_equal(rq->method, HTTP_PUT);
	assert_str(rq->method_text, "PUT");
	assert_str(rq->path, "/v1/kv/a%20b");
	assert_str(request_param(rq, STR("flags")), "1");
	assert_int_equal(rq->version_minor, 1);
	assert_false(rq->keep_alive);
	assert_str(rq->body, "hello");
	assert_str(request_header(rq, STR("accept-encoding")), "gzip, br");
	assert_str(request_header(rq, STR("Host")), "a");
	assert_str(request_header(rq, STR("X-Empty")), "");
	assert_str(request_header(rq, STR("X-Twice")), "first: one");
	assert_str(request_header(rq, STR("X-None")), "");
}

static void
a_request_that_waits_says_the_same_when_it_runs_again(void **unused)
{
	struct str put =
	    STR("PUT /v1/kv/a%20b?flags=1 HTTP/1.1\r\n" HOST
		"Accept-Encoding: \tgzip, br \r\nX-Empty:\nX-Twice: first: one\r\n"
		"x-twice: second\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
	struct str get = STR("GET /other HTTP/1.1\r\n" HOST "X-None: 1\r\n\r\n");
	struct addr peer = { .family = ADDR_V4, .bytes = { 127, 0, 0, 1 } };
	struct http_conn *other;
	struct http_request *rq;

	(void)unused;
	begin();
	http_conn_input(conn, now, put);
	assert_says(http_conn_request(conn, now));
	http_conn_settle(conn);
	other = http_conn_new(work, &peer, now);
	http_conn_input(other, now, get);
	rq = http_conn_request(other, now);
	assert_non_null(rq);
	assert_true(rq->keep_alive);
	assert_str(request_header(rq, STR("X-None")), "1");
	http_conn_settle(other);
	assert_says(http_conn_request(conn, now));
	assert_says(http_conn_request(conn, now));
	rq = http_conn_request(other, now);
	assert_non_null(rq);
	assert_true(rq->keep_alive);
	assert_str(rq->path, "/other");
	assert_str(request_header(rq, STR("x-none")), "1");
	assert_str(request_header(rq, STR("X-Twice")), "");
	http_conn_free(other);
	serve();
	assert_true(str_ends(buf_str(&sent), STR("\r\n\r\nok")));
	assert_true(http_conn_closed(conn));
}

/* Of every length, at every place: values are looked at several bytes at a time. */
static void
control_bytes_in_a_value_are_refused_wherever_they_stand(void **unused)
{
	static const char bad[] = { '\x01', '\x1f', '\x7f', '\v' };
	static const char good[] = { '\t', ' ', '~', '\x80', '\xff', '\xa0' };
	char text[128];

	(void)unused;
	for (size_t n = 1; n <= 33; n++) {
		for (size_t at = 0; at < n; at++) {
			for (size_t k = 0; k < sizeof bad + sizeof good; k++) {
				bool refused = k < sizeof bad;
				int head = snprintf(text, sizeof text,
				    "GET / HTTP/1.1\r\n" HOST "X: %0*d\r\n\r\n", (int)n, 0);

				text[(size_t)head - 4 - n + at] =
				    refused ? bad[k] : good[k - sizeof bad];
				begin();
				give(str_mem(text, (size_t)head), 1000);
				assert_int_equal(status_sent(), refused ? 400 : 200);
			}
		}
	}
}

static void
a_client_that_ends_gets_its_answers(void **unused)
{
	(void)unused;
	begin();
	http_conn_input(
	    conn, now, STR("GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\nGET /c"));
	http_conn_eof(conn, now);
	serve();
	assert_str(buf_str(&story), "GET /a 1[];GET /b 1[];");
	assert_true(http_conn_closed(conn));
	begin();
	http_conn_stop(conn);
	assert_true(http_conn_closed(conn));
}

static void
what_a_handler_says_cannot_split_a_reply(void **unused)
{
	struct http_reply rp;

	(void)unused;
	begin();
	http_conn_input(conn, now, STR("HEAD / HTTP/1.0\r\n\r\n"));
	assert_non_null(http_conn_request(conn, now));
	reply_init(&rp, &body, false);
	buf_add(&body, STR("12345"));
	rp.indexed = true;
	reply_header(&rp, STR("Location"), STR("/a\r\nX: 1"));
	http_conn_reply(conn, now, &rp, NULL);
	serve();
	assert_str(buf_str(&sent),
	    "HTTP/1.0 200 OK\r\nX-Consul-Effective-Consistency: leader\r\nX-Consul-Index: 1\r\n"
	    "X-Consul-KnownLeader: true\r\nX-Consul-LastContact: 0\r\nLocation: /a  X: 1\r\n"
	    "Connection: close\r\nDate: Sat, 21 Nov 2026 09:14:03 GMT\r\nContent-Length: "
	    "5\r\n\r\n");
}

struct letters { /* a body of `left` pieces: "aaa", "bbb" … */
	struct http_stream stream;
	unsigned made, left, *freed;
};

static bool
letters_next(struct http_stream *stream, size_t want, struct buf *out)
{
	struct letters *l = (struct letters *)stream;

	assert_int_equal(want, HTTP_STREAM_WANT);
	for (int i = 0; i < 3; i++)
		buf_addc(out, (char)('a' + l->made));
	l->made++;
	return --l->left > 0;
}

static void
letters_free(struct http_stream *stream)
{
	struct letters *l = (struct letters *)stream;

	(*l->freed)++;
	free(l);
}

/* Gives a request that is answered with a stream of three pieces. */
static void
begin_stream(const char *request, unsigned *freed)
{
	struct letters *l = mem_new(struct letters);
	struct http_reply rp;

	begin();
	*freed = 0;
	*l = (struct letters){ { .next = letters_next, .free = letters_free }, 0, 3, freed };
	http_conn_input(conn, now, str_of(request));
	assert_non_null(http_conn_request(conn, now));
	reply_init(&rp, &body, false);
	rp.stream = &l->stream;
	http_conn_reply(conn, now, &rp, NULL);
}

static size_t
sends_until_quiet(void)
{
	size_t turns = 0;
	struct str s[4];

	while (http_conn_output(conn, s, 4) > 0) {
		assert_null(http_conn_request(conn, now)); /* the next one waits */
		send_all();
		http_conn_settle(conn);
		turns++;
	}
	return turns;
}

static void
a_body_goes_out_in_pieces(void **unused)
{
	unsigned freed;

	(void)unused;
	begin_stream(
	    "GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n", &freed);
	assert_int_equal(sends_until_quiet(), 4); /* the head, then one piece in a turn */
	assert_int_equal(freed, 1);
	buf_addc(&sent, '\0');
	assert_non_null(strstr(sent.p, "\r\nTransfer-Encoding: chunked\r\n\r\n"
				       "00000003\r\naaa\r\n00000003\r\nbbb\r\n"
				       "00000003\r\nccc\r\n0\r\n\r\n"));
	assert_null(strstr(sent.p, "Content-Length"));
	assert_false(http_conn_closed(conn));
	serve();
	assert_str(buf_str(&story), "GET /y 1[];");
}

static void
an_old_client_gets_pieces_until_the_end(void **unused)
{
	unsigned freed;

	(void)unused;
	begin_stream("GET /x HTTP/1.0\r\n\r\n", &freed);
	sends_until_quiet();
	assert_true(str_ends(buf_str(&sent), STR("\r\n\r\naaabbbccc")));
	assert_int_equal(freed, 1);
	assert_true(http_conn_closed(conn));
}

struct drops { /* a live body: what was put into `waiting` */
	struct http_stream stream;
	struct str waiting;
	unsigned *freed;
};

static bool
drops_next(struct http_stream *stream, size_t want, struct buf *out)
{
	struct drops *d = (struct drops *)stream;

	(void)want;
	buf_add(out, d->waiting);
	d->waiting = STR_NONE;
	return true;
}

static void
drops_free(struct http_stream *stream)
{
	(*((struct drops *)stream)->freed)++;
}

static struct drops drops;

/* A request that is answered with a live stream, whose head is sent. */
static void
begin_drops(unsigned *freed)
{
	struct http_reply rp;

	begin();
	*freed = 0;
	drops = (struct drops){ { .next = drops_next, .free = drops_free, .live = true }, STR_NONE,
		freed };
	http_conn_input(conn, now, STR("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_non_null(http_conn_request(conn, now));
	reply_init(&rp, &body, false);
	rp.stream = &drops.stream;
	http_conn_reply(conn, now, &rp, NULL);
	sends_until_quiet();
}

static void
a_live_stream_waits_without_a_limit_and_goes_on(void **unused)
{
	unsigned freed;

	(void)unused;
	begin_drops(&freed);
	assert_true(str_ends(buf_str(&sent), STR("chunked\r\n\r\n")));
	assert_true(http_conn_deadline(conn) == NSEC_NEVER);
	now.mono += NSEC_HOUR;
	drops.waiting = STR("abc");
	assert_null(http_conn_request(conn, now)); /* as every turn begins */
	http_conn_settle(conn);
	assert_true(http_conn_deadline(conn) > now.mono); /* the client is slow from now on */
	sends_until_quiet();
	assert_true(str_ends(buf_str(&sent), STR("\r\n\r\n00000003\r\nabc\r\n")));
	assert_true(http_conn_wants_input(conn));
	http_conn_eof(conn, now);
	assert_true(http_conn_closed(conn));
	http_conn_free(conn);
	conn = NULL;
	assert_int_equal(freed, 1);
}

static void
a_live_stream_ends_with_the_server(void **unused)
{
	unsigned freed;

	(void)unused;
	begin_drops(&freed);
	http_conn_stop(conn);
	assert_false(http_conn_closed(conn));
	http_conn_settle(conn);
	sends_until_quiet();
	assert_true(str_ends(buf_str(&sent), STR("chunked\r\n\r\n0\r\n\r\n")));
	assert_int_equal(freed, 1);
	assert_true(http_conn_closed(conn));
}

static void
a_stream_ends_with_its_client(void **unused)
{
	unsigned freed;

	(void)unused;
	begin_stream("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", &freed);
	send_all();
	http_conn_settle(conn);
	assert_int_equal(freed, 0);
	now.mono += limits.write_time; /* it does not read */
	assert_int_equal(http_conn_deadline(conn), now.mono);
	http_conn_tick(conn, now);
	assert_true(http_conn_closed(conn));
	http_conn_free(conn);
	conn = NULL;
	assert_int_equal(freed, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_request_one_reply),
		cmocka_unit_test(streams_are_read_however_they_are_cut),
		cmocka_unit_test(malformed_heads_are_refused),
		cmocka_unit_test(two_readers_never_see_two_lengths),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(a_client_that_expects_is_told_to_go_on),
		cmocka_unit_test(time_runs_out),
		cmocka_unit_test(a_reader_that_stops_reading_is_dropped),
		cmocka_unit_test(idle_and_parked_connections_are_small),
		cmocka_unit_test(a_request_that_waits_says_the_same_when_it_runs_again),
		cmocka_unit_test(control_bytes_in_a_value_are_refused_wherever_they_stand),
		cmocka_unit_test(a_client_that_ends_gets_its_answers),
		cmocka_unit_test(what_a_handler_says_cannot_split_a_reply),
		cmocka_unit_test(a_body_goes_out_in_pieces),
		cmocka_unit_test(an_old_client_gets_pieces_until_the_end),
		cmocka_unit_test(a_stream_ends_with_its_client),
		cmocka_unit_test(a_live_stream_waits_without_a_limit_and_goes_on),
		cmocka_unit_test(a_live_stream_ends_with_the_server),
	};
	int rc;

	limits = http_limits_default;
	limits.body_max = 4000;
	limits.body_large_max = 20000;
	buf_init(&sent, 1024 * 1024);
	buf_init(&story, 1024 * 1024);
	buf_init(&body, 1024 * 1024);
	rc = cmocka_run_group_tests_name("conn", tests, NULL, NULL);
	http_conn_free(conn);
	http_work_free(work);
	buf_done(&sent);
	buf_done(&story);
	buf_done(&body);
	return rc;
}
