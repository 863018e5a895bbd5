/* agent/cmd/cmd_operator_raft.c -- muster operator raft list-peers and remove-peer. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/columns.h"
#include "agent/cmd/commands.h"
#include "base/json.h"

#define PATH_BYTES_MAX (16 * 1024)
#define TABLE_BYTES_MAX (1024 * 1024)

static const struct flag no_flags[] = { { 0 } };

static const json_t *
health_of(const json_t *health, struct str id)
{
	const json_t *servers = json_object_get(health, "Servers");

	for (size_t i = 0; i < json_array_size(servers); i++)
		if (str_eq(json_member_str(json_array_get(servers, i), "ID"), id))
			return json_array_get(servers, i);
	return NULL;
}

static int64_t
leader_index(const json_t *servers, const json_t *health)
{
	for (size_t i = 0; i < json_array_size(servers); i++) {
		const json_t *s = json_array_get(servers, i);

		if (json_member_bool(s, "Leader"))
			return json_member_int(
			    health_of(health, json_member_str(s, "ID")), "LastIndex", -1);
	}
	return -1;
}

static void
peer_row(struct columns *table, const json_t *s, const json_t *health, int64_t leader)
{
	struct str id = json_member_str(s, "ID");
	int64_t index = json_member_int(health_of(health, id), "LastIndex", -1);
	bool leads = json_member_bool(s, "Leader");
	struct arena *arena = &table->arena;
	struct str trails = STR("_");

	if (!leads && index >= 0 && leader >= 0)
		trails = arena_fmt(arena, "%lld Commit%s", (long long)(leader - index),
		    leader - index > 1 ? "s" : "");
	columns_add(
	    table, (struct str[]){ json_member_str(s, "Node"), id, json_member_str(s, "Address"),
		       leads ? STR("leader") : STR("follower"),
		       json_member_bool(s, "Voter") ? STR("true") : STR("false"),
		       json_member_str(s, "ProtocolVersion"),
		       index < 0 ? STR("_") : arena_fmt(arena, "%lld", (long long)index), trails });
}

static void
peers_print(const json_t *config, const json_t *health)
{
	static const struct str head[] = { STR("Node"), STR("ID"), STR("Address"), STR("State"),
		STR("Voter"), STR("RaftProtocol"), STR("Commit Index"), STR("Trails Leader By") };
	const json_t *servers = json_object_get(config, "Servers");
	int64_t leader = leader_index(servers, health);
	struct columns table;
	struct buf out;

	columns_init(&table, sizeof head / sizeof head[0]);
	columns_add(&table, head);
	for (size_t i = 0; i < json_array_size(servers); i++)
		peer_row(&table, json_array_get(servers, i), health, leader);
	buf_init(&out, TABLE_BYTES_MAX);
	columns_write(&table, &out);
	fwrite(out.p, 1, out.n, stdout);
	buf_done(&out);
	columns_done(&table);
}

static int
list_peers_run(const struct call *call)
{
	const struct client_flags *flags = call->flags;
	const char *stale = flags->stale ? "?stale" : "";
	json_t *config = NULL, *health = NULL;
	struct err err = { 0 };
	struct buf path;
	int rc;

	buf_init(&path, PATH_BYTES_MAX);
	buf_addf(&path, "/v1/operator/raft/configuration%s", stale);
	rc = http_client_get_json(call->client, buf_str(&path), &config, &err);
	if (rc == 0) {
		buf_clear(&path);
		buf_addf(&path, "/v1/operator/autopilot/health%s", stale);
		rc = http_client_get_any(call->client, buf_str(&path), 429, &health, &err);
	}
	if (rc < 0)
		fprintf(stderr, "Error getting peers: %s\n", err.text);
	else
		peers_print(config, health);
	buf_done(&path);
	json_decref(health);
	json_decref(config);
	return rc < 0 ? 1 : 0;
}

const struct usage list_peers_usage = {
	.name = "operator raft list-peers",
	.takes = "[-stale]",
	.text =
	    "Lists the servers that take part in Raft, with their role and how far their logs are. "
	    "-stale asks the server at hand when there is no leader. Exit status: 0; 1: the agent "
	    "could not be asked, or there is no leader.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = list_peers_run,
};

struct remove_flags {
	struct client_flags client;
	const char *address, *id;
};

static const struct flag remove_flags[] = {
	{ "address", "ADDRESS:PORT", offsetof(struct remove_flags, address),
	    "The server, by the address that list-peers shows." },
	{ "id", "ID", offsetof(struct remove_flags, id), "The server, by its ID." },
	{ 0 },
};

static int
remove_peer_run(const struct call *call)
{
	const struct remove_flags *flags = call->flags;
	bool by_id = flags->id != NULL && flags->id[0] != '\0';
	bool by_address = flags->address != NULL && flags->address[0] != '\0';
	const char *wanted = by_id ? flags->id : flags->address;
	struct err err = { 0 };
	struct buf path;
	int rc;

	if (by_id == by_address)
		return usage_wrong(&remove_peer_usage, "exactly one of -address and -id");
	buf_init(&path, PATH_BYTES_MAX);
	buf_add(&path, STR("/v1/operator/raft/peer"));
	path_add_query(&path, by_id ? "id" : "address", str_of(wanted));
	rc = http_client_ask(call->client, "DELETE", buf_str(&path), STR_NONE, NULL, &err);
	if (rc < 0)
		fprintf(stderr, "Error removing peer: %s\n", err.text);
	else
		printf("Removed peer with %s \"%s\"\n", by_id ? "id" : "address", wanted);
	buf_done(&path);
	return rc < 0 ? 1 : 0;
}

const struct usage remove_peer_usage = {
	.name = "operator raft remove-peer",
	.takes = "-address ADDRESS:PORT|-id ID",
	.text =
	    "Takes a server out of Raft that is gone for good, so that it does not count for the "
	    "majority any more. One that only left the pool is removed by itself. Exit status: 0; "
	    "1: "
	    "it was not removed.",
	.flags = remove_flags,
	.size = sizeof(struct remove_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = remove_peer_run,
};
