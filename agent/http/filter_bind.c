/* agent/http/filter_bind.c -- ties the matches of a filter to fields: is there such a selector,
 * does it know the operator, is the value one of its type. Errors are in Consul's words.
 */
#include "agent/http/api.h"
#include "agent/http/filter_private.h"

/* A text as Go's %q shows it, apart from what Unicode holds unprintable. */
static struct str
quoted(struct arena *arena, struct str text)
{
	static const char names[] = "abfnrtv\\\"", values[] = "\a\b\f\n\r\t\v\\\"";
	struct str shown;
	struct buf b;

	buf_init(&b, ERR_TEXT_MAX); /* more would not be shown */
	buf_addc(&b, '"');
	for (size_t i = 0; i < text.n && !b.full; i++) {
		char c = text.p[i];
		const char *value = c == '\0' ? NULL : strchr(values, c);

		if (value != NULL)
			buf_addf(&b, "\\%c", names[value - values]);
		else if ((unsigned char)c < ' ' || c == 0x7f)
			buf_addf(&b, "\\x%02x", (unsigned char)c);
		else
			buf_addc(&b, c);
	}
	buf_addc(&b, '"');
	shown = arena_dup(arena, buf_str(&b));
	buf_done(&b);
	return shown;
}

/* One part of a field's selector; the rest is left in *selector. */
static struct str
selector_part(struct str *selector)
{
	return str_cut(selector, '.');
}

/* How many parts of the path lead along a field; *whole: it is that field's very selector. */
static size_t
field_leads(const struct filter_field *field, const struct str *path, size_t count, struct str *key,
    bool *whole)
{
	struct str selector = str_of(field->selector);
	size_t n = 0;

	while (n < count && selector.p != NULL) {
		struct str part = selector_part(&selector);

		if (str_eq(part, STR("<any>")))
			*key = path[n];
		else if (!str_eq(part, path[n]))
			break;
		n++;
	}
	*whole = n == count && selector.p == NULL;
	return n;
}

static int
bad_selector(struct arena *arena, const struct filter_match *m, size_t parts, struct err *err)
{
	struct str text = filter_path_text(arena, m->path, parts);

	return err_set(
	    err, ERR_INPUT, "Selector " STR_FMT " is not valid", STR_ARG(quoted(arena, text)));
}

static struct str
selector_text(struct arena *arena, const struct filter_match *m)
{
	return quoted(arena, filter_path_text(arena, m->path, m->path_len));
}

/* Sets the group, and the field unless the selector ends at a struct. */
static int
find_field(struct arena *arena, const struct filter_schema *schema, struct filter_match *m,
    struct err *err)
{
	size_t skip, far = 0;

	for (m->group = schema->groups; m->group->fields != NULL; m->group++)
		if (m->group->name == NULL || str_eq(str_of(m->group->name), m->path[0]))
			break;
	if (m->group->fields == NULL)
		return bad_selector(arena, m, 1, err);
	skip = m->group->name != NULL;
	for (const struct filter_field *f = m->group->fields; f->selector != NULL; f++) {
		bool whole;
		size_t n = field_leads(f, m->path + skip, m->path_len - skip, &m->key, &whole);

		if (whole && m->path_len > skip) {
			m->field = f;
			return 0;
		}
		if (n > far)
			far = n;
	}
	if (skip + far < m->path_len)
		return bad_selector(arena, m, skip + far + 1, err);
	return 0;
}

static bool
op_allowed(const struct filter_match *m)
{
	enum filter_op op = m->op;

	if (m->field == NULL)
		return m->group->each && m->path_len == 1 &&
		       (op == FILTER_IS_EMPTY || op == FILTER_IS_NOT_EMPTY);
	switch (m->field->type) {
	case FILTER_TEXT:
		return op != FILTER_IS_EMPTY && op != FILTER_IS_NOT_EMPTY;
	case FILTER_NUMBER:
	case FILTER_FLAG:
		return op == FILTER_EQUAL || op == FILTER_NOT_EQUAL;
	case FILTER_LIST:
	case FILTER_MAP:
		return op >= FILTER_IN && op <= FILTER_IS_NOT_EMPTY;
	case FILTER_EACH:
		break;
	}
	return op == FILTER_IS_EMPTY || op == FILTER_IS_NOT_EMPTY;
}

static unsigned
digit_of(char c)
{
	c = chr_lower(c);
	return chr_digit(c)           ? (unsigned)(c - '0')
	       : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				      : 16;
}

/* The base that a number's beginning names, as Go's ParseInt does for base 0. */
static unsigned
take_base(struct str *s, bool *prefixed)
{
	char c = s->n > 1 ? chr_lower(s->p[1]) : '\0';
	unsigned base = c == 'x' ? 16 : c == 'b' ? 2 : 8;

	*prefixed = s->n > 1 && s->p[0] == '0';
	if (!*prefixed)
		return 10;
	*s = str_skip(*s, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
	return base;
}

/* Why a text is no number of 64 bits, in strconv's words; NULL: it is one. Underscores may stand
 * between digits, and between a prefix and them. */
static const char *
parse_number(struct str s, int64_t *out)
{
	bool minus = s.n > 0 && s.p[0] == '-', prefixed, digit_before, overflow = false;
	uint64_t limit = (uint64_t)INT64_MAX + minus, n = 0;
	unsigned base;

	if (s.n > 0 && (minus || s.p[0] == '+'))
		s = str_skip(s, 1);
	base = take_base(&s, &prefixed);
	digit_before = prefixed;
	if (s.n == 0 || s.p[s.n - 1] == '_')
		return "invalid syntax";
	for (size_t i = 0; i < s.n; i++) {
		unsigned v = digit_of(s.p[i]);

		if (s.p[i] == '_' && digit_before) {
			digit_before = false;
			continue;
		}
		if (v >= base)
			return "invalid syntax";
		digit_before = true;
		overflow = overflow || n > (limit - v) / base;
		if (!overflow)
			n = n * base + v;
	}
	if (overflow)
		return "value out of range";
	*out = minus ? (int64_t)(0 - n) : (int64_t)n;
	return NULL;
}

static int
bad_value(struct arena *arena, const struct filter_match *m, const char *function, const char *why,
    struct err *err)
{
	struct str value = quoted(arena, m->value);

	return err_set(err, ERR_INPUT,
	    "Failed to coerce value " STR_FMT " for selector " STR_FMT
	    ": strconv.%s: parsing " STR_FMT ": %s",
	    STR_ARG(value), STR_ARG(selector_text(arena, m)), function, STR_ARG(value), why);
}

static int
bind_regexp(struct arena *arena, struct filter_match *m, struct err *err)
{
	int rc = regexp_new(arena, m->value, &m->regexp, err);

	if (rc == ERR_INPUT)
		err_wrap(err, "Failed to compile regular expression " STR_FMT,
		    STR_ARG(quoted(arena, m->value)));
	return rc;
}

static int
bind_value(struct arena *arena, struct filter_match *m, struct err *err)
{
	enum filter_type type = m->field == NULL ? FILTER_EACH : m->field->type;
	const char *why;

	if (m->value.n > FILTER_VALUE_MAX)
		return err_set(err, ERR_INPUT,
		    "Value in expression with length %zu for selector " STR_FMT
		    " exceeds maximum length of %d",
		    m->value.n, STR_ARG(selector_text(arena, m)), FILTER_VALUE_MAX);
	if (type == FILTER_NUMBER && (why = parse_number(m->value, &m->number)) != NULL)
		return bad_value(arena, m, "ParseInt", why, err);
	if (type == FILTER_FLAG && !bool_parse(m->value, &m->flag))
		return bad_value(arena, m, "ParseBool", "invalid syntax", err);
	if (m->op == FILTER_MATCHES || m->op == FILTER_NOT_MATCHES)
		return bind_regexp(arena, m, err);
	return 0;
}

static int
bind_match(struct arena *arena, const struct filter_schema *schema, struct filter_match *m,
    struct err *err)
{
	static const char *const names[] = { "Equal", "Not Equal", "In", "Not In", "Is Empty",
		"Is Not Empty", "Matches", "Not Matches" };
	int rc = find_field(arena, schema, m, err);

	if (rc != 0)
		return rc;
	if (!op_allowed(m))
		return err_set(err, ERR_INPUT,
		    "Invalid match operator \"%s\" for selector " STR_FMT, names[m->op],
		    STR_ARG(selector_text(arena, m)));
	return bind_value(arena, m, err);
}

int
filter_bind(struct arena *arena, const struct filter_schema *schema, const struct filter_node *n,
    struct err *err)
{
	int rc;

	if (n->kind == FILTER_MATCH)
		return bind_match(arena, schema, n->match, err);
	rc = filter_bind(arena, schema, n->left, err);
	return rc != 0 || n->right == NULL ? rc : filter_bind(arena, schema, n->right, err);
}
