/* agent/cmd/cmd_keygen.c -- muster keygen: a new key for -encrypt. */
#include <stdio.h>
#include <string.h>

#include "agent/cmd/commands.h"
#include "base/base64.h"
#include "base/rng.h"

int
cmd_keygen(int argc, char **argv)
{
	uint8_t key[32]; /* AES-256 */
	char text[BASE64_LEN(sizeof key)];
	struct buf b;

	if (argc > 0 && (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "-help") == 0 ||
			    strcmp(argv[0], "--help") == 0)) {
		printf("Usage: muster keygen\n\nPrints a new random key, 32 bytes in base64, for "
		       "-encrypt and for muster keyring.\n");
		return 0;
	}
	if (argc > 0) {
		fprintf(stderr, "muster: keygen takes no arguments\n");
		return 1;
	}
	os_random(key, sizeof key);
	buf_over(&b, text, sizeof text);
	base64_encode(&b, str_mem(key, sizeof key));
	printf(STR_FMT "\n", STR_ARG(buf_str(&b)));
	explicit_bzero(key, sizeof key);
	explicit_bzero(text, sizeof text);
	return 0;
}
