/* routes_open311.c: Open311 GeoReport v2, by which citizens' programs report and read. Each resource is there as JSON
 * and as XML; its functions are in schema/rules/http_open311.sql. Whoever asks needs no login: what is public is an
 * allow-list there, and a report brings its key in the form. */
#include "hub/http/routes.h"

enum { FORM_BYTES = 64 * 1024, TEXT_MOST = 1024 };

#define TEXT(word, said)                                                                                               \
    { .name = word, .kind = PARAMETER_TEXT, .low = 0, .high = TEXT_MOST, .meaning = said }
#define JURISDICTION TEXT("jurisdiction_id", "the county's code, may be left out")
#define KEY TEXT("api_key", "with it, reports of private services that the same program has sent, too")
#define RANGE                                                                                                          \
    TEXT("start_date", "from this moment on (W3C time); 90 days at the most"),                                         \
        TEXT("end_date", "up to this moment; left out: now")

static const struct parameter plain_parameters[] = {JURISDICTION, {0}};
static const struct parameter service_parameters[] = {
    {.name = "code", .kind = PARAMETER_TEXT, .low = 1, .high = 64, .meaning = "a service_code"}, JURISDICTION, {0}};
static const struct parameter one_parameters[] = {
    {.name = "id", .kind = PARAMETER_TEXT, .low = 1, .high = 64, .meaning = "a service_request_id"},
    JURISDICTION,
    KEY,
    {0}};
static const struct parameter list_parameters[] = {
    JURISDICTION,
    KEY,
    RANGE,
    TEXT("service_request_id", "ids with commas between them; the other filters do not count then"),
    TEXT("service_code", "service codes with commas between them"),
    TEXT("status", "open, closed"),
    TEXT("lat", "with long: reports near this point alone, the nearest first (degrees of WGS 84)"),
    TEXT("long", "see lat"),
    TEXT("radius", "how near in metres, 5000 at the most; left out: 250"),
    TEXT("page", "which page, from 1"),
    TEXT("page_size", "reports of a page, 1000 at the most"),
    {0}};
static const struct parameter update_parameters[] = {
    JURISDICTION, KEY, RANGE, TEXT("service_request_id", "updates of this report alone"), {0}};

/* any_query: the standard wants what a server does not know to be passed over, as extensions are. */
#define READ(path, words, list, answer)                                                                                \
    {.method = METHOD_GET,                                                                                             \
     .pattern = "/open311/" path ".json",                                                                              \
     .summary = words ", as JSON",                                                                                     \
     .right = RIGHT_ANYONE,                                                                                            \
     .parameters = list,                                                                                               \
     .any_query = true,                                                                                                \
     .links = true,                                                                                                    \
     .function = "onemap.http_open311_" answer "_json",                                                                \
     .content_type = JSON_TYPE,                                                                                        \
     .compress = true},                                                                                                \
    {                                                                                                                  \
        .method = METHOD_GET, .pattern = "/open311/" path ".xml", .summary = words ", as XML", .right = RIGHT_ANYONE,  \
        .parameters = list, .any_query = true, .links = true, .function = "onemap.http_open311_" answer "_xml",        \
        .content_type = XML_TYPE, .compress = true                                                                     \
    }

#define SEND(path, words, answer)                                                                                      \
    {.method = METHOD_POST,                                                                                            \
     .pattern = "/open311/" path ".json",                                                                              \
     .summary = words ", answered as JSON",                                                                            \
     .right = RIGHT_ANYONE,                                                                                            \
     .parameters = plain_parameters,                                                                                   \
     .any_query = true,                                                                                                \
     .body = {.types = "application/x-www-form-urlencoded", .limit = FORM_BYTES},                                      \
     .function = "onemap.http_open311_" answer "_json",                                                                \
     .content_type = JSON_TYPE},                                                                                       \
    {                                                                                                                  \
        .method = METHOD_POST, .pattern = "/open311/" path ".xml", .summary = words ", answered as XML",               \
        .right = RIGHT_ANYONE, .parameters = plain_parameters, .any_query = true,                                      \
        .body = {.types = "application/x-www-form-urlencoded", .limit = FORM_BYTES},                                   \
        .function = "onemap.http_open311_" answer "_xml", .content_type = XML_TYPE                                     \
    }

const struct route routes_open311[] = {
    READ("discovery", "Open311: where what is spoken", plain_parameters, "discovery"),
    READ("v2/services", "Open311: what citizens may report", plain_parameters, "services"),
    READ("v2/services/{code}", "Open311: the attributes of a service", service_parameters, "definition"),
    READ("v2/requests", "Open311: reports that are public", list_parameters, "requests"),
    READ("v2/requests/{id}", "Open311: one report", one_parameters, "request"),
    READ("v2/tokens/{id}", "Open311: the id of a token", one_parameters, "tokens"),
    READ("v2/servicerequestupdates", "Open311: what has come of reports", update_parameters, "updates"),
    SEND("v2/requests", "Open311: a report", "report"),
    SEND("v2/servicerequestupdates", "Open311: an addition to a report", "remark"),
    {0},
};
