/* A config file in HCL and as JSON, all the way: onto the table of options, the checks over several
 * of them, and its services and checks registered. No crash, and an error says something. */
#include "agent/definition.h"
#include "agent/hcl.h"
#include "agent/local/local.h"
#include "agent/options.h"
#include "kv/store.h"
#include "tests/fuzz/fuzz.h"

static void
definitions_register(const struct definitions *d)
{
	struct now now = { NSEC_SEC, 1800000000000 };
	struct store_config config = { .limits = owner_limits_default, .self = { { 1 } } };
	struct local_config local_config = { .self = { { 1 } } };
	struct err err = { 0 };
	struct local *local;

	config.cluster.b[0] = 2;
	config.epoch = (struct epoch){ 1, 1 };
	local_config.store = store_new(&config, now);
	local = local_new(&local_config);
	FUZZ_ASSERT(definitions_apply(d, local, now, &err) == 0 || err.text[0] != '\0');
	FUZZ_ASSERT(definitions_apply(d, local, now, &err) == 0 || err.text[0] != '\0');
	local_free(local);
	store_free(local_config.store);
}

static void
config_read(struct str name, struct str text)
{
	struct err err = { 0 };
	struct options o;

	FUZZ_ASSERT(options_init(&o, &err) == 0);
	if (config_text_read(&o, name, text, &err) != 0)
		FUZZ_ASSERT(err.text[0] != '\0');
	else if (options_finish(&o, &err) != 0)
		FUZZ_ASSERT(err.text[0] != '\0');
	else if (o.definitions.count > 0)
		definitions_register(&o.definitions);
	options_done(&o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_mem(data, size);
	struct err err = { 0 };
	json_t *v = NULL;
	int rc = hcl_read(STR("f.hcl"), text, &v, &err);

	FUZZ_ASSERT(rc == 0 ? json_is_object(v) : v == NULL && err.text[0] != '\0');
	json_decref(v);
	config_read(STR("f.hcl"), text);
	config_read(STR("f.json"), text);
	return 0;
}
