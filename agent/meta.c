/* agent/meta.c -- see meta.h. */
#include "agent/meta.h"

static bool
key_allowed(struct str key)
{
	for (size_t i = 0; i < key.n; i++) {
		char c = chr_lower(key.p[i]);

		if (!chr_digit(c) && !(c >= 'a' && c <= 'z') && c != '_' && c != '-')
			return false;
	}
	return true;
}

const char *
meta_fault(struct str key, struct str value, bool reserved)
{
	if (key.n == 0)
		return "Key cannot be blank";
	if (!key_allowed(key))
		return "Key contains invalid characters";
	if (key.n > META_KEY_MAX)
		return "Key is too long (limit: 128 characters)";
	if (!reserved && str_starts(key, STR("consul-")))
		return "Key prefix 'consul-' is reserved for internal use";
	if (value.n > META_VALUE_MAX)
		return "Value is too long (limit: 512 characters)";
	return NULL;
}
