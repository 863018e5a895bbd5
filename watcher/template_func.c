/* watcher/template_func.c -- what a template can call.
 *
 * Registrator's functions first (strSlice, sIndex, mIndex, toUpper, toLower, replace, join,
 * split, splitIndex, matchFirstElement, matchAllElements, jsonParse), then those of Go's
 * text/template. Letters change case in ASCII only; patterns are POSIX extended ones. httpGet is
 * not here: a core does no I/O.
 */
#include "watcher/template_func.h"

#include <regex.h>

#include "base/json.h"

json_t *
template_keep(json_t *keep, json_t *value)
{
	return value != NULL && json_array_append_new(keep, value) == 0 ? value : NULL;
}

bool
template_truth(json_t *v)
{
	switch (v == NULL ? JSON_NULL : json_typeof(v)) {
	case JSON_OBJECT:
		return json_object_size(v) > 0;
	case JSON_ARRAY:
		return json_array_size(v) > 0;
	case JSON_STRING:
		return json_string_length(v) > 0;
	case JSON_INTEGER:
		return json_integer_value(v) != 0;
	case JSON_REAL:
		return json_real_value(v) < 0 || json_real_value(v) > 0;
	case JSON_TRUE:
		return true;
	default:
		return false;
	}
}

static int
template_key_cmp(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static void
template_print_object(struct buf *b, json_t *v)
{
	size_t n = 0, count = json_object_size(v);
	const char **keys = calloc(count + 1, sizeof *keys), *key;
	json_t *unused;

	buf_add(b, STR("map["));
	if (keys != NULL) {
		json_object_foreach (v, key, unused)
			keys[n++] = key;
		qsort(keys, n, sizeof *keys, template_key_cmp);
		for (size_t i = 0; i < n; i++) {
			buf_addf(b, "%s%s:", i == 0 ? "" : " ", keys[i]);
			template_print(b, json_object_get(v, keys[i]));
		}
	}
	buf_addc(b, ']');
	free(keys);
}

void
template_print(struct buf *b, json_t *v)
{
	switch (v == NULL ? JSON_NULL : json_typeof(v)) {
	case JSON_OBJECT:
		template_print_object(b, v);
		break;
	case JSON_ARRAY:
		buf_addc(b, '[');
		for (size_t i = 0; i < json_array_size(v); i++) {
			if (i > 0)
				buf_addc(b, ' ');
			template_print(b, json_array_get(v, i));
		}
		buf_addc(b, ']');
		break;
	case JSON_STRING:
		buf_add(b, json_text(v));
		break;
	case JSON_INTEGER:
		buf_add_i64(b, json_integer_value(v));
		break;
	case JSON_REAL:
		buf_addf(b, "%g", json_real_value(v));
		break;
	case JSON_TRUE:
		buf_add(b, STR("true"));
		break;
	case JSON_FALSE:
		buf_add(b, STR("false"));
		break;
	default:
		break; /* nothing there: nothing shown */
	}
}

static json_t *
template_text(struct str s)
{
	return json_stringn_nocheck(s.p == NULL ? "" : s.p, s.n);
}

static int
template_return(struct template_call *c, json_t *value, json_t **out)
{
	*out = template_keep(c->keep, value);
	return *out == NULL ? err_set(c->err, ERR_MEMORY, "out of memory") : 0;
}

/* Takes what was built in b. */
static int
template_return_buf(struct template_call *c, struct buf *b, json_t **out)
{
	int rc;

	if (b->full)
		rc = err_set(c->err, ERR_LIMIT, "a text longer than %d bytes", TEMPLATE_TEXT_MAX);
	else
		rc = template_return(c, template_text(buf_str(b)), out);
	buf_done(b);
	return rc;
}

/* Argument i as a text or an integer; anything else is refused. */
static int
template_arg_text(struct template_call *c, size_t i, struct str *out)
{
	*out = json_text(c->args[i]);
	if (c->args[i] != NULL && !json_is_null(c->args[i]) && !json_is_string(c->args[i]))
		return err_set(c->err, ERR_INPUT, "argument %zu is not a text", i + 1);
	return 0;
}

static int
template_arg_int(struct template_call *c, size_t i, int64_t *out)
{
	*out = json_integer_value(c->args[i]);
	if (!json_is_integer(c->args[i]))
		return err_set(c->err, ERR_INPUT, "argument %zu is not a number", i + 1);
	return 0;
}

static int
template_arg_list(struct template_call *c, size_t i, json_t **out)
{
	*out = c->args[i];
	if (c->args[i] != NULL && !json_is_null(c->args[i]) && !json_is_array(c->args[i]))
		return err_set(c->err, ERR_INPUT, "argument %zu is not a list", i + 1);
	return 0;
}

/* strSlice text from [to] */
static int
func_str_slice(struct template_call *c, json_t **out)
{
	struct str s;
	int64_t from, to;
	int rc;

	if ((rc = template_arg_text(c, 0, &s)) < 0 || (rc = template_arg_int(c, 1, &from)) < 0)
		return rc;
	to = (int64_t)s.n;
	if (c->count == 3 && (rc = template_arg_int(c, 2, &to)) < 0)
		return rc;
	if (from < 0 || to < 0)
		return err_set(c->err, ERR_INPUT, "a position below 0");
	if (from > (int64_t)s.n || to > (int64_t)s.n)
		return template_return(c, template_text(s), out);
	if (to < from)
		to = (int64_t)s.n;
	return template_return(c, template_text(str_skip(str_head(s, (size_t)to), (size_t)from)), out);
}

/* An element by number, from the end when negative; past either end the outermost one. */
static int
template_element(struct template_call *c, json_t *list, int64_t i, json_t **out)
{
	int64_t n = (int64_t)json_array_size(list);

	if (n == 0)
		return err_set(c->err, ERR_INPUT, "an element of an empty list");
	if (i < -n)
		i = -n;
	if (i < 0)
		i += n;
	*out = json_array_get(list, (size_t)(i >= n ? n - 1 : i));
	return 0;
}

/* sIndex number list */
static int
func_s_index(struct template_call *c, json_t **out)
{
	json_t *list = NULL;
	int64_t i = 0;
	int rc;

	if ((rc = template_arg_int(c, 0, &i)) < 0 || (rc = template_arg_list(c, 1, &list)) < 0)
		return rc;
	return template_element(c, list, i, out);
}

/* mIndex key map */
static int
func_m_index(struct template_call *c, json_t **out)
{
	struct str key;
	int rc = template_arg_text(c, 0, &key);

	if (rc == 0)
		*out = json_object_get(c->args[1], key.p == NULL ? "" : key.p);
	return rc;
}

static int
template_change_case(struct template_call *c, char first, char last, json_t **out)
{
	struct buf b;
	struct str s;
	int rc = template_arg_text(c, 0, &s);

	if (rc < 0)
		return rc;
	buf_init(&b, TEMPLATE_TEXT_MAX);
	for (size_t i = 0; i < s.n; i++)
		buf_addc(&b, s.p[i] >= first && s.p[i] <= last ? (char)(s.p[i] ^ 0x20) : s.p[i]);
	return template_return_buf(c, &b, out);
}

static int
func_to_upper(struct template_call *c, json_t **out)
{
	return template_change_case(c, 'a', 'z', out);
}

static int
func_to_lower(struct template_call *c, json_t **out)
{
	return template_change_case(c, 'A', 'Z', out);
}

/* replace number old new text; a negative number: all */
static int
func_replace(struct template_call *c, json_t **out)
{
	struct str old, new, s;
	struct buf b;
	int64_t n = 0;
	int rc;

	if ((rc = template_arg_int(c, 0, &n)) < 0 || (rc = template_arg_text(c, 1, &old)) < 0 ||
	    (rc = template_arg_text(c, 2, &new)) < 0 || (rc = template_arg_text(c, 3, &s)) < 0)
		return rc;
	buf_init(&b, TEMPLATE_TEXT_MAX);
	while (s.n > 0) {
		if (n != 0 && old.n > 0 && str_starts(s, old)) {
			buf_add(&b, new);
			s = str_skip(s, old.n);
			n--;
		} else {
			buf_addc(&b, s.p[0]);
			s = str_skip(s, 1);
		}
	}
	return template_return_buf(c, &b, out);
}

/* join separator list */
static int
func_join(struct template_call *c, json_t **out)
{
	json_t *list = NULL;
	struct str between;
	struct buf b;
	int rc;

	if ((rc = template_arg_text(c, 0, &between)) < 0 ||
	    (rc = template_arg_list(c, 1, &list)) < 0)
		return rc;
	buf_init(&b, TEMPLATE_TEXT_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (i > 0)
			buf_add(&b, between);
		template_print(&b, json_array_get(list, i));
	}
	return template_return_buf(c, &b, out);
}

static json_t *
template_split(struct str sep, struct str s)
{
	json_t *list = json_array();
	size_t start = 0, i = 0;

	while (sep.n > 0 && i + sep.n <= s.n) {
		if (memcmp(s.p + i, sep.p, sep.n) != 0) {
			i++;
			continue;
		}
		json_array_append_new(list, template_text(str_mem(s.p + start, i - start)));
		start = i += sep.n;
	}
	json_array_append_new(list, template_text(str_skip(s, start)));
	return list;
}

/* split separator text */
static int
func_split(struct template_call *c, json_t **out)
{
	struct str sep, s;
	int rc;

	if ((rc = template_arg_text(c, 0, &sep)) < 0 || (rc = template_arg_text(c, 1, &s)) < 0)
		return rc;
	return template_return(c, template_split(sep, s), out);
}

/* splitIndex number separator text */
static int
func_split_index(struct template_call *c, json_t **out)
{
	json_t *list = NULL;
	struct str sep, s;
	int64_t i = 0;
	int rc;

	if ((rc = template_arg_int(c, 0, &i)) < 0 || (rc = template_arg_text(c, 1, &sep)) < 0 ||
	    (rc = template_arg_text(c, 2, &s)) < 0 ||
	    (rc = template_return(c, template_split(sep, s), &list)) < 0)
		return rc;
	return template_element(c, list, i, out);
}

/* The elements of a list that match a pattern; only the first when `one`. */
static int
template_match(struct template_call *c, bool one, json_t **out)
{
	json_t *list = NULL;
	struct str pattern;
	json_t *found;
	regex_t re;
	char text[256];
	int rc;

	if ((rc = template_arg_text(c, 0, &pattern)) < 0 ||
	    (rc = template_arg_list(c, 1, &list)) < 0)
		return rc;
	rc = regcomp(&re, pattern.p == NULL ? "" : pattern.p, REG_EXTENDED | REG_NOSUB);
	if (rc != 0) {
		regerror(rc, &re, text, sizeof text);
		return err_set(c->err, ERR_INPUT, "pattern: %s", text);
	}
	found = json_array();
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *e = json_array_get(list, i);

		if (json_is_string(e) && regexec(&re, json_string_value(e), 0, NULL, 0) == 0)
			json_array_append(found, e);
	}
	regfree(&re);
	rc = template_return(c, found, out);
	if (rc == 0 && one)
		*out = json_array_get(found, 0);
	return rc;
}

static int
func_match_first(struct template_call *c, json_t **out)
{
	return template_match(c, true, out);
}

static int
func_match_all(struct template_call *c, json_t **out)
{
	return template_match(c, false, out);
}

/* index value key… */
static int
func_index(struct template_call *c, json_t **out)
{
	json_t *v = c->args[0];

	for (size_t i = 1; i < c->count; i++) {
		json_t *key = c->args[i];

		if (json_is_array(v) && json_is_integer(key)) {
			json_int_t at = json_integer_value(key);

			if (at < 0 || (size_t)at >= json_array_size(v))
				return err_set(c->err, ERR_INPUT, "index out of range");
			v = json_array_get(v, (size_t)at);
		} else if (json_is_string(key) && (v == NULL || !json_is_array(v))) {
			v = json_object_get(v, json_string_value(key));
		} else {
			return err_set(c->err, ERR_INPUT, "cannot index by argument %zu", i + 1);
		}
	}
	*out = v;
	return 0;
}

static int
func_len(struct template_call *c, json_t **out)
{
	json_t *v = c->args[0];
	size_t n = json_is_object(v)  ? json_object_size(v)
		   : json_is_array(v) ? json_array_size(v)
				      : json_text(v).n;

	return template_return(c, json_integer((json_int_t)n), out);
}

static int
func_print(struct template_call *c, json_t **out)
{
	struct buf b;

	buf_init(&b, TEMPLATE_TEXT_MAX);
	for (size_t i = 0; i < c->count; i++) {
		if (i > 0 && !json_is_string(c->args[i]) && !json_is_string(c->args[i - 1]))
			buf_addc(&b, ' ');
		template_print(&b, c->args[i]);
	}
	return template_return_buf(c, &b, out);
}

/* printf format value…: %s, %v, %d and %q show a value, %% a percent sign */
static int
func_printf(struct template_call *c, json_t **out)
{
	struct str format;
	struct buf b;
	size_t next = 1;
	int rc = template_arg_text(c, 0, &format);

	if (rc < 0)
		return rc;
	buf_init(&b, TEMPLATE_TEXT_MAX);
	for (size_t i = 0; i < format.n; i++) {
		char verb = i + 1 < format.n ? format.p[i + 1] : '\0';

		if (format.p[i] != '%') {
			buf_addc(&b, format.p[i]);
			continue;
		}
		i++;
		if (verb == '%') {
			buf_addc(&b, '%');
		} else if ((verb == 's' || verb == 'v' || verb == 'd' || verb == 'q') &&
			   next < c->count) {
			if (verb == 'q')
				json_put_str(&b, json_text(c->args[next]));
			else
				template_print(&b, c->args[next]);
			next++;
		} else {
			buf_done(&b);
			return err_set(
			    c->err, ERR_INPUT, "printf knows %%s %%v %%d %%q, with a value each");
		}
	}
	return template_return_buf(c, &b, out);
}

static int
template_cmp(struct template_call *c, int *out)
{
	json_t *a = c->args[0], *b = c->args[1];

	if (json_is_integer(a) && json_is_integer(b))
		*out = (json_integer_value(a) > json_integer_value(b)) -
		       (json_integer_value(a) < json_integer_value(b));
	else if ((a == NULL || json_is_string(a)) && (b == NULL || json_is_string(b)))
		*out = str_cmp(json_text(a), json_text(b));
	else
		return err_set(c->err, ERR_INPUT, "values that cannot be compared");
	return 0;
}

/* eq value other…: equal to any of the others */
static int
func_eq(struct template_call *c, json_t **out)
{
	bool equal = false;

	for (size_t i = 1; i < c->count; i++)
		equal |= c->args[0] == c->args[i] || json_equal(c->args[0], c->args[i]) ||
			 (json_text(c->args[0]).n == 0 && !template_truth(c->args[0]) &&
			     json_is_string(c->args[i]) && !template_truth(c->args[i]));
	*out = equal ? json_true() : json_false();
	return 0;
}

static int
func_ne(struct template_call *c, json_t **out)
{
	int rc = func_eq(c, out);

	*out = template_truth(*out) ? json_false() : json_true();
	return rc;
}

static int
func_lt(struct template_call *c, json_t **out)
{
	int order = 0, rc = template_cmp(c, &order);

	*out = order < 0 ? json_true() : json_false();
	return rc;
}

static int
func_gt(struct template_call *c, json_t **out)
{
	int order = 0, rc = template_cmp(c, &order);

	*out = order > 0 ? json_true() : json_false();
	return rc;
}

static int
func_and(struct template_call *c, json_t **out)
{
	for (size_t i = 0; i < c->count; i++) {
		*out = c->args[i];
		if (!template_truth(*out))
			break;
	}
	return 0;
}

static int
func_or(struct template_call *c, json_t **out)
{
	for (size_t i = 0; i < c->count; i++) {
		*out = c->args[i];
		if (template_truth(*out))
			break;
	}
	return 0;
}

static int
func_not(struct template_call *c, json_t **out)
{
	*out = template_truth(c->args[0]) ? json_false() : json_true();
	return 0;
}

/* jsonParse text: what cannot be read is nil */
static int
func_json_parse(struct template_call *c, json_t **out)
{
	json_t *value = NULL;
	struct str text;
	int rc = template_arg_text(c, 0, &text);

	if (rc < 0)
		return rc;
	*out = NULL;
	if (json_read(text, &value, NULL) < 0)
		return 0;
	return template_return(c, value, out);
}

static const struct template_func template_funcs[] = {
	{ "strSlice", 2, 3, func_str_slice },
	{ "sIndex", 2, 2, func_s_index },
	{ "mIndex", 2, 2, func_m_index },
	{ "toUpper", 1, 1, func_to_upper },
	{ "toLower", 1, 1, func_to_lower },
	{ "replace", 4, 4, func_replace },
	{ "join", 2, 2, func_join },
	{ "split", 2, 2, func_split },
	{ "splitIndex", 3, 3, func_split_index },
	{ "matchFirstElement", 2, 2, func_match_first },
	{ "matchAllElements", 2, 2, func_match_all },
	{ "jsonParse", 1, 1, func_json_parse },
	{ "index", 1, TEMPLATE_ARGS_MAX, func_index },
	{ "len", 1, 1, func_len },
	{ "print", 0, TEMPLATE_ARGS_MAX, func_print },
	{ "printf", 1, TEMPLATE_ARGS_MAX, func_printf },
	{ "eq", 2, TEMPLATE_ARGS_MAX, func_eq },
	{ "ne", 2, 2, func_ne },
	{ "lt", 2, 2, func_lt },
	{ "gt", 2, 2, func_gt },
	{ "and", 1, TEMPLATE_ARGS_MAX, func_and },
	{ "or", 1, TEMPLATE_ARGS_MAX, func_or },
	{ "not", 1, 1, func_not },
};

const struct template_func *
template_func_find(struct str name)
{
	for (size_t i = 0; i < sizeof template_funcs / sizeof template_funcs[0]; i++)
		if (str_eq(name, str_of(template_funcs[i].name)))
			return &template_funcs[i];
	return NULL;
}
