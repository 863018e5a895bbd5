/* agent/http/decode_fields.c -- the machinery and the readers (see decode_fields.h).
 *
 * Names match in any case, null is "not given", a name without row is an error; numbers with a
 * fraction or an exponent are no integers. Source: the documented behaviour of encoding/json.
 */
#include "agent/http/decode_fields.h"

#include <stdlib.h>

#include "agent/options.h"
#include "kv/entity.h"

int
decode_full(struct decoder *d)
{
	return err_set(d->err, ERR_MEMORY, "the request is too large");
}

static const char *
json_kind(const json_t *v) /* as Go names it */
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "object";
	case JSON_ARRAY:
		return "array";
	case JSON_STRING:
		return "string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "bool";
	default:
		return "null";
	}
}

int
decode_mismatch(struct decoder *d, const json_t *v, const char *name, const char *wanted)
{
	return err_set(d->err, ERR_INPUT, "json: cannot unmarshal %s into field %s of type %s",
	    json_kind(v), name, wanted);
}

static const struct field *
field_find(const struct field *table, struct str name)
{
	for (const struct field *f = table; f->name != NULL; f++)
		if (str_eq_nocase(name, str_of(f->name)))
			return f;
	return NULL;
}

int
decode_object(
    struct decoder *d, const json_t *v, const char *name, const struct field *table, void *object)
{
	const char *key;
	json_t *member;
	size_t n;

	if (json_is_null(v))
		return 0;
	if (!json_is_object(v))
		return decode_mismatch(d, v, name, "object");
	json_object_keylen_foreach((json_t *)(uintptr_t)v, key, n, member)
	{
		const struct field *f = field_find(table, str_mem(key, n));
		int rc;

		if (f == NULL)
			return err_set(d->err, ERR_INPUT, "json: unknown field \"" STR_FMT "\"",
			    STR_ARG(str_mem(key, n)));
		if (f->read == NULL || json_is_null(member))
			continue;
		rc = f->read(d, member, f, (char *)object + f->offset);
		if (rc != 0)
			return rc;
		if (f->set != FIELD_NO_OFFSET)
			*(bool *)((char *)object + f->set) = true;
	}
	return 0;
}

int
decode_body(struct str body, json_t **out, struct err *err)
{
	struct str first;
	int rc = json_scan(body, &first, err);

	return rc != 0 ? rc : json_read(first, out, err);
}

int
decode_whole(struct arena *arena, struct str body, const char *name, const struct field *table,
    void *object, struct err *err)
{
	struct decoder d = { arena, err };
	json_t *v = NULL;
	int rc = decode_body(body, &v, err);

	if (rc == 0)
		rc = decode_object(&d, v, name, table, object);
	json_decref(v);
	return rc;
}

int
decode_str(struct decoder *d, const json_t *v, struct str *out)
{
	struct str s = json_text(v);

	*out = s.n == 0 ? STR_NONE : arena_dup(d->arena, s);
	return s.n > 0 && out->p == NULL ? decode_full(d) : 0;
}

size_t *
field_count(const struct field *f, char *at)
{
	return (size_t *)(void *)(at - f->offset + f->count);
}

int
read_str(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	if (!json_is_string(v))
		return decode_mismatch(d, v, f->name, "string");
	return decode_str(d, v, (struct str *)(void *)at);
}

int
read_bool(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	if (!json_is_boolean(v))
		return decode_mismatch(d, v, f->name, "bool");
	*(bool *)at = json_is_true(v);
	return 0;
}

int
read_i64(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	if (!json_is_integer(v))
		return decode_mismatch(d, v, f->name, "int");
	*(int64_t *)(void *)at = json_integer_value(v);
	return 0;
}

int
read_u64(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	uint64_t n;

	if (!json_u64(v, &n))
		return decode_mismatch(d, v, f->name, "uint64");
	*(uint64_t *)(void *)at = n;
	return 0;
}

int
read_i32(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	if (!json_is_integer(v) || json_integer_value(v) < INT32_MIN ||
	    json_integer_value(v) > INT32_MAX)
		return decode_mismatch(d, v, f->name, "int");
	*(int32_t *)(void *)at = (int32_t)json_integer_value(v);
	return 0;
}

/* Text, or a number of nanoseconds; Consul ignores what is neither. */
int
read_span(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	nsec *out = (nsec *)(void *)at;

	if (json_is_string(v))
		return duration_parse(json_text(v), out, d->err);
	if (json_is_integer(v))
		*out = json_integer_value(v);
	else if (json_is_real(v) && json_real_value(v) > -9e18 && json_real_value(v) < 9e18)
		*out = (nsec)json_real_value(v);
	else if (json_is_real(v))
		return decode_mismatch(d, v, f->name, "duration");
	return 0;
}

int
read_strs(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct str *list;
	json_t *element;
	size_t i;

	if (!json_is_array(v))
		return decode_mismatch(d, v, f->name, "list of strings");
	list = arena_array(d->arena, struct str, json_array_size(v) + 1);
	if (list == NULL)
		return decode_full(d);
	json_array_foreach ((json_t *)(uintptr_t)v, i, element) {
		if (json_is_null(element))
			continue; /* stays "" */
		if (!json_is_string(element))
			return decode_mismatch(d, element, f->name, "string");
		if (decode_str(d, element, &list[i]) != 0)
			return ERR_MEMORY;
	}
	*(struct str **)(void *)at = list;
	*field_count(f, at) = json_array_size(v);
	return 0;
}

static int
keep_key(struct decoder *d, const char *key, size_t n, struct str *out)
{
	*out = arena_dup(d->arena, str_mem(key, n));
	return n > 0 && out->p == NULL ? decode_full(d) : 0;
}

/* An object of strings, as pairs in order of key. */
int
read_pairs(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct pair *pairs;
	const char *key;
	json_t *value;
	size_t n, count = 0;

	if (!json_is_object(v))
		return decode_mismatch(d, v, f->name, "map of strings");
	pairs = arena_array(d->arena, struct pair, json_object_size(v) + 1);
	if (pairs == NULL)
		return decode_full(d);
	json_object_keylen_foreach((json_t *)(uintptr_t)v, key, n, value)
	{
		struct pair *p = &pairs[count++];

		if (!json_is_string(value) && !json_is_null(value))
			return decode_mismatch(d, value, f->name, "string");
		if (keep_key(d, key, n, &p->key) != 0 || decode_str(d, value, &p->value) != 0)
			return ERR_MEMORY;
	}
	*(struct pair **)(void *)at = pairs;
	*field_count(f, at) = pairs_sort(pairs, count);
	return 0;
}

struct header_values {
	struct str key; /* borrowed from the JSON value */
	json_t *values; /* a list, or null */
};

static int
header_order(const void *a, const void *b)
{
	return str_cmp(
	    ((const struct header_values *)a)->key, ((const struct header_values *)b)->key);
}

/* Header: an object of lists of strings; one pair per value, in order of key, the values of a
 * key in theirs. */
int
read_headers(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct header_values *keys;
	struct pair *pairs;
	const char *key;
	json_t *values, *value;
	size_t n, i, count = 0, total = 0;

	if (!json_is_object(v))
		return decode_mismatch(d, v, f->name, "map of lists of strings");
	keys = arena_array(d->arena, struct header_values, json_object_size(v) + 1);
	if (keys == NULL)
		return decode_full(d);
	json_object_keylen_foreach((json_t *)(uintptr_t)v, key, n, values)
	{
		if (!json_is_array(values) && !json_is_null(values))
			return decode_mismatch(d, values, f->name, "list of strings");
		keys[count++] = (struct header_values){ str_mem(key, n), values };
		total += json_array_size(values);
	}
	qsort(keys, count, sizeof *keys, header_order);
	pairs = arena_array(d->arena, struct pair, total + 1);
	if (pairs == NULL)
		return decode_full(d);
	total = 0;
	for (size_t k = 0; k < count; k++) {
		struct str kept = arena_dup(d->arena, keys[k].key);

		json_array_foreach (keys[k].values, i, value) {
			if (!json_is_string(value))
				return decode_mismatch(d, value, f->name, "string");
			pairs[total].key = kept;
			if (decode_str(d, value, &pairs[total++].value) != 0)
				return ERR_MEMORY;
		}
	}
	*(struct pair **)(void *)at = pairs;
	*field_count(f, at) = total;
	return d->arena->full ? decode_full(d) : 0;
}

/* Any value, kept as compact JSON; an empty object as nothing. */
int
read_raw(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct str *out = (struct str *)(void *)at;
	char *text;

	if (!json_is_object(v))
		return decode_mismatch(d, v, f->name, "object");
	*out = STR_NONE;
	if (json_object_size(v) == 0)
		return 0;
	text = json_dumps(v, JSON_COMPACT);
	*out = arena_dup(d->arena, str_of(text));
	free(text);
	return out->p == NULL ? decode_full(d) : 0;
}

/* Weights. One that is not given beside the other is 0, as in Go. */

struct weights {
	int32_t passing, warning;
};

static const struct field weights_fields[] = {
	FIELD("Passing", read_i32, struct weights, passing),
	FIELD("Warning", read_i32, struct weights, warning),
	FIELDS_END,
};

int
read_weights(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct weights w = { 0, 0 };
	int rc = decode_object(d, v, f->name, weights_fields, &w);

	if (rc != 0)
		return rc;
	/* the two follow each other in struct service_info */
	_Static_assert(offsetof(struct service_info, weight_warning) ==
			   offsetof(struct service_info, weight_passing) + sizeof(int32_t),
	    "weight_warning follows weight_passing");
	((int32_t *)(void *)at)[0] = w.passing;
	((int32_t *)(void *)at)[1] = w.warning;
	return 0;
}

/* A service's TaggedAddresses. */

static const struct field tagged_fields[] = {
	FIELD("Address", read_str, struct tagged_address, address),
	FIELD("Port", read_i32, struct tagged_address, port),
	FIELDS_END,
};

static int
tagged_order(const void *a, const void *b)
{
	return str_cmp(
	    ((const struct tagged_address *)a)->tag, ((const struct tagged_address *)b)->tag);
}

int
read_tagged(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct tagged_address *list;
	const char *key;
	json_t *value;
	size_t n, count = 0;

	if (!json_is_object(v))
		return decode_mismatch(d, v, f->name, "map of addresses");
	list = arena_array(d->arena, struct tagged_address, json_object_size(v) + 1);
	if (list == NULL)
		return decode_full(d);
	json_object_keylen_foreach((json_t *)(uintptr_t)v, key, n, value)
	{
		struct tagged_address *t = &list[count++];
		int rc = decode_object(d, value, f->name, tagged_fields, t);

		if (rc != 0)
			return rc;
		if (keep_key(d, key, n, &t->tag) != 0)
			return ERR_MEMORY;
	}
	qsort(list, count, sizeof *list, tagged_order);
	*(struct tagged_address **)(void *)at = list;
	*field_count(f, at) = count;
	return 0;
}
