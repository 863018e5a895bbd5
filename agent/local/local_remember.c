/* agent/local/local_remember.c -- states of checks that Docker or a config file defines, over a restart.
 *
 * Such checks are told anew after a start, and would begin critical until they have run: other
 * agents would see healthy services come and go. So what they reported is kept beside, and
 * given back to the first check with that id and exactly that definition.
 *
 *     state    u8 version, u8 status, be64 XXH3 of the packed definition, varint length, output
 *
 * What nobody takes within REMEMBER_MAX is forgotten.
 */
#include "agent/local/local_private.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cursor.h"
#include "base/mem.h"

#define REMEMBER_VERSION 1
#define REMEMBER_MAX (10 * NSEC_MIN)

static int
remembered_cmp(const struct local_remembered *a, const struct local_remembered *b)
{
	return str_cmp(a->id, b->id);
}

RB_GENERATE_INTERNAL(
    local_remembered_tree, local_remembered, link, remembered_cmp, static __attribute__((unused)))

static struct local_remembered *
remember_find(struct local *l, struct str id)
{
	struct local_remembered key = { .id = id };

	return RB_FIND(local_remembered_tree, &l->remembered, &key);
}

static void
remember_free(struct local *l, struct local_remembered *r)
{
	RB_REMOVE(local_remembered_tree, &l->remembered, r);
	free(r);
}

static uint64_t
remember_hash(const struct check_def *def)
{
	struct buf packed;
	uint64_t hash;

	buf_init(&packed, RECORD_BODY_MAX);
	check_def_pack(&packed, def);
	hash = XXH3_64bits(packed.p == NULL ? "" : packed.p, packed.n);
	buf_done(&packed);
	return hash;
}

/* ---- to the journal and back ---- */

int
remember_keep(struct local *l, const struct check_def *def, enum check_status status,
    struct str output, struct err *err)
{
	uint8_t head[2 + 8 + 10];
	struct writer w = wr_of(head, sizeof head);
	struct buf value;
	int rc;

	if (l->config.journal == NULL)
		return 0;
	buf_init(&value, JOURNAL_VALUE_MAX);
	wr_u8(&w, REMEMBER_VERSION);
	wr_u8(&w, (uint8_t)status);
	wr_be64(&w, remember_hash(def));
	wr_varint(&w, output.n);
	buf_add(&value, wr_done(&w));
	buf_add(&value, output);
	rc = journal_put(l->config.journal, JOURNAL_STATE, def->id, buf_str(&value), err);
	buf_done(&value);
	return rc;
}

static void
remember_one(struct local *l, struct str id, struct str value)
{
	struct reader rd = rd_of(value);
	uint8_t version = rd_u8(&rd), status = rd_u8(&rd);
	uint64_t hash = rd_be64(&rd);
	struct str output = rd_str(&rd, rd_varint(&rd));
	struct local_remembered *r;

	if (!rd_ok(&rd) || version != REMEMBER_VERSION || status > CHECK_CRITICAL)
		return;
	r = mem_alloc(sizeof *r + id.n + output.n);
	r->id = str_mem(r->bytes, id.n);
	r->output = str_mem(r->bytes + id.n, output.n);
	r->status = (enum check_status)status;
	r->hash = hash;
	memcpy(r->bytes, id.p, id.n);
	memcpy(r->bytes + id.n, output.p, output.n);
	if (RB_INSERT(local_remembered_tree, &l->remembered, r) != NULL)
		free(r);
}

void
remember_restore(struct local *l, struct now now)
{
	struct str key, value;
	size_t cursor = 0;
	uint16_t kind;

	while (journal_next(l->config.journal, &cursor, &kind, &key, &value))
		if (kind == JOURNAL_STATE)
			remember_one(l, key, value);
	l->remembered_until = now.mono + REMEMBER_MAX;
}

/* ---- in use ---- */

const struct local_remembered *
remember_of(struct local *l, const struct check_def *def)
{
	const struct local_remembered *r = remember_find(l, def->id);

	return r != NULL && r->hash == remember_hash(def) ? r : NULL;
}

void
remember_taken(struct local *l, struct str id)
{
	struct local_remembered *r = remember_find(l, id);

	if (r != NULL)
		remember_free(l, r);
}

nsec
remember_deadline(const struct local *l)
{
	return RB_EMPTY(&l->remembered) ? NSEC_NEVER : l->remembered_until;
}

void
remember_expire(struct local *l, struct now now)
{
	struct local_remembered *r;

	while (remember_deadline(l) <= now.mono) {
		r = RB_ROOT(&l->remembered);
		keep_nothing(l, JOURNAL_STATE, r->id, NULL);
		remember_free(l, r);
	}
}

void
remember_done(struct local *l)
{
	while (!RB_EMPTY(&l->remembered))
		remember_free(l, RB_ROOT(&l->remembered));
}
