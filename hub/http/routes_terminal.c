/* routes_terminal.c: routes of terminals (终端) that speak to gateways: which there are, what they are told, what they
 * took. Their functions are in schema/rules/http_terminal.sql. */
#include "hub/http/routes.h"

enum { COMMAND_BYTES = 16 * 1024 };

#define TERMINAL_ID                                                                                                    \
    { .name = "id", .kind = PARAMETER_INTEGER, .low = 1, .high = INT32_MAX, .meaning = "a terminal's id" }

#define PROTOCOL                                                                                                       \
    { .name = "protocol", .kind = PARAMETER_CHOICE, .choices = "hj212 jt808 json", .meaning = "only what speaks this" }

#define TERMINAL_FILTERS                                                                                               \
    SUBSYSTEM, {.name = "vendor", .kind = PARAMETER_TEXT, .low = 1, .high = 63, .meaning = "a vendor's name"},         \
        {.name = "device", .kind = PARAMETER_INTEGER, .low = 1, .high = INT32_MAX, .meaning = "a device's id"},        \
        PROTOCOL,                                                                                                      \
        {.name = "state",                                                                                              \
         .kind = PARAMETER_CHOICE,                                                                                     \
         .choices = "online offline never source",                                                                     \
         .meaning = "as its device; never: no message yet; source: a platform that sends for devices of its own"},     \
        {.name = "key",                                                                                                \
         .kind = PARAMETER_CHOICE,                                                                                     \
         .choices = "none secret sm4 old next",                                                                        \
         .meaning = "its secrets; old: an SM4 key that is to be changed; next: given one that it has not used yet"},   \
        {.name = "refused", .kind = PARAMETER_BOOLEAN, .meaning = "whether a gateway refused it since it was heard"},  \
        {.name = "waiting", .kind = PARAMETER_BOOLEAN, .meaning = "whether commands wait for it"}, {                   \
        .name = "text", .kind = PARAMETER_TEXT, .low = 2, .high = 64,                                                  \
        .meaning = "parts of its identity, or its device's code or name, with blanks between them"                     \
    }

static const struct parameter list_parameters[] = {TERMINAL_FILTERS, AFTER_ID, LIMIT, {0}};
static const struct parameter csv_parameters[] = {TERMINAL_FILTERS, CSV_LIMIT, CSV_BOM, {0}};
static const struct parameter counts_parameters[] = {TERMINAL_FILTERS, {0}};
static const struct parameter callers_parameters[] = {PROTOCOL, AFTER_ID, LIMIT, {0}};

static const struct parameter told_parameters[] = {TERMINAL_ID, AFTER_ID, LIMIT, {0}};
static const struct parameter terminal_parameters[] = {TERMINAL_ID, {0}};
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
     .pattern = "/api/v1/terminals.csv",
     .summary = "The same list as CSV",
     .right = RIGHT_COMMAND,
     .parameters = csv_parameters,
     .function = "onemap.http_terminals_csv",
     .by_row = true,
     .content_type = CSV_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/terminals.xlsx",
     .summary = "The same list as a workbook",
     .right = RIGHT_COMMAND,
     .parameters = csv_parameters,
     .function = "onemap.http_terminals_csv",
     .sheet = "编号 设备编号 经度 纬度 时差（分） 待发指令",
     .content_type = XLSX_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/terminals/counts",
     .summary = "How many terminals there are, by protocol and state, and how many need somebody",
     .right = RIGHT_COMMAND,
     .parameters = counts_parameters,
     .function = "onemap.http_terminal_counts",
     .content_type = JSON_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/terminals/callers",
     .summary = "Who called a gateway and is in no list, newest first",
     .right = RIGHT_COMMAND,
     .parameters = callers_parameters,
     .function = "onemap.http_terminal_callers",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/terminals/{id}",
     .summary = "One terminal: what it may be told, why it is refused, messages in quarantine that name its device",
     .right = RIGHT_COMMAND,
     .parameters = terminal_parameters,
     .function = "onemap.http_terminal",
     .content_type = JSON_TYPE},
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
