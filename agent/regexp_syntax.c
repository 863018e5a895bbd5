/* agent/regexp_syntax.c -- Go's regular expressions, put into PCRE2's words.
 *
 * Parts: reading one character, escapes, classes, groups and repetitions, the whole pattern. The
 * translation writes only what means the same in both: every character stands as \x{…}, assertions
 * stand in groups of their own, and what RE2 does not know is refused.
 * Source of syntax and errors: Go's package regexp/syntax, RE2's doc/syntax.txt.
 */
#include "agent/regexp_private.h"

#include "base/json.h"

#define REPEAT_MAX 1000 /* RE2's */
#define CODE_POINT_LAST 0x10ffff

/* What stands before a repetition operator. */
enum before { BEFORE_NOTHING, BEFORE_ATOM, BEFORE_REPEAT };

struct pattern {
	struct str all;
	size_t at;
	struct buf *out;
	unsigned depth;
	enum before before;
	size_t repeat_at; /* BEFORE_REPEAT: where that operator began */
	struct err *err;
};

/* The error that Go words so; `from` to `to` is the part that is shown. */
static int
refuse(struct pattern *p, const char *what, size_t from, size_t to)
{
	struct str part = str_head(str_skip(p->all, from), to - from);

	return err_set(
	    p->err, ERR_INPUT, "error parsing regexp: %s: `" STR_FMT "`", what, STR_ARG(part));
}

static bool
more(const struct pattern *p, size_t n)
{
	return n < p->all.n - p->at;
}

static char
peek(const struct pattern *p, size_t n) /* 0 past the end */
{
	return more(p, n) ? p->all.p[p->at + n] : '\0';
}

/* One character; the pattern is known to be UTF-8. */
static uint32_t
take_rune(struct pattern *p)
{
	unsigned char c = (unsigned char)p->all.p[p->at++];
	uint32_t rune = c;
	unsigned rest = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

	if (rest > 0)
		rune = c & (0x3fu >> rest);
	while (rest-- > 0)
		rune = rune << 6 | ((unsigned char)p->all.p[p->at++] & 0x3f);
	return rune;
}

static void
put_text(struct pattern *p, const char *text)
{
	buf_add(p->out, str_of(text));
}

static void
put_rune(struct pattern *p, uint32_t rune)
{
	buf_addf(p->out, "\\x{%x}", rune);
}

static void
put_atom(struct pattern *p, const char *text)
{
	put_text(p, text);
	p->before = BEFORE_ATOM;
}

static bool
is_alnum(char c)
{
	return chr_digit(c) || (chr_lower(c) >= 'a' && chr_lower(c) <= 'z');
}

static int
digit_value(char c, unsigned base) /* -1: none of this base */
{
	int v = chr_digit(c) ? c - '0' : -1;

	if (v < 0 && base == 16 && chr_lower(c) >= 'a' && chr_lower(c) <= 'f')
		v = chr_lower(c) - 'a' + 10;
	return v < (int)base ? v : -1;
}

/* \xHH or \x{H…}, after the x. */
static bool
take_hex(struct pattern *p, uint32_t *rune)
{
	bool braced = peek(p, 0) == '{';
	size_t digits = 0;

	p->at += braced;
	*rune = 0;
	while ((braced || digits < 2) && digit_value(peek(p, 0), 16) >= 0) {
		*rune = *rune * 16 + (uint32_t)digit_value(p->all.p[p->at++], 16);
		digits++;
		if (*rune > CODE_POINT_LAST)
			return false;
	}
	if (!braced)
		return digits == 2;
	return digits > 0 && more(p, 0) && p->all.p[p->at++] == '}';
}

/* An escape that is one character, at its backslash. */
static int
take_escaped(struct pattern *p, uint32_t *rune)
{
	static const char names[] = "afnrtv", values[] = "\a\f\n\r\t\v";
	size_t from = p->at++;
	const char *name;
	char c = peek(p, 0);

	if (!more(p, 0))
		return refuse(p, "trailing backslash at end of expression", p->at, p->at);
	*rune = take_rune(p);
	if (*rune < 0x80 && !is_alnum(c))
		return 0;
	if (c == 'x') {
		if (take_hex(p, rune))
			return 0;
	} else if (c == '0' || (digit_value(c, 8) > 0 && digit_value(peek(p, 0), 8) >= 0)) {
		*rune = (uint32_t)digit_value(c, 8); /* one digit but 0 would refer back */
		for (int i = 0; i < 2 && digit_value(peek(p, 0), 8) >= 0; i++)
			*rune = *rune * 8 + (uint32_t)digit_value(p->all.p[p->at++], 8);
		return 0;
	} else if (*rune < 0x80 && (name = strchr(names, c)) != NULL) {
		*rune = (uint32_t)values[name - names];
		return 0;
	}
	return refuse(p, "invalid escape sequence", from, p->at);
}

/* \d \W … or \pN \P{Greek}, at its backslash, outside of a class or in one. 1: it was one;
 * 0: it is something else. */
static int
take_class_escape(struct pattern *p, bool inside)
{
	size_t from = p->at, to;
	char c = peek(p, 1);

	if (c == 'd' || c == 'D' || c == 'w' || c == 'W') {
		buf_addf(p->out, "\\%c", c);
		p->at += 2;
		return 1;
	}
	if (c == 's' || c == 'S') { /* without the vertical tab, which PCRE2's has */
		if (inside)
			put_text(p, c == 's' ? "\\t\\n\\f\\r\\x20" : "\\S\\x0b");
		else
			put_text(p, c == 's' ? "[\\t\\n\\f\\r\\x20]" : "[\\S\\x0b]");
		p->at += 2;
		return 1;
	}
	if (c != 'p' && c != 'P')
		return 0;
	p->at += 2;
	if (!more(p, 0))
		return refuse(p, "invalid character class range", from, p->at);
	to = p->at + 1;
	if (peek(p, 0) == '{') {
		to = p->at + str_find(str_skip(p->all, p->at), '}');
		if (to == p->all.n)
			return refuse(p, "invalid character class range", from, to);
		to++;
	}
	for (size_t i = p->at; i < to; i++)
		if (!is_alnum(p->all.p[i]) && strchr("{}^_", p->all.p[i]) == NULL)
			return refuse(p, "invalid character class range", from, to);
	buf_add(p->out, str_head(str_skip(p->all, from), to - from));
	p->at = to;
	return 1;
}

/* [:alpha:] within a class. 1: it was one; 0: it is something else. */
static int
take_posix_class(struct pattern *p)
{
	static const char *const names[] = { "alnum", "alpha", "ascii", "blank", "cntrl", "digit",
		"graph", "lower", "print", "punct", "space", "upper", "word", "xdigit" };
	struct str rest = str_skip(p->all, p->at), name;
	size_t end = 2;

	if (peek(p, 0) != '[' || peek(p, 1) != ':')
		return 0;
	while (end + 1 < rest.n && !(rest.p[end] == ':' && rest.p[end + 1] == ']'))
		end++;
	if (end + 1 >= rest.n)
		return 0;
	name = str_head(str_skip(rest, 2), end - 2);
	if (name.n > 0 && name.p[0] == '^')
		name = str_skip(name, 1);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_eq(name, str_of(names[i]))) {
			buf_add(p->out, str_head(rest, end + 2));
			p->at += end + 2;
			return 1;
		}
	return refuse(p, "invalid character class range", p->at, p->at + end + 2);
}

static int
take_class_rune(struct pattern *p, size_t class_at, uint32_t *rune)
{
	if (!more(p, 0))
		return refuse(p, "missing closing ]", class_at, p->all.n);
	if (peek(p, 0) == '\\')
		return take_escaped(p, rune);
	*rune = take_rune(p);
	return 0;
}

/* One character of a class, or two with what lies between. */
static int
take_class_range(struct pattern *p, size_t class_at)
{
	size_t from = p->at;
	uint32_t low, high;
	int rc = take_class_rune(p, class_at, &low);

	if (rc != 0)
		return rc;
	put_rune(p, low);
	if (peek(p, 0) != '-' || !more(p, 1) || peek(p, 1) == ']')
		return 0;
	p->at++;
	rc = take_class_rune(p, class_at, &high);
	if (rc != 0)
		return rc;
	if (high < low)
		return refuse(p, "invalid character class range", from, p->at);
	put_text(p, "-");
	put_rune(p, high);
	return 0;
}

static int
take_class(struct pattern *p)
{
	size_t from = p->at++;
	bool first = true;

	put_text(p, "[");
	if (peek(p, 0) == '^') {
		put_text(p, "^");
		p->at++;
	}
	for (; first || peek(p, 0) != ']'; first = false) {
		int rc;

		if (!more(p, 0))
			return refuse(p, "missing closing ]", from, p->all.n);
		rc = take_posix_class(p);
		if (rc == 0 && peek(p, 0) == '\\')
			rc = take_class_escape(p, true);
		if (rc == 0)
			rc = take_class_range(p, from);
		if (rc < 0)
			return rc;
	}
	p->at++;
	put_atom(p, "]");
	return 0;
}

static int
take_named_group(struct pattern *p, size_t from)
{
	struct str rest = str_skip(p->all, p->at);
	size_t end = str_find(rest, '>');

	if (end == rest.n)
		return refuse(p, "invalid named capture", from, p->all.n);
	for (size_t i = 0; i < end; i++)
		if (!is_alnum(rest.p[i]) && rest.p[i] != '_')
			end = 0;
	p->at += str_find(rest, '>') + 1;
	if (end == 0)
		return refuse(p, "invalid named capture", from, p->at);
	put_text(p, "(");
	p->depth++;
	p->before = BEFORE_NOTHING;
	return 0;
}

/* (?flags) and (?flags:, after the question mark. */
static int
take_flags(struct pattern *p, size_t from)
{
	bool minus = false, any = false;

	put_text(p, "(?");
	while (more(p, 0)) {
		uint32_t c = take_rune(p);

		if ((c == ':' || c == ')') && !(minus && !any)) {
			buf_addc(p->out, (char)c);
			if (c == ':') {
				p->depth++;
				p->before = BEFORE_NOTHING;
			}
			return 0;
		}
		if (c == '-' && !minus) {
			minus = true;
			any = false;
			put_text(p, "-");
		} else if (c == 'i' || c == 'm' || c == 's' || c == 'U') {
			any = true;
			buf_addc(p->out, (char)c);
		} else {
			break;
		}
	}
	return refuse(p, "invalid or unsupported Perl syntax", from, p->at);
}

static int
take_group(struct pattern *p)
{
	size_t from = p->at++;

	if (peek(p, 0) != '?') {
		put_text(p, "(");
		p->depth++;
		p->before = BEFORE_NOTHING;
		return 0;
	}
	if (peek(p, 1) == 'P' && peek(p, 2) == '<') {
		p->at += 3;
		return take_named_group(p, from);
	}
	p->at++;
	return take_flags(p, from);
}

static int
take_group_end(struct pattern *p)
{
	if (p->depth == 0)
		return refuse(p, "unexpected )", 0, p->all.n);
	p->depth--;
	p->at++;
	put_atom(p, ")");
	return 0;
}

static bool
take_count(struct pattern *p, unsigned *count)
{
	size_t from = p->at;

	*count = 0;
	for (; chr_digit(peek(p, 0)); p->at++)
		if (*count <= REPEAT_MAX)
			*count = *count * 10 + (unsigned)(peek(p, 0) - '0');
	return p->at > from && (p->at == from + 1 || p->all.p[from] != '0');
}

/* {n}, {n,} or {n,m}. False, and nothing taken: it is a brace like any other character. */
static bool
take_counts(struct pattern *p, unsigned *low, unsigned *high)
{
	size_t from = p->at++;
	bool ok = take_count(p, low);

	*high = *low;
	if (ok && peek(p, 0) == ',') {
		p->at++;
		*high = REPEAT_MAX;
		if (peek(p, 0) != '}')
			ok = take_count(p, high);
	}
	if (ok && peek(p, 0) == '}') {
		p->at++;
		return true;
	}
	p->at = from;
	return false;
}

/* An operator that ends where the pattern stands now. */
static int
take_repeat(struct pattern *p, size_t from, bool count_ok)
{
	size_t to = p->at;

	if (peek(p, 0) == '?')
		p->at++;
	if (!count_ok)
		return refuse(p, "invalid repeat count", from, to);
	if (p->before == BEFORE_REPEAT)
		return refuse(p, "invalid nested repetition operator", p->repeat_at, p->at);
	if (p->before == BEFORE_NOTHING)
		return refuse(p, "missing argument to repetition operator", from, p->at);
	buf_add(p->out, str_head(str_skip(p->all, from), p->at - from));
	p->before = BEFORE_REPEAT;
	p->repeat_at = from;
	return 0;
}

/* \Q…\E, after the Q: all of it stands for itself. */
static void
take_quoted(struct pattern *p)
{
	while (more(p, 0) && !(peek(p, 0) == '\\' && peek(p, 1) == 'E')) {
		put_rune(p, take_rune(p));
		p->before = BEFORE_ATOM;
	}
	if (more(p, 0))
		p->at += 2;
}

static int
take_backslash(struct pattern *p)
{
	uint32_t rune;
	int rc;

	switch (peek(p, 1)) {
	case 'A':
	case 'b':
	case 'B':
	case 'z':
		buf_addf(p->out, "(?:\\%c)", peek(p, 1));
		p->at += 2;
		p->before = BEFORE_ATOM;
		return 0;
	case 'Q':
		p->at += 2;
		take_quoted(p);
		return 0;
	default:
		break;
	}
	rc = take_class_escape(p, false);
	if (rc == 0) {
		rc = take_escaped(p, &rune);
		if (rc == 0)
			put_rune(p, rune);
	}
	p->before = BEFORE_ATOM;
	return rc < 0 ? rc : 0;
}

static int
take_one(struct pattern *p)
{
	unsigned low, high;
	size_t from = p->at;

	switch (peek(p, 0)) {
	case '(':
		return take_group(p);
	case ')':
		return take_group_end(p);
	case '[':
		return take_class(p);
	case '\\':
		return take_backslash(p);
	case '*':
	case '+':
	case '?':
		p->at++;
		return take_repeat(p, from, true);
	case '{':
		if (!take_counts(p, &low, &high))
			break;
		return take_repeat(p, from, low <= REPEAT_MAX && high <= REPEAT_MAX && low <= high);
	case '|':
		p->at++;
		put_text(p, "|");
		p->before = BEFORE_NOTHING;
		return 0;
	case '^':
		p->at++;
		put_atom(p, "(?:^)");
		return 0;
	case '$':
		p->at++;
		put_atom(p, "(?:$)");
		return 0;
	case '.':
		p->at++;
		put_atom(p, ".");
		return 0;
	default:
		break;
	}
	put_rune(p, take_rune(p));
	p->before = BEFORE_ATOM;
	return 0;
}

int
regexp_translate(struct str pattern, struct buf *out, struct err *err)
{
	struct pattern p = { .all = pattern, .out = out, .err = err };

	if (pattern.n > REGEXP_BYTES_MAX)
		return err_set(
		    err, ERR_LIMIT, "a regular expression may have %d bytes", REGEXP_BYTES_MAX);
	if (!utf8_valid(pattern))
		return err_set(err, ERR_INPUT, "error parsing regexp: invalid UTF-8");
	while (more(&p, 0)) {
		int rc = take_one(&p);

		if (rc != 0)
			return rc;
	}
	return p.depth > 0 ? refuse(&p, "missing closing )", 0, pattern.n) : 0;
}
