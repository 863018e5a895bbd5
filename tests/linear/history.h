/* tests/linear/history.h -- what clients asked of keys and what they were told, as a text.
 *
 * One operation a line, words between single blanks; # begins a comment:
 *
 *     CLIENT KEY INVOKE RETURN VERB [ARGUMENT...] = ANSWER...
 *
 * INVOKE and RETURN are nanoseconds of one clock. A RETURN of ? says that the outcome is not known
 * (a timeout, a broken connection, a 500): it may have happened, may happen later, or never will;
 * its answer is left out, with the =. Values, clients, keys and sessions are words of any kind.
 *
 *     get                     = none | VALUE INDEX LOCKINDEX SESSION      (SESSION: - for none)
 *     put VALUE               = ok
 *     cas INDEX VALUE         = yes | no
 *     delete                  = ok
 *     delete-cas INDEX        = yes | no
 *     acquire SESSION VALUE   = yes | no | invalid        (invalid: there is no such session)
 *     release SESSION VALUE   = yes | no
 *     end SESSION BEHAVIOUR DELAY_NS = ok                 (BEHAVIOUR: release | delete; key: *)
 *
 * `end` is of every key that its session is named with: who destroyed it, or with ? what a TTL does
 * from the earliest moment on that it may.
 */
#ifndef TESTS_LINEAR_HISTORY_H
#define TESTS_LINEAR_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define HISTORY_OPS_MAX 2000000
#define HISTORY_UNKNOWN INT64_MAX /* a return that was not seen */
#define HISTORY_EVERY_KEY UINT32_MAX

enum verb {
	VERB_GET,
	VERB_PUT,
	VERB_CAS,
	VERB_DELETE,
	VERB_DELETE_CAS,
	VERB_ACQUIRE,
	VERB_RELEASE,
	VERB_END,
};

enum answer { ANSWER_UNKNOWN, ANSWER_YES, ANSWER_NO, ANSWER_INVALID };

/* Words are numbers: place in history.words; 0 for none. */
struct op {
	int64_t invoke, ret; /* ns; ret: HISTORY_UNKNOWN */
	uint32_t client, key, value, session;
	uint64_t index, lock_index; /* lock_index: of a get's answer */
	int64_t delay;              /* ns; of an end */
	enum verb verb;
	enum answer answer; /* of a get: YES, or NO for none */
	bool deletes;       /* of an end */
};

struct history {
	struct op *ops; /* owned; in the order of the text */
	size_t count, room;
	char **words; /* owned; [0] is none */
	size_t words_n, words_room;
	uint32_t *slots; /* owned; hash table of places in words */
	size_t slots_n;
};

void history_init(struct history *);
void history_done(struct history *);
/* Adds a text; the error names the line. */
int history_read(struct history *, struct str text, struct err *);
uint32_t history_word(struct history *, struct str); /* its number */

#endif
