/* agent/cmd/cmd_version.c -- muster version. */
#include "config.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>

#include "agent/cmd/commands.h"

int
cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("muster %s\n", PACKAGE_VERSION);
	printf("libevent %s, libcurl %s, jansson %s\n", event_get_version(),
	    curl_version_info(CURLVERSION_NOW)->version, jansson_version_str());
	return 0;
}
