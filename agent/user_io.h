/* agent/user_io.h -- an agent that was started as root goes on as another user.
 *
 * What stays of root is the right to ports below 1024 (DNS on 53), where we have it. Docker's
 * engine is reached through the group of its socket; where only root may use the socket, root it
 * stays.
 */
#ifndef AGENT_USER_IO_H
#define AGENT_USER_IO_H

#include <sys/stat.h>

#include "agent/options.h"

enum user_way {
	USER_STAYS, /* root: nobody else may use the socket */
	USER_ALONE, /* it needs no group: there is no socket, or everybody may use it */
	USER_GROUP, /* in the group of the socket too */
};

/* What the socket allows; NULL: there is none. */
enum user_way user_way(const struct stat *socket);

/* Becomes the user that -user names, and makes the data folder with all in it that user's. Does
 * nothing without -user, and when not root. In the log: who we are now, or why not. */
int user_become(const struct options *, struct err *);

#endif
