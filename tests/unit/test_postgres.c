/* test_postgres.c: one connection to the database when all goes well, and when statements fail: setting up, jobs and
 * their results, parameters and rows one by one, COPY into a full socket, transactions. test_postgres_loss.c has the
 * rest. */
#include "sessioning.h"

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
    captured_expect(sql, "SET lock_timeout = '30000ms';");
    captured_expect(sql, "SELECT pg_catalog.set_config('synchronous_commit', 'on', false) WHERE"
                         " pg_catalog.current_setting('synchronous_commit') IN ('off', 'local');");
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

static bool on_row(void *user, const PGresult *row) {
    struct session *session = user;
    assert_int_equal(PQntuples(row), 1);
    size_t at = strlen(session->results);
    snprintf(session->results + at, sizeof session->results - at, "%s ", PQgetvalue(row, 0, 0));
    return ++session->rows != session->enough;
}

static const struct postgres_value values[] = {
    {.data = "it's", .length = 4}, {.data = NULL}, {.data = "abc", .length = 3, .binary = true}};

static void run_with_values(struct session *session, bool rows) {
    const struct postgres_job job = {.sql = "SELECT $1, $2, $3",
                                     .values = values,
                                     .value_count = COUNT_OF(values),
                                     .result = on_result,
                                     .row = rows ? on_row : NULL,
                                     .done = on_done,
                                     .user = session};
    session->results[0] = '\0';
    assert_int_equal(postgres_run(session->postgres, &job), 0);
    fake_server_await(&session->server, "SELECT $1, $2, $3");
    fake_loop_turn(&session->loop);
    fake_server_understood(&session->server);
}

/* Parameters are not part of the text; the result is one, or its rows come one by one. */
static void test_values(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    for (int rows = 0; rows < 2; rows++) {
        run_with_values(session, rows == 1);
        assert_string_equal(server->bound, "it's - abc ");
        SEND_ROWS(server, 1, "a", "b", "c");
        fake_server_ready(server, 'I');
        await_done(session, rows + 1);
        assert_false(session->failed);
        assert_string_equal(session->results, rows == 1 ? "a b c 0:0: " : "0:3:a ");
    }
    /* The next job is a query string again. */
    run(session, "a text");
    fake_server_complete(server, "SELECT 0");
    fake_server_ready(server, 'I');
    await_done(session, 3);
}

/* What is borrowed is given back at once, as by somebody who has left. */
static void run_kept(struct session *session) {
    char sql[] = "SELECT kept", text[] = "it's";
    const struct postgres_value value = {.data = text, .length = strlen(text)};
    const struct postgres_job job = {.sql = sql,
                                     .values = &value,
                                     .value_count = 1,
                                     .keep_statement = true,
                                     .result = on_result,
                                     .done = on_done,
                                     .user = session};
    session->results[0] = '\0';
    assert_int_equal(postgres_run(session->postgres, &job), 0);
    memset(sql, 'x', sizeof sql - 1);
    memset(text, 'x', sizeof text - 1);
}

static void answer_kept(struct session *session, int done) {
    SEND_ROWS(&session->server, 1, "a");
    fake_server_ready(&session->server, 'I');
    await_done(session, done);
    assert_false(session->failed);
    assert_string_equal(session->results, "0:1:a ");
}

/* A statement that is kept is planned the first time; the next time its parameters are enough. */
static void test_kept(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    for (int i = 1; i <= 3; i++) {
        run_kept(session);
        if (i == 1) {
            fake_server_await(server, "SELECT kept");
            assert_int_equal(server->bindings, 0);
            fake_server_prepared(server);
            fake_server_ready(server, 'I');
        }
        fake_server_await_binding(server, i);
        assert_string_equal(server->statement, "kept_0");
        assert_string_equal(server->bound, "it's ");
        fake_server_bound(server);
        answer_kept(session, i);
    }
    assert_int_equal(server->queries, 1);
    /* The function behind it has other columns since: all are forgotten, and it is run as it is. */
    run_kept(session);
    fake_server_await_binding(server, 4);
    fake_server_error(server, "ERROR", "0A000", "cached plan must not change result type");
    fake_server_ready(server, 'I');
    fake_server_await(server, "DEALLOCATE ALL");
    fake_server_complete(server, "DEALLOCATE ALL");
    fake_server_ready(server, 'I');
    fake_server_await_binding(server, 5);
    assert_string_equal(server->statement, "");
    fake_server_understood(server);
    answer_kept(session, 4);
    /* And kept again from now on. */
    run_kept(session);
    fake_server_await(server, "SELECT kept");
    fake_server_prepared(server);
    fake_server_ready(server, 'I');
    fake_server_await_binding(server, 6);
    fake_server_bound(server);
    answer_kept(session, 5);
}

/* One that cannot be planned fails, and is tried again the next time. */
static void test_kept_in_vain(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    for (int i = 1; i <= 2; i++) {
        run_kept(session);
        fake_server_await(server, "SELECT kept");
        fake_server_error(server, "ERROR", "42883", "there is no such function");
        fake_server_ready(server, 'I');
        await_done(session, i);
        assert_true(session->failed);
        assert_int_equal(server->bindings, 0);
    }
}

/* Whoever has enough of rows gets no more before it asks for them, whatever the server sends. */
static void test_enough(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    session->enough = 2;
    run_with_values(session, true);
    SEND_ROWS(server, 1, "a", "b", "c", "d");
    fake_server_ready(server, 'I');
    fake_loop_pass(&session->loop, 10000);
    assert_string_equal(session->results, "a b ");
    assert_false(postgres_idle(session->postgres));
    session->enough = 3;
    postgres_resume(session->postgres);
    assert_string_equal(session->results, "a b c ");
    postgres_resume(session->postgres);
    await_done(session, 1);
    assert_string_equal(session->results, "a b c d 0:0: ");
    postgres_resume(session->postgres); /* there is nothing to go on with */
    await_ready(session);
}

/* An error after some rows, and a hint with it. */
static void test_error_after_rows(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    static const char *const row[] = {"a"};
    await_ready(session);
    run_with_values(session, true);
    fake_server_describe(server, 1);
    fake_server_row(server, 1, row);
    fake_server_error(server, "ERROR", "22012", "division by zero");
    fake_server_ready(server, 'I');
    await_done(session, 1);
    expect_failed(session, "22012", "division by zero");
    assert_string_equal(session->error.hint, "ask for less");
    assert_string_equal(session->results, "a ");
}

/* Who has enough for too long waits for a server that may be gone: the job's time ends it. */
static void test_enough_for_too_long(void **state) {
    struct session *session = *state;
    await_ready(session);
    session->enough = 1;
    run_with_values(session, true);
    SEND_ROWS(&session->server, 1, "a", "b");
    fake_loop_pass(&session->loop, 64000);
    assert_int_equal(session->done, 0);
    fake_loop_pass(&session->loop, 1000);
    assert_int_equal(session->done, 1);
    expect_failed(session, "", "no answer in time");
    postgres_resume(session->postgres); /* it is over */
    fake_loop_pass(&session->loop, 100);
    await_ready(session);
    assert_string_equal(session->results, "a ");
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

struct pieces {
    int given, most;
    bool fails;
};

static bool next_piece(void *user, struct buffer *piece) {
    struct pieces *pieces = user;
    assert_int_equal(piece->length, 0);
    if (pieces->given == pieces->most) {
        piece->failed = pieces->fails;
        return pieces->fails;
    }
    buffer_format(piece, "piece %d, ", pieces->given++);
    for (int i = 0; i < 10000; i++) {
        buffer_bytes(piece, "0123456789", 10);
    }
    return true;
}

/* A COPY that is made while the server takes it is not made faster than that; without memory it fails. */
static void test_copy_in_pieces(void **state) {
    struct session *session = *state;
    struct fake_server *server = &session->server;
    await_ready(session);
    for (int fails = 0; fails < 2; fails++) {
        struct pieces pieces = {.most = 200, .fails = fails == 1};
        const struct postgres_copy copy = {.more = next_piece, .user = &pieces};
        const struct postgres_job job = {
            .sql = "COPY", .copies = &copy, .copy_count = 1, .done = on_done, .user = session};
        assert_int_equal(postgres_run(session->postgres, &job), 0);
        fake_server_await(server, "COPY");
        fake_server_copy_in(server);
        fake_server_pause(server, true);
        fake_loop_pass(&session->loop, 10000);
        assert_in_range(pieces.given, 1, 150);
        fake_server_pause(server, false);
        fake_server_await_copy(server);
        assert_int_equal(pieces.given, 200);
        assert_int_equal(server->copy_end, fails == 1 ? 'f' : 'c');
        assert_in_range(server->copied.length, 200 * 100009, 200 * 100011);
        assert_memory_equal(server->copied.data, "piece 0, 0123", 13);
        if (fails == 1) {
            fake_server_error(server, "ERROR", "57014", "COPY from stdin failed: out of memory");
        } else {
            fake_server_complete(server, "COPY 1");
        }
        fake_server_ready(server, 'I');
        await_done(session, fails + 1);
        assert_int_equal(session->failed, fails == 1);
        assert_true(fails == 0 || strcmp(session->error.sqlstate, "53200") == 0); /* no message's fault */
    }
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

int main(void) {
    const struct CMUnitTest tests[] = {
        SESSION_TEST(test_set_up),
        SESSION_TEST(test_results),
        SESSION_TEST(test_next_from_done),
        SESSION_TEST(test_large_copy),
        SESSION_TEST(test_copy_in_pieces),
        SESSION_TEST(test_values),
        SESSION_TEST(test_kept),
        SESSION_TEST(test_kept_in_vain),
        SESSION_TEST(test_enough),
        SESSION_TEST(test_error_after_rows),
        SESSION_TEST(test_enough_for_too_long),
        SESSION_TEST(test_notifications),
        SESSION_TEST(test_notices),
        SESSION_TEST(test_error),
        SESSION_TEST(test_failed_transaction),
        SESSION_TEST(test_open_transaction),
        SESSION_TEST(test_copy_without_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
