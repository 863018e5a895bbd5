/* agent/hcl.h -- reading HCL 1, the language of Consul's *.hcl files, into JSON values.
 *
 *     key = value    key { ... }    key "label" { ... }    [a, b]    { a = 1, "b": 2 }
 *     "text with \n escapes"    <<EOF heredocs    12 0x1f -1.5e3    true false    # // and comments
 *
 * A block becomes a list with one object, blocks of one name one list with an object each, labels
 * objects around it: what HCL 1 hands its users, who take a list of one for what is in it. A key
 * that is set twice otherwise keeps both values in a list as well.
 */
#ifndef AGENT_HCL_H
#define AGENT_HCL_H

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#define HCL_DEPTH_MAX 32      /* blocks, lists and maps within each other */
#define HCL_VALUES_MAX 200000 /* in one text */
#define HCL_LABELS_MAX 8      /* between a key and its block */

/* The whole text as one object; the caller owns *out (json_decref). ERR_INPUT, ERR_LIMIT with a
 * sentence that begins with `name:line: `. */
int hcl_read(struct str name, struct str text, json_t **out, struct err *);

#endif
