/* agent/regexp.h -- regular expressions as Go's clients write them, matched within limits.
 *
 * The syntax is RE2's, as Go's package regexp takes it, and so are the words of its errors,
 * since clients see them. PCRE2 does the matching (this is its only caller): POSIX expressions
 * know neither \d nor (?i) nor *?, and glibc's may take exponential time and memory. What RE2
 * does not know (look-around, references back …) never reaches PCRE2. It backtracks, which RE2
 * does not: so every match draws on a number of steps that its caller gives.
 *
 * A compiled expression and what matching needs live in an arena; nothing is freed one by one.
 */
#ifndef AGENT_REGEXP_H
#define AGENT_REGEXP_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define REGEXP_BYTES_MAX 1024 /* of a pattern */
#define REGEXP_GROUPS_MAX 64  /* whose text is told, the whole match among them */

struct regexp;

enum regexp_answer { REGEXP_NO, REGEXP_YES, REGEXP_GIVEN_UP };

/* ERR_INPUT: "error parsing regexp: missing closing ): `(`" and so on; ERR_LIMIT: a pattern too
 * long; ERR_MEMORY: the arena is full. */
int regexp_new(struct arena *, struct str pattern, struct regexp **out, struct err *);
/* The same for regexp_groups(): what each pair of parentheses matched is kept. */
int regexp_new_groups(struct arena *, struct str pattern, struct regexp **out, struct err *);

/* Whether it matches anywhere in the text. *steps is what may still be spent and gets smaller;
 * none left, or no memory: REGEXP_GIVEN_UP. Bytes that are not UTF-8 are matched by nothing. */
enum regexp_answer regexp_match(struct regexp *, struct str text, uint64_t *steps);

/* As regexp_match(), and when it does match: the whole match and what each group of the pattern
 * has matched, as slices of the text (empty for one that took no part); the number of them. */
enum regexp_answer regexp_groups(struct regexp *, struct str text, uint64_t *steps,
    struct str groups[REGEXP_GROUPS_MAX], size_t *count);

#endif
