/* agent/cmd/cmd_operator_autopilot.c -- muster operator autopilot get-config and set-config. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "agent/cmd/pair.h"
#include "agent/duration.h"
#include "base/json.h"

#define PATH "/v1/operator/autopilot/configuration"
#define PATH_BYTES_MAX (16 * 1024)

static const struct flag no_flags[] = { { 0 } };

static const char *
yes_no(const json_t *config, const char *member)
{
	return json_member_bool(config, member) ? "true" : "false";
}

static uint64_t
number(const json_t *config, const char *member)
{
	uint64_t n = 0;

	json_u64(json_object_get(config, member), &n);
	return n;
}

static void
config_print(const json_t *c)
{
	printf("CleanupDeadServers = %s\n", yes_no(c, "CleanupDeadServers"));
	printf("LastContactThreshold = " STR_FMT "\n",
	    STR_ARG(json_member_str(c, "LastContactThreshold")));
	printf("MaxTrailingLogs = %llu\n", (unsigned long long)number(c, "MaxTrailingLogs"));
	printf("MinQuorum = %llu\n", (unsigned long long)number(c, "MinQuorum"));
	printf("ServerStabilizationTime = " STR_FMT "\n",
	    STR_ARG(json_member_str(c, "ServerStabilizationTime")));
	printf("RedundancyZoneTag = \"" STR_FMT "\"\n",
	    STR_ARG(json_member_str(c, "RedundancyZoneTag")));
	printf("DisableUpgradeMigration = %s\n", yes_no(c, "DisableUpgradeMigration"));
	printf("UpgradeVersionTag = \"" STR_FMT "\"\n",
	    STR_ARG(json_member_str(c, "UpgradeVersionTag")));
}

static int
config_get(const struct call *call, json_t **out, struct err *err)
{
	const struct client_flags *flags = call->flags;

	return http_client_get_json(
	    call->client, flags->stale ? STR(PATH "?stale") : STR(PATH), out, err);
}

static int
get_config_run(const struct call *call)
{
	struct err err = { 0 };
	json_t *config = NULL;

	if (config_get(call, &config, &err) < 0) {
		fprintf(stderr, "Error querying Autopilot configuration: %s\n", err.text);
		return 1;
	}
	config_print(config);
	json_decref(config);
	return 0;
}

const struct usage get_config_usage = {
	.name = "operator autopilot get-config",
	.takes = "[-stale]",
	.text = "Shows how the leader looks after the servers. Exit status: 0; 1: the agent could "
		"not be asked, or there is no leader.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = get_config_run,
};

struct set_flags {
	struct client_flags client;
	const char *cleanup, *contact, *trailing, *quorum, *stabilization, *zone, *upgrade,
	    *migration;
};

static const struct flag set_flags[] = {
	{ "cleanup-dead-servers", "true|false", offsetof(struct set_flags, cleanup),
	    "Whether servers that are dead for good are taken out of Raft." },
	{ "disable-upgrade-migration", "true|false", offsetof(struct set_flags, migration),
	    "Kept as Consul's; has no effect." },
	{ "last-contact-threshold", "TIME", offsetof(struct set_flags, contact),
	    "A server that was not heard for so long counts as unhealthy." },
	{ "max-trailing-logs", "NUMBER", offsetof(struct set_flags, trailing),
	    "A server whose log is so many entries behind counts as unhealthy." },
	{ "min-quorum", "NUMBER", offsetof(struct set_flags, quorum),
	    "So many servers remain, whatever is dead." },
	{ "redundancy-zone-tag", "NAME", offsetof(struct set_flags, zone),
	    "Kept as Consul's; has no effect." },
	{ "server-stabilization-time", "TIME", offsetof(struct set_flags, stabilization),
	    "Kept as Consul's; a new server gets a vote as soon as it has caught up." },
	{ "upgrade-version-tag", "NAME", offsetof(struct set_flags, upgrade),
	    "Kept as Consul's; has no effect." },
	{ 0 },
};

/* One member of the body: the flag's value when it was given, else what is there. */
static int
set_text(struct jw *w, const char *key, const char *flag, const char *text, bool time,
    const json_t *config, struct err *err)
{
	nsec span;

	if (text != NULL && time && duration_parse(str_of(text), &span, err) < 0)
		return err_wrap(err, "-%s", flag);
	jw_kstr(w, key, text != NULL ? str_of(text) : json_member_str(config, key));
	return 0;
}

static int
set_number(struct jw *w, const char *key, const char *flag, const char *text, const json_t *config,
    struct err *err)
{
	uint64_t n = number(config, key);
	int rc = pair_number(flag, text, &n, err);

	jw_ku64(w, key, n);
	return rc;
}

static int
set_bool(struct jw *w, const char *key, const char *flag, const char *text, const json_t *config,
    struct err *err)
{
	bool yes = json_member_bool(config, key);

	if (text != NULL) {
		yes = str_eq(str_of(text), STR("true"));
		if (!yes && !str_eq(str_of(text), STR("false")))
			return err_set(err, ERR_INPUT, "-%s is true or false", flag);
	}
	jw_kbool(w, key, yes);
	return 0;
}

static int
set_body(const struct set_flags *f, const json_t *c, struct buf *body, struct err *err)
{
	struct jw w;
	int rc;

	jw_init(&w, body, false);
	jw_object(&w);
	rc = set_bool(&w, "CleanupDeadServers", "cleanup-dead-servers", f->cleanup, c, err);
	if (rc == 0)
		rc = set_text(
		    &w, "LastContactThreshold", "last-contact-threshold", f->contact, true, c, err);
	if (rc == 0)
		rc = set_number(&w, "MaxTrailingLogs", "max-trailing-logs", f->trailing, c, err);
	if (rc == 0)
		rc = set_number(&w, "MinQuorum", "min-quorum", f->quorum, c, err);
	if (rc == 0)
		rc = set_text(&w, "ServerStabilizationTime", "server-stabilization-time",
		    f->stabilization, true, c, err);
	if (rc == 0)
		rc = set_bool(&w, "DisableUpgradeMigration", "disable-upgrade-migration",
		    f->migration, c, err);
	if (rc == 0)
		rc = set_text(
		    &w, "RedundancyZoneTag", "redundancy-zone-tag", f->zone, false, c, err);
	if (rc == 0)
		rc = set_text(
		    &w, "UpgradeVersionTag", "upgrade-version-tag", f->upgrade, false, c, err);
	jw_object_end(&w);
	return rc;
}

/* Reads, changes, writes if nobody else has written: true in *done. */
static int
config_change(const struct call *call, bool *done, struct err *err)
{
	json_t *config = NULL;
	struct buf path, body, answer;
	int rc = config_get(call, &config, err);

	if (rc < 0)
		return err_wrap(err, "querying Autopilot configuration");
	buf_init(&path, PATH_BYTES_MAX);
	buf_init(&body, PATH_BYTES_MAX);
	buf_init(&answer, CLIENT_BYTES_MAX);
	buf_add(&path, STR(PATH));
	path_add_number(&path, "cas", number(config, "ModifyIndex"));
	rc = set_body(call->flags, config, &body, err);
	if (rc == 0)
		rc = http_client_ask(
		    call->client, "PUT", buf_str(&path), buf_str(&body), &answer, err);
	*done = rc == 0 && str_starts(buf_str(&answer), STR("true"));
	json_decref(config);
	buf_done(&answer);
	buf_done(&body);
	buf_done(&path);
	return rc;
}

static int
set_config_run(const struct call *call)
{
	struct err err = { 0 };
	bool done = false;

	if (config_change(call, &done, &err) < 0) {
		fprintf(stderr, "Error setting Autopilot configuration: %s\n", err.text);
		return 1;
	}
	puts(done ? "Configuration updated!"
		  : "Configuration could not be atomically updated, please try again");
	return done ? 0 : 1;
}

const struct usage set_config_usage = {
	.name = "operator autopilot set-config",
	.takes = "[FLAG...]",
	.text = "Changes how the leader looks after the servers; what is not named stays. Exit "
		"status: 0; "
		"1: it was not changed, or somebody else has changed it meanwhile.",
	.flags = set_flags,
	.size = sizeof(struct set_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = set_config_run,
};
