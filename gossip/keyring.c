/* gossip/keyring.c -- keys in order, each with two ready OpenSSL contexts (one per direction).
 *
 *     blob = version (1 byte), nonce (12), ciphertext, tag (16)
 *
 * A context keeps its key schedule, so a datagram costs one nonce and its bytes. Version 0 pads the
 * plaintext to blocks as PKCS#7 does; version 1 does not. The tag is checked before a byte of
 * plaintext counts. Source: SP 800-38D; memberlist's layout.
 */
#define ERR_STATE openssl_err_state /* a type's name there, a code of ours here */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#undef ERR_STATE

#include "gossip/keyring.h"

#include <string.h>

#include "base/cursor.h"
#include "base/mem.h"

#define KEY_MAX 32
#define NONCE_LEN 12
#define TAG_LEN 16
#define BLOCK_LEN 16
#define PIECE_MAX (1u << 30) /* bytes for one call of OpenSSL, which counts in int */

struct key {
	uint8_t bytes[KEY_MAX];
	size_t n;
	EVP_CIPHER_CTX *seal, *open;
};

struct keyring {
	struct key *keys[KEYRING_KEYS_MAX]; /* owned; the first is primary */
	size_t count;
};

static void
key_free(struct key *k)
{
	if (k == NULL)
		return;
	EVP_CIPHER_CTX_free(k->seal);
	EVP_CIPHER_CTX_free(k->open);
	OPENSSL_cleanse(k, sizeof *k);
	free(k);
}

static const EVP_CIPHER *
key_cipher(size_t n)
{
	return n == 16 ? EVP_aes_128_gcm() : n == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
}

static struct key *
key_new(struct str bytes)
{
	struct key *k = mem_new(struct key);

	memcpy(k->bytes, bytes.p, bytes.n);
	k->n = bytes.n;
	k->seal = EVP_CIPHER_CTX_new();
	k->open = EVP_CIPHER_CTX_new();
	if (k->seal != NULL && k->open != NULL &&
	    EVP_EncryptInit_ex(k->seal, key_cipher(k->n), NULL, k->bytes, NULL) == 1 &&
	    EVP_DecryptInit_ex(k->open, key_cipher(k->n), NULL, k->bytes, NULL) == 1)
		return k;
	ERR_clear_error();
	key_free(k);
	return NULL;
}

struct keyring *
keyring_new(void)
{
	return mem_new(struct keyring);
}

void
keyring_free(struct keyring *ring)
{
	if (ring == NULL)
		return;
	for (size_t i = 0; i < ring->count; i++)
		key_free(ring->keys[i]);
	free(ring);
}

size_t
keyring_count(const struct keyring *ring)
{
	return ring->count;
}

struct str
keyring_key(const struct keyring *ring, size_t i)
{
	return str_mem(ring->keys[i]->bytes, ring->keys[i]->n);
}

static size_t /* its place, or the count */
keyring_find(const struct keyring *ring, struct str key)
{
	size_t i = 0;

	while (i < ring->count && (ring->keys[i]->n != key.n ||
				      CRYPTO_memcmp(ring->keys[i]->bytes, key.p, key.n) != 0))
		i++;
	return i;
}

int
keyring_install(struct keyring *ring, struct str key, struct err *err)
{
	struct key *k;

	if (key.n != 16 && key.n != 24 && key.n != 32)
		return err_set(err, ERR_INPUT, "a key has 16, 24 or 32 bytes, not %zu", key.n);
	if (keyring_find(ring, key) < ring->count)
		return 0;
	if (ring->count == KEYRING_KEYS_MAX)
		return err_set(err, ERR_LIMIT, "the keyring is full: %d keys", KEYRING_KEYS_MAX);
	k = key_new(key);
	if (k == NULL)
		return err_set(err, ERR_STATE, "OpenSSL offers no AES-GCM");
	ring->keys[ring->count++] = k;
	return 0;
}

int
keyring_use(struct keyring *ring, struct str key, struct err *err)
{
	size_t i = keyring_find(ring, key);
	struct key *k;

	if (i == ring->count)
		return err_set(err, ERR_NOT_FOUND, "the key is not in the keyring");
	k = ring->keys[i];
	memmove(ring->keys + 1, ring->keys, i * sizeof ring->keys[0]);
	ring->keys[0] = k;
	return 0;
}

int
keyring_remove(struct keyring *ring, struct str key, struct err *err)
{
	size_t i = keyring_find(ring, key);

	if (i == ring->count)
		return 0;
	if (i == 0)
		return err_set(err, ERR_REFUSED, "the primary key cannot be removed");
	key_free(ring->keys[i]);
	ring->count--;
	memmove(ring->keys + i, ring->keys + i + 1, (ring->count - i) * sizeof ring->keys[0]);
	return 0;
}

/* --- sealing --- */

static bool
key_seal(const struct key *k, const uint8_t *nonce, struct str aad, const uint8_t *plain, size_t n,
    const uint8_t *pad, size_t pad_n, uint8_t *out)
{
	int done = 0, at = 0;

	if (EVP_EncryptInit_ex(k->seal, NULL, NULL, NULL, nonce) != 1)
		return false;
	if (aad.n > 0 &&
	    EVP_EncryptUpdate(k->seal, NULL, &done, (const uint8_t *)aad.p, (int)aad.n) != 1)
		return false;
	if (n > 0 && EVP_EncryptUpdate(k->seal, out, &at, plain, (int)n) != 1)
		return false;
	if (pad_n > 0) {
		if (EVP_EncryptUpdate(k->seal, out + at, &done, pad, (int)pad_n) != 1)
			return false;
		at += done;
	}
	if (EVP_EncryptFinal_ex(k->seal, out + at, &done) != 1)
		return false;
	return EVP_CIPHER_CTX_ctrl(k->seal, EVP_CTRL_GCM_GET_TAG, TAG_LEN, out + at) == 1;
}

int
keyring_seal(const struct keyring *ring, unsigned version, const uint8_t *nonce, struct str plain,
    struct str aad, struct buf *out, struct err *err)
{
	size_t pad_n = version == 0 ? BLOCK_LEN - plain.n % BLOCK_LEN : 0;
	uint8_t pad[BLOCK_LEN], *p;

	if (ring->count == 0)
		return err_set(err, ERR_STATE, "no key to encrypt with");
	if (version > 1 || plain.n > PIECE_MAX || aad.n > PIECE_MAX)
		return err_set(err, ERR_LIMIT, "too much to encrypt at once");
	p = (uint8_t *)buf_reserve(out, KEYRING_OVERHEAD + plain.n + pad_n);
	if (p == NULL)
		return err_set(err, ERR_LIMIT, "no room for encrypted data");
	memset(pad, (int)pad_n, sizeof pad);
	p[0] = (uint8_t)version;
	if (nonce != NULL)
		memcpy(p + 1, nonce, NONCE_LEN);
	else if (RAND_bytes(p + 1, NONCE_LEN) != 1)
		return err_set(err, ERR_STATE, "OpenSSL has no random numbers");
	if (!key_seal(ring->keys[0], p + 1, aad, (const uint8_t *)plain.p, plain.n, pad, pad_n,
		p + 1 + NONCE_LEN)) {
		ERR_clear_error();
		return err_set(err, ERR_STATE, "OpenSSL does not encrypt");
	}
	buf_commit(out, KEYRING_OVERHEAD + plain.n + pad_n);
	return 0;
}

/* --- opening --- */

static bool
key_open(const struct key *k, const uint8_t *nonce, struct str aad, struct str cipher,
    const uint8_t *tag, uint8_t *out)
{
	uint8_t expected[TAG_LEN];
	int done = 0, at = 0;

	memcpy(expected, tag, TAG_LEN); /* OpenSSL wants it writable */
	if (EVP_DecryptInit_ex(k->open, NULL, NULL, NULL, nonce) != 1)
		return false;
	if (aad.n > 0 &&
	    EVP_DecryptUpdate(k->open, NULL, &done, (const uint8_t *)aad.p, (int)aad.n) != 1)
		return false;
	if (cipher.n > 0 &&
	    EVP_DecryptUpdate(k->open, out, &at, (const uint8_t *)cipher.p, (int)cipher.n) != 1)
		return false;
	return EVP_CIPHER_CTX_ctrl(k->open, EVP_CTRL_GCM_SET_TAG, TAG_LEN, expected) == 1 &&
	       EVP_DecryptFinal_ex(k->open, out + at, &done) == 1;
}

/* Padding of version 0 away: *n shrinks. */
static int
padding_cut(const uint8_t *plain, size_t *n, struct err *err)
{
	uint8_t pad = plain[*n - 1];

	if (pad == 0 || pad > BLOCK_LEN)
		return err_set(err, ERR_INPUT, "encrypted data with a padding of %u", pad);
	*n -= pad; /* n is BLOCK_LEN at least */
	return 0;
}

int
keyring_open(
    const struct keyring *ring, struct str blob, struct str aad, struct buf *out, struct err *err)
{
	const size_t min = KEYRING_OVERHEAD;
	struct reader r = rd_of(blob);
	uint8_t version = rd_u8(&r), *room;
	const uint8_t *nonce = rd_take(&r, NONCE_LEN), *tag;
	struct str cipher;
	size_t n;

	if (blob.n <= min || version > 1 || (version == 0 && blob.n < min + BLOCK_LEN))
		return err_set(
		    err, ERR_INPUT, "not encrypted: %zu bytes, version %u", blob.n, version);
	cipher = rd_str(&r, rd_left(&r) - TAG_LEN);
	tag = rd_take(&r, TAG_LEN);
	if (cipher.n > PIECE_MAX || aad.n > PIECE_MAX)
		return err_set(err, ERR_LIMIT, "too much to decrypt at once");
	room = (uint8_t *)buf_reserve(out, cipher.n);
	if (room == NULL)
		return err_set(err, ERR_LIMIT, "no room for decrypted data");
	for (size_t i = 0; i < ring->count; i++) {
		int rc;

		if (!key_open(ring->keys[i], nonce, aad, cipher, tag, room))
			continue;
		n = cipher.n;
		if (version == 0 && (rc = padding_cut(room, &n, err)) < 0)
			return rc;
		buf_commit(out, n);
		return 0;
	}
	ERR_clear_error();
	return err_set(err, ERR_REFUSED, "no key of %zu opens this", ring->count);
}
