/* agent/server/server_stream.h -- one connection to the server port, as a core without I/O: a handshake
 * that says who speaks, then messages in sealed records (RULES 18).
 *
 * With a keyring both sides prove that they hold one of its keys, and every record is encrypted;
 * with none the id that the other side names is all there is, and the shell knows from the address
 * whether to believe it. One with keys and one without never come together.
 *
 *     hello    "muS1", flags, from, to, cluster, nonce, count of keys, for each a MAC over the rest
 *     welcome  "muS1", flags, from, to, cluster, nonce, which key, MAC over hello and welcome
 *     records  length, type and bytes sealed, tag; the caller's first is empty, and shows that it
 *              is no repeat
 *
 * All keys of a connection are derived (HKDF-SHA256, RFC 5869) from one key of the ring, each for
 * one purpose: to greet, to welcome, and one for each direction's records, the last two from both
 * nonces and the whole handshake. Records are AES-256-GCM with a counter as nonce: nothing can be
 * left out, repeated, turned round or moved to another connection. Without a key the tag is an
 * XXH3 of the record, against broken networks only.
 *
 * After every call that feeds it: drain server_stream_next(), then send what is in
 * server_stream_out(). What an event points to is borrowed until the next call.
 */
#ifndef AGENT_SERVER_STREAM_H
#define AGENT_SERVER_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/uuid.h"

#define SERVER_STREAM_NONCE 32
#define SERVER_STREAM_KEYS_MAX 64
#define SERVER_STREAM_RECORD_MAX (64 * 1024) /* bytes of one record's data */
#define SERVER_STREAM_INPUT_MAX (SERVER_STREAM_RECORD_MAX + 64)
#define SERVER_STREAM_OUT_MAX (8 * 1024 * 1024)

enum server_stream_type { /* on the wire: never change one */
	SERVER_STREAM_MESSAGE = 1,
	SERVER_STREAM_BULK = 2,     /* messages too, that others may overtake */
	SERVER_STREAM_SNAPSHOT = 3, /* what announces a snapshot */
	SERVER_STREAM_DATA = 4,     /* of it */
	SERVER_STREAM_GIVEN_UP = 5, /* the rest of it will not come */
};

enum server_stream_event {
	SERVER_STREAM_HELLO, /* at who was called: peer, cluster. server_stream_accept() or close */
	SERVER_STREAM_READY, /* peer is sure; records may be sent */
	SERVER_STREAM_RECORD, /* type, bytes, end */
};

struct server_stream_said {
	enum server_stream_event event;
	enum server_stream_type type;
	struct str bytes;
	bool end; /* of the message, the announcement or the data */
};

struct server_stream_config {
	bool caller;
	struct uuid self, peer; /* peer: of a caller, whom it wants */
	struct uuid cluster;    /* of Raft; all zeros: none. Two that differ are refused */
	const struct str *keys; /* borrowed for the calls of new and accept; 0: none */
	size_t key_count;
	uint8_t nonce[SERVER_STREAM_NONCE]; /* random, never used before */
};

struct server_stream;

struct server_stream *server_stream_new(const struct server_stream_config *);
void server_stream_free(struct server_stream *); /* wipes; NULL is fine */

/* Negative, from then on for ever: broken, refused (ERR_REFUSED: who does not hold a key, wants
 * another, is of another cluster), or over a limit. At most SERVER_STREAM_RECORD_MAX bytes. */
int server_stream_input(struct server_stream *, struct str, struct err *);
/* 1: *out; 0: nothing more for now; negative: as above. */
int server_stream_next(struct server_stream *, struct server_stream_said *out, struct err *);
/* After HELLO. */
int server_stream_accept(struct server_stream *, struct err *);
/* After READY. Cut into records of SERVER_STREAM_RECORD_MAX by the caller. */
int server_stream_send(
    struct server_stream *, enum server_stream_type, struct str, bool end, struct err *);
struct buf *server_stream_out(struct server_stream *); /* take from the front what is sent */

const struct uuid *server_stream_peer(const struct server_stream *);    /* from HELLO or READY on */
const struct uuid *server_stream_cluster(const struct server_stream *); /* the peer's */
bool server_stream_encrypted(const struct server_stream *);

#endif
