/* agent/http/filter.c -- filters at work: from a request's ?filter= to whether an entry is wanted.
 *
 * Parts: matching one value, finding the values of a field, the tree, the request. Entries are
 * looked at where they lie; nothing is copied.
 */
#include "agent/http/filter_private.h"

/* --- one value --- */

static bool
text_contains(struct str text, struct str part)
{
	return part.n == 0 || (text.n > 0 && memmem(text.p, text.n, part.p, part.n) != NULL);
}

static bool
regexp_holds(struct filter *f, const struct filter_match *m, struct str text)
{
	enum regexp_answer answer = regexp_match(m->regexp, text, &f->steps);

	if (answer == REGEXP_GIVEN_UP)
		f->given_up = true;
	return answer == REGEXP_YES;
}

static bool
negated(const struct filter_match *m)
{
	return (m->op & 1) != 0;
}

static bool
text_holds(struct filter *f, const struct filter_match *m, struct str text)
{
	bool holds;

	if (m->op == FILTER_MATCHES || m->op == FILTER_NOT_MATCHES)
		holds = regexp_holds(f, m, text);
	else if (m->op == FILTER_IN || m->op == FILTER_NOT_IN)
		holds = text_contains(text, m->value);
	else
		holds = str_eq(text, m->value);
	return holds != negated(m);
}

static bool
number_holds(const struct filter_match *m, int64_t number)
{
	return (number == m->number) != negated(m);
}

static bool
flag_holds(const struct filter_match *m, bool flag)
{
	return (flag == m->flag) != negated(m);
}

/* Of lists and maps: whether they are empty, or hold the value; `found` tells that. */
static bool
several_hold(const struct filter_match *m, size_t count, bool found)
{
	bool empty = m->op == FILTER_IS_EMPTY || m->op == FILTER_IS_NOT_EMPTY;

	return (empty ? count == 0 : found) != negated(m);
}

/* A key that is not there. That "matches" holds then is Consul's way too. */
static bool
missing_holds(const struct filter_match *m)
{
	return m->op != FILTER_EQUAL && m->op != FILTER_IN && m->op != FILTER_IS_NOT_EMPTY;
}

/* --- values of fields --- */

static bool
strs_hold(const struct filter_match *m, const struct str *list, size_t count)
{
	bool found = false;

	for (size_t i = 0; i < count && !found; i++)
		found = str_eq(list[i], m->value);
	return several_hold(m, count, found);
}

static const struct pair *
pair_find(const struct pair *pairs, size_t count, struct str key)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(pairs[i].key, key))
			return &pairs[i];
	return NULL;
}

static const struct tagged_address *
tagged_find(const struct tagged_address *tagged, size_t count, struct str tag)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(tagged[i].tag, tag))
			return &tagged[i];
	return NULL;
}

static bool
json_leaf_holds(struct filter *f, const struct filter_match *m, const json_t *value)
{
	switch (m->field->type) {
	case FILTER_NUMBER:
		return number_holds(m, json_integer_value(value));
	case FILTER_FLAG:
		return flag_holds(m, json_is_true(value));
	case FILTER_EACH:
		return several_hold(m, json_array_size(value), false);
	default:
		return text_holds(f, m, json_text(value));
	}
}

/* Follows the rest of a selector; a missing member has its type's zero. */
static bool
json_holds(struct filter *f, const struct filter_match *m, const json_t *value, struct str way)
{
	char name[64]; /* longer than any part of the tables */
	const json_t *element;
	struct str part;
	size_t i;

	if (way.p == NULL)
		return json_leaf_holds(f, m, value);
	if (json_is_array(value)) {
		json_array_foreach (value, i, element)
			if (json_holds(f, m, element, way))
				return true;
		return false;
	}
	part = str_cut(&way, '.');
	snprintf(name, sizeof name, STR_FMT, STR_ARG(part));
	value = json_object_get(value, name);
	if (value == NULL && way.p != NULL && str_eq(part, STR("Upstreams")))
		return false; /* no element holds anything */
	return json_holds(f, m, value, way);
}

static bool
raw_json_holds(struct filter *f, const struct filter_match *m, struct str json)
{
	struct str way = str_of(m->field->selector);
	json_t *value = NULL;
	bool holds;

	if (json.n > 0)
		json_read(json, &value, NULL);
	str_cut(&way, '.');
	holds = json_holds(f, m, value, way);
	json_decref(value);
	return holds;
}

static bool
zero_holds(struct filter *f, const struct filter_match *m)
{
	return m->field->type == FILTER_NUMBER ? number_holds(m, 0) : text_holds(f, m, STR_NONE);
}

static const char *
entry_part(const struct filter_entry *e, enum filter_of of)
{
	const void *part = of == FILTER_OF_NODE    ? (const void *)e->node
			   : of == FILTER_OF_CHECK ? (const void *)e->check
						   : (const void *)e->service;

	return part;
}

static bool
pairs_hold(struct filter *f, const struct filter_match *m, const struct pair *pairs, size_t count)
{
	const struct pair *pair;

	if (m->field->kept == KEPT_PAIRS)
		return several_hold(m, count, pair_find(pairs, count, m->value) != NULL);
	pair = pair_find(pairs, count, m->key);
	return pair == NULL ? missing_holds(m) : text_holds(f, m, pair->value);
}

static bool
tagged_hold(struct filter *f, const struct filter_match *m, const struct tagged_address *tagged,
    size_t count)
{
	const struct tagged_address *one;

	if (m->field->kept == KEPT_TAGGED)
		return several_hold(m, count, tagged_find(tagged, count, m->value) != NULL);
	one = tagged_find(tagged, count, m->key);
	if (one == NULL)
		return missing_holds(m);
	return m->field->kept == KEPT_TAGGED_PORT ? number_holds(m, one->port)
						  : text_holds(f, m, one->address);
}

static bool
field_holds(struct filter *f, const struct filter_match *m, const struct filter_entry *e)
{
	const struct filter_field *field = m->field;
	const char *part = entry_part(e, field->of);
	const void *at = part + field->at, *count_at = part + field->count_at;

	switch (field->kept) {
	case KEPT_STR:
		return text_holds(f, m, *(const struct str *)at);
	case KEPT_I32:
		return number_holds(m, *(const int32_t *)at);
	case KEPT_BOOL:
		return flag_holds(m, *(const bool *)at);
	case KEPT_STRS:
		return strs_hold(m, *(struct str *const *)at, *(const size_t *)count_at);
	case KEPT_PAIRS:
	case KEPT_PAIR:
		return pairs_hold(f, m, *(struct pair *const *)at, *(const size_t *)count_at);
	case KEPT_TAGGED:
	case KEPT_TAGGED_ADDRESS:
	case KEPT_TAGGED_PORT:
		return tagged_hold(
		    f, m, *(struct tagged_address *const *)at, *(const size_t *)count_at);
	case KEPT_JSON:
		return raw_json_holds(f, m, *(const struct str *)at);
	case KEPT_NOT:
		break;
	}
	return zero_holds(f, m);
}

/* Holds when it does for any of the checks. */
static bool
any_check_holds(struct filter *f, const struct filter_match *m, const struct filter_entry *e)
{
	const struct catalog_check *c = NULL;

	while ((c = filter_check_next(e->instance, c)) != NULL) {
		struct check_info shown = filter_check_shown(c);
		struct filter_entry one = { .check = &shown };

		if (field_holds(f, m, &one))
			return true;
	}
	return false;
}

static bool
match_holds(struct filter *f, const struct filter_match *m, const struct filter_entry *e)
{
	if (m->field == NULL) /* whether there are checks is all that can be asked */
		return several_hold(m, filter_check_next(e->instance, NULL) != NULL, false);
	return m->group->each ? any_check_holds(f, m, e) : field_holds(f, m, e);
}

/* --- the tree --- */

static bool
node_holds(struct filter *f, const struct filter_node *n, const struct filter_entry *e)
{
	switch (n->kind) {
	case FILTER_MATCH:
		return match_holds(f, n->match, e);
	case FILTER_NOT:
		return !node_holds(f, n->left, e);
	case FILTER_AND:
		return node_holds(f, n->left, e) && node_holds(f, n->right, e);
	case FILTER_OR:
		break;
	}
	return node_holds(f, n->left, e) || node_holds(f, n->right, e);
}

bool
filter_holds(struct filter *f, const struct filter_entry *e)
{
	return !f->given_up && node_holds(f, f->root, e);
}

struct str
filter_path_text(struct arena *arena, const struct str *path, size_t count)
{
	size_t n = count - 1, at = 0;
	char *text;

	for (size_t i = 0; i < count; i++)
		n += path[i].n;
	text = arena_alloc(arena, n);
	if (text == NULL)
		return STR_NONE;
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			text[at++] = '.';
		if (path[i].n > 0)
			memcpy(text + at, path[i].p, path[i].n);
		at += path[i].n;
	}
	return str_mem(text, n);
}

int
filter_new(struct arena *arena, const struct filter_schema *schema, struct str text,
    struct filter **out, struct err *err)
{
	struct filter *f = arena_array(arena, struct filter, 1);
	size_t matches;
	int rc;

	if (text.n > FILTER_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "An expression may have %d bytes", FILTER_BYTES_MAX);
	if (f == NULL)
		return err_set(err, ERR_MEMORY, "the expression is too large");
	*f = (struct filter){ .steps = FILTER_STEPS_MAX };
	rc = filter_parse(arena, text, &f->root, &matches, err);
	if (rc == 0 && matches > FILTER_MATCHES_MAX)
		rc = err_set(err, ERR_LIMIT,
		    "Number of match expressions (%zu) exceeds the limit (%d)", matches,
		    FILTER_MATCHES_MAX);
	if (rc == 0)
		rc = filter_bind(arena, schema, f->root, err);
	if (rc == 0)
		*out = f;
	return rc;
}

/* --- the request --- */

bool
filter_read(const struct http_request *req, const struct filter_schema *schema, struct filter **out,
    struct http_reply *reply)
{
	struct str text = request_param(req, STR("filter"));
	struct err err;
	int rc;

	*out = NULL;
	if (text.n == 0)
		return true;
	rc = filter_new(req->arena, schema, text, out, &err);
	if (rc == 0)
		return true;
	reply_error(reply, rc == ERR_MEMORY ? 429 : 500,
	    "Failed to create boolean expression evaluator: %s", err.text);
	return false;
}

bool
filter_done(const struct filter *f, struct http_reply *reply)
{
	if (f == NULL || !f->given_up)
		return true;
	reply_error(reply, 429, "The filter's regular expressions take too many steps");
	return false;
}
