/* agent/cmd/cmd_kv_put.c -- muster kv put and kv delete. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "agent/cmd/pair.h"
#include "base/base64.h"

#define PATH_BYTES_MAX (16 * 1024)
#define BUFFERED_MAX (2 * PAIR_DATA_MAX)

struct put_flags {
	struct client_flags client;
	bool acquire, release, base64, cas;
	const char *flags, *modify_index, *session;
};

static const struct flag put_flags[] = {
	{ "acquire", NULL, offsetof(struct put_flags, acquire),
	    "Take the key's lock for the -session; nothing is written when another has it." },
	{ "base64", NULL, offsetof(struct put_flags, base64), "The value is given in base 64." },
	{ "cas", NULL, offsetof(struct put_flags, cas),
	    "Write only if the key's ModifyIndex still is -modify-index." },
	{ "flags", "NUMBER", offsetof(struct put_flags, flags),
	    "A number of 64 bits that is kept with the key; its meaning is yours." },
	{ "modify-index", "NUMBER", offsetof(struct put_flags, modify_index),
	    "With -cas; 0: only if there is no such key." },
	{ "release", NULL, offsetof(struct put_flags, release),
	    "Give the key's lock back that the -session holds." },
	{ "session", "ID", offsetof(struct put_flags, session), "For -acquire and -release." },
	{ 0 },
};

/* True and false are the answers of the API; anything else is an error. */
static int
answer_is(const struct buf *answer, bool *out, struct err *err)
{
	struct str text = str_trim(buf_str(answer));

	while (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	*out = str_eq(text, STR("true"));
	if (*out || str_eq(text, STR("false")))
		return 0;
	return err_set(err, ERR_INPUT, "the agent answers neither true nor false");
}

static int
key_write(const struct call *call, const char *method, struct str path, struct str value,
    bool *done, struct err *err)
{
	struct buf answer;
	int rc;

	buf_init(&answer, CLIENT_BYTES_MAX);
	rc = http_client_ask(call->client, method, path, value, &answer, err);
	if (rc == 0)
		rc = answer_is(&answer, done, err);
	buf_done(&answer);
	return rc;
}

static int
put_value(const struct put_flags *flags, const char *word, struct buf *out, struct err *err)
{
	struct buf text;
	size_t n;
	char *room;
	int rc;

	if (word == NULL)
		return 0;
	if (!flags->base64)
		return pair_data(word, out, err);
	buf_init(&text, PAIR_DATA_MAX);
	rc = pair_data(word, &text, err);
	if (rc == 0) {
		room = buf_reserve(out, text.n + 1);
		if (room == NULL || !base64_decode(buf_str(&text), room, text.n + 1, &n))
			rc = err_set(err, ERR_INPUT, "the value is no base 64");
		else
			buf_commit(out, n);
	}
	buf_done(&text);
	return rc;
}

static int
put_path(const struct put_flags *flags, const char *key, struct buf *path, struct err *err)
{
	uint64_t number = 0, index = 0;

	if (key[0] == '/' || key[0] == '\0')
		return err_set(
		    err, ERR_INPUT, "a key is not empty and does not begin with a slash");
	if (pair_number("flags", flags->flags, &number, err) < 0 ||
	    pair_number("modify-index", flags->modify_index, &index, err) < 0)
		return err->code;
	buf_add(path, STR("/v1/kv/"));
	path_add_key(path, str_of(key));
	if (number != 0)
		path_add_number(path, "flags", number);
	if (flags->cas)
		path_add_number(path, "cas", index);
	else if (flags->acquire || flags->release)
		path_add_query(
		    path, flags->acquire ? "acquire" : "release", str_of(flags->session));
	return path->full ? err_set(err, ERR_LIMIT, "the key is too long") : 0;
}

static int
put_tell(const struct put_flags *flags, const char *key, bool done)
{
	const char *did = "Data written to", *failed = "Did not write the data";

	if (flags->cas) {
		failed = "CAS failed";
	} else if (flags->acquire) {
		did = "Lock acquired on";
		failed = "Did not acquire lock";
	} else if (flags->release) {
		did = "Lock released on";
		failed = "Did not release lock";
	}
	if (done)
		printf("Success! %s: %s\n", did, key);
	else if (flags->cas)
		fprintf(stderr, "Error! Did not write to %s: CAS failed\n", key);
	else
		fprintf(stderr, "Error! %s\n", failed);
	return done ? 0 : 1;
}

static const char *
put_contradiction(const struct put_flags *f)
{
	if ((f->acquire || f->release) && (f->session == NULL || f->session[0] == '\0'))
		return "-acquire and -release need a -session";
	if (f->cas && f->modify_index == NULL)
		return "-cas needs -modify-index";
	if (f->cas + f->acquire + f->release > 1)
		return "only one of -cas, -acquire and -release";
	return NULL;
}

static int
kv_put_run(const struct call *call)
{
	const struct put_flags *flags = call->flags;
	const char *why = put_contradiction(flags), *key = call->words[0];
	struct buf path, value;
	struct err err = { 0 };
	bool done = false;
	int code = 1;

	if (why != NULL)
		return usage_wrong(&kv_put_usage, why);
	buf_init(&path, PATH_BYTES_MAX);
	buf_init(&value, BUFFERED_MAX);
	if (put_path(flags, key, &path, &err) < 0 ||
	    put_value(flags, call->count > 1 ? call->words[1] : NULL, &value, &err) < 0)
		fprintf(stderr, "Error! %s\n", err.text);
	else if (key_write(call, "PUT", buf_str(&path), buf_str(&value), &done, &err) < 0)
		fprintf(stderr, "Error! Did not write to %s: %s\n", key, err.text);
	else
		code = put_tell(flags, key, done);
	buf_done(&value);
	buf_done(&path);
	return code;
}

const struct usage kv_put_usage = {
	.name = "kv put",
	.takes = "[FLAG...] KEY [VALUE]",
	.text =
	    "Writes a key. The value @FILE is what is in that file, - is what comes on standard "
	    "input; "
	    "without one it is empty. Flags come before the KEY, so that a value may begin with a "
	    "dash. Exit status: 0; 1: it was not written.",
	.flags = put_flags,
	.size = sizeof(struct put_flags),
	.words_last = true,
	.words_min = 1,
	.words_max = 2,
	.words_wrong = "it takes a KEY and perhaps a VALUE",
	.client = true,
	.run = kv_put_run,
};

struct delete_flags {
	struct client_flags client;
	bool cas, recurse;
	const char *modify_index;
};

static const struct flag delete_flags[] = {
	{ "cas", NULL, offsetof(struct delete_flags, cas),
	    "Delete only if the key's ModifyIndex still is -modify-index." },
	{ "modify-index", "NUMBER", offsetof(struct delete_flags, modify_index), "With -cas." },
	{ "recurse", NULL, offsetof(struct delete_flags, recurse),
	    "Delete all keys whose names begin so; without a prefix: all." },
	{ 0 },
};

static const char *
delete_contradiction(const struct delete_flags *f, struct str key, uint64_t index)
{
	if (key.n == 0 && !f->recurse)
		return "the KEY is missing";
	if (f->cas && f->recurse)
		return "only one of -cas and -recurse";
	if (f->cas && index == 0)
		return "-cas needs a -modify-index above 0";
	if (!f->cas && f->modify_index != NULL)
		return "-modify-index is for -cas";
	return NULL;
}

static void
delete_path(const struct delete_flags *flags, struct str key, uint64_t index, struct buf *path)
{
	buf_add(path, STR("/v1/kv/"));
	path_add_key(path, key);
	if (flags->recurse)
		path_add_query(path, "recurse", STR_NONE);
	if (flags->cas)
		path_add_number(path, "cas", index);
}

static int
kv_delete_run(const struct call *call)
{
	const struct delete_flags *flags = call->flags;
	struct str key = pair_key(call->count == 0 ? "" : call->words[0]);
	const char *thing = flags->recurse ? "prefix" : "key", *why;
	struct err err = { 0 };
	uint64_t index = 0;
	bool done = false;
	struct buf path;
	int code = 1;

	if (pair_number("modify-index", flags->modify_index, &index, &err) < 0)
		return usage_wrong(&kv_delete_usage, err.text);
	why = delete_contradiction(flags, key, index);
	if (why != NULL)
		return usage_wrong(&kv_delete_usage, why);
	buf_init(&path, PATH_BYTES_MAX);
	delete_path(flags, key, index, &path);
	if (key_write(call, "DELETE", buf_str(&path), STR_NONE, &done, &err) < 0 ||
	    (!done && err_set(&err, ERR_CONFLICT, "CAS failed") < 0)) {
		fprintf(stderr, "Error! Did not delete %s " STR_FMT ": %s\n", thing, STR_ARG(key),
		    err.text);
	} else {
		printf("Success! Deleted %s: " STR_FMT "\n",
		    flags->recurse ? "keys with prefix" : "key", STR_ARG(key));
		code = 0;
	}
	buf_done(&path);
	return code;
}

const struct usage kv_delete_usage = {
	.name = "kv delete",
	.takes = "[-cas -modify-index NUMBER|-recurse] KEY_OR_PREFIX",
	.text = "Deletes a key, or all keys under a prefix. To delete what is not there is no "
		"error. Exit "
		"status: 0; 1: it was not deleted.",
	.flags = delete_flags,
	.size = sizeof(struct delete_flags),
	.words_max = 1,
	.words_wrong = "there is one KEY at most",
	.client = true,
	.run = kv_delete_run,
};
