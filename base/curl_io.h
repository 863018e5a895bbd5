/* base/curl_io.h -- shell: libcurl's multi interface driven by libevent.
 *
 * Whoever has transfers adds its easy handles to curl_io_multi(), and is called after every step of
 * libcurl's, from the loop, to take finished ones out with curl_multi_info_read(). Source:
 * curl_multi_socket_action(3).
 */
#ifndef BASE_CURL_IO_H
#define BASE_CURL_IO_H

#include <curl/curl.h>
#include <event2/event.h>

struct curl_io;

/* `flags` are curl_global_init()'s. NULL: no memory. */
struct curl_io *curl_io_new(struct event_base *, long flags, void (*stepped)(void *arg), void *arg);
void curl_io_free(struct curl_io *); /* after all easy handles were taken out; NULL is fine */
CURLM *curl_io_multi(const struct curl_io *);

#endif
