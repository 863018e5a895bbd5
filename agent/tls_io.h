/* agent/tls_io.h -- certificates, keys and what is asked of the other side, as OpenSSL contexts.
 *
 * The files are read once, when a context is made: what a connection was begun with it keeps, and
 * files that change count for the next context. Names and meaning of the settings are Consul's.
 */
#ifndef AGENT_TLS_IO_H
#define AGENT_TLS_IO_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* Texts are terminated; empty ones were not given. */
struct tls_config {
	struct str ca_file, ca_path;    /* who the other side's certificate may be signed by */
	struct str cert_file, key_file; /* ours, PEM; the chain behind the certificate */
	struct str min_version;         /* "tls10" to "tls13"; empty: tls12 */
	struct str cipher_suites; /* "TLS_ECDHE_…,…" of TLS 1.2 and below; empty: OpenSSL's */
	bool prefer_server_ciphers;
	bool verify_peer; /* the other side must show a certificate of the CA's */
};

/* Whether a name of a version, or a list of cipher suites, is understood; for options. */
int tls_version_check(struct str, struct err *);
int tls_ciphers_check(struct str, struct err *);

/* For the side that accepts. ERR_INPUT or ERR_IO with a sentence that names key and file. The
 * caller owns it. */
int tls_server_new(const struct tls_config *, struct ssl_ctx_st **out, struct err *);
/* For the side that calls: verify_peer is meant of whom it calls; a certificate of ours need not be
 * given. Who calls says which name that certificate must have. */
int tls_client_new(const struct tls_config *, struct ssl_ctx_st **out, struct err *);

struct ssl_ctx_st *tls_ref(struct ssl_ctx_st *); /* one more owner; NULL is fine */
void tls_unref(struct ssl_ctx_st *);

#endif
