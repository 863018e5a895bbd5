/* agent/http/decode_keys.c -- bodies of the requests for sessions and transactions. */
#include "agent/http/decode.h"
#include "agent/http/decode_fields.h"
#include "agent/options.h"

/* Sessions. */

#define LOCK_DELAY_SECONDS_MAX 1000 /* below it a span is taken for seconds, as Consul does */

/* Text, or a number: of nanoseconds, small ones of seconds. */
static int
read_lock_delay(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	nsec delay = 0;
	int rc = read_span(d, v, f, (char *)&delay);

	if (rc != 0)
		return rc;
	if (delay < LOCK_DELAY_SECONDS_MAX)
		delay *= NSEC_SEC;
	*(nsec *)(void *)at = delay < 0 ? 0 : delay;
	return 0;
}

struct service_check_id {
	struct str id;
};

static const struct field service_check_id_fields[] = {
	FIELD("ID", read_str, struct service_check_id, id),
	FIELD_UNUSED("Namespace"),
	FIELDS_END,
};

/* A list of objects that hold an id each. */
static int
read_service_check_ids(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct str *list;
	json_t *element;
	size_t i;

	if (!json_is_array(v))
		return decode_mismatch(d, v, f->name, "list of service checks");
	list = arena_array(d->arena, struct str, json_array_size(v) + 1);
	if (list == NULL)
		return decode_full(d);
	json_array_foreach ((json_t *)(uintptr_t)v, i, element) {
		struct service_check_id check = { STR_NONE };
		int rc = decode_object(d, element, f->name, service_check_id_fields, &check);

		if (rc != 0)
			return rc;
		list[i] = check.id;
	}
	*(struct str **)(void *)at = list;
	*field_count(f, at) = json_array_size(v);
	return 0;
}

static const struct field session_fields[] = {
	FIELD("Name", read_str, struct session_request, name),
	FIELD("Node", read_str, struct session_request, node),
	FIELD("LockDelay", read_lock_delay, struct session_request, lock_delay),
	FIELD("Behavior", read_str, struct session_request, behavior),
	FIELD("TTL", read_str, struct session_request, ttl),
	FIELD_LIST_SET(
	    "Checks", read_strs, struct session_request, checks, check_count, checks_set),
	FIELD_LIST_SET("NodeChecks", read_strs, struct session_request, node_checks,
	    node_check_count, node_checks_set),
	FIELD_LIST_SET("ServiceChecks", read_service_check_ids, struct session_request,
	    service_checks, service_check_count, service_checks_set),
	FIELD_UNUSED("ID"),
	FIELD_UNUSED("CreateIndex"),
	FIELD_UNUSED("ModifyIndex"),
	FIELDS_END,
};

int
decode_session(struct arena *arena, struct str body, struct session_request *out, struct err *err)
{
	struct session_request s = *out;
	int rc = decode_whole(arena, body, "session", session_fields, &s, err);

	if (rc == 0)
		*out = s;
	return rc;
}

/* The autopilot. */

struct autopilot_request {
	struct autopilot a;
	struct str redundancy_zone_tag, upgrade_version_tag;
};

static const struct field autopilot_fields[] = {
	FIELD("CleanupDeadServers", read_bool, struct autopilot_request, a.cleanup_dead_servers),
	FIELD("LastContactThreshold", read_span, struct autopilot_request,
	    a.last_contact_threshold),
	FIELD("MaxTrailingLogs", read_u64, struct autopilot_request, a.max_trailing_logs),
	FIELD("MinQuorum", read_u64, struct autopilot_request, a.min_quorum),
	FIELD("ServerStabilizationTime", read_span, struct autopilot_request,
	    a.server_stabilization_time),
	FIELD("RedundancyZoneTag", read_str, struct autopilot_request, redundancy_zone_tag),
	FIELD("DisableUpgradeMigration", read_bool, struct autopilot_request,
	    a.disable_upgrade_migration),
	FIELD("UpgradeVersionTag", read_str, struct autopilot_request, upgrade_version_tag),
	FIELD_UNUSED("CreateIndex"),
	FIELD_UNUSED("ModifyIndex"),
	FIELDS_END,
};

static int
tag_copy(char out[AUTOPILOT_TAG_MAX + 1], struct str text, struct err *err)
{
	if (text.n > AUTOPILOT_TAG_MAX || str_find(text, '\0') < text.n)
		return err_set(
		    err, ERR_INPUT, "the name of a tag is over %d bytes", AUTOPILOT_TAG_MAX);
	if (text.n > 0)
		memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	return 0;
}

int
decode_autopilot(struct arena *arena, struct str body, struct autopilot *out, struct err *err)
{
	struct autopilot_request r = { .a = autopilot_default };
	int rc = decode_whole(arena, body, "autopilot", autopilot_fields, &r, err);

	if (rc == 0 && (r.a.last_contact_threshold < 0 || r.a.server_stabilization_time < 0))
		rc = err_set(err, ERR_INPUT, "a time is below 0");
	if (rc == 0)
		rc = tag_copy(r.a.redundancy_zone_tag, r.redundancy_zone_tag, err);
	if (rc == 0)
		rc = tag_copy(r.a.upgrade_version_tag, r.upgrade_version_tag, err);
	if (rc == 0)
		*out = r.a;
	return rc;
}
