/* tests/unit/test_registrator.c -- our rules beside what registrator was seen to register.
 *
 * tests/registrator/cases.json holds, per case, a container's description and registrator's
 * requests to Consul, with placeholders for what differs between runs. Each case goes through
 * container_read(), rules_apply() and registration_write(); the request must be equal.
 * Requests that the agent refused count too: refusing is the agent's part. Prints its count.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "watcher/registration.h"
#include "watcher/rules.h"

static char *
file_read(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	char *text = NULL;
	long size;

	if (f == NULL)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0 &&
	    (text = malloc((size_t)size + 1)) != NULL)
		*n = fread(text, 1, (size_t)size, f);
	fclose(f);
	return text;
}

/* A text with ${NAME}s filled in from `values`. */
static json_t *
expand_text(struct str s, json_t *values)
{
	struct buf b;
	json_t *out;

	buf_init(&b, 1 << 20);
	while (s.n > 0) {
		size_t end = str_find(s, '}');
		char name[128];
		json_t *value;

		if (!str_starts(s, STR("${")) || end == s.n || end > 100) {
			buf_addc(&b, s.p[0]);
			s = str_skip(s, 1);
			continue;
		}
		snprintf(name, sizeof name, STR_FMT, STR_ARG(str_mem(s.p + 2, end - 2)));
		value = json_object_get(values, name);
		if (json_is_integer(value) && b.n == 0 && end + 1 == s.n)
			return json_incref(value); /* a whole value: stays a number */
		if (json_is_integer(value))
			buf_add_i64(&b, json_integer_value(value));
		else
			buf_add(&b, json_text(value));
		s = str_skip(s, end + 1);
	}
	out = json_stringn(b.p == NULL ? "" : b.p, b.n);
	buf_done(&b);
	return out;
}

static json_t *
expand(json_t *v, json_t *values)
{
	json_t *out, *member;
	const char *key;
	size_t i;

	if (json_is_string(v))
		return expand_text(json_text(v), values);
	if (json_is_array(v)) {
		out = json_array();
		json_array_foreach (v, i, member)
			json_array_append_new(out, expand(member, values));
		return out;
	}
	if (json_is_object(v)) {
		out = json_object();
		json_object_foreach (v, key, member)
			json_object_set_new(out, key, expand(member, values));
		return out;
	}
	return json_incref(v);
}

static bool
is_empty(const json_t *v)
{
	return json_is_null(v) || json_is_false(v) ||
	       (json_is_string(v) && json_string_length(v) == 0) ||
	       (json_is_integer(v) && json_integer_value(v) == 0) ||
	       (json_is_array(v) && json_array_size(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0);
}

/* Without what is empty, as the recording has it. */
static void
drop_empty(json_t *object)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe (object, next, key, value) {
		drop_empty(value);
		if (is_empty(value))
			json_object_del(object, key);
	}
}

/* The request that registers s. */
static json_t *
service_body(const struct rules_service *s)
{
	struct buf b;
	struct err err = { 0 };
	json_t *o = NULL;

	buf_init(&b, 1 << 20);
	registration_write(&b, s);
	if (json_read(buf_str(&b), &o, &err) < 0)
		printf("no JSON: %s: " STR_FMT "\n", err.text, STR_ARG(buf_str(&b)));
	buf_done(&b);
	return o;
}

/* A member, or an empty value of its kind where the request leaves it out. */
static json_t *
member_or(const json_t *o, const char *key, json_t *empty)
{
	json_t *there = json_object_get(o, key);

	if (there != NULL)
		json_incref(there);
	else
		there = json_incref(empty);
	json_decref(empty);
	return there;
}

/* The case's registrator options as ours. */
static void
options_read(json_t *options, struct rules_config *config)
{
	for (size_t i = 0; i < json_array_size(options); i++) {
		struct str name = json_text(json_array_get(options, i));
		struct str value = json_text(json_array_get(options, i + 1));

		if (str_eq(name, STR("-internal")))
			config->internal = true;
		else if (str_eq(name, STR("-explicit")))
			config->explicit_only = true;
		else if (str_eq(name, STR("-tags")))
			config->tags = value;
		else if (str_eq(name, STR("-useIpFromLabel")))
			config->ip_from_label = value;
		else if (str_eq(name, STR("-ip"))) {
			config->ip = value;
			config->ip_forced = true;
		}
	}
}

static int
service_cmp(const void *a, const void *b)
{
	const struct rules_service *x = a, *y = b;

	return str_cmp(x->id, y->id);
}

static bool
same(const char *id, const char *what, json_t *got, json_t *want)
{
	char *g, *w;

	if (json_equal(got, want))
		return true;
	g = json_dumps(got, JSON_SORT_KEYS);
	w = json_dumps(want, JSON_SORT_KEYS);
	printf("%s: %s\n  got  %s\n  want %s\n", id, what, g, w);
	free(g);
	free(w);
	return false;
}

/* What Consul listed afterwards must be the same services, where it took them. */
static bool
compare_listed(const char *id, json_t *listed, const struct rules_service *all, size_t count)
{
	bool ok = true;

	for (size_t i = 0; i < json_array_size(listed); i++) {
		json_t *want = json_array_get(listed, i), *got, *meta, *tags;

		for (size_t j = 0; j < count; j++) {
			if (!str_eq(all[j].id, json_member_str(want, "ID")))
				continue;
			got = service_body(&all[j]);
			meta = member_or(got, "Meta", json_object());
			tags = member_or(got, "Tags", json_array());
			ok &= same(id, "Meta", meta, json_object_get(want, "Meta"));
			ok &= same(id, "Tags", tags, json_object_get(want, "Tags"));
			json_decref(meta);
			json_decref(tags);
			json_decref(got);
		}
	}
	return ok;
}

static bool
compare(const char *id, json_t *expect, struct rules_service *all, size_t count)
{
	json_t *got = json_array(), *want = json_array(), *request;
	bool ok;
	size_t i;

	qsort(all, count, sizeof *all, service_cmp);
	for (i = 0; i < count; i++) {
		json_t *body = service_body(&all[i]);

		drop_empty(body);
		json_array_append_new(got, body);
	}
	json_array_foreach (json_object_get(expect, "requests"), i, request)
		json_array_append(want, json_object_get(request, "body"));
	ok = same(id, "requests", got, want);
	json_decref(got);
	json_decref(want);
	return ok && compare_listed(id, json_object_get(expect, "services"), all, count);
}

static bool
case_run(json_t *c)
{
	const char *id = json_string_value(json_object_get(c, "id"));
	json_t *values = json_object_get(c, "values");
	json_t *options = expand(json_object_get(c, "options"), values);
	json_t *expect = expand(json_object_get(c, "expect"), values);
	char *json = json_dumps(json_object_get(c, "inspect"), 0);
	char *peer_json = json_dumps(json_array_get(json_object_get(c, "inspect_others"), 0), 0);
	struct rules_config config = { .host = json_member_str(values, "HOST"),
		.ip = json_member_str(values, "IP") };
	struct container container, peer;
	struct rules_service *all;
	struct arena arena;
	struct err err = { .text = "" };
	size_t count;
	bool has_peer, ok;

	options_read(options, &config);
	arena_init(&arena, 1 << 20);
	ok = container_read(&arena, str_of(json), &container, &err) == 0;
	has_peer = ok && peer_json != NULL && rules_peer(&container).n > 0 &&
		   container_read(&arena, str_of(peer_json), &peer, &err) == 0 &&
		   str_eq(peer.id, rules_peer(&container));
	ok = ok && rules_apply(&config, &arena, &container, has_peer ? &peer : NULL, &all, &count,
		       &err) == 0;
	if (!ok)
		printf("%s: %s\n", id, err.text);
	ok = ok && compare(id, expect, all, count);
	arena_done(&arena);
	free(json);
	free(peer_json);
	json_decref(options);
	json_decref(expect);
	return ok;
}

int
main(void)
{
	const char *src = getenv("MUSTER_SRC");
	char path[4096], *file;
	size_t n = 0, i, passed = 0, failed = 0;
	struct err err;
	json_t *root, *c;

	snprintf(path, sizeof path, "%s/tests/registrator/cases.json", src == NULL ? "." : src);
	file = file_read(path, &n);
	if (file == NULL || json_read(str_mem(file, n), &root, &err) < 0) {
		fprintf(stderr, "%s: cannot be read\n", path);
		return 1;
	}
	json_array_foreach (json_object_get(root, "cases"), i, c)
		*(case_run(c) ? &passed : &failed) += 1;
	printf("registrator: %zu passed, %zu failed\n", passed, failed);
	json_decref(root);
	free(file);
	return failed > 0 || passed == 0;
}
