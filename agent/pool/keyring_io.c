/* agent/pool/keyring_io.c -- the keyring's file in and out. Our own copies of keys are wiped. */
#include "agent/pool/keyring_io.h"

#include <string.h>

#include "agent/durable_io.h"
#include "base/base64.h"
#include "base/json.h"

#define KEYRING_NAME "keyring"
#define KEYRING_NAME_CONSUL "serf/local.keyring"
#define KEYRING_FILE_MAX 8192 /* bytes: KEYRING_KEYS_MAX keys, and blanks */
#define KEYRING_KEY_MAX 32

static void
keyring_wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->room);
	buf_done(b);
}

/* One key of the list, number `i` from 1. */
static int
keyring_add(struct keyring *ring, struct str text, size_t i, struct err *err)
{
	uint8_t room[KEYRING_KEY_MAX];
	size_t n;
	int rc;

	if (!base64_decode(text, room, sizeof room, &n))
		rc = err_set(err, ERR_INPUT, "key %zu is not base64 of 16, 24 or 32 bytes", i);
	else if ((rc = keyring_install(ring, str_mem(room, n), err)) < 0)
		rc = err_wrap(err, "key %zu", i);
	explicit_bzero(room, sizeof room);
	return rc;
}

static int
keyring_parse(struct str text, struct keyring *ring, struct err *err)
{
	json_t *list = NULL, *item;
	size_t i;
	int rc = json_read(text, &list, err);

	if (rc == 0 && (!json_is_array(list) || json_array_size(list) == 0))
		rc = err_set(err, ERR_INPUT, "must hold a list of keys");
	json_array_foreach (list, i, item) {
		if (rc == 0)
			rc = keyring_add(ring, json_text(item), i + 1, err);
	}
	json_decref(list);
	return rc;
}

/* ERR_NOT_FOUND: there is no such file. */
static int
keyring_read(const char *folder, const char *name, struct keyring **out, struct err *err)
{
	struct keyring *ring = keyring_new();
	struct buf text;
	int rc;

	buf_init(&text, KEYRING_FILE_MAX);
	buf_reserve(&text, KEYRING_FILE_MAX); /* grows no more: no copy of it is left behind */
	rc = durable_load(folder, name, &text, err);
	if (rc == 0 && (rc = keyring_parse(buf_str(&text), ring, err)) < 0)
		err_wrap(err, "%s/%s is damaged", folder, name);
	keyring_wipe(&text);
	if (rc == 0)
		*out = ring;
	else
		keyring_free(ring);
	return rc;
}

static int
keyring_given(struct str key, struct keyring **out, struct err *err)
{
	struct keyring *ring = keyring_new();
	int rc = keyring_install(ring, key, err);

	if (rc == 0)
		*out = ring;
	else
		keyring_free(ring);
	return rc < 0 ? err_wrap(err, "-encrypt") : 0;
}

int
keyring_io_load(const char *folder, struct str key, struct keyring **out,
    enum keyring_source *source, struct err *err)
{
	struct keyring *ring = NULL;
	enum keyring_source from = KEYRING_FILE;
	int rc = ERR_NOT_FOUND;

	if (folder != NULL)
		rc = keyring_read(folder, KEYRING_NAME, &ring, err);
	if (folder != NULL && rc == ERR_NOT_FOUND) {
		from = KEYRING_CONSUL;
		rc = keyring_read(folder, KEYRING_NAME_CONSUL, &ring, err);
	}
	if (rc == ERR_NOT_FOUND) {
		from = key.n > 0 ? KEYRING_GIVEN : KEYRING_NONE;
		rc = key.n > 0 ? keyring_given(key, &ring, err) : 0;
	}
	if (rc == 0 && (from == KEYRING_GIVEN || from == KEYRING_CONSUL))
		rc = keyring_io_save(folder, ring, err);
	if (rc < 0) {
		keyring_free(ring);
		return rc;
	}
	if (from == KEYRING_FILE && key.n > 0 && !str_eq(key, keyring_key(ring, 0)))
		from = KEYRING_CONFLICT;
	*out = ring;
	*source = from;
	return 0;
}

int
keyring_io_save(const char *folder, const struct keyring *ring, struct err *err)
{
	struct buf text;
	int rc;

	if (folder == NULL)
		return 0;
	buf_init(&text, KEYRING_FILE_MAX);
	buf_reserve(&text, KEYRING_FILE_MAX);
	for (size_t i = 0; i < keyring_count(ring); i++) {
		buf_add(&text, i == 0 ? STR("[\n  \"") : STR(",\n  \""));
		base64_encode(&text, keyring_key(ring, i));
		buf_addc(&text, '"');
	}
	buf_add(&text, STR("\n]\n"));
	rc = durable_store(folder, KEYRING_NAME, 0600, buf_str(&text), err);
	keyring_wipe(&text);
	return rc;
}
