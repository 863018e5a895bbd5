/* watcher/signame.h -- signals by the names and numbers that Docker uses for them.
 *
 * Numbers are those of Linux on all architectures but MIPS and SPARC. The engine may run
 * on another host, so the C library's own table would not do.
 */
#ifndef WATCHER_SIGNAME_H
#define WATCHER_SIGNAME_H

#include "base/str.h"

#define SIGNAME_KILL 9
#define SIGNAME_TERM 15
#define SIGNAME_MAX 64

/* "15", "TERM", "SIGTERM", "sigterm", "SIGRTMIN+3", "RTMAX-1": 1 to SIGNAME_MAX; else 0. */
int signame_number(struct str);

#endif
