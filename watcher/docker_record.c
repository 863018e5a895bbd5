/* watcher/docker_record.c -- a service copied into one allocation, and its hash.
 *
 * Both walk the same list of texts: record_texts() names every text of a service, so that a
 * new field is copied and hashed by being named there.
 */
#include "watcher/docker_record.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

#define RECORD_TEXTS_FIXED 14

/* The i-th fixed text of a service. */
static struct str *
record_text(struct rules_service *s, size_t i)
{
	struct str *const texts[RECORD_TEXTS_FIXED] = { &s->id, &s->name, &s->address,
		&s->address_other, &s->check.http, &s->check.tcp, &s->check.grpc, &s->check.ttl,
		&s->check.script, &s->check.method, &s->check.status, &s->check.interval,
		&s->check.timeout, &s->check.deregister_after };

	return texts[i];
}

static uint64_t
record_mix(uint64_t h, struct str s)
{
	return XXH3_64bits_withSeed(s.p == NULL ? "" : s.p, s.n, h + s.n);
}

uint64_t
docker_record_hash(const struct rules_service *service)
{
	struct rules_service s = *service;
	uint64_t numbers[] = { s.port, s.port_other, s.tag_count, s.meta_count, s.check.present,
		s.check.grpc_use_tls, s.check.tls_skip_verify };
	uint64_t h = record_mix(0, str_mem(numbers, sizeof numbers));

	for (size_t i = 0; i < RECORD_TEXTS_FIXED; i++)
		h = record_mix(h, *record_text(&s, i));
	for (size_t i = 0; i < s.tag_count; i++)
		h = record_mix(h, s.tags[i]);
	for (size_t i = 0; i < s.meta_count; i++) {
		h = record_mix(h, s.meta[i].key);
		h = record_mix(h, s.meta[i].value);
	}
	return h;
}

size_t
docker_record_size(const struct rules_service *service)
{
	struct rules_service s = *service;
	size_t n = sizeof(struct docker_record) + s.tag_count * sizeof *s.tags +
		   s.meta_count * sizeof *s.meta;

	for (size_t i = 0; i < RECORD_TEXTS_FIXED; i++)
		n += record_text(&s, i)->n;
	for (size_t i = 0; i < s.tag_count; i++)
		n += s.tags[i].n;
	for (size_t i = 0; i < s.meta_count; i++)
		n += s.meta[i].key.n + s.meta[i].value.n;
	return n;
}

/* Copies a text to *at and lets it point there. */
static void
record_move(struct str *s, char **at)
{
	if (s->n > 0)
		memcpy(*at, s->p, s->n);
	s->p = *at;
	*at += s->n;
}

struct docker_record *
docker_record_new(const struct rules_service *service)
{
	struct docker_record *r = mem_alloc(docker_record_size(service));
	struct rules_service *s = &r->service;
	char *at;

	*r = (struct docker_record){ 1, docker_record_hash(service), *service };
	s->note = STR_NONE;
	s->meta = (struct rules_pair *)(r + 1);
	s->tags = (struct str *)(s->meta + s->meta_count);
	at = (char *)(s->tags + s->tag_count);
	if (s->meta_count > 0)
		memcpy(s->meta, service->meta, s->meta_count * sizeof *s->meta);
	if (s->tag_count > 0)
		memcpy(s->tags, service->tags, s->tag_count * sizeof *s->tags);
	for (size_t i = 0; i < RECORD_TEXTS_FIXED; i++)
		record_move(record_text(s, i), &at);
	for (size_t i = 0; i < s->tag_count; i++)
		record_move(&s->tags[i], &at);
	for (size_t i = 0; i < s->meta_count; i++) {
		record_move(&s->meta[i].key, &at);
		record_move(&s->meta[i].value, &at);
	}
	return r;
}

struct docker_record *
docker_record_ref(struct docker_record *r)
{
	r->refs++;
	return r;
}

void
docker_record_unref(struct docker_record *r)
{
	if (r != NULL && --r->refs == 0)
		free(r);
}
