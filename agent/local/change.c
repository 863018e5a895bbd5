/* agent/local/change.c -- remembers what stood before each record that it changes. */
#include "agent/local/change.h"

#include <stdlib.h>

#include "base/mem.h"

struct change_row {
	uint16_t kind;
	char *key; /* owned */
	size_t key_len;
	struct blob *before; /* NULL: there was none */
};

void
change_begin(struct change *c, struct store *store, const struct uuid *owner, struct now now)
{
	*c = (struct change){ .store = store, .owner = owner, .now = now };
}

static struct blob *
change_before(const struct change *c, uint16_t kind, struct str key)
{
	const struct owner *o = store_owner(c->store, c->owner);
	struct owner_record r;

	if (o == NULL || !owner_find(o, kind, key, &r) || r.gone || r.body == NULL)
		return NULL;
	return blob_ref(r.body);
}

static void
change_note(struct change *c, uint16_t kind, struct str key, struct blob *before)
{
	c->rows = mem_grow(c->rows, c->count, &c->room, sizeof *c->rows);
	c->rows[c->count++] = (struct change_row){ kind, str_dup(key), key.n, before };
}

int
change_put(struct change *c, uint16_t kind, struct str key, const struct buf *body, struct err *err)
{
	struct blob *before;
	int rc;

	if (body->full)
		return err_set(
		    err, ERR_LIMIT, "more than %d bytes in one registration", RECORD_BODY_MAX);
	if (key.n > RECORD_KEY_MAX)
		return err_set(err, ERR_LIMIT, "an id of more than %d bytes", RECORD_KEY_MAX);
	before = change_before(c, kind, key);
	rc = store_put(c->store, c->now, c->owner, kind, key, buf_str(body), err);
	if (rc == 1)
		change_note(c, kind, key, before);
	else
		blob_unref(before);
	return rc;
}

void
change_remove(struct change *c, uint16_t kind, struct str key)
{
	struct blob *before = change_before(c, kind, key);

	if (store_remove(c->store, c->now, c->owner, kind, key) == 1)
		change_note(c, kind, key, before);
	else
		blob_unref(before);
}

bool
change_next(const struct change *c, size_t *cursor, uint16_t *kind, struct str *key)
{
	const struct change_row *row;

	if (*cursor >= c->count)
		return false;
	row = &c->rows[(*cursor)++];
	*kind = row->kind;
	*key = str_mem(row->key, row->key_len);
	return true;
}

void
change_undo(struct change *c)
{
	for (size_t i = c->count; i-- > 0;) {
		const struct change_row *row = &c->rows[i];
		struct str key = str_mem(row->key, row->key_len);

		if (row->before == NULL)
			store_remove(c->store, c->now, c->owner, row->kind, key);
		else
			store_put(c->store, c->now, c->owner, row->kind, key, blob_str(row->before),
			    NULL);
	}
}

void
change_done(struct change *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->rows[i].key);
		blob_unref(c->rows[i].before);
	}
	free(c->rows);
	*c = (struct change){ 0 };
}
