/* test_member.c: members of JSON objects by their exact names, and what stands for one that is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/error.h"
#include "hub/base/member.h"

static void test_reading(void **state) {
    (void)state;
    cJSON *object = cJSON_Parse(
        "{\"Name\": \"other\", \"name\": \"甲\", \"n\": -1.5, \"yes\": true, \"no\": false, \"nil\": null}");
    assert_string_equal(member_text(object, "name"), "甲");
    assert_string_equal(member_text(object, "NAME"), "");
    assert_string_equal(member_text(object, "n"), "");
    assert_string_equal(member_text(NULL, "name"), "");
    assert_true(member_number(object, "n", 7) == -1.5);
    assert_true(member_number(object, "name", 7) == 7);
    assert_true(member_number(object, "nil", 7) == 7);
    assert_true(member_number(NULL, "n", 7) == 7);
    assert_true(member_is_number(object, "n"));
    assert_false(member_is_number(object, "nil"));
    assert_true(member_true(object, "yes"));
    assert_false(member_true(object, "no"));
    assert_false(member_true(object, "name"));
    assert_null(member_get(object, "Yes"));
    cJSON_Delete(object);
}

static void test_finding(void **state) {
    (void)state;
    cJSON *array = cJSON_Parse("[{\"key\": \"a\"}, 7, {\"key\": \"b\", \"n\": 1}, {\"key\": \"b\", \"n\": 2}]");
    assert_true(member_number(member_find(array, "key", "b"), "n", 0) == 1);
    assert_null(member_find(array, "key", "c"));
    assert_null(member_find(NULL, "key", "a"));
    cJSON_Delete(array);
}

static void test_putting(void **state) {
    (void)state;
    cJSON *object = cJSON_Parse("{\"A\": 1, \"a\": 2}");
    assert_int_equal(member_put(object, "a", cJSON_CreateString("new")), 0);
    assert_int_equal(member_put(object, "b", cJSON_CreateTrue()), 0);
    assert_int_equal(member_put(object, "c", NULL), CH_EMEMORY);
    char *text = cJSON_PrintUnformatted(object);
    assert_string_equal(text, "{\"A\":1,\"a\":\"new\",\"b\":true}");
    cJSON_free(text);
    cJSON_Delete(object);
}

static void test_key(void **state) {
    (void)state;
    static const char *const keys[][2] = {{"\"甲-7\"", "甲-7"},
                                          {"7", "7"},
                                          {"-0.5", "-0.5"},
                                          {"9007199254740991", "9007199254740991"},
                                          {"1234567890123456", "1234567890123456"},
                                          {"9007199254740993", ""},
                                          {"1e300", ""},
                                          {"true", ""},
                                          {"null", ""},
                                          {"[1]", ""}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char text[64];
        cJSON *value = cJSON_Parse(keys[i][0]);
        assert_int_equal(member_key(value, text, sizeof text), strlen(keys[i][1]));
        assert_string_equal(text, keys[i][1]);
        cJSON_Delete(value);
    }
    char two[3];
    cJSON *long_one = cJSON_Parse("12345");
    assert_int_equal(member_key(long_one, two, sizeof two), 5);
    assert_string_equal(two, "12");
    assert_int_equal(member_key(NULL, two, sizeof two), 0);
    cJSON_Delete(long_one);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reading), cmocka_unit_test(test_finding),
                                       cmocka_unit_test(test_putting), cmocka_unit_test(test_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
