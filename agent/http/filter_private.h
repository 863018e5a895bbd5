/* agent/http/filter_private.h -- the tree of a filter, between its parser, its binding to fields
 * and its evaluation (filter_parse.c, filter_bind.c, filter.c).
 */
#ifndef AGENT_HTTP_FILTER_PRIVATE_H
#define AGENT_HTTP_FILTER_PRIVATE_H

#include "agent/http/filter.h"
#include "agent/http/filter_fields.h"
#include "agent/regexp.h"

/* In pairs: the odd one is the even one negated. */
enum filter_op {
	FILTER_EQUAL,
	FILTER_NOT_EQUAL,
	FILTER_IN,
	FILTER_NOT_IN,
	FILTER_IS_EMPTY,
	FILTER_IS_NOT_EMPTY,
	FILTER_MATCHES,
	FILTER_NOT_MATCHES,
};

struct filter_match {
	/* as written */
	enum filter_op op;
	struct str *path; /* the selector's parts */
	size_t path_len;
	struct str value; /* not for emptiness */
	/* as bound */
	const struct filter_group *group;
	const struct filter_field *field; /* NULL: the group itself */
	struct str key;                   /* what stands for the field's <any> */
	int64_t number;
	bool flag;
	struct regexp *regexp;
};

enum filter_kind { FILTER_MATCH, FILTER_NOT, FILTER_AND, FILTER_OR };

struct filter_node {
	enum filter_kind kind;
	struct filter_node *left, *right; /* NOT has the left one only */
	struct filter_match *match;
};

struct filter {
	struct filter_node *root;
	uint64_t steps; /* left for regular expressions */
	bool given_up;
};

/* The parts of a selector with points between; STR_NONE when the arena is full. */
struct str filter_path_text(struct arena *, const struct str *path, size_t count);

/* filter_parse.c. *count: of matches. The error is Consul's: "1:5 (4): …". */
int filter_parse(
    struct arena *, struct str text, struct filter_node **root, size_t *count, struct err *);
/* filter_bind.c: finds the fields and turns the values into their types. */
int filter_bind(
    struct arena *, const struct filter_schema *, const struct filter_node *, struct err *);

#endif
