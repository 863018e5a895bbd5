/* dns/prepared.h -- whole answers kept by question, to be given again by copying.
 *
 * One store belongs to one thread. It never sees the catalog: an answer carries the marks
 * (kv/marks.h) of what it was made of, and is not found any more once one of them has moved. What
 * differs from one asker to the next is put in while copying: the id, the question's letters as
 * asked, the SOA's serial number, and at which instance the addresses begin.
 *
 *     question (name without case, type, class, RD and CD, EDNS with its size) -> packet
 *
 * Kept are answers to plain UDP queries; all else is for dns_answer(). SRV answers that were cut
 * are kept in turns (variants), each beginning at another instance.
 */
#ifndef DNS_PREPARED_H
#define DNS_PREPARED_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "kv/marks.h"

#define PREPARED_BYTES_MAX ((size_t)8 << 20)  /* kept by one store */
#define PREPARED_PACKET_MAX 4096              /* bytes of one answer as it is sent */
#define PREPARED_RING_MAX ((size_t)256 << 10) /* bytes of all addresses that it is taken from */
#define PREPARED_VARIANTS_MAX 64
#define PREPARED_USES 64 /* of each, where there are more beginnings than variants */
#define PREPARED_KEY_MAX (12 + 255)

/* What an answer depends on of its query. */
struct prepared_key {
	size_t n;
	char bytes[PREPARED_KEY_MAX];
	uint16_t type;
	size_t question_n; /* bytes of the question in the packet, which begins behind the header */
	bool edns;
	bool capitals; /* the name as asked has some */
};

/* False: a query whose answer is not kept. */
bool prepared_key_read(struct str packet, struct prepared_key *out);
/* The same question as everybody would ask it: id 0, lower case, no EDNS options. */
#define PREPARED_QUERY_MAX (12 + 255 + 4 + 11)
struct str prepared_query(
    const struct prepared_key *, struct str packet, uint8_t room[PREPARED_QUERY_MAX]);

#define PREPARED_ALWAYS 0

/* One answer. In bytes: the key; the packet up to its ring; the ring; the rest of the packet. */
struct prepared_answer {
	TAILQ_ENTRY(prepared_answer) age;  /* for its store */
	LIST_ENTRY(prepared_answer) chain; /* of those in one place */
	uint64_t hash;
	unsigned slot; /* MARKS: none but the one for all */
	uint64_t mark, mark_all;
	unsigned variant, variants; /* 0 of 1: there is only this one */
	bool any_case;              /* may answer a name with capitals */
	bool cut;                   /* records were left out */
	bool used;
	unsigned uses; /* how often it may be given yet; PREPARED_ALWAYS: no matter */
	size_t key_n, head_n, tail_n;
	size_t unit, total, window; /* ring of `total` records of `unit` bytes, `window` are sent */
	size_t serial_at;           /* in the packet without a ring, 0: none */
	uint8_t bytes[];
};

/* The answer to `packet`, which has this key, into room; its addresses begin at record `begin`
 * (below total), its SOA has this serial number. 0: it cannot answer this query. */
size_t prepared_write(const struct prepared_answer *, const struct prepared_key *,
    struct str packet, size_t begin, uint32_t serial, void *room, size_t cap);

struct prepared;

/* The marks are borrowed. The seed is for hashes and for turns. */
struct prepared *prepared_new(const struct marks *, uint64_t seed, size_t bytes_max);
void prepared_free(struct prepared *); /* NULL is fine */

/* Answers `packet` into room (at least PREPARED_PACKET_MAX), if an answer is there and not stale;
 * *cut says whether records were left out. Else 0, and *variant says which one is wanted. */
size_t prepared_answer(struct prepared *, const struct prepared_key *, struct str packet,
    uint32_t serial, void *room, size_t cap, unsigned *variant, bool *cut);

/* After 0: whether the answer is worth keeping: it was kept before, or has been asked for not long
 * ago. Names that are made up, each asked once, take no room. */
#define PREPARED_SEEN 8192 /* questions that are remembered at most */
bool prepared_is_worth(struct prepared *, const struct prepared_key *, unsigned variant);

/* Takes the answer, which is one block on the heap. An older one to the same question goes. */
void prepared_add(struct prepared *, struct prepared_answer *);

size_t prepared_bytes(const struct prepared *); /* kept now */

#endif
