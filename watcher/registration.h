/* watcher/registration.h -- a service as registrator tells a Consul agent of it.
 *
 * Source: the requests recorded in tests/registrator/cases.json. Members that are empty are left
 * out, as they were then.
 */
#ifndef WATCHER_REGISTRATION_H
#define WATCHER_REGISTRATION_H

#include "base/buf.h"
#include "watcher/rules.h"

/* Body of PUT /v1/agent/service/register. */
void registration_write(struct buf *, const struct rules_service *);

/* In the key store (consulkv://): PREFIX/NAME/ID holds ADDRESS:PORT, an IPv6 address in brackets.
 */
void registration_key(struct buf *, struct str prefix, const struct rules_service *);
void registration_value(struct buf *, const struct rules_service *);

/* Did registrator, or we, on this host make this id: HOST:container:port, with or without ":udp"?
 */
bool registration_id_is_of(struct str id, struct str host);

#endif
