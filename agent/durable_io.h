/* agent/durable_io.h -- small files in the data folder that are whole or not there.
 *
 * A file is written aside, synced and renamed, and the folder synced, before the call returns: what
 * is on the disk afterwards is the old text or the new one, whenever the power goes.
 */
#ifndef AGENT_DURABLE_IO_H
#define AGENT_DURABLE_IO_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define DURABLE_PATH_MAX 4096

/* "FOLDER/NAME"; ERR_INPUT: too long. */
int durable_path(const char *folder, const char *name, char out[DURABLE_PATH_MAX], struct err *);

/* Appends the whole file. ERR_NOT_FOUND: there is none; ERR_LIMIT: more than the buffer takes. */
int durable_load(const char *folder, const char *name, struct buf *out, struct err *);

/* mode: of the file, as for open(2); secrets are 0600. */
int durable_store(
    const char *folder, const char *name, unsigned mode, struct str text, struct err *);

#endif
