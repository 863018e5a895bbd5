/* agent/http/filter_lex.h -- the pieces of a filter's text, and where reading it failed.
 *
 * Each lex_*() takes a piece or leaves the position where it was. Readings are tried one after
 * the other: of what was expected the note that got farthest is kept, while a refusal is final.
 */
#ifndef AGENT_HTTP_FILTER_LEX_H
#define AGENT_HTTP_FILTER_LEX_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

struct lexer {
	struct arena *arena;
	struct str text;
	size_t at;
	unsigned depth;   /* the parser's: of groups and nots */
	size_t matches;   /* the parser's: made so far */
	size_t failed_at; /* where nothing of what was expected was found */
	const char *expected;
	const char *error; /* a failure that no other reading can mend; at failed_at */
	bool no_memory;
};

/* Nothing of `what` is here. Returns NULL. */
void *lex_expected(struct lexer *, const char *what);
/* No reading of this text can succeed. Returns NULL. */
void *lex_refused(struct lexer *, const char *why);
/* Zeroed, from the arena; NULL with a refusal when it is full. */
void *lex_alloc(struct lexer *, size_t n);

bool lex_gap(struct lexer *); /* white space */
bool lex_byte(struct lexer *, char);
bool lex_word(struct lexer *, struct str *out); /* a letter, then letters, digits and _ */
bool lex_this_word(struct lexer *, const char *word);
bool lex_keyword(struct lexer *, const char *word); /* a gap and then that word */
/* One word, or two (second not NULL), with gaps before, between and after. */
bool lex_operator(struct lexer *, const char *first, const char *second);
bool lex_equality(struct lexer *, bool *equal); /* "==" or "!=", with or without gaps */
/* Whether one was begun; it is bad when l->error is set. */
bool lex_number(struct lexer *, struct str *out);
bool lex_string(struct lexer *, struct str *out);

#endif
