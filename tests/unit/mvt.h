/* mvt.h: a reader of vector tiles for tests, written from the specification and not from the encoder. Tiles of one
 * layer with points. */
#ifndef CITYHUB_TEST_MVT_H
#define CITYHUB_TEST_MVT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "hub/base/buffer.h"

enum { MVT_FEATURES_MAX = 20000, MVT_WORDS_MAX = 64, MVT_TEXT_MAX = 64 };

struct mvt_feature {
    uint64_t id;
    int32_t x, y;
    char kind[MVT_TEXT_MAX], state[MVT_TEXT_MAX];
    uint64_t count; /* 0 = the feature has none */
};

struct mvt {
    size_t count;
    struct mvt_feature features[MVT_FEATURES_MAX];
    char name[MVT_TEXT_MAX];
    uint64_t extent, version;
};

struct mvt_bytes {
    const unsigned char *at, *end;
};

static inline uint64_t mvt_varint(struct mvt_bytes *bytes) {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_true(bytes->at < bytes->end && shift < 64);
        value |= (uint64_t)(*bytes->at & 0x7f) << shift;
        if ((*bytes->at++ & 0x80) == 0) {
            return value;
        }
    }
}

/* The next field's number; its number or its bytes. 0 = there is none. */
static inline unsigned mvt_field(struct mvt_bytes *bytes, uint64_t *number, struct mvt_bytes *inner) {
    if (bytes->at == bytes->end) {
        return 0;
    }
    uint64_t head = mvt_varint(bytes);
    *number = mvt_varint(bytes);
    assert_true((head & 7) == 0 || (head & 7) == 2);
    if ((head & 7) == 2) {
        assert_true(*number <= (uint64_t)(bytes->end - bytes->at));
        *inner = (struct mvt_bytes){bytes->at, bytes->at + *number};
        bytes->at += *number;
    }
    return (unsigned)(head >> 3);
}

static inline void mvt_text(const struct mvt_bytes *bytes, char text[MVT_TEXT_MAX]) {
    size_t length = (size_t)(bytes->end - bytes->at);
    assert_true(length < MVT_TEXT_MAX);
    memcpy(text, bytes->at, length);
    text[length] = '\0';
}

struct mvt_words {
    size_t key_count, value_count;
    char keys[MVT_WORDS_MAX][MVT_TEXT_MAX], values[2048][MVT_TEXT_MAX];
    uint64_t numbers[2048];
};

static inline void mvt_read_feature(struct mvt_bytes bytes, const struct mvt_words *words,
                                    struct mvt_feature *feature) {
    uint64_t number;
    struct mvt_bytes inner;
    memset(feature, 0, sizeof *feature);
    for (unsigned field; (field = mvt_field(&bytes, &number, &inner)) != 0;) {
        if (field == 1) {
            feature->id = number;
            assert_true(bytes.at == bytes.end); /* ids are last */
        } else if (field == 2) {
            while (inner.at < inner.end) {
                uint64_t key = mvt_varint(&inner), value = mvt_varint(&inner);
                assert_true(key < words->key_count && value < words->value_count);
                if (strcmp(words->keys[key], "count") == 0) {
                    feature->count = words->numbers[value];
                } else {
                    char *text = strcmp(words->keys[key], "kind") == 0 ? feature->kind : feature->state;
                    memcpy(text, words->values[value], MVT_TEXT_MAX);
                }
            }
        } else if (field == 3) {
            assert_int_equal(number, 1);
        } else {
            assert_int_equal(field, 4);
            assert_int_equal(mvt_varint(&inner), 9);
            uint64_t x = mvt_varint(&inner), y = mvt_varint(&inner);
            feature->x = (int32_t)(x >> 1) ^ -(int32_t)(x & 1);
            feature->y = (int32_t)(y >> 1) ^ -(int32_t)(y & 1);
            assert_true(inner.at == inner.end);
        }
    }
}

/* The caller frees. */
static inline struct mvt *mvt_read(const struct buffer *tile) {
    struct mvt *mvt = calloc(1, sizeof *mvt);
    struct mvt_words *words = calloc(1, sizeof *words);
    struct mvt_bytes bytes = {(const unsigned char *)tile->data, (const unsigned char *)tile->data + tile->length};
    struct mvt_bytes layer, inner, value;
    uint64_t number;
    assert_true(mvt != NULL && words != NULL);
    if (tile->length > 0) {
        assert_int_equal(mvt_field(&bytes, &number, &layer), 3);
        assert_true(bytes.at == bytes.end);
        struct mvt_bytes again = layer;
        for (unsigned field; (field = mvt_field(&layer, &number, &inner)) != 0;) {
            if (field == 1) {
                mvt_text(&inner, mvt->name);
            } else if (field == 3) {
                mvt_text(&inner, words->keys[words->key_count++]);
            } else if (field == 4) {
                unsigned kind = mvt_field(&inner, &words->numbers[words->value_count], &value);
                if (kind == 1) {
                    mvt_text(&value, words->values[words->value_count]);
                }
                words->value_count++;
            } else if (field == 5) {
                mvt->extent = number;
            } else if (field == 15) {
                mvt->version = number;
            }
        }
        while (again.at < again.end) {
            if (mvt_field(&again, &number, &inner) == 2) {
                assert_true(mvt->count < MVT_FEATURES_MAX);
                mvt_read_feature(inner, words, &mvt->features[mvt->count++]);
            }
        }
    }
    free(words);
    return mvt;
}

#endif
