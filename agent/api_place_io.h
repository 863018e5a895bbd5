/* agent/api_place_io.h -- a small file in the data folder: where the agent's HTTP API is.
 *
 * For commands on the same disk, such as an image's HEALTHCHECK, which cannot know what flags the
 * agent was given. A hint that is written anew at each start; not synced.
 */
#ifndef AGENT_API_PLACE_IO_H
#define AGENT_API_PLACE_IO_H

#include <stdbool.h>

#include "base/str.h"

#define API_PLACE_MAX 128 /* bytes, with the end: "unix://" and a socket's path */

/* "127.0.0.1:8500" or "unix:///path"; empty: there is none without TLS, and the file goes. A disk
 * that refuses is told in the log: the agent does without. */
void api_place_write(const char *folder, struct str place);

/* False: nothing there that makes sense. */
bool api_place_read(const char *folder, char out[API_PLACE_MAX]);

#endif
