/* watcher/template.c -- reads a template and carries it out in one pass.
 *
 * Parts in order: tokens inside {{ }}, operands and pipelines, blocks of text and actions.
 * What is not to be carried out (a branch not taken, a check) is read with `live` false:
 * the same way through the text, without values and output. A range goes back to the start
 * of its body for each element. The first error sticks in rc. Source: pkg.go.dev/text/template.
 */
#include "watcher/template.h"

#include "base/json.h"
#include "watcher/template_func.h"

struct template
{
	struct str text;
	size_t pos;
	json_t *root;
	json_t *keep; /* owns computed values */
	struct buf *out;
	struct err *err;
	int rc;
	unsigned depth;
	size_t steps;
	bool trim; /* the last action ended in -}} */
};

enum template_stop { STOP_EOF, STOP_END, STOP_ELSE };

static json_t *template_pipeline(struct template *, json_t *dot, bool live);
static enum template_stop template_block(struct template *, json_t *dot, bool live);

static void
template_fail(struct template *t, int code, const char *what)
{
	if (t->rc == 0)
		t->rc = err_set(t->err, code, "template, byte %zu: %s", t->pos + 1, what);
}

/* Tokens. */

static char
template_peek(const struct template *t)
{
	return t->rc == 0 && t->pos < t->text.n ? t->text.p[t->pos] : '\0';
}

static bool
template_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
template_skip_blanks(struct template *t)
{
	while (template_blank(template_peek(t)))
		t->pos++;
}

static bool
template_word_char(char c)
{
	return chr_digit(c) || (chr_lower(c) >= 'a' && chr_lower(c) <= 'z') || c == '_';
}

static struct str
template_word(struct template *t)
{
	size_t start = t->pos;

	while (template_word_char(template_peek(t)))
		t->pos++;
	return str_mem(t->text.p + start, t->pos - start);
}

/* Does the rest begin so? Then steps over it. */
static bool
template_take(struct template *t, struct str what)
{
	if (t->rc != 0 || !str_starts(str_skip(t->text, t->pos), what))
		return false;
	t->pos += what.n;
	return true;
}

/* At the end of an action: "}}", or " -}}" which trims the text behind it. */
static bool
template_at_close(struct template *t)
{
	struct str rest = str_skip(t->text, t->pos);

	return str_starts(rest, STR("}}")) ||
	       (t->pos > 0 && template_blank(t->text.p[t->pos - 1]) &&
		   str_starts(rest, STR("-}}")));
}

static void
template_close(struct template *t)
{
	template_skip_blanks(t);
	if (t->rc == 0 && !template_at_close(t))
		template_fail(t, ERR_INPUT, "}} expected");
	t->trim = template_take(t, STR("-"));
	template_take(t, STR("}}"));
}

/* Operands. */

static json_t *
template_quoted(struct template *t)
{
	struct buf b;
	json_t *v = NULL;
	char c;

	buf_init(&b, TEMPLATE_TEXT_MAX);
	t->pos++;
	while ((c = template_peek(t)) != '"' && c != '\0' && c != '\n') {
		t->pos++;
		if (c == '\\') {
			c = template_peek(t);
			t->pos++;
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
		}
		buf_addc(&b, c);
	}
	if (c == '"' && t->pos < t->text.n) {
		t->pos++;
		v = template_keep(t->keep, json_stringn_nocheck(b.p == NULL ? "" : b.p, b.n));
	} else {
		t->pos = t->pos > t->text.n ? t->text.n : t->pos;
		template_fail(t, ERR_INPUT, "a text without closing quote");
	}
	buf_done(&b);
	return v;
}

static json_t *
template_raw(struct template *t)
{
	struct str rest = str_skip(t->text, t->pos + 1);
	size_t n = str_find(rest, '`');

	if (n == rest.n) {
		template_fail(t, ERR_INPUT, "a text without closing quote");
		return NULL;
	}
	t->pos += n + 2;
	return template_keep(t->keep, json_stringn_nocheck(rest.p, n));
}

static json_t *
template_number(struct template *t)
{
	bool negative = template_take(t, STR("-"));
	uint64_t v;

	if (!negative)
		template_take(t, STR("+"));
	if (!str_u64(template_word(t), INT32_MAX, &v)) {
		template_fail(t, ERR_INPUT, "not a number that is known here");
		return NULL;
	}
	return template_keep(t->keep, json_integer(negative ? -(json_int_t)v : (json_int_t)v));
}

/* A member of an object, in either case of letters; NULL: not there. */
static json_t *
template_field(struct template *t, json_t *v, struct str name)
{
	json_t *found = NULL, *value;
	const char *key;

	if (v != NULL && !json_is_null(v) && !json_is_object(v))
		template_fail(t, ERR_INPUT, "a field of something that has none");
	json_object_foreach (v, key, value) {
		if (str_eq(str_of(key), name))
			return value;
		if (str_eq_nocase(str_of(key), name))
			found = value;
	}
	return found;
}

/* .A.B behind a value. */
static json_t *
template_chain(struct template *t, json_t *v, bool live)
{
	while (template_peek(t) == '.') {
		struct str name;

		t->pos++;
		name = template_word(t);
		if (name.n == 0) {
			template_fail(t, ERR_INPUT, "a name expected after the dot");
			return NULL;
		}
		if (live)
			v = template_field(t, v, name);
	}
	return v;
}

/* A constant by its name, or a call without arguments. */
static json_t *
template_call_run(struct template *t, struct str name, struct template_call *call, bool live)
{
	const struct template_func *f = template_func_find(name);
	json_t *out = NULL;
	struct err why;
	int rc;

	if (f == NULL) {
		template_fail(t, ERR_INPUT, "there is no such function");
		return NULL;
	}
	if (call->count < f->args_min || call->count > f->args_max) {
		template_fail(t, ERR_INPUT, "wrong number of arguments");
		return NULL;
	}
	if (!live)
		return NULL;
	call->keep = t->keep;
	call->err = &why;
	rc = f->run(call, &out);
	if (rc < 0)
		template_fail(t, rc, why.text);
	return t->rc == 0 ? out : NULL;
}

static json_t *
template_named(struct template *t, struct str name, bool live)
{
	struct template_call none = { .count = 0 };

	if (str_eq(name, STR("true")))
		return json_true();
	if (str_eq(name, STR("false")))
		return json_false();
	if (str_eq(name, STR("nil")))
		return NULL;
	return template_call_run(t, name, &none, live);
}

static json_t *
template_operand(struct template *t, json_t *dot, bool live)
{
	char c = template_peek(t);
	json_t *v = NULL;

	if (c == '"')
		return template_quoted(t);
	if (c == '`')
		return template_raw(t);
	if (chr_digit(c) || c == '-' || c == '+')
		return template_number(t);
	if (c == '(') {
		t->pos++;
		v = template_pipeline(t, dot, live);
		if (!template_take(t, STR(")")))
			template_fail(t, ERR_INPUT, ") expected");
		return template_chain(t, v, live);
	}
	if (c == '$') {
		t->pos++;
		if (template_word_char(template_peek(t)))
			template_fail(t, ERR_INPUT, "variables other than $ are not known here");
		return template_chain(t, t->root, live);
	}
	if (c == '.') {
		char next = t->pos + 1 < t->text.n ? t->text.p[t->pos + 1] : '\0';

		if (template_word_char(next))
			return template_chain(t, dot, live);
		t->pos++;
		return dot;
	}
	if (template_word_char(c))
		return template_named(t, template_word(t), live);
	template_fail(t, ERR_INPUT, "a value or a function expected");
	return NULL;
}

/* Is the word at hand the name of a function, which takes what follows as arguments? */
static bool
template_at_call(struct template *t)
{
	size_t start = t->pos;
	struct str name = template_word(t);

	t->pos = start;
	return name.n > 0 && !chr_digit(name.p[0]) && !str_eq(name, STR("true")) &&
	       !str_eq(name, STR("false")) && !str_eq(name, STR("nil"));
}

static bool
template_at_command_end(struct template *t)
{
	char c;

	template_skip_blanks(t);
	c = template_peek(t);
	return c == '|' || c == ')' || c == '\0' || template_at_close(t);
}

/* An operand, or a function with its arguments; `piped` comes last of them. */
static json_t *
template_command(struct template *t, json_t *dot, bool live, bool has_piped, json_t *piped)
{
	struct template_call call = { .count = 0 };
	struct str name;

	template_skip_blanks(t);
	if (!template_at_call(t)) {
		json_t *v = template_operand(t, dot, live);

		if (has_piped || !template_at_command_end(t))
			template_fail(t, ERR_INPUT, "this is no function and takes no arguments");
		return v;
	}
	name = template_word(t);
	while (!template_at_command_end(t) && t->rc == 0) {
		if (call.count == TEMPLATE_ARGS_MAX - 1) {
			template_fail(t, ERR_LIMIT, "too many arguments");
			return NULL;
		}
		call.args[call.count++] = template_operand(t, dot, live);
	}
	if (has_piped)
		call.args[call.count++] = piped;
	return template_call_run(t, name, &call, live);
}

static json_t *
template_pipeline(struct template *t, json_t *dot, bool live)
{
	json_t *v = NULL;

	if (++t->depth > TEMPLATE_DEPTH_MAX)
		template_fail(t, ERR_LIMIT, "nested too deep");
	if (t->rc == 0)
		v = template_command(t, dot, live, false, NULL);
	while (t->rc == 0 && !template_at_command_end(t))
		template_fail(t, ERR_INPUT, "| or }} expected");
	while (t->rc == 0 && template_take(t, STR("|"))) {
		v = template_command(t, dot, live, true, v);
		template_at_command_end(t);
	}
	t->depth--;
	return v;
}

/* Blocks. */

static void
template_need_end(struct template *t, enum template_stop stop)
{
	if (stop != STOP_END)
		template_fail(t, ERR_INPUT, "{{end}} expected");
}

/* if and with: the rest of the action, the branches, the end. */
static void
template_branch(struct template *t, json_t *dot, bool live, bool with)
{
	json_t *v = template_pipeline(t, dot, live);
	bool truth = template_truth(v);
	enum template_stop stop;

	template_close(t);
	stop = template_block(t, with ? v : dot, live && truth);
	if (stop == STOP_ELSE && t->rc == 0) {
		template_skip_blanks(t);
		if (template_take(t, STR("if "))) {
			template_branch(t, dot, live && !truth, false);
			return; /* one {{end}} for the whole chain */
		}
		template_close(t);
		stop = template_block(t, dot, live && !truth);
	}
	template_need_end(t, stop);
}

static void
template_range(struct template *t, json_t *dot, bool live)
{
	json_t *v = template_pipeline(t, dot, live), *value;
	enum template_stop stop = STOP_EOF;
	bool any = false, trim;
	const char *key;
	size_t body, i;

	template_close(t);
	body = t->pos;
	trim = t->trim;
	json_array_foreach (v, i, value) {
		any = true;
		t->pos = body;
		t->trim = trim;
		stop = template_block(t, value, live && t->rc == 0);
		if (t->rc != 0)
			return;
	}
	json_object_foreach (v, key, value) {
		any = true;
		t->pos = body;
		t->trim = trim;
		stop = template_block(t, value, live && t->rc == 0);
		if (t->rc != 0)
			return;
	}
	if (!any)
		stop = template_block(t, dot, false);
	if (stop == STOP_ELSE) {
		template_close(t);
		stop = template_block(t, dot, live && !any);
	}
	template_need_end(t, stop);
}

/* A keyword, if one is at hand as a whole word. */
static bool
template_keyword(struct template *t, struct str word)
{
	size_t start = t->pos;

	if (str_eq(template_word(t), word))
		return true;
	t->pos = start;
	return false;
}

static void
template_comment(struct template *t)
{
	while (t->rc == 0 && !template_take(t, STR("*/"))) {
		if (t->pos == t->text.n)
			template_fail(t, ERR_INPUT, "a comment without end");
		else
			t->pos++;
	}
	template_close(t);
}

/* Behind "{{": true when the block it stands in ends here. */
static bool
template_action(struct template *t, json_t *dot, bool live, enum template_stop *stop)
{
	json_t *v;

	if (++t->steps > TEMPLATE_STEPS_MAX)
		template_fail(t, ERR_LIMIT, "too much to do");
	template_skip_blanks(t);
	if (template_take(t, STR("/*"))) {
		template_comment(t);
	} else if (template_keyword(t, STR("end"))) {
		template_close(t);
		*stop = STOP_END;
		return true;
	} else if (template_keyword(t, STR("else"))) {
		*stop = STOP_ELSE;
		return true;
	} else if (template_keyword(t, STR("if"))) {
		template_branch(t, dot, live, false);
	} else if (template_keyword(t, STR("with"))) {
		template_branch(t, dot, live, true);
	} else if (template_keyword(t, STR("range"))) {
		template_range(t, dot, live);
	} else {
		v = template_pipeline(t, dot, live);
		template_close(t);
		if (live && t->rc == 0)
			template_print(t->out, v);
	}
	return false;
}

/* Text up to the next action, or to the end: then false. */
static bool
template_plain(struct template *t, bool live)
{
	struct str rest = str_skip(t->text, t->pos), plain;
	bool action;
	size_t n = 0;

	while (n < rest.n && !str_starts(str_skip(rest, n), STR("{{")))
		n++;
	t->pos += n;
	plain = str_head(rest, n);
	while (t->trim && plain.n > 0 && template_blank(plain.p[0]))
		plain = str_skip(plain, 1);
	t->trim = false;
	action = n < rest.n;
	if (template_take(t, STR("{{-"))) {
		if (!template_blank(template_peek(t)))
			t->pos--; /* {{-1}} is a number */
		else
			while (plain.n > 0 && template_blank(plain.p[plain.n - 1]))
				plain.n--;
	} else {
		template_take(t, STR("{{"));
	}
	if (live && t->rc == 0)
		buf_add(t->out, plain);
	return action;
}

static enum template_stop
template_block(struct template *t, json_t *dot, bool live)
{
	enum template_stop stop = STOP_EOF;

	if (++t->depth > TEMPLATE_DEPTH_MAX)
		template_fail(t, ERR_LIMIT, "nested too deep");
	while (t->rc == 0 && template_plain(t, live) && !template_action(t, dot, live, &stop))
		;
	t->depth--;
	return stop;
}

static int
template_run(struct str text, json_t *root, struct buf *out, bool live, struct err *err)
{
	struct template t = { .text = text, .root = root, .out = out, .err = err };
	enum template_stop stop;

	if (text.n == 0)
		return 0;
	t.keep = json_array();
	stop = template_block(&t, root, live);
	if (stop != STOP_EOF)
		template_fail(&t, ERR_INPUT, "{{end}} or {{else}} without a beginning");
	if (t.rc == 0 && out->full)
		template_fail(&t, ERR_LIMIT, "the result is too long");
	json_decref(t.keep);
	return t.rc;
}

int
template_check(struct str text, struct err *err)
{
	struct buf none;

	buf_init(&none, 0);
	return template_run(text, NULL, &none, false, err);
}

int
template_render(struct str text, json_t *root, struct buf *out, struct err *err)
{
	return template_run(text, root, out, true, err);
}
