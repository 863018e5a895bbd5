/* agent/pool/roster_io.h -- who was there: what is kept in the data folder for a rejoin.
 *
 * File `roster`: the members last seen (id, name, address), newest first, those that died or were
 * reaped too, and serf's Lamport clocks. It is a help, not the truth: a damaged file is told and
 * ignored. Written at most every ROSTER_INTERVAL while something changes, and when it is closed.
 */
#ifndef AGENT_ROSTER_IO_H
#define AGENT_ROSTER_IO_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/nsec.h"
#include "base/str.h"
#include "base/uuid.h"
#include "gossip/serf.h"

#define ROSTER_MEMBERS_MAX 1024
#define ROSTER_NAME_MAX 255 /* bytes; a longer name is not kept */
#define ROSTER_INTERVAL (10 * NSEC_SEC)
#define ROSTER_SETTLE (500 * NSEC_MS) /* news come in heaps: written a little later */

struct roster_member {
	struct uuid id; /* all zero: no muster agent, its name says who it is */
	struct str name;
	struct addr addr;
};

struct roster;

/* folder NULL: memory only. after_leave: -rejoin; without it who had left begins with no members.
 * *damage (may be NULL) is set when the file was there and of no use; the roster is empty then. */
struct roster *roster_open(const char *folder, bool after_leave, struct err *damage);
/* Writes what is not written yet. The roster is gone in every case. NULL is fine. */
int roster_close(struct roster *, struct err *);

/* A member is alive: first in the list from now on; its old address, and whoever had this
 * one, are dropped. */
void roster_seen(struct roster *, nsec now, const struct roster_member *);
void roster_forget(struct roster *, nsec now, const struct roster_member *); /* it left */
void roster_clocks_set(struct roster *, nsec now, struct serf_clocks);
void roster_leaving(struct roster *); /* we leave for good: the next start does not rejoin */

nsec roster_deadline(const struct roster *);
int roster_tick(struct roster *, nsec now, struct err *); /* ERR_IO: tried again later */

size_t roster_count(const struct roster *);
struct roster_member roster_at(const struct roster *, size_t i); /* 0: seen last; borrowed */
size_t roster_addrs(const struct roster *, struct addr *out, size_t max);
struct serf_clocks roster_clocks(const struct roster *);

#endif
