/* fuzz_speech.c: any bytes as what devices say, on connections that live on from frame to frame, while acknowledgements
 * come late, in any order, as stored, refused or not at all, and the list of terminals changes. Each frame ends once;
 * nothing is answered as stored before it is; what is put for the hub are records of the terminal's device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "hub/base/config.h"
#include "hub/gateway/bundle.h"
#include "hub/gateway/commands.h"
#include "hub/gateway/connection.h"
#include "hub/gateway/dialects.h"
#include "hub/gateway/speech.h"

enum { CONNECTIONS = 3, HOLDINGS = 8, FRAME_MAX = 8192 };

/* What stands in for the machine of connections: its calls are defined here. */
struct connection {
    const struct speech *speech;
    void *state;
    char buffer[FRAME_MAX * 2];
    size_t length;
    bool ended;
};

struct holding {
    struct connection *connection;
    struct buffer stored, refused;
    bool sealed;
};

static struct terminals *terminals;
static struct dialects *dialects;
static struct connections_parts parts;
static struct holding *held[HOLDINGS];
static size_t frames_taken, frames_ended;

static void holding_end(size_t at, bool answered) {
    struct holding *holding = held[at];
    held[at] = NULL;
    if (holding->connection != NULL && answered) {
        connection_send(holding->connection, holding->stored.data, holding->stored.length);
    }
    buffer_free(&holding->stored);
    buffer_free(&holding->refused);
    free(holding);
    frames_ended++;
}

const struct terminal *connection_caller(struct connection *connection, const char *identity, const void *frame,
                                         size_t length) {
    REQUIRE(identity != NULL && frame != NULL && length > 0);
    const struct terminal *terminal = terminals_find(terminals, connection->speech->name, identity);
    frames_ended += terminal == NULL;
    return terminal;
}

void connection_claim(struct connection *connection, const char *identity) {
    REQUIRE(terminals_find(terminals, connection->speech->name, identity) != NULL);
}

void connection_heard(struct connection *connection) {
    REQUIRE(!connection->ended);
}

void connection_count(struct connection *connection, enum frame_fate fate) {
    REQUIRE(fate < FRAME_FATES && fate != FRAME_STORED && !connection->ended);
    frames_ended++;
}

/* What goes to a device is a frame of its protocol. */
void connection_send(struct connection *connection, const void *bytes, size_t length) {
    const char *text = bytes;
    if (length > 0 && strcmp(connection->speech->name, "hj212") == 0) {
        REQUIRE(length > 12 && memcmp(text, "##", 2) == 0 && memcmp(text + length - 2, "\r\n", 2) == 0);
    } else if (length > 0) {
        REQUIRE(length > 12 && text[0] == 0x7e && text[length - 1] == 0x7e);
    }
}

void connection_end(struct connection *connection, const char *why) {
    REQUIRE(why != NULL);
    connection->ended = true;
}

void **connection_state(struct connection *connection) {
    return &connection->state;
}

const struct connections_parts *connection_parts(const struct connection *connection) {
    (void)connection;
    return &parts;
}

struct holding *holding_new(struct connection *connection) {
    for (size_t i = 0; i < HOLDINGS; i++) {
        if (held[i] == NULL) {
            held[i] = calloc(1, sizeof *held[i]);
            REQUIRE(held[i] != NULL);
            held[i]->connection = connection;
            return held[i];
        }
    }
    return NULL; /* as if memory were out */
}

struct buffer *holding_stored(struct holding *holding) {
    return &holding->stored;
}

struct buffer *holding_refused(struct holding *holding) {
    return &holding->refused;
}

int holding_put(struct holding *holding, const struct terminal *terminal, const char *kind, const cJSON *records) {
    const cJSON *record;
    REQUIRE(!holding->sealed && kind != NULL && cJSON_GetArraySize(records) > 0);
    cJSON_ArrayForEach(record, records) {
        const char *device = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, "device_code"));
        REQUIRE(device != NULL && strcmp(device, terminal->device) == 0);
    }
    return 0;
}

void connection_refused(struct connection *connection, const struct terminal *terminal, const char *reason) {
    (void)connection;
    REQUIRE(terminal != NULL && (strcmp(reason, "wrong_secret") == 0 || strcmp(reason, "not_logged_in") == 0 ||
                                 strcmp(reason, "wrong_check_value") == 0));
}

void upstream_ask_history(struct upstream *upstream, const struct terminal *terminal) {
    (void)upstream;
    REQUIRE(strcmp(terminal->protocol, "hj212") == 0);
}

/* No terminal is told anything here, so nothing can have become of it. */
void upstream_settle(struct upstream *upstream, struct command_name name, const char *state, cJSON *answer) {
    (void)upstream, (void)name, (void)state;
    cJSON_Delete(answer);
    REQUIRE(false);
}

void parcel_begin(struct parcel *parcel, void (*ended)(struct parcel *parcel, enum parcel_end end)) {
    (void)parcel, (void)ended;
    REQUIRE(false);
}

const struct terminals *upstream_terminals(const struct upstream *upstream) {
    (void)upstream;
    return terminals;
}

/* Which terminal a letter's part is of, NULL = it has no such part. */
static const char *letter_of(const cJSON *letter, const char *part) {
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(letter, part);
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "identity"));
}

int holding_letter(struct holding *holding, cJSON *letter) {
    const char *phone = letter_of(letter, "media"), *asking = letter_of(letter, "key");
    REQUIRE(!holding->sealed && (phone == NULL) != (asking == NULL));
    REQUIRE(phone == NULL || strcmp(phone, "13800000001") == 0);
    cJSON_Delete(letter);
    return 0;
}

/* No terminal here has another key to come. */
int upstream_letter(struct upstream *upstream, cJSON *letter, struct parcel *parcel) {
    (void)upstream, (void)parcel;
    cJSON_Delete(letter);
    REQUIRE(false);
    return 0;
}

void holding_seal(struct holding *holding, bool whole) {
    (void)whole;
    REQUIRE(!holding->sealed);
    holding->sealed = true;
}

/* ---- the input: commands of a byte, some with bytes behind ---- */

static void open_connection(struct connection *connection, size_t number) {
    *connection = (struct connection){.speech = number % 2 == 0 ? &speech_hj212 : &speech_jt808};
}

static void close_connection(struct connection *connection) {
    for (size_t i = 0; i < HOLDINGS; i++) {
        if (held[i] != NULL && held[i]->connection == connection) {
            held[i]->connection = NULL;
        }
    }
    if (connection->state != NULL && connection->speech->release != NULL) {
        connection->speech->release(connection->state);
    }
    connection->state = NULL;
}

static void read_all(struct connection *connection) {
    size_t at = 0;
    while (at < connection->length) {
        struct reading_result result = {0};
        char *exact = (char *)fuzz_copy((const uint8_t *)connection->buffer + at, connection->length - at);
        enum reading reading = connection->speech->read(exact, connection->length - at, &result);
        if (reading == READING_MORE) {
            REQUIRE(connection->length - at <= connection->speech->frame_max);
        } else {
            REQUIRE(result.length > 0 && result.length <= connection->length - at);
        }
        if (reading == READING_FRAME) {
            size_t pending = 0, before = frames_ended;
            frames_taken++;
            connection->speech->take(connection, exact, result.length);
            for (size_t i = 0; i < HOLDINGS; i++) {
                pending += held[i] != NULL;
                REQUIRE(held[i] == NULL || held[i]->sealed);
            }
            REQUIRE(frames_ended + pending == frames_taken && frames_ended >= before);
        }
        free(exact);
        if (reading == READING_MORE) {
            break;
        }
        at += result.length;
    }
    memmove(connection->buffer, connection->buffer + at, connection->length - at);
    connection->length -= at;
}

static void set_terminals(bool secret) {
    char text[1024];
    snprintf(
        text, sizeof text,
        "{\"version\":\"1\",\"terminals\":[{\"protocol\":\"hj212\",\"identity\":\"MN\",\"subsystem\":\"dust\",\"vendor\":\"a\","
        "\"device\":\"D-1\",\"crc\":\"off\"%s},{\"protocol\":\"jt808\",\"identity\":\"13800000001\",\"subsystem\":"
        "\"construction_waste\",\"vendor\":\"b\",\"device\":\"D-2\"%s}]}",
        secret ? ",\"secret\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"" : "",
        secret ? ",\"secret\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"" : "");
    cJSON *list = cJSON_Parse(text);
    REQUIRE(terminals_take(terminals, list) == 0);
    cJSON_Delete(list);
}

/* What the hub says to the terminal that may be at the other end. */
static void tell(struct connection *connection, uint8_t command) {
    cJSON *what =
        cJSON_Parse(command % 2 == 0 ? "{\"identity\":\"MN\",\"fetch\":{\"command\":2051,\"begin_ms\":1795744800000,"
                                       "\"end_ms\":1795748400000}}"
                                     : "{\"identity\":\"MN\",\"fetch\":{\"command\":9}}");
    REQUIRE(what != NULL);
    if (connection->speech->told != NULL && connection->state != NULL) {
        connection->speech->told(connection, what);
    }
    cJSON_Delete(what);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct connection connections[CONNECTIONS];
    static struct config config = {.gateway_history_s = 1};
    if (terminals == NULL) {
        terminals = terminals_new();
        dialects = dialects_new(getenv("CITYHUB_FUZZ_DATA") == NULL ? "." : getenv("CITYHUB_FUZZ_DATA"));
        parts = (struct connections_parts){.config = &config, .dialects = dialects};
    }
    frames_taken = frames_ended = 0;
    set_terminals(false);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        open_connection(&connections[i], i);
    }
    for (size_t at = 0; at < size;) {
        uint8_t command = data[at++];
        struct connection *connection = &connections[command % CONNECTIONS];
        size_t at_holding = command / 16 % HOLDINGS;
        if (command >= 0xfc) {
            tell(connection, command);
        } else if (command >= 0xf8) {
            set_terminals(command % 2 == 0);
        } else if (command >= 0xf0) {
            close_connection(connection);
            open_connection(connection, command % CONNECTIONS);
        } else if (command >= 0x80 && held[at_holding] != NULL) {
            holding_end(at_holding, command % 2 == 0);
        } else if (command < 0x80 && at < size) { /* so many bytes of it */
            size_t length = (size_t)data[at++] * 2;
            length = length > size - at ? size - at : length;
            length = length > sizeof connection->buffer - connection->length
                         ? sizeof connection->buffer - connection->length
                         : length;
            memcpy(connection->buffer + connection->length, data + at, length);
            connection->length += length;
            at += length;
            read_all(connection);
        }
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        close_connection(&connections[i]);
    }
    for (size_t i = 0; i < HOLDINGS; i++) {
        if (held[i] != NULL) {
            holding_end(i, true);
        }
    }
    REQUIRE(frames_taken == frames_ended);
    return 0;
}
