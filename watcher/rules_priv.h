/* watcher/rules_priv.h -- the inside of rules.h; shared by rules.c and rules_address.c alone. */
#ifndef WATCHER_RULES_PRIV_H
#define WATCHER_RULES_PRIV_H

#include "watcher/rules.h"

/* One SERVICE_* variable or label. Lower rank wins among equal names. */
struct rules_key {
	struct str name; /* behind SERVICE_ and SERVICE_<port>_, in lower case */
	struct str port; /* digits of SERVICE_<port>_, or empty: any port */
	struct str value;
	size_t rank;
};

struct rules {
	const struct rules_config *config;
	struct arena *arena;
	const struct container *c, *peer;
	struct rules_key *keys; /* sorted by name, then rank */
	size_t key_count;
	struct str forced_tags; /* -docker-tags, filled in */
	struct str note;        /* the first that there was */
};

/* SERVICE_<port>_<name>, else SERVICE_<name>; NULL: neither is there. rules.c */
const struct rules_key *rules_key_of(const struct rules *, const char *name, uint16_t port);
struct str rules_label(const struct container *, struct str key); /* STR_NONE: not there */

/* rules_address.c */

/* Does this port offer something, seen from where it is registered? Of several bindings of one
 * port only the first does. */
bool rules_port_counts(struct rules *, size_t port_index);
/* Address and port of the service of a port that counts, in both families. */
void rules_place(struct rules *, size_t port_index, struct rules_service *);

#endif
