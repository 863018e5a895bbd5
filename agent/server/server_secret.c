/* agent/server/server_secret.c -- see the header. The only caller of OpenSSL for the server port. */
#define ERR_STATE openssl_err_state /* a type's name there, a code of ours here */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#undef ERR_STATE

#include "agent/server/server_secret.h"

#include "base/cursor.h"
#include "base/mem.h"

#define NONCE_LEN 12 /* bytes: four zeros, the number of the record */

static const unsigned char *
bytes(struct str s)
{
	return (const unsigned char *)(s.n == 0 ? "" : s.p);
}

bool
server_secret_derive(
    struct str key, struct str salt, struct str purpose, uint8_t out[SERVER_SECRET_LEN])
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	size_t n = SERVER_SECRET_LEN;
	bool ok;

	ok = c != NULL && EVP_PKEY_derive_init(c) == 1 &&
	     EVP_PKEY_CTX_set_hkdf_md(c, EVP_sha256()) == 1 &&
	     EVP_PKEY_CTX_set1_hkdf_salt(c, bytes(salt), (int)salt.n) == 1 &&
	     EVP_PKEY_CTX_set1_hkdf_key(c, bytes(key), (int)key.n) == 1 &&
	     EVP_PKEY_CTX_add1_hkdf_info(c, bytes(purpose), (int)purpose.n) == 1 &&
	     EVP_PKEY_derive(c, out, &n) == 1 && n == SERVER_SECRET_LEN;
	EVP_PKEY_CTX_free(c);
	if (!ok)
		ERR_clear_error();
	return ok;
}

bool
server_secret_mac(const uint8_t key[SERVER_SECRET_LEN], struct str first, struct str second,
    uint8_t out[SERVER_SECRET_LEN])
{
	struct buf both;
	unsigned n = 0;
	bool ok;

	buf_init(&both, first.n + second.n);
	buf_add(&both, first);
	buf_add(&both, second);
	ok = !both.full &&
	     HMAC(EVP_sha256(), key, SERVER_SECRET_LEN, bytes(buf_str(&both)), both.n, out, &n) !=
		 NULL &&
	     n == SERVER_SECRET_LEN;
	buf_done(&both);
	if (!ok)
		ERR_clear_error();
	return ok;
}

bool
server_secret_eq(const uint8_t *a, const uint8_t *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void
server_secret_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

struct server_seal {
	EVP_CIPHER_CTX *cipher;
	uint64_t number; /* of the next record */
	bool sealing;
};

struct server_seal *
server_seal_new(const uint8_t key[SERVER_SECRET_LEN], bool sealing)
{
	struct server_seal *s = mem_new(struct server_seal);

	s->sealing = sealing;
	s->cipher = EVP_CIPHER_CTX_new();
	if (s->cipher != NULL &&
	    EVP_CipherInit_ex(s->cipher, EVP_aes_256_gcm(), NULL, key, NULL, sealing) == 1)
		return s;
	ERR_clear_error();
	server_seal_free(s);
	return NULL;
}

void
server_seal_free(struct server_seal *s)
{
	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->cipher);
	free(s);
}

static bool
seal_begin(struct server_seal *s, struct str aad)
{
	uint8_t nonce[NONCE_LEN];
	struct writer w = wr_of(nonce, sizeof nonce);
	int n;

	wr_be32(&w, 0);
	wr_be64(&w, s->number++);
	return EVP_CipherInit_ex(s->cipher, NULL, NULL, NULL, nonce, -1) == 1 &&
	       EVP_CipherUpdate(s->cipher, NULL, &n, bytes(aad), (int)aad.n) == 1;
}

bool
server_seal_close(struct server_seal *s, struct str aad, struct str plain, uint8_t *out)
{
	int n = 0, last = 0;

	if (seal_begin(s, aad) &&
	    EVP_CipherUpdate(s->cipher, out, &n, bytes(plain), (int)plain.n) == 1 &&
	    EVP_CipherFinal_ex(s->cipher, out + n, &last) == 1 &&
	    EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_GET_TAG, SERVER_SEAL_TAG, out + plain.n) ==
		1)
		return true;
	ERR_clear_error();
	return false;
}

bool
server_seal_open(struct server_seal *s, struct str aad, uint8_t *sealed, size_t n)
{
	size_t plain = n < SERVER_SEAL_TAG ? 0 : n - SERVER_SEAL_TAG;
	int out = 0, last = 0;

	if (n >= SERVER_SEAL_TAG && seal_begin(s, aad) &&
	    EVP_CipherUpdate(s->cipher, sealed, &out, sealed, (int)plain) == 1 &&
	    EVP_CIPHER_CTX_ctrl(
		s->cipher, EVP_CTRL_AEAD_SET_TAG, SERVER_SEAL_TAG, sealed + plain) == 1 &&
	    EVP_CipherFinal_ex(s->cipher, sealed + out, &last) == 1)
		return true;
	ERR_clear_error();
	return false;
}
