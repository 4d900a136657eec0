/* fuzz_json_reader.c: the pull reader alone: numbers are what strtod reads, skipping comes to the same place as
 * reading, and what is read without a mark is JSON to cJSON too. */
#include <cjson/cJSON.h>
#include <math.h>

#include "fuzz.h"
#include "hub/decode/json_reader.h"

struct walk {
    struct json_reader reader;
    bool odd; /* something that RFC 8259 does not know was taken */
};

static void check_number(const struct json_value *value, const char *start, const char *end) {
    char text[1100];
    size_t length = (size_t)(end - start);
    REQUIRE(length < sizeof text);
    memcpy(text, start, length);
    text[length] = '\0';
    /* As Microsoft's runtime prints what is no number; strtod reads the 1. */
    bool windows = strncmp(text + strspn(text, "+-"), "1.#", 3) == 0;
    double expected = windows ? NAN : strtod(text, NULL);
    REQUIRE(isnan(value->number) ? isnan(expected)
                                 : value->number == expected && signbit(value->number) == signbit(expected));
    REQUIRE(!value->is_whole || (double)value->whole == value->number);
}

static void walk_value(struct walk *walk, const struct json_value *value);

static void walk_items(struct walk *walk, const struct json_value *value) {
    struct json_reader *reader = &walk->reader;
    struct json_reader skipping = *reader;
    struct json_value item, name;
    bool first = true, skipped = json_skip(&skipping, value);
    size_t most = json_count_elements(reader), count = 0;
    unsigned depth = reader->depth;
    while (value->kind == JSON_ARRAY ? json_element(reader, &first) : json_member(reader, &first, &name)) {
        if (value->kind == JSON_OBJECT) {
            walk->odd = walk->odd || name.wrong_escape || name.is_cut;
        }
        struct json_reader before = *reader;
        if (!json_value(reader, &item)) {
            break;
        }
        count++;
        if (item.kind == JSON_NUMBER) {
            const char *start = before.at + strspn(before.at, " \t\r\n");
            check_number(&item, start, reader->at);
        }
        walk_value(walk, &item);
    }
    REQUIRE(skipped == (reader->problem == NULL));
    REQUIRE(skipping.at == reader->at && skipping.problem == reader->problem);
    REQUIRE(!skipped || (reader->depth == depth - 1 && skipping.depth == reader->depth));
    REQUIRE(!skipped || count <= most);
}

static void walk_value(struct walk *walk, const struct json_value *value) {
    REQUIRE(walk->reader.at <= walk->reader.end && walk->reader.depth <= JSON_DEPTH_MAX);
    switch (value->kind) {
    case JSON_ARRAY:
    case JSON_OBJECT:
        walk_items(walk, value);
        break;
    case JSON_STRING:
        REQUIRE(value->is_cut == (value->length > JSON_SCRATCH_MAX && value->text == walk->reader.scratch));
        walk->odd = walk->odd || value->wrong_escape || value->is_cut;
        break;
    case JSON_NUMBER:
        walk->odd = walk->odd || !isfinite(value->number);
        break;
    case JSON_WORD:
        walk->odd = true;
        break;
    case JSON_NULL:
    case JSON_TRUE:
    case JSON_FALSE:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char scratch[JSON_SCRATCH_MAX];
    char *text = fuzz_text(data, size);
    struct walk walk = {0};
    struct json_value value;
    json_reader_begin(&walk.reader, text, size, scratch);
    if (json_value(&walk.reader, &value)) {
        walk_value(&walk, &value);
    }
    REQUIRE(walk.reader.problem != NULL || walk.reader.depth == 0);
    if (walk.reader.problem == NULL && json_at_end(&walk.reader) && !walk.odd) {
        const char *end = NULL;
        cJSON *peer = cJSON_ParseWithLengthOpts(text, size + 1, &end, 1);
        REQUIRE(peer != NULL);
        cJSON_Delete(peer);
    }
    free(text);
    return 0;
}
