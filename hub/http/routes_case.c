/* routes_case.c: routes of cases: lists, counts, one case, its report and what is done with it. Their functions are in
 * schema/rules/http_case.sql; words such as states are checked there, against the rows that are law. */
#include "hub/http/routes.h"

enum { CASE_BODY_BYTES = 64 * 1024, CSV_DEADLINE_S = 60 };

/* By which cases are chosen; those of a statistic by what counted for it. */
#define CASE_FILTERS                                                                                                   \
    {.name = "source", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .list = 16, .meaning = "sources of cases"},       \
        {.name = "category",                                                                                           \
         .kind = PARAMETER_TEXT,                                                                                       \
         .high = 5,                                                                                                    \
         .list = 50,                                                                                                   \
         .meaning = "beginnings of category codes: 1 parts, 2 events, 3 digits a class; empty: no category yet"},      \
        {.name = "grid_cell",                                                                                          \
         .kind = PARAMETER_TEXT,                                                                                       \
         .high = 15,                                                                                                   \
         .list = 50,                                                                                                   \
         .meaning = "beginnings of grid cells: 6 digits a county, 9 a street, 12 a community, 15 a cell; empty: "      \
                    "without one"},                                                                                    \
        {.name = "department",                                                                                         \
         .kind = PARAMETER_TEXT,                                                                                       \
         .high = 32,                                                                                                   \
         .list = 50,                                                                                                   \
         .meaning = "responsible departments by their codes; empty: none yet"},                                        \
        {.name = "urgent", .kind = PARAMETER_BOOLEAN, .meaning = "whether the limit goes by the clock"},               \
        {.name = "from",                                                                                               \
         .kind = PARAMETER_TIME,                                                                                       \
         .meaning = "from this moment on, a day is its midnight; of a statistic its first day"},                       \
    {                                                                                                                  \
        .name = "to", .kind = PARAMETER_TIME,                                                                          \
        .meaning = "up to before this moment; of a statistic its last day, which is still in"                          \
    }

#define CASE_STATE_FILTERS                                                                                             \
    {.name = "state", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .list = 20, .meaning = "states of cases"},         \
        {.name = "stage", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .list = 10, .meaning = "stages of the loop"},  \
        {.name = "is",                                                                                                 \
         .kind = PARAMETER_TEXT,                                                                                       \
         .low = 1,                                                                                                     \
         .high = 32,                                                                                                   \
         .list = 20,                                                                                                   \
         .meaning = "figures of /api/v1/cases/statistics that hold, such as open,overdue"},                            \
        {.name = "not",                                                                                                \
         .kind = PARAMETER_TEXT,                                                                                       \
         .low = 1,                                                                                                     \
         .high = 32,                                                                                                   \
         .list = 20,                                                                                                   \
         .meaning = "figures that do not hold"},                                                                       \
        {.name = "subsystem", .kind = PARAMETER_TEXT, .low = 2, .high = 32, .meaning = "the subsystem that reported"}, \
        {.name = "device", .kind = PARAMETER_INTEGER, .low = 1, .high = INT32_MAX, .meaning = "a device's id"},        \
        {.name = "moment",                                                                                             \
         .kind = PARAMETER_CHOICE,                                                                                     \
         .choices = "reported accepted registered dispatched handled checked ended",                                   \
         .meaning = "which moment is between from and to; reported if it is left out"},                                \
        {.name = "box", .kind = PARAMETER_BOX, .meaning = "where: degrees of WGS 84"}, AREA, {                         \
        .name = "text", .kind = PARAMETER_TEXT, .low = 1, .high = 100,                                                 \
        .meaning = "words in number, title, address, outside number or description"                                    \
    }

#define CASE_STATISTIC                                                                                                 \
    {.name = "statistic",                                                                                              \
     .kind = PARAMETER_TEXT,                                                                                           \
     .low = 1,                                                                                                         \
     .high = 32,                                                                                                       \
     .meaning = "the cases that count for this measure, in month or from..to"},                                        \
        {.name = "month", .kind = PARAMETER_TEXT, .low = 7, .high = 7, .meaning = "of a statistic, such as 2026-10"},  \
    {                                                                                                                  \
        .name = "as_of", .kind = PARAMETER_TIME, .meaning = "of a statistic: what falls due later does not count"      \
    }

static const struct parameter list_parameters[] = {
    CASE_FILTERS, CASE_STATE_FILTERS, CASE_STATISTIC, AFTER_ID, LIMIT, AT, {0},
};

static const struct parameter csv_parameters[] = {
    CASE_FILTERS, CASE_STATE_FILTERS, CASE_STATISTIC, AFTER_ID, CSV_LIMIT, CSV_BOM, AT, {0},
};

static const struct parameter statistics_parameters[] = {
    CASE_FILTERS,
    CASE_STATE_FILTERS,
    {.name = "by",
     .kind = PARAMETER_CHOICE,
     .choices = "all state stage source class category department street grid_cell",
     .initial = "state",
     .meaning = "by what cases are counted"},
    AT,
    {0},
};

static const struct parameter change_parameters[] = {AFTER_CHANGE, LIMIT, {0}};

#define ONE_CASE                                                                                                       \
    { .name = "number", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .meaning = "a case's number" }

static const struct parameter one_parameters[] = {ONE_CASE, AT, {0}};
static const struct parameter act_parameters[] = {ONE_CASE, {0}};

const struct route routes_case[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/cases",
     .summary = "Cases by every figure, newest first, page by page",
     .right = RIGHT_READ,
     .parameters = list_parameters,
     .function = "onemap.http_cases",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/cases.csv",
     .summary = "The same list as CSV",
     .right = RIGHT_READ,
     .parameters = csv_parameters,
     .function = "onemap.http_cases_csv",
     .by_row = true,
     .content_type = CSV_TYPE,
     .compress = true,
     .deadline_s = CSV_DEADLINE_S},
    {.method = METHOD_GET,
     .pattern = "/api/v1/cases.xlsx",
     .summary = "The same list as a workbook",
     .right = RIGHT_READ,
     .parameters = csv_parameters,
     .function = "onemap.http_cases_csv",
     .sheet = "经度 纬度 回退次数 返工次数 督办次数 计入次数",
     .content_type = XLSX_TYPE,
     .cache = "private, no-cache",
     .deadline_s = 60},
    {.method = METHOD_GET,
     .pattern = "/api/v1/cases/statistics",
     .summary = "How many cases stand how, now or at a moment; each figure is a filter of the list",
     .right = RIGHT_READ,
     .parameters = statistics_parameters,
     .function = "onemap.http_case_statistics",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/cases/words",
     .summary = "States, stages, actions, posts, sources, figures, statistics and categories with their names",
     .right = RIGHT_READ,
     .function = "onemap.http_case_words",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/department/cases",
     .summary = "Steps of the own department's cases, each once and in order, from a cursor on",
     .right = RIGHT_READ,
     .parameters = change_parameters,
     .function = "onemap.http_department_changes",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/cases/{number}",
     .summary = "One case with journal, clock, what who asks can do, and open cases nearby",
     .right = RIGHT_READ,
     .parameters = one_parameters,
     .function = "onemap.http_case",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/api/v1/cases",
     .summary = "Reports a case",
     .right = RIGHT_READ,
     .body = {.types = "application/json", .limit = CASE_BODY_BYTES},
     .function = "onemap.http_case_report",
     .content_type = JSON_TYPE},
    {.method = METHOD_POST,
     .pattern = "/api/v1/cases/{number}/actions",
     .summary = "Acts on a case, as the person and post that logged in",
     .right = RIGHT_READ,
     .parameters = act_parameters,
     .body = {.types = "application/json", .limit = CASE_BODY_BYTES},
     .function = "onemap.http_case_do",
     .content_type = JSON_TYPE},
    {0},
};
