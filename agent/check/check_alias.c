/* agent/check/check_alias.c -- alias checks, from the catalog. Consul: agent/checks/alias.go's answers.
 */
#include "agent/check/check_alias.h"

struct alias_view {
	enum check_status status;
	const struct catalog_check *worst; /* the first of the worst; NULL: all pass */
	bool any;
};

static void
alias_look(struct alias_view *v, const struct catalog_check *c)
{
	v->any = true;
	if (c->status == CHECK_PASSING || c->status <= v->status)
		return;
	v->status = c->status;
	v->worst = c;
}

enum check_status
check_alias_eval(
    const struct catalog *catalog, const struct check_def *def, struct str self, struct buf *out)
{
	struct str node_name = def->alias_node.n > 0 ? def->alias_node : self;
	const struct catalog_node *node = catalog_node_find_nocase(catalog, node_name);
	const struct catalog_service *service = NULL;
	const struct catalog_check *c = NULL;
	struct alias_view v = { .status = CHECK_PASSING };
	bool own = node != NULL && str_eq_nocase(node->info.name, self);

	if (node != NULL && def->alias_service.n > 0)
		service = catalog_service_find(node, def->alias_service);
	if (node == NULL || (def->alias_service.n > 0 && service == NULL)) {
		if (def->alias_service.n > 0)
			buf_addf(out, "Service " STR_FMT " could not be found on node " STR_FMT,
			    STR_ARG(def->alias_service), STR_ARG(node_name));
		else
			buf_addf(out, "Node " STR_FMT " could not be found", STR_ARG(node_name));
		return CHECK_CRITICAL;
	}
	while (service != NULL && (c = catalog_service_check_next(service, c)) != NULL)
		if (!own || !str_eq(c->info.id, def->id))
			alias_look(&v, c);
	for (c = NULL; (c = catalog_node_check_next(node, c)) != NULL;)
		if (!own || !str_eq(c->info.id, def->id))
			alias_look(&v, c);
	if (v.worst == NULL) {
		buf_add(out, v.any ? STR("All checks passing.") : STR("No checks found."));
		return CHECK_PASSING;
	}
	buf_addf(out, "Aliased check \"" STR_FMT "\" failing: ", STR_ARG(v.worst->info.name));
	buf_add(out, v.worst->info.output);
	return v.status == CHECK_WARNING ? CHECK_WARNING : CHECK_CRITICAL;
}
