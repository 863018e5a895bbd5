/* agent/cmd/cmd_session.c -- muster session: list, node, info, create, renew, destroy. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/columns.h"
#include "agent/cmd/commands.h"
#include "agent/duration.h"
#include "base/json.h"

#define PATH_BYTES_MAX (16 * 1024)
#define TABLE_BYTES_MAX (256 * 1024 * 1024)

static const struct flag no_flags[] = { { 0 } };

/* GET /v1/session/WHAT/WORD. */
static int
session_ask(
    const struct call *call, const char *what, const char *word, json_t **out, struct err *err)
{
	const struct client_flags *flags = call->flags;
	struct buf path;
	int rc;

	buf_init(&path, PATH_BYTES_MAX);
	buf_addf(&path, "/v1/session/%s", what);
	if (word != NULL) {
		buf_addc(&path, '/');
		path_add(&path, str_of(word));
	}
	if (flags->stale)
		path_add_query(&path, "stale", STR_NONE);
	rc = http_client_get_json(call->client, buf_str(&path), out, err);
	buf_done(&path);
	return rc;
}

/* PUT /v1/session/WHAT/WORD; the answer (may be NULL) is the caller's. */
static int
session_put(const struct call *call, const char *what, const char *word, struct str body,
    json_t **out, struct err *err)
{
	struct buf path, answer;
	int rc;

	buf_init(&path, PATH_BYTES_MAX);
	buf_init(&answer, CLIENT_BYTES_MAX);
	buf_addf(&path, "/v1/session/%s", what);
	if (word != NULL) {
		buf_addc(&path, '/');
		path_add(&path, str_of(word));
	}
	rc = http_client_ask(call->client, "PUT", buf_str(&path), body, &answer, err);
	if (rc == 0 && out != NULL)
		rc = json_read(buf_str(&answer), out, err);
	buf_done(&answer);
	buf_done(&path);
	return rc;
}

/* What an empty member means to a person: "-". */
static struct str
text_or_dash(const json_t *session, const char *member)
{
	struct str text = json_member_str(session, member);

	return text.n == 0 ? STR("-") : text;
}

static struct str
names_joined(const json_t *list, struct buf *into)
{
	size_t from = into->n;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		if (i > 0)
			buf_addc(into, ',');
		buf_add(into, json_is_object(one) ? json_member_str(one, "ID") : json_text(one));
	}
	if (into->n == from)
		buf_addc(into, '-');
	return str_mem(into->p + from, into->n - from);
}

static int
list_print(const struct call *call, const char *what, const char *word)
{
	static const struct str head[] = { STR("ID"), STR("Name"), STR("Node"), STR("TTL"),
		STR("Behavior"), STR("LockDelay"), STR("Checks") };
	struct err err = { 0 };
	json_t *list = NULL;
	struct columns table;
	struct buf out, checks;

	if (session_ask(call, what, word, &list, &err) < 0) {
		fprintf(stderr, "Error querying the agent: %s\n", err.text);
		return 1;
	}
	columns_init(&table, sizeof head / sizeof head[0]);
	columns_add(&table, head);
	buf_init(&checks, 1024 * 1024);
	buf_init(&out, TABLE_BYTES_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *s = json_array_get(list, i);
		char delay[DURATION_TEXT_MAX];

		buf_clear(&checks);
		columns_add(
		    &table, (struct str[]){ json_member_str(s, "ID"), text_or_dash(s, "Name"),
				json_member_str(s, "Node"), text_or_dash(s, "TTL"),
				json_member_str(s, "Behavior"),
				str_of(duration_format(json_member_int(s, "LockDelay", 0), delay)),
				names_joined(json_object_get(s, "NodeChecks"), &checks) });
	}
	columns_write(&table, &out);
	fwrite(out.p, 1, out.n, stdout);
	buf_done(&out);
	buf_done(&checks);
	columns_done(&table);
	json_decref(list);
	return 0;
}

static int
session_list_run(const struct call *call)
{
	return list_print(call, "list", NULL);
}

static int
session_node_run(const struct call *call)
{
	return list_print(call, "node", call->words[0]);
}

const struct usage session_list_usage = {
	.name = "session list",
	.takes = "",
	.text =
	    "Lists all sessions with their node, TTL, behavior, lock delay and node checks. Exit "
	    "status: 0; 1: the agent could not be asked.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = session_list_run,
};

const struct usage session_node_usage = {
	.name = "session node",
	.takes = "NODE",
	.text = "Lists the sessions of one node. Exit status: 0; 1: the agent could not be asked.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_min = 1,
	.words_max = 1,
	.words_wrong = "it takes the name of one NODE",
	.client = true,
	.run = session_node_run,
};

static void
session_print(const json_t *s)
{
	static const struct {
		const char *name, *member;
	} texts[] = { { "ID", "ID" }, { "Name", "Name" }, { "Node", "Node" }, { "TTL", "TTL" },
		{ "Behavior", "Behavior" } };
	static const char *const lists[] = { "NodeChecks", "ServiceChecks" };
	char delay[DURATION_TEXT_MAX];
	struct buf names;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		printf(
		    "%-17s" STR_FMT "\n", texts[i].name, STR_ARG(text_or_dash(s, texts[i].member)));
	printf(
	    "%-17s%s\n", "LockDelay", duration_format(json_member_int(s, "LockDelay", 0), delay));
	buf_init(&names, 1024 * 1024);
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		buf_clear(&names);
		printf("%-17s" STR_FMT "\n", lists[i],
		    STR_ARG(names_joined(json_object_get(s, lists[i]), &names)));
	}
	buf_done(&names);
	printf("%-17s%lld\n", "CreateIndex", (long long)json_member_int(s, "CreateIndex", 0));
	printf("%-17s%lld\n", "ModifyIndex", (long long)json_member_int(s, "ModifyIndex", 0));
}

static int
session_info_run(const struct call *call)
{
	struct err err = { 0 };
	json_t *list = NULL;
	int code = 1;

	if (session_ask(call, "info", call->words[0], &list, &err) < 0) {
		fprintf(stderr, "Error querying the agent: %s\n", err.text);
	} else if (json_array_size(list) == 0) {
		fprintf(stderr, "Error! There is no session %s\n", call->words[0]);
	} else {
		session_print(json_array_get(list, 0));
		code = 0;
	}
	json_decref(list);
	return code;
}

const struct usage session_info_usage = {
	.name = "session info",
	.takes = "ID",
	.text =
	    "Shows one session. Exit status: 0; 1: there is no such session, or the agent could "
	    "not be asked.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_min = 1,
	.words_max = 1,
	.words_wrong = "it takes the ID of one session",
	.client = true,
	.run = session_info_run,
};

struct create_flags {
	struct client_flags client;
	bool no_checks;
	const char *behavior, *checks, *lock_delay, *name, *node, *ttl;
};

static const struct flag create_flags[] = {
	{ "behavior", "WHAT", offsetof(struct create_flags, behavior),
	    "What becomes of its keys when it ends: release (default) or delete." },
	{ "checks", "IDS", offsetof(struct create_flags, checks),
	    "Checks of the node that end it when they are critical, parted by commas. Default: "
	    "serfHealth." },
	{ "lock-delay", "TIME", offsetof(struct create_flags, lock_delay),
	    "How long nobody gets a lock that it lost. Default: 15s." },
	{ "name", "NAME", offsetof(struct create_flags, name), "For people." },
	{ "no-checks", NULL, offsetof(struct create_flags, no_checks),
	    "No check ends it; then it needs a -ttl." },
	{ "node", "NAME", offsetof(struct create_flags, node),
	    "The node that it belongs to. Default: the agent's." },
	{ "ttl", "TIME", offsetof(struct create_flags, ttl),
	    "It ends when it is not renewed for so long: 10s to 24h." },
	{ 0 },
};

static void
create_text(struct jw *w, const char *key, const char *value)
{
	if (value != NULL && value[0] != '\0')
		jw_kstr(w, key, str_of(value));
}

static void
create_body(const struct create_flags *f, struct buf *body)
{
	struct jw w;

	jw_init(&w, body, false);
	jw_object(&w);
	create_text(&w, "Name", f->name);
	create_text(&w, "Node", f->node);
	create_text(&w, "TTL", f->ttl);
	create_text(&w, "Behavior", f->behavior);
	create_text(&w, "LockDelay", f->lock_delay);
	if (f->checks != NULL || f->no_checks) {
		struct str rest = f->no_checks ? STR_NONE : str_of(f->checks);

		jw_key(&w, STR("NodeChecks"));
		jw_array(&w);
		while (rest.p != NULL)
			jw_str(&w, str_trim(str_cut(&rest, ',')));
		jw_array_end(&w);
	}
	jw_object_end(&w);
}

static int
session_create_run(const struct call *call)
{
	const struct create_flags *flags = call->flags;
	struct err err = { 0 };
	json_t *made = NULL;
	struct buf body;
	int rc;

	if (flags->checks != NULL && flags->no_checks)
		return usage_wrong(&session_create_usage, "only one of -checks and -no-checks");
	if (flags->no_checks && flags->ttl == NULL)
		return usage_wrong(&session_create_usage, "-no-checks needs a -ttl");
	buf_init(&body, 64 * 1024);
	create_body(flags, &body);
	rc = session_put(call, "create", NULL, buf_str(&body), &made, &err);
	if (rc < 0)
		fprintf(stderr, "Error creating the session: %s\n", err.text);
	else
		printf(STR_FMT "\n", STR_ARG(json_member_str(made, "ID")));
	json_decref(made);
	buf_done(&body);
	return rc < 0 ? 1 : 0;
}

const struct usage session_create_usage = {
	.name = "session create",
	.takes = "[FLAG...]",
	.text = "Makes a session and prints its ID. Exit status: 0; 1: it was not made.",
	.flags = create_flags,
	.size = sizeof(struct create_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = session_create_run,
};

static int
session_renew_run(const struct call *call)
{
	struct err err = { 0 };
	json_t *list = NULL;
	int rc = session_put(call, "renew", call->words[0], STR_NONE, &list, &err);

	if (rc < 0)
		fprintf(stderr, "Error renewing the session: %s\n", err.text);
	else
		printf("Renewed session %s: TTL " STR_FMT "\n", call->words[0],
		    STR_ARG(text_or_dash(json_array_get(list, 0), "TTL")));
	json_decref(list);
	return rc < 0 ? 1 : 0;
}

const struct usage session_renew_usage = {
	.name = "session renew",
	.takes = "ID",
	.text =
	    "Lets the TTL of a session begin anew. Exit status: 0; 1: there is no such session, or "
	    "the agent could not be asked.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_min = 1,
	.words_max = 1,
	.words_wrong = "it takes the ID of one session",
	.client = true,
	.run = session_renew_run,
};

static int
session_destroy_run(const struct call *call)
{
	struct err err = { 0 };

	if (session_put(call, "destroy", call->words[0], STR_NONE, NULL, &err) < 0) {
		fprintf(stderr, "Error destroying the session: %s\n", err.text);
		return 1;
	}
	printf("Destroyed session %s\n", call->words[0]);
	return 0;
}

const struct usage session_destroy_usage = {
	.name = "session destroy",
	.takes = "ID",
	.text = "Ends a session: its locks are released, or their keys deleted. One that has ended "
		"before "
		"is no error. Exit status: 0; 1: the agent could not be asked.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_min = 1,
	.words_max = 1,
	.words_wrong = "it takes the ID of one session",
	.client = true,
	.run = session_destroy_run,
};
