/* command_score_formula.c: `cityhub score formula`: the formulas of the digital score, documents that SQL judges and
 * keeps in versions. */
#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/cli/document.h"
#include "hub/cli/print_table.h"
#include "hub/command/command_score.h"

enum { FORMULA_BYTES_MAX = 1024 * 1024 };

/* Puts the document of the file into the request. Returns 0 or a negative code after telling why. */
static int formula_read(const struct arguments *arguments) {
    const char *path = argument_text(arguments, "FILE");
    cJSON *document = document_read(path, FORMULA_BYTES_MAX);
    if (document == NULL) {
        return CH_EINVAL;
    }
    return member_put(arguments->request, "formula", document);
}

/* Asks `function` about the formula of the file; it answers {problems}. NULL after telling why, or what is wrong. */
static cJSON *formula_ask(PGconn *connection, const struct arguments *arguments, const char *function) {
    cJSON *answer = formula_read(arguments) == 0 ? ask_json(connection, function, arguments->request) : NULL;
    const cJSON *problems = member_get(answer, "problems");
    const cJSON *problem;
    if (cJSON_GetArraySize(problems) == 0) {
        return answer;
    }
    cJSON_ArrayForEach(problem, problems) {
        const char *text = cJSON_GetStringValue(problem);
        print_text(stderr, text == NULL ? "" : text);
        fputc('\n', stderr);
    }
    command_fail("%s: %d problem%s", argument_text(arguments, "FILE"), cJSON_GetArraySize(problems),
                 cJSON_GetArraySize(problems) == 1 ? "" : "s");
    cJSON_Delete(answer);
    return NULL;
}

static int check(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = formula_ask(connection, arguments, "onemap.score_formula_check");
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("%s: nothing is wrong with it\n", argument_text(arguments, "FILE"));
    cJSON_Delete(answer);
    return EXIT_DONE;
}

static int put(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = formula_ask(connection, arguments, "onemap.score_formula_put");
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("version %.0f\n", member_number(answer, "version", 0));
    cJSON_Delete(answer);
    return EXIT_DONE;
}

#define FORMULA_FILE                                                                                                   \
    { .name = "FILE", .kind = OPTION_FILE, .required = true, .help = "the formula as JSON; - is standard input" }

static const struct command_option list_options[] = {ASK_OPTIONS, {0}};

static const struct ask_list list_rows = {.rows = "onemap.score_formula_table",
                                          .json = "onemap.score_formula_json",
                                          .nothing = "there is no formula",
                                          .times = true};

static const struct command formula_list = {
    .name = "list",
    .summary = "show all versions of all formulas; --json with their documents",
    .options = list_options,
    .list = &list_rows,
};

static const struct command_option check_options[] = {FORMULA_FILE, {0}};

static const struct command formula_check = {
    .name = "check",
    .summary = "name everything that is wrong with a formula",
    .options = check_options,
    .work = check,
    .examples = "cityhub score formula check formula.json\n",
};

static const struct command_option put_options[] = {
    FORMULA_FILE,
    OPTION_MONTH(.name = "from-month", .required = true, .member = "from_month", .help = "in force from this month on"),
    {.name = "author",
     .argument = "NAME",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "author",
     .help = "the person who answers for it"},
    {.name = "example", .kind = OPTION_FLAG, .member = "example", .help = "only to compute with: it is never in force"},
    {0},
};

static const struct command formula_put = {
    .name = "put",
    .summary = "put a formula as a new version, in force from a month on",
    .options = put_options,
    .work = put,
    .examples = "cityhub score formula put formula.json --from-month 2026-12 --author 王\n",
};

static const struct command *const actions[] = {&formula_list, &formula_check, &formula_put, NULL};

const struct command command_score_formula = {
    .name = "formula", .summary = "list, check and put formulas of the digital score (评分公式)", .actions = actions};
