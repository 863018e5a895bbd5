/* agent/query_template.h -- prepared queries that are templates: one definition for many names.
 *
 * In every text of the part "Service" stand expressions: ${name.full}, ${name.prefix} (the name of
 * the template), ${name.suffix} (what follows it), ${match(N)} (what the Nth group of the regular
 * expression has matched; nothing when it has not), ${agent.segment}, and texts in quotes. "$${" is
 * a "${" that stands for itself. Anything else between braces is an error.
 * Source: Consul's API page of /v1/query; words of errors as its agent has them.
 */
#ifndef AGENT_QUERY_TEMPLATE_H
#define AGENT_QUERY_TEMPLATE_H

#include "base/arena.h"
#include "base/err.h"
#include "kv/query.h"

#define QUERY_TEXT_MAX (64 * 1024)     /* bytes of all texts that come of one template */
#define QUERY_REGEXP_STEPS_MAX 100000 /* of its regular expression, for one name */

/* The definition for a name; texts and lists live in the arena, or are the template's.
 * ERR_INPUT: it is none, or broken; ERR_LIMIT: the texts grow too large. */
int query_render(
    struct arena *, const struct query_info *, struct str name, struct query_info *out, struct err *);

#endif
