/* test_loader.c: what the hub must know before it may take messages: in which order it is asked for, that nothing of it
 * is forgotten whatever fails, what a database that does not fit means, and what is read again when something changed.
 */
#include "captured.h"
#include "fake_postgres.h"
#include "fake_world.h"

#include "hub/base/count.h"
#include "hub/serve/loader.h"

#define VENDORS                                                                                                        \
    ANSWER("SELECT now()", 1, "2025-10-09 08:53:20+00"),                                                               \
        ANSWER("onemap.vendor", 5, FAKE_SUBSYSTEM, "acme", "f", "t", "f")
#define LANES                                                                                                          \
    ANSWER("SELECT l.client_id", 5, "hub-dust-1-00ff", "dust", "1", "00ff", "t", "hub-dust-7", "dust", "7", "", "f",   \
           "hub-gas-2", "gas", "2", "", "f")

struct loading {
    struct fake_world *world;
    struct loader *loader;
    int loaded, refused, closed;
    int strays;
    char first_stray[64], secret[64];
};

static struct postgres *one(void) {
    return fake_postgres("loader");
}

static void on_loaded(void *user, const PGresult *lanes) {
    struct loading *loading = user;
    loading->loaded++;
    loading->strays = 0;
    for (int row = PQntuples(lanes) - 1; row >= 0; row--) {
        if (*PQgetvalue(lanes, row, LANE_WANTED) == 'f') {
            loading->strays++;
            snprintf(loading->first_stray, sizeof loading->first_stray, "%s", PQgetvalue(lanes, row, LANE_CLIENT_ID));
        } else {
            snprintf(loading->secret, sizeof loading->secret, "%s", PQgetvalue(lanes, row, LANE_SECRET));
        }
    }
}

static void on_refused(void *user) {
    ((struct loading *)user)->refused++;
}

static void on_closed(void *user) {
    ((struct loading *)user)->closed++;
}

static int begin(void **state) {
    struct loading *loading = calloc(1, sizeof *loading);
    void *world;
    assert_non_null(loading);
    assert_int_equal(fake_world_begin(&world), 0);
    loading->world = world;
    const struct loader_handlers handlers = {.loaded = on_loaded, .refused = on_refused, .user = loading};
    loading->loader = loader_open(&loading->world->loop, &loading->world->world, &handlers);
    assert_non_null(loading->loader);
    *state = loading;
    return 0;
}

static int end(void **state) {
    struct loading *loading = *state;
    void *world = loading->world;
    loader_close(loading->loader, on_closed, loading);
    fake_loop_turn(&loading->world->loop);
    assert_int_equal(loading->closed, 1);
    assert_int_equal(fake_postgres_count(), 0);
    fake_world_end(&world);
    free(loading);
    return 0;
}

static const struct fake_act good[] = {
    {.expects = "onemap.catalogue_drift"},
    {.expects = "onemap.server_advice(737, 4, 15, "},
    {.expects = "device_state_catch_up"},
    {.expects = "FROM onemap.vendor v", .answers = {VENDORS}},
    {.expects = "FROM onemap.device d",
     .answers = {ANSWER("onemap.device d", 10, "5", FAKE_SUBSYSTEM, "acme", "T-5", "truck", NULL, "1", NULL, NULL,
                        NULL)}},
    {.expects = "onemap.partition_days()", .answers = {ANSWER("days", 1, "20370")}},
    {.expects = "FROM onemap.alarm_rule r"},
    {.expects = "FROM onemap.delivery d",
     .answers = {ANSWER("onemap.delivery d", 3, "hub/construction_waste-1", "1700000000000000",
                        "\\x000100000000000000ff")}},
    {.expects = "onemap.lanes_open(", .answers = {LANES}},
};

enum { CATCH_UP = 2, VENDORS_AT, DEVICES_AT, DAYS_AT, RULES_AT, DELIVERIES_AT }; /* in good[] */

static void play_from(struct loading *loading, size_t first) {
    fake_postgres_play(&loading->world->loop, one(), good + first, COUNT_OF(good) - first);
}

/* What is read again when the connection is back: all that may have changed while nobody listened. */
static void play_lost(struct loading *loading) {
    fake_postgres_play(&loading->world->loop, one(), good + 1, 1);
    fake_postgres_play(&loading->world->loop, one(), good + VENDORS_AT, DELIVERIES_AT - VENDORS_AT);
}

static void expect_idle(struct loading *loading) {
    fake_loop_turn(&loading->world->loop);
    assert_string_equal(fake_postgres_sql(one()), "");
}

/* ---- the first time ---- */

static void test_order(void **state) {
    struct loading *loading = *state;
    assert_false(loader_connected(loading->loader));
    play_from(loading, 0);
    assert_true(loader_connected(loading->loader));
    assert_string_equal(fake_postgres_setup(one()), "LISTEN cityhub_registry; LISTEN cityhub_rules");
    assert_int_equal(loading->loaded, 1);
    assert_int_equal(loading->refused, 0);
    assert_int_equal(loading->strays, 2);
    assert_string_equal(loading->first_stray, "hub-dust-7");
    assert_string_equal(loading->secret, "00ff");
    assert_int_equal(vendor_device(loading->world->acme, "T-5", 3)->id, 5);
    assert_true(loading->world->quiet->revoked); /* no row names it */
    assert_int_equal(hub_metrics.devices, 1);
    assert_int_equal(hub_metrics.vendors, 1);
    expect_idle(loading);
    assert_int_equal(fake_loop_passed(), 0);
}

/* Catching up after a crash may take long; the time for it ends with it. */
static void test_catch_up(void **state) {
    struct loading *loading = *state;
    fake_postgres_play(&loading->world->loop, one(), good, CATCH_UP);
    fake_postgres_await(&loading->world->loop, one());
    assert_string_equal(fake_postgres_sql(one()),
                        "SET statement_timeout = '1800s'; SELECT onemap.past_reach(interval '300 s'); SELECT"
                        " onemap.device_state_catch_up(); SET statement_timeout = '60s'");
    assert_int_equal(fake_postgres_timeout(one()), 1800);
}

/* Settings that do not fit are told, and are no reason not to run; when the connection was lost they may be others. */
static void test_settings(void **state) {
    struct loading *loading = *state;
    static struct captured captured;
    fake_postgres_play(&loading->world->loop, one(), good, 1);
    captured_begin(&captured, stderr);
    PLAY(&loading->world->loop, one(),
         {.expects = "SELECT a.setting, a.advice, a.advice_zh FROM onemap.server_advice(737, 4, 15, ",
          .answers = {ANSWER("server_advice", 3, "fsync", "it is off", "已关闭", "max_locks_per_transaction",
                             "set it to 192 or more", "请设为 192 以上")}});
    const char *said = captured_end(&captured);
    captured_expect(said, "event=database_setting setting=fsync advice=\"it is off\"");
    captured_expect(said, "event=database_setting setting=max_locks_per_transaction advice=\"set it to 192 or more\"");
    assert_string_equal(hub_metrics.database_advice.en,
                        "fsync: it is off; max_locks_per_transaction: set it to 192 or more");
    assert_string_equal(hub_metrics.database_advice.zh, "fsync：已关闭；max_locks_per_transaction：请设为 192 以上");
    play_from(loading, CATCH_UP);
    assert_int_equal(loading->loaded, 1);
    fake_postgres_lose(one());
    play_lost(loading);
    assert_string_equal(hub_metrics.database_advice.en, "");
}

/* Which days there are is known before a lane is opened, and asked anew when the retention has dropped some. */
static void test_days(void **state) {
    struct loading *loading = *state;
    const struct days *days = loading->world->world.days;
    play_from(loading, 0);
    assert_true(days_has(days, 20370));
    assert_false(days_has(days, 20371));
    loader_days_due(loading->loader);
    PLAY(&loading->world->loop, one(),
         {.expects = "SELECT d - 'epoch'::date FROM onemap.partition_days() d",
          .answers = {ANSWER("days", 1, "20371")}});
    assert_false(days_has(days, 20370));
    assert_true(days_has(days, 20371));
    expect_idle(loading);
}

/* The database is asked for the sessions of this instance, with so many lanes a subsystem. */
static void test_lanes(void **state) {
    struct loading *loading = *state;
    free(loading->world->config.hub_instance);
    free(loading->world->config.lane_counts);
    loading->world->config.hub_instance = strdup("a%b_c\\d");
    loading->world->config.lane_counts = strdup("dust=2");
    fake_postgres_play(&loading->world->loop, one(), good, COUNT_OF(good) - 1);
    fake_postgres_await(&loading->world->loop, one());
    const char *sql = fake_postgres_sql(one());
    captured_expect(sql, "onemap.lanes_open('a%b_c\\d', '{\"");
    captured_expect(sql, "\"dust\": 2");
    captured_expect(sql, "\"gas\": 1");
    fake_postgres_succeed(one());
    assert_int_equal(loading->loaded, 1);
    assert_int_equal(loading->strays, 0);
}

/* Any task may fail, of whatever: it alone runs again, after a second or when the connection is back; then all goes on.
 */
static void test_failures(void **state) {
    static const struct {
        const char *sqlstate;
        int64_t waits_ms;
    } failures[] = {{"53100", 1000}, {"57014", 1000}, {"22003", 1000}, {"", 100}};
    for (size_t task = 0; task < COUNT_OF(good); task++) {
        for (size_t i = 0; i < COUNT_OF(failures); i++) {
            if (task + i > 0) {
                end(state);
                begin(state);
            }
            struct loading *loading = *state;
            fake_postgres_play(&loading->world->loop, one(), good, task);
            for (int turn = 0; turn < 3; turn++) {
                fake_postgres_await(&loading->world->loop, one());
                int64_t before = fake_loop_passed();
                struct fake_act act = good[task];
                act.sqlstate = failures[i].sqlstate;
                fake_postgres_end(one(), &act);
                assert_int_equal(loading->loaded, 0);
                fake_postgres_await(&loading->world->loop, one());
                assert_int_equal(fake_loop_passed() - before, failures[i].waits_ms);
                if (failures[i].sqlstate[0] == '\0' && task >= CATCH_UP) {
                    break; /* the settings come first, and then what changed while nobody listened */
                }
            }
            if (failures[i].sqlstate[0] == '\0' && task == CATCH_UP) {
                play_from(loading, 1);
            } else if (failures[i].sqlstate[0] == '\0' && task > CATCH_UP) {
                play_lost(loading);
                play_from(loading, task < DELIVERIES_AT ? DELIVERIES_AT : task);
            } else {
                play_from(loading, task);
            }
            assert_int_equal(loading->loaded, 1);
            assert_int_equal(loading->strays, 2);
            expect_idle(loading);
        }
    }
}

/* ---- a database that does not fit ---- */

static void test_misfit(void **state) {
    const struct fake_act misfits[] = {
        {.answers = {ANSWER("catalogue_drift", 1, "metric 3 of dust is something else")}},
        {.answers = {ANSWER("catalogue_missing", 1, "kind truck")}},
        {.sqlstate = "42P01"},
        {.sqlstate = "42883"},
        {.sqlstate = "42501"},
        {.sqlstate = "3F000"},
    };
    for (size_t i = 0; i < COUNT_OF(misfits); i++) {
        if (i > 0) {
            end(state);
            begin(state);
        }
        struct loading *loading = *state;
        fake_postgres_await(&loading->world->loop, one());
        fake_postgres_end(one(), &misfits[i]);
        assert_int_equal(loading->refused, 1);
        fake_loop_pass(&loading->world->loop, 60000);
        expect_idle(loading);
        assert_int_equal(loading->refused, 1);
        assert_int_equal(loading->loaded, 0);
    }
}

/* A finding whose answer was not complete is asked for again; later tasks may miss what they like. */
static void test_misfit_later(void **state) {
    struct loading *loading = *state;
    fake_postgres_await(&loading->world->loop, one());
    fake_postgres_end(one(),
                      &(struct fake_act){.answers = {ANSWER("catalogue_drift", 1, "something")}, .sqlstate = ""});
    assert_int_equal(loading->refused, 0);
    fake_postgres_play(&loading->world->loop, one(), good, CATCH_UP);
    PLAY(&loading->world->loop, one(), {.expects = "catch_up", .sqlstate = "42883", .at = "catch_up"});
    play_from(loading, CATCH_UP);
    assert_int_equal(loading->refused, 0);
    assert_int_equal(loading->loaded, 1);
}

/* ---- devices, page by page ---- */

/* A full page with ids from `first` on is the answer to the running job. */
static void give_page(struct loading *loading, int first) {
    static char ids[REGISTRY_PAGE][12];
    static const char *values[10 * REGISTRY_PAGE];
    for (int i = 0; i < REGISTRY_PAGE; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", first + i);
        const char *const row[] = {ids[i], FAKE_SUBSYSTEM, "acme", ids[i], "truck", NULL, "1", NULL, NULL, NULL};
        memcpy(&values[10 * i], row, sizeof row);
    }
    fake_postgres_await(&loading->world->loop, one());
    fake_postgres_end(one(), &(struct fake_act){.answers = {{"onemap.device d", 10, values, 10 * REGISTRY_PAGE}}});
}

static void test_pages(void **state) {
    struct loading *loading = *state;
    char second[64], third[64];
    snprintf(second, sizeof second, "s.device_id > %d WHERE d.id > %d ORDER", REGISTRY_PAGE, REGISTRY_PAGE);
    snprintf(third, sizeof third, "s.device_id > %d WHERE d.id > %d ORDER", 2 * REGISTRY_PAGE, 2 * REGISTRY_PAGE);
    fake_postgres_play(&loading->world->loop, one(), good, DEVICES_AT);
    for (int failed = 1; failed >= 0; failed--) {
        fake_postgres_await(&loading->world->loop, one());
        captured_expect(fake_postgres_sql(one()), "s.device_id > 0 WHERE d.id > 0 ORDER");
        give_page(loading, 1);
        fake_postgres_await(&loading->world->loop, one());
        captured_expect(fake_postgres_sql(one()), second);
        give_page(loading, REGISTRY_PAGE + 1);
        if (failed == 1) {
            PLAY(&loading->world->loop, one(), {.expects = third, .sqlstate = "57014"}); /* from the first */
        }
    }
    PLAY(&loading->world->loop, one(), {.expects = third});
    play_from(loading, DAYS_AT);
    assert_int_equal(loading->loaded, 1);
    assert_int_equal(hub_metrics.devices, 2 * REGISTRY_PAGE);
    /* From now on what was changed since, and some time before. */
    fake_postgres_notify(one(), "cityhub_registry", "vendor");
    PLAY(&loading->world->loop, one(), {.expects = "FROM onemap.vendor v", .answers = {VENDORS}},
         {.expects = "d.id > 0 AND d.updated_at >= timestamptz '2025-10-09 08:53:20+00' - interval '2 minutes'"});
}

/* ---- what changes ---- */

static void test_notifications(void **state) {
    struct loading *loading = *state;
    play_from(loading, 0);
    /* Vendors at once: one was let in, or out. */
    fake_postgres_notify(one(), "cityhub_registry", "vendor");
    PLAY(&loading->world->loop, one(), {.expects = "onemap.vendor v", .answers = {VENDORS}},
         {.expects = "onemap.device d"});
    assert_int_equal(fake_loop_passed(), 0);
    expect_idle(loading);
    /* Devices a second later, however many were told. */
    for (int i = 0; i < 50; i++) {
        fake_postgres_notify(one(), "cityhub_registry", "inventory");
        fake_loop_pass(&loading->world->loop, 10);
    }
    expect_idle(loading);
    PLAY(&loading->world->loop, one(), {.expects = "onemap.vendor v", .answers = {VENDORS}},
         {.expects = "onemap.device d"});
    assert_int_equal(fake_loop_passed(), 1000);
    expect_idle(loading);
    fake_postgres_notify(one(), "cityhub_rules", "");
    PLAY(&loading->world->loop, one(), {.expects = "onemap.alarm_rule r"});
    expect_idle(loading);
    /* The county's offset from UTC, every hour. */
    fake_loop_pass(&loading->world->loop, 3599999 - fake_loop_passed());
    expect_idle(loading);
    fake_postgres_await(&loading->world->loop, one());
    captured_expect(fake_postgres_sql(one()), "onemap.alarm_rule r");
    assert_int_equal(fake_loop_passed(), 3600000);
    fake_postgres_succeed(one());
    assert_int_equal(loading->loaded, 1);
}

/* What is told while the task runs may not be in its answer: it runs once more. Pages that have been read may lack it.
 */
static void test_notified_meanwhile(void **state) {
    struct loading *loading = *state;
    fake_postgres_play(&loading->world->loop, one(), good, RULES_AT);
    fake_postgres_await(&loading->world->loop, one());
    fake_postgres_notify(one(), "cityhub_rules", "");
    PLAY(&loading->world->loop, one(), {.expects = "onemap.alarm_rule r"});
    play_from(loading, RULES_AT);
    expect_idle(loading);
    fake_postgres_notify(one(), "cityhub_registry", "vendor");
    PLAY(&loading->world->loop, one(), {.expects = "onemap.vendor v", .answers = {VENDORS}});
    give_page(loading, 1);
    int64_t before = fake_loop_passed();
    fake_postgres_notify(one(), "cityhub_registry", "vendor");
    PLAY(&loading->world->loop, one(), {.expects = "d.id > 5000 AND"});
    expect_idle(loading);
    PLAY(&loading->world->loop, one(), {.expects = "onemap.vendor v", .answers = {VENDORS}}, {.expects = "d.id > 0"});
    assert_int_equal(fake_loop_passed() - before, 1000);
}

/* Nobody listened while the connection was away: all that may have changed is read again; sessions are not. */
static void test_lost(void **state) {
    struct loading *loading = *state;
    play_from(loading, 0);
    fake_postgres_lose(one());
    assert_false(loader_connected(loading->loader));
    play_lost(loading);
    expect_idle(loading);
    assert_int_equal(loading->loaded, 1);
}

/* An alarm rule takes effect with what is known of its conditions, in one step. */
static void test_rules(void **state) {
    struct loading *loading = *state;
    fake_postgres_play(&loading->world->loop, one(), good, RULES_AT);
    PLAY(&loading->world->loop, one(),
         {.expects = "onemap.alarm_rule r",
          .answers = {
              ANSWER("FROM onemap.alarm_rule r JOIN onemap.metric", 11, "7", FAKE_SUBSYSTEM, "1", NULL, "above", "50",
                     NULL, "0", NULL, NULL, "28800"),
              ANSWER("onemap.alarm_pending", 7, FAKE_SUBSYSTEM, "acme", "T-5", "7", "t", "1700006400000", "f")}});
    assert_int_equal(hub_metrics.alarm_rules, 1);
    assert_int_equal(vendor_device(loading->world->acme, "T-5", 3)->conditions, 1);
}

/* ---- sessions of before ---- */

/* A drained session's row goes when the database is there, and is remembered until it has gone. */
static void test_forget(void **state) {
    struct loading *loading = *state;
    static const char *const sqlstates[] = {"53100", ""};
    play_from(loading, 0);
    loader_forget_lane(loading->loader, "hub-dust-1"); /* not one of them */
    expect_idle(loading);
    loader_forget_lane(loading->loader, "hub-gas-2");
    for (size_t i = 0; i < COUNT_OF(sqlstates); i++) {
        if (i == 1) {
            fake_postgres_await(&loading->world->loop, one());
        }
        PLAY(&loading->world->loop, one(),
             {.expects = "DELETE FROM onemap.lane WHERE client_id = 'hub-gas-2';",
              .lacks = "hub-dust-7",
              .sqlstate = sqlstates[i]});
    }
    play_lost(loading);
    fake_postgres_await(&loading->world->loop, one());
    loader_forget_lane(loading->loader, "hub-dust-7"); /* while the first is being deleted */
    PLAY(&loading->world->loop, one(), {.expects = "'hub-gas-2'", .lacks = "hub-dust-7"},
         {.expects = "'hub-dust-7'", .lacks = "hub-gas-2"});
    expect_idle(loading);
}

/* Closed while a task runs: nobody is told, nothing is started. */
static void test_close(void **state) {
    struct loading *loading = *state;
    static struct captured captured;
    fake_postgres_await(&loading->world->loop, one());
    captured_begin(&captured, stderr);
    end(state);
    assert_string_equal(captured_end(&captured), "");
    begin(state);
    loading = *state;
    assert_int_equal(loading->loaded + loading->refused, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_order),
        TEST(test_settings),
        TEST(test_days),
        TEST(test_catch_up),
        TEST(test_lanes),
        TEST(test_failures),
        TEST(test_misfit),
        TEST(test_misfit_later),
        TEST(test_pages),
        TEST(test_notifications),
        TEST(test_notified_meanwhile),
        TEST(test_lost),
        TEST(test_rules),
        TEST(test_forget),
        TEST(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
