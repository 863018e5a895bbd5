/* agent/http/decode_catalog.c -- the catalog's requests: nodes, services and checks of others.
 *
 * Here a service is called Service instead of Name, only the CamelCase spellings exist, and a
 * check is a result with a definition beside it rather than something to run. A definition is
 * kept as the JSON that answers show (decode_definition).
 */
#include <stdlib.h>

#include "agent/http/decode.h"
#include "agent/http/decode_fields.h"
#include "agent/options.h"

#define DEFINITION_BYTES_MAX (256 * 1024)

/* Check definitions. */

static const struct field definition_fields[] = {
	FIELD("HTTP", read_str, struct check_def, http),
	FIELD("TLSServerName", read_str, struct check_def, tls_server_name),
	FIELD("TLSSkipVerify", read_bool, struct check_def, tls_skip_verify),
	FIELD_LIST("Header", read_headers, struct check_def, headers, header_count),
	FIELD("Method", read_str, struct check_def, method),
	FIELD("Body", read_str, struct check_def, body),
	FIELD("TCP", read_str, struct check_def, tcp),
	FIELD("UDP", read_str, struct check_def, udp),
	FIELD_UNUSED("H2PING"),
	FIELD("Interval", read_span, struct check_def, interval),
	FIELD("IntervalDuration", read_span, struct check_def, interval),
	FIELD("OutputMaxSize", read_i64, struct check_def, output_max_size),
	FIELD("Timeout", read_span, struct check_def, timeout),
	FIELD("TimeoutDuration", read_span, struct check_def, timeout),
	FIELD("DeregisterCriticalServiceAfter", read_span, struct check_def, deregister_after),
	FIELD("DeregisterCriticalServiceAfterDuration", read_span, struct check_def,
	    deregister_after),
	FIELD_LIST("ScriptArgs", read_strs, struct check_def, args, arg_count),
	FIELD("DockerContainerID", read_str, struct check_def, docker_container_id),
	FIELD("Shell", read_str, struct check_def, shell),
	FIELD("GRPC", read_str, struct check_def, grpc),
	FIELD("GRPCUseTLS", read_bool, struct check_def, grpc_use_tls),
	FIELD("AliasNode", read_str, struct check_def, alias_node),
	FIELD("AliasService", read_str, struct check_def, alias_service),
	FIELD("TTL", read_span, struct check_def, ttl),
	FIELDS_END,
};

static void
write_text(struct jw *w, const char *key, struct str s)
{
	if (s.n > 0)
		jw_kstr(w, key, s);
}

static void
write_span(struct jw *w, const char *key, nsec span)
{
	char text[40];

	if (span != 0)
		jw_kstr(w, key, str_of(duration_format(span, text)));
}

static void
write_flag(struct jw *w, const char *key, bool flag)
{
	if (flag)
		jw_kbool(w, key, true);
}

static void
write_headers(struct jw *w, const struct check_def *c)
{
	if (c->header_count == 0)
		return;
	jw_key(w, STR("Header"));
	jw_object(w);
	for (size_t i = 0; i < c->header_count; i++) {
		if (i == 0 || !str_eq(c->headers[i].key, c->headers[i - 1].key)) {
			if (i > 0)
				jw_array_end(w);
			jw_key(w, c->headers[i].key);
			jw_array(w);
		}
		jw_str(w, c->headers[i].value);
	}
	jw_array_end(w);
	jw_object_end(w);
}

static void
write_args(struct jw *w, const struct check_def *c)
{
	if (c->arg_count == 0)
		return;
	jw_key(w, STR("ScriptArgs"));
	jw_array(w);
	for (size_t i = 0; i < c->arg_count; i++)
		jw_str(w, c->args[i]);
	jw_array_end(w);
}

/* In Consul's order of members; what is zero is left out. */
static void
write_definition(struct jw *w, const struct check_def *c)
{
	jw_object(w);
	write_span(w, "Interval", c->interval);
	if (c->output_max_size > 0)
		jw_ki64(w, "OutputMaxSize", c->output_max_size);
	write_span(w, "Timeout", c->timeout);
	write_span(w, "DeregisterCriticalServiceAfter", c->deregister_after);
	write_text(w, "HTTP", c->http);
	write_text(w, "TLSServerName", c->tls_server_name);
	write_flag(w, "TLSSkipVerify", c->tls_skip_verify);
	write_headers(w, c);
	write_text(w, "Method", c->method);
	write_text(w, "Body", c->body);
	write_text(w, "TCP", c->tcp);
	write_text(w, "UDP", c->udp);
	write_args(w, c);
	write_text(w, "DockerContainerID", c->docker_container_id);
	write_text(w, "Shell", c->shell);
	write_text(w, "GRPC", c->grpc);
	write_flag(w, "GRPCUseTLS", c->grpc_use_tls);
	write_text(w, "AliasNode", c->alias_node);
	write_text(w, "AliasService", c->alias_service);
	if (c->ttl != 0)
		jw_ki64(w, "TTL", c->ttl);
	jw_object_end(w);
}

/* Definition of a check: kept as the JSON that answers show; {} as nothing. */
static int
read_definition(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct check_info *check = (struct check_info *)(void *)(at - f->offset);
	struct check_def def;
	struct buf text;
	struct jw w;
	bool given;
	int rc;

	memset(&def, 0, sizeof def);
	rc = decode_object(d, v, f->name, definition_fields, &def);
	if (rc != 0)
		return rc;
	buf_init(&text, DEFINITION_BYTES_MAX);
	jw_init(&w, &text, false);
	write_definition(&w, &def);
	given = text.n > STR("{}").n;
	check->definition_json = STR_NONE;
	if (text.full) {
		rc = decode_full(d);
	} else if (given) {
		check->definition_json = arena_dup(d->arena, buf_str(&text));
		rc = check->definition_json.p == NULL ? decode_full(d) : 0;
	}
	buf_done(&text);
	return rc;
}

/* Nodes, services, checks. */

#define HEALTH_CHECK_FIELDS                                                                    \
	FIELD("Node", read_str, struct check_info, node),                                      \
	    FIELD("CheckID", read_str, struct check_info, id),                                 \
	    FIELD("Name", read_str, struct check_info, name),                                  \
	    FIELD("Status", read_str, struct check_info, status),                              \
	    FIELD("Notes", read_str, struct check_info, notes),                                \
	    FIELD("Output", read_str, struct check_info, output),                              \
	    FIELD("ServiceID", read_str, struct check_info, service_id),                       \
	    FIELD("ServiceName", read_str, struct check_info, service_name),                   \
	    FIELD_LIST(                                                                        \
		"ServiceTags", read_strs, struct check_info, service_tags, service_tag_count), \
	    FIELD("Type", read_str, struct check_info, type),                                  \
	    FIELD("Interval", read_str, struct check_info, interval),                          \
	    FIELD("Timeout", read_str, struct check_info, timeout),                            \
	    FIELD("Definition", read_definition, struct check_info, definition_json),          \
	    FIELD_UNUSED("ExposedPort"), FIELD_UNUSED("CreateIndex"), FIELD_UNUSED("ModifyIndex")

#define NODE_SERVICE_FIELDS                                                                      \
	FIELD("Kind", read_str, struct service_info, kind),                                      \
	    FIELD("ID", read_str, struct service_info, id),                                      \
	    FIELD("Service", read_str, struct service_info, name),                               \
	    FIELD_LIST_SET("Tags", read_strs, struct service_info, tags, tag_count, tags_set),   \
	    FIELD("Address", read_str, struct service_info, address),                            \
	    FIELD_LIST_SET("TaggedAddresses", read_tagged, struct service_info, tagged,          \
		tagged_count, tagged_set),                                                       \
	    FIELD_LIST_SET("Meta", read_pairs, struct service_info, meta, meta_count, meta_set), \
	    FIELD("Port", read_i32, struct service_info, port), FIELD_UNUSED("SocketPath"),      \
	    FIELD("Weights", read_weights, struct service_info, weight_passing),                 \
	    FIELD("EnableTagOverride", read_bool, struct service_info, enable_tag_override),     \
	    FIELD("Proxy", read_raw, struct service_info, proxy_json),                           \
	    FIELD("Connect", read_raw, struct service_info, connect_json),                       \
	    FIELD_UNUSED("CreateIndex"), FIELD_UNUSED("ModifyIndex")

static const struct field health_check_fields[] = { HEALTH_CHECK_FIELDS, FIELDS_END };
static const struct field node_service_fields[] = { NODE_SERVICE_FIELDS, FIELDS_END };

/* Transactions take what the Go client's own structures hold. */
static const struct field txn_check_fields[] = {
	HEALTH_CHECK_FIELDS,
	FIELD_UNUSED("Namespace"),
	FIELDS_END,
};
static const struct field txn_service_fields[] = {
	NODE_SERVICE_FIELDS,
	FIELD_UNUSED("ContentHash"),
	FIELD_UNUSED("Datacenter"),
	FIELD_UNUSED("Namespace"),
	FIELDS_END,
};

int
decode_txn_check(struct decoder *d, const json_t *v, struct check_info *out)
{
	return decode_object(d, v, "Check", txn_check_fields, out);
}

int
decode_txn_service(struct decoder *d, const json_t *v, struct service_info *out)
{
	return decode_object(d, v, "Service", txn_service_fields, out);
}

struct register_body {
	struct str datacenter;
	struct external_register reg;
	struct check_info check;
	bool has_check;
};

static int
read_node_service(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct service_info *s = (struct service_info *)(void *)at;

	s->weight_passing = s->weight_warning = 1;
	return decode_object(d, v, f->name, node_service_fields, s);
}

static int
read_health_check(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, health_check_fields, at);
}

static int
read_health_checks(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct check_info *list;
	json_t *element;
	size_t i, count = 0;

	if (!json_is_array(v))
		return decode_mismatch(d, v, f->name, "list of checks");
	list = arena_array(d->arena, struct check_info, json_array_size(v) + 1);
	if (list == NULL)
		return decode_full(d);
	json_array_foreach ((json_t *)(uintptr_t)v, i, element) {
		int rc = 0;

		if (!json_is_null(element))
			rc =
			    decode_object(d, element, f->name, health_check_fields, &list[count++]);
		if (rc != 0)
			return rc;
	}
	*(struct check_info **)(void *)at = list;
	*field_count(f, at) = count;
	return 0;
}

static const struct field register_fields[] = {
	FIELD("Datacenter", read_str, struct register_body, datacenter),
	FIELD("ID", read_str, struct register_body, reg.node.id),
	FIELD("Node", read_str, struct register_body, reg.node.name),
	FIELD("Address", read_str, struct register_body, reg.node.address),
	FIELD_LIST_SET("TaggedAddresses", read_pairs, struct register_body, reg.node.tagged,
	    reg.node.tagged_count, reg.node.tagged_set),
	FIELD_LIST_SET("NodeMeta", read_pairs, struct register_body, reg.node.meta,
	    reg.node.meta_count, reg.node.meta_set),
	{ "Service", read_node_service, offsetof(struct register_body, reg.service),
	    FIELD_NO_OFFSET, offsetof(struct register_body, reg.has_service) },
	{ "Check", read_health_check, offsetof(struct register_body, check), FIELD_NO_OFFSET,
	    offsetof(struct register_body, has_check) },
	FIELD_LIST("Checks", read_health_checks, struct register_body, reg.checks, reg.check_count),
	FIELD("SkipNodeUpdate", read_bool, struct register_body, reg.skip_node_update),
	FIELD_UNUSED("Token"),
	FIELDS_END,
};

int
decode_catalog_register(
    struct arena *arena, struct str body, struct catalog_registration *out, struct err *err)
{
	struct decoder d = { arena, err };
	struct register_body b;
	struct check_info *all;
	int rc;

	memset(&b, 0, sizeof b);
	rc = decode_whole(arena, body, "registration", register_fields, &b, err);
	if (rc != 0)
		return rc;
	if (b.has_check) { /* as Consul does: the single one joins the list at its end */
		all = arena_array(arena, struct check_info, b.reg.check_count + 1);
		if (all == NULL)
			return decode_full(&d);
		for (size_t i = 0; i < b.reg.check_count; i++)
			all[i] = b.reg.checks[i];
		all[b.reg.check_count++] = b.check;
		b.reg.checks = all;
	}
	*out = (struct catalog_registration){ b.datacenter, b.reg };
	return 0;
}

static const struct field deregister_fields[] = {
	FIELD("Datacenter", read_str, struct catalog_deregistration, datacenter),
	FIELD("Node", read_str, struct catalog_deregistration, what.node),
	FIELD("ServiceID", read_str, struct catalog_deregistration, what.service_id),
	FIELD("CheckID", read_str, struct catalog_deregistration, what.check_id),
	FIELD_UNUSED("Address"),
	FIELD_UNUSED("Token"),
	FIELDS_END,
};

int
decode_catalog_deregister(
    struct arena *arena, struct str body, struct catalog_deregistration *out, struct err *err)
{
	struct catalog_deregistration r;
	int rc;

	memset(&r, 0, sizeof r);
	rc = decode_whole(arena, body, "deregistration", deregister_fields, &r, err);
	if (rc == 0)
		*out = r;
	return rc;
}

/* Coordinates. */

static int
read_seconds(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	if (!json_is_number(v))
		return decode_mismatch(d, v, f->name, "float64");
	*(double *)(void *)at = json_number_value(v);
	return 0;
}

static int
read_vec(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	double *vec = (double *)(void *)at;
	json_t *element;
	size_t i;

	if (!json_is_array(v))
		return decode_mismatch(d, v, f->name, "[]float64");
	json_array_foreach ((json_t *)(uintptr_t)v, i, element)
		if (!json_is_number(element))
			return decode_mismatch(d, element, f->name, "float64");
		else if (i < COORDINATE_DIMENSIONS)
			vec[i] = json_number_value(element);
	*field_count(f, at) = json_array_size(v);
	return 0;
}

static const struct field coord_fields[] = {
	FIELD_LIST("Vec", read_vec, struct coordinate_update, at.vec, dimensions),
	FIELD("Error", read_seconds, struct coordinate_update, at.error),
	FIELD("Adjustment", read_seconds, struct coordinate_update, at.adjustment),
	FIELD("Height", read_seconds, struct coordinate_update, at.height),
	FIELDS_END,
};

static int
read_coord(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, coord_fields, at);
}

static const struct field coordinate_fields[] = {
	FIELD("Datacenter", read_str, struct coordinate_update, datacenter),
	FIELD("Node", read_str, struct coordinate_update, node),
	FIELD("Segment", read_str, struct coordinate_update, segment),
	{ "Coord", read_coord, 0, FIELD_NO_OFFSET, FIELD_NO_OFFSET },
	FIELD_UNUSED("Partition"),
	FIELD_UNUSED("Token"),
	FIELDS_END,
};

int
decode_coordinate(
    struct arena *arena, struct str body, struct coordinate_update *out, struct err *err)
{
	struct coordinate_update u = { .dimensions = 0 };
	int rc = decode_whole(arena, body, "coordinate", coordinate_fields, &u, err);

	if (rc == 0)
		*out = u;
	return rc;
}
