/* agent/cmd/cmd_members.c -- muster members: who is in the pool, as Consul prints it. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/cmd/client.h"
#include "agent/cmd/columns.h"
#include "agent/cmd/commands.h"
#include "agent/regexp.h"
#include "base/json.h"
#include "base/mem.h"
#include "gossip/serf.h"

#define TABLE_BYTES_MAX (256 * 1024 * 1024)
#define STATUS_STEPS_MAX 100000
#define STATUS_ARENA_MAX (1024 * 1024)

struct members_flags {
	struct client_flags client;
	bool detailed, wan;
	const char *status, *segment;
};

static const struct flag members_flags[] = {
	{ "detailed", NULL, offsetof(struct members_flags, detailed),
	    "Show all tags of each member." },
	{ "status", "REGEXP", offsetof(struct members_flags, status),
	    "Only members whose status matches: alive, leaving, left, failed." },
	{ "segment", "NAME", offsetof(struct members_flags, segment),
	    "Accepted as Consul's; there are no segments." },
	{ "wan", NULL, offsetof(struct members_flags, wan),
	    "The members of the federation: a server knows itself." },
	{ 0 },
};

static struct str
tag_of(const json_t *member, const char *name)
{
	return json_member_str(json_object_get(member, "Tags"), name);
}

static struct str
status_of(const json_t *member)
{
	int64_t n = json_member_int(member, "Status", SERF_NONE);

	return str_of(
	    serf_state_name(n >= SERF_NONE && n <= SERF_FAILED ? (enum serf_state)n : SERF_NONE));
}

static struct str
address_of(struct arena *arena, const json_t *member)
{
	struct str ip = json_member_str(member, "Addr");
	bool v6 = str_find(ip, ':') < ip.n;

	return arena_fmt(arena, "%s" STR_FMT "%s:%lld", v6 ? "[" : "", STR_ARG(ip), v6 ? "]" : "",
	    (long long)json_member_int(member, "Port", 0));
}

static void
row_plain(struct columns *table, const json_t *m)
{
	struct str role = tag_of(m, "role"), build = tag_of(m, "build"),
		   segment = tag_of(m, "segment");
	bool server = str_eq(role, STR("consul")), client = str_eq(role, STR("node"));
	struct str cells[8] = { json_member_str(m, "Name"), address_of(&table->arena, m),
		status_of(m), STR("unknown") };

	if (server || client) {
		cells[3] = server ? STR("server") : STR("client");
		cells[4] = build.n == 0 ? STR("< 0.3") : str_head(build, str_find(build, ':'));
		cells[5] = tag_of(m, "vsn");
		cells[6] = tag_of(m, "dc");
		cells[7] = segment.n > 0 ? segment : server ? STR("<all>") : STR("<default>");
	}
	columns_add(table, cells);
}

static void
row_detailed(struct columns *table, const json_t *m)
{
	struct str cells[4] = { json_member_str(m, "Name"), address_of(&table->arena, m),
		status_of(m) };
	struct buf tags;
	const char *key;
	json_t *value;

	/* the agent sends them in order of name */
	buf_init(&tags, 64 * 1024);
	json_object_foreach (json_object_get(m, "Tags"), key, value)
		buf_addf(
		    &tags, "%s%s=" STR_FMT, tags.n > 0 ? "," : "", key, STR_ARG(json_text(value)));
	cells[3] = buf_str(&tags);
	columns_add(table, cells);
	buf_done(&tags);
}

static int
name_cmp(const void *a, const void *b)
{
	const json_t *const *left = a, *const *right = b;

	return str_cmp(json_member_str(*left, "Name"), json_member_str(*right, "Name"));
}

/* How many members are shown. */
static size_t
members_print(const json_t *list, bool detailed, struct regexp *status)
{
	static const struct str plain[] = { STR("Node"), STR("Address"), STR("Status"), STR("Type"),
		STR("Build"), STR("Protocol"), STR("DC"), STR("Segment") };
	static const struct str detail[] = { STR("Node"), STR("Address"), STR("Status"),
		STR("Tags") };
	size_t n = json_array_size(list), shown = 0;
	const json_t **sorted = mem_zalloc((n + 1) * sizeof(json_t *));
	uint64_t steps = STATUS_STEPS_MAX * (n + 1);
	struct columns table;
	struct buf out;

	for (size_t i = 0; i < n; i++)
		sorted[i] = json_array_get(list, i);
	qsort(sorted, n, sizeof(json_t *), name_cmp);
	columns_init(&table, detailed ? 4 : 8);
	columns_add(&table, detailed ? detail : plain);
	for (size_t i = 0; i < n; i++) {
		if (status != NULL &&
		    regexp_match(status, status_of(sorted[i]), &steps) != REGEXP_YES)
			continue;
		if (detailed)
			row_detailed(&table, sorted[i]);
		else
			row_plain(&table, sorted[i]);
		shown++;
	}
	buf_init(&out, TABLE_BYTES_MAX);
	if (shown > 0) {
		columns_write(&table, &out);
		fwrite(out.p, 1, out.n, stdout);
	}
	buf_done(&out);
	columns_done(&table);
	free(sorted);
	return shown;
}

static int
members_ask(const struct call *call, json_t **out, struct err *err)
{
	const struct members_flags *flags = call->flags;
	struct buf path;
	int rc;

	buf_init(&path, 4096);
	buf_add(&path, STR("/v1/agent/members?segment="));
	path_add(&path, str_of(flags->segment == NULL ? "_all" : flags->segment));
	if (flags->wan)
		buf_add(&path, STR("&wan=1"));
	rc = http_client_get_json(call->client, buf_str(&path), out, err);
	buf_done(&path);
	return rc;
}

static int
members_run(const struct call *call)
{
	const struct members_flags *flags = call->flags;
	struct regexp *status = NULL;
	struct err err = { 0 };
	struct arena arena;
	json_t *list = NULL;
	int code = 1;

	arena_init(&arena, STATUS_ARENA_MAX);
	if (flags->status != NULL && regexp_new(&arena, str_of(flags->status), &status, &err) < 0)
		fprintf(stderr, "Failed to compile status regexp: %s\n", err.text);
	else if (members_ask(call, &list, &err) < 0)
		fprintf(stderr, "Error retrieving members: %s\n", err.text);
	else
		code = members_print(list, flags->detailed, status) > 0 ? 0 : 2;
	json_decref(list);
	arena_done(&arena);
	return code;
}

const struct usage members_usage = {
	.name = "members",
	.takes = "[-detailed] [-status REGEXP]",
	.text =
	    "Lists the members of the pool as the agent sees them: name, address, status, type, "
	    "version, protocol, datacenter. Exit status: 0; 1: the agent could not be asked; 2: "
	    "no member is in a status that was asked for.",
	.flags = members_flags,
	.size = sizeof(struct members_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = members_run,
};

int
cmd_members(int argc, char **argv)
{
	return usage_run(&members_usage, argc, argv);
}
