/* agent/meta.h -- what keys and values of metadata may be; limits and words are Consul's. */
#ifndef AGENT_META_H
#define AGENT_META_H

#include <stdbool.h>

#include "base/str.h"

#define META_PAIRS_MAX 64
#define META_KEY_MAX 128
#define META_VALUE_MAX 512

/* What is wrong with a pair; NULL: nothing. `reserved`: keys that begin with "consul-" too. */
const char *meta_fault(struct str key, struct str value, bool reserved);

#endif
