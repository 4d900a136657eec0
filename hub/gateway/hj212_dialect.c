/* hj212_dialect.c: dialects of HJ 212 from JSON. Must never take a file that is wrong in part: dust in ng that is read
 * as ug shuts a construction site. */
#include "hub/gateway/hj212_dialect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/base/count.h"
#include "hub/base/member.h"

enum { DAY_S = 86400 };

static const struct {
    const char *command;
    int number, seconds; /* default */
} spans[HJ212_SPANS] = {
    [HJ212_SPAN_2011] = {"2011", 2011, 60}, /* of the standard's commands it has no interval; makers send minutes */
    [HJ212_SPAN_2031] = {"2031", 2031, DAY_S},
    [HJ212_SPAN_2051] = {"2051", 2051, 600}, /* HJ 212-2017, MinInterval: 10 minutes if nobody sets another */
    [HJ212_SPAN_2061] = {"2061", 2061, 3600},
    [HJ212_SPAN_2111] = {"2111", 2111, 300}, /* HJ 212-2025: furnace temperature, means of 5 minutes */
};

static const struct metric *read_field(struct dialect_parser *parser, const struct adapter *adapter,
                                       const cJSON *object) {
    const char *key = member_text(object, "field");
    const struct metric *metric = adapter_metric(adapter, key);
    if (metric == NULL || metric->kind == METRIC_TEXT) {
        dialect_fault(parser, "field", "\"%.60s\" is no field with numbers of %s", key, adapter->key);
        return NULL;
    }
    return metric;
}

static bool read_factor(struct dialect_parser *parser, struct hj212_dialect *dialect, const cJSON *item) {
    static const char *const known[] = {"field", "unit", "scale", "add"};
    struct hj212_factor *factor = &dialect->factors[dialect->factor_count];
    snprintf(parser->place, sizeof parser->place, "factors.%.40s.", item->string);
    if (!cJSON_IsObject(item)) {
        return dialect_fault(parser, "", "must be an object such as {\"field\": \"pm10_ug_m3\", \"unit\": \"mg/m3\"}");
    }
    for (size_t i = 0; i < dialect->factor_count; i++) {
        if (strcasecmp(dialect->factors[i].code, item->string) == 0) {
            return dialect_fault(parser, "", "stands here twice (letters are not told apart by their case)");
        }
    }
    *factor = (struct hj212_factor){.code = item->string, .scale = 1};
    if (*item->string == '\0' || strpbrk(item->string, "-=;, ") != NULL) {
        return dialect_fault(parser, "", "must be a code without its suffix, such as a34004");
    }
    factor->metric =
        dialect_know_keys(parser, item, known, COUNT_OF(known)) ? read_field(parser, dialect->adapter, item) : NULL;
    if (factor->metric == NULL || !dialect_read_number(parser, item, "scale", &factor->scale) ||
        !dialect_read_number(parser, item, "add", &factor->add) ||
        !dialect_read_unit(parser, item, factor->metric, &factor->scale)) {
        return false;
    }
    if (factor->scale == 0) {
        return dialect_fault(parser, "scale", "must not be 0");
    }
    dialect->factor_count++;
    return true;
}

static bool read_factors(struct dialect_parser *parser, struct hj212_dialect *dialect) {
    const cJSON *factors = member_get(dialect->file, "factors");
    if (!cJSON_IsObject(factors) || cJSON_GetArraySize(factors) < 1 ||
        cJSON_GetArraySize(factors) > HJ212_FACTORS_MAX) {
        return dialect_fault(parser, "factors", "must be an object of 1 to %d factors by their codes",
                             HJ212_FACTORS_MAX);
    }
    for (const cJSON *item = factors->child; item != NULL; item = item->next) {
        if (!read_factor(parser, dialect, item)) {
            return false;
        }
    }
    parser->place[0] = '\0';
    return true;
}

/* A key that says flags, or what it is without it. */
static bool read_flags(struct dialect_parser *parser, const struct hj212_dialect *dialect, const char *key,
                       const char *otherwise, const char **flags) {
    const cJSON *item = member_get(dialect->file, key);
    *flags = item == NULL ? otherwise : cJSON_GetStringValue(item);
    return (*flags != NULL && strspn(*flags, HJ212_FLAGS) == strlen(*flags)) ||
           dialect_fault(parser, key, "must be flags of " HJ212_FLAGS ", such as \"NT\"");
}

static bool read_use(struct dialect_parser *parser, struct hj212_dialect *dialect) {
    return read_flags(parser, dialect, "over_range", "T", &dialect->over_range) &&
           read_flags(parser, dialect, "use", "N", &dialect->use) &&
           (*dialect->use != '\0' || dialect_fault(parser, "use", "must have a flag, such as \"N\""));
}

static bool read_spans(struct dialect_parser *parser, struct hj212_dialect *dialect) {
    const cJSON *object = member_get(dialect->file, "intervals");
    const char *known[HJ212_SPANS];
    for (int i = 0; i < HJ212_SPANS; i++) {
        known[i] = spans[i].command;
        dialect->seconds[i] = spans[i].seconds;
    }
    if (object == NULL) {
        return true;
    }
    if (!cJSON_IsObject(object)) {
        return dialect_fault(parser, "intervals", "must be an object of seconds by commands, such as {\"2051\": 300}");
    }
    snprintf(parser->place, sizeof parser->place, "intervals.");
    for (int i = 0; i < HJ212_SPANS; i++) {
        double seconds = spans[i].seconds;
        if (!dialect_read_number(parser, object, known[i], &seconds)) {
            return false;
        }
        if (!(seconds >= 1 && seconds <= DAY_S) || seconds != floor(seconds)) {
            return dialect_fault(parser, known[i], "must be a whole number of seconds, 1 to %d", DAY_S);
        }
        dialect->seconds[i] = (int)seconds;
    }
    bool good = dialect_know_keys(parser, object, known, HJ212_SPANS);
    parser->place[0] = good ? '\0' : parser->place[0];
    return good;
}

static bool read_flag_field(struct dialect_parser *parser, struct hj212_dialect *dialect) {
    static const char *const known[] = {"field", "map"};
    const cJSON *object = member_get(dialect->file, "flag_field");
    const cJSON *map = member_get(object, "map");
    for (size_t i = 0; i < HJ212_FLAGS_MAX; i++) {
        dialect->flag_values[i] = -1;
    }
    if (object == NULL) {
        return true;
    }
    snprintf(parser->place, sizeof parser->place, "flag_field.");
    if (!cJSON_IsObject(object) || !cJSON_IsObject(map)) {
        return dialect_fault(parser, "map", "must be an object of numbers by flags, such as {\"N\": 0}");
    }
    dialect->flag_metric =
        dialect_know_keys(parser, object, known, COUNT_OF(known)) ? read_field(parser, dialect->adapter, object) : NULL;
    if (dialect->flag_metric == NULL) {
        return false;
    }
    for (const cJSON *item = map->child; item != NULL; item = item->next) {
        const char *flag = strlen(item->string) == 1 ? strchr(HJ212_FLAGS, *item->string) : NULL;
        double most = dialect->flag_metric->max;
        if (flag == NULL || !cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= most) ||
            item->valuedouble != floor(item->valuedouble)) {
            return dialect_fault(parser, "map", "must have whole numbers of 0 to %.0f by flags of " HJ212_FLAGS, most);
        }
        dialect->flag_values[flag - HJ212_FLAGS] = (int)item->valuedouble;
    }
    parser->place[0] = '\0';
    return true;
}

static bool read_file(struct dialect_parser *parser, struct hj212_dialect *dialect) {
    static const char *const known[] = {"title", "note",       "subsystem", "factors",
                                        "use",   "over_range", "intervals", "flag_field"};
    if (!cJSON_IsObject(dialect->file)) {
        return dialect_fault(parser, "file", "is no JSON object");
    }
    if (!dialect_know_keys(parser, dialect->file, known, COUNT_OF(known))) {
        return false;
    }
    const char *subsystem = member_text(dialect->file, "subsystem");
    dialect->adapter = adapter_find(subsystem);
    if (dialect->adapter == NULL) {
        return dialect_fault(parser, "subsystem", "there is no subsystem \"%.40s\"", subsystem);
    }
    return read_factors(parser, dialect) && read_use(parser, dialect) && read_spans(parser, dialect) &&
           read_flag_field(parser, dialect);
}

struct hj212_dialect *hj212_dialect_parse(const char *text, size_t length, char problem[static DIALECT_PROBLEM_MAX]) {
    struct dialect_parser parser = {.problem = problem};
    struct hj212_dialect *dialect = calloc(1, sizeof *dialect);
    problem[0] = '\0';
    if (dialect == NULL) {
        snprintf(problem, DIALECT_PROBLEM_MAX, "there is no memory left");
        return NULL;
    }
    dialect->file = cJSON_ParseWithLength(text, length);
    if (!read_file(&parser, dialect)) {
        hj212_dialect_free(dialect);
        return NULL;
    }
    return dialect;
}

void hj212_dialect_free(struct hj212_dialect *dialect) {
    if (dialect != NULL) {
        cJSON_Delete(dialect->file);
        free(dialect);
    }
}

int hj212_dialect_seconds(const struct hj212_dialect *dialect, int command) {
    for (int i = 0; i < HJ212_SPANS; i++) {
        if (spans[i].number == command) {
            return dialect->seconds[i];
        }
    }
    return 0;
}
