/* command_mapping.c: `cityhub mapping`: what the JSON of foreign platforms means, tried before it is used. Must never
 * need a broker or a database. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/buffer.h"
#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/member.h"
#include "hub/base/topic.h"
#include "hub/cli/arguments.h"
#include "hub/cli/print_table.h"
#include "hub/command/commands.h"
#include "hub/decode/json_document.h"
#include "hub/gateway/mapping.h"

enum { FILE_MAX = 4 * 1024 * 1024, MAPPING_FILE_MAX = 256 * 1024 };

_Static_assert((int)DIALECT_PROBLEM_MAX >= (int)FILE_PROBLEM_MAX, "a reason has room");

static void complain(const char *path, const char *problem) {
    print_text(stderr, path);
    fputs(": ", stderr);
    print_text(stderr, problem);
    fputc('\n', stderr);
}

/* NULL after saying why. */
static struct mapping *load(const char *path) {
    char problem[DIALECT_PROBLEM_MAX];
    size_t length = 0;
    char *text = file_read(path, MAPPING_FILE_MAX, &length, problem);
    struct mapping *mapping = text == NULL ? NULL : mapping_parse(text, length, problem);
    if (mapping == NULL) {
        complain(path, problem);
    }
    free(text);
    return mapping;
}

/* ---- check ---- */

static bool is_right(const char *path) {
    struct mapping *mapping = load(path);
    bool right = mapping != NULL;
    mapping_free(mapping);
    return right;
}

static int check(const struct config *config, const struct arguments *arguments) {
    size_t count = arguments->operand_count, wrong = 0;
    glob_t found = {0};
    for (size_t i = 0; i < arguments->operand_count; i++) {
        wrong += !is_right(arguments->operands[i]);
    }
    struct buffer pattern = {0};
    buffer_format(&pattern, "%s/config/mappings/*.json", config->hub_data_dir);
    if (count == 0 && buffer_string(&pattern) != NULL && glob(pattern.data, 0, NULL, &found) == 0) {
        count = found.gl_pathc;
        for (size_t i = 0; i < count; i++) {
            wrong += !is_right(found.gl_pathv[i]);
        }
    }
    globfree(&found);
    buffer_free(&pattern);
    if (wrong > 0) {
        return command_fail("%zu of %zu files %s wrong", wrong, count, wrong == 1 ? "is" : "are");
    }
    printf("%zu files, nothing is wrong with them\n", count);
    return EXIT_DONE;
}

/* ---- try ---- */

/* The dialect that the mapping's frames are of; NULL: it names none, or after saying what is wrong with it. */
static struct hj212_dialect *load_dialect(const struct config *config, const struct mapping *mapping) {
    struct buffer path = {0};
    char problem[DIALECT_PROBLEM_MAX] = "there is no memory left";
    size_t length = 0;
    if (mapping->dialect == NULL) {
        return NULL;
    }
    buffer_format(&path, "%s/config/gateway/hj212/%s.json", config->hub_data_dir, mapping->dialect);
    char *text = buffer_string(&path) == NULL ? NULL : file_read(path.data, MAPPING_FILE_MAX, &length, problem);
    struct hj212_dialect *dialect = text == NULL ? NULL : hj212_dialect_parse(text, length, problem);
    if (dialect == NULL) {
        complain(path.data == NULL ? mapping->dialect : path.data, problem);
    }
    free(text);
    buffer_free(&path);
    return dialect;
}

static void print_all(const char *kind, const cJSON *records) {
    for (const cJSON *record = records->child; record != NULL; record = record->next) {
        char *text = cJSON_PrintUnformatted(record);
        printf("%s %s\n", kind, text == NULL ? "" : text);
        cJSON_free(text);
    }
}

/* Prints what a sample becomes. */
static int show(const struct mapping *mapping, cJSON *sample, const struct mapping_origin *origin) {
    struct mapping_outcome outcome;
    cJSON *telemetry = cJSON_CreateArray(), *intervals = cJSON_CreateArray();
    int code = telemetry == NULL || intervals == NULL
                   ? CH_EMEMORY
                   : mapping_apply(mapping, sample, origin, telemetry, intervals, &outcome);
    if (code == 0) {
        print_all(topic_words[TOPIC_TELEMETRY], telemetry);
        print_all(topic_words[TOPIC_INTERVAL], intervals);
        printf("%u records, %u values, %u left over (kept as they came)\n", outcome.readings, outcome.values,
               outcome.left_over);
    }
    cJSON_Delete(telemetry);
    cJSON_Delete(intervals);
    if (code != 0) {
        return command_fail("there is no memory left");
    }
    return outcome.failed == 0
               ? EXIT_DONE
               : command_fail("of %u records nothing can be made; the first: %s", outcome.failed, outcome.problem);
}

static int try(const struct config *config, const struct arguments *arguments) {
    const char *path = argument_text(arguments, "SAMPLE"), *device = argument_text(arguments, "device");
    char problem[FILE_PROBLEM_MAX];
    size_t length = 0;
    struct mapping *mapping = load(argument_text(arguments, "FILE"));
    if (mapping == NULL) {
        return command_fail("the mapping cannot be used");
    }
    const char *subsystem = argument_text(arguments, "subsystem");
    struct mapping_origin origin = {.adapter = subsystem == NULL ? mapping->adapter : adapter_find(subsystem),
                                    .device = device == NULL ? "" : device,
                                    .now_ms = clock_now_ms()};
    char *text = file_read(path, FILE_MAX, &length, problem);
    cJSON *sample = text == NULL ? NULL : json_document(text, length);
    int code = EXIT_FAILED;
    if (origin.adapter == NULL || (mapping->adapter != NULL && origin.adapter != mapping->adapter)) {
        code = arguments_misuse(arguments,
                                origin.adapter == NULL
                                    ? "whose fields are these? the mapping names no subsystem: --subsystem says it"
                                    : "the mapping is another subsystem's");
    } else if (sample == NULL) {
        complain(path, text == NULL ? problem : "is no JSON");
        command_fail("the sample cannot be used");
    } else {
        struct hj212_dialect *dialect = load_dialect(config, mapping);
        origin.dialect = dialect;
        code = show(mapping, sample, &origin);
        hj212_dialect_free(dialect);
    }
    cJSON_Delete(sample);
    free(text);
    mapping_free(mapping);
    return code;
}

/* ---- the command ---- */

static const struct command_option check_options[] = {
    {.name = "FILE",
     .kind = OPTION_FILE,
     .repeated = true,
     .help = "the mappings; without any: all of config/mappings that are installed"},
    {0},
};

static const struct command mapping_check = {
    .name = "check",
    .summary = "check files that say what a platform's JSON means",
    .text = "Reads mappings as the gateway does and tells each fault: the file, the key, and what is allowed there.",
    .options = check_options,
    .run = check,
    .examples = "cityhub mapping check\n"
                "cityhub mapping check ours.json\n",
};

static const struct command_option try_options[] = {
    {.name = "FILE", .kind = OPTION_FILE, .required = true, .help = "the mapping"},
    {.name = "SAMPLE", .kind = OPTION_FILE, .required = true, .help = "a message of the platform, as it sends it"},
    {.name = "subsystem",
     .argument = "KEY",
     .kind = OPTION_SUBSYSTEM,
     .help = "whose fields the values are, where the mapping does not say it"},
    {.name = "device",
     .argument = "CODE",
     .kind = OPTION_TEXT,
     .help = "the device, where the message names none: that of the source's terminal"},
    {0},
};

static const struct command mapping_try = {
    .name = "try",
    .summary = "show what a sample of a platform's JSON becomes",
    .text =
        "Prints a line for each record that the message becomes: `telemetry`, what is stored as readings; `interval`, with "
        "`others`, what is left over and kept as it came. Fails if of a record nothing can be made: it names no device, its "
        "time cannot be read, or there is no value in it. Nothing is sent anywhere.",
    .options = try_options,
    .run = try,
    .examples = "cityhub mapping try config/mappings/ctwing.json sample.json --subsystem dust\n",
};

static const struct command *const actions[] = {&mapping_check, &mapping_try, NULL};

const struct command command_mapping = {
    .name = "mapping",
    .summary = "check and try what the JSON of foreign platforms means (平台报文映射)",
    .actions = actions,
    .more = "docs/gateway.md",
};
