/* speech_jt808.c: JT/T 808 on a connection: registration and token, positions and media to be stored, answers. Must
 * never answer a position with result 0, nor a medium with 8800, before it is stored, nor take a terminal for another
 * because it says so where it has a secret. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/base/topic.h"
#include "hub/gateway/connection.h"
#include "hub/gateway/dialects.h"
#include "hub/gateway/jt808_build.h"
#include "hub/gateway/jt808_letter.h"
#include "hub/gateway/jt808_parts.h"
#include "hub/gateway/jt808_records.h"
#include "hub/gateway/jt808_tell.h"
#include "hub/gateway/raw.h"
#include "hub/gateway/speech.h"
#include "hub/gateway/upstream.h"

enum {
    PARTS_BYTES_MAX = JT808_MEDIUM_MAX + 64 * 1024, /* of sub-packets that a connection holds */
    PARTS_ALL_MAX = 64 * 1024 * 1024,               /* and all connections together */
    PARTS_WAIT_MS = 5000,
    PARTS_ASKS_MAX = 3,
    LOGIN_PACKETS_MAX = 4, /* of a registration or authentication */
    TOKEN_BYTES = 12,
    TOLD_MAX = 8,          /* commands that a vehicle has not answered */
    TOLD_WAIT_MS = 120000, /* so long */
};

static size_t parts_held; /* bytes of all connections' sub-packets */

/* A command that the vehicle was told. */
struct told {
    struct command_name name; /* id 0 = a free place */
    uint16_t id, serial;      /* of the message */
    int64_t at_ms;            /* of the steady clock */
};

/* What is kept of a connection. */
struct vehicle {
    char phone[JT808_PHONE_MAX]; /* without zeros in front; "" = none yet */
    struct jt808_address to;     /* by its last frame */
    struct told told[TOLD_MAX];
    bool authenticated;
    uint16_t serial; /* of the last message to it */
    struct jt808_track track;
    struct jt808_parts *parts; /* NULL = it sent none */
};

static int64_t port(const struct config *config) {
    return config->gateway_jt808_port;
}

static enum reading next_frame(const char *bytes, size_t length, struct reading_result *result) {
    return jt808_read((const uint8_t *)bytes, length, false, result);
}

static void drop_parts(struct vehicle *vehicle) {
    if (vehicle->parts != NULL) {
        parts_held -= jt808_parts_bytes(vehicle->parts);
        jt808_parts_free(vehicle->parts);
        vehicle->parts = NULL;
    }
}

static void release(void *state) {
    struct vehicle *vehicle = state;
    drop_parts(vehicle);
    free(vehicle);
}

static const char *without_zeros(const char *phone) {
    const char *at = phone + strspn(phone, "0");
    return *at == '\0' ? "0" : at;
}

/* The connection's vehicle; another phone begins anew. NULL = memory is out. */
static struct vehicle *vehicle_of(struct connection *connection, const char *phone) {
    void **state = connection_state(connection);
    struct vehicle *vehicle = *state;
    if (vehicle == NULL) {
        vehicle = *state = calloc(1, sizeof *vehicle);
    }
    if (vehicle != NULL && strcmp(vehicle->phone, phone) != 0) {
        drop_parts(vehicle);
        *vehicle = (struct vehicle){.serial = vehicle->serial};
        snprintf(vehicle->phone, sizeof vehicle->phone, "%s", phone);
    }
    return vehicle;
}

/* ---- answers ---- */

/* One frame at hand. */
struct talk {
    struct connection *connection;
    const struct terminal *terminal;
    struct vehicle *vehicle;
    const struct jt808_frame *frame;
    const char *bytes;
    size_t length;
};

static void put_answer(struct buffer *out, const struct talk *talk, uint16_t serial, uint8_t result) {
    uint8_t bytes[JT808_WIRE_MAX];
    const struct jt808_address to = jt808_address_of(talk->frame);
    int length = jt808_build_answer(&to, ++talk->vehicle->serial, serial, talk->frame->id, result, bytes);
    if (length > 0) {
        buffer_bytes(out, bytes, (size_t)length);
    }
}

static void answer(const struct talk *talk, uint8_t result) {
    struct buffer out = {0};
    put_answer(&out, talk, talk->frame->serial, result);
    connection_send(talk->connection, out.data, out.length);
    buffer_free(&out);
}

/* ---- who it is ---- */

static bool is_login(uint16_t id) {
    return id == JT808_REGISTER || id == JT808_AUTHENTICATE;
}

/* What a terminal is given for its registration: nobody can make it without the secret, and every gateway makes the
 * same. */
static void make_token(const struct terminal *terminal, char token[static 2 * TOKEN_BYTES + 1]) {
    char text[2 * SECRET_HASH_BYTES + TERMINAL_IDENTITY_MAX + 16];
    unsigned char hash[SECRET_HASH_BYTES];
    size_t at = (size_t)snprintf(text, sizeof text, "token:%s:", terminal->identity);
    for (size_t i = 0; terminal->has_secret && i < SECRET_HASH_BYTES; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%02x", terminal->secret[i]);
    }
    secret_hash(text, at, hash);
    for (size_t i = 0; i < TOKEN_BYTES; i++) {
        snprintf(token + 2 * i, 3, "%02x", hash[i]);
    }
    secret_wipe(text, sizeof text);
}

/* A login, whose pieces, or which alone, had these serials: each is answered, for nobody knows which of them a terminal
 * waits for. */
static void on_register(const struct talk *talk, const uint16_t *serials, size_t count) {
    struct jt808_registration registration;
    uint8_t bytes[JT808_WIRE_MAX];
    char token[2 * TOKEN_BYTES + 1];
    const struct jt808_address to = jt808_address_of(talk->frame);
    bool known = jt808_registration(talk->frame, &registration) == 0 &&
                 terminal_secret_fits(talk->terminal, registration.terminal_id);
    make_token(talk->terminal, token);
    for (size_t i = 0; i < count; i++) {
        int length = jt808_build_registered(&to, ++talk->vehicle->serial, serials[i],
                                            known ? JT808_REGISTERED : JT808_NO_SUCH_TERMINAL, token, bytes);
        if (length > 0) {
            connection_send(talk->connection, bytes, (size_t)length);
        }
    }
    connection_count(talk->connection, known ? FRAME_ANSWERED : FRAME_UNKNOWN);
    if (!known) {
        connection_refused(talk->connection, talk->terminal, "wrong_secret");
    }
}

static void on_authenticate(const struct talk *talk, const uint16_t *serials, size_t count) {
    static struct jt808_authentication authentication; /* large; the loop has one thread */
    char token[2 * TOKEN_BYTES + 1];
    jt808_authentication(talk->frame, &authentication);
    make_token(talk->terminal, token);
    bool fits = strcmp(authentication.token, token) == 0 || terminal_secret_fits(talk->terminal, authentication.token);
    talk->vehicle->authenticated = fits;
    if (fits) {
        connection_claim(talk->connection, talk->vehicle->phone);
    } else {
        log_warning("jt808_token", "phone=%s reason=\"its token is not this terminal's\"",
                    log_quote(talk->vehicle->phone));
        connection_refused(talk->connection, talk->terminal, "wrong_secret");
    }
    connection_count(talk->connection, fits ? FRAME_ANSWERED : FRAME_UNKNOWN);
    struct buffer out = {0};
    for (size_t i = 0; i < count; i++) {
        put_answer(&out, talk, serials[i], fits ? JT808_DONE : JT808_FAILED);
    }
    connection_send(talk->connection, out.data, out.length);
    buffer_free(&out);
}

/* ---- what is stored ---- */

/* A whole message, whose pieces had these serials. */
static void store(const struct talk *talk, const uint8_t *body, size_t length, const uint16_t *serials, size_t count) {
    const struct jt808_dialect *dialect = dialects_jt808(connection_parts(talk->connection)->dialects, talk->terminal);
    cJSON *records = cJSON_CreateArray(), *intervals = cJSON_CreateArray();
    struct jt808_outcome outcome = {0};
    const struct jt808_out out = {.records = records, .intervals = intervals, .outcome = &outcome};
    const struct jt808_origin origin = {.dialect = dialect,
                                        .device_code = talk->terminal->device,
                                        .is_2019 = talk->frame->is_2019,
                                        .offset_minutes = talk->terminal->offset_minutes};
    int code = dialect == NULL ? CH_ENOTFOUND
                               : jt808_records(talk->frame->id, body, length, &origin, &talk->vehicle->track, &out);
    if (code != 0 && code != CH_EINVAL) {
        connection_count(talk->connection, FRAME_UNSURE);
        cJSON_Delete(records);
        cJSON_Delete(intervals);
        return;
    }
    if (code == CH_EINVAL || outcome.refused > 0 || outcome.records == 0) { /* kept as it is, in quarantine */
        log_info("jt808_position", "phone=%s refused=%u reason=%s", log_quote(talk->vehicle->phone), outcome.refused,
                 log_quote(outcome.problem));
        raw_record(records, talk->terminal, talk->bytes, talk->length);
    }
    struct holding *holding = holding_new(talk->connection);
    if (holding == NULL) {
        connection_count(talk->connection, FRAME_UNSURE);
    } else {
        for (size_t i = 0; i < count; i++) {
            put_answer(holding_stored(holding), talk, serials[i], JT808_DONE);
            put_answer(holding_refused(holding), talk, serials[i], JT808_FAILED);
        }
        bool whole = holding_put(holding, talk->terminal, topic_words[TOPIC_TELEMETRY], records) == 0;
        whole &= cJSON_GetArraySize(intervals) == 0 ||
                 holding_put(holding, talk->terminal, topic_words[TOPIC_INTERVAL], intervals) == 0;
        holding_seal(holding, whole);
    }
    cJSON_Delete(records);
    cJSON_Delete(intervals);
}

static bool is_position(uint16_t id) {
    return id == JT808_POSITION || id == JT808_POSITION_ANSWER || id == JT808_BATCH;
}

static bool is_media(uint16_t id) {
    return id == JT808_MEDIA_EVENT || id == JT808_MEDIA;
}

static void seal(const struct talk *talk, struct holding *holding, const struct jt808_media *media,
                 const uint16_t *serials, size_t count) {
    uint8_t bytes[JT808_WIRE_MAX];
    const struct jt808_address to = jt808_address_of(talk->frame);
    const struct jt808_dialect *dialect = dialects_jt808(connection_parts(talk->connection)->dialects, talk->terminal);
    for (size_t i = 0; i < count; i++) {
        put_answer(holding_refused(holding), talk, serials[i], JT808_FAILED);
    }
    if (talk->frame->id == JT808_MEDIA_EVENT) {
        put_answer(holding_stored(holding), talk, serials[0], JT808_DONE);
    } else {
        int length = jt808_build_media(&to, ++talk->vehicle->serial, media->id, NULL, 0, bytes);
        buffer_bytes(holding_stored(holding), bytes, (size_t)length);
    }
    cJSON *letter = jt808_letter(media, talk->vehicle->phone, talk->terminal->offset_minutes,
                                 dialect == NULL ? NULL : jt808_dialect_coordinate_system(dialect));
    holding_seal(holding, letter != NULL && holding_letter(holding, letter) == 0);
}

/* A medium or its announcement, whole, whose pieces had these serials. */
static void store_media(const struct talk *talk, const uint8_t *body, size_t length, const uint16_t *serials,
                        size_t count) {
    struct jt808_media media;
    if (jt808_media(talk->frame->id, body, length, &media) != 0 ||
        (talk->frame->id == JT808_MEDIA && media.length == 0)) {
        log_info("jt808_media", "phone=%s bytes=%zu reason=\"it is too short for a medium\"",
                 log_quote(talk->vehicle->phone), length);
        connection_count(talk->connection, FRAME_BROKEN);
        answer(talk, JT808_WRONG);
        return;
    }
    struct holding *holding = holding_new(talk->connection);
    if (holding == NULL) {
        connection_count(talk->connection, FRAME_UNSURE);
    } else {
        seal(talk, holding, &media, serials, count);
    }
}

/* ---- commands ---- */

/* A free place for one more, NULL = there is none. */
static struct told *told_place(struct vehicle *vehicle) {
    int64_t now = clock_steady_ms();
    for (size_t i = 0; i < TOLD_MAX; i++) {
        if (vehicle->told[i].name.id == 0 || now - vehicle->told[i].at_ms >= TOLD_WAIT_MS) {
            return &vehicle->told[i];
        }
    }
    return NULL;
}

static bool may_tell(struct connection *connection) {
    struct vehicle *vehicle = *connection_state(connection);
    return vehicle != NULL && vehicle->to.phone[0] != '\0' && told_place(vehicle) != NULL;
}

static void told(struct connection *connection, const cJSON *what) {
    struct vehicle *vehicle = *connection_state(connection);
    uint8_t bytes[JT808_WIRE_MAX];
    struct told one = {.name = command_name_of(what), .at_ms = clock_steady_ms()};
    struct told *place = vehicle == NULL || one.name.id == 0 ? NULL : told_place(vehicle);
    if (place == NULL) {
        return;
    }
    one.serial = ++vehicle->serial;
    int length = jt808_tell(&vehicle->to, one.serial, member_get(what, "command"), &one.id, bytes);
    if (length <= 0) {
        upstream_settle(connection_parts(connection)->upstream, one.name, COMMAND_FAILED, NULL);
        return;
    }
    log_info("jt808_command", "phone=%s command=%lld", log_quote(vehicle->phone), (long long)one.name.id);
    *place = one;
    connection_send(connection, bytes, (size_t)length);
}

/* The command whose message had that serial and that id. */
static struct told *told_find(struct vehicle *vehicle, uint16_t serial, uint16_t id) {
    for (size_t i = 0; i < TOLD_MAX; i++) {
        if (vehicle->told[i].name.id != 0 && vehicle->told[i].serial == serial && vehicle->told[i].id == id) {
            return &vehicle->told[i];
        }
    }
    return NULL;
}

/* 0001: the end of a text and of settings; of a question only that it came. */
static void on_answer(const struct talk *talk) {
    struct jt808_answer said;
    struct told *one = jt808_answer(talk->frame, &said) == 0 ? told_find(talk->vehicle, said.serial, said.id) : NULL;
    if (one == NULL) {
        return;
    }
    bool question = one->id == JT808_QUERY_POSITION || one->id == JT808_QUERY_PARAMETERS;
    upstream_settle(connection_parts(talk->connection)->upstream, one->name,
                    said.result != JT808_DONE ? COMMAND_FAILED
                    : question                ? COMMAND_SENT
                                              : COMMAND_ACKNOWLEDGED,
                    jt808_told_result(said.result));
    if (said.result != JT808_DONE || !question) {
        *one = (struct told){0};
    }
}

/* 0201 is stored as any position; here it is the answer to 8201. */
static void on_position_answer(const struct talk *talk, const uint8_t *body, size_t length) {
    enum { SERIAL = 2 };
    struct jt808_position position;
    struct told *one = length < SERIAL ? NULL : told_find(talk->vehicle, jt808_u16(body), JT808_QUERY_POSITION);
    if (one != NULL && jt808_position(body + SERIAL, length - SERIAL, &position) == 0) {
        upstream_settle(connection_parts(talk->connection)->upstream, one->name, COMMAND_ACKNOWLEDGED,
                        jt808_told_position(&position, talk->terminal->offset_minutes));
        *one = (struct told){0};
    }
}

/* 0104, whole, whose pieces had these serials: acknowledged when the hub has kept it, so its place stays for a
 * repetition. Nobody keeps what was not asked for. */
static void on_parameters(const struct talk *talk, const uint8_t *body, size_t length, const uint16_t *serials,
                          size_t count) {
    enum { SERIAL = 2 };
    const struct told *one = length < SERIAL ? NULL : told_find(talk->vehicle, jt808_u16(body), JT808_QUERY_PARAMETERS);
    struct holding *holding = one == NULL ? NULL : holding_new(talk->connection);
    if (holding == NULL) {
        connection_count(talk->connection, FRAME_ANSWERED);
        answer(talk, one == NULL ? JT808_UNSUPPORTED : JT808_FAILED);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        put_answer(holding_stored(holding), talk, serials[i], JT808_DONE);
        put_answer(holding_refused(holding), talk, serials[i], JT808_FAILED);
    }
    cJSON *letter =
        commands_letter_of(one->name, COMMAND_ACKNOWLEDGED, jt808_told_parameters(body + SERIAL, length - SERIAL));
    holding_seal(holding, letter != NULL && holding_letter(holding, letter) == 0);
}

/* ---- sub-packets ---- */

/* Whether a message will have more bytes than are kept, by one of its pieces, which but for the last are of a length.
 * Who logs in is nobody yet: of him there are few pieces, which fit into a frame's room whatever their lengths. */
static bool is_too_large(const struct jt808_frame *frame) {
    if (is_login(frame->id)) {
        return frame->packets > LOGIN_PACKETS_MAX || frame->length > JT808_WIRE_MAX / LOGIN_PACKETS_MAX;
    }
    return frame->packet_number < frame->packets && (size_t)(frame->packets - 1) * frame->length > JT808_MEDIUM_MAX;
}

/* Asks for what is missing; what is given up the terminal sends again, as it was not answered. */
static void ask_again(const struct talk *talk, int64_t now_ms) {
    struct jt808_missing missing;
    uint8_t bytes[JT808_WIRE_MAX];
    const struct jt808_address to = jt808_address_of(talk->frame);
    while (jt808_parts_missing(talk->vehicle->parts, now_ms, PARTS_WAIT_MS, PARTS_ASKS_MAX, &missing)) {
        int length = missing.given_up ? 0
                                      : jt808_build_ask_again(&to, ++talk->vehicle->serial, missing.first_serial,
                                                              missing.numbers, missing.count, bytes);
        if (length > 0) {
            connection_send(talk->connection, bytes, (size_t)length);
        }
    }
}

/* A message of these is put together if it comes in pieces, and is not answered before it is kept. */
static bool is_kept(uint16_t id) {
    return is_position(id) || is_media(id) || id == JT808_PARAMETERS;
}

/* The login as one frame; the body fits, by is_too_large. */
static void log_in(const struct talk *talk, const uint8_t *body, size_t length, const uint16_t *serials, size_t count) {
    static struct jt808_frame frame; /* large; the loop has one thread */
    struct talk whole = *talk;
    frame = *talk->frame;
    if (body != talk->frame->body) {
        memcpy(frame.body, body, length);
        frame.length = length;
        frame.is_packet = false;
    }
    whole.frame = &frame;
    if (frame.id == JT808_REGISTER) {
        on_register(&whole, serials, count);
    } else {
        on_authenticate(&whole, serials, count);
    }
}

/* A whole message, whose pieces had these serials. */
static void keep(const struct talk *talk, const uint8_t *body, size_t length, const uint16_t *serials, size_t count) {
    if (is_login(talk->frame->id)) {
        log_in(talk, body, length, serials, count);
    } else if (is_media(talk->frame->id)) {
        store_media(talk, body, length, serials, count);
    } else if (talk->frame->id == JT808_PARAMETERS) {
        on_parameters(talk, body, length, serials, count);
    } else {
        if (talk->frame->id == JT808_POSITION_ANSWER) {
            on_position_answer(talk, body, length);
        }
        store(talk, body, length, serials, count);
    }
}

static void on_packet(const struct talk *talk) {
    struct vehicle *vehicle = talk->vehicle;
    struct jt808_whole whole;
    if (is_too_large(talk->frame)) {
        connection_count(talk->connection, FRAME_REFUSED);
        answer(talk, JT808_UNSUPPORTED);
        return;
    }
    if (vehicle->parts == NULL) {
        vehicle->parts = jt808_parts_new(PARTS_BYTES_MAX);
    }
    size_t before = vehicle->parts == NULL ? 0 : jt808_parts_bytes(vehicle->parts);
    bool room = vehicle->parts != NULL && parts_held + talk->frame->length <= PARTS_ALL_MAX;
    int part = room ? jt808_parts_add(vehicle->parts, talk->frame, clock_steady_ms(), &whole) : CH_EMEMORY;
    parts_held += room ? jt808_parts_bytes(vehicle->parts) - before : 0;
    if (part == JT808_PART_WHOLE) {
        keep(talk, whole.body, whole.length, whole.serials, whole.packets);
    } else {
        connection_count(talk->connection, part == JT808_PART_REFUSED ? FRAME_BROKEN
                                           : part == CH_EMEMORY       ? FRAME_UNSURE
                                                                      : FRAME_ANSWERED);
    }
}

/* ---- messages ---- */

static void on_time(const struct talk *talk) {
    uint8_t bytes[JT808_WIRE_MAX];
    const struct jt808_address to = jt808_address_of(talk->frame);
    int length = jt808_build_time(&to, ++talk->vehicle->serial, talk->frame->id, clock_now_ms(), bytes);
    if (length > 0) {
        connection_send(talk->connection, bytes, (size_t)length);
    }
    connection_count(talk->connection, FRAME_ANSWERED);
}

/* What nothing is kept of is said to be unsupported: a terminal must not take it for stored. */
static void on_other(const struct talk *talk) {
    bool nothing_said = talk->frame->id == JT808_HEARTBEAT || talk->frame->id == JT808_LOGOUT;
    connection_count(talk->connection, FRAME_ANSWERED);
    if (talk->frame->id == JT808_ACK) {
        on_answer(talk);
    } else {
        answer(talk, nothing_said ? JT808_DONE : JT808_UNSUPPORTED);
    }
}

static void understand(const struct talk *talk) {
    uint16_t id = talk->frame->id;
    bool in_pieces = talk->frame->is_packet && talk->frame->encryption == 0;
    if (is_login(id) && in_pieces) {
        on_packet(talk);
    } else if (is_login(id)) {
        log_in(talk, talk->frame->body, talk->frame->length, &talk->frame->serial, 1);
    } else if (talk->terminal->has_secret && !talk->vehicle->authenticated) {
        connection_count(talk->connection, FRAME_UNKNOWN);
        connection_refused(talk->connection, talk->terminal, "not_logged_in");
        answer(talk, JT808_FAILED); /* it has to authenticate first */
    } else {
        connection_claim(talk->connection, talk->vehicle->phone);
        if (id == JT808_TIME || id == JT808_TIME_2019) {
            on_time(talk);
        } else if (is_kept(id) && in_pieces) {
            on_packet(talk);
        } else if (is_kept(id) && jt808_is_readable(talk->frame)) {
            keep(talk, talk->frame->body, talk->frame->length, &talk->frame->serial, 1);
        } else {
            on_other(talk);
        }
    }
    if (talk->vehicle->parts != NULL) {
        ask_again(talk, clock_steady_ms());
    }
}

static void take(struct connection *connection, const char *bytes, size_t length) {
    static struct jt808_frame frame; /* large; the loop has one thread */
    jt808_parse((const uint8_t *)bytes, length, &frame);
    if (frame.standing == JT808_BAD || !frame.has_header) {
        log_info("jt808_frame", "phone=%s reason=%s", log_quote(frame.has_header ? frame.phone : NULL),
                 log_quote(frame.problem));
        connection_count(connection, FRAME_BROKEN);
        return;
    }
    struct talk talk = {.connection = connection, .frame = &frame, .bytes = bytes, .length = length};
    const char *phone = without_zeros(frame.phone);
    talk.terminal = connection_caller(connection, phone, bytes, length);
    if (talk.terminal == NULL) {
        return;
    }
    talk.vehicle = vehicle_of(connection, phone);
    if (talk.vehicle == NULL) {
        connection_count(connection, FRAME_UNSURE);
        return;
    }
    talk.vehicle->to = jt808_address_of(&frame);
    connection_heard(connection);
    understand(&talk);
}

const struct speech speech_jt808 = {.name = "jt808",
                                    .port = port,
                                    .frame_max = JT808_WIRE_MAX,
                                    .read = next_frame,
                                    .take = take,
                                    .told = told,
                                    .may_tell = may_tell,
                                    .release = release};
