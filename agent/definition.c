/* agent/definition.c -- definitions of services and checks: from config to registrations.
 *
 * In order: the value as the API would have it; reading; applying. Config differs from the API in
 * shape only: names have underscores, and HCL hands a block over as a list of one object.
 */
#include "agent/definition.h"

#include <stdlib.h>

#include "agent/local/local.h"
#include "base/mem.h"

#define DEFINITION_DEPTH_MAX 16

/* ---- shape ---- */

/* Members whose keys are the user's own words. */
static bool
definition_is_map(const char *key)
{
	static const char *const maps[] = { "meta", "header", "taggedaddresses", "proxy", "connect" };

	for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
		if (str_eq_nocase(str_of(key), str_of(maps[i])))
			return true;
	return false;
}

static json_t *definition_shape(const json_t *v, bool names, bool unwrap, unsigned depth);

static json_t *
definition_shape_object(const json_t *v, bool names, unsigned depth)
{
	json_t *out = json_object(), *item;
	const char *key;

	json_object_foreach ((json_t *)(uintptr_t)v, key, item) {
		char *bare = str_dup(str_of(key)), *to = bare;
		bool map;

		for (const char *from = key; names && *from != '\0'; from++)
			if (*from != '_')
				*to++ = *from;
		if (names)
			*to = '\0';
		map = names && definition_is_map(bare);
		json_object_set_new(out, bare,
		    definition_shape(item, names && !map,
			!str_eq_nocase(str_of(bare), STR("checks")) || !names, depth + 1));
		free(bare);
	}
	return out;
}

/* A copy with API names in objects (`names`), and lists of one object taken for it (`unwrap`). */
static json_t *
definition_shape(const json_t *v, bool names, bool unwrap, unsigned depth)
{
	json_t *out, *item;
	size_t i;

	if (depth > DEFINITION_DEPTH_MAX)
		return json_null();
	if (json_is_array(v) && unwrap && json_array_size(v) == 1 &&
	    json_is_object(json_array_get(v, 0)))
		v = json_array_get(v, 0);
	if (json_is_object(v))
		return definition_shape_object(v, names, depth);
	if (!json_is_array(v))
		return json_incref((json_t *)(uintptr_t)v);
	out = json_array();
	json_array_foreach ((json_t *)(uintptr_t)v, i, item)
		json_array_append_new(out, definition_shape(item, names, true, depth + 1));
	return out;
}

/* Files call the id of a service's check "id", the API CheckID. */
static void
definition_check_ids(json_t *v)
{
	json_t *item;
	const char *key;
	void *next;
	size_t i;

	json_array_foreach (v, i, item)
		definition_check_ids(item);
	json_object_foreach_safe (v, next, key, item) {
		if (!str_eq_nocase(str_of(key), STR("id")))
			continue;
		json_object_set(v, "CheckID", item);
		json_object_del(v, key);
		return;
	}
}

static void
definition_service_ids(json_t *service)
{
	const char *key;
	json_t *v;

	json_object_foreach (service, key, v)
		if (str_eq_nocase(str_of(key), STR("check")) ||
		    str_eq_nocase(str_of(key), STR("checks")))
			definition_check_ids(v);
}

/* ---- reading ---- */

static int
definition_decode(struct definition *d, struct arena *arena, struct str body, struct err *err)
{
	int rc;

	if (d->is_check) {
		rc = decode_check(arena, body, &d->check, err);
		if (rc == 0 && d->check.name.n == 0)
			return err_set(err, ERR_INPUT, "it has no name");
		return rc < 0 ? rc : check_def_validate(&d->check, true, err);
	}
	rc = decode_service(arena, body, &d->service, err);
	if (rc == 0 && d->service.service.name.n == 0)
		return err_set(err, ERR_INPUT, "it has no name");
	for (size_t i = 0; rc == 0 && i < d->service.check_count; i++)
		rc = check_def_validate(&d->service.checks[i], true, err);
	return rc;
}

static int
definition_read(struct definitions *list, struct arena *arena, struct str file, const char *key,
    const json_t *value, bool is_check, struct err *err)
{
	struct definition *d = arena_array(arena, struct definition, 1);
	json_t *shape = definition_shape(value, true, true, 0);
	char *body;
	struct str name = str_of(json_string_value(json_object_get(value, "name")));
	int rc;

	if (!is_check)
		definition_service_ids(shape);
	body = json_dumps(shape, JSON_COMPACT);
	json_decref(shape);
	if (d == NULL || body == NULL) {
		free(body);
		return err_set(err, ERR_LIMIT, "the options together are too large");
	}
	memset(d, 0, sizeof *d);
	if (name.n == 0)
		name = str_of(json_string_value(json_object_get(value, "Name")));
	d->is_check = is_check;
	d->where = arena_fmt(
	    arena, STR_FMT ": %s \"" STR_FMT "\"", STR_ARG(file), key, STR_ARG(name));
	rc = definition_decode(d, arena, str_of(body), err);
	free(body);
	if (rc < 0)
		return err_wrap(err, "%s \"" STR_FMT "\"", key, STR_ARG(name));
	if (list->last == NULL)
		list->first = d;
	else
		list->last->next = d;
	list->last = d;
	list->count++;
	return 0;
}

int
definitions_read(struct definitions *list, struct arena *arena, struct str file, const char *key,
    const json_t *value, bool is_check, struct err *err)
{
	json_t *item;
	size_t i;

	if (json_is_object(value))
		return definition_read(list, arena, file, key, value, is_check, err);
	if (!json_is_array(value))
		return err_set(err, ERR_INPUT, "%s: must be an object or a list of objects", key);
	json_array_foreach ((json_t *)(uintptr_t)value, i, item) {
		int rc;

		if (!json_is_object(item))
			return err_set(err, ERR_INPUT, "%s: must hold objects only", key);
		rc = definition_read(list, arena, file, key, item, is_check, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void
definition_services(json_t *list, const json_t *value)
{
	json_t *shape, *item;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach ((json_t *)(uintptr_t)value, i, item)
			definition_services(list, item);
		return;
	}
	shape = definition_shape(value, true, true, 0);
	definition_service_ids(shape);
	json_array_append_new(list, shape);
}

/* ---- applying ---- */

static int
definition_str_cmp(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str
definition_id(const struct definition *d)
{
	const struct service_info *s = &d->service.service;

	return d->is_check ? d->check.id : s->id.n > 0 ? s->id : s->name;
}

/* Removes what came from the config and is not named any more. Checks inside a service's
 * definition are its registration's business. */
static void
definitions_sweep(struct local *local, struct now now, const struct str *ids, size_t count,
    bool checks)
{
	const struct local_service *s = NULL;
	const struct local_check *c = NULL;
	struct err err = { 0 };

	for (s = checks ? NULL : local_service_next(local, NULL); s != NULL;) {
		const struct local_service *next = local_service_next(local, s);

		if (s->source == LOCAL_CONFIG &&
		    bsearch(&s->info.id, ids, count, sizeof *ids, definition_str_cmp) == NULL)
			local_service_remove(local, now, s->info.id, &err);
		s = next;
	}
	for (c = checks ? local_check_next(local, NULL) : NULL; c != NULL;) {
		const struct local_check *next = local_check_next(local, c);

		if (c->source == LOCAL_CONFIG && !c->with_service &&
		    bsearch(&c->def.id, ids, count, sizeof *ids, definition_str_cmp) == NULL)
			local_check_remove(local, now, c->def.id, &err);
		c = next;
	}
}

static void
definitions_put(const struct definitions *list, struct local *local, struct now now, bool checks,
    struct err *first)
{
	struct str *ids = mem_alloc((list->count + 1) * sizeof *ids);
	size_t n = 0;

	for (const struct definition *d = list->first; d != NULL; d = d->next)
		if (d->is_check == checks)
			ids[n++] = definition_id(d);
	qsort(ids, n, sizeof *ids, definition_str_cmp);
	definitions_sweep(local, now, ids, n, checks);
	free(ids);
	for (const struct definition *d = list->first; d != NULL; d = d->next) {
		struct err err = { 0 };
		int rc;

		if (d->is_check != checks)
			continue;
		rc = checks ? local_check_put(local, now, &d->check, LOCAL_CONFIG, &err)
			    : local_service_put(local, now, &d->service.service, d->service.checks,
				  d->service.check_count, true, LOCAL_CONFIG, &err);
		if (rc < 0 && first->text[0] == '\0')
			err_set(first, rc, STR_FMT ": %s", STR_ARG(d->where), err.text);
	}
}

int
definitions_apply(
    const struct definitions *list, struct local *local, struct now now, struct err *err)
{
	struct err first = { 0 };

	definitions_put(list, local, now, false, &first); /* checks need their services */
	definitions_put(list, local, now, true, &first);
	return first.text[0] == '\0' ? 0 : err_set(err, ERR_INPUT, "%s", first.text);
}
