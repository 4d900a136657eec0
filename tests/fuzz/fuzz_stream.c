/* fuzz_stream.c: what a client of the live stream says, one a line: where it was, layers, subsystems, box; and the
 * departments that the database says. What is taken is what was said, and applying it reads nothing too far. */
#include "fuzz.h"
#include "hub/live/feed_filter.h"
#include "hub/live/feed_internal.h"
#include "hub/live/feed_position.h"

static void check_position(const char *text) {
    char again[FEED_POSITION_BYTES];
    struct feed_position position;
    if (feed_position_parse(text, &position) == 0) {
        feed_position_text(&position, again);
        REQUIRE(strcmp(text, again) == 0);
    }
}

/* Whose rows they are not, nobody is told of. */
static void check_match(const struct feed_filter *filter) {
    const struct feed_area area = feed_filter_area(filter);
    const uint32_t cell = feed_cell_of(114, 34);
    for (int layer = 0; layer < FEED_LAYERS; layer++) {
        struct feed_entry entry = {.key = {.id = 1, .layer = layer}};
        struct feed_slot slot = {
            .entry = &entry, .where = {.subsystem = layer - 1, .department = 7, .placed = true, .lon = 114, .lat = 34}};
        bool sees = !filter->limited;
        for (size_t i = 0; i < filter->department_count; i++) {
            REQUIRE(filter->departments[i] > 0);
            sees = sees || filter->departments[i] == 7;
        }
        REQUIRE(feed_filter_match(filter, (enum feed_layer)layer, &slot, &entry.was, true) == FEED_NOTHING || sees);
        REQUIRE(feed_filter_match(filter, FEED_STATE, &slot, &entry.was, true) == FEED_NOTHING ||
                feed_area_has(&area, cell));
        slot.where.department = 0;
        REQUIRE(feed_filter_match(filter, (enum feed_layer)layer, &slot, &entry.was, false) == FEED_NOTHING ||
                !filter->limited);
        slot.left = 7;
        REQUIRE(feed_filter_match(filter, (enum feed_layer)layer, &slot, &entry.was, false) ==
                (filter->limited && sees ? FEED_LEFT : FEED_NOTHING));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { LINES = 5 };
    char *text = fuzz_text(data, size), *rest = text, *lines[LINES];
    struct feed_filter filter = {0};
    for (size_t i = 0; i < LINES; i++) {
        char *line = strsep(&rest, "\n");
        lines[i] = fuzz_text((const uint8_t *)(line == NULL ? "" : line), line == NULL ? 0 : strlen(line));
    }
    check_position(lines[0]);
    bool good = feed_filter_layers(&filter, lines[1]) == 0 && feed_filter_subsystems(&filter, lines[2]) == 0;
    REQUIRE(!good || (filter.layers != 0 && filter.layers <= FEED_ALL));
    feed_filter_box(&filter, lines[3]);
    if (feed_filter_departments(&filter, lines[4][0] == '*' ? NULL : lines[4]) == 0) {
        check_match(&filter);
    }
    REQUIRE(feed_filter_equal(&filter, &filter) || filter.west != filter.west || filter.south != filter.south ||
            filter.east != filter.east || filter.north != filter.north);
    feed_filter_free(&filter);
    for (size_t i = 0; i < LINES; i++) {
        free(lines[i]);
    }
    free(text);
    return 0;
}
