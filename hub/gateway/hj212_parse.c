/* hj212_parse.c: one frame of HJ 212 into its fields and items. Must never trust a length or a letter: what cannot be
 * made out is a fault of the frame, told in words. */
#include <ctype.h>
#include <iconv.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/base/count.h"
#include "hub/base/text.h"
#include "hub/gateway/hj212_wire.h"

enum { COUNTED_TAIL = 6, QN_DIGITS = 17, TIME_DIGITS = 14, SPLIT_BIT = 2, ACK_BIT = 1, VERSION_SHIFT = 2 };

/* ---- text */

static size_t characters(const char *text, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        count += ((uint8_t)text[i] & 0xC0) != 0x80;
    }
    return count;
}

/* True if all of it is UTF-8 without control characters. */
static bool is_text(const char *text, size_t length) {
    return text_flaw(text, length, true) == NULL;
}

/* Converts GBK (with what GB 18030 adds) to UTF-8. Returns the bytes in `out`, 0 if it is none. */
static size_t from_gbk(const char *text, size_t length, char *out, size_t capacity) {
    iconv_t converter = iconv_open("UTF-8", "GB18030");
    if (converter == (iconv_t)-1) {
        return 0;
    }
    char copy[HJ212_FRAME_MAX];
    memcpy(copy, text, length);
    char *in = copy;
    size_t left = length, room = capacity;
    bool done = iconv(converter, &in, &left, &out, &room) != (size_t)-1 && left == 0;
    iconv_close(converter);
    return done ? capacity - room : 0;
}

static void replace_bad(char *text, size_t length) {
    for (size_t i = 0; i < length;) {
        size_t taken = text_character(text + i, length - i);
        if (taken == 0 || text_flaw(text + i, taken, true) != NULL) {
            text[i] = '?';
            taken = 1;
        }
        i += taken;
    }
}

/* Puts the segment into the frame as UTF-8. Returns its bytes there. */
static size_t put_text(struct hj212_frame *frame, const char *segment, size_t length) {
    size_t capacity = sizeof frame->text - 1;
    if (!is_text(segment, length)) {
        size_t converted = from_gbk(segment, length, frame->text, capacity);
        if (converted > 0 && is_text(frame->text, converted)) {
            frame->faults |= HJ212_GBK;
            return converted;
        }
        frame->faults |= HJ212_BAD_TEXT;
    }
    memcpy(frame->text, segment, length);
    replace_bad(frame->text, length);
    return length;
}

/* Cuts blanks off both ends of text[0..length) and ends it with a NUL, which goes over text[length] at most. */
static char *trim(char *text, size_t length) {
    while (length > 0 && isspace((unsigned char)text[length - 1])) {
        length--;
    }
    while (length > 0 && isspace((unsigned char)*text)) {
        text++;
        length--;
    }
    text[length] = '\0';
    return text;
}

static bool is_number(const char *text, int most, int *number) {
    char *end = NULL;
    long value = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : -1;
    if (value < 0 || *end != '\0' || value > most) {
        return false;
    }
    *number = (int)value;
    return true;
}

static bool is_null(const char *text) {
    return text == NULL || *text == '\0' || strcasecmp(text, "null") == 0;
}

/* ---- fields and items */

/* The next of parts divided by ; and , in text[*at..length). A part whose value begins with // goes to the next //
 * (HJ 212-2017, i11001-Info). False at the end. */
static bool next_part(char *text, size_t length, size_t *at, char **part, size_t *part_length) {
    if (*at >= length) {
        return false;
    }
    size_t begin = *at, end = begin;
    while (end < length && text[end] != ';' && text[end] != ',') {
        const char *quote = text[end] == '=' && end + 2 < length && memcmp(text + end + 1, "//", 2) == 0
                                ? memmem(text + end + 3, length - end - 3, "//", 2)
                                : NULL;
        end = quote == NULL ? end + 1 : (size_t)(quote - text) + 2;
    }
    *part = text + begin;
    *part_length = end - begin;
    *at = end + 1;
    return true;
}

/* Divides a part at its first =; `value` is NULL if it has none. */
static void split_part(char *part, size_t length, struct hj212_item *item) {
    char *equals = memchr(part, '=', length);
    if (equals == NULL) {
        *item = (struct hj212_item){.name = trim(part, length)};
        return;
    }
    size_t name = (size_t)(equals - part);
    item->value = trim(equals + 1, length - name - 1);
    item->name = trim(part, name);
}

static void put_header(struct hj212_frame *frame, const struct hj212_item *item) {
    const struct {
        const char *name, **field;
    } fields[] = {{"QN", &frame->qn}, {"ST", &frame->st},     {"CN", &frame->cn},     {"PW", &frame->pw},
                  {"MN", &frame->mn}, {"Flag", &frame->flag}, {"PNUM", &frame->pnum}, {"PNO", &frame->pno}};
    if (item->value == NULL) {
        return;
    }
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (strcasecmp(fields[i].name, item->name) == 0) {
            *fields[i].field = item->value;
            return;
        }
    }
    frame->resent = frame->resent || (strcasecmp(item->name, "RF") == 0 && strcmp(item->value, "1") == 0);
    if (frame->other_count < COUNT_OF(frame->others)) {
        frame->others[frame->other_count++] = *item;
    }
}

static void put_item(struct hj212_frame *frame, const struct hj212_item *item) {
    if (frame->item_count == HJ212_ITEMS_MAX) {
        frame->faults |= HJ212_TOO_MANY;
        return;
    }
    frame->items[frame->item_count++] = *item;
}

static void read_parts(struct hj212_frame *frame, char *text, size_t length,
                       void (*put)(struct hj212_frame *frame, const struct hj212_item *item)) {
    size_t at = 0, part_length = 0;
    char *part = NULL;
    while (next_part(text, length, &at, &part, &part_length)) {
        struct hj212_item item = {0};
        /* The NUL of the value goes over the divider, which next_part has passed. */
        split_part(part, part_length, &item);
        frame->oddities |= item.value == NULL && *item.name != '\0' ? HJ212_NO_VALUE : 0U;
        if (*item.name != '\0') {
            put(frame, &item);
        }
    }
}

/* The content without the && at its end, and without an & too many. */
static size_t content_length(struct hj212_frame *frame, const char *content, size_t length) {
    while (length > 0 && content[length - 1] == '&') {
        length--;
    }
    if (length > 0 && content[length - 1] == ';') {
        frame->oddities |= HJ212_TRAILING_SEMICOLON;
    }
    return length;
}

static void read_segment(struct hj212_frame *frame, size_t length) {
    size_t begin = hj212_content(frame->text, length);
    if (begin == length) {
        frame->oddities |= HJ212_NO_CONTENT;
        begin = length;
    }
    size_t inner = content_length(frame, frame->text + begin, length - begin), more = 0;
    while (more < inner && frame->text[begin + more] == '&') {
        more++;
    }
    if (inner > more) {
        read_parts(frame, frame->text + begin + more, inner - more, put_item);
    }
    size_t header = begin;
    while (header > 0 && begin < length && frame->text[header - 1] != 'C' && frame->text[header - 1] != 'c') {
        header--;
    }
    read_parts(frame, frame->text, begin < length && header > 0 ? header - 1 : length, put_header);
}

/* ---- what the fields say */

static void read_flag(struct hj212_frame *frame) {
    int flag = 0;
    frame->version = 2005;
    if (frame->flag == NULL) {
        frame->oddities |= HJ212_NO_FLAG;
        return;
    }
    frame->has_flag = is_number(frame->flag, UINT8_MAX, &flag);
    if (!frame->has_flag) {
        frame->oddities |= HJ212_FLAG_UNREADABLE;
        return;
    }
    static const int versions[] = {2005, 2017, 2025};
    size_t version = (size_t)flag >> VERSION_SHIFT;
    frame->version = version < COUNT_OF(versions) ? versions[version] : 0;
    frame->ack = (flag & ACK_BIT) != 0;
    frame->split = (flag & SPLIT_BIT) != 0;
}

static void judge_fields(struct hj212_frame *frame) {
    bool named = frame->pnum != NULL && frame->pno != NULL;
    if (named) {
        is_number(frame->pnum, SHRT_MAX, &frame->pieces);
        is_number(frame->pno, SHRT_MAX, &frame->piece);
    }
    if (frame->cn == NULL || !is_number(frame->cn, SHRT_MAX, &frame->command)) {
        frame->command = 0;
    }
    frame->faults |= frame->split && !named ? HJ212_PIECE_UNNAMED : 0U;
    frame->faults |= is_null(frame->mn) ? HJ212_NO_IDENTITY : 0U;
    frame->faults |= is_null(frame->st) ? HJ212_NO_SYSTEM : 0U;
    frame->faults |= is_null(frame->cn) ? HJ212_NO_COMMAND : 0U;
    frame->oddities |= named && !frame->split ? HJ212_PIECE_UNMARKED : 0U;
    frame->oddities |= frame->qn == NULL ? HJ212_NO_QN : 0U;
    frame->oddities |=
        frame->qn != NULL && (strlen(frame->qn) != QN_DIGITS || strspn(frame->qn, "0123456789") != QN_DIGITS)
            ? HJ212_QN_LENGTH
            : 0U;
    const char *time = hj212_value(frame, "DataTime");
    frame->oddities |= time != NULL && strlen(time) != TIME_DIGITS ? HJ212_TIME_LENGTH : 0U;
}

const char *hj212_value(const struct hj212_frame *frame, const char *name) {
    for (size_t i = 0; i < frame->item_count; i++) {
        const struct hj212_item *item = &frame->items[i];
        if (item->value != NULL && *item->value != '\0' && strcasecmp(item->name, name) == 0) {
            return item->value;
        }
    }
    return NULL;
}

/* ---- length and check value */

/* Where the segment ends, and its check value begins; 0 = there is none. */
static size_t segment_end(const struct hj212_frame *frame, const char *bytes, size_t length) {
    size_t end = length - HJ212_CRC_DIGITS;
    if (length < HJ212_HEAD + HJ212_CRC_DIGITS || !hj212_is_hex(bytes + end, HJ212_CRC_DIGITS)) {
        return 0;
    }
    bool declared = end == HJ212_HEAD + (size_t)frame->declared;
    return declared || (end > HJ212_HEAD && bytes[end - 1] == '&') ? end : 0;
}

static void judge_length(struct hj212_frame *frame, const char *segment, size_t length) {
    frame->actual = length;
    size_t declared = (size_t)frame->declared;
    if (declared != length) {
        if (is_text(segment, length) && declared == characters(segment, length)) {
            frame->actual = declared;
        } else {
            frame->faults |= HJ212_LENGTH_WRONG;
        }
    }
    frame->faults |= length > HJ212_SEGMENT_MAX ? HJ212_TOO_LONG : 0U;
}

static void judge_crc(struct hj212_frame *frame, const char *segment, size_t length, const char *digits) {
    memcpy(frame->crc_sent, digits, HJ212_CRC_DIGITS);
    frame->crc_calculated = hj212_crc(HJ212_CRC_STANDARD, segment, length);
    frame->crc = hj212_crc_of(segment, length, digits);
    frame->faults |= frame->crc == HJ212_CRC_OFF        ? HJ212_CRC_WRONG
                     : frame->crc != HJ212_CRC_STANDARD ? HJ212_CRC_FOREIGN
                                                        : 0U;
    for (size_t i = 0; i < HJ212_CRC_DIGITS; i++) {
        frame->oddities |= islower((unsigned char)digits[i]) ? HJ212_LOWER_CRC : 0U;
    }
}

/* Replaces an encrypted content by what it says. Returns the bytes of the segment in `plain`, 0 = it is as it was. */
static size_t decrypt(struct hj212_frame *frame, const char *segment, size_t length, const uint8_t key[HJ212_KEY_BYTES],
                      char *plain) {
    size_t begin = hj212_content(segment, length);
    if (begin >= length || length - begin < 3 || memcmp(segment + begin, "{0", 2) != 0) {
        return 0;
    }
    frame->encryption = HJ212_ENCRYPTED;
    ptrdiff_t inner = key == NULL ? -1 : hj212_decrypt(segment + begin, length - begin, key, plain + begin);
    if (inner < 0) {
        return 0;
    }
    memcpy(plain, segment, begin);
    return begin + (size_t)inner;
}

static void judge_segment(struct hj212_frame *frame, const char *segment, size_t length, const char *digits,
                          const uint8_t key[HJ212_KEY_BYTES]) {
    char plain[HJ212_FRAME_MAX];
    size_t plain_length = decrypt(frame, segment, length, key, plain);
    /* What a wrong key makes is no text; a text tells that the key is right and the check value wrong. */
    bool fits = plain_length > 0 &&
                (hj212_crc_of(plain, plain_length, digits) != HJ212_CRC_OFF || is_text(plain, plain_length));
    if (frame->encryption == HJ212_ENCRYPTED && !fits) {
        /* Length and check value are the plaintext's: nothing can be said of them. */
        frame->faults |= HJ212_LOCKED;
        frame->actual = (size_t)frame->declared;
        frame->crc = HJ212_CRC_OFF;
        memcpy(frame->crc_sent, digits, HJ212_CRC_DIGITS);
        read_segment(frame, put_text(frame, segment, hj212_content(segment, length)));
        frame->oddities &= ~(unsigned)HJ212_NO_CONTENT;
        return;
    }
    if (fits) {
        frame->encryption = HJ212_DECRYPTED;
        segment = plain;
        length = plain_length;
    }
    judge_length(frame, segment, length);
    judge_crc(frame, segment, length, digits);
    read_segment(frame, put_text(frame, segment, length));
}

void hj212_parse(const char *bytes, size_t length, const uint8_t key[HJ212_KEY_BYTES], struct hj212_frame *frame) {
    *frame = (struct hj212_frame){.crc = HJ212_CRC_OFF, .version = 2005};
    length = length > HJ212_FRAME_MAX ? HJ212_FRAME_MAX : length;
    size_t line = length;
    while (line > 0 && (bytes[line - 1] == '\r' || bytes[line - 1] == '\n')) {
        line--;
    }
    frame->oddities |= line == length ? HJ212_NO_LINE_END : 0U;
    frame->oddities |= length - line == 1 && bytes[line] == '\n' ? HJ212_LINE_FEED_ONLY : 0U;
    char head[HJ212_HEAD + 1] = "";
    memcpy(head, bytes, line < HJ212_HEAD ? line : HJ212_HEAD);
    if (strncmp(head, "##", 2) != 0 || strspn(head + 2, "0123456789") != HJ212_HEAD - 2) {
        frame->faults |= HJ212_NO_FRAME;
        return;
    }
    frame->declared = atoi(head + 2);
    size_t end = segment_end(frame, bytes, line);
    if (end == 0) {
        frame->faults |= HJ212_CRC_MISSING;
        read_segment(frame, put_text(frame, bytes + HJ212_HEAD, line - HJ212_HEAD));
        judge_length(frame, bytes + HJ212_HEAD, line - HJ212_HEAD);
    } else {
        judge_segment(frame, bytes + HJ212_HEAD, end - HJ212_HEAD, bytes + end, key);
    }
    read_flag(frame);
    judge_fields(frame);
}

/* ---- in words */

struct sentence {
    char *text;
    size_t size, used;
};

static void say(struct sentence *sentence, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct sentence *sentence, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (sentence->used > 0 && sentence->used + 2 < sentence->size) {
        memcpy(sentence->text + sentence->used, "; ", 3);
        sentence->used += 2;
    }
    int wanted = vsnprintf(sentence->text + sentence->used, sentence->size - sentence->used, format, arguments);
    va_end(arguments);
    size_t room = sentence->size - sentence->used - 1;
    sentence->used += (size_t)wanted < room ? (size_t)wanted : room;
}

static void say_length(const struct hj212_frame *frame, struct sentence *sentence) {
    say(sentence, "length field %d but segment has %zu bytes%s", frame->declared, frame->actual,
        (size_t)frame->declared == frame->actual + COUNTED_TAIL ? " (counts CRC+CRLF)" : "");
}

static void say_crc(const struct hj212_frame *frame, struct sentence *sentence) {
    if ((frame->faults & HJ212_CRC_FOREIGN) != 0) {
        say(sentence, frame->crc == HJ212_CRC_MODBUS ? "CRC is CRC-16/MODBUS, not the HJ 212 one"
                                                     : "CRC is byte-swapped CRC-16/MODBUS");
    } else {
        say(sentence, "CRC wrong%s",
            hj212_crc_possible((uint16_t)hj212_hex(frame->crc_sent))
                ? ""
                : " (and not one of the 256 values the HJ 212 CRC can take)");
    }
}

static void say_missing(const struct hj212_frame *frame, struct sentence *sentence) {
    unsigned nobody = HJ212_NO_IDENTITY | HJ212_NO_SYSTEM | HJ212_NO_COMMAND;
    say(sentence, (frame->faults & nobody) == nobody ? "vendor frame, no CRC, no ST/CN/MN"
                                                     : "no CRC behind the content: the frame has no end");
}

static const struct {
    unsigned bit;
    const char *words; /* or */
    void (*tell)(const struct hj212_frame *frame, struct sentence *sentence);
} faults[] = {
    {HJ212_NO_FRAME, "no frame: ## and 4 digits are missing", NULL},
    {HJ212_CRC_MISSING, NULL, say_missing},
    {HJ212_LENGTH_WRONG, NULL, say_length},
    {HJ212_CRC_WRONG | HJ212_CRC_FOREIGN, NULL, say_crc},
    {HJ212_LOCKED, "encrypted (SM4), and no key that fits is known", NULL},
    {HJ212_TOO_LONG, "segment longer than 1024 bytes", NULL},
    {HJ212_PIECE_UNNAMED, "Flag says split but no PNUM/PNO", NULL},
    {HJ212_NO_IDENTITY, "MN empty or null: no device identity", NULL},
    {HJ212_NO_SYSTEM, "ST missing or null", NULL},
    {HJ212_NO_COMMAND, "CN missing or null", NULL},
    {HJ212_GBK, "text is GBK, the standard wants UTF-8", NULL},
    {HJ212_BAD_TEXT, "text is neither UTF-8 nor GBK", NULL},
    {HJ212_TOO_MANY, "more than 1024 items", NULL},
};

const char *hj212_why(const struct hj212_frame *frame, char reason[static HJ212_REASON_MAX]) {
    struct sentence sentence = {reason, HJ212_REASON_MAX, 0};
    reason[0] = '\0';
    /* A vendor's own frame has none of the others either. */
    bool foreign = (frame->faults & (HJ212_CRC_MISSING | HJ212_NO_IDENTITY | HJ212_NO_SYSTEM | HJ212_NO_COMMAND)) ==
                   (HJ212_CRC_MISSING | HJ212_NO_IDENTITY | HJ212_NO_SYSTEM | HJ212_NO_COMMAND);
    unsigned told = foreign ? HJ212_CRC_MISSING : frame->faults;
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        if ((told & faults[i].bit) == 0) {
            continue;
        }
        if (faults[i].tell != NULL) {
            faults[i].tell(frame, &sentence);
        } else {
            say(&sentence, "%s", faults[i].words);
        }
    }
    return reason;
}

const char *hj212_note(const struct hj212_frame *frame, char reason[static HJ212_REASON_MAX]) {
    static const struct {
        unsigned bit;
        const char *words;
    } oddities[] = {
        {HJ212_LOWER_CRC, "CRC in lower-case hex"},
        {HJ212_NO_QN, "no QN (2005 style)"},
        {HJ212_NO_FLAG, "no Flag"},
        {HJ212_FLAG_UNREADABLE, "Flag is no number"},
        {HJ212_QN_LENGTH, "QN is not 17 digits"},
        {HJ212_TIME_LENGTH, "DataTime is not 14 digits"},
        {HJ212_TRAILING_SEMICOLON, "trailing ; before &&"},
        {HJ212_LINE_FEED_ONLY, "tail is LF only"},
        {HJ212_NO_LINE_END, "no CR LF"},
        {HJ212_PIECE_UNMARKED, "PNUM/PNO but Flag does not say split"},
        {HJ212_NO_VALUE, "an item without ="},
        {HJ212_NO_CONTENT, "no CP"},
    };
    struct sentence sentence = {reason, HJ212_REASON_MAX, 0};
    reason[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(oddities); i++) {
        if ((frame->oddities & oddities[i].bit) != 0) {
            say(&sentence, "%s", oddities[i].words);
        }
    }
    return reason;
}

const char *hj212_refusal(const struct hj212_frame *frame, enum hj212_crc wanted,
                          char reason[static HJ212_REASON_MAX]) {
    unsigned fatal =
        HJ212_NO_FRAME | HJ212_CRC_MISSING | HJ212_LOCKED | HJ212_NO_IDENTITY | HJ212_NO_COMMAND | HJ212_TOO_MANY;
    if (wanted != HJ212_CRC_OFF) {
        fatal |= HJ212_LENGTH_WRONG | HJ212_CRC_WRONG;
    }
    if ((frame->faults & fatal) != 0) {
        return hj212_why(frame, reason);
    }
    if (wanted != HJ212_CRC_OFF && frame->crc != wanted) {
        snprintf(reason, HJ212_REASON_MAX, "the CRC is of the kind %s, and this terminal's is %s",
                 hj212_crc_words[frame->crc], hj212_crc_words[wanted]);
        return reason;
    }
    return NULL;
}
