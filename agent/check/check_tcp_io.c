/* agent/check/check_tcp_io.c -- non-blocking connects in the event loop.
 *
 * One attempt per run: name to addresses, then one address after the other until one takes us.
 * Texts are those of Go's net package, which Consul's users match: "dial tcp HOST:PORT: …".
 */
#include "agent/check/check_tcp_io.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

#define UDP_SILENCE_MS 1000 /* a refusal comes within a round trip */

struct attempt {
	struct probe *probe;
	struct check_tcp_io *io;
	struct resolve *resolve; /* NULL: not under way */
	struct addr addrs[RESOLVE_ADDRS_MAX];
	size_t count, next;
	uint16_t port;
	bool udp;
	int fd, error; /* error: of the last address */
	struct event *event;
};

static void attempt_next(struct attempt *);

bool
check_target_parse(struct str target, struct str *host, uint16_t *port)
{
	size_t colon = str_find_last(target, ':');
	struct str h = str_head(target, colon);
	uint64_t number;

	if (colon == target.n || !str_u64(str_skip(target, colon + 1), 65535, &number))
		return false;
	if (h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']')
		h = str_mem(h.p + 1, h.n - 2);
	else if (str_find(h, ':') < h.n)
		return false; /* an IPv6 address without brackets */
	*host = h.n == 0 ? STR("localhost") : h;
	*port = (uint16_t)number;
	return true;
}

struct str
check_errno_text(int number, char *out, size_t cap)
{
	const char *text = strerror(number);

	snprintf(out, cap, "%s", text);
	/* "Connection refused", but not "EOF" */
	if (cap > 1 && out[0] != '\0' && chr_lower(out[1]) == out[1])
		out[0] = chr_lower(out[0]);
	return str_of(out);
}

static struct str
attempt_target(const struct attempt *a)
{
	return a->udp ? a->probe->def->udp : a->probe->def->tcp;
}

static void
attempt_close(struct attempt *a)
{
	if (a->event != NULL)
		event_free(a->event);
	if (a->fd >= 0)
		close(a->fd);
	a->event = NULL;
	a->fd = -1;
}

static void
attempt_free(struct attempt *a)
{
	if (a == NULL)
		return;
	a->probe->state = NULL;
	attempt_close(a);
	resolve_cancel(a->resolve);
	free(a);
}

static void
attempt_done(struct attempt *a, enum check_status status, struct buf *text)
{
	struct probe *probe = a->probe;

	attempt_free(a);
	probe->done(probe, status, buf_str(text));
	buf_done(text);
}

static void
attempt_passed(struct attempt *a)
{
	struct buf text;

	buf_init(&text, PROBE_TEXT_MAX);
	buf_addf(&text, "%s connect " STR_FMT ": Success", a->udp ? "UDP" : "TCP",
	    STR_ARG(attempt_target(a)));
	attempt_done(a, CHECK_PASSING, &text);
}

static void
attempt_failed(struct attempt *a)
{
	char why[128], address[ADDR_TEXT_MAX];
	struct addr to = a->addrs[a->next - 1];
	struct buf text;

	buf_init(&text, PROBE_TEXT_MAX);
	check_errno_text(a->error, why, sizeof why);
	addr_format(&to, address);
	if (a->udp)
		buf_addf(&text, "read udp %s: read: %s", address, why);
	else
		buf_addf(&text, "dial tcp %s: connect: %s", address, why);
	attempt_done(a, CHECK_CRITICAL, &text);
}

/* The address at hand did not take us: the next one, or the end. */
static void
attempt_refused(struct attempt *a, int error)
{
	a->error = error;
	attempt_close(a);
	if (a->next < a->count)
		attempt_next(a);
	else
		attempt_failed(a);
}

static void
attempt_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;
	char byte;
	int error = 0;
	socklen_t n = sizeof error;

	if (a->udp) {
		if ((what & EV_READ) && recv(fd, &byte, 1, MSG_DONTWAIT) < 0)
			error = errno;
		if (error == EAGAIN || error == EINTR)
			error = 0; /* a datagram with a bad checksum */
	} else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0) {
		error = errno;
	}
	if (error != 0)
		attempt_refused(a, error);
	else
		attempt_passed(a);
}

static int
attempt_connect(struct attempt *a)
{
	struct sockaddr_storage to;
	socklen_t n = addr_to_sockaddr(&a->addrs[a->next], &to);
	int type = (a->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;

	a->next++;
	a->fd = socket(to.ss_family, type, 0);
	if (a->fd < 0)
		return errno;
	if (connect(a->fd, (struct sockaddr *)&to, n) < 0 && errno != EINPROGRESS)
		return errno;
	if (a->udp && send(a->fd, "", 0, 0) < 0)
		return errno;
	return 0;
}

static void
attempt_next(struct attempt *a)
{
	const struct timeval silence = { UDP_SILENCE_MS / 1000, UDP_SILENCE_MS % 1000 * 1000 };
	int error = attempt_connect(a);

	if (error != 0) {
		attempt_refused(a, error);
		return;
	}
	a->event = event_new(a->io->base, a->fd, a->udp ? EV_READ : EV_WRITE, attempt_on_event, a);
	if (a->event == NULL || event_add(a->event, a->udp ? &silence : NULL) < 0)
		attempt_refused(a, ENOMEM);
}

static void
attempt_resolved(void *arg, const struct addr *addrs, size_t count, const char *why)
{
	struct attempt *a = arg;
	struct str host = STR_NONE;
	struct buf text;

	a->resolve = NULL;
	if (count > 0) {
		memcpy(a->addrs, addrs, count * sizeof *addrs);
		a->count = count;
		for (size_t i = 0; i < count; i++)
			a->addrs[i].port = a->port;
		attempt_next(a);
		return;
	}
	check_target_parse(attempt_target(a), &host, &a->port);
	buf_init(&text, PROBE_TEXT_MAX);
	buf_addf(
	    &text, "dial %s: lookup " STR_FMT ": %s", a->udp ? "udp" : "tcp", STR_ARG(host), why);
	attempt_done(a, CHECK_CRITICAL, &text);
}

static void
attempt_start(struct check_tcp_io *io, struct probe *probe, bool udp)
{
	struct attempt *a = mem_new(struct attempt);
	struct resolve *resolve;
	struct str host;
	struct addr literal;
	struct buf text;

	a->probe = probe;
	a->io = io;
	a->udp = udp;
	a->fd = -1;
	probe->state = a;
	if (!check_target_parse(attempt_target(a), &host, &a->port)) {
		buf_init(&text, PROBE_TEXT_MAX);
		buf_addf(&text, "dial %s: address " STR_FMT ": host:port is needed",
		    udp ? "udp" : "tcp", STR_ARG(attempt_target(a)));
		attempt_done(a, CHECK_CRITICAL, &text);
	} else if (addr_parse_ip(host, &literal)) {
		attempt_resolved(a, &literal, 1, NULL);
	} else {
		resolve = resolve_start(io->resolver, host, attempt_resolved, a);
		if (resolve != NULL) /* else a may be gone */
			a->resolve = resolve;
	}
}

static void
check_tcp_start(void *shell, struct probe *probe)
{
	attempt_start(shell, probe, false);
}

static void
check_udp_start(void *shell, struct probe *probe)
{
	attempt_start(shell, probe, true);
}

static enum check_status
check_tcp_expire(struct probe *probe, struct buf *out)
{
	const struct attempt *a = probe->state;

	if (a->udp && a->fd >= 0) {
		buf_addf(out, "UDP connect " STR_FMT ": Success", STR_ARG(probe->def->udp));
		return CHECK_PASSING; /* silence is not a refusal */
	}
	buf_addf(out, "dial %s " STR_FMT ": i/o timeout", a->udp ? "udp" : "tcp",
	    STR_ARG(attempt_target(a)));
	return CHECK_CRITICAL;
}

static void
check_tcp_stop(struct probe *probe)
{
	attempt_free(probe->state);
}

const struct probe_kind check_tcp_kind = { check_tcp_start, check_tcp_expire, check_tcp_stop };
const struct probe_kind check_udp_kind = { check_udp_start, check_tcp_expire, check_tcp_stop };
