/* agent/cmd/pair.h -- a key with its value, as commands read it from the API, and the numbers and
 * data that they take from the command line.
 */
#ifndef AGENT_CMD_PAIR_H
#define AGENT_CMD_PAIR_H

#include <jansson.h>

#include "agent/cmd/flags.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define PAIR_DATA_MAX (64 * 1024 * 1024) /* bytes of a file or of standard input */

struct pair_entry {
	struct str key, value; /* any bytes */
	struct str session;    /* empty: nobody holds it */
	uint64_t flags, create, modify, lock;
};

/* One entry of what GET /v1/kv/ answers. Slices are borrowed from the JSON, the value lives in the
 * arena. */
int pair_read(struct arena *, const json_t *, struct pair_entry *out, struct err *);

/* The key of a command's word, which may begin with a slash that does not belong to it. */
struct str pair_key(const char *word);

/* "@FILE": the file's bytes; "-": those of standard input; anything else: the word itself. The
 * buffer holds them. */
int pair_data(const char *word, struct buf *out, struct err *);

/* A number of a flag, decimal or 0x…, in 64 bits. NULL leaves *out as it is. ERR_INPUT: none. */
int pair_number(const char *flag, const char *text, uint64_t *out, struct err *);

#endif
