/* agent/regexp.c -- compiling and matching by PCRE2 (see regexp.h), its only caller.
 *
 * No group captures unless asked for. PCRE2 calls back before each item of a pattern that it tries; these calls are
 * the steps that matching is counted in.
 */
#include "agent/regexp_private.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define TRANSLATED_BYTES_MAX (64 * REGEXP_BYTES_MAX)
#define HEAP_KIB_MAX 1024 /* of backtracking */

struct regexp {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *match;
};

static void *
from_arena(PCRE2_SIZE n, void *arena)
{
	return arena_alloc(arena, n);
}

static void
left_to_arena(void *p, void *arena)
{
	(void)p;
	(void)arena;
}

static int
compile(struct arena *arena, struct str pattern, const struct buf *translated, bool groups,
    struct regexp *re, struct err *err)
{
	pcre2_general_context *memory =
	    pcre2_general_context_create(from_arena, left_to_arena, arena);
	pcre2_compile_context *context =
	    memory == NULL ? NULL : pcre2_compile_context_create(memory);
	struct str text = buf_str(translated);
	PCRE2_SIZE where;
	char why[128];
	int rc;

	if (context == NULL || translated->full)
		return err_set(err, ERR_MEMORY, "the regular expression is too large");
	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	re->code = pcre2_compile((PCRE2_SPTR)(text.n == 0 ? "" : text.p), text.n,
	    PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | (groups ? 0u : PCRE2_NO_AUTO_CAPTURE) |
		PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX | PCRE2_AUTO_CALLOUT,
	    &rc, &where, context);
	if (re->code == NULL) {
		pcre2_get_error_message(rc, (PCRE2_UCHAR *)why, sizeof why);
		return err_set(err, arena->full ? ERR_MEMORY : ERR_INPUT,
		    "error parsing regexp: %s: `" STR_FMT "`", why, STR_ARG(pattern));
	}
	re->data = pcre2_match_data_create(groups ? REGEXP_GROUPS_MAX : 1, memory);
	re->match = pcre2_match_context_create(memory);
	if (re->data == NULL || re->match == NULL)
		return err_set(err, ERR_MEMORY, "the regular expression is too large");
	pcre2_set_heap_limit(re->match, HEAP_KIB_MAX);
	return 0;
}

static int
make(struct arena *arena, struct str pattern, bool groups, struct regexp **out, struct err *err)
{
	struct regexp *re = arena_array(arena, struct regexp, 1);
	struct buf translated;
	int rc;

	if (re == NULL)
		return err_set(err, ERR_MEMORY, "the regular expression is too large");
	buf_init(&translated, TRANSLATED_BYTES_MAX);
	rc = regexp_translate(pattern, &translated, err);
	if (rc == 0)
		rc = compile(arena, pattern, &translated, groups, re, err);
	buf_done(&translated);
	if (rc == 0)
		*out = re;
	return rc;
}

int
regexp_new(struct arena *arena, struct str pattern, struct regexp **out, struct err *err)
{
	return make(arena, pattern, false, out, err);
}

int
regexp_new_groups(struct arena *arena, struct str pattern, struct regexp **out, struct err *err)
{
	return make(arena, pattern, true, out, err);
}

/* PCRE2 calls this before each item of the pattern that it tries. */
static int
spend_step(pcre2_callout_block *block, void *arg)
{
	uint64_t *steps = arg;

	(void)block;
	if (*steps == 0)
		return PCRE2_ERROR_CALLOUT;
	--*steps;
	return 0;
}

enum regexp_answer
regexp_match(struct regexp *re, struct str text, uint64_t *steps)
{
	int rc;

	if (*steps == 0)
		return REGEXP_GIVEN_UP;
	--*steps; /* for a text that is refused at first sight */
	pcre2_set_callout(re->match, spend_step, steps);
	rc = pcre2_match(
	    re->code, (PCRE2_SPTR)(text.n == 0 ? "" : text.p), text.n, 0, 0, re->data, re->match);
	if (rc >= 0)
		return REGEXP_YES;
	return rc == PCRE2_ERROR_NOMATCH ? REGEXP_NO : REGEXP_GIVEN_UP;
}

enum regexp_answer
regexp_groups(struct regexp *re, struct str text, uint64_t *steps,
    struct str groups[REGEXP_GROUPS_MAX], size_t *count)
{
	enum regexp_answer answer = regexp_match(re, text, steps);
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(re->data);
	uint32_t in_pattern = 0;

	if (answer != REGEXP_YES)
		return answer;
	(void)pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &in_pattern);
	*count = in_pattern + 1 < REGEXP_GROUPS_MAX ? in_pattern + 1 : REGEXP_GROUPS_MAX;
	for (size_t i = 0; i < *count; i++) {
		bool took_part = at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1];

		groups[i] = took_part ? str_head(str_skip(text, at[2 * i]), at[2 * i + 1] - at[2 * i])
				      : STR_NONE;
	}
	return answer;
}
