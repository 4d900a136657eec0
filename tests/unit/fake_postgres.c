/* fake_postgres.c: connections without a server, for tests. */
#include "fake_postgres.h"

#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/migrate/sql_script.h"
#include "rows.h"

enum { AWAIT_MS = 120000, FAKE_COPIES_MAX = 4 };

enum fake_state { FAKE_AWAY, FAKE_IDLE, FAKE_BUSY, FAKE_CLOSING };

struct postgres {
    struct postgres *next;
    uv_timer_t timer, serve_timer;
    const char *name, *setup;
    struct postgres_handlers handlers;
    enum fake_state state;
    struct postgres_job job;
    /* What comes piece by piece is taken at once, so that it can be looked at more than once. */
    struct postgres_copy copies[FAKE_COPIES_MAX];
    struct buffer copied[FAKE_COPIES_MAX];
    int jobs;
    bool in_transaction;
    struct closing closing;
};

static struct postgres *sessions;
static bool away;
static void (*server)(void *user, struct postgres *session);
static void *server_user;
static void (*watcher)(void *user, const struct postgres_job *job);
static void *watcher_user;

/* ---- what the hub calls ---- */

static void dial(uv_timer_t *timer) {
    struct postgres *session = timer->data;
    if (away) {
        uv_timer_start(timer, dial, FAKE_RECONNECT_MS, 0);
        return;
    }
    session->state = FAKE_IDLE;
    if (session->handlers.ready != NULL) {
        session->handlers.ready(session->handlers.user);
    }
}

struct postgres *postgres_open(uv_loop_t *loop, const struct config *config, const char *name, const char *setup_sql,
                               const struct postgres_handlers *handlers) {
    struct postgres *session = calloc(1, sizeof *session);
    (void)config;
    if (session == NULL) {
        log_error("out_of_memory", "what=session name=%s", name);
        return NULL;
    }
    session->name = name;
    session->setup = setup_sql == NULL ? "" : setup_sql;
    session->handlers = *handlers;
    session->next = sessions;
    sessions = session;
    uv_timer_init(loop, &session->timer);
    uv_timer_init(loop, &session->serve_timer);
    session->timer.data = session->serve_timer.data = session;
    uv_timer_start(&session->timer, dial, 0, 0);
    return session;
}

static void finish(struct postgres *session, const struct postgres_error *error) {
    struct postgres_job job = session->job;
    session->job = (struct postgres_job){0};
    if (job.done != NULL) {
        job.done(job.user, error);
    }
}

static void session_free(void *part) {
    struct postgres *session = part;
    for (size_t i = 0; i < FAKE_COPIES_MAX; i++) {
        buffer_free(&session->copied[i]);
    }
    free(session);
}

void postgres_close(struct postgres *session, void (*closed)(void *user), void *user) {
    bool had_job = session->state == FAKE_BUSY;
    struct postgres **place = &sessions;
    while (*place != session) {
        place = &(*place)->next;
    }
    *place = session->next;
    session->state = FAKE_CLOSING;
    session->handlers = (struct postgres_handlers){0};
    closing_begin(&session->closing, session_free, session, closed, user);
    closing_handle(&session->closing, (uv_handle_t *)&session->timer);
    closing_handle(&session->closing, (uv_handle_t *)&session->serve_timer);
    if (had_job) {
        finish(session, &(struct postgres_error){.message = "the hub is stopping"});
    }
}

bool postgres_idle(const struct postgres *session) {
    return session->state == FAKE_IDLE;
}

bool postgres_connected(const struct postgres *session) {
    return session->state == FAKE_IDLE || session->state == FAKE_BUSY;
}

static void serve(uv_timer_t *timer) {
    struct postgres *session = timer->data;
    if (server != NULL && session->state == FAKE_BUSY) {
        server(server_user, session);
    }
}

static void take_copies(struct postgres *session) {
    const struct postgres_job *job = &session->job;
    assert_true(job->copy_count <= FAKE_COPIES_MAX);
    for (size_t i = 0; i < job->copy_count; i++) {
        const struct postgres_copy *copy = &job->copies[i];
        struct buffer *copied = &session->copied[i];
        fake_at_work++;
        copied->length = 0;
        while (copy->more != NULL && copy->more(copy->user, copied)) {
        }
        fake_at_work--;
        session->copies[i] =
            copy->more == NULL ? *copy : (struct postgres_copy){.data = copied->data, .length = copied->length};
    }
    session->job.copies = session->copies;
}

int postgres_run(struct postgres *session, const struct postgres_job *job) {
    if (session->state != FAKE_IDLE) {
        return CH_EFULL;
    }
    assert_non_null(job->sql);
    if (session->in_transaction && strncmp(job->sql, "BEGIN", 5) == 0) {
        fail_msg("%s begins a transaction within another", session->name);
    }
    session->state = FAKE_BUSY;
    session->job = *job;
    take_copies(session);
    session->jobs++;
    uv_timer_start(&session->serve_timer, serve, 0, 0);
    return 0;
}

/* ---- what tests call ---- */

struct postgres *fake_postgres(const char *name) {
    struct postgres *session = sessions;
    while (session != NULL && strcmp(session->name, name) != 0) {
        session = session->next;
    }
    if (session == NULL) {
        fail_msg("there is no connection %s", name);
    }
    return session;
}

int fake_postgres_count(void) {
    int count = 0;
    for (const struct postgres *session = sessions; session != NULL; session = session->next) {
        count++;
    }
    return count;
}

void fake_postgres_away(bool is_away) {
    away = is_away;
    for (struct postgres *session = sessions; is_away && session != NULL; session = session->next) {
        if (postgres_connected(session)) {
            fake_postgres_lose(session);
        }
    }
}

const char *fake_postgres_name(const struct postgres *session) {
    return session->name;
}

const char *fake_postgres_setup(const struct postgres *session) {
    return session->setup;
}

const char *fake_postgres_sql(const struct postgres *session) {
    return session->state == FAKE_BUSY ? session->job.sql : "";
}

int64_t fake_postgres_timeout(const struct postgres *session) {
    return session->job.timeout_s;
}

int fake_postgres_jobs(const struct postgres *session) {
    return session->jobs;
}

static bool statement_has(const struct sql_statement *statement, const char *word) {
    return memmem(statement->text, statement->length, word, strlen(word)) != NULL;
}

static bool is_copy(const struct sql_statement *statement) {
    return statement->length > 5 && memcmp(statement->text, "COPY ", 5) == 0;
}

const struct postgres_copy *fake_postgres_copy(const struct postgres *session, const char *word) {
    struct sql_script script = {.text = fake_postgres_sql(session), .line = 1};
    struct sql_statement statement;
    size_t copies = 0;
    while (sql_script_next(&script, &statement)) {
        if (is_copy(&statement) && statement_has(&statement, word)) {
            assert_in_range(copies, 0, session->job.copy_count - 1);
            return &session->job.copies[copies];
        }
        copies += is_copy(&statement);
    }
    return NULL;
}

/* Hands over the results of the statements before the one that fails (`failing` NULL = all). */
static void give_results(struct postgres *session, const struct fake_act *act, bool fails) {
    struct sql_script script = {.text = session->job.sql, .line = 1};
    struct sql_script end = script;
    struct sql_statement statement;
    int total = 0, given = 0;
    size_t copies = 0;
    bool answered[FAKE_ANSWERS_MAX] = {false};
    while (sql_script_next(&end, &statement)) {
        total++;
        copies += is_copy(&statement);
    }
    assert_int_equal(copies, session->job.copy_count);
    while (sql_script_next(&script, &statement)) {
        if (fails && (act->at == NULL ? given == total - 1 : statement_has(&statement, act->at))) {
            return;
        }
        const struct fake_answer *answer = NULL;
        for (size_t i = 0; i < FAKE_ANSWERS_MAX && answer == NULL; i++) {
            if (!answered[i] && act->answers[i].of != NULL && statement_has(&statement, act->answers[i].of)) {
                answer = &act->answers[i];
                answered[i] = true;
            }
        }
        fake_at_work++;
        PGresult *result = answer == NULL ? PQmakeEmptyPGresult(NULL, PGRES_COMMAND_OK)
                                          : rows_of(answer->columns, answer->values, answer->count / answer->columns);
        fake_at_work--;
        if (session->job.result != NULL) {
            session->job.result(session->job.user, given, result);
        }
        PQclear(result);
        given++;
    }
    if (fails) {
        fail_msg("no statement has \"%s\" in it:\n%s", act->at, session->job.sql);
    }
}

/* An open transaction stays open only if the job says so, and ends with COMMIT. */
static void note_transaction(struct postgres *session) {
    bool begins = strncmp(session->job.sql, "BEGIN", 5) == 0;
    bool commits = strstr(session->job.sql, "COMMIT") != NULL;
    session->in_transaction = (begins || session->in_transaction) && !commits;
    if (session->in_transaction && !session->job.keep_transaction) {
        fail_msg("%s leaves a transaction open:\n%s", session->name, session->job.sql);
    }
}

void fake_postgres_lose(struct postgres *session) {
    static const struct postgres_error error = {.message = "made to be lost"};
    bool had_job = session->state == FAKE_BUSY;
    session->state = FAKE_AWAY;
    session->in_transaction = false;
    uv_timer_start(&session->timer, dial, FAKE_RECONNECT_MS, 0);
    if (had_job) {
        finish(session, &error);
    }
    if (session->handlers.lost != NULL) {
        session->handlers.lost(session->handlers.user, error.message);
    }
}

void fake_postgres_end(struct postgres *session, const struct fake_act *act) {
    struct postgres_error error = {.sqlstate = ""};
    bool fails = act->sqlstate != NULL;
    assert_int_equal(session->state, FAKE_BUSY);
    give_results(session, act, fails);
    if (fails && act->sqlstate[0] == '\0') {
        fake_postgres_lose(session);
        return;
    }
    if (fails) {
        snprintf(error.sqlstate, sizeof error.sqlstate, "%s", act->sqlstate);
        snprintf(error.message, sizeof error.message, "%s", act->message == NULL ? "made to fail" : act->message);
        snprintf(error.where, sizeof error.where, "%s", act->where == NULL ? "" : act->where);
        session->in_transaction = false;
    } else {
        note_transaction(session);
        if (watcher != NULL) {
            watcher(watcher_user, &session->job);
        }
    }
    session->state = FAKE_IDLE;
    finish(session, fails ? &error : NULL);
    if (session->state == FAKE_IDLE && session->handlers.ready != NULL) {
        session->handlers.ready(session->handlers.user);
    }
}

void fake_postgres_succeed(struct postgres *session) {
    fake_postgres_end(session, &(struct fake_act){0});
}

void fake_postgres_fail(struct postgres *session, const char *sqlstate, const char *message) {
    fake_postgres_end(session, &(struct fake_act){.sqlstate = sqlstate, .message = message});
}

static bool is_busy(void *user) {
    return ((const struct postgres *)user)->state == FAKE_BUSY;
}

void fake_postgres_await(uv_loop_t *loop, struct postgres *session) {
    if (!fake_loop_await(loop, AWAIT_MS, is_busy, session)) {
        fail_msg("connection %s was given nothing to do in %d s", session->name, AWAIT_MS / 1000);
    }
}

void fake_postgres_play(uv_loop_t *loop, struct postgres *session, const struct fake_act *acts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        fake_postgres_await(loop, session);
        const char *sql = session->job.sql;
        if (strstr(sql, acts[i].expects) == NULL || (acts[i].lacks != NULL && strstr(sql, acts[i].lacks) != NULL)) {
            fail_msg("act %zu: there should be \"%s\" and no \"%s\" in:\n%s", i, acts[i].expects,
                     acts[i].lacks == NULL ? "" : acts[i].lacks, sql);
        }
        fake_postgres_end(session, &acts[i]);
    }
}

void fake_postgres_serve(void (*serve_job)(void *user, struct postgres *session), void *user) {
    server = serve_job;
    server_user = user;
}

void fake_postgres_witness(void (*witness)(void *user, const struct postgres_job *job), void *user) {
    watcher = witness;
    watcher_user = user;
}

void fake_postgres_notify(struct postgres *session, const char *channel, const char *payload) {
    if (postgres_connected(session) && session->handlers.notified != NULL) {
        session->handlers.notified(session->handlers.user, channel, payload);
    }
}
