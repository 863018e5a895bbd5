/* agent/tls_io.c -- see tls_io.h. In order: versions and ciphers; files; the context. */
#define ERR_STATE openssl_err_state /* a type's name there, a code of ours here */
#include <openssl/err.h>
#include <openssl/ssl.h>
#undef ERR_STATE

#include "agent/tls_io.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"

#define CIPHERS_TEXT_MAX 4096
#define CA_FILES_MAX 1024 /* in ca_path */

static const struct {
	struct str name;
	int version;
} tls_versions[] = {
	{ STR("tls10"), TLS1_VERSION },
	{ STR("tls11"), TLS1_1_VERSION },
	{ STR("tls12"), TLS1_2_VERSION },
	{ STR("tls13"), TLS1_3_VERSION },
};

static int
version_find(struct str name, int *out, struct err *err)
{
	*out = TLS1_2_VERSION;
	for (size_t i = 0; name.n > 0 && i < sizeof tls_versions / sizeof tls_versions[0]; i++) {
		if (str_eq(name, tls_versions[i].name)) {
			*out = tls_versions[i].version;
			return 0;
		}
	}
	return name.n == 0
		   ? 0
		   : err_set(err, ERR_INPUT,
			 "tls_min_version: \"" STR_FMT "\" is not tls10, tls11, tls12 or tls13",
			 STR_ARG(name));
}

int
tls_version_check(struct str name, struct err *err)
{
	int version;

	return version_find(name, &version, err);
}

/* OpenSSL's name of a suite that Consul names as the RFCs do; Go leaves the hash out where there is
 * only one. NULL: not known here. */
static const char *
cipher_name(struct str suite)
{
	static const char *const tails[] = { "", "_SHA256" };

	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
		char text[128];
		int n = snprintf(text, sizeof text, STR_FMT "%s", STR_ARG(suite), tails[i]);
		const char *name;

		if (n < 0 || (size_t)n >= sizeof text)
			return NULL;
		name = OPENSSL_cipher_name(text);
		if (name != NULL && strcmp(name, "(NONE)") != 0)
			return name;
	}
	return NULL;
}

static int
ciphers_translate(struct str suites, struct buf *out, struct err *err)
{
	for (struct str rest = suites; suites.n > 0 && rest.p != NULL;) {
		struct str one = str_trim(str_cut(&rest, ','));
		const char *name = cipher_name(one);

		if (name == NULL)
			return err_set(err, ERR_INPUT,
			    "tls_cipher_suites: \"" STR_FMT "\" is no cipher suite that is known",
			    STR_ARG(one));
		buf_addf(out, "%s%s", out->n > 0 ? ":" : "", name);
	}
	buf_addc(out, '\0');
	return out->full ? err_set(err, ERR_LIMIT, "tls_cipher_suites: too many") : 0;
}

int
tls_ciphers_check(struct str suites, struct err *err)
{
	struct buf names;
	int rc;

	buf_init(&names, CIPHERS_TEXT_MAX);
	rc = ciphers_translate(suites, &names, err);
	buf_done(&names);
	return rc;
}

/* What OpenSSL has to say of a file, or of a setting; its queue is empty afterwards. */
static int
tls_failed(struct err *err, const char *key, struct str what)
{
	unsigned long code = ERR_peek_last_error();
	const char *why = code == 0 ? NULL : ERR_reason_error_string(code);

	ERR_clear_error();
	return err_set(err, ERR_INPUT, "%s: " STR_FMT ": %s", key, STR_ARG(what),
	    why != NULL ? why : "OpenSSL does not take it");
}

/* OpenSSL's own words for a file that is not there help nobody. */
static int
file_check(const char *key, struct str path, struct err *err)
{
	FILE *f = fopen(path.p, "re");
	struct stat st;
	int rc = 0;

	if (f == NULL)
		return err_errno(err, "%s: cannot read " STR_FMT, key, STR_ARG(path));
	if (fstat(fileno(f), &st) == 0 && !S_ISREG(st.st_mode))
		rc = err_set(err, ERR_INPUT, "%s: " STR_FMT " is no file", key, STR_ARG(path));
	fclose(f);
	return rc;
}

/* A key with a passphrase: nobody is there to be asked for it. */
static int
passphrase_none(char *out, int size, int writes, void *arg)
{
	(void)out;
	(void)size;
	(void)writes;
	(void)arg;
	return -1;
}

static int
cert_load(SSL_CTX *ctx, const struct tls_config *c, struct err *err)
{
	int rc = file_check("cert_file", c->cert_file, err);

	if (rc == 0)
		rc = file_check("key_file", c->key_file, err);
	if (rc < 0)
		return rc;
	SSL_CTX_set_default_passwd_cb(ctx, passphrase_none);
	if (SSL_CTX_use_certificate_chain_file(ctx, c->cert_file.p) != 1)
		return tls_failed(err, "cert_file", c->cert_file);
	if (SSL_CTX_use_PrivateKey_file(ctx, c->key_file.p, SSL_FILETYPE_PEM) != 1)
		return tls_failed(err, "key_file", c->key_file);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return tls_failed(err, "key_file", c->key_file);
	return 0;
}

static int
ca_add(SSL_CTX *ctx, const char *key, struct str file, STACK_OF(X509_NAME) * names, struct err *err)
{
	int rc = file_check(key, file, err);

	if (rc < 0)
		return rc;
	if (SSL_CTX_load_verify_file(ctx, file.p) != 1 ||
	    SSL_add_file_cert_subjects_to_stack(names, file.p) != 1)
		return tls_failed(err, key, file);
	return 0;
}

/* As Consul has it, every file of the folder counts, whatever its name. */
static int
ca_folder(SSL_CTX *ctx, struct str folder, STACK_OF(X509_NAME) * names, struct err *err)
{
	DIR *dir = opendir(folder.p);
	struct dirent *entry;
	size_t count = 0;
	int rc = 0;

	if (dir == NULL)
		return err_errno(err, "ca_path: cannot read " STR_FMT, STR_ARG(folder));
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		char path[PATH_MAX];
		struct stat st;
		int n = snprintf(path, sizeof path, "%s/%s", folder.p, entry->d_name);

		if (n < 0 || (size_t)n >= sizeof path || stat(path, &st) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if (++count > CA_FILES_MAX)
			rc = err_set(err, ERR_LIMIT, "ca_path: " STR_FMT ": more than %d files",
			    STR_ARG(folder), CA_FILES_MAX);
		else
			rc = ca_add(ctx, "ca_path", str_of(path), names, err);
	}
	closedir(dir);
	if (rc == 0 && count == 0)
		rc = err_set(err, ERR_INPUT, "ca_path: " STR_FMT ": no files", STR_ARG(folder));
	return rc;
}

/* The names of the authorities are told to clients, which may choose a certificate by them. */
static int
ca_load(SSL_CTX *ctx, const struct tls_config *c, struct err *err)
{
	STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
	int rc = names == NULL ? err_set(err, ERR_MEMORY, "TLS: no memory") : 0;

	if (rc == 0 && c->ca_file.n > 0)
		rc = ca_add(ctx, "ca_file", c->ca_file, names, err);
	if (rc == 0 && c->ca_path.n > 0)
		rc = ca_folder(ctx, c->ca_path, names, err);
	if (rc < 0)
		sk_X509_NAME_pop_free(names, X509_NAME_free);
	else
		SSL_CTX_set_client_CA_list(ctx, names); /* its own now */
	return rc;
}

static int
versions_set(SSL_CTX *ctx, const struct tls_config *c, struct err *err)
{
	struct buf names;
	int version, rc = version_find(c->min_version, &version, err);

	if (rc < 0)
		return rc;
	buf_init(&names, CIPHERS_TEXT_MAX);
	rc = ciphers_translate(c->cipher_suites, &names, err);
	/* OpenSSL's level 1 and above leave nothing of the old versions */
	if (rc == 0 && version < TLS1_2_VERSION)
		SSL_CTX_set_security_level(ctx, 0);
	if (rc == 0 && SSL_CTX_set_min_proto_version(ctx, version) != 1)
		rc = tls_failed(err, "tls_min_version", c->min_version);
	if (rc == 0 && names.n > 1 && SSL_CTX_set_cipher_list(ctx, names.p) != 1)
		rc = tls_failed(err, "tls_cipher_suites", c->cipher_suites);
	buf_done(&names);
	return rc;
}

/* Other protocols over TLS are not spoken here: who asks for HTTP/2 as well gets HTTP/1.1. */
static int
protocol_choose(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
    unsigned in_n, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_n, ours, sizeof ours - 1, in, in_n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Buffers are held only while something is in them; a session is kept by the client, in a ticket,
 * and good for as long as this context is. */
static void
habits_set(SSL_CTX *ctx, const struct tls_config *c)
{
	static const unsigned char id[] = "muster";

	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(
	    ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	if (c->prefer_server_ciphers)
		SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, protocol_choose, NULL);
}

int
tls_server_new(const struct tls_config *c, SSL_CTX **out, struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int rc = 0;

	ERR_clear_error();
	if (ctx == NULL)
		return err_set(err, ERR_MEMORY, "TLS: no memory");
	if (c->cert_file.n == 0 || c->key_file.n == 0)
		rc = err_set(err, ERR_INPUT, "cert_file and key_file are needed for TLS");
	else if (c->verify_peer && c->ca_file.n == 0 && c->ca_path.n == 0)
		rc = err_set(err, ERR_INPUT,
		    "ca_file or ca_path is needed: clients' certificates are to be verified");
	if (rc == 0)
		rc = versions_set(ctx, c, err);
	if (rc == 0)
		rc = cert_load(ctx, c, err);
	if (rc == 0)
		rc = ca_load(ctx, c, err);
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	habits_set(ctx, c);
	if (c->verify_peer)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	*out = ctx;
	return 0;
}

int
tls_client_new(const struct tls_config *c, struct ssl_ctx_st **out, struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int rc;

	ERR_clear_error();
	if (ctx == NULL)
		return err_set(err, ERR_MEMORY, "TLS: no memory");
	rc = versions_set(ctx, c, err);
	if (rc == 0 && c->cert_file.n > 0)
		rc = cert_load(ctx, c, err);
	if (rc == 0)
		rc = ca_load(ctx, c, err);
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	habits_set(ctx, c);
	SSL_CTX_set_verify(ctx, c->verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	*out = ctx;
	return 0;
}

struct ssl_ctx_st *
tls_ref(struct ssl_ctx_st *ctx)
{
	if (ctx != NULL)
		SSL_CTX_up_ref(ctx);
	return ctx;
}

void
tls_unref(struct ssl_ctx_st *ctx)
{
	SSL_CTX_free(ctx);
}
