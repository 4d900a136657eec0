/* test_postgres.c: one connection to the database, through the real libpq, to a server that the test plays: setting up,
 * jobs and their results, errors and transactions, losses and timeouts, COPY into a full socket, and how it is closed.
 */
#include "captured.h"
#include "fake_server.h"
#include "rows.h"

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/link/postgres.h"

struct session {
    uv_loop_t loop;
    struct config config;
    struct fake_server server;
    struct postgres *postgres;
    int ready, lost, done, closed;
    bool failed; /* the last job */
    struct postgres_error error;
    char results[512]; /* "statement:rows:first value " for each */
    char notified[256];
    const struct postgres_job *next; /* to be started from the next `done` */
};

static void on_ready(void *user) {
    struct session *session = user;
    session->ready++;
    assert_true(postgres_idle(session->postgres));
}

static void on_lost(void *user, const char *why) {
    struct session *session = user;
    (void)why;
    session->lost++;
    assert_false(postgres_connected(session->postgres));
}

static void on_notified(void *user, const char *channel, const char *payload) {
    struct session *session = user;
    size_t at = strlen(session->notified);
    snprintf(session->notified + at, sizeof session->notified - at, "%s=%s ", channel, payload);
}

static void on_result(void *user, int statement, const PGresult *result) {
    struct session *session = user;
    size_t at = strlen(session->results);
    snprintf(session->results + at, sizeof session->results - at, "%d:%d:%s ", statement, PQntuples(result),
             PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
}

static void on_done(void *user, const struct postgres_error *error) {
    struct session *session = user;
    session->done++;
    session->failed = error != NULL;
    session->error = error == NULL ? (struct postgres_error){0} : *error;
    if (session->next != NULL) {
        const struct postgres_job *next = session->next;
        session->next = NULL;
        assert_int_equal(postgres_run(session->postgres, next), 0);
    }
}

static void on_closed(void *user) {
    ((struct session *)user)->closed++;
}

static int begin(void **state) {
    struct session *session = calloc(1, sizeof *session);
    assert_non_null(session);
    fake_loop_begin(&session->loop);
    assert_int_equal(config_load(&session->config, "/dev/null", stderr), 0);
    fake_server_begin(&session->server, &session->loop);
    free(session->config.database_conninfo);
    session->config.database_conninfo = strdup(session->server.conninfo);
    const struct postgres_handlers handlers = {
        .ready = on_ready, .lost = on_lost, .notified = on_notified, .user = session};
    session->postgres = postgres_open(&session->loop, &session->config, "loader", "LISTEN a; LISTEN b", &handlers);
    assert_non_null(session->postgres);
    assert_int_equal(session->ready, 0);
    *state = session;
    return 0;
}

static void close_now(struct session *session) {
    postgres_close(session->postgres, on_closed, session);
    session->postgres = NULL;
    assert_int_equal(session->closed, 0); /* from the loop */
    fake_loop_turn(&session->loop);
    assert_int_equal(session->closed, 1);
}

static int end(void **state) {
    struct session *session = *state;
    if (session->postgres != NULL) {
        close_now(session);
    }
    fake_server_end(&session->server);
    fake_loop_end(&session->loop);
    config_free(&session->config);
    free(session);
    return 0;
}

static bool is_ready(void *user) {
    return postgres_idle(((struct session *)user)->postgres);
}

static void await_ready(struct session *session) {
    for (int i = 0; i < 1000 && !is_ready(session); i++) {
        uv_run(&session->loop, UV_RUN_NOWAIT);
    }
    assert_true(is_ready(session));
}

static void run(struct session *session, const char *sql) {
    const struct postgres_job job = {.sql = sql, .result = on_result, .done = on_done, .user = session};
    session->results[0] = '\0';
    assert_int_equal(postgres_run(session->postgres, &job), 0);
    fake_server_await(&session->server, sql);
}

static void await_done(struct session *session, int done) {
    for (int i = 0; i < 1000 && session->done < done; i++) {
        uv_run(&session->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(session->done, done);
}

static void expect_failed(const struct session *session, const char *sqlstate, const char *message) {
    assert_true(session->failed);
    assert_string_equal(session->error.sqlstate, sqlstate);
    assert_string_equal(session->error.message, message);
}

#define SEND_ROWS(server, columns, ...)                                                                                \
    fake_server_rows((server), (columns), (const char *const[]){__VA_ARGS__},                                          \
                     (int)COUNT_OF(((const char *const[]){__VA_ARGS__})))

/* ---- when all goes well ---- */

/* Who it is, and how the server is to treat it; nothing is a job's before that. */
static void test_set_up(void **state) {
    struct session *session = *state;
    assert_false(postgres_connected(session->postgres));
    await_ready(session);
    assert_int_equal(session->ready, 1);
    assert_true(postgres_connected(session->postgres));
    captured_expect(session->server.startup, "user=hub ");
    captured_expect(session->server.startup, "database=city ");
    captured_expect(session->server.startup, "application_name=cityhub ");
    captured_expect(session->server.startup, " loader ");
    captured_expect(session->server.startup, "client_encoding=UTF8 ");
    const char *sql = session->server.setup.data;
    captured_expect(sql, "SET TimeZone = 'UTC'; SET statement_timeout = '60s';");
    captured_expect(sql, "SET client_connection_check_interval = '2s';");
    captured_expect(sql, "SET lock_timeout = '60s';");
    captured_expect(sql, "SET idle_in_transaction_session_timeout = '120s'; LISTEN a; LISTEN b");
}

/* Each statement's result with its number; a COPY is one statement, its data are sent in order. */
static void test_results(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    const struct postgres_copy copies[] = {{.data = "first", .length = 5}, {.data = "second", .length = 6}};
    const struct postgres_job job = {
        .sql = "all", .copies = copies, .copy_count = 2, .result = on_result, .done = on_done, .user = session};
    assert_int_equal(postgres_run(session->postgres, &job), 0);
    assert_false(postgres_idle(session->postgres));
    assert_true(postgres_connected(session->postgres));
    assert_int_equal(postgres_run(session->postgres, &job), CH_EFULL);
    fake_server_await(server, "all");
    fake_server_complete(server, "BEGIN");
    SEND_ROWS(server, 2, "a", "b", "c", "d");
    for (size_t i = 0; i < COUNT_OF(copies); i++) {
        fake_server_copy_in(server);
        fake_server_await_copy(server);
        assert_int_equal(server->copy_end, 'c');
        assert_int_equal(server->copied.length, copies[i].length);
        assert_memory_equal(server->copied.data, copies[i].data, copies[i].length);
        fake_server_complete(server, "COPY 1");
    }
    SEND_ROWS(server, 1, "x");
    fake_server_complete(server, "COMMIT");
    assert_int_equal(session->done, 0);
    fake_server_ready(server, 'I');
    await_done(session, 1);
    assert_false(session->failed);
    assert_string_equal(session->results, "0:0: 1:2:a 2:0: 3:0: 4:1:x 5:0: ");
    assert_int_equal(session->ready, 2); /* for the next job */
}

/* A job started from `done` is the next; `ready` is not said between. */
static void test_next_from_done(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    const struct postgres_job next = {.sql = "the next", .done = on_done, .user = session};
    await_ready(session);
    session->next = &next;
    run(session, "first");
    fake_server_complete(server, "SELECT 0");
    fake_server_ready(server, 'I');
    fake_server_await(server, "the next");
    assert_int_equal(session->ready, 1);
    fake_server_complete(server, "SELECT 0");
    fake_server_ready(server, 'I');
    await_done(session, 2);
    assert_int_equal(session->ready, 2);
}

/* More than any socket takes at once, while the server does not read: the loop is not held up, and all of it comes. */
static void test_large_copy(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    enum { SIZE = 8 * 1024 * 1024 };
    char *data = malloc(SIZE);
    assert_non_null(data);
    for (int i = 0; i < SIZE; i++) {
        data[i] = (char)(i % 251);
    }
    await_ready(session);
    const struct postgres_copy copy = {.data = data, .length = SIZE};
    const struct postgres_job job = {.sql = "COPY", .copies = &copy, .copy_count = 1, .done = on_done, .user = session};
    assert_int_equal(postgres_run(session->postgres, &job), 0);
    fake_server_await(server, "COPY");
    fake_server_copy_in(server);
    fake_server_pause(server, true);
    fake_loop_pass(&session->loop, 10000);
    assert_int_equal(server->copy_end, 0);
    assert_int_equal(session->done, 0);
    fake_server_pause(server, false);
    fake_server_await_copy(server);
    assert_int_equal(server->copied.length, SIZE);
    assert_memory_equal(server->copied.data, data, SIZE);
    fake_server_complete(server, "COPY 1");
    fake_server_ready(server, 'I');
    await_done(session, 1);
    assert_false(session->failed);
    free(data);
}

static void test_notifications(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    fake_server_notify(server, "a", "1");
    fake_loop_turn(&session->loop);
    assert_string_equal(session->notified, "a=1 ");
    run(session, "something");
    fake_server_notify(server, "b", "2");
    fake_server_notify(server, "b", "3");
    fake_server_complete(server, "SELECT 0");
    fake_server_ready(server, 'I');
    await_done(session, 1);
    fake_loop_turn(&session->loop);
    assert_string_equal(session->notified, "a=1 b=2 b=3 ");
}

/* Warnings of the server are the operator's to see, notices are not. */
static void test_notices(void **state) {
    struct session *session = *state;
    static struct captured captured;
    await_ready(session);
    captured_begin(&captured, stderr);
    fake_server_notice(&session->server, "NOTICE", "it was there already");
    fake_server_notice(&session->server, "WARNING", "wraparound is near");
    fake_loop_turn(&session->loop);
    const char *said = captured_end(&captured);
    captured_expect(said, "event=database_notice session=loader message=\"wraparound is near\"");
    assert_null(strstr(said, "already"));
}

/* ---- errors and transactions ---- */

/* The results before the error, the error's own words, and the first of several. */
static void test_error(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    run(session, "two statements");
    SEND_ROWS(server, 1, "good");
    fake_server_error(server, "ERROR", "22003", "out of range");
    fake_server_ready(server, 'I');
    await_done(session, 1);
    expect_failed(session, "22003", "out of range");
    assert_string_equal(session->results, "0:1:good ");
    run(session, "a good one");
    fake_server_complete(server, "SELECT 0");
    fake_server_ready(server, 'I');
    await_done(session, 2);
    assert_false(session->failed); /* the error was the other job's */
}

/* A failed transaction is rolled back before the job is called failed; its error is the first one, whatever comes of
 * that. */
static void test_failed_transaction(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    run(session, "BEGIN; something");
    fake_server_complete(server, "BEGIN");
    fake_server_error(server, "ERROR", "23505", "is there already");
    fake_server_ready(server, 'E');
    fake_server_await(server, "ROLLBACK");
    assert_int_equal(session->done, 0);
    fake_server_complete(server, "ROLLBACK");
    fake_server_ready(server, 'I');
    await_done(session, 1);
    expect_failed(session, "23505", "is there already");
    assert_string_equal(session->results, "0:0: "); /* ROLLBACK is not the job's */
}

/* What a job leaves open is rolled back, unless it says that the next one goes on with it. */
static void test_open_transaction(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    for (int keeps = 0; keeps < 2; keeps++) {
        for (int fails = 0; fails < 2; fails++) {
            int done = session->done;
            const struct postgres_job job = {
                .sql = "BEGIN; half", .keep_transaction = keeps == 1, .done = on_done, .user = session};
            assert_int_equal(postgres_run(session->postgres, &job), 0);
            fake_server_await(server, "half");
            fake_server_complete(server, "BEGIN");
            if (fails == 1) {
                fake_server_error(server, "ERROR", "22003", "out of range");
            }
            fake_server_ready(server, fails == 1 ? 'E' : 'T');
            if (keeps == 0 || fails == 1) {
                fake_server_await(server, "ROLLBACK");
                fake_server_complete(server, "ROLLBACK");
                fake_server_ready(server, 'I');
            }
            await_done(session, done + 1);
            assert_int_equal(session->failed, fails);
            if (keeps == 1 && fails == 0) {
                run(session, "the other half; COMMIT");
                fake_server_complete(server, "COMMIT");
                fake_server_ready(server, 'I');
                await_done(session, done + 2);
                assert_false(session->failed);
            }
        }
    }
}

/* A COPY that the job brought no data for must not leave the connection stuck. */
static void test_copy_without_data(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    run(session, "COPY");
    fake_server_copy_in(server);
    fake_server_await_copy(server);
    assert_int_equal(server->copy_end, 'f');
    assert_string_equal(server->copy_error, "no data was given for this COPY");
    fake_server_error(server, "ERROR", "57014", "COPY from stdin failed");
    fake_server_ready(server, 'I');
    await_done(session, 1);
    expect_failed(session, "57014", "COPY from stdin failed");
}

/* ---- losses ---- */

/* A job that was under way fails with no SQLSTATE, before the loss is told; then the connection comes back. */
static void test_lost_while_busy(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    run(session, "COMMIT");
    fake_server_hang_up(server);
    await_done(session, 1);
    assert_true(session->failed);
    assert_string_equal(session->error.sqlstate, "");
    assert_int_equal(session->lost, 1);
    assert_int_equal(session->ready, 1);
    fake_loop_pass(&session->loop, 100);
    await_ready(session);
    assert_int_equal(server->connections, 2);
    assert_int_equal(session->ready, 2);
}

/* The server says why it ends the connection: the reason is told, but not as if the job had simply failed. */
static void test_shutdown(void **state) {
    struct session *session = *state;
    await_ready(session);
    run(session, "COMMIT");
    fake_server_error(&session->server, "FATAL", "57P01", "terminating connection due to administrator command");
    fake_server_hang_up(&session->server);
    await_done(session, 1);
    assert_string_equal(session->error.sqlstate, "");
    captured_expect(session->error.message, "terminating connection due to administrator command");
}

static void test_lost_while_idle(void **state) {
    struct session *session = *state;
    await_ready(session);
    fake_server_hang_up(&session->server);
    fake_loop_turn(&session->loop);
    assert_int_equal(session->lost, 1);
    assert_int_equal(session->done, 0);
    fake_loop_pass(&session->loop, 100);
    await_ready(session);
}

/* Lost while a failed transaction is rolled back: nothing was committed, but the job cannot say that any more. */
static void test_lost_while_rolling_back(void **state) {
    struct session *session = *state;
    await_ready(session);
    run(session, "BEGIN; something");
    fake_server_error(&session->server, "ERROR", "22003", "out of range");
    fake_server_ready(&session->server, 'E');
    fake_server_await(&session->server, "ROLLBACK");
    fake_server_hang_up(&session->server);
    await_done(session, 1);
    assert_string_equal(session->error.sqlstate, "");
    assert_int_equal(session->lost, 1);
}

/* 100 ms, then twice as long each time, at most 5 s; a set-up that succeeds begins anew. Passwords are not told. */
static void test_backoff(void **state) {
    struct session *session = *state;
    static struct captured captured;
    static const int64_t waits[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    captured_begin(&captured, stderr);
    session->server.refuses = true;
    fake_loop_turn(&session->loop);
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        assert_int_equal(session->server.connections, i + 1);
        fake_loop_pass(&session->loop, waits[i] - 1);
        assert_int_equal(session->server.connections, i + 1);
        session->server.refuses = i < COUNT_OF(waits) - 1;
        fake_loop_pass(&session->loop, 1);
    }
    await_ready(session);
    assert_int_equal(session->lost, 0); /* there was nothing to lose */
    fake_server_hang_up(&session->server);
    fake_loop_turn(&session->loop);
    fake_loop_pass(&session->loop, 100);
    await_ready(session);
    assert_int_equal(session->lost, 1);
    assert_null(strstr(captured_end(&captured), "s3cret"));
}

/* No server at all, and one again. */
static void test_no_server(void **state) {
    struct session *session = *state;
    fake_server_away(&session->server, true);
    fake_loop_pass(&session->loop, 20000);
    assert_int_equal(session->server.connections, 0);
    fake_server_away(&session->server, false);
    fake_loop_pass(&session->loop, 5000);
    await_ready(session);
}

/* Settings that the server refuses: the connection is of no use, and does not begin the backoff anew. */
static void test_set_up_fails(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    server->sets_up = false;
    for (int turn = 0; turn < 3; turn++) {
        fake_server_await(server, "SET TimeZone");
        fake_server_error(server, "ERROR", "42883", "function onemap.stage_create() does not exist");
        fake_server_ready(server, 'I');
        fake_loop_turn(&session->loop);
        assert_int_equal(session->ready, 0);
        assert_int_equal(server->connections, turn + 1);
        fake_loop_pass(&session->loop, 100 << turn);
    }
    server->sets_up = true;
    fake_server_await(server, "SET TimeZone"); /* the fourth connection's, which was under way */
    fake_server_hang_up(server);
    fake_loop_pass(&session->loop, 800);
    await_ready(session);
}

/* Nobody answers: not the greeting, in the time for connecting and some; not a job, in its own time or the server's. */
static void test_timeouts(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    server->mute = true;
    fake_loop_pass(&session->loop, 5499);
    assert_int_equal(server->connections, 1);
    fake_loop_pass(&session->loop, 1 + 100);
    assert_int_equal(server->connections, 2);
    server->mute = false;
    fake_server_hang_up(server);
    fake_loop_pass(&session->loop, 200);
    await_ready(session);
    static const struct { int64_t timeout_s, waits_ms; } cases[] = {{0, 65000}, {1800, 1805000}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int done = session->done;
        const struct postgres_job job = {
            .sql = "slow", .timeout_s = cases[i].timeout_s, .done = on_done, .user = session};
        assert_int_equal(postgres_run(session->postgres, &job), 0);
        fake_server_await(server, "slow");
        fake_loop_pass(&session->loop, cases[i].waits_ms - 1);
        assert_int_equal(session->done, done);
        fake_loop_pass(&session->loop, 1);
        assert_int_equal(session->done, done + 1);
        expect_failed(session, "", "no answer in time");
        fake_loop_pass(&session->loop, 100);
        await_ready(session);
    }
    fake_loop_pass(&session->loop, 3600000); /* who is idle waits for nobody */
    assert_true(postgres_idle(session->postgres));
}

/* ---- closing ---- */

static void test_close(void **state) {
    struct session *session = *state;
    await_ready(session);
    run(session, "COMMIT");
    close_now(session);
    assert_int_equal(session->done, 1);
    expect_failed(session, "", "the hub is stopping");
    assert_int_equal(session->lost, 0);
}

static void test_close_while_connecting(void **state) {
    struct session *session = *state;
    session->server.mute = true;
    fake_loop_turn(&session->loop);
    close_now(session);
    assert_int_equal(session->ready + session->lost + session->done, 0);
}

static void test_close_at_once(void **state) {
    close_now(*state);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_set_up),
        TEST(test_results),
        TEST(test_next_from_done),
        TEST(test_large_copy),
        TEST(test_notifications),
        TEST(test_notices),
        TEST(test_error),
        TEST(test_failed_transaction),
        TEST(test_open_transaction),
        TEST(test_copy_without_data),
        TEST(test_lost_while_busy),
        TEST(test_shutdown),
        TEST(test_lost_while_idle),
        TEST(test_lost_while_rolling_back),
        TEST(test_backoff),
        TEST(test_no_server),
        TEST(test_set_up_fails),
        TEST(test_timeouts),
        TEST(test_close),
        TEST(test_close_while_connecting),
        TEST(test_close_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
