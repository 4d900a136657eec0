/* decode_value.c: is a value one that its field can have: times, texts, enums, the same for both forms. Changes nothing
 * but what the decoder notes. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hub/base/count.h"
#include "hub/base/text.h"
#include "hub/decode/decode_internal.h"

/* A time as people read it, for reasons. */
static const char *time_show(char shown[static 40], int64_t ms) {
    struct tm utc;
    time_t seconds = (time_t)(ms / 1000);
    if (ms < -62135596800000 || ms > 253402300799999 || gmtime_r(&seconds, &utc) == NULL) { /* years 1 to 9999 */
        snprintf(shown, 40, "%lld ms", (long long)ms);
    } else {
        strftime(shown, 40, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    return shown;
}

bool decode_check_time(struct decoder *decoder, const char *field, int64_t ms) {
    const struct decode_limits *limits = decoder->limits;
    char shown[40], limit[40];
    if (ms > limits->newest_ms) {
        bool nanoseconds = ms / 1000 >= limits->oldest_ms;
        decode_refuse(decoder, PROBLEM_TIME_AHEAD, "%s: %s is ahead of the hub's clock (newest accepted: %s); %s",
                      field, time_show(shown, ms), time_show(limit, limits->newest_ms),
                      nanoseconds ? "the unit is milliseconds, not microseconds or less"
                                  : "set the device's clock, send UTC");
        return false;
    }
    if (ms < limits->oldest_ms) {
        bool seconds = ms > 0 && ms <= limits->newest_ms / 1000 && ms >= limits->oldest_ms / 1000;
        decode_refuse(decoder, PROBLEM_TIME_TOO_OLD, "%s: %s is older than what is kept (oldest accepted: %s); %s",
                      field, time_show(shown, ms), time_show(limit, limits->oldest_ms),
                      seconds ? "the unit is milliseconds, not seconds" : "set the device's clock, send UTC");
        return false;
    }
    return true;
}

/* NUL, blanks, line ends; no-break space, zero width space, ideographic space, byte order mark. */
static const struct {
    const char *bytes;
    size_t length;
} nothings[] = {{"\0", 1},          {" ", 1},        {"\t", 1},           {"\r", 1},
                {"\n", 1},          {"\xc2\xa0", 2}, {"\xe2\x80\x8b", 3}, {"\xe3\x80\x80", 3},
                {"\xef\xbb\xbf", 3}};

/* Bytes of nothing at the beginning, or at the end, of a text; 0 = it begins, or ends, with something. */
static size_t nothing_at(const char *text, size_t length, bool end) {
    for (size_t i = 0; i < COUNT_OF(nothings); i++) {
        size_t bytes = nothings[i].length;
        if (length >= bytes && memcmp(end ? text + length - bytes : text, nothings[i].bytes, bytes) == 0) {
            return bytes;
        }
    }
    return 0;
}

static bool is_visible(char character) {
    return character > ' ' && character < 0x7f;
}

struct decode_scalar decode_text_bare(const struct decode_scalar *scalar) {
    struct decode_scalar bare = *scalar;
    /* Of what is longer than the scratch nobody has the end; it is too long for every field. Most begin and end with a
     * visible character of ASCII, which is not looked for further. */
    if (bare.length > 0 && bare.length <= JSON_SCRATCH_MAX &&
        !(is_visible(bare.text[0]) && is_visible(bare.text[bare.length - 1]))) {
        for (size_t bytes; (bytes = nothing_at(bare.text, bare.length, true)) > 0;) {
            bare.length -= bytes;
        }
        for (size_t bytes; (bytes = nothing_at(bare.text, bare.length, false)) > 0;) {
            bare.text += bytes;
            bare.length -= bytes;
        }
    }
    return bare;
}

bool decode_check_text(struct decoder *decoder, const char *field, const struct decode_scalar *scalar, size_t limit,
                       enum decode_problem problem) {
    const char *flaw = NULL;
    char shown[DECODE_SHOWN_MAX];
    if (scalar->length > limit) {
        decode_refuse(decoder, problem, "%s%s: %s is %zu bytes long; at most %zu are allowed", decoder->within, field,
                      text_show(shown, scalar->text, limit), scalar->length, limit);
        return false;
    }
    flaw = scalar->wrong_escape ? "has a wrong escape"
                                : text_flaw(scalar->text, scalar->length, problem == PROBLEM_BAD_TEXT);
    if (flaw != NULL) {
        decode_refuse(decoder, problem, "%s%s: %s %s; send UTF-8 without control characters", decoder->within, field,
                      text_show(shown, scalar->text, scalar->length), flaw);
        return false;
    }
    return true;
}

/* ---- enums */

/* "A = 0, B = 1": all values, or as many as there is room for. */
static void enum_show(const ProtobufCEnumDescriptor *values, char *names, size_t size) {
    size_t used = 0;
    names[0] = '\0';
    for (unsigned i = 0; i < values->n_values; i++) {
        char one[80];
        int length =
            snprintf(one, sizeof one, "%s%s = %d", i == 0 ? "" : ", ", values->values[i].name, values->values[i].value);
        if (length < 0 || used + (size_t)length + 32 > size) { /* room for the words below */
            snprintf(names + used, size - used, " and %u more", values->n_values - i);
            return;
        }
        memcpy(names + used, one, (size_t)length + 1);
        used += (size_t)length;
    }
}

void decode_refuse_enum(struct decoder *decoder, const ProtobufCFieldDescriptor *field, const char *found) {
    char names[160];
    enum_show(field->descriptor, names, sizeof names);
    decode_refuse(decoder, PROBLEM_BAD_ENUM, "%s%s: has no value %s; it has %s", decoder->within, field->name, found,
                  names);
}

bool decode_check_enum(struct decoder *decoder, const ProtobufCFieldDescriptor *field, int64_t number) {
    const ProtobufCEnumDescriptor *values = field->descriptor;
    if (number >= INT32_MIN && number <= INT32_MAX &&
        protobuf_c_enum_descriptor_get_value(values, (int)number) != NULL) {
        return true;
    }
    char found[24];
    snprintf(found, sizeof found, "%lld", (long long)number);
    decode_refuse_enum(decoder, field, found);
    return false;
}

/* The same name, but for case and for what people write between its parts. */
static bool is_loose_name(const char *name, const char *text, size_t length) {
    static const char between[] = "-_ :.";
    size_t at = 0;
    for (; *name != '\0'; name++) {
        if (strchr(between, *name) != NULL) {
            continue;
        }
        while (at < length && text[at] != '\0' && strchr(between, text[at]) != NULL) {
            at++;
        }
        char letter = at < length ? text[at] : '\0';
        letter = (char)(letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter);
        if (letter != (*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name)) {
            return false;
        }
        at++;
    }
    while (at < length && text[at] != '\0' && strchr(between, text[at]) != NULL) {
        at++;
    }
    return at == length;
}

/* Other names of coordinate systems: the EPSG registry's codes, and what Baidu's SDK calls its own. */
static const struct {
    const char *alias, *name;
} enum_aliases[] = {{"EPSG4326", "WGS84"}, {"EPSG4490", "CGCS2000"}, {"BD09LL", "BD09"}};

const ProtobufCEnumValue *decode_enum_find(const ProtobufCEnumDescriptor *values, const char *text, size_t length) {
    for (unsigned i = 0; i < values->n_values; i++) {
        if (is_loose_name(values->values[i].name, text, length)) {
            return &values->values[i];
        }
    }
    for (size_t i = 0; i < COUNT_OF(enum_aliases); i++) {
        if (is_loose_name(enum_aliases[i].alias, text, length)) {
            return protobuf_c_enum_descriptor_get_value_by_name(values, enum_aliases[i].name);
        }
    }
    return NULL;
}
