/* agent/cmd/holders.c -- see holders.h. */
#include "agent/cmd/holders.h"

#include <stdlib.h>

#include "agent/cmd/pair.h"
#include "base/json.h"

static bool
session_lives(const json_t *list, struct str id)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (str_eq(json_member_str(json_array_get(list, i), "Session"), id))
			return true;
	return false;
}

static int
id_cmp(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int
holders_parse(
    struct arena *arena, const json_t *list, struct str value, struct holders *h, struct err *err)
{
	json_t *all = NULL, *held;
	const char *id;
	json_t *yes;

	if (json_read(value, &all, err) < 0 || !json_is_object(all)) {
		json_decref(all);
		return err_set(err, ERR_INPUT, "lock decoding failed: it is no list of holders");
	}
	h->limit = json_member_int(all, "Limit", 0);
	held = json_object_get(all, "Holders");
	h->ids = arena_array(arena, struct str, json_object_size(held) + 1);
	if (h->ids == NULL || json_object_size(held) > LOCK_LIMIT_MAX) {
		json_decref(all);
		return err_set(err, ERR_LIMIT, "lock decoding failed: too many holders");
	}
	json_object_foreach (held, id, yes)
		if (session_lives(list, str_of(id)))
			h->ids[h->count++] = arena_dup(arena, str_of(id));
	json_decref(all);
	qsort(h->ids, h->count, sizeof h->ids[0], id_cmp);
	return 0;
}

int
holders_read(struct arena *arena, const json_t *list, struct str lock_key, unsigned limit,
    struct holders *out, struct err *err)
{
	struct holders h = { .limit = (int64_t)limit, .flags = SEMAPHORE_FLAGS };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		struct pair_entry p;

		if (!str_eq(json_member_str(entry, "Key"), lock_key))
			continue;
		rc = pair_read(arena, entry, &p, err);
		if (rc < 0)
			break;
		h.modify = p.modify;
		h.flags = p.flags;
		if (p.flags == SEMAPHORE_FLAGS && p.value.n > 0)
			rc = holders_parse(arena, list, p.value, &h, err);
	}
	if (rc == 0)
		*out = h;
	return rc;
}

bool
holders_have(const struct holders *h, struct str id)
{
	for (size_t i = 0; i < h->count; i++)
		if (str_eq(h->ids[i], id))
			return true;
	return false;
}

void
holders_write(const struct holders *h, struct str add, struct str drop, struct buf *out)
{
	bool added = add.n == 0;
	struct jw w;

	jw_init(&w, out, false);
	jw_object(&w);
	jw_ki64(&w, "Limit", h->limit);
	jw_key(&w, STR("Holders"));
	jw_object(&w);
	for (size_t i = 0; i <= h->count; i++) {
		bool last = i == h->count;

		if (!added && (last || str_cmp(add, h->ids[i]) <= 0)) {
			jw_key(&w, add);
			jw_bool(&w, true);
			added = true;
		}
		if (last || str_eq(h->ids[i], drop) || str_eq(h->ids[i], add))
			continue;
		jw_key(&w, h->ids[i]);
		jw_bool(&w, true);
	}
	jw_object_end(&w);
	jw_object_end(&w);
}
