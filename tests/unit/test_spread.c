/* Spreading between a few agents: who gets what how, message by message. */
#include "kv/spread_priv.h"
#include "tests/unit/spread_net.h"
#include "tests/unit/test.h"

static void
a_change_is_everywhere_after_one_way(void **unused)
{
	struct net *net = net_new(5, 1);

	(void)unused;
	net_start_all(net);
	assert_true(net_run_until_equal(net, 10 * NSEC_SEC, NULL));
	net_put(net, 0, "web", "80");
	net_changed(net, 0);
	net_run(net, net->delay_max);
	for (size_t i = 1; i < 5; i++) {
		assert_string_equal(net_get(net, i, 0, "web"), "80");
		assert_int_equal(net->nodes[i].payloads, 1);
	}
	net_remove(net, 0, "web");
	net_changed(net, 0);
	net_run(net, net->delay_max);
	assert_string_equal(net_get(net, 3, 0, "web"), "");
	net_free(net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_is_everywhere_after_one_way),
	};

	return cmocka_run_group_tests_name("spread", tests, NULL, NULL);
}
