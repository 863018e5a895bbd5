/* kv/file_io.c -- the table of calls over POSIX, and two helpers that work over any table. */
#include "kv/file_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct posix_files {
	struct files calls;
	int dir;
};

static int
dir_of(struct files *f)
{
	return ((struct posix_files *)f)->dir;
}

static int
result(int rc)
{
	return rc < 0 ? -errno : rc;
}

static int
posix_open(struct files *f, const char *name, enum files_how how)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;

	if (how == FILES_NEW)
		flags |= O_CREAT | O_TRUNC;
	if (how == FILES_DIRECT)
		flags |= O_DIRECT;
	return result(openat(dir_of(f), name, flags, 0600));
}

static void
posix_close(struct files *f, int h)
{
	(void)f;
	close(h);
}

static int64_t
posix_size(struct files *f, int h)
{
	struct stat st;

	(void)f;
	return fstat(h, &st) < 0 ? -errno : (int64_t)st.st_size;
}

static int
posix_write(struct files *f, int h, uint64_t at, const void *from, size_t n)
{
	const char *p = from;

	(void)f;
	while (n > 0) {
		ssize_t done = pwrite(h, p, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		p += done;
		at += (uint64_t)done;
		n -= (size_t)done;
	}
	return 0;
}

/* Where the file system cannot reserve, zeros are written: slower, the same afterwards. */
static int
posix_allocate(struct files *f, int h, uint64_t size)
{
	static const char zeros[1 << 16];
	int rc;

	do
		rc = result(fallocate(h, 0, 0, (off_t)size));
	while (rc == -EINTR);
	if (rc != -EOPNOTSUPP && rc != -ENOSYS)
		return rc;
	rc = 0;
	for (uint64_t at = 0; at < size && rc == 0; at += sizeof zeros)
		rc = posix_write(
		    f, h, at, zeros, size - at < sizeof zeros ? (size_t)(size - at) : sizeof zeros);
	return rc;
}

static int
posix_read(struct files *f, int h, uint64_t at, void *out, size_t n)
{
	char *p = out;

	(void)f;
	while (n > 0) {
		ssize_t done = pread(h, p, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		p += done;
		at += (uint64_t)done;
		n -= (size_t)done;
	}
	return 0;
}

static int
posix_sync(struct files *f, int h)
{
	(void)f;
	return result(fdatasync(h));
}

static int
posix_rename(struct files *f, const char *from, const char *to)
{
	return result(renameat(dir_of(f), from, dir_of(f), to));
}

static int
posix_unlink(struct files *f, const char *name)
{
	return result(unlinkat(dir_of(f), name, 0));
}

static int
posix_list(struct files *f, void (*seen)(void *, const char *), void *arg)
{
	int fd = openat(dir_of(f), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	DIR *d;
	int rc;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (d == NULL) {
		rc = -errno;
		close(fd);
		return rc;
	}
	while (errno = 0, (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			seen(arg, e->d_name);
	rc = -errno;
	closedir(d);
	return rc;
}

static int
posix_sync_dir(struct files *f)
{
	return result(fsync(dir_of(f)));
}

static const struct files posix_calls = { posix_open, posix_close, posix_size, posix_allocate,
	posix_read, posix_write, posix_sync, posix_rename, posix_unlink, posix_list,
	posix_sync_dir };

struct files *
files_open(const char *path, struct err *err)
{
	struct posix_files *f;
	int dir;

	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		err_errno(err, "kv: %s: cannot make the folder", path);
		return NULL;
	}
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		err_errno(err, "kv: %s: cannot open the folder", path);
		return NULL;
	}
	f = mem_new(struct posix_files);
	f->calls = posix_calls;
	f->dir = dir;
	return &f->calls;
}

void
files_close(struct files *f)
{
	if (f == NULL)
		return;
	close(dir_of(f));
	free(f);
}

int
files_err(struct err *err, const char *name, const char *what, int negative_errno)
{
	errno = -negative_errno;
	return err_errno(err, "kv: %s: %s", name, what);
}

char *
files_read_all(struct files *f, const char *name, uint64_t max, size_t *n, struct err *err)
{
	int h = f->open(f, name, FILES_THERE), rc;
	int64_t size;
	char *p;

	if (h < 0) {
		files_err(err, name, "cannot open", h);
		if (h == -ENOENT && err != NULL)
			err->code = ERR_NOT_FOUND;
		return NULL;
	}
	size = f->size(f, h);
	if (size < 0 || (uint64_t)size > max) {
		if (size < 0)
			files_err(err, name, "cannot read", (int)size);
		else
			err_set(err, ERR_LIMIT, "kv: %s: %" PRId64 " bytes, at most %" PRIu64, name,
			    size, max);
		f->close(f, h);
		return NULL;
	}
	p = malloc((size_t)size + 1);
	rc = p == NULL ? -ENOMEM : f->read(f, h, 0, p, (size_t)size);
	f->close(f, h);
	if (rc < 0) {
		files_err(err, name, "cannot read", rc);
		free(p);
		return NULL;
	}
	*n = (size_t)size;
	return p;
}
