/* test_postgres_loss.c: one connection to the database that is lost, in whatever state; how it comes back; what nobody
 * answers in time; and how it is closed. */
#include "sessioning.h"

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
    const struct CMUnitTest tests[] = {
        SESSION_TEST(test_lost_while_busy), SESSION_TEST(test_shutdown),
        SESSION_TEST(test_lost_while_idle), SESSION_TEST(test_lost_while_rolling_back),
        SESSION_TEST(test_backoff),         SESSION_TEST(test_no_server),
        SESSION_TEST(test_set_up_fails),    SESSION_TEST(test_timeouts),
        SESSION_TEST(test_close),           SESSION_TEST(test_close_while_connecting),
        SESSION_TEST(test_close_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
