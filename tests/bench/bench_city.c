/* bench_city.c: a platform above that accepts all, as fast as libmicrohttpd goes, for tests/bench/upstream: of a batch
 * it answers each record by its number, which it finds without reading the rest. Prints its port, and when its standard
 * input ends, how many records it took. */
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/buffer.h"

static atomic_long taken;

static enum MHD_Result respond(struct MHD_Connection *connection, const struct buffer *body) {
    static const char name[] = "\"number\":\"";
    struct buffer answer = {0};
    const char *at = body->data;
    buffer_text(&answer, "{\"code\":0,\"receipt\":\"R\",\"results\":[");
    for (long count = 0; at != NULL && (at = strstr(at, name)) != NULL; count++, taken++) {
        at += sizeof name - 1;
        int length = (int)strcspn(at, "\"");
        buffer_format(&answer, "%s{\"number\":\"%.*s\",\"code\":0,\"receipt\":\"R%.*s\"}", count == 0 ? "" : ",",
                      length, at, length, at);
    }
    buffer_text(&answer, "]}");
    struct MHD_Response *response = MHD_create_response_from_buffer(answer.length, answer.data, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *bytes, size_t *count, void **request) {
    (void)user;
    (void)path;
    (void)method;
    (void)version;
    if (*request == NULL) {
        *request = calloc(1, sizeof(struct buffer));
        return *request == NULL ? MHD_NO : MHD_YES;
    }
    struct buffer *body = *request;
    if (*count > 0) {
        buffer_bytes(body, bytes, *count);
        *count = 0;
        return MHD_YES;
    }
    return buffer_string(body) == NULL ? MHD_NO : respond(connection, body);
}

static void on_end(void *user, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode why) {
    (void)user;
    (void)connection;
    (void)why;
    if (*request != NULL) {
        buffer_free(*request);
        free(*request);
        *request = NULL;
    }
}

int main(void) {
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                         on_end, NULL, MHD_OPTION_CONNECTION_LIMIT, 1000U, MHD_OPTION_END);
    if (daemon == NULL) {
        fprintf(stderr, "bench_city: cannot listen\n");
        return 1;
    }
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    MHD_stop_daemon(daemon);
    printf("%ld\n", taken);
    return 0;
}
