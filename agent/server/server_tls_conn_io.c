/* agent/server/server_tls_conn_io.c -- TLS below connections to and from other agents.
 *
 * Few and long-lived, so libevent's TLS streams will do. One port takes both, as Consul's does, so
 * that a cluster can be changed over agent by agent: a TLS record of a handshake begins with 22, a
 * hello of ours with 'm'.
 */
#define ERR_STATE openssl_err_state /* a type's name there, a code of ours here */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#undef ERR_STATE

#include "agent/server/server_net_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/bufferevent_ssl.h>

#define TLS_HANDSHAKE 22 /* RFC 8446 5.1 */

struct bufferevent *
conn_tls_new(struct net_conn *c, int fd)
{
	struct server_net_tls *tls = &c->net->tls;
	SSL *ssl = SSL_new(c->caller ? tls->out : tls->in);
	struct bufferevent *bev;

	if (ssl == NULL)
		return NULL;
	SSL_clear_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE); /* libevent takes a write for whole */
	/* what SSL_set_tlsext_host_name() is, whose cast takes the const away unseen; it copies */
	if (c->caller && tls->name.n > 0 &&
	    (SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		 (void *)(uintptr_t)tls->name.p) != 1 ||
		SSL_set1_host(ssl, tls->name.p) != 1)) {
		SSL_free(ssl);
		return NULL;
	}
	bev = bufferevent_openssl_socket_new(c->net->config.base, fd, ssl,
	    c->caller ? BUFFEREVENT_SSL_CONNECTING : BUFFEREVENT_SSL_ACCEPTING,
	    BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		SSL_free(ssl);
	else
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

const char *
conn_tls_why(const struct net_conn *c)
{
	long verdict = SSL_get_verify_result(bufferevent_openssl_get_ssl(c->bev));
	unsigned long code = bufferevent_get_openssl_error(c->bev);
	const char *why = code == 0 ? NULL : ERR_reason_error_string(code);

	if (verdict != X509_V_OK)
		return X509_verify_cert_error_string(verdict);
	return why != NULL ? why : "broken in the TLS handshake";
}

/* The plain stream makes room for one of TLS on the same socket. */
static void
conn_change_over(struct net_conn *c)
{
	int fd = bufferevent_getfd(c->bev);

	bufferevent_setfd(c->bev, -1);
	bufferevent_free(c->bev);
	c->bev = conn_tls_new(c, fd);
	if (c->bev == NULL)
		abort(); /* no memory */
	c->verified = c->net->tls.required;
}

static void
on_first_byte(evutil_socket_t fd, short what, void *arg)
{
	struct net_conn *c = arg;
	unsigned char first;
	ssize_t n = recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
	bool tls = n == 1 && first == TLS_HANDSHAKE;

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	event_del(c->sniff);
	if (tls && c->net->tls.in != NULL) {
		conn_change_over(c);
	} else if (c->net->tls.required) {
		if (n > 0)
			net_complain(
			    c->net, &c->from, "it does not speak TLS, which verify_incoming wants");
		conn_end(c, "without TLS");
		return;
	}
	conn_listen_to(c);
}

void
conn_sniff(struct net_conn *c)
{
	c->sniff = event_new(
	    c->net->config.base, bufferevent_getfd(c->bev), EV_READ | EV_PERSIST, on_first_byte, c);
	if (c->sniff == NULL)
		abort(); /* no memory */
	event_add(c->sniff, NULL);
}
