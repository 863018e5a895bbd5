/* kv/file_io.h -- the few things durable storage asks of a directory.
 *
 * A table of calls, so that tests can put a recording, crashing or full disk underneath. Names
 * are plain file names in one directory. Everything returns 0 (or what is said) or -errno; what
 * was written lasts from sync() on, what was renamed, made or unlinked from sync_dir() on. The
 * real one keeps no state but a descriptor, so several threads may use it at once.
 */
#ifndef KV_FILE_IO_H
#define KV_FILE_IO_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Open what is there; make anew, emptying it; open what is there for writes past the page cache,
 * which have to begin and end at multiples of 4 KiB, in the file and in memory. */
enum files_how { FILES_THERE, FILES_NEW, FILES_DIRECT };

struct files {
	int (*open)(struct files *, const char *name, enum files_how); /* a handle, >= 0 */
	void (*close)(struct files *, int h);
	int64_t (*size)(struct files *, int h);
	int (*allocate)(struct files *, int h, uint64_t size); /* room on disk, zeros; may fail */
	int (*read)(struct files *, int h, uint64_t at, void *out, size_t n); /* all n, or -EIO */
	int (*write)(struct files *, int h, uint64_t at, const void *, size_t n); /* all n */
	int (*sync)(struct files *, int h);
	int (*rename)(struct files *, const char *from, const char *to);
	int (*unlink)(struct files *, const char *name);
	int (*list)(struct files *, void (*seen)(void *arg, const char *name), void *arg);
	int (*sync_dir)(struct files *);
};

/* The directory `path`, made (mode 0700) when it is not there. NULL with a sentence in err. */
struct files *files_open(const char *path, struct err *);
void files_close(struct files *);

/* "kv: FILE: what: strerror" for a -errno; returns ERR_IO. */
int files_err(struct err *, const char *name, const char *what, int negative_errno);

/* The whole of a file, to free(); NULL with err (ERR_NOT_FOUND, ERR_LIMIT over max, ERR_IO). */
char *files_read_all(struct files *, const char *name, uint64_t max, size_t *n, struct err *);

#endif
