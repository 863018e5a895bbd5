/* base/json.c -- JSON in: bound, repair, parse. Sources: RFC 8259; Go's encoding/json for
 * what is repaired instead of refused. */
#include "base/json.h"

#define JSON_WIDE "u64" /* the only member of what stands for a number above INT64_MAX */

/* Length of the UTF-8 sequence at s (RFC 3629), 0 when there is none. */
static size_t
utf8_sequence(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0; /* no overlong forms */
	if (p[0] == 0xed)
		high = 0x9f; /* no surrogates */
	if (p[0] == 0xf0)
		low = 0x90;
	if (p[0] == 0xf4)
		high = 0x8f; /* nothing above U+10FFFF */
	if (s.n < n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool
utf8_valid(struct str s)
{
	while (s.n > 0) {
		size_t n = utf8_sequence(s);

		if (n == 0)
			return false;
		s = str_skip(s, n);
	}
	return true;
}

/* The code unit of "\uXXXX" at s, or -1. */
static int
json_escape_unit(struct str s)
{
	int v = 0;

	if (s.n < 6 || s.p[0] != '\\' || s.p[1] != 'u')
		return -1;
	for (size_t i = 2; i < 6; i++) {
		char c = chr_lower(s.p[i]);

		if (chr_digit(c))
			v = v << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (c - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/* How many bytes at the front stand for themselves: ASCII, no escape, not the literal's end. */
static size_t
json_ascii_run(struct str s)
{
	size_t n = 0;

	while (n < s.n && (unsigned char)s.p[n] < 0x80 && s.p[n] != '"' && s.p[n] != '\\')
		n++;
	return n;
}

/* One piece of a string literal at s: copies it, repaired, to out; returns its length. */
static size_t
json_repair_piece(struct str s, struct buf *out)
{
	int unit, pair;
	size_t n = json_ascii_run(s);

	if (n > 0) {
		buf_add(out, str_head(s, n));
		return n;
	}
	if (s.p[0] != '\\') {
		n = utf8_sequence(s);
		buf_add(out, n == 0 ? STR("\xef\xbf\xbd") : str_head(s, n));
		return n == 0 ? 1 : n;
	}
	unit = json_escape_unit(s);
	if (unit < 0xd800 || unit > 0xdfff) {
		n = s.n < 2 ? s.n : 2;
		buf_add(out, str_head(s, n));
		return n;
	}
	pair = json_escape_unit(str_skip(s, 6));
	if (unit <= 0xdbff && pair >= 0xdc00 && pair <= 0xdfff) {
		buf_add(out, str_head(s, 12));
		return 12;
	}
	buf_add(out, STR("\\ufffd"));
	return 6;
}

/* Length of the number at the front of s when it is whole and above INT64_MAX, else 0. */
static size_t
json_wide_number(struct str s)
{
	size_t n = 0;
	uint64_t v;

	while (n < s.n && chr_digit(s.p[n]))
		n++;
	if (n == 0 || s.p[0] == '0' || (n < s.n && (s.p[n] == '.' || s.p[n] == 'e' || s.p[n] == 'E')))
		return 0;
	return str_u64(str_head(s, n), UINT64_MAX, &v) && v > INT64_MAX ? n : 0;
}

/* Whether a number may begin behind this character: not within one. */
static bool
json_number_after(char c)
{
	return c == ':' || c == ',' || c == '[' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies text to out with strings repaired, and measures nesting. */
static int
json_prepare(struct str text, bool wide, struct buf *out, struct err *err)
{
	unsigned depth = 0;
	bool in_string = false;
	char before = ' ';

	while (text.n > 0) {
		char c = text.p[0];
		size_t n;

		if (in_string && c != '"') {
			text = str_skip(text, json_repair_piece(text, out));
			continue;
		}
		if (wide && !in_string && json_number_after(before) &&
		    (n = json_wide_number(text)) > 0) {
			buf_addf(out, "{\"" JSON_WIDE "\":\"" STR_FMT "\"}",
			    STR_ARG(str_head(text, n)));
			text = str_skip(text, n);
			before = '0';
			continue;
		}
		before = c;
		if (c == '"')
			in_string = !in_string;
		else if ((c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
			return err_set(err, ERR_LIMIT, "nested deeper than %d levels", JSON_DEPTH_MAX);
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
		buf_addc(out, c);
		text = str_skip(text, 1);
	}
	return out->full ? err_set(err, ERR_MEMORY, "JSON text is too long") : 0;
}

static int
json_load(struct str text, bool wide, json_t **out, struct err *err)
{
	struct buf repaired;
	json_error_t where;
	json_t *value = NULL;
	int rc;

	buf_init(&repaired, text.n * 3 + 1); /* one bad byte becomes three, 19 digits 30 bytes */
	rc = json_prepare(text, wide, &repaired, err);
	if (rc == 0) {
		value = json_loadb(repaired.p == NULL ? "" : repaired.p, repaired.n,
		    JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
		if (value == NULL)
			rc = err_set(err, ERR_INPUT, "line %d column %d: %s", where.line,
			    where.column, where.text);
	}
	buf_done(&repaired);
	if (rc == 0)
		*out = value;
	return rc;
}

int
json_read(struct str text, json_t **out, struct err *err)
{
	return json_load(text, false, out, err);
}

int
json_read_wide(struct str text, json_t **out, struct err *err)
{
	return json_load(text, true, out, err);
}

bool
json_u64(const json_t *v, uint64_t *out)
{
	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*out = (uint64_t)json_integer_value(v);
		return true;
	}
	return json_object_size(v) == 1 &&
	       str_u64(json_text(json_object_get(v, JSON_WIDE)), UINT64_MAX, out);
}

struct str
json_text(const json_t *value)
{
	if (!json_is_string(value))
		return STR_NONE;
	return str_mem(json_string_value(value), json_string_length(value));
}

struct str
json_member_str(const json_t *object, const char *key)
{
	return json_text(json_object_get(object, key));
}

int64_t
json_member_int(const json_t *object, const char *key, int64_t none)
{
	const json_t *v = json_object_get(object, key);

	return json_is_integer(v) ? json_integer_value(v) : none;
}

bool
json_member_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static void
json_put_char(struct buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		buf_add(b, STR("\\\""));
		break;
	case '\\':
		buf_add(b, STR("\\\\"));
		break;
	case '\n':
		buf_add(b, STR("\\n"));
		break;
	case '\r':
		buf_add(b, STR("\\r"));
		break;
	case '\t':
		buf_add(b, STR("\\t"));
		break;
	default:
		buf_addf(b, "\\u%04x", c);
	}
}

/* Bytes of s up to the first that needs an escape. */
static size_t
json_plain_run(struct str s)
{
	size_t i = 0;

	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\' || c == '<' || c == '>' ||
		    c == '&')
			break;
		i++;
	}
	return i;
}

void
json_put_str(struct buf *b, struct str s)
{
	buf_addc(b, '"');
	while (s.n > 0) {
		size_t n = json_plain_run(s);

		if (n == 0 && (unsigned char)s.p[0] < 0x80) {
			json_put_char(b, (unsigned char)s.p[0]);
			n = 1;
		} else if (n == 0) {
			n = utf8_sequence(s);
			if (n == 0)
				buf_add(b, STR("\\ufffd"));
			else if (n == 3 && memcmp(s.p, "\xe2\x80\xa8", 3) == 0)
				buf_add(b, STR("\\u2028"));
			else if (n == 3 && memcmp(s.p, "\xe2\x80\xa9", 3) == 0)
				buf_add(b, STR("\\u2029"));
			else
				buf_add(b, str_head(s, n));
			n = n == 0 ? 1 : n;
		} else {
			buf_add(b, str_head(s, n));
		}
		s = str_skip(s, n);
	}
	buf_addc(b, '"');
}
