/* agent/http/server_tls_io.c -- TLS below a client's connection.
 *
 * OpenSSL reads and writes the socket itself, into and out of the server's own buffers: nothing
 * lies between (libevent's TLS streams and OpenSSL's memory BIOs hold two more buffers for each
 * connection and copy every byte once more), so that an idle connection is OpenSSL's state and no
 * more. Handshakes cost a millisecond each and a client needs none to ask for one: they are done a
 * few at a time, HANDSHAKE_TIME of each turn of the loop, whoever waits longest first.
 */
#define ERR_STATE openssl_err_state /* a type's name there, a code of ours here */
#include <openssl/err.h>
#include <openssl/ssl.h>
#undef ERR_STATE

#include "agent/http/server_private.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"

#define HANDSHAKE_TIME (2 * NSEC_MS) /* in one go; other clients' events come between */
#define RECORD_BYTES 16384           /* most bytes of one TLS record */

struct client_tls {
	SSL *ssl; /* owned */
	struct client *client;
	nsec until;  /* of the handshake */
	short wants; /* events that OpenSSL waits for */
	bool handshaking, ready, failed;
	TAILQ_ENTRY(client_tls) link, ready_link;
};

static void
handshake_over(struct client_tls *t)
{
	struct http_server *s = t->client->server;

	if (t->ready)
		TAILQ_REMOVE(&s->handshakes_ready, t, ready_link);
	if (t->handshaking) {
		TAILQ_REMOVE(&s->handshakes, t, link);
		s->stats.handshakes--;
	}
	t->ready = t->handshaking = false;
}

void
client_tls_begin(struct client *c, struct now now)
{
	struct http_server *s = c->server;
	struct client_tls *t = mem_new(struct client_tls);

	if (s->stats.handshakes >= HTTP_HANDSHAKES_MAX) {
		s->stats.handshakes_bad++;
		client_free(TAILQ_FIRST(&s->handshakes)->client);
	}
	c->tls = t;
	t->client = c;
	t->until = now.mono + s->config.handshake_max;
	t->handshaking = true;
	t->wants = EV_READ;
	TAILQ_INSERT_TAIL(&s->handshakes, t, link);
	s->stats.handshakes++;
	t->ssl = s->tls == NULL ? NULL : SSL_new(s->tls);
	t->failed = t->ssl == NULL || SSL_set_fd(t->ssl, c->fd) != 1;
	if (!t->failed)
		SSL_set_accept_state(t->ssl);
	ERR_clear_error();
}

void
client_tls_free(struct client *c)
{
	struct client_tls *t = c->tls;

	if (t == NULL)
		return;
	if (!t->handshaking)
		client_tls_shut(c);
	handshake_over(t);
	SSL_free(t->ssl);
	free(t);
	c->tls = NULL;
}

void
client_tls_shut(struct client *c)
{
	struct client_tls *t = c->tls;

	if (t->failed || (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) != 0)
		return;
	ERR_clear_error();
	SSL_shutdown(t->ssl); /* once: whether it is heard does not matter */
	ERR_clear_error();
}

bool
client_tls_handshaking(const struct client *c)
{
	return c->tls != NULL && c->tls->handshaking;
}

nsec
client_tls_deadline(const struct client *c)
{
	return c->tls->until;
}

/* What a call into OpenSSL came to, as a system call would say it: -1 with errno. */
static ssize_t
tls_result(struct client_tls *t, int rc)
{
	int why = SSL_get_error(t->ssl, rc);

	ERR_clear_error();
	t->wants = 0;
	switch (why) {
	case SSL_ERROR_WANT_READ:
		t->wants = EV_READ;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_WANT_WRITE:
		t->wants = EV_WRITE;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		t->failed = true; /* nothing more may be said on it */
		errno = ECONNRESET;
		return -1;
	}
}

/* Whole records only, so that nothing stays inside that the socket does not tell of any more. */
ssize_t
client_tls_read(struct client *c, char *out, size_t cap)
{
	struct client_tls *t = c->tls;
	ssize_t rc = 0;
	size_t n = 0;

	while (rc >= 0 && cap - n >= RECORD_BYTES) {
		int got;

		ERR_clear_error();
		got = SSL_read(t->ssl, out + n, (int)(cap - n));
		if (got > 0) {
			n += (size_t)got;
			continue;
		}
		rc = tls_result(t, got);
		t->wants &= EV_WRITE; /* the rest the connection decides */
		if (rc == 0)
			break;
	}
	return n > 0 ? (ssize_t)n : rc;
}

/* Head and body in one record: one packet where it is small. */
ssize_t
client_tls_write(struct client *c, const struct str *slices, size_t count)
{
	struct client_tls *t = c->tls;
	struct str bytes = slices[0];
	char record[RECORD_BYTES];
	size_t n = 0;
	int sent;

	if (count > 1 && bytes.n < sizeof record) {
		for (size_t i = 0; i < count && n < sizeof record; i++) {
			size_t room = sizeof record - n;
			size_t take = slices[i].n < room ? slices[i].n : room;

			memcpy(record + n, slices[i].p, take);
			n += take;
		}
		bytes = str_mem(record, n);
	}
	ERR_clear_error();
	sent = SSL_write(t->ssl, bytes.p, (int)(bytes.n < INT32_MAX ? bytes.n : INT32_MAX));
	if (sent > 0)
		return sent;
	if (tls_result(t, sent) == 0 || t->wants == EV_READ)
		errno = ECONNRESET; /* a write never waits for the other side: nothing is
				       renegotiated */
	t->wants = 0;
	return -1;
}

short
client_tls_mask(const struct client *c)
{
	return c->tls->wants;
}

void
client_tls_ready(struct client *c)
{
	struct http_server *s = c->server;

	if (!c->tls->ready)
		TAILQ_INSERT_TAIL(&s->handshakes_ready, c->tls, ready_link);
	c->tls->ready = true;
	c->tls->wants = 0;
	client_watch(c);
	loop_timer_arm(s->handshake_timer, loop_now().mono);
}

static void
handshake_step(struct client *c, struct now now)
{
	struct client_tls *t = c->tls;
	int rc = -1;

	TAILQ_REMOVE(&c->server->handshakes_ready, t, ready_link);
	t->ready = false;
	ERR_clear_error();
	if (!t->failed)
		rc = SSL_do_handshake(t->ssl);
	if (rc == 1) {
		handshake_over(t);
		t->wants = 0;
		client_go_on(c, now);
	} else if (!t->failed && tls_result(t, rc) != 0 && errno == EAGAIN) {
		client_watch(c);
	} else {
		c->server->stats.handshakes_bad++;
		client_free(c);
	}
}

void
server_handshakes(void *arg)
{
	struct http_server *s = arg;
	struct now now = loop_now();
	struct client_tls *t;

	server_turn_begin(s);
	while ((t = TAILQ_FIRST(&s->handshakes_ready)) != NULL) {
		handshake_step(t->client, now);
		if (loop_now().mono - now.mono >= HANDSHAKE_TIME)
			break;
	}
	if (t != NULL && !TAILQ_EMPTY(&s->handshakes_ready))
		loop_timer_arm(s->handshake_timer, loop_now().mono);
	server_turn_end(s);
}
