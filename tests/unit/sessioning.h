/* sessioning.h: one connection to the database, through the real libpq, to a server that the test plays, for its tests.
 */
#ifndef CITYHUB_TEST_SESSIONING_H
#define CITYHUB_TEST_SESSIONING_H

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
    int rows, enough;                /* rows that came one by one; after so many it is enough */
};

static inline void on_ready(void *user) {
    struct session *session = user;
    session->ready++;
    assert_true(postgres_idle(session->postgres));
}

static inline void on_lost(void *user, const char *why) {
    struct session *session = user;
    (void)why;
    session->lost++;
    assert_false(postgres_connected(session->postgres));
}

static inline void on_notified(void *user, const char *channel, const char *payload) {
    struct session *session = user;
    size_t at = strlen(session->notified);
    snprintf(session->notified + at, sizeof session->notified - at, "%s=%s ", channel, payload);
}

static inline void on_result(void *user, int statement, const PGresult *result) {
    struct session *session = user;
    size_t at = strlen(session->results);
    snprintf(session->results + at, sizeof session->results - at, "%d:%d:%s ", statement, PQntuples(result),
             PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
}

static inline void on_done(void *user, const struct postgres_error *error) {
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

static inline void on_closed(void *user) {
    ((struct session *)user)->closed++;
}

static inline int session_begin(void **state) {
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

static inline void close_now(struct session *session) {
    postgres_close(session->postgres, on_closed, session);
    session->postgres = NULL;
    assert_int_equal(session->closed, 0); /* from the loop */
    fake_loop_turn(&session->loop);
    assert_int_equal(session->closed, 1);
}

static inline int session_end(void **state) {
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

static inline bool is_ready(void *user) {
    return postgres_idle(((struct session *)user)->postgres);
}

static inline void await_ready(struct session *session) {
    for (int i = 0; i < 1000 && !is_ready(session); i++) {
        uv_run(&session->loop, UV_RUN_NOWAIT);
    }
    assert_true(is_ready(session));
}

static inline void run(struct session *session, const char *sql) {
    const struct postgres_job job = {.sql = sql, .result = on_result, .done = on_done, .user = session};
    session->results[0] = '\0';
    assert_int_equal(postgres_run(session->postgres, &job), 0);
    fake_server_await(&session->server, sql);
}

static inline void await_done(struct session *session, int done) {
    for (int i = 0; i < 1000 && session->done < done; i++) {
        uv_run(&session->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(session->done, done);
}

static inline void expect_failed(const struct session *session, const char *sqlstate, const char *message) {
    assert_true(session->failed);
    assert_string_equal(session->error.sqlstate, sqlstate);
    assert_string_equal(session->error.message, message);
}

#define SEND_ROWS(server, columns, ...)                                                                                \
    fake_server_rows((server), (columns), (const char *const[]){__VA_ARGS__},                                          \
                     (int)COUNT_OF(((const char *const[]){__VA_ARGS__})))

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, session_begin, session_end)

#endif
