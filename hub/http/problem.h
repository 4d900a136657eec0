/* problem.h: refusals as application/problem+json (RFC 9457): a code that stays (CHnnn), the status, what was wrong in
 * Chinese or English, and a hint what to do. */
#ifndef CITYHUB_PROBLEM_H
#define CITYHUB_PROBLEM_H

#include "hub/http/negotiate.h"

/* Each has its row in problem.c; docs/http.md lists the codes. */
enum problem_kind {
    PROBLEM_PATH,      /* 404 CH040 */
    PROBLEM_METHOD,    /* 405 CH041 */
    PROBLEM_PARAMETER, /* 400 CH042 */
    PROBLEM_TARGET,    /* 400 CH043 */
    PROBLEM_BODY,      /* 400 CH044 */
    PROBLEM_LARGE,     /* 413 CH045 */
    PROBLEM_MEDIA,     /* 415 CH046 */
    PROBLEM_ACCEPT,    /* 406 CH047 */
    PROBLEM_NOTHING,   /* 404 CH049: the path is right, and nothing is there */
    PROBLEM_BUSY,      /* 503 CH050 */
    PROBLEM_AWAY,      /* 503 CH051 */
    PROBLEM_LATE,      /* 504 CH052 */
    PROBLEM_INTERNAL,  /* 500 CH053 */
    PROBLEM_IDENTITY,  /* 401 CH060: nobody is logged in */
    PROBLEM_LOGIN,     /* 401 CH061: login or password is wrong */
    PROBLEM_ORIGIN,    /* 403 CH062: sent by another site's page */
    PROBLEM_SLOWER,    /* 429 CH063 */
    PROBLEM_RIGHT,     /* 403 CH064: logged in, and not allowed */
    PROBLEM_CROWDED,   /* 429 CH054: one address, too many connections */
    PROBLEM_UNSURE,    /* 503 CH055: a gateway cannot say that it is stored */
    PROBLEM_REUSED,    /* 422 CH056: an Idempotency-Key for another content */
    PROBLEM_PAST,      /* 400 CH078: the route has no past */
    PROBLEM_RULE,      /* a rule of SQL said no: its own code, see problem_of_rule */
};

enum { PROBLEM_DETAIL_MAX = 700, PROBLEM_CODE_MAX = 6, PROBLEM_NAME_MAX = 40 };

struct problem {
    enum problem_kind kind;
    unsigned status;
    char code[PROBLEM_CODE_MAX];
    enum language language;
    char detail[PROBLEM_DETAIL_MAX];
    char hint[PROBLEM_DETAIL_MAX]; /* "" = the kind's */
    char parameter[PROBLEM_NAME_MAX];
};

/* Fills a problem of this kind; `zh` and `en` are the detail in both languages with the same arguments. */
void problem_set(struct problem *problem, enum problem_kind kind, enum language language, const char *zh,
                 const char *en, ...) __attribute__((format(printf, 4, 6), format(printf, 5, 6)));

/* The HTTP status of a code that an SQL rule raised (SQLSTATE CHnnn). */
unsigned problem_status(const char *code);

/* The document, from malloc; `instance` is the path that was asked (NULL = unknown). NULL = out of memory. */
char *problem_json(const struct problem *problem, const char *instance);

#endif
