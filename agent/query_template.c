/* agent/query_template.c -- see query_template.h.
 *
 * Parts: one expression, one text, the whole definition.
 */
#include "agent/query_template.h"

#include "agent/regexp.h"
#include "base/buf.h"

#define TEMPLATE_TYPE "name_prefix_match"

struct render {
	struct arena *arena;
	struct err *err;
	struct str full, prefix, suffix;
	struct str groups[REGEXP_GROUPS_MAX];
	size_t group_count;
	size_t bytes; /* of texts made so far */
};

/* --- one expression --- */

/* Why a text cannot be rendered; the code tells a text that is broken from one whose names mean
 * nothing. */
enum fault { FAULT_NONE, FAULT_FORMAT, FAULT_MEANING };

struct expression {
	const struct render *r;
	struct str all; /* the text it stands in */
	size_t at;
	enum fault fault;
	char why[256];
};

static struct str
broken(struct expression *e, enum fault fault, const char *why, struct str what)
{
	struct err err;

	if (e->fault != FAULT_NONE)
		return STR_NONE;
	e->fault = fault;
	err_set(&err, ERR_INPUT, "At column %zu, line 1: %s" STR_FMT, e->at + 1, why,
	    STR_ARG(str_head(what, what.n < 128 ? what.n : 128)));
	memcpy(e->why, err.text, sizeof e->why - 1);
	e->why[sizeof e->why - 1] = '\0';
	return STR_NONE;
}

static char
peek(const struct expression *e)
{
	return e->at < e->all.n ? e->all.p[e->at] : '\0';
}

static void
skip_blanks(struct expression *e)
{
	while (peek(e) == ' ' || peek(e) == '\t' || peek(e) == '\n' || peek(e) == '\r')
		e->at++;
}

static bool
is_letter(char c)
{
	return chr_digit(c) || (chr_lower(c) >= 'a' && chr_lower(c) <= 'z') || c == '_' ||
	       c == '.' || c == '-' || c == '*';
}

static struct str
take_word(struct expression *e)
{
	size_t from = e->at;

	while (is_letter(peek(e)))
		e->at++;
	return str_head(str_skip(e->all, from), e->at - from);
}

/* After the opening quote. */
static struct str
take_quoted(struct expression *e)
{
	struct str rest = str_skip(e->all, e->at);
	size_t end = str_find(rest, '"');

	if (end == rest.n)
		return broken(e, FAULT_FORMAT, "literal not terminated", STR_NONE);
	if (str_find(str_head(rest, end), '\\') < end || str_find(str_head(rest, end), '$') < end)
		return broken(e, FAULT_FORMAT, "a quoted text is taken as it stands: ", rest);
	e->at += end + 1;
	return str_head(rest, end);
}

/* match(N), after its name. */
static struct str
take_match(struct expression *e)
{
	uint64_t n = 0;
	bool minus;
	struct str number;

	e->at++;
	skip_blanks(e);
	minus = peek(e) == '-';
	e->at += minus;
	number = take_word(e);
	if (!str_u64(number, UINT32_MAX, &n))
		return broken(e, FAULT_MEANING, "match wants the number of a group: ", number);
	skip_blanks(e);
	if (peek(e) != ')')
		return broken(e, FAULT_FORMAT, "expected \")\"", STR_NONE);
	e->at++;
	return minus || n >= e->r->group_count ? STR_NONE : e->r->groups[n];
}

static struct str
take_value(struct expression *e)
{
	size_t from = e->at;
	struct str word;

	if (peek(e) == '"') {
		e->at++;
		return take_quoted(e);
	}
	word = take_word(e);
	if (word.n == 0)
		return broken(e, FAULT_FORMAT, "expected expression but found ",
		    str_head(str_skip(e->all, e->at), e->at < e->all.n));
	if (peek(e) == '(' && str_eq(word, STR("match")))
		return take_match(e);
	if (str_eq(word, STR("name.full")))
		return e->r->full;
	if (str_eq(word, STR("name.prefix")))
		return e->r->prefix;
	if (str_eq(word, STR("name.suffix")))
		return e->r->suffix;
	if (str_eq(word, STR("agent.segment")))
		return STR_NONE; /* there is one, without a name */
	e->at = from;
	if (peek(e) == '(' || str_find(str_skip(e->all, from), '(') == word.n)
		return broken(e, FAULT_MEANING, "unknown function called: ", word);
	return broken(e, FAULT_MEANING, "unknown variable accessed: ", word);
}

/* --- one text --- */

static void
text_parts(struct expression *e, struct buf *out)
{
	while (e->at < e->all.n && e->fault == FAULT_NONE) {
		struct str rest = str_skip(e->all, e->at);

		if (str_starts(rest, STR("$${"))) {
			buf_add(out, STR("${"));
			e->at += 3;
		} else if (str_starts(rest, STR("${"))) {
			e->at += 2;
			skip_blanks(e);
			buf_add(out, take_value(e));
			skip_blanks(e);
			if (peek(e) != '}')
				(void)broken(e, FAULT_FORMAT, "expected \"}\"", STR_NONE);
			e->at++;
		} else {
			buf_addc(out, rest.p[0]);
			e->at++;
		}
	}
}

/* A text of the definition, in place. `where`: its member within "Service", for errors. */
static int
text_render(struct render *r, struct str *text, const char *where, struct str key)
{
	struct expression e = { .r = r, .all = *text };
	struct buf out;
	int rc = 0;

	if (str_find(*text, '$') == text->n)
		return 0;
	buf_init(&out, QUERY_TEXT_MAX - r->bytes);
	text_parts(&e, &out);
	if (e.fault != FAULT_NONE) {
		rc = err_set(r->err, ERR_INPUT, "Bad %s '" STR_FMT "' in Service%s" STR_FMT ": %s",
		    e.fault == FAULT_FORMAT ? "format" : "evaluation for", STR_ARG(*text), where,
		    STR_ARG(key), e.why);
	} else if (out.full) {
		rc = err_set(
		    r->err, ERR_LIMIT, "the texts of the query grow over %d bytes", QUERY_TEXT_MAX);
	} else {
		r->bytes += out.n;
		*text = arena_dup(r->arena, buf_str(&out));
	}
	buf_done(&out);
	return rc;
}

/* --- the whole --- */

static int
strs_render(struct render *r, struct query_strs *list, const char *where)
{
	struct str *of = arena_array(r->arena, struct str, list->count + 1);
	int rc = 0;

	if (of == NULL)
		return err_set(r->err, ERR_MEMORY, "the query is too large");
	for (size_t i = 0; i < list->count && rc == 0; i++) {
		of[i] = list->of[i];
		rc = text_render(r, &of[i], where, arena_fmt(r->arena, "[%zu]", i));
	}
	list->of = of;
	return rc;
}

static int
pairs_render(struct render *r, struct query_pairs *list, const char *where)
{
	struct pair *of = arena_array(r->arena, struct pair, list->count + 1);
	int rc = 0;

	if (of == NULL)
		return err_set(r->err, ERR_MEMORY, "the query is too large");
	for (size_t i = 0; i < list->count && rc == 0; i++) {
		of[i] = list->of[i];
		rc = text_render(r, &of[i].value, where,
		    arena_fmt(r->arena, "[" STR_FMT "]", STR_ARG(of[i].key)));
	}
	list->of = of;
	return rc;
}

static void
empty_tags_remove(struct query_strs *tags)
{
	size_t n = 0;

	for (size_t i = 0; i < tags->count; i++)
		if (tags->of[i].n > 0)
			tags->of[n++] = tags->of[i];
	tags->count = n;
	tags->set = true;
}

/* What the groups of the regular expression match in the name; none when it does not. */
static int
groups_match(struct render *r, const struct query_info *q)
{
	uint64_t steps = QUERY_REGEXP_STEPS_MAX;
	struct regexp *re;
	int rc;

	if (q->regexp.n == 0)
		return 0;
	rc = regexp_new_groups(r->arena, q->regexp, &re, r->err);
	if (rc != 0)
		return err_wrap(r->err, "Bad Regexp");
	if (regexp_groups(re, r->full, &steps, r->groups, &r->group_count) == REGEXP_GIVEN_UP)
		return err_set(r->err, ERR_LIMIT, "the regular expression takes too long");
	return 0;
}

int
query_render(struct arena *arena, const struct query_info *q, struct str name,
    struct query_info *out, struct err *err)
{
	struct render r = {
		.arena = arena,
		.err = err,
		.full = name,
		.prefix = q->name,
		.suffix = str_starts(name, q->name) ? str_skip(name, q->name.n) : name,
	};
	struct query_info made = *q;
	int rc;

	if (!str_eq(q->template_type, STR(TEMPLATE_TYPE)))
		return err_set(
		    err, ERR_INPUT, "Bad Template.Type '" STR_FMT "'", STR_ARG(q->template_type));
	rc = groups_match(&r, q);
	if (rc == 0)
		rc = text_render(&r, &made.service, ".Service", STR_NONE);
	if (rc == 0)
		rc = strs_render(&r, &made.datacenters, ".Failover.Datacenters");
	if (rc == 0)
		rc = strs_render(&r, &made.ignore_checks, ".IgnoreCheckIDs");
	if (rc == 0)
		rc = text_render(&r, &made.near, ".Near", STR_NONE);
	if (rc == 0)
		rc = strs_render(&r, &made.tags, ".Tags");
	if (rc == 0)
		rc = pairs_render(&r, &made.node_meta, ".NodeMeta");
	if (rc == 0)
		rc = pairs_render(&r, &made.service_meta, ".ServiceMeta");
	if (rc == 0 && arena->full)
		rc = err_set(err, ERR_MEMORY, "the query is too large");
	if (rc != 0)
		return rc;
	if (made.remove_empty_tags)
		empty_tags_remove(&made.tags);
	*out = made;
	return 0;
}
