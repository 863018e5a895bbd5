/* agent/duration.h -- spans of time as Go writes and reads them: "1h30m", "1.5s", "250ms".
 *
 * Config files, flags, check definitions and query parameters all use this form. Source: the
 * documented grammar of time.ParseDuration and the format of Duration.String.
 */
#ifndef AGENT_DURATION_H
#define AGENT_DURATION_H

#include "base/err.h"
#include "base/nsec.h"
#include "base/str.h"

#define DURATION_TEXT_MAX 40 /* bytes for any span as text, with its NUL */

/* A span as Go writes it, sign and fractions included; "0" too. ERR_INPUT with Go's own text
 * (time: invalid duration "x"). */
int duration_parse(struct str, nsec *out, struct err *);

/* As Go prints it: "1m30s", "1.5s", "0s". Terminated; returns out. */
char *duration_format(nsec, char out[DURATION_TEXT_MAX]);

#endif
