/* agent/server/server_stream.c -- see the header for the handshake.
 *
 *     caller   WELCOME --welcome--> OPEN
 *     called   HELLO --hello--> ASKED --accept()--> FIRST --the first record--> OPEN
 *
 * Hello and welcome have the same head: magic (4 bytes), flags (8 bits, zero), from, to, cluster
 * (16 bytes each), nonce (32), a count of keys or which one (8 bits; NO_KEY: plain). A record:
 * length of what follows (32 bits), type (8; the high bit: the end), data, tag (16).
 */
#include "agent/server/server_stream.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/server/server_secret.h"
#include "base/cursor.h"
#include "base/mem.h"

#define MAGIC STR("muS1")
#define HEAD (4 + 1 + 3 * 16 + SERVER_STREAM_NONCE + 1)
#define HELLO_MAX (HEAD + SERVER_STREAM_KEYS_MAX * SERVER_SECRET_LEN)
#define NO_KEY 255
#define LENGTH 4
#define END_BIT 0x80
#define TYPE_FIRST 0 /* of the caller's empty record */

#define TO_GREET STR("muster server port: greet")
#define TO_WELCOME STR("muster server port: welcome")
#define TO_CALLED STR("muster server port: records of the caller")
#define TO_CALLER STR("muster server port: records of the called")

enum stage { STAGE_WELCOME, STAGE_HELLO, STAGE_ASKED, STAGE_FIRST, STAGE_OPEN, STAGE_FAILED };

struct secret {
	uint8_t b[SERVER_SECRET_LEN];
};

struct head {
	struct uuid from, to, cluster;
	struct str nonce;
	uint8_t key;
};

struct server_stream {
	struct server_stream_config config; /* without its keys */
	enum stage stage;
	struct uuid peer, peer_cluster;
	struct secret greets[SERVER_STREAM_KEYS_MAX]; /* of our keys, for a hello to come */
	struct secret ring[SERVER_STREAM_KEYS_MAX];   /* the caller's, until the welcome is here */
	uint8_t ring_len[SERVER_STREAM_KEYS_MAX];
	size_t key_count;
	struct buf hello; /* as sent or received: what the MACs cover */
	struct buf in, out;
	size_t taken; /* of `in`: told, and dropped with the next input */
	bool encrypted;
	struct server_seal *sealing, *opening;
	struct err failure;
};

/* ---- failures ---- */

static int
failed(struct server_stream *s, struct err *err, int code, const char *why)
{
	s->stage = STAGE_FAILED;
	err_set(&s->failure, code, "%s", why);
	return err_set(err, code, "%s", why);
}

/* ---- the handshake ---- */

static struct str
waiting(const struct server_stream *s)
{
	return s->in.n == s->taken ? STR_NONE : str_skip(buf_str(&s->in), s->taken);
}

static struct str
uuid_str(const struct uuid *u)
{
	return str_mem(u->b, sizeof u->b);
}

static struct uuid
rd_uuid(struct reader *r)
{
	const uint8_t *p = rd_take(r, 16);
	struct uuid u = { { 0 } };

	if (p != NULL)
		memcpy(u.b, p, sizeof u.b);
	return u;
}

static void
head_write(struct buf *out, const struct server_stream *s, uint8_t key)
{
	uint8_t room[HEAD];
	struct writer w = wr_of(room, sizeof room);

	wr_bytes(&w, MAGIC);
	wr_u8(&w, 0);
	wr_bytes(&w, uuid_str(&s->config.self));
	wr_bytes(&w, uuid_str(&s->peer));
	wr_bytes(&w, uuid_str(&s->config.cluster));
	wr_bytes(&w, str_mem(s->config.nonce, SERVER_STREAM_NONCE));
	wr_u8(&w, key);
	buf_add(out, wr_done(&w));
}

/* The next version may use the flags; this one knows none. */
static bool
head_read(struct reader *r, struct head *out)
{
	bool ours = str_eq(rd_str(r, 4), MAGIC) && rd_u8(r) == 0;

	out->from = rd_uuid(r);
	out->to = rd_uuid(r);
	out->cluster = rd_uuid(r);
	out->nonce = rd_str(r, SERVER_STREAM_NONCE);
	out->key = rd_u8(r);
	return ours && rd_ok(r);
}

static bool
derive(struct str key, struct str salt, struct str purpose, struct secret *out)
{
	return server_secret_derive(key, salt, purpose, out->b);
}

static struct str
ring_key(const struct server_stream *s, size_t i)
{
	return str_mem(s->ring[i].b, s->ring_len[i]);
}

static void
hello_write(struct server_stream *s)
{
	struct secret mac;
	struct str head;

	head_write(&s->hello, s, (uint8_t)s->key_count);
	for (size_t i = 0; i < s->key_count; i++) {
		head = str_mem(s->hello.p, HEAD);
		if (!server_secret_mac(s->greets[i].b, head, STR_NONE, mac.b))
			memset(&mac, 0, sizeof mac);
		buf_add(&s->hello, str_mem(mac.b, sizeof mac.b));
	}
	buf_add(&s->out, buf_str(&s->hello));
}

/* Both directions' keys, from what both now know. */
static bool
open_records(struct server_stream *s, struct str key, struct str salt, struct str welcome_mac)
{
	struct secret caller, called;
	struct buf purpose;
	bool ok;

	buf_init(&purpose, 256);
	buf_add(&purpose, TO_CALLED);
	buf_add(&purpose, welcome_mac);
	ok = derive(key, salt, buf_str(&purpose), &caller);
	buf_clear(&purpose);
	buf_add(&purpose, TO_CALLER);
	buf_add(&purpose, welcome_mac);
	ok = ok && derive(key, salt, buf_str(&purpose), &called);
	buf_done(&purpose);
	if (ok) {
		s->sealing = server_seal_new(s->config.caller ? caller.b : called.b, true);
		s->opening = server_seal_new(s->config.caller ? called.b : caller.b, false);
	}
	server_secret_wipe(&caller, sizeof caller);
	server_secret_wipe(&called, sizeof called);
	return s->sealing != NULL && s->opening != NULL;
}

static void
salt_make(struct buf *out, struct str caller, struct str called)
{
	buf_init(out, 2 * (size_t)SERVER_STREAM_NONCE);
	buf_add(out, caller);
	buf_add(out, called);
}

/* What both sides ask of each other's head. NULL: fine. */
static const char *
head_refused(const struct server_stream *s, const struct head *h)
{
	static const struct uuid none;

	if (uuid_eq(&h->from, &s->config.self))
		return "it is ourselves";
	if (!uuid_eq(&h->to, &s->config.self))
		return "it wants another agent";
	if (s->config.caller && !uuid_eq(&h->from, &s->config.peer))
		return "it is another agent than was wanted";
	if (!uuid_eq(&h->cluster, &none) && !uuid_eq(&s->config.cluster, &none) &&
	    !uuid_eq(&h->cluster, &s->config.cluster))
		return "it is of another Raft cluster";
	return NULL;
}

/* 1: HELLO is told; 0: not all here. */
static int
hello_input(struct server_stream *s, struct err *err)
{
	struct str bytes = waiting(s);
	struct reader r = rd_of(bytes);
	const char *why;
	struct head h;

	if (bytes.n > 0 && memcmp(bytes.p, MAGIC.p, bytes.n < 4 ? bytes.n : 4) != 0)
		return failed(s, err, ERR_INPUT, "it does not speak this protocol");
	if (bytes.n < HEAD)
		return 0;
	if (!head_read(&r, &h) || h.key > SERVER_STREAM_KEYS_MAX)
		return failed(s, err, ERR_INPUT, "its hello is broken");
	rd_take(&r, (size_t)h.key * SERVER_SECRET_LEN);
	if (!rd_ok(&r))
		return 0;
	why = head_refused(s, &h);
	if (why != NULL)
		return failed(s, err, ERR_REFUSED, why);
	buf_add(&s->hello, str_head(bytes, r.pos));
	s->taken += r.pos;
	s->peer = h.from;
	s->peer_cluster = h.cluster;
	s->stage = STAGE_ASKED;
	return 1;
}

/* Which of our keys the caller has, and where in its hello that is shown: false: none. */
static bool
key_common(const struct server_stream *s, size_t *ours, size_t *theirs)
{
	struct str head = str_mem(s->hello.p, HEAD);
	size_t count = (s->hello.n - HEAD) / SERVER_SECRET_LEN;
	struct secret mac;

	for (*ours = 0; *ours < s->key_count; ++*ours) {
		if (!server_secret_mac(s->greets[*ours].b, head, STR_NONE, mac.b))
			continue;
		for (*theirs = 0; *theirs < count; ++*theirs) {
			const uint8_t *at =
			    (const uint8_t *)s->hello.p + HEAD + *theirs * SERVER_SECRET_LEN;

			if (server_secret_eq(mac.b, at, sizeof mac.b))
				return true;
		}
	}
	return false;
}

static void
ring_forget(struct server_stream *s)
{
	server_secret_wipe(s->ring, sizeof s->ring);
	server_secret_wipe(s->greets, sizeof s->greets);
}

static int
welcome_keyed(struct server_stream *s, struct err *err)
{
	size_t ours, theirs;
	struct buf salt, welcome;
	struct secret key, mac;
	struct str nonce;
	bool ok;

	if (s->hello.n == HEAD)
		return failed(s, err, ERR_REFUSED, "it has no key, and here one is needed");
	if (!key_common(s, &ours, &theirs))
		return failed(s, err, ERR_REFUSED, "it has none of our keys");
	nonce = str_mem(s->hello.p + HEAD - 1 - SERVER_STREAM_NONCE, SERVER_STREAM_NONCE);
	salt_make(&salt, nonce, str_mem(s->config.nonce, SERVER_STREAM_NONCE));
	buf_init(&welcome, HEAD);
	head_write(&welcome, s, (uint8_t)theirs);
	ok = derive(ring_key(s, ours), buf_str(&salt), TO_WELCOME, &key) &&
	     server_secret_mac(key.b, buf_str(&s->hello), buf_str(&welcome), mac.b) &&
	     open_records(s, ring_key(s, ours), buf_str(&salt), str_mem(mac.b, sizeof mac.b));
	buf_add(&s->out, buf_str(&welcome));
	buf_add(&s->out, str_mem(mac.b, sizeof mac.b));
	buf_done(&welcome);
	buf_done(&salt);
	server_secret_wipe(&key, sizeof key);
	return ok ? 0 : failed(s, err, ERR_IO, "OpenSSL refuses to work");
}

int
server_stream_accept(struct server_stream *s, struct err *err)
{
	int rc = 0;

	if (s->stage == STAGE_FAILED)
		return err_set(err, s->failure.code, "%s", s->failure.text);
	if (s->stage != STAGE_ASKED)
		return err_set(err, ERR_STATE, "nobody asks");
	s->encrypted = s->key_count > 0;
	if (s->encrypted)
		rc = welcome_keyed(s, err);
	else if (s->hello.n > HEAD)
		rc = failed(s, err, ERR_REFUSED, "it has a key, and here there is none");
	else
		head_write(&s->out, s, NO_KEY);
	ring_forget(s);
	if (rc == 0)
		s->stage = STAGE_FIRST;
	return rc;
}

static int
welcome_check(struct server_stream *s, const struct head *h, struct str welcome, struct str mac,
    struct err *err)
{
	struct secret key, want;
	struct buf salt;
	bool ok;

	if (h->key >= s->key_count)
		return failed(s, err, ERR_INPUT, "its welcome is broken");
	salt_make(&salt, str_mem(s->config.nonce, SERVER_STREAM_NONCE), h->nonce);
	ok = derive(ring_key(s, h->key), buf_str(&salt), TO_WELCOME, &key) &&
	     server_secret_mac(key.b, buf_str(&s->hello), welcome, want.b) &&
	     server_secret_eq(want.b, (const uint8_t *)mac.p, sizeof want.b);
	ok = ok && open_records(s, ring_key(s, h->key), buf_str(&salt), mac);
	buf_done(&salt);
	server_secret_wipe(&key, sizeof key);
	return ok ? 0 : failed(s, err, ERR_REFUSED, "it does not hold the key that it names");
}

/* 1: READY is told; 0: not all here. */
static int
welcome_input(struct server_stream *s, struct err *err)
{
	struct str bytes = waiting(s), mac = STR_NONE;
	struct reader r = rd_of(bytes);
	const char *why;
	struct head h;
	int rc = 0;

	if (bytes.n < HEAD)
		return 0;
	if (!head_read(&r, &h))
		return failed(s, err, ERR_INPUT, "it does not speak this protocol");
	if ((h.key == NO_KEY) != (s->key_count == 0))
		return failed(s, err, ERR_REFUSED, "one of us has a key, the other has none");
	if (h.key != NO_KEY)
		mac = rd_str(&r, SERVER_SECRET_LEN);
	if (!rd_ok(&r))
		return 0;
	why = head_refused(s, &h);
	if (why != NULL)
		return failed(s, err, ERR_REFUSED, why);
	s->encrypted = s->key_count > 0;
	if (s->encrypted)
		rc = welcome_check(s, &h, str_head(bytes, HEAD), mac, err);
	ring_forget(s);
	if (rc < 0)
		return rc;
	s->peer_cluster = h.cluster;
	s->taken += r.pos;
	s->stage = STAGE_OPEN;
	rc = server_stream_send(s, TYPE_FIRST, STR_NONE, true, err);
	return rc < 0 ? rc : 1;
}

/* ---- records ---- */

static void
plain_tag(struct str plain, uint8_t out[SERVER_SEAL_TAG])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(plain.p, plain.n));
	memcpy(out, canonical.digest, SERVER_SEAL_TAG);
}

int
server_stream_send(struct server_stream *s, enum server_stream_type type, struct str data, bool end,
    struct err *err)
{
	size_t sealed = 1 + data.n + SERVER_SEAL_TAG;
	struct writer w;
	struct str length, plain;
	uint8_t *body;
	char *room;

	if (s->stage != STAGE_OPEN || data.n > SERVER_STREAM_RECORD_MAX)
		return err_set(err, ERR_STATE, "the connection does not take this now");
	room = buf_reserve(&s->out, LENGTH + sealed);
	if (room == NULL)
		return err_set(err, ERR_MEMORY, "too much waits to be sent");
	w = wr_of(room, LENGTH + sealed);
	wr_be32(&w, (uint32_t)sealed);
	wr_u8(&w, (uint8_t)(type | (end ? END_BIT : 0)));
	wr_bytes(&w, data);
	length = str_mem(room, LENGTH);
	plain = str_mem(room + LENGTH, 1 + data.n);
	body = (uint8_t *)room + LENGTH;
	if (!s->encrypted)
		plain_tag(plain, body + plain.n);
	else if (!server_seal_close(s->sealing, length, plain, body))
		return failed(s, err, ERR_IO, "OpenSSL refuses to work");
	buf_commit(&s->out, LENGTH + sealed);
	return 0;
}

static bool
record_open(struct server_stream *s, uint8_t *body, size_t n)
{
	struct str length = str_mem(body - LENGTH, LENGTH);
	uint8_t tag[SERVER_SEAL_TAG];

	if (s->encrypted)
		return server_seal_open(s->opening, length, body, n);
	plain_tag(str_mem(body, n - SERVER_SEAL_TAG), tag);
	return memcmp(tag, body + n - SERVER_SEAL_TAG, SERVER_SEAL_TAG) == 0;
}

/* 1: one is told; 0: not all here. */
static int
record_input(struct server_stream *s, struct server_stream_said *out, struct err *err)
{
	struct reader r = rd_of(waiting(s));
	uint32_t n = rd_be32(&r);
	uint8_t *body, type;

	if (!rd_ok(&r))
		return 0;
	if (n < 1 + SERVER_SEAL_TAG || n > 1 + SERVER_STREAM_RECORD_MAX + SERVER_SEAL_TAG)
		return failed(s, err, ERR_INPUT, "a record of a length that is none");
	rd_take(&r, n);
	if (!rd_ok(&r))
		return 0;
	body = (uint8_t *)s->in.p + s->taken + LENGTH;
	if (!record_open(s, body, n))
		return failed(s, err, ERR_REFUSED, "a record that is not the peer's");
	s->taken += r.pos;
	type = body[0] & (uint8_t)~END_BIT;
	if (s->stage == STAGE_FIRST) {
		if (type != TYPE_FIRST || n != 1 + SERVER_SEAL_TAG)
			return failed(s, err, ERR_INPUT, "the first record is not empty");
		s->stage = STAGE_OPEN;
		*out = (struct server_stream_said){ .event = SERVER_STREAM_READY };
		return 1;
	}
	if (type < SERVER_STREAM_MESSAGE || type > SERVER_STREAM_GIVEN_UP)
		return failed(s, err, ERR_INPUT, "a record of an unknown type");
	*out = (struct server_stream_said){
		.event = SERVER_STREAM_RECORD,
		.type = type,
		.bytes = str_mem(body + 1, n - 1 - SERVER_SEAL_TAG),
		.end = (body[0] & END_BIT) != 0,
	};
	return 1;
}

/* ---- in and out ---- */

int
server_stream_input(struct server_stream *s, struct str bytes, struct err *err)
{
	if (s->stage == STAGE_FAILED)
		return err_set(err, s->failure.code, "%s", s->failure.text);
	buf_drop_front(&s->in, s->taken);
	s->taken = 0;
	buf_add(&s->in, bytes);
	if (s->in.full)
		return failed(s, err, ERR_LIMIT, "too much before the handshake is done");
	return 0;
}

int
server_stream_next(struct server_stream *s, struct server_stream_said *out, struct err *err)
{
	int rc = 0;

	if (s->stage == STAGE_FAILED)
		return err_set(err, s->failure.code, "%s", s->failure.text);
	switch (s->stage) {
	case STAGE_HELLO:
		rc = hello_input(s, err);
		*out = (struct server_stream_said){ .event = SERVER_STREAM_HELLO };
		break;
	case STAGE_WELCOME:
		rc = welcome_input(s, err);
		*out = (struct server_stream_said){ .event = SERVER_STREAM_READY };
		break;
	case STAGE_FIRST:
	case STAGE_OPEN:
		rc = record_input(s, out, err);
		break;
	default:
		break; /* what comes before it is accepted waits */
	}
	return rc;
}

struct buf *
server_stream_out(struct server_stream *s)
{
	return &s->out;
}

const struct uuid *
server_stream_peer(const struct server_stream *s)
{
	return &s->peer;
}

const struct uuid *
server_stream_cluster(const struct server_stream *s)
{
	return &s->peer_cluster;
}

bool
server_stream_encrypted(const struct server_stream *s)
{
	return s->encrypted;
}

/* ---- life ---- */

struct server_stream *
server_stream_new(const struct server_stream_config *config)
{
	struct server_stream *s = mem_new(struct server_stream);

	s->config = *config;
	s->config.keys = NULL;
	s->stage = config->caller ? STAGE_WELCOME : STAGE_HELLO;
	buf_init(&s->hello, HELLO_MAX);
	buf_init(&s->in, 2 * (size_t)SERVER_STREAM_INPUT_MAX);
	buf_init(&s->out, SERVER_STREAM_OUT_MAX);
	for (size_t i = 0; i < config->key_count && i < SERVER_STREAM_KEYS_MAX; i++) {
		struct str key = config->keys[i];

		if (key.n > SERVER_SECRET_LEN)
			continue;
		memcpy(s->ring[s->key_count].b, key.p, key.n);
		s->ring_len[s->key_count] = (uint8_t)key.n;
		if (derive(key, STR_NONE, TO_GREET, &s->greets[s->key_count]))
			s->key_count++;
	}
	if (config->caller) {
		s->peer = config->peer;
		hello_write(s);
	}
	return s;
}

void
server_stream_free(struct server_stream *s)
{
	if (s == NULL)
		return;
	server_seal_free(s->sealing);
	server_seal_free(s->opening);
	buf_done(&s->hello);
	buf_done(&s->in);
	buf_done(&s->out);
	server_secret_wipe(s, sizeof *s);
	free(s);
}
