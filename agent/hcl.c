/* agent/hcl.c -- HCL 1 in one pass over the text: no tokens are kept, each rule reads its own.
 *
 * In order: the place and errors; white space and comments; strings, heredocs, numbers; values;
 * members of an object and how repeated ones merge. Every rule that calls itself counts its
 * depth, every value counts, and no look ahead goes beyond the end. The grammar is that of
 * HashiCorp's HCL 1 as its users know it; interpolation "${...}" is text here.
 */
#include "agent/hcl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/buf.h"

#define HCL_NUMBER_MAX 64 /* characters of a number */

struct hcl {
	struct str name, text;
	size_t at; /* at <= text.n, always */
	unsigned line, depth;
	size_t values;
	struct err *err;
};

/* ---- the place ---- */

static int
hcl_fail(struct hcl *h, const char *what)
{
	return err_set(h->err, ERR_INPUT, STR_FMT ":%u: %s", STR_ARG(h->name), h->line, what);
}

static int
hcl_limit(struct hcl *h, const char *what)
{
	return err_set(h->err, ERR_LIMIT, STR_FMT ":%u: %s", STR_ARG(h->name), h->line, what);
}

/* The byte `ahead` of here; -1 beyond the end. */
static int
hcl_peek(const struct hcl *h, size_t ahead)
{
	return ahead < h->text.n - h->at ? (unsigned char)h->text.p[h->at + ahead] : -1;
}

static void
hcl_skip(struct hcl *h)
{
	if (h->text.p[h->at++] == '\n')
		h->line++;
}

static int
hcl_expected(struct hcl *h, const char *what)
{
	int c = hcl_peek(h, 0);

	if (c < 0)
		return err_set(h->err, ERR_INPUT, STR_FMT ":%u: the file ends where %s must stand",
		    STR_ARG(h->name), h->line, what);
	if (c > ' ' && c < 127)
		return err_set(h->err, ERR_INPUT, STR_FMT ":%u: '%c' where %s must stand",
		    STR_ARG(h->name), h->line, c, what);
	return err_set(h->err, ERR_INPUT, STR_FMT ":%u: byte 0x%02x where %s must stand",
	    STR_ARG(h->name), h->line, (unsigned)c, what);
}

static bool
hcl_take(struct hcl *h, char c)
{
	if (hcl_peek(h, 0) != (unsigned char)c)
		return false;
	hcl_skip(h);
	return true;
}

/* ---- white space and comments ---- */

static void
hcl_line_end(struct hcl *h) /* up to, not over it */
{
	while (hcl_peek(h, 0) >= 0 && hcl_peek(h, 0) != '\n')
		hcl_skip(h);
}

static int
hcl_space(struct hcl *h)
{
	for (;;) {
		int c = hcl_peek(h, 0);

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			hcl_skip(h);
		} else if (c == '#' || (c == '/' && hcl_peek(h, 1) == '/')) {
			hcl_line_end(h);
		} else if (c == '/' && hcl_peek(h, 1) == '*') {
			unsigned line = h->line;

			hcl_skip(h);
			hcl_skip(h);
			while (hcl_peek(h, 0) >= 0 &&
			       !(hcl_peek(h, 0) == '*' && hcl_peek(h, 1) == '/'))
				hcl_skip(h);
			if (hcl_peek(h, 0) < 0) {
				h->line = line;
				return hcl_fail(h, "this comment has no end");
			}
			hcl_skip(h);
			hcl_skip(h);
		} else {
			return 0;
		}
	}
}

/* ---- strings ---- */

static int
hcl_text_new(struct hcl *h, struct str s, json_t **out)
{
	if (!utf8_valid(s))
		return hcl_fail(h, "this text is not UTF-8");
	*out = json_stringn(s.p == NULL ? "" : s.p, s.n);
	return *out == NULL ? hcl_limit(h, "out of memory") : 0;
}

static void
hcl_put_rune(struct buf *b, uint32_t r)
{
	char u[4];

	if (r < 0x80) {
		buf_add(b, str_mem(&(char){ (char)r }, 1));
		return;
	}
	if (r < 0x800) {
		u[0] = (char)(0xc0 | r >> 6);
		u[1] = (char)(0x80 | (r & 63));
		buf_add(b, str_mem(u, 2));
	} else if (r < 0x10000) {
		u[0] = (char)(0xe0 | r >> 12);
		u[1] = (char)(0x80 | (r >> 6 & 63));
		u[2] = (char)(0x80 | (r & 63));
		buf_add(b, str_mem(u, 3));
	} else {
		u[0] = (char)(0xf0 | r >> 18);
		u[1] = (char)(0x80 | (r >> 12 & 63));
		u[2] = (char)(0x80 | (r >> 6 & 63));
		u[3] = (char)(0x80 | (r & 63));
		buf_add(b, str_mem(u, 4));
	}
}

static int
hcl_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* `digits` digits of a base as one number. */
static int
hcl_code(struct hcl *h, size_t digits, int base, uint32_t *out)
{
	*out = 0;
	for (; digits > 0; digits--) {
		int d = hcl_digit(hcl_peek(h, 0));

		if (d >= base)
			return hcl_expected(h, "a digit of an escape");
		*out = *out * (uint32_t)base + (uint32_t)d;
		hcl_skip(h);
	}
	return 0;
}

/* Behind the backslash. */
static int
hcl_escape(struct hcl *h, struct buf *b)
{
	static const char names[] = "abfnrtv\\\"", bytes[] = "\a\b\f\n\r\t\v\\\"";
	int c = hcl_peek(h, 0), rc;
	uint32_t code;

	for (size_t i = 0; names[i] != '\0'; i++) {
		if (c == names[i]) {
			hcl_skip(h);
			buf_add(b, str_mem(&bytes[i], 1));
			return 0;
		}
	}
	if (c >= '0' && c <= '7') {
		rc = hcl_code(h, 3, 8, &code);
	} else if (c == 'x' || c == 'u' || c == 'U') {
		hcl_skip(h);
		rc = hcl_code(h, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16, &code);
	} else {
		return hcl_fail(h, "unknown escape in a text");
	}
	if (rc < 0)
		return rc;
	if (c == 'u' || c == 'U') {
		if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return hcl_fail(h, "this escape is no character");
		hcl_put_rune(b, code);
	} else if (code > 255) {
		return hcl_fail(h, "this escape is larger than a byte");
	} else {
		buf_add(b, str_mem(&(char){ (char)code }, 1));
	}
	return 0;
}

/* From the quote on. Quotes within ${...} do not end it. */
static int
hcl_quoted(struct hcl *h, struct buf *b)
{
	unsigned braces = 0;

	hcl_skip(h);
	for (;;) {
		int c = hcl_peek(h, 0);
		char byte = (char)c;

		if (c < 0 || (c == '\n' && braces == 0))
			return hcl_fail(h, "this text has no closing quote");
		if (c == '"' && braces == 0) {
			hcl_skip(h);
			return 0;
		}
		hcl_skip(h);
		if (c == '\\' && braces == 0) {
			int rc = hcl_escape(h, b);

			if (rc < 0)
				return rc;
			continue;
		}
		if (braces == 0 && c == '$' && hcl_peek(h, 0) == '{') {
			buf_add(b, STR("${"));
			hcl_skip(h);
			braces = 1;
			continue;
		}
		if (braces > 0 && (c == '{' || c == '}'))
			braces += c == '{' ? 1 : -1U;
		buf_add(b, str_mem(&byte, 1));
	}
}

static struct str
hcl_line(struct hcl *h) /* one line, without its end; moves beyond it */
{
	size_t from = h->at, end;

	hcl_line_end(h);
	end = h->at;
	if (hcl_peek(h, 0) >= 0)
		hcl_skip(h);
	return str_mem(h->text.p + from, end - from);
}

static struct str
hcl_unindented(struct str line)
{
	while (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
		line = str_skip(line, 1);
	return line;
}

static struct str
hcl_without_cr(struct str line)
{
	return str_ends(line, STR("\r")) ? str_head(line, line.n - 1) : line;
}

/* From << on. With <<- the blanks that all lines begin with go, as many as the last line (that of
 * the mark) has; when a line has fewer, all stay. */
static int
hcl_heredoc(struct hcl *h, struct buf *b)
{
	unsigned line = h->line;
	bool indented;
	struct str mark, body, rest, one;
	size_t from, end = 0, indent = 0;

	hcl_skip(h);
	hcl_skip(h);
	indented = hcl_take(h, '-');
	mark = hcl_without_cr(hcl_line(h));
	for (size_t i = 0; i < mark.n; i++)
		if (!chr_digit(mark.p[i]) && mark.p[i] != '_' &&
		    !(chr_lower(mark.p[i]) >= 'a' && chr_lower(mark.p[i]) <= 'z'))
			mark.n = 0;
	if (mark.n == 0) {
		h->line = line;
		return hcl_fail(h, "<< must be followed by a mark, such as EOF, alone on its line");
	}
	from = h->at;
	for (;;) {
		size_t here = h->at;
		struct str bare;

		if (hcl_peek(h, 0) < 0) {
			h->line = line;
			return hcl_fail(h, "the mark that ends this text is missing");
		}
		one = hcl_without_cr(hcl_line(h));
		bare = hcl_unindented(one);
		if (str_eq(bare, mark)) {
			end = here;
			indent = one.n - bare.n;
			break;
		}
	}
	body = str_mem(h->text.p + from, end - from);
	for (rest = body; indented && rest.n > 0;) {
		one = str_cut(&rest, '\n');
		if (one.n - hcl_unindented(one).n < indent)
			indented = false;
	}
	for (rest = body; rest.n > 0;) {
		one = str_cut(&rest, '\n');
		buf_add(b, indented ? str_skip(one, indent) : one);
		buf_add(b, STR("\n"));
	}
	return 0;
}

/* ---- words and numbers ---- */

static bool
hcl_is_word(int c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80)
		return true;
	return !first && ((c >= '0' && c <= '9') || c == '-' || c == '.');
}

static struct str
hcl_word(struct hcl *h)
{
	size_t from = h->at;

	while (hcl_is_word(hcl_peek(h, 0), h->at == from))
		hcl_skip(h);
	return str_mem(h->text.p + from, h->at - from);
}

static int
hcl_number(struct hcl *h, json_t **out)
{
	char room[HCL_NUMBER_MAX], *end;
	size_t n = 0;
	bool real = false, hex = false;
	int c;

	while ((c = hcl_peek(h, 0)) == '-' || c == '+' || c == '.' || (c >= '0' && c <= '9') ||
	       (chr_lower((char)c) >= 'a' && chr_lower((char)c) <= 'f' && c > 0) || c == 'x' ||
	       c == 'X') {
		if (n + 1 == sizeof room)
			return hcl_limit(h, "this number is too long");
		hex = hex || c == 'x' || c == 'X';
		real = real || c == '.' || (!hex && (c == 'e' || c == 'E'));
		room[n++] = (char)c;
		hcl_skip(h);
	}
	room[n] = '\0';
	errno = 0;
	if (real && !hex) {
		double d = strtod(room, &end);

		*out = isfinite(d) ? json_real(d) : NULL;
	} else {
		long long v = strtoll(room, &end, 0);

		*out = errno == 0 ? json_integer(v) : NULL;
	}
	if (*end != '\0' || *out == NULL || end == room || hcl_is_word(hcl_peek(h, 0), false)) {
		json_decref(*out);
		*out = NULL;
		return hcl_fail(h, "this is no number");
	}
	return 0;
}

/* ---- values ---- */

static int hcl_members(struct hcl *h, json_t *object, bool braces);
static int hcl_value(struct hcl *h, json_t **out);

static int
hcl_enter(struct hcl *h)
{
	if (h->depth == HCL_DEPTH_MAX)
		return hcl_limit(h, "nested too deep");
	h->depth++;
	return 0;
}

/* From the brace on, to behind the closing one. */
static int
hcl_object(struct hcl *h, json_t **out)
{
	int rc = hcl_enter(h);

	if (rc < 0)
		return rc;
	hcl_skip(h);
	*out = json_object();
	rc = hcl_members(h, *out, true);
	h->depth--;
	return rc;
}

static int
hcl_list(struct hcl *h, json_t **out)
{
	int rc = hcl_enter(h);

	if (rc < 0)
		return rc;
	hcl_skip(h);
	*out = json_array();
	for (;;) {
		json_t *item = NULL;

		rc = hcl_space(h);
		if (rc < 0)
			return rc;
		if (hcl_take(h, ']'))
			break;
		rc = hcl_value(h, &item);
		if (rc < 0) {
			json_decref(item);
			return rc;
		}
		json_array_append_new(*out, item);
		rc = hcl_space(h);
		if (rc < 0)
			return rc;
		if (!hcl_take(h, ',') && hcl_peek(h, 0) != ']')
			return hcl_expected(h, "',' or ']'");
	}
	h->depth--;
	return 0;
}

static int
hcl_text(struct hcl *h, json_t **out)
{
	struct buf b;
	int rc;

	buf_init(&b, h->text.n + 4); /* no escape is shorter than what it stands for */
	rc = hcl_peek(h, 0) == '"' ? hcl_quoted(h, &b) : hcl_heredoc(h, &b);
	if (rc == 0)
		rc = hcl_text_new(h, buf_str(&b), out);
	buf_done(&b);
	return rc;
}

/* On failure *out may hold a part, which the caller releases. */
static int
hcl_value(struct hcl *h, json_t **out)
{
	int c = hcl_peek(h, 0);

	if (++h->values > HCL_VALUES_MAX)
		return hcl_limit(h, "too many values");
	if (c == '"' || (c == '<' && hcl_peek(h, 1) == '<'))
		return hcl_text(h, out);
	if (c == '{')
		return hcl_object(h, out);
	if (c == '[')
		return hcl_list(h, out);
	if (c == '-' || c == '+' || (c >= '0' && c <= '9'))
		return hcl_number(h, out);
	if (hcl_is_word(c, true)) {
		struct str word = hcl_word(h);

		if (!str_eq(word, STR("true")) && !str_eq(word, STR("false")))
			return hcl_fail(h, "a text must stand in quotes");
		*out = json_boolean(word.n == 4);
		return 0;
	}
	return hcl_expected(h, "a value");
}

/* ---- members ---- */

/* Takes `value`. A list of objects (blocks) grows by the objects of another one. */
static void
hcl_merge(json_t *object, struct str key, json_t *value)
{
	json_t *old = json_object_getn(object, key.p, key.n);

	if (old == NULL) {
		json_object_setn_new(object, key.p, key.n, value);
		return;
	}
	if (!json_is_array(old)) {
		json_t *list = json_array();

		json_array_append(list, old);
		json_object_setn_new(object, key.p, key.n, list);
		old = list;
	}
	if (json_is_array(value)) {
		json_array_extend(old, value);
		json_decref(value);
	} else {
		json_array_append_new(old, value);
	}
}

/* A key or label: a word or a text. The buffer is emptied before. */
static int
hcl_key(struct hcl *h, struct buf *key)
{
	int c = hcl_peek(h, 0);

	buf_clear(key);
	if (c == '"') {
		int rc = hcl_quoted(h, key);

		if (rc < 0)
			return rc;
	} else if (hcl_is_word(c, true)) {
		buf_add(key, hcl_word(h));
	} else {
		return hcl_expected(h, "a key");
	}
	if (buf_str(key).n == 0)
		return hcl_fail(h, "a key may not be empty");
	if (str_find(buf_str(key), '\0') < buf_str(key).n || !utf8_valid(buf_str(key)))
		return hcl_fail(h, "this key is not UTF-8 text");
	return 0;
}

/* Labels and the block behind a key: each label an object in a list around it. */
static int
hcl_block(struct hcl *h, json_t **out)
{
	json_t *labels[HCL_LABELS_MAX], *value = NULL;
	size_t count = 0;
	struct buf label;
	int rc = 0;

	buf_init(&label, h->text.n + 4);
	while (rc == 0 && hcl_peek(h, 0) != '{') {
		rc = count == HCL_LABELS_MAX ? hcl_limit(h, "too many labels") : hcl_key(h, &label);
		if (rc == 0)
			rc = hcl_text_new(h, buf_str(&label), &labels[count]);
		if (rc == 0) {
			count++;
			rc = hcl_space(h);
		}
	}
	buf_done(&label);
	if (rc == 0)
		rc = ++h->values > HCL_VALUES_MAX ? hcl_limit(h, "too many values")
						  : hcl_object(h, &value);
	if (rc == 0)
		value = json_pack("[o]", value);
	while (count-- > 0) {
		if (rc == 0)
			value = json_pack("[{s:o}]", json_string_value(labels[count]), value);
		json_decref(labels[count]);
	}
	*out = value;
	return rc;
}

static int
hcl_member(struct hcl *h, json_t *object)
{
	json_t *value = NULL;
	struct buf key;
	int rc, c;

	buf_init(&key, h->text.n + 4);
	rc = hcl_key(h, &key);
	if (rc == 0)
		rc = hcl_space(h);
	c = hcl_peek(h, 0);
	if (rc == 0 && (c == '=' || c == ':')) {
		hcl_skip(h);
		rc = hcl_space(h);
		if (rc == 0)
			rc = hcl_value(h, &value);
	} else if (rc == 0 && (c == '{' || c == '"' || hcl_is_word(c, true))) {
		rc = hcl_block(h, &value);
	} else if (rc == 0) {
		rc = hcl_expected(h, "'=' or '{'");
	}
	if (rc == 0)
		hcl_merge(object, buf_str(&key), value);
	else
		json_decref(value);
	buf_done(&key);
	return rc;
}

/* Up to the closing brace, or the end of the text. */
static int
hcl_members(struct hcl *h, json_t *object, bool braces)
{
	for (;;) {
		int rc = hcl_space(h);

		if (rc < 0)
			return rc;
		if (braces && hcl_take(h, '}'))
			return 0;
		if (hcl_peek(h, 0) < 0)
			return braces ? hcl_expected(h, "'}'") : 0;
		rc = hcl_member(h, object);
		if (rc == 0)
			rc = hcl_space(h);
		if (rc < 0)
			return rc;
		hcl_take(h, ',');
	}
}

int
hcl_read(struct str name, struct str text, json_t **out, struct err *err)
{
	struct hcl h = { .name = name, .text = text, .line = 1, .err = err };
	json_t *root = json_object();
	int rc;

	if (str_starts(text, STR("\xef\xbb\xbf")))
		h.at = 3;
	/* The whole may stand in braces: then it is JSON, or close to it. */
	rc = hcl_space(&h);
	if (rc == 0 && hcl_peek(&h, 0) == '{') {
		json_decref(root);
		root = NULL;
		rc = hcl_object(&h, &root);
		if (rc == 0)
			rc = hcl_space(&h);
		if (rc == 0 && hcl_peek(&h, 0) >= 0)
			rc = hcl_expected(&h, "the end");
	} else if (rc == 0) {
		rc = hcl_members(&h, root, false);
	}
	if (rc < 0) {
		json_decref(root);
		return rc;
	}
	*out = root;
	return 0;
}
