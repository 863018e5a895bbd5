/* watcher/docker_event.c -- cutting the stream at the ends of its objects, and reading one. */
#include "watcher/docker_event.h"

#include "base/json.h"
#include "watcher/docker.h"
#include "watcher/signame.h"

/* {"type":["container","network",…],"event":["start","die",…]} with "health_status" in it the
 * engine compares beginnings, so that "health_status: healthy" passes. */
const char docker_event_filters[] =
    "%7B%22type%22%3A%5B%22container%22%2C%22network%22%2C%22service%22%2C%22node%22%5D"
    "%2C%22event%22%3A%5B%22start%22%2C%22die%22%2C%22kill%22%2C%22pause%22%2C%22unpause%22"
    "%2C%22rename%22%2C%22update%22%2C%22destroy%22%2C%22health_status%22%2C%22connect%22%2C%"
    "22disconnect%22"
    "%5D%7D";

static const struct {
	const char *action;
	enum docker_event_kind kind;
	bool network;
} docker_events[] = {
	{ "start", EVENT_START, false },
	{ "die", EVENT_DIE, false },
	{ "kill", EVENT_KILL, false },
	{ "pause", EVENT_PAUSE, false },
	{ "unpause", EVENT_UNPAUSE, false },
	{ "rename", EVENT_CHANGED, false },
	{ "update", EVENT_CHANGED, false },
	{ "destroy", EVENT_DESTROY, false },
	{ "connect", EVENT_CHANGED, true },
	{ "disconnect", EVENT_CHANGED, true },
};

bool
docker_id_valid(struct str id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!chr_digit(id.p[i]) && (id.p[i] < 'a' || id.p[i] > 'f'))
			return false;
	return id.n > 0 && id.n <= DOCKER_ID_MAX;
}

/* An event of the swarm: any that passes the filter is a change. True: it is one. */
static bool
docker_event_of_swarm(const json_t *root, struct docker_event *ev)
{
	struct str type = json_member_str(root, "Type");
	struct str id = json_member_str(json_object_get(root, "Actor"), "ID");

	if (str_eq(type, STR("service")))
		ev->kind = EVENT_SERVICE_CHANGED;
	else if (str_eq(type, STR("node")))
		ev->kind = EVENT_NODE_CHANGED;
	else
		return false;
	if (ev->kind == EVENT_SERVICE_CHANGED && swarm_id_valid(id))
		memcpy(ev->service, id.p, id.n);
	return true;
}

static enum docker_event_kind
docker_event_kind_of(struct str action, bool network)
{
	if (!network && str_starts(action, STR("health_status")))
		return EVENT_CHANGED;
	for (size_t i = 0; i < sizeof docker_events / sizeof docker_events[0]; i++)
		if (network == docker_events[i].network &&
		    str_eq(action, str_of(docker_events[i].action)))
			return docker_events[i].kind;
	return EVENT_OTHER;
}

int
docker_event_read(struct str json, struct docker_event *out, struct err *err)
{
	struct docker_event ev = { .exit_code = -1 };
	json_t *root = NULL, *actor, *attributes;
	struct str action, id, service;
	uint64_t code;
	bool network;
	int rc = json_read(json, &root, err);

	if (rc < 0)
		return err_wrap(err, "event");
	actor = json_object_get(root, "Actor");
	attributes = json_object_get(actor, "Attributes");
	network = str_eq(json_member_str(root, "Type"), STR("network"));
	action = json_member_str(root, "Action");
	if (action.n == 0)
		action = json_member_str(root, "status"); /* engines before API 1.22 */
	ev.time_ns = json_member_int(root, "timeNano", 0);
	if (docker_event_of_swarm(root, &ev))
		goto out;
	ev.kind = docker_event_kind_of(action, network);
	ev.signal = signame_number(json_member_str(attributes, "signal"));
	if (str_u64(json_member_str(attributes, "exitCode"), INT32_MAX, &code))
		ev.exit_code = (int)code;
	id = network ? json_member_str(attributes, "container") : json_member_str(actor, "ID");
	if (id.n == 0 && !network)
		id = json_member_str(root, "id");
	if (ev.kind != EVENT_OTHER && !docker_id_valid(id))
		rc = err_set(err, ERR_INPUT, "event: no container id in it");
	else if (ev.kind != EVENT_OTHER)
		memcpy(ev.id, id.p, id.n);
	service = json_member_str(attributes, "com.docker.swarm.service.id");
	if (swarm_id_valid(service))
		memcpy(ev.service, service.p, service.n);
out:
	json_decref(root);
	if (rc == 0)
		*out = ev;
	return rc;
}

void
docker_split_init(struct docker_split *s)
{
	*s = (struct docker_split){ .depth = 0 };
	buf_init(&s->piece, DOCKER_EVENT_BYTES_MAX);
}

void
docker_split_done(struct docker_split *s)
{
	buf_done(&s->piece);
}

/* Bytes of `bytes` up to and with the end of the object in which it begins, or all. */
static size_t
docker_split_scan(struct docker_split *s, struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		char c = bytes.p[i];

		if (s->escaped)
			s->escaped = false;
		else if (s->in_string && c == '\\')
			s->escaped = true;
		else if (c == '"')
			s->in_string = !s->in_string;
		else if (!s->in_string && (c == '{' || c == '['))
			s->depth++;
		else if (!s->in_string && (c == '}' || c == ']') && --s->depth == 0)
			return i + 1;
	}
	return bytes.n;
}

/* Steps to the next "{". True: something else stood before it. */
static bool
docker_split_skip(struct docker_split *s, struct str *bytes)
{
	bool before = s->garbage;
	size_t i = 0;

	for (; i < bytes->n && bytes->p[i] != '{'; i++)
		if (strchr(" \t\r\n", bytes->p[i]) == NULL || bytes->p[i] == '\0')
			s->garbage = true;
	*bytes = str_skip(*bytes, i);
	return s->garbage && !before;
}

enum docker_split_result
docker_split_next(struct docker_split *s, struct str *bytes, struct str *object)
{
	struct str part;
	bool whole;

	if (s->depth == 0) {
		if (s->piece.n > 0 || s->piece.full)
			buf_done(&s->piece); /* given out before; events are small, keep none */
		if (docker_split_skip(s, bytes))
			return SPLIT_BAD;
		s->garbage = s->garbage && bytes->n == 0;
	}
	if (bytes->n == 0)
		return SPLIT_MORE;
	whole = s->depth == 0;
	part = str_head(*bytes, docker_split_scan(s, *bytes));
	*bytes = str_skip(*bytes, part.n);
	if (whole && s->depth == 0) {
		*object = part;
		return part.n > DOCKER_EVENT_BYTES_MAX ? SPLIT_BAD : SPLIT_OBJECT;
	}
	buf_add(&s->piece, part);
	if (s->depth > 0)
		return SPLIT_MORE;
	if (s->piece.full) {
		buf_done(&s->piece);
		s->piece.full = false;
		return SPLIT_BAD;
	}
	*object = buf_str(&s->piece);
	return SPLIT_OBJECT;
}
