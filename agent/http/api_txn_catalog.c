/* agent/http/api_txn_catalog.c -- see api_txn_catalog.h.
 *
 * Parts: verbs; what is there once the operations before are done; trying; planning; answering.
 * Texts are Consul's, but for what agents own: compare-and-set on that is refused (RULES 5).
 */
#include "agent/http/api_txn_catalog.h"

#include "agent/external.h"
#include "agent/http/render.h"

/* --- verbs --- */

enum verb { VERB_GET, VERB_SET, VERB_CAS, VERB_DELETE, VERB_DELETE_CAS, VERB_UNKNOWN };

static enum verb
verb_of(const struct txn_op *op)
{
	static const struct {
		struct str name;
		enum verb verb;
	} verbs[] = {
		{ STR("get"), VERB_GET },
		{ STR("set"), VERB_SET },
		{ STR("cas"), VERB_CAS },
		{ STR("delete"), VERB_DELETE },
		{ STR("delete-cas"), VERB_DELETE_CAS },
	};

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (str_eq(op->verb, verbs[i].name))
			return verbs[i].verb;
	return VERB_UNKNOWN;
}

static bool
sets(const struct txn_op *op)
{
	return verb_of(op) == VERB_SET || verb_of(op) == VERB_CAS;
}

static bool
deletes(const struct txn_op *op)
{
	return verb_of(op) == VERB_DELETE || verb_of(op) == VERB_DELETE_CAS;
}

bool
txn_op_writes(const struct txn_op *op)
{
	if (op->kind == TXN_KV)
		return !txn_verb_reads(op->kv.verb);
	return verb_of(op) != VERB_GET;
}

/* Ids default to names. */
static struct str
service_id(const struct txn_op *op)
{
	return op->service.id.n > 0 ? op->service.id : op->service.name;
}

static struct str
check_id(const struct txn_op *op)
{
	return op->check.id.n > 0 ? op->check.id : op->check.name;
}

/* --- what is there once the operations before are done --- */

struct there {
	bool is;        /* it is there */
	bool fresh;     /* set by an operation before: its index is not known yet */
	bool of_agent;  /* not an external record */
	uint64_t index; /* ModifyIndex */
};

static const struct catalog_node *
node_find(const struct api *api, const struct txn_op *op)
{
	const struct catalog *catalog = store_catalog(api->store);

	if (op->kind == TXN_NODE && op->node.id.n > 0)
		return catalog_node_find_id(catalog, op->node.id);
	return catalog_node_find(catalog, op->node.name);
}

static struct there
node_there(const struct api *api, const struct txn_op *ops, size_t i)
{
	const struct catalog_node *n = node_find(api, &ops[i]);
	struct str name = ops[i].node.name;

	for (size_t k = i; k-- > 0;) {
		const struct txn_op *before = &ops[k];

		if (before->kind != TXN_NODE || !str_eq(before->node.name, name))
			continue;
		if (sets(before))
			return (struct there){ .is = true, .fresh = true };
		if (deletes(before))
			return (struct there){ 0 };
	}
	if (n == NULL)
		return (struct there){ 0 };
	return (struct there){ true, false, n->agent, n->modify_index };
}

static bool
node_deleted(const struct txn_op *before, const struct txn_op *op)
{
	return before->kind == TXN_NODE && deletes(before) &&
	       str_eq(before->node.name, op->node.name);
}

/* Of the service that a service's or a check's operation names. */
static struct there
service_there(const struct api *api, const struct txn_op *ops, size_t i, struct str id)
{
	const struct catalog_node *n = node_find(api, &ops[i]);
	const struct catalog_service *s = n == NULL ? NULL : catalog_service_find(n, id);

	for (size_t k = i; k-- > 0;) {
		const struct txn_op *before = &ops[k];

		if (node_deleted(before, &ops[i]))
			return (struct there){ 0 };
		if (before->kind != TXN_SERVICE || !str_eq(before->node.name, ops[i].node.name) ||
		    !str_eq(service_id(before), id))
			continue;
		if (sets(before))
			return (struct there){ .is = true, .fresh = true };
		if (deletes(before))
			return (struct there){ 0 };
	}
	if (s == NULL)
		return (struct there){ 0 };
	return (struct there){ true, false, !s->external, s->modify_index };
}

static struct there
check_there(const struct api *api, const struct txn_op *ops, size_t i)
{
	const struct catalog_node *n = node_find(api, &ops[i]);
	const struct catalog_check *c = n == NULL ? NULL : catalog_check_find(n, check_id(&ops[i]));

	for (size_t k = i; k-- > 0;) {
		const struct txn_op *before = &ops[k];

		if (node_deleted(before, &ops[i]))
			return (struct there){ 0 };
		if (c != NULL && before->kind == TXN_SERVICE && deletes(before) &&
		    str_eq(before->node.name, ops[i].node.name) &&
		    str_eq(service_id(before), c->info.service_id))
			return (struct there){ 0 };
		if (before->kind != TXN_CHECK || !str_eq(before->node.name, ops[i].node.name) ||
		    !str_eq(check_id(before), check_id(&ops[i])))
			continue;
		if (sets(before))
			return (struct there){ .is = true, .fresh = true };
		if (deletes(before))
			return (struct there){ 0 };
	}
	if (c == NULL)
		return (struct there){ 0 };
	return (struct there){ true, false, !c->external, c->modify_index };
}

/* --- trying --- */

static const char *
kind_name(const struct txn_op *op, bool upper)
{
	switch (op->kind) {
	case TXN_NODE:
		return upper ? "Node" : "node";
	case TXN_SERVICE:
		return upper ? "Service" : "service";
	case TXN_CHECK:
		return upper ? "Check" : "check";
	case TXN_KV:
		break;
	}
	return "key";
}

/* service "x" on node "n", quoted as Go does it. */
static void
say_subject(struct buf *why, const struct txn_op *op)
{
	buf_add(why, str_of(kind_name(op, false)));
	buf_addc(why, ' ');
	if (op->kind != TXN_NODE) {
		txn_quote(why, op->kind == TXN_SERVICE ? service_id(op) : check_id(op));
		buf_add(why, STR(" on node "));
	}
	txn_quote(why, op->node.name);
}

/* The condition of cas: index 0 means that there must be none yet. */
static bool
may_replace(const struct txn_op *op, const struct there *now)
{
	return op->index == 0 ? !now->is : now->is && !now->fresh && now->index == op->index;
}

static bool
try_condition(const struct txn_op *op, const struct there *now, struct buf *why)
{
	bool delete = verb_of(op) == VERB_DELETE_CAS;
	bool holds =
	    delete ? now->is && !now->fresh && now->index == op->index : may_replace(op, now);

	if (holds && !now->of_agent)
		return true;
	buf_add(why, delete ? STR("failed to delete ") : STR("failed to set "));
	say_subject(why, op);
	buf_add(why, holds ? STR(", it is an agent's own") : STR(", index is stale"));
	return false;
}

static bool
say(struct buf *why, const char *text)
{
	buf_add(why, str_of(text));
	return false;
}

/* What a set needs to be there. */
static bool
try_set(const struct api *api, const struct txn_op *ops, size_t i, struct buf *why)
{
	const struct txn_op *op = &ops[i];

	if (op->node.name.n == 0)
		return say(why, "Must provide node");
	if (op->kind == TXN_NODE)
		return op->node.address.n > 0 ||
		       say(why, "Must provide address if SkipNodeUpdate is not set");
	if (!node_there(api, ops, i).is)
		return say(why, "Missing node registration");
	if (op->kind == TXN_SERVICE)
		return op->service.name.n > 0 || say(why, "Must provide service name with ID");
	if (op->check.service_id.n > 0 && !service_there(api, ops, i, op->check.service_id).is)
		return say(why, "Missing service registration");
	return check_id(op).n > 0 || say(why, "Must provide check ID or name");
}

static struct there
subject_there(const struct api *api, const struct txn_op *ops, size_t i)
{
	if (ops[i].kind == TXN_NODE)
		return node_there(api, ops, i);
	if (ops[i].kind == TXN_SERVICE)
		return service_there(api, ops, i, service_id(&ops[i]));
	return check_there(api, ops, i);
}

bool
txn_catalog_try(const struct api *api, const struct txn_op *ops, size_t i, struct buf *why)
{
	const struct txn_op *op = &ops[i];
	struct there now;

	if (op->kind == TXN_KV)
		return true;
	now = subject_there(api, ops, i);
	switch (verb_of(op)) {
	case VERB_GET:
		if (now.is)
			return true;
		say_subject(why, op);
		return say(why, " doesn't exist");
	case VERB_SET:
		return try_set(api, ops, i, why);
	case VERB_CAS:
		return try_set(api, ops, i, why) && try_condition(op, &now, why);
	case VERB_DELETE:
		return op->node.name.n > 0 || say(why, "Must provide node");
	case VERB_DELETE_CAS:
		return try_condition(op, &now, why);
	case VERB_UNKNOWN:
		break;
	}
	buf_addf(why, "unknown %s verb ", kind_name(op, true));
	txn_quote(why, op->verb);
	return false;
}

/* --- planning --- */

static int
plan_set(const struct api *api, const struct txn_op *op, struct buf *steps, struct err *err)
{
	struct check_info check = op->check;
	struct external_register r = {
		.node = op->node,
		.skip_node_update = op->kind != TXN_NODE,
		.has_service = op->kind == TXN_SERVICE,
		.service = op->service,
		.checks = &check,
		.check_count = op->kind == TXN_CHECK ? 1 : 0,
	};

	r.node.datacenter = api->options->datacenter;
	return external_register(api->store, &r, steps, err);
}

static int
plan_delete(const struct api *api, const struct txn_op *op, struct buf *steps, struct err *err)
{
	struct external_deregister d = { .node = op->node.name };

	if (op->kind == TXN_SERVICE)
		d.service_id = service_id(op);
	if (op->kind == TXN_CHECK)
		d.check_id = check_id(op);
	if (op->kind != TXN_NODE && d.service_id.n == 0 && d.check_id.n == 0)
		return 0; /* it names nothing: not the whole node */
	return external_deregister(api->store, &d, steps, err);
}

static uint16_t
record_kind(const struct txn_op *op)
{
	return op->kind == TXN_NODE      ? RECORD_NODE
	       : op->kind == TXN_SERVICE ? RECORD_SERVICE
					 : RECORD_CHECK;
}

/* What cas found must be so still when the log comes to it. */
static int
plan_condition(const struct txn_op *op, struct buf *steps, struct err *err)
{
	struct fsm_step at = { .verb = FSM_IF_AT, .kind = record_kind(op), .number = op->index };
	struct str body;
	struct buf key;
	int rc = 0;

	external_key(&key, op->node.name, op->kind == TXN_SERVICE ? service_id(op) : check_id(op));
	at.key = op->kind == TXN_NODE ? op->node.name : buf_str(&key);
	if (external_planned(steps, at.kind, at.key, &body) == EXTERNAL_AS_IS)
		rc = fsm_step_add(steps, &at, err);
	buf_done(&key);
	return rc;
}

/* So must the node of a service or a check, where it is no agent's. */
static int
plan_node_there(const struct api *api, const struct txn_op *op, struct buf *steps, struct err *err)
{
	const struct catalog_node *n = node_find(api, op);
	const struct fsm_step live = {
		.verb = FSM_IF_LIVE, .kind = RECORD_NODE, .key = op->node.name
	};
	struct str body;

	if (op->kind == TXN_NODE || n == NULL || n->agent ||
	    external_planned(steps, RECORD_NODE, op->node.name, &body) != EXTERNAL_AS_IS)
		return 0;
	return fsm_step_add(steps, &live, err);
}

int
txn_catalog_plan(const struct api *api, const struct txn_op *op, struct buf *steps, struct err *err)
{
	enum verb verb = verb_of(op);
	int rc = 0;

	if (op->kind == TXN_KV || verb == VERB_GET)
		return 0;
	if (verb == VERB_CAS || verb == VERB_DELETE_CAS)
		rc = plan_condition(op, steps, err);
	if (rc == 0 && sets(op))
		rc = plan_node_there(api, op, steps, err);
	if (rc == 0)
		rc = sets(op) ? plan_set(api, op, steps, err) : plan_delete(api, op, steps, err);
	return rc;
}

/* --- answering --- */

void
txn_catalog_render(const struct api *api, const struct txn_op *op, struct jw *w)
{
	const struct catalog_node *n = node_find(api, op);
	const struct catalog_service *s =
	    n == NULL || op->kind != TXN_SERVICE ? NULL : catalog_service_find(n, service_id(op));
	const struct catalog_check *c =
	    n == NULL || op->kind != TXN_CHECK ? NULL : catalog_check_find(n, check_id(op));

	if (deletes(op) || n == NULL || (op->kind == TXN_SERVICE && s == NULL) ||
	    (op->kind == TXN_CHECK && c == NULL))
		return;
	jw_object(w);
	jw_key(w, str_of(kind_name(op, true)));
	if (op->kind == TXN_NODE)
		render_node(w, n);
	else if (s != NULL)
		render_txn_service(w, s);
	else
		render_check(w, c);
	jw_object_end(w);
}
