/* agent/cmd/cmd_kv_export.c -- muster kv export and kv import: keys as a file, in Consul's format.
 */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "agent/cmd/exported.h"
#include "agent/cmd/pair.h"

#define PATH_BYTES_MAX (16 * 1024)

static const struct flag no_flags[] = { { 0 } };

static int
export_keys(const struct call *call, struct str prefix, struct buf *out, struct err *err)
{
	const struct client_flags *flags = call->flags;
	json_t *list = NULL;
	struct buf path;
	int rc;

	buf_init(&path, PATH_BYTES_MAX);
	buf_add(&path, STR("/v1/kv/"));
	path_add_key(&path, prefix);
	path_add_query(&path, "recurse", STR_NONE);
	if (flags->stale)
		path_add_query(&path, "stale", STR_NONE);
	rc = http_client_get_json(call->client, buf_str(&path), &list, err);
	if (rc == 0 || rc == ERR_NOT_FOUND) /* no keys are an empty list */
		rc = exported_write(out, list, err);
	json_decref(list);
	buf_done(&path);
	return rc;
}

static int
kv_export_run(const struct call *call)
{
	struct err err = { 0 };
	struct buf out;
	int rc;

	buf_init(&out, EXPORTED_BYTES_MAX);
	rc = export_keys(call, pair_key(call->count == 0 ? "" : call->words[0]), &out, &err);
	if (rc < 0)
		fprintf(stderr, "Error querying the agent: %s\n", err.text);
	else
		fwrite(out.p, 1, out.n, stdout);
	buf_done(&out);
	return rc < 0 ? 1 : 0;
}

const struct usage kv_export_usage = {
	.name = "kv export",
	.takes = "[PREFIX]",
	.text =
	    "Prints all keys, or those under a prefix, with their flags and values, as JSON in "
	    "Consul's format. kv import takes it. Exit status: 0; 1: the agent could not be asked.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_max = 1,
	.words_wrong = "there is one PREFIX at most",
	.client = true,
	.run = kv_export_run,
};

static int
import_key(const struct call *call, const struct pair_entry *p, struct err *err)
{
	struct buf path, answer;
	int rc;

	buf_init(&path, PATH_BYTES_MAX);
	buf_init(&answer, CLIENT_BYTES_MAX);
	buf_add(&path, STR("/v1/kv/"));
	path_add_key(&path, p->key);
	path_add_number(&path, "flags", p->flags);
	rc = http_client_ask(call->client, "PUT", buf_str(&path), p->value, &answer, err);
	buf_done(&answer);
	buf_done(&path);
	return rc;
}

/* All of them are read before the first is written: a broken file changes nothing. */
static int
import_keys(const struct call *call, struct str text, struct err *err)
{
	struct pair_entry *list = NULL;
	struct arena arena;
	size_t count = 0;
	int rc;

	arena_init(&arena, EXPORTED_BYTES_MAX);
	rc = exported_read(&arena, text, &list, &count, err);
	if (rc < 0)
		err_wrap(err, "Cannot read the data");
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = import_key(call, &list[i], err);
		if (rc < 0)
			err_wrap(err, "Error! Failed writing data for key " STR_FMT,
			    STR_ARG(list[i].key));
		else
			printf("Imported: " STR_FMT "\n", STR_ARG(list[i].key));
	}
	arena_done(&arena);
	return rc;
}

static int
kv_import_run(const struct call *call)
{
	struct err err = { 0 };
	struct buf text;
	int rc;

	buf_init(&text, PAIR_DATA_MAX);
	rc = pair_data(call->words[0], &text, &err);
	if (rc < 0)
		err_wrap(&err, "Error!");
	else
		rc = import_keys(call, buf_str(&text), &err);
	buf_done(&text);
	if (rc < 0)
		fprintf(stderr, "%s\n", err.text);
	return rc < 0 ? 1 : 0;
}

const struct usage kv_import_usage = {
	.name = "kv import",
	.takes = "DATA",
	.text = "Writes the keys that kv export, of Consul too, has printed. DATA is @FILE, - for "
		"standard "
		"input, or the JSON itself. It is read as a whole before the first key is written. "
		"Exit "
		"status: 0; 1: not all of it was written.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_last = true,
	.words_min = 1,
	.words_max = 1,
	.words_wrong = "it takes one DATA: @FILE, - or the JSON",
	.client = true,
	.run = kv_import_run,
};
