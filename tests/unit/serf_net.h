/* tests/unit/serf_net.h -- a few serf cores on a network of the test's own, in virtual time.
 *
 * Every node hears everybody that is up and not cut off; a message takes a millisecond. Membership
 * below serf is played here: net_join(), net_kill() and a leave tell all cores at once what SWIM
 * would. What the cores tell their agents is written down and compared with net_story().
 */
#ifndef TESTS_UNIT_SERF_NET_H
#define TESTS_UNIT_SERF_NET_H

#include "gossip/serf.h"
#include "tests/unit/test.h"

#define NET_NODES 6 /* a b c d e f */

struct net_packet {
	unsigned to;
	struct addr from;
	nsec at;
	char *bytes;
	size_t n;
};

struct net_node {
	struct serf *serf; /* NULL: not started or killed */
	char name[2];
	struct swim_member swim;
	struct keyring *keys; /* before net_start(): encrypts */
	bool left;
	bool auto_answer; /* answers each query with its name */
	unsigned broadcasts, sends, reconnects, key_saves;
};

struct net {
	nsec now;
	struct net_node nodes[NET_NODES];
	bool cut[NET_NODES][NET_NODES];
	struct net_packet *queue;
	size_t queue_count, queue_room;
	struct buf story;
};

enum { A, B, C, D, E, F };

struct net *net_new(void);
void net_free(struct net *);
void net_start(struct net *, unsigned node, const char *role); /* a new life */
void net_join(struct net *, unsigned node, unsigned via);
void net_push_pull(struct net *, unsigned from, unsigned to, bool join);
void net_kill(struct net *, unsigned node);  /* and all others notice */
void net_drain(struct net *, unsigned node); /* after a request to its core */
void net_run(struct net *, nsec);
void net_member_alive(struct net *, unsigned at, unsigned about); /* what SWIM would say */
void net_give(struct net *, unsigned node, const struct serf_message *);
const char *net_state(struct net *, unsigned at, unsigned about); /* "-": not known */
void net_story(struct net *, const char *want);                   /* and begins a new one */
void net_forget_story(struct net *);

#endif
