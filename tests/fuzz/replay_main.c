/* Runs a fuzz target over the files and directories given, each also at every shorter length up
 * to a limit, without libFuzzer. Arguments with a dash are libFuzzer's and passed over. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1024 * 1024)
#define TRUNCATE_MAX 1024

static size_t inputs;

/* The copy ends where its memory ends, so that a sanitizer sees a byte read too far. */
static void
replay_bytes(const uint8_t *bytes, size_t n)
{
	uint8_t *exact = malloc(n > 0 ? n : 1);

	if (exact == NULL)
		abort();
	memcpy(exact, bytes, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	inputs++;
}

static int
replay_file(const char *path)
{
	uint8_t *bytes = malloc(INPUT_MAX);
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL || bytes == NULL) {
		perror(path);
		free(bytes);
		return 1;
	}
	n = fread(bytes, 1, INPUT_MAX, f);
	fclose(f);
	for (size_t cut = 0; cut < n && cut < TRUNCATE_MAX; cut++)
		replay_bytes(bytes, cut);
	replay_bytes(bytes, n);
	free(bytes);
	return 0;
}

static int
replay_directory(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	char name[4096];
	int failed = 0;

	if (dir == NULL) {
		perror(path);
		return 1;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		failed |= replay_file(name);
	}
	closedir(dir);
	return failed;
}

int
main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (argv[i][0] == '-')
			continue;
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			failed |= replay_directory(argv[i]);
		else
			failed |= replay_file(argv[i]);
	}
	printf("%zu inputs\n", inputs);
	return failed || inputs == 0;
}
