/* gossip/keyring.h -- the pool's keys and AES-GCM with them (SP 800-38D).
 *
 * An ordered list: the first key is primary and the only one that encrypts; decryption tries all.
 */
#ifndef GOSSIP_KEYRING_H
#define GOSSIP_KEYRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define KEYRING_KEYS_MAX 64
#define KEYRING_OVERHEAD 29 /* version, nonce, tag; version 0 pads by up to 16 more */

struct keyring;

struct keyring *keyring_new(void);
void keyring_free(struct keyring *); /* wipes */

/* Keys are 16, 24 or 32 bytes; ERR_INPUT otherwise, ERR_LIMIT at KEYRING_KEYS_MAX. */
int keyring_install(struct keyring *, struct str key, struct err *); /* known: nothing happens */
int keyring_use(struct keyring *, struct str key, struct err *);     /* becomes primary */
int keyring_remove(struct keyring *, struct str key, struct err *);  /* not the primary */
size_t keyring_count(const struct keyring *);
struct str keyring_key(const struct keyring *, size_t i); /* 0 is the primary */

/* Appends version, nonce, ciphertext, tag. version 0 pads (PKCS#7), 1 does not. `nonce` is 12
 * bytes, NULL: random. */
int keyring_seal(const struct keyring *, unsigned version, const uint8_t *nonce, struct str plain,
    struct str aad, struct buf *out, struct err *);
/* Appends the plaintext. ERR_REFUSED: no key opens it; ERR_INPUT: malformed. */
int keyring_open(const struct keyring *, struct str blob, struct str aad, struct buf *out,
    struct err *);

#endif
