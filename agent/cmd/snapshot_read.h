/* agent/cmd/snapshot_read.h -- reads a snapshot's file record by record. */
#ifndef AGENT_CMD_SNAPSHOT_READ_H
#define AGENT_CMD_SNAPSHOT_READ_H

#include <stdio.h>

#include "base/err.h"
#include "kv/snapshot_file.h"

struct snapshot_read;

struct snapshot_read *snapshot_read_new(FILE *); /* borrowed; read from where it stands */
void snapshot_read_free(struct snapshot_read *); /* NULL is fine */
/* 1: a record, borrowed until the next call; 0: the file is over, whole, and as it was written;
 * negative: what is wrong. */
int snapshot_read_next(struct snapshot_read *, struct snapshot_record *, struct err *);
const struct snapshot_head *snapshot_read_head(const struct snapshot_read *);

/* All of it at once: 0 or what is wrong. */
int snapshot_read_check(FILE *, struct err *);

#endif
