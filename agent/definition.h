/* agent/definition.h -- services and checks that config files define.
 *
 * Read while the options are, into their arena; registered at start and after each SIGHUP, where
 * those that the files no longer name go. Consul's names, in snake case or as the API has them.
 */
#ifndef AGENT_DEFINITION_H
#define AGENT_DEFINITION_H

#include "agent/http/decode.h"
#include "base/json.h"

struct local;
struct now;

struct definition {
	struct definition *next;
	struct str where; /* for errors: "a.hcl: service \"web\"" */
	bool is_check;
	struct service_registration service; /* unless is_check */
	struct check_def check;
};

struct definitions { /* zeros: none; in order of the files */
	struct definition *first, *last;
	size_t count;
};

/* The value of `service`, `services`, `check` or `checks`: one object or a list of them. `file`
 * is named in `where`; errors name the definition and the key, the caller adds the file. */
int definitions_read(struct definitions *, struct arena *, struct str file, const char *key,
    const json_t *value, bool is_check, struct err *);

/* The same services as the API takes them, added to a JSON list: for who registers them over HTTP.
 * Not checked. */
void definition_services(json_t *list, const json_t *value);

/* Registers all with LOCAL_CONFIG as their source and removes what else has it. What cannot be
 * registered is left out; the first such error is returned after all others were. */
int definitions_apply(const struct definitions *, struct local *, struct now, struct err *);

#endif
