/* command_basemap.c: `cityhub basemap`: base maps looked at before anybody sees them. Must never print an address of a
 * source, nor a key. */
#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/basemap/basemap_fetch.h"
#include "hub/cli/arguments.h"
#include "hub/cli/print_table.h"
#include "hub/command/commands.h"

enum { POINTS_FILE_MAX = 1 << 20 };

/* ---- the file ---- */

/* Returns an exit code; the file is the caller's to free in either case. */
static int load(const struct config *config, struct basemap_file *file) {
    struct buffer faults = {0};
    const char *path = config->http_basemaps;
    *file = (struct basemap_file){0};
    if (*path == '\0') {
        return command_fail("there are no base maps: [http] basemaps names no file");
    }
    int code = basemap_file_read(path, file, &faults);
    for (const char *at = buffer_string(&faults), *end; at != NULL && *at != '\0'; at = end + (*end != '\0')) {
        end = at;
        while (*end != '\0' && *end != '\n') {
            end++;
        }
        fprintf(stderr, "%s: %.*s\n", path, (int)(end - at), at);
    }
    buffer_free(&faults);
    return code == 0 ? EXIT_DONE : command_fail("%s: it cannot be used so", path);
}

/* ---- list ---- */

static int list(const struct config *config, const struct arguments *arguments) {
    struct basemap_file file;
    int code = load(config, &file);
    (void)arguments;
    for (size_t i = 0; code == EXIT_DONE && i < file.count; i++) {
        const struct basemap *map = &file.maps[i];
        printf("%-16s %s: %zu layer%s, zoom %u to %u; ", map->name, map->title_zh, map->layer_count,
               map->layer_count == 1 ? "" : "s", map->zoom_min, map->zoom_max);
        if (map->refused[0] != '\0') {
            printf("refused: ");
            print_text(stdout, map->refused);
            putchar('\n');
        } else if (map->report.points == 0) {
            puts("shown, unchecked: it has no control_points");
        } else {
            printf("shown: %zu control points, %.1f m at the most\n", map->report.points, map->report.largest_m);
        }
    }
    basemap_file_free(&file);
    return code;
}

/* ---- check ---- */

static void print_report(const struct basemap_point *points, size_t count, const struct basemap_report *report) {
    if (report->verdict == BASEMAP_UNDECIDED) {
        return; /* nothing was measured */
    }
    printf("%9s %9s %9s  point\n", "east m", "north m", "apart m");
    for (size_t i = 0; i < count; i++) {
        printf("%9.1f %9.1f %9.1f  ", points[i].east_m, points[i].north_m, hypot(points[i].east_m, points[i].north_m));
        print_text(stdout, points[i].name);
        putchar('\n');
    }
    printf("mean: %.1f m towards %.0f degrees (0 = north, 90 = east); at the most %.1f m\n", report->mean_m,
           report->direction_deg, report->largest_m);
    printf("left over if it is in GCJ-02: %.1f m; if it is in BD-09: %.1f m\n", report->gcj02_m, report->bd09_m);
}

static int check(const struct config *config, const struct arguments *arguments) {
    const char *path = argument_text(arguments, "POINTS");
    char problem[FILE_PROBLEM_MAX], why[BASEMAP_CHECK_TEXT_MAX];
    struct basemap_point *points = calloc(BASEMAP_POINTS_MAX, sizeof *points);
    struct basemap_report report;
    size_t length = 0, count = 0;
    char *text = file_read(path, POINTS_FILE_MAX, &length, problem);
    int code = EXIT_FAILED;
    (void)config;
    if (text == NULL || points == NULL) {
        command_fail("%s: %s", path, text == NULL ? problem : "there is no memory left");
    } else if (basemap_points_read(text, length, points, &count, why) != 0) {
        command_fail("%s: %s", path, why);
    } else {
        basemap_check(points, count, argument_decimal(arguments, "tolerance"), &report);
        print_report(points, count, &report);
        printf("%s: %s\n", basemap_verdict_name(report.verdict), basemap_verdict_words(&report, why));
        code = report.verdict == BASEMAP_RIGHT ? EXIT_DONE : EXIT_FAILED;
    }
    free(points);
    free(text);
    return code;
}

/* ---- fetch ---- */

/* The tile that a place is in. */
static void tile_at(double lon, double lat, unsigned z, struct basemap_tile *tile) {
    double side = ldexp(1, (int)z), latitude = lat * M_PI / 180;
    double x = (lon + 180) / 360 * side, y = (1 - asinh(tan(latitude)) / M_PI) / 2 * side;
    tile->z = z;
    tile->x = (uint32_t)fmax(0, fmin(x, side - 1));
    tile->y = (uint32_t)fmax(0, fmin(y, side - 1));
}

/* Tells what each layer's source answers; true if all gave a picture. */
static bool fetch_all(struct basemap_fetcher *fetcher, struct basemap_tile *tile) {
    static const char *const ends[] = {"a picture", "no picture of this place", "it is away", "it refuses",
                                       "nothing that a map may have"};
    bool all = true;
    for (tile->layer = 0; tile->layer < tile->map->layer_count; tile->layer++) {
        struct basemap_picture picture = {0};
        int64_t begun_ms = clock_steady_ms();
        basemap_fetch(fetcher, tile, NULL, NULL, &picture);
        printf("layer %u: %s", tile->layer, ends[picture.end]);
        if (picture.end == BASEMAP_PICTURE) {
            printf(", %s, %zu bytes", picture_type_name(picture.type), picture.bytes.length);
        } else {
            fputs(": ", stdout);
            print_text(stdout, picture.reason);
            all = false;
        }
        printf(", after %lld ms\n", (long long)(clock_steady_ms() - begun_ms));
        buffer_free(&picture.bytes);
    }
    return all;
}

static int fetch(const struct config *config, const struct arguments *arguments) {
    const char *name = argument_text(arguments, "NAME");
    struct basemap_file file;
    int code = load(config, &file);
    struct basemap_tile tile = {.map = basemap_find(&file, name, strlen(name))};
    if (code == EXIT_DONE && tile.map == NULL) {
        code = command_fail("there is no base map of this name; `cityhub basemap list` shows them");
    } else if (code == EXIT_DONE) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        struct basemap_fetcher *fetcher = basemap_fetcher_open();
        tile_at(argument_decimal(arguments, "lon"), argument_decimal(arguments, "lat"),
                (unsigned)argument_number(arguments, "zoom"), &tile);
        code = fetcher == NULL ? command_fail("out of memory") : fetch_all(fetcher, &tile) ? EXIT_DONE : EXIT_FAILED;
        basemap_fetcher_close(fetcher);
        curl_global_cleanup();
    }
    basemap_file_free(&file);
    return code;
}

/* ---- the command ---- */

static const struct command_option no_options[] = {{0}};

static const struct command basemap_list = {
    .name = "list",
    .summary = "show the base maps of the configuration, and which are refused and why",
    .options = no_options,
    .run = list,
};

static const struct command_option check_options[] = {
    {.name = "POINTS",
     .kind = OPTION_FILE,
     .required = true,
     .help =
         "the points as CSV: name,lon,lat,map_lon,map_lat in degrees; lon, lat as surveyed (CGCS2000 or WGS 84), map_lon, map_lat as read off the "
         "base map on the page"},
    {.name = "tolerance",
     .argument = "METRES",
     .kind = OPTION_DECIMAL,
     .low = 1,
     .high = BASEMAP_TOLERANCE_MAX_M,
     .initial = "10",
     .help = "how far a point may be off"},
    {0},
};

static const struct command basemap_check_command = {
    .name = "check",
    .summary = "tell by control points (控制点) whether a base map is shifted, and how",
    .text =
        "Compares where places are with where a base map shows them: right, shifted as GCJ-02 or BD-09 shifts, shifted otherwise, "
        "or points that are wrong themselves. Three points or more, 200 m or more apart. Exit code 1 if it is not right. A base map whose "
        "control_points say so is not shown at all; one without them is shown as unchecked.",
    .options = check_options,
    .run = check,
    .examples = "cityhub basemap check vec.csv\n"
                "cityhub basemap check vec.csv --tolerance 5\n",
};

static const struct command_option fetch_options[] = {
    {.name = "NAME", .kind = OPTION_TEXT, .required = true, .help = "the base map"},
    {.name = "lon",
     .argument = "DEGREES",
     .kind = OPTION_DECIMAL,
     .low = -180,
     .high = 180,
     .required = true,
     .help = "a place in the county"},
    {.name = "lat",
     .argument = "DEGREES",
     .kind = OPTION_DECIMAL,
     .low = -85,
     .high = 85,
     .required = true,
     .help = "the same"},
    {.name = "zoom",
     .argument = "ZOOM",
     .kind = OPTION_NUMBER,
     .minimum = 0,
     .maximum = BASEMAP_ZOOM_MAX,
     .initial = "14",
     .help = "of the map"},
    {0},
};

static const struct command basemap_fetch_command = {
    .name = "fetch",
    .summary = "ask a base map's source for one picture of each layer, and tell what it answers",
    .text =
        "Asks as the hub does, from this machine, with its key, and keeps nothing. Exit code 1 if a layer gives no picture.",
    .options = fetch_options,
    .run = fetch,
    .examples = "cityhub basemap fetch vec --lon 114.39 --lat 34.06\n",
};

static const struct command *const actions[] = {&basemap_list, &basemap_check_command, &basemap_fetch_command, NULL};

const struct command command_basemap = {
    .name = "basemap",
    .summary = "list base maps (底图), try their sources, and check where they lie",
    .actions = actions,
    .more = "docs/basemap.md",
};
