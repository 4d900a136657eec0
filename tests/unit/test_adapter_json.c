/* test_adapter_json.c: the adapters' tables as JSON: everything is there, in the words that the schema reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "hub/adapter.h"
#include "hub/know/adapter_json.h"

static const char *text_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

/* The number of a member, or `none` if it is null. */
static double number_of(const cJSON *object, const char *key, double none) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsNumber(item) || cJSON_IsNull(item));
    return cJSON_IsNull(item) ? none : item->valuedouble;
}

static void check_metric(const cJSON *object, const struct adapter *adapter, const struct metric *metric) {
    static const char *const kinds[] = {"gauge", "counter", "state", "text"};
    bool is_text = metric->kind == METRIC_TEXT;
    assert_int_equal(cJSON_GetArraySize(object), 9);
    assert_string_equal(text_of(object, "subsystem"), adapter->key);
    assert_true(number_of(object, "ordinal", -1) == metric->ordinal);
    assert_string_equal(text_of(object, "key"), metric->key);
    assert_string_equal(text_of(object, "name_zh"), metric->name_zh);
    assert_string_equal(text_of(object, "unit"), metric->unit);
    assert_string_equal(text_of(object, "kind"), kinds[metric->kind]);
    assert_true(number_of(object, "min_value", -12345) == (is_text ? -12345 : metric->min));
    assert_true(number_of(object, "max_value", -12345) == (is_text ? -12345 : metric->max));
    assert_true(number_of(object, "rollover", -12345) == (metric->rollover > 0 ? metric->rollover : -12345));
}

static void check_keys(const cJSON *list, const char *const *keys) {
    assert_true(cJSON_IsArray(list));
    const cJSON *item = list->child;
    for (; *keys != NULL; keys++, item = item->next) {
        assert_non_null(item);
        assert_string_equal(item->valuestring, *keys);
    }
    assert_null(item);
}

static void test_everything_is_there(void **state) {
    (void)state;
    char *text = adapter_json();
    assert_non_null(text);
    cJSON *root = cJSON_Parse(text);
    assert_non_null(root);
    assert_int_equal(cJSON_GetArraySize(root), 2);
    const cJSON *metric = cJSON_GetObjectItemCaseSensitive(root, "metrics")->child;
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(root, "kinds")->child;
    for (size_t i = 0; i < adapter_count; i++) {
        for (size_t m = 0; m < adapters[i]->metric_count; m++, metric = metric->next) {
            assert_non_null(metric);
            check_metric(metric, adapters[i], &adapters[i]->metrics[m]);
        }
        for (size_t k = 0; k < adapters[i]->kind_count; k++, kind = kind->next) {
            assert_non_null(kind);
            assert_int_equal(cJSON_GetArraySize(kind), 7);
            assert_string_equal(text_of(kind, "subsystem"), adapters[i]->key);
            assert_string_equal(text_of(kind, "key"), adapters[i]->kinds[k].key);
            assert_string_equal(text_of(kind, "name_zh"), adapters[i]->kinds[k].name_zh);
            assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(kind, "mobile")),
                             adapters[i]->kinds[k].mobile);
            assert_true(number_of(kind, "offline_after_s", -1) == adapters[i]->kinds[k].offline_after_s);
            assert_true(number_of(kind, "interval_s", -1) == adapters[i]->kinds[k].interval_s);
            check_keys(cJSON_GetObjectItemCaseSensitive(kind, "metrics"), adapters[i]->kinds[k].metrics);
        }
    }
    assert_null(metric);
    assert_null(kind);
    cJSON_Delete(root);
    free(text);
}

static void test_same_bytes(void **state) {
    (void)state;
    char *first = adapter_json(), *second = adapter_json();
    assert_string_equal(first, second);
    free(first);
    free(second);
}

/* ---- memory that runs out at each allocation in turn: NULL, and nothing is left behind */

static int allocations_left;

static void *scarce(size_t size) {
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void test_out_of_memory(void **state) {
    (void)state;
    cJSON_Hooks hooks = {scarce, free};
    char *text = NULL;
    int allocations = 0;
    cJSON_InitHooks(&hooks);
    for (; text == NULL && allocations < 100000; allocations += allocations < 100 ? 1 : 97) {
        allocations_left = allocations;
        text = adapter_json();
    }
    cJSON_InitHooks(NULL);
    assert_non_null(text);
    assert_in_range(allocations, 100, 99999);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_there),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
