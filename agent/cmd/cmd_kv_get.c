/* agent/cmd/cmd_kv_get.c -- muster kv get and kv list: keys, printed as Consul prints them. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "agent/cmd/pair.h"
#include "base/base64.h"
#include "base/json.h"

#define VALUE_BYTES_MAX (64 * 1024 * 1024)
#define PATH_BYTES_MAX (16 * 1024)

struct get_flags {
	struct client_flags client;
	bool base64, detailed, keys, recurse;
	const char *separator;
};

static const struct get_flags get_initial = { .separator = "/" };

static const struct flag get_flags[] = {
	{ "base64", NULL, offsetof(struct get_flags, base64), "Show values in base 64." },
	{ "detailed", NULL, offsetof(struct get_flags, detailed),
	    "Show indexes, flags and the session that holds the key, too." },
	{ "keys", NULL, offsetof(struct get_flags, keys),
	    "Show the names of the keys under a prefix, not their values." },
	{ "recurse", NULL, offsetof(struct get_flags, recurse),
	    "Show all keys under a prefix, one KEY:VALUE in a line." },
	{ "separator", "TEXT", offsetof(struct get_flags, separator),
	    "With -keys: names end at the first of these behind the prefix. Default: /." },
	{ 0 },
};

static void
value_print(struct str value, bool base64)
{
	struct buf text;

	if (!base64) {
		fwrite(value.p, 1, value.n, stdout);
		return;
	}
	buf_init(&text, BASE64_LEN(VALUE_BYTES_MAX));
	base64_encode(&text, value);
	fwrite(text.p, 1, text.n, stdout);
	buf_done(&text);
}

static void
pair_print_detailed(const struct pair_entry *p, bool base64)
{
	printf("%-17s%llu\n", "CreateIndex", (unsigned long long)p->create);
	printf("%-17s%llu\n", "Flags", (unsigned long long)p->flags);
	printf("%-17s" STR_FMT "\n", "Key", STR_ARG(p->key));
	printf("%-17s%llu\n", "LockIndex", (unsigned long long)p->lock);
	printf("%-17s%llu\n", "ModifyIndex", (unsigned long long)p->modify);
	printf("%-17s" STR_FMT "\n", "Session", STR_ARG(p->session.n == 0 ? STR("-") : p->session));
	printf("%-17s", "Value");
	value_print(p->value, base64);
	putchar('\n');
}

static int
pairs_print(const json_t *list, const struct get_flags *flags, struct err *err)
{
	struct arena arena;
	int rc = 0;

	arena_init(&arena, VALUE_BYTES_MAX + 4096);
	for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
		struct pair_entry p;

		arena_reset(&arena);
		rc = pair_read(&arena, json_array_get(list, i), &p, err);
		if (rc < 0)
			break;
		if (flags->detailed) {
			if (i > 0)
				putchar('\n');
			pair_print_detailed(&p, flags->base64);
			continue;
		}
		if (flags->recurse) {
			fwrite(p.key.p, 1, p.key.n, stdout);
			putchar(':');
		}
		value_print(p.value, flags->base64);
		putchar('\n');
	}
	arena_done(&arena);
	return rc;
}

static void
names_print(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct str name = json_text(json_array_get(list, i));

		fwrite(name.p, 1, name.n, stdout);
		putchar('\n');
	}
}

static int
get_ask(const struct call *call, const struct get_flags *flags, struct str key, json_t **out,
    struct err *err)
{
	struct buf path;
	int rc;

	buf_init(&path, PATH_BYTES_MAX);
	buf_add(&path, STR("/v1/kv/"));
	path_add_key(&path, key);
	if (flags->keys) {
		path_add_query(&path, "keys", STR_NONE);
		if (flags->separator[0] != '\0')
			path_add_query(&path, "separator", str_of(flags->separator));
	} else if (flags->recurse) {
		path_add_query(&path, "recurse", STR_NONE);
	}
	if (flags->client.stale)
		path_add_query(&path, "stale", STR_NONE);
	rc = http_client_get_json(call->client, buf_str(&path), out, err);
	buf_done(&path);
	return rc;
}

static int
get_keys(const struct call *call, const struct get_flags *flags)
{
	struct str key = pair_key(call->count == 0 ? "" : call->words[0]);
	bool many = flags->keys || flags->recurse;
	struct err err = { 0 };
	json_t *list = NULL;
	int rc;

	if (key.n == 0 && !many)
		return usage_wrong(
		    &kv_get_usage, "the KEY is missing (-recurse and -keys need none)");
	rc = get_ask(call, flags, key, &list, &err);
	if (rc == ERR_NOT_FOUND && many)
		return 0;
	if (rc == ERR_NOT_FOUND) {
		fprintf(stderr, "Error! No key exists at: " STR_FMT "\n", STR_ARG(key));
		return 1;
	}
	if (rc == 0 && flags->keys)
		names_print(list);
	else if (rc == 0)
		rc = pairs_print(list, flags, &err);
	json_decref(list);
	if (rc < 0)
		fprintf(stderr, "Error querying the agent: %s\n", err.text);
	return rc < 0 ? 1 : 0;
}

static int
kv_get_run(const struct call *call)
{
	return get_keys(call, call->flags);
}

static int
kv_list_run(const struct call *call)
{
	struct get_flags flags = *(const struct get_flags *)call->flags;

	flags.keys = true;
	return get_keys(call, &flags);
}

const struct usage kv_get_usage = {
	.name = "kv get",
	.takes = "[-recurse|-keys] [-detailed] [KEY_OR_PREFIX]",
	.text = "Shows the value of a key, or all keys under a prefix. The value is followed by "
		"one line "
		"end of ours. Exit status: 0; 1: there is no such key, or the agent could not be "
		"asked.",
	.flags = get_flags,
	.size = sizeof(struct get_flags),
	.initial = &get_initial,
	.words_max = 1,
	.words_wrong = "there is one KEY at most",
	.client = true,
	.run = kv_get_run,
};

static const struct get_flags list_initial = { .separator = "" };

static const struct flag list_flags[] = {
	{ "separator", "TEXT", offsetof(struct get_flags, separator),
	    "Names end at the first of these behind the prefix: / shows one level." },
	{ 0 },
};

const struct usage kv_list_usage = {
	.name = "kv list",
	.takes = "[-separator TEXT] [PREFIX]",
	.text =
	    "Lists the names of all keys, or of those under a prefix. Exit status: 0, also when "
	    "there is none; 1: the agent could not be asked.",
	.flags = list_flags,
	.size = sizeof(struct get_flags),
	.initial = &list_initial,
	.words_max = 1,
	.words_wrong = "there is one PREFIX at most",
	.client = true,
	.run = kv_list_run,
};
