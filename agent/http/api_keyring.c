/* agent/http/api_keyring.c -- /v1/operator/keyring: the pool's keys, over all agents at once.
 *
 * A request becomes a query to the pool. Every agent's answer is counted in; when the query is
 * over the client gets the sum: keys with the number of agents that have them, or what went wrong.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "agent/http/api_handlers.h"
#include "agent/http/api_pool.h"
#include "agent/http/decode.h"
#include "base/base64.h"
#include "base/mem.h"

#define KEY_BYTES_MAX 64  /* of any key that is given; real ones: 16, 24 or 32 */
#define KEYS_SEEN_MAX 256 /* different keys over all agents */
#define MESSAGES_MAX 64   /* of agents, that one answer shows */
#define REQUEST_ARENA_MAX (256 * 1024)
#define ANSWER_BYTES_MAX (512 * 1024)

struct key_count {
	struct str key; /* base64 */
	uint64_t agents, primaries;
};

struct key_message {
	struct str from, text;
};

struct keyring_request {
	uint64_t id, ticket; /* of the pool; of the server */
	bool list, pretty;
	size_t answers, failures;
	struct key_count *keys;       /* in the arena, KEYS_SEEN_MAX */
	struct key_message *messages; /* MESSAGES_MAX */
	size_t key_count, message_count;
	struct arena arena;
};

/* --- the answers --- */

static void
keyring_request_free(struct keyring_request **slot)
{
	if (*slot != NULL)
		arena_done(&(*slot)->arena);
	free(*slot);
	*slot = NULL;
}

void
api_pool_done(struct api *api)
{
	for (size_t i = 0; i < API_KEYRINGS_MAX; i++)
		keyring_request_free(&api->keyrings[i]);
}

static struct keyring_request **
keyring_request_find(struct api *api, uint64_t id)
{
	for (size_t i = 0; i < API_KEYRINGS_MAX; i++)
		if (api->keyrings[i] != NULL && api->keyrings[i]->id == id)
			return &api->keyrings[i];
	return NULL;
}

/* Its counters; NULL: more different keys than anybody has. */
static struct key_count *
key_entry(struct keyring_request *k, struct str key)
{
	struct str copy;

	for (size_t i = 0; i < k->key_count; i++)
		if (str_eq(k->keys[i].key, key))
			return &k->keys[i];
	if (k->key_count == KEYS_SEEN_MAX)
		return NULL;
	copy = arena_dup(&k->arena, key);
	if (copy.p == NULL)
		return NULL;
	k->keys[k->key_count].key = copy;
	return &k->keys[k->key_count++];
}

void
api_keys(struct api *api, uint64_t id, struct str from, const struct serf_key_response *got)
{
	struct keyring_request **slot = keyring_request_find(api, id), *k;
	struct key_count *entry;

	if (slot == NULL)
		return;
	k = *slot;
	k->answers++;
	k->failures += !got->result;
	if (got->message.n > 0 && k->message_count < MESSAGES_MAX) {
		struct key_message *m = &k->messages[k->message_count++];

		m->from = arena_dup(&k->arena, from);
		m->text = arena_dup(&k->arena, got->message);
	}
	for (size_t i = 0; i < got->key_count; i++)
		if ((entry = key_entry(k, got->keys[i])) != NULL)
			entry->agents++;
	if (got->primary.n > 0 && (entry = key_entry(k, got->primary)) != NULL)
		entry->primaries++;
}

static int
key_cmp(const void *a, const void *b)
{
	return str_cmp(((const struct key_count *)a)->key, ((const struct key_count *)b)->key);
}

static void
render_counts(struct jw *w, const struct keyring_request *k, bool primaries)
{
	jw_object(w);
	for (size_t i = 0; i < k->key_count; i++) {
		uint64_t n = primaries ? k->keys[i].primaries : k->keys[i].agents;

		if (n == 0)
			continue;
		jw_key(w, k->keys[i].key);
		jw_u64(w, n);
	}
	jw_object_end(w);
}

static void
render_keys(struct jw *w, const struct api *api, const struct keyring_request *k, size_t expected)
{
	jw_array(w);
	jw_object(w);
	jw_kbool(w, "WAN", false);
	jw_kstr(w, "Datacenter", api->options->datacenter);
	jw_kstr(w, "Segment", STR_NONE);
	if (k->message_count > 0) {
		jw_key(w, STR("Messages"));
		jw_object(w);
		for (size_t i = 0; i < k->message_count; i++) {
			jw_key(w, k->messages[i].from);
			jw_str(w, k->messages[i].text);
		}
		jw_object_end(w);
	}
	jw_key(w, STR("Keys"));
	render_counts(w, k, false);
	jw_key(w, STR("PrimaryKeys"));
	render_counts(w, k, true);
	jw_ku64(w, "NumNodes", expected);
	jw_object_end(w);
	jw_array_end(w);
}

/* As Consul words a list of errors. */
static void
reply_failed(struct http_reply *reply, const struct api *api, const struct keyring_request *k,
    struct str what)
{
	size_t n = k->message_count + 1;

	reply_error(reply, 500, "%zu error%s occurred:\n\t* " STR_FMT " (LAN) error: " STR_FMT, n,
	    n == 1 ? "" : "s", STR_ARG(api->options->datacenter), STR_ARG(what));
	for (size_t i = 0; i < k->message_count; i++) {
		buf_add(reply->body, STR("\n\t* "));
		buf_add(reply->body, k->messages[i].from);
		buf_add(reply->body, STR(": "));
		buf_add(reply->body, k->messages[i].text);
	}
	buf_add(reply->body, STR("\n\n"));
}

static void
reply_keys(
    struct http_reply *reply, const struct api *api, struct keyring_request *k, size_t expected)
{
	char what[80] = "";

	if (k->failures > 0)
		snprintf(
		    what, sizeof what, "%zu/%zu nodes reported failure", k->failures, expected);
	else if (k->answers < expected)
		snprintf(what, sizeof what, "%zu/%zu nodes reported success", k->answers, expected);
	if (what[0] != '\0') {
		reply_failed(reply, api, k, str_of(what));
		return;
	}
	if (!k->list)
		return;
	qsort(k->keys, k->key_count, sizeof k->keys[0], key_cmp);
	render_keys(reply_json(reply), api, k, expected);
	if (k->pretty)
		buf_addc(reply->body, '\n');
}

void
api_keys_done(struct api *api, uint64_t id, size_t expected)
{
	struct keyring_request **slot = keyring_request_find(api, id);
	struct http_reply reply;
	struct buf body;

	if (slot == NULL)
		return;
	buf_init(&body, ANSWER_BYTES_MAX);
	reply_init(&reply, &body, (*slot)->pretty);
	reply_keys(&reply, api, *slot, expected);
	api->ops.finish(api->ops.arg, (*slot)->ticket, &reply);
	buf_done(&body);
	keyring_request_free(slot);
}

/* --- the requests --- */

static void
keyring_start(struct api *api, const struct http_request *req, struct http_reply *reply,
    enum serf_key_op op, struct str key)
{
	struct keyring_request **slot = NULL, *k;
	struct err err = { 0 };
	uint64_t id;

	for (size_t i = 0; i < API_KEYRINGS_MAX && slot == NULL; i++)
		if (api->keyrings[i] == NULL)
			slot = &api->keyrings[i];
	if (slot == NULL) {
		reply_error(reply, 429, "Too many keyring requests are under way");
		return;
	}
	if (pool_keys(api->pool, req->now, op, key, &id, &err) < 0) {
		struct keyring_request none = { 0 };

		reply_failed(reply, api, &none, str_of(err.text));
		return;
	}
	k = mem_new(struct keyring_request);
	arena_init(&k->arena, REQUEST_ARENA_MAX);
	k->keys = arena_array(&k->arena, struct key_count, KEYS_SEEN_MAX);
	k->messages = arena_array(&k->arena, struct key_message, MESSAGES_MAX);
	k->id = id;
	k->list = op == SERF_KEY_LIST;
	k->pretty = request_has(req, STR("pretty"));
	k->ticket = api_later(api, reply);
	*slot = k;
	api_changed(api);
}

/* ?relay-factor= and ?local-only=, which are read as Consul does; answers are not relayed here. */
static bool
keyring_params(const struct http_request *req, struct http_reply *reply)
{
	struct str relay = request_param(req, STR("relay-factor"));
	struct str local_only = request_param(req, STR("local-only"));
	bool local = false;
	uint64_t n = 0;

	if (relay.n > 0 && !str_u64(relay, UINT32_MAX, &n))
		reply_error(reply, 400,
		    "Error parsing relay factor: strconv.Atoi: parsing \"" STR_FMT
		    "\": invalid syntax",
		    STR_ARG(relay));
	else if (n > 5)
		reply_error(reply, 400,
		    "Invalid relay-factor: invalid relay factor: %" PRIu64
		    ", must be in range [0, 5]",
		    n);
	else if (local_only.n > 0 && !bool_parse(local_only, &local))
		reply_error(reply, 400,
		    "Error parsing local-only: strconv.ParseBool: parsing \"" STR_FMT
		    "\": invalid syntax",
		    STR_ARG(local_only));
	else if (local && req->method != HTTP_GET)
		reply_error(reply, 400,
		    "Invalid use of local-only: local-only can only be set for list requests");
	else
		return true;
	return false;
}

static bool
keyring_alone(const struct api *api, struct http_reply *reply)
{
	if (api->pool != NULL && api->ops.finish != NULL)
		return false;
	reply_error(reply, 500, "This agent is in no pool");
	return true;
}

static void
keyring_change(
    struct api *api, const struct http_request *req, struct http_reply *reply, enum serf_key_op op)
{
	struct keyring_request none = { 0 };
	struct str text = STR_NONE;
	uint8_t key[KEY_BYTES_MAX];
	struct err err = { 0 };
	size_t n = 0;

	if (decode_key(req->arena, req->body, &text, &err) < 0) {
		reply_decode_failed(reply, &err);
		return;
	}
	if (!keyring_params(req, reply) || keyring_alone(api, reply))
		return;
	if (!base64_decode(text, key, sizeof key, &n))
		reply_failed(reply, api, &none, STR("illegal base64 data in the key"));
	else
		keyring_start(api, req, reply, op, str_mem(key, n));
}

void
api_keyring_list(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	if (keyring_params(req, reply) && !keyring_alone(api, reply))
		keyring_start(api, req, reply, SERF_KEY_LIST, STR_NONE);
}

void
api_keyring_install(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	keyring_change(api, req, reply, SERF_KEY_INSTALL);
}

void
api_keyring_use(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	keyring_change(api, req, reply, SERF_KEY_USE);
}

void
api_keyring_remove(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	keyring_change(api, req, reply, SERF_KEY_REMOVE);
}
