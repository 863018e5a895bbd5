/* tests/bench/raft-log.c -- durable appends beside a bare append and fdatasync, in one run.
 *
 *     raft-log [folder [seconds per part [bytes per entry]]]
 *
 * Three parts take turns in short slices, so that a disk whose mood changes changes it for all:
 * a bare pwrite of an entry's bytes into a preallocated file with fdatasync; one writer and 64
 * writers of the log's thread, each waiting for its entry before it gives the next. Prints
 * appends per second, median and 99th percentile of the wait, and the ratio to the bare rate.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/mem.h"
#include "base/nsec.h"
#include "kv/raft_log_worker_io.h"

#define SLICE (NSEC_SEC / 4)
#define WAITS (1 << 20)
#define WRITERS 64
#define BODY_MAX 65536

struct part {
	const char *name;
	unsigned writers; /* 0: the bare file */
	uint64_t count;
	nsec took;
	nsec *waits;
	size_t wait_count;
};

struct bench {
	struct event_base *base;
	struct raft_log *log;
	struct raft_log_worker *worker;
	struct part *part;
	uint64_t next;
	nsec since[WRITERS];         /* when this writer gave its entry */
	uint64_t waits_for[WRITERS]; /* its ticket; 0: it gives no more */
	nsec until;
	unsigned busy;
	struct str body;
};

static nsec
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_SEC + ts.tv_nsec;
}

static void
part_add(struct part *p, nsec wait)
{
	p->count++;
	if (p->wait_count < WAITS)
		p->waits[p->wait_count++] = wait;
}

static void
give(struct bench *b, unsigned writer, nsec t)
{
	struct raft_log_entry e = { b->next, 1, 1, b->body };
	struct err err;

	b->since[writer] = t;
	b->waits_for[writer] = raft_log_worker_append(b->worker, &e, &err);
	if (b->waits_for[writer] == 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	b->next++;
}

static void
on_done(void *arg, const struct raft_log_done *done)
{
	struct bench *b = arg;
	nsec t = now();

	if (done->code != 0) {
		fprintf(stderr, "%s\n", done->text);
		exit(1);
	}
	for (unsigned i = 0; b->part != NULL && i < b->part->writers; i++) {
		if (b->waits_for[i] == 0 || b->waits_for[i] > done->ticket)
			continue;
		part_add(b->part, t - b->since[i]);
		b->waits_for[i] = 0;
		if (t < b->until)
			give(b, i, t);
		else
			b->busy--;
	}
	if (b->busy == 0)
		event_base_loopbreak(b->base);
	else
		raft_log_worker_submit(b->worker);
}

static void
slice_log(struct bench *b, struct part *p)
{
	nsec start = now();

	b->part = p;
	b->until = start + SLICE;
	b->busy = p->writers;
	for (unsigned i = 0; i < p->writers; i++)
		give(b, i, start);
	raft_log_worker_submit(b->worker);
	event_base_dispatch(b->base);
	p->took += now() - start;
	b->part = NULL;
	raft_log_worker_drop_prefix(b->worker, b->next - 1); /* as after a snapshot */
}

static void
slice_bare(int fd, struct part *p, struct str body, off_t *at)
{
	nsec start = now(), t = start;

	do {
		nsec before = t;

		if (*at + (off_t)body.n > RAFT_LOG_SEGMENT)
			*at = 0;
		if (pwrite(fd, body.p, body.n, *at) != (ssize_t)body.n || fdatasync(fd) < 0) {
			perror("bare");
			exit(1);
		}
		*at += (off_t)body.n;
		t = now();
		part_add(p, t - before);
	} while (t < start + SLICE);
	p->took += t - start;
}

static int
nsec_cmp(const void *a, const void *b)
{
	nsec x = *(const nsec *)a, y = *(const nsec *)b;

	return (x > y) - (x < y);
}

static void
print(struct part *p, double bare)
{
	double rate = (double)p->count * 1e9 / (double)p->took;

	qsort(p->waits, p->wait_count, sizeof *p->waits, nsec_cmp);
	printf("%-12s %9.0f/s  p50 %6.0f us  p99 %6.0f us  %5.2f x bare\n", p->name, rate,
	    (double)p->waits[p->wait_count / 2] / 1e3,
	    (double)p->waits[p->wait_count * 99 / 100] / 1e3, rate / bare);
}

static void
remove_file(void *arg, const char *name)
{
	struct files *f = arg;

	f->unlink(f, name);
}

int
main(int argc, char **argv)
{
	struct part parts[] = { { "bare", 0, 0, 0, NULL, 0 }, { "1 writer", 1, 0, 0, NULL, 0 },
		{ "64 writers", WRITERS, 0, 0, NULL, 0 } };
	char path[4096], bare_path[4200], body[BODY_MAX];
	struct raft_log_config config = { .raft_id = 1 };
	size_t size = argc > 3 ? strtoul(argv[3], NULL, 10) : 256;
	int slices = 4 * (argc > 2 ? atoi(argv[2]) : 3), fd, rc;
	struct bench b = { .next = 1 };
	struct files *files;
	struct err err = { 0 };
	off_t at = 0;

	snprintf(path, sizeof path, "%s/raft-log-XXXXXX", argc > 1 ? argv[1] : ".");
	if (size == 0 || size > BODY_MAX || mkdtemp(path) == NULL)
		return perror(path), 1;
	snprintf(bare_path, sizeof bare_path, "%s/bare", path);
	memset(body, 'x', sizeof body);
	b.body = str_mem(body, size);
	files = files_open(path, &err);
	b.base = event_base_new();
	b.log = files == NULL ? NULL : raft_log_open(files, &config, &err);
	b.worker =
	    b.log == NULL ? NULL : raft_log_worker_start(b.base, b.log, NULL, on_done, &b, &err);
	fd = open(bare_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (b.worker == NULL || fd < 0 || fallocate(fd, 0, 0, RAFT_LOG_SEGMENT) < 0)
		return fprintf(stderr, "%s: %s\n", path, err.text), 1;
	for (int i = 0; i < 3; i++)
		parts[i].waits = mem_alloc(WAITS * sizeof(nsec));
	for (int i = 0; i < slices; i++) {
		slice_bare(fd, &parts[0], b.body, &at);
		slice_log(&b, &parts[1]);
		slice_log(&b, &parts[2]);
	}
	rc = raft_log_worker_stop(b.worker, &err);
	printf("entries of %zu bytes\n", size);
	for (int i = 0; i < 3; i++) {
		print(&parts[i], (double)parts[0].count * 1e9 / (double)parts[0].took);
		free(parts[i].waits);
	}
	close(fd);
	raft_log_close(b.log);
	event_base_free(b.base);
	files->list(files, remove_file, files);
	files_close(files);
	rmdir(path);
	return rc == 0 ? 0 : 1;
}
