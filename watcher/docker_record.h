/* watcher/docker_record.h -- one service as rules made it, kept in one piece of memory.
 *
 * Counted, because news that waits to be handed out and the container that offers the
 * service hold the same one. The hash tells equal services from changed ones.
 */
#ifndef WATCHER_DOCKER_RECORD_H
#define WATCHER_DOCKER_RECORD_H

#include "watcher/rules.h"

struct docker_record {
	size_t refs;
	uint64_t hash;
	struct rules_service service; /* slices point behind this struct */
};

struct docker_record *docker_record_new(const struct rules_service *); /* with one user */
struct docker_record *docker_record_ref(struct docker_record *);
void docker_record_unref(struct docker_record *); /* NULL is fine */

uint64_t docker_record_hash(const struct rules_service *);
size_t docker_record_size(const struct rules_service *); /* bytes that docker_record_new() takes */

#endif
