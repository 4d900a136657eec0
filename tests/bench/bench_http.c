/* bench_http.c: libmicrohttpd alone, for tests/bench/http: one thread on epoll that answers every request with the same
 * three bytes. Prints its port and ends when its standard input does. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *body, size_t *body_length, void **request) {
    static char begun;
    (void)path;
    (void)method;
    (void)version;
    (void)body;
    (void)body_length;
    if (*request == NULL) {
        *request = &begun;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, user);
}

int main(void) {
    static char text[] = "ok\n";
    struct MHD_Response *response = MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, response,
                                                 MHD_OPTION_CONNECTION_LIMIT, 1000U, MHD_OPTION_END);
    if (daemon == NULL) {
        fprintf(stderr, "bench_http: cannot listen\n");
        return 1;
    }
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return 0;
}
