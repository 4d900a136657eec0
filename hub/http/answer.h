/* answer.h: what a request is answered with, from wherever it comes, and how it goes out: entity tag, compression,
 * headers, length. */
#ifndef CITYHUB_ANSWER_H
#define CITYHUB_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct request;

enum {
    ANSWER_ETAG_MAX = 80,
    ANSWER_LOCATION_MAX = 256,
    ANSWER_ALLOW_MAX = 64,
    ANSWER_COOKIE_MAX = 160,
    ANSWER_CRS_MAX = 80,
    ANSWER_RANGE_MAX = 80
};

/* What `pull` says besides a number of bytes. */
enum { SOURCE_WAIT = 0, SOURCE_END = -1, SOURCE_BROKEN = -2 };

/* Where a streaming answer's bytes come from, as the client takes them: what is not pulled waits at its source. */
struct answer_source {
    /* Puts up to `size` bytes into `room` and returns how many; SOURCE_WAIT: none now, request_wake follows when there
     * are; SOURCE_END; SOURCE_BROKEN: the connection is closed without an end, so that nobody takes it for whole. */
    ssize_t (*pull)(void *user, char *room, size_t size);
    /* Once, when nothing more is asked; the request must not be touched afterwards. `why`: NULL = all was taken,
     * else why not: "left", "slow", "late", "stopping", "broken". */
    void (*closed)(void *user, const char *why);
    void *user;
};

struct answer {
    unsigned status;          /* 0 = 200 */
    const char *content_type; /* NULL = the route's */
    const char *body;         /* a whole body, or NULL */
    size_t length;
    void (*release)(void *owner); /* gives the body back; NULL = it is there for as long as the server */
    void *owner;
    struct answer_source source; /* instead of a body */
    bool sized;                  /* the source has `length` bytes */
    /* Not yet: whoever works on it (a worker thread, say) fills the answer from the loop, clears this, and calls
     * request_wake. If the request ends before, source.closed is called, and nothing of the answer may be touched. */
    bool later;
    bool encoded;               /* the body is gzip already; only if request_takes_gzip */
    bool plain;                 /* the body is not to be compressed: that was tried */
    char etag[ANSWER_ETAG_MAX]; /* with its quotes; "" = none, or made by the route's policy */
    char location[ANSWER_LOCATION_MAX];
    char allow[ANSWER_ALLOW_MAX];
    char cookie[ANSWER_COOKIE_MAX]; /* Set-Cookie; "" = none */
    char crs[ANSWER_CRS_MAX];       /* Content-Crs, with its angle brackets; "" = none */
    char range[ANSWER_RANGE_MAX];   /* Content-Range; "" = none */
    bool ranges;                    /* parts of it may be asked for */
    bool sandbox;                   /* what a client sent: a browser is to run nothing of it */
    unsigned retry_after_s;         /* 0 = none */
    unsigned age_s;                 /* since when what it says may be old; 0 = it is not */
    bool close;                     /* the connection ends behind it */
    bool preflight;                 /* a browser asks what another system's page may send */
    bool problem;                   /* the body is a problem: never cached, in the client's language */
};

/* A text from malloc as the body; NULL = memory is out: the client gets 500. */
void answer_text(struct answer *answer, char *text);

/* Hands the answer to libmicrohttpd, which owns what belongs to it from then on; `request` is the one that is being
 * answered, from the handler of libmicrohttpd. False = memory is out, all is released: close the connection. */
bool answer_send(struct request *request, struct answer *answer);

/* Releases an answer that is not sent. */
void answer_drop(struct answer *answer, const char *why);

/* A strong entity tag, with quotes, of the bytes (128 bits of SHA-256). */
void answer_etag(const void *bytes, size_t length, char etag[static ANSWER_ETAG_MAX]);

/* What goes out of an answer whose length is not known. libmicrohttpd frees it after the request's end; until then the
 * request may close it, so that its source lets go at once. */
struct delivery;
void delivery_close(struct delivery *delivery, const char *why);

#endif
