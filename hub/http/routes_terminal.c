/* routes_terminal.c: routes of terminals (终端) that speak to gateways: which there are, what they are told, what they
 * took. Their
 * functions are in schema/rules/http_terminal.sql. */
#include "hub/http/routes.h"

enum { COMMAND_BYTES = 16 * 1024 };

#define TERMINAL_ID                                                                                                    \
    { .name = "id", .kind = PARAMETER_INTEGER, .low = 1, .high = INT32_MAX, .meaning = "a terminal's id" }

static const struct parameter list_parameters[] = {
    SUBSYSTEM,
    {.name = "vendor", .kind = PARAMETER_TEXT, .low = 1, .high = 63, .meaning = "a vendor's name"},
    {.name = "device", .kind = PARAMETER_INTEGER, .low = 1, .high = INT32_MAX, .meaning = "a device's id"},
    AFTER_ID,
    LIMIT,
    {0},
};

static const struct parameter told_parameters[] = {TERMINAL_ID, AFTER_ID, LIMIT, {0}};
static const struct parameter tell_parameters[] = {TERMINAL_ID, {0}};

static const struct parameter media_parameters[] = {
    {.name = "id", .kind = PARAMETER_INTEGER, .low = 1, .high = INT32_MAX, .meaning = "a device's id"},
    AFTER_ID,
    LIMIT,
    {0},
};
static const struct parameter medium_parameters[] = {
    {.name = "id", .kind = PARAMETER_INTEGER, .low = 1, .high = ROUTES_ID_MAX, .meaning = "a medium's id"},
    {0},
};

const struct route routes_terminal[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/devices/{id}/media",
     .summary = "Pictures, sound and video that a device's terminal took, newest first",
     .right = RIGHT_READ,
     .parameters = media_parameters,
     .function = "onemap.http_device_media",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/media/{id}",
     .summary = "One of them: its bytes",
     .right = RIGHT_READ,
     .parameters = medium_parameters,
     .function = "onemap.http_media",
     .content_type = "image/jpeg",
     .more_types = "image/tiff audio/mpeg audio/wav video/x-ms-wmv application/octet-stream",
     .cache = "private, no-cache",
     .etag = ETAG_GIVEN},
    {.method = METHOD_GET,
     .pattern = "/api/v1/terminals",
     .summary = "Terminals that speak to gateways, and the commands that each takes",
     .right = RIGHT_COMMAND,
     .parameters = list_parameters,
     .function = "onemap.http_terminals",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/terminals/{id}/commands",
     .summary = "What a terminal was told, newest first, and what became of it",
     .right = RIGHT_COMMAND,
     .parameters = told_parameters,
     .function = "onemap.http_terminal_commands",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/api/v1/terminals/{id}/commands",
     .summary = "Tells a terminal something, when a gateway has its connection",
     .right = RIGHT_COMMAND,
     .parameters = tell_parameters,
     .body = {.types = "application/json", .limit = COMMAND_BYTES},
     .function = "onemap.http_terminal_tell",
     .content_type = JSON_TYPE},
    {0},
};
