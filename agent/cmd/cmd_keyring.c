/* agent/cmd/cmd_keyring.c -- muster keyring: the keys that the pool's agents encrypt with. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "base/json.h"

struct keyring_flags {
	struct client_flags client;
	bool list, list_primary;
	const char *install, *use, *remove, *relay;
};

static const struct flag keyring_flags[] = {
	{ "list", NULL, offsetof(struct keyring_flags, list),
	    "List all keys, each with the number of agents that have it." },
	{ "list-primary", NULL, offsetof(struct keyring_flags, list_primary),
	    "List the keys that agents encrypt with." },
	{ "install", "KEY", offsetof(struct keyring_flags, install),
	    "Give all agents one more key, which they decrypt with." },
	{ "use", "KEY", offsetof(struct keyring_flags, use),
	    "Make an installed key the one that all agents encrypt with." },
	{ "remove", "KEY", offsetof(struct keyring_flags, remove),
	    "Take a key away from all agents; not the one in use." },
	{ "relay-factor", "N", offsetof(struct keyring_flags, relay),
	    "Accepted as Consul's: 0 to 5." },
	{ 0 },
};

/* What one of the flags wants of the agent. */
struct keyring_action {
	const char *said, *method, *key; /* key NULL: none */
};

/* False: none, or more than one. */
static bool
keyring_choose(const struct keyring_flags *f, struct keyring_action *out)
{
	const struct keyring_action all[] = {
		{ "Gathering installed encryption keys...", f->list ? "GET" : NULL, NULL },
		{ "Gathering installed primary encryption keys...", f->list_primary ? "GET" : NULL,
		    NULL },
		{ "Installing new gossip encryption key...", "POST", f->install },
		{ "Changing primary gossip encryption key...", "PUT", f->use },
		{ "Removing gossip encryption key...", "DELETE", f->remove },
	};
	unsigned chosen = 0;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (i < 2 ? all[i].method == NULL : all[i].key == NULL)
			continue;
		*out = all[i];
		chosen++;
	}
	return chosen == 1;
}

static void
keys_print(const json_t *pools, bool primary)
{
	const char *key;
	json_t *pool, *n;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)pools, i, pool) {
		printf("\n" STR_FMT " (LAN):\n", STR_ARG(json_member_str(pool, "Datacenter")));
		json_object_foreach (
		    json_object_get(pool, primary ? "PrimaryKeys" : "Keys"), key, n)
			printf("  %s [%lld/%lld]\n", key, (long long)json_integer_value(n),
			    (long long)json_member_int(pool, "NumNodes", 0));
	}
}

static int
keyring_ask(
    const struct call *call, const struct keyring_action *a, struct buf *answer, struct err *err)
{
	const struct keyring_flags *flags = call->flags;
	struct buf path, body;
	struct jw w;
	int rc;

	buf_init(&path, 4096);
	buf_init(&body, 64 * 1024);
	buf_add(&path, STR("/v1/operator/keyring"));
	if (flags->relay != NULL) {
		buf_add(&path, STR("?relay-factor="));
		path_add(&path, str_of(flags->relay));
	}
	if (a->key != NULL) {
		jw_init(&w, &body, false);
		jw_object(&w);
		jw_kstr(&w, "Key", str_of(a->key));
		jw_object_end(&w);
	}
	rc = http_client_ask(call->client, a->method, buf_str(&path), buf_str(&body), answer, err);
	buf_done(&path);
	buf_done(&body);
	return rc;
}

static int
keyring_run(const struct call *call)
{
	const struct keyring_flags *flags = call->flags;
	struct keyring_action action = { 0 };
	struct err err = { 0 };
	json_t *pools = NULL;
	struct buf answer;
	int rc;

	if (!keyring_choose(flags, &action))
		return usage_wrong(
		    &keyring_usage, "exactly one of -list, -list-primary, -install, -use, -remove");
	printf("==> %s\n", action.said);
	fflush(stdout);
	buf_init(&answer, CLIENT_BYTES_MAX);
	rc = keyring_ask(call, &action, &answer, &err);
	if (rc == 0 && action.key == NULL)
		rc = json_read(buf_str(&answer), &pools, &err);
	if (rc < 0)
		fprintf(stderr, "error: %s\n", err.text);
	else if (action.key == NULL)
		keys_print(pools, flags->list_primary);
	json_decref(pools);
	buf_done(&answer);
	return rc < 0 ? 1 : 0;
}

const struct usage keyring_usage = {
	.name = "keyring",
	.takes = "-list|-list-primary|-install KEY|-use KEY|-remove KEY",
	.text =
	    "Lists or changes the keys of the pool on all agents at once. To change the key: "
	    "-install the new one, -use it, then -remove the old one. Exit status: 0: every agent "
	    "has answered that it did so; 1: not.",
	.flags = keyring_flags,
	.size = sizeof(struct keyring_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = keyring_run,
};

int
cmd_keyring(int argc, char **argv)
{
	return usage_run(&keyring_usage, argc, argv);
}
