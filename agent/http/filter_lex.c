/* agent/http/filter_lex.c -- words, numbers, strings and operators of a filter (filter_lex.h).
 *
 * Strings and numbers follow Go: between double quotes its escapes count (but a quote cannot be
 * escaped, as in Consul's grammar), between back quotes nothing does.
 */
#include "agent/http/filter_lex.h"

void *
lex_expected(struct lexer *l, const char *what)
{
	if (l->error == NULL && (l->expected == NULL || l->at >= l->failed_at)) {
		l->failed_at = l->at;
		l->expected = what;
	}
	return NULL;
}

void *
lex_refused(struct lexer *l, const char *why)
{
	if (l->error == NULL) {
		l->failed_at = l->at;
		l->error = why;
	}
	return NULL;
}

void *
lex_alloc(struct lexer *l, size_t n)
{
	void *memory = arena_alloc(l->arena, n);

	if (memory == NULL)
		l->no_memory = true;
	return memory != NULL ? memory : lex_refused(l, "the expression is too large");
}

static char
lex_peek(const struct lexer *l) /* 0 at the end */
{
	return l->at < l->text.n ? l->text.p[l->at] : '\0';
}

static bool
is_gap(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool
lex_gap(struct lexer *l)
{
	size_t from = l->at;

	while (is_gap(lex_peek(l)))
		l->at++;
	return l->at > from;
}

bool
lex_byte(struct lexer *l, char c)
{
	if (l->at == l->text.n || lex_peek(l) != c)
		return false;
	l->at++;
	return true;
}

static bool
is_letter(char c)
{
	return chr_lower(c) >= 'a' && chr_lower(c) <= 'z';
}

bool
lex_word(struct lexer *l, struct str *out)
{
	size_t from = l->at;

	if (!is_letter(lex_peek(l)))
		return false;
	while (is_letter(lex_peek(l)) || chr_digit(lex_peek(l)) || lex_peek(l) == '_')
		l->at++;
	*out = str_head(str_skip(l->text, from), l->at - from);
	return true;
}

bool
lex_this_word(struct lexer *l, const char *word)
{
	size_t from = l->at;
	struct str found;

	if (lex_word(l, &found) && str_eq(found, str_of(word)))
		return true;
	l->at = from;
	return false;
}

bool
lex_keyword(struct lexer *l, const char *word)
{
	size_t from = l->at;

	if (lex_gap(l) && lex_this_word(l, word))
		return true;
	l->at = from;
	return false;
}

bool
lex_operator(struct lexer *l, const char *first, const char *second)
{
	size_t from = l->at;

	if (lex_keyword(l, first) && (second == NULL || lex_keyword(l, second)) && lex_gap(l))
		return true;
	l->at = from;
	return false;
}

bool
lex_equality(struct lexer *l, bool *equal)
{
	size_t from = l->at;
	char c;

	lex_gap(l);
	c = lex_peek(l);
	*equal = c == '=';
	if ((c == '=' || c == '!') && lex_byte(l, c) && lex_byte(l, '=')) {
		lex_gap(l);
		return true;
	}
	l->at = from;
	return false;
}

static void
lex_digits(struct lexer *l)
{
	while (chr_digit(lex_peek(l)))
		l->at++;
}

bool
lex_number(struct lexer *l, struct str *out)
{
	size_t from = l->at;

	lex_byte(l, '-');
	if (!chr_digit(lex_peek(l))) {
		l->at = from;
		return false;
	}
	if (!lex_byte(l, '0'))
		lex_digits(l);
	if (lex_peek(l) == '.' && l->at + 1 < l->text.n && chr_digit(l->text.p[l->at + 1])) {
		l->at++;
		lex_digits(l);
	}
	*out = str_head(str_skip(l->text, from), l->at - from);
	if (l->at < l->text.n && !is_gap(lex_peek(l)) && lex_peek(l) != ')')
		lex_refused(l, "rule \"number\": Invalid number literal");
	return true;
}

static unsigned
hex_digit(char c) /* 16: it is none */
{
	if (chr_digit(c))
		return (unsigned)(c - '0');
	c = chr_lower(c);
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* UTF-8 of a code point, as strconv.Unquote writes it. Returns the bytes; 0: there is none. */
static size_t
put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if ((c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 0;
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* `digits` digits of a base at the front of *s. */
static bool
take_digits(struct str *s, unsigned digits, unsigned base, uint32_t *out)
{
	*out = 0;
	if (s->n < digits)
		return false;
	for (unsigned i = 0; i < digits; i++) {
		unsigned v = hex_digit(s->p[i]);

		if (v >= base)
			return false;
		*out = *out * base + v;
	}
	*s = str_skip(*s, digits);
	return true;
}

/* One escape of Go's after its backslash; bytes written, 0: it is none. */
static size_t
unescape(struct str *s, char *out)
{
	static const char names[] = "abfnrtv\\\"", values[] = "\a\b\f\n\r\t\v\\\"";
	char c = s->n > 0 ? s->p[0] : '\0';
	const char *name = c == '\0' ? NULL : strchr(names, c);
	uint32_t code;

	if (c >= '0' && c <= '7') {
		if (!take_digits(s, 3, 8, &code) || code > 255)
			return 0;
		*out = (char)code;
		return 1;
	}
	if (s->n == 0)
		return 0;
	*s = str_skip(*s, 1);
	if (name != NULL) {
		*out = values[name - names];
		return 1;
	}
	if (c == 'x' && take_digits(s, 2, 16, &code)) {
		*out = (char)code;
		return 1;
	}
	if ((c == 'u' && take_digits(s, 4, 16, &code)) ||
	    (c == 'U' && take_digits(s, 8, 16, &code)))
		return put_utf8(out, code);
	return 0;
}

/* What a string's inside means: escapes between double quotes, none but lost carriage returns
 * between back quotes. */
static bool
unquote(struct lexer *l, struct str inside, char quote, struct str *out)
{
	char *text = lex_alloc(l, inside.n + 1); /* no escape is shorter than what it means */
	size_t n = 0;

	if (text == NULL)
		return false;
	while (inside.n > 0) {
		char c = inside.p[0];

		inside = str_skip(inside, 1);
		if (quote == '"' && c == '\n')
			return false;
		if (quote == '"' && c == '\\') {
			size_t wrote = unescape(&inside, text + n);

			if (wrote == 0)
				return false;
			n += wrote;
		} else if (quote == '"' || c != '\r') {
			text[n++] = c;
		}
	}
	*out = str_mem(text, n);
	return true;
}

bool
lex_string(struct lexer *l, struct str *out)
{
	char quote = lex_peek(l);
	struct str inside;
	size_t n;

	if (quote != '"' && quote != '`')
		return false;
	inside = str_skip(l->text, l->at + 1);
	n = str_find(inside, quote);
	if (n == inside.n) {
		l->at = l->text.n;
		lex_refused(l, "rule \"string\": Unterminated string literal");
		return true;
	}
	if (unquote(l, str_head(inside, n), quote, out))
		l->at += n + 2;
	else
		lex_refused(l, "rule \"string\": invalid syntax");
	return true;
}
