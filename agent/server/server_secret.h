/* agent/server/server_secret.h -- the cryptography of the server port, by OpenSSL: derived keys, MACs, and
 * records sealed one way. server_stream.c says what they are put together to.
 */
#ifndef AGENT_SERVER_SECRET_H
#define AGENT_SERVER_SECRET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define SERVER_SECRET_LEN 32 /* of a derived key and of a MAC */
#define SERVER_SEAL_TAG 16

/* HKDF-SHA256 (RFC 5869). */
bool server_secret_derive(
    struct str key, struct str salt, struct str purpose, uint8_t out[SERVER_SECRET_LEN]);
/* HMAC-SHA256 over two pieces. */
bool server_secret_mac(const uint8_t key[SERVER_SECRET_LEN], struct str first, struct str second,
    uint8_t out[SERVER_SECRET_LEN]);
bool server_secret_eq(const uint8_t *a, const uint8_t *b, size_t n); /* in constant time */
void server_secret_wipe(void *p, size_t n);

/* Records in one direction: AES-256-GCM, the number of the record as nonce. */
struct server_seal;

struct server_seal *server_seal_new(const uint8_t key[SERVER_SECRET_LEN], bool sealing);
void server_seal_free(struct server_seal *); /* NULL is fine */
/* `out` has room for plain.n + SERVER_SEAL_TAG; it may be where the plain text is. */
bool server_seal_close(struct server_seal *, struct str aad, struct str plain, uint8_t *out);
/* In place: the first sealed.n - SERVER_SEAL_TAG bytes become the plain text. False: not ours. */
bool server_seal_open(struct server_seal *, struct str aad, uint8_t *sealed, size_t n);

#endif
