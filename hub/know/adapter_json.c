/* adapter_json.c: the adapters' tables as JSON. Pure: reads the tables, allocates the text, nothing else. */
#include "hub/know/adapter_json.h"

#include <cjson/cJSON.h>

#include "hub/adapter.h"

static const char *const kind_names[] = {
    [METRIC_GAUGE] = "gauge", [METRIC_COUNTER] = "counter", [METRIC_STATE] = "state", [METRIC_TEXT] = "text"};

static bool add_bound(cJSON *object, const char *key, double value, bool given) {
    cJSON *item = given ? cJSON_CreateNumber(value) : cJSON_CreateNull();
    if (item == NULL || !cJSON_AddItemToObject(object, key, item)) {
        cJSON_Delete(item);
        return false;
    }
    return true;
}

static bool add_metric(cJSON *metrics, const struct adapter *adapter, const struct metric *metric) {
    cJSON *object = cJSON_CreateObject();
    if (object == NULL || !cJSON_AddItemToArray(metrics, object)) {
        cJSON_Delete(object);
        return false;
    }
    return cJSON_AddStringToObject(object, "subsystem", adapter->key) != NULL &&
           cJSON_AddNumberToObject(object, "ordinal", metric->ordinal) != NULL &&
           cJSON_AddStringToObject(object, "key", metric->key) != NULL &&
           cJSON_AddStringToObject(object, "name_zh", metric->name_zh) != NULL &&
           cJSON_AddStringToObject(object, "unit", metric->unit) != NULL &&
           cJSON_AddStringToObject(object, "kind", kind_names[metric->kind]) != NULL &&
           add_bound(object, "min_value", metric->min, metric->kind != METRIC_TEXT && isfinite(metric->min)) &&
           add_bound(object, "max_value", metric->max, metric->kind != METRIC_TEXT && isfinite(metric->max)) &&
           add_bound(object, "rollover", metric->rollover, metric->rollover > 0);
}

static bool add_keys(cJSON *object, const char *const *keys) {
    cJSON *list = cJSON_AddArrayToObject(object, "metrics");
    bool complete = list != NULL;
    for (; complete && *keys != NULL; keys++) {
        cJSON *key = cJSON_CreateString(*keys);
        complete = key != NULL && cJSON_AddItemToArray(list, key);
        if (!complete) {
            cJSON_Delete(key);
        }
    }
    return complete;
}

static bool add_kind(cJSON *kinds, const struct adapter *adapter, const struct device_kind *kind) {
    cJSON *object = cJSON_CreateObject();
    if (object == NULL || !cJSON_AddItemToArray(kinds, object)) {
        cJSON_Delete(object);
        return false;
    }
    return cJSON_AddStringToObject(object, "subsystem", adapter->key) != NULL &&
           cJSON_AddStringToObject(object, "key", kind->key) != NULL &&
           cJSON_AddStringToObject(object, "name_zh", kind->name_zh) != NULL &&
           cJSON_AddBoolToObject(object, "mobile", kind->mobile) != NULL &&
           cJSON_AddNumberToObject(object, "offline_after_s", kind->offline_after_s) != NULL &&
           cJSON_AddNumberToObject(object, "interval_s", kind->interval_s) != NULL && add_keys(object, kind->metrics);
}

char *adapter_json(void) {
    cJSON *root = cJSON_CreateObject();
    cJSON *metrics = cJSON_AddArrayToObject(root, "metrics");
    cJSON *kinds = cJSON_AddArrayToObject(root, "kinds");
    bool complete = metrics != NULL && kinds != NULL;
    for (size_t i = 0; complete && i < adapter_count; i++) {
        for (size_t m = 0; complete && m < adapters[i]->metric_count; m++) {
            complete = add_metric(metrics, adapters[i], &adapters[i]->metrics[m]);
        }
        for (size_t k = 0; complete && k < adapters[i]->kind_count; k++) {
            complete = add_kind(kinds, adapters[i], &adapters[i]->kinds[k]);
        }
    }
    char *text = complete ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    return text;
}
