/* pool.h: a few PostgreSQL connections that answer requests: a bounded queue before them, one deadline a job, and a job
 * that nobody waits for any more is cancelled in the server. Reads only, as role cityhub_api, unless a job says so. */
#ifndef CITYHUB_POOL_H
#define CITYHUB_POOL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "hub/base/config.h"
#include "hub/link/postgres.h"

struct pool;

enum pool_end {
    POOL_DONE,
    POOL_REFUSED, /* the server said no: see the error */
    POOL_LOST,    /* the connection is gone; a job that writes may have done so */
    POOL_LATE,    /* the deadline has passed; see `started` */
};

/* One statement with its parameters. Belongs to the caller, and stays until `done` or pool_abandon. */
struct pool_job {
    const char *sql;
    const struct postgres_value *values; /* at least one */
    size_t value_count;
    bool writes;            /* not in a read-only transaction */
    struct in6_addr client; /* for whom: no client has more than its share of the connections */
    uint64_t deadline_ms;   /* of uv_now; UINT64_MAX = none */
    /* Each row as it comes; false = enough until pool_resume. */
    bool (*row)(void *user, const PGresult *row);
    /* The end, never from within pool_submit or pool_resume. `error`: with POOL_REFUSED and POOL_LOST. */
    void (*done)(void *user, enum pool_end end, const struct postgres_error *error);
    void *user;
    /* The pool's own. */
    struct pool_job *next;
    bool started;
};

/* Opens [http] queries connections and one more that cancels. `longest_s`: the server's own limit of a statement, not
 * less than any job's deadline. NULL after logging why. */
struct pool *pool_open(uv_loop_t *loop, const struct config *config, unsigned longest_s);

/* Fails all jobs as POOL_LOST, closes and frees; `closed` (may be NULL) is called from the loop when nothing is left.
 */
void pool_close(struct pool *pool, void (*closed)(void *user), void *user);

/* Whether one of them is there. */
bool pool_connected(const struct pool *pool);

/* Takes a job. 0; CH_EFULL: [http] queue jobs wait already; CH_EDATABASE: no connection is there. */
int pool_submit(struct pool *pool, struct pool_job *job);

/* After `row` had enough: goes on, from the loop. */
void pool_resume(struct pool *pool, struct pool_job *job);

/* Nobody wants it any more: none of its functions is called again, and its statement is cancelled if it runs. */
void pool_abandon(struct pool *pool, struct pool_job *job);

#endif
