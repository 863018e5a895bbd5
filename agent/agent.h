/* agent/agent.h -- the one place where all parts are put together.
 *
 * agent_run() builds the rooms from the options, carries news between them (Docker's containers
 * into local services, changes of the store to waiting queries) and returns at a signal.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/options.h"
#include "base/err.h"

/* Runs until SIGINT or SIGTERM. 0: an orderly stop. The options are borrowed; SIGHUP reads them
 * anew from argc/argv. */
int agent_run(struct options *, int argc, char **argv, struct err *);

#endif
