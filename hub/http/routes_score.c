/* routes_score.c: routes of statistics, scores, the county's assessment and its publication. Their functions are in
 * schema/rules/http_score.sql. */
#include "hub/http/routes.h"

enum { ENTRY_BYTES = 16 * 1024, COUNTING_S = 60 };

#define MONTH                                                                                                          \
    { .name = "month", .kind = PARAMETER_TEXT, .low = 7, .high = 7, .meaning = "such as 2026-10" }
#define AS_OF                                                                                                          \
    { .name = "as_of", .kind = PARAMETER_TIME, .meaning = "what falls due later does not count" }
#define FORMULA                                                                                                        \
    {                                                                                                                  \
        .name = "formula", .kind = PARAMETER_TEXT, .low = 1, .high = 32,                                               \
        .meaning = "another formula than the month's: its version or key"                                              \
    }

static const struct parameter statistics_parameters[] = {
    MONTH,
    {.name = "from", .kind = PARAMETER_TIME, .meaning = "first day, instead of a month"},
    {.name = "to", .kind = PARAMETER_TIME, .meaning = "last day, which is still in"},
    {.name = "by",
     .kind = PARAMETER_CHOICE,
     .choices = "department street grid_cell category source person all",
     .initial = "department",
     .meaning = "by what is counted"},
    {.name = "source", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .list = 16, .meaning = "sources of cases"},
    {.name = "category",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = 5,
     .list = 50,
     .meaning = "beginnings of category codes"},
    {.name = "grid_cell",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = 15,
     .list = 50,
     .meaning = "beginnings of grid cells"},
    {.name = "department",
     .kind = PARAMETER_TEXT,
     .high = 32,
     .list = 50,
     .meaning = "departments by their codes; empty: none yet"},
    {.name = "urgent", .kind = PARAMETER_BOOLEAN, .meaning = "whether the limit goes by the clock"},
    AS_OF,
    {0},
};

static const struct parameter score_parameters[] = {MONTH, FORMULA, AS_OF, {0}};
static const struct parameter explain_parameters[] = {
    MONTH,   {.name = "department", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .meaning = "a department's code"},
    FORMULA, AS_OF,
    {0},
};
static const struct parameter month_parameters[] = {MONTH, {0}};
static const struct parameter year_parameters[] = {
    {.name = "year", .kind = PARAMETER_INTEGER, .low = 2000, .high = 2099, .meaning = "a year"},
    {0},
};

/* What is asked of a month, all alike. */
#define MONTH_ROW(the_pattern, the_summary, the_function)                                                              \
    {                                                                                                                  \
        .method = METHOD_GET, .pattern = (the_pattern), .summary = (the_summary), .right = RIGHT_READ,                 \
        .parameters = month_parameters, .function = (the_function), .content_type = JSON_TYPE,                         \
        .cache = "private, no-cache", .etag = ETAG_BYTES, .compress = true, .deadline_s = COUNTING_S                   \
    }
#define ENTRY_ROW(the_pattern, the_summary, the_function)                                                              \
    {                                                                                                                  \
        .method = METHOD_POST, .pattern = (the_pattern), .summary = (the_summary), .right = RIGHT_SCORE,               \
        .parameters = month_parameters, .body = {.types = "application/json", .limit = ENTRY_BYTES},                   \
        .function = (the_function), .content_type = JSON_TYPE                                                          \
    }

const struct route routes_score[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/scores/statistics",
     .summary = "Measures and rates of a month or of days; each opens its list of cases",
     .right = RIGHT_READ,
     .parameters = statistics_parameters,
     .function = "onemap.http_score_statistics",
     .content_type = JSON_TYPE,
     .compress = true,
     .deadline_s = COUNTING_S},
    {.method = METHOD_GET,
     .pattern = "/api/v1/scores/{month}",
     .summary = "Digital scores of a month",
     .right = RIGHT_READ,
     .parameters = score_parameters,
     .function = "onemap.http_scores",
     .content_type = JSON_TYPE,
     .compress = true,
     .deadline_s = COUNTING_S},
    {.method = METHOD_GET,
     .pattern = "/api/v1/scores/{month}/departments/{department}",
     .summary = "Why a score is what it is, down to the cases",
     .right = RIGHT_READ,
     .parameters = explain_parameters,
     .function = "onemap.http_score_explain",
     .content_type = JSON_TYPE,
     .compress = true,
     .deadline_s = COUNTING_S},
    MONTH_ROW("/api/v1/assessments/{month}", "The county's assessment and ranking of a month",
              "onemap.http_assessment"),
    MONTH_ROW("/api/v1/assessments/{month}/status", "How far a month is, and what is missing",
              "onemap.http_assessment_status"),
    MONTH_ROW("/api/v1/assessments/{month}/entries", "What was entered for a month", "onemap.http_assessment_entries"),
    {.method = METHOD_GET,
     .pattern = "/api/v1/assessments/years/{year}",
     .summary = "The year's ranking",
     .right = RIGHT_READ,
     .parameters = year_parameters,
     .function = "onemap.http_assessment_year",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/publications",
     .summary = "The published months",
     .right = RIGHT_READ,
     .function = "onemap.http_publications",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    MONTH_ROW("/api/v1/publications/{month}", "What was published, with its hash", "onemap.http_publication"),
    ENTRY_ROW("/api/v1/assessments/{month}/entries", "Enters a score of a campaign or office",
              "onemap.http_assessment_enter"),
    ENTRY_ROW("/api/v1/assessments/{month}/awards", "Enters a bonus or deduction, or takes one back",
              "onemap.http_assessment_award"),
    ENTRY_ROW("/api/v1/scores/{month}/inputs", "Enters points that people give", "onemap.http_score_input"),
    ENTRY_ROW("/api/v1/scores/{month}/adjustments", "Corrects a closed month", "onemap.http_score_adjust"),
    {.method = METHOD_POST,
     .pattern = "/api/v1/publications/{month}",
     .summary = "Closes and publishes a month",
     .right = RIGHT_SCORE,
     .parameters = month_parameters,
     .function = "onemap.http_publish",
     .content_type = JSON_TYPE,
     .deadline_s = COUNTING_S},
    {0},
};
