/* base/json_write.c -- JSON out: commas, indentation, nesting (see json.h). */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"

void
jw_init(struct jw *w, struct buf *out, bool pretty)
{
	*w = (struct jw){ .out = out, .pretty = pretty };
}

static void
jw_newline(struct jw *w)
{
	buf_addc(w->out, '\n');
	for (unsigned i = 0; i < w->depth; i++)
		buf_add(w->out, STR("    "));
}

static void
jw_before_value(struct jw *w)
{
	if (w->keyed) {
		w->keyed = false;
		return;
	}
	if (w->comma)
		buf_addc(w->out, ',');
	if (w->pretty && w->depth > 0)
		jw_newline(w);
}

static void
jw_open(struct jw *w, char c)
{
	jw_before_value(w);
	buf_addc(w->out, c);
	w->depth++;
	w->comma = false;
}

static void
jw_close(struct jw *w, char c)
{
	w->depth--;
	if (w->pretty && w->comma) /* an empty one stays on its line */
		jw_newline(w);
	buf_addc(w->out, c);
	w->comma = true;
}

void
jw_object(struct jw *w)
{
	jw_open(w, '{');
}

void
jw_object_end(struct jw *w)
{
	jw_close(w, '}');
}

void
jw_array(struct jw *w)
{
	jw_open(w, '[');
}

void
jw_array_end(struct jw *w)
{
	jw_close(w, ']');
}

void
jw_key(struct jw *w, struct str key)
{
	jw_before_value(w);
	json_put_str(w->out, key);
	buf_addc(w->out, ':');
	if (w->pretty)
		buf_addc(w->out, ' ');
	w->keyed = true;
}

void
jw_str(struct jw *w, struct str s)
{
	jw_before_value(w);
	json_put_str(w->out, s);
	w->comma = true;
}

void
jw_base64(struct jw *w, struct str bytes)
{
	jw_before_value(w);
	buf_addc(w->out, '"');
	base64_encode(w->out, bytes);
	buf_addc(w->out, '"');
	w->comma = true;
}

void
jw_u64(struct jw *w, uint64_t v)
{
	jw_before_value(w);
	buf_add_u64(w->out, v);
	w->comma = true;
}

void
jw_i64(struct jw *w, int64_t v)
{
	jw_before_value(w);
	buf_add_i64(w->out, v);
	w->comma = true;
}

void
jw_bool(struct jw *w, bool v)
{
	jw_before_value(w);
	buf_add(w->out, v ? STR("true") : STR("false"));
	w->comma = true;
}

void
jw_null(struct jw *w)
{
	jw_before_value(w);
	buf_add(w->out, STR("null"));
	w->comma = true;
}

void
jw_kstr(struct jw *w, const char *key, struct str s)
{
	jw_key(w, str_of(key));
	jw_str(w, s);
}

void
jw_ku64(struct jw *w, const char *key, uint64_t v)
{
	jw_key(w, str_of(key));
	jw_u64(w, v);
}

void
jw_ki64(struct jw *w, const char *key, int64_t v)
{
	jw_key(w, str_of(key));
	jw_i64(w, v);
}

void
jw_kbool(struct jw *w, const char *key, bool v)
{
	jw_key(w, str_of(key));
	jw_bool(w, v);
}

void
jw_knull(struct jw *w, const char *key)
{
	jw_key(w, str_of(key));
	jw_null(w);
}

/* Decimal from 1e-6 to below 1e21, else with an exponent that has no zeros in front (Go's
 * encoding/json). */
void
jw_f64(struct jw *w, double v)
{
	char text[32], *e;
	int digits = 0, exponent;

	if (!isfinite(v)) {
		jw_null(w);
		return;
	}
	do {
		snprintf(text, sizeof text, "%.*e", digits, v);
	} while (strtod(text, NULL) != v && ++digits < 17);
	e = strchr(text, 'e');
	exponent = (int)strtol(e + 1, NULL, 10);
	jw_before_value(w);
	if (v != 0 && (exponent < -6 || exponent >= 21))
		buf_addf(w->out, "%.*se%+d", (int)(e - text), text, exponent);
	else
		buf_addf(w->out, "%.*f", digits > exponent ? digits - exponent : 0, v);
	w->comma = true;
}

/* Depth is bounded by json_read(). */
void
jw_json(struct jw *w, const json_t *v)
{
	json_t *mutable = (json_t *)(uintptr_t)v; /* jansson's iterator takes no const, changes nothing */
	const char *key;
	json_t *member;
	size_t i, n;

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		jw_object(w);
		json_object_keylen_foreach(mutable, key, n, member) {
			jw_key(w, str_mem(key, n));
			jw_json(w, member);
		}
		jw_object_end(w);
		break;
	case JSON_ARRAY:
		jw_array(w);
		json_array_foreach(mutable, i, member)
			jw_json(w, member);
		jw_array_end(w);
		break;
	case JSON_STRING:
		jw_str(w, json_text(v));
		break;
	case JSON_INTEGER:
		jw_i64(w, json_integer_value(v));
		break;
	case JSON_REAL:
		jw_f64(w, json_real_value(v));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		jw_bool(w, json_is_true(v));
		break;
	case JSON_NULL:
		jw_null(w);
		break;
	}
}

void
jw_raw(struct jw *w, struct str json)
{
	json_t *v = NULL;

	if (!w->pretty) {
		jw_before_value(w);
		buf_add(w->out, json);
		w->comma = true;
		return;
	}
	if (json_read(json, &v, NULL) == 0)
		jw_json(w, v);
	else
		jw_null(w);
	json_decref(v);
}
