/* agent/durable_io.c -- small files written aside, synced and renamed. */
#include "agent/durable_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DURABLE_READ 16384 /* bytes at once */

int
durable_path(const char *folder, const char *name, char out[DURABLE_PATH_MAX], struct err *err)
{
	int n = snprintf(out, DURABLE_PATH_MAX, "%s/%s", folder, name);

	if (n < 0 || n >= DURABLE_PATH_MAX)
		return err_set(err, ERR_INPUT, "the path of the data folder is too long");
	return 0;
}

int
durable_load(const char *folder, const char *name, struct buf *out, struct err *err)
{
	char path[DURABLE_PATH_MAX], piece[DURABLE_READ];
	int rc = durable_path(folder, name, path, err), fd;

	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "there is no %s", path);
	if (fd < 0)
		return err_errno(err, "cannot read %s", path);
	for (;;) {
		ssize_t n = read(fd, piece, sizeof piece);

		if (n == 0)
			break;
		if (n > 0) {
			buf_add(out, str_mem(piece, (size_t)n));
		} else if (errno != EINTR) {
			rc = err_errno(err, "cannot read %s", path);
			break;
		}
		if (out->full) {
			rc = err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, out->cap);
			break;
		}
	}
	explicit_bzero(piece, sizeof piece); /* keys pass through here */
	close(fd);
	return rc;
}

static int
durable_sync_folder(const char *folder, struct err *err)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0 || fsync(fd) < 0)
		rc = err_errno(err, "cannot sync the data folder %s", folder);
	if (fd >= 0)
		close(fd);
	return rc;
}

static bool
durable_write(int fd, struct str text)
{
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0 && errno != EINTR)
			return false;
		text = str_skip(text, n < 0 ? 0 : (size_t)n);
	}
	return fsync(fd) == 0;
}

int
durable_store(const char *folder, const char *name, unsigned mode, struct str text, struct err *err)
{
	char path[DURABLE_PATH_MAX], aside[DURABLE_PATH_MAX + 8];
	int rc = durable_path(folder, name, path, err), fd;

	if (rc < 0)
		return rc;
	snprintf(aside, sizeof aside, "%s.new", path);
	unlink(aside); /* of a run that stopped before it was renamed; it may have another mode */
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
	if (fd < 0)
		return err_errno(err, "cannot write %s", aside);
	if (!durable_write(fd, text))
		rc = err_errno(err, "cannot write %s", aside);
	close(fd);
	if (rc == 0 && rename(aside, path) < 0)
		rc = err_errno(err, "cannot rename %s", aside);
	if (rc < 0)
		unlink(aside);
	return rc < 0 ? rc : durable_sync_folder(folder, err);
}
