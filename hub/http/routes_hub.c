/* routes_hub.c: the hub's own routes: health, counters, state, logins; and the answers that come from memory. Must
 * never ask anybody in a memory answer. */
#include <stdio.h>
#include <string.h>

#include "hub/base/metrics.h"
#include "hub/http/login.h"
#include "hub/http/openapi.h"
#include "hub/http/request.h"
#include "hub/http/route_list.h"
#include "hub/http/routes.h"
#include "hub/http/status.h"

/* ---- from memory ---- */

static bool is_ready(const struct request *request, struct words *why) {
    const struct server_source *source = request->service->source;
    *why = (struct words){0};
    return source->ready(source->user, why);
}

static void answer_health(struct request *request, struct answer *answer) {
    static const char text[] = "ok\n";
    (void)request;
    answer->body = text;
    answer->length = sizeof text - 1;
}

static void answer_ready(struct request *request, struct answer *answer) {
    struct words why;
    char *text = NULL;
    bool ready = is_ready(request, &why);
    if (asprintf(&text, "%s\n", ready ? "ready" : why.en) < 0) {
        text = NULL;
    }
    answer->status = ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    answer_text(answer, text);
}

static void answer_metrics(struct request *request, struct answer *answer) {
    (void)request;
    answer_text(answer, metrics_text());
}

static void answer_status(struct request *request, struct answer *answer) {
    struct words why;
    bool ready = is_ready(request, &why);
    answer_text(answer, status_json(request->service->config, ready, &why));
}

static void answer_routes(struct request *request, struct answer *answer) {
    answer_text(answer, route_list_json(request->service->router));
}

static void answer_openapi(struct request *request, struct answer *answer) {
    struct service *service = request->service;
    if (service->openapi == NULL) {
        service->openapi = openapi_json(service->router);
    }
    if (service->openapi == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    answer->body = service->openapi; /* the server's, and longer there than any request */
    answer->length = strlen(service->openapi);
}

const struct route routes_hub[] = {
    {.method = METHOD_GET,
     .pattern = "/healthz",
     .summary = "The process lives",
     .right = RIGHT_ANYONE,
     .any_query = true,
     .memory = answer_health,
     .content_type = TEXT_TYPE},
    {.method = METHOD_GET,
     .pattern = "/readyz",
     .summary = "Messages are taken and stored; if not, why",
     .right = RIGHT_ANYONE,
     .any_query = true,
     .memory = answer_ready,
     .content_type = TEXT_TYPE},
    {.method = METHOD_GET,
     .pattern = "/metrics",
     .summary = "Counters for Prometheus",
     .right = RIGHT_OPERATE,
     .loopback = true,
     .any_query = true,
     .memory = answer_metrics,
     .content_type = "text/plain; version=0.0.4; charset=utf-8",
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1",
     .summary = "The routes, as the table has them",
     .right = RIGHT_IDENTITY,
     .loopback = true,
     .memory = answer_routes,
     .content_type = JSON_TYPE,
     .cache = "no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/openapi.json",
     .summary = "The routes as an OpenAPI 3.1 document",
     .right = RIGHT_IDENTITY,
     .loopback = true,
     .memory = answer_openapi,
     .content_type = JSON_TYPE,
     .cache = "no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/status",
     .summary = "How the hub is",
     .right = RIGHT_OPERATE,
     .loopback = true,
     .any_query = true,
     .memory = answer_status,
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/api/v1/login",
     .summary = "A person's login and password: opens a session, whose cookie the answer sets",
     .right = RIGHT_ANYONE,
     .body = {.types = "application/json", .limit = 4096},
     .memory = login_answer,
     .content_type = JSON_TYPE},
    {.method = METHOD_POST,
     .pattern = "/api/v1/logout",
     .summary = "Ends the session",
     .right = RIGHT_IDENTITY,
     .ends_session = true,
     .function = "onemap.http_logout",
     .content_type = JSON_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/me",
     .summary = "Who asks: posts, rights, department",
     .right = RIGHT_IDENTITY,
     .function = "onemap.http_me",
     .content_type = JSON_TYPE},
    {.method = METHOD_POST,
     .pattern = "/api/v1/me/password",
     .summary = "Another password for who is logged in; ends the person's other sessions",
     .right = RIGHT_IDENTITY,
     .body = {.types = "application/json", .limit = 4096},
     .memory = login_password_answer,
     .content_type = JSON_TYPE},
    {0},
};
