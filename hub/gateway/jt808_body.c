/* jt808_body.c: bodies of JT/T 808 messages. Must never trust a length, nor judge: what a value means is the dialect's.
 */
#include "hub/gateway/jt808_body.h"

#include <iconv.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/error.h"

/* ---- texts */

static bool is_padding(uint8_t byte) {
    return byte == 0 || byte == ' ';
}

/* Bytes of the character of GBK that these begin with, 1 or 2; 0 = none. */
static size_t gbk_character(const uint8_t *bytes, size_t left) {
    if (bytes[0] < 0x80) {
        return bytes[0] >= 0x20 && bytes[0] != 0x7f ? 1 : 0;
    }
    bool pair =
        left > 1 && bytes[0] >= 0x81 && bytes[0] <= 0xfe && bytes[1] >= 0x40 && bytes[1] <= 0xfe && bytes[1] != 0x7f;
    return pair ? 2 : 0;
}

/* One character as UTF-8 into `shown`; what is none as \xNN. Returns the bytes of `bytes` that were taken. */
static size_t show_character(iconv_t gbk, const uint8_t *bytes, size_t left, char shown[static 8]) {
    size_t taken = gbk_character(bytes, left);
    if (taken == 1) {
        snprintf(shown, 8, "%c", bytes[0]);
        return 1;
    }
    if (taken == 2 && gbk != (iconv_t)-1) {
        char pair[2] = {(char)bytes[0], (char)bytes[1]};
        char *in = pair, *out = shown;
        size_t in_left = 2, out_left = 7;
        if (iconv(gbk, &in, &in_left, &out, &out_left) != (size_t)-1 && in_left == 0) {
            *out = '\0';
            return 2;
        }
        iconv(gbk, NULL, NULL, NULL, NULL);
    }
    snprintf(shown, 8, "\\x%02x", bytes[0]);
    return 1;
}

void jt808_text(const uint8_t *bytes, size_t length, char *text, size_t size) {
    while (length > 0 && is_padding(bytes[length - 1])) {
        length--;
    }
    while (length > 0 && is_padding(*bytes)) {
        bytes++;
        length--;
    }
    iconv_t gbk = iconv_open("UTF-8", "GBK");
    size_t used = 0;
    text[0] = '\0';
    while (length > 0) {
        char shown[8];
        size_t taken = show_character(gbk, bytes, length, shown), needed = strlen(shown);
        if (used + needed + 1 > size) {
            break;
        }
        memcpy(text + used, shown, needed + 1);
        used += needed;
        bytes += taken;
        length -= taken;
    }
    if (gbk != (iconv_t)-1) {
        iconv_close(gbk);
    }
}

/* ---- 0100, 0102, 0001 */

/* A body of 2011 whose plate, such as a vehicle's identification number, makes it as long as one of 2013: where 2013
 * has the colour there is a letter, where 2011 has it there is a colour, and the plate begins behind it. */
static bool is_long_2011(const uint8_t *body) {
    enum { COLOUR_2011 = 24, COLOUR_2013 = 36, COLOUR_MAX = 9 };
    return body[COLOUR_2013] >= '0' && body[COLOUR_2011] <= COLOUR_MAX && body[COLOUR_2011 + 1] > ' ';
}

int jt808_registration(const struct jt808_frame *frame, struct jt808_registration *registration) {
    static const struct {
        size_t maker, model, terminal_id;
    } layouts[] = {{5, 8, 7}, {5, 20, 7}, {11, 30, 30}}; /* 2011, 2013, 2019 */
    /* FIXED: province, city, colour. A terminal may set the flag of 2019 and register as before. */
    enum { FIXED = 5, LEAST_2013 = FIXED + 32, LEAST_2019 = FIXED + 71 };
    bool is_2019 = frame->is_2019 && frame->length >= LEAST_2019;
    size_t edition = is_2019 ? 2 : frame->length >= LEAST_2013 && !is_long_2011(frame->body) ? 1 : 0;
    size_t maker = layouts[edition].maker, model = layouts[edition].model, terminal_id = layouts[edition].terminal_id;
    size_t fixed = FIXED + maker + model + terminal_id;
    if (frame->length < fixed) {
        return CH_EINVAL;
    }
    const uint8_t *at = frame->body;
    registration->province = jt808_u16(at);
    registration->city = jt808_u16(at + 2);
    at += 4;
    jt808_text(at, maker, registration->maker, sizeof registration->maker);
    jt808_text(at + maker, model, registration->model, sizeof registration->model);
    at += maker + model;
    jt808_text(at, terminal_id, registration->terminal_id, sizeof registration->terminal_id);
    registration->plate_color = at[terminal_id];
    jt808_text(frame->body + fixed, frame->length - fixed, registration->plate, sizeof registration->plate);
    return 0;
}

void jt808_authentication(const struct jt808_frame *frame, struct jt808_authentication *authentication) {
    enum { IMEI = 15 };
    const uint8_t *body = frame->body;
    size_t length = frame->length;
    authentication->imei[0] = authentication->software[0] = '\0';
    /* Terminals that set the flag of 2019 and send the token alone have a letter or digit where its length should be.
     */
    if (frame->is_2019 && length > 0 && (size_t)body[0] + 1 <= length) {
        size_t token = body[0];
        const uint8_t *rest = body + 1 + token;
        size_t left = length - 1 - token;
        jt808_text(body + 1, token, authentication->token, sizeof authentication->token);
        if (left >= IMEI) {
            jt808_text(rest, IMEI, authentication->imei, sizeof authentication->imei);
            jt808_text(rest + IMEI, left - IMEI, authentication->software, sizeof authentication->software);
        }
        return;
    }
    jt808_text(body, length, authentication->token, sizeof authentication->token);
}

int jt808_answer(const struct jt808_frame *frame, struct jt808_answer *answer) {
    if (frame->length < 5) {
        return CH_EINVAL;
    }
    *answer = (struct jt808_answer){
        .serial = jt808_u16(frame->body), .id = jt808_u16(frame->body + 2), .result = frame->body[4]};
    return 0;
}

/* ---- positions */

int jt808_position(const uint8_t *body, size_t length, struct jt808_position *position) {
    if (length < JT808_POSITION_SIZE) {
        return CH_EINVAL;
    }
    *position = (struct jt808_position){
        .alarm = jt808_u32(body),
        .status = jt808_u32(body + 4),
        .raw_lat = jt808_u32(body + 8),
        .raw_lon = jt808_u32(body + 12),
        .altitude_m = (int16_t)jt808_u16(body + 16),
        .speed = jt808_u16(body + 18),
        .direction = jt808_u16(body + 20),
        .items = body + JT808_POSITION_SIZE,
        .items_length = length - JT808_POSITION_SIZE,
    };
    memcpy(position->time, body + 22, sizeof position->time);
    return 0;
}

static double degrees(uint32_t raw, bool negative) {
    double value = raw > INT32_MAX ? (double)(int32_t)raw / 1e6 : raw / 1e6;
    return negative && value > 0 ? -value : value;
}

double jt808_lat(const struct jt808_position *position) {
    return degrees(position->raw_lat, (position->status & JT808_STATUS_SOUTH) != 0);
}

double jt808_lon(const struct jt808_position *position) {
    return degrees(position->raw_lon, (position->status & JT808_STATUS_WEST) != 0);
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day) {
    int64_t shifted = month > 2 ? year : year - 1; /* years begin in March, so that the leap day is their last */
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + of_year - 719468;
}

static int days_in(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && year % 4 == 0); /* 2000 to 2099 */
}

int jt808_time_ms(const uint8_t time[static 6], int offset_minutes, int64_t *ms) {
    int part[6];
    for (int i = 0; i < 6; i++) {
        if (time[i] >> 4 > 9 || (time[i] & 15) > 9) {
            return CH_EINVAL;
        }
        part[i] = (time[i] >> 4) * 10 + (time[i] & 15);
    }
    int year = 2000 + part[0];
    if (part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > days_in(year, part[1]) || part[3] > 23 ||
        part[4] > 59 || part[5] > 59) {
        return CH_EINVAL;
    }
    int64_t minutes = (days_of(year, part[1], part[2]) * 24 + part[3]) * 60 + part[4] - offset_minutes;
    *ms = (minutes * 60 + part[5]) * 1000;
    return 0;
}

bool jt808_item_next(const struct jt808_position *position, size_t *at, struct jt808_item *item) {
    size_t left = position->items_length - *at;
    if (left < 2) { /* a lone byte is no item */
        return false;
    }
    const uint8_t *bytes = position->items + *at;
    *item = (struct jt808_item){.id = bytes[0], .length = bytes[1], .bytes = bytes + 2};
    item->have = item->length < left - 2 ? item->length : left - 2;
    *at += 2 + item->have;
    return true;
}

int jt808_batch(const uint8_t *body, size_t length, struct jt808_batch *batch) {
    if (length < 3) {
        return CH_EINVAL;
    }
    *batch = (struct jt808_batch){.count = jt808_u16(body), .kind = body[2], .at = body + 3, .end = body + length};
    return 0;
}

bool jt808_batch_next(struct jt808_batch *batch, const uint8_t **body, size_t *length) {
    size_t left = (size_t)(batch->end - batch->at);
    if (left < 2) {
        return false;
    }
    size_t says = jt808_u16(batch->at);
    *body = batch->at + 2;
    *length = says < left - 2 ? says : left - 2;
    batch->at += 2 + *length;
    return true;
}

/* ---- media */

/* Whether what stands before a medium's data is its position. Editions before 2013 have none: then the data begin as a
 * picture's or a sound's do, or where a time should be there is neither one nor the zeros of a clock that was not set.
 */
static bool is_place(const uint8_t *data, size_t length, struct jt808_position *position) {
    static const uint8_t not_set[sizeof position->time] = {0};
    int64_t ms;
    bool starts_as_data = length >= 3 && ((data[0] == 0xff && data[1] >= 0xd8) || memcmp(data, "RIF", 3) == 0 ||
                                          memcmp(data, "ID3", 3) == 0);
    return !starts_as_data && jt808_position(data, length, position) == 0 &&
           (jt808_time_ms(position->time, 0, &ms) == 0 || memcmp(position->time, not_set, sizeof not_set) == 0);
}

int jt808_media(uint16_t id, const uint8_t *body, size_t length, struct jt808_media *media) {
    enum { FIXED = 8 };
    if (length < FIXED) {
        return CH_EINVAL;
    }
    *media = (struct jt808_media){
        .id = jt808_u32(body), .kind = body[4], .format = body[5], .event = body[6], .channel = body[7]};
    if (id == JT808_MEDIA_EVENT) {
        return 0;
    }
    media->data = body + FIXED;
    media->length = length - FIXED;
    if (is_place(media->data, media->length, &media->position)) {
        media->has_position = true;
        media->position.items_length = 0;
        media->data += JT808_POSITION_SIZE;
        media->length -= JT808_POSITION_SIZE;
    }
    return 0;
}
