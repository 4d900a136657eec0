/* jt808_letter.c: see jt808_letter.h. Must never change a byte of a medium, nor put its place right. */
#include "hub/gateway/jt808_letter.h"

#include <sodium.h>
#include <stdlib.h>

static bool put_data(cJSON *media, const uint8_t *data, size_t length) {
    size_t size = sodium_base64_encoded_len(length, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);
    if (text == NULL) {
        return false;
    }
    sodium_bin2base64(text, size, data, length, sodium_base64_VARIANT_ORIGINAL);
    bool put = cJSON_AddStringToObject(media, "data", text) != NULL;
    free(text);
    return put;
}

static bool put_place(cJSON *media, const struct jt808_position *position, int offset_minutes, const char *system) {
    int64_t ms;
    bool put = jt808_time_ms(position->time, offset_minutes, &ms) != 0 ||
               cJSON_AddNumberToObject(media, "taken_ms", (double)ms) != NULL;
    if ((position->status & JT808_STATUS_FIX) != 0) {
        put = put && cJSON_AddNumberToObject(media, "lon", jt808_lon(position)) != NULL &&
              cJSON_AddNumberToObject(media, "lat", jt808_lat(position)) != NULL &&
              (system == NULL || cJSON_AddStringToObject(media, "system", system) != NULL);
    }
    return put;
}

cJSON *jt808_letter(const struct jt808_media *media, const char *phone, int offset_minutes, const char *system) {
    cJSON *letter = cJSON_CreateObject(), *body = cJSON_AddObjectToObject(letter, "media");
    bool made = body != NULL && cJSON_AddStringToObject(body, "protocol", "jt808") != NULL &&
                cJSON_AddStringToObject(body, "identity", phone) != NULL &&
                cJSON_AddNumberToObject(body, "id", media->id) != NULL &&
                cJSON_AddNumberToObject(body, "kind", media->kind) != NULL &&
                cJSON_AddNumberToObject(body, "format", media->format) != NULL &&
                cJSON_AddNumberToObject(body, "event", media->event) != NULL &&
                cJSON_AddNumberToObject(body, "channel", media->channel) != NULL &&
                (!media->has_position || put_place(body, &media->position, offset_minutes, system)) &&
                (media->data == NULL || put_data(body, media->data, media->length));
    if (!made) {
        cJSON_Delete(letter);
        return NULL;
    }
    return letter;
}
