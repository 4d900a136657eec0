/* test_guides.c: the examples of the vendors' guides (adapters/<subsystem>/<subsystem>.md) go through the hub's decoder
 * without a problem or a warning; the protobuf and the JSON example are the same record, one that a kind of device
 * sends. protoc makes the bytes of the protobuf examples: an encoder that is not ours. */
#include <unistd.h>

#include "decoded.h"
#include "hub/base/error.h"

enum { EXAMPLE_MAX = 16384, EXAMPLES_MAX = 8 };

struct example {
    char kind[16], form[16];
    char payload[EXAMPLE_MAX];
    size_t length;
};

static char page[1 << 18];

static void page_read(const char *key) {
    char path[512];
    snprintf(path, sizeof path, "%s/adapters/%s/%s.md", CITYHUB_SOURCE_DIR, key, key);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("%s: there is no guide", path);
        return;
    }
    size_t length = fread(page, 1, sizeof page - 1, file);
    fclose(file);
    assert_in_range(length, 1, sizeof page - 2);
    page[length] = '\0';
}

/* The bytes of a batch in protobuf's text form, in its place. */
static void encode(const char *key, struct example *example) {
    char text_path[] = "/tmp/cityhub-guide-XXXXXX", command[1024], name[64] = "";
    for (const char *at = key; *at != '\0'; at++) { /* construction_waste is ConstructionWasteBatch */
        bool first = at == key || at[-1] == '_';
        size_t used = strlen(name);
        if (*at != '_') {
            name[used] = (char)(first ? *at - 'a' + 'A' : *at);
        }
    }
    int file = mkstemp(text_path);
    assert_true(file >= 0);
    assert_int_equal(write(file, example->payload, example->length), (ssize_t)example->length);
    close(file);
    snprintf(command, sizeof command, "protoc --proto_path=%s/proto --encode=cityhub.v1.%sBatch %s/proto/%s.proto <%s",
             CITYHUB_SOURCE_DIR, name, CITYHUB_SOURCE_DIR, key, text_path);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    example->length = fread(example->payload, 1, sizeof example->payload, output);
    int status = pclose(output);
    unlink(text_path);
    if (status != 0 || example->length == 0) {
        fail_msg("%s: protoc refuses the protobuf example", key);
    }
}

/* Examples are fenced blocks after a mark `<!-- example: KIND FORM -->`. Returns how many there are. */
static int examples_read(const char *key, struct example *examples) {
    int count = 0;
    page_read(key);
    for (const char *at = page; (at = strstr(at, "<!-- example: ")) != NULL; count++) {
        struct example *example = &examples[count];
        assert_in_range(count, 0, EXAMPLES_MAX - 1);
        assert_int_equal(sscanf(at, "<!-- example: %15s %15s -->\n```", example->kind, example->form), 2);
        const char *fence = strstr(at, "\n```");
        assert_non_null(fence);
        const char *start = strchr(fence + 1, '\n') + 1;
        const char *end = strstr(start, "\n```");
        assert_non_null(end);
        example->length = (size_t)(end + 1 - start);
        assert_in_range(example->length, 2, EXAMPLE_MAX - 1);
        memcpy(example->payload, start, example->length);
        if (strcmp(example->form, "protobuf") == 0) {
            encode(key, example);
        } else {
            assert_string_equal(example->form, "json");
        }
        at = end;
    }
    return count;
}

/* A record of one form, kept while the other is decoded. */
static struct record other;
static char other_texts[ADAPTER_METRICS_MAX][DECODE_TEXT_MAX + 1], other_code[DECODE_CODE_MAX + 1];

static void other_keep(const struct decoded *decoded) {
    other = decoded->records[0];
    memcpy(other_texts, decoded->texts[0], sizeof other_texts);
    memcpy(other_code, decoded->codes[0], sizeof other_code);
}

static void same_record(const struct adapter *adapter, const struct decoded *decoded) {
    const struct record *record = &decoded->records[0];
    assert_string_equal(record->device_code, other_code);
    assert_int_equal(record->observed_at_ms, other.observed_at_ms);
    assert_int_equal(record->present, other.present);
    assert_int_equal(record->text_present, other.text_present);
    assert_int_equal(record->has_position, other.has_position);
    if (record->has_position) {
        assert_true(record->lon == other.lon && record->lat == other.lat);
    }
    for (size_t m = 0; m < adapter->metric_count; m++) {
        if ((record->present >> m & 1) != 0 && record->values[m] != other.values[m]) {
            fail_msg("%s.%s: %g in one form, %g in the other", adapter->key, adapter->metrics[m].key, record->values[m],
                     other.values[m]);
        }
        if ((record->text_present >> m & 1) != 0) {
            assert_string_equal(record->texts[m], other_texts[m]);
        }
    }
}

/* The kind of device that sends all of the record's fields and moves if the record has a position; NULL = none. */
static const struct device_kind *kind_of(const struct adapter *adapter, const struct record *record) {
    for (size_t k = 0; k < adapter->kind_count; k++) {
        uint64_t known = 0;
        for (const char *const *key = adapter->kinds[k].metrics; *key != NULL; key++) {
            known |= UINT64_C(1) << decoded_bit(adapter, *key);
        }
        if (((record->present | record->text_present) & ~known) == 0 &&
            adapter->kinds[k].mobile == record->has_position) {
            return &adapter->kinds[k];
        }
    }
    return NULL;
}

static void check_document(const struct adapter *adapter, const char *kind, const cJSON *document) {
    if (strcmp(kind, "inventory") == 0) {
        const char *device_kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(document, "kind"));
        if (adapter_kind(adapter, device_kind) < 0) {
            fail_msg("%s: its inventory example has the kind %s, which is none", adapter->key, device_kind);
        }
    }
}

static void decode_example(struct decoded *decoded, const struct adapter *adapter, const struct example *example) {
    bool telemetry = strcmp(example->kind, "telemetry") == 0;
    decoded_run(decoded, adapter, telemetry ? NULL : example->kind, example->payload, example->length);
    int delivered = telemetry ? decoded->record_count : decoded->document_count;
    if (decoded->problem_count != 0 || decoded->warning_count != 0 || delivered == 0 || delivered != decoded->total) {
        decoded_print(decoded);
        fail_msg("%s: example %s %s: %d records, %d delivered, %d problems, %d warnings", adapter->key, example->kind,
                 example->form, decoded->total, delivered, decoded->problem_count, decoded->warning_count);
    }
    for (int i = 0; i < decoded->document_count && i < DECODED_MAX; i++) {
        check_document(adapter, example->kind, decoded->documents[i]);
    }
}

static void check_guide(struct decoded *decoded, const struct adapter *adapter) {
    static struct example examples[EXAMPLES_MAX];
    int count = examples_read(adapter->key, examples), telemetry = 0, inventory = 0;
    for (int i = 0; i < count; i++) {
        decode_example(decoded, adapter, &examples[i]);
        inventory += strcmp(examples[i].kind, "inventory") == 0;
        if (strcmp(examples[i].kind, "telemetry") != 0) {
            continue;
        }
        const struct record *record = &decoded->records[0];
        assert_int_equal(decoded->record_count, 1);
        assert_int_equal(record->quality, 0); /* all within their physical ranges */
        if (kind_of(adapter, record) == NULL) {
            fail_msg("%s: no kind of device sends the fields of its %s example", adapter->key, examples[i].form);
        }
        if (telemetry++ == 0) {
            other_keep(decoded);
            assert_string_equal(examples[i].form, "protobuf");
        } else {
            assert_string_equal(examples[i].form, "json");
            same_record(adapter, decoded);
        }
    }
    assert_int_equal(telemetry, 2);
    assert_true(inventory > 0);
}

static void test_examples(void **state) {
    assert_true(adapter_count > 0);
    for (size_t i = 0; i < adapter_count; i++) {
        check_guide(*state, adapters[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_examples, decoded_setup, decoded_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
