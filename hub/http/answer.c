/* answer.c: answers on their way out through libmicrohttpd. Must never compress on the loop what would hold it up, nor
 * send an end to a client that did not get all. */
#include "hub/http/answer.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "hub/base/log.h"
#include "hub/http/client.h"
#include "hub/http/gzip.h"
#include "hub/http/request.h"

enum {
    INPUT_BYTES = 16 * 1024, /* taken from a source at a time, to be compressed */
    INPUTS_A_PULL = 4,
    STREAM_BLOCK = 4096,            /* a client of HTTP/1.0 gets pieces of this size */
    STREAM_SEND_BUFFER = 64 * 1024, /* in the kernel: what waits there says nothing about the client */
};

/* What a pull says when it has worked enough for a turn of the loop without anything to show. */
enum { SOURCE_AGAIN = -3 };

struct delivery {
    struct request *request; /* NULL = closed */
    struct answer_source source;
    struct gzip *gzip; /* NULL = as it comes */
    bool ended;        /* the source's, before the compressed form's */
    const char *rest;  /* of `input` */
    size_t rest_length;
    char *input;
};

/* ---- answers ---- */

void answer_text(struct answer *answer, char *text) {
    answer->body = text == NULL ? "" : text;
    answer->length = strlen(answer->body);
    answer->release = text == NULL ? NULL : free;
    answer->owner = text;
    if (text == NULL) {
        answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
}

static void release_body(struct answer *answer) {
    if (answer->release != NULL) {
        answer->release(answer->owner);
    }
    answer->release = NULL;
    answer->body = NULL;
    answer->length = 0;
}

void answer_drop(struct answer *answer, const char *why) {
    release_body(answer);
    if (answer->source.closed != NULL) {
        answer->source.closed(answer->source.user, why);
    }
    *answer = (struct answer){0};
}

void answer_etag(const void *bytes, size_t length, char etag[static ANSWER_ETAG_MAX]) {
    enum { TAG_BYTES = 16 };
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned hash_length = 0;
    etag[0] = '\0';
    if (EVP_Digest(bytes, length, hash, &hash_length, EVP_sha256(), NULL) != 1) {
        return;
    }
    char *at = etag;
    *at++ = '"';
    for (int i = 0; i < TAG_BYTES; i++) {
        at += snprintf(at, 3, "%02x", hash[i]);
    }
    memcpy(at, "\"", 2);
}

/* ---- a whole body as a source, to be compressed piece by piece ---- */

struct body_source {
    struct answer body;
    size_t taken;
};

static ssize_t body_pull(void *user, char *room, size_t size) {
    struct body_source *source = user;
    size_t left = source->body.length - source->taken;
    size_t piece = left < size ? left : size;
    if (piece == 0) {
        return SOURCE_END;
    }
    memcpy(room, source->body.body + source->taken, piece);
    source->taken += piece;
    return (ssize_t)piece;
}

static void body_closed(void *user, const char *why) {
    struct body_source *source = user;
    (void)why;
    release_body(&source->body);
    free(source);
}

/* The answer's body becomes its source. False if memory is out. */
static bool body_to_source(struct answer *answer) {
    struct body_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return false;
    }
    source->body = *answer;
    answer->source = (struct answer_source){.pull = body_pull, .closed = body_closed, .user = source};
    answer->release = NULL;
    answer->body = NULL;
    return true;
}

/* ---- deliveries ---- */

void delivery_close(struct delivery *delivery, const char *why) {
    if (delivery->request == NULL) {
        return;
    }
    delivery->request->delivery = NULL;
    delivery->request = NULL;
    if (delivery->source.closed != NULL) {
        delivery->source.closed(delivery->source.user, why);
    }
}

static void delivery_free(void *user) {
    struct delivery *delivery = user;
    delivery_close(delivery, "left");
    gzip_free(delivery->gzip);
    free(delivery->input);
    free(delivery);
}

static ssize_t pull_compressed(struct delivery *delivery, char *room, size_t size) {
    size_t used = 0;
    bool waits = false;
    for (int inputs = 0; used < size && !gzip_done(delivery->gzip);) {
        if (delivery->rest_length == 0 && !delivery->ended) {
            if (waits || inputs++ == INPUTS_A_PULL) {
                break;
            }
            ssize_t got = delivery->source.pull(delivery->source.user, delivery->input, INPUT_BYTES);
            if (got == SOURCE_BROKEN) {
                return SOURCE_BROKEN;
            }
            waits = got == SOURCE_WAIT;
            delivery->ended = got == SOURCE_END;
            delivery->rest = delivery->input;
            delivery->rest_length = got > 0 ? (size_t)got : 0;
        }
        used += gzip_step(delivery->gzip, &delivery->rest, &delivery->rest_length, delivery->ended, room + used,
                          size - used);
    }
    if (used > 0) {
        return (ssize_t)used;
    }
    return gzip_done(delivery->gzip) ? SOURCE_END : waits ? SOURCE_WAIT : SOURCE_AGAIN;
}

/* libmicrohttpd asks when the client has taken what it was given before. */
static ssize_t on_pull(void *user, uint64_t position, char *room, size_t size) {
    struct delivery *delivery = user;
    struct request *request = delivery->request;
    (void)position;
    if (request == NULL) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    ssize_t got = delivery->gzip != NULL ? pull_compressed(delivery, room, size)
                                         : delivery->source.pull(delivery->source.user, room, size);
    switch (got) {
    case SOURCE_WAIT:
        request->suspended = true;
        MHD_suspend_connection(request->connection);
        return 0;
    case SOURCE_AGAIN:
        return 0; /* not suspended: libmicrohttpd asks again in the loop's next turn */
    case SOURCE_END:
        delivery_close(delivery, NULL);
        return MHD_CONTENT_READER_END_OF_STREAM;
    case SOURCE_BROKEN:
        delivery_close(delivery, "broken");
        return MHD_CONTENT_READER_END_WITH_ERROR;
    default:
        return got;
    }
}

/* The response that pulls from the answer's source; NULL = memory is out, the source is closed. */
static struct MHD_Response *delivery_response(struct request *request, struct answer *answer, bool compress) {
    struct delivery *delivery = calloc(1, sizeof *delivery);
    struct gzip *gzip = compress ? gzip_new() : NULL;
    char *input = compress ? malloc(INPUT_BYTES) : NULL;
    if (delivery == NULL || (compress && (gzip == NULL || input == NULL))) {
        gzip_free(gzip);
        free(input);
        free(delivery);
        answer_drop(answer, "broken");
        return NULL;
    }
    *delivery = (struct delivery){.request = request, .source = answer->source, .gzip = gzip, .input = input};
    answer->source = (struct answer_source){0};
    request->delivery = delivery;
    request->taken_ms = uv_now(request->service->loop);
    struct MHD_Response *response = MHD_create_response_from_callback(answer->sized ? answer->length : MHD_SIZE_UNKNOWN,
                                                                      STREAM_BLOCK, on_pull, delivery, delivery_free);
    if (response == NULL) {
        delivery_free(delivery);
        return NULL;
    }
    if (request->head_only && !answer->sized) {
        /* libmicrohttpd would send the last chunk, of a body that HEAD does not have. */
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    }
    int send_buffer = STREAM_SEND_BUFFER;
    setsockopt(request_socket(request->connection), SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    return response;
}

/* ---- sending ---- */

static bool is_success(const struct answer *answer) {
    return answer->status >= MHD_HTTP_OK && answer->status < MHD_HTTP_MULTIPLE_CHOICES;
}

/* The entity tag, and whether the client has that already. */
static void settle_etag(const struct request *request, struct answer *answer) {
    const struct route *route = request->route;
    if (answer->problem || route == NULL || answer->status != MHD_HTTP_OK) {
        return;
    }
    if (route->etag == ETAG_BYTES && answer->etag[0] == '\0' && answer->body != NULL) {
        answer_etag(answer->body, answer->length, answer->etag);
    }
    if (answer->etag[0] != '\0' && negotiate_matches(request->if_none_match, answer->etag)) {
        answer->status = MHD_HTTP_NOT_MODIFIED;
    }
}

/* A small body is compressed at once; a large one, or one that streams, while it goes out. Returns whether it is to be
 * while it goes out; false with `encoded` if it is already. */
static bool settle_encoding(const struct request *request, struct answer *answer) {
    const struct route *route = request->route;
    if (answer->problem || route == NULL || !route->compress || !request->takes_gzip || answer->encoded ||
        answer->plain || !is_success(answer)) {
        return false;
    }
    if (answer->source.pull != NULL) {
        return true;
    }
    if (answer->body == NULL || answer->length < GZIP_WORTH_BYTES) {
        return false;
    }
    if (answer->length > GZIP_WHOLE_BYTES) {
        return body_to_source(answer);
    }
    size_t size;
    char *packed = gzip_whole(answer->body, answer->length, &size);
    if (packed != NULL) {
        release_body(answer);
        answer->body = packed;
        answer->length = size;
        answer->release = free;
        answer->owner = packed;
        answer->encoded = true;
    }
    return false;
}

static void add_etag(struct MHD_Response *response, const struct answer *answer, bool encoded) {
    char tag[ANSWER_ETAG_MAX + sizeof "-gzip"];
    size_t length = strlen(answer->etag);
    if (length < 2) {
        return;
    }
    /* The compressed form is another one, byte for byte. */
    snprintf(tag, sizeof tag, "%.*s%s\"", (int)length - 1, answer->etag, encoded ? "-gzip" : "");
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, tag);
}

static void add_seconds(struct MHD_Response *response, const char *name, unsigned seconds) {
    char text[16];
    if (seconds > 0) {
        snprintf(text, sizeof text, "%u", seconds);
        MHD_add_response_header(response, name, text);
    }
}

/* Another system's page: it may read what is answered to its token. Never "with credentials", so that no cookie of the
 * hub's own page answers to it. */
static void add_cors(const struct request *request, struct MHD_Response *response, const struct answer *answer) {
    const char *origin = client_cors(request);
    if (*request->service->config->http_cors != '\0') {
        MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ORIGIN);
    }
    if (origin == NULL) {
        return;
    }
    MHD_add_response_header(response, "Access-Control-Allow-Origin", origin);
    if (answer->preflight) {
        MHD_add_response_header(response, "Access-Control-Allow-Methods", answer->allow);
        MHD_add_response_header(response, "Access-Control-Allow-Headers",
                                "Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-None-Match, "
                                "If-Range, Last-Event-ID, Range");
        MHD_add_response_header(response, "Access-Control-Max-Age", "600");
    } else {
        MHD_add_response_header(response, "Access-Control-Expose-Headers",
                                "Accept-Ranges, Age, Allow, Content-Crs, Content-Range, ETag, Location, Retry-After");
    }
}

static void add_headers(const struct request *request, struct MHD_Response *response, const struct answer *answer,
                        bool encoded, bool has_body) {
    const struct route *route = request->route;
    bool cached = !answer->problem && route != NULL && route->cache != NULL &&
                  (is_success(answer) || answer->status == MHD_HTTP_NOT_MODIFIED);
    const char *type = answer->content_type == NULL && route != NULL ? route->content_type : answer->content_type;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, cached ? route->cache : "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (route != NULL && route->policy != NULL) {
        MHD_add_response_header(response, "Content-Security-Policy", route->policy);
        MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
        MHD_add_response_header(response, "X-Frame-Options", "DENY"); /* for browsers that know no frame-ancestors */
    }
    if (has_body && type != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    }
    if (answer->problem) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_LANGUAGE);
    } else if (route != NULL && route->compress) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    }
    if (route != NULL && route->right != RIGHT_ANYONE) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Authorization, Cookie");
    }
    if (answer->status == MHD_HTTP_UNAUTHORIZED) {
        /* Where people come, not Basic: a browser would ask for a password in a window of its own. */
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                route != NULL && route->basic ? "Basic realm=\"cityhub\", charset=\"UTF-8\""
                                                              : "Bearer realm=\"cityhub\"");
    }
    if (answer->cookie[0] != '\0') {
        MHD_add_response_header(response, MHD_HTTP_HEADER_SET_COOKIE, answer->cookie);
    }
    if (encoded) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    }
    if (is_success(answer) || answer->status == MHD_HTTP_NOT_MODIFIED) {
        add_etag(response, answer, encoded);
    }
    if (answer->location[0] != '\0') {
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, answer->location);
    }
    if (answer->crs[0] != '\0') {
        MHD_add_response_header(response, "Content-Crs", answer->crs);
    }
    if (answer->range[0] != '\0') {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, answer->range);
    }
    if (answer->ranges) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    }
    if (answer->sandbox) {
        MHD_add_response_header(response, "Content-Security-Policy", "default-src 'none'; sandbox");
    }
    if (answer->allow[0] != '\0') {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
    }
    if (answer->close) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    add_cors(request, response, answer);
    add_seconds(response, MHD_HTTP_HEADER_RETRY_AFTER, answer->retry_after_s);
    add_seconds(response, MHD_HTTP_HEADER_AGE, answer->age_s);
    if (route != NULL && route->endless && !answer->problem) {
        MHD_add_response_header(response, "X-Accel-Buffering", "no"); /* nginx passes each event on at once */
    }
}

bool answer_send(struct request *request, struct answer *answer) {
    answer->status = answer->status == 0 ? MHD_HTTP_OK : answer->status;
    settle_etag(request, answer);
    bool has_body = answer->status != MHD_HTTP_NO_CONTENT && answer->status != MHD_HTTP_NOT_MODIFIED;
    if (!has_body) {
        release_body(answer);
    }
    bool compress = has_body && settle_encoding(request, answer);
    bool encoded = compress || answer->encoded;
    struct MHD_Response *response;
    if (has_body && answer->source.pull != NULL) {
        response = delivery_response(request, answer, compress);
    } else {
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            answer->length, (void *)(uintptr_t)answer->body, answer->release, answer->owner);
        if (response != NULL) {
            answer->release = NULL;
        }
    }
    if (response == NULL) {
        log_error("http_answer", "reason=\"out of memory\"");
        answer_drop(answer, "broken");
        return false;
    }
    add_headers(request, response, answer, encoded && has_body, has_body);
    request->status = answer->status;
    answer_drop(answer, "left");
    enum MHD_Result queued = MHD_queue_response(request->connection, request->status, response);
    MHD_destroy_response(response);
    return queued == MHD_YES;
}
