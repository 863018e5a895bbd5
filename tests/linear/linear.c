/* Reads histories of keys (tests/linear/history.h) and tells whether they are linearizable.
 *
 *     linear FILE...
 *
 * One line for each file; before it, what no order explains. Ends with 0: all are; 1: one is not;
 * 2: one cannot be read; 3: one would take too long.
 */
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "tests/linear/check.h"

#define FILE_MAX (512 * 1024 * 1024)
#define REPORT_MAX (1024 * 1024)

static int
file_read(const char *path, struct buf *out, struct err *err)
{
	FILE *f = fopen(path, "rb");
	size_t n = 1;

	if (f == NULL)
		return err_set(err, ERR_IO, "cannot be opened");
	while (n > 0 && !out->full) {
		char piece[65536];

		n = fread(piece, 1, sizeof piece, f);
		buf_add(out, str_mem(piece, n));
	}
	fclose(f);
	return out->full ? err_set(err, ERR_LIMIT, "more than %d bytes", FILE_MAX) : 0;
}

static int /* exit code */
check_file(const char *path)
{
	static const char *const words[] = { "linearizable", "VIOLATION", "undecided" };
	static const int codes[] = { 0, 1, 3 };
	struct history h;
	struct check_result r;
	struct buf text, report;
	struct err err;
	clock_t begun = clock();
	int rc;

	history_init(&h);
	buf_init(&text, FILE_MAX);
	buf_init(&report, REPORT_MAX);
	rc = file_read(path, &text, &err);
	if (rc == 0)
		rc = history_read(&h, buf_str(&text), &err);
	if (rc == 0)
		rc = check_history(&h, &r, &report, &err);
	if (report.n > 0)
		fwrite(report.p, 1, report.n, stdout);
	if (rc < 0)
		printf("%s: %s\n", path, err.text);
	else
		printf(
		    "%s: %s clients=%zu operations=%zu unknown=%zu keys=%zu steps=%llu cpu=%.2fs\n",
		    path, words[r.verdict], r.clients, r.operations, r.unknown, r.keys,
		    (unsigned long long)r.steps, (double)(clock() - begun) / CLOCKS_PER_SEC);
	history_done(&h);
	buf_done(&text);
	buf_done(&report);
	return rc < 0 ? 2 : codes[r.verdict];
}

int
main(int argc, char **argv)
{
	int worst = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: linear FILE...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		int code = check_file(argv[i]);

		if (worst == 0 || code == 1)
			worst = code;
	}
	return worst;
}
