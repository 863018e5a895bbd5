/* agent/local/journal_io.c -- the journal's file: "muster journal 1\n", then frames.
 *
 * Parts: writing (append, sync, writing anew), reading a file back, the public calls.
 *
 * Invariant: `size` is where the next frame goes, whatever lies behind it is not ours. A frame that
 * fails its checksum with no sound frame behind it was being written when the machine stopped (only
 * the last JOURNAL_SYNC_MS can be), and is cut. A sound frame behind it means damage: nothing from
 * there on is believed, since a lost delete or put in between would make a state that never was.
 */
#include "agent/local/journal_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/local/journal_frames.h"
#include "base/flush_io.h"
#include "base/log.h"
#include "base/mem.h"

#define JOURNAL_HEAD "muster journal 1\n"
#define JOURNAL_HEAD_ANY "muster journal " /* of any version */
#define JOURNAL_FILE_MAX (1024 * 1024 * 1024)
#define JOURNAL_STALE_MIN (64 * 1024) /* smaller files are not worth writing anew */
#define JOURNAL_ASIDE_MAX 9           /* damaged copies kept; then the last is overwritten */

struct journal {
	char *path;
	int fd;
	struct journal_entries entries;
	size_t size;
	struct buf batch; /* the frame being collected; its head is filled in at commit */
	bool collecting;
	struct event *timer; /* NULL: sync at once */
	struct flush *flush; /* NULL: syncs hold the loop up */
	bool pending;        /* written, not synced and not being synced */
	bool stale;          /* what is being synced was written anew meanwhile */
	size_t anew_after;   /* do not try to write anew below this size */
};

/* ---- writing ---- */

static int
write_all(int fd, struct str s, size_t at)
{
	while (s.n > 0) {
		ssize_t n = pwrite(fd, s.p, s.n, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? ENOSPC : errno;
			return -1;
		}
		s = str_skip(s, (size_t)n);
		at += (size_t)n;
	}
	return 0;
}

static int
folder_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? str_dup(STR("."))
				     : str_dup(str_mem(path, slash == path ? 1 : slash - path));
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = -1;

	if (fd >= 0) {
		rc = fsync(fd);
		close(fd);
	}
	free(folder);
	return rc;
}

/* All entries into an open file, one frame each. Returns where the file ends, 0: failed. */
static size_t
journal_write_entries(struct journal *j, int fd)
{
	struct buf out;
	struct buf frame;
	const struct journal_entry *e = NULL;
	size_t at = 0;
	bool ok = true;

	buf_init(&out, JOURNAL_FRAME_MAX * 2);
	buf_init(&frame, JOURNAL_FRAME_MAX + JOURNAL_FRAME_HEAD);
	buf_add(&out, STR(JOURNAL_HEAD));
	while ((e = journal_entry_next(&j->entries, e)) != NULL) {
		journal_frame_begin(&frame);
		journal_frame_op(
		    &frame, JOURNAL_PUT, e->kind, journal_entry_key(e), journal_entry_value(e));
		journal_frame_end(&frame);
		buf_add(&out, buf_str(&frame));
		if (out.n < 1024 * 1024)
			continue;
		ok = ok && write_all(fd, buf_str(&out), at) == 0;
		at += out.n;
		buf_clear(&out);
	}
	ok = ok && !out.full && write_all(fd, buf_str(&out), at) == 0;
	at += out.n;
	buf_done(&out);
	buf_done(&frame);
	return ok ? at : 0;
}

/* A new file aside with what is live, synced, then renamed over the old one. */
static int
journal_anew(struct journal *j, struct err *err)
{
	struct buf name;
	size_t size = 0;
	int fd, rc = 0;

	buf_init(&name, 8192);
	buf_addf(&name, "%s.new", j->path);
	buf_addc(&name, '\0');
	fd = open(name.p, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		rc = err_errno(err, "%s: cannot create", name.p);
	else if ((size = journal_write_entries(j, fd)) == 0 || fsync(fd) != 0)
		rc = err_errno(err, "%s: cannot write", name.p);
	else if (rename(name.p, j->path) != 0)
		rc = err_errno(err, "%s: cannot rename to %s", name.p, j->path);
	if (rc == 0) {
		folder_sync(j->path);
		if (j->fd >= 0)
			close(j->fd);
		j->fd = fd;
		j->size = size;
		j->pending = false;
		j->stale = true;
	} else if (fd >= 0) {
		close(fd);
		unlink(name.p);
	}
	buf_done(&name);
	return rc;
}

/* What the kernel could not write it may have dropped: memory still has it. */
static void
journal_sync_failed(struct journal *j, int error)
{
	struct err err = { 0 };

	log_error(
	    "journal", "sync failed, writing anew path=%s error=%s", j->path, strerror(error));
	if (journal_anew(j, &err) != 0) {
		log_error("journal", "not on disk, kept in memory error=%s", err.text);
		j->pending = true; /* with the next write */
	}
}

static void
journal_sync(struct journal *j)
{
	if (!j->pending)
		return;
	j->pending = false;
	if (fdatasync(j->fd) != 0)
		journal_sync_failed(j, errno);
}

static void
journal_tidy(struct journal *j)
{
	struct err err = { 0 };

	if (j->size < JOURNAL_STALE_MIN || j->size < j->anew_after || j->size / 2 < j->entries.live)
		return;
	j->anew_after = 0;
	if (journal_anew(j, &err) != 0) {
		log_warn(
		    "journal", "cannot write anew, going on with the old file error=%s", err.text);
		j->anew_after = j->size + j->size / 2;
	}
}

static void
journal_timer_arm(struct journal *j)
{
	const struct timeval wait = { 0, JOURNAL_SYNC_MS * 1000 };

	if (!event_pending(j->timer, EV_TIMEOUT, NULL))
		event_add(j->timer, &wait);
}

/* Off the loop where that can be had. What is written while a sync is under way waits for the next
 * one (journal_flushed()). */
static void
journal_timer_fire(evutil_socket_t fd, short what, void *arg)
{
	struct journal *j = arg;

	(void)fd;
	(void)what;
	if (j->pending && j->flush != NULL) {
		if (flush_busy(j->flush))
			return;
		if (flush_start(j->flush, j->fd))
			j->pending = j->stale = false;
	}
	journal_sync(j);
	journal_tidy(j);
}

static void
journal_flushed(void *arg, int error)
{
	struct journal *j = arg;

	if (error != 0 && !j->stale)
		journal_sync_failed(j, error);
	if (j->pending)
		journal_timer_arm(j);
}

static void
journal_written(struct journal *j)
{
	j->pending = true;
	if (j->timer == NULL)
		journal_timer_fire(-1, 0, j);
	else
		journal_timer_arm(j);
}

/* ---- reading a file back ---- */

static int
journal_slurp(struct journal *j, struct buf *out, struct err *err)
{
	struct stat st;
	char *p;
	size_t at = 0;

	if (fstat(j->fd, &st) != 0)
		return err_errno(err, "%s", j->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, "%s: not a plain file", j->path);
	if (st.st_size > JOURNAL_FILE_MAX)
		return err_set(
		    err, ERR_LIMIT, "%s: larger than %d bytes", j->path, JOURNAL_FILE_MAX);
	buf_init(out, JOURNAL_FILE_MAX);
	if (st.st_size == 0)
		return 0;
	p = buf_reserve(out, (size_t)st.st_size);
	if (p == NULL)
		return err_set(err, ERR_MEMORY, "%s: no memory to read it", j->path);
	while (at < (size_t)st.st_size) {
		ssize_t n = pread(j->fd, p + at, (size_t)st.st_size - at, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "%s: cannot read", j->path);
		if (n == 0)
			break;
		at += (size_t)n;
	}
	buf_commit(out, at);
	return 0;
}

static bool
head_is_other_version(struct str file)
{
	struct str line = str_cut(&file, '\n'), head = STR(JOURNAL_HEAD_ANY);
	uint64_t version;

	return str_starts(line, head) && str_u64(str_skip(line, head.n), UINT32_MAX, &version);
}

/* The file keeps another name; what was read so far goes into a new one. */
static int
journal_set_aside(struct journal *j, size_t at, size_t file_size, struct err *err)
{
	struct buf name;
	int rc = 0;

	buf_init(&name, 8192);
	for (int i = 0; i <= JOURNAL_ASIDE_MAX; i++) {
		buf_clear(&name);
		buf_addf(&name, i == 0 ? "%s.damaged" : "%s.damaged.%d", j->path, i);
		buf_addc(&name, '\0');
		if (i == JOURNAL_ASIDE_MAX)
			unlink(name.p);
		/* A link first: at no moment is there no journal. */
		if (link(j->path, name.p) == 0)
			break;
		if (errno != EEXIST && rename(j->path, name.p) == 0)
			break;
		if (errno != EEXIST) {
			rc = err_errno(
			    err, "%s: damaged at byte %zu, and cannot be set aside", j->path, at);
			break;
		}
	}
	if (rc == 0) {
		log_error("journal",
		    "damaged, set aside path=%s offset=%zu size=%zu kept_as=%s: registrations "
		    "written after that place are gone",
		    j->path, at, file_size, name.p);
		rc = journal_anew(j, err);
	}
	buf_done(&name);
	return rc;
}

static int
journal_load(struct journal *j, struct err *err)
{
	struct buf bytes = { 0 };
	struct str head = STR(JOURNAL_HEAD), file, payload;
	size_t good = 0;
	int rc = journal_slurp(j, &bytes, err);

	if (rc != 0)
		goto out;
	file = buf_str(&bytes);
	if (file.n <= head.n && str_starts(head, file) && !str_eq(head, file)) {
		rc = journal_anew(j, err); /* new, or stopped while it was being made */
		goto out;
	}
	if (!str_starts(file, head)) {
		if (head_is_other_version(file))
			rc = err_set(
			    err, ERR_INPUT, "%s: written by another version of muster", j->path);
		else
			rc = journal_set_aside(j, 0, file.n, err);
		goto out;
	}
	good = head.n;
	while (good < file.n) {
		struct reader r = rd_of(str_skip(file, good));

		if (!journal_frame_read(&r, &payload) || !journal_frame_apply(&j->entries, payload))
			break;
		good += r.pos;
	}
	j->size = good;
	if (good == file.n)
		goto out;
	if (journal_frame_follows(file, good)) {
		rc = journal_set_aside(j, good, file.n, err);
		goto out;
	}
	log_info("journal", "unfinished write cut path=%s offset=%zu bytes=%zu", j->path, good,
	    file.n - good);
	if (ftruncate(j->fd, (off_t)good) != 0)
		rc = err_errno(err, "%s: cannot cut the unfinished write at its end", j->path);
out:
	buf_done(&bytes);
	return rc;
}

/* ---- the public calls ---- */

int
journal_open(struct event_base *base, struct str path, struct journal **out, struct err *err)
{
	struct journal *j = mem_new(struct journal);
	struct buf name;
	int rc;

	j->path = str_dup(path);
	buf_init(&j->batch, JOURNAL_FRAME_MAX + JOURNAL_FRAME_HEAD);
	buf_init(&name, 8192);
	buf_addf(&name, "%s.new", j->path);
	buf_addc(&name, '\0');
	unlink(name.p); /* of a run that stopped before it was renamed */
	buf_done(&name);
	j->fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (j->fd < 0)
		rc = err_errno(err, "%s: cannot open", j->path);
	else
		rc = journal_load(j, err);
	if (rc == 0 && base != NULL)
		j->timer = event_new(base, -1, 0, journal_timer_fire, j);
	if (rc == 0 && base != NULL)
		j->flush = flush_new(base, journal_flushed, j);
	if (rc != 0) {
		journal_close(j);
		return rc;
	}
	*out = j;
	return 0;
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	flush_free(j->flush);
	journal_sync(j);
	if (j->timer != NULL)
		event_free(j->timer);
	if (j->fd >= 0)
		close(j->fd);
	journal_entries_clear(&j->entries);
	buf_done(&j->batch);
	free(j->path);
	free(j);
}

bool
journal_next(
    const struct journal *j, size_t *cursor, uint16_t *kind, struct str *key, struct str *value)
{
	/* The cursor is the entry shown last, as a number. */
	const struct journal_entry *e =
	    journal_entry_next(&j->entries, (const struct journal_entry *)(uintptr_t)*cursor);

	if (e == NULL)
		return false;
	*cursor = (size_t)(uintptr_t)e;
	*kind = e->kind;
	*key = journal_entry_key(e);
	*value = journal_entry_value(e);
	return true;
}

void
journal_begin(struct journal *j)
{
	journal_frame_begin(&j->batch);
	j->collecting = true;
}

void
journal_abort(struct journal *j)
{
	buf_clear(&j->batch);
	j->collecting = false;
}

int
journal_commit(struct journal *j, struct err *err)
{
	struct str payload;
	int rc = 0;

	j->collecting = false;
	if (j->batch.full || j->batch.n < JOURNAL_FRAME_HEAD)
		return err_set(err, ERR_LIMIT, "%s: more than %d bytes in one change", j->path,
		    JOURNAL_FRAME_MAX);
	payload = str_skip(buf_str(&j->batch), JOURNAL_FRAME_HEAD);
	if (payload.n == 0)
		return 0;
	journal_frame_end(&j->batch);
	if (j->size + j->batch.n > JOURNAL_FILE_MAX)
		rc = err_set(err, ERR_IO, "%s: larger than %d bytes", j->path, JOURNAL_FILE_MAX);
	else if (write_all(j->fd, buf_str(&j->batch), j->size) != 0)
		rc = err_errno(err, "%s: cannot write", j->path);
	if (rc != 0) {
		/* A half written frame is overwritten by the next one, or cut at the next start. */
		if (ftruncate(j->fd, (off_t)j->size) != 0)
			log_warn("journal", "cannot cut a failed write path=%s error=%s", j->path,
			    strerror(errno));
		return rc;
	}
	j->size += j->batch.n;
	journal_frame_apply(&j->entries, payload);
	if (j->batch.room > 64 * 1024)
		buf_done(&j->batch);
	journal_written(j);
	return 0;
}

static int
journal_change(struct journal *j, enum journal_op op, uint16_t kind, struct str key,
    struct str value, struct err *err)
{
	const struct journal_entry *e = journal_entry_find(&j->entries, kind, key);
	bool alone = !j->collecting;

	if (key.n > JOURNAL_KEY_MAX || value.n > JOURNAL_VALUE_MAX)
		return err_set(err, ERR_LIMIT,
		    "%s: a key of %zu or a value of %zu bytes is too long", j->path, key.n,
		    value.n);
	if (op == JOURNAL_PUT ? e != NULL && str_eq(journal_entry_value(e), value) : e == NULL)
		return 0;
	if (alone)
		journal_begin(j);
	journal_frame_op(&j->batch, op, kind, key, value);
	return alone ? journal_commit(j, err) : 0;
}

int
journal_put(struct journal *j, uint16_t kind, struct str key, struct str value, struct err *err)
{
	return journal_change(j, JOURNAL_PUT, kind, key, value, err);
}

int
journal_delete(struct journal *j, uint16_t kind, struct str key, struct err *err)
{
	return journal_change(j, JOURNAL_DELETE, kind, key, STR_NONE, err);
}
