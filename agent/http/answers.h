/* agent/http/answers.h -- rendered answers, kept and given again as long as they are true.
 *
 * An answer is known by its request (path and parameters, without those that say how long to
 * wait) and is true as long as none of the scopes it was made from has changed: it is compared
 * with their indexes whenever it is asked for. A handler says of its reply that this is so
 * (http_reply.lasting). Bounded in number and bytes; what was not asked for longest goes first.
 */
#ifndef AGENT_HTTP_ANSWERS_H
#define AGENT_HTTP_ANSWERS_H

#include "agent/http/http.h"

#define ANSWERS_MAX 4096                    /* a power of two */
#define ANSWERS_BYTES_MAX (8 * 1024 * 1024) /* bodies, and what is known of them */
#define ANSWERS_ONE_MAX (1024 * 1024)       /* a larger body is made anew each time */

struct answers;

struct answers *answers_new(void);
void answers_free(struct answers *);

/* Fills a reply that reply_init() has prepared; its body is `shared` until the next call of
 * these. False: there is none, or none that is true any more. */
bool answers_find(struct answers *, const struct watches *, struct str key, struct http_reply *);

/* Keeps a reply just made, if it can be; its body moves to `shared` then. */
void answers_keep(struct answers *, const struct watches *, struct str key, struct http_reply *);

/* Keeps the gzip of the answer given last with it; of another one nothing is kept. */
void answers_pack(struct answers *, const struct blob *given, struct blob *packed);

/* What a request's answer is known by: its target without ?index and ?wait. Empty: the arena is
 * full. */
struct str answers_key(const struct http_request *);

struct answers_stats {
	size_t count, bytes;
	uint64_t hits, misses;
};
struct answers_stats answers_stats(const struct answers *);

#endif
