/* route.h: what a route is: one row. And the router, which checks the rows once and then finds the row of a request.
 * The product's rows are in routes_*.c; a test brings its own. */
#ifndef CITYHUB_ROUTE_H
#define CITYHUB_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "hub/http/answer.h"
#include "hub/http/parameter.h"
#include "hub/http/target.h"

struct request;

/* HEAD goes with GET, and OPTIONS with everything; both are answered without a row. */
enum route_method {
    METHOD_GET = 1,
    METHOD_POST = 2,
    METHOD_PUT = 4,
    METHOD_PATCH = 8,
    METHOD_DELETE = 16,
};
enum { METHODS_WITH_BODY = METHOD_POST | METHOD_PUT | METHOD_PATCH };

/* What who asks must have: a right of onemap.access_right, which names them as route_right_name does. */
enum route_right {
    RIGHT_ANYONE,   /* nothing: nobody is asked for */
    RIGHT_IDENTITY, /* a login or token, whatever its rights */
    RIGHT_READ,
    RIGHT_ALARM,
    RIGHT_OPERATE,
    RIGHT_SCORE,
    RIGHT_EXCHANGE, /* of a token by which a county below reports */
    RIGHT_COMMAND,  /* to tell terminals something */
};

enum route_etag {
    ETAG_NONE,
    ETAG_BYTES, /* a hash of the answer: saves the sending, not the making */
    ETAG_GIVEN, /* the function's column etag, or what the memory answer says: without asking for the body */
};

/* Takes a body piece by piece, e.g. into a file. */
struct route_sink {
    /* The head is there and in order. 0 with `*sink` (may be NULL), or CH_E* after request_refuse. */
    int (*open)(struct request *request, void **sink);
    /* How many bytes were taken; fewer: the client waits until request_wake. CH_E* after request_refuse. */
    ptrdiff_t (*write)(struct request *request, void *sink, const char *bytes, size_t length);
    /* Once, when the request has ended. `whole`: all of the body had come. */
    void (*close)(void *sink, bool whole);
    /* NULL, or of a row with a function: all of the body has come; it makes JSON for the function of it, in
     * request->body, and then calls query_start; until then answer->later. Or it refuses the request. */
    void (*finish)(struct request *request, void *sink);
    /* With `finish`: the function did not refuse. Sets answer_ready and calls request_wake when the answer may go out.
     */
    void (*keep)(struct request *request, void *sink);
};

struct route {
    enum route_method method; /* one; a path with two has two rows */
    const char *pattern;      /* /api/v1/devices/{id}/track; a segment may have text around its {name} */
    const char *summary;      /* one line */
    enum route_right right;
    bool loopback;     /* or without an identity from this machine: by localhost or its address, through no proxy */
    bool ends_session; /* the client's cookie is to be forgotten */
    bool remembers;    /* who asked a moment ago need not be asked for again: see identity_memo.h */
    const struct parameter *parameters; /* the path's and the query's, ended by PARAMETER_NONE; NULL = none */
    bool any_query;                     /* parameters that are not known are passed over instead of refused */
    struct {
        const char *types;             /* media types with a blank between them; NULL = no body is wanted */
        size_t limit;                  /* bytes */
        bool optional;                 /* may be left out */
        bool gzip;                     /* may come with Content-Encoding: gzip; the sink unpacks it */
        const struct route_sink *sink; /* NULL = collected in memory */
    } body;
    /* The answer comes from one of these three. */
    const char *function; /* of SQL, see query.h */
    bool links;           /* function: its request has "base", where who asks finds the hub: see client_base */
    void (*memory)(struct request *request, struct answer *answer);
    const char *past; /* memory that takes `at`: the function that answers where it is given; NULL = none */
    void (*stream)(struct request *request, struct answer *answer); /* as memory; gives answer->source */
    bool by_row;              /* function: each row is passed on as it comes, so the length is not known before */
    const char *sheet;        /* function: as by_row, and its CSV goes out as a workbook: see sheet.h, `numbers` */
    const char *content_type; /* of an answer with status 2xx */
    const char *more_types;   /* others that it may have instead, with a blank between them; NULL = none */
    const char *cache;        /* Cache-Control; NULL = no-store */
    const char *policy;       /* Content-Security-Policy, of what a browser shows or runs; NULL = none */
    enum route_etag etag;
    bool compress;       /* worth it: text, JSON, vector tiles; not images or what is compressed already */
    unsigned deadline_s; /* from the head's end to the answer's end; 0 = [http] deadline_s */
    bool basic;          /* a program is asked for a name and a password (Basic) where it is refused with 401 */
    bool endless;        /* no deadline: a live stream; a client that does not read is cut all the same */
};

struct router;

enum { ROUTE_PATH_PARAMETERS_MAX = 6, ROUTE_PARAMETERS_MAX = 24 };

struct route_text {
    const char *text;
    size_t length;
};

struct route_match {
    const struct route *route; /* NULL = none with this method */
    unsigned allowed;          /* methods of all rows with this path; 0 = there is no such path */
    size_t path_count;         /* the path's parameters, in the order of the pattern */
    struct route_text path[ROUTE_PATH_PARAMETERS_MAX];
    const struct parameter *path_parameters[ROUTE_PATH_PARAMETERS_MAX];
};

/* Checks all rows and takes them apart. `routes` is borrowed. NULL with `flaw` if a row is wrong or memory is out. */
struct router *router_new(const struct route *routes, size_t count, char *flaw, size_t size);
void router_free(struct router *router);

const struct route *router_routes(const struct router *router, size_t *count);

/* Finds the row. Where two patterns fit a path, the one that has a word where the other has a parameter, at the first
 * place where they differ, wins. `method` is one of enum route_method, 0 = any other. */
void router_match(const struct router *router, const struct target *target, unsigned method, struct route_match *match);

/* GET, HEAD, ...: the value of Allow for these methods. */
void route_allow(unsigned methods, char *text, size_t size);
const char *route_method_name(unsigned method);
const char *route_right_name(enum route_right right);
/* True if the parameter stands in the pattern. */
bool route_in_path(const struct route *route, const struct parameter *parameter);
/* True if it has a parameter of this name in the query. */
bool route_takes(const struct route *route, const char *name);

#endif
