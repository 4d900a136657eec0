/* fuzz_mapping.c: a mapping and a message of a foreign platform, both anybody's: what is made is whole, finite and
 * bounded, and of a message that makes nothing there is a reason. The input is a mapping, a zero byte, and the message;
 * without a zero byte it is the message of a mapping that has all parts. */
#include <math.h>

#include "fuzz.h"
#include "hub/base/member.h"
#include "hub/decode/json_document.h"
#include "hub/gateway/mapping.h"

static const char mapping_text[] =
    "{\"subsystem\": \"dust\", \"unpack\": [\"msg\", \"data\"], \"records\": \"*/[]\", \"device\": [\"id\", \"$1\"], "
    "\"time\": {\"at\": [\"ts\", \"/ts\"], \"form\": \"iso\", \"arrival\": true}, \"position\": {\"lon\": \"x\", \"lat\": "
    "\"y\"}, \"values\": [\"v\", \"\"], \"pairs\": {\"list\": \"l/*\", \"name\": \"n\", \"value\": \"v\"}, \"frames\": "
    "{\"at\": \"f\"}, \"events\": {\"at\": \"t\", \"is\": [2]}, \"ignore\": [\"id\"], \"fields\": {\"a\": {\"field\": "
    "\"pm25_ug_m3\", \"unit\": \"mg/m3\"}, \"b\": {\"field\": \"spraying_on\", \"map\": {\"on\": 1}}}}";

static const char dialect_text[] = "{\"subsystem\": \"dust\", \"factors\": {\"a34004\": {\"field\": \"pm25_ug_m3\"}}}";

static struct hj212_dialect *dialect;

static void check_numbers(const cJSON *item) {
    for (; item != NULL; item = item->next) {
        REQUIRE(!cJSON_IsNumber(item) || isfinite(item->valuedouble));
        check_numbers(item->child);
    }
}

static void check(const struct mapping *mapping, const char *bytes, size_t length) {
    cJSON *document = json_document(bytes, length), *telemetry = cJSON_CreateArray();
    cJSON *intervals = cJSON_CreateArray();
    struct mapping_outcome outcome;
    const struct mapping_origin origin = {.adapter = mapping->adapter == NULL ? adapter_find("dust") : mapping->adapter,
                                          .device = length % 2 == 0 ? "" : "X",
                                          .now_ms = 1790000000000,
                                          .dialect = dialect};
    if (document != NULL) {
        REQUIRE(mapping_apply(mapping, document, &origin, telemetry, intervals, &outcome) == 0);
        REQUIRE(outcome.readings == (unsigned)cJSON_GetArraySize(telemetry));
        REQUIRE(outcome.intervals == (unsigned)cJSON_GetArraySize(intervals));
        REQUIRE((outcome.failed > 0) == (outcome.problem[0] != '\0'));
        REQUIRE(outcome.readings + outcome.intervals + outcome.failed > 0);
        for (const cJSON *record = intervals->child; record != NULL; record = record->next) {
            REQUIRE(cJSON_GetArraySize(member_get(record, "others")) <= 100);
        }
        check_numbers(telemetry->child);
        check_numbers(intervals->child);
    }
    cJSON_Delete(document);
    cJSON_Delete(telemetry);
    cJSON_Delete(intervals);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char problem[DIALECT_PROBLEM_MAX];
    const uint8_t *cut = size == 0 ? NULL : memchr(data, 0, size);
    dialect = dialect != NULL ? dialect : hj212_dialect_parse(dialect_text, sizeof dialect_text - 1, problem);
    REQUIRE(dialect != NULL);
    struct mapping *mapping = cut == NULL ? mapping_parse(mapping_text, sizeof mapping_text - 1, problem)
                                          : mapping_parse((const char *)data, (size_t)(cut - data), problem);
    REQUIRE(mapping != NULL || (cut != NULL && *problem != '\0'));
    if (mapping != NULL) {
        const uint8_t *message = cut == NULL ? data : cut + 1;
        check(mapping, (const char *)message, size - (size_t)(message - data));
    }
    mapping_free(mapping);
    return 0;
}
