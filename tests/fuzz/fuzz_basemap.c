/* fuzz_basemap.c: any bytes as a file of base maps, as control points, and as a tile's picture. What is taken has
 * addresses that can be made, without a brace left; a picture has sides within bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hub/basemap/basemap.h"
#include "hub/basemap/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_file(const char *text) {
    struct basemap_file file;
    struct buffer faults = {0};
    if (strstr(text, "key_file") != NULL || strstr(text, "control_points") != NULL) {
        return; /* files of this machine are not to be tried */
    }
    if (basemap_file_parse(text, &file, &faults) != 0 && faults.length == 0) {
        abort();
    }
    for (size_t i = 0; faults.length == 0 && i < file.count; i++) {
        for (size_t layer = 0; layer < file.maps[i].layer_count; layer++) {
            struct buffer url = {0};
            basemap_url(&file.maps[i], layer, 20, 1048575, 7, &url);
            const char *made = buffer_string(&url);
            if (made == NULL || strncmp(made, "http", 4) != 0 || strchr(made, '{') != NULL) {
                abort();
            }
            buffer_free(&url);
        }
    }
    buffer_free(&faults);
    basemap_file_free(&file);
}

static void as_points(const char *bytes, size_t size) {
    static struct basemap_point points[BASEMAP_POINTS_MAX];
    char problem[BASEMAP_CHECK_TEXT_MAX];
    struct basemap_report report;
    size_t count;
    if (basemap_points_read(bytes, size, points, &count, problem) != 0) {
        if (problem[0] == '\0') {
            abort();
        }
        return;
    }
    basemap_check(points, count, BASEMAP_TOLERANCE_M, &report);
    if (strlen(basemap_verdict_words(&report, problem)) == 0 ||
        strlen(basemap_verdict_words_zh(&report, problem)) == 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned width, height;
    char *text = malloc(size + 1);
    unsigned char *exact = malloc(size + (size == 0)); /* so that one byte beyond its end is seen */
    if (text == NULL || exact == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(text, data, size);
        memcpy(exact, data, size);
    }
    text[size] = '\0';
    as_file(text);
    as_points(text, size);
    if (picture_of(exact, size, &width, &height) != PICTURE_NONE &&
        (width < 1 || width > PICTURE_SIDE_MAX || height < 1 || height > PICTURE_SIDE_MAX)) {
        abort();
    }
    free(exact);
    free(text);
    return 0;
}
