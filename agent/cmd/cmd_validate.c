/* agent/cmd/cmd_validate.c -- muster validate: config files read as the agent would, and no more. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/cmd/commands.h"
#include "agent/options.h"

static int
validate_path(struct options *o, const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, "cannot read %s", path);
	return S_ISDIR(st.st_mode) ? config_dir_read(o, str_of(path), err)
				   : config_file_read(o, str_of(path), err);
}

/* -config-format, with its value behind '=' or none yet. */
static bool
flag_format(const char *word, struct str *format)
{
	struct str name = str_of(word);

	*format = name;
	name = str_cut(format, '=');
	return str_eq(name, STR("-config-format")) || str_eq(name, STR("--config-format"));
}

int
cmd_validate(int argc, char **argv)
{
	struct options options;
	struct err err = { 0 };
	struct str format;
	bool quiet = false;
	int rc = options_init(&options, &err), paths = 0;

	for (int i = 0; i < argc && rc == 0; i++) {
		const char *word = argv[i];

		if (strcmp(word, "-h") == 0 || strcmp(word, "-help") == 0 ||
		    strcmp(word, "--help") == 0) {
			printf("Usage: muster validate [-quiet] [-config-format json|hcl] "
			       "FILE|FOLDER...\n\nReads config files as the agent would, and "
			       "says what is wrong in them.\n");
			options_done(&options);
			return 0;
		}
		if (strcmp(word, "-quiet") == 0 || strcmp(word, "--quiet") == 0) {
			quiet = true;
		} else if (flag_format(word, &format)) {
			if (format.p == NULL && ++i < argc)
				format = str_of(argv[i]);
			rc = config_format_set(&options, format, &err);
		} else if (word[0] == '-') {
			rc = err_set(&err, ERR_INPUT, "unknown flag %s", word);
		} else {
			rc = validate_path(&options, word, &err);
			paths++;
		}
	}
	if (rc == 0 && paths == 0)
		rc = err_set(&err, ERR_INPUT, "validate needs a file or a folder");
	if (rc < 0)
		fprintf(stderr, "muster: %s\n", err.text);
	else if (!quiet)
		printf("Configuration is valid!\n");
	options_done(&options);
	return rc < 0 ? 1 : 0;
}
