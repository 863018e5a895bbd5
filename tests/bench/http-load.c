/* Requests over many connections at once, as fast as they are answered: for figures of keys.
 *
 *     http-load put   WHERE CONNECTIONS SECONDS BYTES KEYS    PUT /v1/kv/bench/N
 *     http-load etcd  WHERE CONNECTIONS SECONDS BYTES KEYS    the same by etcd's JSON gateway
 *     http-load get   WHERE CONNECTIONS SECONDS PATH
 *     http-load ack   WHERE WRITERS COUNT PREFIX              COUNT writes, each until it is taken
 *     http-load block WHERE CONNECTIONS PATH                  blocking queries, one each
 *     http-load sync  FILE SECONDS BYTES                      no HTTP: bare fdatasync, one by one
 *     http-load beside WHERE FILE SECONDS BYTES KEYS          put by one, sync, append, and floor, in
 *                                                             turns of SLICE
 *
 * sync overwrites what was written before, which is the least a disk can be asked for. append: the
 * same to the end of a file that grows by it, as most programs write a log; its size is written too.
 * floor: the least that a durable write over TCP can take here: the same request, to a process of one
 * thread that receives, writes as `sync` does, and sends an answer; nothing is read of what came.
 *
 * WHERE: ADDRESS:PORT[,ADDRESS:PORT...], connections in turn. Every connection is kept and asks
 * again once it is answered. One line of figures at the end.
 *
 * ack: writer W puts its numbers 0, 1, 2 ... below PREFIX/W/; what is refused, breaks off or takes
 * longer than ACK_PATIENCE is asked for again, of the next server. Prints W COUNT of each writer.
 * block: prints "ready" when all have asked; ends when all are answered.
 *
 * Parts: figures; one answer, read as it comes; what is asked; connections; the modes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVERS_MAX 16
#define REQUEST_MAX (1024 * 1024)
#define HEAD_MAX 4096
#define WAITS_MAX (1 << 22) /* of which the percentiles are taken */
#define SEC INT64_C(1000000000)
#define ACK_PATIENCE (3 * SEC)
#define ACK_PAUSE (20 * SEC / 1000) /* after a refusal */
#define SYNC_FILE (64 * 1024 * 1024)
#define SLICE (SEC / 4)

enum mode { PUT, ETCD, GET, ACK, BLOCK };

struct answer { /* as far as it has come */
	char head[HEAD_MAX];
	size_t head_n, body_left;
	bool in_body, done;
	int status;
	bool yes; /* its body begins with "true" */
};

struct conn {
	int fd; /* -1: none */
	bool asking;
	unsigned server, writer;
	uint64_t number; /* ACK: of the write */
	char *request;
	size_t request_n, sent;
	int64_t since, again; /* again: not before; 0: at once */
	struct answer answer;
};

static struct sockaddr_in servers[SERVERS_MAX];
static unsigned servers_n;
static enum mode mode;
static size_t bytes = 100, keys = 1000;
static const char *path;
static uint64_t number, count_wanted;

static struct conn *conns;
static unsigned conns_n;
static int epoll;

static uint64_t answered, refused, broken;
static uint64_t body_bytes;
static int64_t *waits;
static size_t waits_n;

static int64_t
clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SEC + t.tv_nsec;
}

/* Figures. */

static void
wait_keep(int64_t ns)
{
	if (waits_n < WAITS_MAX)
		waits[waits_n++] = ns;
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double /* ms */
percentile(double part)
{
	return waits_n == 0 ? 0 : (double)waits[(size_t)(part * (double)(waits_n - 1))] / 1e6;
}

static void
figures_print(int64_t took)
{
	qsort(waits, waits_n, sizeof *waits, by_size);
	printf("answered=%" PRIu64 " refused=%" PRIu64 " broken=%" PRIu64
	       " seconds=%.3f per_second=%.1f p50_ms=%.4f p99_ms=%.4f max_ms=%.4f body=%.1f\n",
	    answered, refused, broken, (double)took / 1e9, (double)answered / ((double)took / 1e9),
	    percentile(0.5), percentile(0.99), percentile(1),
	    answered == 0 ? 0 : (double)body_bytes / (double)answered);
}

/* One answer, read as it comes. Only Content-Length; a chunked one is taken as broken. */

static bool
head_parse(struct answer *a)
{
	const char *line;

	a->head[a->head_n] = '\0';
	if (sscanf(a->head, "HTTP/1.%*d %d", &a->status) != 1)
		return false;
	a->body_left = 0;
	for (line = strstr(a->head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, "content-length:", 15) == 0)
			a->body_left = strtoul(line + 17, NULL, 10);
		else if (strncasecmp(line + 2, "transfer-encoding:", 18) == 0)
			return false;
	}
	a->in_body = true;
	a->yes = false;
	return true;
}

static bool /* false: it is no answer */
answer_feed(struct answer *a, const char *p, size_t n)
{
	while (n > 0 && !a->in_body) {
		if (a->head_n + 1 >= sizeof a->head)
			return false;
		a->head[a->head_n++] = *p++;
		n--;
		if (a->head_n >= 4 && memcmp(a->head + a->head_n - 4, "\r\n\r\n", 4) == 0 &&
		    !head_parse(a))
			return false;
	}
	if (!a->in_body)
		return true;
	if (n > a->body_left)
		return false;
	body_bytes += n;
	a->yes = a->yes || (n >= 4 && memcmp(p, "true", 4) == 0);
	a->body_left -= n;
	a->done = a->body_left == 0;
	return true;
}

/* What is asked. */

static size_t
base64(char *out, const char *in, size_t n)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t o = 0;

	for (size_t i = 0; i < n; i += 3) {
		unsigned a = (uint8_t)in[i], b = i + 1 < n ? (uint8_t)in[i + 1] : 0,
			 c = i + 2 < n ? (uint8_t)in[i + 2] : 0;

		out[o++] = digits[a >> 2];
		out[o++] = digits[(a & 3) << 4 | b >> 4];
		out[o++] = i + 1 < n ? digits[(b & 15) << 2 | c >> 6] : '=';
		out[o++] = i + 2 < n ? digits[c & 63] : '=';
	}
	return o;
}

static size_t /* room: twice the bytes and 256 */
body_write(char *out, uint64_t n)
{
	char key[64];
	size_t at = 0;

	if (mode == ACK)
		return (size_t)sprintf(out, "%" PRIu64, n);
	if (mode == PUT) {
		memset(out, 'v', bytes);
		return bytes;
	}
	if (mode != ETCD)
		return 0;
	memset(out + bytes * 2 + 128, 'v', bytes);
	at += (size_t)sprintf(out, "{\"key\":\"");
	at += base64(out + at, key, (size_t)sprintf(key, "bench/%06" PRIu64, n % keys));
	at += (size_t)sprintf(out + at, "\",\"value\":\"");
	at += base64(out + at, out + bytes * 2 + 128, bytes);
	out[at++] = '"';
	out[at++] = '}';
	return at;
}

static void
request_make(struct conn *c)
{
	static char body[REQUEST_MAX * 4];
	char target[512];
	uint64_t n = mode == ACK ? c->number : number++;
	size_t body_n = body_write(body, n);

	switch (mode) {
	case PUT:
		snprintf(target, sizeof target, "PUT /v1/kv/bench/%06" PRIu64, n % keys);
		break;
	case ETCD:
		snprintf(target, sizeof target, "POST /v3/kv/put");
		break;
	case ACK:
		snprintf(target, sizeof target, "PUT /v1/kv/%s/%u/%" PRIu64, path, c->writer, n);
		break;
	case GET:
	case BLOCK:
		snprintf(target, sizeof target, "GET %s", path);
		break;
	}
	if (c->request == NULL)
		c->request = malloc(body_n * 2 + 1024);
	if (c->request == NULL)
		exit(2);
	c->request_n = (size_t)sprintf(c->request, "%s HTTP/1.1\r\nHost: bench\r\n", target);
	if (mode != GET && mode != BLOCK)
		c->request_n +=
		    (size_t)sprintf(c->request + c->request_n, "Content-Length: %zu\r\n", body_n);
	memcpy(c->request + c->request_n, "\r\n", 2);
	memcpy(c->request + c->request_n + 2, body, body_n);
	c->request_n += 2 + body_n;
}

/* Connections. */

static void
conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->asking = false;
}

static bool
conn_open(struct conn *c)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 ||
	    connect(c->fd, (struct sockaddr *)&servers[c->server], sizeof servers[0]) != 0) {
		conn_close(c);
		return false;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
	return true;
}

static void
conn_send(struct conn *c)
{
	while (c->asking && c->sent < c->request_n) {
		ssize_t n = send(c->fd, c->request + c->sent, c->request_n - c->sent, MSG_NOSIGNAL);

		if (n < 0)
			return; /* when there is room, or it will be seen as broken */
		c->sent += (size_t)n;
	}
}

/* Asks for the next thing; false: not now. */
static bool
conn_ask(struct conn *c, int64_t now)
{
	if (c->again > now || (c->fd < 0 && !conn_open(c))) {
		if (c->again <= now) {
			c->again = now + ACK_PAUSE;
			c->server = (c->server + 1) % servers_n;
		}
		return false;
	}
	request_make(c);
	c->sent = 0;
	c->asking = true;
	c->since = now;
	c->answer.head_n = 0;
	c->answer.in_body = c->answer.done = false;
	conn_send(c);
	return true;
}

static void
conn_broke(struct conn *c, int64_t now)
{
	broken += c->asking;
	conn_close(c);
	c->server = (c->server + 1) % servers_n;
	c->again = mode == ACK ? now + ACK_PAUSE : 0;
}

static void
conn_answered(struct conn *c, int64_t now)
{
	bool good = c->answer.status == 200 && (mode != ACK || c->answer.yes);

	c->asking = false;
	if (!good) {
		refused++;
		if (mode == ACK) { /* another server may know better */
			conn_close(c);
			c->server = (c->server + 1) % servers_n;
			c->again = now + ACK_PAUSE;
		}
		return;
	}
	answered++;
	c->again = 0;
	wait_keep(now - c->since);
	if (mode == ACK)
		c->number++;
}

static void
conn_read(struct conn *c)
{
	static char piece[1 << 18];

	for (;;) {
		ssize_t n = recv(c->fd, piece, sizeof piece, 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0 || !c->asking || !answer_feed(&c->answer, piece, (size_t)n)) {
			conn_broke(c, clock_now());
			return;
		}
		if (c->answer.done) {
			conn_answered(c, clock_now());
			return; /* there is no more than one answer */
		}
	}
}

/* The modes. */

static bool
more_wanted(const struct conn *c, int64_t now, int64_t end)
{
	if (mode == ACK)
		return c->number < count_wanted / conns_n;
	return now < end && (mode != BLOCK || c->answer.status == 0);
}

/* Until the end, or what is wanted is done; then what is on its way is awaited. */
static void
run(int64_t end)
{
	struct epoll_event events[512];
	bool told = mode != BLOCK;
	unsigned asking = 0;
	int64_t swept = 0;

	for (;;) {
		int64_t now = clock_now();
		int n;

		if (now - swept > SEC / 100 || asking == 0) { /* those that wait for nothing */
			bool any = false;

			asking = 0;
			for (unsigned i = 0; i < conns_n; i++) {
				struct conn *c = &conns[i];

				if (c->asking && mode == ACK && now - c->since > ACK_PATIENCE)
					conn_broke(c, now);
				if (!c->asking && more_wanted(c, now, end))
					any = !conn_ask(c, now) || any;
				asking += c->asking;
			}
			swept = now;
			if (asking == 0 && !any)
				return;
		}
		if (!told && asking == conns_n) {
			puts("ready");
			fflush(stdout);
			told = true;
		}
		if (end != 0 && now > end + 30 * SEC)
			return;
		n = epoll_wait(epoll, events, 512, 10);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (c->fd < 0)
				continue;
			if (events[i].events & EPOLLOUT)
				conn_send(c);
			if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				conn_read(c);
			if (!c->asking && c->again == 0) {
				now = clock_now();
				if (more_wanted(c, now, end))
					conn_ask(c, now);
			}
		}
	}
}

/* One write after the other into a file whose blocks are there already, or that grows. */
struct bare {
	int fd;
	off_t at;
	bool grows;
};

static bool
bare_open(struct bare *b, const char *file)
{
	char *block = calloc(1, 1 << 20);

	b->fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (b->fd < 0 || block == NULL || bytes == 0 || bytes > 1 << 20)
		return false;
	unlink(file); /* it lives until we end */
	for (int i = 0; !b->grows && i < SYNC_FILE >> 20; i++)
		if (write(b->fd, block, 1 << 20) != 1 << 20)
			return false;
	free(block);
	return fsync(b->fd) == 0;
}

static bool
bare_write(struct bare *b)
{
	static char block[1 << 20];

	if (pwrite(b->fd, block, bytes, b->at) != (ssize_t)bytes || fdatasync(b->fd) != 0)
		return false;
	b->at += (off_t)bytes;
	if (!b->grows)
		b->at %= SYNC_FILE - (1 << 20);
	return true;
}

static bool
bare_run(struct bare *b, int64_t end)
{
	for (int64_t now = clock_now(); now < end;) {
		int64_t since = now;

		if (!bare_write(b))
			return false;
		now = clock_now();
		wait_keep(now - since);
		answered++;
	}
	return true;
}

static int
run_sync(const char *file, int64_t length)
{
	struct bare b = { 0 };
	int64_t begun;

	if (!bare_open(&b, file))
		return 2;
	begun = clock_now();
	if (!bare_run(&b, begun + length))
		return 2;
	figures_print(clock_now() - begun);
	return 0;
}

/* Until its client goes: what comes is one request, whole, as loopback gives it. */
static void
floor_serve(int listener, struct bare *b)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue";
	static char request[REQUEST_MAX];
	int fd = accept(listener, NULL, NULL), one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	while (recv(fd, request, sizeof request, 0) > 0)
		if (!bare_write(b) ||
		    send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) != sizeof answer - 1)
			break;
	_exit(0);
}

/* A process that serves it, as one more server; false: there is none. */
static bool
floor_start(struct bare *b)
{
	struct sockaddr_in *at = &servers[servers_n];
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof *at;
	pid_t child;

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (servers_n == SERVERS_MAX || listener < 0 ||
	    bind(listener, (struct sockaddr *)at, sizeof *at) != 0 || listen(listener, 1) != 0 ||
	    getsockname(listener, (struct sockaddr *)at, &n) != 0)
		return false;
	child = fork();
	if (child == 0)
		floor_serve(listener, b);
	close(listener);
	return child > 0;
}

/* A line each, in this order. Each contender's file is its own. */
enum turn { PUTS, SYNCS, APPENDS, FLOOR, TURNS };

static int
run_beside(const char *file, int64_t length)
{
	struct conn *all = conns;
	int64_t *of[TURNS], took[TURNS] = { 0 }, spent = 0;
	size_t n[TURNS] = { 0 };
	uint64_t count[TURNS] = { 0 };
	struct bare bare[TURNS] = { [APPENDS].grows = true };

	for (enum turn turn = PUTS; turn < TURNS; turn++)
		if ((of[turn] = calloc(WAITS_MAX, sizeof *waits)) == NULL ||
		    (turn != PUTS && !bare_open(&bare[turn], file)))
			return 2;
	if (!floor_start(&bare[FLOOR]))
		return 2;
	all[1].server = servers_n;
	conns_n = 1;
	for (enum turn turn = PUTS; spent < length; turn = (turn + 1) % TURNS) {
		int64_t begun = clock_now();

		waits = of[turn];
		waits_n = n[turn];
		answered = count[turn];
		conns = all + (turn == FLOOR);
		if (turn == PUTS || turn == FLOOR)
			run(begun + SLICE);
		else if (!bare_run(&bare[turn], begun + SLICE))
			return 2;
		n[turn] = waits_n;
		count[turn] = answered;
		took[turn] += clock_now() - begun;
		spent += clock_now() - begun;
	}
	for (enum turn turn = PUTS; turn < TURNS; turn++) {
		waits = of[turn];
		waits_n = n[turn];
		answered = count[turn];
		figures_print(took[turn]);
	}
	return 0;
}

static bool
servers_parse(char *text)
{
	for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ",")) {
		char *colon = strrchr(word, ':');
		struct sockaddr_in *s = &servers[servers_n];

		if (colon == NULL || servers_n == SERVERS_MAX)
			return false;
		*colon = '\0';
		s->sin_family = AF_INET;
		s->sin_port = htons((uint16_t)atoi(colon + 1));
		if (inet_pton(AF_INET, word, &s->sin_addr) != 1)
			return false;
		servers_n++;
	}
	return servers_n > 0;
}

static bool
conns_make(int n)
{
	struct rlimit limit;

	if (n <= 0)
		return false;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	conns_n = (unsigned)n;
	conns = calloc(conns_n, sizeof *conns);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; conns != NULL && i < conns_n; i++) {
		conns[i].fd = -1;
		conns[i].writer = i;
		conns[i].server = i % servers_n;
	}
	return conns != NULL && epoll >= 0;
}

static int
usage(void)
{
	fprintf(stderr, "usage: http-load put|etcd WHERE CONNECTIONS SECONDS BYTES KEYS\n"
			"       http-load get WHERE CONNECTIONS SECONDS PATH\n"
			"       http-load ack WHERE WRITERS COUNT PREFIX\n"
			"       http-load block WHERE CONNECTIONS PATH\n"
			"       http-load sync FILE SECONDS BYTES\n"
			"       http-load beside WHERE FILE SECONDS BYTES KEYS\n");
	return 2;
}

static bool
mode_parse(const char *word)
{
	static const char *const words[] = { "put", "etcd", "get", "ack", "block" };

	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(word, words[i]) == 0) {
			mode = (enum mode)i;
			return true;
		}
	}
	return false;
}

int
main(int argc, char **argv)
{
	static const int wanted[] = { [PUT] = 7, [ETCD] = 7, [GET] = 6, [ACK] = 6, [BLOCK] = 5 };
	int64_t begun, end = INT64_MAX / 2;

	waits = calloc(WAITS_MAX, sizeof *waits);
	if (waits == NULL || argc < 5)
		return usage();
	if (strcmp(argv[1], "sync") == 0) {
		bytes = strtoul(argv[4], NULL, 10);
		return run_sync(argv[2], (int64_t)(atof(argv[3]) * 1e9));
	}
	if (strcmp(argv[1], "beside") == 0) {
		mode = PUT;
		if (argc != 7 || !servers_parse(argv[2]) || !conns_make(2))
			return usage();
		bytes = strtoul(argv[5], NULL, 10);
		keys = strtoul(argv[6], NULL, 10);
		if (bytes > REQUEST_MAX || keys == 0)
			return usage();
		return run_beside(argv[3], (int64_t)(atof(argv[4]) * 1e9));
	}
	if (!mode_parse(argv[1]) || argc != wanted[mode] || !servers_parse(argv[2]) ||
	    !conns_make(atoi(argv[3])))
		return usage();
	begun = clock_now();
	if (mode == PUT || mode == ETCD || mode == GET)
		end = begun + (int64_t)(atof(argv[4]) * 1e9);
	if (mode == PUT || mode == ETCD) {
		bytes = strtoul(argv[5], NULL, 10);
		keys = strtoul(argv[6], NULL, 10);
		if (bytes > REQUEST_MAX || keys == 0)
			return usage();
	} else if (mode == ACK) {
		count_wanted = strtoull(argv[4], NULL, 10);
	}
	path = argv[argc - 1];
	run(end);
	if (mode == ACK)
		for (unsigned i = 0; i < conns_n; i++)
			printf("%u %" PRIu64 "\n", i, conns[i].number);
	figures_print(clock_now() - begun);
	return 0;
}
