/* kv/catalog_key.c -- keys of external records and of masks, and what a mask says (RULES 5). */
#include "kv/catalog_priv.h"

static bool
key_done(struct catalog_key *k, const struct writer *w)
{
	k->key = wr_done(w);
	return !w->full;
}

bool
catalog_external_key(struct catalog_key *k, struct str node, struct str id)
{
	struct writer w = wr_of(k->bytes, sizeof k->bytes);

	wr_bytes(&w, node);
	wr_u8(&w, 0);
	wr_bytes(&w, id);
	return key_done(k, &w) && str_find(node, '\0') == node.n;
}

bool
catalog_external_key_read(struct str key, struct str *node, struct str *id)
{
	size_t at = str_find(key, '\0');

	if (at == key.n)
		return false;
	*node = str_head(key, at);
	*id = str_skip(key, at + 1);
	return true;
}

bool
catalog_mask_key(struct catalog_key *k, const struct uuid *owner, uint16_t kind, struct str key)
{
	struct writer w = wr_of(k->bytes, sizeof k->bytes);

	wr_bytes(&w, str_mem(owner->b, sizeof owner->b));
	wr_be16(&w, kind);
	wr_bytes(&w, key);
	return key_done(k, &w);
}

bool
catalog_mask_key_read(struct str key, struct uuid *owner, uint16_t *kind, struct str *of)
{
	struct reader r = rd_of(key);
	struct str id = rd_str(&r, sizeof owner->b);
	uint16_t k = rd_be16(&r);

	if (!rd_ok(&r))
		return false;
	memcpy(owner->b, id.p, sizeof owner->b);
	*kind = k;
	*of = rd_str(&r, rd_left(&r));
	return true;
}

void
catalog_mask_write(struct writer *w, const struct catalog_mask *m)
{
	wr_varint(w, m->epoch.counter);
	wr_be64(w, m->epoch.nonce);
	wr_varint(w, m->number);
}

bool
catalog_mask_read(struct str body, struct catalog_mask *out)
{
	struct reader r = rd_of(body);
	struct catalog_mask m;

	m.epoch.counter = rd_varint(&r);
	m.epoch.nonce = rd_be64(&r);
	m.number = rd_varint(&r);
	if (!rd_ok(&r) || rd_left(&r) > 0)
		return false;
	*out = m;
	return true;
}

bool
catalog_masked(const struct catalog *c, const struct owner *o, uint16_t kind, struct str key)
{
	struct epoch epoch = owner_digest(o).epoch;
	struct owner_record shown, mask;
	struct catalog_mask hides;
	struct catalog_key k;

	if (c->mask_count == 0 || !catalog_mask_key(&k, owner_id(o), kind, key))
		return false;
	if (!owner_find(o, kind, key, &shown))
		return false;
	for (size_t i = 0; i < c->cluster_count; i++)
		if (owner_find(c->clusters[i], RECORD_MASK, k.key, &mask) && !mask.gone &&
		    catalog_mask_read(blob_str(mask.body), &hides) &&
		    hides.epoch.counter == epoch.counter && hides.epoch.nonce == epoch.nonce &&
		    hides.number == shown.number)
			return true;
	return false;
}
