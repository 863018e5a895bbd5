/* base/json_scan.c -- the extent of the first JSON value, and what is wrong with it.
 *
 * The same steps as json.Decoder of Go takes, one value deep into the text and no further, so
 * that trailing data is left alone and errors read as clients of Go programs know them. Sources:
 * RFC 8259; the documented behaviour of encoding/json. Parts: scalars, then values and what may
 * stand between them, with one bit of memory per level of nesting.
 */
#include <stdio.h>

#include "base/json.h"

struct json_scan {
	struct str s;
	size_t at;
	struct err *err;
};

static int
scan_end(const struct json_scan *sc) /* the text ends inside a value */
{
	return err_set(sc->err, ERR_INPUT, "unexpected EOF");
}

/* The byte at `at` does not belong there. */
static int
scan_bad(const struct json_scan *sc, const char *where)
{
	unsigned char c = (unsigned char)sc->s.p[sc->at];
	char shown[8];

	if (c == '\'')
		snprintf(shown, sizeof shown, "\\'");
	else if (c == '\\')
		snprintf(shown, sizeof shown, "\\\\");
	else if (c == '\n')
		snprintf(shown, sizeof shown, "\\n");
	else if (c < 0x20 || c >= 0x7f)
		snprintf(shown, sizeof shown, "\\x%02x", c);
	else
		snprintf(shown, sizeof shown, "%c", c);
	return err_set(sc->err, ERR_INPUT, "invalid character '%s' %s", shown, where);
}

static bool
scan_has(const struct json_scan *sc)
{
	return sc->at < sc->s.n;
}

static char
scan_char(const struct json_scan *sc) /* the byte at hand; NUL at the end */
{
	return scan_has(sc) ? sc->s.p[sc->at] : '\0';
}

static void
scan_space(struct json_scan *sc)
{
	while (scan_has(sc) && strchr(" \t\r\n", scan_char(sc)) != NULL && scan_char(sc) != '\0')
		sc->at++;
}

static int
scan_escape(struct json_scan *sc) /* after the backslash */
{
	if (!scan_has(sc))
		return scan_end(sc);
	if (scan_char(sc) == '\0' || strchr("\"\\/bfnrtu", scan_char(sc)) == NULL)
		return scan_bad(sc, "in string escape code");
	if (sc->s.p[sc->at++] != 'u')
		return 0;
	for (int i = 0; i < 4; i++, sc->at++) {
		char c = chr_lower(scan_char(sc));

		if (!scan_has(sc))
			return scan_end(sc);
		if (!chr_digit(c) && (c < 'a' || c > 'f'))
			return scan_bad(sc, "in \\u hexadecimal character escape");
	}
	return 0;
}

static int
scan_string(struct json_scan *sc) /* at the opening quote */
{
	int rc = 0;

	sc->at++;
	while (rc == 0) {
		if (!scan_has(sc))
			return scan_end(sc);
		if (scan_char(sc) == '"') {
			sc->at++;
			return 0;
		}
		if ((unsigned char)scan_char(sc) < 0x20)
			return scan_bad(sc, "in string literal");
		if (sc->s.p[sc->at++] == '\\')
			rc = scan_escape(sc);
	}
	return rc;
}

static int
scan_literal(struct json_scan *sc, const char *word)
{
	char where[48];

	for (size_t i = 0; word[i] != '\0'; i++, sc->at++) {
		if (!scan_has(sc))
			return scan_end(sc);
		if (scan_char(sc) != word[i]) {
			snprintf(
			    where, sizeof where, "in literal %s (expecting '%c')", word, word[i]);
			return scan_bad(sc, where);
		}
	}
	return 0;
}

static int
scan_digits(struct json_scan *sc, const char *where) /* one or more */
{
	if (!scan_has(sc))
		return scan_end(sc);
	if (!chr_digit(scan_char(sc)))
		return scan_bad(sc, where);
	while (chr_digit(scan_char(sc)))
		sc->at++;
	return 0;
}

static int
scan_number(struct json_scan *sc)
{
	int rc;

	if (scan_char(sc) == '-')
		sc->at++;
	if (scan_char(sc) == '0') {
		sc->at++;
	} else {
		rc = scan_digits(sc, "in numeric literal");
		if (rc != 0)
			return rc;
	}
	if (scan_char(sc) == '.') {
		sc->at++;
		rc = scan_digits(sc, "after decimal point in numeric literal");
		if (rc != 0)
			return rc;
	}
	if (scan_char(sc) == 'e' || scan_char(sc) == 'E') {
		sc->at++;
		if (scan_char(sc) == '+' || scan_char(sc) == '-')
			sc->at++;
		return scan_digits(sc, "in exponent of numeric literal");
	}
	return 0;
}

static int
scan_scalar(struct json_scan *sc)
{
	switch (scan_char(sc)) {
	case '"':
		return scan_string(sc);
	case 't':
		return scan_literal(sc, "true");
	case 'f':
		return scan_literal(sc, "false");
	case 'n':
		return scan_literal(sc, "null");
	default:
		if (scan_char(sc) == '-' || chr_digit(scan_char(sc)))
			return scan_number(sc);
		return scan_bad(sc, "looking for beginning of value");
	}
}

static int
scan_key(struct json_scan *sc) /* a member's name and its colon */
{
	int rc;

	if (scan_char(sc) != '"')
		return scan_bad(sc, "looking for beginning of object key string");
	rc = scan_string(sc);
	if (rc != 0)
		return rc;
	scan_space(sc);
	if (!scan_has(sc))
		return scan_end(sc);
	if (scan_char(sc) != ':')
		return scan_bad(sc, "after object key");
	sc->at++;
	return 0;
}

int
json_scan(struct str text, struct str *first, struct err *err)
{
	enum { VALUE, FIRST, KEY, AFTER } want = VALUE; /* FIRST: just inside a bracket */
	struct json_scan sc = { text, 0, err };
	bool object[JSON_DEPTH_MAX]; /* what each level is */
	size_t depth = 0, begin;
	int rc = 0;

	scan_space(&sc);
	if (!scan_has(&sc))
		return err_set(err, ERR_INPUT, "EOF");
	begin = sc.at;
	do {
		char c;

		scan_space(&sc);
		if (!scan_has(&sc))
			return scan_end(&sc);
		c = scan_char(&sc);
		if (want == AFTER && c == ',') {
			want = object[depth - 1] ? KEY : VALUE;
			sc.at++;
		} else if ((want == AFTER || want == FIRST) &&
			   c == (object[depth - 1] ? '}' : ']')) {
			depth--;
			want = AFTER;
			sc.at++;
		} else if (want == AFTER) {
			return scan_bad(&sc, object[depth - 1] ? "after object key:value pair"
							       : "after array element");
		} else if (want == KEY || (want == FIRST && object[depth - 1])) {
			rc = scan_key(&sc);
			want = VALUE;
		} else if (c == '{' || c == '[') {
			if (depth == JSON_DEPTH_MAX)
				return err_set(err, ERR_LIMIT, "exceeded max depth");
			object[depth++] = c == '{';
			want = FIRST;
			sc.at++;
		} else {
			rc = scan_scalar(&sc);
			want = AFTER;
		}
	} while (rc == 0 && (depth > 0 || want != AFTER));
	if (rc == 0)
		*first = str_mem(text.p + begin, sc.at - begin);
	return rc;
}
