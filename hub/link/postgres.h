/* postgres.h: one asynchronous PostgreSQL connection on the loop. Connects, comes back with backoff when it is lost,
 * and runs one job at a time. Never blocks, never prints a connection string. */
#ifndef CITYHUB_POSTGRES_H
#define CITYHUB_POSTGRES_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "hub/base/buffer.h"
#include "hub/base/config.h"
#include "hub/link/postgres_error.h"

struct postgres;

struct postgres_handlers {
    void (*ready)(void *user);                 /* connected and set up: postgres_idle is true */
    void (*lost)(void *user, const char *why); /* the connection is gone; its job was failed before. NULL = ignore */
    void (*notified)(void *user, const char *channel, const char *payload); /* NULL = ignore */
    void *user;
};

/* Starts connecting with [database] conninfo. `setup_sql` (may be NULL, borrowed for the session's life) runs after
 * each connect, e.g. LISTENs. Returns NULL after logging that memory is out. */
struct postgres *postgres_open(uv_loop_t *loop, const struct config *config, const char *name, const char *setup_sql,
                               const struct postgres_handlers *handlers);

/* Fails the running job, closes and frees; no handler is called after the job's `done`. `closed` (may be NULL) is
 * called from the loop when the handles are closed. */
void postgres_close(struct postgres *session, void (*closed)(void *user), void *user);

/* Connected, set up, and no job is running. */
bool postgres_idle(const struct postgres *session);
bool postgres_connected(const struct postgres *session);

/* One query string (simple protocol, so it may hold several statements and is one transaction if it says BEGIN or
 * nothing of its own), with the data of its COPY ... FROM STDIN in order. Everything pointed to is borrowed until
 * `done`. */
struct postgres_copy {
    const void *data;
    size_t length;
    /* Where it is set, data comes piece by piece: it appends the next one to the buffer, which is empty, when what was
     * there before is handed over. False = there is no more. */
    bool (*more)(void *user, struct buffer *piece);
    void *user;
};
/* A parameter of a statement: text in the connection's encoding (UTF-8) without NUL, or bytes for a bytea. */
struct postgres_value {
    const char *data; /* text ends with NUL; NULL = the parameter is NULL */
    size_t length;
    bool binary;
};
enum { POSTGRES_VALUES_MAX = 5 };
struct postgres_job {
    const char *sql;
    /* Parameters $1, $2, ... of `sql`, which is one statement then; its results come in binary form. Copied at once.
     * value_count is at most POSTGRES_VALUES_MAX; 0 = a query string as above. */
    const struct postgres_value *values;
    size_t value_count;
    /* With values only: it is planned once for the connection, and taken for all that follow with the same text. */
    bool keep_statement;
    const struct postgres_copy *copies;
    size_t copy_count;
    int64_t timeout_s;     /* how long an answer is waited for; 0 = [database] statement_timeout_s and some */
    bool keep_transaction; /* a transaction that is open at a successful end stays, for the next job */
    /* Each successful statement's result, in order from 0; it is cleared afterwards. NULL = not wanted. */
    void (*result)(void *user, int statement, const PGresult *result);
    /* With values only: each row as soon as it is there, in a result of one row, instead of `result`. False = enough:
     * nothing more is read from the server, which waits, until postgres_resume. NULL = not wanted. */
    bool (*row)(void *user, const PGresult *row);
    /* The end: `error` NULL = every statement succeeded. The session is idle again (or lost): a next job may be started
     * from here. Any other transaction left open has been rolled back. */
    void (*done)(void *user, const struct postgres_error *error);
    void *user;
};
/* Returns 0, or CH_EFULL if the session is not idle. `done` may be called from within, if the connection turns
 * out to be lost. */
int postgres_run(struct postgres *session, const struct postgres_job *job);

/* Goes on after `row` had enough; may call `row` and `done` from within. */
void postgres_resume(struct postgres *session);

/* The server process that serves the connection, for pg_cancel_backend from another one; 0 = not connected. */
int postgres_backend(const struct postgres *session);

#endif
