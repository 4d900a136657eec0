/* postgres.c: one asynchronous PostgreSQL connection. libpq in non-blocking mode behind one uv_poll; a timer bounds
 * every wait and paces reconnection. Must never block the loop (but for libpq's own name look-up when it connects by
 * host name), nor log a connection string. */
#include "hub/link/postgres.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/link/postgres_parameters.h"
#include "hub/link/prepared.h"

enum postgres_state {
    POSTGRES_WAITING,    /* not connected: the timer will try */
    POSTGRES_CONNECTING, /* PQconnectPoll */
    POSTGRES_SETTING_UP, /* our own set-up job runs */
    POSTGRES_IDLE,
    POSTGRES_BUSY,         /* a job runs */
    POSTGRES_PREPARING,    /* its statement is being prepared first */
    POSTGRES_FORGETTING,   /* what is prepared does not fit any more: the job is run once more afterwards */
    POSTGRES_ROLLING_BACK, /* a failed job left a transaction open */
    POSTGRES_CLOSING,
};

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LAST_MS = 5000,
    CONNECT_GRACE_MS = 500,
    JOB_GRACE_MS = 5000, /* the server's own statement_timeout comes first */
    COPY_CHUNK = 64 * 1024,
    PIECE_KEEP = 64 * 1024,
    SEND_BYTES = 1024 * 1024,
};

/* "cached plan must not change result type": a function has other columns since. Nothing has run by then. */
#define STALE "0A000"

struct postgres {
    uv_loop_t *loop;
    const struct config *config;
    const char *name;
    const char *setup_sql;
    struct postgres_handlers handlers;
    enum postgres_state state;
    PGconn *connection;
    uv_poll_t *poll;     /* NULL = no socket watched */
    int socket, watched; /* watched: for these events of uv_poll, 0 = not now */
    uv_timer_t timer;
    unsigned backoff_ms;
    char setup_text[POSTGRES_SESSION_TEXT + 384];
    struct postgres_job job;
    struct prepared_statement *prepared;
    char statement[PREPARED_NAME]; /* under which the job's statement is prepared; "" = it is not */
    struct buffer held;            /* of a job whose statement is kept: its text and parameters, which are sent later */
    struct postgres_value held_values[POSTGRES_VALUES_MAX];
    size_t copies_begun, copy_sent; /* copy_sent: bytes of the COPY that runs, or of its piece */
    struct buffer piece;            /* of a COPY that is made as it goes */
    bool copying;
    bool paused; /* the job's `row` had enough */
    int statements;
    struct postgres_error error;
    bool failed;
    struct closing closing;
};

static void postgres_progress(struct postgres *session);
static void postgres_connect(struct postgres *session);

static void poll_closed(uv_handle_t *handle) {
    free(handle);
}

static void unwatch(struct postgres *session) {
    if (session->poll != NULL) {
        uv_poll_stop(session->poll);
        uv_close((uv_handle_t *)session->poll, poll_closed);
        session->poll = NULL;
        session->socket = -1;
        session->watched = 0;
    }
}

/* Calls the job's `done`; the session's state is the next one already. */
static void job_finish(struct postgres *session, const struct postgres_error *error) {
    struct postgres_job job = session->job;
    session->job = (struct postgres_job){0};
    if (job.done != NULL) {
        job.done(job.user, error);
    }
}

static void retry_later(uv_timer_t *timer) {
    postgres_connect(timer->data);
}

static bool has_job(const struct postgres *session) {
    return session->state >= POSTGRES_BUSY && session->state < POSTGRES_CLOSING;
}

/* Drops the connection, fails the job, and tries again after the backoff. */
static void postgres_lose(struct postgres *session, const char *why) {
    bool had_job = has_job(session);
    bool was_up = session->state >= POSTGRES_IDLE;
    char reason[sizeof session->error.message];
    snprintf(reason, sizeof reason, "%s", why);
    reason[strcspn(reason, "\n")] = '\0';
    unwatch(session);
    PQfinish(session->connection);
    session->connection = NULL;
    prepared_clear(&session->prepared);
    session->state = POSTGRES_WAITING;
    log_warning("database_lost", "session=%s reason=%s retry_ms=%u", session->name, log_quote(reason),
                session->backoff_ms);
    uv_timer_start(&session->timer, retry_later, session->backoff_ms, 0);
    session->backoff_ms = session->backoff_ms * 2 > BACKOFF_LAST_MS ? BACKOFF_LAST_MS : session->backoff_ms * 2;
    if (had_job) {
        struct postgres_error error = {.sqlstate = ""};
        memcpy(error.message, reason, sizeof error.message);
        job_finish(session, &error);
    }
    if (was_up && session->handlers.lost != NULL) {
        session->handlers.lost(session->handlers.user, reason);
    }
}

static void timed_out(uv_timer_t *timer) {
    struct postgres *session = timer->data;
    postgres_lose(session, session->state == POSTGRES_CONNECTING ? "no connection in time" : "no answer in time");
}

static void expect_answer(struct postgres *session) {
    int64_t timeout_s = has_job(session) && session->job.timeout_s > 0 ? session->job.timeout_s
                                                                       : session->config->database_statement_timeout_s;
    uint64_t patience = (uint64_t)timeout_s * 1000 + JOB_GRACE_MS;
    uv_timer_start(&session->timer, timed_out, patience, 0);
}

static void socket_ready(uv_poll_t *poll, int status, int events) {
    struct postgres *session = poll->data;
    (void)events;
    if (status < 0) {
        postgres_lose(session, uv_strerror(status));
        return;
    }
    postgres_progress(session);
}

static bool watch(struct postgres *session, int events) {
    int socket = PQsocket(session->connection);
    if (session->poll == NULL || socket != session->socket) {
        unwatch(session);
        session->poll = calloc(1, sizeof *session->poll);
        if (session->poll == NULL || uv_poll_init(session->loop, session->poll, socket) != 0) {
            free(session->poll);
            session->poll = NULL;
            return false;
        }
        session->poll->data = session;
        session->socket = socket;
    }
    if (events == session->watched) {
        return true; /* starting again would cost a system call */
    }
    session->watched = events;
    return uv_poll_start(session->poll, events, socket_ready) == 0;
}

static void notice_received(void *user, const PGresult *result) {
    const struct postgres *session = user;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (severity != NULL && strcmp(severity, "WARNING") == 0) {
        log_warning("database_notice", "session=%s message=%s", session->name, log_quote(message));
    }
}

static void postgres_connect(struct postgres *session) {
    struct postgres_parameters parameters;
    postgres_parameters_set(&parameters, session->config->database_conninfo,
                            session->config->database_connect_timeout_s, "cityhub %s %s", session->config->hub_instance,
                            session->name);
    session->connection = PQconnectStartParams(parameters.keywords, parameters.values, 1);
    session->state = POSTGRES_CONNECTING;
    if (session->connection == NULL || PQstatus(session->connection) == CONNECTION_BAD) {
        postgres_lose(session, session->connection == NULL ? "out of memory" : PQerrorMessage(session->connection));
        return;
    }
    PQsetNoticeReceiver(session->connection, notice_received, session);
    uint64_t patience = (uint64_t)session->config->database_connect_timeout_s * 1000 + CONNECT_GRACE_MS;
    uv_timer_start(&session->timer, timed_out, patience, 0);
    if (!watch(session, UV_WRITABLE)) {
        postgres_lose(session, "cannot watch the connection's socket");
    }
}

/* With values by the extended protocol: they are never part of the statement's text. */
static bool send_values(struct postgres *session, const struct postgres_job *job) {
    const char *values[POSTGRES_VALUES_MAX];
    int lengths[POSTGRES_VALUES_MAX], formats[POSTGRES_VALUES_MAX];
    for (size_t i = 0; i < job->value_count; i++) {
        values[i] = job->values[i].data;
        lengths[i] = (int)job->values[i].length;
        formats[i] = job->values[i].binary ? 1 : 0;
    }
    int count = (int)job->value_count;
    int sent = session->statement[0] != '\0'
                   ? PQsendQueryPrepared(session->connection, session->statement, count, values, lengths, formats, 1)
                   : PQsendQueryParams(session->connection, job->sql, count, NULL, values, lengths, formats, 1);
    return sent == 1 && (job->row == NULL || PQsetSingleRowMode(session->connection) == 1);
}

static bool run_send(struct postgres *session, const char *sql) {
    if (session->state == POSTGRES_PREPARING) {
        return PQsendPrepare(session->connection, session->statement, sql, 0, NULL) == 1;
    }
    if (session->state == POSTGRES_BUSY && session->job.value_count > 0) {
        return send_values(session, &session->job);
    }
    return PQsendQuery(session->connection, sql) == 1;
}

static void run_start(struct postgres *session, const char *sql, enum postgres_state state) {
    session->state = state;
    session->copies_begun = session->copy_sent = 0;
    session->copying = session->paused = false;
    session->statements = 0;
    /* The failed job's error outlives its ROLLBACK, whose answer may come before this function returns. */
    session->failed = session->failed && state == POSTGRES_ROLLING_BACK;
    expect_answer(session);
    if (!run_send(session, sql)) {
        postgres_lose(session, PQerrorMessage(session->connection));
        return;
    }
    postgres_progress(session);
}

/* So much of a COPY lies ready for a server on this machine that it need not wait until the loop comes round again; the
 * kernel gives as much of it as it may (net.core.wmem_max). Of TCP it knows better itself. */
static void make_room(const struct postgres *session) {
    int domain = AF_UNSPEC, bytes = SEND_BYTES;
    socklen_t length = sizeof domain;
    if (getsockopt(PQsocket(session->connection), SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX) {
        setsockopt(PQsocket(session->connection), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
}

static void postgres_set_up(struct postgres *session) {
    make_room(session);
    if (PQsetnonblocking(session->connection, 1) != 0) {
        postgres_lose(session, PQerrorMessage(session->connection));
        return;
    }
    char begin[POSTGRES_SESSION_TEXT];
    snprintf(session->setup_text, sizeof session->setup_text,
             "%s; SET lock_timeout = '%lldms'; SET idle_in_transaction_session_timeout = '%llds'; %s",
             postgres_session_text(begin, session->config->database_statement_timeout_s),
             /* Shorter: who waits for a lock is told so (55P03), and not that the statement was too long. */
             (long long)session->config->database_statement_timeout_s * 500,
             (long long)session->config->database_statement_timeout_s * 2,
             session->setup_sql == NULL ? "" : session->setup_sql);
    run_start(session, session->setup_text, POSTGRES_SETTING_UP);
}

static void connect_progress(struct postgres *session) {
    switch (PQconnectPoll(session->connection)) {
    case PGRES_POLLING_READING:
        if (!watch(session, UV_READABLE)) {
            postgres_lose(session, "cannot watch the connection's socket");
        }
        break;
    case PGRES_POLLING_WRITING:
        if (!watch(session, UV_WRITABLE)) {
            postgres_lose(session, "cannot watch the connection's socket");
        }
        break;
    case PGRES_POLLING_OK:
        postgres_set_up(session);
        break;
    default:
        postgres_lose(session, PQerrorMessage(session->connection));
        break;
    }
}

static void note_error(struct postgres *session, const PGresult *result) {
    if (session->failed) {
        return;
    }
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
    const char *outermost = context == NULL ? NULL : strrchr(context, '\n');
    session->failed = true;
    snprintf(session->error.detail, sizeof session->error.detail, "%s", detail == NULL ? "" : detail);
    snprintf(session->error.hint, sizeof session->error.hint, "%s", hint == NULL ? "" : hint);
    snprintf(session->error.where, sizeof session->error.where, "%s",
             outermost != NULL ? outermost + 1
             : context != NULL ? context
                               : "");
    snprintf(session->error.sqlstate, sizeof session->error.sqlstate, "%s", state == NULL ? "" : state);
    snprintf(session->error.message, sizeof session->error.message, "%s",
             message != NULL ? message : PQerrorMessage(session->connection));
}

/* The server will say that the COPY was canceled (57014), as it says of a statement that takes too long: it is not. */
static void note_memory_out(struct postgres *session) {
    if (!session->failed) {
        session->failed = true;
        session->error = (struct postgres_error){.sqlstate = "53200", .message = "out of memory"};
    }
}

/* What is to be handed over now; false = the COPY has come to its end. */
static bool copy_piece(struct postgres *session, const char **data, size_t *length) {
    const struct postgres_copy *copy = &session->job.copies[session->copies_begun - 1];
    if (copy->more == NULL) {
        *data = copy->data;
        *length = copy->length;
        return session->copy_sent < copy->length;
    }
    if (session->copy_sent == session->piece.length) {
        session->piece.length = session->copy_sent = 0;
        if (!copy->more(copy->user, &session->piece) || session->piece.failed) {
            return false;
        }
    }
    *data = session->piece.data;
    *length = session->piece.length;
    return true;
}

/* Hands over more of the COPY that runs. Returns false when the connection is lost. */
static bool copy_progress(struct postgres *session) {
    const char *data;
    size_t length;
    while (copy_piece(session, &data, &length)) {
        size_t rest = length - session->copy_sent;
        int chunk = (int)(rest < COPY_CHUNK ? rest : COPY_CHUNK);
        int put = PQputCopyData(session->connection, data + session->copy_sent, chunk);
        if (put < 0) {
            postgres_lose(session, PQerrorMessage(session->connection));
            return false;
        }
        int flushed = PQflush(session->connection);
        if (flushed < 0) {
            postgres_lose(session, PQerrorMessage(session->connection));
            return false;
        }
        session->copy_sent += put == 1 ? (size_t)chunk : 0;
        if (put == 0 || flushed == 1) {
            return true; /* the socket is full */
        }
    }
    if (session->piece.failed) {
        note_memory_out(session);
    }
    int ended = PQputCopyEnd(session->connection, session->piece.failed ? session->error.message : NULL);
    if (ended < 0) {
        postgres_lose(session, PQerrorMessage(session->connection));
        return false;
    }
    session->copying = ended == 0;
    return true;
}

/* A COPY that the job brought no data for must not leave the connection stuck. */
static void copy_begin(struct postgres *session) {
    if (session->state == POSTGRES_BUSY && session->copies_begun < session->job.copy_count) {
        session->copies_begun++;
        session->copy_sent = 0;
        buffer_reset(&session->piece, PIECE_KEEP);
        session->copying = true;
    } else {
        PQputCopyEnd(session->connection, "no data was given for this COPY");
    }
}

static void handle_notifications(struct postgres *session) {
    for (PGnotify *notification; (notification = PQnotifies(session->connection)) != NULL;) {
        if (session->handlers.notified != NULL) {
            session->handlers.notified(session->handlers.user, notification->relname, notification->extra);
        }
        PQfreemem(notification);
        if (session->connection == NULL) {
            return;
        }
    }
}

/* The query string has come to its end. */
static void run_end(struct postgres *session) {
    uv_timer_stop(&session->timer);
    switch (session->state) {
    case POSTGRES_SETTING_UP:
        if (session->failed) {
            postgres_lose(session, session->error.message);
            return;
        }
        session->backoff_ms = BACKOFF_FIRST_MS;
        session->state = POSTGRES_IDLE;
        if (session->handlers.ready != NULL) {
            session->handlers.ready(session->handlers.user);
        }
        return;
    case POSTGRES_PREPARING:
        if (session->failed) {
            break;
        }
        if (!prepared_add(&session->prepared, session->job.sql, session->statement)) {
            postgres_lose(session, "out of memory");
            return;
        }
        run_start(session, session->job.sql, POSTGRES_BUSY);
        return;
    case POSTGRES_FORGETTING:
        if (session->failed) {
            postgres_lose(session, session->error.message);
            return;
        }
        prepared_clear(&session->prepared);
        session->statement[0] = '\0';
        run_start(session, session->job.sql, POSTGRES_BUSY);
        return;
    case POSTGRES_BUSY:
        if (session->failed && session->statement[0] != '\0' && strcmp(session->error.sqlstate, STALE) == 0 &&
            PQtransactionStatus(session->connection) == PQTRANS_IDLE) {
            run_start(session, "DEALLOCATE ALL", POSTGRES_FORGETTING);
            return;
        }
        if (PQtransactionStatus(session->connection) != PQTRANS_IDLE &&
            !(session->job.keep_transaction && !session->failed)) {
            run_start(session, "ROLLBACK", POSTGRES_ROLLING_BACK);
            return;
        }
        break;
    default:
        break;
    }
    struct postgres_error error = session->error;
    bool failed = session->failed;
    session->failed = false;
    session->state = POSTGRES_IDLE;
    job_finish(session, failed ? &error : NULL);
    if (session->state == POSTGRES_IDLE && session->handlers.ready != NULL) {
        session->handlers.ready(session->handlers.user);
    }
}

/* Takes results as long as libpq has whole ones. Returns false if the state changed under it. */
static void run_progress(struct postgres *session) {
    for (;;) {
        if (session->copying) {
            if (!copy_progress(session) || session->copying) {
                break;
            }
        }
        if (session->paused) {
            uv_poll_stop(session->poll);
            session->watched = 0;
            return;
        }
        if (PQisBusy(session->connection) == 1) {
            break;
        }
        PGresult *result = PQgetResult(session->connection);
        if (result == NULL) {
            run_end(session);
            return;
        }
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COPY_IN) {
            copy_begin(session);
        } else if (status == PGRES_SINGLE_TUPLE) {
            session->paused = !session->job.row(session->job.user, result);
        } else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY) {
            if (session->state == POSTGRES_BUSY && session->job.result != NULL) {
                session->job.result(session->job.user, session->statements, result);
            }
            session->statements++;
            expect_answer(session); /* each statement has its own time, as it has with the server */
        } else {
            note_error(session, result);
        }
        PQclear(result);
        if (PQstatus(session->connection) == CONNECTION_BAD) {
            postgres_lose(session, session->failed ? session->error.message : PQerrorMessage(session->connection));
            return;
        }
    }
    if (session->connection == NULL) {
        return;
    }
    int flushed = PQflush(session->connection);
    if (flushed < 0) {
        postgres_lose(session, PQerrorMessage(session->connection));
    } else if (!watch(session, flushed == 1 || session->copying ? UV_READABLE | UV_WRITABLE : UV_READABLE)) {
        postgres_lose(session, "cannot watch the connection's socket");
    }
}

/* Works on what libpq has read. */
static void input_progress(struct postgres *session) {
    if (session->state != POSTGRES_IDLE) {
        run_progress(session);
    }
    if (session->connection != NULL && session->state != POSTGRES_CONNECTING) {
        handle_notifications(session);
    }
    /* An idle server that ends the connection shows as a readable socket with nothing in it. */
    if (session->connection != NULL && session->state == POSTGRES_IDLE) {
        if (PQstatus(session->connection) == CONNECTION_BAD) {
            postgres_lose(session, PQerrorMessage(session->connection));
        } else if (!watch(session, UV_READABLE)) {
            postgres_lose(session, "cannot watch the connection's socket");
        }
    }
}

static void postgres_progress(struct postgres *session) {
    if (session->state == POSTGRES_CONNECTING) {
        connect_progress(session);
        return;
    }
    if (session->connection == NULL) {
        return;
    }
    if (PQconsumeInput(session->connection) != 1) {
        postgres_lose(session, PQerrorMessage(session->connection));
        return;
    }
    input_progress(session);
}

struct postgres *postgres_open(uv_loop_t *loop, const struct config *config, const char *name, const char *setup_sql,
                               const struct postgres_handlers *handlers) {
    struct postgres *session = calloc(1, sizeof *session);
    if (session == NULL) {
        log_error("out_of_memory", "what=session name=%s", name);
        return NULL;
    }
    session->loop = loop;
    session->config = config;
    session->name = name;
    session->setup_sql = setup_sql;
    session->handlers = *handlers;
    session->backoff_ms = BACKOFF_FIRST_MS;
    session->socket = -1;
    uv_timer_init(loop, &session->timer);
    session->timer.data = session;
    /* From the loop, so that no handler runs before this returns. */
    uv_timer_start(&session->timer, retry_later, 0, 0);
    return session;
}

static void session_free(void *part) {
    struct postgres *session = part;
    prepared_clear(&session->prepared);
    buffer_free(&session->held);
    buffer_free(&session->piece);
    free(session);
}

void postgres_close(struct postgres *session, void (*closed)(void *user), void *user) {
    bool had_job = has_job(session);
    session->state = POSTGRES_CLOSING;
    session->handlers = (struct postgres_handlers){0};
    unwatch(session);
    PQfinish(session->connection);
    session->connection = NULL;
    closing_begin(&session->closing, session_free, session, closed, user);
    closing_handle(&session->closing, (uv_handle_t *)&session->timer);
    if (had_job) {
        struct postgres_error error = {.sqlstate = "", .message = "the hub is stopping"};
        job_finish(session, &error);
    }
}

bool postgres_idle(const struct postgres *session) {
    return session->state == POSTGRES_IDLE;
}

bool postgres_connected(const struct postgres *session) {
    return session->state >= POSTGRES_IDLE && session->state < POSTGRES_CLOSING;
}

int postgres_run(struct postgres *session, const struct postgres_job *job) {
    if (session->state != POSTGRES_IDLE) {
        return CH_EFULL;
    }
    session->job = *job;
    session->statement[0] = '\0';
    enum postgres_state state = POSTGRES_BUSY;
    if (job->keep_statement && prepared_hold(&session->held, session->held_values, &session->job) &&
        !prepared_find(session->prepared, job->sql, session->statement) &&
        prepared_name(session->prepared, session->statement)) {
        state = POSTGRES_PREPARING;
    }
    run_start(session, session->job.sql, state);
    return 0;
}

void postgres_resume(struct postgres *session) {
    if (session->state == POSTGRES_BUSY && session->paused) {
        session->paused = false;
        input_progress(session); /* without reading more: libpq may hold many rows already */
    }
}

int postgres_backend(const struct postgres *session) {
    return session->connection == NULL ? 0 : PQbackendPID(session->connection);
}
