/* watcher/template_func.h -- values and functions of templates; used by template.c alone.
 *
 * A value is a jansson value or NULL (Go's nil). New values go into the caller's keep array,
 * so that every value is borrowed from there or from the data.
 */
#ifndef WATCHER_TEMPLATE_FUNC_H
#define WATCHER_TEMPLATE_FUNC_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define TEMPLATE_ARGS_MAX 16
#define TEMPLATE_TEXT_MAX (256 * 1024) /* bytes of one computed text */

struct template_call {
	json_t *keep; /* array that owns what functions make */
	json_t *args[TEMPLATE_ARGS_MAX];
	size_t count;
	struct err *err;
};

struct template_func {
	const char *name;
	size_t args_min, args_max;
	/* 0 and *out, or an error code. */
	int (*run)(struct template_call *, json_t **out);
};

const struct template_func *template_func_find(struct str name); /* or NULL */

json_t *template_keep(json_t *keep, json_t *value); /* takes value; returns it, or NULL */
bool template_truth(json_t *);                      /* as `if` sees it */
void template_print(struct buf *, json_t *);        /* as {{.}} shows it */

#endif
