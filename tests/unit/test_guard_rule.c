/* test_guard_rule.c: what a vendor's login may do at the broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy/guard/guard_refused.h"
#include "deploy/guard/guard_rule.h"

static void test_client_ids(void **state) {
    (void)state;
    static const char *const fit[] = {"acme",   "acme.1", "acme-1",           "acme-gateway-1",
                                      "acme.x", "acme--", "acme-\xe7\xbd\x91"};
    for (size_t i = 0; i < sizeof fit / sizeof fit[0]; i++) {
        assert_true(guard_id_fits(fit[i], "acme"));
        assert_false(guard_id_fits(fit[i], "acm"));
        assert_false(guard_id_fits(fit[i], "acme-2"));
        assert_false(guard_id_fits(fit[i], "cme"));
        assert_false(guard_id_fits(fit[i], ""));
    }
    static const char *const others[] = {"",       "acm",    "Acme",   "acme.",    "acme-", "acme1",  "acme_1",
                                         "acme/1", "acme 1", "acme\n", "acme\x7f", "beta",  "beta.1", "hub1-gas-1"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(guard_id_fits(others[i], "acme"));
    }
    assert_false(guard_id_fits(NULL, "acme"));
    assert_true(guard_id_fits("acme-2.1", "acme-2"));
    char longest[GUARD_ID_MAX + 2] = "acme-";
    memset(longest + 5, 'x', GUARD_ID_MAX - 5);
    assert_true(guard_id_fits(longest, "acme"));
    longest[GUARD_ID_MAX] = 'x';
    assert_false(guard_id_fits(longest, "acme"));
}

static void test_client_ids_of_the_broker_s_making(void **state) {
    (void)state;
    assert_true(guard_id_fits("auto-0A1B2C3D-89ab-4cde-8000-0123456789AB", "acme"));
    static const char *const others[] = {"auto-",
                                         "auto-1",
                                         "auto-0A1B2C3D-89ab-4cde-8000-0123456789A",
                                         "auto-0A1B2C3D-89ab-4cde-8000-0123456789AB1",
                                         "auto-0A1B2C3D-89ab-4cde-8000-0123456789AG",
                                         "auto-0A1B2C3Dx89ab-4cde-8000-0123456789AB",
                                         "Auto-0A1B2C3D-89ab-4cde-8000-0123456789AB",
                                         "0A1B2C3D-89ab-4cde-8000-0123456789AB"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(guard_id_fits(others[i], "acme"));
    }
}

static void test_filters(void **state) {
    (void)state;
    static const char *const fit[] = {"cityhub/v1/+/acme/receipt", "cityhub/v1/dust/acme/receipt",
                                      "cityhub/v1/construction_waste/acme/receipt"};
    for (size_t i = 0; i < sizeof fit / sizeof fit[0]; i++) {
        assert_true(guard_filter_fits(fit[i], "acme"));
        assert_false(guard_filter_fits(fit[i], "acm"));
        assert_false(guard_filter_fits(fit[i], "acme2"));
    }
    static const char *const others[] = {"",
                                         "#",
                                         "+/+/+/+/+",
                                         "cityhub/#",
                                         "cityhub/v1/#",
                                         "cityhub/v1//acme/receipt",
                                         "cityhub/v1/d+/acme/receipt",
                                         "cityhub/v1/#/acme/receipt",
                                         "cityhub/v1/dust/acme/#",
                                         "cityhub/v1/dust/acme/+",
                                         "cityhub/v1/dust/+/receipt",
                                         "cityhub/v1/dust/acme/receipt/",
                                         "cityhub/v1/dust/acme/receipt/#",
                                         "cityhub/v1/dust/acme/telemetry",
                                         "cityhub/v1/dust/x/acme/receipt",
                                         "cityhub/+/dust/acme/receipt",
                                         "/cityhub/v1/dust/acme/receipt",
                                         "$share/acme/cityhub/v1/dust/acme/receipt",
                                         "$SYS/#",
                                         "$share/hub1/cityhub/v1/gas/+/telemetry",
                                         "$queue/cityhub/v1/dust/acme/receipt"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(guard_filter_fits(others[i], "acme"));
    }
    assert_false(guard_filter_fits(NULL, "acme"));
}

static void test_lists(void **state) {
    (void)state;
    assert_true(guard_listed("hub", "hub"));
    assert_true(guard_listed("  hub  monitor ", "monitor"));
    assert_false(guard_listed("hub monitor", "hub monitor"));
    assert_false(guard_listed("hub monitor", "mon"));
    assert_false(guard_listed("hub monitor", "monitors"));
    assert_false(guard_listed("hub", ""));
    assert_false(guard_listed("", ""));
    assert_false(guard_listed("", "hub"));
}

static void test_budget(void **state) {
    (void)state;
    const struct guard_rates rates = {.messages_per_s = 100, .bytes_per_s = 1000};
    struct guard_budget budget = {0};
    double now_s = 50000;
    int taken = 0;
    while (guard_budget_take(&budget, &rates, 0, now_s)) {
        taken++;
    }
    assert_in_range(taken, 999, 1001); /* ten seconds' messages at once */
    assert_false(guard_budget_take(&budget, &rates, 0, now_s + 0.005));
    assert_true(guard_budget_take(&budget, &rates, 0, now_s + 0.02));
    for (int i = 0; i < 10000; i++) { /* at the rate itself for ever */
        assert_true(guard_budget_take(&budget, &rates, 10, now_s + 1 + i * 0.01));
    }
    now_s += 1000;
    assert_true(guard_budget_take(&budget, &rates, 5000, now_s)); /* five seconds of bytes */
    assert_true(guard_budget_take(&budget, &rates, 5000, now_s));
    assert_false(guard_budget_take(&budget, &rates, 100, now_s));
    assert_true(guard_budget_take(&budget, &rates, 100, now_s + 1));
    /* One that is larger than everything goes when nothing is spent, and costs what it costs. */
    now_s += 1000;
    assert_true(guard_budget_take(&budget, &rates, 50000, now_s));
    assert_false(guard_budget_take(&budget, &rates, 0, now_s + 39));
    assert_true(guard_budget_take(&budget, &rates, 0, now_s + 41));
    assert_false(guard_budget_take(&budget, &rates, 50000, now_s + 41));
    assert_true(guard_budget_take(&budget, &rates, 50000, now_s + 60));
}

/* Vendors by their logins, all others together and without a name. */
static void test_refused(void **state) {
    (void)state;
    struct guard_refused *set = NULL;
    guard_refused_note(&set, "acme", "acme-\"1", "10.0.0.1", GUARD_CLIENT_ID, 1000);
    guard_refused_note(&set, "acme", "acme-2", NULL, GUARD_PASSWORD, 3000);
    for (size_t i = 0; i < 4; i++) {
        static const char *const others[] = {NULL, "", "Pass word\xff", "_x"};
        guard_refused_note(&set, others[i], "\n\xe5", "::1", GUARD_PASSWORD, 2000);
    }
    char *text = guard_refused_text(set, 3000);
    assert_string_equal(
        text, "{\"refused\":[{\"login\":\"acme\",\"count\":2,\"first_ms\":1000,\"last_ms\":3000,\"address\":"
              "\"\",\"client_id\":\"acme-2\",\"reason\":\"password\"},{\"login\":\"\",\"count\":4,\"first_ms\":2000,"
              "\"last_ms\":2000,\"address\":\"::1\",\"client_id\":\"\?\?\",\"reason\":\"password\"}]}");
    free(text);
    text = guard_refused_text(set, 86402500); /* a day after the others */
    assert_null(strstr(text, "::1"));
    assert_non_null(strstr(text, "\"acme\",\"count\":2,"));
    free(text);
    guard_refused_note(&set, "", "x", "::1", GUARD_PASSWORD, 86402500);
    text = guard_refused_text(set, 86402500);
    assert_non_null(strstr(text, "\"login\":\"\",\"count\":1,\"first_ms\":86402500"));
    free(text);
    char name[] = "v000";
    for (int i = 0; i < 1000; i++) { /* names that somebody made up push nobody out for good */
        snprintf(name, sizeof name, "v%03d", i);
        guard_refused_note(&set, name, "", "", GUARD_PASSWORD, 86402500);
    }
    guard_refused_note(&set, "acme", "acme-3", "", GUARD_PASSWORD, 86402500);
    text = guard_refused_text(set, 86402500);
    assert_in_range(strlen(text), 1000, 256 * 256);
    assert_non_null(strstr(text, "\"acme\",\"count\":1,"));
    free(text);
    guard_refused_free(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_ids), cmocka_unit_test(test_client_ids_of_the_broker_s_making),
        cmocka_unit_test(test_filters),    cmocka_unit_test(test_lists),
        cmocka_unit_test(test_budget),     cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
