/* agent/agent_external.c -- records of nodes that are no agents, from the log into the store (RULES
 * 4); and, once, from the journal that versions before kept of them into the log.
 */
#include "agent/agent_priv.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

#define JOURNAL_RECORD 2 /* in that journal: added to a record's kind */
#define EXTERNAL_JOURNAL "external.journal"
#define EXTERNAL_RETRY (5 * NSEC_SEC)

/* ---- from the log ---- */

/* What is decided shows. The leader tells others of it at once, the other servers in digests. */
void
agent_external_take(struct agent *a, struct now now)
{
	struct fsm *fsm = cluster_fsm(a->cluster);
	struct cluster_status status;
	uint64_t before = store_version(a->store);

	if (fsm == NULL)
		return;
	status = cluster_status(a->cluster, now);
	if (!status.formed)
		return;
	store_cluster_take(a->store, now, &status.cluster, fsm_external_epoch(fsm),
	    fsm_external(fsm), status.leader);
	if (store_version(a->store) != before)
		agent_api_changed(a);
}

/* ---- from an earlier version's journal ---- */

static struct str
journal_path(struct agent *a, const char *suffix)
{
	return arena_fmt(&a->arena, "%s/" EXTERNAL_JOURNAL "%s", a->identity.folder, suffix);
}

int
agent_external_open(struct agent *a, struct err *err)
{
	struct str path;

	if (a->identity.folder == NULL)
		return 0;
	path = journal_path(a, "");
	if (access(path.p, F_OK) != 0)
		return 0;
	if (!a->options->server) {
		log_warn("agent", "%s is not used: its registrations are a server's to take over",
		    path.p);
		return 0;
	}
	return journal_open(a->base, path, &a->external_journal, err);
}

void
agent_external_close(struct agent *a)
{
	journal_close(a->external_journal);
	a->external_journal = NULL;
}

/* What is there already stays as it is: somebody has said something newer. */
static void
steps_of(struct agent *a, struct buf *steps)
{
	const struct owner *there = store_cluster_owner(a->store);
	struct owner_record r;
	struct str key, value;
	size_t cursor = 0;
	uint16_t kind;

	while (steps->n < FSM_STEPS_BYTES_MAX / 2 &&
	       journal_next(a->external_journal, &cursor, &kind, &key, &value)) {
		struct fsm_step s = { .verb = FSM_PUT, .key = key, .body = value };

		s.kind = (uint16_t)(kind - JOURNAL_RECORD);
		if (kind < RECORD_NODE + JOURNAL_RECORD || kind > RECORD_CHECK + JOURNAL_RECORD ||
		    (there != NULL && owner_find(there, s.kind, key, &r) && !r.gone) ||
		    key.n > RECORD_KEY_MAX || value.n > RECORD_BODY_MAX)
			continue;
		(void)fsm_step_add(steps, &s, NULL); /* there is room for the largest one */
	}
}

static void
journal_over(struct agent *a)
{
	struct str from = journal_path(a, ""), to = journal_path(a, ".taken");

	agent_external_close(a);
	if (rename(from.p, to.p) < 0)
		log_warn("agent", "%s cannot be renamed; it will be looked at again", from.p);
	else
		log_info("agent", "external registrations are in the log now, what was %s is %s",
		    from.p, to.p);
}

/* Asks for the next part, or ends. */
void
agent_external_look(struct agent *a, struct now now)
{
	struct fsm_op op;
	struct buf steps;

	if (a->external_journal == NULL || a->external_request != 0 ||
	    now.mono < a->external_retry || !cluster_status(a->cluster, now).known_leader ||
	    store_cluster_owner(a->store) == NULL)
		return;
	buf_init(&steps, FSM_STEPS_BYTES_MAX);
	steps_of(a, &steps);
	fsm_op_init(&op, FSM_EXTERNAL);
	op.steps = buf_str(&steps);
	if (steps.n == 0)
		journal_over(a);
	else
		a->external_request = cluster_write(a->cluster, now, &op);
	a->cluster_fed = a->cluster_fed || a->external_request != 0;
	buf_done(&steps);
}

bool
agent_external_answer(struct agent *a, struct now now, const struct cluster_action *answer)
{
	bool refused =
	    answer->code == 0 && (answer->bytes.n == 0 || answer->bytes.p[0] != FSM_TRUE);

	if (a->external_request == 0 || answer->request != a->external_request)
		return false;
	a->external_request = 0;
	if (answer->code != 0)
		a->external_retry = now.mono + EXTERNAL_RETRY;
	if (refused) {
		log_error("agent", "the registrations in " EXTERNAL_JOURNAL
				   " are not taken over: there is no room for them");
		agent_external_close(a);
	}
	return true;
}
