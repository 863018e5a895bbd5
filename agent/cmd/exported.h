/* agent/cmd/exported.h -- keys in the file format of Consul's kv export: a JSON array of
 * {"key", "flags", "value" in base 64}, one member in a line behind tabs.
 */
#ifndef AGENT_CMD_EXPORTED_H
#define AGENT_CMD_EXPORTED_H

#include "agent/cmd/pair.h"
#include "base/buf.h"

#define EXPORTED_BYTES_MAX (256 * 1024 * 1024)

/* From what GET /v1/kv/?recurse answers; NULL: no keys. */
int exported_write(struct buf *, const json_t *answer, struct err *);

/* Key, flags and value of each; all is checked. Names of members in any case, as Go has it; a
 * missing value is empty. All lives in the arena. */
int exported_read(
    struct arena *, struct str text, struct pair_entry **out, size_t *count, struct err *);

#endif
