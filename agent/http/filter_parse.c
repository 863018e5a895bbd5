/* agent/http/filter_parse.c -- the text of a filter, read into a tree.
 *
 *     or     = and  { gap "or" gap and }
 *     and    = not  { gap "and" gap not }
 *     not    = "not" gap not | group
 *     group  = "(" or ")" | match
 *     match  = selector ( "==" | "!=" | gap "contains" gap | gap "not" gap "contains" gap
 *                         | gap "matches" gap | gap "not" gap "matches" gap ) value
 *            | selector gap "is" gap [ "not" gap ] "empty"
 *            | value gap [ "not" gap ] "in" gap selector
 *     value  = selector | number | string
 *     selector = word { "." word | "[" string "]" }
 *
 * A gap is white space that must be there. As in Consul's grammar no word is reserved: "not" may
 * begin a match when what follows is no expression.
 */
#include "agent/http/filter_lex.h"
#include "agent/http/filter_private.h"

static bool
parse_index(struct lexer *l, struct str *out) /* after its bracket */
{
	lex_gap(l);
	if (!lex_string(l, out))
		return lex_refused(l, "rule \"index\": Invalid index") != NULL;
	lex_gap(l);
	if (l->error == NULL && !lex_byte(l, ']'))
		lex_refused(l, "rule \"index\": Unclosed index expression");
	return l->error == NULL;
}

/* False: there is none here, or l->error. */
static bool
parse_selector(struct lexer *l, struct str parts[FILTER_PATH_MAX], size_t *count)
{
	size_t from;

	if (!lex_word(l, &parts[0]))
		return false;
	for (*count = 1; *count < FILTER_PATH_MAX; ++*count) {
		from = l->at;
		if (lex_byte(l, '[')) {
			if (!parse_index(l, &parts[*count]))
				return false;
		} else if (!lex_byte(l, '.') || !lex_word(l, &parts[*count])) {
			l->at = from;
			return true;
		}
	}
	return lex_refused(l, "a selector has too many parts") != NULL;
}

static struct str
path_text(struct lexer *l, const struct str *parts, size_t count)
{
	struct str text = filter_path_text(l->arena, parts, count);

	if (text.p == NULL)
		lex_alloc(l, SIZE_MAX); /* fails as that did */
	return text;
}

static bool
parse_value(struct lexer *l, struct str *out)
{
	struct str parts[FILTER_PATH_MAX];
	size_t count;

	if (lex_number(l, out) || lex_string(l, out))
		return l->error == NULL;
	if (parse_selector(l, parts, &count)) {
		*out = path_text(l, parts, count);
		return true;
	}
	return lex_expected(l, "a selector, a number or a string") != NULL;
}

static struct filter_node *
new_node(
    struct lexer *l, enum filter_kind kind, struct filter_node *left, struct filter_node *right)
{
	struct filter_node *n = lex_alloc(l, sizeof *n);

	if (n != NULL)
		*n = (struct filter_node){ .kind = kind, .left = left, .right = right };
	return n;
}

static struct filter_node *
new_match(
    struct lexer *l, enum filter_op op, const struct str *parts, size_t count, struct str value)
{
	struct filter_node *n = new_node(l, FILTER_MATCH, NULL, NULL);
	struct filter_match *m = lex_alloc(l, sizeof *m);
	struct str *path = lex_alloc(l, count * sizeof *path);

	if (n == NULL || m == NULL || path == NULL)
		return NULL;
	memcpy(path, parts, count * sizeof *path);
	*m = (struct filter_match){ .op = op, .path = path, .path_len = count, .value = value };
	n->match = m;
	l->matches++;
	return n;
}

/* An operator between a selector and a value. */
static bool
parse_comparison(struct lexer *l, enum filter_op *op)
{
	static const struct {
		const char *first, *second;
		enum filter_op op;
	} words[] = {
		{ "contains", NULL, FILTER_IN },
		{ "not", "contains", FILTER_NOT_IN },
		{ "matches", NULL, FILTER_MATCHES },
		{ "not", "matches", FILTER_NOT_MATCHES },
	};

	bool equal;

	if (lex_equality(l, &equal)) {
		*op = equal ? FILTER_EQUAL : FILTER_NOT_EQUAL;
		return true;
	}
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (lex_operator(l, words[i].first, words[i].second)) {
			*op = words[i].op;
			return true;
		}
	return false;
}

static bool
parse_emptiness(struct lexer *l, enum filter_op *op)
{
	size_t from = l->at;

	if (lex_keyword(l, "is")) {
		*op = FILTER_IS_EMPTY;
		if (lex_keyword(l, "empty"))
			return true;
		*op = FILTER_IS_NOT_EMPTY;
		if (lex_keyword(l, "not") && lex_keyword(l, "empty"))
			return true;
		lex_gap(l);
		lex_expected(l, "\"empty\" or \"not empty\"");
	}
	l->at = from;
	return false;
}

/* What follows a value that comes first. */
static struct filter_node *
parse_membership(struct lexer *l, struct str value, const char *operators)
{
	struct str parts[FILTER_PATH_MAX];
	enum filter_op op = FILTER_IN;
	size_t count;

	if (!lex_operator(l, "in", NULL)) {
		op = FILTER_NOT_IN;
		if (!lex_operator(l, "not", "in")) {
			lex_gap(l);
			return lex_expected(l, operators);
		}
	}
	if (!parse_selector(l, parts, &count))
		return lex_refused(l, "rule \"match\": Invalid selector");
	return new_match(l, op, parts, count, value);
}

static struct filter_node *
parse_match(struct lexer *l)
{
	struct str parts[FILTER_PATH_MAX], value;
	enum filter_op op;
	size_t count;

	if (lex_number(l, &value) || lex_string(l, &value))
		return l->error != NULL ? NULL : parse_membership(l, value, "\"in\" or \"not in\"");
	if (!parse_selector(l, parts, &count))
		return lex_expected(l, "\"(\", \"not\", a selector, a number or a string");
	if (parse_comparison(l, &op))
		return !parse_value(l, &value) ? NULL : new_match(l, op, parts, count, value);
	if (parse_emptiness(l, &op))
		return new_match(l, op, parts, count, STR_NONE);
	return parse_membership(l, path_text(l, parts, count),
	    "\"!=\", \"==\", \"contains\", \"in\", \"is\", \"matches\" or \"not\"");
}

static struct filter_node *parse_or(struct lexer *);

static bool
deeper(struct lexer *l)
{
	if (l->depth == FILTER_DEPTH_MAX)
		return lex_refused(l, "the expression is nested too deep") != NULL;
	l->depth++;
	return true;
}

static struct filter_node *
parse_group(struct lexer *l)
{
	struct filter_node *inner;

	if (!lex_byte(l, '('))
		return parse_match(l);
	if (!deeper(l))
		return NULL;
	lex_gap(l);
	inner = parse_or(l);
	if (inner == NULL)
		return NULL;
	lex_gap(l);
	if (!lex_byte(l, ')'))
		return lex_refused(l, "rule \"grouping\": Unmatched parentheses");
	l->depth--;
	return inner;
}

static struct filter_node *
parse_not(struct lexer *l)
{
	size_t from = l->at;
	unsigned depth = l->depth;
	struct filter_node *inner;

	if (lex_this_word(l, "not") && lex_gap(l)) {
		if (!deeper(l))
			return NULL;
		inner = parse_not(l);
		l->depth = depth;
		if (inner != NULL)
			return new_node(l, FILTER_NOT, inner, NULL);
		if (l->error != NULL)
			return NULL;
	}
	l->at = from;
	return parse_group(l);
}

/* What `part` reads, once or more with the keyword between. */
static struct filter_node *
parse_chain(struct lexer *l, const char *keyword, enum filter_kind kind,
    struct filter_node *(*part)(struct lexer *))
{
	struct filter_node *all = part(l);

	while (all != NULL && lex_operator(l, keyword, NULL)) {
		struct filter_node *next = part(l);

		all = next == NULL ? NULL : new_node(l, kind, all, next);
	}
	return all;
}

static struct filter_node *
parse_and(struct lexer *l)
{
	return parse_chain(l, "and", FILTER_AND, parse_not);
}

static struct filter_node *
parse_or(struct lexer *l)
{
	return parse_chain(l, "or", FILTER_OR, parse_and);
}

/* "LINE:COLUMN (OFFSET): …", columns counted in characters. */
static int
parse_failed(const struct lexer *l, struct err *err)
{
	size_t line = 1, column = 1;

	if (l->no_memory)
		return err_set(err, ERR_MEMORY, "the expression is too large");
	for (size_t i = 0; i < l->failed_at; i++) {
		if (l->text.p[i] == '\n') {
			line++;
			column = 0; /* of the line's end itself, as Consul counts */
		}
		if (((unsigned char)l->text.p[i] & 0xc0) != 0x80)
			column++;
	}
	if (l->error != NULL)
		return err_set(
		    err, ERR_INPUT, "%zu:%zu (%zu): %s", line, column, l->failed_at, l->error);
	return err_set(err, ERR_INPUT, "%zu:%zu (%zu): no match found, expected: %s", line, column,
	    l->failed_at, l->expected);
}

int
filter_parse(
    struct arena *arena, struct str text, struct filter_node **root, size_t *count, struct err *err)
{
	struct lexer l = { .arena = arena, .text = text };
	struct filter_node *all;

	lex_gap(&l);
	all = parse_or(&l);
	if (all != NULL) {
		lex_gap(&l);
		if (l.at < text.n)
			all = lex_expected(&l, "\"and\", \"or\" or EOF");
	}
	if (all == NULL)
		return parse_failed(&l, err);
	if (arena->full)
		return err_set(err, ERR_MEMORY, "the expression is too large");
	*root = all;
	*count = l.matches;
	return 0;
}
