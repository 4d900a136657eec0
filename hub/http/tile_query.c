/* tile_query.c: flights: a tile under way, and the requests that wait for it. A request that ends leaves its flight; a
 * flight that nobody waits for is given up. Must never answer one scope's request with another's tile. */
#include "hub/http/tile_query.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/http/gzip.h"
#include "hub/http/query.h"
#include "hub/http/request.h"

struct flight;

struct waiter {
    struct waiter *next;
    struct flight *flight;
    struct request *request;
    void (*deliver)(struct request *request, const struct tile_entry *entry);
};

struct flight {
    struct flight *next;
    struct service *service;
    struct tile_key key;
    uint64_t version;
    struct waiter *waiters;
    struct pool_job job;
    struct postgres_value value;
    struct buffer json, bytes;
};

static void flight_free(struct flight *flight) {
    struct flight **at = &flight->service->flights;
    while (*at != flight) {
        at = &(*at)->next;
    }
    *at = flight->next;
    buffer_free(&flight->json);
    buffer_free(&flight->bytes);
    free(flight);
}

/* Its request ends before the tile is there. */
static void waiter_closed(void *user, const char *why) {
    struct waiter *waiter = user;
    struct flight *flight = waiter->flight;
    struct waiter **at = &flight->waiters;
    (void)why;
    while (*at != waiter) {
        at = &(*at)->next;
    }
    *at = waiter->next;
    free(waiter);
    if (flight->waiters == NULL) {
        pool_abandon(flight->service->pool, &flight->job);
        flight_free(flight);
    }
}

static bool on_row(void *user, const PGresult *row) {
    struct flight *flight = user;
    buffer_bytes(&flight->bytes, PQgetvalue(row, 0, 0), (size_t)PQgetlength(row, 0, 0));
    return true;
}

/* NULL = out of memory. */
static const struct tile_entry *entry_of(struct flight *flight) {
    struct buffer *bytes = &flight->bytes;
    size_t size = 0;
    char *packed =
        flight->key.gzip && bytes->length >= GZIP_WORTH_BYTES ? gzip_whole(bytes->data, bytes->length, &size) : NULL;
    if (bytes->failed) {
        free(packed);
        return NULL;
    }
    struct tile_cache *cache = flight->service->source->tiles->cache;
    if (packed != NULL) {
        return tile_cache_put(cache, &flight->key, flight->version, packed, size, true);
    }
    char *plain = bytes->data;
    bytes->data = NULL;
    return tile_cache_put(cache, &flight->key, flight->version, plain, bytes->length, false);
}

static void on_done(void *user, enum pool_end end, const struct postgres_error *error) {
    struct flight *flight = user;
    const struct tile_entry *entry = end == POOL_DONE ? entry_of(flight) : NULL;
    for (struct waiter *waiter = flight->waiters, *next; waiter != NULL; waiter = next) {
        struct request *request = waiter->request;
        next = waiter->next;
        request->answer.source = (struct answer_source){0};
        request->answer.later = false;
        if (end != POOL_DONE) {
            query_refuse(request, flight->job.started, end, error);
        } else if (entry == NULL) {
            request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        } else {
            waiter->deliver(request, tile_cache_again(entry));
        }
        request_wake(request);
        free(waiter);
    }
    if (entry != NULL) {
        tile_entry_release((void *)(uintptr_t)entry);
    }
    flight_free(flight);
}

/* NULL after the request was refused. */
static struct flight *flight_begin(struct request *request, const struct tile_key *key, uint64_t version) {
    struct service *service = request->service;
    struct flight *flight = calloc(1, sizeof *flight);
    if (flight == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return NULL;
    }
    buffer_bytes(&flight->json, request->json.data, request->json.length);
    const char *json = buffer_string(&flight->json);
    flight->service = service;
    flight->key = *key;
    flight->version = version;
    flight->value = (struct postgres_value){.data = json, .length = flight->json.length};
    flight->job = (struct pool_job){.sql = "SELECT t.body FROM onemap.http_tile($1::jsonb) t",
                                    .values = &flight->value,
                                    .value_count = 1,
                                    .client = request->client,
                                    .deadline_ms = request->deadline_ms,
                                    .row = on_row,
                                    .done = on_done,
                                    .user = flight};
    flight->next = service->flights;
    service->flights = flight;
    int code = json == NULL            ? CH_EMEMORY
               : service->pool == NULL ? CH_EDATABASE
                                       : pool_submit(service->pool, &flight->job);
    if (code != 0) {
        flight_free(flight);
        query_refuse_now(request, code);
        return NULL;
    }
    return flight;
}

void tile_query(struct request *request, const struct tile_key *key, uint64_t version,
                void (*deliver)(struct request *request, const struct tile_entry *entry)) {
    struct flight *flight = request->service->flights;
    struct waiter *waiter = calloc(1, sizeof *waiter);
    while (flight != NULL && (flight->version != version || memcmp(&flight->key, key, sizeof *key) != 0)) {
        flight = flight->next;
    }
    if (waiter == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    flight = flight == NULL ? flight_begin(request, key, version) : flight;
    if (flight == NULL) {
        free(waiter);
        return;
    }
    *waiter = (struct waiter){.next = flight->waiters, .flight = flight, .request = request, .deliver = deliver};
    flight->waiters = waiter;
    request->answer.later = true;
    request->answer.source = (struct answer_source){.closed = waiter_closed, .user = waiter};
}
