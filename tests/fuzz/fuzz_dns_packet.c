/* Packets taken apart: a query as a client sends it, and what comes back for it from another name
 * server. The first two bytes say how long the query is. Whatever comes in: the question is asked
 * of the others as it was asked, only an answer to that question is taken for one, and what is made
 * of it is well-formed in its beginning and within the asker's limits. */
#include <string.h>

#include "dns/forward.h"
#include "dns/prepared.h"
#include "tests/fuzz/fuzz.h"

static void
key_check(struct str packet, const struct dns_query *q)
{
	uint8_t room[PREPARED_QUERY_MAX];
	struct prepared_key key, again;
	struct dns_query plain;
	struct str query;

	if (!prepared_key_read(packet, &key))
		return;
	FUZZ_ASSERT(key.type == q->type && key.edns == q->edns);
	query = prepared_query(&key, packet, room);
	FUZZ_ASSERT(dns_query_read(query, &plain) == DNS_READ_OK);
	FUZZ_ASSERT(name_eq(&plain.name, &q->name) && plain.type == q->type);
	FUZZ_ASSERT(plain.edns_size == q->edns_size);
	FUZZ_ASSERT(prepared_key_read(query, &again) && again.n == key.n);
	FUZZ_ASSERT(memcmp(again.bytes, key.bytes, key.n) == 0);
}

static void
answer_check(const struct dns_query *q, struct str query, struct str answer)
{
	static uint8_t room[DNS_MESSAGE_MAX];
	struct chased chased = { .asked = q->name, .type = RR_A };
	struct dns_query back;
	size_t n;

	chased_read(&chased, answer);
	FUZZ_ASSERT(chased.count <= CHASED_RECORDS_MAX);
	if (!forward_matches(query, answer))
		return;
	FUZZ_ASSERT(memcmp(answer.p, query.p, 2) == 0);
	for (int tcp = 0; tcp < 2; tcp++) {
		size_t limit = q->edns && q->edns_size > DNS_UDP_PLAIN_MAX ? q->edns_size
									   : DNS_UDP_PLAIN_MAX;

		n = forward_answer(q, answer, tcp == 1, room, sizeof room);
		if (n == 0)
			continue;
		FUZZ_ASSERT(n <= sizeof room && (tcp == 1 || n <= limit));
		FUZZ_ASSERT(room[0] == q->id >> 8 && room[1] == (q->id & 0xff));
		FUZZ_ASSERT((room[2] & 0x80) != 0 && (room[3] & 0x80) != 0);
		room[2] &= 0x7f; /* to be read again, its question alone */
		memset(room + 6, 0, 6);
		FUZZ_ASSERT(dns_query_read(str_mem(room, n), &back) != DNS_READ_DROP);
		FUZZ_ASSERT(memcmp(room + DNS_HEADER_BYTES, q->name.bytes, q->name.n) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t forward[FORWARD_QUERY_MAX], room[DNS_MESSAGE_MAX];
	struct dns_query q, sent;
	struct reader r = rd_of(str_mem(data, size));
	size_t query_n = rd_be16(&r), n;
	struct str packet = rd_str(&r, query_n < rd_left(&r) ? query_n : rd_left(&r)), answer;

	if (dns_query_read(packet, &q) != DNS_READ_OK)
		return 0;
	key_check(packet, &q);
	FUZZ_ASSERT(forward_failed(&q, room, sizeof room) > DNS_HEADER_BYTES);
	if (!forward_takes(&q))
		return 0;
	n = forward_query(&q, q.id, forward);
	if (n == 0)
		return 0;
	FUZZ_ASSERT(dns_query_read(str_mem(forward, n), &sent) == DNS_READ_OK);
	FUZZ_ASSERT(name_eq(&sent.name, &q.name) && sent.type == q.type && sent.edns == q.edns);
	answer = rd_str(&r, rd_left(&r));
	answer_check(&q, str_mem(forward, n), answer);
	return 0;
}
