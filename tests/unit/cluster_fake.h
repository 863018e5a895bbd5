/* tests/unit/cluster_fake.h -- a cluster as the API sees it: decides at once on its own copy, or
 * says what it is told to say. Its answers wait until somebody takes the actions.
 */
#ifndef TESTS_UNIT_CLUSTER_FAKE_H
#define TESTS_UNIT_CLUSTER_FAKE_H

#include "agent/server/cluster.h"

struct cluster_fake {
	bool must_ask;     /* reads wait for the leader */
	bool no_copy;      /* an agent that holds no keys */
	const char *error; /* what is asked from now on is answered so, with `code` */
	int code;
	bool renew_only_at_leader; /* the session is known there, not here: for one answer */
	struct cluster_status status;
	struct raft_core_server server; /* the configuration; no agent: it is not known */
	struct str http_answer; /* to cluster_ask_http() */
	/* what was done */
	unsigned writes, reads, renewals, asks, repeatable, cancels, serves;
	struct buf asked, served; /* the last */
	uint64_t served_request;
};
extern struct cluster_fake cluster_fake;

struct cluster *cluster_fake_new(struct watches *);

#endif
