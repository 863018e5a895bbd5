/* agent/regexp_private.h -- between reading a regular expression and compiling it. */
#ifndef AGENT_REGEXP_PRIVATE_H
#define AGENT_REGEXP_PRIVATE_H

#include "agent/regexp.h"
#include "base/buf.h"

/* Go's pattern as PCRE2 reads it, appended to `out`. Errors as regexp_new()'s. */
int regexp_translate(struct str pattern, struct buf *out, struct err *);

#endif
