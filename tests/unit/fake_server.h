/* fake_server.h: a PostgreSQL server on a socket of its own, whose every answer the test gives, message by message of
 * the protocol (its documentation, "Frontend/Backend Protocol", version 3.0). For tests of what talks to it through
 * libpq. */
#ifndef CITYHUB_TEST_FAKE_SERVER_H
#define CITYHUB_TEST_FAKE_SERVER_H

#include "fake_loop.h"
#include "hub/base/buffer.h"

struct fake_server {
    uv_loop_t *loop;
    char folder[32], path[64], conninfo[256];
    uv_pipe_t listener;
    uv_pipe_t *connection; /* the last one, NULL = none */
    int connections;       /* accepted so far */
    bool mute;             /* a connection that comes is not answered */
    bool refuses;          /* or it is ended at once */
    bool sets_up;          /* the first query of a connection is answered with success */
    bool fresh;            /* its first query has not come */
    struct buffer got;     /* bytes that are no whole message yet */
    char startup[512];     /* parameters of the last connection: name=value with spaces between */
    struct buffer sql;     /* the last query, "" = none since the last answer that ended one */
    int queries;           /* that came, but for those that set up */
    struct buffer setup;   /* the last query that set up */
    char bound[256];       /* the last statement's parameters, each with a space after it; "-" = NULL */
    char statement[32];    /* and the name under which it was prepared */
    int bindings;          /* statements with parameters that were to run so far */
    struct buffer copied;  /* data of the COPY that runs */
    char copy_end;         /* 'c' done, 'f' failed, 0 = not ended */
    char copy_error[128];
};

void fake_server_begin(struct fake_server *server, uv_loop_t *loop);
void fake_server_end(struct fake_server *server);
/* Nobody can connect, or can again. */
void fake_server_away(struct fake_server *server, bool away);
/* Takes no more bytes from the connection, or does again. */
void fake_server_pause(struct fake_server *server, bool pause);

/* Turns until a query with `word` in it has come. */
void fake_server_await(struct fake_server *server, const char *word);
/* Turns until the data of a COPY has ended. */
void fake_server_await_copy(struct fake_server *server);

/* Turns until so many statements with parameters were to run. */
void fake_server_await_binding(struct fake_server *server, int bindings);

/* For a statement with parameters: that it was understood, before anything else; both, or that it was prepared, and
 * that its parameters were taken. */
void fake_server_understood(struct fake_server *server);
void fake_server_prepared(struct fake_server *server);
void fake_server_bound(struct fake_server *server);
/* What the rows look like, one row, and both with all rows and the statement's end. */
void fake_server_describe(struct fake_server *server, int columns);
void fake_server_row(struct fake_server *server, int columns, const char *const *values);
void fake_server_rows(struct fake_server *server, int columns, const char *const *values, int count);
void fake_server_complete(struct fake_server *server, const char *tag);
void fake_server_error(struct fake_server *server, const char *severity, const char *sqlstate, const char *message);
void fake_server_notice(struct fake_server *server, const char *severity, const char *message);
void fake_server_copy_in(struct fake_server *server);
void fake_server_notify(struct fake_server *server, const char *channel, const char *payload);
/* 'I' idle, 'T' in a transaction, 'E' in one that failed. Ends the query. */
void fake_server_ready(struct fake_server *server, char status);
void fake_server_hang_up(struct fake_server *server);

#endif
