/* tests/unit/fault_disk.h -- a real folder whose disk can be full for a while, and counts syncs. */
#ifndef TESTS_UNIT_FAULT_DISK_H
#define TESTS_UNIT_FAULT_DISK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "kv/file_io.h"

struct fault_disk {
	struct files calls, *real;
	atomic_bool full; /* writes do half their work and fail, new room is refused */
	atomic_int syncs;
	bool direct; /* files open for direct writes too; those know nothing of `full` */
};

void fault_disk_open(struct fault_disk *, const char *path); /* files_close(real) ends it */

#endif
