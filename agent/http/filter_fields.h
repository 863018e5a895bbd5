/* agent/http/filter_fields.h -- what filters can ask about, per kind of entry.
 *
 * A schema is a list of groups, a group a table of selectors: name, type and where the value
 * lies. Names, types and operations are Consul 1.10's (its API pages list them under
 * "Filtering").
 */
#ifndef AGENT_HTTP_FILTER_FIELDS_H
#define AGENT_HTTP_FILTER_FIELDS_H

#include "agent/http/filter.h"
#include "agent/local/local.h"
#include "kv/catalog.h"

enum filter_type {
	FILTER_TEXT,   /* == != in matches */
	FILTER_NUMBER, /* == != */
	FILTER_FLAG,   /* == != */
	FILTER_LIST,   /* in, is empty */
	FILTER_MAP,    /* of its keys: in, is empty */
	FILTER_EACH,   /* is empty; what lies below holds when it does for any element */
};

enum filter_of { FILTER_OF_NODE, FILTER_OF_SERVICE, FILTER_OF_CHECK };

/* How a value is kept at `at` of its struct; lists and maps have their length at `count_at`. */
enum filter_kept {
	KEPT_STR,
	KEPT_I32,
	KEPT_BOOL,
	KEPT_STRS,
	KEPT_PAIRS,
	KEPT_TAGGED,
	KEPT_PAIR,           /* the value at a key of pairs */
	KEPT_TAGGED_ADDRESS, /* of a service's tagged address */
	KEPT_TAGGED_PORT,
	KEPT_JSON, /* a member of raw JSON; the selector after its first part is the way to it */
	KEPT_NOT,  /* always the type's zero */
};

struct filter_field {
	const char *selector; /* parts with points between; "<any>": a key */
	enum filter_type type;
	enum filter_of of;
	enum filter_kept kept;
	size_t at, count_at;
};

struct filter_group {
	const char *name;                  /* first part of its selectors; NULL: none */
	const struct filter_field *fields; /* ends with a row of zeros */
	bool each;                         /* over the checks of an instance */
};

struct filter_schema {
	struct filter_group groups[4]; /* ends with one without fields */
};

extern const struct filter_schema filter_nodes;     /* catalog/nodes */
extern const struct filter_schema filter_instances; /* catalog/service, catalog/services */
extern const struct filter_schema filter_services;  /* catalog/node(-services), agent/services */
extern const struct filter_schema filter_checks;    /* health/node, /checks, /state, agent/checks */
extern const struct filter_schema filter_entries;   /* health/service */

/* Whether an entry is wanted; a NULL filter wants all. */
bool filter_has_node(struct filter *, const struct catalog_node *);
bool filter_has_instance(
    struct filter *, const struct catalog_service *); /* also services, entries */
bool filter_has_check(struct filter *, const struct catalog_check *);
bool filter_has_agent_service(struct filter *, const struct local_service *);
bool filter_has_agent_check(struct filter *, const struct local_check *, struct str node);

/* A check as answers show it: with its node's name, and its service's present name and tags. */
struct check_info filter_check_shown(const struct catalog_check *);
/* The checks of an instance as health/service lists them; NULL starts and ends. */
const struct catalog_check *filter_check_next(
    const struct catalog_service *, const struct catalog_check *);

#endif
