/* fake_postgres.h: hub/link/postgres.h without a server. A program that includes this has the real one replaced. A test
 * sees each job that a connection was given, and says what becomes of it: by hand, by a list of acts, or by a function
 * that is asked for every job. What the real one guarantees, this one does: results in the order of statements, `done`,
 * then `ready`; a loss fails the job first; everything of a job is borrowed until `done`. */
#ifndef CITYHUB_TEST_FAKE_POSTGRES_H
#define CITYHUB_TEST_FAKE_POSTGRES_H

#include "fake_loop.h"
#include "hub/link/postgres.h"

enum { FAKE_ANSWERS_MAX = 4, FAKE_RECONNECT_MS = 100 };

/* The connection of that name. */
struct postgres *fake_postgres(const char *name);
/* While it is away nobody connects; those that are connected are lost. */
void fake_postgres_away(bool away);

/* The text of the job that runs, "" = none runs. */
const char *fake_postgres_sql(const struct postgres *session);
/* The running job's data for the COPY statement that has `word` in it. */
const struct postgres_copy *fake_postgres_copy(const struct postgres *session, const char *word);
int fake_postgres_jobs(const struct postgres *session);        /* started so far */
int64_t fake_postgres_timeout(const struct postgres *session); /* the running job's, s */
const char *fake_postgres_setup(const struct postgres *session);

/* Rows for the statement that has the word `of` in it, made by a test that keeps them. */
struct fake_answer {
    const char *of;
    int columns;
    const char *const *values; /* row by row, NULL = SQL's null */
    int count;                 /* of values */
};
#define ANSWER(word, columns_, ...)                                                                                    \
    {                                                                                                                  \
        .of = (word), .columns = (columns_), .values = (const char *const[]){__VA_ARGS__},                             \
        .count = (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))                                    \
    }

/* What becomes of a job. */
struct fake_act {
    const char *expects;  /* the job's text has this in it */
    const char *lacks;    /* and not this; NULL = whatever */
    const char *sqlstate; /* NULL = it succeeds; "" = the connection is lost */
    const char *message;  /* NULL = "made to fail" */
    const char *where;    /* the error's place, NULL = none */
    const char *at;       /* the statement that fails has this word in it; NULL = the last */
    struct fake_answer answers[FAKE_ANSWERS_MAX];
};

/* The running job comes to this end. */
void fake_postgres_end(struct postgres *session, const struct fake_act *act);
void fake_postgres_succeed(struct postgres *session);
void fake_postgres_fail(struct postgres *session, const char *sqlstate, const char *message);
/* The connection is lost, whether a job runs or not. */
void fake_postgres_lose(struct postgres *session);

/* Waits, as time goes by, until a job runs on the connection, or fails the test. */
void fake_postgres_await(uv_loop_t *loop, struct postgres *session);
/* Job by job. */
void fake_postgres_play(uv_loop_t *loop, struct postgres *session, const struct fake_act *acts, size_t count);
#define PLAY(loop, session, ...)                                                                                       \
    fake_postgres_play((loop), (session), (const struct fake_act[]){__VA_ARGS__},                                      \
                       sizeof((const struct fake_act[]){__VA_ARGS__}) / sizeof(struct fake_act))

/* Asked from the loop for every job of every connection; NULL = none is. */
void fake_postgres_serve(void (*serve)(void *user, struct postgres *session), void *user);
const char *fake_postgres_name(const struct postgres *session);

/* Text and data of all jobs that succeeded, one after the other, are handed to it; NULL = nothing is. */
void fake_postgres_witness(void (*witness)(void *user, const struct postgres_job *job), void *user);

/* Notifies whoever listens on the connection. */
void fake_postgres_notify(struct postgres *session, const char *channel, const char *payload);

/* How many connections are open. */
int fake_postgres_count(void);

#endif
