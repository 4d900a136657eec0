/* command_score.c: `cityhub score`: the monthly score and the county's assessment. Shows what SQL functions answer.
 * Never computes a figure: the rules are in SQL. Formulas: command_score_formula.c. */
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/bulletin/score_explain.h"
#include "hub/bulletin/score_report.h"
#include "hub/cli/ask.h"
#include "hub/cli/print_table.h"
#include "hub/command/command_score.h"
#include "hub/command/commands.h"

/* What is missing, a line a department: [{department, name, missing: [{name}]}]. */
static void print_missing(FILE *out, const cJSON *missing) {
    const cJSON *unit;
    const cJSON *one;
    cJSON_ArrayForEach(unit, missing) {
        const char *name = member_text(unit, "name");
        print_text(out, name[0] == '\0' ? member_text(unit, "department") : name);
        fputs(" lacks:", out);
        cJSON_ArrayForEach(one, member_get(unit, "missing")) {
            fputs(one == member_get(unit, "missing")->child ? " " : ", ", out);
            print_text(out, member_text(one, "name"));
        }
        fputc('\n', out);
    }
}

/* ---- computing, explaining ---- */

static int compute(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    static const struct ask_list digital = {.rows = "onemap.score_digital_table",
                                            .title = "Digital score (数字城管)\n",
                                            .nothing = "no department is scored"};
    static const struct ask_list assessment = {.rows = "onemap.score_assessment_table",
                                               .title = "\nAssessment (1+8+4)\n",
                                               .nothing = "no department is assessed"};
    (void)config;
    if (argument_given(arguments, "json")) {
        return ask_print_json(connection, "onemap.score_compute_json", arguments->request);
    }
    int code = ask_print_table(connection, &digital, arguments->request, 0);
    if (code == EXIT_DONE && !argument_given(arguments, "formula")) {
        code = ask_print_table(connection, &assessment, arguments->request, 0);
    }
    return code;
}

static int statistics(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    static const struct ask_list cases = {
        .rows = "onemap.score_statistics_table", .json = "onemap.score_statistics", .nothing = "no case"};
    static const struct ask_list persons = {
        .rows = "onemap.score_person_table", .json = "onemap.score_statistics", .nothing = "nobody did anything"};
    (void)config;
    bool person = strcmp(argument_text(arguments, "by"), "person") == 0;
    return ask_print(connection, person ? &persons : &cases, arguments);
}

static int explain(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    if (argument_given(arguments, "json")) {
        return ask_print_json(connection, "onemap.score_explain", arguments->request);
    }
    cJSON *answer = ask_json(connection, "onemap.score_explain", arguments->request);
    if (answer != NULL) {
        score_explain_print(stdout, answer);
    }
    cJSON_Delete(answer);
    return answer == NULL ? EXIT_FAILED : EXIT_DONE;
}

/* ---- entering ---- */

/* Hands the request to a function that answers {id}. */
static int enter_by(PGconn *connection, const char *function, const struct arguments *arguments) {
    cJSON *answer = ask_json(connection, function, arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("entered as %.0f\n", member_number(answer, "id", 0));
    cJSON_Delete(answer);
    return EXIT_DONE;
}

static int enter(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return enter_by(connection, "onemap.assessment_enter", arguments);
}

static int award(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return enter_by(connection, "onemap.assessment_award_enter", arguments);
}

static int input(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return enter_by(connection, "onemap.score_input_put", arguments);
}

static int lead_set(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = ask_json(connection, "onemap.assessment_lead_put", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    const char *office = member_text(arguments->request, "office");
    printf("%s: ", argument_text(arguments, "item"));
    print_text(stdout, *office == '\0' ? "whoever enters it names itself" : office);
    putchar('\n');
    cJSON_Delete(answer);
    return EXIT_DONE;
}

/* ---- closing a month ---- */

static int status(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    if (argument_given(arguments, "json")) {
        return ask_print_json(connection, "onemap.assessment_status", arguments->request);
    }
    cJSON *answer = ask_json(connection, "onemap.assessment_status", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    const cJSON *missing = member_get(answer, "missing");
    static const char *const marks[] = {"ended", "closed", "published"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        printf("%-11s%s\n", marks[i], member_true(answer, marks[i]) ? "yes" : "no");
    }
    printf("departments %.0f, %d of them incomplete\n", member_number(answer, "departments", 0),
           cJSON_GetArraySize(missing));
    print_missing(stdout, missing);
    if (member_number(answer, "events_written_after_closing", 0) > 0) {
        printf(
            "%.0f events of this month were written after it was closed and do not count; correct it by `cityhub score "
            "adjust` if need be\n",
            member_number(answer, "events_written_after_closing", 0));
    }
    cJSON_Delete(answer);
    return EXIT_DONE;
}

/* Publishes unless that is done already. Returns an exit code. */
static int publish_ensure(PGconn *connection, const cJSON *request) {
    cJSON *before = ask_json(connection, "onemap.assessment_status", request);
    bool published = member_true(before, "published");
    bool known = before != NULL;
    cJSON_Delete(before);
    if (!known || published) {
        return known ? EXIT_DONE : EXIT_FAILED;
    }
    cJSON *answer = ask_json(connection, "onemap.assessment_publish", request);
    int code = EXIT_FAILED;
    if (member_true(answer, "published")) {
        code = EXIT_DONE;
    } else if (answer != NULL) {
        command_fail("the month is not published, something is missing:");
        print_missing(stderr, member_get(answer, "missing"));
    }
    cJSON_Delete(answer);
    return code;
}

static int publish(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    int code = publish_ensure(connection, arguments->request);
    cJSON *publication =
        code == EXIT_DONE ? ask_json(connection, "onemap.assessment_publication_get", arguments->request) : NULL;
    if (publication == NULL) {
        return EXIT_FAILED;
    }
    if (!member_true(publication, "intact")) {
        code = command_fail("the published figures do not fit their hash: somebody changed them in the database");
    } else if (score_report_write(publication, argument_text(arguments, "out"), stdout) != 0) {
        code = EXIT_FAILED;
    } else {
        printf("SHA-256 %s\n", member_text(publication, "sha256"));
    }
    cJSON_Delete(publication);
    return code;
}

static int adjust(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = ask_json(connection, "onemap.score_adjust", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("counts in %s\n", member_text(answer, "counted_month"));
    cJSON_Delete(answer);
    return EXIT_DONE;
}

static int verify(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = ask_json(connection, "onemap.score_verify", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    bool same = member_true(answer, "same");
    printf("%s: %.0f rows and %d scores differ; %.0f events of the month came after it was closed\n",
           same ? "the same" : "DIFFERENT", member_number(answer, "rows_differing", 0),
           cJSON_GetArraySize(member_get(answer, "scores_differing")),
           member_number(answer, "events_written_after_closing", 0));
    const cJSON *file;
    cJSON_ArrayForEach(file, member_get(answer, "rules_changed_since")) {
        printf("amended since it was closed: %s\n", cJSON_GetStringValue(file));
    }
    cJSON_Delete(answer);
    return same ? EXIT_DONE : EXIT_FAILED;
}

/* ---- the command ---- */

#define SCORE_DEPARTMENT                                                                                               \
    {                                                                                                                  \
        .name = "department", .argument = "CODE", .kind = OPTION_TEXT, .required = true, .member = "department",       \
        .help = "the department, by its code"                                                                          \
    }
#define SCORE_AUTHOR                                                                                                   \
    {                                                                                                                  \
        .name = "author", .argument = "NAME", .kind = OPTION_TEXT, .required = true, .member = "author",               \
        .help = "the person who answers for it"                                                                        \
    }
#define SCORE_OFFICE                                                                                                   \
    {                                                                                                                  \
        .name = "office", .argument = "NAME", .kind = OPTION_TEXT, .required = true, .member = "office",               \
        .help = "the office that enters it (牵头单位)"                                                             \
    }
#define SCORE_EVIDENCE                                                                                                 \
    {                                                                                                                  \
        .name = "evidence", .argument = "TEXT", .kind = OPTION_TEXT, .required = true, .member = "evidence",           \
        .help = "what it rests on: a score sheet, a report, a photograph's place"                                      \
    }
#define SCORE_FORMULA                                                                                                  \
    {                                                                                                                  \
        .name = "formula", .argument = "FORMULA", .kind = OPTION_TEXT, .member = "formula",                            \
        .help = "by the formula with this key or version, as an example; else by the one in force"                     \
    }
#define SCORE_JSON                                                                                                     \
    { .name = "json", .kind = OPTION_FLAG, .help = "as JSON, whole, for programs" }
#define SCORE_ITEMS                                                                                                     \
    "overhead_lines street_facades road_maintenance construction_waste landscaping static_parking outdoor_advertising " \
    "site_hoarding peace civilisation city_management garden_city"

static const struct command_option compute_options[] = {SCORE_MONTH, SCORE_FORMULA, SCORE_JSON, {0}};

static const struct command score_compute = {
    .name = "compute",
    .summary = "compute the digital scores of a month, and the county's assessment with what is missing",
    .text =
        "Every department's digital score (数字城管), ranked within its group, and the county's assessment (1+8+4) as far as it is "
        "known. Nothing is made final: see publish. A closed month comes as it was closed.",
    .options = compute_options,
    .work = compute,
    .examples = "cityhub score compute --month 2026-10\n"
                "cityhub score compute --month 2026-10 --formula jinhua\n",
};

static const struct command_option statistics_options[] = {
    OPTION_MONTH(.name = "month", .required = true, .member = "month", .help = "of this month"),
    OPTION_DAY(.name = "from", .either = true, .member = "from", .needs = "to", .help = "from this day on"),
    OPTION_DAY(.name = "to", .member = "to", .needs = "from", .help = "to this day, which counts"),
    {.name = "by",
     .argument = "WORD",
     .kind = OPTION_WORD,
     .words = "department street grid_cell category source person all",
     .initial = "department",
     .member = "by",
     .help = "what is counted apart"},
    ASK_OPTIONS,
    {0},
};

static const struct command score_statistics = {
    .name = "statistics",
    .summary = "count reported, handled, overdue, reworked ... cases, and their rates",
    .text = "Which month a case counts in: docs/score.md. --json has every measure and rate.",
    .options = statistics_options,
    .work = statistics,
    .examples = "cityhub score statistics --month 2026-10 --by category\n"
                "cityhub score statistics --from 2026-10-01 --to 2026-10-07 --csv > week.csv\n",
};

static const struct command_option explain_options[] = {SCORE_MONTH, SCORE_DEPARTMENT, SCORE_FORMULA, SCORE_JSON, {0}};

static const struct command score_explain = {
    .name = "explain",
    .summary = "tell why a department has its score, down to the case numbers",
    .options = explain_options,
    .work = explain,
    .examples = "cityhub score explain --month 2026-10 --department huanwei\n",
};

static const struct command_option enter_options[] = {
    SCORE_MONTH,
    SCORE_DEPARTMENT,
    {.name = "item",
     .argument = "KEY",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "item",
     .words = SCORE_ITEMS,
     .help = "the campaign (专项) or office; `cityhub score lead list` names them"},
    {.name = "score",
     .argument = "N",
     .kind = OPTION_DECIMAL,
     .low = 0,
     .high = 100,
     .required = true,
     .member = "score",
     .help = "the score, at most four decimals"},
    {.name = "not-concerned",
     .kind = OPTION_FLAG,
     .either = true,
     .member = "not_concerned",
     .help = "the campaign does not concern the department (不涉及): the mean is over the others"},
    SCORE_OFFICE,
    SCORE_AUTHOR,
    SCORE_EVIDENCE,
    {0},
};

static const struct command score_enter = {
    .name = "enter",
    .summary = "enter a department's score of a campaign or an office",
    .text = "A later entry replaces an earlier one, and both stay; after publication nothing is entered.",
    .options = enter_options,
    .work = enter,
    .examples = "cityhub score enter --month 2026-10 --department jincheng --item peace --score 92.5 \\\n"
                "    --office 县综治办 --author 王 "
                "--evidence 评分表\n",
};

static const struct command_option award_options[] = {
    SCORE_MONTH,
    SCORE_DEPARTMENT,
    {.name = "kind",
     .argument = "KIND",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "kind",
     .words =
         "praise_national praise_provincial praise_city leader_praise outside_duty media_national media_provincial media_city "
         "creation_loss criticism refusal poor_cooperation key_task_missed",
     .help = "the bonus (加分) or deduction (减分); its points and clause are those of the annex"},
    {.name = "times",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = 1000,
     .initial = "1",
     .member = "times",
     .help = "how many times"},
    SCORE_OFFICE,
    SCORE_AUTHOR,
    SCORE_EVIDENCE,
    {0},
};

static const struct command score_award = {
    .name = "award",
    .summary = "enter a bonus or a deduction",
    .options = award_options,
    .work = award,
    .examples = "cityhub score award --month 2026-10 --department jincheng --kind media_city \\\n"
                "    --office 督查局 --author 王 --evidence 报道\n",
};

static const struct command_option revoke_options[] = {
    {.name = "ID",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = INT64_MAX,
     .required = true,
     .member = "revokes",
     .help = "what award said it was entered as"},
    SCORE_OFFICE,
    SCORE_AUTHOR,
    SCORE_EVIDENCE,
    {0},
};

static const struct command score_revoke = {
    .name = "revoke",
    .summary = "take a bonus or deduction back",
    .options = revoke_options,
    .work = award,
    .examples = "cityhub score revoke 17 --office 督查局 --author 王 --evidence 更正\n",
};

static const struct command_option input_options[] = {
    SCORE_MONTH,
    SCORE_DEPARTMENT,
    {.name = "item",
     .argument = "KEY",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "item",
     .help = "an item of the formula that people give points for"},
    {.name = "points",
     .argument = "N",
     .kind = OPTION_DECIMAL,
     .low = 0,
     .high = 1000,
     .required = true,
     .member = "points",
     .help = "the points, at most the item's weight"},
    SCORE_FORMULA,
    SCORE_AUTHOR,
    SCORE_EVIDENCE,
    {0},
};

static const struct command score_input = {
    .name = "input",
    .summary = "enter points for an item of a formula that people judge",
    .options = input_options,
    .work = input,
};

static const struct command_option status_options[] = {SCORE_MONTH, SCORE_JSON, {0}};

static const struct command score_status = {
    .name = "status",
    .summary = "tell how far a month is, and everything that is missing",
    .options = status_options,
    .work = status,
};

static const struct command_option publish_options[] = {
    SCORE_MONTH,
    SCORE_AUTHOR,
    {.name = "out",
     .argument = "FOLDER",
     .kind = OPTION_FOLDER,
     .required = true,
     .help = "where the files go; made if it is not there"},
    {0},
};

static const struct command score_publish = {
    .name = "publish",
    .summary = "close a month, freeze its figures, and write the bulletin (考核通报)",
    .text =
        "Makes the month final and writes its figures as XLSX, HTML, CSV and JSON; of a month that is published already it writes the "
        "files again. In the order of months; exit code 1 while something is missing. What turns out wrong later is an "
        "adjustment.",
    .options = publish_options,
    .work = publish,
    .examples = "cityhub score publish --month 2026-10 --author 王 --out bulletin\n",
};

static const struct command_option adjust_options[] = {
    SCORE_MONTH,
    SCORE_DEPARTMENT,
    {.name = "points",
     .argument = "N",
     .kind = OPTION_DECIMAL,
     .low = -100,
     .high = 100,
     .required = true,
     .member = "points",
     .help = "points to add, or to take away (-1.5)"},
    {.name = "case", .argument = "CODE", .kind = OPTION_TEXT, .member = "case", .help = "the case it is about"},
    {.name = "reason", .argument = "TEXT", .kind = OPTION_TEXT, .required = true, .member = "reason", .help = "why"},
    SCORE_AUTHOR,
    {0},
};

static const struct command score_adjust = {
    .name = "adjust",
    .summary = "correct a closed month; the points count in the next open one",
    .options = adjust_options,
    .work = adjust,
    .examples = "cityhub score adjust --month 2026-10 --department jincheng --points -1.5 \\\n"
                "    --case 20261024-000123 --reason 补录案件超期 "
                "--author 王\n",
};

static const struct command_option verify_options[] = {SCORE_MONTH, {0}};

static const struct command score_verify = {
    .name = "verify",
    .summary = "compute a closed month again from the journal; exit code 1 if anything differs",
    .options = verify_options,
    .work = verify,
};

static const struct command_option year_options[] = {
    {.name = "year",
     .argument = "YEAR",
     .kind = OPTION_NUMBER,
     .minimum = 2000,
     .maximum = 2200,
     .required = true,
     .member = "year",
     .help = "the year"},
    ASK_OPTIONS,
    {0},
};

static const struct ask_list year_rows = {
    .rows = "onemap.score_year_table", .json = "onemap.assessment_year", .nothing = "no month of it is published"};

static const struct command score_year = {.name = "year",
                                          .summary = "show the year's ranking: the mean of its published months",
                                          .options = year_options,
                                          .list = &year_rows};

static const struct command_option lead_list_options[] = {ASK_OPTIONS, {0}};

static const struct ask_list lead_list_rows = {
    .rows = "onemap.score_lead_table", .json = "onemap.score_lead_json", .nothing = "there is no item"};

static const struct command score_lead_list = {
    .name = "list",
    .summary = "show campaigns and offices, and who alone may enter each",
    .options = lead_list_options,
    .list = &lead_list_rows,
};

static const struct command_option lead_set_options[] = {
    {.name = "item",
     .argument = "KEY",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "item",
     .words = SCORE_ITEMS,
     .help = "the campaign or office"},
    {.name = "office",
     .argument = "NAME",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "office",
     .help = "who alone may enter it (牵头单位); '' = whoever enters it names itself"},
    {0},
};

static const struct command score_lead_set = {
    .name = "set",
    .summary = "say which office alone may enter an item",
    .options = lead_set_options,
    .work = lead_set,
    .examples = "cityhub score lead set --item garden_city --office 县创园办\n",
};

static const struct command *const lead_actions[] = {&score_lead_list, &score_lead_set, NULL};

static const struct command score_lead = {
    .name = "lead", .summary = "show and say who enters campaigns and offices", .actions = lead_actions};

static const struct command *const actions[] = {
    &score_compute, &score_statistics, &score_explain, &score_enter,           &score_award,
    &score_revoke,  &score_input,      &score_lead,    &score_status,          &score_publish,
    &score_adjust,  &score_verify,     &score_year,    &command_score_formula, NULL,
};

const struct command command_score = {
    .name = "score",
    .summary = "compute, explain, enter and publish the monthly scores (考核评分) and the county's assessment",
    .actions = actions,
    .more = "docs/score.md",
};
