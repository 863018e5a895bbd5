/* agent/http/decode.c -- the agent's requests: registrations of services and checks, updates.
 *
 * A table of members per request (decode_fields.h), and a function that ties it together. What
 * the catalog's requests hold is in decode_catalog.c. Names are those of Consul's API
 * documentation.
 */
#include "agent/http/decode.h"

#include "agent/http/decode_fields.h"

/* Checks of the agent: inside a service registration, and on their own. What both share is one
 * list of rows; the names differ in a few, and neither knows the other's. */

#define CHECK_FIELDS                                                                               \
	FIELD("Name", read_str, struct check_def, name),                                           \
	    FIELD("Status", read_str, struct check_def, status),                                   \
	    FIELD("Notes", read_str, struct check_def, notes),                                     \
	    FIELD_LIST("Args", read_strs, struct check_def, args, arg_count),                      \
	    FIELD_LIST("ScriptArgs", read_strs, struct check_def, args, arg_count),                \
	    FIELD_LIST("script_args", read_strs, struct check_def, args, arg_count),               \
	    FIELD("HTTP", read_str, struct check_def, http),                                       \
	    FIELD("Method", read_str, struct check_def, method),                                   \
	    FIELD("Body", read_str, struct check_def, body),                                       \
	    FIELD_LIST("Header", read_headers, struct check_def, headers, header_count),           \
	    FIELD("TCP", read_str, struct check_def, tcp),                                         \
	    FIELD("UDP", read_str, struct check_def, udp),                                         \
	    FIELD("GRPC", read_str, struct check_def, grpc),                                       \
	    FIELD("GRPCUseTLS", read_bool, struct check_def, grpc_use_tls),                        \
	    FIELD("TLSServerName", read_str, struct check_def, tls_server_name),                   \
	    FIELD("tls_server_name", read_str, struct check_def, tls_server_name),                 \
	    FIELD("TLSSkipVerify", read_bool, struct check_def, tls_skip_verify),                  \
	    FIELD("tls_skip_verify", read_bool, struct check_def, tls_skip_verify),                \
	    FIELD("DockerContainerID", read_str, struct check_def, docker_container_id),           \
	    FIELD("docker_container_id", read_str, struct check_def, docker_container_id),         \
	    FIELD("Shell", read_str, struct check_def, shell),                                     \
	    FIELD("AliasNode", read_str, struct check_def, alias_node),                            \
	    FIELD("AliasService", read_str, struct check_def, alias_service),                      \
	    FIELD("TTL", read_span, struct check_def, ttl),                                        \
	    FIELD("Interval", read_span, struct check_def, interval),                              \
	    FIELD("Timeout", read_span, struct check_def, timeout),                                \
	    FIELD(                                                                                 \
		"DeregisterCriticalServiceAfter", read_span, struct check_def, deregister_after),  \
	    FIELD("deregister_critical_service_after", read_span, struct check_def,                \
		deregister_after),                                                                 \
	    FIELD("SuccessBeforePassing", read_i64, struct check_def, success_before_passing),     \
	    FIELD("FailuresBeforeCritical", read_i64, struct check_def, failures_before_critical), \
	    FIELD("OutputMaxSize", read_i64, struct check_def, output_max_size)

static const struct field service_check_fields[] = {
	CHECK_FIELDS,
	FIELD("CheckID", read_str, struct check_def, id),
	FIELD_UNUSED("H2PING"),
	FIELD_UNUSED("ProxyHTTP"),
	FIELD_UNUSED("ProxyGRPC"),
	FIELDS_END,
};

static const struct field check_fields[] = {
	CHECK_FIELDS,
	FIELD("ID", read_str, struct check_def, id),
	FIELD("ServiceID", read_str, struct check_def, service_id),
	FIELD("service_id", read_str, struct check_def, service_id),
	FIELD_UNUSED("H2PING"),
	FIELD_UNUSED("Token"),
	FIELDS_END,
};

/* Nothing was given: "Check": {} is no check. */
static bool
check_def_empty(const struct check_def *c)
{
	static const struct check_def none;

	return memcmp(c, &none, sizeof none) == 0;
}

struct service_body {
	struct service_info info;
	struct check_def check;
	struct check_def *checks;
	size_t check_count;
};

static int
read_service_check(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, service_check_fields, at);
}

static int
read_service_checks(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct check_def *list;
	json_t *element;
	size_t i, count = 0;

	if (!json_is_array(v))
		return decode_mismatch(d, v, f->name, "list of checks");
	list = arena_array(d->arena, struct check_def, json_array_size(v) + 1);
	if (list == NULL)
		return decode_full(d);
	json_array_foreach ((json_t *)(uintptr_t)v, i, element) {
		int rc;

		if (json_is_null(element))
			continue;
		rc = decode_object(d, element, f->name, service_check_fields, &list[count++]);
		if (rc != 0)
			return rc;
	}
	*(struct check_def **)(void *)at = list;
	*field_count(f, at) = count;
	return 0;
}

static const struct field service_fields[] = {
	FIELD("Kind", read_str, struct service_body, info.kind),
	FIELD("ID", read_str, struct service_body, info.id),
	FIELD("Name", read_str, struct service_body, info.name),
	FIELD_LIST_SET(
	    "Tags", read_strs, struct service_body, info.tags, info.tag_count, info.tags_set),
	FIELD("Address", read_str, struct service_body, info.address),
	FIELD_LIST_SET("TaggedAddresses", read_tagged, struct service_body, info.tagged,
	    info.tagged_count, info.tagged_set),
	FIELD_LIST_SET("tagged_addresses", read_tagged, struct service_body, info.tagged,
	    info.tagged_count, info.tagged_set),
	FIELD_LIST_SET(
	    "Meta", read_pairs, struct service_body, info.meta, info.meta_count, info.meta_set),
	FIELD("Port", read_i32, struct service_body, info.port),
	FIELD_UNUSED("SocketPath"),
	FIELD("Check", read_service_check, struct service_body, check),
	FIELD_LIST("Checks", read_service_checks, struct service_body, checks, check_count),
	FIELD("Weights", read_weights, struct service_body, info.weight_passing),
	FIELD_UNUSED("Token"),
	FIELD("EnableTagOverride", read_bool, struct service_body, info.enable_tag_override),
	FIELD("enable_tag_override", read_bool, struct service_body, info.enable_tag_override),
	FIELD("Proxy", read_raw, struct service_body, info.proxy_json),
	FIELD("Connect", read_raw, struct service_body, info.connect_json),
	FIELDS_END,
};

int
decode_service(
    struct arena *arena, struct str body, struct service_registration *out, struct err *err)
{
	struct decoder d = { arena, err };
	struct service_body b;
	struct check_def *all;
	size_t count = 0;
	int rc;

	memset(&b, 0, sizeof b);
	b.info.weight_passing = b.info.weight_warning = 1;
	rc = decode_whole(arena, body, "service", service_fields, &b, err);
	if (rc != 0)
		return rc;
	all = arena_array(arena, struct check_def, b.check_count + 1);
	if (all == NULL)
		return decode_full(&d);
	if (!check_def_empty(&b.check))
		all[count++] = b.check;
	for (size_t i = 0; i < b.check_count; i++)
		all[count++] = b.checks[i];
	*out = (struct service_registration){ b.info, all, count };
	return 0;
}

int
decode_check(struct arena *arena, struct str body, struct check_def *out, struct err *err)
{
	struct check_def c;
	int rc;

	memset(&c, 0, sizeof c);
	rc = decode_whole(arena, body, "check", check_fields, &c, err);
	if (rc != 0)
		return rc;
	if (c.id.n == 0)
		c.id = c.name;
	*out = c;
	return 0;
}

static const struct field check_update_fields[] = {
	FIELD("Status", read_str, struct check_update, status),
	FIELD("Output", read_str, struct check_update, output),
	FIELDS_END,
};

int
decode_check_update(struct arena *arena, struct str body, struct check_update *out, struct err *err)
{
	struct check_update u = { STR_NONE, STR_NONE };
	int rc = decode_whole(arena, body, "update", check_update_fields, &u, err);

	if (rc == 0)
		*out = u;
	return rc;
}

static const struct field key_fields[] = {
	{ "Key", read_str, 0, FIELD_NO_OFFSET, FIELD_NO_OFFSET },
	FIELD_UNUSED("Token"),
	FIELD_UNUSED("RelayFactor"),
	FIELD_UNUSED("LocalOnly"),
	FIELDS_END,
};

int
decode_key(struct arena *arena, struct str body, struct str *out, struct err *err)
{
	return decode_whole(arena, body, "keyring", key_fields, out, err);
}
