/* tests/unit/vector.h -- recorded messages of real agents, and what we read in their words.
 *
 * Vectors live in tests/gossip/vectors (README.md there). vector_*_json() say what a decoded
 * message means in the form of the vectors' `decoded`, so that one json_equal() compares all.
 */
#ifndef TESTS_UNIT_VECTOR_H
#define TESTS_UNIT_VECTOR_H

#include <jansson.h>

#include "base/arena.h"
#include "gossip/frame.h"
#include "gossip/serf_wire.h"
#include "gossip/stream.h"
#include "gossip/wire.h"

json_t *vector_load(const char *path); /* below tests/gossip/vectors; the caller releases it */

/* Bytes of hex text in the arena. */
struct str vector_hex(struct arena *, const char *hex);
/* A member of `o` as bytes: hex text. Empty when it is not there. */
struct str vector_bytes(struct arena *, const json_t *o, const char *member);
json_t *vector_hex_json(struct str); /* the other way */

/* The ring of hex keys, or NULL for none. */
struct keyring *vector_keys(struct arena *, const json_t *keys);

/* Meanings; new references. `named`: exchanges say "name" where vectors say "type". */
json_t *vector_message_json(struct arena *, const struct wire_message *, bool named);
json_t *vector_serf_json(struct arena *, const struct serf_message *, bool named);
json_t *vector_stream_json(struct arena *, const struct stream_request *, bool named);
json_t *vector_tags_json(struct arena *, struct str meta);
json_t *vector_filter_json(const struct serf_filter *);

/* Equal, or both are printed and the test fails. Releases `got`. */
void vector_expect(const char *name, json_t *got, const json_t *want);

#endif
