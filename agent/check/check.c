/* agent/check/check.c -- what a check definition may say, and how much of its output is kept.
 *
 * Texts, order of tests and precedence of kinds are Consul's (agent/structs/check_type.go as its
 * answers show it).
 */
#include "agent/check/check.h"

/* ---- kinds ---- */

static bool
check_is_alias(const struct check_def *def)
{
	return def->alias_node.n > 0 || def->alias_service.n > 0;
}

/* Kinds that are run again and again. */
static bool
check_has_interval(const struct check_def *def)
{
	return def->arg_count > 0 || def->http.n > 0 || def->tcp.n > 0 || def->udp.n > 0 ||
	       def->grpc.n > 0;
}

enum check_type
check_def_type(const struct check_def *def)
{
	if (def->type == CHECK_STATE)
		return CHECK_STATE;
	if (def->grpc.n > 0)
		return CHECK_GRPC;
	if (def->http.n > 0)
		return CHECK_HTTP;
	if (def->ttl > 0)
		return CHECK_TTL;
	if (def->tcp.n > 0)
		return CHECK_TCP;
	if (def->udp.n > 0)
		return CHECK_UDP;
	if (check_is_alias(def))
		return CHECK_ALIAS;
	if (def->arg_count > 0)
		return def->docker_container_id.n > 0 ? CHECK_DOCKER : CHECK_SCRIPT;
	return CHECK_TTL;
}

bool
check_type_runs(enum check_type type)
{
	return type != CHECK_TTL && type != CHECK_STATE;
}

static const struct str check_type_texts[] = {
	[CHECK_TTL] = { "ttl", 3 },
	[CHECK_HTTP] = { "http", 4 },
	[CHECK_TCP] = { "tcp", 3 },
	[CHECK_UDP] = { "udp", 3 },
	[CHECK_GRPC] = { "grpc", 4 },
	[CHECK_SCRIPT] = { "script", 6 },
	[CHECK_DOCKER] = { "docker", 6 },
	[CHECK_ALIAS] = { "alias", 5 },
	[CHECK_STATE] = { "", 0 },
};

struct str
check_type_text(enum check_type type)
{
	size_t i = (size_t)type;

	return i < sizeof check_type_texts / sizeof check_type_texts[0] ? check_type_texts[i]
									: STR_NONE;
}

struct str
check_def_type_text(const struct check_def *def)
{
	enum check_type type = check_def_type(def);

	if (type == CHECK_STATE && (str_starts(def->id, STR("_service_maintenance:")) ||
				       str_eq(def->id, STR("_node_maintenance"))))
		return STR("maintenance");
	return check_type_text(type);
}

/* ---- what is allowed ---- */

static const char *
check_def_fault(const struct check_def *def)
{
	bool interval = check_has_interval(def), alias = check_is_alias(def);

	if (def->interval > 0 && def->ttl > 0)
		return "Interval and TTL cannot both be specified";
	if (interval && def->interval <= 0)
		return "Interval must be > 0 for Script, HTTP, H2PING, or TCP checks";
	if (interval && alias)
		return "Interval cannot be set for Alias checks";
	if (alias && def->ttl > 0)
		return "TTL must be not be set for Alias checks";
	if (!interval && !alias && def->ttl <= 0)
		return "TTL must be > 0 for TTL checks";
	if (def->output_max_size < 0)
		return "MaxOutputMaxSize must be positive";
	return NULL;
}

int
check_def_validate(const struct check_def *def, bool scripts_enabled, struct err *err)
{
	const char *fault = def->type == CHECK_STATE ? NULL : check_def_fault(def);

	if (fault != NULL)
		return err_set(err, ERR_INPUT, "Invalid check: %s", fault);
	if (def->arg_count > CHECK_ARGS_MAX || def->header_count > CHECK_ARGS_MAX)
		return err_set(
		    err, ERR_LIMIT, "Invalid check: more than %d values in a list", CHECK_ARGS_MAX);
	if (def->arg_count > 0 && !scripts_enabled)
		return err_set(err, ERR_REFUSED,
		    "Scripts are disabled on this agent from remote calls; to enable, configure "
		    "'enable_script_checks' to true");
	return 0;
}

/* ---- output ---- */

size_t
check_output_max(const struct check_def *def)
{
	return def->output_max_size > 0 && def->output_max_size < CHECK_OUTPUT_MAX
		   ? (size_t)def->output_max_size
		   : CHECK_OUTPUT_MAX;
}

void
check_output_keep(struct buf *out, struct str output, size_t max)
{
	if (output.n <= max) {
		buf_add(out, output);
		return;
	}
	buf_add(out, str_head(output, max));
	buf_addf(out, " ... (captured %zu of %zu bytes)", max, output.n);
}

void
check_output_tail(struct buf *out, struct str tail, size_t max, uint64_t total)
{
	if (tail.n > max)
		tail = str_skip(tail, tail.n - max);
	if (total > tail.n)
		buf_addf(
		    out, "Captured %zu of %llu bytes\n...\n", tail.n, (unsigned long long)total);
	buf_add(out, tail);
}

struct str
check_output_head(struct str output, size_t max)
{
	size_t n = max;

	if (output.n <= max)
		return output;
	/* Continuation bytes are 10xxxxxx; no character has more than three. */
	while (n > 0 && max - n < 4 && ((uint8_t)output.p[n] & 0xc0) == 0x80)
		n--;
	return str_head(output, max - n < 4 ? n : max);
}
