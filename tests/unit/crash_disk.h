/* tests/unit/crash_disk.h -- a folder in memory that records every call and can lose power.
 *
 * What was written is durable after sync(), names after sync_dir(). crash_disk_after() builds the
 * folder as a crash after the first `ops` calls could leave it; crash_disk_replay() as a killed
 * process leaves it (everything visible, still not durable).
 */
#ifndef TESTS_UNIT_CRASH_DISK_H
#define TESTS_UNIT_CRASH_DISK_H

#include <stdbool.h>

#include "kv/file_io.h"

#define CRASH_FILES 96

struct crash_file {
	char *p, *base; /* as seen; as durable before the first recorded call */
	size_t n, base_n;
};

struct crash_op {
	enum crash_kind {
		OP_WRITE,
		OP_ALLOCATE,
		OP_SYNC,
		OP_CREATE,
		OP_RENAME,
		OP_UNLINK,
		OP_SYNC_DIR
	} kind;
	int file;
	uint64_t at;
	char *bytes;
	size_t n;
	char name[64], to[64];
};

struct crash_dir {
	char name[CRASH_FILES][64];
	int file[CRASH_FILES];
	int count;
};

struct crash_disk {
	struct files calls;
	struct crash_file file[CRASH_FILES];
	int file_count;
	struct crash_dir dir, base_dir;
	struct crash_op *op;
	size_t op_count, op_cap;
	bool full; /* writes do half their work and fail, new room is refused */
};

enum crash_keep {
	KEEP_NONE, /* of what was written and not synced */
	KEEP_ALL,
	KEEP_EARLY, /* all but the last write */
	KEEP_HEAD,  /* of the last write the sectors before `sector` */
	KEEP_TAIL,  /* of the last write the sectors from `sector` on */
};

struct crash_disk *crash_disk_new(void);
void crash_disk_free(struct crash_disk *);
struct crash_disk *crash_disk_replay(const struct crash_disk *, size_t ops);
struct crash_disk *crash_disk_after(
    const struct crash_disk *, size_t ops, enum crash_keep, size_t sector, bool keep_names);
/* Sectors that the last unsynced write before `ops` touches; 0: there is none. */
size_t crash_disk_sectors(const struct crash_disk *, size_t ops);
struct crash_file *crash_disk_find(struct crash_disk *, const char *name);

#endif
