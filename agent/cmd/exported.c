/* agent/cmd/exported.c -- see exported.h. */
#include "agent/cmd/exported.h"

#include <string.h>

#include "base/base64.h"
#include "base/json.h"

static void
exported_add(struct buf *out, const json_t *entry, uint64_t flags, bool first)
{
	struct str value = json_member_str(entry, "Value");

	buf_add(out, first ? STR("\n\t{\n\t\t\"key\": ") : STR(",\n\t{\n\t\t\"key\": "));
	json_put_str(out, json_member_str(entry, "Key"));
	buf_add(out, STR(",\n\t\t\"flags\": "));
	buf_add_u64(out, flags);
	buf_add(out, STR(",\n\t\t\"value\": "));
	json_put_str(out, value);
	buf_add(out, STR("\n\t}"));
}

int
exported_write(struct buf *out, const json_t *answer, struct err *err)
{
	size_t n = json_array_size(answer);

	buf_addc(out, '[');
	for (size_t i = 0; i < n; i++) {
		const json_t *entry = json_array_get(answer, i);
		uint64_t flags;

		if (!json_u64(json_object_get(entry, "Flags"), &flags))
			return err_set(err, ERR_INPUT, "an entry of the answer is no key");
		exported_add(out, entry, flags, i == 0);
	}
	buf_add(out, n == 0 ? STR("]\n") : STR("\n]\n"));
	return out->full ? err_set(err, ERR_LIMIT, "the keys are over %d MiB as text",
			       EXPORTED_BYTES_MAX >> 20)
			 : 0;
}

static const json_t *
member_any_case(const json_t *entry, const char *name)
{
	const json_t *exact = json_object_get(entry, name);
	const char *key;
	json_t *value;

	if (exact != NULL)
		return exact;
	json_object_foreach ((json_t *)(uintptr_t)entry, key, value)
		if (str_eq_nocase(str_of(key), str_of(name)))
			return value;
	return NULL;
}

static int
exported_entry(struct arena *arena, const json_t *entry, struct pair_entry *out, struct err *err)
{
	const json_t *key = member_any_case(entry, "key"), *flags = member_any_case(entry, "flags"),
		     *value = member_any_case(entry, "value");
	struct str text = json_text(value);
	char *room = arena_alloc(arena, text.n + 1);
	size_t n = 0;

	out->key = arena_dup(arena, json_text(key));
	if (room == NULL || arena->full)
		return err_set(
		    err, ERR_LIMIT, "the keys take over %d MiB", EXPORTED_BYTES_MAX >> 20);
	if (out->key.n == 0 || out->key.p[0] == '/')
		return err_set(
		    err, ERR_INPUT, "the name of a key is missing or begins with a slash");
	if (flags != NULL && !json_is_null(flags) && !json_u64(flags, &out->flags))
		return err_set(err, ERR_INPUT,
		    "the flags of key " STR_FMT " are no number of 64 bits", STR_ARG(out->key));
	if ((value != NULL && !json_is_null(value) && !json_is_string(value)) ||
	    !base64_decode(text, room, text.n + 1, &n))
		return err_set(err, ERR_INPUT, "the value of key " STR_FMT " is no base 64",
		    STR_ARG(out->key));
	out->value = str_mem(room, n);
	return 0;
}

int
exported_read(
    struct arena *arena, struct str text, struct pair_entry **out, size_t *count, struct err *err)
{
	json_t *list = NULL;
	struct pair_entry *all;
	size_t n;
	int rc = json_read_wide(text, &list, err);

	if (rc < 0)
		return rc;
	n = json_array_size(list);
	all = arena_array(arena, struct pair_entry, n + 1);
	if (!json_is_array(list))
		rc = err_set(err, ERR_INPUT, "it is no list of keys");
	else if (all == NULL)
		rc = err_set(err, ERR_LIMIT, "these are too many keys");
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = exported_entry(arena, json_array_get(list, i), &all[i], err);
	json_decref(list);
	if (rc < 0)
		return rc;
	*out = all;
	*count = n;
	return 0;
}
