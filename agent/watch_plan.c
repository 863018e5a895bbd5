/* agent/watch_plan.c -- from parameters to a request; from answers to what a handler gets.
 *
 * In order: members of the parameters; the request; the handler; the state. What is given to a
 * handler has the shape of Consul's: a key alone instead of a list, null for what is not there, of
 * events only the new ones.
 */
#include "agent/watch_plan.h"

#include <stdlib.h>

#include "agent/duration.h"
#include "base/uuid.h"

#define RETRY_FIRST (5 * NSEC_SEC)
#define RETRY_MAX (180 * NSEC_SEC)
#define PATH_MAX_BYTES (16 * 1024)

static const struct {
	const char *name;
	enum plan_type type;
	const char *needs; /* a parameter; NULL: none */
} plan_types[] = {
	{ "key", PLAN_KEY, "key" },
	{ "keyprefix", PLAN_KEYPREFIX, "prefix" },
	{ "services", PLAN_SERVICES, NULL },
	{ "nodes", PLAN_NODES, NULL },
	{ "service", PLAN_SERVICE, "service" },
	{ "checks", PLAN_CHECKS, NULL },
	{ "event", PLAN_EVENT, NULL },
};

/* ---- members ---- */

static const char *const members_known[] = { "type", "datacenter", "token", "stale", "key",
	"prefix", "service", "tag", "passingonly", "state", "name", "handler", "args",
	"handler_type", "http_handler_config" };

static int
members_check(const json_t *params, struct err *err)
{
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)params, key, v) {
		bool known = false;

		for (size_t i = 0; i < sizeof members_known / sizeof members_known[0]; i++)
			known = known || strcmp(key, members_known[i]) == 0;
		if (!known)
			return err_set(err, ERR_INPUT, "Invalid parameters: [%.100s]", key);
	}
	return 0;
}

static bool
member_on(const json_t *params, const char *key)
{
	const json_t *v = json_object_get(params, key);

	return json_is_true(v) || str_eq(json_text(v), STR("true"));
}

/* ---- the request ---- */

static void
path_escaped(struct buf *out, struct str s, bool slashes)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], lower = chr_lower(c);

		if ((lower >= 'a' && lower <= 'z') || chr_digit(c) || c == '-' || c == '_' ||
		    c == '.' || c == '~' || (slashes && c == '/'))
			buf_addc(out, c);
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}

static void
query_add(struct buf *out, const char *name, struct str value)
{
	bool first = memchr(out->p, '?', out->n) == NULL;

	buf_addf(out, "%c%s", first ? '?' : '&', name);
	if (value.n == 0)
		return;
	buf_addc(out, '=');
	path_escaped(out, value, false);
}

static void
query_member(struct buf *out, const char *name, const json_t *params, const char *key)
{
	struct str value = json_member_str(params, key);

	if (value.n > 0)
		query_add(out, name, value);
}

static void
query_tags(struct buf *out, const json_t *params)
{
	const json_t *tags = json_object_get(params, "tag");

	query_member(out, "tag", params, "tag");
	for (size_t i = 0; i < json_array_size(tags); i++)
		query_add(out, "tag", json_text(json_array_get(tags, i)));
}

static void
path_write(struct buf *out, enum plan_type type, const json_t *params)
{
	struct str service = json_member_str(params, "service");
	struct str state = json_member_str(params, "state");

	switch (type) {
	case PLAN_KEY:
		buf_add(out, STR("/v1/kv/"));
		path_escaped(out, json_member_str(params, "key"), true);
		break;
	case PLAN_KEYPREFIX:
		buf_add(out, STR("/v1/kv/"));
		path_escaped(out, json_member_str(params, "prefix"), true);
		query_add(out, "recurse", STR_NONE);
		break;
	case PLAN_SERVICES:
		buf_add(out, STR("/v1/catalog/services"));
		break;
	case PLAN_NODES:
		buf_add(out, STR("/v1/catalog/nodes"));
		break;
	case PLAN_SERVICE:
		buf_add(out, STR("/v1/health/service/"));
		path_escaped(out, service, false);
		query_tags(out, params);
		if (member_on(params, "passingonly"))
			query_add(out, "passing", STR("1"));
		break;
	case PLAN_CHECKS:
		buf_add(out, service.n > 0 ? STR("/v1/health/checks/") : STR("/v1/health/state/"));
		path_escaped(out,
		    service.n > 0 ? service
		    : state.n > 0 ? state
				  : STR("any"),
		    false);
		break;
	case PLAN_EVENT:
		buf_add(out, STR("/v1/event/list"));
		query_member(out, "name", params, "name");
		break;
	}
	query_member(out, "dc", params, "datacenter");
	if (member_on(params, "stale") && type != PLAN_EVENT)
		query_add(out, "stale", STR_NONE);
}

static int
request_read(struct watch_plan *p, struct arena *arena, const json_t *params, struct err *err)
{
	struct str type = json_member_str(params, "type");
	const char *needs = NULL;
	bool known = false;
	struct buf path;
	int rc = 0;

	for (size_t i = 0; i < sizeof plan_types / sizeof plan_types[0]; i++)
		if (str_eq(type, str_of(plan_types[i].name))) {
			p->type = plan_types[i].type;
			needs = plan_types[i].needs;
			known = true;
		}
	if (type.n == 0)
		return err_set(err, ERR_INPUT, "Watch type not specified");
	if (!known)
		return err_set(err, ERR_INPUT, "Unsupported watch type: " STR_FMT, STR_ARG(type));
	if (needs != NULL && json_member_str(params, needs).n == 0)
		return err_set(err, ERR_INPUT, "Must specify a single %s to watch", needs);
	if (p->type == PLAN_CHECKS && json_member_str(params, "service").n > 0 &&
	    json_member_str(params, "state").n > 0)
		return err_set(err, ERR_INPUT, "Cannot specify service and state");
	buf_init(&path, PATH_MAX_BYTES);
	path_write(&path, p->type, params);
	p->path = arena_dup(arena, buf_str(&path));
	if (path.full || p->path.p == NULL)
		rc = err_set(err, ERR_LIMIT, "the watch is too large");
	buf_done(&path);
	return rc;
}

/* ---- the handler ---- */

static int
args_read(struct watch_plan *p, struct arena *arena, const json_t *args, struct err *err)
{
	size_t n = json_is_string(args) ? 1 : json_array_size(args);

	if ((!json_is_array(args) && !json_is_string(args)) || n == 0)
		return err_set(err, ERR_INPUT, "Watch args must be a list of strings");
	if (n > WATCH_ARGS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d args", WATCH_ARGS_MAX);
	p->args = arena_array(arena, struct str, n);
	if (p->args == NULL)
		return err_set(err, ERR_LIMIT, "the watch is too large");
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_is_string(args) ? args : json_array_get(args, i);

		if (!json_is_string(v))
			return err_set(err, ERR_INPUT, "Watch args must be a list of strings");
		p->args[i] = arena_dup(arena, json_text(v));
	}
	p->arg_count = n;
	return 0;
}

/* Values of one header: a text, or a list of texts. */
static void
header_read(struct watch_plan *p, struct arena *arena, const char *key, const json_t *v)
{
	size_t n = json_is_array(v) ? json_array_size(v) : 1;

	for (size_t i = 0; i < n && p->header_count < WATCH_ARGS_MAX; i++) {
		const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;

		p->headers[p->header_count++] = (struct pair){ arena_dup(arena, str_of(key)),
			arena_dup(arena, json_text(one)) };
	}
}

static int
http_read(struct watch_plan *p, struct arena *arena, const json_t *config, struct err *err)
{
	struct str timeout;
	const char *key;
	json_t *v;

	if (json_is_array(config) && json_array_size(config) == 1) /* a block of HCL */
		config = json_array_get(config, 0);
	p->url = arena_dup(arena, json_member_str(config, "path"));
	p->method = arena_dup(arena, json_member_str(config, "method"));
	if (p->method.n == 0)
		p->method = STR("POST");
	p->tls_skip_verify = member_on(config, "tls_skip_verify");
	p->timeout = WATCH_HTTP_TIMEOUT;
	timeout = json_member_str(config, "timeout");
	if (p->url.n == 0)
		return err_set(err, ERR_INPUT,
		    "Requires 'path' to be set in http_handler_config of an http watch");
	if (timeout.n > 0 && (duration_parse(timeout, &p->timeout, err) < 0 || p->timeout <= 0))
		return err_set(err, ERR_INPUT, "Failed to parse timeout of the http handler");
	p->headers = arena_array(arena, struct pair, WATCH_ARGS_MAX);
	if (p->headers == NULL)
		return err_set(err, ERR_LIMIT, "the watch is too large");
	config = json_object_get(config, "header");
	if (json_is_array(config) && json_array_size(config) == 1)
		config = json_array_get(config, 0);
	json_object_foreach ((json_t *)(uintptr_t)config, key, v)
		header_read(p, arena, key, v);
	return 0;
}

static int
handler_read(struct watch_plan *p, struct arena *arena, const json_t *params, struct err *err)
{
	const json_t *line = json_object_get(params, "handler");
	const json_t *args = json_object_get(params, "args");
	struct str type = json_member_str(params, "handler_type");
	bool http = str_eq(type, STR("http"));

	if (type.n > 0 && !http && !str_eq(type, STR("script")))
		return err_set(
		    err, ERR_INPUT, "Handler type '" STR_FMT "' not recognized", STR_ARG(type));
	if ((line != NULL) + (args != NULL) + http > 1)
		return err_set(err, ERR_INPUT, "Only one watch handler allowed");
	if (http)
		return http_read(p, arena, json_object_get(params, "http_handler_config"), err);
	if (args != NULL)
		return args_read(p, arena, args, err);
	if (line == NULL)
		return err_set(err, ERR_INPUT, "Must define a watch handler");
	if (!json_is_string(line) || json_text(line).n == 0)
		return err_set(err, ERR_INPUT, "Watch handler must be a string");
	p->line = arena_dup(arena, json_text(line));
	return 0;
}

int
watch_plan_read(
    struct watch_plan *p, struct arena *arena, const json_t *params, bool handled, struct err *err)
{
	int rc;

	*p = (struct watch_plan){ 0 };
	if (!json_is_object(params))
		return err_set(err, ERR_INPUT, "a watch must be an object");
	rc = members_check(params, err);
	if (rc == 0)
		rc = request_read(p, arena, params, err);
	if (rc == 0 && handled)
		rc = handler_read(p, arena, params, err);
	if (rc == 0 && arena->full)
		rc = err_set(err, ERR_LIMIT, "the watch is too large");
	return rc;
}

/* ---- the state ---- */

void
watch_state_init(struct watch_state *s)
{
	*s = (struct watch_state){ 0 };
	buf_init(&s->last, WATCH_DATA_MAX);
}

void
watch_state_done(struct watch_state *s)
{
	buf_done(&s->last);
}

void
watch_state_path(const struct watch_plan *p, const struct watch_state *s, struct buf *path)
{
	buf_add(path, p->path);
	if (s->index > 0) {
		buf_addf(path, "%cindex=", memchr(p->path.p, '?', p->path.n) == NULL ? '?' : '&');
		buf_add_u64(path, s->index);
	}
}

/* The index that stands for an event: both halves of its id. */
static uint64_t
event_index(const json_t *event)
{
	uint64_t halves[2] = { 0, 0 };
	struct uuid id;

	if (!uuid_parse(json_member_str(event, "ID"), &id))
		return 0;
	for (size_t i = 0; i < sizeof id.b; i++)
		halves[i / 8] = halves[i / 8] << 8 | id.b[i];
	return halves[0] ^ halves[1];
}

static void
events_prune(json_t *events, uint64_t seen)
{
	for (size_t i = 0; i < json_array_size(events); i++) {
		if (event_index(json_array_get(events, i)) != seen)
			continue;
		for (size_t k = 0; k <= i; k++)
			json_array_remove(events, 0);
		return;
	}
}

/* What a handler is given; false: the answer does not read. */
static bool
data_write(const struct watch_plan *p, const struct watch_state *s, int status, struct str body,
    struct buf *out)
{
	size_t open = str_find(body, '['), close = str_find_last(body, ']');
	json_t *v = NULL;
	struct jw w;

	if (status == 404 || (p->type != PLAN_KEY && p->type != PLAN_EVENT)) {
		buf_add(out, status == 404 ? STR("null") : str_trim(body));
		buf_addc(out, '\n');
		return !out->full;
	}
	if (json_read_wide(body, &v, NULL) < 0 || !json_is_array(v)) {
		json_decref(v);
		return false;
	}
	if (p->type == PLAN_EVENT)
		events_prune(v, s->index);
	jw_init(&w, out, false);
	if (p->type == PLAN_KEY && json_array_size(v) == 1) /* as it is: numbers may be large */
		buf_add(out, str_trim(str_mem(body.p + open + 1, close - open - 1)));
	else if (p->type == PLAN_KEY)
		jw_null(&w);
	else
		jw_json(&w, v);
	buf_addc(out, '\n');
	json_decref(v);
	return !out->full;
}

bool
watch_state_answer(
    const struct watch_plan *p, struct watch_state *s, int status, uint64_t index, struct str body)
{
	bool keys = p->type == PLAN_KEY || p->type == PLAN_KEYPREFIX;
	struct buf data;
	bool news;

	if (s->known && index == s->index) {
		s->failures = 0;
		return false;
	}
	buf_init(&data, WATCH_DATA_MAX);
	if ((status != 200 && !(status == 404 && keys)) || !data_write(p, s, status, body, &data)) {
		buf_done(&data);
		return false;
	}
	/* an index that goes back is of another history; events have no order */
	s->index = index < s->index && p->type != PLAN_EVENT ? 0 : index;
	news = !s->known || !str_eq(buf_str(&data), buf_str(&s->last));
	s->known = true;
	s->failures = 0;
	buf_done(&s->last);
	s->last = data;
	return news;
}

nsec
watch_state_failed(struct watch_state *s)
{
	nsec wait;

	s->failures += s->failures < 100;
	wait = (nsec)s->failures * s->failures * RETRY_FIRST;
	return nsec_min(wait, RETRY_MAX);
}
