/* agent/cmd/pair.c -- see pair.h. */
#include "agent/cmd/pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"

static int
pair_value(struct arena *arena, const json_t *entry, struct str *out, struct err *err)
{
	struct str text = json_member_str(entry, "Value");
	char *room = arena_alloc(arena, text.n + 1);
	size_t n = 0;

	if (room == NULL)
		return err_set(err, ERR_LIMIT, "the values take too much memory");
	if (!base64_decode(text, room, text.n + 1, &n))
		return err_set(err, ERR_INPUT, "a value in the answer is no base64");
	*out = str_mem(room, n);
	return 0;
}

int
pair_read(struct arena *arena, const json_t *entry, struct pair_entry *out, struct err *err)
{
	struct pair_entry p = { .key = json_member_str(entry, "Key"),
		.session = json_member_str(entry, "Session") };
	int rc;

	if (!json_u64(json_object_get(entry, "Flags"), &p.flags) ||
	    !json_u64(json_object_get(entry, "CreateIndex"), &p.create) ||
	    !json_u64(json_object_get(entry, "ModifyIndex"), &p.modify) ||
	    !json_u64(json_object_get(entry, "LockIndex"), &p.lock))
		return err_set(err, ERR_INPUT, "an entry of the answer is no key");
	rc = pair_value(arena, entry, &p.value, err);
	if (rc == 0)
		*out = p;
	return rc;
}

struct str
pair_key(const char *word)
{
	struct str key = str_of(word);

	return str_starts(key, STR("/")) ? str_skip(key, 1) : key;
}

static int
data_read(FILE *f, const char *name, struct buf *out, struct err *err)
{
	size_t n;

	do {
		char *room = buf_reserve(out, 64 * 1024);

		if (room == NULL)
			return err_set(
			    err, ERR_LIMIT, "%s: over %d MiB", name, PAIR_DATA_MAX >> 20);
		n = fread(room, 1, 64 * 1024, f);
		buf_commit(out, n);
	} while (n > 0);
	return ferror(f) ? err_errno(err, "%s", name) : 0;
}

int
pair_data(const char *word, struct buf *out, struct err *err)
{
	FILE *f;
	int rc;

	if (strcmp(word, "-") == 0)
		return data_read(stdin, "standard input", out, err);
	if (word[0] != '@') {
		buf_add(out, str_of(word));
		return 0;
	}
	f = fopen(word + 1, "re");
	if (f == NULL)
		return err_errno(err, "%s", word + 1);
	rc = data_read(f, word + 1, out, err);
	fclose(f);
	return rc;
}

int
pair_number(const char *flag, const char *text, uint64_t *out, struct err *err)
{
	bool hex = text != NULL && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	unsigned long long n;
	char *end;

	if (text == NULL)
		return 0;
	errno = 0;
	n = strtoull(text, &end, hex ? 16 : 10);
	if (!chr_digit(text[0]) || *end != '\0' || errno != 0)
		return err_set(err, ERR_INPUT, "-%s: \"%s\" is no number from 0 to %llu", flag,
		    text, (unsigned long long)UINT64_MAX);
	*out = n;
	return 0;
}
