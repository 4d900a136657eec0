/* routes_order.c: orders of the hotlines 12345 and 12319: taken in, asked for, acted on. Their functions are in
 * schema/rules/hotline_order.sql, which says who sees which. */
#include "hub/http/routes.h"

enum { ORDER_BODY_BYTES = 64 * 1024 };

#define NUMBER                                                                                                         \
    { .name = "number", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .meaning = "an order's own number" }

static const struct parameter list_parameters[] = {
    {.name = "state", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .list = 5, .meaning = "states of orders"},
    {.name = "source", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .meaning = "who sent it, such as 12345"},
    {.name = "overdue",
     .kind = PARAMETER_BOOLEAN,
     .meaning = "whether it should have been signed for or answered by now"},
    AFTER_ID,
    LIMIT,
    {0},
};
static const struct parameter change_parameters[] = {AFTER_CHANGE, LIMIT, {0}};
static const struct parameter one_parameters[] = {NUMBER, {0}};
static const struct parameter file_parameters[] = {
    NUMBER,
    {.name = "sha256",
     .kind = PARAMETER_TEXT,
     .low = 64,
     .high = 64,
     .meaning = "the attachment's SHA-256, 64 hexadecimal digits"},
    {0},
};

const struct route routes_order[] = {
    {.method = METHOD_POST,
     .pattern = "/api/v1/orders",
     .summary = "Takes a hotline's order in, once by its source and number",
     .right = RIGHT_IDENTITY,
     .body = {.types = "application/json", .limit = ORDER_BODY_BYTES},
     .function = "onemap.http_order_put",
     .content_type = JSON_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/orders",
     .summary = "Orders, newest first, page by page",
     .right = RIGHT_IDENTITY,
     .parameters = list_parameters,
     .function = "onemap.http_orders",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/orders/changes",
     .summary = "What was done to orders, each once and in order, from a cursor on",
     .right = RIGHT_IDENTITY,
     .parameters = change_parameters,
     .function = "onemap.http_order_changes",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/orders/{number}",
     .summary = "One order with answer and journal",
     .right = RIGHT_IDENTITY,
     .parameters = one_parameters,
     .function = "onemap.http_order",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/api/v1/orders/{number}/actions",
     .summary = "Acts on an order, as who is logged in or as the program that sent it",
     .right = RIGHT_IDENTITY,
     .parameters = one_parameters,
     .body = {.types = "application/json", .limit = ORDER_BODY_BYTES},
     .function = "onemap.http_order_do",
     .content_type = JSON_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/orders/{number}/attachments/{sha256}",
     .summary = "A photograph of an order's answer",
     .right = RIGHT_IDENTITY,
     .parameters = file_parameters,
     .function = "onemap.http_order_file",
     .content_type = "image/jpeg",
     .more_types = "image/png image/webp application/pdf video/mp4",
     .cache = "private, no-cache",
     .etag = ETAG_GIVEN},
    {0},
};
