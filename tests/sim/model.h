/* tests/sim/model.h -- what runs on a host, told without a store: services, checks and records of
 * a kind that this version does not know.
 *
 * A thing is there or not, and has a version, which grows whenever it changes anywhere in the
 * simulation; what is put into a store is made from (host, thing, version) alone, so what any
 * agent should show of a host can be computed.
 */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "kv/store.h"

#define MODEL_SERVICES 64
#define MODEL_CHECKS 16
#define MODEL_NOTES 64
#define MODEL_NOTE_KIND 4001 /* no version of muster knows it (RULES 14) */

struct model {
	unsigned services[MODEL_SERVICES]; /* version; 0: not there */
	unsigned checks[MODEL_CHECKS];     /* check i belongs to service i; its status follows from
					    * the version */
	unsigned notes[MODEL_NOTES];
	unsigned version; /* the last one given */
	size_t extent;    /* nothing was ever there from this number on */
};

struct model_ids { /* where things are put */
	struct store *store;
	const struct uuid *self;
	const char *node, *address; /* its node record */
};

/* Everything of the model, into a store that has none of it; with the node itself. */
void model_load(const struct model *, const struct model_ids *, struct now);
/* Changes the model and, where a store is given, the store. A version of 0 removes. */
void model_service(struct model *, const struct model_ids *, struct now, size_t i, bool there);
void model_check(struct model *, const struct model_ids *, struct now, size_t i, bool there);
void model_note(struct model *, const struct model_ids *, struct now, size_t i, bool there);

/* What a catalog should show of a host, and what one shows of an owner: comparable lines. */
void model_show(const struct model *, const char *node, const char *address, struct buf *out);
void model_shown(
    const struct model *extent, const struct catalog_node *, const struct owner *, struct buf *out);

/* How many of these services are not there; the node may be NULL. Services are bits. */
size_t model_missing(uint64_t services, const struct catalog_node *);
uint64_t model_services(const struct model *);
enum check_status model_status(unsigned version);

#endif
