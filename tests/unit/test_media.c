/* test_media.c: which files are taken, what they tell, and that what is passed on no longer tells it; ranges of a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/http/answer_file.h"
#include "hub/http/media.h"
#include "hub/http/media_exif.h"

struct copy {
    unsigned char bytes[4096];
    size_t length;
};

static bool take(void *user, const void *bytes, size_t length) {
    struct copy *copy = user;
    assert_true(copy->length + length <= sizeof copy->bytes);
    memcpy(copy->bytes + copy->length, bytes, length);
    copy->length += length;
    return true;
}

#define BYTES(text) (const unsigned char *)(text), sizeof(text) - 1

/* Strips a text with NULs in it; NULL or why not. */
static const char *strip(const unsigned char *bytes, size_t length, struct copy *copy, struct media_facts *facts) {
    unsigned char *came = malloc(length + 1);
    memcpy(came, bytes, length);
    copy->length = 0;
    const char *flaw = media_strip(media_guess(bytes, length), came, length, facts, take, copy);
    free(came);
    return flaw;
}

static void assert_stripped(const unsigned char *bytes, size_t length, const unsigned char *wanted,
                            size_t wanted_length) {
    struct copy copy;
    struct media_facts facts;
    assert_null(strip(bytes, length, &copy, &facts));
    assert_int_equal(copy.length, wanted_length);
    assert_memory_equal(copy.bytes, wanted, wanted_length);
    for (size_t cut = 1; cut < length; cut++) { /* half of it: refused, or what came whole */
        const char *flaw = strip(bytes, cut, &copy, &facts);
        assert_true(flaw != NULL || copy.length == wanted_length);
    }
}

#define SCAN "\xFF\xDA\0\4XX\1\2\xFF\0\3\xFF\xD0\4"

static void test_jpeg(void **state) {
    (void)state;
    assert_stripped(BYTES("\xFF\xD8\xFF\xE0\0\7JFIF\0\xFF\xE1\0\6XMP.\xFF\xED\0\4PS\xFF\xFE\0\4hi\xFF\xDB\0\4QT" SCAN
                          "\xFF\xFE\0\4hi\xFF\xC4\0\4HT" SCAN "\xFF\xD9 behind it"),
                    BYTES("\xFF\xD8\xFF\xE0\0\7JFIF\0\xFF\xDB\0\4QT" SCAN "\xFF\xC4\0\4HT" SCAN "\xFF\xD9"));
    assert_stripped(BYTES("\xFF\xD8\xFF\xE2\0\4MP\xFF\xE2\0\16ICC_PROFILE\0\xFF\xEE\0\7Adobe" SCAN "\xFF\xD9"),
                    BYTES("\xFF\xD8\xFF\xE2\0\16ICC_PROFILE\0\xFF\xEE\0\7Adobe" SCAN "\xFF\xD9"));
}

#define TIFF_HEAD "II*\0\x08\0\0\0"
#define ORIENTATION "\x12\1\3\0\1\0\0\0\6\0\0\0"

static void test_jpeg_keeps_its_orientation(void **state) {
    (void)state;
    struct copy copy;
    struct media_facts facts, again;
    assert_null(strip(BYTES("\xFF\xD8\xFF\xE1\0\42"
                            "Exif\0\0" TIFF_HEAD "\1\0" ORIENTATION "\0\0\0\0" SCAN "\xFF\xD9"),
                      &copy, &facts));
    assert_int_equal(facts.orientation, 6);
    struct copy second;
    assert_null(strip(copy.bytes, copy.length, &second, &again));
    assert_int_equal(again.orientation, 6);
    assert_int_equal(second.length, copy.length);
    assert_memory_equal(second.bytes, copy.bytes, copy.length);
}

/* Several blocks, of which a later one says another orientation or none: the first one that says one turns the picture,
 * once. */
static void test_jpeg_is_turned_once(void **state) {
    (void)state;
#define BLOCK(orientation)                                                                                             \
    "\xFF\xE1\0\42"                                                                                                    \
    "Exif\0\0" TIFF_HEAD "\1\0\x12\1\3\0\1\0\0\0" orientation "\0\0\0\0\0\0\0"
    struct copy copy, second;
    struct media_facts facts, again;
    assert_null(
        strip(BYTES("\xFF\xD8" BLOCK("\6") BLOCK("\x99") BLOCK("\3") BLOCK("\6") SCAN "\xFF\xD9"), &copy, &facts));
    assert_int_equal(facts.orientation, 6);
    assert_null(strip(copy.bytes, copy.length, &second, &again));
    assert_int_equal(again.orientation, 6);
    assert_int_equal(second.length, copy.length);
    assert_memory_equal(second.bytes, copy.bytes, copy.length);
    assert_null(strip(BYTES("\xFF\xD8" BLOCK("\1") BLOCK("\3") SCAN "\xFF\xD9"), &copy, &facts));
    assert_int_equal(facts.orientation, 1);
    assert_int_equal(copy.length, 2 + sizeof(SCAN) - 1 + 2);
}

#define PNG "\x89PNG\r\n\x1a\n"
#define IHDR "\0\0\0\1IHDR.CRC."
#define IDAT "\0\0\0\1IDAT.CRC."
#define IEND "\0\0\0\0IENDCRC."

static void test_png_webp_pdf(void **state) {
    (void)state;
    assert_stripped(BYTES(PNG IHDR "\0\0\0\2tEXthiCRC."
                                   "\0\0\0\1gAMA.CRC."
                                   "\0\0\0\1tIME.CRC." IDAT IEND "behind"),
                    BYTES(PNG IHDR "\0\0\0\1gAMA.CRC." IDAT IEND));
    assert_stripped(BYTES("RIFF\x34\0\0\0WEBPVP8X\x0a\0\0\0\x2c.........VP8L\1\0\0\0..EXIF\2\0\0\0..XMP \2\0\0\0.."),
                    BYTES("RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x20.........VP8L\1\0\0\0.."));
    assert_stripped(BYTES("%PDF-1.7 %%EOF"), BYTES("%PDF-1.7 %%EOF"));
}

#define PDF_HEAD "%PDF-1.7\n%\xE2\xE3(\n1 0 obj <</Type/Catalog /Metadata 3 0 R>> endobj\n"
#define PDF_TAIL "trailer <</Root 1 0 R "
#define JPEG_IN "stream\r\n\xFF\xD8\xFF\xE0\0\7JFIF\0\xFF\xE1"

/* What tells of the author, the making and the place, and nothing else: places of objects stay. */
static void test_pdf(void **state) {
    (void)state;
    assert_stripped(
        BYTES(PDF_HEAD "2 0 obj <</Author (\xD5\xC5(\\)) \\)3) /Title <FEFF5F20> /Trapped /False>> endobj\n"
                       "3 0 obj <</Type /Metadata /Subtype /XML /Length 50>> stream\n"
                       "<?xpacket?><exif:GPSLatitude>34,33N</exif:GPSLatitude>\nendstream endobj\n"
                       "4 0 obj <</Type/Metadata/Filter/FlateDecode>>stream\r\n0123456789AB\r\nendstream endobj\n"
                       "5 0 obj <</Filter/DCTDecode>> " JPEG_IN "\0\6GPS.\xFF\xDA\0\4GPS\nendstream endobj\n"
                       "6 0 obj <</Title (Chapter 2) /Note (2 0 obj)>> endobj 12 0 obj <</T (x)>> endobj\n" PDF_TAIL
                       "/Info 2 0 R >> %%EOF"),
        BYTES(PDF_HEAD "2 0 obj <</Author ()           /Title <>         /Trapped /False>> endobj\n"
                       "3 0 obj <</Type /Metadata /Subtype /XML /Length 50>> stream\n"
                       "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"/>                 \nendstream endobj\n"
                       "4 0 obj <</Type/Metadata/Filter/FlateDecode>>stream\r\n\x78\x01\x01\0\0\xFF\xFF\0\0\0\1\0"
                       "\r\nendstream endobj\n"
                       "5 0 obj <</Filter/DCTDecode>> " JPEG_IN "\0\6\0\0\0\0\xFF\xDA\0\4GPS\nendstream endobj\n"
                       "6 0 obj <</Title (Chapter 2) /Note (2 0 obj)>> endobj 12 0 obj <</T (x)>> endobj\n" PDF_TAIL
                       "            >> %%EOF"));
    /* A signature goes by the bytes. */
    assert_stripped(BYTES(PDF_HEAD "2 0 obj <</Author (me)>> endobj 7 0 obj <</ByteRange [0 9 20 9]>> endobj " PDF_TAIL
                                   "/Info 2 0 R >>"
                                   "%%EOF"),
                    BYTES(PDF_HEAD "2 0 obj <</Author (me)>> endobj 7 0 obj <</ByteRange [0 9 20 9]>> endobj " PDF_TAIL
                                   "/Info 2 0 R >>"
                                   "%%EOF"));
}

static void test_mp4(void **state) {
    (void)state;
    struct copy copy;
    struct media_facts facts;
    const char film[] = "\0\0\0\x10"
                        "ftypisom\0\0\0\0"
                        "\0\0\0\x2e"
                        "moov\0\0\0\x26udta\0\0\0\x1e\xA9xyz\0\x12\0\0+34.55-114.76/...."
                        "\0\0\0\x0cmdatDATA";
    assert_null(strip(BYTES(film), &copy, &facts));
    assert_true(facts.placed && facts.lat > 34.549 && facts.lat < 34.551 && facts.lon < -114.75);
    assert_int_equal(copy.length, sizeof film - 1); /* places of samples stay */
    assert_null(memmem(copy.bytes, copy.length, "34.55", 5));
    assert_non_null(memmem(copy.bytes, copy.length,
                           "\0\0\0\x26"
                           "free\0\0\0\0",
                           12));
    assert_non_null(strip(BYTES("\0\0\0\x10"
                                "ftypisom\0\0\0\0"
                                "\0\0\0\x0cmdatDATA"),
                          &copy, &facts)); /* no film */
    assert_int_equal(media_guess(BYTES("\0\0\0\x10"
                                       "ftypheic\0\0\0\0")),
                     MEDIA_NONE);
    assert_non_null(strip(BYTES("MZ......."), &copy, &facts));
}

/* ---- a film in pieces: each adds a box, and gives its place ---- */

struct film {
    unsigned char bytes[2048];
    size_t length;
};

static void put32(struct film *film, uint32_t value) {
    const unsigned char big[] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                 (unsigned char)(value >> 8), (unsigned char)value};
    memcpy(film->bytes + film->length, big, 4);
    film->length += 4;
}

static void put(struct film *film, const char *bytes, size_t length) {
    memcpy(film->bytes + film->length, bytes, length);
    film->length += length;
}

static size_t open_box(struct film *film, const char *name) {
    put32(film, 0);
    put(film, name, 4);
    return film->length - 8;
}

static void close_box(struct film *film, size_t at) {
    struct film size = {.length = 0};
    put32(&size, (uint32_t)(film->length - at));
    memcpy(film->bytes + at, size.bytes, 4);
}

static void put_box(struct film *film, const char *name, const char *bytes, size_t length) {
    size_t at = open_box(film, name);
    put(film, bytes, length);
    close_box(film, at);
}

static void put_table(struct film *film, const char *name, const uint32_t *words, size_t count) {
    size_t at = open_box(film, name);
    for (size_t i = 0; i < count; i++) {
        put32(film, words[i]);
    }
    close_box(film, at);
}

/* A track of two chunks, at `first` two samples of 4 and 5 bytes, at `second` one of 6. */
static void put_track(struct film *film, const char *handler, uint32_t first, uint32_t second) {
    size_t track = open_box(film, "trak"), media, information, tables;
    put_box(film, "tkhd", "head", 4);
    media = open_box(film, "mdia");
    size_t at = open_box(film, "hdlr");
    put(film, "\0\0\0\0....", 8);
    put(film, handler, 4);
    close_box(film, at);
    information = open_box(film, "minf");
    tables = open_box(film, "stbl");
    put_table(film, "stsc", (const uint32_t[]){0, 2, 1, 2, 1, 2, 1, 1}, 8);
    put_table(film, "stsz", (const uint32_t[]){0, 0, 3, 4, 5, 6}, 6);
    put_table(film, "stco", (const uint32_t[]){0, 2, first, second}, 4);
    close_box(film, tables);
    close_box(film, information);
    close_box(film, media);
    close_box(film, track);
}

/* Where one was second by second stands in a track of its own, among the pictures. */
static void test_mp4_tracks(void **state) {
    (void)state;
    static const char *const handlers[] = {"meta", "text", "sbtl", "subt", "data", "tmcd"};
    for (size_t i = 0; i < COUNT_OF(handlers); i++) {
        struct film film = {.length = 0};
        struct copy copy;
        struct media_facts facts;
        put_box(&film, "ftyp", "isom\0\0\0\0", 8);
        size_t samples = film.length + 8;
        put_box(&film, "mdat", "PICTUREone++four+PICTUREtwo+++++end", 35);
        size_t moov = open_box(&film, "moov");
        put_track(&film, "vide", (uint32_t)samples, (uint32_t)samples + 17);
        put_track(&film, handlers[i], (uint32_t)samples + 7, (uint32_t)samples + 24);
        close_box(&film, moov);
        put_box(&film, "emsg", "34.55", 5);
        assert_null(strip(film.bytes, film.length, &copy, &facts));
        assert_int_equal(copy.length, film.length);
        assert_memory_equal(copy.bytes + samples, "PICTURE\0\0\0\0\0\0\0\0\0+PICTURE\0\0\0\0\0\0++end", 35);
        assert_non_null(memmem(copy.bytes, copy.length, "vide", 4));
        assert_null(memmem(copy.bytes, copy.length, handlers[i], 4));
        assert_null(memmem(copy.bytes, copy.length, "34.55", 5));
    }
}

/* A track's head with its number, and what it is of. */
static void put_short_track(struct film *film, uint32_t number, const char *handler) {
    size_t track = open_box(film, "trak");
    put_table(film, "tkhd", (const uint32_t[]){0, 0, 0, number, 0, 0}, 6);
    size_t media = open_box(film, "mdia");
    size_t at = open_box(film, "hdlr");
    put(film, "\0\0\0\0....", 8);
    put(film, handler, 4);
    close_box(film, at);
    close_box(film, media);
    close_box(film, track);
}

/* A recording that was cut off stays as its fragments: the pictures' samples and those of places take turns. */
static void test_mp4_fragments(void **state) {
    (void)state;
    enum { BASE_IS_FRAGMENT = 0x20000, BASE = 1, SIZE = 0x10, OFFSET = 1, DURATIONS = 0x100, SIZES = 0x200 };
    for (int way = 0; way < 4; way++) {
        struct film film = {.length = 0};
        struct copy copy;
        struct media_facts facts;
        put_box(&film, "ftyp", "iso5\0\0\0\0", 8);
        size_t moov = open_box(&film, "moov"), more;
        put_short_track(&film, 1, "vide");
        put_short_track(&film, 7, "meta");
        more = open_box(&film, "mvex");
        put_table(&film, "trex", (const uint32_t[]){0, 7, 1, 0, 4, 0}, 6);
        close_box(&film, more);
        close_box(&film, moov);
        for (int fragment = 0; fragment < 2; fragment++) {
            size_t moof = open_box(&film, "moof"), part = open_box(&film, "traf"), place, run;
            put_table(&film, "tfhd", (const uint32_t[]){BASE_IS_FRAGMENT, 1}, 2);
            run = film.length + 16;
            put_table(&film, "trun", (const uint32_t[]){OFFSET | SIZES, 2, 0, 3, 4}, 5);
            close_box(&film, part);
            part = open_box(&film, "traf");
            size_t base = film.length + 16;
            switch (way) {
            case 0: /* behind what the part before has */
                put_table(&film, "tfhd", (const uint32_t[]){0, 7}, 2);
                put_table(&film, "trun", (const uint32_t[]){0, 2}, 2);
                break;
            case 1: /* a place of its own, in the file */
                put_table(&film, "tfhd", (const uint32_t[]){BASE | SIZE, 7, 0, 0, 8}, 5);
                put_table(&film, "trun", (const uint32_t[]){0, 1}, 2);
                break;
            case 2: /* sizes of each, and more; two runs */
                put_table(&film, "tfhd", (const uint32_t[]){0, 7}, 2);
                put_table(&film, "trun", (const uint32_t[]){DURATIONS | SIZES, 1, 99, 5}, 4);
                put_table(&film, "trun", (const uint32_t[]){DURATIONS | SIZES, 1, 99, 3}, 4);
                break;
            default: /* a track that the film does not name */
                put_table(&film, "tfhd", (const uint32_t[]){SIZE, 9, 8}, 3);
                put_table(&film, "trun", (const uint32_t[]){0, 1}, 2);
            }
            close_box(&film, part);
            close_box(&film, moof);
            place = film.length + 8;
            put_box(&film, "mdat", "PICTURE34.55114end", 18);
            struct film number = {.length = 0};
            put32(&number, (uint32_t)(place - moof));
            memcpy(film.bytes + run, number.bytes, 4);
            number.length = 0;
            put32(&number, (uint32_t)place + 7);
            memcpy(film.bytes + (way == 1 ? base + 4 : run), number.bytes, way == 1 ? 4 : 0);
        }
        assert_null(strip(film.bytes, film.length, &copy, &facts));
        assert_int_equal(copy.length, film.length);
        assert_null(memmem(copy.bytes, copy.length, "34.55", 5));
        assert_null(memmem(copy.bytes, copy.length, "meta", 4));
        const unsigned char *first = memmem(copy.bytes, copy.length, "PICTURE\0\0\0\0\0\0\0\0end", 18);
        assert_non_null(first);
        assert_non_null(
            memmem(first + 18, copy.length - (size_t)(first + 18 - copy.bytes), "PICTURE\0\0\0\0\0\0\0\0end", 18));
    }
}

/* What phones write: Android's (c)xyz is in test_mp4. */
static void test_mp4_places(void **state) {
    (void)state;
    struct copy copy;
    struct media_facts facts;
    for (int way = 0; way < 4; way++) {
        struct film film = {.length = 0};
        put_box(&film, "ftyp", "qt  \0\0\0\0", 8);
        size_t moov = open_box(&film, "moov");
        size_t user = way == 1 || way == 3 ? open_box(&film, "udta") : 0;
        if (way < 3) { /* as QuickTime has it, with a version, in user data */
            size_t meta = open_box(&film, "meta"), list;
            put(&film, "\0\0\0\0", way == 2 ? 4 : 0);
            put_box(&film, "hdlr", "\0\0\0\0\0\0\0\0mdta", 12);
            list = open_box(&film, "keys");
            put(&film, "\0\0\0\0\0\0\0\2", 8);
            put_box(&film, "mdta", "com.apple.quicktime.make", 24);
            put_box(&film, "mdta", "com.apple.quicktime.location.ISO6709", 36);
            close_box(&film, list);
            list = open_box(&film, "ilst");
            size_t item = open_box(&film, "\0\0\0\2");
            put_box(&film, "data", "\0\0\0\1\0\0\0\0+34.5500+114.7600+052.1/", 33);
            close_box(&film, item);
            close_box(&film, list);
            close_box(&film, meta);
        } else {
            put_box(&film, "loci", "\0\0\0\0\x15\xC7lankao\0\0\0\x72\xC2\x8F\0\x22\x8C\xCC\0\0\0\0earth\0\0", 32);
        }
        if (user != 0) {
            close_box(&film, user);
        }
        close_box(&film, moov);
        assert_null(strip(film.bytes, film.length, &copy, &facts));
        assert_true(facts.placed && facts.lat > 34.549 && facts.lat < 34.551 && facts.lon > 114.759 &&
                    facts.lon < 114.761);
        assert_int_equal(copy.length, film.length);
        assert_null(memmem(copy.bytes, copy.length, "34.55", 5));
        assert_null(memmem(copy.bytes, copy.length, "lankao", 6));
    }
}

static void test_exif(void **state) {
    (void)state;
    struct media_facts facts = {0};
    const char tiff[] = "MM\0*\0\0\0\x08"
                        "\0\2\x87\x69\0\4\0\0\0\1\0\0\0\x26\x88\x25\0\4\0\0\0\1\0\0\0\x38\0\0\0\0" /* at 8 */
                        "\0\1\x90\3\0\2\0\0\0\x14\0\0\0\x6e\0\0\0\0"                               /* at 38 */
                        "\0\4\0\1\0\2\0\0\0\2S\0\0\0\0\2\0\5\0\0\0\3\0\0\0\x82\0\3\0\2\0\0\0\2"
                        "E\0\0\0\0\4\0\5\0\0\0\3\0\0\0\x82\0\0\0\0"
                        "2026:11:20 09:08:07\0"                                 /* at 110 */
                        "\0\0\0\x0a\0\0\0\1\0\0\0\x1e\0\0\0\1\0\0\0\0\0\0\0\1"; /* at 130 */
    media_exif_read(BYTES(tiff), &facts);
    assert_string_equal(facts.taken_at, "2026-11-20T09:08:07");
    assert_true(facts.placed && facts.lat == -10.5 && facts.lon == 10.5);
    for (size_t length = 0; length < sizeof tiff - 1; length++) { /* never beyond what there is */
        unsigned char *exact = malloc(length + 1);
        memcpy(exact + 1, tiff, length);
        media_exif_read(exact + 1, length, &facts);
        free(exact);
    }
}

static void test_ranges(void **state) {
    (void)state;
    static const struct {
        const char *header;
        enum range_kind kind;
        uint64_t from, length;
    } cases[] = {
        {NULL, RANGE_NONE, 0, 0},           {"bytes=0-0", RANGE_PART, 0, 1},
        {"bytes=5-", RANGE_PART, 5, 5},     {"bytes=-3", RANGE_PART, 7, 3},
        {"bytes=-30", RANGE_PART, 0, 10},   {"bytes=2-99999999999999999999", RANGE_PART, 2, 8},
        {"bytes=10-", RANGE_OUTSIDE, 0, 0}, {"bytes=-0", RANGE_OUTSIDE, 0, 0},
        {"bytes=3-2", RANGE_NONE, 0, 0},    {"bytes=0-1,3-4", RANGE_NONE, 0, 0},
        {"bytes=-", RANGE_NONE, 0, 0},      {"Bytes=1-1", RANGE_PART, 1, 1},
        {"items=0-1", RANGE_NONE, 0, 0},    {"bytes= 0-1", RANGE_NONE, 0, 0},
        {"bytes=+1-2", RANGE_NONE, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t from = 0, length = 0;
        assert_int_equal(answer_file_range(cases[i].header, 10, &from, &length), cases[i].kind);
        if (cases[i].kind == RANGE_PART) {
            assert_int_equal(from, cases[i].from);
            assert_int_equal(length, cases[i].length);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jpeg),
        cmocka_unit_test(test_jpeg_keeps_its_orientation),
        cmocka_unit_test(test_jpeg_is_turned_once),
        cmocka_unit_test(test_png_webp_pdf),
        cmocka_unit_test(test_pdf),
        cmocka_unit_test(test_mp4),
        cmocka_unit_test(test_mp4_tracks),
        cmocka_unit_test(test_mp4_fragments),
        cmocka_unit_test(test_mp4_places),
        cmocka_unit_test(test_exif),
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
