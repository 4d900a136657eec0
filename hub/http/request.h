/* request.h: one request from its head to its answer's last byte. Rows' functions (memory, stream, sink) get it and
 * read it by the calls below; server.c drives it. Belongs to the loop's thread. */
#ifndef CITYHUB_REQUEST_H
#define CITYHUB_REQUEST_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "hub/base/buffer.h"
#include "hub/base/config.h"
#include "hub/http/answer.h"
#include "hub/http/pool.h"
#include "hub/http/problem.h"
#include "hub/http/route.h"
#include "hub/http/server.h"

/* What all requests share. */
struct login_desk;
struct streams;
struct identity_memo;
struct flight;
struct page;
struct attachments;
struct basemaps;
struct service {
    uv_loop_t *loop;
    const struct config *config;
    const struct server_source *source;
    struct router *router;
    char *openapi;     /* the router's rows as a document, made when it is asked for first */
    struct pool *pool; /* NULL = no database: what asks it is answered 503 */
    struct login_desk *logins;
    struct streams *streams; /* NULL = no database */
    struct identity_memo *memo;
    struct flight *flights;          /* tiles that the database makes: tile_query.c */
    struct page *page;               /* NULL = none is installed */
    struct attachments *attachments; /* NULL = there is no folder for them */
    struct basemaps *basemaps;       /* NULL = there are none */
    int port;                        /* on which it listens */
    /* Resumes the request's connection, soon. */
    void (*wake)(struct service *service, struct request *request);
};

enum request_phase {
    REQUEST_HEAD,     /* its first line is there */
    REQUEST_IDENTITY, /* its head is, and who asks is being found out */
    REQUEST_BODY,     /* its head is, and was found in order, or refused with a body that is dropped */
    REQUEST_WAITING,  /* its answer is being made */
    REQUEST_ANSWERED, /* handed over for sending */
};

struct query;
struct identity;

struct request {
    struct service *service;
    struct MHD_Connection *connection;
    enum request_phase phase;
    char *path; /* as it was sent, without the query */
    struct target target;
    int target_code;
    enum target_flaw target_flaw;
    const struct route *route; /* NULL = none was found */
    unsigned method;           /* of enum route_method; 0 = other */
    bool head_only;            /* HEAD */
    enum language language;
    bool takes_gzip;
    const char *if_none_match;
    struct parameter_value values[ROUTE_PARAMETERS_MAX]; /* in the order of the row */
    struct buffer json;                                  /* the same as one JSON object */
    struct buffer body;
    uint64_t body_length;
    bool body_whole, body_dropped;
    void *sink;
    bool sink_open;
    struct answer answer;
    bool answer_ready;
    struct query *query;
    struct identity *identity; /* who asks; NULL = it need not be known */
    struct delivery *delivery; /* while the answer streams */
    uint64_t begun_ms;         /* of uv_now: when its head was there */
    uint64_t begun_ns;         /* the same of uv_hrtime */
    uint64_t deadline_ms;      /* UINT64_MAX = none */
    uint64_t taken_ms;         /* when the client had all of its answer, or took something of it */
    uint64_t acknowledged;     /* bytes of the connection that its client has, when last looked at */
    bool suspended;            /* its connection is */
    bool waking;               /* and will be resumed */
    struct request *next_waking;
    struct in6_addr client; /* whose it is: see client_whole */
    bool crowded;           /* its client has too many connections: refused */
    const char *cut;        /* why its connection is being closed; NULL = it is not */
    unsigned status;        /* of the answer; 0 = none was sent */
};

/* ---- for server.c ---- */

/* A request whose target is `target`; NULL = memory is out. */
struct request *request_new(struct service *service, struct MHD_Connection *connection, const char *target);
/* Its head is there. False = close the connection. */
bool request_head(struct request *request, const char *method);
/* Who asks is known, or refused. False = close the connection. */
bool request_identified(struct request *request);
/* A piece of its body; takes what it can and says in `length` what is left. False = close the connection. */
bool request_body(struct request *request, const char *bytes, size_t *length);
/* The body is there, or the connection was resumed: answers, or suspends. False = close the connection. */
bool request_go(struct request *request);
/* For how many ms, between looks, its client has acknowledged nothing of what waits for it; 0 = it has, or has all. */
uint64_t request_untaken_ms(struct request *request, uint64_t now);
/* Whether it has a streaming answer whose client acknowledged nothing of it for [http] stall_s. */
bool request_stalled(struct request *request, uint64_t now);
/* Its connection must be closed: lets go of what works for it, and wakes it. `why`: see answer_source.closed. */
void request_cut(struct request *request, const char *why);
/* libmicrohttpd is done with it. `whole`: the answer went out. */
void request_free(struct request *request, bool whole);

/* ---- for what answers ---- */

/* The socket of a connection, a request's or not. */
int request_socket(struct MHD_Connection *connection);

/* The value of a parameter of its row; it must have that. */
const struct parameter_value *request_value(const struct request *request, const char *name);

/* A header's value; NULL = it has none. The request's own, for as long as it lasts. */
const char *request_header(const struct request *request, const char *name);

/* True if the client has the answer with this entity tag: `answer` says 304 then, and needs no body. Sets the tag. */
bool request_unchanged(struct request *request, struct answer *answer, const char *etag);

/* Whether the body may be gzip (answer->encoded). */
bool request_takes_gzip(const struct request *request);

/* Refuses it: fills `request->answer` with the problem. */
void request_refuse(struct request *request, enum problem_kind kind, const char *zh, const char *en, ...)
    __attribute__((format(printf, 3, 5), format(printf, 4, 5)));
void request_refuse_with(struct request *request, const struct problem *problem);

/* Its answer is complete in `request->answer`, or its source has bytes again. From the loop, at any time before its
 * end. */
void request_wake(struct request *request);

#endif
