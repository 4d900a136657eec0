/* command_map.c: `cityhub map`: the county's grid cells, zones and components from GeoJSON files. Reads the file and
 * tells what SQL found in it; what is right is judged in SQL, before anything is stored. */
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/cli/document.h"
#include "hub/cli/print_table.h"
#include "hub/command/commands.h"

enum { FILE_BYTES_MAX = 256 * 1024 * 1024, WARNINGS_SHOWN = 50 };

/* "FILE: features[3]: words", a line for each; at most `most`. */
static void print_findings(FILE *out, const char *path, const cJSON *findings, const char *word, int most) {
    const cJSON *one;
    int shown = 0;
    cJSON_ArrayForEach(one, findings) {
        if (shown++ == most) {
            fprintf(out, "%s: and %d more\n", path, cJSON_GetArraySize(findings) - most);
            return;
        }
        const char *place = member_text(one, "place");
        fprintf(out, "%s: %s%s", path, place, *place == '\0' ? "" : ": ");
        print_text(out, member_text(one, word));
        fputc('\n', out);
    }
}

static void print_extent(const cJSON *extent) {
    if (cJSON_GetArraySize(extent) == 4) {
        printf("they lie between %.5f and %.5f east, %.5f and %.5f north\n", cJSON_GetArrayItem(extent, 0)->valuedouble,
               cJSON_GetArrayItem(extent, 2)->valuedouble, cJSON_GetArrayItem(extent, 1)->valuedouble,
               cJSON_GetArrayItem(extent, 3)->valuedouble);
    }
}

/* What the file has, and what is strange in it. */
static void print_report(const char *path, const cJSON *report) {
    const cJSON *warnings = member_get(report, "warnings");
    const cJSON *ignored = member_get(report, "ignored");
    const cJSON *name;
    printf("%s: %.0f %s\n", path, member_number(report, "features", 0), member_text(report, "layer"));
    print_extent(member_get(report, "extent"));
    cJSON_ArrayForEach(name, ignored) {
        fputs(name == ignored->child ? "not read: " : ", ", stdout);
        print_text(stdout, cJSON_GetStringValue(name));
    }
    fputs(cJSON_GetArraySize(ignored) > 0 ? "\n" : "", stdout);
    print_findings(stdout, path, warnings, "warning", WARNINGS_SHOWN);
}

/* Asks `function` about the file; NULL after telling why, or what is wrong with the file. The caller deletes. */
static cJSON *report_ask(PGconn *connection, const struct arguments *arguments, const char *function,
                         const char *nothing) {
    const char *path = argument_text(arguments, "FILE");
    cJSON *document = document_read(path, FILE_BYTES_MAX);
    if (document == NULL) {
        command_fail("%s: %s", path, nothing);
        return NULL;
    }
    cJSON *report = member_put(arguments->request, "document", document) == 0
                        ? ask_json(connection, function, arguments->request)
                        : NULL;
    int problems = cJSON_GetArraySize(member_get(report, "problems"));
    if (problems > 0) {
        print_findings(stderr, path, member_get(report, "problems"), "problem", problems);
        command_fail("%s: %d problem%s; %s", path, problems, problems == 1 ? "" : "s", nothing);
        cJSON_Delete(report);
        return NULL;
    }
    return report;
}

static int check(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *report = report_ask(connection, arguments, "onemap.map_check", "it cannot be imported so");
    if (report == NULL) {
        return EXIT_FAILED;
    }
    print_report(argument_text(arguments, "FILE"), report);
    puts("nothing is wrong with them; nothing is stored");
    cJSON_Delete(report);
    return EXIT_DONE;
}

static int import(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *report = report_ask(connection, arguments, "onemap.map_import", "nothing is imported");
    if (report == NULL) {
        return EXIT_FAILED;
    }
    print_report(argument_text(arguments, "FILE"), report);
    double added = member_number(report, "added", 0);
    double changed = member_number(report, "changed", 0);
    printf("%.0f added, %.0f changed, %.0f as they were\n", added, changed,
           member_number(report, "features", 0) - added - changed);
    cJSON_Delete(report);
    return EXIT_DONE;
}

/* ---- the command ---- */

#define MAP_FILE                                                                                                       \
    {.name = "FILE", .kind = OPTION_FILE, .required = true, .help = "the file: GeoJSON, WGS 84; - is standard input"}, \
    {                                                                                                                  \
        .name = "layer", .argument = "LAYER", .kind = OPTION_WORD, .words = "grid_cells zones components",             \
        .required = true, .member = "layer", .help = "what its features are"                                           \
    }

static const struct command_option file_options[] = {MAP_FILE, {0}};

static const struct command map_check = {
    .name = "check",
    .summary = "tell what is wrong with a file of the map, and what is strange; store nothing",
    .text =
        "Tells every fault by its feature: geometries that are none or not valid, places outside China, codes that are wrong "
        "or there twice, departments that there are not. Then what is strange but can be imported: cells that overlap, "
        "features without a department, properties that are not read. Exit code 1 if the file would be refused.",
    .options = file_options,
    .work = check,
    .examples = "cityhub map check grid.geojson --layer grid_cells\n",
};

static const struct command map_import = {
    .name = "import",
    .summary = "read grid cells (单元网格), zones (消纳场等区域) or components (部件) from a GeoJSON file",
    .text =
        "The file is judged as by check, and taken whole or not at all. A feature whose code is there already is brought up to date; "
        "what the file does not name stays. Properties: code, name, department of grid_cells (polygons, 15 digits) and components "
        "(points, 16 digits); kind, code, name, valid_from, valid_to of zones (polygons; kind: disposal_yard, construction_site, "
        "no_entry, other). Departments come first: `cityhub catalogue departments import`.\n\n"
        "Shapefiles, GeoPackages and other coordinates: `ogr2ogr -f GeoJSON -t_srs EPSG:4326 -sql \"SELECT bgcode AS code, bgname "
        "AS name FROM grid\" grid.geojson grid.shp` (Debian package gdal-bin).",
    .options = file_options,
    .work = import,
    .examples = "cityhub map import grid.geojson --layer grid_cells\n"
                "cityhub map import yards.geojson --layer zones\n",
};

static const struct command_option list_options[] = {ASK_OPTIONS, {0}};

static const struct ask_list list_rows = {
    .rows = "onemap.map_list_table", .json = "onemap.map_list_json", .nothing = "the map is empty"};

static const struct command map_list = {
    .name = "list",
    .summary = "show how much of each layer there is, and where",
    .options = list_options,
    .list = &list_rows,
};

static const struct command *const actions[] = {&map_list, &map_check, &map_import, NULL};

const struct command command_map = {
    .name = "map",
    .summary = "check, import and count grid cells (单元网格), zones (区域) and components (部件)",
    .actions = actions,
    .more = "docs/deploy.md",
};
