/* watcher/template.h -- Go's text/template, as far as -docker-tags needs it.
 *
 * Text with actions in {{ }} over a JSON value: fields (.Config.Image), literals, function
 * calls, pipelines (a | b), parentheses, if/else, with, range, comments, {{- and -}}. No
 * variables but $, no definitions. Functions: those of template_func.c. Where we differ from
 * Go: a missing field is empty instead of an error or "<no value>", and fields are found in
 * either case (.ID and .Id), since Docker's JSON and its Go types do not agree there.
 */
#ifndef WATCHER_TEMPLATE_H
#define WATCHER_TEMPLATE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define TEMPLATE_STEPS_MAX 100000 /* actions carried out: bounds ranges within ranges */
#define TEMPLATE_DEPTH_MAX 32

/* ERR_INPUT: the template cannot be read; the text has the place. */
int template_check(struct str text, struct err *);

/* Appends to out. ERR_INPUT: cannot be read, or a function refused its arguments;
 * ERR_LIMIT: out is full, or too many steps. */
int template_render(struct str text, json_t *root, struct buf *out, struct err *);

#endif
