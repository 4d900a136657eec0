/* json_message.h: messages in JSON, run through the decoder, for its tests. */
#ifndef CITYHUB_TEST_JSON_MESSAGE_H
#define CITYHUB_TEST_JSON_MESSAGE_H

#include "decoded.h"
#include "wire_writer.h"

#define NOW "1760000000000"
#define DUST(pm25) "{\"device_code\":\"D-1\",\"observed_at_ms\":" NOW ",\"pm25_ug_m3\":" #pm25 "}"

static inline void run(struct decoded *decoded, const char *subsystem, const char *text) {
    decoded_run(decoded, decoded_adapter(subsystem), NULL, text, strlen(text));
}

/* A record with these members beside its code and time stands between two good ones: only it is refused. */
static inline void refused(struct decoded *decoded, const char *subsystem, const char *members, const char *code,
                           const char *word) {
    size_t size = strlen(members) + 1000;
    char *text = malloc(size);
    const char *head = strstr(members, "device_code") != NULL ? "" : "\"device_code\":\"X\",";
    const char *time = strstr(members, "observed_at_ms") != NULL ? "" : "\"observed_at_ms\":" NOW ",";
    const char *good = "{\"device_code\":\"D\",\"observed_at_ms\":" NOW ",\"position\":"
                       "{\"lon\":114,\"lat\":34,\"system\":\"WGS84\"}}";
    snprintf(text, size, "[%s,{%s%s%s},%s]", good, head, time, members, good);
    run(decoded, subsystem, text);
    free(text);
    decoded_expect(decoded, 3, 2, 1);
    decoded_expect_problem(decoded, 0, 1, code, word);
    assert_int_equal(decoded->records[1].index, 2);
}

/* A record with these members beside its code and time stands between two others and is delivered, but for `field`. */
static inline const struct record *flawed(struct decoded *decoded, const char *subsystem, const char *members,
                                          const char *field, const char *code, const char *word) {
    size_t size = strlen(members) + 1000;
    char *text = malloc(size);
    const char *good = "{\"device_code\":\"D\",\"observed_at_ms\":" NOW ",\"position\":"
                       "{\"lon\":114,\"lat\":34,\"system\":\"WGS84\"}}";
    snprintf(text, size, "[%s,{\"device_code\":\"X\",\"observed_at_ms\":" NOW ",%s},%s]", good, members, good);
    run(decoded, subsystem, text);
    free(text);
    decoded_expect(decoded, 3, 3, 0);
    decoded_expect_flaws(decoded, 1);
    decoded_expect_flaw(decoded, 0, 1, field, code, word);
    return &decoded->records[1];
}

static inline const struct record *accepted(struct decoded *decoded, const char *subsystem, const char *members) {
    char text[2000];
    snprintf(text, sizeof text, "{\"device_code\":\"X\",\"observed_at_ms\":" NOW ",%s}", members);
    run(decoded, subsystem, text);
    decoded_expect(decoded, 1, 1, 0);
    decoded_expect_flaws(decoded, 0);
    return &decoded->records[0];
}

#endif
